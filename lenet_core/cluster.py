"""The same runs on an existing Dask cluster: one setting, `DASK_SCHEDULER_ADDRESS`, and a shared folder.

Each run is one task of the cluster, and the task starts the same worker command as on one machine. Every
machine needs the data folder and the project at the paths that they have here, and a `dask worker` from an
environment with the project's requirements. TLS comes from Dask's own configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenet_core.engine import ROOT, WORKER_ENVIRONMENT, Engine, Limits, command, fail, last_words
from lenet_core.errors import LenetError, RunError
from lenet_core.leases import STALE
from lenet_core.library import data_dir
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import Run

if TYPE_CHECKING:
    from distributed import Client, Future
    from tornado.ioloop import IOLoop

_LOG = logging.getLogger(__name__)
_TICK = 0.5  # seconds between two looks at the runs
_LOOK = 2.0  # seconds between two looks at the cluster
_PATIENCE = 5.0  # seconds that the scheduler has to answer
_RETRIES = 2  # so that a run is started three times at most, as by the local engine


def make_engine() -> Engine:
    """The engine that the environment asks for: the cluster at `DASK_SCHEDULER_ADDRESS`, or this machine.

    Raises:
        RunError: the cluster's scheduler does not answer within 5 seconds, or Dask is not installed.
    """
    address = os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    return DaskEngine(address) if address else LocalEngine()


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise RunError(
            f"DASK_SCHEDULER_ADDRESS is set, but Dask is not installed ({error}): "
            "`pip install -r requirements-cluster.txt`, or unset it to train on this machine."
        ) from error

    class Closing(Client):
        """One that closes where it fails: closed by the garbage collector it may wait for its own thread forever."""

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)  # type: ignore[no-untyped-call]
            except BaseException:
                self.close()  # type: ignore[no-untyped-call]
                raise

    try:
        return Closing(address=address, loop=_loop(), timeout=_PATIENCE, set_as_default=False, name="lenet")
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # the last three: no address, or no certificate
        raise RunError(_unreachable(address)) from error


@functools.cache
def _loop() -> IOLoop:
    """The event loop of all our clients; one that finds no scheduler would leave its own behind, with a thread."""
    from tornado.ioloop import IOLoop

    async def current() -> IOLoop:
        return IOLoop.current()

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="cluster clients", daemon=True).start()
    return asyncio.run_coroutine_threadsafe(current(), loop).result()


def _unreachable(address: str) -> str:
    return (
        f"The Dask scheduler at {address} cannot be reached. Start it there, correct "
        "DASK_SCHEDULER_ADDRESS, or unset it to train on this machine."
    )


class DaskEngine(Engine):
    """Trains on a Dask cluster, which keeps what it was given when this process ends.

    A thread hands the runs over and looks after them until they end: one that is lost with the scheduler, or
    asked for again while its task ends, is handed over again. The scheduler knows each by its folder, so that
    two apps, or one that was restarted, can hand over the same run.

    Raises:
        RunError: the scheduler does not answer within 5 seconds, or Dask is not installed.
    """

    adopts = ("waiting", "starting", "running")  # the last two to be handed over again, should the cluster lose them

    def __init__(self, address: str, limits: Limits | None = None) -> None:
        super().__init__(limits or Limits.from_environment())
        self._address = address
        self._client = _connect(address)
        self._runs: dict[str, tuple[Run, float]] = {}
        self._tasks: dict[str, Future[None]] = {}
        self._problem = ""
        self._looked = -_LOOK
        self._lock = threading.Lock()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="cluster engine", daemon=True)
        self._thread.start()

    def enqueue(self, run: Run) -> None:
        plan = run.plan
        with self._lock:
            # The turn, and within it the time: 1e10 seconds are 317 years.
            self._runs[run.name] = run, plan.turn + plan.created / 1e10
        self._wake.set()

    def problem(self) -> str:
        return self._problem if self._thread.is_alive() else "The training engine has ended; restart the app."

    def close(self) -> None:
        """Leaves the cluster with what it was given: it trains all of it."""
        self._closed.set()
        self._wake.set()
        self._thread.join()
        self._client.close()

    def _supervise(self) -> None:
        from distributed.client import ClosedClientError

        while True:
            closing = self._closed.is_set()  # then once more, for what was taken on last
            try:
                if self._is_connected():
                    self._look_after_runs()
                    self._look_at_workers()
            except (OSError, ClosedClientError):  # TimeoutError is an OSError
                self._problem = _unreachable(self._address)
            except LenetError:
                _LOG.exception("a run could not be looked after")
            if closing:
                return
            self._wake.wait(_TICK)
            self._wake.clear()

    def _is_connected(self) -> bool:
        """Whether the scheduler is there; a client looks for it for a while and then closes for good."""
        if self._client.status == "running":
            return True
        self._problem = _unreachable(self._address)
        if self._client.status == "closed":
            with contextlib.suppress(RunError):  # which is the problem that is told already
                self._client = _connect(self._address)
        return False

    def _look_after_runs(self) -> None:
        with self._lock:
            runs = list(self._runs.values())
        for run, place in runs:
            task = self._tasks.get(run.name)
            if task is not None and task.status == "pending":
                continue
            self._tasks.pop(run.name, None)  # its last reference: by the next look the scheduler has forgotten it
            waits = run.status == "waiting"
            if waits and task is None:
                self._tasks[run.name] = self._hand_over(run, place)
            elif waits and task is not None and task.status == "error":
                with self._lock:
                    del self._runs[run.name]
                fail(run, _why(run, task.exception(timeout=_PATIENCE)))
            else:
                self._leave_if_ended(run)

    def _leave_if_ended(self, run: Run) -> None:
        with self._lock:  # so that it is not resumed in this moment
            if run.status not in ("waiting", "starting", "running"):
                del self._runs[run.name]
                self._caretaker.ask()

    def _hand_over(self, run: Run, place: float) -> Future[None]:
        from distributed import fire_and_forget

        folder = run.folder.absolute()
        task: Future[None] = self._client.submit(
            _task(),
            str(folder),
            command(run)[1:],
            str(ROOT),
            {**WORKER_ENVIRONMENT, "LENET_DATA_DIR": str(data_dir().absolute())},
            STALE,
            # One group: of a large one the scheduler keeps all back that no worker can start soon, and hands out what
            # is first then; tasks that were with a worker already would wait for that worker, however long it is busy.
            key=("lenet-train", str(folder)),
            priority=-place,
            fifo_timeout="0ms",  # of equal places the first comes first
            retries=_RETRIES,
        )
        fire_and_forget(task)
        return task

    def _look_at_workers(self) -> None:
        if time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        scheduler = self._client.scheduler
        if scheduler is None:  # the connection ends at this moment
            return
        known = self._client.sync(scheduler.identity, n_workers=-1, callback_timeout=_PATIENCE)
        self._problem = _trouble(list(known["workers"].values()), self._address)


def _trouble(workers: Sequence[Mapping[str, Any]], address: str) -> str:
    """What keeps these workers, as the scheduler describes them, from training."""
    if not workers:
        return f"The cluster has no worker; runs wait until one joins (`dask worker {address}`)."
    paused = [f"{worker['name']} on {worker['host']}" for worker in workers if worker["status"] == "paused"]
    if not paused:
        return ""
    more = f" and {len(paused) - 5} more" if len(paused) > 5 else ""
    return (
        f"{len(paused)} of the cluster's {len(workers)} workers paused for want of memory (80 % of the limit is in "
        f"use) and start no run until some is free: {', '.join(paused[:5])}{more}."
    )


def _why(run: Run, error: BaseException | None) -> str:
    return (
        f"The cluster gave it up ({error!s:.300}). The worker's last words: {last_words(run) or 'none'}. Resume it to "
        "try again; every machine of the cluster needs the project and the data folder at the same paths as here."
    )


def _task() -> Callable[[str, list[str], str, dict[str, str], float], None]:
    """What a Dask worker does with a run.

    A function inside a function travels whole: neither the scheduler nor a Dask worker, which may have been
    started before this file was written, imports it from here.
    """

    def train(folder: str, arguments: list[str], root: str, variables: dict[str, str], stale: float) -> None:
        import os
        import socket
        import subprocess
        import sys
        import time

        def is_held() -> bool:
            try:
                return time.time() - os.stat(os.path.join(folder, "lease")).st_mtime < stale
            except FileNotFoundError:
                return False

        while is_held():  # by the process of a Dask worker that was lost, which saves its state and ends
            time.sleep(0.2)
        # The pipe is ours alone: when this Dask worker ends, however it ends, the training sees it closed.
        with (
            open(os.path.join(folder, "worker.log"), "ab") as log,
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=root, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=log, stderr=log,
            ) as process,
        ):  # fmt: skip
            status = process.wait()
        if status != 0:
            raise RuntimeError(f"the worker process on {socket.gethostname()} ended with status {status}")

    return train
