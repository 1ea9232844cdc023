"""The streaming chart in a real browser: what a viewer does to it stays while points arrive."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import ROOT, serve
from ui.components.stream_chart import STATIC

SMOOTHED, VALIDATION = "loss, smoothed", "validation accuracy"


@pytest.fixture(scope="module")
def chart_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for `stream_page.py` alone; what the app serves from `static/`, it serves too."""
    folder = tmp_path_factory.mktemp("chart")
    shutil.copy(ROOT / "tests" / "e2e" / "stream_page.py", folder)
    (folder / "static").symlink_to(STATIC)
    process, url = serve(folder / "data", folder / "log", str(folder / "stream_page.py"))
    yield url
    process.terminate()
    process.wait(60)


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


class ChartPage:
    """The chart as its viewer sees it, and how many points have arrived."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.chart = page.locator(".lp-stream")
        self.label = self.chart.locator(".hoverlayer .legend")

    def open(self, query: str = "") -> ChartPage:
        self.page.goto(self.url + query)
        expect(self.chart.locator(".scatterlayer").first).to_be_visible(timeout=30_000)
        return self

    def asked(self, expression: str, argument: object = None) -> Any:
        return self.chart.evaluate(f"(chart, argument) => {expression}", argument)

    def points(self, name: str = SMOOTHED) -> int:
        return int(self.asked("chart.data.find(trace => trace.name === argument).x.length", name))

    def wait_for_points(self, more: int, name: str = SMOOTHED) -> None:
        wanted = self.points(name) + more
        wait_for(lambda: self.points(name) >= wanted)

    def ranges(self) -> list[list[float]]:
        """What the three axes show."""
        return [list(self.asked(f"chart.layout.{axis}.range")) for axis in ("xaxis", "yaxis", "yaxis2")]

    def at(self, across: float, down: float) -> tuple[float, float]:
        """A place in the upper plot, both from 0 to 1."""
        box = self.chart.locator(".bglayer rect, .plotbg rect, .nsewdrag").first.bounding_box()
        assert box is not None
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    def drag(self, start: tuple[float, float], end: tuple[float, float], pause: float = 0) -> None:
        """Zooms in on a rectangle of the upper plot, holding the button down for `pause` seconds."""
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=8)
        self.page.wait_for_timeout(1000 * pause)
        self.page.mouse.up()

    def legend(self, name: str) -> Any:
        return self.chart.locator(".infolayer .legend .traces").filter(has_text=name)

    def drawn(self, name: str) -> bool:
        """Whether the trace of that name is seen and not only listed."""
        return self.asked("chart.data.find(trace => trace.name === argument).visible", name) != "legendonly"


@pytest.fixture
def chart_page(page: Page, chart_url: str) -> Iterator[ChartPage]:
    """The page, open, which must not have complained in the end."""
    shown = ChartPage(page, chart_url).open()
    yield shown
    assert shown.complaints == []


def test_points_arrive_and_the_axes_follow(chart_page: ChartPage) -> None:
    before = chart_page.ranges()
    chart_page.wait_for_points(30)
    assert chart_page.ranges()[0] == before[0]  # all epochs, from the start
    chart_page.wait_for_points(2, VALIDATION)
    assert chart_page.ranges()[1][0] < before[1][0]  # the loss fell
    assert 100 < chart_page.ranges()[2][1] < 101  # percent


def test_a_zoom_is_kept_while_points_arrive_and_can_be_taken_back(chart_page: ChartPage) -> None:
    whole = chart_page.ranges()
    chart_page.drag((0.02, 0.1), (0.4, 0.7))
    wait_for(lambda: chart_page.ranges()[0] != whole[0])
    zoomed = chart_page.ranges()
    assert zoomed[0][1] - zoomed[0][0] < 0.6 * (whole[0][1] - whole[0][0])
    chart_page.wait_for_points(30)
    chart_page.wait_for_points(2, VALIDATION)
    assert chart_page.ranges()[:2] == zoomed[:2]
    chart_page.page.mouse.dblclick(*chart_page.at(0.5, 0.5))
    wait_for(lambda: chart_page.ranges()[0] == whole[0])
    low = chart_page.ranges()[1][0]
    wait_for(lambda: chart_page.ranges()[1][0] < low)  # follows again


def test_a_zoom_can_be_drawn_slowly(chart_page: ChartPage) -> None:
    chart_page.drag((0.02, 0.1), (0.4, 0.7), pause=1.6)
    first, last = chart_page.ranges()[0]
    assert 0 < last - first < 5


def test_a_hidden_line_stays_hidden(chart_page: ChartPage) -> None:
    chart_page.legend(SMOOTHED).locator(".legendtoggle").click()
    wait_for(lambda: not chart_page.drawn(SMOOTHED))
    chart_page.wait_for_points(20)
    assert not chart_page.drawn(SMOOTHED)
    assert chart_page.drawn(VALIDATION)
    chart_page.page.get_by_role("button", name="Another earlier run").click()
    wait_for(lambda: int(chart_page.asked("chart.data.filter(trace => trace.name === 'run 9').length")) == 2)
    assert not chart_page.drawn(SMOOTHED)
    assert chart_page.drawn(VALIDATION)


def test_the_label_under_a_resting_mouse_stays(chart_page: ChartPage) -> None:
    chart_page.page.mouse.move(*chart_page.at(0.08, 0.5))
    expect(chart_page.label).to_contain_text(SMOOTHED)
    says = chart_page.label.text_content()
    for _ in range(4):
        chart_page.wait_for_points(5)
        chart_page.page.wait_for_timeout(120)  # Plotly draws the label anew after 50 ms at most
        assert chart_page.label.text_content() == says


def test_another_run_is_a_new_chart(chart_page: ChartPage) -> None:
    whole = chart_page.ranges()
    chart_page.drag((0.02, 0.1), (0.4, 0.7))
    wait_for(lambda: chart_page.ranges()[0] != whole[0])
    chart_page.page.get_by_role("radio", name="second").click()
    expect(chart_page.page.get_by_role("img", name="Loss and accuracy of the second run")).to_be_visible()
    wait_for(lambda: chart_page.ranges()[0] == whole[0])
    chart_page.wait_for_points(5)


def test_the_chart_comes_back_after_it_left_the_page(chart_page: ChartPage) -> None:
    for _ in range(2):
        chart_page.page.get_by_text("Shown").click()
        expect(chart_page.chart).to_have_count(0)
        chart_page.page.get_by_text("Shown").click()
        expect(chart_page.chart.locator(".scatterlayer").first).to_be_visible()
    chart_page.wait_for_points(5)


def test_the_colours_follow_the_theme_as_it_is_switched(chart_page: ChartPage) -> None:
    title = chart_page.chart.get_by_text("Accuracy", exact=True)

    def brightness() -> int:
        colour = title.evaluate("text => getComputedStyle(text).fill")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    chart_page.drag((0.02, 0.1), (0.4, 0.7))
    zoomed = chart_page.ranges()[0]
    assert brightness() < 300
    chart_page.page.emulate_media(color_scheme="dark")
    wait_for(lambda: brightness() > 600)
    assert chart_page.ranges()[0] == zoomed


def test_it_fits_a_phone(browser: Browser, chart_url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    shown = ChartPage(context.new_page(), chart_url).open()
    shown.wait_for_points(5)
    box = shown.chart.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    inside = """[...chart.querySelectorAll("text")].every(text => {
        const own = text.getBoundingClientRect(), all = chart.getBoundingClientRect();
        return own.left >= all.left && own.right <= all.right + 1 && own.bottom <= all.bottom + 1;
    })"""
    assert shown.asked(inside)
    assert shown.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    context.close()


def test_a_width_that_changes_is_followed(chart_page: ChartPage) -> None:
    chart_page.page.set_viewport_size({"width": 700, "height": 768})
    wait_for(lambda: chart_page.asked("chart.querySelector('.main-svg').clientWidth === chart.clientWidth"))
    assert chart_page.asked("chart.clientWidth") < 700


def test_the_script_is_served_as_one(page: Page, chart_url: str) -> None:
    with page.expect_response(re.compile(r"app/static/plotly-.*\.min\.js")) as answer:
        page.goto(chart_url)
    assert "javascript" in answer.value.headers["content-type"]


def test_a_script_that_does_not_load_is_one_clear_line(page: Page, chart_url: str) -> None:
    page.route("**/app/static/**", lambda route: route.abort())
    page.goto(chart_url)
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"cannot be drawn: .*did not load. Reload the page"))


def test_the_picture_to_download_is_a_png(chart_page: ChartPage) -> None:
    chart_page.chart.hover()
    with chart_page.page.expect_download() as download:
        chart_page.chart.locator("[data-title='Download as PNG']").click()
    path = Path(download.value.path())
    assert download.value.suggested_filename == "training.png"
    assert path.read_bytes().startswith(b"\x89PNG")
