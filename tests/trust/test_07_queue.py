"""Promise 7: the queue is fair and bounded, whoever hands runs in from however many processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lenet_core import local_engine as engines
from lenet_core.engine import Limits
from lenet_core.errors import RunError
from lenet_core.leases import Lease
from lenet_core.library import data_dir, runs_dir
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import Plan, Run, all_runs, create_run, unfinished
from tests.conftest import ROOT
from tests.core.trainings import all_of, kinds, let_go, tiny, until
from tests.trust.conftest import Trust

# In place of a training: who takes the run as a worker does, says when it began and ended, and is gone; at once, if
# whoever started it is gone, whose end closes its input.
BRIEF = """
import select, sys, time
from pathlib import Path
from lenet_core.leases import Lease
from lenet_core.runs import Run
run = Run(Path(sys.argv[1]))
if select.select([sys.stdin], [], [], 0)[0]:
    sys.exit()
lease = Lease(run.folder)
run.append({"kind": "starting", "time": time.time()})
time.sleep(0.02)
run.append({"kind": "finished", "time": time.time(), "step": 1, "test": 0.5, "interval": [0, 1], "seconds": 0.02})
lease.release()
"""
# A process that takes runs on: three threads hand in what its learners want, one each in turn; its answer is what was
# accepted and what was refused. It stays until its input ends.
TAKER = """
import json, sys, threading
from lenet_core import local_engine as engines
from lenet_core.engine import Limits
from lenet_core.errors import RunError
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import Plan
from tests.core.trainings import tiny
limits, learners, each, brief = json.loads(sys.argv[1])
if brief:
    engines.command = lambda run: [sys.executable, "-c", brief, str(run.folder)]
engine = LocalEngine(Limits(*limits))
accepted, refused = [], []
def submit(mine):
    for _ in range(each):
        for learner in mine:
            try:
                accepted.extend(run.name for run in engine.submit([Plan(tiny(), device="cpu", learner=learner)]))
            except RunError as error:
                refused.append(str(error))
threads = [threading.Thread(target=submit, args=(learners[part::3],)) for part in range(3)]
print("ready", flush=True)
input()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([accepted, refused]), flush=True)
sys.stdin.read()
engine.close()
"""

# One that submits a run at each instant it is told, and says whether it was accepted.
RACER = """
import sys, time
from lenet_core.engine import Limits
from lenet_core.errors import RunError
from lenet_core.local_engine import LocalEngine
from lenet_core.runs import Plan
from tests.core.trainings import tiny
engine = LocalEngine(Limits(0, 1, 1))
plan = Plan(tiny(), device="cpu")
print("ready", flush=True)
for line in sys.stdin:
    while time.time() < float(line):
        pass
    try:
        print(engine.submit([plan])[0].name, flush=True)
    except RunError:
        print("", flush=True)
"""


@pytest.fixture
def takers() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that take runs on; all ended with the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start_taker(
    takers: list[subprocess.Popen[str]], limits: Limits, learners: list[str], each: int, brief: bool = True
) -> None:
    said = json.dumps([[limits.workers, limits.queue, limits.share], learners, each, BRIEF if brief else ""])
    takers.append(
        subprocess.Popen(
            [sys.executable, "-c", TAKER, said], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    )


def answers(takers: list[subprocess.Popen[str]]) -> tuple[list[str], list[str]]:
    """Lets all of them submit at the same time; the names accepted, and what the others were told."""
    let_go(takers)
    accepted, refused = [], []
    for taker in takers:
        assert taker.stdout is not None
        names, messages = json.loads(taker.stdout.readline())
        accepted += names
        refused += messages
    return accepted, refused


def started(runs: list[Run]) -> list[Run]:
    """The runs that were begun, in the order in which they were."""
    begun = [(all_of(run, "starting")[0]["time"], run) for run in runs if all_of(run, "starting")]
    return [run for _, run in sorted(begun, key=lambda pair: pair[0])]


def most_at_once(runs: list[Run]) -> int:
    """How many were under way at the same time, at most."""
    changes = sorted(
        (all_of(run, kind)[0]["time"], step) for run in runs for kind, step in (("starting", 1), ("finished", -1))
    )
    now = most = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most


def one_clear_line(message: str) -> bool:
    return "\n" not in message and len(message) < 200 and "Traceback" not in message


def test_200_submissions_by_20_learners_in_two_processes(
    trust: Trust, takers: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 20 learners asks for 10 runs, 5 in either process, where 7 are allowed, and 130 in all."""
    learners, each, share = [f"learner {n:02}" for n in range(20)], 5, trust.count(3, 7)
    room = trust.count(50, 130)
    for _ in range(2):
        start_taker(takers, Limits(0, room, share), learners, each, brief=not trust.full)
    accepted, refused = answers(takers)
    present = all_runs()
    assert sorted(run.name for run in present) == sorted(accepted)
    assert len(set(accepted)) == len(accepted) == room
    assert len(accepted) + len(refused) == 200
    owners = Counter(run.plan.learner for run in present)
    assert max(owners.values()) <= share
    full = [message for message in refused if message.startswith(f"The queue is full: {room} runs of at most {room}")]
    over = [message for message in refused if f"would be over your share of {share}." in message]
    assert len(full) + len(over) == len(refused)
    assert full
    assert all(one_clear_line(message) for message in refused)
    assert all("Try again when some are done." in message for message in full)

    taken_back = present[:5]
    for run in taken_back:  # what is cancelled makes room, at once and for as many
        run.ask("stop")
    watcher = LocalEngine(Limits(0, room, share))
    try:
        late = [watcher.submit([Plan(tiny(), device="cpu", learner=f"late {n}")])[0] for n in range(5)]
        with pytest.raises(RunError, match="The queue is full"):
            watcher.submit([Plan(tiny(), device="cpu", learner="later")])
    finally:
        watcher.close()
    if not trust.full:
        monkeypatch.setattr(engines, "command", lambda run: [sys.executable, "-c", BRIEF, str(run.folder)])
    waiting = [run for run in [*present, *late] if run not in taken_back]
    begin = time.monotonic()
    engine = LocalEngine(Limits(1, room, share))  # an app that is started after them, while they still live
    try:
        engine.adopt()
        until(lambda: unfinished(waiting) == [], "all trainings", 3600)
    finally:
        engine.close()
    order = started(waiting)
    turns: Counter[str] = Counter()
    taken = []
    for run in order:
        taken.append(turns[run.plan.learner])
        turns[run.plan.learner] += 1
    assert taken == sorted(taken)  # nobody's second run starts before everybody's first
    for learner in turns:
        own = [run.plan.created for run in order if run.plan.learner == learner]
        assert own == sorted(own)
    assert len(order) == len(waiting) == room
    assert all(kinds(run).count("starting") == 1 for run in waiting)
    assert all(run.status == "finished" for run in waiting)
    assert most_at_once(waiting) == 1
    assert all((run.status, kinds(run)) == ("stopped", []) for run in taken_back)
    what = "trainings" if trust.full else "stand-ins for trainings"
    trust.say(
        f"200 submissions by 20 learners in 2 processes, 6 threads: {len(accepted)} accepted, {len(full)} told that "
        f"the queue is full, {len(over)} that their share is; {len(order)} {what} in fair order, each started once, "
        f"in {time.monotonic() - begin:.0f} s"
    )


def test_of_three_processes_at_the_same_instant_one_gets_the_last_place(
    trust: Trust, takers: list[subprocess.Popen[str]]
) -> None:
    for _ in range(3):
        takers.append(
            subprocess.Popen(
                [sys.executable, "-c", RACER], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
    pipes = [(taker.stdin, taker.stdout) for taker in takers]
    assert all(stdout is not None and stdout.readline() == "ready\n" for _, stdout in pipes)
    rounds = trust.count(10, 200)
    for _ in range(rounds):
        instant = time.time() + 0.05
        for stdin, _ in pipes:
            assert stdin is not None
            stdin.write(f"{instant}\n")
            stdin.flush()
        accepted = [name for _, stdout in pipes if stdout is not None and (name := stdout.readline().strip())]
        assert len(accepted) == len(all_runs()) == 1
        all_runs()[0].delete()
    trust.say(f"{rounds} races of 3 processes for the last place: 1 got it each time")


def test_who_always_has_one_waiting_and_who_has_many_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    until_told = BRIEF.replace("time.sleep(0.02)", "while not (run.folder / 'end').exists(): time.sleep(0.01)")
    monkeypatch.setattr(engines, "command", lambda run: [sys.executable, "-c", until_told, str(run.folder)])
    engine = LocalEngine(Limits(1, 50, 50))
    try:
        runs = engine.submit([Plan(tiny(), device="cpu", learner="many") for _ in range(6)])
        for _ in range(6):
            runs.extend(engine.submit([Plan(tiny(), device="cpu", learner="one")]))
            for _ in range(2):  # one of many's, which trains by now, and then whose turn it is
                (now,) = until(lambda: [run for run in runs if run.status == "starting"], "a beginning")
                (now.folder / "end").touch()
                until(lambda now=now: now.status == "finished", "its end")
        until(lambda: unfinished(runs) == [], "all trainings")
    finally:
        engine.close()
    assert [run.plan.learner for run in started(runs)] == ["many", "one"] * 6


def test_two_apps_and_a_sweep_on_one_data_folder_train_no_more_at_once_than_is_allowed(
    trust: Trust, takers: list[subprocess.Popen[str]]
) -> None:
    each = trust.count(1, 5)
    for n in range(3):
        start_taker(takers, Limits(2, 256, 64), [f"process {n}, learner {k}" for k in range(6)], each)
    accepted, refused = answers(takers)
    runs = [run for run in all_runs() if run.name in accepted]
    assert (len(runs), refused) == (18 * each, [])
    until(lambda: len(unfinished(runs)) <= len(runs) - 4, "the first four trainings", 600)
    (lead,) = (data_dir() / "queue").glob("*/lease")
    leader = json.loads(lead.read_text())["pid"]
    (first,) = [taker for taker in takers if taker.pid == leader]
    first.kill()  # what it was handed in nobody asked another for; what the others were is trained
    first.communicate()
    of_others = [run for run in runs if f"process {takers.index(first)}," not in run.plan.learner]
    until(lambda: unfinished(of_others) == [], "all trainings of the others", 600)
    assert most_at_once([run for run in runs if run.status == "finished"]) <= 2
    app = LocalEngine(Limits(2, 256, 64))
    try:
        until(lambda: all(run.status != "starting" for run in runs), "the end of those that the first one left")
        left = unfinished(runs)
        assert {run.name for run in app.adopt()} == {run.name for run in left}
    finally:
        app.close()
    again = [run.name for run in runs if kinds(run).count("starting") > 1 and run not in left]
    assert len(again) <= 2  # which were trained when that process was killed
    trust.say(
        f"3 processes, {len(runs)} runs, the one that led killed: at most 2 at once, none lost, none begun twice but "
        "those trained at that moment"
    )


def test_who_died_while_handing_in_keeps_nobody_out_and_who_waits_too_long_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = LocalEngine(Limits(0, 9, 9))
    folder = data_dir() / "queue"
    dying = "import os, sys; from pathlib import Path; from lenet_core.leases import Lease; Lease(Path(sys.argv[1]))"
    try:
        subprocess.run([sys.executable, "-c", dying, str(folder)], cwd=ROOT, check=True)
        assert (folder / "lease").exists()
        engine.submit([Plan(tiny())])
        lease = Lease(folder)
        monkeypatch.setattr("lenet_core.tickets._PATIENCE", 0.1)
        with pytest.raises(RunError, match="Others have been adding to the queue for"):
            engine.submit([Plan(tiny())])
        lease.release()
        engine.submit([Plan(tiny())])
        assert len(all_runs()) == 2
    finally:
        engine.close()


def test_what_a_sweep_left_is_the_apps_to_go_on_with_and_no_other_sweeps(
    monkeypatch: pytest.MonkeyPatch, takers: list[subprocess.Popen[str]]
) -> None:
    monkeypatch.setattr(engines, "command", lambda run: [sys.executable, "-c", BRIEF, str(run.folder)])
    start_taker(takers, Limits(0, 9, 9), ["ada"], 1)
    (name,), _ = answers(takers)
    takers[0].kill()
    takers[0].communicate()
    (left,) = all_runs()
    sweep = LocalEngine(Limits(1, 9, 9))
    try:
        (own,) = sweep.submit([Plan(tiny())])
        until(lambda: own.status == "finished", "its own")
        time.sleep(0.5)
        assert (left.name, left.status) == (name, "waiting")
        sweep.adopt()
        until(lambda: left.status == "finished", "what was left")
    finally:
        sweep.close()


def test_a_ticket_of_nothing_stops_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(engines, "command", lambda run: [sys.executable, "-c", BRIEF, str(run.folder)])
    engine = LocalEngine(Limits(1, 9, 9))
    try:
        (queue,) = [path for path in (data_dir() / "queue").iterdir() if path.is_dir()]
        sound = {"learner": "", "created": 1.0, "process": 1, "workers": 1}
        garbage = [
            b"", b"\xff", b"null", b"5", b"[" * 9_000, b"{}", b" " * 9_000,
            *(
                json.dumps({**sound, key: value}).encode()
                for key in sound
                for value in (None, [], "\0", float("inf"), float("nan"), 10**400, -1)
            ),
        ]  # fmt: skip
        for number, content in enumerate(garbage):
            (queue / f"{number}.json").write_bytes(content)
        (queue / "folder.json").mkdir()
        runs_dir().mkdir(parents=True)
        (runs_dir() / "link").symlink_to(elsewhere)
        (queue / "link.json").write_text(json.dumps(sound))
        damaged, deleted = create_run(Plan(tiny())), create_run(Plan(tiny()))
        _ = damaged.plan  # as whoever hands it in knew it
        (damaged.folder / "recipe.json").write_bytes(b"{")
        engine.enqueue(damaged)
        engine.enqueue(deleted)
        deleted.delete()
        (run,) = engine.submit([Plan(tiny())])
        until(lambda: run.status == "finished", "the sound one")
        until(lambda: damaged.status == "failed", "the damaged one's mark")
        time.sleep(0.5)
        assert kinds(damaged) == ["failed"]  # once
        assert "cannot be read" in damaged.last_event()["message"]
        assert engine.problem() == ""
    finally:
        engine.close()
    assert not deleted.folder.exists()
    assert list(elsewhere.iterdir()) == []
