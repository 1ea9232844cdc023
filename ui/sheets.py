"""A table of feature maps as one picture for a report: rows inputs, columns maps, pixel for pixel."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ui.markup import number
from ui.pictures import Scale, Scales, coloured

MAX_WIDTH = 2400  # pixels; what is wider goes on below

_SIDE = 64  # of a picture or map, where it is not larger by itself
_GAP, _MARGIN = 4, 24
_BAR = 6  # width of a unit's bar, where there is room
_WORDS = 520  # at most, for a layer's title and note
_HEAD, _CAPTION = 70, 15  # height of a layer's title with its colours and numbers, and of a line of small type
_INK, _QUIET, _TRACK = (28, 35, 48), (95, 102, 112), (232, 234, 237)
_FOOTER = "LeNet Playground"
_ASCII = str.maketrans("−–—×·’“”", '---x.\'""')  # Pillow's own font has little more

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SheetLayer:
    """A layer on the sheet: its `title`, a `note` such as its shape, and what it makes of each input.

    `values` are (rows, channels, height, width), or (rows, units), which are drawn as bars on the scale of channel 0.
    `first` is the number of the first channel, in the layer and in `scales`, where not all of them are on the sheet.
    """

    title: str
    note: str
    values: NDArray[np.float32]
    scales: Scales
    first: int = 0

    @property
    def cell(self) -> tuple[int, int]:
        """The (height, width) in pixels of a map, or of a unit's bar."""
        if self.values.ndim == 2:
            return _SIDE, max(1, min(_BAR, 960 // self.values.shape[1]))
        height, width = self.values.shape[2:]
        factor = max(1, _SIDE // max(height, width))
        return height * factor, width * factor

    @property
    def pitch(self) -> int:
        """From one column to the next, pixels."""
        return self.cell[1] + (_GAP if self.values.ndim == 4 else 0)


@dataclass(frozen=True)
class _Part:
    """Columns `start` to `stop` of a layer, drawn `left` pixels from the sheet's edge."""

    layer: SheetLayer
    start: int
    stop: int
    left: int

    @property
    def right(self) -> int:
        """Where it ends, its title's words included."""
        words = _font(16).getlength(_drawable(self.layer.title)) + _font(12).getlength(self.layer.note)
        return self.left + max((self.stop - self.start) * self.layer.pitch, 220, min(round(words) + 20, _WORDS))


def sheet(title: str, rows: Sequence[str], pictures: Sequence[Pixels], layers: Sequence[SheetLayer]) -> bytes:
    """The table as a PNG at most `MAX_WIDTH` pixels wide (a single wider map apart), on white.

    `rows` are the inputs' names, `pictures` the inputs themselves, (height, width) or (height, width, 3). Maps are
    enlarged by whole pixels. Layers stand side by side while there is room, then below; of the names' letters
    those that Pillow's font has not are drawn without their accents, or as boxes.

    Raises:
        ValueError: nothing to draw, or a layer or the pictures have another count of rows.
    """
    if not rows or not layers:
        raise ValueError(f"A sheet needs an input and a layer at least, not {len(rows)} and {len(layers)}.")
    for what, count in (("pictures", len(pictures)), *((layer.title, len(layer.values)) for layer in layers)):
        if count != len(rows):
            raise ValueError(f"{what}: {count} rows for {len(rows)} inputs; give each input one.")
    indent = _MARGIN + _SIDE + 10 + min(150, max(round(_font(14).getlength(_drawable(name))) for name in rows) + 14)
    bands = _bands(layers, indent)
    heights = [_row_height(band) for band in bands]
    width = max(part.right for band in bands for part in band)
    height = _MARGIN + 40 + sum(_HEAD + one * len(rows) + 16 for one in heights) + 30
    image = Image.new("RGB", (width + _MARGIN, height), "white")
    draw = ImageDraw.Draw(image)
    _write(draw, (_MARGIN, _MARGIN - 4), title, 22, width - _MARGIN)
    top = _MARGIN + 40
    for band, row_height in zip(bands, heights, strict=True):
        _draw_inputs(image, draw, top + _HEAD, row_height, rows, pictures, indent)
        for part in band:
            _draw_head(image, draw, part, top)
            for row in range(len(rows)):
                _draw_row(image, draw, part, row, top + _HEAD + row * row_height)
        top += _HEAD + row_height * len(rows) + 16
    _write(draw, (_MARGIN, height - 28), _FOOTER, 12, image.width, _QUIET)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _bands(layers: Sequence[SheetLayer], indent: int) -> list[list[_Part]]:
    """The layers' columns, from left to right and then below, none beyond `MAX_WIDTH`."""
    bands: list[list[_Part]] = [[]]
    left = indent
    for layer in layers:
        count = layer.values.shape[1]
        if bands[-1] and _Part(layer, 0, count, left).right > MAX_WIDTH - _MARGIN:
            bands.append([])
            left = indent
        fitting = max(1, (MAX_WIDTH - _MARGIN - indent) // layer.pitch)
        for start in range(0, count, fitting):
            stop = min(start + fitting, count)
            if start:
                bands.append([])
                left = indent
            bands[-1].append(_Part(layer, start, stop, left))
            left = bands[-1][-1].right + 28
    return bands


def _row_height(band: Sequence[_Part]) -> int:
    own_scales = any(len(part.layer.scales.low) > 1 for part in band)
    return max(_SIDE, *(part.layer.cell[0] for part in band)) + 8 + _CAPTION * own_scales


def _draw_inputs(
    image: Image.Image, draw: ImageDraw.ImageDraw, top: int, row_height: int,
    rows: Sequence[str], pictures: Sequence[Pixels], indent: int,
) -> None:  # fmt: skip
    for row, (name, pixels) in enumerate(zip(rows, pictures, strict=True)):
        picture = Image.fromarray(pixels).convert("RGB")
        if max(picture.size) > _SIDE:
            picture.thumbnail((_SIDE, _SIDE))
        else:
            factor = _SIDE // max(picture.size)
            picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
        y = top + row * row_height
        image.paste(picture, (_MARGIN, y))
        _write(draw, (_MARGIN + _SIDE + 10, y + _SIDE // 2 - 9), name, 14, indent - _MARGIN - _SIDE - 20)


def _draw_head(image: Image.Image, draw: ImageDraw.ImageDraw, part: _Part, top: int) -> None:
    """A layer's title and note, its colours where all of it shares them, and its columns' numbers."""
    layer, left = part.layer, part.left
    end = _write(draw, (left, top), layer.title, 16, _WORDS - 160)
    _write(draw, (end + 8, top + 4), layer.note, 12, 140, _QUIET)
    if layer.scales.low.size == 1:
        _draw_scale(image, draw, layer.scales.of(0, 0), left, top + 25)
    else:
        per = "each input's row" if layer.scales.low.shape[1] == 1 else "each map"
        _write(draw, (left, top + 24), f"colours: a scale for {per}", 12, 400, _QUIET)
    columns = range(part.start, part.stop)
    step = 1 if layer.values.ndim == 4 else 10 * max(1, -(-40 // (10 * layer.pitch)))
    for column in columns:
        if (column - part.start) % step == 0:
            x = left + (column - part.start) * layer.pitch
            _write(draw, (x, top + _HEAD - 18), str(layer.first + column), 12, 60, _QUIET)
            if len(layer.scales.low) == 1 < layer.scales.low.size:
                scale = layer.scales.of(0, layer.first + column)
                for y, value in ((top + _HEAD - 25, scale.low), (top + _HEAD - 14, scale.high)):
                    _write(draw, (x + 24, y), number(value), 9, max(layer.pitch - 24, 32), _QUIET)


def _draw_scale(image: Image.Image, draw: ImageDraw.ImageDraw, scale: Scale, left: int, top: int) -> None:
    x = _write(draw, (left, top), number(scale.low), 12, 100, _QUIET) + 6
    image.paste(Image.fromarray(np.repeat(scale.ramp[None, ::2], 9, axis=0)), (x, top + 4))
    _write(draw, (x + 134, top), number(scale.high), 12, 100, _QUIET)


def _draw_row(image: Image.Image, draw: ImageDraw.ImageDraw, part: _Part, row: int, top: int) -> None:
    """A layer's maps or bars for one input, and the scale that they share where each input has its own."""
    layer = part.layer
    if layer.values.ndim == 2:
        _draw_bars(draw, part, row, top)
    else:
        factor = layer.cell[1] // layer.values.shape[3]
        for column in range(part.start, part.stop):
            colours = coloured(layer.values[row, column], layer.scales.of(row, layer.first + column))
            pixels = colours.repeat(factor, axis=0).repeat(factor, axis=1)
            image.paste(Image.fromarray(pixels), (part.left + (column - part.start) * layer.pitch, top))
    if len(layer.scales.low) > 1:
        scale = layer.scales.of(row, layer.first if layer.values.ndim == 4 else 0)
        _write(
            draw, (part.left, top + layer.cell[0] + 1), f"{number(scale.low)} to {number(scale.high)}", 11, 220, _QUIET
        )


def _draw_bars(draw: ImageDraw.ImageDraw, part: _Part, row: int, top: int) -> None:
    """Units as bars from zero, up or down, in their colours, on a grey ground that is as high as their scale."""
    layer, scale = part.layer, part.layer.scales.of(row, 0)
    low, high = min(scale.low, 0.0), max(scale.high, 0.0)
    heights = np.clip(layer.values[row, part.start : part.stop], low, high)
    colours = coloured(heights[None], scale)[0]
    ends = top + ((high - np.append(heights, 0)) / max(high - low, 1e-12) * (_SIDE - 1)).round().astype(int)
    zero = int(ends[-1])
    draw.rectangle((part.left, top, part.left + len(heights) * layer.pitch - 1, top + _SIDE - 1), fill=_TRACK)
    for index, (end, colour) in enumerate(zip(ends[:-1].tolist(), colours.tolist(), strict=True)):
        x = part.left + index * layer.pitch
        right = x + max(layer.pitch - 2, 0)
        draw.rectangle((x, min(end, zero), right, max(end, zero)), fill=tuple(colour))


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, room: float,
    colour: tuple[int, int, int] = _INK,
) -> int:  # fmt: skip
    """Writes as much of the text as there is room for; returns where it ends."""
    font, text = _font(size), _drawable(text)
    if font.getlength(text) > room:
        while text and font.getlength(text + "...") > room:
            text = text[:-1]
        text += "..."
    draw.text(place, text, fill=colour, font=font)
    return round(place[0] + font.getlength(text))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _drawable(text: str) -> str:
    """The text with what Pillow's font can draw: letters without their accents, plain dashes, one line."""
    parts = unicodedata.normalize("NFKD", " ".join(text.split()).translate(_ASCII))
    return "".join(part for part in parts if not unicodedata.combining(part))
