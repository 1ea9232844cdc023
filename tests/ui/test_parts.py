"""The parts that pages are made of."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lenet_core.classify import Answer
from ui import markup, markup_lens
from ui.pictures import DIVERGING, SEQUENTIAL, Scale, coloured, data_uri, scale_for
from ui.state import Drawing


def answer(*probabilities: float, classes: tuple[str, ...] = ("zero", "one", "<i>two")) -> Answer:
    return Answer(np.array(probabilities, dtype=np.float32), classes, {})


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.9921, "99.2 %"), (1.0, "> 99.9 %"), (0.9996, "> 99.9 %"), (0.0, "< 0.1 %"), (0.001, "0.1 %")],
)
def test_no_probability_reads_as_certain(fraction: float, text: str) -> None:
    assert markup.percent(fraction) == text


def test_doubt_names_the_second_guess() -> None:
    assert markup.doubt(answer(0.5, 0.4, 0.1)) == "not sure: zero or one?"
    assert markup.doubt(answer(0.7, 0.1, 0.2)) == "then <i>two, 20.0 %"
    assert markup.doubt(answer(0.995, 0.0, 0.005)) == "no other above 1 %"


def test_names_from_a_file_are_no_markup() -> None:
    result = answer(0.1, 0.2, 0.7)
    for html in (
        markup_lens.answer(result, (), np.zeros((2, 2), np.float32), "#000000", 1),
        markup.bars(result, "#000000"),
        markup.card("<script>", "<style>", "#000000", result),
    ):
        assert "&lt;i&gt;two" in html
        assert "<i>" not in html
        assert "<script>" not in html


def test_values_with_a_sign_are_coloured_around_zero() -> None:
    scale = scale_for(np.array([-1.0, 0.0, 3.0], dtype=np.float32))
    assert (scale.low, scale.high) == (-3.0, 3.0)
    middle = coloured(np.zeros((1, 1), dtype=np.float32), scale)[0, 0]
    assert middle.min() > 240  # zero is white
    low, high = coloured(np.array([[-3.0, 3.0]], dtype=np.float32), scale)[0]
    assert low[2] > low[0]  # below zero is blue
    assert high[0] > high[2]  # above is red
    assert scale.ramp is DIVERGING


def test_values_without_a_sign_run_from_dark_to_light() -> None:
    scale = scale_for(np.array([0.5, 2.0], dtype=np.float32))
    assert scale.ramp is SEQUENTIAL
    brightness = SEQUENTIAL.astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > -1).all()
    assert brightness[-1] - brightness[0] > 150


def test_a_constant_map_has_a_colour() -> None:
    values = np.zeros((2, 2), dtype=np.float32)
    assert coloured(values, scale_for(values)).shape == (2, 2, 3)


def test_a_picture_in_the_page_is_the_array_pixel_for_pixel() -> None:
    pixels = coloured(np.arange(6, dtype=np.float32).reshape(2, 3), Scale(0, 5, SEQUENTIAL))
    data = base64.b64decode(data_uri(pixels).split(",")[1])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


def test_history_forgets_what_was_undone_when_something_new_is_drawn() -> None:
    first, second, third = [[(0.0, 0.0)]], [[(1.0, 1.0)]], [[(2.0, 2.0)]]
    drawing = Drawing()
    drawing.add(first)
    drawing.add(second)
    drawing.move(-1)
    assert drawing.strokes == first
    assert drawing.can_redo
    drawing.add(third)
    assert not drawing.can_redo
    drawing.move(-1)
    assert drawing.strokes == first
    drawing.move(-5)
    assert drawing.strokes == []
    assert not drawing.can_undo


def test_history_is_bounded() -> None:
    drawing = Drawing()
    for step in range(500):
        drawing.add([[(float(step), 0.0)]])
    assert len(drawing.history) == 100
    assert drawing.strokes == [[(499.0, 0.0)]]
