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
        largest = max(-low, high)
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
