"""Which pixels of the input a unit depends on: its receptive field, by place and not by size alone."""

from __future__ import annotations

from dataclasses import dataclass

from lenet_core.architecture import Architecture
from lenet_core.bounds import shorten
from lenet_core.layout import Layer

_SLIDING = ("convolution", "average-pool", "max-pool", "subsampling")


@dataclass(frozen=True)
class Window:
    """What the units of a layer see: row r of its maps sees input rows from `offset + r * jump` on, `side` of them.

    The same holds for columns. The rows may lie outside the input, where a convolution is padded.
    """

    offset: int
    jump: int
    side: int


def window(arch: Architecture, name: str) -> Window:
    """The window of a layer's units, in input pixels; from the flattening on, every unit sees the whole input.

    The arithmetic of Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning".

    Raises:
        ValueError: the architecture has no such layer.
    """
    seen = Window(0, 1, 1)
    for layer in arch.layers[: layer_index(arch, name) + 1]:
        if layer.kind == "flatten":
            return Window(0, 0, max(arch.input_shape[1:]))
        if layer.kind in _SLIDING:
            size, stride, padding = _slide(layer)
            offset, side = seen.offset - padding * seen.jump, seen.side + (size - 1) * seen.jump
            seen = Window(offset, seen.jump * stride, side)
    return seen


def box(arch: Architecture, name: str, row: int, column: int) -> tuple[int, int, int, int]:
    """The input pixels that a unit depends on, as (top, left, bottom, right); bottom and right lie just outside.

    Walked back from the unit, and cut to each map on the way: a unit at the edge may see less of the
    input than its window, because padding stands where a map has ended. (0, 0, 0, 0) where it sees
    padding alone. After the flattening row and column are 0.

    Raises:
        ValueError: the architecture has no such layer, or its maps no such row or column.
    """
    index = layer_index(arch, name)
    height, width = (*arch.layers[index].output_shape[1:], 1, 1)[:2]
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"{name} has rows 0 to {height - 1} and columns 0 to {width - 1}, no ({row}, {column}).")
    rows, columns = (row, row + 1), (column, column + 1)
    for layer in reversed(arch.layers[: index + 1]):
        if layer.kind == "flatten":
            rows, columns = (0, layer.input_shape[1]), (0, layer.input_shape[2])
        elif layer.kind in _SLIDING:
            rows = _step_back(rows, layer, layer.input_shape[1])
            columns = _step_back(columns, layer, layer.input_shape[2])
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return 0, 0, 0, 0
    return rows[0], columns[0], rows[1], columns[1]


def layer_index(arch: Architecture, name: str) -> int:
    """The place of a layer in the list.

    Raises:
        ValueError: the architecture has no such layer.
    """
    names = [layer.name for layer in arch.layers]
    if name not in names:
        raise ValueError(f"{arch.name} has no layer {shorten(name)}; it has {', '.join(names)}.")
    return names.index(name)


def _slide(layer: Layer) -> tuple[int, int, int]:
    return layer.options["kernel_size"], layer.options["stride"], layer.options.get("padding", 0)


def _step_back(span: tuple[int, int], layer: Layer, length: int) -> tuple[int, int]:
    """From a span of a layer's output to the span of its input, of `length`, that it is made of."""
    size, stride, padding = _slide(layer)
    first, end = span[0] * stride - padding, (span[1] - 1) * stride - padding + size
    return max(first, 0), min(end, length)
