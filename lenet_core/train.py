"""Training as a generator: `fit` yields what happens, and whoever reads decides what to show.

The loop holds the data set as one tensor, gathers one shuffled copy an epoch and slices batches from
it, which does the same arithmetic as a DataLoader without its work for each image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.augment import augment
from lenet_core.data import DataSet, fit_field
from lenet_core.evaluate import accuracy
from lenet_core.recipes import Recipe


@dataclass(frozen=True)
class Step:
    """One optimiser step. `loss` is a scalar tensor on the device: `float()` of it waits for the device."""

    epoch: int
    step: int
    total_steps: int
    loss: Tensor
    learning_rate: float


@dataclass(frozen=True)
class Epoch:
    """One pass through the training images; `validation_accuracy` is a fraction, None without held-out images."""

    epoch: int
    loss: float
    validation_accuracy: float | None
    seconds: float


Objective = Callable[[Tensor, Tensor], Tensor]


def objective(recipe: Recipe) -> Objective:
    """The loss of logits (N, classes) against labels (N,), averaged over the batch."""
    if recipe.loss == "map":
        return lambda logits, labels: map_loss(logits, labels, recipe.rubbish)
    return lambda logits, labels: F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)


def map_loss(logits: Tensor, labels: Tensor, rubbish: float) -> Tensor:
    """The discriminative loss of LeCun et al. 1998, equation 9, averaged over the batch.

    `logits` are minus the distances y to each class's code: the mean of y_D + log(e^-j + sum e^-y_i),
    with `rubbish` as j, the distance of a class that no image belongs to.
    """
    with_rubbish = F.pad(logits, (0, 1), value=-rubbish)
    return F.cross_entropy(with_rubbish, labels)


def learning_rate_at(recipe: Recipe, step: int, total_steps: int) -> float:
    """The learning rate of step `step`, counted from 0, of `total_steps`."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    peak = max(1, total_steps // 5)
    rise, fall = (step + 1) / peak, (total_steps - step) / max(1, total_steps - peak)
    return recipe.learning_rate * min(rise, fall, 1.0)


def make_optimiser(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser, with PyTorch's fused update."""
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            net.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum,
            weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
    return torch.optim.Adam(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


class EagerStep:
    """One step of plain PyTorch: forward, backward, update. The reference for any faster one."""

    def __init__(self, net: nn.Module, optimiser: torch.optim.Optimizer, loss: Objective) -> None:
        self.net, self.optimiser, self.loss = net, optimiser, loss

    def __call__(self, images: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.net(images), labels)
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def split(data: DataSet, validation: int, seed: int) -> tuple[DataSet, DataSet]:
    """The training images and the held-out ones, drawn by `seed`.

    Raises:
        ValueError: fewer than one image would be left to train on.
    """
    if validation >= len(data):
        raise ValueError(f"{validation:,} images cannot be held out of {len(data):,}.")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    return data.take(order[validation:]), data.take(order[:validation])


def fit(
    net: nn.Sequential, recipe: Recipe, data: DataSet, device: torch.device | str = "cpu"
) -> Iterator[Step | Epoch]:
    """Trains `net` in place, yielding a `Step` after each batch and an `Epoch` after each pass.

    `data` are the recipe's training images; the last, smaller batch of a pass is used too. Stopping the
    iteration stops the training where it is. On a CPU the same recipe, data and network give the same
    weights; a GPU may sum in another order.

    Raises:
        ValueError: the data set's images or classes do not fit the network.
    """
    device = torch.device(device)
    outputs, classes = recipe.architecture.num_classes, len(data.classes)
    if classes > outputs:
        raise ValueError(
            f"{recipe.architecture.name} has {outputs} outputs, too few for the {classes} classes of {data.title}."
        )
    generator = torch.Generator().manual_seed(recipe.seed)
    train, held_out = split(data, recipe.validation, recipe.seed)
    images, labels = train.images.to(device), train.labels.to(device)
    net.to(device)
    step = EagerStep(net, make_optimiser(recipe, net), objective(recipe))
    batches = -(-len(train) // recipe.batch_size)
    total_steps = batches * recipe.epochs
    for epoch in range(recipe.epochs):
        started, total_loss = time.perf_counter(), torch.zeros((), device=device)
        net.train()
        order = torch.randperm(len(train), generator=generator).to(device)
        inputs, targets = _epoch_inputs(images[order], labels[order], recipe, generator), labels[order]
        for batch in range(batches):
            here = slice(batch * recipe.batch_size, (batch + 1) * recipe.batch_size)
            done = epoch * batches + batch
            rate = learning_rate_at(recipe, done, total_steps)
            with _own_chance(recipe, device, done):
                loss = step(inputs[here], targets[here], rate)
            total_loss += loss * len(targets[here])
            yield Step(epoch, done + 1, total_steps, loss, rate)
        score = accuracy(net, held_out, recipe.architecture.input_shape) if len(held_out) else None
        yield Epoch(epoch, float(total_loss) / len(train), score, time.perf_counter() - started)


@contextmanager
def _own_chance(recipe: Recipe, device: torch.device, step: int) -> Iterator[None]:
    """What dropout draws in this step depends on the recipe's seed alone, and disturbs nobody else's draws."""
    if not recipe.architecture.dropout:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.seed + step)
        yield


def _epoch_inputs(images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    inputs = images.float() / 255
    if recipe.augmentation is not None:
        inputs = augment(inputs, labels, recipe.augmentation, generator)
    return fit_field(inputs, recipe.architecture.input_shape).contiguous()
