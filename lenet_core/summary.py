"""A network in a few numbers, worked out from its layers, so that two can stand beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from lenet_core.architecture import Architecture
from lenet_core.layout import Layer, Shape

BYTES = 4  # of a float32

# They change numbers where they lie, or only lay them out anew: the layer before has been counted.
_IN_PLACE = ("rescale", "activation", "dropout", "flatten")


@dataclass(frozen=True)
class Summary:
    """What a network is and costs.

    `weighted` counts the layers that have parameters by their kind, and `parameters_in` says how many
    parameters lie in each kind. `windows` are the poolings' (kind, size, stride), each once, in pixels.
    `multiply_adds` and `values` are for one image: the numbers that its layers give on, each layer's after
    its activation, the input not counted.
    """

    input_shape: Shape
    activation: str
    head: str
    classes: int
    weighted: Mapping[str, int]
    windows: tuple[tuple[str, int, int], ...]
    parameters_in: Mapping[str, int]
    multiply_adds: int
    values: int

    @property
    def depth(self) -> int:
        """How many layers have parameters."""
        return sum(self.weighted.values())

    @property
    def parameters(self) -> int:
        """How many numbers training sets."""
        return sum(self.parameters_in.values())

    @property
    def megabytes(self) -> float:
        """What `values` take as float32, in millions of bytes."""
        return BYTES * self.values / 1e6


def summary(arch: Architecture) -> Summary:
    """What an architecture comes to, by its ledger."""
    weighted: Counter[str] = Counter()
    parameters: Counter[str] = Counter()
    windows: dict[tuple[str, int, int], None] = {}  # a set that keeps its order
    for layer in arch.layers:
        if layer.parameters:
            weighted[layer.kind] += 1
            parameters[layer.kind] += layer.parameters
        if layer.kind == "subsampling" or layer.kind.endswith("-pool"):
            windows[layer.kind, layer.options["kernel_size"], layer.options["stride"]] = None
    return Summary(
        arch.input_shape,
        arch.activation,
        arch.head,
        arch.num_classes,
        weighted,
        tuple(windows),
        parameters,
        sum(layer.multiply_adds for layer in arch.layers),
        sum(prod(layer.output_shape) for layer in arch.layers if layer.kind not in _IN_PLACE),
    )


def reads(layer: Layer) -> NDArray[np.bool_]:
    """Which of the maps before it each map of a convolution reads, (maps before, its own maps).

    All of its group, or those that its table names (LeCun et al. 1998, Table I).

    Raises:
        ValueError: the layer is no convolution.
    """
    if layer.kind != "convolution":
        raise ValueError(f"{layer.name} is no convolution but {layer.kind}: its maps read no choice of maps.")
    before, own = layer.input_shape[0], layer.output_shape[0]
    table, groups = layer.options["table"], layer.options["groups"]
    if table is not None:
        return np.array([[source in row for row in table] for source in range(before)])
    theirs, its = np.arange(before) * groups // before, np.arange(own) * groups // own
    same: NDArray[np.bool_] = theirs[:, None] == its
    return same
