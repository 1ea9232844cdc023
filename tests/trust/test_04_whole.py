"""Promise 4: a saved run is never half written, whenever its writer is killed."""

from __future__ import annotations

import json
import random
from multiprocessing.context import ForkServerProcess

from safetensors.torch import load_file
from streamlit.testing.v1 import AppTest

from lenet_core.checkpoint import load_checkpoint
from lenet_core.history import History
from lenet_core.library import SUFFIX
from lenet_core.retention import make_room
from lenet_core.runs import REQUESTS, Run, all_runs, trash_dir
from tests.core.trainings import kinds, litter, new_run, until
from tests.trust import mortal
from tests.trust.conftest import Trust

NETWORKS = ("model", "latest")
STATUSES = ("waiting", "starting", "running", "paused", "stopped", "finished", "failed")


def assert_readable(run: Run) -> None:
    """Every file of the run is whole, and the run says where it stands."""
    run = Run(run.folder)
    for path in run.folder.rglob(f"*{SUFFIX}"):
        if path.name.startswith("."):
            continue  # begun, and nobody's yet
        if path.stem in NETWORKS or path.parent.name == "checkpoints":
            assert load_checkpoint(path).training["step"] >= 0
        else:
            assert load_file(path)
    assert set(run.checkpoints().values()) == set((run.folder / "checkpoints").glob(f"[0-9]*{SUFFIX}"))
    assert run.plan.recipe.epochs >= 1
    request = run.folder / "request"
    assert not request.exists() or request.read_text() in REQUESTS
    told = run.folder / "events.jsonl"
    lines = told.read_bytes().split(b"\n") if told.exists() else [b""]
    events, _ = run.events()
    assert events == [json.loads(line) for line in lines[:-1]]  # none was passed over
    history = History(run)
    history.update()
    assert history.steps == sorted(set(history.steps))


def assert_nobody_pretends(run: Run) -> None:
    status, last = Run(run.folder).look()
    assert status in STATUSES
    assert status not in ("starting", "running"), (status, last)  # its worker is dead


def until_it_says(run: Run, begun: int, sign: str, process: ForkServerProcess) -> None:
    """Waits for an event of that kind after the first `begun`, or for the end of the process."""
    until(lambda: sign in kinds(run)[begun:] or not process.is_alive(), sign)


def kill_while_it_writes(process: ForkServerProcess, moment: float) -> None:
    """Kills it at a random moment, unless it has come to its end."""
    process.join(moment)
    process.kill()
    process.join()
    assert process.exitcode in (-9, 0), process.exitcode
    process.close()


def as_pages_read_them() -> None:
    import streamlit as st

    from ui import shown

    for run in shown.own_runs():
        history, status = shown.history_of(run), run.status
        st.text(f"{shown.run_title(run.plan)} {status} {history.step} {shown.newest_network(run)}")


def read_by_pages() -> int:
    """How many runs the pages list."""
    app = AppTest.from_function(as_pages_read_them, default_timeout=60).run()
    assert not app.exception
    return len(app.text)


def test_a_training_that_is_killed_while_it_saves(trust: Trust) -> None:
    dice = random.Random()
    kills = in_writing = finished = 0
    run = new_run(epochs=25, dropout=0.1)
    while kills < trust.count(12, 500):
        begun = len(kinds(run))
        process = mortal.begin(mortal.train_and_write, run.name)
        sign = "starting" if kills % 5 == 0 else "metrics"  # from which on it saves all the time
        until_it_says(run, begun, sign, process)
        kill_while_it_writes(process, dice.uniform(0, 0.3))
        assert_readable(run)
        assert_nobody_pretends(run)
        in_writing += bool(litter(run))
        kills += 1
        if kills % 10 == 0:
            assert read_by_pages() == len(all_runs())
        if run.status == "finished":
            finished += 1
            assert load_checkpoint(run.folder).training["test_accuracy"] == run.last_event()["test"]
            assert litter(run) == []
            run.delete()
            run = new_run(epochs=25, dropout=0.1)
    if trust.full:  # of a few kills all may miss the moment
        assert in_writing > kills / 20
    trust.say(
        f"a training killed {kills} times, {in_writing} of them in the midst of a file: 0 unreadable; {finished} "
        "runs came to their end all the same"
    )


def test_an_app_that_is_killed_while_it_makes_asks_and_deletes(trust: Trust) -> None:
    dice, kills, in_deleting = random.Random(), trust.count(10, 250), 0
    for _ in range(kills):
        process = mortal.begin(mortal.keep_house)
        until(all_runs, "its beginning")
        kill_while_it_writes(process, dice.uniform(0, 0.15))
        runs = all_runs()
        for run in runs:
            assert_readable(run)
            assert_nobody_pretends(run)
        left = list(trash_dir().glob("*"))
        in_deleting += bool(left)
        make_room(0)
        assert list(trash_dir().glob("*")) == []
        for run in runs[10:]:
            run.delete()
    trust.say(
        f"an app killed {kills} times while it made runs, asked things of them, deleted them, {in_deleting} of them "
        "in the midst of deleting: 0 unreadable, no remains"
    )
