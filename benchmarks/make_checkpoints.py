"""Trains the bundled checkpoints over several seeds, ships seed 0, and writes their table.

    python -m benchmarks.make_checkpoints WORK_FOLDER [--seeds 0 1 2] [--jobs 2]

Trainings that WORK_FOLDER already holds are not repeated, so an interrupted run goes on where it was.
The seed is not chosen by its result: seed 0 ships, whatever it reached.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import DataSet
from lenet_core.data_sets import DIGITS
from lenet_core.evaluate import evaluate
from lenet_core.library import BUNDLED
from tests.pens import PEN_WIDTH, STROKES, inked, pen_data, picture

SHIPPED = {
    "lenet-modern": "lenet-modern-draw",
    "lenet5-tanh": "lenet5-tanh-draw",
    "lenet5-1998": "lenet5-1998-draw",
    "lenet-d2l": "lenet-d2l-draw",
    "lenet-d2l-fashion": "lenet-d2l-fashion",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    runs = [(recipe, seed) for recipe in SHIPPED.values() for seed in options.seeds]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda run: train(options.work, *run), runs))
    pens = [pen_data(inked), pen_data(picture)] if STROKES.exists() else []
    rows = [row(name, recipe, options.work, options.seeds, pens) for name, recipe in SHIPPED.items()]
    for name, recipe in SHIPPED.items():
        shutil.copyfile(model(options.work, recipe, options.seeds[0]), BUNDLED / f"{name}.safetensors")
    made = load_checkpoint(model(options.work, SHIPPED["lenet-modern"], options.seeds[0])).training
    (BUNDLED / "README.md").write_text(table(rows, options.seeds, made))
    print((BUNDLED / "README.md").read_text())


def model(work: Path, recipe: str, seed: int) -> Path:
    return work / f"{recipe}-seed{seed}" / "model.safetensors"


def train(work: Path, recipe: str, seed: int) -> None:
    path = model(work, recipe, seed)
    if not path.exists():
        command = [sys.executable, "-m", "lenet_core", "train", recipe, "--seed", str(seed)]
        subprocess.run([*command, "--device", "cpu", "--out", str(path.parent)], check=True)


def row(name: str, recipe: str, work: Path, seeds: list[int], pens: list[DataSet]) -> str:
    checkpoints = [load_checkpoint(model(work, recipe, seed)) for seed in seeds]
    tests = [100 * checkpoint.training["test_accuracy"] for checkpoint in checkpoints]
    first = checkpoints[0]
    on_pens = [
        spread([100 * pen_accuracy(checkpoint, data) for checkpoint in checkpoints])
        for data in (pens if first.classes == DIGITS else [])
    ] or ["not digits" if first.classes != DIGITS else "not measured"] * 2
    return (
        f"| `{name}` | `train {recipe} --seed {seeds[0]}` | {first.training['data']} "
        f"| {first.training['epochs']} | {first.architecture.parameters:,} | {spread(tests)} | {' | '.join(on_pens)} |"
    )


def pen_accuracy(checkpoint: Checkpoint, pens: DataSet) -> float:
    return evaluate(checkpoint.net, pens, checkpoint.architecture.input_shape).accuracy


def spread(percents: list[float]) -> str:
    """The shipped seed's value, then the mean and range over all seeds."""
    return f"{percents[0]:.2f} % ({statistics.mean(percents):.2f}; {min(percents):.2f} to {max(percents):.2f})"


def table(rows: list[str], seeds: list[int], made: dict[str, Any]) -> str:
    lines = [
        "# Bundled checkpoints",
        "",
        "Each file is a network with its description, as `python -m lenet_core train` writes it. Written by",
        "`python -m benchmarks.make_checkpoints WORK_FOLDER`, which trains every recipe with seeds",
        f"{', '.join(map(str, seeds))} and ships seed {seeds[0]}, the first that was trained.",
        "Accuracies are the shipped seed's, then (mean; range) over all seeds. The recipe itself comes from a",
        "study that saw both test sets; the networks never did. The pen digits are",
        "1,000 of UNIPEN's (Guyon et al. 1994), no one of which was trained on: first as the Draw page inks",
        f"them, then as pictures of a 280-pixel canvas with a pen of {PEN_WIDTH} pixels, as `predict` gets them.",
        "",
        "| file | command (`python -m lenet_core ...`) | data | epochs | parameters "
        "| its test set | pens, Draw page | pens, pictures |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Trained on: {made['device']}, one thread a training, {platform.machine()} with {os.cpu_count()} cores, "
        f"Python {made['python']}, PyTorch {made['torch']}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
