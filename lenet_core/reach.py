"""Whether a network's answers can become infinite: proven from its weights, or tried with some images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from lenet_core.architecture import Architecture
from lenet_core.layout import Layer
from lenet_core.stored_weights import StoredWeights, shapes

_MAX_REACH = 1e37  # of a layer's outputs; float32 ends at 3.4e38, and a sum on the way may be larger than its end
_MOST_TRIED = 1e12  # of a layer's outputs for images that are tried: other images may reach further
_MOST_WORK = 20_000_000  # connections and units of a network that is tried out
_INFINITE = "its answers can become infinite; train it anew with a smaller learning rate"
_BOUNDED = {"sigmoid": 1.0, "tanh": 1.0, "scaled-tanh": 1.7159}  # the largest that these activations give


def check_reach(architecture: Architecture, weights: Mapping[str, StoredWeights]) -> bool:
    """Whether all weights are so small that no image can lead to an infinite answer.

    What a unit gives is at most the sum of its absolute weights times the most that its inputs can be, and its bias.

    Raises:
        ValueError: a weight is not finite, or the network is too large to be tried instead.
    """
    reach, proven = 1.0, True  # of an image
    for layer in architecture.layers:
        largest = {}
        for kind in shapes(layer):
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


def try_out(architecture: Architecture, net: nn.Sequential) -> None:
    """Lets the network answer a black, a white and a random image.

    Raises:
        ValueError: a layer's outputs are infinite, or so large that another image's may be.
    """
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
            return float(np.abs([options["low"], options["high"]]).max())  # numbers, or one for each channel
        case "activation":
            return min(max(before, 1.0), _BOUNDED.get(options["function"], math.inf))
        case "convolution":
            # With a table each kernel is a row of its own, and an output adds up as many as it has inputs.
            kernels = max(map(len, options["table"])) if options["table"] else 1
            return kernels * largest["weight"] * before + largest["bias"]
        case "dense":
            return largest["weight"] * before + largest["bias"]
        case "subsampling":
            return float(options["kernel_size"] ** 2) * largest["weight"] * before + largest["bias"]
        case "rbf":
            return float(layer.input_shape[0] * (before + 1) ** 2)
    return before
