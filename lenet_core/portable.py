"""A network for the browser: its list of layers as plain JSON, and all its weights in one piece.

`ui/components/live_lens/evaluator.js` walks the same list. The network is only read, so any number of
threads can take the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import Checkpoint
from lenet_core.layout import Layer

MAX_WEIGHTS = 1_000_000  # 4 MB on their way to the browser
MAX_CLASSES = 1_000  # each is a bar that moves with the pen
MAX_WORK = 30_000_000  # multiply-adds for one drawing, 10 to 20 ms where lenet-modern takes 0.3
_AT_ONCE = 4  # evaluator.js multiplies a window with the weights of so many maps together
_SQUASH = 30  # multiply-adds that take as long as one tanh


@dataclass(frozen=True)
class Portable:
    """A network as the browser gets it.

    `description`: `inputShape` (channels, height, width), `classes`, and `layers` in order, each with its `name`,
    `kind`, `inputShape`, `outputShape`, `options` and `tensors`, of which each has a `name`, a `shape` and an
    `offset`, counted in values. `weights`: all tensors one after another, float32, little-endian.
    """

    description: dict[str, Any]
    weights: bytes


def to_portable(checkpoint: Checkpoint) -> Portable:
    """The checkpoint's network, dropout off; 4 bytes for each parameter and for each value of an RBF output's codes."""
    arch = checkpoint.architecture
    layers, parts, offset = [], [], 0
    for layer in arch.layers:
        module = checkpoint.net.get_submodule(layer.name)
        tensors = []
        for name, tensor in _tensors(layer, module).items():
            tensors.append({"name": name, "shape": list(tensor.shape), "offset": offset})
            parts.append(tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes())
            offset += tensor.numel()
        layers.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "inputShape": list(layer.input_shape),
                "outputShape": list(layer.output_shape),
                "options": _options(layer, module),
                "tensors": tensors,
            }
        )
    description = {"inputShape": list(arch.input_shape), "classes": list(checkpoint.classes), "layers": layers}
    return Portable(description, b"".join(parts))


def _tensors(layer: Layer, module: nn.Module) -> dict[str, torch.Tensor]:
    return {"codes": module.get_buffer("codes")} if layer.kind == "rbf" else dict(module.named_parameters())


def _options(layer: Layer, module: Any) -> dict[str, Any]:
    if layer.kind == "response-normalisation":
        return {"size": module.size, "alpha": module.alpha, "beta": module.beta, "k": module.k}
    return {name: _plain(value) for name, value in layer.options.items()}


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def too_large(arch: Architecture) -> str:
    """Why the browser does not run a network of this kind while the pen moves, in a sentence; empty where it does."""
    for what, value, limit in (
        ("weights", sum(map(_weights, arch.layers)), MAX_WEIGHTS),
        ("classes", arch.num_classes, MAX_CLASSES),
        ("multiply-adds for a drawing", prod(arch.input_shape) + sum(map(_work, arch.layers)), MAX_WORK),
    ):
        if value > limit:
            return (
                f"This network is too large to run while the pen moves ({value:,} {what}, the limit is {limit:,}): "
                "the answer comes when the pen lifts."
            )
    return ""


def _window(layer: Layer) -> int:
    """How many values a unit of a convolution reads; in the browser a connection table leaves none of them out."""
    return int(layer.input_shape[0] // layer.options["groups"] * layer.options["kernel_size"] ** 2)


def _weights(layer: Layer) -> int:
    """How many weights the browser keeps for a layer."""
    if layer.kind == "convolution":
        return (_window(layer) + 1) * layer.output_shape[0]
    return layer.connections if layer.kind == "rbf" else layer.parameters


def _work(layer: Layer) -> int:
    """How many multiply-adds the browser does for a layer, or what takes it as long."""
    units = prod(layer.output_shape)
    if layer.kind == "convolution":
        groups: int = layer.options["groups"]
        together = -(-layer.output_shape[0] // groups // _AT_ONCE)
        units = groups * (_AT_ONCE * together + 1) * prod(layer.output_shape[1:])
        padding: int = layer.options["padding"]
        return units * _window(layer) + layer.input_shape[0] * prod(
            side + 2 * padding for side in layer.input_shape[1:]
        )
    return _SQUASH * units if layer.kind in ("activation", "response-normalisation") else max(units, layer.connections)
