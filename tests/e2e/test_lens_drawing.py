"""The live lens's way from the pen to the network's pixels, in a real browser, against the server's own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from torch.nn import functional as F

from lenet_core.data import load
from lenet_core.errors import EmptyDrawingError
from lenet_core.preprocess import Digit, digit_of_ink
from lenet_core.steps import STEPS
from lenet_core.strokes import Strokes, ink_without, to_link
from tests.e2e.conftest import DrawPage
from tests.e2e.lens import FOLDER, lens_module, packed, unpacked
from tests.pens import CANVAS, pen_digits

# As ui/canvas.py has them, which can be imported only where Streamlit runs.
SIZE, PEN, MIN_EXTENT = 336, 22, 33.6
SETTINGS = {"size": SIZE, "pen": PEN, "minExtent": MIN_EXTENT}
TO_DIGITS = """([drawings, settings, without]) => drawings.map((strokes) => {
  const steps = new Set(without);
  const ink = inkOf(strokes, { ...settings, without: steps });
  if (!ink) return null;
  const { image, box, fitted, centre } = toDigit(ink, steps);
  const { width, height, values } = fitted;
  const fed = asFed(image, steps);
  const inked = ink.reduce((one, other) => one + other);
  return { image: base64Of(image), box, width, height, fitted: base64Of(values), centre, fed: base64Of(fed), inked };
})"""
LEFT_OUT = [(), *((name,) for name in STEPS), ("crop", "antialias"), ("width", "fit", "centre", "polarity")]


@pytest.fixture(scope="module")
def lens(browser: Browser) -> Iterator[Page]:
    """A blank page with the lens's preprocessing."""
    page = browser.new_page()
    yield lens_module(page, "inkOf", "toDigit", "asFed", "distorted", "NEUTRAL", "smoothed")
    page.close()


def digit_of(strokes: Strokes, without: tuple[str, ...] = ()) -> Digit | None:
    """The digit as the server makes it (ui/drawn.py)."""
    try:
        inked = ink_without(strokes, without, size=SIZE, pen=PEN, min_extent=MIN_EXTENT)
        return digit_of_ink((inked / 255).astype(np.float32), without)
    except EmptyDrawingError:
        return None


def agree(seen: Any, digit: Digit | None, without: tuple[str, ...] = ()) -> int:
    """How many pixels differ; fails unless the browser made of a drawing what the server makes of it."""
    assert (seen is None) == (digit is None)
    if digit is None:
        return 0
    assert seen["inked"] == np.count_nonzero(digit.ink)
    assert tuple(seen["box"]) == digit.box
    fitted = unpacked(seen["fitted"]).reshape(seen["height"], seen["width"])
    np.testing.assert_allclose(fitted, digit.fitted, atol=1e-5)
    np.testing.assert_allclose(seen["centre"], digit.centre_of_mass, atol=1e-4)
    image = unpacked(seen["image"], np.uint8).reshape(28, 28)
    assert abs(image.astype(int) - digit.image).max() <= 2
    fed = image.astype(np.float32) / np.float32(1 if "scale" in without else 255)
    assert np.array_equal(unpacked(seen["fed"]).reshape(28, 28), fed)
    return np.count_nonzero(image != digit.image)


def pen_drawings(count: int) -> list[list[list[tuple[float, float]]]]:
    """Real pen drawings in canvas pixels."""
    scale = SIZE / CANVAS
    return [[[(x * scale, y * scale) for x, y in path] for path in digit.strokes] for digit in pen_digits()[:count]]


@pytest.mark.parametrize("without", LEFT_OUT, ids=lambda names: "-".join(names) or "all steps")
def test_real_pen_drawings_become_the_same_image(lens: Page, without: tuple[str, ...]) -> None:
    drawings = pen_drawings(300)
    found = zip(drawings, lens.evaluate(TO_DIGITS, [drawings, SETTINGS, without]), strict=True)
    differing = [agree(seen, digit_of(strokes, without), without) for strokes, seen in found]
    print(f"without {', '.join(without) or 'nothing'}: {sum(differing)} pixels differ in {len(differing)} drawings")


def line(*points: tuple[float, float]) -> list[tuple[float, float]]:
    return list(points)


_DRAWINGS: dict[str, Strokes] = {
    "nothing": [],
    "a stroke of no points": [[]],
    "a dot": [line((100, 100))],
    "too small": [line((100, 100), (120, 133))],
    "just large enough": [line((100, 100), (100, 134))],
    "an upright": [line((168.5, 40), (168.5, 300))],  # its centre of mass lies half-way between two pixels
    "a level": [line((40, 100), (301, 100))],
    "a slope with a dot": [line((40, 300), (300, 41)), line((60.25, 60.75))],
    "over the edge": [line((-60, 100), (200, 500)), line((300, -20), (420.5, 180))],
    "beside the canvas": [line((400, 400), (500, 700))],
    "far away": [line((10, 10), (90_000, 50))],
}


@pytest.mark.parametrize("without", [(), ("crop",), ("width",), ("crop", "antialias")], ids="-".join)
@pytest.mark.parametrize("name", _DRAWINGS)
def test_odd_drawings_become_the_same_image_or_none(lens: Page, name: str, without: tuple[str, ...]) -> None:
    strokes = _DRAWINGS[name]
    [seen] = lens.evaluate(TO_DIGITS, [[strokes], SETTINGS, without])
    agree(seen, digit_of(strokes, without), without)


@pytest.mark.parametrize("without", [(), ("crop",), ("width",)], ids="-".join)
def test_a_scribble_of_5000_points_becomes_the_same_image(lens: Page, without: tuple[str, ...]) -> None:
    places = random.Random(3)
    strokes = [[(places.uniform(-20, 356), places.uniform(-20, 356)) for _ in range(5_000)]]
    [seen] = lens.evaluate(TO_DIGITS, [[strokes], SETTINGS, without])
    agree(seen, digit_of(strokes, without), without)


@pytest.mark.parametrize("without", [(), ("antialias",), ("fit",), ("fit", "antialias")], ids="-".join)
def test_ink_of_any_size_is_fitted_as_pillow_does_it(lens: Page, without: tuple[str, ...]) -> None:
    randomness = np.random.default_rng(5)
    fields = []
    for longest in (3, 12, 19, 20, 21, 45, 280) * 8:
        height, width = (int(randomness.integers(1, longest + 1)) for _ in range(2))
        top, left = (int(randomness.integers(0, 281 - side)) for side in (height, width))
        field = np.zeros((280, 280), np.uint8)
        field[top : top + height, left : left + width] = randomness.random((height, width)) < 0.6
        field[top, left] = 1
        fields.append(field)
    for field in fields:
        seen = lens.evaluate(
            """([text, without]) => {
              const { image, fitted } = toDigit(typedOf(text, Uint8Array), new Set(without));
              return { image: base64Of(image), fitted: base64Of(fitted.values) };
            }""",
            [packed(field), without],
        )
        digit = digit_of_ink(field.astype(np.float32), without)
        assert np.array_equal(unpacked(seen["fitted"]), digit.fitted.ravel())
        assert np.array_equal(unpacked(seen["image"], np.uint8), digit.image.ravel())


def test_a_thicker_pen_leaves_more_ink(lens: Page) -> None:
    [strokes] = pen_drawings(1)
    count = """([strokes, settings, thickness]) =>
      inkOf(strokes, { ...settings, thickness, without: new Set() }).reduce((a, b) => a + b)"""
    inked = [lens.evaluate(count, [strokes, SETTINGS, thickness]) for thickness in (0.3, 1, 3)]
    assert inked[1] == np.count_nonzero(digit_of(strokes).ink)  # type: ignore[union-attr]
    assert inked[0] < 0.5 * inked[1] < inked[1] < 0.7 * inked[2]


@pytest.fixture(scope="module")
def seven() -> NDArray[np.float32]:
    """A 7 as a network gets it, (28, 28)."""
    digits = load("mnist-5k", train=True)
    return (digits.images[digits.labels == 7][0, 0].numpy() / 255).astype(np.float32)


def changed(lens: Page, image: NDArray[np.float32], **change: float) -> NDArray[np.float32]:
    """The image as the browser distorts it."""
    script = "([text, change]) => base64Of(distorted(typedOf(text, Float32Array), { ...NEUTRAL, ...change }))"
    return unpacked(lens.evaluate(script, [packed(image), change])).reshape(28, 28)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation": 30}, {"rotation": -75.5}, {"rotation": 180}, {"across": 3}, {"down": -4.25}, {"scale": 0.4},
        {"scale": 1.8}, {"shear": 0.7}, {"shear": -1}, {"across": -9.5, "down": 10},
        {"rotation": 20, "across": 2.5, "down": -1, "scale": 1.3, "shear": -0.4},
    ],
)  # fmt: skip
def test_an_image_is_distorted_as_pytorch_does_it(
    lens: Page, seven: NDArray[np.float32], change: dict[str, float]
) -> None:
    given = {"rotation": 0.0, "across": 0.0, "down": 0.0, "scale": 1.0, "shear": 0.0} | change
    angle = np.radians(given["rotation"])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = np.linalg.inv(given["scale"] * np.array([[1, -given["shear"]], [0, 1]]) @ turn)
    shift = back @ [given["across"], given["down"]] * 2 / 28
    theta = torch.tensor(np.column_stack([back, -shift]), dtype=torch.float32)[None]
    grid = F.affine_grid(theta, [1, 1, 28, 28], align_corners=False)
    wanted = F.grid_sample(torch.from_numpy(seven)[None, None], grid, align_corners=False)[0, 0]
    np.testing.assert_allclose(changed(lens, seven, **change), wanted.numpy(), atol=1e-4)


def middle(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """The centre of mass, (row, column)."""
    return np.array([(place * image).sum() / image.sum() for place in np.indices(image.shape)])


def test_each_change_goes_the_way_its_name_says(lens: Page, seven: NDArray[np.float32]) -> None:
    small = changed(lens, seven, scale=0.5)  # so that nothing leaves the field
    assert small.sum() < 0.5 * seven.sum()
    np.testing.assert_allclose(middle(changed(lens, small, across=3)) - middle(small), [0, 3], atol=0.01)
    np.testing.assert_allclose(middle(changed(lens, small, down=2)) - middle(small), [2, 0], atol=0.01)
    np.testing.assert_allclose(changed(lens, seven, rotation=90), np.rot90(seven, -1), atol=1e-5)  # clockwise
    leaning = changed(lens, small, shear=0.5)
    assert middle(leaning[:14])[1] > middle(small[:14])[1] + 0.5
    assert middle(leaning[14:])[1] < middle(small[14:])[1] - 0.5


def test_a_neutral_change_changes_nothing(lens: Page, seven: NDArray[np.float32]) -> None:
    assert np.array_equal(changed(lens, seven), seven)


def test_noise_is_the_same_picture_every_time_and_as_strong_as_asked(lens: Page) -> None:
    grey = np.full((28, 28), 0.5, np.float32)
    weak, strong = changed(lens, grey, noise=0.05) - grey, changed(lens, grey, noise=0.1) - grey
    np.testing.assert_allclose(strong, 2 * weak, atol=1e-6)
    assert abs(weak.mean()) < 0.005
    assert 0.045 < weak.std() < 0.055
    stronger = changed(lens, grey, noise=3)
    assert stronger.min() == 0
    assert stronger.max() == 1


# A canvas as the drawing component has it, shown at half its size: a lower one with the ink, an upper one for the pen.
_CANVAS = """() => {
  document.body.replaceChildren(Object.assign(document.createElement("section"), { id: "host" }));
  const root = document.querySelector("#host").attachShadow({ mode: "open" });
  window.mount = () => {
    root.innerHTML = `<div style="position: absolute; left: 40.5px; top: 30px">
      <canvas class="lower-canvas" width="336" height="336" style="position: absolute; width: 168px"></canvas>
      <canvas class="upper-canvas" width="336" height="336" style="position: absolute; width: 168px;
        touch-action: none"></canvas></div>`;
    window.context = root.querySelector(".lower-canvas").getContext("2d");
    context.fillRect(0, 0, 336, 336);
  };
  window.inkStroke = (points) => {
    Object.assign(context, { strokeStyle: "white", lineWidth: 22, lineCap: "round" });
    context.beginPath();
    points.forEach((point) => context.lineTo(...point));
    context.stroke();
  };
  mount();
  window.told = 0;
  window.pen = new Pen(() => (told += 1));
  pen.start();
}"""


class PenPage:
    """A page with a canvas of the drawing component's kind, and the lens's pen."""

    def __init__(self, page: Page) -> None:
        self.page = lens_module(page, "Pen", "smoothed")
        page.evaluate(_CANVAS)
        self.touches = page.context.new_cdp_session(page)

    def strokes(self) -> list[list[list[float]]]:
        return list(self.page.evaluate("pen.strokes"))

    def told(self) -> int:
        return int(self.page.evaluate("told"))

    def is_down(self) -> bool:
        return bool(self.page.evaluate("pen.isDown"))

    def smoothed(self, points: list[tuple[float, float]]) -> list[list[float]]:
        return list(self.page.evaluate("(points) => smoothed(points)", points))

    def know(self, strokes: Any) -> None:
        """What comes from the server."""
        self.page.evaluate("(strokes) => pen.know(strokes, 336)", strokes)

    def mouse(self, *places: tuple[float, float], button: Any = "left", up: bool = True) -> None:
        """A stroke by mouse, in the window's pixels."""
        mouse = self.page.mouse
        mouse.move(*places[0])
        mouse.down(button=button)
        for place in places[1:]:
            mouse.move(*place)
        if up:
            mouse.up(button=button)

    def touch(self, kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(fingers)]
        self.touches.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


@pytest.fixture
def pen(page: Page) -> PenPage:
    """A page with a canvas and nothing drawn."""
    return PenPage(page)


def on_canvas(*places: tuple[float, float]) -> list[tuple[float, float]]:
    """Where the mouse's places in the window lie on the canvas."""
    return [((x - 40.5) * 2, (y - 30) * 2) for x, y in places]


def test_the_pen_gives_the_stroke_under_way_and_keeps_it(pen: PenPage) -> None:
    way = [(60.0, 50.0), (80.0, 90.0), (100.0, 100.0)]
    pen.mouse(*way, up=False)
    assert pen.is_down()
    assert pen.strokes() == [pen.smoothed(on_canvas(*way))]
    assert pen.told() == 3
    pen.page.mouse.up()
    assert not pen.is_down()
    assert pen.strokes() == [pen.smoothed(on_canvas(*way))]
    pen.page.mouse.move(120, 120)  # the pen is up
    assert pen.told() == 4
    pen.mouse((60, 100), (300, 400))  # over the canvas's edge
    assert len(pen.strokes()) == 2
    np.testing.assert_allclose(pen.strokes()[1][-1], on_canvas((300, 400))[0], atol=0.1)


def test_a_click_is_a_dot(pen: PenPage) -> None:
    pen.mouse((60, 50))
    [[(x0, y0), (x1, y1)]] = pen.strokes()
    assert (y0, y1) == (40, 40)
    assert x0 < 39 < x1 < x0 + 0.1


def test_a_line_drawn_with_shift_is_straight(pen: PenPage) -> None:
    pen.page.keyboard.down("Shift")
    pen.mouse((60, 50), (70, 90), (75, 95), (90, 100), (100, 60))
    assert pen.strokes() == [pen.smoothed(on_canvas((60, 50), (100, 60)))]


def test_other_buttons_and_other_places_draw_nothing(pen: PenPage) -> None:
    pen.mouse((60, 50), (80, 90), button="right")
    pen.mouse((10, 10), (80, 90))  # begins beside the canvas
    assert pen.strokes() == []
    assert pen.told() == 0


def test_a_second_finger_draws_nothing(pen: PenPage) -> None:
    pen.touch("Start", (60, 50))
    pen.touch("Move", (90, 90))
    pen.touch("Start", (90, 90), (150, 50))
    pen.touch("Move", (90, 90), (150, 150))
    pen.touch("Move", (110, 120), (150, 160))
    pen.touch("End")
    [stroke] = pen.strokes()
    np.testing.assert_allclose(stroke[0], on_canvas((60, 50))[0], atol=0.1)
    np.testing.assert_allclose(stroke[-1], on_canvas((110, 120))[0], atol=0.1)
    assert max(stroke) == stroke[-1]  # it never went over to the other finger


def test_a_cancelled_stroke_is_dropped(pen: PenPage) -> None:
    pen.touch("Start", (60, 50))
    pen.touch("Move", (90, 90))
    assert pen.is_down()
    pen.touch("Cancel")
    assert not pen.is_down()
    assert pen.strokes() == []


def test_what_the_server_sends_back_takes_the_strokes_place(pen: PenPage) -> None:
    pen.mouse((60, 50), (80, 90))
    pen.mouse((100, 50), (100, 90))
    first, second = pen.strokes()
    pen.page.evaluate("(strokes) => strokes.forEach(inkStroke)", [first, second])
    echoed = [[x + 0.5, y - 0.5] for x, y in first]  # as out of a link, a little moved
    pen.know([echoed])
    assert pen.strokes() == [echoed, second]
    pen.know([echoed, second])
    assert pen.strokes() == [echoed, second]
    pen.know([])  # and an undo later on takes them away
    assert pen.strokes() == []


def test_the_same_stroke_drawn_twice_is_kept_twice(pen: PenPage) -> None:
    pen.mouse((60, 50), (80, 90))
    pen.mouse((60, 50), (80, 90))
    first, second = pen.strokes()
    pen.page.evaluate("(points) => inkStroke(points)", first)
    pen.know([first])
    assert pen.strokes() == [first, second]


def test_a_stroke_undone_before_the_server_knew_it_is_dropped(pen: PenPage) -> None:
    pen.mouse((60, 50), (80, 90))
    pen.mouse((100, 50), (100, 90))
    first, second = pen.strokes()
    pen.page.evaluate("(strokes) => strokes.forEach(inkStroke)", [first, second])
    pen.page.wait_for_timeout(200)
    pen.know([])
    assert pen.strokes() == [first, second]
    told = pen.told()
    pen.page.evaluate("(points) => { context.fillRect(0, 0, 336, 336); inkStroke(points); }", first)
    pen.page.wait_for_function("pen.strokes.length === 1")  # the canvas followed after the server had spoken
    assert pen.strokes() == [first]
    assert pen.told() == told + 1


def test_a_stroke_that_the_canvas_is_yet_to_paint_is_kept(pen: PenPage) -> None:
    pen.mouse((60, 50), (80, 90))
    strokes = pen.page.evaluate("() => { pen.know([]); return pen.strokes; }")
    assert len(strokes) == 1


def test_a_canvas_that_leaves_takes_its_strokes_along_and_the_next_one_is_drawn_on(pen: PenPage) -> None:
    pen.mouse((60, 50), (80, 90))
    pen.page.evaluate("inkStroke(pen.strokes[0])")
    pen.page.wait_for_timeout(200)
    pen.mouse((60, 50), (80, 90), up=False)
    pen.page.evaluate("mount()")
    pen.know([])
    assert not pen.is_down()
    assert pen.strokes() == []
    pen.page.mouse.up()
    pen.mouse((70, 60), (90, 95))
    assert pen.strokes() == [pen.smoothed(on_canvas((70, 60), (90, 95)))]


def test_a_stopped_pen_hears_nothing(pen: PenPage) -> None:
    pen.page.evaluate("pen.stop()")
    pen.mouse((60, 50), (80, 90))
    assert pen.strokes() == []


@pytest.mark.parametrize("hand", ["mouse", "finger"])
def test_the_server_gets_the_strokes_that_the_pen_foretold(draw_page: DrawPage, hand: str) -> None:
    page = draw_page.page
    page.goto(f"{draw_page.url}/draw")
    draw_page.canvas.wait_for()
    text = "\n".join((FOLDER / name).read_text() for name in ("strokes.js", "pen.js"))
    page.evaluate(
        """async (text) => {
          const { Pen } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
          window.pen = new Pen(() => {});
          pen.start();
        }""",
        f"{text}\nexport {{ Pen }};",
    )
    strokes = pen_digits()[4].strokes
    if hand == "mouse":
        draw_page.stroke(strokes)
    else:
        draw_by_finger(draw_page, strokes)
    link = to_link(page.evaluate("pen.strokes"), SIZE)
    page.wait_for_function("(link) => new URL(location).searchParams.get('drawing') === link", arg=link)


def draw_by_finger(draw_page: DrawPage, strokes: Strokes) -> None:
    touches = draw_page.page.context.new_cdp_session(draw_page.page)
    box = draw_page.canvas.bounding_box()
    assert box is not None
    scale = box["width"] / CANVAS
    for stroke in strokes:
        for index, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * scale, "y": box["y"] + y * scale}
            kind = "touchMove" if index else "touchStart"
            touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
