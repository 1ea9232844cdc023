"""A signed map laid over the picture that it speaks of, so that one sees both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ui.pictures import DIVERGING, Scale, scale_for

# What black and white become: blue and red of the map stand out from every grey between them.
_DARKEST, _LIGHTEST = 130.0, 240.0


def overlay(image: NDArray[np.uint8], values: NDArray[np.float32], scale: Scale | None = None) -> NDArray[np.uint8]:
    """The image in faint grey with the values over it in the diverging map, as (H, W, 3) uint8.

    `image` (H, W) or (H, W, 3) and `values` (H, W) are of one size. Where a value is 0 the grey shows alone, at
    the ends of the scale the map's own blue or red, and between them as much of the colour as the value's part
    of the end. The scale is centred on zero: the values' own unless one is given, as for pictures to be compared.

    Raises:
        ValueError: image and values are of different sizes.
    """
    if image.shape[:2] != values.shape:
        raise ValueError(f"An image of {image.shape[:2]} pixels cannot lie under values of {values.shape}.")
    scale = scale or scale_for(values, signed=True)
    light = (image @ np.array([0.299, 0.587, 0.114]) if image.ndim == 3 else image) / 255
    grey = (_DARKEST + (_LIGHTEST - _DARKEST) * light)[..., None]
    strength = np.clip(np.abs(values) / max(scale.high, 1e-12), 0, 1)[..., None]
    # The map's end and not its paler middle, which would wash out on top of the mixing.
    colour = np.where(values[..., None] < 0, DIVERGING[0], DIVERGING[-1])
    mixed: NDArray[np.uint8] = (grey + strength * (colour - grey)).round().astype(np.uint8)
    return mixed
