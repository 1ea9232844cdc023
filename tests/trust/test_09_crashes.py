"""Promise 9: a crash loses at most what was learned since the state was last saved, and no run pretends to go on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lenet_core import local_engine as engines
from lenet_core.engine import WORKER_ENVIRONMENT, Limits
from lenet_core.errors import StorageError
from lenet_core.leases import holder
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import Plan, Run
from lenet_core.worker import TICK
from tests.conftest import ROOT, missing
from tests.core.test_engine import FINISHES, workers_of
from tests.core.trainings import all_of, kinds, lives, new_run, tiny, until
from tests.trust.conftest import Trust

SAVE = 0.5  # seconds between two saved states, in place of ten, so that many crashes take minutes
# Epochs of seconds, so that it matters that the state is saved within them too.
LONG = {"share": 1, "epochs": 500, "batch_size": 1, "dropout": 0.2, "validation": 0.02}
# A worker that saves so often, and tells when, at which step, and how long that took. However slow the disk is, nobody
# ends it while it saves: that a stop takes no longer than it may is another promise.
SAVER = """
import json, sys, time
from lenet_core import guard, worker
from lenet_core.__main__ import main
worker.SAVE, guard.GRACE = float(sys.argv.pop(1)), 60
told, save = sys.argv.pop(1), worker.Worker._save_state
def save_and_tell(self):
    begin = time.time()
    save(self)
    with open(told, "a") as file:
        file.write(json.dumps([self.training.steps_done, time.time(), time.time() - begin]) + "\\n")
worker.Worker._save_state = save_and_tell
sys.exit(main(["work", *sys.argv[1:]]))
"""
# An app's process with an engine in it.
APP = """
import json, sys, time
from lenet_core import local_engine as engines
from lenet_core.engine import Limits
from lenet_core.local_engine import LocalEngine
saver, save, told = json.loads(sys.argv[1])
engines.command = lambda run: [sys.executable, "-c", saver, save, told, str(run.folder), "--supervised"]
engine = LocalEngine(Limits(1, 10, 10))
engine.adopt()
time.sleep(3600)
"""


@dataclass
class Ledger:
    """What was lost, crash by crash."""

    told: Path  # by the workers, of each state they saved: step, time, cost
    saved: list[int] = field(default_factory=list)  # the step that the last state was of
    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def saves(self) -> list[tuple[int, float, float]]:
        if not self.told.exists():
            return []
        return [tuple(json.loads(line)) for line in self.told.read_text().splitlines()]

    def count(self, run: Run) -> None:
        """After a crash, before anybody goes on: what is lost is no more than was learned since the last saving."""
        reached = max((run.last_event(kind) for kind in ("metrics", "epoch")), key=lambda event: event.get("time", 0))
        saved, begun, cost = 0, run.last_event("started")["time"], 0.0
        if told := self.saves():
            saved, begun, _ = max(told, key=lambda one: one[1])
            epoch, batch = load_file(run.file("state"))["position"].tolist()
            assert epoch * run.last_event("started")["steps_per_epoch"] + batch >= saved
            # The worker goes by its last saving in the midst of an epoch, whichever of its life's that was.
            cost = max(cost for _, when, cost in told if when >= run.last_event("started")["time"] or when == begun)
        taken_up = max(begun, run.last_event("started")["time"])
        self.saved.append(saved)
        self.steps.append(max(0, reached.get("step", 0) - saved))
        self.seconds.append(max(0.0, reached.get("time", 0.0) - taken_up))
        assert self.seconds[-1] <= max(SAVE, 20 * cost) + TICK + longest_silence(run)

    def said(self, what: str, run: Run) -> str:
        """For the table; each start went on from what was saved before the crash, or from further on."""
        starts = [event["step"] for event in all_of(run, "started")]
        assert len(starts) >= len(self.saved)
        assert all(start >= saved for start, saved in zip(starts[1:], self.saved, strict=False))
        return f"{what} {len(self.steps)} times: at most {max(self.steps):,} steps, {max(self.seconds):.1f} s lost"


def longest_silence(run: Run) -> float:
    """Seconds between two events of the run's last stretch of training, at most."""
    events = run.events()[0]
    first = max(index for index, event in enumerate(events) if event["kind"] == "started")
    times = [event["time"] for event in events[first:]]
    return max((after - before for before, after in pairwise(times)), default=0.0)


def assert_nobody_pretends(run: Run, dead: int) -> None:
    """Either the run does not say that it runs, or another process than the dead one trains it."""

    def honest() -> bool:
        if run.status not in ("starting", "running"):
            return True
        held = holder(run.folder)
        return held is not None and held["pid"] != dead and lives(held["pid"])

    until(honest, f"{run.name} to see that its worker is dead", 5)


def training(run: Run, starts: int) -> int:
    """The run's worker, when it has begun that often and made a few steps since."""

    def going() -> int:
        begun = all_of(run, "started")
        held = holder(run.folder)
        on = len(begun) > starts and run.last_event("metrics").get("time", 0) > begun[-1]["time"]
        return int(held["pid"]) if on and held else 0

    return int(until(going, "its steps", 300))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "saves")


@pytest.fixture
def engine(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    """An engine whose workers save often."""
    monkeypatch.setattr(
        engines, "command",
        lambda run: [sys.executable, "-c", SAVER, str(SAVE), str(ledger.told), str(run.folder), "--supervised"],
    )  # fmt: skip
    made = LocalEngine(Limits(1, 10, 10))
    yield made
    made.close()


def crash(pid: int, moment: float) -> None:
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError):  # the end of its app was quicker
        os.kill(pid, signal.SIGKILL)
    until(lambda: not lives(pid), "its end")


def go_on(engine: LocalEngine, run: Run, starts: int) -> None:
    """After three crashes in a row a run, begun `starts` times, is failed and says why; its learner lets it go on."""
    until(lambda: run.status == "failed" or len(all_of(run, "starting")) > starts, "the failure or another start")
    if run.status == "failed":
        assert "The worker was killed, perhaps for want of memory, 3 times." in run.last_event()["message"]
        engine.resume(run)


def test_a_worker_that_is_killed(trust: Trust, engine: LocalEngine, ledger: Ledger) -> None:
    dice, run = random.Random(), new_run(**LONG)
    engine.enqueue(run)
    for starts in range(trust.count(1, 50)):
        pid = training(run, starts)
        until(ledger.saves, "the first saved state, without which there is nothing to go on from")
        crash(pid, dice.uniform(0, 3))
        assert_nobody_pretends(run, pid)
        ledger.count(run)
        go_on(engine, run, starts + 1)
    pid = training(run, len(ledger.steps))
    assert all_of(run, "started")[-1]["step"] > 0
    # One of the three may count for nothing, where its learner asks again in the same moment.
    assert len(ledger.steps) // 4 <= len(all_of(run, "failed")) <= len(ledger.steps) // 3
    run.ask("stop")
    until(lambda: run.status == "stopped" and not lives(pid), "its end")
    trust.say(ledger.said("a worker killed", run))


def test_a_worker_that_runs_out_of_memory(
    trust: Trust, engine: LocalEngine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a random moment it gets no more than it has: in a step, while it saves, while it evaluates."""
    for name in WORKER_ENVIRONMENT:  # what it frees it gives back, so that it must ask again soon
        monkeypatch.setitem(WORKER_ENVIRONMENT, name, "4096")
    dice, run, told = random.Random(), new_run(**{**LONG, "batch_size": 16}), 0
    engine.enqueue(run)
    for starts in range(trust.count(1, 50)):
        pid = training(run, starts)
        time.sleep(dice.uniform(0, 3))
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (1, 1))
        until(lambda pid=pid: not lives(pid), "its end", 300)
        ledger.count(run)
        time.sleep(0.3)  # the engine has seen it
        assert_nobody_pretends(run, pid)
        if run.status == "failed":
            told += 1
            message = run.last_event()["message"]
            assert "not enough memory" in message or "3 times" in message, message
            engine.resume(run)
    training(run, len(ledger.steps))
    trust.say(ledger.said("a worker out of memory", run) + f"; {told} times it could say so itself")


@pytest.fixture
def small_disk(own_data_folder: Path) -> Iterator[Path]:
    """The data folder on a disk of 4 MB."""
    own_data_folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(own_data_folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        missing("nobody may mount a disk here")
    yield own_data_folder
    subprocess.run(["umount", "-l", str(own_data_folder)], check=True)


def fill(folder: Path, spare: int) -> Path:
    """Fills the disk but for so many bytes."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(path, max(0, path.stat().st_size - spare))
    return path


def test_a_disk_that_is_full(trust: Trust, small_disk: Path, engine: LocalEngine, ledger: Ledger) -> None:
    dice, run, said = random.Random(), new_run(**LONG), 0
    engine.enqueue(run)
    for starts in range(trust.count(1, 50)):
        pid = training(run, starts)
        time.sleep(dice.uniform(0, 2))
        filler = fill(small_disk, dice.choice([0, 0, 4096, 16384]))
        until(lambda pid=pid: not lives(pid), "its end", 300)
        ledger.count(run)
        time.sleep(dice.uniform(0, 1))
        assert_nobody_pretends(run, pid)
        failed = run.status == "failed"
        filler.unlink()
        if failed:
            said += 1
            assert "No space left on device" in run.last_event()["message"]
            engine.resume(run)
    training(run, len(ledger.steps))
    trust.say(ledger.said("a full disk", run) + f"; {said} times the run says so, else it goes on when there is room")


def test_on_a_disk_that_is_full_from_the_start_a_run_waits_and_the_engine_says_why(
    small_disk: Path, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engines, "_REST", 0.2)
    run = new_run(**LONG)
    filler = fill(small_disk, 2**17)
    engine.enqueue(run)
    until(engine.problem, "the engine's word")
    assert "cannot be written to (No space left on device). Make room there" in engine.problem()
    time.sleep(0.5)
    assert (run.status, engine.has_begun(run), workers_of(run)) == ("waiting", False, [])
    assert told_of_it(caplog) == 1
    filler.unlink()
    training(run, 0)
    assert engine.problem() == ""
    assert kinds(run).count("starting") == 1


def told_of_it(caplog: pytest.LogCaptureFixture) -> int:
    """How many times the engine wrote into the server's log that it cannot go on."""
    return sum("the queue could not be served" in record.message for record in caplog.records)


def test_where_no_file_can_be_made_though_the_disk_has_room_what_waits_goes_on_when_one_can(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A quota, as the system's own count of what is free does not show it."""
    monkeypatch.setattr(engines, "_REST", 0.2)
    monkeypatch.setattr(engines, "command", lambda run: [sys.executable, "-c", FINISHES, str(run.folder)])
    earlier = LocalEngine(Limits(0, 10, 10))
    (run,) = earlier.submit([Plan(tiny(), device="cpu")])
    earlier.close()
    until(lambda: "caretaker" not in {thread.name for thread in threading.enumerate()}, "all of it to be done")
    subprocess.run(["mount", "-o", "remount,nr_inodes=50", str(small_disk)], check=True)
    with contextlib.suppress(OSError):
        for number in range(50):
            (small_disk / f"filler {number}").touch()
    engine = LocalEngine(Limits(1, 10, 10))
    try:
        assert engine.adopt() == []  # no new ticket can be written; the earlier one stands
        until(engine.problem, "the engine's word")
        time.sleep(1)
        assert "No space left on device" in engine.problem()
        assert (run.status, kinds(run), told_of_it(caplog)) == ("waiting", [], 1)
        with pytest.raises(StorageError, match="No space left on device"):
            engine.submit([Plan(tiny(), device="cpu")])
        subprocess.run(["mount", "-o", "remount,nr_inodes=10000", str(small_disk)], check=True)
        until(lambda: run.status == "finished", "the training")
        until(lambda: engine.problem() == "", "the engine to see it")
    finally:
        engine.close()


def test_a_server_that_is_killed(trust: Trust, ledger: Ledger) -> None:
    """Its worker saves its state and ends; every other time it is killed too, as when a machine goes down."""
    dice, run = random.Random(), new_run(**LONG)
    command = [sys.executable, "-c", APP, json.dumps([SAVER, str(SAVE), str(ledger.told)])]
    for starts in range(trust.count(2, 50)):
        app = subprocess.Popen(command, cwd=ROOT)
        try:
            pid = training(run, starts)
            time.sleep(dice.uniform(0, 3))
        finally:
            app.kill()
            app.communicate()
        if starts % 2:
            crash(pid, 0)
        until(lambda pid=pid: not lives(pid), "its worker's end", 60)
        assert (run.status, holder(run.folder), workers_of(run)) == ("waiting", None, [])
        ledger.count(run)
        assert starts % 2 or ledger.steps[-1] == 0
    trust.say(ledger.said("a server killed, every other time with its worker,", run))
