"""One run trained: what it leaves, how it heeds its learner, and how it ends when the world is in the way."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lenet_core import worker
from lenet_core.ablation import StepCosts, step_costs
from lenet_core.checkpoint import load_checkpoint, read_description
from lenet_core.data import load
from lenet_core.errors import RunError
from lenet_core.evaluate import evaluate
from lenet_core.leases import holder
from lenet_core.library import runs_dir
from lenet_core.novelty import Familiar
from lenet_core.recipes import Recipe
from lenet_core.runs import Run, create_run
from lenet_core.worker import EARLY, EXAMPLES, work
from tests.conftest import ROOT
from tests.core.trainings import all_of, assert_sound, kinds, litter, new_run, start_worker, until, worker_of

LONGER = {"share": 0.3, "epochs": 5, "batch_size": 4, "dropout": 0.2, "shift": 1}  # a second or two
PASS, STEPS = 270, 1350  # steps of an epoch of it, and of the whole


@dataclass
class Watched:
    """A whole training, and what was seen while it went on."""

    run: Run
    tests_asked: int
    early_accuracies: list[Any]
    early_mistakes: bool


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """The longer training, not interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_DATA_DIR", str(tmp_path_factory.mktemp("whole")))
        watched = Watched(new_run(**LONGER), 0, [], False)

        def load_and_count(name: str, *, train: bool) -> Any:
            watched.tests_asked += not train
            return load(name, train=train)

        def watch(event: dict[str, Any]) -> None:
            if event["kind"] == "epoch":
                description = read_description(watched.run.file("model"))
                watched.early_accuracies.append(description["training"].get("test_accuracy"))
                watched.early_mistakes |= watched.run.file("mistakes").exists()

        patch.setattr(worker, "load", load_and_count)
        assert work(watched.run, listener=watch) == "finished"
        return watched


def same_state(run: Run, other: Run) -> bool:
    """Whether two trainings stand at the same place with the same numbers, bit by bit."""
    left, right = load_file(run.file("state")), load_file(other.file("state"))
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


# --- what a training leaves --------------------------------------------------------------------


def test_a_run_tells_its_story_in_order(whole: Watched) -> None:
    told = kinds(whole.run)
    assert told[:2] == ["starting", "started"]
    assert told[-2:] == ["epoch", "finished"]
    assert told.count("epoch") == 5
    assert set(told[2:-1]) == {"metrics", "epoch"}
    data = (whole.run.folder / "events.jsonl").read_bytes()
    assert len(data.splitlines()) == len(told)  # every line is whole and sound
    times = [event["time"] for event in whole.run.events()[0]]
    assert times == sorted(times)
    assert_sound(whole.run)


def test_the_start_says_what_is_trained_on(whole: Watched) -> None:
    (started,) = all_of(whole.run, "started")
    assert (started["step"], started["images"], started["held_out"]) == (0, 1_080, 120)
    assert (started["epochs"], started["steps_per_epoch"], started["total_steps"]) == (5, PASS, STEPS)
    assert started["device"] == "CPU"
    assert started["classes"] == list("0123456789")


def test_metrics_come_on_a_clock_and_tell_every_step(whole: Watched) -> None:
    before, last = 0, 0.0
    for event in whole.run.events()[0]:
        if event["kind"] == "epoch":
            last = 0.0  # an epoch's end has a line of its own, whenever it comes
        elif event["kind"] == "metrics":
            assert event["first"] == before + 1
            assert len(event["losses"]) == -(-(event["step"] - before) // event["stride"]) <= 50
            assert 0 <= event["accuracy"] <= 1
            assert event["images_per_second"] > 0
            at_an_end = event["step"] % PASS == 0
            assert at_an_end or event["time"] - last > 0.1
            before, last = event["step"], event["time"]
    assert before == STEPS
    inside = [event["layers"] for event in all_of(whole.run, "metrics") if "layers" in event]
    assert len(inside) >= 4
    for layers in inside:
        assert set(layers["gradient"]) == {"c1", "c3", "f5", "output"}
        assert all(0 <= fraction <= 1 for fraction in layers["saturation"].values())


def test_the_network_is_kept_at_early_steps_and_after_every_epoch(whole: Watched) -> None:
    kept = whole.run.checkpoints()
    assert set(kept) == {*EARLY, *range(PASS, STEPS + 1, PASS)}
    for step, path in kept.items():
        assert load_checkpoint(path).training["step"] == step
    weights = [load_checkpoint(path).net.state_dict()["c1.weight"] for path in kept.values()]
    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(weights))
    last, model = (load_checkpoint(path).net.state_dict() for path in (kept[STEPS], whole.run.folder))
    assert all(torch.equal(value, last[name]) for name, value in model.items())


def test_the_test_images_are_asked_once_at_the_end(whole: Watched) -> None:
    assert whole.tests_asked == 1
    assert whole.early_accuracies == [None] * 5
    assert not whole.early_mistakes
    last = whole.run.last_event()
    checkpoint = load_checkpoint(whole.run.folder)
    result = evaluate(checkpoint.net, load("mnist-5k", train=False), checkpoint.architecture.input_shape)
    assert last["test"] == checkpoint.training["test_accuracy"] == result.accuracy > 0.3
    assert (last["correct"], last["images"], last["confusion"]) == (result.correct, 1_000, result.confusion)
    assert tuple(last["interval"]) == result.interval
    assert Recipe.from_dict(checkpoint.training["recipe"]) == whole.run.plan.recipe
    assert result.familiar is not None
    kept = Familiar.from_dict(checkpoint.training["familiar"])
    assert (kept.data, kept.images) == (result.familiar.data, 1_000)
    assert kept.quantiles["energy"] == pytest.approx(result.familiar.quantiles["energy"], rel=1e-4)


def test_what_each_step_is_worth_is_asked_at_the_end(whole: Watched) -> None:
    checkpoint = load_checkpoint(whole.run.folder)
    kept = StepCosts.from_dict(checkpoint.training["steps"])
    test = load("mnist-5k", train=False)
    assert kept == step_costs(checkpoint.net, test, checkpoint.architecture, worker.STEP_IMAGES)
    assert kept.images == 1_000
    assert kept.accuracy > kept.without["polarity"]


def test_pictures_are_kept_with_their_labels(whole: Watched) -> None:
    examples, worst, mistakes = (load_file(whole.run.file(name)) for name in ("examples", "worst", "mistakes"))
    assert examples["images"].shape == (EXAMPLES, 1, 28, 28)
    assert examples["images"].dtype == torch.uint8
    for gallery in (worst, mistakes):
        assert len(gallery["images"]) == len(gallery["labels"]) == len(gallery["probabilities"]) == 48
        right = gallery["probabilities"].gather(1, gallery["labels"][:, None])[:, 0]
        assert torch.equal(right, right.sort().values)


def test_validation_is_what_the_held_out_digits_gave(whole: Watched) -> None:
    for event in all_of(whole.run, "epoch"):
        confusion = event["confusion"]
        assert sum(map(sum, confusion)) == 120
        assert event["validation"] == pytest.approx(sum(confusion[k][k] for k in range(10)) / 120)


def test_a_finished_run_is_not_trained_again(whole: Watched) -> None:
    before = (whole.run.folder / "events.jsonl").read_bytes()
    assert work(whole.run) == "finished"
    assert (whole.run.folder / "events.jsonl").read_bytes() == before


def test_without_held_out_digits_there_is_no_validation() -> None:
    run = new_run(validation=0)
    assert work(run) == "finished"
    (event,) = all_of(run, "epoch")
    assert "validation" not in event
    assert not run.file("worst").exists()
    assert len(load_file(run.file("examples"))["images"]) == EXAMPLES


def test_of_many_epochs_some_networks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MOST_EPOCHS_KEPT", 5)
    run = new_run(epochs=13, batch_size=60)
    assert work(run) == "finished"
    assert sorted(run.checkpoints().keys() - set(EARLY)) == [9, 18, 27, 36]  # every third of 13


def test_of_a_large_network_one_checkpoint_is_kept() -> None:
    run = new_run(dense=15_000, share=0.01)
    assert run.plan.recipe.architecture.parameters > worker.SMALL
    assert work(run) == "finished"
    assert list(run.checkpoints()) == [0]
    assert not run.file("latest").exists()
    assert load_checkpoint(run.folder).training["epochs"] == 1


# --- exact resume ------------------------------------------------------------------------------


def asks(run: Run, request: str, after: int) -> Any:
    """A listener that asks once, when that many steps are done; and for "run" whenever the training pauses."""
    left = [request]

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "metrics" and event["step"] >= after and left:
            run.ask(left.pop())
        if event["kind"] == "paused":
            run.ask("run")

    return listen


def test_stopped_and_resumed_is_bit_by_bit_the_same(whole: Watched) -> None:
    run = new_run(**LONGER)
    assert work(run, listener=asks(run, "stop", 30)) == "stopped"
    stopped = run.last_event()["step"]
    assert 30 <= stopped < STEPS
    assert load_checkpoint(run.folder).training["step"] == stopped  # usable at once
    assert "test_accuracy" not in load_checkpoint(run.folder).training
    run.ask("run")
    assert run.status == "waiting"
    assert work(run) == "finished"
    assert [event["step"] for event in all_of(run, "started")] == [0, stopped]
    assert same_state(run, whole.run)
    assert_sound(run)


def test_paused_and_resumed_is_bit_by_bit_the_same(whole: Watched) -> None:
    run = new_run(**LONGER)
    assert work(run, listener=asks(run, "pause", 100)) == "finished"
    (paused,) = all_of(run, "paused")
    assert 100 <= paused["step"] < STEPS
    assert same_state(run, whole.run)
    assert_sound(run)


def test_a_pause_that_outlasts_its_worker_goes_on_from_its_state(
    whole: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PAUSE", 0.2)
    run = new_run(**LONGER)
    run.ask("pause")
    assert work(run) == "paused"
    assert holder(run.folder) is None
    run.ask("run")
    assert run.status == "waiting"
    assert work(run) == "finished"
    assert same_state(run, whole.run)


def test_one_epoch_at_a_time(whole: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAUSE", 0.1)
    run = new_run(**LONGER)
    for epoch in (1, 2, 3, 4):
        run.ask("step")
        assert work(run) == "paused"
        assert run.request == "pause"
        assert run.last_event() == {**run.last_event(), "kind": "paused", "step": PASS * epoch}
    run.ask("step")
    assert work(run) == "finished"
    assert same_state(run, whole.run)
    assert_sound(run)


def test_a_step_within_a_living_pause_is_one_epoch_too() -> None:
    run = new_run(**LONGER)
    run.ask("step")
    pauses = []

    def again(event: dict[str, Any]) -> None:
        if event["kind"] == "paused":
            pauses.append(event["step"])
            run.ask("step" if len(pauses) < 3 else "stop")

    assert work(run, listener=again) == "stopped"
    assert pauses == [PASS, 2 * PASS, 3 * PASS]


def test_stop_at_the_end_of_a_step_is_not_forgotten() -> None:
    run = new_run(**LONGER)
    run.ask("step")
    assert work(run, listener=lambda event: run.ask("stop") if event["kind"] == "epoch" else None) == "stopped"
    assert run.last_event()["step"] in range(PASS, 2 * PASS)


def test_whoever_changes_their_mind_while_it_stops_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(**LONGER)
    save, changes = worker.Worker._save_state, []

    def save_slowly(self: worker.Worker) -> None:
        save(self)
        if run.request == "stop":
            run.ask("run")  # while the state is being saved
            changes.append("run")

    monkeypatch.setattr(worker.Worker, "_save_state", save_slowly)
    assert work(run, listener=asks(run, "stop", 30)) == "finished"
    assert changes == ["run"]
    assert "stopped" not in kinds(run)


def test_a_half_written_file_is_cleared_away() -> None:
    run = new_run()
    for place in (run.folder, run.folder / "checkpoints"):
        (place / ".state.safetensors.a1b2").write_bytes(b"half")
    (run.folder / ".request.x1").write_bytes(b"")  # another's, perhaps at this moment
    assert work(run) == "finished"
    assert litter(run) == [".request.x1"]


# --- heeding, in processes of their own --------------------------------------------------------

SLOW = {"channels": "64,256", "kernels": "5,5", "dense": 512, "batch_size": 4_000, "share": 1, "validation": 0}


def test_a_training_stuck_in_a_long_step_is_stopped_all_the_same() -> None:
    run = new_run(**SLOW)
    process = start_worker(run)
    until(lambda: all_of(run, "started"), "the start")
    time.sleep(0.3)  # well inside its only step
    run.ask("stop")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert run.status == "stopped"
    assert run.last_event()["forced"] is True
    assert holder(run.folder) is None
    run.ask("run")
    assert run.status == "waiting"


def test_one_that_is_stuck_while_another_takes_over_leaves_the_others_files_alone() -> None:
    run = new_run(**SLOW)
    process = start_worker(run)
    until(lambda: all_of(run, "started"), "the start")
    (run.folder / "lease").write_text(STOLEN)
    begun = run.folder / ".state.safetensors.abc"
    begun.write_bytes(b"the other's, not yet whole")
    run.ask("stop")
    process.communicate(timeout=60)
    assert begun.exists()
    assert kinds(run) == ["starting", "started"]
    assert (run.folder / "lease").read_text() == STOLEN


def test_a_second_worker_refuses_in_one_line_and_changes_nothing() -> None:
    run = new_run(**{**LONGER, "epochs": 200})
    first = start_worker(run)
    until(lambda: run.status == "running", "the first worker")
    second = start_worker(run)
    with pytest.raises(RunError, match="is being trained by another worker; stop that one first"):
        work(run)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (1, "")
    assert err == f"error: {run.name} is being trained by another worker; stop that one first.\n"
    assert worker_of(run) == first.pid
    run.ask("stop")
    assert first.communicate(timeout=60) == ("", "")
    assert run.status == "stopped"
    assert kinds(run).count("starting") == 1


LONG_EPOCH = {"share": 1, "batch_size": 1, "dropout": 0.2}  # 3,600 steps, some seconds, before a state is saved


@pytest.mark.parametrize("how", ["deleted", "stolen"])
def test_a_worker_whose_run_is_taken_from_it_ends_by_itself(how: str) -> None:
    run = new_run(**LONG_EPOCH)
    process = start_worker(run)
    until(lambda: run.status == "running", "the worker")
    if how == "deleted":
        run.delete()
    else:
        (run.folder / "lease").write_text(STOLEN)
    _, err = process.communicate(timeout=60)
    if how == "deleted":
        assert [path.name for path in runs_dir().iterdir()] == [".trash"]
    else:
        assert (process.returncode, err) == (1, f"error: {run.name} was taken away.\n")
        assert (run.folder / "lease").read_text() == STOLEN
        assert kinds(run)[-1] == "metrics"
        assert not run.file("state").exists()  # which is the other's to write
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 1


STOLEN = '{"host": "elsewhere", "pid": 1, "token": "b"}'
LIGHT_SLEEPER = """
import sys
from lenet_core import guard
from lenet_core.__main__ import main
guard.STALE, guard.BEAT = 0.3, 3600  # so that the test need not wait, nor the second thread be the quicker one
sys.exit(main(["work", sys.argv[1]]))
"""


def test_a_worker_that_slept_while_another_took_over_writes_nothing_more() -> None:
    run = new_run(**LONG_EPOCH)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", LIGHT_SLEEPER, str(run.folder)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    until(lambda: run.status == "running", "the worker")
    os.kill(sleeper.pid, signal.SIGSTOP)
    time.sleep(0.5)
    before = (run.folder / "events.jsonl").read_bytes()
    (run.folder / "lease").write_text(STOLEN)
    os.kill(sleeper.pid, signal.SIGCONT)
    _, err = sleeper.communicate(timeout=60)
    assert err == f"error: {run.name} was taken away.\n"
    assert (run.folder / "events.jsonl").read_bytes() == before
    assert (run.folder / "lease").read_text() == STOLEN
    assert not run.file("state").exists()


def test_the_end_of_its_launcher_ends_a_supervised_worker_with_its_state_saved(whole: Watched) -> None:
    run = new_run(**LONGER)
    process = start_worker(run, "--supervised")
    until(lambda: run.status == "running", "the worker")
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    for sign in (signal.SIGINT, signal.SIGTERM):  # as they reach all processes of a terminal or a service
        os.kill(process.pid, sign)
    lines = len(kinds(run))
    until(lambda: len(kinds(run)) > lines, "its going on")
    out, err = process.communicate(timeout=60)  # which closes its input first
    assert (process.returncode, out, err) == (0, "", "")
    assert run.status == "waiting"
    assert run.file("state").exists()
    saved = load_file(run.file("state"))["position"].tolist()
    assert run.last_event("metrics")["step"] == saved[0] * PASS + saved[1] > 0
    assert work(run) == "finished"
    assert same_state(run, whole.run)
    assert_sound(run)


def test_a_training_takes_as_many_threads_as_its_plan_says() -> None:
    run = create_run(dataclasses.replace(new_run().plan, threads=2))
    try:
        assert work(run) == "finished"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
