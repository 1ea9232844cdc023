"""Which runs a visitor sees, and what they say: read from their folders, changed by nobody here."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from lenet_core.errors import LenetError
from lenet_core.files import changed
from lenet_core.history import History
from lenet_core.library import learner_of, run_folder
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run, all_runs
from lenet_core.sweeps import title
from ui import links, state

ACTIVE = ("waiting", "starting", "running", "paused")
MOST_LISTED = 30


def own_runs(most: int = MOST_LISTED) -> list[Run]:
    """The visitor's newest runs and those of the command line, the newest first."""
    mine = ("", state.learner())
    sound = (run for run in all_runs() if learner_of(run.folder) in mine and is_sound(run))
    return list(islice(sound, most))


def is_sound(run: Run) -> bool:
    """Whether it is there and its plan can be read; a damaged run is nobody's."""
    try:
        return bool(run.plan) and (run.folder / "recipe.json").exists()  # its plan it keeps
    except LenetError:
        return False


def shown_run() -> Run | None:
    """The run that the address names, or that was watched before a page turn, or the visitor's newest."""
    name = links.asked("run") or state.last_watched()
    folder = run_folder(name)
    if folder is not None and is_sound(run := Run(folder)):
        state.keep_watched(name)
        return run
    return next(iter(own_runs(1)), None)


def history_of(run: Run) -> History:
    """What the run's events say, read up to now."""
    kept = state.histories()
    if run.name not in kept:
        kept[run.name] = History(run)
    history: History = kept[run.name]
    history.update()
    return history


def run_title(plan: Plan) -> str:
    """A run in a few words: its recipe and what differs from it."""
    base = RECIPES.get(plan.base)
    return f"{plan.recipe.name}: {title(base, plan.recipe)}" if base is not None else plan.recipe.name


def newest_network(run: Run) -> Path | None:
    """The file of the network as it is now; None before there is one."""
    found = [path for name in ("latest", "model") if (path := run.file(name)).exists()]
    return max(found, key=changed, default=None)
