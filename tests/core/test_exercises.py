"""The exercises' settings, and the learner's progress: kept, whole, one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lenet_core.exercises import EXERCISES, Exercise, does, images
from lenet_core.inputs import parse
from lenet_core.knobs import turn
from lenet_core.library import BUNDLED, SUFFIX, progress_path
from lenet_core.progress import Progress, load_progress, save_progress
from lenet_core.runs import Plan

LEARNER, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_an_exercise_can_be_done(exercise: Exercise) -> None:
    recipes = [exercise.recipe(setting) for setting in exercise.settings]
    assert len(set(recipes)) == len(recipes)
    assert images(recipes) <= 100_000  # a laptop learns from some 10,000 a second
    if recipes:
        assert len(recipes) > 1  # or there is nothing to compare
        assert exercise.options or exercise.asks in [setting.label for setting in exercise.settings]
    else:
        for text in exercise.look["inputs"].split(","):
            parse(text)
        for net in (exercise.look["net"], exercise.look.get("beside", exercise.look["net"])):
            assert (BUNDLED / f"{net}{SUFFIX}").exists()


def test_twelve_exercises() -> None:
    assert len(EXERCISES) == 12


def test_what_answers_a_question() -> None:
    pooling, channels = EXERCISES["pooling"], EXERCISES["channels"]
    assert pooling.is_answer("max pooling")
    assert not pooling.is_answer("90")
    assert all(map(channels.is_answer, ("90", "90.5", "0", "100")))
    assert not any(map(channels.is_answer, ("101", "-1", "", "nan", "1e1", "٣", "max pooling")))


def test_the_same_training_with_another_seed_counts_another_knob_does_not() -> None:
    exercise = EXERCISES["kernels"]
    small, usual, _ = map(exercise.recipe, exercise.settings)
    assert does(Plan(turn(small, {"seed": "7"}), learner=LEARNER), small)
    assert not does(Plan(usual, learner=LEARNER), small)
    assert not does(Plan(turn(small, {"epochs": "6"}), learner=LEARNER), small)


def test_progress_comes_back(own_data_folder: Path) -> None:
    progress = Progress({"pooling": "max pooling", "channels": "91.5"}, {"strangers"}, {"pooling"}, "channels")
    save_progress(LEARNER, progress)
    assert load_progress(LEARNER) == (progress, "")
    assert load_progress(OTHER) == (Progress(), "")
    assert LEARNER not in str(progress_path(LEARNER))
    assert [path.name for path in (own_data_folder / "progress").iterdir()] == [progress_path(LEARNER).name]


DAMAGE = [
    b"", b"{", b"null", b"[]", b"\x00" * 100, b"\xff", b"[" * 100_000, b'{"predictions": []}', b'{"predictions": {}}',
    b'{"predictions": {}, "looked": 5, "compared": [], "last": ""}',
    b'{"predictions": {}, "looked": [[]], "compared": [], "last": ""}', b'"' + b"x" * 200_000 + b'"',
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: repr(damage[:30]))
def test_a_damaged_file_begins_anew_with_a_line(damage: bytes) -> None:
    save_progress(LEARNER, Progress({"pooling": "max pooling"}))
    progress_path(LEARNER).write_bytes(damage)
    progress, line = load_progress(LEARNER)
    assert progress == Progress()
    assert "begins anew" in line
    save_progress(LEARNER, progress)
    assert load_progress(LEARNER) == (Progress(), "")


def test_what_another_version_kept_is_left_out() -> None:
    save_progress(LEARNER, Progress({"pooling": "max pooling"}))
    kept = json.loads(progress_path(LEARNER).read_text())
    kept["predictions"] |= {"gone": "yes", "channels": "many", "dense": 5}
    kept |= {"looked": ["gone", "strangers"], "last": "gone"}
    progress_path(LEARNER).write_text(json.dumps(kept))
    assert load_progress(LEARNER) == (Progress({"pooling": "max pooling"}, {"strangers"}), "")
