"""What a run's events say so far, as columns to draw: grows as the run does. Imports no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lenet_core.runs import Run

_PIECE = 2**22  # bytes read at a time: hours of training leave hundreds of millions


@dataclass
class History:
    """The events of one run, read bit by bit with `update`.

    `steps` and `losses` are the batches whose loss was written down and the loss of each; `ticks` and
    `accuracies` the steps at which the training accuracy since the last tick was written (a fraction).
    `epochs` are the events of ended epochs, `layers` those with gradient norms and saturation.
    """

    run: Run
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    started: dict[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    _offset: int = 0

    def update(self) -> bool:
        """Reads what was written since the last time; whether there was anything."""
        found = False
        while True:
            events, after = self.run.events(self._offset, _PIECE)
            for event in events:
                self._take(event)
            found = found or bool(events)
            if after == self._offset:
                return found
            self._offset = after

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass, 1 as long as it is not known."""
        return max(1, int(self.started.get("steps_per_epoch", 1)))

    @property
    def total_steps(self) -> int:
        """Batches in the whole training, 1 as long as it is not known."""
        return max(1, int(self.started.get("total_steps", 1)))

    @property
    def step(self) -> int:
        """Batches learned from."""
        return int(self.last.get("step", self.now.get("step", 0)))

    @property
    def seconds_left(self) -> float | None:
        """Seconds of training still to come at the present pace, None before there is one."""
        pace = self.now.get("images_per_second", 0)
        left = (self.total_steps - self.step) / self.steps_per_epoch * self.started.get("images", 0)
        return left / pace if pace else None

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        self.last = event
        if kind == "started":
            self.started = event
            self._forget_after(event["step"])
        elif kind == "metrics":
            self.now = event
            first, stride, losses = event["first"], event["stride"], event["losses"]
            self.steps += range(first, first + stride * len(losses), stride)
            self.losses += losses
            self.ticks.append(event["step"])
            self.accuracies.append(event["accuracy"])
            if event.get("layers"):
                self.layers.append(event)
        elif kind == "epoch":
            self.epochs.append(event)

    def _forget_after(self, step: int) -> None:
        """A training taken up again repeats what came after its last saved state; its own words count."""
        kept = sum(one <= step for one in self.steps)
        del self.steps[kept:], self.losses[kept:]
        kept = sum(one <= step for one in self.ticks)
        del self.ticks[kept:], self.accuracies[kept:]
        self.epochs = [event for event in self.epochs if event["step"] <= step]
        self.layers = [event for event in self.layers if event["step"] <= step]
