"""The queue of a machine: a ticket for each run that was handed in to be trained there, as files in the data folder.

All processes that take runs on, several apps and a sweep beside them, share it. One of them, which holds its
lease, starts the workers of them all; so there is one order and one limit, and when that process ends, another
goes on with every ticket. The run's folder stays the truth about the run: a ticket says only that it shall be trained.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lenet_core.errors import RunError, StorageError
from lenet_core.files import make_folder, write_atomically
from lenet_core.leases import Lease
from lenet_core.library import data_dir, runs_dir, stays
from lenet_core.runs import Run

_SUFFIX = ".json"
_PATIENCE = 30.0  # seconds that a submission waits for others'
_MOST_BYTES = 4096
_FACTS: dict[str, type] = {"learner": str, "created": float, "process": int, "workers": int}


@dataclass(frozen=True)
class Ticket:
    """A run to be trained, whose it is and since when, the process that handed it in, and that one's limit of workers.

    `stamp` is the file's time in nanoseconds, another each time that the run is handed in.
    """

    run: Run
    stamp: int
    learner: str
    created: float
    process: int
    workers: int


class Tickets:
    """This machine's tickets, by the names of their runs."""

    def __init__(self) -> None:
        self.folder = make_folder(data_dir() / "queue" / socket.gethostname())
        self._known: dict[str, Ticket] = {}

    def lead(self) -> Lease:
        """The right to start workers for all tickets.

        Raises:
            RunError: another process has it.
            StorageError: the folder cannot be written to.
        """
        return Lease(make_folder(self.folder))

    def hand_in(self, run: Run, workers: int) -> None:
        """Makes a ticket, in place of an older one of the same run.

        Raises:
            RunError: the run's plan is damaged, so that nobody could say whose turn it is.
            StorageError: it cannot be written.
        """
        plan = run.plan
        facts = dict(zip(_FACTS, (plan.learner, float(plan.created), os.getpid(), workers), strict=True))
        path = make_folder(self.folder) / f"{run.name}{_SUFFIX}"
        write_atomically(path, json.dumps(facts).encode(), durable=False)

    def take_back(self, ticket: Ticket) -> None:
        """Removes a ticket, unless the run was handed in again since.

        Raises:
            StorageError: it cannot be removed.
        """
        path = self.folder / f"{ticket.run.name}{_SUFFIX}"
        aside = self.folder / f".{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError), _told(self.folder):
            path.rename(aside)  # first, so that what is looked at is what is removed
            if aside.stat().st_mtime_ns == ticket.stamp:
                aside.unlink()
            else:
                aside.replace(path)

    def read(self) -> dict[str, Ticket]:
        """All tickets; what is no ticket is passed over.

        Raises:
            StorageError: the folder cannot be read.
        """
        known = {}
        with contextlib.suppress(FileNotFoundError), _told(self.folder), os.scandir(self.folder) as entries:
            for entry in entries:
                name, suffix = os.path.splitext(entry.name)
                if suffix == _SUFFIX and not name.startswith(".") and (ticket := self._ticket(name, entry)):
                    known[name] = ticket
        self._known = known
        return known

    def _ticket(self, name: str, entry: os.DirEntry[str]) -> Ticket | None:
        try:
            stamp = entry.stat().st_mtime_ns
            known = self._known.get(name)
            if known is not None and known.stamp == stamp:
                return known
            with open(entry.path, "rb") as file:
                said = json.loads(file.read(_MOST_BYTES))
            facts = [said[key] for key in _FACTS]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        run = known.run if known else Run(runs_dir() / name)
        sound = all(isinstance(fact, kind) for fact, kind in zip(facts, _FACTS.values(), strict=True))
        return Ticket(run, stamp, *facts) if sound and stays(run.folder) else None


def in_turn(tickets: Iterable[Ticket], served: Mapping[str, int]) -> list[Ticket]:
    """The tickets in the order in which their runs start: learners take turns, each with the oldest run first.

    `served` numbers the starts and holds each learner's last: first is who was served longest ago, or never.
    """
    lines: dict[str, list[Ticket]] = {}
    for ticket in sorted(tickets, key=lambda ticket: ticket.created):
        lines.setdefault(ticket.learner, []).append(ticket)
    learners = sorted(lines, key=lambda learner: (served.get(learner, 0), lines[learner][0].created))
    return [
        lines[learner][turn]
        for turn in range(max(map(len, lines.values()), default=0))
        for learner in learners
        if turn < len(lines[learner])
    ]


@contextlib.contextmanager
def admission() -> Iterator[Lease]:
    """The right to count what is unfinished and to add to it, which one process at a time has.

    Raises:
        RunError: others had it for 30 seconds.
        StorageError: the data folder cannot be written to.
    """
    folder = make_folder(data_dir() / "queue")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            lease = Lease(folder)
            break
        except RunError as error:
            if time.monotonic() > deadline:
                raise RunError(
                    f"Others have been adding to the queue for {_PATIENCE:.0f} seconds. Try again in a minute."
                ) from error
            time.sleep(0.005)
    try:
        yield lease
    finally:
        lease.release()


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be used for the queue ({error.strerror or error}). Let the app's user read and write it."
        ) from error
