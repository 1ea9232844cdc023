"""What one can put into the networks on the Look inside page: digits, a drawing, cats, cars, noise, in any mix."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import answers
from lenet_core.inputs import MOST, NOISES, Input, noise, picture, stack_inputs
from lenet_core.library import bundled_checkpoints
from lenet_core.strokes import to_link
from tests.ui.apps import linked, shown
from tests.ui.look_app import FIRST, home, look, names, notices, tables, text, titles, turned, values
from ui.sample_strokes import sample_strokes

SIZE = 336  # the canvas's side, pixels
KINDS = (*"0123456789", "cat", "car", *NOISES)


def drawn(digit: str) -> str:
    return to_link(sample_strokes(digit, SIZE), SIZE)


def given(app: AppTest, row: int) -> str:
    """The picture of a row, as the network sees it."""
    return str(tables(app)[0]["rows"][row]["picture"])


# ---------------------------------------------------------------- opening


def test_the_page_opens_with_something_to_compare() -> None:
    app = look()
    assert names(app) == FIRST
    assert titles(app) == ["C1", "C3"]
    assert notices(app) == []
    assert app.query_params == {}
    assert app.button(key="add_drawing").disabled


def test_the_maps_are_what_the_network_makes_of_the_inputs() -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet5-1998"])
    pictures = [picture(Input("7", 5)), picture(Input("cat", 1)), noise("uniform", 3)]
    wanted = answers(checkpoint, stack_inputs(pictures, checkpoint.architecture.input_shape))
    app = look(net="lenet5-1998", inputs="7.5,cat.1,uniform.3", layers="conv1-before,conv2")
    (table,) = tables(app)
    for block, layer in zip(table["blocks"], ("c1", "c3_act"), strict=True):
        assert block["layer"] == layer
        np.testing.assert_array_equal(values(block), np.stack([answer.layers[layer] for answer in wanted]))
    assert [row["says"].split()[1].rstrip(",") for row in table["rows"]] == [one.name(one.label) for one in wanted]


def test_a_plain_sentence_says_what_the_maps_show() -> None:
    page = shown(look(beside="lenet5-1998"))
    first, second = (text(part.partition("</p>")[0]) for part in page.split('data-testid="says"')[1:])
    assert "Modern LeNet : " in first
    assert "LeNet-5, 1998 : " in second
    for says in (first, second):
        assert re.search(r"\d+ % of C1", says)
        assert "noise" in says
        assert says.endswith(".")


# ---------------------------------------------------------------- adding


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_added_and_again_as_another_of_its_kind(kind: str) -> None:
    app = look(inputs="4.99")
    app.button(key=f"add_{kind}").click().run()
    assert len(names(app)) == 2
    first = linked(app, "inputs")
    assert first == f"4.99,{Input(kind).text}"
    app.button(key=f"add_{kind}").click().run()
    second = "blank" if kind == "blank" else f"{kind}.1"
    assert linked(app, "inputs") == f"{first},{second}"
    assert (given(app, 1) == given(app, 2)) == (kind == "blank")
    title = NOISES.get(kind, kind)
    numbered = [f"{title} ({number})" for number in ((2, 3) if kind == "4" else (1, 2))]
    assert names(app)[1:] == numbered
    assert notices(app) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_stand_in_a_link(kind: str) -> None:
    wanted = Input(kind, 0 if kind == "blank" else 3)
    app = look(inputs=wanted.text)
    assert names(app) == [NOISES.get(kind, kind)]
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet-modern"])
    (answer,) = answers(checkpoint, stack_inputs([picture(wanted)], (1, 28, 28)))
    np.testing.assert_array_equal(values(tables(app)[0]["blocks"][0])[0], answer.layers["c1_act"])


def test_what_was_removed_is_what_is_added_next() -> None:
    app = look(inputs="cat.1,cat.2")
    app.button(key="add_cat").click().run()
    assert linked(app, "inputs") == "cat.1,cat.2,cat.0"


def test_eight_are_the_most() -> None:
    app = look(inputs=",".join(f"{digit}.0" for digit in range(MOST - 1)))
    assert not app.button(key="add_cat").disabled
    app.button(key="add_cat").click().run()
    assert len(names(app)) == MOST == 8
    assert all(app.button(key=f"add_{kind}").disabled for kind in (*KINDS, "drawing"))
    assert app.file_uploader[0].proto.disabled


def test_of_a_link_with_too_many_the_first_eight_are_shown() -> None:
    app = look(inputs=",".join(f"{digit}.1" for digit in range(10)))
    assert names(app) == list("01234567")
    (notice,) = notices(app)
    assert notice == "The link names 10 inputs; the first 8 are shown."


@pytest.mark.parametrize("bad", ["10.0", "dog.0", "cat", "cat.-1", "cat.1.2", "upload.xyz", "upload.../x", "blank.3"])
def test_a_wrong_name_in_a_link_is_told_and_the_rest_stays(bad: str) -> None:
    app = look(inputs=f"4.0,{bad},cat.0")
    assert names(app) == ["4", "cat"]
    (notice,) = notices(app)
    assert "There is no input" in notice
    assert bad in notice
    assert linked(app, "inputs") == "4.0,cat.0"


def test_a_strangers_words_in_a_link_are_no_markup() -> None:
    app = look(inputs="<script>alert(1)</script>,4.0", net="<b>x", layers="<i>", unit="<u>", scale="<s>", detail="<q>")
    page = shown(app)
    assert names(app) == ["4"]
    assert "&lt;script&gt;" in notices(app)[0]
    assert not any(tag in page for tag in ("<script>", "<b>x", "<i>", "<u>", "<s>", "<q>"))


def test_without_inputs_the_page_says_how_to_begin() -> None:
    app = look(inputs="none")
    assert tables(app) == []
    assert "Nothing to look at yet" in shown(app)
    app.button(key="add_cat").click().run()
    assert names(app) == ["cat"]
    app = look(inputs="none")
    app.button(key="begin_inputs").click().run()
    assert names(app) == FIRST


# ---------------------------------------------------------------- the rows' buttons


def acted(action: str, row: int, start: str) -> str | None:
    """What the address holds after a row's button was pressed."""

    def press(action: str, row: int) -> None:
        from ui import shown_inputs

        shown_inputs.act(action, row)

    app = AppTest.from_function(press, kwargs={"action": action, "row": row})
    app.query_params["inputs"] = start
    app.query_params["unit"] = "0.conv1.1.3.12.7"
    app.run()
    assert not app.exception
    return linked(app, "inputs")


@pytest.mark.parametrize(
    ("action", "row", "after"),
    [
        ("up", 1, "cat.0,4.0,uniform.6"), ("down", 1, "4.0,uniform.6,cat.0"), ("remove", 1, "4.0,uniform.6"),
        ("again", 2, "4.0,cat.0,uniform.7"), ("up", 0, "4.0,cat.0,uniform.6"), ("down", 2, "4.0,cat.0,uniform.6"),
        ("remove", 3, "4.0,cat.0,uniform.6"), ("remove", -1, "4.0,cat.0,uniform.6"),
    ],
)  # fmt: skip
def test_a_rows_buttons_move_renew_and_remove_it(action: str, row: int, after: str) -> None:
    assert acted(action, row, "4.0,cat.0,uniform.6") == after


def test_all_can_be_removed() -> None:
    assert acted("remove", 0, "cat.1") == "none"


def test_another_of_the_last_of_its_kind_is_the_first() -> None:
    assert acted("again", 0, "cat.999999") == "cat.0"


def test_each_row_has_the_buttons_that_do_something_there() -> None:
    app = look(inputs="4.0,blank,drawing", drawing=drawn("3"), beside="lenet5-tanh")
    first, second = tables(app)
    assert [row["can"] for row in first["rows"]] == [
        ["down", "again", "remove"], ["up", "down", "remove"], ["up", "remove"],
    ]  # fmt: skip
    assert [row["can"] for row in second["rows"]] == [[], [], []]  # one place to change them is enough


# ---------------------------------------------------------------- the drawing


def test_a_drawing_stands_in_the_link() -> None:
    app = look(inputs="drawing,4.0", drawing=drawn("7"))
    assert names(app) == ["your drawing", "4"]
    assert tables(app)[0]["rows"][0]["says"].startswith("says 7, ")
    assert linked(app, "drawing") == drawn("7")


def test_the_last_drawing_of_the_draw_page_can_be_added() -> None:
    app = turned(home(), "pages/draw.py", drawing=drawn("3"))
    turned(app)
    assert not app.button(key="add_drawing").disabled
    app.button(key="add_drawing").click().run()
    assert names(app) == [*FIRST, "your drawing"]
    assert tables(app)[0]["rows"][4]["says"].startswith("says 3, ")
    assert linked(app, "drawing") == drawn("3")  # so that the link shows it to others
    turned(app, "pages/draw.py", drawing="")
    next(button for button in app.button if button.label == "8").click().run()
    turned(app)
    assert tables(app)[0]["rows"][4]["says"].startswith("says 3, ")
    app.button(key="add_drawing").click().run()
    assert len(names(app)) == 5  # the new one in place of the old
    assert tables(app)[0]["rows"][4]["says"].startswith("says 8, ")


@pytest.mark.parametrize("drawing", ["", "hostile!", "AAAA"])
def test_a_drawing_that_is_none_is_told(drawing: str) -> None:
    app = look(inputs="4.0,drawing", drawing=drawing)
    assert names(app) == ["4"]
    (notice,) = notices(app)
    assert notice.startswith("There is no drawing yet")
    assert linked(app, "inputs") == "4.0"
    assert linked(app, "drawing") is None


# ---------------------------------------------------------------- CIFAR-10's own


def test_without_cifar_its_cats_are_not_offered_and_a_link_to_them_is_told() -> None:
    app = look(inputs="4.0,cifar-cat.0")
    assert not [button.key for button in app.button if str(button.key).startswith("add_cifar")]
    assert names(app) == ["4"]
    assert len(notices(app)) == 1


def test_cifars_own_cats_and_automobiles(cifar_test_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_DATA_DIR", str(cifar_test_images))
    app = look(inputs="cifar-cat.7", net="untrained/alexnet-cifar", layers="conv1")
    app.button(key="add_cifar-automobile").click().run()
    assert names(app) == ["CIFAR-10 cat", "CIFAR-10 car"]
    assert linked(app, "inputs") == "cifar-cat.7,cifar-automobile.0"
    assert tables(app)[0]["inputSize"] == [32, 32]
    assert notices(app) == []


# ---------------------------------------------------------------- coming back


def test_what_was_chosen_comes_back_with_the_page() -> None:
    app = look(inputs="cat.2,7.1", net="lenet5-1998", beside="lenet5-tanh", layers="conv2", scale="row", detail="alike")
    before = tables(app)
    turned(app, "pages/draw.py")
    assert linked(app, "inputs") is None
    turned(app)
    assert tables(app) == before
    assert linked(app, "inputs") == "cat.2,7.1"
    assert linked(app, "detail") == "alike"


def test_a_link_goes_before_what_was_chosen_last() -> None:
    app = look(inputs="cat.2,7.1", net="lenet5-1998")
    turned(app, "pages/draw.py")
    turned(app, inputs="1.1")
    assert names(app) == ["1"]
    assert linked(app, "net") is None
