"""A trained network as one file: safetensors weights, with the description as JSON in the metadata.

A file from a stranger runs no code and is checked before anything is built from it: its size, its
header, its architecture, then every tensor's name, shape, dtype, place and values. It is read by this module,
not by the package safetensors: that one takes 30 seconds and 1.4 GB for a header of a million empty tensors, and
lays the file into memory, where one that is cut short meanwhile ends the process.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from lenet_core.architecture import Architecture
from lenet_core.bounds import MAX_PARAMETERS, shorten
from lenet_core.errors import CheckpointError, StorageError
from lenet_core.files import write_atomically
from lenet_core.layers import build
from lenet_core.layout import Layer, Shape
from lenet_core.library import SUFFIX

MAX_FILE_BYTES = 4 * MAX_PARAMETERS + 2**20
MAX_HEADER_BYTES = 2**20
MAX_TENSORS = 128  # the deepest architecture has 98
_MAX_REACH = 1e37  # of a layer's outputs; float32 ends at 3.4e38, and a sum on the way may be larger than its end
_MOST_TRIED = 1e12  # of a layer's outputs for images that are tried: other images may reach further
_MOST_WORK = 20_000_000  # connections and units of a network that is tried out
_INFINITE = "its answers can become infinite; train it anew with a smaller learning rate"
_PIECE = 2**20  # weights that are checked at once
_BOUNDED = {"sigmoid": 1.0, "tanh": 1.0, "scaled-tanh": 1.7159}  # the largest that these activations give
_FORMAT = "lenet-playground-1"


@dataclass(frozen=True)
class Checkpoint:
    """A network with its weights, on the CPU and ready to answer, and how it came about.

    `classes` name the outputs. `training` says what was done and measured, as plain JSON types: recipe,
    data, seed, epochs, test_accuracy and whatever else was known when it was saved.
    """

    architecture: Architecture
    net: nn.Sequential
    classes: tuple[str, ...]
    training: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint so that `path` is at every moment the old file or the whole new one; makes its folder.

    Raises:
        StorageError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be a folder ({error.strerror or error}); name another.") from error
    write_atomically(path, to_bytes(checkpoint))


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the bytes of its file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.net.state_dict().items()}
    description = {
        "architecture": checkpoint.architecture.to_dict(),
        "classes": list(checkpoint.classes),
        "training": checkpoint.training,
    }
    return save(tensors, {"format": _FORMAT, "description": json.dumps(description)})


def load_checkpoint(path: str | Path) -> Checkpoint:
    """The network in a checkpoint file, or in a run's folder, on the CPU and in evaluation mode.

    Its logits are finite for every image of values from 0 to 1, or, where the weights do not prove that, as those of
    deep networks do not, for some that were tried.

    Raises:
        CheckpointError: no such file, or not a whole and sound checkpoint of this project.
    """
    path = Path(path)
    if path.is_dir():
        path = path / f"model{SUFFIX}"
    with _opened(path) as file:
        description, entries = _read_header(path.name, file)
        start = file.tell()
        try:
            architecture = Architecture.from_dict(description.get("architecture", {}))
            classes, training = _notes(description, architecture)
            places = _places(architecture, entries, os.fstat(file.fileno()).st_size - start)
            weights = {name: _Weights(file, start + place, shape) for name, (place, shape) in places.items()}
            proven = _check_reach(architecture, weights)
            net = build(architecture, seed=0)
            for name, tensor in net.state_dict().items():
                weights[name].copy_to(tensor)
            if not proven:
                _try_out(architecture, net.eval())
        except ValueError as error:
            raise CheckpointError(f"{path.name} is not a sound checkpoint: {_line(error, 300).rstrip('.')}.") from error
    return Checkpoint(architecture, net.eval(), classes, training)


def read_description(path: str | Path) -> dict[str, Any]:
    """The description in a checkpoint's header, without reading its weights.

    Raises:
        CheckpointError: no such file, or not a checkpoint of this project.
    """
    path = Path(path)
    with _opened(path) as file:
        return _read_header(path.name, file)[0]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no checkpoint {path}.") from error
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error.strerror or error}).") from error


def _line(error: Exception, most: int) -> str:
    """An error's message as one line that can be printed anywhere; it may quote a name from the file."""
    text = str(error)[: 4 * most]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]


def _read_header(name: str, file: IO[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The description, and what the header says of each tensor; the file then stands at the first tensor's bytes."""
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"{name} has {size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}.")
    try:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise CheckpointError(
                f"{name} is not a safetensors file, or its header is over {MAX_HEADER_BYTES:,} bytes."
            )
        entries = json.loads(file.read(length), object_pairs_hook=_once)
        metadata = entries.pop("__metadata__")
        if metadata["format"] != _FORMAT:
            raise CheckpointError(f"{name} has format {shorten(metadata['format'])}, not {_FORMAT!r}.")
        if len(entries) > MAX_TENSORS:
            raise CheckpointError(f"{name} names {len(entries):,} tensors, more than the limit of {MAX_TENSORS}.")
        description = json.loads(metadata["description"], object_pairs_hook=_once)
        if not isinstance(description, dict):
            raise ValueError("its description is not an object")
        return description, entries
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{name} is not a checkpoint of this project ({_line(error, 100)}). "
            "Choose a .safetensors file that `python -m lenet_core train` wrote."
        ) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; readers differ in which of two values under one name they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it says something twice")
    return found


def _notes(description: Mapping[str, Any], architecture: Architecture) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The classes' names, and what is known of the training."""
    classes, training = description.get("classes"), description.get("training", {})
    if not isinstance(classes, list) or not all(isinstance(name, str) and name.isprintable() for name in classes):
        raise ValueError(f"its classes must be a list of printable names, not {shorten(classes)}")
    if len(classes) > architecture.num_classes:
        raise ValueError(f"it names {len(classes)} classes for {architecture.num_classes} outputs")
    if not isinstance(training, dict):
        raise ValueError(f"what it says of its training must be an object, not {shorten(training)}")
    return tuple(name[:40] for name in classes), training


# --- weights -----------------------------------------------------------------------------------


def _shapes(layer: Layer) -> dict[str, Shape]:
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


def _places(architecture: Architecture, entries: Mapping[str, Any], size: int) -> dict[str, tuple[int, Shape]]:
    """Where each weight begins, counted from the header's end, and its shape; `size` bytes follow the header."""
    wanted = {f"{layer.name}.{kind}": shape for layer in architecture.layers for kind, shape in _shapes(layer).items()}
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


class _Weights:
    """One tensor in a file."""

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


def _check_reach(architecture: Architecture, weights: Mapping[str, _Weights]) -> bool:
    """Whether all weights are so small that no image can lead to an infinite answer.

    What a unit gives is at most the sum of its absolute weights times the most that its inputs can be, and its bias.

    Raises:
        ValueError: a weight is not finite, or the network is too large to be tried instead.
    """
    reach, proven = 1.0, True  # of an image
    for layer in architecture.layers:
        largest = {}
        for kind in _shapes(layer):
            largest[kind] = weights[f"{layer.name}.{kind}"].largest_row()
            if not largest[kind] < math.inf:
                raise ValueError(f"{layer.name}.{kind} holds values that are not finite; it cannot answer")
        if proven:
            reach = _reach(layer, reach, largest)
            proven = reach <= _MAX_REACH
        if not proven and not _is_quick(architecture):
            raise ValueError(f"the weights up to {layer.name} are so large that {_INFINITE}")
    return proven


def _is_quick(architecture: Architecture) -> bool:
    """Whether trying a network out takes some hundredths of a second and some MB."""
    return sum(layer.connections + math.prod(layer.output_shape) for layer in architecture.layers) < _MOST_WORK


def _try_out(architecture: Architecture, net: nn.Sequential) -> None:
    """Raises a ValueError unless what the network makes of a few images is far from infinite."""
    shape = (1, *architecture.input_shape)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for values in (torch.zeros(shape), torch.ones(shape), noise):
            for name, module in net.named_children():
                values = module(values)
                if not float(values.abs().max()) < _MOST_TRIED:
                    raise ValueError(f"the weights up to {name} are so large that {_INFINITE}")


def _reach(layer: Layer, before: float, largest: Mapping[str, float]) -> float:
    """The most that a layer's outputs can be, plus or minus, from what its inputs and its weights can be."""
    options = layer.options
    match layer.kind:
        case "rescale":
            return float(np.abs([options["low"], options["high"]]).max())
        case "activation":
            return min(max(before, 1.0), _BOUNDED.get(options["function"], math.inf))
        case "convolution":
            kernels = (
                max(map(len, options["table"])) if options["table"] else 1
            )  # in a table's file a row is one kernel
            return kernels * largest["weight"] * before + largest["bias"]
        case "dense":
            return largest["weight"] * before + largest["bias"]
        case "subsampling":
            return float(options["kernel_size"] ** 2) * largest["weight"] * before + largest["bias"]
        case "rbf":
            return float(layer.input_shape[0] * (before + 1) ** 2)
    return before
