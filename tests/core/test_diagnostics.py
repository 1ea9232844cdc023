"""Gradient norms and saturation, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import nn

from lenet_core.architecture import ACTIVATIONS
from lenet_core.diagnostics import gradient_norms, saturation
from lenet_core.layers import build
from tests.core.trainings import tiny


def net_of(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def dense(weights: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def test_a_gradients_norm_by_hand() -> None:
    net = net_of(f1=dense([[2.0]], [0.0]), f1_act=nn.Identity(), output=dense([[3.0]], [1.0]))
    net(torch.tensor([[4.0]])).sum().backward()
    norms = gradient_norms(net)
    assert list(norms) == ["f1", "output"]
    assert norms["f1"] == pytest.approx(math.hypot(3 * 4, 3))  # of its weight and its bias
    assert norms["output"] == pytest.approx(math.hypot(2 * 4, 1))


def test_before_a_step_there_is_no_gradient() -> None:
    assert gradient_norms(net_of(f1=nn.Linear(2, 2))) == {}


def test_a_sigmoid_is_flat_where_its_slope_is_a_twentieth() -> None:
    # s (1 - s) < 0.05 / 4, that is beyond x = 4.357
    net = net_of(f1=dense([[1.0], [1.0]], [0.0, 100.0]), f1_act=nn.Sigmoid())
    inputs = torch.tensor([[0.0], [4.3], [-4.3], [4.4], [-4.4]])
    assert saturation(net, inputs) == {"f1": pytest.approx((2 + 5) / 10)}


def test_a_tanh_is_flat_near_its_ends() -> None:
    # 1 - tanh² < 0.05, that is beyond x = 2.178
    net = net_of(c1=nn.Identity(), c1_act=nn.Tanh())
    assert saturation(net, torch.tensor([[0.0, 2.1, -2.1, 2.3, -2.3, 50.0]])) == {"c1": pytest.approx(3 / 6)}


def test_a_relu_is_flat_where_it_is_dead() -> None:
    net = net_of(f1=dense([[1.0], [1.0], [1.0]], [0.0, -100.0, 100.0]), f1_act=nn.ReLU())
    assert saturation(net, torch.tensor([[1.0], [-1.0]])) == {"f1": pytest.approx((1 + 2 + 0) / 6)}


def test_each_layer_sees_what_the_one_before_made() -> None:
    net = net_of(
        f1=dense([[1.0]], [-5.0]), f1_act=nn.ReLU(), f2=dense([[1.0]], [9.0]), f2_act=nn.Sigmoid(),
        output=dense([[1.0]], [0.0]),
    )  # fmt: skip
    assert saturation(net, torch.tensor([[1.0], [2.0]])) == {"f1": 1.0, "f2": 1.0}  # dead, so f2 gets 9


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_a_fraction_for_each_layer(activation: str) -> None:
    net = build(tiny(activation=activation).architecture, seed=0)
    flat = saturation(net, torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1)))
    with_activation = {name.removesuffix("_act") for name, _ in net.named_children() if name.endswith("_act")}
    assert set(flat) == with_activation
    assert all(0 <= fraction <= 1 for fraction in flat.values())
    if activation == "identity":
        assert set(flat.values()) <= {0.0}


@pytest.mark.parametrize("training", [True, False])
def test_looking_changes_neither_mode_nor_gradients_nor_chance(training: bool) -> None:
    net = build(tiny(dropout=0.5).architecture, seed=0).train(training)
    images = torch.rand(4, 1, 28, 28)
    net(images).sum().backward()
    before = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
    chance = torch.get_rng_state()
    assert saturation(net, images) == saturation(net, images)  # without dropout
    gradient_norms(net)
    assert net.training is training
    assert all(layer.training is training for layer in net.modules())
    assert torch.equal(torch.get_rng_state(), chance)
    after = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    assert len(before) == len(after) > 0
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert not images.requires_grad


def test_a_failed_look_leaves_the_mode() -> None:
    net = net_of(f1=nn.Linear(3, 2), f1_act=nn.ReLU()).train()
    with pytest.raises(RuntimeError):
        saturation(net, torch.zeros(1, 7))
    assert net.training
