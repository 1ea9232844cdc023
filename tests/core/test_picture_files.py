"""Which picture files are read, and how those are refused that are not."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lenet_core.data import load
from lenet_core.errors import ImageError
from lenet_core.picture_files import MAX_FILE_BYTES, MAX_PIXELS
from lenet_core.preprocess import read_image
from tests.image_bytes import chunk, saved

Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def digit() -> Bytes:
    """A real digit (28, 28)."""
    image: Bytes = load("mnist-5k", train=False).images[0, 0].numpy()
    return image


# --- refused -----------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.png", b"a shopping list\n" * 50),
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n"),
        ("digit.tif", saved(Image.new("L", (28, 28)), "TIFF")),
        ("digit.ppm", saved(Image.new("L", (28, 28)), "PPM")),
        ("head.png", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_formats_that_are_read(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "PNG, JPEG, WEBP, BMP, GIF" in refusal(path)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes with a header of that size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(5_001, 5_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (1, MAX_PIXELS + 1)])
def test_a_small_file_of_a_huge_picture_is_refused_unread(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_claims(*size))
    assert "save" in refusal(path)


def test_the_refusal_of_a_huge_picture_names_size_limit_and_next_step(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_claims(6_000, 5_000))
    assert "6,000 x 5,000" in refusal(path)
    for width in (6_000, 60_000):  # of the second size Pillow itself will not hear
        path.write_bytes(png_that_claims(width, 5_000))
        message = refusal(path)
        assert f"{MAX_PIXELS:,}" in message
        assert "smaller copy" in message


def test_a_picture_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (5_000, MAX_PIXELS // 5_000)).save(path)
    assert read_image(path).size == (5_000, MAX_PIXELS // 5_000)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    path.write_bytes(b"BM")
    os.truncate(path, MAX_FILE_BYTES + 1)
    assert f"{MAX_FILE_BYTES:,}" in refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "gone.png")
    refusal(tmp_path)


# --- read --------------------------------------------------------------------------------------


def test_a_text_is_a_path_too(tmp_path: Path, digit: Bytes) -> None:
    path = tmp_path / "digit.png"
    Image.fromarray(digit).save(path)
    assert np.array_equal(np.asarray(read_image(str(path))), digit)
    with pytest.raises(ImageError, match=r"gone\.png"):
        read_image(str(tmp_path / "gone.png"))


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("GIF", {}), ("JPEG", {})]
)
def test_every_format_is_read(kind: str, options: dict[str, bool], digit: Bytes) -> None:
    original = digit.repeat(12, 0).repeat(12, 1)
    read = np.asarray(read_image(io.BytesIO(saved(Image.fromarray(original), kind, **options))).convert("L"))
    assert read.shape == (336, 336)
    assert np.abs(original.astype(int) - read).max() <= (60 if kind == "JPEG" else 0)


UPRIGHT = np.zeros((24, 16), dtype=np.uint8)
UPRIGHT[4:20, 3:6] = UPRIGHT[17:20, 3:12] = 255  # an L
# What a camera stores for each orientation: (first row, first column) is (top, left), (top, right),
# (bottom, right), (bottom, left), (left, top), (right, top), (right, bottom), (left, bottom).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT[:, ::-1].T,
    7: UPRIGHT[::-1, ::-1].T,
    8: UPRIGHT[::-1].T,
}


@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_is_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(Image.fromarray(np.ascontiguousarray(STORED[orientation])), "PNG", exif=exif)
    assert np.array_equal(np.asarray(read_image(io.BytesIO(file))), UPRIGHT)


def test_a_photo_with_damaged_notes_is_read_or_refused() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0131], exif[0x011A] = 6, "camera", 72.0
    whole = saved(Image.fromarray(UPRIGHT), "JPEG", exif=exif)
    start = whole.index(b"Exif")
    length = len(exif.tobytes())
    escaped = []
    for place in range(start, start + length):
        for value in (0, 1, 2, 3, 4, 5, 7, 12, 255):
            damaged = bytearray(whole)
            damaged[place] = value
            try:
                read_image(io.BytesIO(bytes(damaged)))
            except ImageError:
                pass
            except Exception as error:
                escaped.append((place - start, value, repr(error)))
    assert escaped == []


def test_reading_a_large_picture_warns_nobody(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (4_900, 4_900)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(path)
