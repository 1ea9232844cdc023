"""Turn it, shift it, thicken it, in a real browser: the numbers, the curves, mouse, keyboard, finger and link."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect
from torch.nn import functional as F

from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import fit_field
from lenet_core.library import bundled_checkpoints
from lenet_core.preprocess import to_digit
from lenet_core.presets import preset
from lenet_core.strokes import PEN, from_link, ink, to_link
from tests.conftest import Server
from tests.e2e.test_lens import save_own
from ui.sample_strokes import sample_strokes
from ui.turns import TURNS

SIZE = 336  # of the canvas
SEVEN = to_link(sample_strokes("7", SIZE), SIZE)
WIDE = 1000  # a plot's width in units of its own
TOP, BOTTOM = 5, 55  # of its height: 100 % and 0 %


class TurnsPage:
    """The section on the Draw page, with a 7 drawn."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.url = page, server.url
        self.root = page.locator(".lp-turns")
        self.answers = self.root.locator(".turn-answers li")
        self.back = self.root.get_by_role("button", name="Back to neutral")

    def open(self, query: str = "turned=neutral", drawing: str = SEVEN) -> TurnsPage:
        self.page.goto(f"{self.url}/draw?drawing={drawing}&{query}")
        return self.ready()

    def ready(self) -> TurnsPage:
        """Brings the section into sight, and waits until it has answers."""
        self.root.scroll_into_view_if_needed(timeout=30_000)
        expect(self.answers).to_have_count(2)  # the second network may arrive a little later
        return self

    def row(self, name: str) -> Locator:
        return self.root.locator(f'.turn-row[data-turn="{name}"]')

    def slider(self, name: str) -> Locator:
        return self.row(name).get_by_role("slider")

    def finished(self, name: str = "thickness") -> TurnsPage:
        """Waits until a row's curve is as fine as it gets."""
        expect(self.row(name)).to_have_class("turn-row", timeout=60_000)
        return self

    def chances(self) -> list[float]:
        """The probability of the answer that the curves follow, of each network."""
        return [float(chance) for chance in self.answers.evaluate_all("items => items.map(it => it.dataset.chance)")]

    def said(self) -> list[str]:
        return list(self.answers.evaluate_all("items => items.map(item => item.dataset.said)"))

    def curve(self, name: str, which: str = "lead") -> NDArray[np.float64]:
        """A curve's points (n, 2): the share of the slider's range, and the probability."""
        path = self.row(name).locator(f".turn-{which}:not(.turn-held)").get_attribute("d") or ""
        points = np.array([[float(number) for number in pair.split()] for pair in re.split("[ML]", path)[1:]])
        return np.stack([points[:, 0] / WIDE, (BOTTOM - points[:, 1]) / (BOTTOM - TOP)], axis=1)

    def at_slider(self, name: str, which: str = "lead") -> float:
        """The curve's probability above the slider's thumb."""
        turn = TURNS[name]
        share = (float(self.slider(name).input_value()) - turn.low) / (turn.high - turn.low)
        curve = self.curve(name, which)
        nearest = np.abs(curve[:, 0] - share).argmin()
        assert abs(curve[nearest, 0] - share) < 1e-3, "the curve has no point there"
        return float(curve[nearest, 1])

    def address(self, text: str) -> None:
        """Waits until the address says so of the sliders."""
        written = quote(text, safe="")
        self.page.wait_for_url(re.compile(f"[?&]turned=({re.escape(text)}|{re.escape(written)})(&|$)"))


@pytest.fixture
def turns_page(page: Page, server: Server) -> TurnsPage:
    return TurnsPage(page, server)


@pytest.fixture(scope="module")
def modern() -> Checkpoint:
    return load_checkpoint(bundled_checkpoints()["lenet-modern"])


def turned(values: Mapping[str, float]) -> NDArray[np.float32]:
    """The 7 so turned (28, 28), by PyTorch: the picture moves as the sliders say."""
    pen = PEN * values.get("thickness", 1)
    image = torch.from_numpy(to_digit(ink(from_link(SEVEN, SIZE), pen=pen)).image / 255).float()
    angle, scale = -math.radians(values.get("rotation", 0)), values.get("scale", 1)
    cos, sin, shear = math.cos(angle), math.sin(angle), values.get("shear", 0)
    matrix = torch.tensor([[cos, shear * cos - sin], [sin, shear * sin + cos]]) / scale
    shift = -matrix @ torch.tensor([values.get("across", 0.0), values.get("down", 0.0)]) * 2 / 28
    grid = F.affine_grid(torch.cat([matrix, shift[:, None]], dim=1)[None], [1, 1, 28, 28], align_corners=False)
    found: NDArray[np.float32] = F.grid_sample(image[None, None], grid, align_corners=False)[0, 0].numpy()
    return found


def chances_of(checkpoint: Checkpoint, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a network makes of an image of 0 to 1: its probabilities, by class."""
    pixels = fit_field(torch.from_numpy(image)[None, None], checkpoint.architecture.input_shape)
    with torch.inference_mode():
        found: NDArray[np.float32] = checkpoint.net(pixels).softmax(dim=1)[0].numpy()
    return found


@pytest.mark.parametrize(
    "values",
    [
        {"rotation": 40},
        {"rotation": -55, "scale": 0.7},
        {"across": 6.5, "down": -3},
        {"shear": 0.8, "scale": 1.4, "down": 2},
        {"thickness": 2.2, "rotation": 20},
        {"thickness": 0.4},
    ],
)
def test_the_numbers_are_pytorchs(turns_page: TurnsPage, values: dict[str, float]) -> None:
    link = ",".join(f"{name}:{value}" for name, value in values.items())
    turns_page.open(f"turned={link}&beside=lenet5-1998")
    picture = turns_page.root.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data]"
    )
    image = turned(values)
    assert np.abs(np.array(picture).reshape(28, 28, 4)[..., 0] - 255 * image).max() <= 1
    for chance, key in zip(turns_page.chances(), ("lenet-modern", "lenet5-1998"), strict=True):
        checkpoint = load_checkpoint(bundled_checkpoints()[key])
        assert abs(chance - chances_of(checkpoint, image)[7]) < 1e-4


def test_the_words_name_the_angle_at_which_pytorch_breaks_too(turns_page: TurnsPage, modern: Checkpoint) -> None:
    turns_page.open().finished("rotation")
    reads = {angle: int(chances_of(modern, turned({"rotation": angle})).argmax()) for angle in range(-90, 91)}
    below = next(angle for angle in range(0, -91, -1) if reads[angle] != 7)
    above = next(angle for angle in range(0, 91) if reads[angle] != 7)
    words = f"breaks at {below}° and {above}°".replace("-", "−")
    expect(turns_page.row("rotation").get_by_role("listitem").first).to_have_text(words)
    label = turns_page.row("rotation").get_by_role("img").get_attribute("aria-label") or ""
    assert re.match(r"Rotation: Modern LeNet stays above 50 % from −\d+ to \d+ degrees; breaks at", label)
    assert f"{above} degrees, reads {reads[above]}" in label


def test_noise_is_the_same_every_time_and_more_of_it_is_worse(turns_page: TurnsPage) -> None:
    turns_page.open("turned=noise:0.3")
    first = turns_page.chances()
    turns_page.open("turned=noise:0.3")
    assert turns_page.chances() == first
    turns_page.open("turned=noise:0.8")
    assert turns_page.chances()[0] < first[0]


def test_a_curve_goes_through_what_the_answer_says(turns_page: TurnsPage) -> None:
    turns_page.open("turned=rotation:40,thickness:1.5").finished()
    for name in TURNS:
        turns_page.finished(name)
        for chance, which in zip(turns_page.chances(), ("lead", "other"), strict=True):
            assert abs(turns_page.at_slider(name, which) - chance) < 2e-3, (name, which)
    turns_page.slider("rotation").press("End")  # its own curve stays, the others go through another point
    expect(turns_page.row("rotation").locator("output")).to_have_text("90°")
    turns_page.page.wait_for_timeout(200)
    for name in TURNS:
        turns_page.finished(name)
        assert abs(turns_page.at_slider(name) - turns_page.chances()[0]) < 2e-3, name


def test_a_quarter_turn_breaks_the_answer(turns_page: TurnsPage) -> None:
    turns_page.open()
    assert turns_page.said() == ["7", "7"]
    assert turns_page.chances()[0] > 0.9
    turns_page.slider("rotation").press("End")
    expect(turns_page.answers.first).to_have_class("broken")
    assert turns_page.chances()[0] < 0.1
    expect(turns_page.answers.first).to_contain_text("7: ")  # what became of the answer to the untouched drawing


def test_the_sliders_are_those_that_the_address_is_checked_against(turns_page: TurnsPage) -> None:
    turns_page.open()
    ranges = turns_page.root.get_by_role("slider").evaluate_all(
        "all => all.map(one => [one.closest('.turn-row').dataset.turn, +one.min, +one.max, +one.value])"
    )
    assert {name: tuple(rest) for name, *rest in ranges} == {
        name: (turn.low, turn.high, turn.neutral) for name, turn in TURNS.items()
    }


def test_the_keyboard_turns_and_a_reader_hears_the_unit(turns_page: TurnsPage) -> None:
    turns_page.open()
    slider = turns_page.page.get_by_role("slider", name="Rotation")
    slider.focus()
    for key, value in (("ArrowRight", "1"), ("ArrowLeft", "0"), ("End", "90"), ("Home", "−90")):
        turns_page.page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"{value} degrees")
    turns_page.page.keyboard.press("PageUp")
    assert -90 < float(slider.input_value()) < -60
    turns_page.row("rotation").get_by_role("button", name="Reset rotation").press("Enter")
    expect(slider).to_have_attribute("aria-valuetext", "0 degrees")
    expect(slider).to_be_focused()


def test_reload_link_and_back_bring_the_values_back(turns_page: TurnsPage) -> None:
    turns_page.open()
    turns_page.slider("rotation").press("End")
    turns_page.address("rotation:90")
    turns_page.slider("scale").press("Home")
    turns_page.address("rotation:90,scale:0.4")
    turns_page.page.reload()
    turns_page.ready()
    assert [turns_page.slider(name).input_value() for name in ("rotation", "scale")] == ["90", "0.4"]
    turns_page.page.go_back()
    turns_page.address("rotation:90")
    expect(turns_page.row("scale").locator("output")).to_have_text("1.00\u00a0×")
    turns_page.back.click()
    turns_page.address("neutral")
    expect(turns_page.row("rotation").locator("output")).to_have_text("0°")
    expect(turns_page.back).to_be_disabled()
    turns_page.page.wait_for_timeout(500)
    expect(turns_page.root).to_be_visible()  # it has not folded under the hand


def test_nothing_is_sent_until_the_slider_is_let_go(turns_page: TurnsPage) -> None:
    sent: list[Any] = []
    turns_page.page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))
    turns_page.page.on("request", lambda request: None if request.url.startswith("blob:") else sent.append(request))
    turns_page.open().finished()
    turns_page.page.wait_for_timeout(1500)  # what the page's start still sends
    box = turns_page.slider("rotation").bounding_box()
    assert box is not None
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    turns_page.page.mouse.move(middle, height)
    turns_page.page.mouse.down()
    sent.clear()
    chances = set()
    for step in range(20):
        turns_page.page.mouse.move(middle + step * box["width"] / 45, height)
        turns_page.page.wait_for_timeout(40)
        chances.add(turns_page.chances()[0])
    turns_page.page.wait_for_timeout(600)
    assert len(chances) > 10  # the answer went with the hand
    assert sent == []
    turns_page.page.mouse.up()
    turns_page.address(f"rotation:{turns_page.slider('rotation').input_value()}")
    assert sent


def test_two_networks_stand_beside_each_other_and_one_can_be_changed(turns_page: TurnsPage) -> None:
    turns_page.open().finished()
    expect(turns_page.answers).to_contain_text(["Modern LeNet", "LeNet-5, 1998"])
    before = turns_page.curve("noise", "other")
    box = turns_page.page.get_by_role("combobox", name="Beside it")
    box.click()
    turns_page.page.get_by_role("option", name=re.compile("^Textbook LeNet \\(")).click()
    expect(turns_page.answers).to_contain_text(["Modern LeNet", "Textbook LeNet"])
    turns_page.page.wait_for_timeout(300)
    turns_page.finished().finished("noise")
    assert not np.array_equal(turns_page.curve("noise", "other"), before)
    box.click()
    turns_page.page.get_by_role("option", name="No other").click()
    expect(turns_page.answers).to_have_count(1)


def test_a_network_that_knows_no_digits_is_followed_by_its_own_answer(turns_page: TurnsPage) -> None:
    turns_page.open("turned=neutral&beside=lenet-d2l-fashion").finished()
    own = turns_page.said()[1]
    assert not own.isdigit()
    expect(turns_page.root).to_contain_text(f"has no such class: its curve follows its own, {own}.")
    assert abs(turns_page.at_slider("rotation", "other") - turns_page.chances()[1]) < 2e-3
    expect(turns_page.answers.nth(1)).not_to_have_class("broken")


def test_a_network_without_class_names_is_not_taken_for_one_that_knows_the_lead_s(
    turns_page: TurnsPage, server: Server
) -> None:
    for name, classes in (("letters", "abcdefghij"), ("unnamed", "")):
        save_own(server, name, preset("lenet-modern"), classes)
    turns_page.open("turned=neutral&net=own/letters&beside=own/unnamed")
    lead, own = turns_page.said()
    assert (lead.isalpha(), own.isdigit()) == (True, True)
    expect(turns_page.root).to_contain_text(f"has no such class: its curve follows its own, {own}.")


def test_ink_that_leaves_the_picture_as_the_pen_gets_thinner_breaks_nothing(turns_page: TurnsPage) -> None:
    edge = to_link([[(SIZE, 150.0), (SIZE, 184.0)]], SIZE)
    turns_page.open("turned=thickness:0.3&without=crop", edge)
    picture = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 < 3)"
    assert not any(turns_page.root.locator("canvas").evaluate(picture))
    turns_page.slider("thickness").press("End")
    expect(turns_page.row("thickness").locator("output")).to_have_text("3.00\u00a0×")
    turns_page.page.wait_for_timeout(300)
    assert any(turns_page.root.locator("canvas").evaluate(picture))


def test_where_it_fails_the_answer_stays(turns_page: TurnsPage) -> None:
    page = turns_page.open().page
    page.evaluate("() => { SVGPathElement.prototype.setAttribute = () => { throw new Error('no path'); }; }")
    page.get_by_role("button", name="1", exact=True).click()
    expect(page.get_by_text("This part has stopped. Reload the page")).to_be_visible()
    expect(turns_page.root).to_have_count(0)
    expect(page.locator("body")).to_have_attribute("data-lens", "alive")
    expect(page.get_by_test_id("answer")).to_have_text("1")


def test_steps_left_out_hold_here_too(turns_page: TurnsPage) -> None:
    turns_page.open("turned=across:-8&without=polarity")
    corners = turns_page.root.locator("canvas").evaluate(
        "canvas => [[0, 0], [27, 14]].map(([x, y]) => canvas.getContext('2d').getImageData(x, y, 1, 1).data[0])"
    )
    assert corners == [255, 255]  # paper, also where the shift has brought it in


def test_nothing_is_computed_while_folded_or_while_the_pen_is_down(turns_page: TurnsPage) -> None:
    turns_page.page.goto(f"{turns_page.url}/draw?drawing={SEVEN}")
    turns_page.root.wait_for(state="attached", timeout=30_000)
    turns_page.page.wait_for_timeout(1000)
    curves = turns_page.root.locator("path.turn-lead[d]")
    expect(curves).to_have_count(0)
    turns_page.page.get_by_text("Turn it, shift it, thicken it").click()
    turns_page.ready().finished()
    before = turns_page.chances()
    canvas = turns_page.page.locator("canvas.upper-canvas")
    turns_page.page.set_viewport_size({"width": 1366, "height": 2000})
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    turns_page.page.mouse.move(box["x"] + 40, box["y"] + 300)
    turns_page.page.mouse.down()
    turns_page.page.mouse.move(box["x"] + 300, box["y"] + 300, steps=20)
    expect(turns_page.root).to_have_class(re.compile("waiting"))
    assert turns_page.chances() == before
    turns_page.page.mouse.up()
    expect(turns_page.root).not_to_have_class(re.compile("waiting"))
    expect(turns_page.answers.first).not_to_have_attribute("data-chance", str(before[0]))


def test_without_a_drawing_it_says_what_to_do(turns_page: TurnsPage) -> None:
    turns_page.page.goto(f"{turns_page.url}/draw?turned=neutral")
    turns_page.root.scroll_into_view_if_needed(timeout=30_000)
    expect(turns_page.root.get_by_text("Draw a digit, or place one")).to_be_visible()
    expect(turns_page.root.get_by_role("slider").first).to_be_hidden()
    turns_page.page.get_by_role("button", name="7", exact=True).click()
    turns_page.ready()
    assert turns_page.said()[0] == "7"


def test_a_finger_turns_on_a_phone(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = TurnsPage(context.new_page(), server).open().finished("rotation")
    slider = page.slider("rotation")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    assert box["height"] >= 24
    page.page.touchscreen.tap(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    expect(page.answers.first).to_have_class("broken")
    page.address(f"rotation:{slider.input_value()}")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    plot = page.row("rotation").locator(".turn-field").bounding_box()
    assert plot is not None
    assert plot["x"] + plot["width"] <= 390
    context.close()


def test_the_thumb_stands_under_its_point_of_the_curve(turns_page: TurnsPage) -> None:
    """A click at the middle of the thumb's own place leaves the slider where it is, at both ends and between."""
    turns_page.open()
    field = turns_page.row("rotation").locator(".turn-field").bounding_box()
    slider = turns_page.slider("rotation").bounding_box()
    assert field is not None
    assert slider is not None
    for angle in (-90, -45, 0, 30, 90):
        x = field["x"] + field["width"] * (angle + 90) / 180
        turns_page.page.mouse.click(x, slider["y"] + slider["height"] / 2)
        assert abs(float(turns_page.slider("rotation").input_value()) - angle) <= 1
    turns_page.page.mouse.click(field["x"] + field["width"] / 4, field["y"] + 30)  # on the plot itself
    assert abs(float(turns_page.slider("rotation").input_value()) + 45) <= 1
