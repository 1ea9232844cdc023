"""What the benchmarks share: how they print what they measured, and on what data and terms they run."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from lenet_core.engine import WORKER_ENVIRONMENT, environment
from lenet_core.library import data_dir


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie, between neighbours by proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def summary(values: Sequence[float], unit: str) -> str:
    """Minimum, median and 95th percentile in one line."""
    return (
        f"minimum {min(values):7.0f} {unit}, median {statistics.median(values):7.0f} {unit}, "
        f"95th percentile {percentile(values, 0.95):7.0f} {unit} (n = {len(values)})"
    )


def machine() -> str:
    """What the numbers were measured on."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}, {platform.system()}"


def data_links(folder: Path) -> None:
    """Makes `folder` a data folder with the data sets of the user's, so that runs are kept apart from theirs."""
    for name in ("MNIST", "FashionMNIST", "tensors"):
        source = (data_dir() / name).absolute()
        if source.exists():
            (folder / name).symlink_to(source, target_is_directory=True)


def in_worker_environment() -> None:
    """Starts this program anew with the variables of a worker's environment, unless it has them."""
    if any(os.environ.get(name) != value for name, value in WORKER_ENVIRONMENT.items()):
        os.execve(sys.executable, sys.orig_argv, environment())
