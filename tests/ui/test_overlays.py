"""A signed map over a picture: one must see both."""

from __future__ import annotations

import numpy as np
import pytest

from ui.overlays import overlay
from ui.pictures import DIVERGING, Scale


def test_zero_shows_the_picture_alone_in_faint_grey() -> None:
    image = np.array([[0, 128, 255]], dtype=np.uint8)
    (black, middle, white) = overlay(image, np.zeros((1, 3), dtype=np.float32))[0].tolist()
    for pixel in (black, middle, white):
        assert len(set(pixel)) == 1  # no colour
    assert 100 < black[0] < middle[0] < white[0] < 250


def test_the_strongest_values_have_the_maps_full_colours_on_any_picture() -> None:
    values = np.array([[-2.0, 2.0], [2.0, -2.0]], dtype=np.float32)
    picture = overlay(np.array([[0, 0], [255, 255]], dtype=np.uint8), values)
    blue, red = DIVERGING[0].tolist(), DIVERGING[-1].tolist()
    assert picture.tolist() == [[blue, red], [red, blue]]


def test_between_them_one_sees_both() -> None:
    image = np.array([[0, 255]], dtype=np.uint8)
    values = np.array([[0.5, 0.5]], dtype=np.float32)
    scale = Scale(-1, 1, DIVERGING)
    bare = overlay(image, np.zeros((1, 2), dtype=np.float32), scale).astype(int)
    dark, light = overlay(image, values, scale)[0].astype(int)
    assert (light > dark).all()  # the picture
    assert dark[0] > dark[2]  # and the red
    assert light[0] > light[2]
    assert np.abs(dark - (bare[0, 0] + DIVERGING[-1]) / 2).max() <= 1


def test_a_scale_of_ones_own_makes_pictures_comparable_and_is_not_overshot() -> None:
    image = np.zeros((1, 3), dtype=np.uint8)
    values = np.array([[1.0, 2.0, 9.0]], dtype=np.float32)
    picture = overlay(image, values, Scale(-2, 2, DIVERGING))[0]
    assert picture[1].tolist() == picture[2].tolist() == DIVERGING[-1].tolist()
    assert picture[0].tolist() != picture[1].tolist()


def test_a_colour_picture_counts_by_its_lightness() -> None:
    colours = np.array([[[0, 0, 255], [0, 255, 0], [255, 255, 255]]], dtype=np.uint8)
    picture = overlay(colours, np.zeros((1, 3), dtype=np.float32))
    assert picture.shape == (1, 3, 3)
    assert picture.dtype == np.uint8
    blue, green, white = picture[0, :, 0].tolist()
    assert blue < green < white
    assert (picture == picture[..., :1]).all()


def test_sizes_that_differ_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) pixels .* \(3, 3\)"):
        overlay(np.zeros((2, 2), dtype=np.uint8), np.zeros((3, 3), dtype=np.float32))
