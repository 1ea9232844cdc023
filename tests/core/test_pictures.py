"""Pictures as a network is shown them, whatever file they come in, and the files that are refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lenet_core.data import load
from lenet_core.errors import ImageError
from lenet_core.preprocess import read_image, read_picture, to_picture
from tests.conftest import missing
from tests.image_bytes import chunk, png, saved
from tests.pens import SHARED_DATA
from tests.trust import hostile_images

Bytes = NDArray[np.uint8]
PHOTOS = {
    "cat_pexels_20787.jpg": (640, 426),
    "cat_chelsea_skimage.png": (451, 300),
    "car_taxi_crop_a.jpg": (410, 300),
    "car_taxis_pexels_8247.jpg": (1280, 853),
}
COLOURS: Bytes = (
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], dtype=np.uint8).repeat(20, 0).repeat(20, 1)
)  # red and green over blue and yellow, (40, 40, 3)


def read(data: bytes) -> tuple[Bytes, str]:
    """What becomes of a file with these bytes."""
    return read_picture(io.BytesIO(data))


def apart(left: Bytes, right: Bytes) -> int:
    """The largest difference at any pixel, in levels; the shapes must be the same."""
    assert left.shape == right.shape
    return int(np.abs(left.astype(int) - right).max())


# --- as it is ----------------------------------------------------------------------------------


def test_a_digits_picture_comes_out_byte_for_byte() -> None:
    for digit in load("mnist-5k", train=False).images[::100, 0].numpy():
        picture, note = read(saved(Image.fromarray(digit)))
        assert picture.dtype == np.uint8
        assert picture.tobytes() == digit.tobytes()
        assert (picture.shape, note) == ((28, 28), "")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_colours_come_out_of_every_format(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    picture, note = read(saved(Image.fromarray(COLOURS), kind, **options))
    assert apart(picture, COLOURS) <= (8 if kind == "JPEG" else 0)
    assert note == ""


def test_the_middle_square_is_taken_and_told() -> None:
    wide = np.zeros((100, 300, 3), dtype=np.uint8)
    wide[:, 100:200] = (9, 99, 199)
    for array, size in ((wide, "300 x 100"), (wide.transpose(1, 0, 2), "100 x 300")):
        picture, note = read(saved(Image.fromarray(np.ascontiguousarray(array))))
        assert picture.shape == (100, 100, 3)
        assert (picture == (9, 99, 199)).all()
        assert note == f"Its middle is taken: 100 x 100 of {size} pixels."


def test_large_pictures_are_averaged_down_and_small_ones_left() -> None:
    board = np.indices((1024, 1024)).sum(0) % 2 * np.uint8(255)
    picture, note = read(saved(Image.fromarray(board.astype(np.uint8))))
    assert picture.shape == (256, 256)
    assert set(np.unique(picture)) <= {127, 128}
    assert note == ""
    for side in (1, 5, 255, 256):
        assert to_picture(Image.new("L", (side, side), 7)).shape == (side, side)


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_keep_their_colours(name: str) -> None:
    path = SHARED_DATA / "photos" / name
    if not path.exists():
        missing(f"no photographs beside the project ({path.parent.name})")
    picture, note = read_picture(path)
    width, height = PHOTOS[name]
    assert note == f"Its middle is taken: {height} x {height} of {width:,} x {height} pixels."
    assert picture.shape == (256, 256, 3)
    left = (width - height) // 2
    middle = np.asarray(Image.open(path))[:, left : left + height].astype(float)
    for rows in (slice(0, height // 2), slice(height // 2, None)):  # upright: the halves each have their own mean
        own = picture[slice(0, 128) if rows.start == 0 else slice(128, None)]
        assert np.abs(own.mean((0, 1)) - middle[rows].mean((0, 1))).max() < 1
    nearest = middle[(np.arange(256) * height) // 256][:, (np.arange(256) * height) // 256]
    assert np.corrcoef(picture.ravel(), nearest.ravel())[0, 1] > 0.95


# --- every kind of file ------------------------------------------------------------------------


def test_16_bits_are_stretched_and_told() -> None:
    values = np.array([[1_000, 2_000], [3_000, 5_000]], dtype=np.uint16)
    picture, note = read(saved(Image.fromarray(values)))
    assert picture.tolist() == [[0, 64], [128, 255]]
    assert note == "Its greys are stretched: the darkest to black, the lightest to white."


def test_a_digit_of_16_bits_is_the_digit() -> None:
    digit = load("mnist-5k", train=False).images[0, 0].numpy()
    assert digit.min() == 0
    assert digit.max() == 255
    assert np.array_equal(read(saved(Image.fromarray(digit.astype(np.uint16) * 257)))[0], digit)


def test_a_large_picture_of_16_bits_is_averaged_down() -> None:
    ramp = np.tile(np.linspace(0, 65_535, 1_500).astype(np.uint16), (1_500, 1))
    picture, _ = read(saved(Image.fromarray(ramp)))
    assert apart(picture, np.tile(np.linspace(0, 255, 256).round().astype(np.uint8), (256, 1))) <= 1


def test_floats_are_stretched() -> None:
    values = np.array([[-1.0, 0.0], [0.5, 1.0]], dtype=np.float32)
    assert to_picture(Image.fromarray(values)).tolist() == [[0, 128], [191, 255]]


def test_cmyk_has_the_colours_of_its_rgb() -> None:
    picture, note = read(saved(Image.fromarray(COLOURS).convert("CMYK"), "JPEG", quality=95, subsampling=0))
    assert apart(picture, COLOURS) <= 8
    assert note == ""


@pytest.mark.parametrize(
    ("orientation", "stored"), [(3, COLOURS[::-1, ::-1]), (6, np.rot90(COLOURS)), (8, np.rot90(COLOURS, -1))]
)
def test_a_photo_that_lies_on_its_side_is_turned_upright(orientation: int, stored: Bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", exif=exif, quality=95, subsampling=0)
    assert apart(read(file)[0], COLOURS) <= 8


@pytest.mark.parametrize("name", hostile_images.sound())
def test_what_stands_beside_the_pixels_is_left_out_and_no_pixel_changes(name: str) -> None:
    data = hostile_images.sound()[name]
    read = read_image(io.BytesIO(data))
    whole = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (read.mode, read.size) == (whole.mode, whole.size)
    assert np.array_equal(np.asarray(read.convert("RGBA")), np.asarray(whole.convert("RGBA")))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("notes", ["exif", "exif, the other way round", "xmp"])
def test_notes_of_either_kind_turn_a_picture_upright(kind: str, notes: str) -> None:
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(COLOURS)))
    value = struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    swapped = struct.pack("<IHHHIHHI", *struct.unpack(">IHHHIHHI", value))
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    options: dict[str, object] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    exif = b"Exif\0\0" + (b"MM\0*" + value if notes == "exif" else b"II*\0" + swapped)
    if notes != "xmp":
        file = saved(stored, kind, exif=exif, **options)
    elif kind == "PNG":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp)
        plain = saved(stored, kind)
        file = plain[:33] + text + plain[33:]
    else:
        file = saved(stored, kind, xmp=xmp, **options)
    assert apart(read(file)[0], COLOURS) <= 8
    assert apart(read(saved(stored, kind, **options))[0], COLOURS) > 200


def on_nothing() -> dict[str, tuple[Image.Image, tuple[int, ...]]]:
    """Pictures with a clear left half and something at the right, and what the right is on white paper."""
    left = np.zeros((6, 6), dtype=np.uint8)
    left[:, 3:] = 1
    alpha = Image.fromarray(left * np.uint8(255))
    half = Image.fromarray(left * np.uint8(127))
    black = Image.new("L", (6, 6))
    palette = Image.fromarray(left, "P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    return {
        "RGBA": (Image.merge("RGBA", [black, black, black, half]), (128, 128, 128)),
        "LA": (Image.merge("LA", [black, alpha]), (0,)),
        "palette": (palette, (200, 100, 50)),
        "grey with one clear level": (Image.fromarray(left * np.uint8(90)), (90,)),
        "one bit": (Image.fromarray(left * np.uint8(255)).convert("1"), (255,)),
    }


@pytest.mark.parametrize("name", on_nothing())
def test_what_is_transparent_lies_on_white(name: str) -> None:
    image, right = on_nothing()[name]
    options = {} if name in ("RGBA", "LA") else {"transparency": 0}
    picture, _ = read(saved(image, **options))
    assert picture.shape == ((6, 6) if len(right) == 1 else (6, 6, 3))
    assert (picture[:, :3] == 255).all()
    assert (picture[:, 3:] == (right if len(right) > 1 else right[0])).all()


def test_what_nobody_sees_has_no_colour_in_the_average() -> None:
    stripes = np.zeros((512, 512, 4), dtype=np.uint8)
    stripes[:, ::2] = (255, 0, 0, 255)
    stripes[:, 1::2] = (0, 255, 0, 0)  # a green that is fully transparent
    assert apart(read(saved(Image.fromarray(stripes)))[0], np.full((256, 256, 3), (255, 127, 127), np.uint8)) <= 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken_and_told(kind: str) -> None:
    frames = [Image.fromarray(np.roll(COLOURS, 13 * turn, axis=0)) for turn in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    file = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    picture, note = read(file)
    assert np.array_equal(picture, COLOURS)
    assert note == "It has 3 frames; the first is taken."


def test_a_second_picture_in_a_jpeg_is_no_animation() -> None:
    photo = Image.fromarray(COLOURS)
    file = saved(photo, "MPO", save_all=True, append_images=[Image.new("RGB", (40, 40))], quality=95, subsampling=0)
    picture, note = read(file)
    assert apart(picture, COLOURS) <= 8
    assert note == ""


def gif(frames: list[tuple[int, int]]) -> bytes:
    """A GIF of 8x8 black pixels with a white one at its top left, and further frames that claim these sizes."""
    begin = saved(Image.fromarray(np.pad(np.full((1, 1), 255, np.uint8), (0, 7))), "GIF").removesuffix(b";")
    pixel = b"\x02\x02\x44\x01\x00"
    return begin + b"".join(b"," + struct.pack("<4HB", 0, 0, *size, 0) + pixel for size in frames) + b";"


def test_of_ten_thousand_frames_only_the_first_is_decoded() -> None:
    # Frames of 60,000 x 60,000: decoding one would be refused as a bomb, or take 3.6 GB.
    for sizes in ([(1, 1)] * 9_999, [(60_000, 60_000)] * 9_999):
        picture, note = read(gif(sizes))
        assert note == "It has 10,000 frames; the first is taken."
        assert picture[0, 0].max() == 255
        assert int(picture.astype(bool).sum()) == picture[0, 0].size


# --- refused in one line -----------------------------------------------------------------------


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'
FORMATS_READ = "is not a picture in one of the formats PNG, JPEG, WEBP, BMP, GIF; save it as PNG, or choose another"
WHOLE_PNG = saved(Image.effect_noise((90, 90), 80))
WHOLE_JPEG = saved(Image.effect_noise((90, 90), 80), "JPEG")
BAD: dict[str, tuple[bytes, str]] = {
    "half.png": (WHOLE_PNG[: len(WHOLE_PNG) // 2], "save it again as PNG"),
    "half.jpg": (WHOLE_JPEG[: len(WHOLE_JPEG) // 2], "save it again as PNG"),
    "huge.png": (png((12_000, 12_000), depth=1), "has 12,000 x 12,000 pixels, more than the limit of 25,000,000"),
    "drawing.svg": (SVG, "is an SVG; SVG is not read, save it as PNG."),
    "inkscape.svg": (b'<?xml version="1.0"?>\n<!-- Made by hand -->\n<SVG></SVG>', "is an SVG"),
    "svg.png": (b"\xef\xbb\xbf" + SVG, "is an SVG"),
    "page.jpg": (b"<!DOCTYPE html><html><body>" + SVG, FORMATS_READ),
    "notes.png": (b"a shopping list\n" * 50, FORMATS_READ),
    "empty.png": (b"", "is empty (0 bytes); choose another file."),
    "beginning.png": (WHOLE_PNG[:12], FORMATS_READ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    data, words = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    upload = io.BytesIO(data)
    upload.name = name  # as an uploaded file has one
    messages = set()
    for source in (path, str(path), upload):
        for reading in (read_picture, read_image):
            with pytest.raises(ImageError) as caught:
                reading(source)
            messages.add(str(caught.value))
    (message,) = messages
    assert message.startswith(f"{name} ")
    assert words in message
    assert len(message.splitlines()) == 1
    assert len(message) < 200
    with pytest.raises(ImageError, match=r"^The picture "):
        read_picture(io.BytesIO(data))
