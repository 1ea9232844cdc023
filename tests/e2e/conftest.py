"""A real browser, and what a person does on the Draw, the Train and the Look inside page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from lenet_core.strokes import Strokes
from tests.conftest import Server
from tests.pens import CANVAS

expect.set_options(timeout=30_000)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own, at the size of a small laptop."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    yield context.new_page()
    context.close()


# What a browser does that cannot run the lens.
NO_LENS = """Object.defineProperty(globalThis, "lpLens", { get() { throw new Error("no lens in this browser"); } })"""


class DrawPage:
    """The Draw page as a person uses it; without the `lens`, the server answers when the pen lifts."""

    def __init__(self, page: Page, url: str, *, lens: bool = True) -> None:
        self.page, self.url, self.has_lens = page, url, lens
        self.answer = page.get_by_test_id("answer" if lens else "answer-by-server")
        self.empty = page.locator(".lens").get_by_test_id("empty" if lens else "empty-by-server")
        self.canvas = page.locator("canvas.upper-canvas")
        if not lens:
            page.add_init_script(NO_LENS)

    def open(self, query: str = "") -> DrawPage:
        """Goes straight to the page, as a link does."""
        self.page.goto(f"{self.url}/draw{query}")
        return self.ready()

    def ready(self) -> DrawPage:
        """Waits until there is something to draw on, and somebody to answer."""
        self.canvas.wait_for()
        if self.has_lens:
            self.page.locator("body[data-lens=alive]").wait_for(state="attached")
        expect(self.answer.or_(self.empty).filter(visible=True)).to_be_visible()
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
        """The answer to a drawing of that many strokes, once the page shows it and the server knows it too."""
        expect(self.answer).to_have_attribute("data-strokes", str(strokes))
        if self.has_lens:
            expect(self.answer).to_have_attribute("data-settled", "true")
        expect(self.answer).to_be_visible()
        return self.answer.inner_text()

    def button(self, name: str) -> None:
        """Presses one of the buttons under the canvas."""
        self.page.get_by_role("button", name=name, exact=len(name) == 1).click()


@pytest.fixture
def draw_page(page: Page, server: Server, request: pytest.FixtureRequest) -> DrawPage:
    """The Draw page, not yet opened; a test that is run `with_and_without_the_lens` gets it in both ways."""
    return DrawPage(page, server.url, lens=getattr(request, "param", True))


with_and_without_the_lens = pytest.mark.parametrize(
    "draw_page", [pytest.param(True, id="lens"), pytest.param(False, id="server")], indirect=True
)


class WatchedPage:
    """A page of the app; what went wrong behind it is in `complaints`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("response", lambda response: self._response(response.status, response.url))

    def _console(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith("Failed to load resource"):  # which `_response` names
            self.complaints.append(text)

    def _response(self, status: int, url: str) -> None:
        if status >= 400 and not re.search("/[a-z_]+/_stcore/", url):  # by which Streamlit finds out where its root is
            self.complaints.append(f"{status} {url}")


class TrainPage(WatchedPage):
    """The Train page as a learner uses it."""

    def __init__(self, page: Page, url: str) -> None:
        super().__init__(page, url)
        self.status = page.get_by_test_id("status")
        self.result = page.get_by_test_id("result")
        self.differs = page.get_by_test_id("differs")
        self.warnings = page.locator(".lp-warning")
        self.chart = page.get_by_role("img", name=re.compile("^Loss and accuracy of"))
        self.trains = page.get_by_role("button", name="Train", exact=True)

    def open(self, query: str = "") -> TrainPage:
        """Goes straight to the page, as a link does."""
        self.page.goto(f"{self.url}/train{query}")
        expect(self.trains).to_be_visible(timeout=30_000)
        return self

    def train(self, query: str = "") -> TrainPage:
        """Opens the page and presses Train."""
        self.open(query)
        self.trains.click()
        self.page.wait_for_url(re.compile("[?&]run="))
        expect(self.status).to_be_visible()
        return self

    def button(self, name: str) -> None:
        """Presses one of the page's buttons."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def is_now(self, status: str, seconds: float = 40) -> None:
        """Waits until the shown run has that status."""
        expect(self.status).to_have_attribute("data-status", re.compile(f"^({status})$"), timeout=1000 * seconds)

    def asked(self, expression: str, argument: object = None) -> Any:
        """What a JavaScript expression says of the chart."""
        return self.chart.evaluate(f"(chart, argument) => {expression}", argument)

    def points(self, name: str = "smoothed") -> int:
        """How many points a curve has on the chart, 0 before there is one."""
        return len(self._epochs(name))

    def grows(self, epochs: float = 0.1) -> None:
        """Waits until the curve of the loss is so much longer than it is now."""
        before = max(self._epochs("smoothed"), default=0)
        self.wait_for(lambda: max(self._epochs("smoothed"), default=0) >= before + epochs)

    def _epochs(self, name: str) -> list[float]:
        found = "chart.data?.find(trace => trace.name === argument)?.x ?? []"
        return list(self.asked(found, name)) if self.chart.count() else []

    def wait_for(self, holds: Callable[[], bool], seconds: float = 40) -> None:
        """Waits until something holds; the page lives on meanwhile."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "waited in vain"
            self.page.wait_for_timeout(100)


class LookPage(WatchedPage):
    """The Look inside page as a learner uses it."""

    def __init__(self, page: Page, url: str) -> None:
        super().__init__(page, url)
        self.table = page.get_by_role("group", name=re.compile("what its layers make of"))
        self.names = self.table.first.locator(".row .name")
        self.card = self.table.first.locator("aside.card")
        self.sum = page.get_by_test_id("unit-sum")
        self.says = page.get_by_test_id("says")
        self.warnings = page.locator(".lp-warning")

    def open(self, query: str = "") -> LookPage:
        """Goes straight to the page, as a link does."""
        self.page.goto(f"{self.url}/feature_maps{query}")
        return self.ready()

    def ready(self) -> LookPage:
        """Waits until the first table's maps are painted."""
        expect(self.table.first).to_have_attribute("data-version", re.compile("."), timeout=30_000)
        return self

    def button(self, name: str) -> None:
        """Presses one of the page's or a row's buttons."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def choose(self, name: str) -> None:
        """Presses a layer, a scale or a detail."""
        one, many = (self.page.get_by_role(role, name=name, exact=True) for role in ("radio", "button"))
        one.or_(many).click()

    def network(self, box: str, name: str) -> None:
        """Chooses a network, or the one beside it."""
        self.page.get_by_role("combobox", name=box).click()
        self.page.get_by_role("option", name=re.compile(f"^{re.escape(name)}")).click()

    def upload(self, *files: Any) -> None:
        """Chooses files through the browser's own dialog."""
        self.page.get_by_role("button", name="Upload", exact=True).click()
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_test_id("stFileUploader").get_by_role("button", name="Upload", exact=True).click()
        chooser.value.set_files(list(files))

    def map(self, name: str, layer: str, number: int, table: int = 0) -> Locator:
        """The canvas of a map."""
        found = re.compile(f"^{re.escape(name)}, {re.escape(layer)}, map {number}:")
        return self.table.nth(table).get_by_role("img", name=found)

    def spot(self, canvas: Locator, y: int, x: int, size: int) -> Any:
        """The middle of a unit of a map `size` units wide, for the mouse."""
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        return {"x": (x + 0.5) * box["width"] / size, "y": (y + 0.5) * box["height"] / size}

    def pixels(self, canvas: Locator) -> list[int]:
        """The colours on a canvas."""
        return list(
            canvas.evaluate(
                "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
            )
        )
