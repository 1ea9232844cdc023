"""What each step from a drawing to an input is worth to a network: its accuracy with that step left out.

The steps act on drawings, and a test set has pictures. So each picture is laid on an empty canvas as a visitor might
draw it, anywhere and at any size, and goes through the Draw page's own preprocessing. What is over half as bright as
its brightest pixel is ink, the rest paper, since a canvas knows no greys: with the greys kept, fit and scale came out
further from what 1,000 real pen digits show (`python -m benchmarks.step_costs`). Those have hands' own slants, gaps and
hooks, which no test picture gets here; and what crop is worth depends on how small one draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.architecture import Architecture
from lenet_core.bounds import check_choice, check_number, shorten
from lenet_core.data import DataSet, fit_field
from lenet_core.preprocess import FIELD_SIZE, digit_of_ink
from lenet_core.steps import STEPS
from lenet_core.summary import summary

CANVAS = 112  # side of the canvas, pixels: a third of the Draw page's; on one of 280 the costs came out alike
PEN = 22 / 3  # width of the canvas's own pen, pixels: a third of the Draw page's
SIZES = (0.35, 0.9)  # the drawing's longer side, of the canvas's: smallest and largest
MOST_MULTIPLY_ADDS = 5_000_000  # for one image, twelve times a LeNet's; what asks for more takes too long
ALL = ""  # stands for "no step left out"
_WIDEST = 5.0  # pixels of 28: what is wider is no stroke (99 % of MNIST's digits are below 4.7)
_SEED = 0  # the same drawings for every network
_AT_ONCE = 100  # drawings made together: they stay in the processor's cache
_BATCH = 500
_MAX_IMAGES = 10**9


@dataclass(frozen=True)
class StepCosts:
    """How a network reads `images` pictures of the data set titled `data`, each laid on a canvas and prepared.

    `accuracy` is the fraction read rightly with all steps on, `without` that with each step of `STEPS` left out alone.

    Raises:
        ValueError: a field of a wrong type or out of its range; the message names it.
    """

    data: str
    images: int
    accuracy: float
    without: dict[str, float]

    def __post_init__(self) -> None:
        if not isinstance(self.data, str) or not 0 < len(self.data) <= 80 or not self.data.isprintable():
            raise ValueError(f"data must be a text of 1 to 80 printable characters, not {shorten(self.data)}.")
        check_number("images", self.images, 1, _MAX_IMAGES)
        check_number("accuracy", self.accuracy, 0, 1, whole=False)
        if not isinstance(self.without, dict) or set(self.without) != set(STEPS):
            raise ValueError(f"without must be an object with {', '.join(STEPS)}, not {shorten(self.without)}.")
        for step, accuracy in self.without.items():
            check_number(f"the accuracy without {step}", accuracy, 0, 1, whole=False)

    def cost(self, step: str) -> float:
        """What leaving the step out costs, a fraction of the pictures; below 0 where the network does better without.

        Raises:
            ValueError: there is no such step.
        """
        check_choice("a step", step, tuple(STEPS))
        return self.accuracy - self.without[step]

    def to_dict(self) -> dict[str, Any]:
        """The costs as plain JSON types; `from_dict` reads them back."""
        return {"data": self.data, "images": self.images, "accuracy": self.accuracy, "without": dict(self.without)}

    @classmethod
    def from_dict(cls, description: Any) -> StepCosts:
        """The costs that a plain dictionary describes, which may come from a stranger's checkpoint.

        Raises:
            ValueError: a field is missing, unknown, of a wrong type or out of its range.
        """
        fields = {"data", "images", "accuracy", "without"}
        if not isinstance(description, Mapping) or set(description) != fields:
            raise ValueError(
                f"It must be an object with data, images, accuracy and without, not {shorten(description)}."
            )
        return cls(**description)


def step_costs(net: nn.Module, data: DataSet, arch: Architecture, limit: int | None = None) -> StepCosts | None:
    """What each step costs the network on labelled pictures, evenly taken from `data` where a `limit` is set.

    None where it cannot be said: the images are not grey and 28 x 28, or one of them takes the network more than
    5 million multiplications.
    """
    if data.images.shape[1:] != (1, FIELD_SIZE, FIELD_SIZE) or summary(arch).multiply_adds > MOST_MULTIPLY_ADDS:
        return None
    if limit is not None and limit < len(data):
        data = data.take(torch.arange(limit) * len(data) // limit)
    return costs_on(net, prepared(data), data, arch)


def costs_on(net: nn.Module, images: Mapping[str, Tensor], data: DataSet, arch: Architecture) -> StepCosts:
    """The costs on images that `prepared` made of `data`, or that were drawn otherwise and carry its labels.

    `images` has for `ALL` and for each step but scale what comes of leaving it out, (N, 1, 28, 28) uint8.
    """
    shape = arch.input_shape
    without = {
        step: _accuracy(net, images[ALL if step == "scale" else step], data.labels, shape, scaled=step != "scale")
        for step in STEPS
    }
    return StepCosts(data.title, len(data), _accuracy(net, images[ALL], data.labels, shape), without)


def _accuracy(
    net: nn.Module, images: Tensor, labels: Tensor, shape: tuple[int, int, int], scaled: bool = True
) -> float:
    """The fraction answered rightly, fed with numbers from 0 to 1, or to 255 if they are not `scaled`."""
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode():
            answers = [
                net(fit_field(batch.to(device).float() / (255 if scaled else 1), shape)).argmax(1).cpu()
                for batch in images.split(_BATCH)
            ]
    finally:
        net.train(was_training)
    return int((torch.cat(answers) == labels).sum()) / len(labels)


# --- the pictures as drawings ------------------------------------------------------------------


def prepared(data: DataSet) -> dict[str, Tensor]:
    """Pictures (N, 1, 28, 28) drawn on a canvas and prepared, with nothing (`ALL`) and with each step left out.

    Each is (N, 1, 28, 28) uint8; scale, which changes no image, has none. The same pictures give the same drawings.
    """
    places = torch.rand(len(data), 3, generator=torch.Generator().manual_seed(_SEED))
    result = {step: torch.zeros_like(data.images) for step in (ALL, *STEPS) if step != "scale"}
    for first in range(0, len(data), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        ink, widths = _laid(data.images[part, 0], places[part])
        by_pen = _with_width(ink, widths, PEN)
        for step, images in result.items():
            for number, drawing in enumerate((by_pen if step == "width" else ink).float().numpy(), first):
                if drawing.any():  # an empty picture stays one
                    images[number, 0] = torch.from_numpy(digit_of_ink(drawing, (step,) if step else ()).image)
    return result


def _laid(images: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (N, 28, 28) uint8 as ink on the canvas, (N, 112, 112) bool, and their strokes' widths on it, (N,).

    `places` (N, 3), from 0 to 1, say how large each is, and where across and down.
    """
    values = images / images.amax((1, 2), keepdim=True).clamp(min=1)
    (left, right), (top, bottom) = _ends((images > 0).any(1)), _ends((images > 0).any(2))
    smallest, largest = SIZES
    scale = CANVAS * (smallest + (largest - smallest) * places[:, 0]) / torch.maximum(right - left, bottom - top)
    across, down = _sources(left, right, scale, places[:, 1]), _sources(top, bottom, scale, places[:, 2])
    shape = (-1, CANVAS, CANVAS)
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], -1)  # N x 112 x 112 x 2
    ink = F.grid_sample(values[:, None], grid, align_corners=False)[:, 0] > 0.5
    return ink, _stroke_widths(values) * scale


def _ends(inked: Tensor) -> tuple[Tensor, Tensor]:
    """The first inked place and the one behind the last of rows (N, 28) bool."""
    return inked.int().argmax(1), FIELD_SIZE - inked.flip(1).int().argmax(1)


def _sources(begin: Tensor, end: Tensor, scale: Tensor, place: Tensor) -> Tensor:
    """Which place of the picture each of an axis's 112 pixels shows, as `grid_sample` counts: -1 to 1."""
    at = place * (CANVAS - (end - begin) * scale)
    pixels = (torch.arange(CANVAS) + 0.5 - at[:, None]) / scale[:, None] + begin[:, None]
    return 2 * pixels / FIELD_SIZE - 1


def _stroke_widths(values: Tensor) -> Tensor:
    """Twice the ink's area over its edge's length for each of N pictures, in pixels of 28, at most 5."""
    around = F.pad(values, (1, 1, 1, 1))
    rows, columns = torch.gradient(around, dim=(1, 2))
    edges = torch.hypot(rows, columns).sum((1, 2)).clamp(min=1)
    return (2 * values.sum((1, 2)) / edges).clamp(max=_WIDEST)


def _with_width(ink: Tensor, widths: Tensor, pen: float) -> Tensor:
    """Ink (N, H, W) whose strokes of `widths` (N,) are made `pen` wide; what would vanish stays as it is.

    Half of the difference is added or taken on either side, by the distance to the ink's edge, which lies half a
    pixel from the middle of the pixels beside it.
    """
    grows = (widths < pen)[:, None, None]
    change = (widths - pen).abs()[:, None, None] / 2
    changed = _distance(ink == grows, float(change.max()) + 0.5) - 0.5 <= change
    result = torch.where(grows, changed, ~changed)
    return torch.where(result.any(2, keepdim=True).any(1, keepdim=True), result, ink)


def _distance(pixels: Tensor, reach: float) -> Tensor:
    """How far each pixel of (N, H, W) is from the nearest that is True, or more than `reach` where none is as near."""
    most = ceil(reach)
    nothing = 2.0 * (most + 1) ** 2
    squares = torch.where(pixels, 0.0, nothing)
    for dim in (1, 2):  # the square of a distance is a sum over the axes, and so is its minimum
        size = squares.shape[dim]
        padding = (0, 0, most, most) if dim == 1 else (most, most)
        around = F.pad(squares, padding, value=nothing)
        for step in range(-most, most + 1):
            squares = torch.minimum(squares, around.narrow(dim, most + step, size) + step * step)
    return squares.sqrt()
