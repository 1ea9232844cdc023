"""What was published and what was measured, as files: sound, sourced, and refused where they are not."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lenet_core.dial import SWITCHES
from lenet_core.errors import DataError
from lenet_core.published import (
    DIAL,
    REFERENCES,
    REPRODUCED,
    Curve,
    Reproduced,
    SeedRun,
    Value,
    read_dial,
    read_published,
    read_reproduced,
)
from lenet_core.recipes import RECIPES
from tests.conftest import ROOT

RUN = SeedRun(0, 0.9, 0.5, 0.8, 10.0, (0.7, 0.9), (0.6, 0.8), (1.0, 0.5))
RESULT = Reproduced(
    "lenet-modern", {"epochs": "2"}, 61_706, "MNIST", "CPU", "3.11", "2.13",
    (RUN, dataclasses.replace(RUN, seed=1, test=0.92, seconds=14.0, test_by_epoch=(0.8, 0.92))),
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.reference])
def test_every_recipe_that_names_a_reference_has_its_numbers_with_a_source(name: str) -> None:
    published = read_published(name)
    assert published is not None
    assert published.values
    assert all(value.name and value.source for value in published.values)


@pytest.mark.parametrize("path", sorted(REFERENCES.glob("*.json")), ids=lambda path: path.stem)
def test_each_text_says_its_number(path: Path) -> None:
    """The number that a chart draws is the one that a table prints."""
    recipes = json.loads(path.read_text())["recipes"]
    assert set(recipes) <= set(RECIPES)
    assert path.stem == recipes[0]
    for value in read_published(recipes[0]).values:  # type: ignore[union-attr]
        number = float(re.search(r"[\d.]+", value.text)[0])  # type: ignore[index]
        said = number if value.what == "loss" else number / 100
        assert value.value == pytest.approx(1 - said if "error" in value.text else said)


def test_the_textbooks_curve_is_read_for_both_its_recipes() -> None:
    for name in ("d2l-2023", "lenet-d2l"):
        published = read_published(name)
        assert published is not None
        assert published.curve is not None
        assert published.curve.epochs == tuple(range(1, 11))
        assert published.curve.accuracies == (0.101, 0.101, 0.1, 0.1, 0.483, 0.595, 0.654, 0.679, 0.706, 0.728)
        assert "Dive into Deep Learning" in published.curve.source


def test_a_recipe_of_our_own_has_nothing_published() -> None:
    assert read_published("lenet-modern-draw") is None
    alexnet = read_published("alexnet-cifar")
    assert alexnet is not None
    assert (alexnet.values, alexnet.curve) == ((), None)
    assert "nothing was published" in alexnet.note


def test_mean_range_and_curve_over_the_seeds() -> None:
    assert RESULT.mean() == pytest.approx(0.91)
    assert RESULT.range() == (0.9, 0.92)
    assert (RESULT.epochs, RESULT.seconds) == (2, 12.0)
    assert RESULT.values("loss") == [0.5, 0.5]
    assert RESULT.curve() == [(pytest.approx(0.75), 0.7, 0.8), (pytest.approx(0.91), 0.9, 0.92)]
    assert RESULT.curve("loss") == [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5)]
    unkept = dataclasses.replace(RESULT, runs=tuple(dataclasses.replace(run, test_by_epoch=()) for run in RESULT.runs))
    assert unkept.curve() == []


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_reproduced("lenet-modern", tmp_path) is None
    assert read_dial(tmp_path) == {}
    (tmp_path / "lenet-modern.json").write_text(json.dumps(RESULT.to_dict()))
    (tmp_path / "dial.json").write_text(json.dumps({"1998": RESULT.to_dict(), "c3": RESULT.to_dict()}))
    assert read_reproduced("lenet-modern", tmp_path) == RESULT
    assert read_dial(tmp_path) == {"1998": RESULT, "c3": RESULT}


@pytest.mark.parametrize(
    "changes",
    [
        {"runs": []},
        {"runs": [{}]},
        {"runs": 3},
        {"settings": [1]},
        {"device": ""},
        {"unknown": 1},
        {"runs": [{**RESULT.to_dict()["runs"][0], "test": 1.5}]},
        {"runs": [{**RESULT.to_dict()["runs"][0], "test_by_epoch": [0.5]}]},
        {"runs": [{**RESULT.to_dict()["runs"][0], "loss_by_epoch": ["0.5", "0.4"]}]},
    ],
)
def test_a_damaged_result_is_refused_with_its_file_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "x.json").write_text(json.dumps({**RESULT.to_dict(), **changes}))
    with pytest.raises(DataError, match=r"x\.json"):
        read_reproduced("x", tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "null"])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json"):
        read_reproduced("x", tmp_path)


@pytest.mark.parametrize(
    "changes", [{"what": "speed"}, {"value": 1.2}, {"source": ""}, {"low": -0.1}, {"runs": 0}, {"text": None}]
)
def test_a_published_value_without_sense_or_source_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Value(**{"what": "test", "value": 0.9, "text": "90 %", "name": "a", "source": "b", **changes})


def test_a_curve_has_an_accuracy_for_each_epoch() -> None:
    with pytest.raises(ValueError, match="accuracies"):
        Curve("a", "b", (1, 2), (0.5,))


@pytest.mark.parametrize("path", sorted(REPRODUCED.glob("*.json")), ids=lambda path: path.stem)
def test_what_ships_as_reproduced_can_be_read_and_is_whole(path: Path) -> None:
    if path.stem == DIAL:
        dial = read_dial()
        assert list(dial) == ["1998", *SWITCHES, "modern"]
        assert (dial["1998"].parameters, dial["modern"].parameters) == (60_000, 61_706)
        return
    result = read_reproduced(path.stem)
    assert result is not None
    assert result.recipe == path.stem
    assert result.settings["validation"] == "0"
    assert [run.seed for run in result.runs] == list(range(len(result.runs)))
    for run in result.runs:
        assert not run.test_by_epoch or run.test_by_epoch[-1] == run.test
        assert run.train_by_epoch[-1] == run.train


def test_a_page_can_read_both_without_pytorch() -> None:
    check = "import sys, lenet_core.published, lenet_core.reproduce_table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
