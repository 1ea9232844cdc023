"""The steps from a drawing to what a network is fed, each of which can be left out to see what it is for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lenet_core.bounds import check_choice


@dataclass(frozen=True)
class Step:
    """One step: its `title`, what it `does`, and what happens `without` it."""

    title: str
    does: str
    without: str


STEPS = {
    "width": Step(
        "Stroke width",
        "The strokes are inked anew, with a pen in proportion to the drawing.",
        "The canvas's own pen stays: a small digit becomes a blot, a large one thin.",
    ),
    "crop": Step(
        "Crop",
        "What is empty around the ink is cut off.",
        "The whole canvas is made 20 pixels: a digit stays as small as it was drawn, and near where it was drawn.",
    ),
    "fit": Step(
        "Fit to 20 x 20",
        "The longer side is made 20 pixels, which leaves a margin of 4.",
        "The longer side fills all 28 pixels.",
    ),
    "antialias": Step(
        "Anti-alias",
        "Each pixel is the mean of what it covers, so that edges are grey.",
        "Each pixel is the one point in its middle: ink or none, with ragged edges.",
    ),
    "centre": Step(
        "Centre by mass",
        "The centre of mass goes to the middle, as in MNIST.",
        "The middle of the ink's box goes there.",
    ),
    "polarity": Step(
        "Polarity",
        "Ink is bright, and paper is dark, as in MNIST.",
        "Ink is dark on bright paper, as one writes.",
    ),
    "scale": Step(
        "Input scale",
        "Pixels of 0 to 255 become numbers of 0 to 1.",
        "They go in as numbers of 0 to 255.",
    ),
}


def check_steps(without: Collection[str]) -> None:
    """Raises a ValueError if `without` names a step that there is not."""
    for name in without:
        check_choice("a step to leave out", name, tuple(STEPS))
