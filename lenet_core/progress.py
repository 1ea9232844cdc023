"""How far a learner has come with the exercises, kept in a file of their own. Imports no PyTorch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from lenet_core.exercises import EXERCISES
from lenet_core.files import make_folder, write_atomically
from lenet_core.library import progress_path

_MAX_BYTES = 2**16
_ANEW = "What was kept of your progress cannot be read, so it begins anew; your runs are still there."


@dataclass
class Progress:
    """What a learner did: the answer to each exercise's question, by its key, and the keys of two kinds of visits.

    `looked` are the exercises whose pictures were opened, `compared` those whose results were. Which trainings
    are done is not kept: the runs themselves say so. `last` is the exercise that was worked on last.
    """

    predictions: dict[str, str] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    compared: set[str] = field(default_factory=set)
    last: str = ""


def load_progress(learner: str) -> tuple[Progress, str]:
    """A learner's progress, and a line about what could not be read; both empty at the beginning."""
    try:
        with progress_path(learner).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return Progress(), ""
    except OSError:
        return Progress(), _ANEW
    try:
        return _parsed(json.loads(data)), ""
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Progress(), _ANEW


def save_progress(learner: str, progress: Progress) -> None:
    """Keeps a learner's progress, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    path = progress_path(learner)
    make_folder(path.parent)
    kept = {
        "predictions": progress.predictions, "looked": sorted(progress.looked),
        "compared": sorted(progress.compared), "last": progress.last,
    }  # fmt: skip
    write_atomically(path, json.dumps(kept).encode())


def _parsed(kept: Any) -> Progress:
    """What the file says; exercises and answers that there are none of, from another version, are left out."""
    return Progress(
        {
            key: text
            for key, text in kept["predictions"].items()
            if key in EXERCISES and isinstance(text, str) and EXERCISES[key].is_answer(text)
        },
        {key for key in kept["looked"] if key in EXERCISES},
        {key for key in kept["compared"] if key in EXERCISES},
        kept["last"] if kept["last"] in EXERCISES else "",
    )
