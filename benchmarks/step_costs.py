"""What leaving out each step of the preprocessing costs the bundled networks, as a Markdown table.

    python -m benchmarks.step_costs            measure, on each network's test images and on real pen digits
    python -m benchmarks.step_costs --write    also write what its test images gave into each bundled checkpoint

Needs MNIST and Fashion-MNIST, and the pen digits beside the project. The pen digits are laid on the canvas by the same
rule as the test images, and inked as the Draw page inks them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenet_core.ablation import ALL, SIZES, StepCosts, costs_on, prepared
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.data import DataSet, load
from lenet_core.data_sets import DIGITS
from lenet_core.library import bundled_checkpoints
from lenet_core.preprocess import to_digit
from lenet_core.steps import STEPS
from lenet_core.strokes import LONGER_SIDE, PEN, Strokes, ink, ink_on_canvas
from tests.pens import PenDigit, pen_digits

CANVAS, CANVAS_PEN = 336, 22  # of the Draw page, pixels (ui/canvas.py; no page can be imported outside the app)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the costs into the bundled checkpoints")
    write = parser.parse_args().write
    torch.set_num_threads(1)
    checkpoints = {name: load_checkpoint(path) for name, path in bundled_checkpoints().items()}
    drawn: dict[str, tuple[DataSet, dict[str, Tensor]]] = {}
    for name in sorted({checkpoint.training["recipe"]["data"] for checkpoint in checkpoints.values()}):
        data = load(name, train=False)
        start = time.perf_counter()
        drawn[name] = data, prepared(data)
        print(f"{len(data):,} test images of {data.title} drawn in {time.perf_counter() - start:.1f} s")
    pens, inked = pen_images(pen_digits())
    print(f"\n| network | drawings | all steps | {' | '.join(f'without {step}' for step in STEPS)} |")
    print("|---|---|---:|" + "---:|" * len(STEPS))
    for name, checkpoint in checkpoints.items():
        data, images = drawn[checkpoint.training["recipe"]["data"]]
        costs = costs_on(checkpoint.net, images, data, checkpoint.architecture)
        print(row(name, costs))
        if checkpoint.classes == DIGITS:
            print(row(name, costs_on(checkpoint.net, inked, pens, checkpoint.architecture)))
        if write:
            store(bundled_checkpoints()[name], costs)


def row(name: str, costs: StepCosts) -> str:
    cells = (f"{100 * accuracy:.1f} %" for accuracy in (costs.accuracy, *costs.without.values()))
    return f"| `{name}` | {costs.images:,}, {costs.data} | {' | '.join(cells)} |"


def pen_images(digits: list[PenDigit]) -> tuple[DataSet, dict[str, Tensor]]:
    """The pen digits with nothing and with each step left out, as `prepared` has it for test images."""
    places = np.random.default_rng(0).random((len(digits), 3))
    drawings = [on_canvas(digit.strokes, place) for digit, place in zip(digits, places, strict=True)]
    images = {
        step: torch.from_numpy(np.stack([image_without(strokes, step) for strokes in drawings]))[:, None]
        for step in (ALL, *STEPS)
        if step != "scale"
    }
    labels = torch.tensor([digit.label for digit in digits])
    return DataSet("pens", "pen digits", images[ALL], labels, DIGITS), images


def on_canvas(strokes: Strokes, place: NDArray[np.float64]) -> Strokes:
    """The strokes as large, and where, as `place` (3,) says, with room for the pen of `ink_on_canvas` around."""
    points = np.array([point for stroke in strokes for point in stroke])
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    pen = float(size.max()) * PEN / LONGER_SIDE
    smallest, largest = SIZES
    scale = CANVAS * (smallest + (largest - smallest) * place[0]) / (size.max() + pen)
    first = place[1:] * (CANVAS - (size + pen) * scale) + pen / 2 * scale
    left, top = first - low * scale
    return [[(float(left + x * scale), float(top + y * scale)) for x, y in stroke] for stroke in strokes]


def image_without(strokes: Strokes, step: str) -> NDArray[np.uint8]:
    if step == "width":
        return to_digit(ink_on_canvas(strokes, CANVAS, pen=CANVAS_PEN)).image
    if step == "crop":
        return to_digit(ink_on_canvas(strokes, CANVAS), ("crop",)).image
    return to_digit(ink(strokes), (step,) if step else ()).image


def store(path: Path, costs: StepCosts) -> None:
    """Writes the costs into the checkpoint, and nothing else."""
    before = load_checkpoint(path)
    training = before.training | {"steps": costs.to_dict()}
    save_checkpoint(path, Checkpoint(before.architecture, before.net, before.classes, training))
    after = load_checkpoint(path)
    assert after.training == training
    assert (after.architecture, after.classes) == (before.architecture, before.classes)
    weights = after.net.state_dict()
    for name, tensor in before.net.state_dict().items():
        assert torch.equal(tensor.view(torch.uint8), weights[name].view(torch.uint8)), f"{path.name}: {name} changed"


if __name__ == "__main__":
    main()
