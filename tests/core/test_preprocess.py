"""From any picture of a digit to MNIST's form, and what pictures are refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.classify import classify
from lenet_core.data import load
from lenet_core.errors import EmptyDrawingError
from lenet_core.library import DEFAULT, bundled_checkpoints
from lenet_core.preprocess import digit_of_ink, grey, read_image, to_digit
from lenet_core.strokes import ink
from tests.image_bytes import saved
from tests.pens import pen_digits, picture

Bytes = NDArray[np.uint8]
Variation = Callable[[Bytes], Image.Image | Bytes]

SMOOTH = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.fixture(scope="module")
def digits() -> Bytes:
    """The bundled sample's 1,000 test digits, (1000, 28, 28)."""
    return load("mnist-5k", train=False).images[:, 0].numpy()


@pytest.fixture(scope="module")
def network() -> Checkpoint:
    """The network that the app starts with."""
    return load_checkpoint(bundled_checkpoints()[DEFAULT])


def enlarged(digit: Bytes, factor: int, how: Image.Resampling) -> Image.Image:
    """The digit, `factor` times as large."""
    return Image.fromarray(digit).resize((28 * factor, 28 * factor), how)


def mass(image: Bytes) -> tuple[float, float]:
    """The centre of mass (row, column)."""
    weights = image.astype(float) / image.sum()
    return float(weights.sum(1) @ np.arange(len(image))), float(weights.sum(0) @ np.arange(image.shape[1]))


def difference(left: Bytes, right: Bytes) -> int:
    """The largest difference at any pixel, in grey levels."""
    return int(np.abs(left.astype(int) - right).max())


# --- MNIST's own form --------------------------------------------------------------------------


def test_mnists_own_digits_come_back_as_they_are(real_data: Path) -> None:
    originals = load("mnist", train=False, root=real_data).images[:, 0].numpy()
    assert len(originals) == 10_000
    made = np.stack([to_digit(digit).image for digit in originals])
    apart = np.abs(made.astype(int) - originals)
    assert apart.mean() < 0.1
    assert (apart.max(axis=(1, 2)) <= 3).mean() >= 0.99


def test_the_longer_side_is_20_and_the_mass_is_centred(digits: Bytes) -> None:
    for digit in digits:
        large = np.zeros((300, 200), dtype=np.uint8)
        large[130:242, 40:152] = np.kron(digit, np.ones((4, 4), dtype=np.uint8))
        made = to_digit(large)
        rows, columns = np.flatnonzero(made.image.any(1)), np.flatnonzero(made.image.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        assert mass(made.image) == pytest.approx((14, 14), abs=0.501)


def test_aspect_is_kept() -> None:
    for height, width, expected in ((80, 40, (20, 10)), (40, 80, (10, 20)), (100, 5, (20, 1)), (200, 2, (20, 1))):
        picture = np.zeros((300, 300), dtype=np.uint8)
        picture[50 : 50 + height, 60 : 60 + width] = 255
        made = to_digit(picture)
        assert made.fitted.shape == expected
        assert made.box == (60, 50, 60 + width, 50 + height)
        assert int((made.image > 0).sum()) == expected[0] * expected[1]


def test_a_bar_lies_where_arithmetic_says() -> None:
    picture = np.zeros((100, 100), dtype=np.uint8)
    picture[10:50, 20:28] = 255  # 40x8 becomes 20x4, whose centre of mass is at (9.5, 1.5)
    made = to_digit(picture)
    assert made.centre_of_mass == pytest.approx((9.5, 1.5))
    assert made.image[5:25, 13:17].min() == 255  # rows 5 to 24 and columns 13 to 16: both centred on 14.5
    assert int((made.image > 0).sum()) == 80


def test_small_digits_are_enlarged() -> None:
    picture = np.zeros((28, 28), dtype=np.uint8)
    picture[3:8, 3:5] = 255
    assert to_digit(picture).fitted.shape == (20, 8)


def test_ink_is_scaled_to_full_black() -> None:
    picture = np.full((60, 60), 200, dtype=np.uint8)
    picture[10:50, 25:35] = 150
    assert to_digit(picture).image.max() == 255


def test_thin_strokes_are_full_ink_too() -> None:
    picture = np.zeros((400, 400), dtype=np.uint8)
    picture[50:350, 100] = picture[349, 100:300] = 255  # an L, of which each of the 20 pixels sees a fifteenth
    assert to_digit(picture).image.max() == 255


def test_a_small_digit_is_enlarged_with_grey_between() -> None:
    slanted = np.zeros((28, 28), dtype=np.uint8)
    slanted[10:16, 10:16] = 255 * np.eye(6, dtype=np.uint8)
    image = to_digit(slanted).image
    assert np.count_nonzero((image > 0) & (image < 255)) > np.count_nonzero(image == 255)


# --- steps left out ----------------------------------------------------------------------------


def l_shape() -> Bytes:
    """An L of 40 x 30 pixels, strokes of 10, in the lower left of a field of 280: grey nowhere."""
    picture = np.zeros((280, 280), dtype=np.uint8)
    picture[200:240, 40:50] = picture[230:240, 40:70] = 255
    return picture


def inked_box(image: Bytes) -> tuple[int, int, int, int]:
    """The ink's (left, top, right, bottom), right and bottom outside."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_without_crop_the_whole_field_is_made_small() -> None:
    made = to_digit(l_shape(), ["crop"])
    assert made.box == (0, 0, 280, 280)
    assert made.fitted.shape == (20, 20)  # each pixel of 14: the L of 40 x 30 covers parts of 4 x 3
    assert inked_box((made.fitted * 255).astype(np.uint8)) == (2, 14, 5, 18)
    left, top, right, bottom = inked_box(made.image)
    # The mass is left of the middle and below it, and the field moves by 4 pixels at most.
    assert (left, top, right, bottom) == (2 + 8, 14 + 0, 5 + 8, 18 + 0)


def test_without_crop_and_fit_the_field_is_the_image() -> None:
    made = to_digit(l_shape(), ["crop", "fit"])
    assert inked_box(made.image) == (4, 20, 7, 24)  # a tenth of where it is
    assert (made.image[20:24, 4] == 255).all()


def test_without_fit_the_longer_side_fills_the_image() -> None:
    made = to_digit(l_shape(), ["fit"])
    assert made.fitted.shape == (28, 21)
    assert inked_box(made.image)[1::2] == (0, 28)


def test_without_anti_aliasing_there_is_no_grey(pen_strokes: Path) -> None:
    for digit in pen_digits()[:20]:
        smooth, ragged = to_digit(ink(digit.strokes)).image, to_digit(ink(digit.strokes), ["antialias"]).image
        assert len(np.unique(smooth)) > 20
        assert set(np.unique(ragged)) == {0, 255}
        assert ((ragged > 0).sum() / (smooth > 127).sum()) == pytest.approx(1, abs=0.25)


def test_without_anti_aliasing_thin_ink_may_vanish() -> None:
    picture = np.zeros((280, 280), dtype=np.uint8)
    picture[140, 100:180] = 255  # one row, and the points of 20 x 20 are in rows 7, 21, ..., 133, 147
    made = to_digit(picture, {"crop", "antialias"})
    assert not made.image.any()
    assert made.centre_of_mass == (9.5, 9.5)
    assert to_digit(picture, {"crop"}).image.any()


def test_without_centring_the_middle_of_the_box_goes_to_the_middle() -> None:
    assert inked_box(to_digit(l_shape(), ["centre"]).image) == (6, 4, 21, 24)  # 15 x 20, the odd pixel on the right
    assert inked_box(to_digit(l_shape()).image) != (6, 4, 21, 24)


def test_without_polarity_ink_is_dark() -> None:
    for others in ((), ("fit", "centre")):
        assert np.array_equal(to_digit(l_shape(), ["polarity", *others]).image, 255 - to_digit(l_shape(), others).image)


def test_the_steps_before_and_after_the_image_do_not_change_it() -> None:
    assert np.array_equal(to_digit(l_shape(), ["width", "scale"]).image, to_digit(l_shape()).image)


def test_ink_that_is_known_for_ink_is_taken_as_it_is() -> None:
    plain = l_shape()
    assert np.array_equal(digit_of_ink((plain / 255).astype(np.float32)).image, to_digit(plain).image)
    framed = np.ones((280, 280), dtype=np.float32)  # drawn along the rim: as a picture it would be white paper
    framed[20:260, 20:260] = 0
    assert digit_of_ink(framed).box == (0, 0, 280, 280)
    with pytest.raises(EmptyDrawingError):
        digit_of_ink(np.zeros((280, 280), dtype=np.float32), ["crop"])


def test_an_unknown_step_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"antialias.*not 'blur'"):
        to_digit(l_shape(), ["crop", "blur"])


# --- what must not matter ----------------------------------------------------------------------


def placed(digit: Bytes) -> Bytes:
    canvas = np.zeros((200, 150), dtype=np.uint8)
    canvas[60:88, 17:45] = digit
    return canvas


def coloured(paper: tuple[int, int, int], pen: tuple[int, int, int]) -> Callable[[Bytes], Bytes]:
    def paint(digit: Bytes) -> Bytes:
        share = digit[..., None] / 255
        mixed: Bytes = np.round(np.array(paper) * (1 - share) + np.array(pen) * share).astype(np.uint8)
        return mixed

    return paint


def transparent(level: int) -> Callable[[Bytes], Bytes]:
    return lambda digit: np.dstack([np.full((28, 28, 3), level, dtype=np.uint8), digit])


EXACT: dict[str, Variation] = {
    "elsewhere on a larger picture": placed,
    "twice as large": lambda digit: enlarged(digit, 2, Image.Resampling.NEAREST),
    "5 times as large": lambda digit: enlarged(digit, 5, Image.Resampling.NEAREST),
    "12 times as large": lambda digit: enlarged(digit, 12, Image.Resampling.NEAREST),
    "dark on light": lambda digit: 255 - digit,
    "blue on yellow": coloured((255, 240, 120), (20, 20, 120)),
    "yellow on blue": coloured((20, 20, 120), (255, 240, 120)),
    "red on white": coloured((255, 255, 255), (220, 30, 30)),
    "orange on dark green": coloured((0, 60, 20), (255, 160, 60)),
    "dark strokes on nothing": transparent(0),
    "light strokes on nothing": transparent(255),
    "grey with one channel": lambda digit: digit[..., None],
    "grey and alpha": lambda digit: Image.merge("LA", [Image.new("L", (28, 28), 0), Image.fromarray(digit)]),
    "a palette": lambda digit: Image.fromarray(digit).convert("P"),
    "CMYK": lambda digit: Image.fromarray(digit).convert("CMYK"),
    "16 bits": lambda digit: Image.fromarray(digit.astype(np.uint16) * 257),
    "12 bits, dark on light": lambda digit: Image.fromarray(4095 - digit.astype(np.uint16) * 16),
    "a PNG file of 16 bits": lambda digit: read_image(
        io.BytesIO(saved(Image.fromarray(digit.astype(np.uint16) * 257), "PNG"))
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_same_digit_comes_out(name: str, digits: Bytes) -> None:
    apart = [difference(to_digit(EXACT[name](digit)).image, to_digit(digit).image) for digit in digits[::3]]
    # A rounding may tip the centre of mass over to the next pixel, for one digit in hundreds.
    assert np.mean(np.array(apart) <= 3) >= 0.99


@pytest.mark.parametrize("factor", [2, 5, 12])
@pytest.mark.parametrize("how", SMOOTH)
def test_smooth_enlargement_changes_few_answers(how: str, factor: int, digits: Bytes, network: Checkpoint) -> None:
    same = [
        classify(network, to_digit(enlarged(digit, factor, SMOOTH[how])).image).label
        == classify(network, to_digit(digit).image).label
        for digit in digits[::2]
    ]
    assert np.mean(same) >= 0.99


@pytest.mark.parametrize("factor", [2, 5, 12])
def test_smooth_enlargement_moves_ink_by_a_pixel_at_most(factor: int, digits: Bytes) -> None:
    for digit in digits[::10]:
        made, plain = to_digit(enlarged(digit, factor, Image.Resampling.BICUBIC)).image, to_digit(digit).image
        moved = [np.roll(plain, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        assert max(np.corrcoef(made.ravel(), other.ravel())[0, 1] for other in moved) > 0.85


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("light", [False, True], ids=["light on dark", "dark on light"])
def test_a_digit_saved_as_jpeg_is_answered_as_before(
    quality: int, light: bool, digits: Bytes, network: Checkpoint
) -> None:
    same = []
    for digit in digits[::2]:
        file = saved(Image.fromarray(255 - digit if light else digit), "JPEG", quality=quality)
        made = to_digit(read_image(io.BytesIO(file))).image
        same.append(classify(network, made).label == classify(network, to_digit(digit).image).label)
    assert np.mean(same) >= 0.98


def photo(digit: Bytes, random_: np.random.Generator) -> Bytes:
    """A dark digit on light paper, somewhere on it, in uneven light, through a noisy camera."""
    height, width = random_.integers(250, 400, 2)
    pen = np.zeros((height, width))
    top, left = random_.integers(20, height - 180), random_.integers(20, width - 180)
    pen[top : top + 160, left : left + 160] = (
        np.asarray(Image.fromarray(digit[4:24, 4:24]).resize((160, 160), Image.Resampling.BICUBIC)) / 255
    )
    rows, columns = np.indices((height, width))
    angle = random_.uniform(0, 2 * np.pi)
    paper = 0.7 + 0.2 * (rows / height * np.sin(angle) + columns / width * np.cos(angle))
    light = paper * (1 - 0.75 * pen) + random_.normal(0, 0.02, (height, width))
    return np.clip(light * 255, 0, 255).astype(np.uint8)


def test_photos_in_uneven_light_are_answered_as_the_digits_themselves(real_data: Path, network: Checkpoint) -> None:
    test = load("mnist", train=False, root=real_data)
    random_ = np.random.default_rng(11)
    same = []
    for label in range(10):
        for digit in test.images[test.labels == label][:10, 0].numpy():
            made = to_digit(photo(digit, random_)).image
            same.append(classify(network, made).label == classify(network, digit).label)
    assert len(same) == 100
    assert sum(same) >= 95


def test_pen_drawings_have_mnists_size_and_place(pen_strokes: Path) -> None:
    for digit in pen_digits()[::10]:
        made = to_digit(picture(digit))
        assert max(made.fitted.shape) == 20
        assert mass(made.image) == pytest.approx((14, 14), abs=0.501)


# --- nothing drawn -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blank",
    [
        np.zeros((28, 28), dtype=np.uint8),
        np.full((28, 28), 255, dtype=np.uint8),
        np.full((40, 60), 128, dtype=np.uint8),
        np.zeros((1, 1), dtype=np.uint8),
        np.full((30, 30, 3), (200, 30, 90), dtype=np.uint8),
        np.zeros((30, 30, 4), dtype=np.uint8),
        np.full((30, 30, 4), (9, 9, 9, 0), dtype=np.uint8),
        Image.new("I;16", (30, 30), 30_000),
        Image.new("1", (30, 30), 1),
    ],
    ids=["black", "white", "grey", "one pixel", "one colour", "nothing", "invisible colour", "16 bits", "1 bit"],
)
def test_a_blank_picture_is_an_empty_drawing(blank: Bytes | Image.Image) -> None:
    with pytest.raises(EmptyDrawingError, match="Draw"):
        to_digit(blank)


@pytest.mark.parametrize("noise", [0.005, 0.01, 0.02, 0.03])
def test_a_photo_of_blank_paper_is_an_empty_drawing(noise: float) -> None:
    random_ = np.random.default_rng(0)
    for side in (100, 300):
        paper = 0.7 + 0.2 * np.indices((side, side))[0] / side + random_.normal(0, noise, (side, side))
        with pytest.raises(EmptyDrawingError):
            to_digit(np.clip(paper * 255, 0, 255).astype(np.uint8))


# --- what is no picture ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((28, 28), dtype=np.float32),
        np.zeros((28, 28), dtype=np.int64),
        np.zeros((28, 28), dtype=bool),
        np.zeros(28, dtype=np.uint8),
        np.zeros((2, 28, 28, 3), dtype=np.uint8),
        np.zeros((28, 28, 2), dtype=np.uint8),
        np.zeros((28, 28, 5), dtype=np.uint8),
        np.zeros((0, 28), dtype=np.uint8),
        np.zeros((28, 0, 3), dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_a_wrong_array_is_a_value_error_that_names_its_shape(array: Bytes) -> None:
    with pytest.raises(ValueError, match=r"uint8.*not") as caught:
        to_digit(array)
    assert str(array.shape) in str(caught.value)


@pytest.mark.parametrize("turned", [False, True])
def test_a_long_thin_picture_is_a_picture_too(turned: bool) -> None:
    strip = np.zeros((2, 5_000), dtype=np.uint8)
    strip[:, 1_000:2_000] = 255
    assert to_digit(strip.T if turned else strip).fitted.shape == ((20, 1) if turned else (1, 20))


# --- parts -------------------------------------------------------------------------------------


def test_lightness_is_the_weighted_sum_of_the_colours() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
    assert grey(colours)[0].tolist() == pytest.approx([0.299, 0.587, 0.114, 1.0], abs=1e-6)


def test_lightness_of_16_bits_goes_from_the_darkest_to_the_lightest() -> None:
    values = np.array([[1_000, 2_000, 5_000]], dtype=np.uint16)
    assert grey(Image.fromarray(values))[0].tolist() == pytest.approx([0, 0.25, 1])


def test_large_pictures_give_the_digit_that_small_ones_give() -> None:
    for side in (400, 3_000):
        picture = np.zeros((side, side), dtype=np.uint8)
        picture[side // 4 : 3 * side // 4, side // 2 : side // 2 + side // 8] = 255
        image = to_digit(picture).image
        assert difference(image[5:25, 12:17], np.full((20, 5), 255, dtype=np.uint8)) < 80
        assert int((image > 128).sum()) == 100
