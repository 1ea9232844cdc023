"""CPU seconds for an epoch on one thread: our loop, and the plain one with torchvision's `DataLoader`.

    python -m benchmarks.throughput [--runs 5] [--images 60000]

The two take turns in one process, epoch by epoch, and compute the same (`tests/core/test_throughput.py`). What
counts is the ratio of each pair, as the machine's pace is the same for both. Both run with a worker's allocator
settings, which spare the plain loop time, too. MNIST and Fashion-MNIST must be in the data folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator

import torch

from benchmarks.measured import in_worker_environment, machine
from benchmarks.plain_loop import PlainLoop
from lenet_core.data import load
from lenet_core.layers import build
from lenet_core.library import data_dir
from lenet_core.recipes import RECIPES, Recipe
from lenet_core.train import Epoch, Training

RECIPE_NAMES = ("lenet-modern", "lenet5-tanh", "lenet-d2l")
BAR = 1.8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=60_000, help="how many of the training images an epoch has")
    options = parser.parse_args()
    in_worker_environment()
    torch.set_num_threads(1)
    print(f"CPU seconds for an epoch of {options.images:,} images, medians of {options.runs} epochs, one thread")
    print(f"{machine()}, PyTorch {torch.__version__}; bar for the ratio: at least {BAR}\n")
    print("| recipe | data | batch | optimiser | plain loop | ours | ratio, median (range) |")
    print("|---|---|---|---|---|---|---|")
    for name in RECIPE_NAMES:
        recipe = dataclasses.replace(RECIPES[name], epochs=options.runs, validation=0.0)
        pairs = epochs(recipe, options.images)
        plain, ours = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        ratios = [a / b for a, b in pairs]
        print(
            f"| {name} | {recipe.data} | {recipe.batch_size} | {recipe.optimiser} | {plain:.2f} | {ours:.2f} "
            f"| **{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )


def epochs(recipe: Recipe, images: int) -> list[tuple[float, float]]:
    """CPU seconds of each of the recipe's epochs, by the plain loop and by ours in turn."""
    data = load(recipe.data, train=True).take(slice(0, images))
    plain = PlainLoop(recipe, data_dir(), images)
    ours = iter(Training(build(recipe.architecture, seed=recipe.seed), recipe, data))
    return [
        (cpu_seconds(lambda: sum(plain.epoch())), cpu_seconds(lambda: one_epoch(ours))) for _ in range(recipe.epochs)
    ]


def one_epoch(events: Iterator[object]) -> None:
    next(event for event in events if isinstance(event, Epoch))


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
