"""The steps from a drawing to what a network is fed, left out one by one and in every combination."""

from __future__ import annotations

from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import classify
from lenet_core.library import DEFAULT, bundled_checkpoints
from lenet_core.preprocess import digit_of_ink, to_digit
from lenet_core.steps import STEPS, check_steps
from lenet_core.strokes import ink_without
from tests.pens import pen_digits
from tests.ui.apps import part

Strokes = list[list[tuple[float, float]]]

SIZE, PEN = 336, 22  # of the canvas, pixels
SMALL: Strokes = [[(40.0, 250.0), (80.0, 250.0), (55.0, 310.0)]]  # a seven in the lower left
EVERY_CHOICE = list(chain.from_iterable(combinations(STEPS, count) for count in range(len(STEPS) + 1)))


def image_without(strokes: Strokes, *without: str) -> NDArray[np.uint8]:
    """The image that is made of the strokes without some steps."""
    return to_digit(ink_without(strokes, without, size=SIZE, pen=PEN), without).image


def test_every_step_changes_a_small_drawing_but_the_last_which_is_the_networks() -> None:
    changed = {name for name in STEPS if not np.array_equal(image_without(SMALL, name), image_without(SMALL))}
    assert changed == set(STEPS) - {"scale"}


def test_without_width_a_small_drawing_is_a_blot_and_a_large_one_is_thin() -> None:
    large = [[(30 + 4.5 * (x - 40), 30 + 4.5 * (y - 250)) for x, y in stroke] for stroke in SMALL]
    even = image_without(SMALL).sum() / 255
    assert image_without(large).sum() / 255 == pytest.approx(even, rel=0.03)
    assert image_without(SMALL, "width").sum() / 255 > 1.5 * even
    assert image_without(large, "width").sum() / 255 < 0.75 * even


def test_without_crop_a_small_drawing_stays_small_and_on_its_side() -> None:
    rows, columns = np.nonzero(image_without(SMALL, "crop"))
    assert np.ptp(rows) + 1 <= 6
    assert rows.mean() > 15
    assert np.ptp(np.nonzero(image_without(SMALL))[0]) + 1 == 20
    rows, columns = np.nonzero(image_without(SMALL, "crop", "fit"))
    assert (columns.mean(), rows.mean()) == pytest.approx((60 / 12, 270 / 12), abs=1)  # 12 canvas pixels each


def test_every_combination_makes_an_image_of_every_drawing(pen_strokes: Path) -> None:
    drawings = [SMALL] + [
        [[(1.2 * x, 1.2 * y) for x, y in stroke] for stroke in digit.strokes] for digit in pen_digits()[:4]
    ]
    for without in EVERY_CHOICE:
        for strokes in drawings:
            image = image_without(strokes, *without)
            assert (image.shape, image.dtype) == ((28, 28), np.uint8)
            assert image.min() < 64 < 192 < image.max()


def test_ink_known_for_ink_and_a_picture_of_it_make_the_same_image() -> None:
    for without in EVERY_CHOICE:
        picture = ink_without(SMALL, without, size=SIZE, pen=PEN)
        assert np.array_equal(
            digit_of_ink((picture / 255).astype(np.float32), without).image, image_without(SMALL, *without)
        )


@pytest.mark.parametrize(("name", "margin"), [(DEFAULT, 0), ("lenet5-1998", 2)])
def test_without_scale_the_network_is_fed_255_times_as_much(name: str, margin: int) -> None:
    network, image = load_checkpoint(bundled_checkpoints()[name]), image_without(SMALL)
    fed = torch.from_numpy(np.pad(image, margin)).float()[None, None]
    with torch.inference_mode():
        expected = network.net(fed).softmax(dim=1)[0].numpy()
    answer = classify(network, image, ["scale"])
    assert answer.probabilities == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(answer.layers["image"], fed[0].numpy())
    assert classify(network, image).layers["image"].max() == 1
    assert np.array_equal(classify(network, image, ["crop"]).probabilities, classify(network, image).probabilities)


def test_a_step_that_there_is_not_is_refused() -> None:
    network = load_checkpoint(bundled_checkpoints()[DEFAULT])
    check_steps(STEPS)
    for refused in (
        lambda: check_steps(["crop", "blur"]),
        lambda: ink_without(SMALL, ["blur"], size=SIZE, pen=PEN),
        lambda: classify(network, image_without(SMALL), ["blur"]),
    ):
        with pytest.raises(ValueError, match=r"width, crop.*not 'blur'"):
            refused()


def test_the_pages_digit_is_the_one_that_the_canvas_makes() -> None:
    def section() -> None:
        import streamlit as st

        from lenet_core.preprocess import to_digit
        from lenet_core.strokes import ink_without
        from ui.drawn import digit_of

        small = [[(40.0, 250.0), (80.0, 250.0), (55.0, 310.0)]]
        for without in ((), ("crop",), ("width",), ("fit", "polarity")):
            digit = digit_of(small, without)
            expected = to_digit(ink_without(small, without, size=336, pen=22), without).image
            st.text(digit is not None and (digit.image == expected).all())
        st.text(digit_of([]) is None and digit_of([[(10.0, 10.0), (43.0, 10.0)]], ["crop"]) is None)

    assert [text.value for text in part(section).text] == ["True"] * 5
