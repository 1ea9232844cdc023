"""From the visitor's strokes to a digit that a network can read."""

from __future__ import annotations

from lenet_core.errors import EmptyDrawingError
from lenet_core.preprocess import Digit, to_digit
from lenet_core.strokes import Strokes, ink
from ui import canvas


def digit_of(strokes: Strokes) -> Digit | None:
    """The digit that the strokes make; None where there is too little ink for one."""
    try:
        return to_digit(ink(strokes, min_extent=canvas.MIN_EXTENT))
    except EmptyDrawingError:
        return None
