"""What stands below and behind the feature maps: sums of units, numbers, cosines, doubts, where a network looks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lenet_core.attribution import METHODS
from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import answers
from lenet_core.inputs import Input, picture, stack_inputs
from lenet_core.library import bundled_checkpoints
from lenet_core.measures import similarity
from tests.ui.apps import linked, shown
from tests.ui.look_app import group, look, names, notices, tables, text, values

VIEWS = ("numbers", "alike", "doubt", "where")
SUM = 'data-testid="unit-sum"'


def part(app: AppTest, css_class: str) -> list[str]:
    """The tables of that class, as their rows' words."""
    return re.findall(f'<table class="{css_class}[^>]*>.*?</table>', shown(app), re.DOTALL)


def cells(table: str) -> list[list[str]]:
    """The words in each cell of each row of a table's body."""
    body = table.partition("<tbody>")[2].partition("</tbody>")[0]
    return [[text(cell) for cell in re.findall("<td.*?</td>", row, re.DOTALL)] for row in body.split("</tr>")[:-1]]


def activated(inputs: list[Input], layer: str, network: str = "lenet-modern") -> np.ndarray:
    checkpoint = load_checkpoint(bundled_checkpoints()[network])
    given = stack_inputs([picture(one) for one in inputs], checkpoint.architecture.input_shape)
    return np.stack([answer.layers[layer] for answer in answers(checkpoint, given)])


# ---------------------------------------------------------------- the sum behind a unit


def the_sum(app: AppTest) -> str:
    page = shown(app)
    assert page.count(SUM) == 1
    return text(page[page.index(SUM) :])


def last_number(words: str) -> float:
    """What the last step of a sum comes to."""
    return float(re.findall(r"= (−?[\d.e−]+)", words)[-1].replace("−", "-"))


@pytest.mark.parametrize(
    ("unit", "layer", "place"),
    [
        ("0.conv1.0.3.12.7", "c1_act", (3, 12, 7)), ("0.conv1.0.4.15.12", "c1_act", (4, 15, 12)),
        ("0.conv2.2.15.0.9", "c3_act", (15, 0, 9)), ("0.pool1.1.5.13.13", "s2", (5, 13, 13)),
        ("0.dense2.3.83.0.0", "f6_act", (83,)), ("0.output.0.4.0.0", "output", (4,)),
        ("0.conv1-before.0.0.0.0", "c1", (0, 0, 0)),
    ],
)  # fmt: skip
def test_the_sum_of_a_linked_unit_comes_to_its_value(unit: str, layer: str, place: tuple[int, ...]) -> None:
    token = unit.split(".")[1]
    app = look(unit=unit, layers=token)
    row = int(unit.split(".")[2])
    value = activated([Input("4"), Input("8"), Input("cat"), Input("uniform")], layer)[(row, *place)]
    words = the_sum(app)
    assert names(app)[row] in words
    assert last_number(words) == pytest.approx(float(value), rel=0.01, abs=0.005)
    assert tables(app)[0]["selected"] == {
        "layer": layer, "row": row, "channel": place[0], **dict(zip("yx", place[1:] or (0, 0), strict=True)),
    }  # fmt: skip
    assert linked(app, "unit") == unit


def test_the_sum_says_what_the_unit_sees() -> None:
    words = the_sum(look(unit="0.conv1.0.3.12.7"))
    assert "C1, map 3, row 12, column 7" in words
    assert "rows 10 to 14 and columns 5 to 9 of the 28x28 input" in words
    assert "It sees the whole input." in the_sum(look(unit="0.output.0.4.0.0", layers="output"))


def test_the_sum_of_a_unit_in_the_second_network_is_of_that_network() -> None:
    app = look(beside="lenet5-1998", unit="1.conv1.0.3.12.7", layers="conv1")
    value = activated([Input("4")], "c1_act", "lenet5-1998")[0, 3, 12, 7]
    assert last_number(the_sum(app)) == pytest.approx(float(value), rel=0.01)
    assert [table["selected"] is None for table in tables(app)] == [True, False]


def test_a_sum_can_be_closed() -> None:
    app = look(unit="0.conv1.0.3.12.7")
    app.button(key="close_sum.0").click().run()
    assert SUM not in shown(app)
    assert linked(app, "unit") is None
    assert tables(app)[0]["selected"] is None


HOSTILE = [
    "0.conv1.9.3.12.7", "0.conv1.4.3.12.7", "0.nonsense.0.3.12.7", "0.conv1.0.6.12.7", "0.conv1.0.3.28.7",
    "0.conv1.0.3.12.28", "0.conv1.0.3.99999999999999.7", "0.conv1.0.-1.12.7", "2.conv1.0.3.12.7", "1.conv1.0.3.12.7",
    "0.pool1.0.3.12.7", "0.conv1.0.3.12", "0.conv1.0.3.12.7.0", "0.<b>.0.3.12.7",
    "0.conv1.0.²." * 900,
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=range(len(HOSTILE)))
def test_a_unit_that_is_not_there_is_no_units_sum(unit: str) -> None:
    app = look(unit=unit)
    assert tables(app)[0]["selected"] is None
    assert SUM not in shown(app)
    assert len(names(app)) == 4
    assert notices(app) == []


def test_a_sum_is_gone_when_its_row_may_be_anothers() -> None:
    app = look(unit="0.conv1.1.3.12.7")
    app.button(key="add_cat").click().run()
    assert linked(app, "unit") is None
    assert SUM not in shown(app)


# ---------------------------------------------------------------- numbers and cosines


def test_the_numbers_are_those_of_the_maps() -> None:
    app = look(inputs="4.0,blank")
    first, second = part(app, "lp-numbers")
    inputs = [Input("4"), Input("blank")]
    for table, layer in ((first, "c1_act"), (second, "c3_act")):
        maps = activated(inputs, layer)
        rows = cells(table)
        assert len(rows) == 2
        for row, wanted in zip(rows, maps, strict=True):
            assert len(row) == len(wanted) + 1
            means = [float(cell.split()[0].replace("−", "-")) for cell in row[:-1]]
            assert means == pytest.approx(wanted.mean(axis=(1, 2)).tolist(), abs=0.006)
            active = float(re.findall(r"(\d+) % active", row[-1])[0])
            assert active == pytest.approx(100 * (wanted > 0).mean(), abs=0.51)


def test_saturation_is_told_where_an_activation_saturates() -> None:
    assert "saturated" in part(look(net="lenet-d2l"), "lp-numbers")[0]
    assert "saturated" not in part(look(net="lenet-modern"), "lp-numbers")[0]
    before = part(look(net="lenet-d2l", layers="conv1-before"), "lp-numbers")[0]
    assert "saturated" not in before  # the sums themselves do not


def test_the_numbers_name_the_maps_of_the_shown_page() -> None:
    (table,) = part(look(net="untrained/alexnet-cifar", inputs="cat.0", layers="conv2", maps="1"), "lp-numbers")
    head = [text(cell) for cell in re.findall("<th.*?</th>", table.partition("</thead>")[0], re.DOTALL)]
    assert head[1:-1] == [str(number) for number in range(32, 64)]


def test_how_alike_is_the_cosine_of_the_maps() -> None:
    app = look(detail="alike", layers="conv2", inputs="4.0,4.1,cat.0,4.0")
    (table,) = part(app, "lp-alike")
    found = [[float(cell.replace("−", "-")) for cell in row] for row in cells(table)]
    wanted = similarity(activated([Input("4"), Input("4", 1), Input("cat"), Input("4")], "c3_act"))
    np.testing.assert_allclose(found, wanted, atol=0.006)
    assert found[0][3] == 1


def test_one_input_alone_has_its_numbers_too() -> None:
    for detail in VIEWS:
        app = look(detail=detail, inputs="blank")
        assert names(app) == ["blank"]
        assert notices(app) == []


# ---------------------------------------------------------------- not one of its classes


@pytest.mark.parametrize("network", bundled_checkpoints())
def test_each_answer_stands_among_those_to_real_test_images(network: str) -> None:
    app = look(net=network, detail="doubt", inputs="4.0,cat.0,uniform.0")
    page = shown(app)
    (table,) = part(app, "lp-doubts")
    assert table.count('class="lp-strip"') == (12 if network == "lenet5-1998" else 8)
    assert ("Nearest code" in table) == (network == "lenet5-1998")
    says = text(page[page.index('data-testid="doubt"') :].partition("</p>")[0])
    assert "elieve it" in says or "nothing here speaks against" in says
    kind = "clothes" if network == "lenet-d2l-fashion" else "digits"
    assert f"real test {kind}" in table
    assert "10,000" in table


def test_an_untrained_network_has_scores_and_nothing_to_hold_them_against() -> None:
    app = look(net="untrained/lenet5-1998", detail="doubt", inputs="cat.0")
    (table,) = part(app, "lp-doubts")
    assert "lp-strip" not in table
    assert len(cells(table)[0]) == 5  # the picture, the answer and three scores
    assert "this one has not been" in shown(app)


def test_the_scores_are_the_networks_own() -> None:
    app = look(detail="doubt", inputs="4.0,blank")
    logits = activated([Input("4"), Input("blank")], "output").astype(np.float64)
    energies = np.log(np.exp(logits).sum(axis=1))
    for row, energy in zip(cells(part(app, "lp-doubts")[0]), energies, strict=True):
        assert float(row[3].split()[0].replace("−", "-")) == pytest.approx(energy, rel=0.006)


# ---------------------------------------------------------------- where it looks


def pictures(app: AppTest) -> list[str]:
    """The pictures of where a network looks."""
    return re.findall(r'<figure class="lp-figure lp-wide-figure">.*?</figure>', shown(app), re.DOTALL)


def test_where_a_network_looks_is_asked_in_four_ways() -> None:
    app = look(detail="where")
    found = pictures(app)
    assert len(found) == len(METHODS) == 4
    assert [text(figure).lower().startswith(method) for figure, method in zip(found, METHODS, strict=True)] == [
        True
    ] * 4
    assert len({re.search(r'src="([^"]*)"', figure)[1] for figure in found}) == 4  # type: ignore[index]
    assert app.selectbox(key="where_input").value == "4"


def test_another_input_and_another_class_are_other_pictures() -> None:
    app = look(detail="where")
    first = pictures(app)
    app.selectbox(key="where_input").set_value("cat").run()
    second = pictures(app)
    assert all(one != other for one, other in zip(first, second, strict=True))
    box = next(box for box in app.selectbox if str(box.key).startswith("where_class"))
    assert len(box.options) == 10
    box.select_index(5).run()
    assert all(one != other for one, other in zip(second, pictures(app), strict=True))


def test_the_class_asked_about_is_first_the_answer_whatever_was_looked_at_before() -> None:
    """A cat, to which each network says something else; then another cat."""

    def asked() -> tuple[str, str]:
        box = next(box for box in app.selectbox if str(box.key).startswith("where_class"))
        says = tables(app)[0]["rows"][0]["says"].removeprefix("says ").partition(",")[0]
        return str(box.format_func(box.value)).partition(" (")[0], says

    app = look(detail="where", inputs="cat.0")
    for network in ("lenet5-1998", "lenet-d2l-fashion", "lenet-modern"):
        app.selectbox(key="look_net").set_value(network).run()
        assert asked()[0] == asked()[1], network
    app.query_params["inputs"] = "cat.1"
    app.run()
    assert asked()[0] == asked()[1]


def test_each_of_two_networks_is_asked() -> None:
    assert len(pictures(look(detail="where", beside="lenet5-1998"))) == 8


def test_of_a_large_network_one_way_at_a_time() -> None:
    app = look(detail="where", net="untrained/alexnet-cifar", inputs="cat.0")
    assert len(pictures(app)) == 1
    box = app.selectbox(key="where_method.0")
    assert box.options == list(METHODS)
    box.set_value("saliency").run()
    (figure,) = pictures(app)
    assert text(figure).lower().startswith("saliency")


def test_an_input_that_was_removed_is_no_longer_asked_about() -> None:
    app = look(detail="where")
    app.selectbox(key="where_input").set_value("uniform noise").run()
    app.query_params["inputs"] = "4.0,8.0"
    app.run()
    assert app.selectbox(key="where_input").value in ("4", "8")
    assert len(pictures(app)) == 4


# ---------------------------------------------------------------- all of them


def test_every_view_can_be_chosen_and_stands_in_the_link() -> None:
    app = look()
    for detail in VIEWS:
        group(app, "look_detail").set_value(detail).run()
        assert linked(app, "detail") == (None if detail == "numbers" else detail)
        assert notices(app) == []
        assert tables(look(detail=detail)) == tables(app)
    assert values(tables(app)[0]["blocks"][0]).shape == (4, 6, 28, 28)


def test_downloads_are_offered_for_each_network() -> None:
    app = look(beside="lenet5-tanh")
    offered = {str(button.key): button.label for button in app.get("download_button")}
    assert sorted(offered) == ["arrays.0", "arrays.1", "sheet.0", "sheet.1"]
    for key, label in offered.items():
        assert ("LeNet-5, tanh" if key.endswith("1") else "Modern LeNet") in label.replace("\\", "")  # Markdown's


def test_the_output_alone_has_its_details_too() -> None:
    for detail in VIEWS:
        app = look(detail=detail, layers="output")
        assert tables(app)[0]["blocks"][0]["bars"]
        assert notices(app) == []
        assert 'data-testid="says"' not in shown(app)  # what an output lights is its answer
