"""What one can show a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lenet_core import inputs
from lenet_core.data import load, to_input
from lenet_core.inputs import NOISES, Input, digits, noise, parse, picture, stack_inputs


@pytest.mark.parametrize(
    "text", ["4.0", "0.99", "cat.1", "car.12", "uniform.7", "shuffled.3", "blank", "drawing", "upload." + "3f" * 8]
)
def test_an_input_reads_back_what_its_link_says(text: str) -> None:
    assert parse(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "4", "10.0", "4.-1", "4.1.2", "cat", "cat.", "cat.٣", "cat.1e3", "cat.9999999", "blank.1", "drawing.0",
     "upload.0", "upload." + "g" * 16, "upload." + "A" * 16, "upload.../../etc/passwd", "<b>.0", "x" * 10**6],
)  # fmt: skip
def test_what_names_no_input_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(ValueError, match="There is no input") as error:
        parse(text)
    assert len(str(error.value)) < 200


def test_digits_are_a_hundred_real_ones_of_each_class() -> None:
    data = load("mnist-5k", train=False)
    for label in range(10):
        of_class = data.images[data.labels == label][:, 0].numpy()
        assert (digits()[label] == of_class).all()
        assert (picture(Input(str(label), 103)) == of_class[3]).all()  # an index goes round


def test_nobody_can_change_the_digits_that_all_share() -> None:
    with pytest.raises(ValueError, match="read-only"):
        picture(Input("4"))[0, 0] = 7


@pytest.mark.parametrize("kind", NOISES)
def test_noise_comes_back_for_its_seed_and_differs_for_another(kind: str) -> None:
    first = noise(kind, 3)
    assert first.shape == (28, 28)
    assert first.dtype == np.uint8
    assert (noise(kind, 3) == first).all()
    assert (noise(kind, 4) != first).any() == (kind != "blank")


def test_noise_has_the_statistics_it_is_named_for() -> None:
    several = {kind: np.stack([noise(kind, seed) for seed in range(50)]) for kind in NOISES}
    uniform = several["uniform"] / 255
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.01)
    gaussian = several["gaussian"] / 255
    assert gaussian.mean() == pytest.approx(0.5, abs=0.01)
    assert gaussian.std() == pytest.approx(0.2, abs=0.01)
    assert set(np.unique(several["salt-and-pepper"])) == {0, 255}
    assert (several["salt-and-pepper"] == 255).mean() == pytest.approx(0.5, abs=0.02)
    assert several["blank"].max() == 0


def test_a_shuffled_digit_has_a_digits_histogram() -> None:
    histograms = {tuple(sorted(image.flat)) for image in digits().reshape(-1, 784)}
    shuffled = noise("shuffled", 5)
    assert tuple(sorted(shuffled.flat)) in histograms
    assert not (digits().reshape(-1, 784) == shuffled.reshape(-1)).all(axis=1).any()


def test_another_one_is_of_the_same_kind() -> None:
    assert parse("cat.1").next().text == "cat.2"
    assert parse("9.999999").next().text == "9.0"
    assert not parse("blank").has_others
    assert not parse("drawing").has_others


def test_digits_enter_as_in_training() -> None:
    image = picture(Input("7", 2))
    for shape in ((1, 28, 28), (1, 32, 32), (3, 32, 32)):
        expected = to_input(torch.from_numpy(image.copy())[None, None], shape)
        assert torch.equal(stack_inputs([image], shape), expected)


def test_a_digit_fills_a_large_networks_field() -> None:
    (enlarged,) = stack_inputs([picture(Input("0"))], (3, 224, 224))
    rows = enlarged[0].amax(1).nonzero()
    assert len(rows) > 224 * 0.6  # a digit has 20 of 28 pixels


def test_colour_becomes_lightness_for_a_grey_network_and_large_pictures_are_averaged() -> None:
    red = np.zeros((64, 64, 3), dtype=np.uint8)
    red[..., 0] = 255
    assert stack_inputs([red], (1, 32, 32)).unique().tolist() == [pytest.approx(0.299)]
    checks = np.tile(np.array([[0, 255], [255, 0]], dtype=np.uint8), (28, 28))
    assert stack_inputs([checks], (1, 28, 28)).unique().tolist() == [0.5]


def test_cifars_cats_and_automobiles_once_they_are_there(
    cifar_test_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not inputs.has_cifar()
    monkeypatch.setenv("LENET_DATA_DIR", str(cifar_test_images))
    assert inputs.has_cifar()
    data = load("cifar10", train=False)
    for kind, label in (("cifar-cat", 3), ("cifar-automobile", 1)):
        second = data.images[data.labels == label][1].permute(1, 2, 0).numpy()
        assert (picture(parse(f"{kind}.1")) == second).all()
        assert (picture(parse(f"{kind}.1001")) == second).all()
