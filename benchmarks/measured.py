"""How the benchmarks print what they measured."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence


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
