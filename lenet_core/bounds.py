"""Bounds and checks that hold before anything is built, so that a description from a stranger costs nothing."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

shorten = reprlib.repr  # a value in a message: its beginning, however long or deep it is

MAX_PARAMETERS = 100_000_000  # AlexNet without groups has 62 million
MAX_UNITS = 20_000_000  # activations of one layer for one image
MAX_INPUT_SIZE = 1024
MAX_CHANNELS = 4096
MAX_DEPTH = 16
MAX_CLASSES = 10_000
MAX_CODE_VALUES = 1_000_000  # of an RBF output


def check_number(what: str, value: Any, low: float, high: float, whole: bool = True) -> None:
    """Raises a ValueError unless `value` is a number, a whole one if so asked, from `low` to `high`."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        number = "a whole number" if whole else "a number"
        raise ValueError(f"{what} must be {number} from {low:,} to {high:,}, not {shorten(value)}.")


def check_choice(what: str, value: Any, choices: Sequence[str]) -> None:
    """Raises a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, not {shorten(value)}.")


def check_tuple(what: str, value: Any, low: int, high: int) -> None:
    """Raises a ValueError unless `value` is a tuple of `low` to `high` values."""
    if not isinstance(value, tuple) or not low <= len(value) <= high:
        raise ValueError(f"{what} must be a tuple of {low} to {high} values, not {shorten(value)}.")
