"""The preprocessing inspector in a real browser: its pictures move with the pen, its switches change what is fed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from lenet_core.steps import STEPS
from lenet_core.strokes import to_link
from tests.conftest import Server
from tests.e2e.lens import lens_module
from ui.markup_inspector import PICTURES
from ui.sample_strokes import sample_strokes

SIZE = 336
FOUR = f"?drawing={to_link(sample_strokes('4', SIZE), SIZE)}"


class InspectorPage:
    """The Draw page with its inspector, as a visitor uses it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.section = page.locator("details", has_text="From your pen to the network's pixels")
        self.now, self.complete = (page.get_by_test_id(f"steps-{name}") for name in ("now", "complete"))

    def open(self, query: str = "", unfolds: bool = True) -> InspectorPage:
        """Goes straight to the page, and unfolds the section."""
        self.page.goto(f"{self.url}/draw{query}")
        expect(self.page.locator("body")).to_have_attribute("data-lens", "alive", timeout=30_000)
        if unfolds:
            self.section.locator("summary").click()
        return self

    def painted(self) -> InspectorPage:
        """Waits until the pictures are."""
        self.figure("Fed").scroll_into_view_if_needed()
        expect(self.caption("Fed")).to_contain_text("numbers")
        return self

    def figure(self, name: str) -> Locator:
        return self.page.locator(f'figure[data-picture="{name}"]')

    def caption(self, name: str) -> Locator:
        return self.figure(name).locator("figcaption")

    def says(self) -> dict[str, str]:
        """What each picture that the server has too says, with the steps that it marks as left out."""
        return {name: _words(self.caption(name)) for name in PICTURES}

    def server_says(self) -> dict[str, str]:
        """The same of the server's pictures, which stand there unseen."""
        figures = self.page.locator(".st-key-by_server_steps figure").all()
        return {str(one.locator("> b").text_content()): _words(one.locator("figcaption")) for one in figures}

    def picture(self, name: str) -> NDArray[np.uint8]:
        """The greys on a picture's canvas, (height, width)."""
        width, height, values = (
            self.figure(name)
            .locator("canvas")
            .evaluate(
                "canvas => [canvas.width, canvas.height, "
                "[...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]]"
            )
        )
        return np.array(values, dtype=np.uint8).reshape(height, width, 4)[..., 0]

    def switch(self, name: str) -> Locator:
        return self.page.get_by_role("switch", name=STEPS[name].title)

    def turn(self, name: str) -> None:
        """Turns a step off or on, and waits until the address says so."""
        was = self.page.url
        self.page.locator(f".st-key-step_{name}_on label").click()
        self.page.wait_for_function("was => location.href !== was", arg=was)

    def stroke(self, *points: tuple[float, float], lifts: bool = True) -> None:
        """Draws through points given as shares of the canvas."""
        box = self.page.locator("canvas.upper-canvas").bounding_box()
        assert box is not None
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=5)
        if lifts:
            self.page.mouse.up()


def _words(locator: Locator) -> str:
    return " ".join(str(locator.evaluate("one => [...one.children].map(part => part.textContent).join(' ')")).split())


@pytest.fixture
def inspector(page: Page, server: Server) -> InspectorPage:
    """The page, not yet opened."""
    return InspectorPage(page, server.url)


def test_polarity_left_out_inverts_what_is_fed_and_changes_the_answer(inspector: InspectorPage) -> None:
    inspector.open(FOUR).painted()
    fed, placed = inspector.picture("Fed"), inspector.picture("Placed")
    assert fed.shape == (28, 28)
    answer = inspector.now.locator("b").inner_text()
    assert answer == "4"
    inspector.turn("polarity")
    expect(inspector.caption("Fed")).to_contain_text("Left out: Polarity")
    np.testing.assert_array_equal(inspector.picture("Fed"), 255 - fed)
    np.testing.assert_array_equal(inspector.picture("Placed"), placed)
    expect(inspector.complete.locator("b")).to_have_text("4")
    assert (
        inspector.now.locator("> span").nth(1).inner_text() != inspector.complete.locator("> span").nth(1).inner_text()
    )
    inspector.turn("polarity")
    expect(inspector.complete).to_contain_text("nothing is left out")
    np.testing.assert_array_equal(inspector.picture("Fed"), fed)


def test_the_pictures_move_during_a_stroke(inspector: InspectorPage) -> None:
    page = inspector.open().page
    page.set_viewport_size({"width": 1366, "height": 2400})  # canvas and pictures both in view
    expect(inspector.caption("Drawn")).to_have_text("0 strokes on 336 x 336, with a pen of 22.")
    expect(inspector.caption("Fed")).to_have_text("")
    inspector.stroke((0.5, 0.2), (0.5, 0.5), lifts=False)
    expect(inspector.caption("Drawn")).to_contain_text("1 stroke on")
    expect(inspector.caption("Fed")).to_contain_text("28 x 28 numbers")
    first = {name: inspector.picture(name) for name in ("Drawn", "Inked", "Fed")}
    page.mouse.move(*_place(page, 0.85, 0.85), steps=5)
    expect(inspector.caption("Cropped")).not_to_contain_text(f"To the ink: {first['Inked'].any(0).sum()} x")
    for name, before in first.items():
        assert not np.array_equal(inspector.picture(name), before), name
    assert "drawing=" not in page.url  # the pen is still down, and the server knows nothing of it
    page.mouse.up()


def _place(page: Page, x: float, y: float) -> tuple[float, float]:
    box = page.locator("canvas.upper-canvas").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


@pytest.mark.parametrize("query", ["&without=crop,scale", "&without=width,fit,antialias,centre&net=lenet5-1998"])
def test_a_link_opens_so_and_a_reload_keeps_it(inspector: InspectorPage, query: str) -> None:
    inspector.open(FOUR + query, unfolds=False).painted()
    without = query.split("without=")[1].split("&")[0].split(",")
    for _ in range(2):
        for name in STEPS:
            expect(inspector.switch(name)).to_be_checked(checked=name not in without)
        assert all(STEPS[name].title in " ".join(inspector.says().values()) for name in without)
        inspector.page.reload()
        inspector.painted()


@pytest.mark.parametrize(
    "query", ["", "&without=crop", "&without=width,polarity,scale&net=lenet5-1998", "&without=fit"]
)
def test_the_pictures_say_what_the_servers_say(inspector: InspectorPage, query: str) -> None:
    inspector.open(FOUR + query, unfolds=not query.startswith("&without")).painted()
    assert inspector.says() == inspector.server_says()


def test_leaving_crop_out_keeps_a_small_drawing_small_and_in_its_corner(inspector: InspectorPage) -> None:
    inspector.open("?without=crop", unfolds=False)
    inspector.stroke((0.1, 0.1), (0.1, 0.3))
    inspector.painted()
    ink = inspector.picture("Inked")
    assert ink.any()
    assert not ink[140:].any()
    assert not ink[:, 140:].any()
    np.testing.assert_array_equal(inspector.picture("Cropped"), ink)


def test_folded_nothing_is_painted(inspector: InspectorPage) -> None:
    inspector.open(FOUR, unfolds=False)
    inspector.page.wait_for_timeout(500)
    assert inspector.picture("Fed").shape == (150, 300)  # as the browser makes a canvas
    inspector.section.locator("summary").click()
    inspector.painted()
    assert inspector.picture("Fed").shape == (28, 28)


def test_two_switches_turned_quickly_both_hold(inspector: InspectorPage) -> None:
    page = inspector.open(FOUR).painted().page
    for name in ("crop", "scale", "fit"):
        page.locator(f".st-key-step_{name}_on label").click()
    page.wait_for_url(re.compile("without=crop%2Cfit%2Cscale"))
    expect(inspector.caption("Fed")).to_contain_text("from 0 to 255")
    for name in STEPS:
        expect(inspector.switch(name)).to_be_checked(checked=name not in ("crop", "scale", "fit"))


def test_by_keyboard(inspector: InspectorPage) -> None:
    page = inspector.open(FOUR).painted().page
    inspector.switch("crop").focus()
    page.keyboard.press("Space")
    page.wait_for_url(re.compile("without=crop"))
    expect(inspector.caption("Cropped")).to_contain_text("Nothing is cut off")
    button = page.get_by_role("button", name="All steps on")
    expect(button).to_be_enabled()
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => !location.href.includes('without')")
    expect(inspector.switch("crop")).to_be_checked()
    expect(inspector.caption("Cropped")).to_contain_text("To the ink")
    assert inspector.section.evaluate("one => one.open")


def test_the_clothes_network_says_clothes(inspector: InspectorPage) -> None:
    inspector.open(f"{FOUR}&net=lenet-d2l-fashion&without=crop", unfolds=False).painted()
    expect(inspector.now).to_contain_text("Textbook LeNet on clothes")
    for verdict in (inspector.now, inspector.complete):
        assert not verdict.locator("b").inner_text().isdigit()


def test_on_a_phone_the_switches_come_first_and_nothing_runs_over(inspector: InspectorPage) -> None:
    inspector.page.set_viewport_size({"width": 390, "height": 844})
    page = inspector.open(FOUR).painted().page
    assert inspector.switch("scale").evaluate("one => one.getBoundingClientRect().bottom") < inspector.figure(
        "Drawn"
    ).evaluate("one => one.getBoundingClientRect().top")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for picture in page.locator("figure[data-picture]").all():
        assert picture.evaluate("one => one.getBoundingClientRect().right") <= 390


def test_without_the_lens_the_servers_pictures_stand_there(inspector: InspectorPage) -> None:
    inspector.page.add_init_script("delete globalThis.IntersectionObserver")
    inspector.page.goto(f"{inspector.url}/draw{FOUR}&without=polarity")
    server = inspector.page.locator(".st-key-by_server_steps")
    expect(server.locator("figure")).to_have_count(len(PICTURES))
    expect(server.locator("figure").first).to_be_visible()
    expect(server).to_contain_text("Left out: Polarity")
    expect(server).to_contain_text("With all steps on")
    expect(inspector.figure("Fed")).not_to_be_visible()


def test_where_the_pictures_fail_the_answer_stays(inspector: InspectorPage) -> None:
    page = inspector.open(FOUR).painted().page
    page.set_viewport_size({"width": 1366, "height": 2400})  # canvas and pictures both in view
    page.evaluate("""() => {
      const { toggle } = DOMTokenList.prototype;
      DOMTokenList.prototype.toggle = function (name, ...rest) {
        if (name === "steps-empty") throw new Error("no pictures");
        return toggle.call(this, name, ...rest);
      };
    }""")
    inspector.stroke((0.1, 0.9), (0.9, 0.9))
    expect(page.get_by_text("This part has stopped. Reload the page")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-lens", "alive")
    expect(page.get_by_test_id("answer")).to_have_attribute("data-strokes", "3")
    expect(page.get_by_test_id("answer")).to_have_attribute("data-settled", "true")


def test_the_browsers_part_knows_the_same_steps(page: Page) -> None:
    lens_module(page, "STEP_TITLES", "STEP_PICTURES")
    assert page.evaluate("STEP_TITLES") == {name: step.title for name, step in STEPS.items()}
    assert page.evaluate("STEP_PICTURES") == {"Drawn": []} | {name: list(steps) for name, steps in PICTURES.items()}
