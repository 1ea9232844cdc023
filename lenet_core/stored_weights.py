"""The weights in a checkpoint file: where each must lie, and their values, read some at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from lenet_core.architecture import Architecture
from lenet_core.bounds import shorten
from lenet_core.layout import Layer, Shape

_PIECE = 2**20  # weights that are read at once


def shapes(layer: Layer) -> dict[str, Shape]:
    """The shapes of a layer's weights, as its module in `layers.build` has them."""
    inputs, outputs, options = layer.input_shape[0], layer.output_shape[0], layer.options
    match layer.kind:
        case "convolution":
            side, table = options["kernel_size"], options["table"]
            kernels = (outputs, inputs // options["groups"]) if table is None else (sum(map(len, table)),)
            return {"weight": (*kernels, side, side), "bias": (outputs,)}
        case "dense":
            return {"weight": (outputs, inputs), "bias": (outputs,)}
        case "subsampling":
            return {"weight": (outputs,), "bias": (outputs,)}
    return {}


def places(architecture: Architecture, entries: Mapping[str, Any], size: int) -> dict[str, tuple[int, Shape]]:
    """Where each weight begins, counted from the header's end, and its shape.

    `entries` are the header's, by the weights' names; `size` bytes follow the header.

    Raises:
        ValueError: the weights are not the architecture's own, float32 and in their shapes, or do not fill the file.
    """
    wanted = {f"{layer.name}.{kind}": shape for layer in architecture.layers for kind, shape in shapes(layer).items()}
    if entries.keys() != wanted.keys():
        wrong = ", ".join(map(shorten, sorted(entries.keys() ^ wanted.keys())[:4]))
        raise ValueError(f"it does not hold the weights of its own architecture: {wrong}")
    spans = []
    for name, shape in wanted.items():
        begin, end = _span(name, entries[name], shape)
        spans.append((begin, end, name))
    spans.sort()
    # Each begins where the one before ends, and the last ends with the file.
    if [begin for begin, _, _ in spans] + [size] != [0] + [end for _, end, _ in spans]:
        raise ValueError("its weights overlap, leave gaps or do not end where the file does; it may be cut short")
    return {name: (begin, wanted[name]) for begin, _, name in spans}


def _span(name: str, entry: Any, wanted: Shape) -> tuple[int, int]:
    """Where a tensor's bytes begin and end; there are as many as float32 of the wanted shape take."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} must have dtype, shape and data_offsets, not {shorten(entry)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if entry["dtype"] != "F32" or shape != list(wanted):
        raise ValueError(f"{name} is {shorten(entry['dtype'])} {shorten(shape)}, not 'F32' {list(wanted)}")
    numbers = [*shape, *offsets] if isinstance(offsets, list) and len(offsets) == 2 else [None]
    if any(type(number) is not int for number in numbers) or offsets[1] - offsets[0] != 4 * math.prod(wanted):
        raise ValueError(f"{name} cannot lie from {shorten(offsets)}: its {list(wanted)} take 4 bytes each")
    return offsets[0], offsets[1]


class StoredWeights:
    """One tensor in an open file: its float32 values begin at the byte `start`."""

    def __init__(self, file: IO[bytes], start: int, shape: Shape) -> None:
        self.file, self.start, self.shape = file, start, shape

    def _rows(self) -> Iterator[Tensor]:
        """The values (rows, values of one row), some rows at a time, in one place that the next ones overwrite."""
        length = math.prod(self.shape[1:])
        rows = min(self.shape[0], max(1, _PIECE // length))
        buffer = memoryview(bytearray(4 * rows * length))
        self.file.seek(self.start)
        for first in range(0, self.shape[0], rows):
            piece = buffer[: 4 * min(rows, self.shape[0] - first) * length]
            if self.file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
                raise OSError("it became shorter while it was read")
            values = np.frombuffer(piece, "<f4").astype(np.float32, copy=False)
            yield torch.from_numpy(values).view(-1, length)

    def largest_row(self) -> float:
        """The largest sum of a row's absolute values; not finite where a value is not, or the sum is over float32."""
        return max((float(rows.abs_().sum(1).max()) for rows in self._rows()), key=lambda v: (not v < math.inf, v))

    def copy_to(self, tensor: Tensor) -> None:
        """Fills a tensor of this shape."""
        first, flat = 0, tensor.view(len(tensor), -1)
        for rows in self._rows():
            flat[first : first + len(rows)] = rows
            first += len(rows)
