"""From the visitor's strokes to a digit that a network can read."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lenet_core.errors import EmptyDrawingError
from lenet_core.preprocess import Digit, digit_of_ink
from lenet_core.strokes import Strokes, ink_without
from ui import canvas


def digit_of(strokes: Strokes, without: Collection[str] = ()) -> Digit | None:
    """The digit that the strokes make; None where there is too little ink for one.

    Of the `steps.STEPS`, `without` names those to leave out; scale is not taken here in any case.

    Raises:
        ValueError: `without` names a step that there is not.
    """
    try:
        picture = ink_without(strokes, without, size=canvas.SIZE, pen=canvas.PEN, min_extent=canvas.MIN_EXTENT)
        return digit_of_ink((picture / 255).astype(np.float32), without)
    except EmptyDrawingError:
        return None
