"""The table of a comparison: a row for each group of seeds or each run, as columns of plain values."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lenet_core.published import read_published
from ui.compared_runs import Compared, Group
from ui.markup_training import status_word
from ui.pictures import data_uri
from ui.shown import history_of

_SWATCH = (6, 26)  # pixels


def rows(groups: Sequence[Group], grouped: bool) -> list[dict[str, Any]]:
    """What each row shows by its column's name; accuracies in percent, None where there is none yet.

    Raises:
        DataError: a file of what was published is damaged.
    """
    if grouped:
        return [_row(group.members, group.colour) for group in groups]
    return [_row([one], group.colour) for group in groups for one in group.members]


def _row(members: Sequence[Compared], colour: str) -> dict[str, Any]:
    plan = members[0].plan
    facts = [_facts(one) for one in members]
    row: dict[str, Any] = {
        "colour": swatch(colour),
        "recipe": plan.recipe.name,
        "changes": members[0].changes,
        "parameters": plan.recipe.architecture.parameters,
        "seeds": ", ".join(str(one.seed) for one in members),
    }
    for name in ("validation", "test"):
        values = [100 * fact[name] for fact in facts if fact[name] is not None]
        row[name] = statistics.mean(values) if values else None
        row[f"{name}_range"] = f"{min(values):.2f} to {max(values):.2f}" if len(values) > 1 else ""
    return row | {
        "seconds": statistics.mean(fact["seconds"] for fact in facts),
        "device": ", ".join(dict.fromkeys(fact["device"] for fact in facts if fact["device"])),
        "status": _statuses([fact["status"] for fact in facts]),
        "published": _published(members[0]),
    }


def _facts(one: Compared) -> dict[str, Any]:
    history = history_of(one.run)
    status, last = one.run.look()
    ended = history.epochs[-1] if history.epochs else {}
    return {
        "status": status,
        "validation": ended.get("validation"),
        "test": last.get("test"),
        "seconds": last["seconds"] if status == "finished" else sum(e.get("seconds", 0.0) for e in history.epochs),
        "device": str(history.started.get("device", "")),
    }


def _statuses(statuses: Sequence[str]) -> str:
    counts = Counter(statuses)
    if len(counts) == 1:
        return status_word(statuses[0])
    return ", ".join(f"{count} {status_word(status)}" for status, count in counts.items())


def _published(one: Compared) -> str:
    told = read_published(one.plan.base) if one.like_published else None
    return "" if told is None else "; ".join(f"{value.text} ({value.name})" for value in told.values)


def swatch(colour: str) -> str:
    """A colour (#rrggbb) as a small picture, in a `data:` address."""
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return data_uri(np.broadcast_to(np.array(parts, dtype=np.uint8), (*_SWATCH, 3)).copy())
