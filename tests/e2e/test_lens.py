"""The live lens on the Draw page: what moves with the pen, what travels, and what happens where it cannot run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import Checkpoint, save_checkpoint
from lenet_core.layers import build
from lenet_core.portable import too_large
from lenet_core.presets import preset
from tests.conftest import Server
from tests.e2e.conftest import DrawPage
from tests.e2e.test_draw import BAR, ONE, SEVEN
from tests.pens import CANVAS, pen_digits

# All that is shown of an answer: the words, the bars, and the pixels of each canvas.
_SHOWN = """root => {
  const pixels = canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.join();
  return {
    answer: root.querySelector(".lens-verdict").textContent,
    bars: [...root.querySelectorAll(".lens-track > i")].map(bar => bar.style.width),
    image: pixels(root.querySelector(".lens-image canvas")),
    layers: [...root.querySelectorAll(".lens-layer")].map(layer => [...layer.querySelectorAll("canvas")].map(pixels)),
  };
}"""


def shown(page: Page) -> dict[str, Any]:
    """What the lens shows now."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found: dict[str, Any] = page.locator(".lens.answer").evaluate(_SHOWN)
    return found


def places(draw_page: DrawPage, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of a 280 x 280 field on the page."""
    box = draw_page.canvas.bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"] / CANVAS, box["y"] + y * box["width"] / CANVAS) for x, y in points]


def bars(page: Page, owner: str) -> list[float]:
    """The ten probabilities in percent as the bars are long, in the lens or in the server's answer."""
    found = page.locator(f"{owner} .lens-track > i").evaluate_all(
        "bars => bars.map(bar => parseFloat(bar.style.width))"
    )
    assert len(found) == 10
    return [float(width) for width in found]


def test_everything_moves_with_the_pen(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    points = places(draw_page, SEVEN[0])
    page.mouse.move(*points[0])
    page.mouse.down()
    seen = []
    for point in points[2:]:
        page.mouse.move(*point)
        seen.append(shown(page))
    expect(draw_page.answer).to_have_attribute("data-strokes", "1")
    expect(draw_page.answer).to_have_attribute("data-settled", "false")
    expect(page.get_by_test_id("answer-by-server")).to_have_count(0)  # which has not heard of it
    for before, after in zip(seen[1:], seen, strict=False):
        assert before["bars"] != after["bars"]
        assert before["image"] != after["image"]
        assert all(one != other for one, other in zip(before["layers"], after["layers"], strict=True))
    assert [len(layer) for layer in seen[-1]["layers"]] == [6, 16]
    page.mouse.up()
    assert draw_page.read(1) == "7"


@pytest.mark.parametrize("network", ["lenet-modern", "lenet5-1998", "lenet5-tanh", "lenet-d2l-fashion"])
def test_the_lens_says_what_the_server_says(draw_page: DrawPage, pen_strokes: Path, network: str) -> None:
    page = draw_page.open(f"?net={network}").page
    for digit in pen_digits()[:4]:
        draw_page.stroke(digit.strokes)
        answer = draw_page.read(len(digit.strokes))
        by_server = page.get_by_test_id("answer-by-server")
        expect(by_server).to_have_attribute("data-strokes", str(len(digit.strokes)))
        expect(by_server).to_be_hidden()
        assert by_server.text_content() == answer
        assert bars(page, ".lens.answer") == pytest.approx(bars(page, ".st-key-by_server"), abs=0.1)
        draw_page.button("Clear")
        expect(draw_page.empty).to_be_visible()


def test_nothing_jumps_when_an_answer_comes(draw_page: DrawPage) -> None:
    page = draw_page.open().page

    def boxes() -> list[Any]:
        found = page.locator(".lens.answer :is(.lens-answer, .lens-bars, .lens-image, .lens-maps)").all()
        return [one.bounding_box() for one in [*found, page.get_by_text("From your pen to the network's pixels")]]

    before = boxes()
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    assert boxes() == before
    assert max(box["y"] + box["height"] for box in before[:-1]) <= 768


def test_the_servers_answer_has_the_same_places(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    measure = """owner => [...document.querySelectorAll("*")].flatMap(element => element.shadowRoot ?? [])
      .concat(document).flatMap(root => [...root.querySelectorAll(owner)])
      .flatMap(root => [...root.querySelectorAll(".lens-answer, .lens-bars, .lens-image, .lens-maps")])
      .map(one => one.getBoundingClientRect()).map(({ x, y, width, height }) => [x, y, width, height])"""
    expect(page.get_by_test_id("answer-by-server")).to_have_attribute("data-strokes", "1")
    alive = page.evaluate(measure, ".lens.answer")
    page.evaluate("delete document.body.dataset.lens")
    by_server = page.evaluate(measure, ".st-key-by_server .lens")
    assert len(alive) == 5
    assert by_server == [pytest.approx(one, abs=1.5) for one in alive]


def received(page: Page) -> list[int]:
    """The sizes in bytes of what the server will send from now on."""
    sizes: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sizes.append(len(frame))))
    return sizes


def choose(page: Page, network: str) -> None:
    """Lets another network answer."""
    page.get_by_role("combobox", name="Answered by").click()
    page.get_by_role("option", name=network).click()
    expect(page.get_by_role("combobox", name="Answered by")).to_have_value(re.compile(re.escape(network)))


def test_weights_travel_once_and_a_stroke_costs_little(draw_page: DrawPage) -> None:
    page = draw_page.page
    sizes = received(page)
    draw_page.open()
    assert max(sizes) > 320_000  # 61,706 weights in base64
    for count in (1, 2):
        sizes.clear()
        draw_page.stroke([SEVEN[0], BAR[0]][count - 1 : count])
        draw_page.read(count)
        page.wait_for_timeout(500)
        assert 1_000 < sum(sizes) < 80_000
    for network, least, most in (
        ("LeNet-5, tanh", 320_000, 500_000), ("Modern LeNet", 1_000, 80_000), ("LeNet-5, tanh", 1_000, 80_000),
    ):  # fmt: skip
        sizes.clear()
        choose(page, network)
        page.wait_for_timeout(1000)
        assert least < sum(sizes) < most, network


def test_another_network_answers_at_once(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    first = shown(page)
    choose(page, "LeNet-5, 1998")
    expect(page.get_by_role("img", name="What the network sees: 32 x 32")).to_be_visible()
    assert draw_page.read(1) == "7"
    assert shown(page)["bars"] != first["bars"]
    choose(page, "Textbook LeNet on clothes")
    expect(draw_page.answer).to_have_text(re.compile("[a-z]"))
    expect(page.locator("body[data-lens=alive]")).to_have_count(1)


def test_a_lens_that_lacks_a_network_asks_for_it(draw_page: DrawPage) -> None:
    """Streamlit drops messages that newer ones overtake; here the browser loses one for it."""
    page = draw_page.page
    page.add_init_script("""const parse = JSON.parse;
      JSON.parse = (text, ...rest) => {
        const value = parse(text, ...rest);
        if (value?.view === "answer" && value.turn < 4) delete value.networks[0].description;
        return value;
      };""")
    draw_page.open()
    draw_page.stroke(ONE)
    assert draw_page.read(1) == "1"


def save_own(server: Server, name: str, arch: Architecture, classes: str = "0123456789") -> None:
    """Puts an untrained network among the visitor's own."""
    folder = server.data / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder / "model.safetensors", Checkpoint(arch, build(arch, seed=0).eval(), tuple(classes)))


def test_a_network_that_is_too_large_is_left_to_the_server(page: Page, server: Server) -> None:
    arch = preset("lenet-modern", input_size=128)
    assert too_large(arch)
    save_own(server, "large", arch)
    drawing = DrawPage(page, server.url, lens=False)
    drawing.open("?net=own/large")
    expect(page.get_by_test_id("too-large")).to_contain_text(re.compile(r"too large .*[\d,]+.*limit"))
    drawing.stroke(SEVEN)
    drawing.read(1)
    expect(page.get_by_role("img", name="What the network sees: 128 x 128")).to_be_visible()


_ERRORS = {
    "painting": "CanvasRenderingContext2D.prototype.putImageData = () => { throw new Error('no paint'); }",
    "the network": "Float32Array.prototype.set = () => { throw new Error('no memory'); }",
    "the script": """const Whole = Blob;
      window.Blob = class extends Whole {
        constructor(parts, options) {
          super(String(parts[0]).includes("makeNetwork") ? ["throw new Error('no script')"] : parts, options);
        }
      };""",
    "the loader": """const Whole = Blob;
      window.Blob = class extends Whole {
        constructor(parts, options) {
          super(String(parts[0]).includes("lpLens") ? ["it is no script"] : parts, options);
        }
      };""",
}


@pytest.mark.parametrize("what", _ERRORS)
def test_where_the_lens_fails_the_server_answers(page: Page, server: Server, what: str) -> None:
    errors: list[ConsoleMessage] = []
    page.on("console", lambda message: errors.append(message) if "live lens" in message.text else None)
    page.add_init_script(_ERRORS[what])
    drawing = DrawPage(page, server.url)
    drawing.has_lens = False
    drawing.answer = page.get_by_test_id("answer-by-server")
    drawing.empty = page.get_by_test_id("empty-by-server")
    drawing.open()
    drawing.stroke(SEVEN)
    assert drawing.read(1) == "7"
    drawing.stroke(BAR)
    assert drawing.read(2) == "7"
    drawing.button("Undo")
    drawing.read(1)
    assert page.locator("body[data-lens]").count() == 0
    assert len(errors) == (1 if what in ("painting", "the network") else 0)
    assert not page.get_by_text("BidiComponent Error").filter(visible=True).count()


def test_a_lens_that_fails_later_gives_the_server_its_place(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    by_server = page.get_by_test_id("answer-by-server")
    expect(by_server).to_be_hidden()
    page.evaluate(f"() => {{ {_ERRORS['painting']} }}")
    draw_page.stroke(BAR)
    expect(by_server).to_be_visible()
    expect(by_server).to_have_attribute("data-strokes", "2")
    expect(draw_page.answer).to_be_hidden()


def test_it_lives_again_when_one_comes_back(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    draw_page.stroke(SEVEN)
    draw_page.read(1)
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("See how LeNet reads a digit")
    expect(page.locator("body[data-lens]")).to_have_count(0)
    page.get_by_role("link", name="Draw").click()
    draw_page.ready()
    assert draw_page.read(1) == "7"
    draw_page.stroke(BAR)
    assert draw_page.read(2) == "7"


def test_it_moves_under_a_finger_and_the_page_does_not(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone = DrawPage(context.new_page(), server.url).open()
    page = phone.page
    points = [{"x": x, "y": y} for x, y in places(phone, SEVEN[0])]
    top = "document.querySelector('[data-testid=stMain]').scrollTop"
    scrolled = page.evaluate(top)
    session = context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    seen = []
    for point in points[2:]:
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        seen.append(shown(page)["bars"])
        assert page.evaluate(top) == scrolled
    assert len({tuple(widths) for widths in seen}) == len(seen)
    box = phone.answer.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 844  # the answer is in sight of who draws
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert phone.read(1) == "7"
    context.close()


def test_the_answer_is_told_once_and_its_pictures_have_names(draw_page: DrawPage) -> None:
    page = draw_page.open().page
    status = page.locator(".lens.answer").get_by_role("status")
    expect(status).to_have_text("")
    points = places(draw_page, SEVEN[0])
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.wait_for_timeout(800)
    expect(status).to_have_text("")  # not while the pen is down
    page.mouse.up()
    expect(status).to_have_text(re.compile(r"^7, [\d.]+ %\. .+"))
    expect(page.get_by_role("img", name="What the network sees: 28 x 28")).to_be_visible()
    name = re.compile(r"^C1, feature map 5: mean [\d.]+, from [\d.]+ to [\d.]+$")
    expect(page.get_by_role("img", name=name)).to_be_visible()


def test_a_step_left_out_is_said_and_put_back(draw_page: DrawPage) -> None:
    page = draw_page.open("?without=polarity,crop").page
    draw_page.stroke(SEVEN, 0.5)
    draw_page.read(1)
    chips = page.get_by_test_id("left-out")
    expect(chips).to_have_text("without cropwithout polarity")
    assert bars(page, ".lens.answer") == pytest.approx(bars(page, ".st-key-by_server"), abs=0.1)
    before = shown(page)["image"]
    page.get_by_role("button", name="Put every step back").click()
    expect(chips).to_have_count(0)
    expect(draw_page.answer).to_have_text("7")
    assert shown(page)["image"] != before
    assert "without" not in page.url


def test_two_tabs_do_not_disturb_each_other(draw_page: DrawPage) -> None:
    draw_page.open()
    other = DrawPage(draw_page.page.context.new_page(), draw_page.url).open()
    draw_page.stroke(SEVEN)
    other.stroke(ONE)
    assert (draw_page.read(1), other.read(1)) == ("7", "1")
