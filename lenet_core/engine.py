"""Gets runs trained: takes them on in a bounded queue and starts a worker process for each in its turn.

Runs are folders (`runs.py`), and one command trains one, `python -m lenet_core work FOLDER`; an engine
only decides when and where it is started. This one starts it here. `cluster.py` has the other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lenet_core.errors import LenetError, RunError, StorageError
from lenet_core.leases import Lease, holder, lives
from lenet_core.retention import Caretaker
from lenet_core.runs import ENDED, Plan, Run, all_runs, create_run, unfinished
from lenet_core.tickets import Ticket, Tickets, admission, in_turn

_LOG = logging.getLogger(__name__)
_TICK = 0.1  # seconds
_MOST_CRASHES = 3
_ROOM = 2**20  # bytes free on the disk, without which no training begins
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
            RunError: it is finished, or the queue, or the learner's share of it, would be over its limit.
            StorageError: its folder cannot be written to.
        """
        learner = run.plan.learner
        with self._admitted():
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


class _Worker(NamedTuple):
    """A worker process, and the stamp of the ticket for which it was started."""

    run: Run
    process: subprocess.Popen[bytes]
    stamp: int


class LocalEngine(Engine):
    """Trains on this machine: worker processes that end when this one ends.

    Of all engines on a machine and data folder one leads: it starts the workers for the tickets of all (`tickets.py`),
    at most as many at a time as the most generous of them allows. When it ends, another leads.

    A worker's standard input is a pipe that nobody writes to: when this process ends, however it ends,
    the system closes the pipe, and the worker saves its state and ends too.
    """

    adopts = ("waiting", "starting", "running")  # the last two: should their worker end, as that of a killed app does

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits.from_environment())
        self._queue = Tickets()
        self._tickets = self._queue.read()
        self._lead: Lease | None = None
        self._adopting = False
        self._workers: dict[str, _Worker] = {}
        self._crashes: Counter[str] = Counter()
        self._served: dict[str, int] = {}  # each learner's last start, all starts numbered
        self._trouble = ""
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="training engine", daemon=True)
        self._thread.start()

    def enqueue(self, run: Run) -> None:
        _ = run.plan  # of a damaged one nobody could say whose turn it is
        with self._lock:
            self._queue.hand_in(run, self.limits.workers)
            self._tickets = self._queue.read()

    def adopt(self) -> list[Run]:
        self._adopting = True
        return super().adopt()

    def ahead_of(self, run: Run) -> int | None:
        with self._lock:
            names = [ticket.run.name for ticket in self._in_turn()]
        return names.index(run.name) if run.name in names else 0

    def has_begun(self, run: Run) -> bool:
        with self._lock:
            return run.name in self._workers

    def problem(self) -> str:
        return self._trouble if self._thread.is_alive() else "The training engine has ended; restart the app."

    def close(self) -> None:
        """Lets every worker save its state and end; returns when they have, after two seconds at most."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            workers = [worker.process for worker in self._workers.values()]
        for process in workers:
            assert process.stdin is not None
            process.stdin.close()
        deadline = time.monotonic() + 2
        for process in workers:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lead is not None:  # only now, so that whoever leads next finds these runs free
            self._lead.release()

    def _supervise(self) -> None:
        while not self._closed.wait(_TICK):
            try:
                with self._lock:
                    self._tickets = self._queue.read()
                    self._end_deaf()
                    self._reap()
                    if self._leads():
                        self._start_next()
                self._trouble = ""
            except LenetError as error:
                if str(error) != self._trouble:
                    _LOG.exception("the queue could not be served")
                self._trouble = str(error)

    def _leads(self) -> bool:
        """Whether this engine starts the workers; it may have slept for so long that another does now."""
        if self._lead is None or not self._lead.beat():
            try:
                self._lead = self._queue.lead()
            except RunError:
                self._lead = None
        return self._lead is not None

    def _reap(self) -> None:
        for name, (run, process, stamp) in list(self._workers.items()):
            if process.poll() is None:
                continue
            del self._workers[name]
            assert process.stdin is not None
            process.stdin.close()
            ticket = self._tickets.get(name)
            asked_again = ticket is not None and ticket.stamp != stamp
            if run.status != "waiting":
                self._caretaker.ask()
                self._crashes.pop(name, None)
                if ticket is not None and not asked_again:
                    self._take_back(ticket)
            elif not asked_again:  # it did not end as it should
                self._crashed(run, process.returncode)

    def _crashed(self, run: Run, code: int) -> None:
        """Leaves it to be started again from its last state, unless it ends so every time."""
        self._crashes[run.name] += 1
        if self._crashes[run.name] < _MOST_CRASHES:
            return
        del self._crashes[run.name]
        how = "was killed, perhaps for want of memory" if code == -9 else f"ended with status {code}"
        fail(run, f"The worker {how}, {_MOST_CRASHES} times. Its last words: {last_words(run) or 'none'}")

    def _end_deaf(self) -> None:
        """Ends workers that still load PyTorch, hear nothing and have nothing to save, when their runs are stopped."""
        for run, process, _ in self._workers.values():
            if run.request == "stop" and holder(run.folder) is None:
                process.kill()

    def _in_turn(self) -> list[Ticket]:
        # One that was asked for again while its worker is about to end waits until that has ended.
        waiting = []
        for name in self._tickets.keys() - self._workers.keys():
            try:
                _ = self._tickets[name].run.plan
                waiting.append(self._tickets[name])
            except RunError as error:  # nobody can ever train it
                fail(self._tickets[name].run, str(error))
                self._take_back(self._tickets[name])
        return in_turn(waiting, self._served)

    def _take_back(self, ticket: Ticket) -> None:
        self._queue.take_back(ticket)
        self._tickets.pop(ticket.run.name, None)

    def _start_next(self) -> None:
        here = {process for process in {ticket.process for ticket in self._tickets.values()} if lives(process)}
        allowed = (ticket.workers for ticket in self._tickets.values() if ticket.process in here)
        workers = max(self.limits.workers, *allowed, 0)
        for ticket in self._in_turn():
            if len(self._workers) >= workers:
                return
            # What a sweep left that was given up is no other sweep's to go on with; an app's it is.
            if ticket.process not in here and not self._adopting:
                continue
            status = ticket.run.status
            if status == "waiting":
                self._start(ticket)
            elif status not in ("starting", "running"):  # else it is trained elsewhere
                self._take_back(ticket)  # it was stopped or paused while it waited

    def _start(self, ticket: Ticket) -> None:
        run = ticket.run
        try:
            # On a full disk a worker could not even say why it ends; here the run waits until there is room again.
            if (free := shutil.disk_usage(run.folder).free) < _ROOM:
                raise StorageError(
                    f"The disk with {run.folder.parent} is full, {free:,} bytes are left. Make room there; then what "
                    "waits goes on by itself."
                )
            with (run.folder / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    command(run), cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=log, stderr=log
                )
        except OSError as error:
            fail(run, f"No worker could be started ({error.strerror or error}).")
            self._take_back(ticket)
            return
        self._workers[run.name] = _Worker(run, process, ticket.stamp)
        self._served[run.plan.learner] = max(self._served.values(), default=0) + 1


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
