"""The passes by hand against PyTorch's own, in double precision, and a step by them against the plain one."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.architecture import Architecture
from lenet_core.by_hand import backward, by_hand, forward
from lenet_core.data import load
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.presets import preset
from lenet_core.recipes import RECIPES
from lenet_core.train import EagerStep, HandStep, Step, Training, fastest_step

MODERN = preset("lenet-modern")
NETWORKS: dict[str, Architecture] = {
    **{name: preset(name) for name in ("lenet-modern", "lenet-d2l", "lenet5-tanh", "lenet5-1998")},
    **{
        activation: MODERN.replace(activation=activation)
        for activation in ("sigmoid", "tanh", "scaled-tanh", "leaky-relu", "elu", "gelu", "identity")
    },
    "average pooling": MODERN.replace(pooling="average"),
    "subsampling": MODERN.replace(pooling="subsampling"),
    "no pooling": MODERN.replace(pool=0),
    "odd sizes": Architecture("odd", (1, 15, 17), (Conv(6), Conv(5, kernel_size=2)), (12,)),
    "odd sizes, averaged": Architecture(
        "odd", (1, 15, 17), (Conv(6), Conv(5, kernel_size=2)), (12,), pooling="average", activation="sigmoid"
    ),
    "odd sizes, subsampled": Architecture(
        "odd", (1, 15, 17), (Conv(6), Conv(5, kernel_size=2)), (12,), pooling="subsampling"
    ),
    "windows of 3": Architecture("wide", (1, 28, 28), (Conv(6, pool=3), Conv(8, pool=3, pool_stride=2)), (12,)),
    "strides and groups": Architecture(
        "steps", (3, 28, 28), (Conv(6, stride=2, padding=1), Conv(8, kernel_size=3, groups=2, normalise=True)), (12,)
    ),
    "many channels": Architecture("broad", (1, 16, 16), (Conv(16, 3), Conv(20, 3), Conv(4, 2, pool=0)), (30,)),
    "colour": preset("lenet-d2l", input_channels=3),
    "no convolution": Architecture("dense", (1, 10, 10), (), (20,)),
    "no dense layer": Architecture("short", (1, 12, 12), (Conv(7, kernel_size=3),), ()),
    "a rescaled input": MODERN.replace(input_range=(-0.4, 2.8)),
}  # fmt: skip


def batch(arch: Architecture, kind: str) -> tuple[Tensor, Tensor]:
    """Seven images of noise, or of a few grey levels in blocks, where many windows hold equal pixels."""
    chance = torch.Generator().manual_seed(3)
    shape = (7, *arch.input_shape)
    images = torch.rand(shape, generator=chance, dtype=torch.float64)
    if kind == "flat":
        blocks = torch.randint(0, 3, (7, arch.input_shape[0], 6, 6), generator=chance) / 2
        images = F.interpolate(blocks.double(), size=arch.input_shape[1:])
    return images, torch.randint(0, arch.num_classes, (7,), generator=chance)


def by_pytorch(net: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits and the parameters' gradients, as PyTorch gives them."""
    logits = net(images)
    gradients = torch.autograd.grad(F.cross_entropy(logits, labels), list(net.parameters()))
    return logits.detach(), list(gradients)


def by_our_hand(net: nn.Sequential, images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The same by hand."""
    logits, pullbacks = forward(by_hand(net), images)
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits.requires_grad_(), labels), logits)
    backward(pullbacks, gradient)
    gradients = [parameter.grad for parameter in net.parameters()]
    assert all(gradient is not None for gradient in gradients)
    return logits.detach(), gradients  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["noise", "flat"])
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_and_gradients_are_pytorchs(name: str, kind: str) -> None:
    arch = NETWORKS[name]
    net = build(arch, seed=5).double()
    images, labels = batch(arch, kind)
    expected = by_pytorch(net, images, labels)
    logits, gradients = by_our_hand(net, images, labels)
    torch.testing.assert_close(logits, expected[0])
    for gradient, right in zip(gradients, expected[1], strict=True):
        torch.testing.assert_close(gradient, right, rtol=1e-7, atol=1e-12)
        assert right.abs().max() > 0


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2, 2), nn.AvgPool2d(2, 2), nn.MaxPool2d(3, 2, 1)], ids=str)
@pytest.mark.parametrize("size", [(8, 8), (9, 8), (8, 11), (3, 3)])
def test_each_pixel_gets_the_gradient_that_pytorch_gives_it(pool: nn.Module, size: tuple[int, int]) -> None:
    # Three grey levels: in most windows the largest stands more than once, in every combination.
    chance = torch.Generator().manual_seed(2)
    images = torch.randint(0, 3, (50, 6, *size), generator=chance).double().requires_grad_()
    pooled = pool(images)
    weights = torch.rand(pooled.shape, generator=chance, dtype=torch.float64)
    pooled.backward(weights)
    as_it_is = nn.Conv2d(6, 6, 1, groups=6).double()
    with torch.no_grad():
        as_it_is.weight.fill_(1)
        as_it_is.bias.zero_()
    y, pullbacks = forward(by_hand(nn.Sequential(as_it_is, pool)), images.detach())
    assert torch.equal(y, pooled)
    assert torch.equal(pullbacks[1](weights), images.grad)


def test_gradients_lie_in_memory_as_their_parameters() -> None:
    # Fused optimisers would mix up the weights of a kernel otherwise.
    for arch in (preset("lenet-d2l"), preset("lenet5-tanh"), NETWORKS["many channels"]):
        for layout in (torch.contiguous_format, torch.channels_last):
            net = build(arch, seed=1).to(memory_format=layout)
            images, labels = batch(arch, "noise")
            by_our_hand(net, images.float(), labels)
            assert [p.grad.stride() for p in net.parameters()] == [p.stride() for p in net.parameters()]


@pytest.mark.parametrize("name", ["lenet-modern", "lenet-d2l", "lenet5-tanh", "lenet5-1998"])
def test_a_step_by_hand_is_the_plain_step_within_rounding(name: str) -> None:
    how = dataclasses.replace(RECIPES[name], data="mnist-5k", epochs=1, validation=0.0)
    data = load("mnist-5k", train=True).take(torch.arange(0, 4_000, 4))
    trainings = [Training(build(how.architecture, seed=0), how, data, make_step=kind) for kind in (EagerStep, HandStep)]
    plain, ours = ([event for event in training if isinstance(event, Step)] for training in trainings)
    assert [float(step.loss) for step in ours] == pytest.approx([float(step.loss) for step in plain], rel=1e-4)
    counts = [sum(int(step.correct) for step in steps) for steps in (plain, ours)]
    assert counts[1] == pytest.approx(counts[0], abs=2)
    for own, right in zip(*(training.net.parameters() for training in reversed(trainings)), strict=True):
        torch.testing.assert_close(own, right, rtol=1e-2, atol=1e-4)


def test_dropout_is_drawn_alike() -> None:
    arch = MODERN.replace(dropout=0.5)
    net = build(arch, seed=2).double()
    images, labels = batch(arch, "noise")
    torch.manual_seed(8)
    expected = by_pytorch(net, images, labels)
    torch.manual_seed(8)
    logits, gradients = by_our_hand(net, images, labels)
    torch.testing.assert_close(logits, expected[0])
    torch.testing.assert_close(gradients, expected[1])


def test_a_module_that_is_not_ours_goes_through_pytorch() -> None:
    class Doubled(nn.MaxPool2d):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    same = nn.Conv2d(1, 4, 3, padding="same")
    front = [same, nn.Conv2d(4, 4, 3, bias=False), Doubled(2, 2), nn.BatchNorm2d(4)]
    net = nn.Sequential(*front, nn.Flatten(), nn.Linear(4 * 13 * 13, 10)).double()
    images, labels = batch(MODERN, "noise")
    expected = by_pytorch(net, images, labels)
    logits, gradients = by_our_hand(net, images, labels)
    torch.testing.assert_close(logits, expected[0])
    torch.testing.assert_close(gradients, expected[1])


def test_the_processor_gets_the_step_by_hand() -> None:
    net = build(MODERN, seed=0)
    how = dataclasses.replace(RECIPES["lenet-modern"], data="mnist-5k")
    assert type(Training(net, how, load("mnist-5k", train=True)).step) is HandStep
    meta = build(MODERN, seed=0).to("meta")
    assert type(fastest_step(meta, Training(net, how, load("mnist-5k", train=True)).optimiser, F.cross_entropy)) is (
        EagerStep
    )
