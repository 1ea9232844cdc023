"""What the tests of runs share: the smallest trainings, workers as processes, and waiting for what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lenet_core.engine import ROOT, environment
from lenet_core.history import History
from lenet_core.knobs import turn
from lenet_core.leases import holder
from lenet_core.recipes import RECIPES, Recipe
from lenet_core.runs import Plan, Run, create_run

SMALLEST = {"data": "mnist-5k", "channels": "2,4", "dense": "8", "share": "0.05", "epochs": "1", "validation": "0.1"}


def tiny(**knobs: object) -> Recipe:
    """The modern LeNet made as small as it goes, on 180 digits, with the knobs turned."""
    return turn(RECIPES["lenet-modern"], {**SMALLEST, **{name: str(value) for name, value in knobs.items()}})


def new_run(learner: str = "", **knobs: object) -> Run:
    """A new run of that recipe."""
    return create_run(Plan(tiny(**knobs), device="cpu", learner=learner))


def start_worker(run: Run, *options: str, **more: Any) -> subprocess.Popen[str]:
    """`python -m lenet_core work` on the run, as the engines start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "lenet_core", "work", str(run.folder), *options],
        cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, **more,
    )  # fmt: skip


def until(condition: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    """What the condition gives, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def kinds(run: Run) -> list[str]:
    """The kinds of the run's events, in order."""
    return [event["kind"] for event in run.events()[0]]


def all_of(run: Run, kind: str) -> list[dict[str, Any]]:
    """The run's events of one kind, in order."""
    return [event for event in run.events()[0] if event["kind"] == kind]


def worker_of(run: Run) -> int:
    """The process that trains the run, once there is one."""
    return int(until(lambda: holder(run.folder), f"a worker of {run.name}")["pid"])


def lives(pid: int) -> bool:
    """Whether the process is there and not only waiting to be counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def make_old(path: Path, seconds: float = 1_000) -> None:
    """Sets the file's time back."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def litter(run: Run) -> list[str]:
    """Files of the run that were begun and not finished."""
    return [path.name for path in run.folder.rglob(".*")]


def assert_sound(run: Run) -> None:
    """The run's history has every step once, and nothing is left half written."""
    history = History(run)
    history.update()
    assert history.steps == sorted(set(history.steps))
    assert history.steps[0] == 1
    assert history.ticks == sorted(set(history.ticks))
    assert history.ticks[-1] == history.total_steps
    assert [event["epoch"] for event in history.epochs] == list(range(1, run.plan.recipe.epochs + 1))
    assert litter(run) == []
    assert holder(run.folder) is None


def let_go(processes: list[subprocess.Popen[str]]) -> None:
    """Waits until each has said that it is ready, and then lets all of them begin at once."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
