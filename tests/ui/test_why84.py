"""Why 84: F6 as a picture, and how far it lies from each code."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lenet_core import inputs
from lenet_core.bitmaps import DIGIT_BITMAPS
from lenet_core.checkpoint import load_checkpoint
from lenet_core.library import bundled_checkpoints
from lenet_core.novelty import Familiar
from lenet_core.strokes import to_link
from tests.ui.apps import linked, part, shown
from ui.markup_why84 import distance, equation, in_words, ranking
from ui.sample_strokes import sample_strokes

SIZE = 336
CODES = np.array(DIGIT_BITMAPS, dtype=np.float32)
# Distances of 0.00 to 10.0.
REAL = Familiar("MNIST", 10_000, {"distance": tuple(0.1 * step - 10 for step in range(101))})


def section() -> None:
    from ui.why84 import why_84

    why_84()


def page(**query: str) -> AppTest:
    return part(section, **query)


def says(html: str) -> str:
    found = re.search(r'data-testid="why-says"[^>]*>([^<]+)<', html)
    assert found
    return found[1]


def bars(html: str) -> list[tuple[int, str]]:
    """Each bar's digit and number, from the top."""
    found = re.findall(r'role="listitem">.*?<b>(\d)</b>.*?<span>([^<]+)</span></div>', html)
    return [(int(digit), number) for digit, number in found]


def distances(named: str) -> np.ndarray:
    """The squared distances, worked out from the checkpoint by the walk of its layers."""
    net = load_checkpoint(bundled_checkpoints()["lenet5-1998"]).net
    x = inputs.stack_inputs([inputs.picture(inputs.parse(named))], (1, 32, 32))
    with torch.no_grad():
        for name, layer in net.named_children():
            x = layer(x)
            if name == "f6_act":
                return ((x.numpy() - CODES) ** 2).sum(1)
    raise AssertionError("no F6")


@pytest.mark.parametrize("named", ["4.3", "8.1", "0.7", "cat.0", "uniform.2"])
def test_the_bars_are_the_squared_distances_the_nearest_first(named: str) -> None:
    html, expected = shown(page(why=named)), distances(named)
    order = [int(digit) for digit in np.argsort(expected, kind="stable")]
    assert [digit for digit, _ in bars(html)] == order
    for digit, number in bars(html)[1:]:
        assert float(number) == pytest.approx(expected[digit], rel=0.01, abs=0.06)
    assert f"The nearest code is that of {order[0]}, at a squared distance of" in says(html)


@pytest.mark.parametrize("digit", "0123456789")
def test_a_test_digit_of_each_class_is_nearest_to_its_own_code(digit: str) -> None:
    html = shown(page(why=f"{digit}.3"))
    assert bars(html)[0][0] == int(digit)
    assert "Do not believe it" not in says(html)


def test_a_cat_is_far_from_every_code_and_told_so() -> None:
    said = says(shown(page(why="cat.0")))
    assert "farther than over 99 % of real test digits. Do not believe it." in said
    assert "Half of all real test digits lie within 0.06 of theirs" in said


def test_another_one_and_another_kind_are_in_the_link() -> None:
    app = page()
    assert linked(app, "why") is None
    app.button("why_another").click().run()
    assert linked(app, "why") == "4.4"
    app.get("button_group")[0].set_value("9").run()
    assert linked(app, "why") == "9.0"
    app.button("why_another").click().run()
    assert linked(app, "why") == "9.1"


def test_a_link_that_names_nothing_is_told_and_the_first_is_shown() -> None:
    app = page(why="dog.1")
    html = shown(app)
    assert "There is no input" in html
    assert bars(html)[0][0] == 4
    assert "There is no input" not in shown(app.run())


def test_a_drawing_in_the_link_is_shown() -> None:
    drawing = to_link(sample_strokes("7", SIZE), SIZE)
    app = page(why="drawing", drawing=drawing)
    assert bars(shown(app))[0][0] == 7
    assert app.button("why_another").disabled
    app.get("button_group")[0].set_value("2").run()
    assert linked(app, "drawing") is None


def test_without_a_drawing_the_next_step_is_a_button() -> None:
    app = page(why="drawing")
    assert "There is no drawing yet" in shown(app)
    assert app.button("why_draw").label == "Draw a digit"


def test_a_hundred_digits_of_each_class_at_once() -> None:
    app = page()
    assert "lp-paintings" not in shown(app)
    app.toggle("why_all").set_value(True).run()
    html = shown(app)
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', html)
    assert len(rows) == 10
    for digit, row in enumerate(rows):
        cells = re.findall(r"<td( class=[^>]*)?>", row)
        assert [bool(cell) for cell in cells] == [at == digit for at in range(10)]
    assert linked(app, "why_all") == "1"


def test_the_reasons_name_what_the_codes_are() -> None:
    said = re.search(r"codes of 6 and 8 differ in (\d+) pixels, those of 0 and 4 in (\d+)", shown(page()))
    assert said
    assert [int(number) for number in said.groups()] == [(CODES[a] != CODES[b]).sum() for a, b in ((6, 8), (0, 4))]


# --- the words -----------------------------------------------------------------------------------


def ten(**near: float) -> np.ndarray:
    result = np.full(10, 100, dtype=np.float32)
    for name, value in near.items():
        result[int(name[1:])] = value
    return result


def test_a_mistake_is_told() -> None:
    said = in_words(ten(_4=1.0, _9=3.0), REAL, 9, known=True)
    assert said.startswith("The nearest code is that of 4, at a squared distance of 1.00; the next, 9, is at 3.00.")
    assert "It is a 9, though: the network is mistaken." in said


def test_a_digit_far_from_its_code_is_doubted_and_a_cat_near_one_too() -> None:
    assert in_words(ten(_4=9.8), REAL, 4, known=True).endswith("farther than 98 % of real test digits. Doubt it.")
    assert in_words(ten(_4=2.0), REAL, None, known=False).endswith("Nothing in it tells that this is no digit.")
    assert in_words(ten(_4=2.0), REAL, 4, known=True).endswith("(80 % are farther).")


def test_without_stored_distances_there_are_the_numbers_alone() -> None:
    assert in_words(ten(_4=2.0), None, None, known=False).endswith("is at 100.")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.004, "under 0.01"), (0.06, "0.06"), (9.994, "9.99"), (9.996, "10.0"), (99.96, "100")],
)
def test_distances_have_three_digits_at_most(value: float, text: str) -> None:
    assert distance(value) == text


def test_the_nearest_is_framed_in_the_bars_and_among_the_codes() -> None:
    away = ((CODES[6] - CODES) ** 2).sum(1)
    html = equation(np.zeros((32, 32), dtype=np.uint8), "a 6", CODES[6], away, "#000000")
    assert ranking(away).count("lp-nearest") == 1
    assert re.search(r'lp-code lp-nearest" tabindex="0" aria-label="6: squared distance 0.00"', html)
    assert "squares add up to 0.00" in html
