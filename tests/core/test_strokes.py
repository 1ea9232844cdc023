"""Pen strokes: into a link and back, and inked so that small and large drawings look alike."""

from __future__ import annotations

import base64
import random
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import classify
from lenet_core.errors import EmptyDrawingError
from lenet_core.library import DEFAULT, bundled_checkpoints
from lenet_core.preprocess import to_digit
from lenet_core.strokes import (
    MAX_POINTS,
    MAX_STROKES,
    box_of,
    from_link,
    ink,
    ink_on_canvas,
    ink_without,
    rasterise,
    to_link,
)
from tests.pens import pen_digits, picture

Strokes = list[list[tuple[float, float]]]

SEVEN: Strokes = [[(60.0, 50.0), (200.0, 50.0), (110.0, 230.0)], [(100.0, 140.0), (190.0, 140.0)]]


def packed(data: bytes) -> str:
    """Bytes in a link's own wrapping."""
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


def far(point: tuple[float, float], stroke: list[tuple[float, float]]) -> float:
    """How far a point is from the stroke's nearest point, along the axis where it is farther."""
    return min(max(abs(point[0] - x), abs(point[1] - y)) for x, y in stroke)


# --- links -------------------------------------------------------------------------------------


def assert_round_trip(strokes: Strokes, size: int) -> None:
    again = from_link(to_link(strokes, size), size)
    assert len(again) == len(strokes)
    for stroke, other in zip(strokes, again, strict=True):
        assert max(far(point, other) for point in stroke) <= size / 100
        assert max(far(point, stroke) for point in other) <= size / 100
        assert far(stroke[0], other[:1]) <= size / 100  # drawn in the same direction
        assert far(stroke[-1], other[-1:]) <= size / 100


@pytest.mark.parametrize("size", [28, 280, 336, 1_000])
def test_a_link_keeps_strokes_within_a_hundredth_of_the_canvas(size: int) -> None:
    scaled = [[(x / 280 * size, y / 280 * size) for x, y in stroke] for stroke in SEVEN]
    assert_round_trip(scaled, size)


def test_a_link_keeps_real_pen_digits(pen_strokes: Path) -> None:
    for digit in pen_digits()[::10]:
        assert_round_trip(digit.strokes, 280)


def test_a_link_keeps_a_dot_and_points_at_the_rim() -> None:
    assert_round_trip([[(140.0, 140.0)], [(0.0, 0.0), (280.0, 280.0)], [(280.0, 0.0)]], 280)


def test_a_link_keeps_a_long_stroke_to_its_end() -> None:
    # Nine lines across the canvas, without lifting the pen: about eight canvas sides.
    stroke = []
    for line in range(9):
        across = range(20, 261, 4) if line % 2 == 0 else range(260, 19, -4)
        stroke += [(float(x), 20.0 + 30 * line) for x in across]
    again = from_link(to_link([stroke], 280), 280)
    points = [point for other in again for point in other]
    assert max(far(point, points) for point in stroke) <= 2.8


def test_every_link_that_is_written_can_be_read() -> None:
    random_ = random.Random(0)
    scribble = [[(random_.uniform(0, 280), random_.uniform(0, 280)) for _ in range(200)] for _ in range(40)]
    assert from_link(to_link(scribble, 280), 280) != []


def test_an_empty_stroke_does_not_spoil_a_link() -> None:
    assert len(from_link(to_link([[], *SEVEN], 280), 280)) == 2


def test_nothing_drawn_is_an_empty_list() -> None:
    assert from_link(to_link([], 280), 280) == []
    assert from_link("", 280) == []


def test_a_digits_link_is_short_and_safe_in_an_address(pen_strokes: Path) -> None:
    for digit in pen_digits()[::10]:
        link = to_link(digit.strokes, 280)
        assert len(link) < 700
        assert link.replace("-", "").replace("_", "").isalnum()
        assert link.isascii()


def test_points_outside_the_canvas_come_back_on_its_rim() -> None:
    assert from_link(to_link([[(-50.0, 140.0), (500.0, 140.0)]], 280), 280)[0][0][0] == 0
    assert from_link(to_link([[(-50.0, 140.0), (500.0, 140.0)]], 280), 280)[0][1][0] == 280


def test_a_truncated_link_gives_nothing() -> None:
    link = to_link(SEVEN, 280)
    assert [length for length in range(len(link)) if from_link(link[:length], 280)] == []


@pytest.mark.parametrize(
    "text",
    [
        "x", "hello world", "%%%%", "eJw", "ü" * 20, "\x00" * 8, "=" * 40, "A" * 1_000, "A" * 100_000,
        packed(b"\x05\x01"), packed(b"\x00"), packed(b"\x01\x10\x10\x00"), packed(b"\xff" * 100),
        base64.urlsafe_b64encode(b"\x01\x10\x10").decode(),
    ],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_garbage_gives_nothing(text: str) -> None:
    assert from_link(text, 280) == []


def test_random_bytes_give_nothing() -> None:
    random_ = random.Random(1)
    for _ in range(2_000):
        data = random_.randbytes(random_.randrange(1, 200))
        assert from_link(base64.urlsafe_b64encode(data).decode().rstrip("="), 280) == []


def test_a_damaged_link_gives_points_on_the_canvas_or_nothing() -> None:
    random_ = random.Random(2)
    link = to_link(SEVEN, 280)
    for _ in range(2_000):
        place = random_.randrange(len(link))
        damaged = link[:place] + chr(random_.randrange(32, 256)) + link[place + 1 :]
        for stroke in from_link(damaged, 280):
            assert all(0 <= x <= 280 and 0 <= y <= 280 for x, y in stroke)


@pytest.mark.parametrize("unit", [b"\x00", b"\x01\x00\x00", b"\xff" + bytes(510)], ids=["zeros", "dots", "strokes"])
def test_a_bomb_does_not_go_off(unit: bytes) -> None:
    # As much as fits into the longest link that is looked at, and a link longer than that.
    for size in (9_000_000, 30_000_000):
        bomb = packed(unit * (size // len(unit)))
        tracemalloc.start()
        strokes = from_link(bomb, 280)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3_000_000
        assert len(strokes) <= MAX_STROKES
        assert sum(map(len, strokes)) <= MAX_POINTS


# --- the pen -----------------------------------------------------------------------------------


def inked_columns(picture: NDArray[np.uint8]) -> dict[int, tuple[int, int]]:
    """The first and the last inked column of every inked row, between which all must be ink."""
    found = {}
    for row in np.flatnonzero(picture.any(axis=1)):
        first, last = np.flatnonzero(picture[row])[[0, -1]]
        assert (picture[row, first : last + 1] == 255).all()
        found[int(row)] = (int(first), int(last))
    return found


def test_a_dot_is_a_disc() -> None:
    # Half of the pen is 2.5: from its middle 2 pixels to each side, 2 in the rows beside, 1 (of 1.5) in the next.
    dot = rasterise([[(140.0, 60.0)]], 5)
    assert inked_columns(dot) == {58: (139, 141), 59: (138, 142), 60: (138, 142), 61: (138, 142), 62: (139, 141)}
    assert np.count_nonzero(rasterise([[(140.0, 140.0)]], 1)) == 1
    assert np.count_nonzero(rasterise([[(140.0, 140.0)]], 27).any(axis=1)) == 27


def test_a_line_is_a_disc_at_every_step() -> None:
    line = rasterise([[(100.0, 140.0), (180.0, 140.0)]], 5)
    assert inked_columns(line) == {138: (99, 181), 139: (98, 182), 140: (98, 182), 141: (98, 182), 142: (99, 181)}


def test_a_slanted_line_passes_the_pixels_that_arithmetic_says() -> None:
    # Four steps of (1, 0.5) from (10, 10): halves go down and to the right.
    rows, columns = np.nonzero(rasterise([[(10.0, 10.0), (14.0, 12.0)]], 1))
    assert list(zip(columns, rows, strict=True)) == [(10, 10), (11, 11), (12, 11), (13, 12), (14, 12)]


def scribbles(seed: int) -> Strokes:
    random_ = random.Random(seed)
    return [[(random_.uniform(-90, 370), random_.uniform(-90, 370)) for _ in range(12)] for _ in range(3)]


@pytest.mark.parametrize("pen", [1, 4, 18.5, 27])
def test_a_mirrored_drawing_gives_the_mirrored_picture(pen: float) -> None:
    plain = rasterise(scribbles(1), pen)
    assert np.array_equal(
        rasterise([[(279 - x, y) for x, y in stroke] for stroke in scribbles(1)], pen), plain[:, ::-1]
    )
    assert np.array_equal(rasterise([[(y, x) for x, y in stroke] for stroke in scribbles(1)], pen), plain.T)


@pytest.mark.parametrize("pen", [1, 4, 18.5, 27, 90])
def test_the_field_shows_what_a_larger_one_shows_there(pen: float) -> None:
    for seed in range(5):
        moved = [[(x + 150, y + 150) for x, y in stroke] for stroke in scribbles(seed)]
        assert np.array_equal(rasterise(scribbles(seed), pen), rasterise(moved, pen, 580)[150:430, 150:430])


def test_strokes_do_not_touch_each_other() -> None:
    apart = rasterise([[(50.0, 50.0)], [], [(200.0, 50.0)]], 9)
    assert np.count_nonzero(apart) == 2 * np.count_nonzero(rasterise([[(140.0, 140.0)]], 9))
    assert not rasterise([], 9).any()
    assert not rasterise([[(-50.0, 50.0), (-50.0, 200.0)]], 9).any()


# --- ink ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "right", "down"), [(0.1, 5, 200), (0.5, 100, 3), (3, -40, 77), (20, 0, 0)])
def test_size_and_place_of_a_drawing_do_not_change_its_picture(scale: float, right: float, down: float) -> None:
    moved = [[(x * scale + right, y * scale + down) for x, y in stroke] for stroke in SEVEN]
    plain, other = ink(SEVEN), ink(moved)
    assert np.mean(plain != other) < 0.002  # a rim pixel here and there


def test_ink_is_white_on_black_centred_and_200_pixels_long() -> None:
    picture = ink(SEVEN, pen=1)
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    assert picture.shape == (280, 280)
    assert picture.dtype == np.uint8
    assert set(np.unique(picture)) == {0, 255}
    # 180 high and 140 wide, so 200 and 156: 40 to 240, and 62 to 218.
    assert (rows[0], rows[-1]) == pytest.approx((40, 240), abs=1)
    assert (columns[0], columns[-1]) == pytest.approx((62, 218), abs=1)


def test_the_pen_is_as_wide_as_it_says() -> None:
    line = [[(140.0, 0.0), (140.0, 280.0)]]
    for pen in (9, 27):
        assert np.count_nonzero(ink(line, pen=pen)[140]) == pytest.approx(pen, abs=1)


def test_a_stroke_ends_round() -> None:
    line = rasterise([[(140.0, 100.0), (140.0, 180.0)]], 40)
    assert np.count_nonzero(line[:, 140]) == pytest.approx(80 + 40, abs=2)
    assert np.count_nonzero(line[:, 124]) == pytest.approx(80 + 2 * 12, abs=3)  # 16 off: 12 further, of 20


def test_box_of_strokes() -> None:
    assert box_of(SEVEN) == (60, 50, 200, 230)


def test_extent_limits() -> None:
    assert ink(SEVEN, min_extent=180).any()  # the drawing is 180 high
    with pytest.raises(EmptyDrawingError, match="small"):
        ink(SEVEN, min_extent=181)


@pytest.mark.parametrize("strokes", [[], [[]], [[(140.0, 140.0)]], [[(9.0, 9.0)] * 20]], ids=str)
def test_nothing_drawn_and_a_single_dot_are_empty_drawings(strokes: Strokes) -> None:
    with pytest.raises(EmptyDrawingError, match="Draw one digit"):
        ink(strokes)


LINE: Strokes = [[(84.0, 168.0), (252.0, 168.0)]]


def test_on_the_canvas_strokes_stay_where_they_are() -> None:
    # 280 pixels for the canvas's 336: from 70 to 210 in row 140, with a pen of 22 * 280 / 336 = 18.3, half of it 9.2.
    columns = inked_columns(ink_on_canvas(LINE, 336, pen=22))
    assert list(columns) == list(range(131, 150))
    assert columns[140] == (61, 219)


@pytest.mark.parametrize(("share", "rows"), [(1, 19), (0.5, 9), (0.25, 5)])
def test_on_the_canvas_the_pen_is_in_proportion_unless_it_is_given(share: float, rows: int) -> None:
    # 27 pixels to a digit of 200: 18.9, 9.45 and 4.7 pixels to lines of 140, 70 and 35.
    line = [[(x * share, y) for x, y in stroke] for stroke in LINE]
    assert np.count_nonzero(ink_on_canvas(line, 336).any(axis=1)) == rows
    assert np.count_nonzero(ink_on_canvas(line, 336, pen=22).any(axis=1)) == 19


def test_the_least_extent_is_in_canvas_pixels() -> None:
    assert ink_on_canvas(LINE, 336, min_extent=168).any()
    with pytest.raises(EmptyDrawingError, match="small"):
        ink_on_canvas(LINE, 336, min_extent=169)


def test_a_point_far_off_the_canvas_is_no_more_work() -> None:
    far_off = ink_on_canvas([[(168.0, 168.0), (1e15, 168.0)]], 336, pen=22)
    assert np.array_equal(far_off, ink_on_canvas([[(168.0, 168.0), (600.0, 168.0)]], 336, pen=22))


def test_without_width_or_crop_the_drawing_stays_in_its_place() -> None:
    for without in ((), ("fit", "antialias", "centre", "polarity", "scale")):
        assert np.array_equal(ink_without(SEVEN, without, size=336, pen=22), ink(SEVEN))
    assert np.array_equal(ink_without(SEVEN, ["crop"], size=336, pen=22), ink_on_canvas(SEVEN, 336))
    for without in (("width",), ("width", "crop")):
        assert np.array_equal(ink_without(SEVEN, without, size=336, pen=22), ink_on_canvas(SEVEN, 336, pen=22))


# --- people's digits ---------------------------------------------------------------------------


def test_the_default_network_reads_what_people_draw(pen_strokes: Path) -> None:
    network = load_checkpoint(bundled_checkpoints()[DEFAULT])
    digits = pen_digits()
    inked = [classify(network, to_digit(ink(digit.strokes)).image).label == digit.label for digit in digits]
    pictured = [classify(network, to_digit(picture(digit)).image).label == digit.label for digit in digits]
    assert len(digits) == 1_000
    assert sum(inked) >= 970
    assert sum(pictured) >= 970


def test_a_link_does_not_change_the_answer(pen_strokes: Path) -> None:
    network = load_checkpoint(bundled_checkpoints()[DEFAULT])
    digits = [digit.strokes for digit in pen_digits()[::5]]
    linked = [from_link(to_link(strokes, 280), 280) for strokes in digits]
    before, after = (
        np.array([classify(network, to_digit(ink(strokes)).image).label for strokes in drawings])
        for drawings in (digits, linked)
    )
    assert np.mean(before == after) >= 0.98
