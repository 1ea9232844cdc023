"""Run folders: made, asked, listed and removed, and what is said of damaged ones."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lenet_core.engine import Engine, Limits
from lenet_core.errors import LenetError, RunError, StorageError
from lenet_core.history import History
from lenet_core.leases import Lease, holder
from lenet_core.library import runs_dir
from lenet_core.run_commands import summary
from lenet_core.runs import REQUESTS, Plan, Run, all_runs, create_run, find_run, unfinished
from tests.conftest import ROOT
from tests.core.trainings import kinds, make_old, new_run, tiny

METRICS = {"kind": "metrics", "step": 5, "first": 1, "stride": 1, "losses": [1.0] * 5, "accuracy": 0.5}
ENDS = {
    "stopped": {"kind": "stopped"},
    "failed": {"kind": "failed", "message": "no"},
    "finished": {"kind": "finished", "step": 9, "test": 0.9, "interval": [0.8, 0.95], "seconds": 1.0},
}


# --- plans and folders -------------------------------------------------------------------------


def test_a_run_is_a_folder_that_holds_its_plan(own_data_folder: Path) -> None:
    plan = Plan(tiny(seed=7), base="lenet-modern", device="cpu", threads=2, learner="ada", sweep="s1", turn=3)
    before = time.time()
    run = create_run(plan)
    assert run.folder.parent == own_data_folder / "runs"
    assert run.name.startswith("lenet-modern-seed7-20")
    assert before <= run.plan.created <= time.time()
    assert dataclasses.replace(run.plan, created=0.0) == plan
    assert (run.status, run.request, run.events(), run.last_event(), run.checkpoints()) == (
        "waiting", "run", ([], 0), {}, {},
    )  # fmt: skip
    assert find_run(run.name).folder == run.folder
    assert find_run(str(run.folder)).folder == run.folder


def test_a_plan_without_its_defaults_can_be_read() -> None:
    recipe = tiny()
    assert Plan.from_dict({"recipe": recipe.to_dict()}) == Plan(recipe)


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "abacus"}, {"threads": 0}, {"threads": 1.5}, {"threads": True}, {"turn": -1}, {"turn": 10**10},
        {"created": -1}, {"created": float("nan")}, {"created": "now"}, {"learner": 5}, {"learner": "x" * 201},
        {"base": None}, {"sweep": ["s"]}, {"colour": "red"}, {"recipe": None}, {"recipe": []}, {"recipe": {}},
        {"recipe": "lenet-modern"},
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_out_of_its_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        Plan.from_dict({**dataclasses.asdict(Plan(tiny())), **changes})
    assert len(str(caught.value)) < 500


def test_a_folder_of_ones_own_is_made_and_not_used_twice(tmp_path: Path) -> None:
    run = create_run(Plan(tiny()), tmp_path / "deep" / "mine")
    assert run.folder == tmp_path / "deep" / "mine"
    with pytest.raises(ValueError, match="holds a run already"):
        create_run(Plan(tiny()), run.folder)
    (tmp_path / "text").write_text("mine")
    with pytest.raises(StorageError, match="cannot be a folder"):
        create_run(Plan(tiny()), tmp_path / "text" / "inner")


def test_a_path_means_that_folder_even_if_a_run_has_its_name(tmp_path: Path) -> None:
    elsewhere = create_run(Plan(tiny()), tmp_path / "elsewhere" / "twin")
    listed = create_run(Plan(tiny()), runs_dir() / "twin")
    assert find_run("twin").folder == listed.folder
    assert find_run(str(elsewhere.folder)).folder == elsewhere.folder


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "gone", "x" * 5_000, "a\0b", "../runs", "~", "*", "con", "\udcff", "🙂" * 100],
    ids=ascii,
)
def test_a_name_that_is_no_runs_is_refused_in_one_line(name: str) -> None:
    new_run()
    with pytest.raises(RunError, match="There is no run") as caught:
        find_run(name)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_runs_are_listed_newest_first() -> None:
    assert all_runs() == []
    runs = [new_run(seed=seed) for seed in range(4)]
    for run, age in zip(runs, (300, 100, 400, 200), strict=True):
        make_old(run.folder / "recipe.json", age)
    (runs_dir() / "notes.txt").write_text("mine")
    (runs_dir() / "empty").mkdir()
    assert [run.name for run in all_runs()] == [runs[index].name for index in (1, 3, 0, 2)]


def test_a_run_elsewhere_is_deleted_without_a_trace(tmp_path: Path) -> None:
    run = create_run(Plan(tiny()), tmp_path / "mine" / "run")
    run.delete()
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_deleted_run_is_gone_for_good() -> None:
    run, other = new_run(), new_run()
    run.append(METRICS)
    run.delete()
    assert [run.name for run in all_runs()] == [other.name]
    assert list((runs_dir() / ".trash").iterdir()) == []
    with pytest.raises(RunError, match="There is no run"):
        _ = run.plan
    for write in (lambda: run.append(METRICS), lambda: run.ask("stop")):
        with pytest.raises(StorageError):
            write()
    assert not run.folder.exists()
    run.delete()  # as two clicks do


def test_many_may_delete_at_once() -> None:
    runs = [new_run() for _ in range(10)]
    problems: list[LenetError] = []

    def sweep() -> None:
        for run in runs:
            try:
                run.delete()
            except LenetError as error:
                problems.append(error)

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (problems, all_runs()) == ([], [])


# --- requests, events and status ---------------------------------------------------------------


def test_a_request_is_the_last_one_asked_for() -> None:
    run = new_run()
    for request in (*REQUESTS, *reversed(REQUESTS)):
        run.ask(request)
        assert run.request == request
    with pytest.raises(ValueError, match="dance"):
        run.ask("dance")
    assert run.request == "run"


def test_events_are_read_from_where_one_left_off() -> None:
    run = new_run()
    run.append({"kind": "starting"})
    first, place = run.events()
    run.append(METRICS)
    second, place = run.events(place)
    assert (first, second) == ([{"kind": "starting"}], [METRICS])
    assert run.events(place) == ([], place)
    assert run.last_event() == METRICS
    assert run.last_event("starting") == {"kind": "starting"}
    assert run.last_event("epoch") == {}


def test_a_line_cut_short_is_read_when_it_is_whole_and_spoils_no_other() -> None:
    run = new_run()
    run.append({"kind": "starting"})
    _, place = run.events()
    line = json.dumps(METRICS).encode()
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(line[:20])
    assert run.events(place) == ([], place)
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(line[20:] + b"\n" + line[:30])  # and here its writer was killed
    events, place = run.events(place)
    assert events == [METRICS]
    run.append({"kind": "starting"})
    assert run.events(place)[0] == [{"kind": "starting"}]


def test_the_last_event_is_found_behind_anything() -> None:
    run = new_run()
    confusion = [[5] * 300 for _ in range(300)]  # an event of 300 kB, as of a network with many classes
    run.append({**ENDS["finished"], "confusion": confusion})
    assert run.last_event()["confusion"] == confusion
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(b"\x00" * 3_000_000)
    assert run.status == "finished"


@pytest.mark.parametrize(
    ("request_", "events", "held", "expected"),
    [
        (None, [], False, "waiting"),
        ("run", [], False, "waiting"),
        ("stop", [], False, "stopped"),
        ("pause", [], False, "paused"),
        ("step", [], False, "waiting"),
        (None, [], True, "starting"),
        ("stop", [], True, "starting"),  # until its worker hears it
        ("run", [{"kind": "starting"}], True, "starting"),
        ("run", [METRICS], True, "running"),
        ("run", [METRICS], False, "waiting"),  # its worker was killed
        ("pause", [METRICS], False, "paused"),
        ("stop", [METRICS], False, "stopped"),
        ("pause", [METRICS, {"kind": "paused", "step": 5}], True, "paused"),
        ("pause", [METRICS, {"kind": "paused", "step": 5}], False, "paused"),
        ("run", [METRICS, {"kind": "paused", "step": 5}], False, "waiting"),
        ("stop", [METRICS, ENDS["stopped"]], False, "stopped"),
        ("run", [METRICS, ENDS["failed"]], False, "failed"),
        ("run", [METRICS, ENDS["finished"]], False, "finished"),
        ("run", [METRICS, ENDS["finished"]], True, "finished"),  # about to let go
    ],
)
def test_the_status_follows_from_the_folder(
    request_: str | None, events: list[dict[str, Any]], held: bool, expected: str
) -> None:
    run = new_run()
    if request_ is not None:
        run.ask(request_)
        make_old(run.folder / "request")
    for event in events:
        run.append(event)
    if held:
        Lease(run.folder)
    assert run.status == expected


@pytest.mark.parametrize("end", ["stopped", "failed"])
@pytest.mark.parametrize("request_", ["run", "step"])
def test_who_asks_at_the_same_instant_as_it_ends_is_heard(end: str, request_: str) -> None:
    run = new_run()
    run.append(ENDS[end])
    assert run.status == end
    run.ask(request_)
    now = time.time_ns()
    for name in ("request", "events.jsonl"):  # a coarse clock gives both the same time
        os.utime(run.folder / name, ns=(now, now))
    assert run.status == "waiting"
    run.ask("stop")
    assert run.status == end


def test_what_is_finished_stays_so() -> None:
    run = new_run()
    run.append(ENDS["finished"])
    run.ask("run")
    assert run.status == "finished"
    assert unfinished([run]) == []


def test_checkpoints_are_known_by_their_steps() -> None:
    run = new_run()
    for step in (100, 0, 20, 123_456_789):
        run.checkpoint_path(step).write_bytes(b"")
    for name in ("x.safetensors", ".00000007.safetensors.k2", "-1.safetensors", "5.txt"):
        (run.folder / "checkpoints" / name).write_bytes(b"")
    assert list(run.checkpoints()) == [0, 20, 100, 123_456_789]
    assert run.checkpoints()[20] == run.checkpoint_path(20)


# --- damaged folders ---------------------------------------------------------------------------

NOISE = bytes(range(256)) * 40
HUGE = b"[" + b"0," * 20_000_000 + b"0]"
DAMAGE = {
    "recipe.json": [
        b"", NOISE, b"{", b"null", b"5", b"[]", b"{}", b'{"recipe": 5}', b'{"recipe": {"architecture": []}}',
        b"[" * 200_000, HUGE,
    ],
    "events.jsonl": [b"", NOISE, b"[" * 200_000 + b"\n", b'{"kind": []}\n', b'{"kind": {}}\n', b'{"kind": "epoch"}\n'],
    "request": [b"", NOISE, b"\xff\xfe", b"dance", b"stop" * 1_000_000],
    "lease": [b"", NOISE, b"[" * 200_000, b'{"host": "x", "pid": "y"}', b'{"pid": 1e999}'],
}  # fmt: skip


def everything_about(run: Run) -> None:
    """Asks what a page and the command line ask of any run."""
    assert run.status
    assert run.look()
    assert run.request in REQUESTS
    assert isinstance(run.checkpoints(), dict)
    assert summary(run)["run"] == run.name
    history = History(run)
    history.update()
    assert history.step >= 0
    assert history.seconds_left is None or history.seconds_left >= 0
    assert holder(run.folder) is None or run.status != "waiting"


@pytest.mark.parametrize(
    ("name", "content"),
    [(name, content) for name, contents in DAMAGE.items() for content in contents],
    ids=lambda value: value if isinstance(value, str) else repr(value[:16]),
)
def test_a_damaged_folder_hides_no_other(name: str, content: bytes) -> None:
    good, bad, other = new_run(seed=1), new_run(seed=2), new_run(seed=3)
    (bad.folder / name).write_bytes(content)
    assert {run.name for run in all_runs()} == {good.name, bad.name, other.name}
    for run in all_runs():
        everything_about(run)
    assert {good.name, other.name} <= {run.name for run in unfinished(all_runs())}
    if name == "recipe.json":
        with pytest.raises(RunError, match=f"plan of {bad.name} cannot be read") as caught:
            _ = bad.plan
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)
        assert summary(bad)["status"] == "failed"


@pytest.mark.parametrize("name", DAMAGE)
def test_a_folder_in_place_of_a_file_hides_no_other(name: str) -> None:
    good, bad = new_run(seed=1), new_run(seed=2)
    (bad.folder / name).unlink(missing_ok=True)
    (bad.folder / name).mkdir()
    assert good.name in {run.name for run in all_runs()}
    for run in all_runs():
        everything_about(run)


class Collector(Engine):
    """An engine that only remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(Limits(workers=1, queue=10, share=10))
        self.taken: list[str] = []

    def enqueue(self, run: Run) -> None:
        assert run.plan
        self.taken.append(run.name)

    def close(self) -> None:
        pass

    def problem(self) -> str:
        return ""


def test_of_those_that_wait_a_damaged_one_is_marked_failed_and_the_others_go_on() -> None:
    good, bad, other = new_run(seed=1), new_run(seed=2), new_run(seed=3)
    (bad.folder / "recipe.json").write_bytes(NOISE)
    engine = Collector()
    assert sorted(run.name for run in engine.adopt()) == sorted(engine.taken) == sorted([good.name, other.name])
    assert bad.status == "failed"
    assert bad.name in bad.last_event()["message"]
    assert holder(bad.folder) is None
    assert kinds(good) == []


# --- how it is loaded --------------------------------------------------------------------------


def test_whoever_lists_runs_does_not_wait_for_pytorch() -> None:
    modules = "lenet_core.runs, lenet_core.local_engine, lenet_core.history, lenet_core.leases, lenet_core.run_commands"
    code = f"import sys, {modules}; print([name for name in ('torch', 'numpy', 'streamlit') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_a_plan_that_was_read_outlives_the_run() -> None:
    run = new_run()
    recipe = run.plan.recipe
    run.delete()
    assert run.plan.recipe == recipe  # a page that shows it goes on
    with pytest.raises(RunError, match="There is no run"):
        _ = Run(run.folder).plan
