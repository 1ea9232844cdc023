"""The history page's logic, without a browser: the dial, its ledger, what was measured, C3's table."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lenet_core.dial import SWITCHES, turned
from lenet_core.knobs import from_link, settings
from lenet_core.published import read_dial
from lenet_core.recipes import recipe_named
from lenet_core.reproduce import variants
from tests.conftest import ROOT
from tests.ui.apps import shown
from ui import markup_history
from ui.components.table_grid import Maps, table_grid

EVERYTHING = ",".join(SWITCHES)


def history(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page("pages/history.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def linked(app: AppTest) -> dict[str, str]:
    """The page's address."""
    return {name: value[0] if isinstance(value, list) else value for name, value in dict(app.query_params).items()}


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def parameters(app: AppTest) -> str:
    """The large number beside the switches."""
    found = re.findall(r'data-testid="parameters">([\d,]+)<', shown(app))
    assert len(found) == 1
    return str(found[0])


def ledger_row(app: AppTest, layer: str) -> str:
    """A layer's row in the dial's ledger, without its marks."""
    row = re.search(rf'<tr><th scope="row">{layer}</th>(.*?)</tr>', shown(app))
    assert row is not None
    return " ".join(re.sub(r"<.*?>", " ", row[1]).split())


def warnings(app: AppTest) -> list[str]:
    assert not app.exception
    bodies = [str(element.proto.body) for element in app.get("html")]
    return [body for body in bodies if 'class="lp-warning"' in body]


def counts(app: AppTest) -> list[str]:
    """The numbers above C3's table: pairs, parameters and connections of C3, parameters of the net."""
    return re.findall(r'class="lp-count">.*?<b>([\d,]+)</b>', shown(app))


def test_the_page_opens_with_the_net_of_1998() -> None:
    app = history()
    assert parameters(app) == "60,000"
    assert "340,908" in shown(app)
    assert [toggle.value for toggle in app.toggle[:5]] == [False] * 5
    assert "modern" not in linked(app)


@pytest.mark.parametrize(
    ("modern", "count", "row", "says"),
    [
        ("c3", "60,900", "c3", "convolution, scaled tanh 2,416 +900 241,600"),
        ("output", "60,850", "output", "dense 850 +850 850"),
        ("pooling", "59,956", "s2", "average pool −12 4,704"),  # 4 values a unit, no bias
        ("input", "60,000", "input", "as it comes"),
        (EVERYTHING, "61,706", "f6", "dense, tanh 10,164 10,164"),
    ],
)
def test_a_link_turns_switches_and_the_ledger_counts(modern: str, count: str, row: str, says: str) -> None:
    app = history(modern=modern)
    assert parameters(app) == count
    assert ledger_row(app, row) == says


def test_switches_in_the_page_count_live_and_stand_in_the_address() -> None:
    app = history()
    app.toggle(key="dial.c3").set_value(True).run()
    app.toggle(key="dial.activation").set_value(True).run()
    assert parameters(app) == "60,900"
    assert linked(app)["modern"] == "activation,c3"
    app.toggle(key="dial.c3").set_value(False).run()
    assert parameters(app) == "60,000"
    assert linked(app)["modern"] == "activation"


def test_all_modern_and_all_1998_turn_every_switch() -> None:
    app = history(modern="c3")
    press(app, "all_modern")
    assert parameters(app) == "61,706"
    assert linked(app)["modern"] == EVERYTHING
    assert app.button(key="all_modern").disabled
    press(app, "all_1998")
    assert parameters(app) == "60,000"
    assert "modern" not in linked(app)


def test_what_a_link_says_beside_switches_is_ignored() -> None:
    app = history(modern="c3,<b>nothing</b>,,C3")
    assert parameters(app) == "60,900"
    assert linked(app)["modern"] == "c3"
    assert "<b>nothing" not in shown(app)


def test_training_takes_the_switches_along_as_they_were_measured() -> None:
    app = history(modern="output")
    app.button(key="train_dial").click().run()
    base, recipe, problems = from_link(linked(app))
    assert (base, problems) == ("lenet5-1998", [])
    assert settings(recipe) == settings(variants("dial")["output"])


def test_training_leaves_what_was_chosen_on_the_train_page() -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page("pages/train.py").run()
    app.switch_page("pages/history.py").run()
    app.toggle(key="dial.input").set_value(True).run()
    app.button(key="train_dial").click().run()
    assert linked(app)["input_range"] == "0,1"
    app.switch_page("pages/train.py").run()
    assert 'data-testid="differs"' in shown(app)


def test_one_can_look_into_both_ends_of_the_dial_and_into_what_was_trained() -> None:
    app = history()
    press(app, "look_dial")
    assert linked(app) == {"net": "lenet5-1998"}
    app = history(modern=EVERYTHING)
    press(app, "look_dial")
    assert linked(app) == {"net": "lenet5-tanh"}
    assert history(modern="c3").button(key="look_dial").disabled


def test_every_switch_says_what_was_measured_or_that_nothing_was() -> None:
    results, page = read_dial(), shown(history())
    assert page.count('class="lp-measured-title"') == len(SWITCHES) + 2
    if not results:
        assert page.count("not measured yet") == len(SWITCHES) + 2
    for name in results:
        assert f"<b>{100 * results[name].mean():.2f} % (" in page


def test_a_measurement_shows_mean_range_and_points_on_the_common_axis() -> None:
    base, other = [0.980, 0.982, 0.984], [0.985, 0.988, 0.991]
    axis = markup_history.axis_for(base + other)
    assert (axis.low, axis.high) == (0.98, 0.991)
    html = markup_history.measured("C3 of today", other, base, axis)
    assert "98.80 % (98.50 to 99.10)" in html
    assert "+0.60 points" in html
    assert f'lp-base" style="left:{100 * 2 / 11:.2f}%"' in html
    assert f'lp-span" style="left:{100 * 5 / 11:.2f}%;width:{100 * 6 / 11:.2f}%"' in html
    assert "−0.60 points" in markup_history.measured("worse", base, other, axis)


def test_equal_accuracies_still_have_an_axis() -> None:
    axis = markup_history.axis_for([0.99, 0.99])
    assert axis.low < axis.high
    assert 0 <= axis.place(0.99) <= 100


@pytest.mark.parametrize("modern", list(itertools.combinations(SWITCHES, 2)))
def test_the_changes_add_up_to_the_total(modern: tuple[str, str]) -> None:
    app = history(modern=",".join(modern))
    chips = re.findall(r'<span class="lp-chip"><b>([+−±][\d,]+)</b>', shown(app))
    total = 60_000 + sum(int(chip.replace("−", "-").replace("±", "").replace(",", "")) for chip in chips)
    assert f"{total:,}" == parameters(app)
    assert total == turned(modern, recipe_named("lenet5-1998")).architecture.parameters


def test_c3_begins_with_the_papers_table() -> None:
    assert counts(history()) == ["60", "1,516", "151,600", "60,000"]


def test_a_link_brings_a_table_and_its_costs() -> None:
    rows = ["7"] * 16  # each map reads the first three of S2
    app = history(table=".".join(rows))
    assert counts(app) == ["48", "1,216", "121,600", "59,700"]
    assert "−300 against the paper" in shown(app)
    assert not warnings(app)


@pytest.mark.parametrize("table", ["7.7", "0" + ".7" * 15, "ff" + ".7" * 15, "<b>x</b>", "9" * 500])
def test_a_table_that_cannot_be_is_refused_and_the_papers_shown(table: str) -> None:
    app = history(table=table)
    (warning,) = warnings(app)
    assert "table cannot be used" in warning
    assert "<b>x" not in warning
    assert counts(app)[0] == "60"


def test_all_the_papers_and_undo() -> None:
    app = history()
    assert app.button(key="c3_undo").disabled
    assert app.button(key="c3_paper").disabled
    press(app, "c3_all")
    assert counts(app) == ["96", "2,416", "241,600", "60,900"]
    press(app, "c3_paper")
    assert counts(app)[0] == "60"
    assert "table" not in linked(app)
    press(app, "c3_undo")
    assert counts(app)[0] == "96"
    press(app, "c3_undo")
    assert counts(app)[0] == "60"
    assert app.button(key="c3_undo").disabled


def test_training_takes_the_table_along() -> None:
    rows = ["7"] * 15 + ["3f"]
    app = history(table=".".join(rows))
    app.button(key="c3_train").click().run()
    assert linked(app)["table"] == ".".join(rows)
    _, recipe, problems = from_link(linked(app))
    assert not problems
    assert recipe.architecture.convs[1].table == ((0, 1, 2),) * 15 + ((0, 1, 2, 3, 4, 5),)


def test_a_table_of_all_maps_trains_as_an_ordinary_convolution() -> None:
    app = history()
    press(app, "c3_all")
    app.button(key="c3_train").click().run()
    _, recipe, _ = from_link(linked(app))
    assert recipe.architecture.convs[1].table is None


def test_the_grid_refuses_shapes_that_do_not_go_together() -> None:
    some = np.zeros((6, 16), bool)
    options: dict[str, Any] = {
        "label": "x", "as_kernels": False, "pair": None, "key": "x", "on_toggle": lambda source, target: None,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"wanted \(6, 15\)"):
        table_grid(
            some, some, np.zeros((6, 16, 5, 5), np.float32), Maps("S2", [""] * 6), Maps("C3", [""] * 15), **options
        )
