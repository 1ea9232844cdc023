"""What the drawn cats and cars share: smooth outlines, soft masks, light from one side, fur.

Points are (x, y) in pixels of the finished picture, y down; masks are (768, 768) float32 from 0 to 1,
four times as fine as the picture; colours are red, green and blue from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE = 192  # of a finished picture, pixels
FINER = 4
_WIDE = SIDE * FINER
_LIGHT = np.array((-0.6, -0.8))  # towards the light: it comes from the upper left

Floats = NDArray[np.floating[Any]]
Points = NDArray[np.float64]
Colour = Sequence[float] | Floats
Widths = Sequence[float] | Floats
Flow = Callable[[Points], Points]

rows, columns = np.indices((_WIDE, _WIDE), dtype=np.float32) / FINER


def points(text: str) -> Points:
    """The (N, 2) points written as "x,y x,y ...", or (N, 3) as "x,y,z ..."."""
    return np.array([[float(value) for value in pair.split(",")] for pair in text.split()])


def mirrored(half: Points) -> Points:
    """A closed outline from its right half, whose first and last point lie on x = 0."""
    return np.concatenate([half, half[-2:0:-1] * (-1, 1)])


def smooth(corners: Points, closed: bool = True, steps: int = 12) -> Points:
    """A Catmull-Rom spline through the corners; a corner given twice stays sharp."""
    padded = np.concatenate([corners[-1:], corners, corners[:2]]) if closed else corners[[0, *range(len(corners)), -1]]
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = start + t / 2 * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    joined = curve.reshape(-1, 2)
    line: Points = joined if closed else np.concatenate([joined, corners[-1:]])
    return line


def ellipse(x: float, y: float, across: float, down: float, tilt: float = 0.0) -> Points:
    """The outline of an ellipse with the given half-axes, turned by `tilt` radians."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return turned(np.stack([across * np.cos(angle), down * np.sin(angle)], axis=1), tilt) + (x, y)


def turned(outline: Points, tilt: float) -> Points:
    """The points turned around (0, 0), clockwise as seen."""
    cos, sin = np.cos(tilt), np.sin(tilt)
    there: Points = outline @ np.array([[cos, sin], [-sin, cos]])
    return there


def ribbon(spine: Points, widths: Widths) -> Points:
    """The outline of a band with round ends along a smooth line, as wide as `widths` say, spread evenly along it."""
    line = smooth(spine, closed=False)
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths) / 2
    way = np.cumsum(np.hypot(*along.T))
    end = np.clip(np.minimum(way, way[::-1]) / np.maximum(half, 1e-9), 0, 1)
    half = (half * np.sqrt(end * (2 - end)))[:, None]
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def mask(*outlines: Points, blur: float = 0.0) -> Floats:
    """1 inside any of the outlines, 0 outside, with an edge that is `blur` pixels soft."""
    image = Image.new("L", (_WIDE, _WIDE))
    draw = ImageDraw.Draw(image)
    for outline in outlines:
        draw.polygon([(x * FINER, y * FINER) for x, y in outline], fill=255)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur * FINER))
    return np.asarray(image, np.float32) / 255


def above(y: float, softness: float) -> Floats:
    """1 above the height y, 0 below it, with a soft border."""
    share: Floats = np.clip((y - rows) / softness + 0.5, 0, 1)
    return share


def between(start: Colour, end: Colour, share: Floats) -> Floats:
    """The blend of two colours, (768, 768, 3), `end` where `share` is 1."""
    low, high = np.asarray(start, np.float32), np.asarray(end, np.float32)
    blend: Floats = low + (high - low) * share[..., None]
    return blend


def slope(first: float, last: float) -> Floats:
    """0 down to the row `first`, 1 from `last` on, even between."""
    share: Floats = np.clip((rows - first) / (last - first), 0, 1)
    return share


def roundness(shape: Floats, radius: float) -> Floats:
    """How far a shape, taken as a cushion, faces the light: about -1 to 1; `radius` is the cushion's edge in pixels."""
    small = Image.fromarray((shape * 255).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX)
    light = np.zeros((SIDE, SIDE), np.float32)
    for size in (radius, radius / 2.5):
        # Gradients of a picture in 256 steps would show as bands: blurred once more, as floats.
        height = _box(_box(np.asarray(small.filter(ImageFilter.GaussianBlur(size)), np.float32) / 255))
        down, right = np.gradient(height)
        light -= (right * _LIGHT[0] + down * _LIGHT[1]) * size * 1.5
    fine = Image.fromarray(light).resize((_WIDE, _WIDE), Image.Resampling.BICUBIC)
    facing: Floats = np.clip(np.asarray(fine), -1, 1)
    return facing


def _box(values: Floats) -> Floats:
    around = np.pad(values, 1, mode="edge")
    across = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
    mean: Floats = (across[:-2] + across[1:-1] + across[2:]) / 9
    return mean


def plain(colour: Colour) -> Floats:
    """One colour all over, (768, 768, 3), to lay others on."""
    return np.full((_WIDE, _WIDE, 3), colour, np.float32)


class Picture:
    """A picture being painted, from back to front; `seed` decides its fur, asphalt and grass."""

    def __init__(self, seed: int) -> None:
        self.pixels = np.zeros((_WIDE, _WIDE, 3), np.float32)
        self._random = np.random.default_rng(seed)

    def paint(self, shape: Floats, colour: Colour, alpha: float = 1.0) -> None:
        """Lays a colour, or (768, 768, 3) of them, over the picture where the mask is."""
        lay(self.pixels, shape, colour, alpha)

    def round(self, shape: Floats, colour: Colour, radius: float, contrast: float = 0.5) -> None:
        """Paints a shape as a cushion in the light."""
        self.paint(shape, lit(colour, roundness(shape, radius) * contrast))

    def shadow(self, *outlines: Points, blur: float, alpha: float) -> None:
        """Darkens what lies below, with a soft edge."""
        self.paint(mask(*outlines, blur=blur), (0.04, 0.04, 0.08), alpha)

    def noise(self, across: float, down: float) -> Floats:
        """Smooth noise from -1 to 1, (768, 768), with grains of the given size in pixels."""
        grains = self._random.uniform(-1, 1, (round(SIDE / down) + 1, round(SIDE / across) + 1)).astype(np.float32)
        return np.asarray(Image.fromarray(grains).resize((_WIDE, _WIDE), Image.Resampling.BICUBIC))

    def fur(self, shape: Floats, colours: Floats, flow: Flow, length: float, jitter: float = 0.1) -> None:
        """Paints a shape hair by hair: each has the colour at its root, and the outermost reach over the edge."""
        roots = self._random.uniform(0, _WIDE, (int(shape.mean() * 90_000), 2))
        roots = roots[shape[roots[:, 1].astype(int), roots[:, 0].astype(int)] > 0.5]
        roots = roots[np.argsort(roots[:, 1], kind="stable")]
        along = flow(roots / FINER)
        along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        along = (along + self._random.normal(0, 0.2, along.shape)) * length * FINER
        bright = 1 + self._random.normal(0, jitter, len(roots))
        hair = np.clip(colours[roots[:, 1].astype(int), roots[:, 0].astype(int)] * bright[:, None], 0, 1) * 255
        coat = Image.fromarray((np.clip(colours, 0, 1) * 255).astype(np.uint8))
        edge = Image.fromarray((shape * 255).astype(np.uint8))
        on_coat, on_edge = ImageDraw.Draw(coat), ImageDraw.Draw(edge)
        for (x, y), (dx, dy), tone in zip(roots, along, hair.astype(int).tolist(), strict=True):
            on_coat.line((x, y, x + dx, y + dy), fill=tuple(tone), width=2)
            on_edge.line((x, y, x + dx, y + dy), fill=255, width=2)
        self.paint(np.asarray(edge, np.float32) / 255, np.asarray(coat, np.float32) / 255)

    def finished(self) -> Image.Image:
        """The picture, 192 x 192 in RGB, in 64 steps of each colour: half the bytes, and no eye sees it."""
        image = Image.fromarray((np.clip(self.pixels, 0, 1) * 255).astype(np.uint8))
        small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        return Image.fromarray(small // 4 * 4 + small // 64)


def lay(below: Floats, shape: Floats, colour: Colour, alpha: float = 1.0) -> None:
    """Lays a colour, or (768, 768, 3) of them, over `below`, changing it where the mask is."""
    inside = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    if not inside[0].size:
        return
    box = tuple(slice(index[0], index[-1] + 1) for index in inside)
    top = np.asarray(colour, np.float32)
    share = shape[box][..., None] * alpha
    below[box] += ((top[box] if top.ndim == 3 else top) - below[box]) * share


def lit(colour: Colour, light: Floats) -> Floats:
    """A colour, or (768, 768, 3) of them, in warm light where `light` is above 0, in cool shade where below."""
    base = np.broadcast_to(np.asarray(colour, np.float32), (_WIDE, _WIDE, 3))
    bright, dark = 1 - (1 - base) * (0.35, 0.4, 0.5), base * (0.18, 0.18, 0.26)
    up, down = np.clip(light, 0, 1)[..., None], np.clip(-light, 0, 1)[..., None]
    blend: Floats = (base + (bright - base) * up + (dark - base) * down).astype(np.float32)
    return blend
