"""A drawing or photo of a digit, made into what MNIST's networks were trained on.

MNIST's own rule (LeCun et al. 1998, section III.A): the ink's box is scaled, aspect kept, so that its
longer side is 20 pixels, with anti-aliasing, and the result is placed in a 28x28 field so that its
centre of mass lies at the field's centre. What is no digit goes to a network as it is (`to_picture`).
This module needs NumPy and Pillow alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenet_core.errors import EmptyDrawingError
from lenet_core.picture_files import open_picture
from lenet_core.steps import check_steps

FIELD_SIZE = 28  # side of an MNIST image, pixels
BOX_SIZE = 20  # longer side of the ink's box in it, pixels
CENTRE = 14.0  # where the centre of mass lies, pixel index counted from 0

PICTURE_SIZE = 256  # side that `to_picture` shrinks to, pixels: no network here takes in more
_FAINT = 0.1  # of full ink
_WORK_SIZE = 1024  # larger pictures are shrunk to this side first: 20 pixels come out of it

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Digit:
    """A digit in MNIST's form, and the steps that led there, as they are where none is left out.

    `image` is (28, 28) uint8, ink 255 on background 0. `ink` is the picture as ink alone, float32
    from 0 to 1; `box` is the ink's box in it as (left, top, right, bottom), pixels, right and bottom
    outside; `fitted` is the box scaled to 20 pixels; `centre_of_mass` is (row, column) within `fitted`.
    """

    image: NDArray[np.uint8]
    ink: Floats
    box: tuple[int, int, int, int]
    fitted: Floats
    centre_of_mass: tuple[float, float]


def read_image(source: str | Path | IO[bytes]) -> Image.Image:
    """The picture in a file, upright, in its own mode, decoded to the last byte; of an animation the first frame.

    Raises:
        ImageError: not a PNG, JPEG, WebP, BMP or GIF, damaged, or over the size limits.
    """
    return open_picture(source)[0]


def read_picture(source: str | Path | IO[bytes]) -> tuple[NDArray[np.uint8], str]:
    """The picture in a file as `to_picture` gives it, and in a sentence or two what was chosen (empty: nothing was).

    Raises:
        ImageError: not a PNG, JPEG, WebP, BMP or GIF, damaged, or over the size limits.
    """
    image, frames = open_picture(source)
    notes = []
    if frames > 1:
        notes.append(f"It has {frames:,} frames; the first is taken.")
    if image.width != image.height:
        side = min(image.size)
        notes.append(f"Its middle is taken: {side:,} x {side:,} of {image.width:,} x {image.height:,} pixels.")
    if _has_own_scale(image):
        notes.append("Its greys are stretched: the darkest to black, the lightest to white.")
    return to_picture(image), " ".join(notes)


def to_picture(image: Image.Image) -> NDArray[np.uint8]:
    """The picture as a network is shown what is not a digit: its middle square, at most 256 pixels a side.

    (S, S) uint8 for a grey picture, (S, S, 3) for one in colour. Larger ones are averaged down, smaller ones stay as
    they are; transparency is laid on white; greys of 16 bits or more, and floats, are stretched as `grey` does.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if _has_own_scale(square):
        return np.round(np.asarray(_shrunk(Image.fromarray(grey(square)))) * 255).astype(np.uint8)
    mode = "L" if square.mode in ("1", "L", "LA") else "RGB"
    if not square.has_transparency_data:
        return np.array(_shrunk(square.convert(mode)))
    whole = square if square.mode == "RGBA" else square.convert("RGBA")  # a copy of the largest has 100 MB
    clear = _shrunk(whole)  # Pillow weighs colours by their opacity as it averages
    return np.array(Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert(mode))


def _has_own_scale(image: Image.Image) -> bool:
    """Whether its values are 16-bit or float greys, which come at any scale."""
    return image.mode.startswith(("I", "F"))


def _shrunk(square: Image.Image) -> Image.Image:
    size = (PICTURE_SIZE, PICTURE_SIZE)
    return square.resize(size, Image.Resampling.BOX) if square.width > PICTURE_SIZE else square


def grey(picture: Image.Image | NDArray[Any]) -> Floats:
    """The picture's lightness, (height, width) float32 from 0 to 1, transparency laid on its opposite.

    Takes a Pillow image or an array (height, width[, 1, 3 or 4]) of uint8.

    Raises:
        ValueError: an array of another shape or dtype.
    """
    image = _as_image(picture)
    if max(image.size) > _WORK_SIZE:
        shrink = _WORK_SIZE / max(image.size)
        size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        image = _without_palette(image).resize(size, Image.Resampling.BOX)
    if _has_own_scale(image):
        values = np.asarray(image, dtype=np.float32)
        low, high = float(values.min()), float(values.max())
        return (values - low) / max(high - low, 1e-6)
    rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
    light = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    alpha = rgba[..., 3]
    if alpha.min() < 1:
        # A drawing on nothing: lay dark ink on white paper and light ink on black.
        paper = float((light * alpha).sum() < 0.5 * alpha.sum())
        light = light * alpha + paper * (1 - alpha)
    return np.ascontiguousarray(light, dtype=np.float32)


def _as_image(picture: Image.Image | NDArray[Any]) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    array = np.asarray(picture)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if (
        array.dtype != np.uint8
        or array.size == 0
        or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))
    ):
        raise ValueError(
            "A picture is an array of uint8 with shape (height, width) or (height, width, 1, 3 or 4), "
            f"not {array.dtype} {array.shape}."
        )
    return Image.fromarray(array)


def _without_palette(image: Image.Image) -> Image.Image:
    return image.convert("RGBA") if image.mode in ("P", "PA", "1", "LA") else image


def ink_of(light: Floats) -> Floats:
    """How much ink lies on each pixel, 0 to 1, whether it was dark on light or light on dark.

    The background is what the border shows. Where the border varies, as in a photo, the background
    is taken as a plane fitted to it, and what does not stand out from the paper's own variation is
    dropped; so is the faint haze that a lossy file has round its strokes. On a clean drawing nothing is.
    """
    background, noise = _background(light)
    difference = light - background
    strongest = max(float(difference.max()), float(-difference.min()))
    if strongest < max(0.05, 7 * noise):  # of a million pixels of mere noise one reaches 5
        return np.zeros_like(light)
    if difference.max() < -difference.min():
        difference = -difference
    # A stroke has many pixels of full ink; a lone speck must not set the scale.
    full = strongest if noise == 0 else float(np.percentile(difference[difference > 0.5 * strongest], 50))
    ink = np.clip(difference / full, 0, 1)
    floor = min(0.5, 6 * noise / full)
    haze = np.count_nonzero((ink > 0) & (ink < _FAINT))
    if haze > 0.35 * np.count_nonzero(ink >= _FAINT):  # JPEG or a sharpening filter left it, no pen did
        floor = max(floor, _FAINT)
    return np.where(ink > floor, ink, 0).astype(np.float32)


def _background(light: Floats) -> tuple[Floats, float]:
    """The paper's lightness at each pixel, and how much it varies around that."""
    height, width = light.shape
    border = np.ones(light.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    values = light[border]
    middle = float(np.median(values))
    if np.mean(np.abs(values - middle) < 0.02) > 0.5:  # one flat tone, whatever strokes cross the border
        return np.full_like(light, middle), 0.0
    rows, columns = np.indices(light.shape, dtype=np.float32)
    terms = np.stack([np.ones_like(rows), rows / height, columns / width], axis=-1)
    plane = np.full_like(light, middle)
    kept = border
    for _ in range(3):  # leave out what does not fit: a stroke that crosses the border
        weights, *_ = np.linalg.lstsq(terms[kept], light[kept], rcond=None)
        plane = (terms @ weights).astype(np.float32)
        away = np.abs(light - plane)
        noise = 1.4826 * float(np.median(away[kept]))
        kept = border & (away < 3 * noise + 0.01)
    return plane, noise


def ink_box(ink: Floats) -> tuple[int, int, int, int]:
    """The smallest box that holds all ink: (left, top, right, bottom), right and bottom outside.

    Raises:
        EmptyDrawingError: there is no ink.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        raise EmptyDrawingError("There is nothing on the picture yet. Draw one digit, large, in one colour.")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def to_digit(picture: Image.Image | NDArray[Any], without: Collection[str] = ()) -> Digit:
    """The picture's digit in MNIST's form, whatever its size, position and polarity.

    Of the `steps.STEPS`, `without` names those to leave out; width and scale are not taken here in any case.

    Raises:
        EmptyDrawingError: there is no ink.
        ValueError: `without` names a step that there is not.
    """
    return digit_of_ink(ink_of(grey(picture)), without)


def digit_of_ink(ink: Floats, without: Collection[str] = ()) -> Digit:
    """As `to_digit`, of ink that is known for ink: float32 (height, width) from 0 to 1.

    Raises:
        EmptyDrawingError: there is no ink.
        ValueError: `without` names a step that there is not.
    """
    check_steps(without)
    box = ink_box(ink)
    if "crop" in without:
        box = (0, 0, ink.shape[1], ink.shape[0])
    fitted = _fitted(ink, box, FIELD_SIZE if "fit" in without else BOX_SIZE, smooth="antialias" not in without)
    mass = centre_of_mass(fitted)
    image = np.zeros((FIELD_SIZE, FIELD_SIZE), dtype=np.uint8)
    if "centre" in without:
        row, column = ((FIELD_SIZE - length) // 2 for length in fitted.shape)
    else:
        row, column = (_offset(mass[axis], fitted.shape[axis]) for axis in (0, 1))
    image[row : row + fitted.shape[0], column : column + fitted.shape[1]] = np.round(fitted * 255)
    return Digit(255 - image if "polarity" in without else image, ink, box, fitted, mass)


def _fitted(ink: Floats, box: tuple[int, int, int, int], side: int, smooth: bool) -> Floats:
    """What is in the box, its longer side scaled to `side` pixels and its strongest ink to 1."""
    left, top, right, bottom = box
    longer = max(right - left, bottom - top)
    size = (max(1, round(side * (right - left) / longer)), max(1, round(side * (bottom - top) / longer)))
    kind = Image.Resampling.NEAREST
    if smooth:  # averaging what falls on a pixel is the anti-aliasing that MNIST's digits went through
        kind = Image.Resampling.BOX if longer >= BOX_SIZE else Image.Resampling.BILINEAR
    fitted = np.asarray(Image.fromarray(ink).resize(size, kind, box=box), dtype=np.float32)
    full: Floats = np.clip(fitted / max(float(fitted.max()), 1e-6), 0, 1)
    return full


def _offset(mass: float, length: int) -> int:
    """Where the first pixel goes so that the mass is centred by whole pixels, within the field."""
    return int(min(max(np.floor(CENTRE - mass + 0.5), 0), FIELD_SIZE - length))


def centre_of_mass(ink: Floats) -> tuple[float, float]:
    """The (row, column) of the centre of mass, pixel centres at whole numbers; of no ink at all the middle."""
    ink = ink.astype(np.float64)  # in which these sums are exact, so that no order of adding decides a tie
    total = float(ink.sum())
    if not total:  # without anti-aliasing, thin ink can lie between all the points that are looked at
        return (ink.shape[0] - 1) / 2, (ink.shape[1] - 1) / 2
    rows, columns = np.indices(ink.shape)
    return float((rows * ink).sum()) / total, float((columns * ink).sum()) / total
