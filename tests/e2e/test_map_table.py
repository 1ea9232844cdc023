"""The table of feature maps in a real browser: what it shows, what it says under mouse and keyboard, what it sends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import Answer, classify
from lenet_core.data import load
from lenet_core.library import bundled_checkpoints
from tests.conftest import serve
from tests.e2e.test_stream_chart import wait_for
from ui.components.map_table import Block, Row, map_table
from ui.pictures import SEQUENTIAL, coloured, scale_for


@pytest.fixture(scope="module")
def table_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for `map_page.py` alone."""
    folder = tmp_path_factory.mktemp("table")
    process, url = serve(folder / "data", folder / "log", "tests/e2e/map_page.py")
    yield url
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def answer() -> Answer:
    """What the network makes of the page's first input, a 4."""
    digits = load("mnist-5k", train=True)
    first = digits.images[digits.labels == 4][0, 0].numpy()
    return classify(load_checkpoint(bundled_checkpoints()["lenet-modern"]), first)


class TablePage:
    """The table as its viewer sees it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.table = page.get_by_role("group", name="What two layers make of the inputs")
        self.card = page.locator("aside.card")
        self.rows = self.table.locator(".row")
        self.names = self.table.locator(".row .name")

    def open(self) -> TablePage:
        self.page.goto(self.url)
        expect(self.table).to_have_attribute("data-version", re.compile("."), timeout=30_000)
        return self

    def map(self, name: str, layer: str, number: int) -> Locator:
        """The canvas of a map."""
        return self.table.get_by_role("img", name=re.compile(f"^{name}, {layer}, map {number}:"))

    def bars(self, name: str, layer: str) -> Locator:
        """The canvas of a layer's units."""
        return self.table.get_by_role("img", name=re.compile(f"^{name}, {layer}: "))

    def spot(self, canvas: Locator, y: int, x: int, size: int) -> dict[str, float]:
        """The middle of a unit of a map `size` units wide, for the mouse."""
        box = canvas.bounding_box()
        assert box is not None
        return {"x": (x + 0.5) * box["width"] / size, "y": (y + 0.5) * box["height"] / size}

    def hover(self, canvas: Locator, y: int, x: int, size: int) -> str:
        """What the card says of a unit."""
        canvas.hover(position=self.spot(canvas, y, x, size))  # type: ignore[arg-type]
        expect(self.card).to_be_visible()
        return self.card.inner_text()

    def pixels(self, canvas: Locator) -> NDArray[np.uint8]:
        """The colours on a canvas (height, width, 4)."""
        read = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
        height, width = canvas.evaluate("canvas => [canvas.height, canvas.width]")
        return np.array(canvas.evaluate(read), dtype=np.uint8).reshape(height, width, 4)

    def field(self, name: str) -> list[float]:
        """The framed part of an input's picture: top, left, height, width in its pixels."""
        ring = self.table.get_by_role("group", name=name, exact=True).locator(".picture .field")
        sides: list[float] = ring.evaluate(
            "ring => ['top', 'left', 'height', 'width'].map(side => parseFloat(ring.style[side]) * 28 / 100)"
        )
        return [round(side, 3) for side in sides]

    def choose(self, layers: str, scale: str = "all") -> None:
        """Shows other layers, or a scale shared by others."""
        version = self.table.get_attribute("data-version")
        self.page.get_by_role("combobox").click()
        self.page.get_by_role("option", name=layers, exact=True).click()
        self.page.get_by_role("radio", name=scale, exact=True).click()
        last = self.table.locator(".titles b").last
        expect(last).to_contain_text(layers.split(", ")[1].removesuffix("_act").upper())
        expect(self.table).not_to_have_attribute("data-version", str(version))

    def told(self, text: str) -> None:
        """Waits until Python has been told that."""
        expect(self.page.get_by_text(f"Told: {text}", exact=True)).to_be_visible()


@pytest.fixture
def shown(page: Page, table_url: str) -> Iterator[TablePage]:
    """The page, open, which must not have complained in the end."""
    opened = TablePage(page, table_url).open()
    yield opened
    assert opened.complaints == []


def test_every_unit_has_the_colour_of_its_value(shown: TablePage, answer: Answer) -> None:
    label = str(shown.map("4", "C1 after ReLU", 3).get_attribute("aria-label"))
    values = answer.layers["c1_act"][3]
    assert re.search(r"from 0 to ([\d.]+), mean ([\d.]+)", label)
    least, most, mean = (float(part) for part in re.findall(r"[\d.]+", label.split(":")[1]))
    assert [least, most, mean] == pytest.approx([values.min(), values.max(), values.mean()], rel=0.01)
    high = float(shown.table.locator(".titles .scale").first.inner_text().split()[-1])
    expected = coloured(values, scale_for(np.array([0, high], np.float32)))
    seen = shown.pixels(shown.map("4", "C1 after ReLU", 3))
    assert seen.shape == (28, 28, 4)
    assert (seen[:, :, 3] == 255).all()
    assert np.abs(seen[:, :, :3].astype(int) - expected).max() <= 6  # the scale's end is read to three digits
    assert len(np.unique(seen.reshape(-1, 4), axis=0)) > 20


def test_the_card_names_the_unit_its_value_and_what_it_sees(shown: TablePage, answer: Answer) -> None:
    text = " ".join(shown.hover(shown.map("4", "C1 after ReLU", 3), 12, 7, 28).split())
    value = float(answer.layers["c1_act"][3, 12, 7])
    found = re.search(r"C1 after ReLU, map 3, row 12, column 7: ([\d.]+) sees rows 10 to 14, columns 5 to 9", text)
    assert found is not None, text
    assert float(found[1]) == pytest.approx(value, rel=0.01)
    assert "of 28 x 28" in text
    assert shown.card.locator(".others li").count() == 3
    assert re.search(r"8: [\d.]+ noise: [\d.]+ blank: [\d.]+$", text)
    assert shown.field("4") == shown.field("blank") == [10, 5, 5, 5]
    assert shown.table.locator(".cell .ring").count() == 4  # the same unit of every input


def test_a_field_that_reaches_over_the_edge_ends_there(shown: TablePage) -> None:
    assert "sees rows 0 to 2, columns 25 to 27" in shown.hover(shown.map("8", "C1 after ReLU", 0), 0, 27, 28)
    assert shown.field("8") == [0, 25, 3, 3]
    assert "sees rows 6 to 19, columns 2 to 15" in shown.hover(shown.map("8", "C3 after ReLU", 15), 4, 2, 10)


def test_the_card_stays_in_the_window_and_goes_with_the_mouse(shown: TablePage) -> None:
    for name, layer, number in (("4", "C1 after ReLU", 0), ("blank", "C3 after ReLU", 15)):
        shown.hover(shown.map(name, layer, number), 1, 1, 10)
        box = shown.card.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1366
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 768
    shown.page.mouse.move(700, 20)
    expect(shown.card).to_be_hidden()
    assert shown.table.locator(".ring").count() == 0


def test_a_clicked_unit_is_told_and_stays_framed(shown: TablePage) -> None:
    canvas = shown.map("8", "C3 after ReLU", 5)
    canvas.click(position=shown.spot(canvas, 4, 2, 10))  # type: ignore[arg-type]
    shown.told("c3_act 1 5 4 2")
    shown.page.mouse.move(700, 20)
    expect(shown.card).to_be_hidden()
    expect(shown.table.locator(".cell .ring.chosen")).to_have_count(4)
    assert shown.field("noise") == [6, 2, 14, 14]
    shown.choose("c1, c3")
    expect(shown.table.locator(".ring")).to_have_count(0)  # that layer is not shown any more
    shown.choose("c3_act, output")
    expect(shown.table.locator(".cell .ring.chosen")).to_have_count(4)


def test_buttons_move_and_remove_inputs_and_keep_the_focus(shown: TablePage) -> None:
    up = shown.page.get_by_role("button", name="Move noise up")
    up.focus()
    for place in (1, 0):
        shown.page.keyboard.press("Enter")
        expect(shown.names.nth(place)).to_have_text("noise")
    shown.told("up 1")
    expect(shown.page.get_by_role("button", name="Move noise down")).to_be_focused()  # it cannot go further up
    expect(up).to_have_count(0)
    shown.page.get_by_role("button", name="more noise").click()
    shown.told("again 0")
    shown.page.get_by_role("button", name="Remove 4").click()
    expect(shown.names).to_have_text(["noise", "8", "blank"])
    assert shown.pixels(shown.map("8", "C1 after ReLU", 3)).std() > 0
    expect(shown.page.get_by_role("button", name="Remove 8")).to_be_focused()


def test_new_data_come_into_the_canvases_that_stand_there(shown: TablePage) -> None:
    canvas = shown.rows.nth(0).locator("canvas").first
    canvas.evaluate("canvas => { canvas.stood = true }")
    before = shown.pixels(canvas)
    shown.page.get_by_role("button", name="Move 4 down").click()
    expect(shown.names.first).to_have_text("8")
    assert canvas.evaluate("canvas => canvas.stood")
    assert not np.array_equal(shown.pixels(canvas), before)
    np.testing.assert_array_equal(shown.pixels(shown.rows.nth(1).locator("canvas").first), before)


def test_the_keyboard_reaches_every_unit_from_one_tab_stop(shown: TablePage) -> None:
    assert shown.table.locator("canvas[role=img][tabindex='0']").count() == 1
    shown.page.get_by_role("button", name="Remove 4").focus()
    press = shown.page.keyboard.press
    press("Tab")
    expect(shown.map("4", "C1 after ReLU", 0)).to_be_focused()
    expect(shown.card).to_contain_text("map 0, row 0, column 0")
    press("ArrowDown")
    press("ArrowLeft")  # nothing is there
    expect(shown.card).to_contain_text("map 0, row 1, column 0")
    for _ in range(29):
        press("ArrowRight")
    expect(shown.card).to_contain_text("map 1, row 1, column 1")
    press("PageDown")
    expect(shown.map("8", "C1 after ReLU", 1)).to_be_focused()
    said = shown.table.locator("[aria-live=polite]")
    expect(said).to_have_text(
        re.compile(r"^C1 after ReLU, map 1, row 1, column 1, 8: [\d.]+, sees rows 0 to 3, .*; 4: [\d.]+, noise: ")
    )
    assert shown.table.locator("canvas[role=img][tabindex='0']").count() == 1
    press("Enter")
    shown.told("c1_act 1 1 1 1")
    expect(shown.map("8", "C1 after ReLU", 1)).to_be_focused()
    press("Escape")
    expect(shown.card).to_be_hidden()
    press("Tab")
    expect(shown.page.get_by_role("button", name="Move noise up")).to_be_focused()


def test_arrows_cross_from_a_layer_to_the_next(shown: TablePage) -> None:
    canvas = shown.map("4", "C1 after ReLU", 5)
    canvas.click(position=shown.spot(canvas, 27, 27, 28))  # type: ignore[arg-type]
    shown.told("c1_act 0 5 27 27")
    shown.page.keyboard.press("ArrowRight")
    expect(shown.map("4", "C3 after ReLU", 0)).to_be_focused()
    expect(shown.card).to_contain_text("map 0, row 9, column 0")
    shown.page.keyboard.press("ArrowDown")
    expect(shown.map("8", "C3 after ReLU", 0)).to_be_focused()
    expect(shown.card).to_contain_text("map 0, row 0, column 0")


def columns(shown: TablePage) -> list[list[float]]:
    """Where the cells of the kernels and of every input begin, from the left."""
    lefts = "line => [...line.querySelectorAll('.cell')].map(cell => cell.getBoundingClientRect().left)"
    return [list(line.evaluate(lefts)) for line in shown.table.locator(".columns, .row").all()]


def test_columns_are_aligned_and_in_one_line(shown: TablePage) -> None:
    places = columns(shown)
    assert len(places) == 5
    assert all(line == places[0] for line in places)
    assert len(set(places[0])) == 22
    box, table = shown.map("4", "C3 after ReLU", 15).bounding_box(), shown.table.bounding_box()
    assert box is not None
    assert table is not None
    assert 30 <= box["width"] <= 76
    assert box["x"] + box["width"] <= table["x"] + table["width"]


def test_maps_wrap_where_30_pixels_do_not_fit(shown: TablePage) -> None:
    wide = columns(shown)[0]
    shown.page.set_viewport_size({"width": 900, "height": 768})
    wait_for(lambda: columns(shown)[0] != wide)
    places = columns(shown)
    assert all(line == places[0] for line in places)
    assert places[0][6] == places[0][0]  # one layer below the other
    widths = [box["width"] for cell in shown.rows.first.locator("canvas").all() if (box := cell.bounding_box())]
    assert min(widths) >= 30


def test_it_fits_a_phone_and_a_tap_shows_and_chooses(browser: Browser, table_url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    shown = TablePage(context.new_page(), table_url).open()
    assert shown.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    places = columns(shown)
    assert all(line == places[0] for line in places)
    canvas = shown.map("4", "C3 after ReLU", 9)
    box, head = canvas.bounding_box(), shown.rows.first.locator(".head").bounding_box()
    assert box is not None
    assert head is not None
    assert 50 <= box["width"] <= 62
    assert head["y"] + head["height"] <= box["y"]
    canvas.tap(position=shown.spot(canvas, 2, 5, 10))  # type: ignore[arg-type]
    expect(shown.card).to_contain_text("map 9, row 2, column 5")
    shown.told("c3_act 0 9 2 5")
    expect(shown.card).to_be_visible()
    card = shown.card.bounding_box()
    assert card is not None
    assert card["x"] >= 0
    assert card["x"] + card["width"] <= 390
    assert shown.complaints == []
    context.close()


def test_units_are_bars_with_names(shown: TablePage, answer: Answer) -> None:
    shown.choose("c3_act, output")
    canvas = shown.bars("4", "OUTPUT")
    box = canvas.bounding_box()
    assert box is not None
    canvas.hover(position={"x": 4.5 / 10 * box["width"], "y": 30})
    expect(shown.card).to_contain_text("OUTPUT, class 4: ")
    expect(shown.card).to_contain_text("sees the whole 28 x 28")
    value = float(shown.card.locator(".where b").inner_text())
    assert value == pytest.approx(float(answer.layers["output"][4]), rel=0.01)
    drawn = shown.pixels(canvas)
    heights = (drawn[:, :, 3] > 0).sum(axis=0)
    assert heights.argmax() // (drawn.shape[1] / 10) == 4  # the tallest bar
    most = float(shown.table.locator(".titles .scale").last.inner_text().split()[-1])
    assert heights.max() == pytest.approx(value / (2 * most) * len(drawn), abs=2)  # zero is in the middle
    canvas.click(position={"x": 4.5 / 10 * box["width"], "y": 30})
    shown.told("output 0 4 0 0")
    assert shown.table.locator(".columns .block").last.inner_text().split() == list("0123456789")


def test_each_input_or_map_shows_the_scale_it_has_of_its_own(shown: TablePage) -> None:
    shown.choose("c1, c3", "row")
    expect(shown.table.locator(".row .scale")).to_have_count(8)
    ends = [shown.rows.nth(index).locator(".scale").first.inner_text().split() for index in range(4)]
    assert len({tuple(end) for end in ends}) == 4
    assert all(low == f"−{high}" and zero == "0" for low, zero, high in ends)
    shown.choose("c1_act, c3_act", "map")
    expect(shown.table.locator(".row .scale")).to_have_count(0)
    limits = shown.table.locator(".columns .limits")
    expect(limits).to_have_count(22)
    high, low = limits.nth(3).inner_text().split()
    values = [shown.map(name, "C1 after ReLU", 3).get_attribute("aria-label") for name in ("4", "8", "noise", "blank")]
    most = [float(str(re.search(r"to ([\d.]+),", str(label))[1])) for label in values]  # type: ignore[index]
    assert (low, float(high)) == ("0", max(most))


def test_nothing_on_the_page_is_not_a_number(shown: TablePage) -> None:
    """The blank input has maps of one value throughout."""
    for layers, scale in (("c1, c3", "row"), ("c1_act, c3_act", "map"), ("f6_act, output", "row")):
        shown.choose(layers, scale)
        labels = [str(canvas.get_attribute("aria-label")) for canvas in shown.table.get_by_role("img").all()]
        text = shown.table.inner_text() + " ".join(labels)
        assert not re.search("NaN|undefined|Infinity|not finite", text)


def test_colours_follow_the_theme(shown: TablePage) -> None:
    def brightness() -> int:
        colour = shown.names.first.evaluate("name => getComputedStyle(name).color")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    assert brightness() < 300
    shown.page.emulate_media(color_scheme="dark")
    wait_for(lambda: brightness() > 600)


def _block(**changes: Any) -> Block:
    values = np.zeros((1, 2, 3, 3), np.float32)
    ends = {"low": np.zeros((1, 1), np.float32), "high": np.ones((1, 1), np.float32), "shared": "all"}
    given = {"layer": "c1", "values": values, "kernels": [], "names": (), "ramp": SEQUENTIAL, **ends, **changes}
    return Block(title="C1", note="2x3x3", first=0, window=(0, 1, 5), **given)


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ([], "no layer to show"),
        ([_block(), _block()], "shows each once"),
        ([_block(values=np.zeros((2, 2, 3, 3), np.float32))], r"wanted \(1, channels, height, width\)"),
        ([_block(kernels=["data:,"])], "1 kernels, wanted none or 2"),
        ([_block(ramp=SEQUENTIAL[:9])], r"wanted \(256, 3\)"),
        ([_block(shared="column")], "wanted one of"),
        ([_block(high=np.array([[1.0, 2.0]], np.float32))], "one for each 'all'"),
        ([_block(high=np.array([[np.nan]], np.float32))], "wanted finite"),
    ],
)
def test_what_does_not_go_together_is_refused(blocks: list[Block], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        map_table(
            [Row("4", "", "data:,")], blocks, label="", input_size=(28, 28), selected=None, key="table",
            on_action=lambda *_: None, on_unit=lambda *_: None,
        )  # fmt: skip
