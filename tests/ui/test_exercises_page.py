"""The Exercises page's logic, without a browser and without a worker: predict, then run, then compare."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from lenet_core.exercises import EXERCISES
from lenet_core.knobs import settings, turn
from lenet_core.library import progress_path
from lenet_core.progress import Progress, load_progress, save_progress
from lenet_core.recipes import recipe_named
from lenet_core.runs import Plan, Run, all_runs, create_run
from tests.conftest import ROOT
from tests.core.test_history import lines, metrics, started
from tests.ui.apps import shown

LEARNER, OTHER = "0123456789abcdef", "fedcba9876543210"


def exercises(opened: str = "pooling", learner: str = LEARNER) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.session_state["learner"] = learner
    app.switch_page("pages/exercises.py")
    app.query_params["exercise"] = opened
    return app.run()


def trained(opened: str, label: str, test: float = 0.9, learner: str = LEARNER, seed: int = 0) -> Run:
    """A finished run of one of an exercise's settings."""
    exercise = EXERCISES[opened]
    setting = next(one for one in exercise.settings if one.label == label)
    recipe = dataclasses.replace(exercise.recipe(setting), seed=seed)
    run = create_run(Plan(recipe, base=exercise.base, learner=learner))
    end = {
        "kind": "finished", "step": 40, "test": test, "interval": [test - 0.02, test + 0.02], "seconds": 4.0,
        "correct": 900, "images": 1000, "confusion": [[1, 0], [0, 1]],
    }  # fmt: skip
    (run.folder / "events.jsonl").write_bytes(
        lines([{"kind": "starting"}, started(classes=["0", "1"]), metrics(40), end])
    )
    return run


def predict(app: AppTest, answer: str) -> AppTest:
    app.radio(key="said.pooling").set_value(answer).run()
    return app.button(key="keep_prediction").click().run()


def steps(app: AppTest) -> list[bool]:
    """Which of the three steps are marked as done."""
    page = shown(app)
    return [part.split('"')[0] == "true" for part in page.split('data-done="')[1:]]


def done(app: AppTest) -> str:
    return str(app.get("progress")[0].proto.text)


def test_the_page_opens_with_the_first_question_and_nothing_to_run_yet() -> None:
    app = exercises()
    page = shown(app)
    assert EXERCISES["pooling"].question.split(":")[0] in page
    assert done(app) == "0 of 12 done"
    assert len([button for button in app.button if (button.key or "").startswith("open_")]) == 12
    assert app.button(key="train_exercise").disabled
    assert app.button(key="keep_prediction").disabled
    assert steps(app) == [False, False, False]
    assert not progress_path(LEARNER).exists()


@pytest.mark.parametrize("key", EXERCISES)
def test_every_exercise_opens_by_its_link_and_keeps_its_result_to_itself(key: str) -> None:
    app = exercises(key)
    page = shown(app)
    assert app.subheader[0].value == EXERCISES[key].title
    assert 'data-testid="look-for"' not in page


def test_a_prediction_is_kept_for_good() -> None:
    app = predict(exercises(), "max pooling")
    assert steps(app) == [True, False, False]
    assert not app.button(key="train_exercise").disabled
    assert load_progress(LEARNER)[0] == Progress({"pooling": "max pooling"}, last="pooling")
    again = exercises()
    assert "<b>max pooling</b>" in shown(again)
    assert not again.radio


def test_a_number_is_predicted_and_stands_beside_the_measured_one() -> None:
    app = exercises("activation")
    app.number_input(key="said.activation").set_value(62.5).run()
    app.button(key="keep_prediction").click().run()
    assert "<b>62.5 %</b>" in shown(app)
    trained("activation", "sigmoid", 0.1)
    page = shown(exercises("activation"))
    assert "<b>10.0 % (8.0 to 12.0)</b>" in page


def test_a_result_is_hidden_until_it_is_predicted() -> None:
    trained("pooling", "max", 0.912)
    trained("pooling", "average", 0.873)
    app = exercises()
    assert "91.2" not in shown(app)
    assert shown(app).count("predict first") == 2
    page = shown(predict(app, "average pooling"))
    assert "91.2 %" in page
    assert "87.3 %" in page
    assert EXERCISES["pooling"].look_for.split(":")[0] in page


def test_finished_runs_are_noticed_whatever_their_seed() -> None:
    predict(exercises(), "max pooling")
    trained("pooling", "max", 0.9, seed=3)
    assert steps(exercises()) == [True, False, False]
    trained("pooling", "max", 0.92)
    trained("pooling", "average")
    app = exercises()
    assert steps(app) == [True, True, False]
    assert "91.0 % (mean of 2)" in shown(app)
    assert app.button(key="again").label == "Again with seed 4"


def test_another_learners_runs_and_progress_are_not_ones_own() -> None:
    trained("pooling", "max", learner=OTHER)
    trained("pooling", "average", learner=OTHER)
    save_progress(OTHER, Progress({"pooling": "max pooling"}, set(), {"pooling"}))
    assert steps(exercises()) == [False, False, False]
    app = exercises(learner=OTHER)
    assert steps(app) == [True, True, True]
    assert done(app) == "1 of 12 done"


def test_a_run_with_another_knob_turned_is_not_the_exercises() -> None:
    predict(exercises(), "max pooling")
    for other in ("max", "average"):
        setting = next(one for one in EXERCISES["pooling"].settings if one.label == other)
        create_run(Plan(turn(EXERCISES["pooling"].recipe(setting), {"epochs": "4"}), learner=LEARNER))
    assert steps(exercises()) == [True, False, False]
    assert shown(exercises()).count("not trained yet") == 2


def test_train_submits_what_is_missing_and_turns_the_train_pages_knobs() -> None:
    trained("activation", "sigmoid", 0.1)
    save_progress(LEARNER, Progress({"activation": "10"}))
    app = exercises("activation")
    assert app.button(key="train_exercise").label == "Train ReLU"
    app.button(key="train_exercise").click().run()
    newest = all_runs()[0]
    assert newest.plan.recipe == EXERCISES["activation"].recipe(EXERCISES["activation"].settings[1])
    assert newest.plan.learner == LEARNER
    newest.ask("stop")
    kept = app.session_state["choice"]
    assert (kept.base, kept.start) == ("lenet-d2l", settings(newest.plan.recipe))


def test_its_knobs_stand_on_the_train_page() -> None:
    app = exercises("channels")
    app.button(key="its_knobs").click().run()
    assert app.title[0].value == "Train a network"
    assert dict(app.query_params)["channels"] == "2,4"
    assert dict(app.query_params)["data"] == "mnist-5k"
    assert "<td>23,390</td>" in shown(app)


def test_a_look_counts_as_run_and_opens_the_inputs() -> None:
    save_progress(LEARNER, Progress({"strangers": "one digit, with much doubt"}))
    app = exercises("strangers")
    assert steps(app) == [True, False, False]
    app.button(key="look_exercise").click().run()
    assert app.title[0].value == "Look inside"
    assert dict(app.query_params)["inputs"] == "8.0,cat.0,car.0,uniform.0,blank"
    back = exercises("strangers")
    assert steps(back) == [True, True, False]
    back.button(key="compare_look").click().run()
    assert steps(back) == [True, True, True]
    assert 'data-testid="look-for"' in shown(back)
    assert done(back) == "1 of 12 done"


def test_compare_opens_the_runs_over_each_other() -> None:
    save_progress(LEARNER, Progress({"pooling": "max pooling"}))
    runs = [trained("pooling", label) for label in ("average", "max")]
    app = exercises()
    app.button(key="compare_exercise").click().run()
    assert app.title[0].value == "Compare runs"
    assert set(dict(app.query_params)["runs"].split(",")) == {run.name for run in runs}
    assert "pooling" in load_progress(LEARNER)[0].compared


def test_the_next_exercise_follows_and_the_last_one_worked_on_comes_back() -> None:
    save_progress(LEARNER, Progress({"pooling": "max pooling"}, set(), {"pooling"}, "kernels"))
    trained("pooling", "max")
    trained("pooling", "average")
    app = exercises()
    app.button(key="next_exercise").click().run()
    assert app.subheader[0].value == "ReLU for sigmoid"
    assert exercises("").subheader[0].value == "Kernel sizes"


def test_starting_over_forgets_what_was_said() -> None:
    app = predict(exercises(), "max pooling")
    app.button(key="start_over").click().run()
    assert steps(app) == [False, False, False]
    assert load_progress(LEARNER)[0] == Progress()


def test_a_damaged_file_is_told_and_begun_anew() -> None:
    save_progress(LEARNER, Progress({"pooling": "max pooling"}))
    progress_path(LEARNER).write_bytes(b"{")
    app = exercises()
    assert "begins anew" in shown(app)
    assert "begins anew" not in shown(predict(app, "average pooling"))


# ---------------------------------------------------------------- the plateau, on the Train page


def textbook(accuracy: float = 0.1, loss: float = 2.303, base: str = "d2l-2023") -> Run:
    """A run that has taken 500 steps of the textbook's recipe."""
    run = create_run(Plan(recipe_named(base), base=base, learner=LEARNER))
    inside = {"gradient": {"c1": 0.002, "output": 0.25}, "saturation": {"c1": 0.03}}
    events = [started(classes=["0", "1"], total_steps=4690, steps_per_epoch=469, device="CPU")]
    for step in range(20, 501, 20):
        events.append(
            metrics(step, 20, learning_rate=0.1, layers=inside) | {"losses": [loss] * 20, "accuracy": accuracy}
        )
    (run.folder / "events.jsonl").write_bytes(lines(events))
    run.ask("pause")
    return run


def watched(run: Run) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.session_state["learner"] = LEARNER
    app.switch_page("pages/train.py")
    app.query_params["run"] = run.name
    return app.run()


def test_a_plateau_is_explained_beside_its_curves_with_the_knob_that_ends_it() -> None:
    app = watched(textbook())
    page = shown(app)
    assert "It stands at chance since it began: this is step 500, 1.1 of 10 epochs." in page
    assert "C1&#x27;s is 120 times shorter than OUTPUT&#x27;s" in page
    assert "<td>0.002</td>" in page
    assert "<td>3 %</td>" in page
    button = app.button(key="end_plateau")
    assert button.label == "Train it with ReLU"
    button.click().run()
    newest = all_runs()[0]
    newest.ask("stop")
    assert newest.plan.recipe == turn(recipe_named("d2l-2023"), {"activation": "relu"})
    assert app.session_state["choice"].start["activation"] == "relu"


def test_an_ordinary_run_gets_no_note() -> None:
    app = watched(textbook(accuracy=0.5, loss=1.2))
    assert 'data-testid="plateau"' not in shown(app)
    assert not [button for button in app.button if button.key == "end_plateau"]


def test_where_no_knob_is_known_there_is_no_button() -> None:
    app = watched(textbook(base="alexnet-cifar"))
    assert 'data-testid="plateau"' in shown(app)
    assert not [button for button in app.button if button.key == "end_plateau"]
