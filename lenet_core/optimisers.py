"""Adam and SGD by PyTorch's fused kernels, with a state of plain named tensors.

The classes of `torch.optim` load PyTorch's compiler when the first of them is made, which takes as long
again as PyTorch itself and keeps a learner waiting for the first point. The arithmetic here is the
kernels' own, and the state can be saved without pickling.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from lenet_core.recipes import Recipe


class Optimiser(Protocol):
    """Updates parameters from their gradients."""

    def step(self, learning_rate: float) -> None:
        """Changes every parameter by one step."""

    def state(self) -> dict[str, Tensor]:
        """What the next step depends on, by name: the very tensors, not copies."""


class Adam:
    """Kingma and Ba 2015, algorithm 1, with its constants; `weight_decay` is added to the gradient."""

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float = 0.0) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.weight_decay = weight_decay
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.count = torch.zeros((), device=self.parameters[0].device)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        self.count += 1
        torch._fused_adam_(
            self.parameters, [_gradient(p) for p in self.parameters], self.means, self.squares, [],
            [self.count] * len(self.parameters),
            lr=learning_rate, beta1=0.9, beta2=0.999, weight_decay=self.weight_decay, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        return {"count": self.count, **_named("mean", self.means), **_named("square", self.squares)}


class SGD:
    """Stochastic gradient descent; with `momentum` m the step is v = m v + gradient (Polyak 1964)."""

    def __init__(self, parameters: Iterable[nn.Parameter], momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocities = [torch.zeros_like(p) for p in self.parameters] if momentum else []

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        torch._fused_sgd_(
            self.parameters, [_gradient(p) for p in self.parameters], self.velocities,
            lr=learning_rate, momentum=self.momentum, weight_decay=self.weight_decay,
            dampening=0.0, nesterov=False, maximize=False, is_first_step=False,
        )  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        return _named("velocity", self.velocities)


def make_optimiser(recipe: Recipe, net: nn.Module) -> Optimiser:
    """The recipe's optimiser for the network's parameters, on the device where they are.

    Raises:
        ValueError: the network has no parameters.
    """
    parameters = list(net.parameters())
    if not parameters:
        raise ValueError(f"{recipe.architecture.name} has no parameters to train; add a convolution or a dense layer.")
    if recipe.optimiser == "sgd":
        return SGD(parameters, recipe.momentum, recipe.weight_decay)
    return Adam(parameters, recipe.weight_decay)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "step() before backward()"
    return parameter.grad


def _named(name: str, tensors: list[Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{index}": tensor for index, tensor in enumerate(tensors)}
