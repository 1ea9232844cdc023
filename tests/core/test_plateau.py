"""A training that stands still at chance: noticed, told apart from an ordinary one, explained, ended."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lenet_core.engine import ROOT, environment
from lenet_core.history import History
from lenet_core.knobs import turn
from lenet_core.plateau import explain, find
from lenet_core.recipes import Recipe, recipe_named
from lenet_core.runs import Plan, Run, create_run
from tests.core.test_history import lines

D2L = recipe_named("d2l-2023")
EVEN = math.log(10)
SHRINKING = {"c1": 0.002, "c3": 0.008, "f5": 0.04, "f6": 0.1, "output": 0.25}
STEP = 20  # steps to a line


def told(
    folder: Path, *pieces: tuple[int, float, float], total: int = 4690, gradients: dict[str, float] = SHRINKING,
    flat: float = 0.0, ended: bool = False,
) -> History:  # fmt: skip
    """A history of pieces (steps, accuracy, loss), one after the other."""
    events: list[dict[str, Any]] = [
        {"kind": "started", "step": 0, "total_steps": total, "steps_per_epoch": 469, "images": 60_000}
    ]
    step = 0
    for steps, accuracy, loss in pieces:
        for _ in range(0, steps, STEP):
            layers = {"gradient": gradients, "saturation": dict.fromkeys(list(gradients)[:-1], flat)}
            events.append(
                {
                    "kind": "metrics", "step": step + STEP, "epoch": 0, "first": step + 1, "stride": 1,
                    "losses": [loss] * STEP, "accuracy": accuracy, "images_per_second": 300.0, "layers": layers,
                }
            )  # fmt: skip
            step += STEP
    if ended:
        events.append({"kind": "finished", "step": step, "test": 0.1, "interval": [0.09, 0.11], "seconds": 4.0})
    (folder / "events.jsonl").write_bytes(lines(events))
    history = History(Run(folder))
    history.update()
    return history


def test_a_plateau_that_is_over_is_measured(tmp_path: Path) -> None:
    history = told(tmp_path, (2000, 0.101, EVEN), (2680, 0.6, 1.1))
    found = explain(history, D2L)
    assert found is not None
    assert (found.plateau.since, found.plateau.until) == (0, 2000)
    assert found.plateau.loss == pytest.approx(EVEN)
    assert found.plateau.gradients == SHRINKING
    assert found.plateau.ratio == pytest.approx(125)
    assert found.stands == "It stood at chance for its first 4.3 of 10 epochs, until step 2,000."
    assert "C1's is 120 times shorter than OUTPUT's, though no unit is flat" in found.why


def test_a_plateau_that_lasts_says_where_it_is(tmp_path: Path) -> None:
    found = explain(told(tmp_path, (1000, 0.1, EVEN)), D2L)
    assert found is not None
    assert found.plateau.until is None
    assert found.stands == "It stands at chance since it began: this is step 1,000, 2.1 of 10 epochs."


def test_of_many_epochs_none_is_written_with_an_exponent(tmp_path: Path) -> None:
    found = explain(told(tmp_path, (60_000, 0.1, EVEN), total=469 * 850), D2L)
    assert found is not None
    assert found.stands == "It stands at chance since it began: this is step 60,000, 130 of 850 epochs."
    found = explain(told(tmp_path, (60_000, 0.1, EVEN), (500, 0.8, 0.6), total=469 * 850), D2L)
    assert found is not None
    assert found.stands == "It stood at chance for its first 130 of 850 epochs, until step 60,000."


def test_a_run_that_ended_at_chance_stood_there_to_its_end(tmp_path: Path) -> None:
    found = explain(told(tmp_path, (470, 0.1, EVEN), total=470, ended=True), D2L)
    assert found is not None
    assert found.plateau.until == 470
    assert found.stands == "It stood at chance for the whole of its one epoch, to the end."


def test_a_training_that_falls_back_to_chance_is_noticed(tmp_path: Path) -> None:
    found = explain(told(tmp_path, (1000, 0.7, 0.9), (1000, 0.1, 2.4), (500, 0.8, 0.6)), D2L)
    assert found is not None
    assert (found.plateau.since, found.plateau.until) == (1000, 2000)
    assert found.stands == "It stood at chance for 2.1 of 10 epochs, from step 1,000 on, until step 2,000."


ORDINARY = {
    "learns": [(20, 0.1, 2.3), (2000, 0.8, 0.6)],
    "begins slowly": [(80, 0.1, 2.31), (2000, 0.5, 1.2)],
    "few images": [(80, 0.1, 2.3)],
    "slow but falling": [(1000, 0.13, 2.2)],
    "hardly better": [(1000, 0.16, 2.29)],
    "nothing yet": [],
}


@pytest.mark.parametrize("pieces", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_trainings_are_left_alone(pieces: list[tuple[int, float, float]], tmp_path: Path) -> None:
    assert explain(told(tmp_path, *pieces), D2L) is None


def test_always_saying_the_largest_class_is_still_chance(tmp_path: Path) -> None:
    mnist = turn(D2L, {"data": "mnist"})
    assert find(told(tmp_path, (1000, 0.1124, 2.301)), mnist) is not None  # 6,742 of 60,000 are ones


def test_a_loss_that_knows_no_even_guess_finds_none(tmp_path: Path) -> None:
    assert explain(told(tmp_path, (1000, 0.1, 50.0)), recipe_named("lenet5-1998")) is None


MODERN = recipe_named("lenet-modern")
LEVEL = {"c1": 0.3, "output": 0.4}
CAUSES = {
    "sigmoid": (D2L, SHRINKING, 0.0, {"activation": "relu"}),
    "sigmoid, long steps": (
        recipe_named("d2l-2021"), SHRINKING, 0.0, {"activation": "relu", "learning_rate": "0.1"},
    ),
    "dead": (turn(MODERN, {"learning_rate": "0.1"}), LEVEL, 0.99, {"learning_rate": "0.001"}),
    "stuck": (turn(MODERN, {"learning_rate": "0.1", "activation": "tanh"}), LEVEL, 0.7, {"learning_rate": "0.001"}),
    "timid": (turn(MODERN, {"learning_rate": "0.00001"}), LEVEL, 0.4, {"learning_rate": "0.001"}),
    "still": (turn(D2L, {"learning_rate": "0"}), SHRINKING, 0.0, {"learning_rate": "0.1"}),
    "wild": (turn(MODERN, {"learning_rate": "0.1"}), LEVEL, 0.5, {"learning_rate": "0.001"}),
    "faint": (
        turn(MODERN, {"activation": "tanh", "initialisation": "lecun"}),
        LEVEL, 0.0, {"initialisation": "xavier-uniform"},
    ),
    "momentum": (
        turn(MODERN, {"optimiser": "sgd", "learning_rate": "1", "momentum": "0.9"}),
        LEVEL, 0.95, {"learning_rate": "0.01"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "gradients", "flat", "changes"), CAUSES.values(), ids=CAUSES)
def test_the_knob_follows_from_the_recipe_and_the_numbers(
    recipe: Recipe, gradients: dict[str, float], flat: float, changes: dict[str, str], tmp_path: Path
) -> None:
    found = explain(told(tmp_path, (1000, 0.1, EVEN), gradients=gradients, flat=flat), recipe)
    assert found is not None
    assert found.changes == changes
    assert found.recipe == turn(recipe, changes)


def test_where_no_knob_is_known_none_is_named(tmp_path: Path) -> None:
    found = explain(told(tmp_path, (1000, 0.1, EVEN)), recipe_named("alexnet-cifar"))
    assert found is not None
    assert (found.changes, found.recipe) == ({}, None)
    assert "C1's gradient is 120 times shorter than OUTPUT's" in found.why


def test_without_a_look_at_the_layers_nothing_is_claimed_of_them(tmp_path: Path) -> None:
    history = told(tmp_path, (1000, 0.1, EVEN))
    history.layers.clear()
    found = explain(history, D2L)
    assert found is not None
    assert (found.plateau.ratio, found.plateau.flat) == (0, {})
    assert "times" not in found.why
    assert "no unit is flat" not in found.why


def trained(recipe: Recipe) -> History:
    """What a real training of the recipe leaves."""
    run = create_run(Plan(recipe, device="cpu"))
    command = [sys.executable, "-m", "lenet_core", "work", str(run.folder)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdin=subprocess.DEVNULL, capture_output=True)
    history = History(run)
    history.update()
    return history


def test_a_real_plateau_is_ended_by_the_knob_it_names() -> None:
    textbook = turn(recipe_named("lenet-d2l"), {"data": "mnist-5k", "batch_size": "32", "epochs": "4"})
    stood = trained(textbook)
    found = explain(stood, textbook)
    assert found is not None
    assert found.recipe is not None
    assert found.changes == {"activation": "relu"}
    assert found.plateau.ratio > 20
    assert stood.last["test"] < 0.15
    learned = trained(found.recipe)
    assert explain(learned, found.recipe) is None
    assert learned.last["test"] > 0.85
