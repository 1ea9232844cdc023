"""The command line as a person calls it, and the list of the person's own trainings."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lenet_core.__main__ import main
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.layers import build
from lenet_core.leases import holder
from lenet_core.library import bundled_checkpoints, own_checkpoints, runs_dir
from lenet_core.presets import PRESETS, preset
from lenet_core.recipes import RECIPES, Recipe
from lenet_core.runs import all_runs, find_run
from lenet_core.strokes import rasterise
from tests.conftest import ROOT
from tests.core.trainings import all_of, new_run, until

DEFAULT = bundled_checkpoints()["lenet-modern"]


def call(*arguments: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs `python -m lenet_core` from the project's folder."""
    command = [sys.executable, *options, "-m", "lenet_core", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def answer_of(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """A refusal in one line, without a traceback; returns the line."""
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    line = done.stderr.strip()
    assert len(line.splitlines()) == 1
    assert line.startswith("error: ")
    return line


# --- recipes and ledger ------------------------------------------------------------------------


def test_recipes_are_listed_with_what_was_published() -> None:
    done = call("recipes")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")] == list(RECIPES)
    assert "0.95 % test error" in done.stdout


def test_recipes_as_json_can_be_read_back() -> None:
    assert [Recipe.from_dict(item) for item in answer_of(call("recipes", "--json"))] == list(RECIPES.values())


@pytest.mark.parametrize("name", PRESETS)
def test_ledger_as_json(name: str) -> None:
    ledger = answer_of(call("ledger", name, "--json"))
    arch = preset(name)
    assert (ledger["name"], ledger["input_shape"]) == (name, list(arch.input_shape))
    for row in ledger["layers"]:
        assert isinstance(row["name"], str)
        assert all(isinstance(side, int) for side in row["output_shape"])
        assert {"parameters", "connections", "kind", "activation"} <= set(row)
    assert ledger["parameters"] == sum(row["parameters"] for row in ledger["layers"]) == arch.parameters
    assert ledger["connections"] == sum(row["connections"] for row in ledger["layers"]) == arch.connections


def test_ledger_of_lenet5_1998_has_the_papers_numbers() -> None:
    ledger = answer_of(call("ledger", "lenet5-1998", "--json"))
    rows = {row["name"]: row for row in ledger["layers"]}
    assert (ledger["parameters"], ledger["connections"]) == (60_000, 340_908)
    assert (rows["c3"]["output_shape"], rows["c3"]["parameters"], rows["c3"]["connections"]) == (
        [16, 10, 10], 1_516, 151_600,
    )  # fmt: skip


def test_ledger_as_text_has_a_line_for_each_layer_and_the_total() -> None:
    lines = call("ledger", "lenet-d2l").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["c1", "s2", "c3", "s4", "flatten", "f5", "f6", "output", "total"]
    assert "6x28x28" in lines[1]
    assert "61,706" in lines[-1]


def test_ledger_takes_another_input_and_other_classes() -> None:
    arguments = ("lenet-modern", "--input-size", 32, "--input-channels", 3, "--classes", 26)
    ledger = answer_of(call("ledger", *arguments, "--json"))
    assert ledger["input_shape"] == [3, 32, 32]
    assert ledger["layers"][0]["parameters"] == 6 * (75 + 1)
    assert ledger["layers"][-1]["output_shape"] == [26]


def test_ledger_does_not_wait_for_pytorch() -> None:
    done = call("ledger", "alexnet-2012", "--json", options=("-X", "importtime"))
    imported = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "lenet_core.architecture" in imported
    assert not {name for name in imported if name.split(".")[0] in ("torch", "torchvision", "numpy", "streamlit")}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--input-size", 3), "c1"),
        (("--input-size", 0), "0"),
        (("--classes", 1), "num_classes"),
        (("--input-channels", -1), "-1"),
    ],
)
def test_an_impossible_ledger_is_refused_in_one_line(arguments: tuple[object, ...], word: str) -> None:
    assert word in assert_one_line(call("ledger", "lenet5-tanh", *arguments), 2)


# --- training and testing ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One pass over the bundled sample, and the folder that it was written to."""
    folder = tmp_path_factory.mktemp("training") / "mine"
    return call("train", "lenet-modern", "--epochs", 1, "--data", "mnist-5k", "--seed", 3, "--out", folder), folder


def printed_accuracy(text: str) -> float:
    found = re.search(r"test accuracy (\d+\.\d\d)%", text)
    assert found
    return float(found[1]) / 100


def test_training_prints_its_accuracy_and_writes_a_checkpoint(
    training: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, folder = training
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {
        "recipe.json", "events.jsonl", "state.safetensors", "model.safetensors", "latest.safetensors",
        "checkpoints", "examples.safetensors", "worst.safetensors", "mistakes.safetensors",
    }  # fmt: skip
    assert find_run(str(folder)).status == "finished"
    assert find_run(str(folder)).plan.base == "lenet-modern"
    assert done.stdout.splitlines()[-1] == str(folder / "model.safetensors")
    assert printed_accuracy(done.stdout) > 0.8
    checkpoint = load_checkpoint(folder)
    assert checkpoint.architecture == preset("lenet-modern")
    assert checkpoint.classes == tuple("0123456789")
    assert (checkpoint.training["epochs"], checkpoint.training["seed"]) == (1, 3)
    assert Recipe.from_dict(checkpoint.training["recipe"]).data == "mnist-5k"


def test_training_says_what_it_does_as_it_goes(training: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    begin, epoch, result, _ = training[0].stdout.splitlines()
    assert begin == (
        "lenet-modern: 1 epoch on 3,600 images of the bundled sample of 5,000 MNIST training digits, "
        "400 held out to watch, seed 3, " + find_run(str(training[1])).last_event("started")["device"]
    )
    assert re.fullmatch(r"epoch 1/1: loss \d\.\d{4}, validation \d\d\.\d\d%, \d+\.\d s", epoch)
    assert re.fullmatch(r"test accuracy \d\d\.\d\d% \(95 % interval \d\d\.\d\d% to \d\d\.\d\d%\), \d+ s", result)
    assert training[0].stderr == ""


def test_a_folder_that_holds_a_run_is_not_trained_into_again(
    training: tuple[subprocess.CompletedProcess[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (training[1] / "events.jsonl").read_bytes()
    assert main(["train", "lenet-modern", "--data", "mnist-5k", "--out", str(training[1])]) == 2
    assert "holds a run already; resume that one" in capsys.readouterr().err
    assert (training[1] / "events.jsonl").read_bytes() == before


def test_evaluating_gives_the_accuracy_that_training_printed(
    training: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, folder = training
    result = answer_of(call("evaluate", folder / "model.safetensors", "--data", "mnist-5k", "--json"))
    assert result["accuracy"] == pytest.approx(printed_accuracy(done.stdout), abs=5.1e-5)
    assert result["images"] == 1_000
    assert result["interval"][0] < result["accuracy"] < result["interval"][1]
    assert [sum(row) for row in result["confusion"]] == [100] * 10
    assert sum(result["confusion"][label][label] for label in range(10)) == round(result["accuracy"] * 1_000)


def test_evaluating_uses_the_trainings_own_data_where_none_is_named(
    training: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done = call("evaluate", training[1])
    assert done.returncode == 0, done.stderr
    assert "sample of 5,000 MNIST training digits" in done.stdout
    assert "95 % interval" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("train", "lenet-9"), "lenet-9"),
        (("train", "lenet-modern", "--epochs", "0"), "epochs"),
        (("train", "lenet-modern", "--data", "imagenet"), "imagenet"),
        (("train", "lenet-modern", "--seed", "-1", "--data", "mnist-5k"), "seed"),
        (("train", "lenet-modern", "--threads", "0"), "threads"),
        (("train", "lenet-modern", "--device", "abacus"), "abacus"),
        (("train", "lenet-modern", "--set", "activation"), "KNOB=VALUE"),
        (("train", "lenet-modern", "--set", "activation=softmax"), "softmax"),
        (("train", "lenet-modern", "--set", "colour=red"), "colour"),
        (("train", "lenet-modern", "--set", "kernels=39,5", "--data", "mnist-5k"), "c1"),
        (("sweep", "lenet-modern", "--grid", "activation"), "activation=relu,tanh"),
        (("sweep", "lenet-modern", "--grid", "activation=relu,relu"), "comes twice"),
        (("sweep", "lenet-modern", "--seeds", "0"), "seed"),
        (("sweep", "lenet-modern", "--seeds", "1000"), "256"),
        (("evaluate", DEFAULT, "--data", "imagenet"), "imagenet"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(
    arguments: tuple[str, ...], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    assert word in printed.err


def test_a_wrong_recipe_is_refused_in_one_line_by_the_command_itself() -> None:
    assert "lenet-modern" in assert_one_line(call("train", "lenet-9", "--data", "mnist-5k"), 2)


@pytest.mark.parametrize(
    "arguments", [("ledger", "lenet-9"), ("train", "lenet-modern", "--epochs", "many"), ("fly",), ()], ids=str
)
def test_arguments_that_are_not_understood_show_the_usage(arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("usage: python -m lenet_core")
    assert "error: " in done.stderr.splitlines()[-1]


def test_a_missing_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["evaluate", str(tmp_path / "gone")], ["predict", str(tmp_path / "gone"), "digit.png"]):
        assert main(command) == 1
        assert "gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "notes",
    [{}, {"recipe": None}, {"recipe": []}, {"recipe": "lenet-modern"}, {"recipe": {"data": ["mnist"]}},
     {"recipe": {"data": 5}}, {"recipe": {}}],
    ids=str,
)  # fmt: skip
def test_strange_notes_in_a_checkpoint_are_no_crash(
    notes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = preset("lenet-modern")
    save_checkpoint(tmp_path / "model.safetensors", Checkpoint(arch, build(arch, seed=0), tuple("0123456789"), notes))
    assert main(["evaluate", str(tmp_path)]) in (1, 2)
    assert capsys.readouterr().err.startswith("error: ")


# --- runs --------------------------------------------------------------------------------------

TINY = ("--data", "mnist-5k", "--set", "share=0.05", "--set", "channels=2,4", "--set", "dense=8", "--device", "cpu")


def test_a_run_is_stopped_listed_and_resumed_from_other_shells(own_data_folder: Path) -> None:
    command = [sys.executable, "-m", "lenet_core", "train", "lenet-modern", *TINY, "--epochs", "4", "--set", "share=1"]
    trainer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (run,) = until(all_runs, "the run")
    until(lambda: run.status == "running", "the training")
    stopped = call("stop", run.name)
    assert (stopped.returncode, stopped.stdout) == (
        0, f"stopped; to go on: python -m lenet_core resume {run.name}\n"
    )  # fmt: skip
    out, err = trainer.communicate(timeout=60)
    assert (trainer.returncode, err) == (0, "")
    assert out.splitlines()[-2:] == [
        f"stopped; to go on: python -m lenet_core resume {run.name}", str(run.file("model"))
    ]  # fmt: skip
    step = run.last_event()["step"]
    (row,) = answer_of(call("runs", "--json"))
    assert (row["run"], row["recipe"], row["status"], row["of"], row["test"]) == (
        run.name, "lenet-modern", "stopped", 4, None,
    )  # fmt: skip
    resumed = call("resume", run.name)
    assert resumed.returncode == 0, resumed.stderr
    assert f", from step {step:,}" in resumed.stdout
    assert printed_accuracy(resumed.stdout) > 0.1
    (line,) = call("runs").stdout.splitlines()
    assert line.startswith(run.name)
    assert "finished  epoch 4/4" in line
    assert "is finished; train it anew" in assert_one_line(call("resume", run.name), 1)
    assert "has finished already" in assert_one_line(call("stop", run.name), 1)


def test_ctrl_c_leaves_a_run_that_can_be_resumed(own_data_folder: Path) -> None:
    command = [sys.executable, "-m", "lenet_core", "train", "lenet-modern", *TINY, "--epochs", "300"]
    trainer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (run,) = until(all_runs, "the run")
    until(lambda: len(all_of(run, "epoch")) > 1, "two epochs")
    trainer.send_signal(signal.SIGINT)
    _, err = trainer.communicate(timeout=60)
    assert trainer.returncode == 130
    assert f"to go on: python -m lenet_core resume {run.name}" in err
    assert "Traceback" not in err
    assert holder(run.folder) is None
    assert run.file("state").exists()


def test_a_sweep_trains_every_combination_and_prints_its_row() -> None:
    sweep = ("sweep", "lenet-modern", *TINY, "--epochs", 1, "--grid", "activation=relu,tanh", "--json")
    rows = answer_of(call(*sweep))
    assert [row["title"] for row in rows] == ["unchanged", "tanh"]
    assert {row["status"] for row in rows} == {"finished"}
    assert all(row["test"] > 0.05 for row in rows)
    runs = all_runs()
    assert sorted(run.plan.recipe.architecture.activation for run in runs) == ["relu", "tanh"]
    (sweep,) = {run.plan.sweep for run in runs}
    assert sweep
    assert all(holder(run.folder) is None for run in runs)


def test_a_failed_training_is_one_line_and_a_status(own_data_folder: Path) -> None:
    rate = ("--set", "optimiser=sgd", "--set", "learning_rate=100", "--set", "activation=identity", "--epochs", 20)
    line = assert_one_line(call("train", "lenet-modern", *TINY, *rate), 1)
    assert "no longer a number" in line
    (listed,) = call("runs").stdout.splitlines()
    assert "failed" in listed
    assert "no longer a number" in listed
    (run,) = all_runs()
    assert "has failed already" in assert_one_line(call("stop", run.name), 1)


def test_runs_are_listed_though_one_is_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert "no runs yet" in capsys.readouterr().out
    good, bad = new_run(seed=1), new_run(seed=2)
    (bad.folder / "recipe.json").write_bytes(b"\xff{")
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert any(good.name in line and "waiting" in line for line in lines)
    assert any(bad.name in line and "failed" in line and "cannot be read" in line for line in lines)
    assert main(["resume", bad.name]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["resume", "stop", "work"])
@pytest.mark.parametrize("name", ["gone", "../..", "x" * 5_000])
def test_a_run_that_is_not_there_is_told(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, name]) == 1
    assert capsys.readouterr().err.startswith("error: There is no run ")


def test_a_run_that_waits_is_stopped_without_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    run = new_run()
    assert main(["stop", run.name]) == 0
    assert run.status == "stopped"
    assert "resume" in capsys.readouterr().out


# --- pictures ----------------------------------------------------------------------------------


def circle(x: float, y: float, across: float, down: float) -> list[tuple[float, float]]:
    turns = [step * math.tau / 60 for step in range(61)]
    return [(x + across * math.cos(turn), y + down * math.sin(turn)) for turn in turns]


# A pen's way on a 280-pixel canvas.
WRITTEN: dict[int, list[list[tuple[float, float]]]] = {
    0: [circle(140, 140, 60, 90)],
    1: [[(140, 40), (140, 240)]],
    3: [[(80, 60), (140, 40), (190, 70), (180, 115), (125, 135), (190, 160), (200, 200), (150, 235), (80, 220)]],
    4: [[(110, 40), (75, 150), (205, 150)], [(175, 80), (165, 240)]],
    7: [[(70, 50), (210, 50), (120, 240)]],
}


def drawn(label: int) -> Image.Image:
    """The digit, white on black."""
    return Image.fromarray(rasterise(WRITTEN[label], 20))


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Five pictures of digits, alike in nothing but that."""
    ink = {label: drawn(label) for label in WRITTEN}
    black = Image.new("L", (280, 280))
    made = {
        0: ink[0],
        1: Image.fromarray(255 - np.asarray(ink[1])).resize((90, 90)),
        3: Image.composite(Image.new("RGB", (280, 280), "darkred"), Image.new("RGB", (280, 280), "ivory"), ink[3]),
        4: Image.merge("RGBA", [black, black, black, ink[4]]),
        7: ink[7].resize((1_200, 1_200)),
    }
    paths = []
    for label, image in made.items():
        paths.append(tmp_path / f"digit {label}.png")
        image.save(paths[-1])
    return paths


def test_pictures_of_every_kind_are_answered_in_order(pictures: list[Path]) -> None:
    answers = answer_of(call("predict", DEFAULT, *pictures, "--json"))
    assert [answer["file"] for answer in answers] == [str(path) for path in pictures]
    assert [answer["label"] for answer in answers] == [0, 1, 3, 4, 7]
    for answer in answers:
        assert answer["name"] == str(answer["label"])
        assert len(answer["probabilities"]) == 10
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert max(answer["probabilities"]) == answer["probabilities"][answer["label"]]


def test_answers_as_text_name_the_file_and_the_digit(pictures: list[Path]) -> None:
    done = call("predict", DEFAULT, *pictures[:2])
    assert done.returncode == 0
    assert re.fullmatch(
        rf"{re.escape(str(pictures[0]))}: 0 \(\d+\.\d%\)\n{re.escape(str(pictures[1]))}: 1 \(\d+\.\d%\)\n", done.stdout
    )


def test_a_fashion_network_answers_with_names_of_clothes(pictures: list[Path]) -> None:
    fashion = bundled_checkpoints()["lenet-d2l-fashion"]
    (answer,) = answer_of(call("predict", fashion, pictures[0], "--json"))
    assert answer["name"] == load_checkpoint(fashion).classes[answer["label"]]
    assert not answer["name"].isdigit()


def test_a_bad_picture_among_good_ones_is_named_and_the_good_ones_are_answered(
    pictures: list[Path], tmp_path: Path
) -> None:
    text, blank, gone = tmp_path / "notes.png", tmp_path / "blank.png", tmp_path / "gone.png"
    text.write_text("no picture")
    Image.new("L", (50, 50), 255).save(blank)
    done = call("predict", DEFAULT, pictures[0], text, pictures[1], blank, gone, pictures[4], "--json")
    assert done.returncode == 1
    assert [answer["label"] for answer in json.loads(done.stdout)] == [0, 1, 7]
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 4  # one for each, and the count
    assert all(str(path) in line for path, line in zip((text, blank, gone), lines, strict=False))
    assert "3 of 6" in lines[3]


# --- the person's own trainings ----------------------------------------------------------------


def test_trainings_go_to_the_data_folder_and_are_listed(own_data_folder: Path) -> None:
    assert own_checkpoints() == {}
    done = call("train", "lenet-modern", "--epochs", 1, "--data", "mnist-5k")
    assert done.returncode == 0, done.stderr
    ((name, path),) = own_checkpoints().items()
    assert done.stdout.splitlines()[-1] == str(path)
    assert path.is_relative_to(own_data_folder)
    assert name.startswith("lenet-modern-seed0-")
    assert load_checkpoint(path).training["recipe"]["name"] == "lenet-modern"


def test_own_checkpoints_are_listed_newest_first_and_unfinished_ones_not(own_data_folder: Path) -> None:
    assert runs_dir() == own_data_folder / "runs"
    for name, age in (("b-oldest", 300), ("a-newest", 100), ("c-middle", 200)):
        path = runs_dir() / name / "model.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (runs_dir() / "unfinished").mkdir()
    (runs_dir() / "unfinished" / ".model.safetensors.x1").write_bytes(b"")
    (runs_dir() / "odd" / "model.safetensors").mkdir(parents=True)
    (runs_dir() / "notes.txt").write_text("mine")
    assert list(own_checkpoints()) == ["a-newest", "c-middle", "b-oldest"]
    assert own_checkpoints()["a-newest"] == runs_dir() / "a-newest" / "model.safetensors"


def test_clothes_are_not_judged_as_digits() -> None:
    clothes = str(ROOT / "assets" / "checkpoints" / "lenet-d2l-fashion.safetensors")
    done = call("evaluate", clothes, "--data", "mnist-5k")
    assert done.returncode == 2
    assert "T-shirt" in done.stderr
    assert "--data" in done.stderr
