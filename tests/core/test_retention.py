"""What is given up when the runs take more room than they may: the order, what is spared, and who is told."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from lenet_core import retention
from lenet_core.__main__ import main
from lenet_core.errors import StorageError
from lenet_core.leases import Lease, holder
from lenet_core.library import data_dir, runs_dir, uploads_dir
from lenet_core.retention import Caretaker, given_up_runs, keep_from_environment, make_room, taken
from lenet_core.runs import Run, all_runs
from tests.core.trainings import make_old, new_run, until

BLOCK = 4096
GALLERIES = ("examples", "worst", "mistakes")
ENDS = {
    "finished": {"kind": "finished", "step": 1, "test": 0.5, "interval": [0, 1], "seconds": 1},
    "stopped": {"kind": "stopped", "step": 1},
    "failed": {"kind": "failed", "message": "the loss is no number"},
    "paused": {"kind": "paused", "step": 1},
}


def run_of(learner: str, age: float, end: str = "finished", checkpoints: int = 10) -> Run:
    """A run as a training leaves it, all of it in whole blocks: `checkpoints` and seven other blocks, and its plan."""
    run = new_run(learner)
    for step in range(checkpoints):
        run.checkpoint_path(step).write_bytes(bytes(BLOCK))
    for name in ("model", "state", "latest", *GALLERIES):
        run.file(name).write_bytes(bytes(BLOCK))
    if end in ENDS:
        run.append(ENDS[end])
    if end == "paused":
        run.ask("pause")
    make_old(run.folder / "recipe.json", age)
    return run


def has(run: Run) -> set[str]:
    """The tensor files that are left of a run, and `checkpoints` if any is."""
    names = {path.stem for path in run.folder.glob("*.safetensors")}
    return names | ({"checkpoints"} if run.checkpoints() else set())


ALL = {"model", "state", "latest", *GALLERIES, "checkpoints"}


def all_taken() -> int:
    return sum(map(taken, all_runs()))


def test_what_nobody_misses_goes_first_then_byproducts_then_runs_the_oldest_first() -> None:
    old, middle, new = (run_of("ada", age) for age in (300, 200, 100))
    whole = all_taken()
    assert make_room(whole) == []
    assert has(old) == ALL
    assert make_room(whole - 1) == []  # nothing that anyone could see
    assert has(old) == ALL - {"state", "latest"}
    assert has(middle) == has(new) == ALL
    (line,) = make_room(whole - 7 * BLOCK)
    assert line.startswith(f"{old.name}: its checkpoints along the way")
    assert has(old) == {"model"}
    assert has(middle) == has(new) == ALL - {"state", "latest"}
    lines = make_room(BLOCK)
    assert [line.split(":")[0].split(" ")[0] for line in lines] == [middle.name, old.name, middle.name]
    assert [run.name for run in all_runs()] == [new.name]
    assert has(new) == ALL - {"state", "latest"}  # the newest is spared
    assert list((runs_dir() / ".trash").iterdir()) == []


@pytest.mark.parametrize("end", ["stopped", "failed"])
def test_what_can_be_resumed_keeps_its_state_as_long_as_it_is_there(end: str) -> None:
    old, _ = run_of("ada", 300, end), run_of("ada", 100)
    make_room(all_taken() - 5 * BLOCK)
    assert has(old) == {"model", "state"}
    assert old.status == end


def test_nothing_of_a_run_that_is_not_over_goes() -> None:
    waits, paused, trained, asked_again = (run_of("ada", 400, end) for end in ("", "paused", "", "stopped"))
    lease = Lease(trained.folder)
    make_old(asked_again.folder / "events.jsonl")
    asked_again.ask("run")
    over = run_of("ada", 200)
    newest = run_of("ada", 100)
    make_room(1)
    for run in (waits, paused, trained, asked_again):
        assert has(run) == ALL
    lease.release()
    assert not over.folder.exists()
    assert newest.folder.exists()


def test_each_learner_keeps_their_newest_and_what_they_brought() -> None:
    runs = {who: [run_of(who, age) for age in (300, 200)] for who in ("ada", "ben", "")}
    brought = uploads_dir("ada") / "mine.safetensors"
    brought.parent.mkdir(parents=True)
    brought.write_bytes(bytes(BLOCK))
    make_room(1)
    assert {run.name for run in all_runs()} == {of_one[1].name for of_one in runs.values()}
    assert brought.exists()


def test_a_run_that_is_taken_up_meanwhile_is_left_alone() -> None:
    old, _ = run_of("ada", 300, "stopped"), run_of("ada", 100)
    lease = Lease(old.folder)  # a worker that was just started
    make_room(1)
    assert has(old) == ALL
    lease.release()
    make_room(1)
    assert not old.folder.exists()


def test_one_that_is_resumed_in_this_moment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = run_of("ada", 300, "stopped"), run_of("ada", 100)

    def and_resumed(folder: Path) -> Lease:
        lease = Lease(folder)
        if folder == old.folder:
            old.ask("run")
        return lease

    monkeypatch.setattr(retention, "Lease", and_resumed)
    make_room(1)
    assert has(old) == ALL


def test_runs_that_are_deleted_meanwhile_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    for age in (300, 200, 100):
        run_of("ada", age)
    asked = retention.learner_of

    def and_deleted(folder: Path) -> str:
        learner = asked(folder)
        Run(folder).delete()
        return learner

    monkeypatch.setattr(retention, "learner_of", and_deleted)
    assert make_room(1) == []
    assert all_runs() == []


def test_one_that_cannot_be_removed_is_told_of_once_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, old, _ = (run_of("ada", age) for age in (300, 200, 100))
    delete = Run.delete

    def all_but_one(run: Run) -> None:
        if run.name == stuck.name:
            raise StorageError("It is in use.")
        delete(run)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "delete", all_but_one)
        for _ in range(3):
            make_room(1)
    assert stuck.folder.exists()
    assert not old.folder.exists()
    assert given_up_runs() == [old.name]
    make_room(1)
    assert given_up_runs() == [old.name, stuck.name]


def test_no_limit_and_no_room_needed_leave_all() -> None:
    runs = [run_of("ada", 300), run_of("ada", 100)]
    assert make_room(0) == make_room(10**9) == []
    assert [has(run) for run in runs] == [ALL, ALL]
    assert holder(runs[0].folder) is None


def test_many_who_make_room_at_once_give_up_no_more_than_one_would() -> None:
    for age in range(40, 0, -1):
        run_of("ada", age)
    keep = all_taken() // 2
    threads = [threading.Thread(target=make_room, args=(keep,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    make_room(keep)
    assert keep * 0.8 < all_taken() <= keep


def test_the_list_and_the_command_line_tell_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    older, old, _ = run_of("ada", 300), run_of("ben", 200), run_of("ben", 100)
    run_of("ada", 50)
    make_room(all_taken() - 20 * BLOCK)
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith(older.name)]
    assert line.endswith("  given up to make room: its checkpoints along the way and its pictures")
    make_room(1)
    assert main(["runs"]) == 0
    assert f"given up to make room: 2 older runs, the last of them {old.name} (LENET_KEEP)" in capsys.readouterr().out
    assert given_up_runs("ada") == [older.name]
    assert given_up_runs() == [older.name, old.name]


def test_a_list_that_is_damaged_or_long_is_no_trouble() -> None:
    path = data_dir() / "given-up.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    for damaged in (b"\xff\xfe", b"no json\n", b"[1]\n", b"[" * 100_000):
        path.write_bytes(damaged)
        assert given_up_runs() == []
    path.write_text("\n".join(json.dumps({"run": f"run {n}", "learner": "ada", "time": 1}) for n in range(500)))
    run_of("ada", 300), run_of("ada", 100)
    make_room(1)
    assert len(given_up_runs("ada")) == 200
    assert path.read_text().count("\n") == 199


def test_what_a_deletion_left_behind_goes() -> None:
    left = runs_dir() / ".trash" / "run-1234"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(bytes(BLOCK))
    make_room(0)
    assert not left.exists()


def test_a_link_out_of_the_data_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    (runs_dir() / ".trash").mkdir(parents=True)
    (runs_dir() / ".trash" / "link").symlink_to(outside)
    oldest = run_of("ada", 400).folder
    run_of("ada", 300), run_of("ada", 100)
    oldest.rename(outside / "run")
    oldest.symlink_to(outside / "run")
    before = sorted(outside.rglob("*"))
    make_room(1)
    assert sorted(outside.rglob("*")) == before
    assert list((runs_dir() / ".trash").iterdir()) == []  # the link itself goes


def test_a_trash_that_is_a_link_out_of_the_data_folder_is_not_emptied(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "letters").mkdir(parents=True)
    runs_dir().mkdir(parents=True)
    (runs_dir() / ".trash").symlink_to(outside)
    make_room(1)
    assert (outside / "letters").exists()


def test_a_caretaker_is_no_thread_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_KEEP", "0.000001")
    caretaker = Caretaker()
    for _ in range(3):
        runs = [run_of("ada", age) for age in (300, 200, 100)]
        for _ in range(20):
            caretaker.ask()
        until(lambda runs=runs: not runs[0].folder.exists() and not runs[1].folder.exists(), "the old ones' end")
        until(lambda: "caretaker" not in {thread.name for thread in threading.enumerate()}, "its end")
    assert all_runs()


@pytest.mark.parametrize(("text", "keep"), [("", 10**10), ("0", 0), ("0.5", 5 * 10**8), ("1e3", 10**12)])
def test_the_setting_is_in_gigabytes(text: str, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_KEEP", text)
    assert keep_from_environment() == keep


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "much", "1e7", "ten" * 1000])
def test_a_setting_that_is_none_is_refused_in_a_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_KEEP", text)
    with pytest.raises(ValueError, match="LENET_KEEP must be a number of GB from 0") as caught:
        keep_from_environment()
    assert len(str(caught.value)) < 200
