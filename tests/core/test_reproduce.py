"""Reproductions as a person runs them: named, taken up however they ended, measured, and printed as a table."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lenet_core.__main__ import main
from lenet_core.dial import SWITCHES
from lenet_core.errors import LenetError, RunError
from lenet_core.evaluate import evaluate
from lenet_core.knobs import settings
from lenet_core.library import runs_dir
from lenet_core.published import (
    Curve,
    Published,
    Reproduced,
    SeedRun,
    Value,
    read_dial,
    read_published,
    read_reproduced,
)
from lenet_core.recipes import RECIPES
from lenet_core.reproduce import Member, collect, members, save, take_up, variants
from lenet_core.reproduce_command import result_text, write_tables
from lenet_core.reproduce_table import dial_rows, put_between, recipe_row
from lenet_core.runs import Plan, Run, find_run
from lenet_core.worker import work
from tests.conftest import ROOT
from tests.core.test_cli import answer_of, assert_one_line, call
from tests.core.trainings import all_of, kinds, tiny, until

TRIAL = ("reproduce", "fastest-99", "--data", "mnist-5k", "--device", "cpu")
NAME = "try-reproduce-fastest-99-{}-epochs-{}-data-mnist-5k"


def member(seed: int = 0, variant: str = "lenet-modern", **knobs: object) -> Member:
    """The smallest training there is, as one of a reproduction."""
    return Member(variant, f"reproduce-{variant}-{seed}", Plan(tiny(seed=seed, validation=0, **knobs), device="cpu"))


def trained(one: Member) -> tuple[Member, Run]:
    run = take_up(one)
    assert work(run) == "finished"
    return one, run


# --- which trainings ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_trained_as_published_with_nothing_held_out(name: str) -> None:
    found = members(name, 3)
    assert [one.name for one in found] == [f"reproduce-{name}-{seed}" for seed in range(3)]
    for seed, one in enumerate(found):
        assert one.plan.base == name
        assert one.plan.recipe == dataclasses.replace(RECIPES[name], seed=seed, validation=0.0)


def test_the_dial_is_1998_each_switch_alone_and_today() -> None:
    found = members("dial", 2)
    names = ["1998", *SWITCHES, "modern"]
    assert [one.name for one in found] == [f"dial-{name}-{seed}" for seed in range(2) for name in names]
    assert {(one.plan.base, one.plan.recipe.epochs, one.plan.recipe.validation) for one in found} == {
        ("lenet5-1998", 5, 0.0)
    }
    counts = {name: recipe.architecture.parameters for name, recipe in variants("dial").items()}
    assert (counts["1998"], counts["c3"], counts["output"], counts["modern"]) == (60_000, 60_900, 60_850, 61_706)
    losses = {name: recipe.loss for name, recipe in variants("dial").items()}
    assert {name for name, loss in losses.items() if loss == "cross-entropy"} == {"output", "modern"}


def test_a_trial_has_a_name_of_its_own() -> None:
    one = members("d2l-2021", 1, {"epochs": "1"})[0]
    assert one.name == "try-reproduce-d2l-2021-0-epochs-1"
    assert one.plan.recipe.epochs == 1
    assert members("dial", 1, {"epochs": "1"})[0].name == "try-dial-1998-0-epochs-1"


# --- runs that are there already ---------------------------------------------------------------


def test_a_run_is_made_once_and_then_found() -> None:
    run = take_up(member())
    run.append({"kind": "starting"})
    again = take_up(member())
    assert (again.folder, kinds(again)) == (runs_dir() / "reproduce-lenet-modern-0", ["starting"])


def test_another_wording_of_the_reference_is_the_same_training() -> None:
    take_up(member())
    plan = member().plan
    told = dataclasses.replace(plan.recipe, reference="told otherwise")
    take_up(dataclasses.replace(member(), plan=dataclasses.replace(plan, recipe=told)))


def test_a_run_of_that_name_with_another_recipe_is_left_alone() -> None:
    run = take_up(member(epochs=7))
    before = run.file("recipe").with_suffix(".json").read_bytes()
    with pytest.raises(RunError, match=rf"another training \(epochs 7 instead of 1\); delete or rename {run.folder}"):
        take_up(member())
    assert run.file("recipe").with_suffix(".json").read_bytes() == before


# --- what came of them -------------------------------------------------------------------------


def test_results_are_those_of_the_runs(tmp_path: Path) -> None:
    ended = [trained(member(seed, epochs=2)) for seed in range(2)]
    result = collect(ended, "a sample")["lenet-modern"]
    for (_, run), one in zip(ended, result.runs, strict=True):
        epochs, finished = all_of(run, "epoch"), all_of(run, "finished")[0]
        assert one.test == one.test_by_epoch[-1] == finished["test"]
        assert one.loss_by_epoch == pytest.approx([event["loss"] for event in epochs], abs=1e-6)
        assert one.train_by_epoch == pytest.approx([event["accuracy"] for event in epochs], abs=1e-6)
        assert (one.loss, one.train) == (one.loss_by_epoch[-1], one.train_by_epoch[-1])
    assert [one.seed for one in result.runs] == [0, 1]
    assert result.settings["channels"] == "2,4"
    assert "seed" not in result.settings
    assert (result.device, result.stand_in) == ("CPU", "a sample")
    assert "5,000 MNIST training digits" in result.data

    path = save("lenet-modern", {"lenet-modern": result}, tmp_path / "new")
    assert path.name == "lenet-modern.json"
    assert read_reproduced("lenet-modern", tmp_path / "new") == result
    save("dial", {"1998": result, "modern": result}, tmp_path / "new")
    assert read_dial(tmp_path / "new") == {"1998": result, "modern": result}


def test_test_accuracy_by_epoch_is_that_of_the_networks_kept_then() -> None:
    from lenet_core.checkpoint import load_checkpoint
    from lenet_core.data import load

    ended = [trained(member(epochs=3))]
    steps = [event["step"] for event in all_of(ended[0][1], "epoch")]
    nets = [load_checkpoint(ended[0][1].checkpoint_path(step)) for step in steps]
    test = load("mnist-5k", train=False)
    expected = tuple(evaluate(one.net, test, one.architecture.input_shape).accuracy for one in nets)
    assert len(expected) == 3
    assert collect(ended)["lenet-modern"].runs[0].test_by_epoch == expected


def test_where_networks_were_not_kept_there_is_no_accuracy_by_epoch() -> None:
    """As with AlexNet: only the last network's test accuracy is known, and that of training."""
    ended = [trained(member(epochs=2))]
    ended[0][1].checkpoint_path(all_of(ended[0][1], "epoch")[0]["step"]).unlink()
    run = collect(ended)["lenet-modern"].runs[0]
    assert run.test_by_epoch == ()
    assert len(run.train_by_epoch) == 2


def test_an_unfinished_or_damaged_run_gives_no_result() -> None:
    one, run = trained(member(epochs=2))
    events = (run.folder / "events.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in events if '"epoch": 1, "loss"' not in line]
    assert len(kept) == len(events) - 1
    (run.folder / "events.jsonl").write_text("".join(kept))
    with pytest.raises(RunError, match="not whole; delete"):
        collect([(one, run)])
    (run.folder / "events.jsonl").unlink()
    with pytest.raises(RunError, match="is not finished but waiting"):
        collect([(one, run)])


# --- the command -------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [(), ("--jobs", 2)])
def test_what_is_finished_is_not_trained_again(jobs: tuple[object, ...]) -> None:
    done = call(*TRIAL, "--epochs", 1, "--seeds", 2, *jobs)
    assert done.returncode == 0, done.stderr
    runs = [find_run(NAME.format(seed, 1)) for seed in range(2)]
    tests = [all_of(run, "finished")[0]["test"] for run in runs]
    for test in tests:
        assert f"{test:.2%}" in done.stdout
    assert "published: test 99.0 % within 2 epochs, reference study" in done.stdout
    before = [(run.folder / "events.jsonl").read_bytes() for run in runs]

    results = answer_of(call(*TRIAL, "--epochs", 1, "--seeds", 2, "--json"))
    assert [one["test"] for one in results["fastest-99"]["runs"]] == tests
    assert [(run.folder / "events.jsonl").read_bytes() for run in runs] == before


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_after_a_kill_the_same_command_goes_on_where_it_stood(jobs: tuple[str, ...]) -> None:
    command = [*TRIAL, "--epochs", "12", "--seeds", "1", *jobs]
    process = subprocess.Popen(
        [sys.executable, "-m", "lenet_core", *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    run = Run(runs_dir() / NAME.format(0, 12))
    until(lambda: len(all_of(run, "epoch")) >= 3, "three epochs")  # the state of two is saved: it follows the event
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: run.status in ("waiting", "finished"), "the end of its worker")
    assert run.status == "waiting"

    done = call(*command)
    assert done.returncode == 0, done.stderr
    begun = [event["step"] for event in all_of(run, "started")]
    assert begun[0] == 0
    assert begun[-1] >= 2 * 63  # batches in an epoch of 4,000 digits
    assert [event["epoch"] for event in all_of(run, "epoch")][-1] == 12
    assert run.status == "finished"


@pytest.mark.parametrize("end", [{"kind": "failed", "message": "no disk"}, {"kind": "stopped"}])
def test_a_failed_or_stopped_run_is_taken_up(end: dict[str, Any]) -> None:
    run = take_up(members("fastest-99", 1, {"epochs": "1", "data": "mnist-5k"}, device="cpu")[0])
    if end["kind"] == "stopped":
        run.ask("stop")
    run.append(end)
    assert run.status == end["kind"]
    done = call(*TRIAL, "--epochs", 1, "--seeds", 1)
    assert done.returncode == 0, done.stderr
    assert run.status == "finished"


@pytest.mark.parametrize("jobs", [(), ("--jobs", 1)])
def test_a_training_that_cannot_be_done_says_so(jobs: tuple[object, ...]) -> None:
    run = take_up(members("fastest-99", 1, {"epochs": "1", "data": "mnist-5k"}, device="cpu")[0])
    run.file("state").write_bytes(b"damaged")
    done = call(*TRIAL, "--epochs", 1, "--seeds", 1, *jobs)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "The saved state cannot be used" in done.stderr + done.stdout


def test_another_training_in_the_way_is_told_in_one_line() -> None:
    name = NAME.format(0, 1)
    take_up(Member("fastest-99", name, Plan(tiny())))
    line = assert_one_line(call(*TRIAL, "--epochs", 1, "--seeds", 1), 1)
    assert f"{name} is another training" in line
    assert "delete or rename" in line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "Name a recipe or dial"),
        (("lenet",), "There is no recipe 'lenet'"),
        (("d2l-2021", "--seeds", 0), "seeds must be"),
        (("d2l-2021", "--jobs", 0), "jobs must be"),
        (("d2l-2021", "--epochs", 0), "epochs"),
        (("d2l-2021", "--data", "cats"), "cats"),
        (("d2l-2021", "--epochs", 1, "--write"), "it is not written"),
        (("d2l-2021", "--data", "mnist-5k", "--write"), "it is not written"),
    ],
)
def test_a_bad_argument_is_refused_before_any_training(
    arguments: tuple[object, ...], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *map(str, arguments)]) == 2
    line = capsys.readouterr().err.strip()
    assert part in line
    assert len(line.splitlines()) == 1
    assert not runs_dir().exists()


def test_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of its processes would train all seeds."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["reproduce", "fastest-99", "--epochs", "1", "--data", "mnist-5k"]) == 2
    assert "without torchrun" in capsys.readouterr().err
    assert not runs_dir().exists()


# --- tables ------------------------------------------------------------------------------------


def result(recipe: str, tests: tuple[float, ...], **changes: Any) -> Reproduced:
    """A result of made-up numbers: after two epochs, with half the last accuracy after the first."""
    runs = tuple(
        SeedRun(seed, test, 0.47 + seed / 100, 0.8, 10.0 + seed, (test / 2, test), (0.4, 0.8), (1.0, 0.47 + seed / 100))
        for seed, test in enumerate(tests)
    )
    recipe_settings = settings(RECIPES.get(recipe, RECIPES["lenet5-1998"]))
    return Reproduced(recipe, recipe_settings, 61_706, "Fashion-MNIST", "CPU", "3.11", "2.13", runs, **changes)


def test_a_row_holds_what_was_measured_against_what_was_published() -> None:
    assert recipe_row(result("d2l-2021", (0.78, 0.80, 0.82)), read_published("d2l-2021")) == [
        "`d2l-2021`",
        "`lenet-d2l`, Fashion-MNIST, SGD 0.9, batch 256",
        "77.6 % (others' runs 74.1 to 80.0), Dive into Deep Learning; training 82.4 %, Dive into Deep Learning; "
        "loss 0.469, Dive into Deep Learning",
        "80.00 % (78.00 to 82.00); training 80.00 % (80.00 to 80.00); loss 0.480 (0.470 to 0.490); 3 seeds",
        "2 epochs, 11 s (10 to 12)",
    ]


def test_a_curve_is_written_out_beside_ours() -> None:
    published = Published("d2l-2023", (Value("test", 0.7, "70 %", "A", "B"),), Curve("A", "B", (1, 2), (0.1, 0.7)))
    row = recipe_row(result("d2l-2023", (0.6, 0.8)), published)
    assert row[2] == "70 %, A; by epoch .100 .700"
    assert row[3] == "70.00 % (60.00 to 80.00); by epoch .350 .700; 2 seeds"


def test_without_published_numbers_the_accuracies_reached_stand_there() -> None:
    alone = result("alexnet-cifar", (0.75,), stand_in="a JPEG copy | lossy")
    row = recipe_row(alone, read_published("alexnet-cifar"))
    assert row[1] == "`alexnet-cifar`, Fashion-MNIST (a JPEG copy | lossy), SGD 0.01, batch 128"
    assert row[2] == "nothing was published for this training"
    assert row[3:] == ["75.00 %; by epoch .375 .750; 1 seed", "2 epochs, 10 s"]
    unkept = dataclasses.replace(alone, runs=(dataclasses.replace(alone.runs[0], test_by_epoch=()),))
    assert recipe_row(unkept, None)[3] == "75.00 %; training by epoch .400 .800; 1 seed"


def test_the_dials_rows_say_what_each_switch_does() -> None:
    rows = dial_rows(
        {
            "1998": dataclasses.replace(result("1998", (0.98, 0.99)), parameters=60_000),
            "c3": dataclasses.replace(result("c3", (0.97, 0.99)), parameters=60_900),
            "modern": result("modern", (0.99, 0.99)),
        }
    )
    assert rows[0] == ["none: all as in 1998", "", "", "60,000", "98.50 % (98.00 to 99.00); 2 seeds", ""]
    assert rows[1][0] == SWITCHES["c3"].title
    assert rows[1][3:] == ["60,900", "98.00 % (97.00 to 99.00); 2 seeds", "−0.50 points"]
    assert rows[2][3:] == ["61,706", "99.00 % (99.00 to 99.00); 2 seeds", "+0.50 points"]


def test_tables_are_put_between_their_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("Before\n<!-- reproduced -->\nold\n<!-- /reproduced -->\nAfter\n<!-- dial --><!-- /dial -->\n")
    write_tables(readme, {"reproduced": "| new |\n", "dial": ""})
    text = "Before\n<!-- reproduced -->\n\n| new |\n\n<!-- /reproduced -->\nAfter\n<!-- dial --><!-- /dial -->\n"
    assert readme.read_text() == text
    write_tables(readme, {"reproduced": "| new |\n"})
    assert readme.read_text() == text
    with pytest.raises(LenetError, match="cannot be read"):
        write_tables(tmp_path / "none.md", {"reproduced": "| new |\n"})


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --> <!-- a -->"])
def test_a_table_without_its_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no marks"):
        put_between(text, "a", "| new |\n")


def test_a_result_in_words_names_what_was_published_and_the_stand_in() -> None:
    text = result_text(result("lenet5-tanh", (0.98, 0.99), stand_in="a copy"))
    assert "Fashion-MNIST (a copy), CPU" in text
    assert "test accuracy 98.50 % (98.00 to 99.00)" in text
    assert "published: test 98.2 %, reference run" in text
    assert "49.5 99.0" in text


def test_the_written_tables_are_printed() -> None:
    """Every result that ships stands in them, and nothing is trained for that."""
    done = call("reproduce", "--table")
    assert done.returncode == 0, done.stderr
    for path in (ROOT / "assets" / "reproduced").glob("*.json"):
        first = json.loads(path.read_text())
        assert (f"| `{first['recipe']}` |" if "recipe" in first else "none: all as in 1998") in done.stdout
    assert not runs_dir().exists()
