"""Training as an iterator: it yields what happens, and whoever reads decides what to show.

The loop holds the data set as one tensor, gathers shuffled images from it some batches at a time and slices
these, which does the same arithmetic as a DataLoader without its work for each image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.augment import augment
from lenet_core.by_hand import backward, by_hand, forward
from lenet_core.data import DataSet, fit_field, to_input
from lenet_core.evaluate import Evaluation, evaluate
from lenet_core.optimisers import Optimiser, make_optimiser
from lenet_core.recipes import Recipe

_AT_ONCE = 1_000  # images made ready together: few calls, and they stay in the processor's cache


@dataclass(frozen=True)
class Step:
    """One optimiser step. `loss` (the batch's mean) and `correct` (images answered rightly before the step) are
    scalar tensors on the device: `float()` of them waits for the device."""

    epoch: int
    step: int
    total_steps: int
    images: int
    loss: Tensor
    correct: Tensor
    learning_rate: float


@dataclass(frozen=True)
class Epoch:
    """One pass through the training images.

    `loss` and `accuracy` (a fraction) are means over the pass, while the network was changing;
    `validation` is what the held-out images gave at its end, None without any.
    """

    epoch: int
    loss: float
    accuracy: float
    validation: Evaluation | None
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
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - step / total_steps)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * (1 + math.cos(math.pi * step / total_steps)) / 2
    peak = max(1, total_steps // 5)
    rise, fall = (step + 1) / peak, (total_steps - step) / max(1, total_steps - peak)
    return recipe.learning_rate * min(rise, fall, 1.0)


class EagerStep:
    """One step of plain PyTorch: forward, backward, update. The reference for any faster one.

    Gives the batch's mean loss and how many of its images were answered rightly.
    """

    def __init__(self, net: nn.Module, optimiser: Optimiser, loss: Objective) -> None:
        self.net, self.optimiser, self.loss = net, optimiser, loss
        self.parameters = list(net.parameters())

    def __call__(self, images: Tensor, labels: Tensor, learning_rate: float) -> tuple[Tensor, Tensor]:
        for parameter in self.parameters:
            parameter.grad = None
        logits = self.net(images)
        loss = self.loss(logits, labels)
        loss.backward()
        self.optimiser.step(learning_rate)
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()


class HandStep(EagerStep):
    """The same step by `by_hand`'s passes, which on a CPU take a third less time; equal but for rounding."""

    def __init__(self, net: nn.Sequential, optimiser: Optimiser, loss: Objective) -> None:
        super().__init__(net, optimiser, loss)
        self.layers = by_hand(net)

    def __call__(self, images: Tensor, labels: Tensor, learning_rate: float) -> tuple[Tensor, Tensor]:
        for parameter in self.parameters:
            parameter.grad = None
        logits, pullbacks = forward(self.layers, images)
        loss = self.loss(logits.requires_grad_(), labels)
        loss.backward()
        assert logits.grad is not None
        backward(pullbacks, logits.grad)
        self.optimiser.step(learning_rate)
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()


def fastest_step(net: nn.Sequential, optimiser: Optimiser, loss: Objective) -> EagerStep:
    """The step that takes least time on the device where the network is."""
    on_cpu = all(parameter.device.type == "cpu" for parameter in net.parameters())
    return HandStep(net, optimiser, loss) if on_cpu else EagerStep(net, optimiser, loss)


def split(data: DataSet, recipe: Recipe) -> tuple[DataSet, DataSet]:
    """The recipe's training images and its held-out ones, drawn from `data` by its seed.

    Raises:
        ValueError: no image would be left to train on.
    """
    used = round(len(data) * recipe.share)
    held_out = round(used * recipe.validation)
    if held_out >= used:
        raise ValueError(
            f"A share of {recipe.share:g} of {len(data):,} images, {recipe.validation:g} of them held out, "
            "leaves none to train on; raise the share."
        )
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(recipe.seed))
    return data.take(order[held_out:used]), data.take(order[:held_out])


class Training:
    """A training as an iterator of what happens: a `Step` after each batch, an `Epoch` after each pass.

    Trains `net` in place. `data` are the data set's training images, from which the recipe takes its
    share; they stay on `device` throughout. The last, smaller batch of a pass is used too. Stopping the
    iteration stops the training where it is, and `state()` is all that is needed to go on: on the same
    machine and versions a training that was taken up again gives the same weights, bit for bit, as one
    that was not interrupted. (A GPU may sum in another order.)

    Raises:
        ValueError: the data set's images or classes do not fit the network.
    """

    def __init__(
        self,
        net: nn.Sequential,
        recipe: Recipe,
        data: DataSet,
        device: torch.device | str = "cpu",
        make_step: Callable[[nn.Sequential, Optimiser, Objective], EagerStep] = fastest_step,
    ) -> None:
        outputs, classes = recipe.architecture.num_classes, len(data.classes)
        if classes > outputs:
            raise ValueError(
                f"{recipe.architecture.name} has {outputs} outputs, too few for the {classes} classes of {data.title}."
            )
        self.recipe, self.device = recipe, torch.device(device)
        self.train, self.held_out = split(data, recipe)
        to_input(self.train.images[:1], recipe.architecture.input_shape)  # says at once where the channels do not fit
        self.images, self.labels = self.train.images.to(self.device), self.train.labels.to(self.device)
        self.net = net.to(self.device)
        self.optimiser = make_optimiser(recipe, net)
        self.step = make_step(net, self.optimiser, objective(recipe))
        self.batches = -(-len(self.train) // recipe.batch_size)
        self.total_steps = self.batches * recipe.epochs
        self.epoch = self.batch = 0
        self._generator = torch.Generator().manual_seed(recipe.seed)
        self._epoch_start = self._generator.get_state()
        self._loss = torch.zeros((), device=self.device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self.device)

    @property
    def steps_done(self) -> int:
        """How many batches were learned from."""
        return self.epoch * self.batches + self.batch

    def __iter__(self) -> Iterator[Step | Epoch]:
        while self.epoch < self.recipe.epochs:
            started = time.perf_counter()
            self.net.train()
            for images, labels in self._batches():
                yield self._one_step(images, labels)
            yield self._end_epoch(started)

    def state(self) -> dict[str, Tensor]:
        """Where the training stands, as named tensors: the very ones it goes on to change, not copies."""
        return {
            **{f"net.{name}": tensor for name, tensor in self.net.state_dict().items()},
            **{f"optimiser.{name}": tensor for name, tensor in self.optimiser.state().items()},
            "position": torch.tensor([self.epoch, self.batch]),
            "generator": self._epoch_start,
            "loss": self._loss,
            "correct": self._correct,
        }

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Goes to where `state` was taken, which must come from the same recipe.

        Raises:
            ValueError: it does not fit this training.
        """
        own = self.state()
        if {name: (t.shape, t.dtype) for name, t in own.items()} != {
            name: (t.shape, t.dtype) for name, t in state.items()
        }:
            raise ValueError("The saved state is of another training; start this one anew.")
        epoch, batch = state["position"].tolist()
        if not (0 <= epoch <= self.recipe.epochs and 0 <= batch <= self.batches):
            raise ValueError(f"The saved state is after {batch} batches of epoch {epoch}; start this training anew.")
        self._generator.set_state(state["generator"])  # first, as it may refuse
        for name, tensor in own.items():
            tensor.copy_(state[name])
        self.epoch, self.batch = epoch, batch

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This epoch's batches that are still to come: images as the network takes them, and their labels."""
        size, done = self.recipe.batch_size, self.batch * self.recipe.batch_size
        self._generator.set_state(self._epoch_start)
        order = torch.randperm(len(self.labels), generator=self._generator).to(self.device)
        at_once = max(size, _AT_ONCE // size * size)
        if self.recipe.augmentation is not None:  # whose draws for an epoch are one sequence, wherever one goes on
            at_once = len(order)
        else:
            order, done = order[done:], 0
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            labels = self.labels[part]
            inputs = _inputs(self.images[part], labels, self.recipe, self._generator)
            for place in range(done, len(part), size):
                yield inputs[place : place + size], labels[place : place + size]

    def _one_step(self, images: Tensor, labels: Tensor) -> Step:
        rate = learning_rate_at(self.recipe, self.steps_done, self.total_steps)
        with _own_chance(self.recipe, self.device, self.steps_done):
            loss, correct = self.step(images, labels, rate)
        self._loss += loss * len(labels)
        self._correct += correct
        self.batch += 1
        return Step(self.epoch, self.steps_done, self.total_steps, len(labels), loss, correct, rate)

    def _end_epoch(self, started: float) -> Epoch:
        shape = self.recipe.architecture.input_shape
        validation = evaluate(self.net, self.held_out, shape) if len(self.held_out) else None
        count = len(self.labels)
        seconds = time.perf_counter() - started
        ended = Epoch(self.epoch, float(self._loss) / count, int(self._correct) / count, validation, seconds)
        self.epoch, self.batch = self.epoch + 1, 0
        self._epoch_start = self._generator.get_state()
        self._loss.zero_()
        self._correct.zero_()
        return ended


@contextmanager
def _own_chance(recipe: Recipe, device: torch.device, step: int) -> Iterator[None]:
    """What dropout draws in this step depends on the recipe's seed alone, and disturbs nobody else's draws."""
    if not recipe.architecture.dropout:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.seed + step)
        yield


def _inputs(images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    inputs = images.float().div_(255)
    if recipe.augmentation is not None:
        inputs = augment(inputs, labels, recipe.augmentation, generator)
    return fit_field(inputs, recipe.architecture.input_shape).contiguous()
