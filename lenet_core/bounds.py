"""Bounds and checks that hold before anything is built, so that a description from a stranger costs nothing."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

MAX_PARAMETERS = 100_000_000  # AlexNet without groups has 62 million
MAX_UNITS = 5_000_000  # values for one image, 20 MB: its own and those of all layers; AlexNet has 2 million
MAX_CONNECTIONS = 2_000_000_000  # a second or so for one image; AlexNet without groups has 1,100 million
MAX_INPUT_SIZE = 1024
MAX_CHANNELS = 4096
MAX_DEPTH = 16
MAX_CLASSES = 10_000
MAX_CODE_VALUES = 1_000_000  # of an RBF output
MAX_TABLE_PAIRS = 40_000  # of all tables; a run's file writes them twice, and its header may take a million bytes
_MOST_LETTERS = 100  # of a value in a message


def shorten(value: Any) -> str:
    """A value in a message: its beginning, at most 100 characters, however long or deep it is."""
    try:
        text = reprlib.repr(value)  # of objects within objects thousands of characters remain
    except ValueError:  # Python writes no whole number of over 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def one_line(text: str, most: int) -> str:
    """The beginning of a text from anywhere, as one line of at most `most` letters that can be printed."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * most]).split())[:most]


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
