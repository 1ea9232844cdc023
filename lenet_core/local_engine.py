"""The engine of one machine: worker processes, for the tickets of all engines that share the data folder."""

from __future__ import annotations

import logging
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from lenet_core.engine import ROOT, Engine, Limits, command, environment, fail, last_words
from lenet_core.errors import LenetError, RunError, StorageError
from lenet_core.leases import Lease, holder, lives
from lenet_core.runs import ENDED, Run
from lenet_core.tickets import Ticket, Tickets, in_turn

_LOG = logging.getLogger(__name__)
_TICK = 0.1  # seconds
_REST = 5.0  # seconds until what the disk refused is tried again; less than a lease takes to grow stale
_MOST_CRASHES = 3
_ROOM = 2**20  # bytes that can be written, without which no training begins


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

    Raises:
        StorageError: the data folder cannot be written to.
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
        self._trouble, self._rests_until = "", 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="training engine", daemon=True)
        self._thread.start()

    def enqueue(self, run: Run) -> None:
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
                    self._serve()
            except LenetError as error:
                if str(error) != self._trouble:
                    _LOG.exception("the queue could not be served")
                self._trouble, self._rests_until = str(error), time.monotonic() + _REST

    def _serve(self) -> None:
        self._tickets = self._queue.read()
        self._end_deaf()
        self._reap()
        if time.monotonic() < self._rests_until:
            return
        if self._leads():
            self._start_next()
        self._trouble = ""

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
            if run.status in (*ENDED, "paused"):
                self._caretaker.ask()
                self._crashes.pop(name, None)
                if ticket is not None and not asked_again:
                    self._take_back(ticket)
            elif not asked_again:  # it did not end as it should; where its lease is fresh, it seems to live still
                self._crashed(run, process.returncode)

    def _crashed(self, run: Run, code: int) -> None:
        """Leaves it to be started again from its last state, unless it ends so every time."""
        self._crashes[run.name] += 1
        if self._crashes[run.name] < _MOST_CRASHES:
            return
        del self._crashes[run.name]
        how = "was killed, perhaps for want of memory" if code == -9 else f"ended with status {code}"
        fail(
            run,
            f"The worker {how}, {_MOST_CRASHES} times. Its last words: {last_words(run) or 'none'}. Resume goes on "
            "from its last saved state.",
        )

    def _end_deaf(self) -> None:
        """Ends workers that still load PyTorch, hear nothing and have nothing to save, when their runs are stopped."""
        for run, process, _ in self._workers.values():
            if run.request == "stop" and holder(run.folder) is None:
                process.kill()

    def _in_turn(self) -> list[Ticket]:
        # One that was asked for again while its worker is about to end waits until that has ended.
        waiting = self._tickets.keys() - self._workers.keys()
        return in_turn([self._tickets[name] for name in waiting], self._served)

    def _take_back(self, ticket: Ticket) -> None:
        self._queue.take_back(ticket)
        self._tickets.pop(ticket.run.name, None)

    def _start_next(self) -> None:
        here = {process for process in {ticket.process for ticket in self._tickets.values()} if lives(process)}
        allowed = (ticket.workers for ticket in self._tickets.values() if ticket.process in here)
        workers = max([self.limits.workers, *allowed])
        trouble: StorageError | None = None
        for ticket in self._in_turn():
            if len(self._workers) >= workers:
                break
            # What a sweep left that was given up is no other sweep's to go on with; an app's it is.
            if ticket.process not in here and not self._adopting:
                continue
            status = ticket.run.status
            if status == "waiting":
                try:
                    self._start(ticket)
                except StorageError as error:  # it waits; others may lie where there is room
                    trouble = error
            elif status not in ("starting", "running"):  # else it is trained elsewhere
                self._take_back(ticket)  # it was stopped or paused while it waited
        if trouble is not None:
            raise trouble

    def _start(self, ticket: Ticket) -> None:
        run = ticket.run
        try:
            _ = run.plan  # of a damaged one every worker would say the same
            _check_disk(run.folder)
            with (run.folder / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    command(run), cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=log, stderr=log
                )
        except (RunError, FileNotFoundError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            fail(run, f"No worker could be started ({reason or error}). Train its recipe anew.")
            self._take_back(ticket)
            return
        except OSError as error:  # no memory, process or file is to be had: that is no fault of this run
            raise StorageError(
                f"No training can be started ({error.strerror or error}). Close what else runs here; what waits goes "
                "on by itself."
            ) from error
        self._workers[run.name] = _Worker(run, process, ticket.stamp)
        self._served[ticket.learner] = max(self._served.values(), default=0) + 1


def _check_disk(folder: Path) -> None:
    """Raises a StorageError unless some more can be written, of which a quota says as little as a read-only disk.

    Where nothing can be written, a worker could not even say why it ends, and would be started again and again.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except FileNotFoundError:
        raise  # the run is gone
    except OSError as error:
        raise StorageError(
            f"{folder.parent} cannot be written to ({error.strerror or error}). Make room there; then what waits goes "
            "on by itself."
        ) from error
