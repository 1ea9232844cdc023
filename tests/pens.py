"""The 1,000 real pen digits beside the project, drawn as the canvas draws them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lenet_core.data import DataSet
from lenet_core.data_sets import DIGITS
from lenet_core.preprocess import to_digit
from lenet_core.strokes import ink, rasterise

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STROKES = SHARED_DATA / "strokes" / "pen_digits.jsonl"
CANVAS = 280  # pixels on a side, the field that the strokes are given in
PEN_WIDTH = 18  # pixels of this field: the canvas's own pen, 22 of its 336
_FINER = 4


@dataclass(frozen=True)
class PenDigit:
    """A digit that somebody drew: pen-down paths of (x, y) in canvas pixels, y down."""

    label: int
    strokes: list[list[tuple[float, float]]]
    writer: str


def pen_digits() -> list[PenDigit]:
    """All pen digits, in the file's order."""
    return [PenDigit(**json.loads(line)) for line in STROKES.read_text().splitlines()]


def pen_data(draw: Callable[[PenDigit], NDArray[np.uint8]]) -> DataSet:
    """All pen digits as a data set, each drawn by `draw` and put through MNIST's preprocessing."""
    digits = pen_digits()
    images = torch.from_numpy(np.stack([to_digit(draw(digit)).image for digit in digits]))[:, None]
    return DataSet("pens", "1,000 pen digits", images, torch.tensor([digit.label for digit in digits]), DIGITS)


def inked(digit: PenDigit) -> NDArray[np.uint8]:
    """The digit as the Draw page makes a picture of it."""
    return ink(digit.strokes)


def picture(digit: PenDigit) -> NDArray[np.uint8]:
    """The digit as a picture of the canvas: white on black, anti-aliased, (280, 280) uint8."""
    finer = [[((x + 0.5) * _FINER, (y + 0.5) * _FINER) for x, y in stroke] for stroke in digit.strokes]
    large = Image.fromarray(rasterise(finer, PEN_WIDTH * _FINER, CANVAS * _FINER))
    return np.asarray(large.resize((CANVAS, CANVAS), Image.Resampling.BOX))
