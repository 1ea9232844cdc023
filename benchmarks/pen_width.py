"""What the pen's width does: strokes beside MNIST's, and the default network's accuracy by drawing size.

    python -m benchmarks.pen_width

Needs the pen digits beside the project. A stroke's width is taken as twice the ink's area over the
length of its edge.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lenet_core.checkpoint import load_checkpoint
from lenet_core.data import load
from lenet_core.evaluate import evaluate
from lenet_core.library import DEFAULT, bundled_checkpoints
from lenet_core.preprocess import to_digit
from lenet_core.strokes import PEN, ink, rasterise
from tests.pens import CANVAS, PEN_WIDTH, PenDigit, pen_data, pen_digits

_CHECKPOINT = load_checkpoint(bundled_checkpoints()[DEFAULT])


def main() -> None:
    digits = pen_digits()
    sample = load("mnist-5k", train=False)
    print(f"median stroke width, pixels of 28: {sample.title} {stroke_width(sample.images[:, 0].numpy()):.2f}")
    for pen in (18, 22, PEN, 32):
        images = np.stack([to_digit(ink(digit.strokes, pen=pen)).image for digit in digits])
        print(f"  pen digits inked with {pen} pixels to a digit of 200: {stroke_width(images):.2f}")
    print("accuracy by the size of the drawing (1 is 200 pixels of the 280-pixel canvas)")
    print("  size  " + "".join(f"pen {pen:<7}" for pen in (PEN_WIDTH, 20, 24)) + "inked anew")
    for size in (1.2, 1.0, 0.7, 0.5, 0.35, 0.25):
        fixed = [accuracy(partial(with_pen, size=size, pen=pen)) for pen in (PEN_WIDTH, 20, 24)]
        anew = accuracy(lambda digit, size=size: ink(scaled(digit, size)))  # type: ignore[misc]
        print(f"  {size:<6}" + "".join(f"{value:<11.1%}" for value in (*fixed, anew)))


def with_pen(digit: PenDigit, size: float, pen: float) -> NDArray[np.uint8]:
    return rasterise(scaled(digit, size), pen)


def stroke_width(images: NDArray[np.uint8]) -> float:
    ink_amount = images / 255
    rows, columns = np.gradient(ink_amount, axis=(1, 2))
    edge = np.hypot(rows, columns).sum(axis=(1, 2))
    return float(np.median(2 * ink_amount.sum(axis=(1, 2)) / edge))


def scaled(digit: PenDigit, size: float) -> list[list[tuple[float, float]]]:
    start = CANVAS / 2 * (1 - size)
    return [[(start + x * size, start + y * size) for x, y in stroke] for stroke in digit.strokes]


def accuracy(draw: Callable[[PenDigit], NDArray[np.uint8]]) -> float:
    return evaluate(_CHECKPOINT.net, pen_data(draw), _CHECKPOINT.architecture.input_shape).accuracy


if __name__ == "__main__":
    main()
