"""How one unit of a network got its value: the inputs it read, the weights, and the sum, as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lenet_core.architecture import Architecture
from lenet_core.bounds import shorten
from lenet_core.fields import layer_index
from lenet_core.layers import TableConv2d
from lenet_core.layout import Layer, shape_text

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Term:
    """What a unit takes from one input map, number `source`; all arrays have one shape.

    `inputs` are the values read, 0 where not `inside`: where the window hangs over the map's edge. `weights`
    are what they meet: a kernel, or a class's code. `parts` are what each of them adds to the sum.
    """

    source: int
    inputs: Floats
    weights: Floats
    inside: NDArray[np.bool_]
    parts: NDArray[np.float64]

    @property
    def total(self) -> float:
        """What the whole map adds to the sum."""
        with np.errstate(invalid="ignore"):  # values beyond float32 are infinite, and add up to no number
            return float(self.parts.sum())


@dataclass(frozen=True, eq=False)
class UnitSum:
    """How a unit got its value.

    `kind` and `name` are its layer's, `unit` its (channel, row, column) or (index,), counted from 0.
    `reads` names the layer before, or "image". `value` is the unit's own output, and `formula` the last
    step to it in one line, in rounded numbers. `terms` and `bias` add up to the value, except:

    - response normalisation: they add up to what is raised to a power, and the unit's own input is divided by that;
    - activation, dropout, flatten: there are none. One number goes in, and `before` tells how it came about.
    """

    kind: str
    name: str
    unit: tuple[int, ...]
    reads: str
    terms: tuple[Term, ...]
    bias: float
    value: float
    formula: str
    before: UnitSum | None = None

    @property
    def total(self) -> float:
        """What all terms add up to, without the bias."""
        return sum(term.total for term in self.terms)


def unit_sum(
    net: nn.Sequential,
    arch: Architecture,
    outputs: Mapping[str, Floats],
    image: Floats,
    name: str,
    unit: tuple[int, ...],
) -> UnitSum:
    """How a unit of the layer `name` got its value when the network answered one image.

    `outputs` are the layers' outputs to it by name, (channels, height, width) or (units,); `image` is
    what went into the network, (channels, height, width). `unit` is (channel, row, column) or (index,).
    The network is only read, so any number of threads can ask at once.

    Raises:
        ValueError: no such layer or unit, or outputs of another network.
    """
    index = layer_index(arch, name)
    layer = arch.layers[index]
    reads = arch.layers[index - 1].name if index else "image"
    _check_unit(layer, unit)
    value = float(_output(outputs, name, layer.output_shape)[unit])
    inputs = _output(outputs, reads, layer.input_shape) if index else image
    before = None
    if index and layer.kind in ("activation", "dropout", "flatten"):
        source = _unflattened(layer, unit) if layer.kind == "flatten" else unit
        before = unit_sum(net, arch, outputs, image, reads, source)
    terms, bias, formula = _steps(layer, net.get_submodule(name), inputs, unit)
    return UnitSum(layer.kind, name, unit, reads, terms, bias, value, f"{formula} = {_text(value)}", before)


_Steps = tuple[tuple[Term, ...], float, str]  # the terms, the bias, and the formula up to its "="


def _steps(layer: Layer, module: Any, inputs: Floats, unit: tuple[int, ...]) -> _Steps:
    match layer.kind:
        case "convolution":
            return _convolution(layer, module, inputs, unit)
        case "average-pool" | "max-pool" | "subsampling":
            return _pooling(layer, module, inputs, unit)
        case "dense":
            weights, bias = module.weight[unit[0]], module.bias[unit[0]].item()
            return _weighted((_term(0, inputs, _array(weights)),), bias)
        case "rbf":
            code = _array(module.codes[unit[0]])
            away = -((inputs.astype(np.float64) - code) ** 2)
            term = Term(0, inputs, code, np.ones(inputs.shape, dtype=np.bool_), away)
            return (term,), 0.0, f"minus the sum of the {len(inputs)} squared differences"
        case "rescale":
            return _rescaled(layer, inputs, unit)
        case "response-normalisation":
            return _normalised(module, inputs, unit)
        case "activation":
            return (), 0.0, _activated(layer.options["function"], float(inputs[unit]))
        case "flatten":
            channel, row, column = _unflattened(layer, unit)
            return (), 0.0, f"map {channel}, row {row}, column {column}"
        case "dropout":
            return (), 0.0, f"dropout({_text(float(inputs[unit]))})"
    raise AssertionError(f"no arithmetic for a layer of kind {layer.kind}")


def _convolution(layer: Layer, module: Any, inputs: Floats, unit: tuple[int, ...]) -> _Steps:
    channel, options = unit[0], layer.options
    with torch.no_grad():  # or laying a table's kernels into a dense weight would be recorded
        kernels = _array((module.dense_weight() if isinstance(module, TableConv2d) else module.weight)[channel])
    if options["table"] is not None:
        sources = options["table"][channel]
        kernels = kernels[list(sources)]
    else:
        first = channel * options["groups"] // layer.output_shape[0] * len(kernels)
        sources = range(first, first + len(kernels))
    patches, inside = _patches(layer, inputs, unit)
    terms = (_term(source, patches[source], kernel, inside) for source, kernel in zip(sources, kernels, strict=True))
    return _weighted(tuple(terms), module.bias[channel].item())


def _pooling(layer: Layer, module: Any, inputs: Floats, unit: tuple[int, ...]) -> _Steps:
    patches, inside = _patches(layer, inputs, unit)
    patch = patches[unit[0]]
    with np.errstate(invalid="ignore"):
        total, bias = float(patch.sum(dtype=np.float64)), 0.0
    match layer.kind:
        case "max-pool":  # the first of equals, which is the one that PyTorch hands the gradient to
            weights = np.zeros_like(patch)
            weights.flat[patch.argmax()] = 1
            formula = f"the largest of the {patch.size}"
        case "average-pool":
            weights = np.full_like(patch, 1 / patch.size)
            formula = f"mean of the {patch.size} = {_text(total)} / {patch.size}"
        case _:
            weight, bias = module.weight[unit[0]].item(), module.bias[unit[0]].item()
            weights = np.full_like(patch, weight)
            sums = f"{_text(total)} × {_text(weight)}{_plus(bias)}"
            formula = f"sum of the {patch.size} × weight + bias = {sums}"
    return (_term(unit[0], patch, weights, inside),), bias, formula


def _rescaled(layer: Layer, inputs: Floats, unit: tuple[int, ...]) -> _Steps:
    ends = (layer.options["low"], layer.options["high"])  # of each channel, or one for all
    low, high = (float(np.broadcast_to(end, layer.input_shape[0])[unit[0]]) for end in ends)
    pixel, weight = inputs[unit].reshape(1), np.array([high - low], dtype=np.float32)
    formula = f"{_text(low)} + {_text(high - low)} × {_text(float(pixel[0]))}"
    return (_term(unit[0], pixel, weight),), low, formula


def _normalised(module: Any, inputs: Floats, unit: tuple[int, ...]) -> _Steps:
    """Krizhevsky et al. 2012, section 3.3: divided by a power of the squares of the maps around."""
    channel, row, column = unit
    first = max(0, channel - module.size // 2)
    around = inputs[first : channel + (module.size - 1) // 2 + 1, row, column]
    each = np.full_like(around, module.alpha / module.size)
    term = Term(first, around, each, np.ones(around.shape, dtype=np.bool_), each * around.astype(np.float64) ** 2)
    squares = f"{_text(float(each[0]))} × {_text(term.total / float(each[0]))}"
    own = _text(float(inputs[unit]))
    return (term,), float(module.k), f"{own} / ({_text(module.k)} + {squares})^{_text(module.beta)}"


def _activated(function: str, x: float) -> str:
    """The function of one number, written out up to its "="."""
    shown, minus = _text(x), _text(-x)
    match function:
        case "sigmoid":
            return f"1 / (1 + e^{minus})"
        case "tanh":
            return f"tanh({shown})"
        case "scaled-tanh":
            return f"1.7159 × tanh(2/3 × {shown})"
        case "relu":
            return f"max(0, {shown})"
        case "leaky-relu":
            return f"0.01 × {shown}" if x < 0 else f"1 × {shown}"
        case "elu":
            return f"elu({shown}) = e^{shown} − 1" if x < 0 else f"elu({shown})"
        case "gelu":
            below = (1 + math.erf(x / math.sqrt(2))) / 2
            return f"{shown} × Φ({shown}) = {shown} × {_text(below)}"
        case "identity":
            return f"identity({shown})"
    raise AssertionError(f"no arithmetic for the activation {function}")


def _weighted(terms: tuple[Term, ...], bias: float) -> _Steps:
    count = sum(term.inputs.size for term in terms)
    total = sum(term.total for term in terms)
    return terms, bias, f"sum of the {count} products + bias = {_text(total)}{_plus(bias)}"


def _term(source: int, inputs: Floats, weights: Floats, inside: NDArray[np.bool_] | None = None) -> Term:
    everywhere = np.ones(inputs.shape, dtype=np.bool_) if inside is None else inside
    with np.errstate(invalid="ignore"):
        parts = inputs.astype(np.float64) * weights
    return Term(source, inputs, weights, everywhere, parts)


def _patches(layer: Layer, inputs: Floats, unit: tuple[int, ...]) -> tuple[Floats, NDArray[np.bool_]]:
    """What a unit's window holds of every map, (maps, size, size), 0 over the edge; and where it is inside."""
    size, stride, padding = layer.options["kernel_size"], layer.options["stride"], layer.options.get("padding", 0)
    _, height, width = layer.input_shape
    rows, columns = (place * stride - padding + np.arange(size) for place in unit[1:])
    inside = np.outer((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
    near = inputs[:, rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    return np.where(inside, near, np.float32(0)), inside


def _unflattened(layer: Layer, unit: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unravel_index(unit[0], layer.input_shape))


def _output(outputs: Mapping[str, Floats], name: str, shape: tuple[int, ...]) -> Floats:
    if name not in outputs or outputs[name].shape != shape:
        there = shape_text(outputs[name].shape) if name in outputs else "nothing"
        raise ValueError(f"The outputs hold {there} for {name}, which gives {shape_text(shape)}; ask the same network.")
    return outputs[name]


def _check_unit(layer: Layer, unit: tuple[int, ...]) -> None:
    shape = layer.output_shape
    if len(unit) != len(shape) or not all(0 <= place < side for place, side in zip(unit, shape, strict=True)):
        last = ", ".join(str(side - 1) for side in shape)
        raise ValueError(f"{layer.name} has units up to ({last}), counted from 0, and no {shorten(unit)}.")


def _array(tensor: torch.Tensor) -> Floats:
    values: Floats = tensor.detach().cpu().numpy()
    return values


def _text(value: float) -> str:
    """A number with three significant digits, or all of a whole part that is longer."""
    return (f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")


def _plus(value: float) -> str:
    return f" − {_text(-value)}" if value < 0 else f" + {_text(value)}"
