"""Runs on a real Dask cluster: a scheduler and two workers, all on loopback."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client
from safetensors.numpy import load_file

from lenet_core.cluster import DaskEngine, make_engine
from lenet_core.engine import Limits
from lenet_core.errors import RunError
from lenet_core.knobs import turn
from lenet_core.leases import holder
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run, all_runs, create_run
from tests.conftest import ROOT, free_port

TINY = turn(
    RECIPES["lenet-modern"], {"data": "mnist-5k", "share": "0.05", "epochs": "1", "channels": "2,4", "dense": "8"}
)
ENDLESS = dataclasses.replace(TINY, epochs=1000)
LOOPBACK = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard"]


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()
        with Client(self.address, timeout=60, set_as_default=False):  # an engine waits 5 seconds; a busy machine longer
            pass

    def start_scheduler(self) -> None:
        self.scheduler = self._start("scheduler", "--port", str(self.port))

    def add_worker(self, *options: str) -> None:
        self.workers.append(
            self._start("worker", self.address, "--nthreads", "1", "--local-directory", str(self.folder), *options)
        )

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DASK_", "LENET_"))}
        with (self.folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *command, *LOOPBACK], cwd=self.folder, env=environment,
                stdout=log, stderr=log,
            )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """Scheduler, nannies, workers and the trainings that they started."""
        roots = [psutil.Process(process.pid) for process in (self.scheduler, *self.workers) if process.poll() is None]
        return roots + [child for root in roots for child in root.children(recursive=True)]

    def tasks(self) -> list[str]:
        """The folders of the runs that the scheduler has in hand."""
        with Client(self.address, set_as_default=False) as client:
            keys = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
        return sorted(key[1] for key in keys if isinstance(key, tuple))

    def done(self) -> int:
        """How many runs' tasks have come to their end since the scheduler started."""
        with Client(self.address, set_as_default=False) as client:
            prefixes = client.run_on_scheduler(
                lambda dask_scheduler: {name: dict(p.state_counts) for name, p in dask_scheduler.task_prefixes.items()}
            )
        return int(prefixes.get("lenet-train", {}).get("memory", 0))

    def close(self) -> None:
        for process in self.processes():
            process.kill()
        for popen in (self.scheduler, *self.workers):
            popen.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers with one thread each."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.add_worker("--name", "first")
        cluster.add_worker("--name", "second")
        with Client(cluster.address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def engine(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskEngine]:
    """The engine of an app on the cluster; at the end nothing is left on it."""
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
    engine = make_engine()
    assert isinstance(engine, DaskEngine)
    yield engine
    for run in all_runs():
        run.ask("stop")
    wait_until(lambda: not cluster.tasks())
    engine.close()


def wait_until(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Returns when the condition holds; fails the test if it does not within the seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def wait_for_status(run: Run, status: str, seconds: float = 120) -> None:
    wait_until(lambda: run.status == status, seconds)


def trainer(run: Run) -> psutil.Process:
    """The process that trains a run."""
    held = holder(run.folder)
    assert held is not None
    return psutil.Process(held["pid"])


def started_at(run: Run) -> list[int]:
    """The steps that were done at each start."""
    return [event["step"] for event in run.events()[0] if event["kind"] == "started"]


def call(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `python -m lenet_core` as a person would, after some Python of ours."""
    code = f"import sys; {before or 'pass'}; from lenet_core.__main__ import main; sys.exit(main({arguments!r}))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


# --- training ----------------------------------------------------------------------------------


def test_what_a_closed_app_left_is_trained_exactly_as_here(cluster: Cluster, engine: DaskEngine) -> None:
    runs = engine.submit([Plan(TINY)] * 3)  # one more than there are workers
    engine.close()
    here = create_run(Plan(TINY))
    work = [sys.executable, "-m", "lenet_core", "work", str(here.folder)]
    subprocess.run(work, cwd=ROOT, check=True, timeout=120, stdin=subprocess.DEVNULL)
    expected = load_file(here.file("model"))
    for run in runs:
        wait_for_status(run, "finished")
        weights = load_file(run.file("model"))
        assert weights.keys() == expected.keys()
        assert all(weights[name].tobytes() == expected[name].tobytes() for name in weights)


def test_learners_take_turns_and_each_ones_runs_start_in_order(tmp_path: Path) -> None:
    cluster, go = Cluster(tmp_path), tmp_path / "go"
    cluster.add_worker("--name", "only")
    engine = DaskEngine(cluster.address)
    try:
        with Client(cluster.address, set_as_default=False) as others:
            wait = ["sh", "-c", f"until [ -e '{go}' ]; do sleep 0.05; done"]
            busy = others.submit(subprocess.call, wait, key="others")
            wait_until(lambda: sum(map(len, others.processing().values())) == 1)
            first = engine.submit([Plan(TINY, learner="one")] * 6)
            wait_until(lambda: len(cluster.tasks()) == 6)
            second = engine.submit([Plan(TINY, learner="two")] * 3)
            wait_until(lambda: len(cluster.tasks()) == 9)
            engine.close()
            engine = DaskEngine(cluster.address)  # the app is restarted
            assert len(engine.adopt()) == 9
            time.sleep(1)
            assert cluster.tasks() == sorted(str(run.folder) for run in first + second)
            for run in first + second:
                run.ask("stop")  # their turn comes all the same, and then there is nothing to do
            go.touch()
            others.gather(busy)
        wait_until(lambda: not cluster.tasks())
    finally:
        engine.close()
        cluster.close()

    runs = {run: f"{learner}{index}" for learner, own in (("a", first), ("b", second)) for index, run in enumerate(own)}
    order = [runs[run] for run in sorted(runs, key=lambda run: (run.folder / "worker.log").stat().st_mtime_ns)]
    assert [name for name in order if name[0] == "a"] == [f"a{index}" for index in range(6)], order
    assert [name for name in order if name[0] == "b"] == [f"b{index}" for index in range(3)], order
    # The worker had two of the first learner's when the second came.
    assert all(order.index(f"b{index}") <= 2 * index + 3 for index in range(3)), order
    assert all(run.status == "stopped" and not run.events()[0] for run in runs)


def test_a_training_keeps_its_memory_stops_when_asked_and_goes_on_when_resumed(
    cluster: Cluster, engine: DaskEngine
) -> None:
    [run] = engine.submit([Plan(ENDLESS)])
    wait_for_status(run, "running")
    process = trainer(run)
    dask_worker = process.parent()
    assert dask_worker is not None
    assert dask_worker.environ()["MALLOC_TRIM_THRESHOLD_"] == "65536"  # the nanny's, and slow
    assert process.environ()["MALLOC_TRIM_THRESHOLD_"] == process.environ()["MALLOC_MMAP_THRESHOLD_"] == "134217728"
    for own in cluster.processes():
        for connection in own.net_connections("inet"):
            assert connection.status != psutil.CONN_LISTEN or connection.laddr.ip == "127.0.0.1"

    run.ask("stop")
    wait_for_status(run, "stopped")
    engine.resume(run)  # while the process ends
    wait_until(lambda: len(started_at(run)) == 2)
    assert started_at(run)[1] > 0
    wait_for_status(run, "running")


def test_a_lost_dask_worker_takes_its_training_along_and_another_goes_on(cluster: Cluster, engine: DaskEngine) -> None:
    [run] = engine.submit([Plan(ENDLESS)])
    wait_until(lambda: run.last_event().get("epoch", 0) >= 2)
    process = trainer(run)
    _, nanny = dask = process.parents()[:2]
    assert nanny.pid in [worker.pid for worker in cluster.workers]
    engine.close()  # the cluster sees to it alone
    process.suspend()  # as if its disk were slow: it takes a while to save its state
    for lost in reversed(dask):
        lost.kill()
    try:
        time.sleep(2)
        process.resume()
        wait_until(lambda: not process.is_running())
        wait_until(lambda: len(started_at(run)) == 2)
        assert started_at(run)[1] > 0
        assert trainer(run).pid != process.pid
    finally:
        cluster.add_worker("--name", "third")


def test_a_failed_training_is_not_tried_again(cluster: Cluster, engine: DaskEngine) -> None:
    run = create_run(Plan(TINY))
    run.file("state").write_bytes(b"no state")
    assert [adopted.name for adopted in engine.adopt()] == [run.name]
    wait_for_status(run, "failed")
    wait_until(lambda: not cluster.tasks())
    assert [event["kind"] for event in run.events()[0]] == ["starting", "failed"]


def test_a_worker_process_that_dies_each_time_fails_the_run(cluster: Cluster, engine: DaskEngine) -> None:
    [run] = engine.submit([Plan(ENDLESS)])
    killed: set[int] = set()

    def kill_and_look() -> bool:
        for process in cluster.processes():
            if process.pid not in killed and str(run.folder) in process.cmdline():
                killed.add(process.pid)
                process.kill()
        return run.status == "failed"

    wait_until(kill_and_look)
    assert len(killed) == 3
    assert "ended with status -9" in run.last_event()["message"]


def test_a_sweep_runs_on_the_cluster(cluster: Cluster, engine: DaskEngine) -> None:
    before = cluster.done()
    knobs = [f"--set={name}" for name in ("share=0.05", "channels=2,4", "dense=8")]
    done = call(
        "sweep", "lenet-modern", "--data=mnist-5k", "--epochs=1", *knobs, "--grid=activation=relu,tanh", "--seeds=2",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["title"] for row in rows] == ["unchanged", "seed 1", "tanh", "tanh, seed 1"]
    assert all(row["status"] == "finished" and 0 < row["test"] < 1 for row in rows)
    wait_until(lambda: cluster.done() == before + 4)  # a run is finished a little before its process


# --- a cluster in trouble ----------------------------------------------------------------------


def test_a_page_is_told_what_is_wrong_and_a_scheduler_that_comes_back_is_given_the_queue(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        engine = DaskEngine(cluster.address, Limits(1, 8, 8))
        wait_until(lambda: "no worker" in engine.problem())
        cluster.add_worker("--name", "little", "--no-nanny", "--memory-limit", "30MB")
        wait_until(lambda: "little on 127.0.0.1" in engine.problem())
        assert engine.problem().startswith("1 of the cluster's 1 workers paused for want of memory")
        [run] = engine.submit([Plan(TINY)])
        wait_until(lambda: cluster.tasks() == [str(run.folder)])

        cluster.scheduler.send_signal(signal.SIGKILL)
        cluster.scheduler.wait()
        wait_until(lambda: f"scheduler at {cluster.address} cannot be reached" in engine.problem())
        cluster.start_scheduler()
        wait_until(lambda: "cannot be reached" not in engine.problem())
        wait_until(lambda: cluster.tasks() == [str(run.folder)])
        assert run.status == "waiting"
        engine.close()
    finally:
        cluster.close()


def test_without_a_scheduler_a_sweep_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    done = call("sweep", "lenet-modern", "--data=mnist-5k")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: The Dask scheduler at {address} cannot be reached")
    assert len(done.stderr.strip().splitlines()) == 1
    assert all_runs() == []


def test_without_dask_a_sweep_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:8786")
    done = call("sweep", "lenet-modern", "--data=mnist-5k", before="sys.modules['distributed'] = None")
    assert done.returncode == 1
    assert "pip install -r requirements-cluster.txt" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "tls://127.0.0.1:{port}", "carrier-pigeon://127.0.0.1:1"])
def test_what_is_no_address_is_refused_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address.format(port=deaf.getsockname()[1]))
        with pytest.raises(RunError, match="cannot be reached"):
            make_engine()
    # One left half made would be closed by the garbage collector: 10 seconds of waiting, or no end of it.
    assert "connecting" not in {one.status for one in gc.get_objects() if issubclass(type(one), Client)}
