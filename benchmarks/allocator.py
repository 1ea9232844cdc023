"""What the worker's allocator settings save: CPU seconds for 400 steps with them, without, and with Dask's.

    python -m benchmarks.allocator [--runs 5]

Each time is that of a fresh process on one thread, on the bundled sample; the three settings take turns. They are
glibc's: with another C library all three do the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from itertools import islice

from benchmarks.measured import machine
from lenet_core.engine import ROOT, WORKER_ENVIRONMENT
from lenet_core.recipes import RECIPES

RECIPE_NAMES = ("lenet-modern", "lenet-d2l")
STEPS = 400
SETTINGS: dict[str, dict[str, str]] = {
    "the worker's": WORKER_ENVIRONMENT,
    "the system's": {},
    "Dask's": {"MALLOC_TRIM_THRESHOLD_": "65536"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--inside", metavar="RECIPE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(cpu_seconds(options.inside))
        return
    print(f"CPU seconds for {STEPS} steps, medians of {options.runs}, one thread, {machine()}\n")
    print(f"| recipe | batch | {' | '.join(SETTINGS)} | ratios to the worker's, medians |\n|---|---|---|---|---|---|")
    for name in RECIPE_NAMES:
        rounds = [[measure(name, settings) for settings in SETTINGS.values()] for _ in range(options.runs)]
        seconds = " | ".join(f"{statistics.median(column):.2f}" for column in zip(*rounds, strict=True))
        ratios = [statistics.median(each[index] / each[0] for each in rounds) for index in (1, 2)]
        print(f"| {name} | {RECIPES[name].batch_size} | {seconds} | {ratios[0]:.2f}, {ratios[1]:.2f} |", flush=True)


def measure(name: str, settings: dict[str, str]) -> float:
    """CPU seconds of the recipe's steps in a process with these allocator settings and no others."""
    others = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    command = [sys.executable, "-m", "benchmarks.allocator", "--inside", name]
    environment = {**others, **settings}
    return float(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout)


def cpu_seconds(name: str) -> float:
    """CPU seconds of the recipe's steps here, after fifty to warm up."""
    import torch

    from lenet_core.data import load
    from lenet_core.layers import build
    from lenet_core.train import Training

    torch.set_num_threads(1)
    recipe = dataclasses.replace(RECIPES[name], data="mnist-5k", validation=0.0, epochs=100)
    steps = iter(Training(build(recipe.architecture, seed=0), recipe, load("mnist-5k", train=True)))
    list(islice(steps, 50))
    started = time.process_time()
    list(islice(steps, STEPS))
    return time.process_time() - started


if __name__ == "__main__":
    main()
