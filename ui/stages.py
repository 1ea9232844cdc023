"""One name for the same place in different networks: `conv1` is C1 of a LeNet and conv1 of AlexNet."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lenet_core.architecture import Architecture
from lenet_core.layout import Layer

_KINDS = {
    "convolution": "conv",
    "response-normalisation": "norm",
    "average-pool": "pool",
    "max-pool": "pool",
    "subsampling": "pool",
    "dense": "dense",
    "rbf": "dense",
}
BEFORE = "-before"
OUTPUT = "output"
FIRST_TWO = ("conv1", "conv2")


@dataclass(frozen=True)
class Stage:
    """A layer to look at: the `token` that is the same in all networks, the layer's name, its title.

    `made_by` is the layer with the weights (or the pooling) whose output this is, before or after activation.
    """

    token: str
    layer: str
    title: str
    made_by: Layer

    @property
    def label(self) -> str:
        """The title in short: what stands before an activation is a sum."""
        return re.sub(" before .*", " sum", self.title)


def stages(arch: Architecture) -> dict[str, Stage]:
    """The layers of a network that are worth a look, by token, in order; before and after each activation."""
    found: dict[str, Stage] = {}
    counts: dict[str, int] = {}
    layers = arch.layers
    followers = (*layers[1:], None)
    for layer, follower in zip(layers, followers, strict=True):
        if layer.kind not in _KINDS:
            continue
        name = _KINDS[layer.kind]
        counts[name] = counts.get(name, 0) + 1
        token = OUTPUT if layer is layers[-1] else f"{name}{counts[name]}"
        title = layer.name.upper() if arch.naming == "lenet" and token != OUTPUT else layer.name.capitalize()
        if follower is not None and follower.kind == "activation":
            before = f"{title} before {function_title(follower.options['function'])}"
            found[token + BEFORE] = Stage(token + BEFORE, layer.name, before, layer)
            found[token] = Stage(token, follower.name, title, layer)
        else:
            found[token] = Stage(token, layer.name, title, layer)
    return found


def function_title(function: str) -> str:
    """An activation as people write it."""
    return {"relu": "ReLU", "leaky-relu": "leaky ReLU", "elu": "ELU", "gelu": "GELU", "scaled-tanh": "scaled tanh"}.get(
        function, function
    )
