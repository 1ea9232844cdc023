"""Trains one run: the only writer of its folder, and the same under every engine."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lenet_core.ablation import step_costs
from lenet_core.checkpoint import Checkpoint, to_bytes
from lenet_core.data import DataSet, load, to_input
from lenet_core.devices import device_title
from lenet_core.diagnostics import gradient_norms, saturation
from lenet_core.errors import LenetError, RunError
from lenet_core.evaluate import Evaluation, evaluate
from lenet_core.files import write_atomically
from lenet_core.guard import Guard
from lenet_core.layers import build
from lenet_core.parallel import Alone
from lenet_core.runs import Run
from lenet_core.train import Epoch, Step, Training

TICK = 0.125  # seconds between two lines of metrics
MANY_EVENTS = 2**21  # bytes, some six minutes of metrics; from there on they come more and more slowly
MOST_TICKS = 16  # times slower, at most
LOOK = 0.5  # seconds between two looks inside: gradients, saturation, the network as it is now
SAVE = 10.0  # seconds between two saved states, at least
PAUSE = 60.0  # seconds that a paused training keeps its worker
MOST_LOSSES = 50  # in a line of metrics
EXAMPLES = 16
STEP_IMAGES = 1_000  # test images that are asked what each step is worth: a second for a LeNet
SMALL = 1_000_000  # parameters; of a larger network one checkpoint is kept, not one for each epoch
EARLY = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # steps after which the network is kept
MOST_EPOCHS_KEPT = 100

Listener = Callable[[dict[str, Any]], None]


def work(run: Run, *, supervised: bool = False, listener: Listener | None = None, team: Alone | None = None) -> str:
    """Trains the run to its end, or as far as its learner wants; returns the status it is left in.

    If `supervised`, the end of standard input means that whoever started this is gone: the state is
    saved, and the process ends. `listener` is told every event as it is written. `team` are the processes
    that train it together, of which this is the first.

    Raises:
        RunError: another worker has it, or its plan is damaged.
        StorageError: its folder cannot be written to.
    """
    plan = run.plan
    if run.status == "finished":
        return "finished"
    torch.set_num_threads(plan.threads)
    team = team or Alone()
    guard = Guard(run, supervised, team)
    guard.start()
    worker = Worker(run, guard, listener, team)
    try:
        worker.train()
    except (LenetError, ValueError, OSError, RuntimeError, MemoryError) as error:
        if guard.lost:
            raise RunError(f"{run.name} was taken away.") from error
        run.make_room()
        worker.tell("failed", message=_reason(team.cause(error)))
        team.abandon()
    finally:
        guard.finish()
    return run.status


def _reason(error: BaseException) -> str:
    """One line for a learner: what the computer lacked, or the error's own first line."""
    text = str(error).strip()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "There was not enough memory; choose a smaller batch or a smaller network, or the CPU."
    return (text.splitlines() or [type(error).__name__])[0][:400]


class Worker:
    """One training and what it writes."""

    def __init__(self, run: Run, guard: Guard, listener: Listener | None, team: Alone) -> None:
        self.run, self.guard, self.listener, self.team = run, guard, listener, team
        self.recipe = run.plan.recipe

    def tell(self, kind: str, **facts: Any) -> None:
        """Writes an event."""
        self.guard.check()
        event = {"kind": kind, "time": time.time(), **facts}
        self.run.append(event)
        if self.listener is not None:
            self.listener(event)

    def train(self) -> None:
        """The whole training, from its last saved state."""
        self.run.clear_litter()  # what a crash left half written
        self.tell("starting")
        device = self.team.join(self.run.plan.device)
        self.device_title = device_title(device) + self.team.title
        data = self.team.load(self.recipe.data)
        net = build(self.recipe.architecture, seed=self.recipe.seed)
        self.training = Training(net, self.recipe, data, device, self.team.make_step)
        self._take_up()
        self.team.share(self.training)
        self.classes, self.data_title = data.classes, data.title
        self._show_examples()
        self.tell(
            "started", step=self.training.steps_done, total_steps=self.training.total_steps,
            steps_per_epoch=self.training.batches, epochs=self.recipe.epochs, device=self.device_title,
            images=len(self.training.labels), held_out=len(self.training.held_out), data=data.title,
            classes=list(data.classes),
        )  # fmt: skip
        if self.training.steps_done == 0:
            self._keep(0)
        if self._learn():
            self._finish()

    def _take_up(self) -> None:
        path = self.run.file("state")
        if not path.exists():
            return
        try:
            self.training.load_state(load_file(path))
        except (ValueError, OSError, RuntimeError, SafetensorError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise RunError(f"The saved state cannot be used ({reason:.200}). Train the recipe anew.") from error

    # ---------------------------------------------------------------- learning

    def _learn(self) -> bool:
        """Runs the training; whether it came to its end."""
        window = Window()
        now = time.monotonic()
        looked, saved, save_cost = now - LOOK, now, 0.0
        tick = tick_after(self.run.events_size)
        for event in self.training:
            if isinstance(event, Epoch):
                self._metrics(window, look=True)
                self._end_epoch(event)
                self.guard.end_step()
                window, saved = Window(), time.monotonic()
            else:
                window.add(event)
                self._keep_early(event.step)
                now = time.monotonic()
                if now - window.started >= tick:
                    look = now - looked >= LOOK
                    looked = now if look else looked
                    self._metrics(window, look)
                    window, tick = Window(), tick_after(self.run.events_size)
                    if now - saved > max(SAVE, 20 * save_cost):
                        begin = time.monotonic()
                        self._save_state()
                        saved = time.monotonic()
                        save_cost = saved - begin
            if self.guard.wish not in ("run", "step") and not self._heed(window):
                return False
        return True

    def _heed(self, window: Window) -> bool:
        """Does what is wanted; whether to go on training."""
        if self.training.epoch == self.recipe.epochs:
            return True  # nothing is left to stop
        self.guard.check()
        self._metrics(window, look=True)
        window.clear()
        self._save_state()
        step = self.training.steps_done
        if self.guard.wish == "pause":
            self.tell("paused", step=step)
            deadline = time.monotonic() + PAUSE
            while self.guard.wish == "pause" and time.monotonic() < deadline:
                time.sleep(0.05)
        if self.guard.wish == "stop":
            self._keep_result({})
            if self.guard.listen() == "stop":  # its learner may have changed their mind meanwhile
                with self.guard.forced:
                    self.tell("stopped", step=step)
                    self.guard.done.set()
                return False
        window.clear()
        return self.guard.wish in ("run", "step")

    def _metrics(self, window: Window, look: bool) -> None:
        """Writes what was learned since the last time, and on the slower clock looks inside."""
        if not window.losses:
            return
        losses = torch.stack(window.losses).tolist()
        step = self.training.steps_done
        if not all(math.isfinite(loss) for loss in losses):
            rate = window.learning_rate
            raise ValueError(
                f"The loss is no longer a number after {step:,} steps: a learning rate of {rate:g} is too "
                "high here. Try a third of it."
            )
        stride = -(-len(losses) // MOST_LOSSES)
        facts: dict[str, Any] = {"layers": self._look_inside()} if look else {}
        self.tell(
            "metrics", step=step, epoch=self.training.epoch, first=step - len(losses) + 1, stride=stride,
            losses=[float(f"{loss:.5g}") for loss in losses[::stride]],
            accuracy=round(int(torch.stack(window.correct).sum()) / window.images, 5),
            images_per_second=round(window.images / (time.monotonic() - window.started), 1),
            learning_rate=window.learning_rate, **facts,
        )  # fmt: skip

    def _look_inside(self) -> dict[str, dict[str, float]]:
        net = self.training.net
        if self._is_small():
            self._write(self.run.file("latest"), to_bytes(self._checkpoint({})), durable=False)
        inside = {"gradient": gradient_norms(net), "saturation": saturation(net, self.example_inputs)}
        return {
            name: {layer: float(f"{v:.4g}") for layer, v in values.items() if math.isfinite(v)}
            for name, values in inside.items()
        }

    def _end_epoch(self, event: Epoch) -> None:
        step = self.training.steps_done
        facts: dict[str, Any] = {}
        if event.validation is not None:
            facts = {"validation": event.validation.accuracy, "confusion": event.validation.confusion}
            self._write_gallery("worst", self.training.held_out, event.validation)
        if (event.epoch + 1) % -(-self.recipe.epochs // MOST_EPOCHS_KEPT) == 0 and self._is_small():
            self._keep(step)
        self._keep_result({})
        self.tell(
            "epoch", step=step, epoch=event.epoch + 1, loss=event.loss, accuracy=event.accuracy,
            seconds=event.seconds, **facts,
        )  # fmt: skip
        self._save_state()  # after the event, which a crash in between writes again and never loses

    def _finish(self) -> None:
        """Asks the test images, once, and writes the result."""
        test = load(self.recipe.data, train=False)
        result = evaluate(self.training.net, test, self.recipe.architecture.input_shape)
        self._write_gallery("mistakes", test, result)
        costs = step_costs(self.training.net, test, self.recipe.architecture, STEP_IMAGES)
        epochs = {event["epoch"]: event for event in self.run.events()[0] if event["kind"] == "epoch"}
        seconds = sum(event.get("seconds", 0) for event in epochs.values())
        self._keep_result(
            {
                "test_accuracy": result.accuracy,
                "seconds": round(seconds, 1),
                "device": self.device_title,
                "torch": torch.__version__,
                "python": platform.python_version(),
                "familiar": result.familiar and result.familiar.to_dict(),
                "steps": costs and costs.to_dict(),
            }
        )
        with self.guard.forced:
            self.tell(
                "finished", step=self.training.steps_done, seconds=seconds, test=result.accuracy,
                interval=list(result.interval), images=result.images, correct=result.correct,
                confusion=result.confusion,
            )  # fmt: skip
            self.guard.done.set()

    # ---------------------------------------------------------------- files

    def _is_small(self) -> bool:
        return self.recipe.architecture.parameters <= SMALL

    def _checkpoint(self, more: dict[str, Any]) -> Checkpoint:
        training = {
            "recipe": self.recipe.to_dict(), "data": self.data_title, "seed": self.recipe.seed,
            "epochs": self.training.epoch, "step": self.training.steps_done, **more,
        }  # fmt: skip
        return Checkpoint(self.recipe.architecture, self.training.net, self.classes, training)

    def _keep(self, step: int) -> None:
        self._write(self.run.checkpoint_path(step), to_bytes(self._checkpoint({})))

    def _keep_early(self, step: int) -> None:
        if step in EARLY and self._is_small():
            self._keep(step)

    def _keep_result(self, more: dict[str, Any]) -> None:
        self._write(self.run.file("model"), to_bytes(self._checkpoint(more)))

    def _save_state(self) -> None:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.training.state().items()}
        self._write(self.run.file("state"), save(state))

    def _show_examples(self) -> None:
        """Keeps some held-out images to look at, one of each class among them; training images if none are held out."""
        shown = self.training.held_out if len(self.training.held_out) else self.training.train
        of_each = [int((shown.labels == label).nonzero()[0]) for label in shown.labels.unique()[:EXAMPLES]]
        others = [index for index in range(len(shown)) if index not in of_each][: EXAMPLES - len(of_each)]
        shown = shown.take(torch.tensor(sorted(of_each + others)))
        self.example_inputs = to_input(shown.images, self.recipe.architecture.input_shape).to(self.training.device)
        self._write(self.run.file("examples"), save({"images": shown.images.contiguous(), "labels": shown.labels}))

    def _write_gallery(self, name: str, data: DataSet, result: Evaluation) -> None:
        """The images that a test answered worst, with what it said of them."""
        tensors: dict[str, Tensor] = {
            "images": data.images[result.worst].contiguous(),
            "labels": data.labels[result.worst],
            "probabilities": torch.tensor(result.worst_probabilities),
        }
        self._write(self.run.file(name), save(tensors))

    def _write(self, path: Path, data: bytes, durable: bool = True) -> None:
        self.guard.check()
        write_atomically(path, data, durable=durable)


def tick_after(events_size: int) -> float:
    """Seconds from one line of metrics to the next, in a run whose events have so many bytes.

    In proportion to them, so that they grow with the square root of the time: 7 MB in an hour and 40 in a day
    instead of 20 and 480, and a chart's newest points are always a small part of it.
    """
    return TICK * min(max(1.0, events_size / MANY_EVENTS), MOST_TICKS)


class Window:
    """What was learned since the last line of metrics; its tensors are read when it is written."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.started = time.monotonic()
        self.losses: list[Tensor] = []
        self.correct: list[Tensor] = []
        self.images = 0
        self.learning_rate = 0.0

    def add(self, step: Step) -> None:
        """Takes a step."""
        self.losses.append(step.loss)
        self.correct.append(step.correct)
        self.images += step.images
        self.learning_rate = step.learning_rate
