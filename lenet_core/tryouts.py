"""One layer by itself, asked with a handful of numbers: the very modules that the networks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lenet_core.architecture import Architecture
from lenet_core.arithmetic import Floats, UnitSum, unit_sum
from lenet_core.bitmaps import BITMAP_UNITS
from lenet_core.layers import Subsampling, build, seeded
from lenet_core.layout import Conv

_NAME = "tryout"
_CLASSES = 10


def normalised(activities: Sequence[float], index: int) -> tuple[Floats, UnitSum]:
    """What response normalisation makes of one place in neighbouring maps, (maps,), and how map `index` got its value.

    `activities` holds what each map has at that place. Krizhevsky et al. 2012, section 3.3.

    Raises:
        ValueError: no activities, or no such map.
    """
    maps = len(activities)
    conv = Conv(maps, kernel_size=1, normalise=True, pool=0)
    arch = Architecture(_NAME, (maps, 1, 1), (conv,), (), _CLASSES, activation="identity", naming="alexnet")
    net = build(arch, seed=0)
    values = np.array(activities, dtype=np.float32).reshape(maps, 1, 1)
    after = _through(net.get_submodule("norm1"), values[None])[0]
    how = unit_sum(net, arch, {"conv1_act": values, "norm1": after}, values, "norm1", (index, 0, 0))
    return after.reshape(-1), how


def dropped(values: Sequence[float], fraction: float, throws: int, seed: int) -> Floats:
    """What dropout leaves of the values while a network trains, (throws, values), each throw drawn anew.

    Those it keeps it divides by 1 - `fraction`, so that their mean stays what it was in the long run; the paper
    has a fraction of 0.5 and halves the outputs at the test instead (Krizhevsky et al. 2012, section 4.2).

    Raises:
        ValueError: no values, or a fraction that is not above 0 and at most 0.99.
    """
    if not fraction > 0:
        raise ValueError(f"Dropout needs a fraction above 0, not {fraction}.")
    module = _dropout(len(values), fraction).train()
    with seeded(seed):
        return _through(module, np.tile(np.array(values, dtype=np.float32), (throws, 1)))


def at_test(values: Sequence[float], fraction: float) -> Floats:
    """What dropout makes of the values when a network answers, (values,): nothing.

    Raises:
        ValueError: as `dropped`.
    """
    return _through(_dropout(len(values), fraction).eval(), np.array([values], dtype=np.float32)).reshape(-1)


def _dropout(units: int, fraction: float) -> nn.Module:
    arch = Architecture(_NAME, (1, 1, 1), (), (units,), _CLASSES, dropout=fraction)
    (name,) = (layer.name for layer in arch.layers if layer.kind == "dropout")
    return build(arch, seed=0).get_submodule(name)


def pooled(values: Floats, size: int, stride: int) -> tuple[Floats, NDArray[np.int64]]:
    """The largest of each window of a map (height, width), and how many windows each of its numbers wins.

    Raises:
        ValueError: the window is larger than the map.
    """
    conv = Conv(1, kernel_size=1, pool=size, pool_stride=stride)
    arch = Architecture(_NAME, (1, *values.shape), (conv,), (), _CLASSES, naming="alexnet")
    x = torch.from_numpy(values.astype(np.float32))[None, None].requires_grad_()
    after: Tensor = build(arch, seed=0).get_submodule("pool1")(x)
    (wins,) = torch.autograd.grad(after.sum(), x)  # the gradient reaches the winners alone, once for each window
    return after.detach().numpy()[0, 0], wins.numpy()[0, 0].round().astype(np.int64)


def subsampled(window: Floats, weight: float, bias: float) -> UnitSum:
    """How a unit of 1998's trainable subsampling gets its value from a square window, squashing included.

    LeCun et al. 1998, section II.B, layer S2: the sum, times a weight, plus a bias, through 1.7159 tanh(2x/3).

    Raises:
        ValueError: the window is no square.
    """
    if window.ndim != 2 or window.shape[0] != window.shape[1]:
        raise ValueError(f"The window must be a square, not {window.shape}.")
    conv = Conv(1, kernel_size=1, pool=len(window))
    arch = Architecture(
        _NAME, (1, *window.shape), (conv,), (), _CLASSES, activation="scaled-tanh", pooling="subsampling"
    )
    net = build(arch, seed=0)
    s2 = net.get_submodule("s2")
    assert isinstance(s2, Subsampling)
    with torch.no_grad():
        s2.weight.fill_(weight)
        s2.bias.fill_(bias)
    inputs = window.astype(np.float32)[None]
    outputs = {"c1_act": inputs, "s2": _through(s2, inputs[None])[0]}
    outputs["s2_act"] = _through(net.get_submodule("s2_act"), outputs["s2"][None])[0]
    return unit_sum(net, arch, outputs, inputs, "s2_act", (0, 0, 0))


def code_distances(units: Floats) -> Floats:
    """The squared distance from 84 units to the code of each digit, (10,).

    LeCun et al. 1998, equation 7, as the output layer of LeNet-5 has it.

    Raises:
        ValueError: another number of units.
    """
    if units.shape != (BITMAP_UNITS,):
        raise ValueError(f"The digits' codes have {BITMAP_UNITS} units, not {units.shape}.")
    arch = Architecture(_NAME, (1, 1, 1), (), (BITMAP_UNITS,), _CLASSES, head="rbf")
    return -_through(build(arch, seed=0).get_submodule("output"), units[None]).reshape(_CLASSES)


def _through(module: nn.Module, values: Floats) -> Floats:
    """What a layer makes of a batch (N, ...): response normalisation would take an image alone for a batch."""
    with torch.inference_mode():
        result: Floats = module(torch.from_numpy(values.astype(np.float32))).numpy()
    return result
