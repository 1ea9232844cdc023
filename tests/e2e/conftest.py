"""A real browser, and what a person does on the Draw page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lenet_core.strokes import Strokes
from tests.conftest import CHROMIUM_FLAGS, chromium_path, missing
from tests.pens import CANVAS

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = chromium_path()
    if path is None:
        missing("no Chromium found: install it, or name one in the variable CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own, at the size of a small laptop."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    yield context.new_page()
    context.close()


class DrawPage:
    """The Draw page as a person uses it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.answer = page.get_by_test_id("answer")
        self.empty = page.get_by_test_id("empty")
        self.canvas = page.locator("canvas.upper-canvas")

    def open(self, query: str = "") -> DrawPage:
        """Goes straight to the page, as a link does."""
        self.page.goto(f"{self.url}/draw{query}")
        self.canvas.wait_for()
        expect(self.answer.or_(self.empty)).to_be_visible()
        return self

    def stroke(self, strokes: Strokes, size: float = 1.0) -> None:
        """Draws strokes given on a 280 x 280 field, by mouse, at `size` times the canvas."""
        box = self.canvas.bounding_box()
        assert box is not None
        scale = box["width"] / CANVAS * size
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for stroke in strokes:
            points = [(middle[0] + (x - 140) * scale, middle[1] + (y - 140) * scale) for x, y in stroke]
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in points[1:] or points:
                self.page.mouse.move(*point)
            self.page.mouse.up()

    def read(self, strokes: int) -> str:
        """The answer to a drawing of that many strokes, once the page shows it."""
        expect(self.answer).to_have_attribute("data-strokes", str(strokes))
        return self.answer.inner_text()

    def button(self, name: str) -> None:
        """Presses one of the buttons under the canvas."""
        self.page.get_by_role("button", name=name, exact=len(name) == 1).click()


@pytest.fixture
def draw_page(page: Page, server: object) -> DrawPage:
    """The Draw page, not yet opened."""
    return DrawPage(page, server.url)  # type: ignore[attr-defined]
