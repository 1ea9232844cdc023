"""A trained network as one file: safetensors weights, with the description as JSON in the metadata.

A file from a stranger runs no code and is checked before anything is built from it: its size, its
header, its architecture, then every tensor's name, shape, dtype, place and values. It is read here and in
`stored_weights.py`, not by the package safetensors: that one takes 30 seconds and 1.4 GB for a header of a million
empty tensors, and lays the file into memory, where one that is cut short meanwhile ends the process.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from safetensors.torch import save
from torch import nn

from lenet_core.architecture import Architecture
from lenet_core.bounds import MAX_PARAMETERS, one_line, shorten
from lenet_core.errors import CheckpointError
from lenet_core.files import make_folder, write_atomically
from lenet_core.layers import build
from lenet_core.library import SUFFIX
from lenet_core.reach import check_reach, try_out
from lenet_core.stored_weights import StoredWeights, places

MAX_FILE_BYTES = 4 * MAX_PARAMETERS + 2**20
MAX_HEADER_BYTES = 2**20
MAX_TENSORS = 128  # the deepest architecture has 98
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
    make_folder(path.parent)
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
            found = places(architecture, entries, os.fstat(file.fileno()).st_size - start)
            weights = {name: StoredWeights(file, start + place, shape) for name, (place, shape) in found.items()}
            proven = check_reach(architecture, weights)
            net = build(architecture, seed=0)
            for name, tensor in net.state_dict().items():
                weights[name].copy_to(tensor)
            if not proven:
                try_out(architecture, net.eval())
        except ValueError as error:
            reason = one_line(str(error), 300).rstrip(".")
            raise CheckpointError(f"{path.name} is not a sound checkpoint: {reason}.") from error
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
            f"{name} is not a checkpoint of this project ({one_line(str(error), 100)}). "
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
