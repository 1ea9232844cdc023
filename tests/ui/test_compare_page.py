"""The Compare page's logic: which runs, what their lines are, what the table says, where two disagree."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import classify
from lenet_core.codegen import to_script
from lenet_core.errors import RunError
from lenet_core.history import History
from lenet_core.knobs import turn
from lenet_core.recipes import Recipe, recipe_named
from lenet_core.runs import Plan, Run, create_run
from lenet_core.worker import work
from tests.conftest import ROOT
from tests.core.trainings import make_old, new_run
from tests.ui.apps import shown
from ui.compare_charts import Line, accuracy_figure, loss_figure
from ui.compared_curves import mean_and_band, places
from ui.compared_pair import Confusion, confusion_of, largest_differences, mistakes
from ui.compared_runs import MOST, Compared
from ui.galleries import read_gallery
from ui.markup_compare import difference

LEARNER = "0123456789abcdef"
QUICK = turn(recipe_named("lenet-modern"), {"data": "mnist-5k", "epochs": "2"})
AGES = itertools.count(100_000, -1)  # seconds, each run's its own: a file system's clock may be coarse


def compare(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.session_state["learner"] = LEARNER
    app.switch_page("pages/compare.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def begun(recipe: Recipe = QUICK, learner: str = LEARNER, base: str = "lenet-modern", **changes: Any) -> Run:
    """A run as its worker leaves it after one of two epochs of 100 steps in 2.5 seconds; nobody trains it."""
    run = create_run(Plan(recipe, base=base, learner=learner, **changes))
    make_old(run.folder / "recipe.json", next(AGES))
    run.ask("pause")
    for event in (
        {
            "kind": "started", "step": 0, "total_steps": 200, "steps_per_epoch": 100, "epochs": 2, "device": "CPU",
            "images": 3600, "held_out": 400, "data": "x", "classes": list("0123456789"),
        },
        {
            "kind": "metrics", "step": 100, "epoch": 0, "first": 1, "stride": 50, "losses": [2.0, 1.0],
            "accuracy": 0.6, "images_per_second": 900.0, "learning_rate": 0.001,
        },
        {"kind": "epoch", "step": 100, "epoch": 1, "loss": 1.5, "accuracy": 0.6, "validation": 0.7, "seconds": 2.5},
    ):  # fmt: skip
        run.append(event)
    return run


def finished(test: float = 0.9, recipe: Recipe = QUICK, learner: str = LEARNER, **changes: Any) -> Run:
    """The same at its end."""
    run = begun(recipe, learner, **changes)
    correct = round(1000 * test)
    counts = [[100 * (row == column) for column in range(10)] for row in range(10)]
    counts[3][3], counts[3][5] = correct - 900, 1000 - correct
    run.append({"kind": "epoch", "step": 200, "epoch": 2, "loss": 1, "accuracy": 0.8, "validation": 0.8, "seconds": 3})
    run.append(
        {
            "kind": "finished", "step": 200, "seconds": 5.5, "test": test, "interval": [test - 0.02, test + 0.01],
            "images": 1000, "correct": correct, "confusion": counts,
        }
    )  # fmt: skip
    return run


def seeded(seed: int, **knobs: str) -> Recipe:
    return turn(QUICK, {"seed": str(seed), **knobs})


def chosen(app: AppTest) -> set[str]:
    assert not app.exception
    return set(app.multiselect[0].value)


def lines(app: AppTest, chart: str) -> dict[str, dict[str, Any]]:
    """The lines with a name on the chart "loss" or "accuracy", by their names."""
    assert not app.exception
    parts = [one.proto for one in app.get("bidi_component") if one.proto.id.endswith(f"compare_{chart}")]
    assert len(parts) == 1
    found = json.loads(parts[0].json or json.loads(str(parts[0].mixed.json)))
    return {trace["name"]: trace for trace in found["figure"]["data"] if "name" in trace}


def table(app: AppTest) -> list[dict[str, Any]]:
    return list(app.dataframe[0].value.to_dict("records"))


# ---------------------------------------------------------------- which runs


def test_without_runs_the_page_offers_two_ways_on() -> None:
    app = compare()
    assert "Nothing to compare yet" in shown(app)
    app.button(key="train_one").click().run()
    assert "Train a network" in [title.value for title in app.title]
    app = compare()
    app.button(key="open_exercises").click().run()
    assert "Predict, run, compare" in [title.value for title in app.title]


def test_it_opens_with_the_newest_sweep() -> None:
    finished(sweep="old")
    sweep = {finished(recipe=seeded(0, activation=name), sweep="new").name for name in ("relu", "tanh")}
    app = compare()
    assert chosen(app) == sweep
    assert set(app.query_params["runs"].split(",")) == sweep


def test_or_with_all_seeds_of_the_newest_run_or_the_newest_few() -> None:
    others = [finished(recipe=seeded(0, epochs=str(epochs))).name for epochs in (3, 4, 5)]
    newest = finished(recipe=seeded(0)).name
    assert chosen(compare()) == {*others, newest}
    second = finished(recipe=seeded(1)).name
    assert chosen(compare()) == {newest, second}


def test_a_link_names_runs_anybodys_too_and_what_it_cannot_find_is_said() -> None:
    mine, theirs = finished(), finished(learner="somebody else")
    assert len(compare().multiselect[0].options) == 1  # titles, in which a name seldom stands
    app = compare(runs=f"{mine.name},{theirs.name},no-such-run,../../etc")
    assert chosen(app) == {mine.name, theirs.name}
    page = shown(app)
    assert page.count("There is no run") == 2
    assert "no-such-run" in page
    assert "Some of these are another learner's runs: you can look at them." in [one.value for one in app.caption]


def test_why_a_run_failed_is_said_in_a_line() -> None:
    run = begun()
    run.append({"kind": "failed", "message": "No <b>room</b> left."})
    run.ask("stop")
    page = shown(compare())
    assert "seed 0 failed: No &lt;b&gt;room&lt;/b&gt; left." in page
    assert "<b>room" not in page


def test_of_too_many_runs_the_first_are_compared() -> None:
    names = [finished(recipe=seeded(seed)).name for seed in range(MOST + 1)]
    app = compare(runs=",".join(names))
    assert chosen(app) == set(names[:MOST])
    assert f"The link names {MOST + 1} runs" in shown(app)


def test_a_whole_set_is_one_choice_away() -> None:
    sweep = {finished(recipe=seeded(0, activation=name), sweep="s1").name for name in ("relu", "tanh")}
    seeds = {finished(recipe=seeded(seed, epochs="3")).name for seed in (0, 1)}
    app = compare()
    assert chosen(app) == seeds
    box = app.selectbox(key="compare_set")
    assert box.options == ["Sweep s1: lenet-modern by activation, 2 runs", "lenet-modern: mnist-5k, epochs 3, 2 seeds"]
    box.set_value(box.options[0]).run()
    assert chosen(app) == sweep
    assert set(app.query_params["runs"].split(",")) == sweep


def test_a_run_deleted_elsewhere_hides_no_other() -> None:
    kept, gone = finished(recipe=seeded(0)), finished(recipe=seeded(1))
    app = compare()
    assert chosen(app) == {kept.name, gone.name}
    gone.delete()
    app.run()
    assert chosen(app) == {kept.name}


def test_a_training_that_was_repeated_is_no_further_seed() -> None:
    names = [finished(recipe=seeded(3)).name for _ in range(2)]
    page = shown(compare(runs=",".join(names)))
    assert "2 runs" in page
    assert "2 seeds" not in page


# ---------------------------------------------------------------- curves


def test_seeds_are_one_mean_with_its_band_or_each_a_line() -> None:
    run, other = finished(0.9, seeded(0)), finished(0.94, seeded(1))
    app = compare(runs=f"{run.name},{other.name}")
    name = "lenet-modern: mnist-5k, epochs 2, test, mean of 2"
    test = lines(app, "accuracy")[name]
    assert test["x"] == [2.0]
    assert test["y"] == [pytest.approx(92.0)]
    assert test["error_y"]["array"] == [pytest.approx(2.0)]
    assert test["error_y"]["arrayminus"] == [pytest.approx(2.0)]
    assert "2 seeds" in shown(app)
    app = compare(runs=f"{run.name},{other.name}", **{"as": "single"})
    drawn = lines(app, "accuracy")
    assert [drawn[f"lenet-modern: mnist-5k, epochs 2, seed {seed}, test"]["y"] for seed in (0, 1)] == [[90.0], [94.0]]


@pytest.mark.parametrize(("axis", "ends"), [("epoch", [1, 2]), ("step", [100, 200]), ("seconds", [2.5, 5.5])])
def test_curves_run_along_epochs_steps_or_seconds(axis: str, ends: list[float]) -> None:
    finished()
    validation = lines(compare(x=axis), "accuracy")["lenet-modern: mnist-5k, epochs 2, seed 0, validation"]
    assert validation["x"] == ends
    assert validation["y"] == [70.0, 80.0]


def test_errors_are_what_accuracies_leave() -> None:
    finished(0.9)
    assert lines(compare(y="error"), "accuracy")["lenet-modern: mnist-5k, epochs 2, seed 0, test"]["y"] == [
        pytest.approx(10.0)
    ]


def test_what_was_published_is_dashed_and_only_beside_its_own_data() -> None:
    begun(recipe_named("d2l-2023"), base="d2l-2023")
    found = [trace for name, trace in lines(compare(), "accuracy").items() if name.startswith("published")]
    assert [trace["y"][4] for trace in found] == [pytest.approx(48.3)]
    assert found[0]["line"]["dash"] == "dash"
    assert found[0]["x"] == list(range(1, 11))
    level = [trace for name, trace in lines(compare(x="seconds"), "accuracy").items() if name.startswith("published")]
    assert [trace["y"] for trace in level] == [[pytest.approx(72.8)] * 2]  # nobody published seconds
    other = begun(turn(recipe_named("d2l-2023"), {"data": "mnist-5k"}), base="d2l-2023")
    app = compare(runs=other.name)
    assert not any(name.startswith("published") for name in lines(app, "accuracy"))
    assert [row["published"] for row in table(app)] == [""]


def test_a_mean_is_over_those_that_have_got_so_far() -> None:
    grid = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    at, mean, low, high = mean_and_band([([1, 3], [2.0, 4.0]), ([1, 2], [6.0, 8.0])], grid)
    assert at.tolist() == [1, 2, 3]
    assert mean == [4.0, 5.5, 4.0]
    assert low == [2.0, 3.0, 4.0]
    assert high == [6.0, 8.0, 4.0]


def test_an_epoch_under_way_goes_at_the_pace_of_now() -> None:
    history = History(begun())
    history.update()
    assert places(history, [0.5, 1.0, 1.5], "seconds").tolist() == [1.25, 2.5, 4.5]  # 3,600 images at 900 a second
    assert places(history, [0.5], "step").tolist() == [50]


def test_a_perfect_score_is_no_point_on_a_log_scale() -> None:
    line = Line("x", "#0072b2", "validation", [1, 2], [0.9, 1.0])
    assert accuracy_figure([line], "epochs", 2, as_error=True).data[0].y == (pytest.approx(10.0), None)
    assert accuracy_figure([line], "epochs", 2).data[0].y == (90.0, 100.0)


def test_tests_at_two_places_are_two_points() -> None:
    """As where the events of one of two runs lost their beginning, so that nobody knows its steps in an epoch."""
    line = Line("both", "#0072b2", "test", [1.0, 2.0], [0.9, 0.91], [0.9, 0.91], [0.9, 0.91])
    (drawn,) = accuracy_figure([line], "epochs", 2).data
    assert drawn.y == (90.0, 91.0)


def test_a_band_is_drawn_behind_its_line() -> None:
    line = Line("x", "#0072b2", "loss", [1, 2], [2.0, 1.0], [1.5, 0.5], [3.0, 2.0])
    band, mean = loss_figure([line], "epochs", 2).data
    assert band.x == (1, 2, 2, 1)
    assert band.y == (3.0, 2.0, 0.5, 1.5)
    assert mean.y == (2.0, 1.0)


def test_a_line_has_one_value_for_each_place() -> None:
    with pytest.raises(ValueError, match="2 places but 1"):
        Line("x", "#0072b2", "loss", [1, 2], [2.0])
    with pytest.raises(ValueError, match="1 of low"):
        Line("x", "#0072b2", "loss", [1, 2], [2.0, 1.0], [1.0], [3.0])


# ---------------------------------------------------------------- the table


def test_the_table_has_a_row_for_each_group_or_each_run() -> None:
    for seed, test in ((0, 0.9), (1, 0.94)):
        finished(test, seeded(seed), sweep="s")
    begun(seeded(0, activation="tanh"), sweep="s")
    app = compare()
    relu, tanh = table(app)
    assert (relu["recipe"], list(relu["changes"]), relu["seeds"]) == ("lenet-modern", ["mnist-5k", "epochs 2"], "0, 1")
    assert list(tanh["changes"]) == ["tanh", "mnist-5k", "epochs 2"]
    assert (relu["parameters"], relu["seconds"], relu["device"]) == (61_706, 5.5, "CPU")
    assert (relu["test"], relu["test_range"]) == (pytest.approx(92.0), "90.00 to 94.00")
    assert (relu["status"], tanh["status"]) == ("✓ finished", "❚❚ paused")
    assert np.isnan(tanh["test"])
    assert (tanh["validation"], tanh["seconds"]) == (pytest.approx(70.0), 2.5)
    app.button_group(key="compare_as").set_value("single").run()
    assert [row["seeds"] for row in table(app)] == ["0", "1", "0"]
    assert app.query_params["as"] == "single"


# ---------------------------------------------------------------- two side by side


@pytest.fixture
def two_trained() -> tuple[Compared, Compared]:
    """Two small networks that have learned a little, each something else."""
    torch.set_num_threads(1)
    runs = [
        new_run(LEARNER, share=1, epochs=2, channels="4,8", dense="32", activation=name) for name in ("relu", "tanh")
    ]
    for run in runs:
        assert work(run) == "finished"
    return Compared(runs[0], runs[0].plan), Compared(runs[1], runs[1].plan)


def test_mistakes_are_sorted_by_who_makes_them(two_trained: tuple[Compared, Compared]) -> None:
    seen = mistakes(*two_trained)
    networks = [load_checkpoint(one.run.file("model")) for one in two_trained]
    galleries = [read_gallery(one.run.file("mistakes")) for one in two_trained]
    kept = {gallery.images[index].tobytes() for gallery in galleries if gallery for index in range(len(gallery.images))}
    assert {one.picture.tobytes() for one in seen} == kept
    for one in seen:
        answers = [classify(network, one.picture).label for network in networks]
        assert [label for label, _ in one.answers] == answers
        wrong = {(True, True): "both", (True, False): "first", (False, True): "second", (False, False): ""}
        assert one.wrong == wrong[answers[0] != one.label, answers[1] != one.label]
    app = compare(runs=",".join(one.name for one in two_trained), pair=",".join(one.name for one in two_trained))
    both = [one for one in seen if one.wrong == "both"]
    assert 0 < len(both) < len(seen)
    assert f"Both wrong ({len(both)})" in app.button_group(key="compare_wrong").options
    page = shown(app)
    assert page.count('class="lp-seen"') == min(24, len(both))
    assert page.count("✓") < page.count("✕")
    app.button_group(key="compare_view").set_value("Confusion").run()
    assert 'data-testid="difference"' in shown(app)


def test_mistakes_need_two_tested_runs_on_the_same_images() -> None:
    run, other = finished(), finished(recipe=turn(QUICK, {"data": "fashion-mnist"}))
    with pytest.raises(RunError, match=r"A was tested on mnist-5k, B on fashion-mnist"):
        mistakes(Compared(run, run.plan), Compared(other, other.plan))
    with pytest.raises(RunError, match="A has not been tested yet"):
        mistakes(Compared(run, run.plan), Compared(run, run.plan))
    app = compare(runs=f"{run.name},{other.name}")
    assert "No mistakes to compare" in shown(app)


def test_what_two_matrices_differ_by_is_said_with_its_sign() -> None:
    first = Confusion(((8, 2), (1, 9)), ("cat", "<dog>"), "x")
    second = Confusion(((10, 0), (4, 6)), ("cat", "<dog>"), "x")
    assert largest_differences(first, second, 1) == [("<dog>", "cat", 1, 4)]
    found = difference(first.counts, second.counts, first.classes)
    cells = [cell.rsplit(">", 1)[1] for cell in found.split("</td>")[:-1]]
    assert cells == ["+2", "−2", "+3", "−3"]
    assert ["#0072b2" in cell for cell in found.split("</td>")[:-1]] == [True, True, False, False]
    assert "<dog>" not in found


def test_only_answers_to_the_same_images_are_subtracted() -> None:
    over, under_way = finished(), begun(turn(QUICK, {"epochs": "3"}))
    first = confusion_of(over, "mnist-5k")
    assert first is not None
    assert first.compares_with(first)
    assert confusion_of(under_way, "mnist-5k") is None  # its epoch tells of no confusion
    assert not first.compares_with(Confusion(first.counts, first.classes, "held-out images"))
    assert not first.compares_with(Confusion(tuple((*row[1:], 0) for row in first.counts), first.classes, first.on))


# ---------------------------------------------------------------- a recipe to take along


def test_the_train_page_opens_with_the_runs_recipe() -> None:
    finished(recipe=seeded(3, activation="tanh"))
    app = compare()
    app.button(key="take_settings").click().run()
    assert "Train a network" in [title.value for title in app.title]
    expected = {"recipe": "lenet-modern", "activation": "tanh", "data": "mnist-5k", "epochs": "2", "seed": "3"}
    assert expected.items() <= dict(app.query_params).items()


def test_the_script_of_a_run_reaches_its_accuracy(tmp_path: Path) -> None:
    recipe = turn(QUICK, {"epochs": "3", "batch_size": "16"})
    run = create_run(Plan(recipe, base="lenet-modern", device="cpu"))
    torch.set_num_threads(1)
    work(run)
    (tmp_path / "script.py").write_text(to_script(run.plan.recipe))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    reached = float(done.stdout.splitlines()[-1].removeprefix("test accuracy ").removesuffix("%")) / 100
    assert reached > 0.9
    assert reached == pytest.approx(run.last_event()["test"], abs=0.015)
