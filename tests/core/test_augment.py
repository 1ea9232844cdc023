"""Training images varied at random: by no more than was asked, and only where it was asked."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lenet_core.augment import augment
from lenet_core.data import load
from lenet_core.recipes import Augmentation

EVERYTHING = Augmentation(
    shift=2, rotation=15, shear=0.2, scale=1.2, aspect=1.2, slashed_zeros=0.5, crossed_sevens=0.5, flagged_ones=0.5
)
STROKES = Augmentation(slashed_zeros=1, crossed_sevens=1, flagged_ones=1)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """The bundled sample's 1,000 test digits as floats, and their labels."""
    data = load("mnist-5k", train=False)
    return data.images.float() / 255, data.labels


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(count: int, row: float = 14, column: float = 14) -> Tensor:
    """Round spots of ink about a place in pixels, 28 by 28."""
    places = torch.arange(28.0)
    spot = torch.exp(-((places[:, None] - row) ** 2 + (places[None] - column) ** 2) / 8)
    return spot.expand(count, 1, 28, 28).clone()


def centres(images: Tensor) -> Tensor:
    """Each image's centre of mass, (N, 2) rows and columns."""
    places = torch.arange(float(images.shape[-1]))
    total = images.sum(dim=(1, 2, 3))
    return torch.stack(
        [(images.sum(dim=(1, 3)) * places).sum(1) / total, (images.sum(dim=(1, 2)) * places).sum(1) / total], dim=1
    )


def varied(images: Tensor, seed: int = 0, **amounts: float) -> Tensor:
    return augment(images, torch.zeros(len(images), dtype=torch.int64), Augmentation(**amounts), seeded(seed))


def test_identity_gives_the_images_themselves(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    made = augment(images, labels, Augmentation(), seeded())
    assert torch.equal(made, images)
    assert made is not images


def test_the_images_that_went_in_are_left_alone(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    before = images.clone()
    augment(images, labels, EVERYTHING, seeded())
    assert torch.equal(images, before)


def test_values_stay_between_0_and_1_and_shapes_as_they_were(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    made = augment(images, labels, EVERYTHING, seeded())
    assert made.shape == images.shape
    assert made.dtype == images.dtype
    assert made.isfinite().all()
    assert made.min() >= 0
    assert made.max() <= 1
    assert ((made - images).abs().amax(dim=(1, 2, 3)) > 0.05).all()  # and every image was varied


def test_the_same_state_gives_the_same_images(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    first = augment(images, labels, EVERYTHING, seeded(3))
    torch.rand(100)
    assert torch.equal(first, augment(images, labels, EVERYTHING, seeded(3)))
    assert not torch.equal(first, augment(images, labels, EVERYTHING, seeded(4)))


def test_the_global_generator_is_left_alone(digits: tuple[Tensor, Tensor]) -> None:
    before = torch.get_rng_state()
    augment(*digits, EVERYTHING, seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_second_call_draws_anew(digits: tuple[Tensor, Tensor]) -> None:
    generator = seeded()
    first = augment(*digits, EVERYTHING, generator)
    assert not torch.equal(first, augment(*digits, EVERYTHING, generator))


# --- strokes -----------------------------------------------------------------------------------


def test_only_zeros_ones_and_sevens_get_strokes(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    changed = (augment(images, labels, STROKES, seeded()) != images).flatten(1).any(1)
    struck = (labels == 0) | (labels == 1) | (labels == 7)
    assert not changed[~struck].any()
    assert changed[struck].float().mean() > 0.98


@pytest.mark.parametrize(
    ("how", "label"),
    [
        (Augmentation(slashed_zeros=1), 0),
        (Augmentation(flagged_ones=1), 1),
        (Augmentation(crossed_sevens=1), 7),
    ],
)
def test_each_stroke_goes_to_its_own_digit_and_adds_ink(
    how: Augmentation, label: int, digits: tuple[Tensor, Tensor]
) -> None:
    images, labels = digits
    made = augment(images, labels, how, seeded())
    changed = (made != images).flatten(1).any(1)
    assert set(labels[changed].tolist()) == {label}
    mine = labels == label
    assert (made[mine].sum(dim=(1, 2, 3)) >= images[mine].sum(dim=(1, 2, 3)) - 1e-3).all()
    assert made[mine].sum() > images[mine].sum() * 1.03


def test_the_labels_decide_and_not_the_pictures(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    assert torch.equal(augment(images, torch.full_like(labels, 4), STROKES, seeded()), images)


def test_a_share_of_the_digits_gets_the_stroke() -> None:
    images = blobs(2_000)
    made = augment(images, torch.zeros(2_000, dtype=torch.int64), Augmentation(slashed_zeros=0.3), seeded())
    share = (made != images).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.045)  # more than four standard deviations


def test_struck_digits_keep_mnists_centre(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    made = augment(images, labels, STROKES, seeded())
    changed = (made != images).flatten(1).any(1)
    assert (centres(made[changed]) - 14).abs().max() <= 0.501


# --- affine changes ----------------------------------------------------------------------------


def test_a_shift_moves_ink_by_that_many_pixels_at_most_and_keeps_it_all() -> None:
    images = blobs(2_000)
    made = varied(images, shift=3)
    moved = centres(made) - centres(images)
    assert moved.abs().max() <= 3.01
    assert moved.abs().max() > 2.9
    assert moved.mean(0).tolist() == pytest.approx([0, 0], abs=0.2)
    assert moved.abs().mean(0).tolist() == pytest.approx([1.5, 1.5], abs=0.1)  # drawn evenly
    torch.testing.assert_close(made.sum(dim=(1, 2, 3)), images.sum(dim=(1, 2, 3)), rtol=0.01, atol=0)


def test_a_shift_moves_the_whole_picture_alike() -> None:
    # Two spots on one picture: the distance between them stays.
    apart = blobs(50, 10, 10) + blobs(50, 18, 18)
    made = varied(apart, shift=3)
    alone = varied(blobs(50, 10, 10), shift=3) + varied(blobs(50, 18, 18), shift=3)
    torch.testing.assert_close(made, alone)


def test_a_rotation_turns_by_that_angle_at_most_about_the_middle() -> None:
    made = varied(blobs(1_000, 13.5, 21.5), rotation=30)  # 8 pixels right of the middle
    away = centres(made) - 13.5
    assert away.norm(dim=1).sub(8).abs().max() < 0.2
    degrees = torch.atan2(away[:, 0], away[:, 1]).rad2deg()
    assert degrees.abs().max() <= 30.5
    assert degrees.max() > 28
    assert degrees.min() < -28


def test_a_scale_makes_larger_or_smaller_by_that_factor_at_most() -> None:
    made = varied(blobs(1_000, 13.5, 18.5), scale=1.25)
    distance = (centres(made) - 13.5).norm(dim=1)
    assert distance.max() == pytest.approx(5 * 1.25, abs=0.1)
    assert distance.min() == pytest.approx(5 / 1.25, abs=0.1)


def test_an_aspect_widens_what_it_flattens() -> None:
    right, below = (centres(varied(blobs(500, *place), aspect=1.44)) - 13.5 for place in ((13.5, 19.5), (19.5, 13.5)))
    across, down = right[:, 1] / 6, below[:, 0] / 6
    assert (across * down - 1).abs().max() < 0.05
    assert (across / down).max() == pytest.approx(1.44, abs=0.08)
    assert (across / down).min() == pytest.approx(1 / 1.44, abs=0.05)


def test_a_shear_slants_columns_and_leaves_rows_level() -> None:
    below = centres(varied(blobs(500, 19.5, 13.5), shear=0.3)) - 13.5
    slant = below[:, 1] / below[:, 0]
    assert slant.abs().max() == pytest.approx(0.3, abs=0.03)
    assert below[:, 0].sub(6).abs().max() < 0.1
    right = centres(varied(blobs(500, 13.5, 19.5), shear=0.3)) - 13.5
    assert right[:, 0].abs().max() < 0.1


def test_many_images_are_varied_each_by_its_own_amount() -> None:
    made = varied(blobs(6_000), shift=3)  # more than are worked on at a time
    assert len({tuple(centre) for centre in centres(made).tolist()}) > 5_900


def test_colour_images_are_moved_as_a_whole() -> None:
    images = blobs(20).expand(20, 3, 28, 28)
    made = varied(images, shift=3, rotation=20)
    assert made.shape == (20, 3, 28, 28)
    assert torch.equal(made[:, 0], made[:, 2])


# --- amounts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shift", -1), ("shift", 15), ("rotation", 181), ("rotation", -0.1), ("shear", 1.1), ("scale", 0.9),
        ("scale", 4.1), ("aspect", 0), ("slashed_zeros", 1.01), ("crossed_sevens", -0.5), ("flagged_ones", 2),
        ("shift", "1"), ("shift", None), ("rotation", True), ("scale", math.nan), ("aspect", math.inf),
        ("shear", [0.1]),
    ],
)  # fmt: skip
def test_a_bad_amount_is_a_value_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a number from .* to"):
        Augmentation(**{name: value})
