"""A drawing as pen strokes: inked at MNIST's stroke width, and written into a link and back.

A stroke is a list of (x, y) points in canvas pixels, y down. What a fixed pen leaves depends on how
large one draws: on a digit a third of the canvas high it becomes a blot. Inked anew from the strokes,
with a pen in proportion to the drawing, small and large digits look alike to the network.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lenet_core.errors import EmptyDrawingError

Stroke = Sequence[tuple[float, float]]
Strokes = Sequence[Stroke]

FIELD = 280  # side of the inked picture, pixels
LONGER_SIDE = 200  # of the strokes' box in it, pixels: ten for each of MNIST's 20
# MNIST's digits have a median stroke width of 2.6 pixels, which a pen of 27 here comes to
# (`python -m benchmarks.pen_width`).
PEN = 27
MAX_STROKES = 100
MAX_POINTS = 5_000


def box_of(strokes: Strokes) -> tuple[float, float, float, float]:
    """The strokes' box as (left, top, right, bottom).

    Raises:
        EmptyDrawingError: there is no point.
    """
    points = [point for stroke in strokes for point in stroke]
    if not points:
        raise EmptyDrawingError("Nothing is drawn yet. Draw one digit, large.")
    x, y = zip(*points, strict=True)
    return min(x), min(y), max(x), max(y)


def ink(strokes: Strokes, *, min_extent: float = 0.0, pen: float = PEN) -> NDArray[np.uint8]:
    """The strokes, white on black, scaled to 200 pixels and drawn with a round pen: (280, 280) uint8.

    `min_extent` is the least longer side of the drawing, in its own pixels, that counts as a digit.

    Raises:
        EmptyDrawingError: nothing is drawn, or less than `min_extent`.
    """
    left, top, right, bottom = box_of(strokes)
    longer = max(right - left, bottom - top)
    if longer < max(min_extent, 1e-3):
        raise EmptyDrawingError("That is too small to be a digit. Draw one digit, large.")
    scale = LONGER_SIDE / longer
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    placed = [
        [(FIELD / 2 + (x - middle_x) * scale, FIELD / 2 + (y - middle_y) * scale) for x, y in stroke]
        for stroke in strokes
    ]
    return rasterise(placed, pen)


def rasterise(strokes: Strokes, pen: float, size: int = FIELD) -> NDArray[np.uint8]:
    """The strokes where they are, white on black, with a round pen of `pen` pixels: (size, size) uint8."""
    image = Image.new("L", (size, size))
    draw, radius = ImageDraw.Draw(image), pen / 2
    for stroke in strokes:
        points = [(x, y) for x, y in stroke]
        if len(points) > 1:
            draw.line(points, fill=255, width=round(pen))
        for x, y in points:  # round joints and ends
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image)


def to_link(strokes: Strokes, size: int) -> str:
    """The strokes as a short text for a link: one byte a coordinate, compressed, base64.

    Points nearer than a hundredth of the canvas to the last kept one are left out, and more of them
    where there are over 5,000. `size` is the canvas's side in pixels.
    """
    strokes = [stroke for stroke in strokes if stroke][:MAX_STROKES]
    gap = 3
    while sum(map(len, thinned := [_thin(stroke, size, gap) for stroke in strokes])) > MAX_POINTS:
        gap *= 2
    data = bytearray()
    for points in thinned:
        data += len(points).to_bytes(2, "big")
        data.extend(value for point in points for value in point)
    return base64.urlsafe_b64encode(zlib.compress(bytes(data), 9)).decode().rstrip("=")


def _thin(stroke: Stroke, size: int, gap: int) -> list[tuple[int, int]]:
    """The stroke in 255ths of the canvas, without the points that lie within `gap` of the one before."""
    points = [(_byte(x / size), _byte(y / size)) for x, y in stroke]
    kept = points[:1]
    for point in points[1:]:
        if max(abs(point[0] - kept[-1][0]), abs(point[1] - kept[-1][1])) >= gap:
            kept.append(point)
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _byte(fraction: float) -> int:
    return min(255, max(0, round(fraction * 255)))


def from_link(text: str, size: int) -> list[list[tuple[float, float]]]:
    """The strokes that `to_link` wrote; an empty list for a text that it did not write."""
    if len(text) > 4 * MAX_POINTS:
        return []
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unpack = zlib.decompressobj()
        data = unpack.decompress(packed, 2 * (MAX_POINTS + MAX_STROKES))
    except (binascii.Error, zlib.error, ValueError):
        return []
    strokes: list[list[tuple[float, float]]] = []
    at = 0
    while unpack.eof and at < len(data) and len(strokes) < MAX_STROKES:
        count = int.from_bytes(data[at : at + 2], "big")
        values = data[at + 2 : at + 2 + 2 * count]
        if count == 0 or len(values) < 2 * count:
            return []
        strokes.append([(values[i] / 255 * size, values[i + 1] / 255 * size) for i in range(0, 2 * count, 2)])
        at += 2 + 2 * count
    return strokes
