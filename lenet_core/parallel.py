"""One network trained by several processes together, as `torchrun` starts them; or by one alone.

The first process owns the run: it alone reads requests, writes the folder and tests. The others hold the
same network and the same images and compute their part of each batch. Before each step the first says
that it takes place, so that the others wait while it tests or pauses, for as long as it likes. That a
training is over stands in a store that all of them look into: so it reaches a process that waits in the
middle of a step, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from lenet_core.data import DataSet, load
from lenet_core.devices import pick_device
from lenet_core.errors import LenetError, RunError
from lenet_core.layers import build
from lenet_core.optimisers import Optimiser
from lenet_core.runs import Plan
from lenet_core.train import EagerStep, Objective, Training, fastest_step

MEETING = timedelta(minutes=5)  # until all processes must have started
WAITING = timedelta(days=1)  # that one may wait for another: a test of the network can take long
LOOK = 0.1  # seconds between two looks whether it is over
FAR = 2_654_435_761  # between two processes' seeds: 2^32, which is all a CPU takes of one, over the golden ratio
LAST_WORDS = 3.0  # seconds that a process which failed leaves the first to say so


class Alone:
    """One process that trains by itself. `title` is added to its device's."""

    title = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what was begun together."""

    def join(self, choice: str) -> torch.device:
        """The device to compute on, of those that `choice` names, when all processes are there.

        Raises:
            ValueError: there is no such device, or too few of them.
        """
        return pick_device(choice)

    def load(self, name: str) -> DataSet:
        """The data set's training images; of several processes on a machine one fetches them.

        Raises:
            DataError: they are not there and cannot be fetched.
        """
        return load(name, train=True)

    def make_step(self, net: nn.Sequential, optimiser: Optimiser, loss: Objective) -> EagerStep:
        """The step that the training takes."""
        return fastest_step(net, optimiser, loss)

    def share(self, training: Training) -> None:
        """Brings every process to where the first one's training stands."""

    def cause(self, error: BaseException) -> BaseException:
        """What `error` came from, which may have happened in another process."""
        return error

    def abandon(self) -> None:
        """Ends the other processes, wherever they are."""


class Dismissed(Exception):  # noqa: N818
    """The first process needs no more steps."""


class Team(Alone):
    """This process among those that `torchrun` started, as its environment variables say.

    Raises:
        ValueError: one of these variables is missing.
        RunError: the others cannot be reached.
    """

    def __init__(self) -> None:
        try:
            self.store, self.rank, self.size = next(rendezvous("env://", timeout=MEETING))
        except dist.DistError as error:
            place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            raise RunError(f"The other processes cannot be reached at {place}; start them with torchrun.") from error
        self.local_rank = int(os.environ.get("LOCAL_RANK", self.rank))
        self.title = f" × {self.size}"
        self._notes = self.store.clone()  # a connection that is free while the other one waits
        self._joined = self._nccl = False
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        if self.rank == 0:
            signal.signal(signal.SIGINT, _interrupt)
            signal.signal(signal.SIGTERM, _interrupt)
        else:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all, and is for the first
            self._watcher.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or not self._joined:
            self.abandon()
        orderly = not self._ended.is_set()
        if orderly:
            with contextlib.suppress(RuntimeError):  # who is gone needs no farewell, and torchrun tells of it
                if self.rank == 0:
                    self._say(go=False)
                self._end_watch()
                self._meet()  # nobody leaves while another still listens
        self._part(orderly)

    def join(self, choice: str) -> torch.device:
        if self.rank == 0:
            self.store.set("device", self._kind(choice))
        kind = self.store.get("device").decode()
        device = pick_device(kind)
        if kind == "cuda":
            count = torch.cuda.device_count()
            if self.local_rank >= count:
                raise ValueError(
                    f"There are more processes than GPUs, of which {socket.gethostname()} has {count}: start {count} "
                    "there with --nproc-per-node, or choose --device cpu."
                )
            device = torch.device("cuda", self.local_rank)
            torch.cuda.set_device(device)
        # Words go through gloo also where gradients go through NCCL: who waits for one leaves its GPU idle.
        self._nccl = kind == "cuda"
        backend = "cpu:gloo,cuda:nccl" if self._nccl else "gloo"
        # DistributedDataParallel imports it, and where that is later than this it keeps the connections for ever.
        importlib.import_module("torch._dynamo")
        dist.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.size, timeout=WAITING)
        self._joined = True
        return device

    def _kind(self, choice: str) -> str:
        kind = pick_device(choice).type
        if kind in ("cpu", "cuda"):
            return kind
        if choice == "auto":
            return "cpu"
        raise ValueError(f"Several processes can train on CPUs and on CUDA GPUs, not on {kind}; choose --device cpu.")

    def load(self, name: str) -> DataSet:
        if self.local_rank > 0:
            self._meet()
        data = load(name, train=True)
        if self.local_rank == 0:
            self._meet()
        return data

    def make_step(self, net: nn.Sequential, optimiser: Optimiser, loss: Objective) -> EagerStep:
        return ParallelStep(net, optimiser, loss, self)

    def share(self, training: Training) -> None:
        state = {
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in training.state().items()
        }
        for tensor in state.values():
            dist.broadcast(tensor, 0)
        training.load_state(state)

    def cause(self, error: BaseException) -> BaseException:
        with contextlib.suppress(dist.DistError):  # then torchrun is gone too
            if self._notes.check(["trouble"]):
                return RunError(self._notes.get("trouble").decode())
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            return RunError(
                f"One of the {self.size} processes ended without a word, perhaps for want of memory; "
                "resume the run to go on from its last saved state."
            )
        return error

    def abandon(self) -> None:
        self._end_watch()
        with contextlib.suppress(dist.DistError):  # then torchrun is gone, and ends them itself
            self._notes.set("over", "yes")

    def is_over(self) -> bool:
        """Whether the first process has abandoned the others."""
        return bool(self._notes.check(["over"]))

    def agree(self) -> None:
        """Says to the others that the next step takes place; in one of them, waits for that word.

        Raises:
            Dismissed: there is none.
        """
        if not self._say(go=True):
            raise Dismissed

    def _say(self, go: bool) -> bool:
        word = torch.tensor([go], dtype=torch.uint8)
        dist.broadcast(word, 0)
        return bool(word)

    def _meet(self) -> None:
        dist.all_reduce(torch.zeros(1))

    def _watch(self) -> None:
        """Ends this process when the first one has gone."""
        while not self._ended.wait(LOOK):
            try:
                if self.is_over() and not self._ended.is_set():
                    os._exit(0)
            except dist.DistError:
                print(f"error: process {self.rank} has lost the others", file=sys.stderr)
                os._exit(1)

    def _part(self, orderly: bool) -> None:
        """Ends the connections and their threads, which Python may not outlive: they would abort the process."""
        if dist.is_initialized() and (orderly or not self._nccl):  # NCCL might wait for the others
            dist.destroy_process_group()
            gc.collect()

    def _end_watch(self) -> None:
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def give_up(self, error: BaseException) -> None:
        """Tells the first process what went wrong here, and gives it the time to write that down.

        Raises:
            LenetError: it was this process's fault, and not the first one's end in the middle of a step.
        """
        self._end_watch()
        cause = self.cause(error)
        message = str(cause)
        with contextlib.suppress(dist.DistError):  # the store has gone with the first process, and torchrun
            if self.is_over():
                return
            if cause is error:
                reason = (message.strip().splitlines() or [type(error).__name__])[0]
                message = f"Process {self.rank}, on {socket.gethostname()}: {reason:.400}"
                self._notes.set("trouble", message)
            self._part(orderly=False)  # so that the first process's step fails
            deadline = time.monotonic() + LAST_WORDS
            while not self.is_over() and time.monotonic() < deadline:
                time.sleep(LOOK)
        raise LenetError(message) from error


def _interrupt(*_: Any) -> None:
    """Ends the training as Ctrl-C does, once: a terminal and torchrun both ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


class ParallelStep(EagerStep):
    """A step in which each process computes its part of the batch; the arithmetic is the whole batch's.

    `DistributedDataParallel` averages the processes' gradients. Each weighs its own by its share of the
    images, so that their average is the gradient of the batch's mean loss, however uneven the parts.
    """

    def __init__(self, net: nn.Module, optimiser: Optimiser, loss: Objective, team: Team) -> None:
        super().__init__(net, optimiser, loss)
        self.team = team
        self.together = DistributedDataParallel(net)
        self.together.broadcast_buffers = False  # ours never change; as an argument its name depends on the version
        self.drops = any(isinstance(module, nn.Dropout) for module in net.modules())

    def __call__(self, images: Tensor, labels: Tensor, learning_rate: float) -> tuple[Tensor, Tensor]:
        team = self.team
        team.agree()
        if self.drops:  # each process its own draws; the first keeps those that it has alone
            torch.manual_seed(torch.initial_seed() + team.rank * FAR)
        own_images, own_labels = (whole.tensor_split(team.size)[team.rank] for whole in (images, labels))
        count = len(own_labels)
        if count == 0:  # more processes than images: one image, with no weight
            own_images, own_labels = images[:1], labels[:1]
        for parameter in self.parameters:
            parameter.grad = None
        logits = self.together(own_images)
        loss = self.loss(logits, own_labels) * (count / len(labels))
        (loss * team.size).backward()
        correct = (logits.detach().argmax(1) == own_labels)[:count].sum()
        sums = torch.stack([loss.detach(), correct.to(loss.dtype)])
        dist.all_reduce(sums)
        self.optimiser.step(learning_rate)
        return sums[0], sums[1].long()


def gather(plan: Plan) -> Alone:
    """Those who train a plan, for the process that leads: `torchrun`'s, or it alone.

    Raises:
        RunError: the others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) < 2:
        return Alone()
    team = Team()
    team.store.set("plan", json.dumps(dataclasses.asdict(plan)))
    return team


def follow() -> None:
    """Computes for the first process, until that one needs no more steps.

    Raises:
        LenetError: something went wrong here; the first process was told.
    """
    with Team() as team:
        try:
            with contextlib.suppress(Dismissed):
                _compute(team)
        except (LenetError, ValueError, OSError, RuntimeError, MemoryError) as error:
            team.give_up(error)


def _compute(team: Team) -> None:
    plan = Plan.from_dict(json.loads(team.store.get("plan")))
    recipe = plan.recipe
    torch.set_num_threads(plan.threads)
    device = team.join(plan.device)
    data = team.load(recipe.data)
    training = Training(build(recipe.architecture, seed=recipe.seed), recipe, data, device, team.make_step)
    training.held_out = training.held_out.take(slice(0, 0))  # the first process tests
    team.share(training)
    for _ in training:
        pass
    team.agree()
