"""A drawing as pen strokes: inked at MNIST's stroke width, and written into a link and back.

A stroke is a list of (x, y) points in canvas pixels, y down. What a fixed pen leaves depends on how
large one draws: on a digit a third of the canvas high it becomes a blot. Inked anew from the strokes,
with a pen in proportion to the drawing, small and large digits look alike to the network.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from lenet_core.errors import EmptyDrawingError
from lenet_core.steps import check_steps

Stroke = Sequence[tuple[float, float]]
Strokes = Sequence[Stroke]
Pixels = NDArray[np.int64]

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
    scale = LONGER_SIDE / _longer_side((left, top, right, bottom), min_extent)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    placed = [
        [(FIELD / 2 + (x - middle_x) * scale, FIELD / 2 + (y - middle_y) * scale) for x, y in stroke]
        for stroke in strokes
    ]
    return rasterise(placed, pen)


def ink_on_canvas(
    strokes: Strokes, size: int, *, min_extent: float = 0.0, pen: float | None = None
) -> NDArray[np.uint8]:
    """The strokes where they lie on a canvas of `size` pixels a side, white on black: (280, 280) uint8.

    `pen` is its width in canvas pixels; without one it is in proportion to the drawing, as `ink` has it. Points
    further than a canvas's side from the canvas are taken as lying at that distance.

    Raises:
        EmptyDrawingError: nothing is drawn, or less than `min_extent`, in canvas pixels.
    """
    # The points come from a browser, and the work grows with their distance.
    near = [[(min(max(x, -size), 2 * size), min(max(y, -size), 2 * size)) for x, y in stroke] for stroke in strokes]
    longer = _longer_side(box_of(near), min_extent)
    scale = FIELD / size
    placed = [[(x * scale, y * scale) for x, y in stroke] for stroke in near]
    return rasterise(placed, (longer * PEN / LONGER_SIDE if pen is None else pen) * scale)


def ink_without(
    strokes: Strokes, without: Collection[str], *, size: int, pen: float, min_extent: float = 0.0
) -> NDArray[np.uint8]:
    """The ink that `to_digit` is to be given where `without` names the steps to leave out: (280, 280) uint8.

    With all steps it is that of `ink`. Without width or crop it matters where and how large one drew: the ink is
    that of `ink_on_canvas`, without width with the canvas's own pen, `pen` of its `size` pixels wide.

    Raises:
        EmptyDrawingError: nothing is drawn, or less than `min_extent`, in canvas pixels.
        ValueError: `without` names a step that there is not.
    """
    check_steps(without)
    if "width" in without or "crop" in without:
        return ink_on_canvas(strokes, size, min_extent=min_extent, pen=pen if "width" in without else None)
    return ink(strokes, min_extent=min_extent)


def _longer_side(box: tuple[float, float, float, float], min_extent: float) -> float:
    left, top, right, bottom = box
    longer = max(right - left, bottom - top)
    if longer < max(min_extent, 1e-3):
        raise EmptyDrawingError("That is too small to be a digit. Draw one digit, large.")
    return longer


def rasterise(strokes: Strokes, pen: float, size: int = FIELD) -> NDArray[np.uint8]:
    """The strokes where they are, white on black, with a round pen of `pen` pixels: (size, size) uint8, 0 or 255.

    A disc of pixels is laid around every pixel that the pen's middle passes. It is whole numbers and plain
    arithmetic throughout, so that a browser can come to the very same picture.
    """
    radius = pen / 2
    reach = int(radius)
    first_row, first, last = _runs(strokes, reach, size)
    down = np.arange(-reach, reach + 1)[:, None]
    across = np.sqrt(radius * radius - down * down).astype(np.int64)
    # Where ink begins 1 is added, and behind its end 1 is taken: the sums along a row say how many discs lie there.
    width = size + 1
    row = (first_row + reach + down) * width  # with `reach` rows more on each side, so that every disc has its rows
    begins, ends = row + np.clip(first - across, 0, size), row + np.clip(last + across + 1, 0, size)
    cells = (size + 4 * reach) * width
    edges = np.bincount(begins.ravel(), minlength=cells)
    edges -= np.bincount(ends.ravel(), minlength=cells)
    discs = edges.reshape(-1, width)[2 * reach : 2 * reach + size, :size].cumsum(axis=1, dtype=np.int32)
    return (discs > 0) * np.uint8(255)


def _runs(strokes: Strokes, reach: int, size: int) -> tuple[Pixels, Pixels, Pixels]:
    """The runs of pixels along the rows that the pen's middle passes: row (from -reach), first and last column, (N,).

    As far outside the field as a disc reaches into it, pixels count too.
    """
    side = size + 2 * reach
    passed = np.zeros((side, side + 2), dtype=bool)  # with an empty column before and behind
    for stroke in strokes:
        if len(stroke):
            x, y = _centres(np.asarray(stroke, dtype=np.float64))
            near = (x >= -reach) & (x < size + reach) & (y >= -reach) & (y < size + reach)
            passed[y[near] + reach, x[near] + reach + 1] = True
    rows, columns = np.nonzero(passed[:, 1:] != passed[:, :-1])  # a run's first pixel, the one behind its last, ...
    return rows[::2], columns[::2] - reach, columns[1::2] - reach - 1


def _centres(points: NDArray[np.float64]) -> tuple[Pixels, Pixels]:
    """The pixels (x, y) that the pen's middle passes along the points (N, 2), in steps of at most one: (M,) each."""
    ways = np.diff(points, axis=0)
    counts = np.maximum(np.ceil(np.abs(ways).max(axis=1, initial=0)), 1).astype(np.int64)
    step = np.arange(1, counts.sum() + 1) - np.repeat(counts.cumsum() - counts, counts)
    share = step / np.repeat(counts, counts)
    x, y = (
        np.append(points[0, axis], np.repeat(points[:-1, axis], counts) + np.repeat(ways[:, axis], counts) * share)
        for axis in (0, 1)
    )
    return np.floor(x + 0.5).astype(np.int64), np.floor(y + 0.5).astype(np.int64)


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
