"""The Draw page in a real browser, used as people use it."""

from __future__ import annotations

import random
import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.conftest import Server
from tests.e2e.conftest import DrawPage, with_and_without_the_lens
from tests.pens import pen_digits

SEVEN = [[(60.0, 60.0), (120.0, 58.0), (200.0, 60.0), (170.0, 120.0), (140.0, 180.0), (120.0, 230.0)]]
ONE = [[(140.0, 50.0), (140.0, 110.0), (139.0, 170.0), (140.0, 230.0)]]
BAR = [[(120.0, 145.0), (150.0, 144.0), (185.0, 145.0)]]


def test_real_pen_digits_are_read(draw_page: DrawPage, pen_strokes: Path) -> None:
    """At least 95 % of 80 real pen digits, a random sample, drawn by mouse one after the other."""
    chosen = random.Random(0).sample(pen_digits(), 80)
    draw_page.open()
    wrong = []
    for digit in chosen:
        draw_page.stroke(digit.strokes)
        answer = draw_page.read(len(digit.strokes))
        if answer != str(digit.label):
            wrong.append(f"{digit.label} read as {answer}")
        draw_page.button("Clear")
        expect(draw_page.empty).to_be_visible()
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} right", *wrong)  # pytest -rP shows it
    assert len(wrong) <= 0.05 * len(chosen), wrong


@with_and_without_the_lens
def test_size_and_place_do_not_matter(draw_page: DrawPage) -> None:
    draw_page.open()
    for size in (1.0, 0.5, 0.25):
        draw_page.stroke(SEVEN, size)
        assert draw_page.read(1) == "7"
        draw_page.button("Clear")
        expect(draw_page.empty).to_be_visible()


@with_and_without_the_lens
def test_a_dot_is_not_a_digit(draw_page: DrawPage) -> None:
    draw_page.open()
    expect(draw_page.empty).to_have_text("Draw a digit")
    draw_page.stroke([[(140.0, 140.0), (146.0, 144.0)]])
    draw_page.page.wait_for_url(re.compile("drawing="))
    draw_page.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    expect(draw_page.empty).to_have_text("Draw a digit")
    expect(draw_page.answer).to_be_hidden()


@with_and_without_the_lens
def test_undo_redo_and_clear(draw_page: DrawPage) -> None:
    draw_page.open()
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    draw_page.stroke(BAR)
    assert draw_page.read(2) == "7"
    draw_page.button("Undo")
    draw_page.read(1)
    draw_page.button("Redo")
    draw_page.read(2)
    draw_page.button("Clear")
    expect(draw_page.empty).to_be_visible()
    draw_page.button("Undo")  # a drawing that was cleared by mistake comes back
    draw_page.read(2)
    draw_page.button("Undo")
    draw_page.read(1)
    draw_page.stroke(ONE)  # a new stroke after undo is the new future
    draw_page.read(2)
    expect(draw_page.page.get_by_role("button", name="Redo")).to_be_disabled()


def test_undo_by_keyboard(draw_page: DrawPage) -> None:
    draw_page.open()
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    draw_page.page.keyboard.press("Control+z")
    expect(draw_page.empty).to_be_visible()


@with_and_without_the_lens
def test_a_digit_is_placed_by_keyboard_alone(draw_page: DrawPage) -> None:
    draw_page.open()
    for digit in "358":
        draw_page.page.get_by_role("button", name=digit, exact=True).focus()
        draw_page.page.keyboard.press("Enter")
        expect(draw_page.answer).to_have_text(digit)


def test_every_sample_is_read(draw_page: DrawPage) -> None:
    draw_page.open()
    for digit in "0123456789":
        draw_page.button(digit)
        expect(draw_page.answer).to_have_text(digit)


def test_hurried_clicks_end_at_the_last(draw_page: DrawPage) -> None:
    draw_page.open()
    for digit in "0123456789":
        draw_page.button(digit)
    expect(draw_page.answer).to_have_text("9")


@with_and_without_the_lens
def test_hurried_strokes_are_undone_one_by_one(draw_page: DrawPage) -> None:
    draw_page.open()
    draw_page.stroke(SEVEN)
    draw_page.stroke(BAR)
    draw_page.stroke(ONE)
    draw_page.read(3)
    for left in (2, 1):
        draw_page.button("Undo")
        draw_page.read(left)


def test_a_drawing_survives_reload_page_turn_and_a_link(draw_page: DrawPage, browser: Browser) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    draw_page.stroke(BAR)
    draw_page.read(2)
    page.wait_for_url(re.compile("drawing="))
    page.reload()
    assert draw_page.read(2) == "7"
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("See how LeNet reads a digit")
    page.get_by_role("link", name="Draw").click()
    assert draw_page.read(2) == "7"
    page.wait_for_url(re.compile("drawing="))
    stranger = browser.new_context()
    other = DrawPage(stranger.new_page(), draw_page.url)
    other.page.goto(page.url)
    assert other.read(2) == "7"
    stranger.close()


def test_what_is_on_the_canvas_is_what_was_restored(draw_page: DrawPage) -> None:
    """After a reload the strokes are on the canvas itself, and can be drawn on."""
    page = draw_page.open().page
    draw_page.stroke(ONE)
    draw_page.read(1)
    page.wait_for_url(re.compile("drawing="))
    page.reload()
    draw_page.read(1)
    page.wait_for_function(_INK_ON_CANVAS)
    draw_page.stroke(BAR)
    draw_page.read(2)


_INK_ON_CANVAS = """() => {
  const find = root => root.querySelector('canvas.dc-canvas.lower-canvas')
    ?? [...root.querySelectorAll('*')].map(e => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
  const canvas = find(document);
  if (!canvas) return false;
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 == 0 && value > 200).length > 1000;
}"""


@with_and_without_the_lens
def test_damaged_links_open_an_empty_canvas(draw_page: DrawPage) -> None:
    for text in ("x", "eNo", "a" * 5000, "../../etc", "eJwDAAAAAAE", "%F0%9F%98%80"):
        draw_page.open(f"?drawing={text}&net=nobody")
        expect(draw_page.empty).to_be_visible()


@with_and_without_the_lens
def test_other_networks_answer_too(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    cards = page.locator(".lp-card")
    expect(cards.filter(has_text="LeNet-5, 1998").locator(".lp-card-digit")).to_have_text("7")
    expect(cards.filter(has_text="LeNet-5, tanh").locator(".lp-card-digit")).to_have_text("7")
    expect(cards.filter(has_text="sigmoid").locator(".lp-card-digit")).to_have_text("7")
    clothes = cards.filter(has_text="clothes").locator(".lp-card-word, .lp-card-digit")
    expect(clothes).not_to_have_text(re.compile(r"\d"))


@with_and_without_the_lens
def test_a_clothes_network_in_the_lead_says_clothes(draw_page: DrawPage) -> None:
    draw_page.open("?net=lenet-d2l-fashion")
    draw_page.stroke(SEVEN)
    assert not re.search(r"\d", draw_page.read(1))


@with_and_without_the_lens
def test_ten_probabilities_the_image_and_the_maps_are_shown(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    expect(page.get_by_role("group", name="Probability of each class").locator(".lens-bar")).to_have_count(10)
    seen = page.get_by_role("img", name="What the network sees: 28 x 28")
    assert seen.evaluate("image => [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height]") == [
        28,
        28,
    ]
    assert seen.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    expect(page.get_by_role("img", name=re.compile("^C1, feature map .*: mean"))).to_have_count(6)
    expect(page.get_by_role("img", name=re.compile("^C3, feature map .*: mean"))).to_have_count(16)


def test_the_canvas_has_a_name(draw_page: DrawPage) -> None:
    draw_page.open()
    expect(draw_page.page.get_by_role("img", name=re.compile("^Drawing area"))).to_be_visible()


def test_touch_draws(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone = DrawPage(context.new_page(), server.url).open()
    phone.canvas.scroll_into_view_if_needed()
    box = phone.canvas.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    session = context.new_cdp_session(phone.page)
    scale = box["width"] / 280
    points = [{"x": box["x"] + x * scale, "y": box["y"] + y * scale} for x, y in SEVEN[0]]
    scrolled = phone.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    for point in points[1:]:
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert phone.read(1) == "7"
    assert phone.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == scrolled
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


@with_and_without_the_lens
def test_a_pen_draws(draw_page: DrawPage) -> None:
    draw_page.open()
    box = draw_page.canvas.bounding_box()
    assert box is not None
    session = draw_page.page.context.new_cdp_session(draw_page.page)
    scale = box["width"] / 280
    points = [{"x": box["x"] + x * scale, "y": box["y"] + y * scale} for x, y in SEVEN[0]]
    pen = {"button": "left", "pointerType": "pen", "clickCount": 1}
    session.send("Input.dispatchMouseEvent", {"type": "mousePressed", "buttons": 1, **points[0], **pen})
    for point in points[1:]:
        session.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "buttons": 1, **point, **pen})
    session.send("Input.dispatchMouseEvent", {"type": "mouseReleased", "buttons": 0, **points[-1], **pen})
    assert draw_page.read(1) == "7"


def test_two_visitors_do_not_see_each_other(draw_page: DrawPage, browser: Browser) -> None:
    draw_page.open()
    context = browser.new_context()
    other = DrawPage(context.new_page(), draw_page.url).open()
    draw_page.stroke(SEVEN)
    other.stroke(ONE)
    assert (draw_page.read(1), other.read(1)) == ("7", "1")
    context.close()


@with_and_without_the_lens
def test_double_clicks_harm_nothing(draw_page: DrawPage) -> None:
    draw_page.open()
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    draw_page.page.get_by_role("button", name="Clear").dblclick()
    expect(draw_page.empty).to_be_visible()
    draw_page.stroke(SEVEN)
    assert draw_page.read(1) == "7"


def test_no_error_reaches_the_console(page: Page, server: Server) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    drawing = DrawPage(page, server.url).open()
    drawing.stroke(SEVEN)
    drawing.read(1)
    assert errors == []
