"""The second thread of a worker: keeps the run's lease fresh, listens for requests, and ends the process where
the first thread cannot listen, because one of its steps takes long."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from lenet_core.errors import LenetError, RunError
from lenet_core.leases import BEAT, STALE, Lease
from lenet_core.parallel import Alone
from lenet_core.runs import Run

GRACE = 0.9  # seconds that the training has to heed a request before its process is ended


class Guard(threading.Thread):
    """Holds the run's lease and hears what is wanted of it: `wish` is a request, or "leave"."""

    def __init__(self, run: Run, supervised: bool, team: Alone) -> None:
        super().__init__(daemon=True)
        self.run_folder, self.lease, self.team = run, Lease(run.folder), team
        self.wish = run.request
        self.orphaned = False  # whoever started this is gone
        self.lost = False  # the run is another's now, or deleted: nothing more may be written
        self.beaten = time.time()  # not monotonic(), which stands still while the machine sleeps
        self.done = threading.Event()
        self.hearing = threading.Lock()  # held while the wish is read or changed
        self.forced = threading.Lock()  # held by the training while it writes an end of its own
        if supervised:
            threading.Thread(target=self._await_orphanhood, daemon=True).start()

    def run(self) -> None:
        heard = time.monotonic()
        while not self.done.wait(0.1):
            if abs(time.time() - self.beaten) >= BEAT:
                self._beat()
            if self.listen() not in ("stop", "leave"):
                heard = time.monotonic()
            elif time.monotonic() - heard > GRACE:
                self._force()

    def listen(self) -> str:
        """Asks what is wanted now, and says it."""
        with self.hearing:
            self.wish = "leave" if self.orphaned or self.lost else self.run_folder.request
            return self.wish

    def end_step(self) -> None:
        """Turns the wish for one epoch into a pause, unless something else was wished for meanwhile."""
        with self.hearing:
            if self.wish == self.run_folder.request == "step":
                self.run_folder.ask("pause")
                self.wish = "pause"

    def check(self) -> None:
        """Makes sure, after this process or its machine slept, that the run is still its own.

        Raises:
            RunError: it is not.
        """
        if abs(time.time() - self.beaten) > STALE / 3:
            self._beat()
        if self.lost:
            raise RunError(f"{self.run_folder.name} is trained by another worker now, or was deleted.")

    def _beat(self) -> None:
        self.beaten = time.time()
        if not self.lease.beat():
            self.lost = True

    def finish(self) -> None:
        """Gives the run back."""
        self.done.set()
        if self.is_alive():
            self.join()
        self.lease.release()

    def _force(self) -> None:
        with self.forced:
            if self.done.is_set():
                return
            self._beat()  # the machine may have slept, and another have the run
            if self.wish == "stop" and not self.lost:
                with contextlib.suppress(LenetError):  # then the request and the missing worker say it
                    self.run_folder.append({"kind": "stopped", "time": time.time(), "forced": True})
            ours, self.lost = not self.lost, True  # the training, which still runs, can write nothing more
            self.team.abandon()
            if ours:
                with contextlib.suppress(OSError):
                    self.run_folder.clear_litter()  # a state that was being written: of AlexNet 400 MB
                self.lease.release()  # only now: the next worker writes files that look the same
            os._exit(0)

    def _await_orphanhood(self) -> None:
        while os.read(0, 4096):
            pass
        self.orphaned = True
