"""Gets runs trained: takes them on in a bounded queue and starts a worker process for each in its turn.

Runs are folders (`runs.py`), and one command trains one, `python -m lenet_core work FOLDER`; an engine
only decides when and where it is started: `local_engine.py` here, `cluster.py` on a cluster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lenet_core.errors import LenetError, RunError, StorageError
from lenet_core.leases import Lease
from lenet_core.retention import Caretaker
from lenet_core.runs import ENDED, Plan, Run, all_runs, create_run, unfinished
from lenet_core.tickets import admission

_LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[1]

# glibc gives freed memory back to the system and asks for it again at every step; kept, a step takes up to a
# third less time (`python -m benchmarks.allocator`). Dask's nanny sets the first to 64 KiB, which makes it take
# three times as long.
WORKER_ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": "134217728", "MALLOC_MMAP_THRESHOLD_": "134217728"}


@dataclass(frozen=True)
class Limits:
    """How much an engine takes on: `workers` at once, `queue` unfinished runs in all, `share` of each learner."""

    workers: int
    queue: int
    share: int

    @classmethod
    def from_environment(cls) -> Limits:
        """`LENET_WORKERS` (half the processors), `LENET_QUEUE` (256 runs), `LENET_SHARE` (64 runs).

        Raises:
            ValueError: one of them is no whole number of 1 or more.
        """
        workers = max(1, (os.cpu_count() or 1) // 2)
        return cls(_setting("LENET_WORKERS", workers), _setting("LENET_QUEUE", 256), _setting("LENET_SHARE", 64))


def _setting(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or int(text[:9]) < 1:
        raise ValueError(f"{name} must be a whole number of 1 or more, not {text[:40]!r}.")
    return int(text[:9])


def command(run: Run) -> list[str]:
    """The worker's command line for a run."""
    return [sys.executable, "-m", "lenet_core", "work", str(run.folder.absolute()), "--supervised"]


def environment() -> dict[str, str]:
    """The worker's environment: ours, with an allocator that keeps its memory."""
    return {**os.environ, **WORKER_ENVIRONMENT}


class Engine(ABC):
    """Takes runs on and gets them trained, first come first served, each learner in turn."""

    adopts: tuple[str, ...] = ("waiting",)

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._admission = threading.Lock()
        self._caretaker = Caretaker()

    def submit(self, plans: Sequence[Plan]) -> list[Run]:
        """New runs for these plans, all of one learner, waiting for a worker; all of them or none.

        Raises:
            RunError: the queue, or the learner's share of it, would be over its limit.
            StorageError: a run's folder cannot be made.
        """
        learner = plans[0].learner
        with self._admitted() as lease:
            own = self._check_room(len(plans), learner, unfinished(all_runs()))
            now = time.time()
            runs: list[Run] = []
            try:
                for index, plan in enumerate(plans):
                    runs.append(create_run(dataclasses.replace(plan, turn=own + index, created=now + index * 1e-3)))
                    lease.beat()  # many may take long
                for run in runs:
                    self.enqueue(run)
            except LenetError:
                for run in runs:
                    run.delete()
                raise
        self._caretaker.ask()
        return runs

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[Lease]:
        """Keeps everybody else, here and in other processes, from adding to the queue."""
        with self._admission, admission() as lease:
            yield lease

    def _check_room(self, new: int, learner: str, present: Sequence[Run]) -> int:
        """How many of those present are the learner's, if there is room for as many new ones."""
        own = sum(_learner(run) == learner for run in present)
        if own + new > self.limits.share:
            raise RunError(
                f"You have {own} unfinished runs; {new} more would be over your share of {self.limits.share}. "
                "Stop or delete some, or wait until they are done."
            )
        if len(present) + new > self.limits.queue:
            raise RunError(
                f"The queue is full: {len(present)} runs of at most {self.limits.queue} are unfinished, and these "
                f"are {new} more. Try again when some are done."
            )
        return own

    def resume(self, run: Run, request: str = "run") -> None:
        """Lets a paused, stopped or failed run go on from its last saved state; with "step", for one epoch.

        Raises:
            RunError: it is finished or gone, or the queue, or the learner's share of it, would be over its limit.
            StorageError: its folder cannot be written to.
        """
        learner = run.plan.learner
        with self._admitted():
            if not run.folder.exists():
                raise RunError(
                    f"{run.name} is no longer kept: it was deleted, or given up to make room. Train its recipe anew."
                )
            status = run.status
            if status == "finished":
                raise RunError(f"{run.name} is finished; start a new run to train further.")
            if status in ENDED:
                self._check_room(1, learner, unfinished(all_runs()))
            run.ask(request)
            self.enqueue(run)

    def ahead_of(self, run: Run) -> int | None:
        """How many waiting runs will be started before this one; None where the engine cannot tell."""
        return None

    def has_begun(self, run: Run) -> bool:
        """Whether a worker was started for it, which may not have got so far as to say so."""
        return False

    def adopt(self) -> list[Run]:
        """Takes on every run that waits and has nobody: those of an app that ended before them."""
        self._caretaker.ask()  # nobody did for what a cluster trained meanwhile
        adopted = []
        for run in all_runs():
            if run.status in self.adopts:
                try:
                    self.enqueue(run)
                    adopted.append(run)
                except StorageError:  # a ticket that an earlier app made is there still; the others' turn
                    _LOG.exception("%s could not be taken on", run.name)
                except LenetError as error:  # nobody can ever train it
                    fail(run, str(error))
        return adopted

    @abstractmethod
    def enqueue(self, run: Run) -> None:
        """Takes on a run that waits; nothing happens if it was taken on already."""

    @abstractmethod
    def close(self) -> None:
        """Takes on and starts nothing more."""

    @abstractmethod
    def problem(self) -> str:
        """What keeps the engine from training, in a sentence for learners; empty if nothing does."""


def _learner(run: Run) -> str:
    try:
        return run.plan.learner
    except LenetError:
        return ""


def fail(run: Run, message: str) -> None:
    """Marks a run that has no worker as failed."""
    with contextlib.suppress(LenetError):  # then its folder is gone, or full, and another has it
        lease = Lease(run.folder)
        try:
            run.make_room()
            run.append({"kind": "failed", "time": time.time(), "message": message})
        finally:
            lease.release()


def last_words(run: Run) -> str:
    """The last line that the run's worker wrote to its log."""
    try:
        lines = (run.folder / "worker.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
