"""The lines of a run's `events.jsonl`: which of them can be used. Imports no PyTorch.

A crash cuts a line short and a bad disk fills it with anything, so a line counts only if every field that
readers rely on is there and of its type; the others are left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_NEEDED = {
    "started": ("step",),
    "metrics": ("step", "first", "stride", "losses", "accuracy"),
    "epoch": ("step", "epoch"),
    "finished": ("step", "test", "interval", "seconds"),
    "failed": ("message",),
}


def parsed(data: bytes) -> Iterator[dict[str, Any]]:
    """The sound events among these lines, each with its `kind`; numbers are finite, counts not negative."""
    for line in data.split(b"\n"):
        try:
            event = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("kind"), str) and _is_sound(event):
            yield event


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _is_sound(event: dict[str, Any]) -> bool:
    return all(name in event for name in _NEEDED.get(event["kind"], ())) and all(
        check(event[name]) for name, check in _CHECKS.items() if name in event
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(check: Callable[[Any], bool], length: int | None = None) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and length in (None, len(value)) and all(map(check, value))


def _are_layers(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(numbers, dict) and all(map(_is_number, numbers.values())) for numbers in value.values()
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        "step first epoch total_steps steps_per_epoch epochs images held_out correct".split(), _is_count
    ),
    "stride": lambda value: _is_count(value) and value > 0,
    **dict.fromkeys(
        "time accuracy loss validation test seconds images_per_second learning_rate".split(), _is_number
    ),
    **dict.fromkeys("message device data".split(), _is_text),
    "losses": _list_of(_is_number),
    "interval": _list_of(_is_number, 2),
    "classes": _list_of(_is_text),
    "confusion": _list_of(_list_of(_is_count)),
    "layers": _are_layers,
}  # fmt: skip
