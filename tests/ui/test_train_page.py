"""The Train page's logic, without a browser and without a worker: what is chosen, and what is said of runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lenet_core.knobs import KNOBS, differences, from_link, turn
from lenet_core.presets import PRESETS
from lenet_core.recipes import RECIPES, Recipe, recipe_named
from lenet_core.runs import Plan, Run, all_runs, create_run
from tests.conftest import ROOT, free_port
from tests.ui.apps import shown

LEARNER = "0123456789abcdef"
QUICK = turn(recipe_named("lenet-modern"), {"data": "mnist-5k", "epochs": "2"})


@pytest.fixture
def own_engine() -> Iterator[None]:
    """The test has an engine of its own, made from the environment that it sets."""
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


def train(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.session_state["learner"] = LEARNER
    app.switch_page("pages/train.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def warnings(app: AppTest) -> list[str]:
    """What the page warns of."""
    assert not app.exception
    bodies = [str(element.proto.body) for element in app.get("html")]
    return [body for body in bodies if 'class="lp-warning"' in body]


def linked(app: AppTest) -> dict[str, Any]:
    return dict(app.query_params)


def knob(app: AppTest, name: str) -> Any:
    """A knob's widget; its key also bears how often all were set anew."""
    found = [
        widget for kind in ("selectbox", "number_input") for widget in app.get(kind)
        if widget.key and widget.key.startswith("knob.") and widget.key.split(".", 2)[2] == name
    ]  # fmt: skip
    assert len(found) == 1, name
    return found[0]


def plan(learner: str = LEARNER, recipe: Recipe = QUICK, **changes: Any) -> Plan:
    return Plan(recipe, base="lenet-modern", learner=learner, **changes)


def paused(learner: str = LEARNER, **changes: Any) -> Run:
    """A run that nobody trains."""
    run = create_run(plan(learner, **changes))
    run.ask("pause")
    return run


# ---------------------------------------------------------------- choosing


def test_a_recipe_says_what_was_published_and_what_came_out_here() -> None:
    page = shown(train(recipe="d2l-2021"))
    assert "test accuracy 0.776" in page
    assert "Measured here</b>: 80.85 % (80.30 to 81.89) of the test images, 3 seeds" in page
    assert "held-against" not in shown(train(recipe="d2l-2021", learning_rate="0.5"))


def test_the_page_opens_ready_to_train() -> None:
    app = train()
    page = shown(app)
    assert not app.button(key="train").disabled
    assert "Nothing trained yet" in page
    assert page.count('class="lp-recipe') == len(PRESETS)
    assert "Exactly the recipe lenet-modern." in page
    assert "<td>61,706</td>" in page
    assert warnings(app) == []


def test_a_card_starts_from_its_recipe_with_all_knobs_anew() -> None:
    app = train(channels="8,16", data="mnist-5k", epochs="3")
    assert "lp-chip" in shown(app)
    app.button(key="start_lenet5-1998").click().run()
    page = shown(app)
    assert "<td>60,000</td>" in page
    assert "Exactly the recipe lenet5-1998." in page
    assert app.button(key="start_lenet5-1998").disabled
    assert not app.button(key="start_lenet-modern").disabled
    assert linked(app) == {"recipe": "lenet5-1998"}
    assert knob(app, "pooling").value == "subsampling"


def test_a_variant_of_the_recipe_can_be_chosen() -> None:
    app = train()
    box = next(box for box in app.selectbox if box.label == "Recipe")
    assert set(box.options) == {name for name, one in RECIPES.items() if one.architecture.name == "lenet-modern"}
    box.set_value("lenet-modern-draw").run()
    assert linked(app) == {"recipe": "lenet-modern-draw"}
    assert knob(app, "epochs").value == 16
    assert knob(app, "rotation").value == 7


def test_the_ledger_follows_the_knobs() -> None:
    app = train()
    knob(app, "channels.0").set_value(8).run()
    assert "<td>62,558</td>" in shown(app)  # c1 8 (25 + 1), c3 16 (8 25 + 1), then as before
    knob(app, "dense.count").set_value(0).run()
    assert "<td>7,434</td>" in shown(app)  # 208 + 3,216 + 10 (400 + 1)
    knob(app, "channels.count").set_value(3).run()
    page = shown(app)
    assert '<th scope="row">c5</th><td>16x5x5</td><td>2,320</td>' in page  # 16 (16 9 + 1)
    assert linked(app)["channels"] == "8,16,16"


def test_a_turned_knob_is_said_linked_and_taken_back() -> None:
    app = train()
    knob(app, "activation").set_value("tanh").run()
    knob(app, "learning_rate").set_value(0.003).run()
    page = shown(app)
    assert "relu → <b>tanh</b>" in page
    assert "0.001 → <b>0.003</b>" in page
    assert linked(app) == {"recipe": "lenet-modern", "activation": "tanh", "learning_rate": "0.003"}
    next(button for button in app.button if button.label == "Reset").click().run()
    assert "Exactly the recipe lenet-modern." in shown(app)
    assert linked(app) == {"recipe": "lenet-modern"}
    assert knob(app, "activation").value == "relu"


OTHERS = {
    "activation": "tanh", "pooling": "average", "head": "rbf", "initialisation": "lecun", "dropout": "0.25",
    "input_range": "-1,1.5", "channels": "4,8", "kernels": "3,3", "padding": "1,1", "pool": "2,0",
    "table": "1.2.4.8.3.6.c.f", "dense": "30", "data": "mnist-5k",
    "share": "0.5", "validation": "0.2", "optimiser": "sgd", "learning_rate": "0.05", "schedule": "cosine",
    "batch_size": "64", "epochs": "7", "label_smoothing": "0.1", "momentum": "0.9",
    "weight_decay": "0.0005", "shift": "1", "rotation": "10", "shear": "0.1", "scale": "1.1", "aspect": "1.2",
    "slashed_zeros": "0.1", "crossed_sevens": "0.2", "flagged_ones": "0.3", "seed": "5",
}  # fmt: skip


def test_every_knob_can_be_set_by_the_link_and_stays_so() -> None:
    """What comes out of all the widgets is the recipe that the link describes, digit by digit."""
    assert set(OTHERS) == set(KNOBS) - {"loss"}  # which is tied to the output head
    app = train(**OTHERS)
    assert warnings(app) == []
    assert linked(app) == {"recipe": "lenet-modern", **OTHERS}
    assert shown(app).count('class="lp-chip"') == len(OTHERS)
    app.run()
    _, recipe, problems = from_link(linked(app))
    assert problems == []
    assert set(differences(recipe_named("lenet-modern"), recipe)) == set(OTHERS)


def test_the_papers_table_and_range_are_chosen_by_name_and_taken_back() -> None:
    app = train()
    assert knob(app, "table").options == ["all", "Table I of 1998"]
    knob(app, "table").set_value("1998").run()
    knob(app, "input_range").set_value("-0.1,1.175").run()
    page = shown(app)
    assert "<td>60,806</td>" in page  # 36 kernels of 5x5 fewer
    assert "all → <b>Table I of 1998</b>" in page
    assert "0 to 1 → <b>−0.1 to 1.175 (1998)</b>" in page
    assert linked(app) == {"recipe": "lenet-modern", "table": "1998", "input_range": "-0.1,1.175"}
    next(button for button in app.button if button.label == "Reset").click().run()
    assert linked(app) == {"recipe": "lenet-modern"}
    assert (knob(app, "table").value, knob(app, "input_range").value) == ("", "0,1")


def test_ones_own_table_and_range_stay_on_offer_beside_the_named_ones() -> None:
    own = {"table": "3f." * 15 + "1", "input_range": "-1,2.5"}
    app = train(**own)
    for name, others in (("table", ["", "1998"]), ("input_range", ["0,1", "-0.1,1.175"])):
        assert knob(app, name).value == own[name]
        for value in (*others, own[name]):
            knob(app, name).set_value(value).run()
            assert from_link(linked(app))[1] == turn(recipe_named("lenet-modern"), {**own, name: value})


def test_no_connections_left_out_and_no_dense_layers_stand_in_the_link() -> None:
    """Their texts are empty, and so is what a recipe's own value looks like in the address."""
    app = train(recipe="lenet5-1998")
    knob(app, "table").set_value("").run()
    knob(app, "dense.count").set_value(0).run()
    assert linked(app) == {"recipe": "lenet5-1998", "table": "", "dense": ""}
    again = train(**linked(app))
    assert "Table I of 1998 → <b>all</b>" in shown(again)
    assert linked(again) == linked(app)


def test_a_table_that_no_longer_fits_the_channels_goes_and_says_so() -> None:
    app = train(recipe="lenet5-1998")
    knob(app, "channels.0").set_value(8).run()
    assert warnings(app) == []
    assert "Table I of 1998 → <b>all</b>" in shown(app)
    knob(app, "channels.count").set_value(1).run()
    assert warnings(app) == []
    assert linked(app)["table"] == ""


def test_a_range_for_each_channel_can_be_kept_and_swept() -> None:
    app = train(recipe="alexnet-cifar", input_range="-1,1;-2,2;0,3")
    assert warnings(app) == []
    assert knob(app, "input_range").value == "-1,1;-2,2;0,3"
    app.multiselect(key="sweep_knobs").set_value(["input_range"]).run()
    assert app.button(key="train_sweep").label == "Train 6 runs"  # its own and 0 to 1, three seeds each
    assert warnings(app) == []


def test_tables_are_swept_by_name() -> None:
    app = train(data="mnist-5k")
    app.multiselect(key="sweep_knobs").set_value(["table"]).run()
    assert app.multiselect(key="sweep.table").value == ["", "1998"]
    assert app.button(key="train_sweep").label == "Train 6 runs"
    app.multiselect(key="sweep.table").set_value([]).run()
    assert ["table has no values" in line for line in warnings(app)] == [True]


def test_an_impossible_network_says_which_layer_and_trains_not() -> None:
    app = train()
    knob(app, "kernels.0").set_value(40).run()
    (warning,) = warnings(app)
    assert "c1: its 40x40 kernel is larger than its 28x28 input" in warning
    assert app.button(key="train").disabled
    knob(app, "kernels.0").set_value(5).run()
    assert warnings(app) == []
    assert not app.button(key="train").disabled


def test_a_knob_that_waits_for_another_keeps_its_place() -> None:
    """An impossible step on the way to something possible loses nothing that was turned."""
    app = train()
    knob(app, "epochs").set_value(9).run()
    knob(app, "kernels.0").set_value(40).run()
    knob(app, "padding.0").set_value(8).run()  # 28 + 16 - 40 + 1 = 5
    knob(app, "kernels.1").set_value(1).run()
    assert warnings(app) == []
    assert knob(app, "epochs").value == 9
    assert (knob(app, "kernels.0").value, knob(app, "padding.0").value) == (40, 8)


@pytest.mark.parametrize(
    "query",
    [
        {"recipe": "<script>alert(1)</script>"},
        {"activation": '"><img src=x onerror=alert(1)>'},
        {"<b>bold</b>": "1"},
        {"epochs": "1e999"},
        {"channels": "6," * 100},
        {"kernels": "40,5"},
        {"seed": "−1"},
        {"data": "../../etc/passwd"},
        {"table": "7.<img src=x>"},
        {"input_range": "0,<script>"},
    ],
)
def test_nonsense_in_a_link_is_a_line_and_no_markup(query: dict[str, str]) -> None:
    app = train(**query)
    page = shown(app)
    assert len(warnings(app)) == 1
    assert "<script>" not in page
    assert "<img src=x" not in page
    assert "<b>bold" not in page
    assert "Exactly the recipe lenet-modern." in page
    assert not app.button(key="train").disabled
    assert linked(app)["recipe"] == "lenet-modern"


def test_knobs_for_digits_go_where_there_are_no_digits() -> None:
    labels = {box.label for box in train(data="mnist-5k").number_input}
    assert KNOBS["slashed_zeros"].label in labels
    assert KNOBS["slashed_zeros"].label not in {box.label for box in train(data="fashion-mnist").number_input}


def test_data_that_must_be_fetched_are_named_with_their_size() -> None:
    captions = " ".join(caption.value for caption in train().caption)
    assert "60,000 training and 10,000 test images" in captions
    assert "12 MB" in captions
    captions = " ".join(caption.value for caption in train(data="mnist-5k").caption)
    assert "4,000 training and 1,000 test images" in captions
    assert "MB" not in captions
    assert "test images are asked once" in captions


def test_the_device_stands_in_the_link() -> None:
    app = train(device="cpu")
    box = app.selectbox(key="device")
    assert box.value == "cpu"
    box.set_value("auto").run()
    assert "device" not in linked(app)


# ---------------------------------------------------------------- submitting


def test_the_same_is_not_trained_twice_at_once() -> None:
    run = paused()
    app = train(data="mnist-5k", epochs="2")
    app.button(key="train").click().run()
    assert linked(app)["run"] == run.name
    assert len(all_runs()) == 1


@pytest.mark.usefixtures("own_engine")
def test_a_full_share_is_a_warning_and_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_SHARE", "1")
    paused()
    app = train(data="mnist-5k")
    app.button(key="train").click().run()
    assert ["over your share of 1" in line for line in warnings(app)] == [True]
    assert len(all_runs()) == 1


@pytest.mark.usefixtures("own_engine")
def test_a_full_queue_is_a_warning_and_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_QUEUE", "1")
    paused("somebody else")
    app = train(data="mnist-5k")
    app.button(key="train").click().run()
    assert ["The queue is full" in line for line in warnings(app)] == [True]
    assert len(all_runs()) == 1
    assert "Nothing trained yet" in shown(app)  # and nothing of somebody else's


@pytest.mark.usefixtures("own_engine")
@pytest.mark.parametrize(
    ("setting", "value"), [("DASK_SCHEDULER_ADDRESS", f"tcp://127.0.0.1:{free_port()}"), ("LENET_WORKERS", "many")]
)
def test_an_engine_that_cannot_be_had_is_a_warning(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    monkeypatch.setenv(setting, value)
    create_run(plan())
    app = train(data="mnist-5k")
    assert [setting in line for line in warnings(app)] == [True]  # of the run that waits
    app.button(key="train").click().run()
    assert [setting in line for line in warnings(app)] == [True, True]
    assert len(all_runs()) == 1


def test_a_sweep_is_offered_with_its_number_of_runs() -> None:
    app = train(data="mnist-5k")
    assert app.button(key="train_sweep").label == "Train 12 runs"  # two activations, two poolings, three seeds
    app.number_input(key="sweep_seeds").set_value(1).run()
    assert app.button(key="train_sweep").label == "Train 4 runs"
    app.multiselect(key="sweep_knobs").set_value(["channels"]).run()
    app.text_input(key="sweep.channels").set_value("6,16;4,8;2,4").run()
    assert app.button(key="train_sweep").label == "Train 3 runs"
    app.text_input(key="sweep.channels").set_value("6,16;nine").run()
    assert ["channels must be a whole number" in line for line in warnings(app)] == [True]


# ---------------------------------------------------------------- runs


def finished(learner: str = LEARNER, **changes: Any) -> Run:
    """A run as its worker leaves it, without its networks."""
    run = create_run(plan(learner, **changes))
    run.append(
        {
            "kind": "started", "time": 0, "step": 0, "total_steps": 226, "steps_per_epoch": 113, "epochs": 2,
            "device": "CPU", "images": 3600, "held_out": 400, "data": "x", "classes": list("0123456789"),
        }
    )  # fmt: skip
    diagonal = [[9 * (row == column) for column in range(10)] for row in range(10)]
    run.append(
        {
            "kind": "finished", "time": 1, "step": 226, "seconds": 3.0, "test": 0.9, "interval": [0.88, 0.92],
            "images": 1000, "correct": 900, "confusion": diagonal,
        }
    )  # fmt: skip
    return run


def test_a_finished_run_says_its_result_with_its_interval() -> None:
    finished()
    page = shown(train())
    assert "90.00 %" in page
    assert "95 % interval 88.00 to 92.00 %" in page
    assert "lenet-modern: mnist-5k, epochs 2" in page


def test_a_result_stands_though_the_run_has_lost_its_first_line() -> None:
    events = finished().folder / "events.jsonl"
    events.write_text(events.read_text().split("\n", 1)[1])
    assert "90.00 %" in shown(train())


def test_a_failed_run_says_why_and_can_be_resumed() -> None:
    run = create_run(plan())
    run.append({"kind": "failed", "time": 0, "message": "No <b>room</b> left."})
    app = train()
    assert ["No &lt;b&gt;room&lt;/b&gt; left." in line for line in warnings(app)] == [True]
    assert "<b>room" not in shown(app)
    assert not app.button(key="run_resume").disabled


def test_ones_own_runs_are_listed_and_nobody_elses() -> None:
    mine, theirs, everybodys = finished(), finished("somebody else"), finished("")
    app = train()
    page = shown(app)
    assert mine.name in page
    assert everybodys.name in page
    assert theirs.name not in page


def test_a_link_shows_anothers_run_without_its_controls() -> None:
    theirs = paused("somebody else")
    app = train(run=theirs.name)
    assert "paused" in shown(app)
    assert "Another learner's run: you can watch it." in [caption.value for caption in app.caption]
    assert not [button for button in app.button if button.key and button.key.startswith(("run_", "delete_run"))]


@pytest.mark.parametrize("name", ["../../etc", "nobody", "..", "<b>", "a" * 5000, "/etc"])
def test_a_link_to_no_run_shows_ones_newest(name: str) -> None:
    run = finished()
    assert run.name in shown(train(run=name))


def test_a_run_gives_its_settings_back() -> None:
    finished()
    app = train(recipe="lenet5-1998")
    app.button(key="its_settings").click().run()
    assert {"recipe": "lenet-modern", "data": "mnist-5k", "epochs": "2"}.items() <= linked(app).items()
    assert knob(app, "epochs").value == 2


def test_a_damaged_run_hides_no_other(own_data_folder: Path) -> None:
    run = finished()
    damaged = own_data_folder / "runs" / "damaged"
    damaged.mkdir()
    (damaged / "recipe.json").write_text('{"learner": "' + LEARNER + '"}')
    assert run.name in shown(train())


@pytest.mark.parametrize("query", [{"sweep": "s1"}, {}])  # the second as after a turn of the page
def test_a_sweeps_table_has_a_row_for_each_setting_and_a_column_for_each_seed(query: dict[str, str]) -> None:
    for activation in ("relu", "tanh"):
        for seed in ("0", "1"):
            recipe = turn(QUICK, {"activation": activation, "seed": seed})
            if seed == "0":
                finished(recipe=recipe, sweep="s1")
            else:
                paused(recipe=recipe, sweep="s1")
    page = shown(train(**query))
    table = page[page.index("Results of the sweep") :]
    assert table.count("<td>90.00%</td><td>paused</td><td>90.00%</td>") == 2
    assert "<td>tanh</td>" in table
    assert "mnist-5k" not in table.split("</table>")[0]  # what all have in common goes without saying


def test_who_signs_in_is_that_learner() -> None:
    run = finished("ada@example.com")
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.user = {"is_logged_in": True, "email": "ada@example.com"}
    app.run()
    app.switch_page("pages/train.py").run()
    assert run.name in shown(app)
