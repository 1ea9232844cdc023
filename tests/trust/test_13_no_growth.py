"""Promise 13: the playground does not grow: neither the server with its visitors nor the disk with their trainings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lenet_core import worker as workers
from lenet_core.engine import Limits
from lenet_core.library import data_dir, learner_of
from lenet_core.local_engine import LocalEngine
from lenet_core.retention import given_up_runs, make_room, taken
from lenet_core.runs import ENDED, Plan, Run, all_runs, trash_dir
from tests.conftest import serve
from tests.core.trainings import new_run, tiny, until
from tests.load.learners import Learner, alone
from tests.trust.conftest import Trust

MB = 10**6
KEEP = MB
LEARNERS = ("ada", "ben", "eve")
ROOMS = ("", "draw", "train", "feature_maps", "compare", "history", "exercises")

# ---------------------------------------------------------------- visitors who come and go


def _memory(process: int) -> int:
    """The bytes that a process holds in memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def _come_and_go(url: str, visitors: int) -> None:
    """So many visitors, one after the other: each opens a page, waits until it is there, and leaves."""
    for number in range(visitors):
        learner = Learner(url)
        await learner.open(ROOMS[number % len(ROOMS)])
        await learner.close()


def test_visitors_who_come_and_go_leave_no_memory_behind(trust: Trust, tmp_path: Path) -> None:
    """Streamlit keeps the last 128 sessions for a visitor whose connection broke, so these come before the count."""
    visitors, before = trust.count(70, 1000), trust.count(35, 280)
    # In the short run sessions are forgotten at once, so that few visitors show what is left of them.
    forgetting = () if trust.full else ("--server.disconnectedSessionTTL", "1")
    process, url = serve(tmp_path / "data", tmp_path / "log", "app.py", *forgetting)
    try:
        alone(_come_and_go(url, before))
        first = _memory(process.pid)
        alone(_come_and_go(url, visitors))
        grown = _memory(process.pid) - first
    finally:
        process.terminate()
        process.wait(20)
    trust.say(f"{visitors:,} visitors came and went: {grown / MB:+.0f} MB from {first / MB:.0f} MB")
    assert grown < 50 * MB * (1 if trust.full else 0.4)


# ---------------------------------------------------------------- trainings that fill the disk


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    """An engine with two workers, whose runs may take 1 MB."""
    monkeypatch.setenv("LENET_KEEP", f"{KEEP / 1e9:g}")
    engine = LocalEngine(Limits(2, 256, 256))
    yield engine
    engine.close()


def _allowed(runs: list[Run]) -> int:
    """The limit, and beyond it each learner's newest ended run and the unfinished ones."""
    spared = {learner_of(run.folder): taken(run) for run in reversed(runs) if run.status in ENDED}
    return KEEP + sum(spared.values()) + sum(taken(run) for run in runs if run.status not in ENDED)


def test_trainings_take_no_more_room_than_the_setting_allows(trust: Trust, engine: LocalEngine) -> None:
    trainings, learners = trust.count(6, 200), LEARNERS[: trust.count(1, 3)]
    # Many checkpoints: the short run's six take more than the limit too.
    knobs = {"epochs": 15, "channels": "4,8", "dense": "64"}
    for learner in learners:
        share = range(trainings // len(learners) + (learner == learners[0]) * (trainings % len(learners)))
        engine.submit([Plan(tiny(**knobs, seed=seed), device="cpu", learner=learner) for seed in share])
    runs = all_runs()
    most = 0
    sizes: dict[str, int] = {}
    deadline = time.monotonic() + 60 + 20 * trainings
    while any(run.folder.exists() and run.status not in ENDED for run in runs):
        assert time.monotonic() < deadline
        sizes |= {run.name: taken(run) for run in runs if run.status in ENDED and not run.given_up}
        most = max(most, sum(map(taken, all_runs())))
        time.sleep(0.1)
    present = until(lambda: _within(), "the runs to be within their room", 20)
    written = sum(sizes.values())
    assert written > KEEP, "the trainings would have fitted anyway"
    assert most < KEEP + 4 * (written // len(sizes)) * len(learners) + trainings * 8192
    for learner in learners:  # the newest of each has all that it had
        newest = next(run for run in present if run.plan.learner == learner)
        assert newest.status == "finished"
        assert newest.checkpoints()
        assert not newest.given_up
    gone = {run.name for run in runs} - {run.name for run in present}
    told = {run.name for run in present if run.given_up} | set(given_up_runs())
    assert gone <= told
    assert gone or told
    trust.say(
        f"{trainings} trainings, allowed {KEEP / MB:g} MB and the newest of {len(learners)} learners: at most "
        f"{most / MB:.1f} MB, {len(gone)} given up whole"
    )


def _within() -> list[Run]:
    runs = all_runs()
    return runs if sum(map(taken, runs)) <= _allowed(runs) else []


# ---------------------------------------------------------------- one training that goes on and on


def test_a_long_trainings_events_grow_ever_more_slowly(trust: Trust) -> None:
    run = new_run(epochs=1000, share=1, batch_size=1)  # an epoch of seconds: at its end comes a line in any case
    with (run.folder / "events.jsonl").open(
        "wb"
    ) as file:  # what was written in the days before, as far as its size goes
        file.write(b"-" * (workers.MANY_EVENTS * workers.MOST_TICKS) + b"\n")
    lines: list[float] = []
    epochs: list[float] = []

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] in ("metrics", "epoch"):
            (lines if event["kind"] == "metrics" else epochs).append(event["time"])

    stopping = threading.Timer(trust.count(8, 30), run.ask, ("stop",))
    stopping.start()
    workers.work(run, listener=listen)
    stopping.cancel()
    seconds = lines[-1] - lines[0]
    assert seconds > 3
    pace = (len(lines) - len(epochs)) / seconds
    assert pace < 2, "lines of metrics came as fast as in a young run, 8 in a second"
    day = _events_after(24 * 3600)
    trust.say(f"{pace:.1f} lines in a second instead of 8; a day of them takes {day / MB:.0f} MB")
    assert day < 60 * MB


def _events_after(seconds: float, line: float = 700.0) -> float:
    """The bytes of events after so long, where each line of metrics has `line`."""
    size = at = 0.0
    while at < seconds:
        at += workers.tick_after(int(size))
        size += line
    return size


def test_deleted_runs_and_what_was_begun_leave_nothing(trust: Trust) -> None:
    for _ in range(trust.count(20, 200)):
        run = new_run()
        run.checkpoint_path(0).write_bytes(bytes(4096))
        run.delete()
    assert _files() == []
    begun = trash_dir() / "run-1234" / "model.safetensors"  # by an app that was killed while it deleted
    begun.parent.mkdir()
    begun.write_bytes(bytes(4096))
    make_room(0)
    assert _files() == []


def _files() -> list[Path]:
    return [path for path in data_dir().rglob("*") if path.is_file()]
