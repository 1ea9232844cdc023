"""What each step is worth: pictures as drawings, what is measured on them, what a file may claim."""

from __future__ import annotations

import json
from math import hypot, inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenet_core import ablation
from lenet_core.ablation import ALL, CANVAS, PEN, SIZES, StepCosts, prepared, step_costs
from lenet_core.checkpoint import load_checkpoint
from lenet_core.data import DataSet, load
from lenet_core.evaluate import evaluate
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import preset
from lenet_core.steps import STEPS

DIGIT_NETWORKS = sorted(name for name in bundled_checkpoints() if not name.endswith("-fashion"))


@pytest.fixture(scope="module")
def digits() -> DataSet:
    """Twenty real digits of each class."""
    return load("mnist-5k", train=False).take(slice(0, 1_000, 5))


@pytest.fixture(scope="module")
def drawn(digits: DataSet) -> dict[str, torch.Tensor]:
    return prepared(digits)


def description(**changes: Any) -> dict[str, Any]:
    without = dict.fromkeys(STEPS, 0.5)
    return {"data": "MNIST", "images": 10_000, "accuracy": 0.99, "without": without, **changes}


def a_bar(width: int = 4, at: int = 3) -> torch.Tensor:
    """A picture of an upright bar, 20 pixels high."""
    picture = torch.zeros(28, 28, dtype=torch.uint8)
    picture[4:24, at : at + width] = 200
    return picture


# --- pictures as drawings ----------------------------------------------------------------------


def box(ink: torch.Tensor) -> tuple[int, int, int, int]:
    rows, columns = ink.any(1).nonzero(), ink.any(0).nonzero()
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("place", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("size", [0.0, 0.5, 1.0])
def test_a_picture_is_drawn_as_large_and_where_it_is_told(size: float, place: float) -> None:
    """A bar of 4 x 20 pixels becomes one fifth as wide as high, in its place with what is left over around it."""
    ink, widths = ablation._laid(a_bar()[None], torch.tensor([[size, place, place]]))
    high = (SIZES[0] + (SIZES[1] - SIZES[0]) * size) * CANVAS
    left, top, right, bottom = box(ink[0])
    assert right - left == pytest.approx(high / 5, abs=1)
    assert bottom - top == pytest.approx(high, abs=1)
    assert left == pytest.approx(place * (CANVAS - high / 5), abs=1)
    assert top == pytest.approx(place * (CANVAS - high), abs=1)
    assert widths[0] == pytest.approx(4 * high / 20, rel=0.2)  # less for its round ends


def test_where_a_digit_stood_in_its_picture_does_not_count() -> None:
    places = torch.tensor([[0.3, 0.6, 0.2]] * 2)
    ink, _ = ablation._laid(torch.stack([a_bar(at=2), a_bar(at=20)]), places)
    assert torch.equal(ink[0], ink[1])


def test_distances_by_hand() -> None:
    pixels = torch.zeros(1, 9, 12, dtype=torch.bool)
    pixels[0, 2, 3] = pixels[0, 8, 11] = True
    found = ablation._distance(pixels, 4)[0]
    for row in range(9):
        for column in range(12):
            true = min(hypot(row - 2, column - 3), hypot(row - 8, column - 11))
            assert found[row, column] == pytest.approx(true) if true <= 4 else found[row, column] > 4


@pytest.mark.parametrize(("width", "pen"), [(10, 4), (10, 9), (10, 10), (10, 16), (5, 11)])
def test_strokes_are_made_as_wide_as_the_pen(width: int, pen: int) -> None:
    ink = torch.zeros(1, 60, 60, dtype=torch.bool)
    ink[0, 20:40, 20 : 20 + width] = True
    left, top, right, bottom = box(ablation._with_width(ink, torch.tensor([float(width)]), pen)[0])
    assert right - left == pytest.approx(pen, abs=1)
    assert bottom - top == pytest.approx(20 + pen - width, abs=1)
    assert (left + right) / 2 == pytest.approx(20 + width / 2, abs=0.5)


def test_a_stroke_that_would_vanish_stays() -> None:
    ink = torch.zeros(2, 60, 60, dtype=torch.bool)
    ink[0, 20:40, 20:23] = ink[1, 20:40, 20:40] = True
    changed = ablation._with_width(ink, torch.tensor([20.0, 20.0]), PEN)
    assert torch.equal(changed[0], ink[0])  # taken for far wider than it is
    left, _, right, _ = box(changed[1])
    assert right - left == pytest.approx(PEN, abs=1)


def test_every_step_left_out_shows_in_the_images(drawn: dict[str, torch.Tensor]) -> None:
    assert set(drawn) == {ALL, *STEPS} - {"scale"}
    whole = drawn[ALL].numpy()
    assert whole.shape == (200, 1, 28, 28)
    sides = {step: extents(images.numpy()) for step, images in drawn.items() if step != "polarity"}
    assert (sides[ALL] == 20).all()
    assert (sides["fit"] == 28).all()
    assert sides["crop"].min() < 10
    assert sides["crop"].max() <= 20
    assert set(np.unique(drawn["antialias"].numpy())) == {0, 255}
    assert np.array_equal(drawn["polarity"].numpy(), 255 - whole)
    heavier = (drawn["width"].float().sum((1, 2, 3)) / drawn[ALL].float().sum((1, 2, 3))).numpy()
    assert heavier[sides["crop"] <= 9].mean() > 1.1  # small on the canvas: a blot
    assert heavier[sides["crop"] >= 16].mean() < 0.8


def extents(images: Any) -> Any:
    """The longer side of each image's ink, in pixels."""
    return np.array([max(np.ptp(np.nonzero(image[0])[axis]) + 1 for axis in (0, 1)) for image in images])


def test_an_empty_picture_stays_empty_and_breaks_nothing() -> None:
    blank = DataSet("x", "x", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ("0",))
    assert all(not images.any() for images in prepared(blank).values())


# --- what the steps cost -----------------------------------------------------------------------


@pytest.mark.parametrize("name", DIGIT_NETWORKS)
def test_a_bundled_network_reads_drawn_test_digits_as_well_as_the_test_digits(name: str, digits: DataSet) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    costs = step_costs(checkpoint.net, digits, checkpoint.architecture)
    assert costs is not None
    assert (costs.data, costs.images) == (digits.title, 200)
    as_they_are = evaluate(checkpoint.net, digits, checkpoint.architecture.input_shape).accuracy
    assert costs.accuracy == pytest.approx(as_they_are, abs=0.015)
    assert costs.cost("polarity") > 0.6
    assert costs.cost("crop") > 0.15
    assert costs.cost("antialias") == pytest.approx(0, abs=0.03)


def test_scale_feeds_the_same_images_255_times_as_large(digits: DataSet, drawn: dict[str, torch.Tensor]) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet5-1998"])
    costs = step_costs(checkpoint.net, digits, checkpoint.architecture)
    assert costs is not None
    with torch.inference_mode():
        padded = torch.nn.functional.pad(drawn[ALL].float(), (2, 2, 2, 2))
        assert checkpoint.architecture.input_shape == tuple(padded.shape[1:])
        answers = checkpoint.net(padded).argmax(1)
    assert costs.without["scale"] == int((answers == digits.labels).sum()) / 200
    assert costs.cost("scale") > 0.02


def test_the_same_network_and_pictures_give_the_same_costs(digits: DataSet) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet5-tanh"])
    torch.manual_seed(1)
    first = step_costs(checkpoint.net, digits, checkpoint.architecture, 60)
    torch.manual_seed(2)
    assert step_costs(checkpoint.net, digits, checkpoint.architecture, 60) == first


def test_a_limit_takes_pictures_evenly(digits: DataSet) -> None:
    """The digits are in order of their class: the first 50 alone would be zeros, ones and twos."""
    net = build(preset("lenet-modern"), seed=0)
    limited = step_costs(net, digits, preset("lenet-modern"), 50)
    assert limited == step_costs(net, digits.take(slice(0, None, 4)), preset("lenet-modern"))
    assert limited is not None
    assert limited.images == 50
    whole = step_costs(net, digits.take(slice(0, 30)), preset("lenet-modern"), 50)
    assert whole is not None
    assert whole.images == 30


def test_a_network_in_training_goes_on_training(digits: DataSet) -> None:
    arch = preset("lenet-modern")
    net = build(arch, seed=0).train()
    step_costs(net, digits, arch, 10)
    assert net.training


def test_colour_pictures_and_large_networks_have_no_costs(digits: DataSet) -> None:
    modern, alexnet = preset("lenet-modern"), preset("alexnet-cifar")
    colour = DataSet("x", "x", torch.zeros(3, 3, 32, 32, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), ("0",))
    assert step_costs(build(modern, seed=0), colour, modern) is None
    assert step_costs(torch.nn.Identity(), digits, alexnet) is None


# --- what a file may claim ---------------------------------------------------------------------


def test_costs_go_through_json_unchanged() -> None:
    costs = StepCosts("MNIST", 1_000, 0.99, {step: 0.9 + index / 100 for index, step in enumerate(STEPS)})
    read = StepCosts.from_dict(json.loads(json.dumps(costs.to_dict())))
    assert read == costs
    assert read.cost("width") == pytest.approx(0.09)
    with pytest.raises(ValueError, match=r"must be one of width, .*'jump'"):
        read.cost("jump")


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (None, "data, images, accuracy and without, not None"),
        ([], "data, images, accuracy and without"),
        ("steps", "data, images, accuracy and without"),
        ({"data": "MNIST"}, "data, images, accuracy and without"),
        (description(more=1), "data, images, accuracy and without"),
        (description(data=7), "data must be a text"),
        (description(data="x" * 81), "80"),
        (description(data="a\nb"), "printable"),
        (description(images=0), "images"),
        (description(images=True), "images"),
        (description(images=10**400), "images"),
        (description(accuracy="0.9"), "accuracy"),
        (description(accuracy=nan), "accuracy"),
        (description(accuracy=99.1), "accuracy must be a number from 0 to 1"),
        (description(without=[]), "without must be an object"),
        (description(without={}), "width, crop, fit"),
        (description(without={"<script>": 0.5}), "width, crop, fit"),
        (description(without={**description()["without"], "more": 0.5}), "width, crop, fit"),
        (description(without={**description()["without"], "crop": -0.1}), "without crop"),
        (description(without={**description()["without"], "crop": nan}), "without crop"),
        (description(without={**description()["without"], "crop": inf}), "without crop"),
        (description(without={**description()["without"], "crop": 10**400}), "without crop"),
        (description(without={**description()["without"], "crop": None}), "without crop"),
        (description(without={**description()["without"], "crop": [1]}), "without crop"),
        (description(without={**description()["without"], "crop": True}), "without crop"),
    ],
)
def test_a_strangers_costs_are_refused_unless_they_are_sound(hostile: object, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        StepCosts.from_dict(hostile)
    assert len(str(refusal.value)) < 400


# --- as the bundled networks have them ---------------------------------------------------------


@pytest.mark.parametrize("name", sorted(bundled_checkpoints()))
def test_a_bundled_network_holds_what_each_step_costs_it(name: str, real_data: Path) -> None:
    """Measured here on every 25th of its test images, which may differ by chance from what is stored of all."""
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    stored = StepCosts.from_dict(checkpoint.training["steps"])
    data = load("fashion-mnist" if name.endswith("-fashion") else "mnist", train=False, root=real_data)
    found = step_costs(checkpoint.net, data, checkpoint.architecture, 400)
    assert found is not None
    assert (stored.data, stored.images) == (data.title, 10_000)
    for accuracy, again in zip(
        (stored.accuracy, *stored.without.values()), (found.accuracy, *found.without.values()), strict=True
    ):
        chance = (max(accuracy * (1 - accuracy), 0.01) / 400) ** 0.5
        assert again == pytest.approx(accuracy, abs=4 * chance)
