"""A trained network as one file: safetensors weights, with the description as JSON in the metadata.

A file from a stranger runs no code and is checked before anything is built from it: its size, its
header, its architecture, then every tensor's name, shape, dtype and values.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from lenet_core.architecture import Architecture
from lenet_core.bounds import MAX_PARAMETERS, shorten
from lenet_core.errors import CheckpointError, StorageError
from lenet_core.files import write_atomically
from lenet_core.layers import build
from lenet_core.library import SUFFIX

MAX_FILE_BYTES = 4 * MAX_PARAMETERS + 2**20
MAX_HEADER_BYTES = 2**20
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

    Raises:
        CheckpointError: no such file, or not a whole and sound checkpoint of this project.
    """
    path = Path(path)
    if path.is_dir():
        path = path / f"model{SUFFIX}"
    description = read_description(path)
    try:
        architecture = Architecture.from_dict(description["architecture"])
        classes = tuple(str(name)[:40] for name in description["classes"])
        training = dict(description.get("training", {}))
        if len(classes) > architecture.num_classes:
            raise ValueError(f"it names {len(classes)} classes for {architecture.num_classes} outputs")
        tensors = load_file(path)
        held = sum(tensor.numel() for tensor in tensors.values())
        if held < architecture.parameters // 2:  # told before it is built; a smaller gap, by name below
            raise ValueError(f"it holds {held:,} weights for an architecture of {architecture.parameters:,}")
        net = build(architecture, seed=0)
    except (KeyError, TypeError, ValueError, SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")  # it may quote a name from the file
        raise CheckpointError(f"{path.name} is not a sound checkpoint: {reason}.") from error
    _check_tensors(path.name, tensors, net)
    net.load_state_dict(tensors)
    return Checkpoint(architecture, net.eval(), classes, training)


def read_description(path: str | Path) -> dict[str, Any]:
    """The description in a checkpoint's header, without reading its weights.

    Raises:
        CheckpointError: no such file, or not a checkpoint of this project.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise CheckpointError(f"{path.name} has {size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}.")
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER_BYTES, size):
                raise CheckpointError(
                    f"{path.name} is not a safetensors file, or its header is over {MAX_HEADER_BYTES:,} bytes."
                )
            header = json.loads(file.read(length))
        metadata = header["__metadata__"]
        if metadata["format"] != _FORMAT:
            raise CheckpointError(f"{path.name} has format {shorten(metadata['format'])}, not {_FORMAT!r}.")
        description = json.loads(metadata["description"])
        if not isinstance(description, dict):
            raise ValueError("its description is not an object")
        return description
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no checkpoint {path}.") from error
    except (OSError, struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path.name} is not a checkpoint of this project ({error!s:.100}). "
            "Choose a .safetensors file that `python -m lenet_core train` wrote."
        ) from error


def _check_tensors(name: str, tensors: dict[str, torch.Tensor], net: nn.Module) -> None:
    expected = net.state_dict()
    if tensors.keys() != expected.keys():
        wrong = ", ".join(map(shorten, sorted(tensors.keys() ^ expected.keys())[:4]))
        raise CheckpointError(f"{name} does not hold the weights of its own architecture: {wrong}.")
    for key, tensor in tensors.items():
        wanted = expected[key]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise CheckpointError(
                f"{name}: {key} is {tensor.dtype} {tuple(tensor.shape)}, not {wanted.dtype} {tuple(wanted.shape)}."
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{name}: {key} holds values that are not finite; it cannot answer.")
