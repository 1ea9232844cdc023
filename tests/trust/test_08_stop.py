"""Promise 8: a stop takes hold within two seconds, and nothing is left running, however the app ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from tornado.websocket import websocket_connect

from lenet_core import local_engine as engines
from lenet_core.engine import Limits
from lenet_core.knobs import turn
from lenet_core.leases import holder
from lenet_core.local_engine import LocalEngine
from lenet_core.recipes import RECIPES
from lenet_core.runs import ENDED, Plan, Run, create_run
from tests.conftest import serve
from tests.core.test_engine import LONG, workers_of
from tests.core.trainings import all_of, litter, lives, tiny, until
from tests.load.learners import alone
from tests.trust.conftest import Trust

PROMISED = 2.0  # seconds
WIDE = {"channels": "64,256", "kernels": "5,5", "dense": 512}  # whose test takes a while
ALEXNET = turn(RECIPES["alexnet-cifar"], {"data": "mnist-5k", "share": "0.2", "validation": "0", "batch_size": "256"})
DICE = random.Random(8)

Moment = tuple[str, Plan, Callable[[Run], None]]


def while_loading(run: Run) -> None:
    until(lambda: workers_of(run), "its process", 300)
    time.sleep(DICE.uniform(0, 3))  # in which it loads PyTorch, then the images, then begins


def in_short_steps(run: Run) -> None:
    until(lambda: run.status == "running", "its steps", 300)
    time.sleep(DICE.uniform(0, 2))


def while_paused(run: Run) -> None:
    in_short_steps(run)
    run.ask("pause")
    until(lambda: run.status == "paused", "the pause", 300)
    time.sleep(DICE.uniform(0, 1))


def while_tested(run: Run) -> None:
    until(lambda: all_of(run, "epoch"), "its only epoch's end", 300)
    time.sleep(DICE.uniform(0, 0.5))


def in_a_long_step(run: Run) -> None:
    until(lambda: all_of(run, "started"), "its start", 300)
    time.sleep(DICE.uniform(0, 10))  # a step takes seconds, and so does saving the state after the first


def just_submitted(run: Run) -> None:
    time.sleep(DICE.uniform(0, 0.3))


def moments() -> list[Moment]:
    """Where a training can be when its learner stops it."""
    long = Plan(tiny(**LONG), device="cpu")
    tested = Plan(tiny(**WIDE, share=0.02, validation=0, batch_size=64), device="cpu")
    return [
        ("short steps", long, in_short_steps),
        ("loading", long, while_loading),
        ("AlexNet", Plan(ALEXNET, device="cpu"), in_a_long_step),
        ("testing", tested, while_tested),
        ("just submitted", long, just_submitted),
        ("paused", long, while_paused),
    ]


def patience() -> float:
    """What is promised holds on an idle machine; one that others keep busy gets as much longer as they make it wait."""
    return PROMISED * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def processes_of(word: str) -> list[int]:
    """All processes, also those that only wait to be counted, whose environment or command line has the word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def children() -> set[int]:
    """This process's children, those included that ended and were not counted yet."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if path.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


def stop_one(engine: LocalEngine, moment: Moment, number: int) -> tuple[str, float, str]:
    """Stops a run at its moment: where, seconds until it had ended and its process was gone, and how it ended."""
    place, plan, wait = moment
    (run,) = engine.submit([dataclasses.replace(plan, learner=f"learner {number}")])
    wait(run)
    asked = time.monotonic()
    run.ask("stop")
    until(lambda: run.status in ENDED and workers_of(run) == [], f"the end ({place})", 60)
    seconds = time.monotonic() - asked
    until(lambda: not engine.has_begun(run), "the engine to see it")
    status, last = run.look()
    assert status == "stopped" or (status, place) == ("finished", "testing"), (status, last, place)
    assert workers_of(run) == []
    assert holder(run.folder) is None
    assert litter(run) == []
    run.delete()
    return place, seconds, "by force" if last.get("forced") else status


def test_a_stop_takes_hold_wherever_the_training_is(trust: Trust) -> None:
    before, count, limit = children(), trust.count(6, 100), patience()
    engine = LocalEngine(Limits(2, 20, 20))
    try:
        with ThreadPoolExecutor(2) as pool:
            chosen = [moments()[number % 6] for number in range(count)]
            stops = list(pool.map(lambda pair: stop_one(engine, pair[1], pair[0]), enumerate(chosen)))
        until(lambda: children() <= before, "the engine to count the last of them", 5)
        assert engine.problem() == ""
    finally:
        engine.close()
    by_place = defaultdict(list)
    for place, seconds, _ in stops:
        by_place[place].append(seconds)
    slowest = max(seconds for _, seconds, _ in stops)
    assert slowest < limit, by_place
    trust.say(
        f"{count} stops: median {median(seconds for _, seconds, _ in stops):.2f} s, slowest {slowest:.2f} s ("
        + ", ".join(f"{place} {max(seconds):.2f} s" for place, seconds in by_place.items())
        + f"), {sum(how == 'by force' for *_, how in stops)} by force; 0 processes left (load {os.getloadavg()[0]:.1f})"
    )


def test_a_worker_that_still_loads_and_cannot_hear_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = "import time; time.sleep(600)"
    monkeypatch.setattr(engines, "command", lambda run: [sys.executable, "-c", deaf, str(run.folder)])
    engine = LocalEngine(Limits(1, 20, 20))
    try:
        (run,) = engine.submit([Plan(tiny(), device="cpu")])
        until(lambda: workers_of(run), "its process", 60)
        run.ask("stop")
        until(lambda: workers_of(run) == [], "its end", patience())
        assert run.status == "stopped"
    finally:
        engine.close()


@pytest.fixture
def app(own_data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts the app on the test's data folder, with two workers; all ended with the test."""
    monkeypatch.setenv("LENET_WORKERS", "2")
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process, url = serve(own_data_folder, own_data_folder / "log", "tests/trust/training_app.py")
        started.append(process)
        alone(visit(url))
        return process

    own_data_folder.mkdir()
    yield start
    for process in started:
        process.kill()
        process.wait()


async def visit(url: str) -> None:
    """Opens the page as a browser does, so that the app takes on what waits."""
    connection = await websocket_connect(f"{url.replace('http', 'ws', 1)}/_stcore/stream")
    message = BackMsg()
    message.rerun_script.query_string = ""
    await connection.write_message(message.SerializeToString(), binary=True)
    await asyncio.wait_for(connection.read_message(), 60)
    await asyncio.sleep(0.5)
    connection.close()


def test_an_app_that_is_ended_in_any_way_leaves_no_process(
    trust: Trust, app: Callable[[], subprocess.Popen[bytes]], own_data_folder: Path
) -> None:
    ends = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    longer = Plan(tiny(**{**LONG, "epochs": 10_000}), device="cpu")  # than all that they are taken up again
    plans = [longer, Plan(ALEXNET, device="cpu"), longer]
    runs = [create_run(plan) for plan in plans]
    took, most, count, limit = [], 0, trust.count(1, 40), 2.5 * patience()
    for number in range(count):
        process = app()
        until(lambda: [pid for run in runs for pid in workers_of(run)], "a worker", 120)
        time.sleep(DICE.uniform(0, trust.count(2, 6)))
        most = max(most, len(processes_of(str(own_data_folder))))
        ended = time.monotonic()
        process.send_signal(ends[number % 4])
        process.wait(30)
        until(lambda: processes_of(str(own_data_folder)) == [], "the end of all processes", 60)
        took.append(time.monotonic() - ended)
        assert [run.status for run in runs] == ["waiting"] * 3
        assert all(holder(run.folder) is None for run in runs)
    assert most >= 3  # the app and two workers: else nothing was seen
    assert max(took) < limit, took
    trust.say(
        f"app ended {count} times by SIGKILL, SIGTERM, SIGINT, SIGHUP in turn: all processes gone after "
        f"{median(took):.1f} s (median), {max(took):.1f} s at most; 0 orphans, no run left as running"
    )


def test_a_living_app_keeps_no_ended_child(trust: Trust) -> None:
    before, count = children(), trust.count(2, 30)
    engine = LocalEngine(Limits(2, 100, 100))
    try:
        for _ in range(count):
            (run,) = engine.submit([Plan(tiny(**LONG), device="cpu")])
            (pid,) = until(lambda run=run: workers_of(run), "its process", 60)
            run.ask("stop")
            with contextlib.suppress(ProcessLookupError):  # the engine was quicker
                os.kill(pid, signal.SIGKILL)
            until(lambda: children() <= before, "its being counted", 10)
            assert not lives(pid)
    finally:
        engine.close()
    trust.say(f"{count} workers killed: 0 left uncounted (zombies)")
