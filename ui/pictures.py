"""Arrays to pictures: colour maps, and PNGs small enough to stand in the page itself."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def _ramp(colours: str) -> NDArray[np.uint8]:
    """256 colours (256, 3) through the given ones, evenly spaced."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in colours.split()])
    places = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(places, range(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


# Dark is low. Viridis (Smith and van der Walt 2015), by its ten usual stops.
SEQUENTIAL = _ramp("440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725")
# Blue below zero, white at zero, red above: ColorBrewer's RdBu (Brewer 2003).
DIVERGING = _ramp("2166ac 67a9cf d1e5f0 f7f7f7 fddbc7 ef8a62 b2182b")
INK = _ramp("000000 ffffff")


@dataclass(frozen=True)
class Scale:
    """What the colours mean: `low` and `high` are the values at the ends of `ramp` (256, 3)."""

    low: float
    high: float
    ramp: NDArray[np.uint8]

    @property
    def signed(self) -> bool:
        """Whether the scale is centred on zero."""
        return self.ramp is DIVERGING


def scale_for(values: NDArray[np.float32], signed: bool = False) -> Scale:
    """One scale for all `values`: centred on zero where they have a sign or could, from their least otherwise."""
    low, high = float(values.min()), float(values.max())
    if low < 0 < high or signed:
        largest = max(-low, high) or 1.0  # zero is white also where there is nothing else
        return Scale(-largest, largest, DIVERGING)
    return Scale(low, high, SEQUENTIAL)


def coloured(values: NDArray[np.float32], scale: Scale) -> NDArray[np.uint8]:
    """The values (height, width) as colours (height, width, 3)."""
    span = max(scale.high - scale.low, 1e-12)
    index = np.clip((values - scale.low) / span * 255, 0, 255).round().astype(np.uint8)
    colours: NDArray[np.uint8] = scale.ramp[index]
    return colours


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture (height, width[, 3]) as a PNG in a `data:` address, pixel for pixel."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def ramp_css(scale: Scale) -> str:
    """The scale's colours as a CSS gradient, low on the left."""
    stops = [scale.ramp[round(255 * step / 8)] for step in range(9)]
    return "linear-gradient(90deg," + ",".join("rgb({},{},{})".format(*stop) for stop in stops) + ")"


@dataclass(frozen=True)
class Scales:
    """The scale of each map of a layer: `low` and `high` (rows, channels), or 1 where all rows or channels share."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    ramp: NDArray[np.uint8]

    def of(self, row: int, channel: int) -> Scale:
        """The scale of one map."""
        low, high = (ends[row % len(ends), channel % ends.shape[1]] for ends in (self.low, self.high))
        return Scale(float(low), float(high), self.ramp)


SHARED = {"all": "everything", "row": "each input", "map": "each map"}


def scales_for(values: NDArray[np.float32], shared: str) -> Scales:
    """Scales for a layer's `values` (rows, channels, ...): one for "all", one a "row", or one a "map" (channel).

    Centred on zero where any of the values is below it, so that zero has one colour in the whole layer.
    """
    values = values.reshape(*values.shape[:2], -1)
    axes = {"all": (0, 1, 2), "row": (1, 2), "map": (0, 2)}[shared]
    low, high = values.min(axes, keepdims=True)[..., 0], values.max(axes, keepdims=True)[..., 0]
    if values.min() < 0:
        high = np.maximum(-low, high)
        high = np.where(high > 0, high, 1.0).astype(np.float32)  # zero is white also where there is nothing else
        return Scales(-high, high, DIVERGING)
    return Scales(low, high, SEQUENTIAL)


def kernel_pictures(weight: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """A convolution's kernels (out, in, k, k) as pictures, one for each map it makes, all on one scale.

    Of three channels a kernel is one picture in colour, grey where it is zero. Of more than one channel its
    parts stand side by side, those of the first 16 channels, with grey lines between.
    """
    largest = max(float(np.abs(weight).max()), 1e-12)
    if weight.shape[1] == 3:
        colours = (127.5 + 127.5 * weight / largest).round().astype(np.uint8)
        return list(colours.transpose(0, 2, 3, 1))
    scale = Scale(-largest, largest, DIVERGING)
    return [_mosaic([coloured(part, scale) for part in kernel[:16]]) for kernel in weight]


def _mosaic(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures (k, k, 3) laid out in a field as square as they allow, a grey pixel between."""
    columns = int(np.ceil(np.sqrt(len(parts))))
    rows = -(-len(parts) // columns)
    side = len(parts[0])
    field = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1, 3), 140, dtype=np.uint8)
    for number, part in enumerate(parts):
        top, left = (side + 1) * (number // columns), (side + 1) * (number % columns)
        field[top : top + side, left : left + side] = part
    return field
