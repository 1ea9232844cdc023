"""CPU seconds to 99.0, 99.2 and 99.4 % of MNIST's test images, beside five epochs of the plain loop.

    python -m benchmarks.time_to_accuracy [--seeds 0 1 2]

For each target some recipes stand to choose from. Each is trained once with a twelfth of the training images held
out, and what these say chooses; the test images are not asked. The chosen recipe is then trained on all 60,000
images with every seed, and the test images report. The candidates come from a study that saw the test images.
One thread, with a worker's allocator settings; evaluation is not in the seconds. MNIST must be in the data folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import torch
from torch import nn

from benchmarks.measured import in_worker_environment, machine
from benchmarks.plain_loop import PlainLoop
from lenet_core.data import load
from lenet_core.evaluate import evaluate
from lenet_core.layers import build
from lenet_core.library import data_dir
from lenet_core.recipes import RECIPES, Augmentation, Recipe
from lenet_core.train import Training

PLAIN = dataclasses.replace(RECIPES["lenet-modern"], epochs=5, validation=0.0)
CHOOSING_SEED = 1_000  # none of those that report


def _candidate(
    epochs: int, batch_size: int, peak: float, smoothing: float, shift: float = 0, turn: float = 0
) -> Recipe:
    return dataclasses.replace(
        PLAIN,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=peak,
        schedule="warmup-linear",
        label_smoothing=smoothing,
        augmentation=Augmentation(shift=shift, rotation=turn) if shift or turn else None,
    )


# The target, the most epochs it may take, and what there is to choose from.
TARGETS: tuple[tuple[float, int, tuple[Recipe, ...]], ...] = (
    (0.990, 2, (_candidate(1, 32, 3e-3, 0.1), _candidate(2, 32, 3e-3, 0.1), _candidate(2, 64, 4e-3, 0.1))),
    (0.992, 5, (_candidate(3, 64, 4e-3, 0.2), _candidate(4, 64, 4e-3, 0.1), _candidate(5, 64, 4e-3, 0.1, shift=1))),
    (
        0.994,
        10,
        (
            _candidate(8, 64, 4e-3, 0.05, shift=1),
            _candidate(10, 64, 4e-3, 0.05, shift=1),
            _candidate(10, 64, 4e-3, 0.05, shift=1, turn=7),
        ),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=60_000, help="fewer, to see whether this program works")
    options = parser.parse_args()
    in_worker_environment()
    torch.set_num_threads(1)
    seeds, images = options.seeds, options.images
    print(f"CPU seconds to an accuracy on MNIST's test images; seeds {', '.join(map(str, seeds))}; one thread")
    print(f"{machine()}, PyTorch {torch.__version__}\n")
    chosen = [choose(recipes, images) for _, _, recipes in TARGETS]
    print("\n| target | training | epochs (bar) | mean (range) | reached | CPU seconds | plain loop / ours |")
    print("|---|---|---|---|---|---|---|")
    plain = [plain_run(dataclasses.replace(PLAIN, seed=seed), images) for seed in seeds]
    plain_seconds = statistics.mean(seconds for _, seconds in plain)
    mean = spread([accuracy for accuracy, _ in plain])
    print(f"| | plain loop, {described(PLAIN)} | {PLAIN.epochs} | {mean} | | {plain_seconds:.1f} | |", flush=True)
    for (target, most, _), recipe in zip(TARGETS, chosen, strict=True):
        runs = [run(dataclasses.replace(recipe, seed=seed), images) for seed in seeds]
        accuracies = [accuracy for accuracy, _ in runs]
        seconds = statistics.mean(cpu for _, cpu in runs)
        reached = "yes" if statistics.mean(accuracies) >= target else "no"
        print(
            f"| {target:.1%} | {described(recipe)} | {recipe.epochs} (at most {most}) | {spread(accuracies)} "
            f"| {reached} | {seconds:.1f} | {plain_seconds / seconds:.1f} |",
            flush=True,
        )


def choose(recipes: tuple[Recipe, ...], images: int) -> Recipe:
    """The recipe that does best on held-out images; of equals the first."""
    best, chosen = -1.0, recipes[0]
    for recipe in recipes:
        train = load("mnist", train=True).take(slice(0, images))
        how = dataclasses.replace(recipe, validation=1 / 12, seed=CHOOSING_SEED)
        training = Training(build(how.architecture, seed=how.seed), how, train)
        for _ in training:
            pass
        accuracy = evaluate(training.net, training.held_out, how.architecture.input_shape).accuracy
        print(f"held out: {accuracy:.2%}  {recipe.epochs} epochs, {described(recipe)}", flush=True)
        if accuracy > best:
            best, chosen = accuracy, recipe
    return chosen


def run(recipe: Recipe, images: int) -> tuple[float, float]:
    """Test accuracy of our training, and its CPU seconds."""
    train = load("mnist", train=True).take(slice(0, images))
    started = time.process_time()
    training = Training(build(recipe.architecture, seed=recipe.seed), recipe, train)
    for _ in training:
        pass
    seconds = time.process_time() - started
    return test_accuracy(training.net), seconds


def plain_run(recipe: Recipe, images: int) -> tuple[float, float]:
    """The same of the plain loop."""
    torch.manual_seed(recipe.seed)  # its loader shuffles by the global generator
    plain = PlainLoop(recipe, data_dir(), images)
    started = time.process_time()
    for _ in range(recipe.epochs):
        sum(plain.epoch())
    seconds = time.process_time() - started
    return test_accuracy(plain.net), seconds


def test_accuracy(net: nn.Sequential) -> float:
    """The fraction of MNIST's 10,000 test images that the network answers rightly."""
    return evaluate(net, load("mnist", train=False), PLAIN.architecture.input_shape).accuracy


def described(recipe: Recipe) -> str:
    """What tells the recipe from the others."""
    parts = [f"batch {recipe.batch_size}", f"rate {recipe.learning_rate:g}"]
    parts += [f"smoothing {recipe.label_smoothing:g}"] if recipe.label_smoothing else []
    if recipe.augmentation is not None:
        parts += [f"shift {recipe.augmentation.shift:g} px"]
        parts += [f"rotation {recipe.augmentation.rotation:g}°"] if recipe.augmentation.rotation else []
    return ", ".join(parts)


def spread(accuracies: list[float]) -> str:
    """Their mean, and from where to where they go."""
    return f"{statistics.mean(accuracies):.2%} ({min(accuracies):.2%} to {max(accuracies):.2%})"


if __name__ == "__main__":
    main()
