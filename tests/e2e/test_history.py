"""The history page in a real browser: switches that count live, C3's table under mouse and keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from lenet_core.checkpoint import load_checkpoint
from lenet_core.connections import table_text
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import C3_TABLE
from tests.conftest import Server

MINUS = "−"


class HistoryPage:
    """The page as a visitor uses it; what went wrong behind it is in `complaints`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.grid = page.get_by_role("group", name="Which maps of S2 each map of C3 reads")
        self.panel = page.locator(".panel")
        self.costs = page.locator(".lp-counts")
        self.parameters = page.get_by_test_id("parameters")

    def open(self, query: str = "") -> HistoryPage:
        """Goes straight to the page, as a link does."""
        self.page.goto(f"{self.url}/history{query}")
        expect(self.grid).to_be_visible(timeout=30_000)
        return self

    def cell(self, source: int, target: int) -> Locator:
        """The cell that connects a map of S2 to one of C3."""
        return self.grid.get_by_role("button", name=f"S2 map {source} to C3 map {target}", exact=True)

    def is_on(self, source: int, target: int, wanted: bool) -> None:
        """Waits until a cell is connected, or parted."""
        expect(self.cell(source, target)).to_have_attribute("aria-pressed", str(wanted).lower())

    def focused(self) -> str:
        """The name of the cell that has the keyboard."""
        find = "() => { let e = document.activeElement; while (e.shadowRoot) e = e.shadowRoot.activeElement; return e }"
        return str(self.page.evaluate(f"({find})().ariaLabel"))


@pytest.fixture
def shown(page: Page, server: Server) -> Iterator[HistoryPage]:
    """The page, open, which must not have complained in the end."""
    opened = HistoryPage(page, server.url).open()
    yield opened
    assert opened.complaints == []
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_switch_counts_live(shown: HistoryPage) -> None:
    expect(shown.parameters).to_have_text("60,000")
    for name, count in (("Output and loss", "60,850"), ("What C3 reads", "61,750")):
        shown.page.locator(".st-key-dial_switches label").filter(has_text=name).click()
        expect(shown.parameters).to_have_text(count)
    expect(shown.page.get_by_role("region", name="Ledger")).to_contain_text("+900")
    shown.page.wait_for_url(re.compile("modern=c3(,|%2C)output"))
    shown.page.reload()
    expect(shown.parameters).to_have_text("61,750")


def test_the_grid_is_the_papers_table(shown: HistoryPage) -> None:
    for target, sources in enumerate(C3_TABLE):
        for source in range(6):
            shown.is_on(source, target, source in sources)
    expect(shown.cell(0, 0)).to_have_text("X")


def test_a_click_connects_and_the_costs_follow(shown: HistoryPage) -> None:
    shown.cell(3, 0).click()
    shown.is_on(3, 0, True)
    expect(shown.costs).to_contain_text("1,541")
    expect(shown.costs).to_contain_text("+2,500 against the paper")
    expect(shown.cell(3, 0)).to_have_attribute("aria-description", "not in the paper")
    expect(shown.panel).to_contain_text("no kernel")
    shown.page.get_by_role("button", name="Undo").click()
    shown.is_on(3, 0, False)
    expect(shown.costs).to_contain_text("1,516")


def test_the_kernel_of_a_pair_is_shown_in_numbers(shown: HistoryPage) -> None:
    layer = load_checkpoint(bundled_checkpoints()["lenet5-1998"]).net.get_submodule("c3")
    kernel = layer.dense_weight()[7, 4].detach()  # type: ignore[operator]
    shown.cell(4, 7).hover()
    expect(shown.panel.get_by_role("heading")).to_have_text("S2 map 4 → C3 map 7")
    numbers = [text.replace(MINUS, "-") for text in shown.panel.locator("td").all_inner_texts()]
    assert [float(text) for text in numbers] == pytest.approx(kernel.flatten().tolist(), abs=0.0051)
    expect(shown.panel).to_contain_text("C3 map 7 reads S2 maps 1, 2, 3, 4")


def test_the_keyboard_reaches_every_cell(shown: HistoryPage) -> None:
    shown.cell(0, 0).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"):
        shown.page.keyboard.press(key)
    assert shown.focused() == "S2 map 0 to C3 map 1"
    expect(shown.panel.get_by_role("heading")).to_have_text("S2 map 0 → C3 map 1")
    shown.page.keyboard.press("Space")
    shown.is_on(0, 1, True)
    assert shown.focused() == "S2 map 0 to C3 map 1"
    shown.page.keyboard.press("ArrowLeft")
    shown.page.keyboard.press("ArrowLeft")
    assert shown.focused() == "S2 map 0 to C3 map 15"


def test_a_map_keeps_at_least_one_connection(shown: HistoryPage) -> None:
    table = table_text((*C3_TABLE[:15], (2,)))
    shown.open(f"?table={table}")
    shown.cell(2, 15).click()
    expect(shown.page.get_by_role("alert")).to_contain_text("C3 map 15 reads S2 map 2 alone")
    shown.is_on(2, 15, True)
    shown.cell(3, 15).click()
    shown.is_on(3, 15, True)
    shown.cell(2, 15).click()
    shown.is_on(2, 15, False)
    expect(shown.page.get_by_role("alert")).to_have_count(0)


def test_an_own_table_goes_to_the_train_page(shown: HistoryPage) -> None:
    shown.cell(3, 0).click()
    shown.is_on(3, 0, True)
    shown.page.get_by_role("button", name="Train with this table").click()
    expect(shown.page.get_by_role("heading", level=1)).to_have_text("Train a network")
    expect(shown.page.get_by_test_id("differs")).to_contain_text(table_text(((0, 1, 2, 3), *C3_TABLE[1:])))
    assert "table=f.e.1c" in shown.page.url


def test_cells_can_show_their_kernels(shown: HistoryPage) -> None:
    shown.page.get_by_role("radio", name="its kernel").click()
    expect(shown.grid.locator("canvas")).to_have_count(60)
    size = shown.cell(0, 0).locator("canvas").evaluate("canvas => [canvas.width, canvas.height]")
    assert size == [5, 5]


def test_on_a_phone_the_grid_is_turned_and_the_count_stays_in_sight(shown: HistoryPage) -> None:
    shown.page.set_viewport_size({"width": 390, "height": 844})
    shown.open()
    first, right, below = (shown.cell(*place).bounding_box() for place in ((0, 0), (1, 0), (0, 1)))
    assert first is not None
    assert right is not None
    assert below is not None
    assert right["x"] > first["x"]
    assert below["y"] > first["y"]
    assert first["width"] >= 24
    assert first["height"] >= 24
    assert shown.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    toggle = shown.page.locator(".st-key-dial_switches label").filter(has_text="Output and loss")
    toggle.click()
    expect(shown.page.locator(".lp-small-counter")).to_contain_text("60,850")
    expect(shown.page.locator(".lp-small-counter")).to_be_in_viewport()
