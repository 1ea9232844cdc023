"""The engine with real workers: order, limits, crashes, full disks, and what is left when it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lenet_core import engine as engines
from lenet_core import local_engine
from lenet_core.engine import Limits, fail, last_words
from lenet_core.errors import RunError, StorageError
from lenet_core.history import History
from lenet_core.leases import Lease, holder
from lenet_core.library import runs_dir
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import Plan, Run, all_runs, create_run, unfinished
from tests.conftest import ROOT
from tests.core.trainings import all_of, kinds, lives, new_run, start_worker, tiny, until, worker_of

LONG = {"share": 0.2, "epochs": 500, "batch_size": 8}  # minutes: what is asked happens long before its end

# In place of a training: it says that it is finished.
FINISHES = """
import sys, time
from pathlib import Path
from lenet_core.runs import Run
end = {"kind": "finished", "time": time.time(), "step": 1, "test": 0.5, "interval": [0, 1], "seconds": 1}
Run(Path(sys.argv[1])).append(end)
"""

MakeEngine = Callable[..., LocalEngine]


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    """Makes engines and ends them with the test."""
    made: list[LocalEngine] = []

    def make(workers: int = 1, queue: int = 50, share: int = 50) -> LocalEngine:
        made.append(LocalEngine(Limits(workers, queue, share)))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def plans(count: int, learner: str = "ada", **knobs: object) -> list[Plan]:
    return [Plan(tiny(**knobs), device="cpu", learner=learner) for _ in range(count)]


def workers_of(run: Run) -> list[int]:
    """The processes whose command line names the run's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(run.folder) in path.read_bytes().split(b"\0") and lives(int(path.parent.name)):
                found.append(int(path.parent.name))
    return found


# --- taking on ---------------------------------------------------------------------------------


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LENET_WORKERS", "LENET_QUEUE", "LENET_SHARE"):
        monkeypatch.delenv(name, raising=False)
    assert Limits.from_environment() == Limits(max(1, (os.cpu_count() or 1) // 2), 256, 64)
    monkeypatch.setenv("LENET_WORKERS", "3")
    monkeypatch.setenv("LENET_QUEUE", "10")
    monkeypatch.setenv("LENET_SHARE", "2")
    assert Limits.from_environment() == Limits(3, 10, 2)
    for text in ("0", "-1", "many", "1.5", "²", " 4"):
        monkeypatch.setenv("LENET_SHARE", text)
        with pytest.raises(ValueError, match="LENET_SHARE must be a whole number of 1 or more"):
            Limits.from_environment()


def test_over_the_share_or_the_queue_nothing_is_taken_on(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=0, queue=6, share=4)
    assert len(engine.submit(plans(3))) == 3
    with pytest.raises(RunError, match=r"You have 3 unfinished runs; 2 more would be over your share of 4\."):
        engine.submit(plans(2))
    assert len(all_runs()) == 3
    engine.submit(plans(2, "bob"))
    with pytest.raises(RunError, match=r"queue is full: 5 runs of at most 6 are unfinished, and these are 2 more"):
        engine.submit(plans(2, "cyd"))
    assert len(all_runs()) == 5
    engine.submit(plans(1, "cyd"))
    with pytest.raises(RunError, match="queue is full: 6 runs"):
        engine.submit(plans(1, "dan"))


def test_what_is_stopped_or_deleted_makes_room_and_resuming_takes_it_again(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=0, queue=9, share=2)
    first, second = engine.submit(plans(2))
    first.ask("stop")
    second.delete()
    third, _ = engine.submit(plans(2))
    with pytest.raises(RunError, match=r"You have 2 unfinished runs; 1 more"):
        engine.resume(first)
    assert first.status == "stopped"
    third.ask("stop")
    engine.resume(first)
    assert first.status == "waiting"
    engine.resume(first)  # it is among the unfinished already
    assert len(unfinished(all_runs())) == 2


def test_many_who_submit_at_once_never_get_more_than_there_is(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=0, queue=20, share=5)
    refused: list[RunError] = []
    start = threading.Barrier(8)

    def submit(learner: str) -> None:
        start.wait()
        for size in (1, 2, 1, 2):
            try:
                engine.submit(plans(size, learner))
            except RunError as error:
                refused.append(error)

    threads = [threading.Thread(target=submit, args=(name,)) for name in ["ada"] * 2 + [*"bcdefg"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = all_runs()
    owners = [run.plan.learner for run in runs]
    assert 19 <= len(runs) <= 20
    assert all(owners.count(learner) <= 5 for learner in set(owners))
    assert refused
    for learner in set(owners):
        turns = sorted(run.plan.turn for run in runs if run.plan.learner == learner)
        assert turns == list(range(len(turns)))


def test_if_one_folder_cannot_be_made_none_is_left(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(workers=0)
    made: list[Run] = []

    def full_after_two(plan: Plan) -> Run:
        if len(made) == 2:
            raise StorageError("no room")
        made.append(create_run(plan))
        return made[-1]

    monkeypatch.setattr(engines, "create_run", full_after_two)
    with pytest.raises(StorageError, match="no room"):
        engine.submit(plans(3))
    assert all_runs() == []


def test_those_ahead_are_counted_by_turns(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=0)
    ada = engine.submit(plans(3, "ada"))
    bob = engine.submit(plans(2, "bob"))
    assert [engine.ahead_of(run) for run in ada] == [0, 2, 4]
    assert [engine.ahead_of(run) for run in bob] == [1, 3]
    assert engine.ahead_of(new_run()) == 0


# --- training ----------------------------------------------------------------------------------


def test_learners_take_turns_and_what_is_withdrawn_never_starts(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=1)
    withdrawn = engine.submit(plans(2, "zoe"))
    withdrawn[0].ask("stop")
    withdrawn[1].delete()
    ada = engine.submit(plans(2, "ada"))
    (bob,) = engine.submit(plans(1, "bob"))
    until(lambda: all(run.status == "finished" for run in [*ada, bob]), "three trainings")
    begun = {run.name: all_of(run, "starting")[0]["time"] for run in [*ada, bob]}
    ended = {run.name: run.last_event()["time"] for run in [*ada, bob]}
    assert sorted(begun, key=lambda name: begun[name]) == [ada[0].name, bob.name, ada[1].name]
    assert begun[bob.name] > ended[ada[0].name]  # one worker, one at a time
    assert begun[ada[1].name] > ended[bob.name]
    assert kinds(withdrawn[0]) == []
    assert withdrawn[0].status == "stopped"
    assert not withdrawn[1].folder.exists()
    assert engine.problem() == ""


def test_a_worker_keeps_its_memory_and_may_be_paused_resumed_and_stopped(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=2)
    (run,) = engine.submit(plans(1, share=1, epochs=500, batch_size=2))  # 1,800 steps an epoch
    pid = worker_of(run)
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        assert f"{name}=134217728".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    until(lambda: run.status == "running", "the training")
    run.ask("pause")
    until(lambda: run.status == "paused", "the pause")
    engine.resume(run)
    until(lambda: run.status == "running", "the training going on")
    (other,) = engine.submit(plans(1, "bob"))  # one that was resumed keeps nobody waiting
    until(lambda: other.status == "finished", "the other training")
    assert worker_of(run) == pid
    run.ask("stop")
    until(lambda: run.status == "stopped", "the stop")
    until(lambda: not lives(pid), "the worker's end")
    step = run.last_event()["step"]
    engine.resume(run)
    until(lambda: len(all_of(run, "started")) == 2, "the second start")
    assert all_of(run, "started")[1]["step"] == step
    with pytest.raises(RunError, match="is finished; start a new run"):
        engine.resume(other)
    until(lambda: run.last_event()["step"] > step, "more steps")
    engine.close()
    epoch, batch = load_file(run.file("state"))["position"].tolist()
    assert run.last_event("metrics")["step"] == epoch * 1_800 + batch  # it was let go, not killed
    assert run.status == "waiting"


def test_a_crash_goes_on_from_the_last_state_and_three_in_a_row_are_a_failure(make_engine: MakeEngine) -> None:
    engine = make_engine()
    (run,) = engine.submit(plans(1, **LONG))
    reached = []
    for crash in (1, 2, 3):
        until(lambda crash=crash: len(all_of(run, "started")) == crash, f"start {crash}")
        started = run.last_event("started")["step"]
        until(lambda started=started: run.last_event("epoch").get("step", 0) > started, "an epoch")
        epoch = run.last_event("epoch")["step"]
        until(lambda epoch=epoch: run.last_event()["step"] > epoch, "what comes after it is saved")
        reached.append(epoch)
        os.kill(worker_of(run), signal.SIGKILL)
    until(lambda: run.status == "failed" and holder(run.folder) is None, "the failure")
    starts = [event["step"] for event in all_of(run, "started")]
    assert starts[0] == 0
    assert starts[1] >= reached[0]  # all that was before the last epoch's end is kept
    assert starts[2] >= reached[1]
    message = run.last_event()["message"]
    assert "The worker was killed, perhaps for want of memory, 3 times" in message
    assert "\n" not in message
    assert workers_of(run) == []
    history = History(run)
    history.update()
    assert history.steps == sorted(set(history.steps))
    engine.resume(run)
    assert run.status == "waiting"


def test_a_full_disk_fails_one_run_in_one_line_and_the_others_go_on(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=2)
    (run,) = engine.submit(plans(1, **LONG, dense=1_024))
    (other,) = engine.submit(plans(1, "bob", **LONG))
    until(lambda: all_of(run, "epoch") and other.status == "running", "both trainings")
    size = run.file("model").stat().st_size // 2
    resource.prlimit(worker_of(run), resource.RLIMIT_FSIZE, (size, size))
    until(lambda: run.status == "failed", "the failure")
    message = run.last_event()["message"]
    assert "cannot be written" in message
    assert "\n" not in message
    until(lambda: workers_of(run) == [], "the end of its worker")
    assert last_words(run) == f"error: {message}"
    assert "Traceback" not in (run.folder / "worker.log").read_text()
    steps = other.last_event()["step"]
    until(lambda: other.last_event()["step"] > steps, "the other going on")
    assert kinds(run).count("starting") == 1  # a failure is no crash


def test_a_worker_that_cannot_even_begin_is_a_failure_that_says_why(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    cannot = [sys.executable, "-c", "raise SystemExit('no torch here')"]
    monkeypatch.setattr(local_engine, "command", lambda run: cannot)
    (run,) = engine.submit(plans(1))
    until(lambda: run.status == "failed", "the failure")
    assert "ended with status 1, 3 times. Its last words: no torch here" in run.last_event()["message"]
    monkeypatch.setattr(local_engine, "command", lambda run: ["/nowhere/python"])
    (run,) = engine.submit(plans(1))
    until(lambda: run.status == "failed", "the failure")
    assert "No worker could be started (No such file or directory)" in run.last_event()["message"]
    assert engine.problem() == ""


def test_while_the_machine_can_start_no_process_runs_wait_and_the_engine_says_why(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_engine, "_REST", 0.2)
    finished = [sys.executable, "-c", FINISHES]
    monkeypatch.setattr(local_engine, "command", lambda run: [*finished, str(run.folder)])

    def none_to_be_had(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patch:
        patch.setattr(local_engine.subprocess, "Popen", none_to_be_had)
        engine = make_engine()
        runs = engine.submit(plans(5))
        until(engine.problem, "the engine's word")
        time.sleep(0.5)
        assert "(Resource temporarily unavailable). Close what else runs here" in engine.problem()
        assert [run.status for run in runs] == ["waiting"] * 5
    until(lambda: [run.status for run in runs] == ["finished"] * 5, "all trainings")
    until(lambda: engine.problem() == "", "the engine to see it")


def test_failing_a_run_that_is_gone_or_held_says_nothing() -> None:
    run = new_run()
    lease = Lease(run.folder)
    fail(run, "no")
    assert kinds(run) == []
    lease.release()
    fail(run, "no")
    assert (run.status, holder(run.folder)) == ("failed", None)
    run.delete()
    fail(run, "no")
    assert not run.folder.exists()


# --- ends --------------------------------------------------------------------------------------

LAUNCHER = """
import sys, time
from lenet_core.engine import Limits
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import find_run
engine = LocalEngine(Limits(2, 10, 10))
for name in sys.argv[1:]:
    engine.enqueue(find_run(name))
print("up", flush=True)
time.sleep(600)
"""


def test_an_app_killed_leaves_no_worker_and_its_runs_go_on_with_the_next(make_engine: MakeEngine) -> None:
    run, stopped = new_run(share=1, epochs=10, batch_size=8), new_run()
    stopped.ask("stop")
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, run.name, stopped.name], cwd=ROOT, stdout=subprocess.PIPE
    )
    until(lambda: run.status == "running", "the training")
    worker = worker_of(run)
    launcher.kill()
    launcher.communicate()
    engine = make_engine(workers=2)
    engine.adopt()  # at once: the orphan may not have noticed yet
    until(lambda: not lives(worker), "the orphan's end")
    until(lambda: len(all_of(run, "started")) == 2, "its going on")
    assert all_of(run, "started")[1]["step"] > 0
    assert (stopped.status, kinds(stopped)) == ("stopped", [])
    until(lambda: run.status == "finished", "its end")
    steps = [event["step"] for event in all_of(run, "metrics")]
    assert steps == sorted(set(steps))
    until(lambda: workers_of(run) + workers_of(stopped) == [], "the end of its worker")


def test_closing_leaves_nobody_behind_wherever_they_are(make_engine: MakeEngine) -> None:
    engine = make_engine(workers=3)
    long, slow, late = engine.submit(
        [*plans(1, **LONG), *plans(1, batch_size=4_000, share=1, channels="64,256"), *plans(1, **LONG)]
    )
    until(lambda: long.status == "running" and all_of(slow, "started"), "the first two")
    pids = [worker_of(long), worker_of(slow), *workers_of(late)]
    assert len(pids) == 3
    engine.close()
    engine.close()
    assert not any(map(lives, pids))
    for run in (long, slow, late):
        assert workers_of(run) == []
        assert run.status == "waiting"
        assert holder(run.folder) is None
    assert long.file("state").exists()
    adopted = make_engine(workers=0).adopt()
    assert sorted(run.name for run in adopted) == sorted([long.name, slow.name, late.name])


def test_a_run_trained_elsewhere_is_taken_on_only_when_it_is_free(make_engine: MakeEngine) -> None:
    run = new_run(**LONG)
    elsewhere = start_worker(run)
    until(lambda: run.status == "running", "the worker elsewhere")
    engine = make_engine(workers=1)
    assert [run.name for run in engine.adopt()] == [run.name]
    (other,) = engine.submit(plans(1))
    until(lambda: other.status == "finished", "another, which it must not keep waiting")
    assert worker_of(run) == elsewhere.pid
    assert kinds(run).count("starting") == 1
    elsewhere.kill()
    elsewhere.communicate()
    until(lambda: len(all_of(run, "started")) == 2, "its going on")
    run.delete()
    until(lambda: workers_of(run) == [], "the end of a deleted run's worker")
    time.sleep(0.5)
    assert not run.folder.exists()
    assert [run.name for run in all_runs()] == [other.name]
    assert {path.name for path in runs_dir().iterdir()} == {other.name, ".trash"}
