"""The tables of numbers, as a visitor reads them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.typing import NDArray

from lenet_core.measures import measure, similarity
from ui.markup_numbers import MapNumbers, alike, numbers

NAMES = ["4", "<b>cat</b>"]
PICTURES = ["data:image/png;base64,AAAA", 'x" onerror="alert(1)']
MAPS = np.array(
    [
        [[[0.0, 1.0], [2.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]],
        [[[-1.0, -3.0], [0.5, -0.5]], [[4.0, 4.0], [4.0, 4.0]]],
    ],
    dtype=np.float32,
)


class Table(HTMLParser):
    """The texts of a table's cells by row, and the cells' titles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.titles: list[str] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
            self.titles.append(dict(attrs).get("title") or "")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def shown(values: NDArray[np.float32], flat: NDArray[np.bool_] | None = None, maps: slice | None = None) -> str:
    return numbers(NAMES[: len(values)], PICTURES[: len(values)], [MapNumbers("C1", measure(values, 0.0, flat), maps)])


def test_rows_are_inputs_and_columns_maps_and_the_whole_layer_is_last() -> None:
    assert Table(shown(MAPS)).rows == [
        ["C1", "0", "1", "all"],
        ["4", "2.00", "0", "1.0038 % active"],
        ["<b>cat</b>", "−1.00", "4.00", "1.5062 % active"],
    ]


def test_bars_are_as_long_as_the_active_share() -> None:
    html = shown(MAPS)
    assert re.findall(r"width:([\d.]+)%", html) == ["75.0", "0.0", "37.5", "25.0", "100.0", "62.5"]
    assert "map 0: mean 2, 75 % active" in Table(html).titles
    assert 'aria-label="map 0: mean 2, 75 % active"' in html


def test_saturation_stands_where_there_is_one() -> None:
    assert "saturated" not in shown(MAPS)
    flat = np.zeros(MAPS.shape, dtype=bool)
    flat[0, 1] = True
    html = shown(MAPS, flat)
    assert "map 1: mean 0, 0 % active, 100 % saturated" in Table(html).titles
    assert Table(html).rows[1][-1] == "1.0038 % active, 50 % saturated"
    assert "hardly any gradient" in html


def test_units_in_a_row_have_one_column() -> None:
    html = shown(np.array([[1.0, -2.0, 3.0, 0.0]], dtype=np.float32))
    assert Table(html).rows == [["C1", "all"], ["4", "0.50050 % active"]]


def test_some_maps_of_a_wide_layer() -> None:
    values = np.random.default_rng(0).normal(size=(2, 40, 3, 3)).astype(np.float32)
    rows = Table(shown(values, maps=slice(30, 34))).rows
    assert rows[0] == ["C1", "30", "31", "32", "33", "all"]
    assert rows[1][-1] == Table(shown(values)).rows[1][-1]  # the whole layer, not what is shown of it
    assert len(Table(shown(values)).rows[0]) == 42
    assert "lp-narrow" in shown(values)
    assert "lp-narrow" not in shown(values, maps=slice(0, 4))


def test_small_means_keep_three_digits_and_no_minus_zero() -> None:
    values = np.zeros((2, 2, 1, 1), dtype=np.float32)
    values[0, :, 0, 0] = 0.0123, -0.000001
    assert Table(shown(values)).rows[1][1:3] == ["0.0123", "0.0000"]


def test_a_few_active_units_are_not_none() -> None:
    values = np.zeros((1, 2, 30, 30), dtype=np.float32)
    values[0, 0] = 1
    values[0, 0, 0, 0] = -1
    values[0, 1, 0, 0] = 1
    titles = " ".join(Table(shown(values)).titles)
    assert "over 99 % active" in titles
    assert "under 1 % active" in titles


def test_cosines_stand_in_their_cells() -> None:
    values = np.array([[3.0, 4.0], [4.0, -3.0], [-3.0, -4.0], [0.0, 0.0]], dtype=np.float32)
    html = alike(["4", "8", "cat", "blank"], PICTURES[:1] * 4, similarity(values), "C3")
    table = Table(html)
    assert table.rows[1:] == [
        ["4", "1.00", "0.00", "−1.00", "–"], ["8", "0.00", "1.00", "0.00", "–"],
        ["cat", "−1.00", "0.00", "1.00", "–"], ["blank", "–", "–", "–", "–"],
    ]  # fmt: skip
    assert table.titles.count("lights nothing") == 7
    assert "4 and cat" in table.titles


@pytest.mark.parametrize("value", np.linspace(-1, 1, 21))
def test_cosines_can_be_read_on_their_tint(value: float) -> None:
    """WCAG's contrast of 4.5 between a text and its ground."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    html = alike(["4"], PICTURES[:1], np.array([[value]]), "C3")
    ground, ink = re.findall(r"background:#(\w{6});color:#(\w+)", html)[0]
    lights = sorted([luminance(ground), luminance(ink * 2 if len(ink) == 3 else ink)])
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def test_names_and_pictures_are_no_markup() -> None:
    values = np.ones((2, 2, 2, 2), dtype=np.float32)
    layer = MapNumbers("<i>C1</i>", measure(values))
    for html in (numbers(NAMES, PICTURES, [layer]), alike(NAMES, PICTURES, similarity(values), "<i>C1</i>")):
        assert "<b>" not in html
        assert "<i>" not in html
        assert '" onerror' not in html
        assert "&lt;b&gt;cat" in html


def test_each_term_is_explained_where_it_stands() -> None:
    html = shown(MAPS, np.zeros(MAPS.shape, dtype=bool)) + alike(["4"], PICTURES[:1], np.ones((1, 1)), "C1")
    explained = re.findall(r'<abbr class="lp-term" title="([^"]{40,})">([^<]+)</abbr>', html)
    assert [word for _, word in explained] == ["mean", "active share", "saturated share", "cosine"]
