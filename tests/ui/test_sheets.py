"""The sheet of feature maps for a report: a real PNG, its colours those of the values."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ui.pictures import Scales, coloured, scales_for
from ui.sheets import MAX_WIDTH, SheetLayer, sheet

BLANK = np.full((28, 28), 255, dtype=np.uint8)


def maps(rows: int, channels: int, side: int) -> NDArray[np.float32]:
    return np.random.default_rng(side).normal(size=(rows, channels, side, side)).astype(np.float32)


def layer(values: NDArray[np.float32], shared: str = "all", title: str = "C1", first: int = 0) -> SheetLayer:
    scales = scales_for(values if values.ndim == 4 else values[:, None], shared)
    return SheetLayer(title, "x".join(map(str, values.shape[1:])), values, scales, first)


def draw(layers: list[SheetLayer], names: list[str] | None = None) -> NDArray[np.uint8]:
    rows = len(layers[0].values)
    png = sheet("Look inside", names or [f"input {row}" for row in range(rows)], [BLANK] * rows, layers)
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def places(pixels: NDArray[np.uint8], part: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Where in a picture (row, column) another stands, pixel for pixel."""
    height, width = part.shape[:2]
    first = (pixels[: len(pixels) - height + 1, : pixels.shape[1] - width + 1] == part[0, 0]).all(axis=2)
    found = zip(*np.nonzero(first), strict=True)
    return [(int(y), int(x)) for y, x in found if np.array_equal(pixels[y : y + height, x : x + width], part)]


def enlarged(values: NDArray[np.float32], scales: Scales, row: int, channel: int, factor: int) -> NDArray[np.uint8]:
    colours = coloured(values[row, channel], scales.of(row, channel))
    return colours.repeat(factor, axis=0).repeat(factor, axis=1)


@pytest.mark.parametrize("shared", ["all", "row", "map"])
def test_every_map_stands_in_its_row_and_column_pixel_for_pixel(shared: str) -> None:
    values = maps(3, 4, 10)
    one = layer(values, shared)
    pixels = draw([one])
    found = {}
    for row in range(3):
        for channel in range(4):
            (found[row, channel],) = places(pixels, enlarged(values, one.scales, row, channel, 6))
    for row in range(3):
        assert len({found[row, channel][0] for channel in range(4)}) == 1
    for channel in range(4):
        assert len({found[row, channel][1] for row in range(3)}) == 1
    assert found[0, 0][0] < found[1, 0][0] < found[2, 0][0]
    assert found[0, 0][1] < found[0, 1][1] < found[0, 2][1] < found[0, 3][1]


def test_layers_stand_side_by_side_and_go_on_below() -> None:
    first, second, third = maps(2, 6, 28), maps(2, 16, 10), maps(2, 20, 20)
    layers = [layer(first), layer(second), layer(third)]
    pixels = draw(layers)
    assert pixels.shape[1] <= MAX_WIDTH
    (one,) = places(pixels, enlarged(first, layers[0].scales, 0, 0, 2))
    (two,) = places(pixels, enlarged(second, layers[1].scales, 0, 15, 6))
    (three,) = places(pixels, enlarged(third, layers[2].scales, 1, 19, 3))
    assert one[0] == two[0] < three[0]
    assert one[1] < two[1]


def test_a_layer_too_wide_goes_on_below_with_all_its_maps() -> None:
    values = maps(1, 100, 13)
    one = layer(values)
    pixels = draw([one])
    assert pixels.shape[1] <= MAX_WIDTH
    where = [places(pixels, enlarged(values, one.scales, 0, channel, 4)) for channel in range(100)]
    assert all(len(found) == 1 for found in where)
    assert len({found[0][0] for found in where}) == 3


def test_part_of_a_layer_keeps_the_scales_of_its_own_maps() -> None:
    values = maps(2, 8, 10)
    scales = scales_for(values, "map")
    pixels = draw([SheetLayer("C3", "8x10x10", values[:, 5:], scales, first=5)])
    assert len(places(pixels, enlarged(values, scales, 1, 7, 6))) == 1


def test_units_are_bars_up_and_down_from_zero_in_their_colours() -> None:
    values = np.array([[1.0, -1.0, 0.5, 0.0]], dtype=np.float32)
    one = layer(values)
    pixels = draw([one])
    colours = [coloured(values[:, unit : unit + 1], one.scales.of(0, 0))[0, 0] for unit in range(3)]
    extents = []
    for unit, colour in enumerate(colours):
        there = np.zeros(pixels.shape[:2], dtype=bool)
        there[110:] = (pixels[110:] == colour).all(axis=2)  # the colour bar stands higher
        ys, xs = np.nonzero(there)
        assert xs.max() - xs.min() + 1 == 5
        extents.append((ys.min(), ys.max(), xs.min()))
        assert unit == 0 or xs.min() > extents[unit - 1][2]
    up, down, half = extents
    assert up[1] == down[0] == half[1]  # zero
    assert up[0] < half[0] < up[1] < down[1]
    assert half[1] - half[0] == pytest.approx((up[1] - up[0]) / 2, abs=1)


def test_many_units_stay_within_the_width() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4096)).astype(np.float32)
    assert draw([layer(values, "row")]).shape[1] <= MAX_WIDTH


@pytest.mark.parametrize("name", ["猫.png", "Привет", "Gänsefüßchen", "🐱", "a\nb\x00", "", "x" * 300, "שלום"])
def test_any_name_can_be_written(name: str) -> None:
    values = maps(1, 2, 5)
    plain, named = draw([layer(values)], ["4"]), draw([layer(values, title=name)], [name])
    assert named.shape[1] <= MAX_WIDTH
    assert len(places(named, enlarged(values, scales_for(values, "all"), 0, 1, 12))) == 1
    assert name == "" or not np.array_equal(plain, named)


def test_accents_are_dropped_where_the_font_has_none() -> None:
    values = maps(1, 2, 5)
    assert np.array_equal(draw([layer(values)], ["café"]), draw([layer(values)], ["cafe"]))


def test_inputs_are_shown_as_they_are_and_large_ones_smaller() -> None:
    picture = np.zeros((28, 28, 3), dtype=np.uint8)
    picture[..., 0] = np.arange(28, dtype=np.uint8)[:, None] * 9
    picture[..., 2] = 77
    large = np.full((227, 227, 3), (12, 34, 56), dtype=np.uint8)
    png = sheet("t", ["a", "b"], [picture, large], [layer(maps(2, 2, 5))])
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert len(places(pixels, picture.repeat(2, axis=0).repeat(2, axis=1))) == 1
    assert (pixels == (12, 34, 56)).all(axis=2).sum() == 64 * 64


def test_a_network_that_went_flat_can_be_drawn() -> None:
    flat = np.zeros((2, 3, 5, 5), dtype=np.float32)
    assert draw([layer(flat), layer(flat[:, :, 0, 0])]).size


def test_rows_that_do_not_fit_are_refused() -> None:
    one = layer(maps(2, 2, 5))
    with pytest.raises(ValueError, match="C1: 2 rows for 3 inputs"):
        sheet("t", ["a", "b", "c"], [BLANK] * 3, [one])
    with pytest.raises(ValueError, match="pictures: 1 rows for 2 inputs"):
        sheet("t", ["a", "b"], [BLANK], [one])
    with pytest.raises(ValueError, match="not 0 and 1"):
        sheet("t", [], [], [one])
