"""What a unit sees, against the layers' own sizes, against cases worked out by hand, and against the gradient."""

from __future__ import annotations

import pytest
import torch

from lenet_core.architecture import Architecture
from lenet_core.fields import Window, box, window
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.presets import PRESETS, preset

# Strides that leave rows over, padding in the middle and a picture that is not square.
UNEVEN = Architecture(
    "uneven",
    (2, 21, 17),
    (
        Conv(4, kernel_size=2, stride=2, pool=0),
        Conv(4, kernel_size=3, padding=1, groups=2, normalise=True, pool=3, pool_stride=2),
        Conv(3, kernel_size=2, padding=1, pool=0),
    ),
    (7,),
    activation="tanh",
    naming="alexnet",
)


@pytest.mark.parametrize("name", PRESETS)
def test_the_side_is_the_ledgers_receptive_field(name: str) -> None:
    arch = preset(name)
    for layer in arch.layers:
        assert min(window(arch, layer.name).side, max(arch.input_shape[1:])) == layer.receptive_field, layer.name


def test_windows_of_lenet_by_hand() -> None:
    arch = preset("lenet-d2l")
    assert window(arch, "c1") == window(arch, "c1_act") == Window(-2, 1, 5)
    assert window(arch, "s2") == Window(-2, 2, 6)
    assert window(arch, "c3") == Window(-2, 2, 6 + 4 * 2)
    assert window(arch, "s4") == Window(-2, 4, 16)
    assert window(arch, "flatten") == window(arch, "f6_act") == window(arch, "output") == Window(0, 0, 28)
    assert window(preset("lenet5-1998"), "input") == Window(0, 1, 1)
    assert window(preset("lenet5-1998"), "c5") == Window(0, 4, 32)
    assert window(preset("alexnet-2012"), "conv2") == Window(-16, 8, 51)


def test_a_box_is_cut_to_the_input() -> None:
    arch = preset("lenet-d2l")
    assert box(arch, "c1", 0, 27) == (0, 25, 3, 28)
    assert box(arch, "c1", 10, 12) == (8, 10, 13, 15)
    assert box(arch, "s2", 6, 6) == (10, 10, 16, 16)
    assert box(arch, "output", 0, 0) == (0, 0, 28, 28)


def test_a_unit_that_sees_padding_alone_sees_nothing_of_the_input() -> None:
    arch = Architecture("far", (1, 6, 6), (Conv(1, kernel_size=2, padding=4, pool=0), Conv(1, 3, pool=0)), ())
    assert box(arch, "c1", 0, 5) == (0, 0, 0, 0)
    assert box(arch, "c1", 3, 3) == (0, 0, 1, 1)
    assert box(arch, "c3", 0, 5) == (0, 0, 0, 0)
    assert box(arch, "c3", 1, 1) == (0, 0, 1, 1)


def places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The corners and the middle of a layer's first and last map, or its first and last units."""
    if len(shape) == 1:
        return [(0,), (shape[0] - 1,)]
    channels, height, width = shape
    spots = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (height // 2, width // 2)]
    return [(channel, *spot) for channel in (0, channels - 1) for spot in spots]


@pytest.mark.parametrize(
    "arch",
    [
        preset("lenet-d2l"),
        preset("lenet5-1998", input_size=28),
        preset("alexnet-cifar").replace(
            activation="tanh",
            pooling="average",
            dense=(20,),
            channels=(8, 12, 8, 8, 6),
            initialisation="xavier-uniform",
        ),
        UNEVEN.replace(pooling="average"),
    ],
    ids=lambda arch: arch.name,
)
def test_the_gradient_of_a_unit_fills_its_box_and_nothing_else(arch: Architecture) -> None:
    net = build(arch, seed=0).double().eval()  # so that no gradient is lost to rounding
    image = torch.rand(1, *arch.input_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = image.requires_grad_()
    output = x
    for layer, module in zip(arch.layers, net, strict=True):
        output = module(output)
        if layer.kind == "flatten":
            continue  # one of its units sees what a unit before it sees
        for place in places(layer.output_shape):
            (gradient,) = torch.autograd.grad(output[0][place], x, retain_graph=True)
            seen = gradient[0].abs().sum(dim=0) > 0
            top, left, bottom, right = box(arch, layer.name, *(place[1:] or (0, 0)))
            expected = torch.zeros_like(seen)
            expected[top:bottom, left:right] = True
            assert torch.equal(seen, expected), (layer.name, place)


@pytest.mark.parametrize("name", ["lenet-modern", "alexnet-2012"])
def test_a_box_is_its_window_where_no_padding_is_near(name: str) -> None:
    arch = preset(name)
    for layer in arch.layers:
        if layer.kind == "flatten":
            break
        middle = layer.output_shape[1] // 2
        seen = window(arch, layer.name)
        top = seen.offset + middle * seen.jump
        clipped = (max(top, 0), min(top + seen.side, arch.input_shape[1]))
        assert box(arch, layer.name, middle, middle) == (clipped[0], clipped[0], clipped[1], clipped[1])


def test_a_unit_that_is_not_there_is_refused_with_what_there_is() -> None:
    arch = preset("lenet-modern")
    with pytest.raises(ValueError, match=r"no layer 'c2'; it has c1, c1_act"):
        window(arch, "c2")
    with pytest.raises(ValueError, match=r"no layer 'conv1'"):
        box(arch, "conv1", 0, 0)
    with pytest.raises(ValueError, match=r"s2 has rows 0 to 13 and columns 0 to 13, no \(14, 0\)"):
        box(arch, "s2", 14, 0)
    with pytest.raises(ValueError, match=r"output has rows 0 to 0"):
        box(arch, "output", 0, 1)
