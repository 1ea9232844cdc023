"""The 1,000 real pen digits beside the project, drawn as the canvas draws them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STROKES = SHARED_DATA / "strokes" / "pen_digits.jsonl"
CANVAS = 280  # pixels on a side, the field that the strokes are given in
PEN_WIDTH = 18  # pixels, as `ui/canvas.py` sets it; a test holds the two together
_FINER = 4


@dataclass(frozen=True)
class PenDigit:
    """A digit that somebody drew: pen-down paths of (x, y) in canvas pixels, y down."""

    label: int
    strokes: list[list[list[float]]]
    writer: str


def pen_digits() -> list[PenDigit]:
    """All pen digits, in the file's order."""
    return [PenDigit(**json.loads(line)) for line in STROKES.read_text().splitlines()]


def rasterise(strokes: list[list[list[float]]], pen: float, size: int = CANVAS) -> NDArray[np.uint8]:
    """Strokes drawn white on black with a round pen of `pen` pixels, anti-aliased: (size, size) uint8."""
    image = Image.new("L", (size * _FINER, size * _FINER))
    draw, radius = ImageDraw.Draw(image), pen * _FINER / 2
    for stroke in strokes:
        points = [((x + 0.5) * _FINER, (y + 0.5) * _FINER) for x, y in stroke]
        draw.line(points, fill=255, width=round(2 * radius))
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))
