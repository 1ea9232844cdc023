"""Scales and kernels of feature maps: which values have which colour, and who shares it."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_core.checkpoint import load_checkpoint
from lenet_core.library import bundled_checkpoints
from ui.pictures import DIVERGING, SEQUENTIAL, SHARED, Scale, coloured, kernel_pictures, scales_for

# Two inputs, two maps of two units: each map's least and most are its own.
PLAIN = np.array([[[0, 1], [2, 3]], [[4, 9], [0.5, 5]]], dtype=np.float32).reshape(2, 2, 1, 2)
SIGNED = PLAIN - 4  # from -4 to 5
ENDS = {
    "all": [[(0, 9), (0, 9)], [(0, 9), (0, 9)]],
    "row": [[(0, 3), (0, 3)], [(0.5, 9), (0.5, 9)]],
    "map": [[(0, 9), (0.5, 5)], [(0, 9), (0.5, 5)]],
}
LARGEST = {"all": [[5, 5], [5, 5]], "row": [[4, 4], [5, 5]], "map": [[5, 3.5], [5, 3.5]]}


def test_every_choice_of_the_page_has_scales() -> None:
    assert set(ENDS) == set(LARGEST) == set(SHARED)


@pytest.mark.parametrize("shared", SHARED)
def test_scales_reach_from_the_least_to_the_most_of_those_that_share_them(shared: str) -> None:
    scales = scales_for(PLAIN, shared)
    found = [[scales.of(row, channel) for channel in (0, 1)] for row in (0, 1)]
    assert [[(one.low, one.high) for one in row] for row in found] == ENDS[shared]
    assert scales.ramp is SEQUENTIAL


@pytest.mark.parametrize("shared", SHARED)
def test_where_a_value_is_below_zero_every_scale_is_centred_on_it(shared: str) -> None:
    scales = scales_for(SIGNED, shared)
    found = [[scales.of(row, channel) for channel in (0, 1)] for row in (0, 1)]
    assert [[one.high for one in row] for row in found] == LARGEST[shared]
    assert all(one.low == -one.high for row in found for one in row)
    assert scales.ramp is DIVERGING


def test_a_map_above_zero_beside_one_below_has_the_same_kind_of_colours() -> None:
    values = np.array([[[1, 2], [-3, -1]]], dtype=np.float32)
    assert scales_for(values, "map").of(0, 0) == Scale(-2, 2, DIVERGING)


def test_a_dead_layer_has_a_scale() -> None:
    for shared in SHARED:
        scale = scales_for(np.zeros((2, 3, 4, 4), np.float32), shared).of(1, 2)
        assert coloured(np.zeros((4, 4), np.float32), scale).shape == (4, 4, 3)


def test_units_in_a_row_have_scales_too() -> None:
    assert scales_for(np.array([[[1, 2, 3]], [[4, 5, 6]]], np.float32), "row").of(1, 0) == Scale(4, 6, SEQUENTIAL)


# ---------------------------------------------------------------- kernels


def test_a_kernel_of_one_channel_is_one_picture_pixel_for_pixel() -> None:
    weight = np.zeros((2, 1, 3, 3), np.float32)
    weight[0, 0, 0, 1], weight[1, 0, 2, 2] = 0.5, -1.0
    first, second = kernel_pictures(weight)
    assert first.shape == second.shape == (3, 3, 3)
    assert first[1, 1].min() >= 246  # zero is white
    assert np.array_equal(first[1, 1], second[0, 0])
    assert second[2, 2].tolist() == [0x21, 0x66, 0xAC]  # the largest of all kernels has the end of the colours
    red = first[0, 1].astype(int)
    assert red[0] > red[2] + 50  # half as much, on the other side
    assert first[0, 1].tolist() != [0xB2, 0x18, 0x2B]


def test_a_kernel_of_three_channels_is_a_picture_in_colour() -> None:
    weight = np.zeros((1, 3, 2, 2), np.float32)
    weight[0, 0, 0, 0], weight[0, 2, 1, 1] = 2, -2
    (picture,) = kernel_pictures(weight)
    assert picture.shape == (2, 2, 3)
    assert picture[0, 0].tolist() == [255, 128, 128]
    assert picture[1, 1].tolist() == [128, 128, 0]
    assert picture[0, 1].tolist() == [128, 128, 128]


@pytest.mark.parametrize(("channels", "height", "width"), [(2, 3, 7), (6, 7, 11), (16, 15, 15), (256, 15, 15)])
def test_a_kernel_of_many_channels_has_its_parts_side_by_side(channels: int, height: int, width: int) -> None:
    weight = np.random.default_rng(0).normal(size=(2, channels, 3, 3)).astype(np.float32)
    for picture, kernel in zip(kernel_pictures(weight), weight, strict=True):
        assert picture.shape == (height, width, 3)
        assert (picture[:, 3] == 140).all()  # the line between
        largest = float(np.abs(weight).max())
        assert np.array_equal(picture[:3, 4:7], coloured(kernel[1], Scale(-largest, largest, DIVERGING)))


def test_a_kernel_of_zeros_has_a_picture() -> None:
    (picture,) = kernel_pictures(np.zeros((1, 1, 5, 5), np.float32))
    assert picture.min() >= 246


def test_a_real_networks_kernels_are_all_different() -> None:
    net = load_checkpoint(bundled_checkpoints()["lenet-modern"]).net
    found = kernel_pictures(net.get_submodule("c3").weight.detach().numpy())
    assert len({picture.tobytes() for picture in found}) == len(found) == 16
