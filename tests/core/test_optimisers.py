"""Our Adam and SGD against PyTorch's own, bit by bit, and what importing them does not cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lenet_core.layers import build
from lenet_core.optimisers import SGD, Adam, Optimiser, make_optimiser
from tests.conftest import ROOT
from tests.core.trainings import new_run, tiny


def two_nets() -> tuple[nn.Sequential, nn.Sequential]:
    """Two networks with the same weights."""
    return build(tiny().architecture, seed=3), build(tiny().architecture, seed=3)


def train_both(ours: Optimiser, net: nn.Sequential, theirs: torch.optim.Optimizer, other: nn.Sequential) -> None:
    """Fifty steps of each on the same batches, the learning rate changing from step to step."""
    chance = torch.Generator().manual_seed(5)
    for step in range(50):
        images = torch.rand(16, 1, 28, 28, generator=chance)
        labels = torch.randint(0, 10, (16,), generator=chance)
        rate = 0.01 * (1 + step % 7)
        for one in (net, other):
            one.zero_grad()
            nn.functional.cross_entropy(one(images), labels).backward()
        for group in theirs.param_groups:
            group["lr"] = rate
        ours.step(rate)
        theirs.step()


def assert_same(net: nn.Module, other: nn.Module) -> None:
    for (name, value), expected in zip(net.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_adam_is_pytorchs_bit_by_bit(weight_decay: float) -> None:
    net, other = two_nets()
    theirs = torch.optim.Adam(other.parameters(), weight_decay=weight_decay, fused=True)
    train_both(Adam(net.parameters(), weight_decay), net, theirs, other)
    assert_same(net, other)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_pytorchs_bit_by_bit(momentum: float, weight_decay: float) -> None:
    net, other = two_nets()
    theirs = torch.optim.SGD(other.parameters(), lr=0.1, momentum=momentum, weight_decay=weight_decay, fused=True)
    train_both(SGD(net.parameters(), momentum, weight_decay), net, theirs, other)
    assert_same(net, other)


def test_adams_first_step_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    weight.grad = torch.tensor([0.3, -4.0, 0.0])
    Adam([weight]).step(0.01)  # both means corrected, the step is the gradient's sign
    assert weight.tolist() == pytest.approx([0.99, -1.99, 0.5])


def test_momentum_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    optimiser = SGD([weight], momentum=0.5, weight_decay=0.1)
    weight.grad = torch.tensor([2.0])
    optimiser.step(0.1)
    assert weight.item() == pytest.approx(1 - 0.1 * 2.1)
    weight.grad = torch.tensor([0.0])
    optimiser.step(0.1)
    assert weight.item() == pytest.approx(0.79 - 0.1 * (0.5 * 2.1 + 0.079))


@pytest.mark.parametrize("choice", [{"optimiser": "adam"}, {"optimiser": "sgd", "momentum": 0.9}, {"optimiser": "sgd"}])
def test_a_state_put_back_goes_on_bit_by_bit(choice: dict[str, object]) -> None:
    recipe = tiny(**choice)
    net, other = two_nets()
    first, second = make_optimiser(recipe, net), make_optimiser(recipe, other)
    chance = torch.Generator().manual_seed(5)

    def step(optimiser: Optimiser, one: nn.Sequential) -> None:
        for parameter in one.parameters():
            parameter.grad = torch.rand(parameter.shape, generator=chance)
        optimiser.step(0.01)

    for _ in range(3):
        step(first, net)
    other.load_state_dict(net.state_dict())
    for name, tensor in second.state().items():
        tensor.copy_(first.state()[name])
    place = chance.get_state()
    step(first, net)
    chance.set_state(place)
    step(second, other)
    assert_same(net, other)


def test_recipes_get_what_they_name() -> None:
    net, _ = two_nets()
    adam = make_optimiser(tiny(weight_decay=0.2), net)
    assert isinstance(adam, Adam)
    assert adam.weight_decay == 0.2
    sgd = make_optimiser(tiny(optimiser="sgd", momentum=0.7, weight_decay=0.1), net)
    assert isinstance(sgd, SGD)
    assert (sgd.momentum, sgd.weight_decay) == (0.7, 0.1)
    with pytest.raises(ValueError, match="has no parameters to train"):
        make_optimiser(tiny(), nn.Sequential(nn.Flatten()))


@pytest.mark.parametrize("choice", [{}, {"optimiser": "sgd", "momentum": 0.9, "dropout": 0.5, "shift": 1}], ids=str)
def test_a_training_does_not_load_pytorchs_compiler(choice: dict[str, object], own_data_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lenet_core.runs import Run; from lenet_core.worker import work; "
        "print(work(Run(Path(sys.argv[1])))); "
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(new_run(**choice).folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == "finished\n[]\n", done.stderr
