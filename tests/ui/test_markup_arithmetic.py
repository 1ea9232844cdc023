"""The sum behind one unit as a visitor reads it: every number that is shown, and what is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lenet_core.activations import activations
from lenet_core.architecture import Architecture
from lenet_core.arithmetic import Term, UnitSum, unit_sum
from lenet_core.checkpoint import load_checkpoint
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.presets import preset
from tests.conftest import ROOT
from ui import markup_arithmetic as markup


class _Reader(HTMLParser):
    """The text of a page in order, what stands in each cell, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.grids: dict[str, list[str]] = {}
        self.grid: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        names = dict(attrs)
        if tag == "table" and (label := names.get("aria-label")):
            self.grid = self.grids[label] = []
        if tag == "td" and self.grid is not None:
            self.grid.append(names.get("title") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            self.grid = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.grid is not None:
            self.grid[-1] = data


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def text(html: str) -> str:
    return " ".join("".join(f"{word} " for word in read(html).words).split())


def term(source: int, inputs: object, weights: object, inside: object = True) -> Term:
    x, w = np.array(inputs, dtype=np.float32), np.array(weights, dtype=np.float32)
    return Term(source, x, w, np.broadcast_to(np.array(inside), x.shape), x.astype(np.float64) * w)


def convolution(*terms: Term) -> UnitSum:
    return UnitSum("convolution", "c3", (0, 1, 2), "s2", terms, 0.5, 1.75, "sum of the 4 products + bias = 1.75")


SMALL = convolution(term(2, [[1, 2.5], [0, -1]], [[0.5, 0.25], [3, 0.125]]))


def asked(arch: Architecture, name: str, *unit: int) -> str:
    net = build(arch, seed=0).eval()
    image = np.random.default_rng(0).random(arch.input_shape, np.float32)
    outputs = {key: out[0].numpy() for key, out in activations(net, torch.from_numpy(image)[None]).items()}
    return markup.unit_sum(unit_sum(net, arch, outputs, image, name, unit), "a unit", "sees a patch")


def test_patch_kernel_products_and_sum_are_numbers_in_order() -> None:
    html = markup.unit_sum(SMALL, "C3, map 0", "sees rows 0 to 5")
    grids = read(html).grids
    assert grids["patch of map 2"] == ["1.00", "2.50", "0", "−1.00"]
    assert grids["kernel for map 2"] == ["0.50", "0.25", "3.00", "0.12"]
    # 1 x 0.5, 2.5 x 0.25, 0 x 3, -1 x 0.125: 0.625 is cut to the two digits that fit
    assert grids["products of map 2"] == ["0.50", "0.62", "0", "−0.12"]
    words = text(html)
    assert words.startswith("C3, map 0 sees rows 0 to 5")
    assert 'lp-sum-number">1<' in html  # 0.5 + 0.625 + 0 - 0.125
    assert words.endswith("convolution sum of the 4 products + bias = 1.75")
    assert 'data-testid="unit-sum"' in html


def test_whole_numbers_have_no_decimals() -> None:
    html = markup.unit_sum(convolution(term(0, [[1, -2]], [[3, 40]])), "", "")
    grids = read(html).grids
    assert grids["products of map 0"] == ["3", "−80"]


def test_cells_over_the_edge_are_hatched_and_explained() -> None:
    html = markup.unit_sum(convolution(term(0, [[0, 2]], [[3, 4]], [[False, True]])), "", "")
    assert html.count('class="lp-pad"') == 2  # in the patch and in the products; the kernel is whole
    assert "Hatched cells lie outside the map and count as 0." in text(html)
    assert "Hatched" not in text(markup.unit_sum(SMALL, "", ""))


def test_texts_are_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    result = replace(SMALL, reads=evil, kind="convolution", formula=f"{evil} = {evil}")
    dense = replace(result, kind="dense", terms=(term(0, [1.0], [2.0]),))
    for html in (markup.unit_sum(result, evil, evil), markup.unit_sum(dense, evil, evil)):
        assert "<script" not in html.lower()
        assert "&lt;script&gt;" in html


def test_the_six_maps_that_add_most_are_shown_and_the_others_added_up() -> None:
    totals = (1, -20, 3, 40, -5, 60, 7, -80)
    html = markup.unit_sum(
        convolution(*(term(source, [[total]], [[1]]) for source, total in enumerate(totals))), "", ""
    )
    assert [name for name in read(html).grids if name.startswith("patch")] == [
        f"patch of map {source}" for source in (1, 3, 4, 5, 6, 7)
    ]
    assert "the other 2 maps, which each add less 4 all together 6" in text(html)  # 1 + 3, and all eight


def test_a_picture_has_channels() -> None:
    html = markup.unit_sum(replace(SMALL, reads="image"), "", "")
    assert "channel 2" in text(html)
    assert "map 2" not in text(html)


def test_large_kernels_are_colours_with_their_numbers_on_pointing() -> None:
    values = np.arange(64).reshape(8, 8) / 8
    html = markup.unit_sum(convolution(term(0, values, np.ones((8, 8)))), "", "")
    patch = read(html).grids["patch of map 0"]
    assert len(patch) == 64
    assert patch[:3] == ["0", "0.125", "0.25"]  # from the titles
    assert "lp-dots" in html
    assert "Deepest colours: ±7.88, ±1, ±7.88" in text(html)


def test_signs_are_blue_and_red_and_text_on_them_can_be_read() -> None:
    html = markup.unit_sum(convolution(term(0, [[-1, 0, 1]], [[1, 1, 1]])), "", "")
    cells = re.findall(r'<td class="([a-z -]+)" style="background:#(\w{6})">(−?\d)</td>', html)[:3]
    assert [(name, value) for name, _, value in cells] == [
        ("lp-tint lp-light", "−1"),
        ("lp-tint", "0"),
        ("lp-tint lp-light", "1"),
    ]
    blue, white, red = (bytes.fromhex(colour) for _, colour, _ in cells)
    assert blue[2] > blue[0] + 100
    assert min(white) > 240
    assert red[0] > red[2] + 100


def test_every_cells_text_stands_out_from_its_tint() -> None:
    """At least 4.5 to 1, as WCAG 2.2 asks of small text."""
    style = (ROOT / "ui" / "style.css").read_text()
    inks = dict(re.findall(r"^\.lp-sum \.(lp-tint|lp-light) { color: #(\w{3}); }", style, re.M))
    values = np.linspace(-1, 1, 201).reshape(-1, 3)
    html = markup.unit_sum(convolution(term(0, values, np.ones_like(values))), "", "")
    cells = re.findall(r'<td class="([a-z -]+)" style="background:#(\w{6})">', html)
    assert len(cells) == 3 * 201
    for name, colour in cells:
        over = "".join(digit * 2 for digit in inks[name.split()[-1]])
        light, dark = sorted((luminance(colour), luminance(over)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [value / 255 for value in bytes.fromhex(colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_patch_of_nothing_is_white() -> None:
    html = markup.unit_sum(convolution(term(0, np.zeros((2, 2)), np.ones((2, 2)))), "", "")
    colours = re.findall(r"background:#(\w{6})", html)
    assert all(min(bytes.fromhex(colour)) > 240 for colour in colours[:4])


def test_values_without_end_are_told_in_words() -> None:
    words = text(markup.unit_sum(convolution(term(0, [[np.inf, 1]], [[1, 1]])), "", ""))
    assert "Not every number of this sum is finite" in words


def test_the_winner_of_a_pool_is_framed() -> None:
    result = UnitSum("max-pool", "s2", (3, 0, 0), "c1_act", (term(3, [[1, 2], [9, 4]], [[0, 0], [1, 0]]),), 0, 9, "= 9")
    html = markup.unit_sum(result, "", "")
    assert re.findall(r'lp-framed"[^>]*>(\d)<', html) == ["9"]
    assert "map 3 of C1 after its activation" in text(html)
    mean = replace(result, kind="average-pool", terms=(term(3, [[1, 2], [9, 4]], [[0.25] * 2] * 2),))
    assert "lp-framed" not in markup.unit_sum(mean, "", "")


def test_of_a_dense_unit_the_ten_largest_products_are_listed() -> None:
    inputs = np.arange(1, 31) * np.where(np.arange(30) % 2, -1, 1)  # 1, -2, 3 ... -30
    dense = UnitSum("dense", "f6", (2,), "f5_act", (term(0, inputs, np.full(30, 2)),), 0.5, -29.5, "sum = −29.5")
    words = text(markup.unit_sum(dense, "", ""))
    assert "unit of F5 after its activation value weight product 29 −30.0 2.0 −60.0 28 29.0 2.0 58.0" in words
    assert " 20 21.0 2.0 42.0 the other 20 together −20 all 30 together −30 " in words
    assert " 19 −20" not in words
    few = replace(dense, terms=(term(0, [1, 2], [3, 4]),))
    assert "the other" not in text(markup.unit_sum(few, "", ""))


def test_84_units_stand_as_bitmap_code_and_squared_difference() -> None:
    checkpoint = load_checkpoint(ROOT / "assets/checkpoints/lenet5-1998.safetensors")
    image = np.zeros(checkpoint.architecture.input_shape, dtype=np.float32)
    outputs = activations(checkpoint.net, torch.from_numpy(image)[None])
    layers = {name: output[0].numpy() for name, output in outputs.items()}
    result = unit_sum(checkpoint.net, checkpoint.architecture, layers, image, "output", (1,))
    html = markup.unit_sum(result, "Output", "")
    grids = read(html).grids
    units, code, squares = (
        numbers(grids[name])
        for name in ("F6 after its activation, 84 units", "code of output 1", "squared differences")
    )
    assert code.reshape(12, 7)[1:11, 3].tolist() == [1] * 10  # the stem of the 1
    assert np.abs((units - code) ** 2 - squares).max() < 0.05  # within the shown digits
    assert squares.sum() == pytest.approx(-result.value, rel=0.02)
    assert html.count("<tr>") >= 3 * 12


def numbers(cells: list[str]) -> NDArray[np.float64]:
    return np.array([float(cell.replace("−", "-")) for cell in cells])


def test_another_number_of_units_is_a_list_of_the_largest_differences() -> None:
    words = text(asked(preset("lenet5-1998").replace(dense=(40,)), "output", 3))
    assert "unit of F6 after its activation value code squared difference" in words
    assert "the other 30 together" in words


def test_normalisation_lists_the_maps_around() -> None:
    arch = Architecture("lrn", (1, 4, 4), (Conv(8, kernel_size=1, normalise=True, pool=0),), (), naming="alexnet")
    words = text(asked(arch, "norm1", 4, 0, 0))
    assert "map of CONV1 after its activation value 0.0001 × value²" in words
    assert re.search(r"value² 2 .* 3 .* 4 .* 5 .* 6 ", words)


def test_an_activated_unit_shows_the_sum_first_and_then_the_function() -> None:
    words = text(asked(preset("lenet-modern"), "c3_act", 0, 0, 0))
    assert (
        words.index("patch of each map") < words.index("convolution sum of the 150") < words.index("activation max(0,")
    )


@pytest.mark.parametrize("name", ["lenet-d2l", "lenet5-1998", "lenet-modern", "alexnet-cifar"])
def test_every_layer_of_a_network_can_be_told(name: str) -> None:
    arch = preset(name).replace(dense=(84,))
    net = build(arch, seed=0).eval()
    image = np.random.default_rng(0).random(arch.input_shape, np.float32)
    outputs = {key: out[0].numpy() for key, out in activations(net, torch.from_numpy(image)[None]).items()}
    for layer in arch.layers:
        result = unit_sum(net, arch, outputs, image, layer.name, tuple(side - 1 for side in layer.output_shape))
        html = markup.unit_sum(result, layer.name, "")
        value = result.formula.rpartition(" = ")[2]
        assert read(html).words[-1] == value, layer.name
        assert "nan" not in html
        assert len(html) < 60_000
