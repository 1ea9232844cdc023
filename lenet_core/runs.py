"""A run is a folder, and the folder is the only truth about it.

    recipe.json          what is to be trained, for whom and on what (a `Plan`)
    request              what its learner wants of it: run, step (one epoch, then pause), pause or stop
    lease                who trains it at the moment
    events.jsonl         what happened, one JSON object a line
    state.safetensors    where the training stands, to go on exactly
    model.safetensors    the network after the last epoch, at the end with its test accuracy
    latest.safetensors   the network as it is now, while it trains
    checkpoints/         the network at early steps and after every epoch
    examples, worst, mistakes.safetensors   images to look at, each with its label
    given_up             what of an ended run was given up to make room, in words (`retention.py`)

The worker that holds the lease writes all but the first two and the last (and turns "step" into "pause" when the
epoch is over). Everybody else reads; where there is no worker, an engine may say that the run failed, and
`retention.py` remove what is needed no more. Imports no PyTorch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenet_core.bounds import check_choice, check_number, shorten
from lenet_core.errors import RunError, StorageError
from lenet_core.events import parsed
from lenet_core.files import make_folder, write_atomically
from lenet_core.leases import holder
from lenet_core.library import SUFFIX, file_words, runs_dir, stays
from lenet_core.recipes import Recipe

REQUESTS = ("run", "step", "pause", "stop")
ENDED = ("stopped", "finished", "failed")
GIVEN_UP = "given_up"
_STATUS = {
    "starting": "starting", "started": "starting", "metrics": "running", "epoch": "running", "paused": "paused",
    **{kind: kind for kind in ENDED},
}  # fmt: skip
_TAILS = (2**12, 2**16, 2**20, 2**24)  # bytes; an event of ten classes has about 1,000
_MAX_PLAN_BYTES = 2**20  # connection tables with as many pairs as there may be take a quarter


@dataclass(frozen=True)
class Plan:
    """What is asked for: a recipe, on a device, for a learner.

    `base` names the recipe it was made from. `turn` and `created` (seconds since 1970) order a cluster's queue: a
    learner's first unfinished run has turn 0, the next turn 1, so that all learners take turns. On one machine
    `created` orders each learner's own runs.

    Raises:
        ValueError: a value out of its range.
    """

    recipe: Recipe
    base: str = ""
    device: str = "auto"
    threads: int = 1
    learner: str = ""
    sweep: str = ""
    turn: int = 0
    created: float = 0.0

    def __post_init__(self) -> None:
        check_choice("device", self.device, ("auto", "cpu", "cuda", "mps"))
        check_number("threads", self.threads, 1, 1024)
        check_number("turn", self.turn, 0, 10**9)
        check_number("created", self.created, 0, 1e12, whole=False)
        for name in ("base", "learner", "sweep"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > 200:
                raise ValueError(f"{name} must be a text of at most 200 characters, not {shorten(text)}.")

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Plan:
        """The plan that a plain dictionary describes, as `dataclasses.asdict` gives it.

        Raises:
            ValueError: a field is missing, unknown or out of its range.
        """
        try:
            return cls(**{**description, "recipe": Recipe.from_dict(description["recipe"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"This is not a plan of a run: {error}.") from error


class Run:
    """A run's folder, to be asked and read; nothing of it is kept in memory but the plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._plan: Plan | None = None

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.folder.name

    @property
    def plan(self) -> Plan:
        """What is to be trained; it never changes, so it is read once, and stays when the run is deleted.

        Raises:
            RunError: there is no such run, or its plan is damaged.
        """
        if self._plan is None:
            self._plan = self._read_plan()
        return self._plan

    def _read_plan(self) -> Plan:
        try:
            data = _beginning(self.folder / "recipe.json", _MAX_PLAN_BYTES + 1)
            if len(data) > _MAX_PLAN_BYTES:
                raise ValueError(f"it has more than {_MAX_PLAN_BYTES:,} bytes")
            return Plan.from_dict(json.loads(data))
        except FileNotFoundError as error:
            raise RunError(f"There is no run {shorten(self.name)}.") from error
        except (OSError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise RunError(f"The plan of {self.name} cannot be read ({reason:.200}); delete the run.") from error

    @property
    def request(self) -> str:
        """What the run's learner wants of it."""
        try:
            word = _beginning(self.folder / "request", 64).decode(errors="replace").strip()
        except OSError:
            return "run"
        return word if word in REQUESTS else "run"

    def ask(self, request: str) -> None:
        """Leaves a request for whoever trains the run.

        Raises:
            ValueError: no such request.
            StorageError: it cannot be written.
        """
        check_choice("request", request, REQUESTS)
        write_atomically(self.folder / "request", request.encode(), durable=False)

    def file(self, name: str) -> Path:
        """The path of one of the run's tensor files."""
        return self.folder / f"{name}{SUFFIX}"

    @property
    def given_up(self) -> str:
        """What of it was given up to make room, in words; empty where all is there."""
        try:
            return _beginning(self.folder / GIVEN_UP, 200).decode(errors="replace").strip()
        except OSError:
            return ""

    def checkpoints(self) -> dict[int, Path]:
        """The networks kept along the way, by the number of steps they had learned from."""
        found = {}
        for path in (self.folder / "checkpoints").glob(f"*{SUFFIX}"):
            if path.stem.isdecimal():
                found[int(path.stem)] = path
        return dict(sorted(found.items()))

    def checkpoint_path(self, step: int) -> Path:
        """Where the network after `step` steps is kept."""
        return self.folder / "checkpoints" / f"{step:08}{SUFFIX}"

    def append(self, event: Mapping[str, Any]) -> None:
        """Adds an event; only the run's owner does.

        Raises:
            StorageError: it cannot be written.
        """
        line = json.dumps(event, allow_nan=False) + "\n"
        try:
            with (self.folder / "events.jsonl").open("ab") as file:
                if file.tell() and not self._ends_whole():
                    line = "\n" + line  # a line that a crash cut short stays alone
                file.write(line.encode())
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be written to ({error.strerror or error}).") from error

    @property
    def events_size(self) -> int:
        """The bytes of its events."""
        try:
            return (self.folder / "events.jsonl").stat().st_size
        except OSError:
            return 0

    def _ends_whole(self) -> bool:
        with (self.folder / "events.jsonl").open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def make_room(self) -> None:
        """Gives up what can be spared, so that on a full disk the last word can be written."""
        with contextlib.suppress(OSError):
            self.file("latest").unlink(missing_ok=True)

    def clear_litter(self) -> None:
        """Removes tensor files that were begun and not finished; only the run's owner does."""
        for path in self.folder.glob(f"**/.*{SUFFIX}.*"):
            path.unlink(missing_ok=True)

    def events(self, offset: int = 0, most: int = -1) -> tuple[list[dict[str, Any]], int]:
        """The events from a place in the file on, and the place after the last whole one.

        Of a file that goes on for long, at most the first `most` bytes, unless that is negative.
        """
        try:
            with (self.folder / "events.jsonl").open("rb") as file:
                file.seek(offset)
                data = file.read(most)
        except OSError:
            return [], offset
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) == most:
            whole = most  # no line of ours is so long
        return list(parsed(data[:whole])), offset + whole

    def last_event(self, kind: str = "") -> dict[str, Any]:
        """The newest event, of one kind if that is named; empty before the first."""
        try:
            size = (self.folder / "events.jsonl").stat().st_size
        except OSError:
            return {}
        for tail in _TAILS:
            events, _ = self.events(max(0, size - tail))
            found = [event for event in events if kind in ("", event["kind"])]
            if found:
                return found[-1]
            if tail >= size:
                break
        return {}

    @property
    def status(self) -> str:
        """One of waiting, starting, running, paused, stopped, finished, failed."""
        return self.look()[0]

    def look(self) -> tuple[str, dict[str, Any]]:
        """The run's status, and its newest event."""
        held = holder(self.folder) is not None  # before the event, so that an end is never taken for a crash
        last = self.last_event()
        said = _STATUS.get(last.get("kind", ""), "waiting")
        if said == "finished" or (said in ENDED and not self._asked_again()):
            return said, last
        if held:
            return ("starting" if said in ("waiting", *ENDED) else said), last
        return {"stop": "stopped", "pause": "paused"}.get(self.request, "waiting"), last

    def _asked_again(self) -> bool:
        """Whether the learner wanted it to go on after it had ended."""
        try:
            asked, ended = ((self.folder / name).stat().st_mtime_ns for name in ("request", "events.jsonl"))
        except OSError:
            return False
        return asked >= ended and self.request in ("run", "step")  # the same, where the clock is coarse

    def delete(self) -> None:
        """Removes the run with all it holds; a worker that still trains it ends by itself.

        Raises:
            StorageError: it cannot be removed.
        """
        own = self.folder.parent == runs_dir()
        # Elsewhere, where a run was made by its path, no folder of ours is left behind.
        trash = trash_dir() if own else self.folder.parent
        try:
            trash.mkdir(exist_ok=True)
            gone = trash / f"{'' if own else '.'}{self.name}-{secrets.token_hex(4)}"
            self.folder.rename(gone)
        except FileNotFoundError:
            return  # somebody else was first
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be removed ({error.strerror or error}).") from error
        shutil.rmtree(gone, ignore_errors=True)


def trash_dir() -> Path:
    """Where deleted runs lie while they are removed: among the runs, since no folder can be renamed to another disk."""
    return runs_dir() / ".trash"


def _beginning(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def create_run(plan: Plan, folder: Path | None = None) -> Run:
    """A new run's folder, in the folder of runs unless another is named.

    Raises:
        StorageError: it cannot be made.
        ValueError: `folder` holds a run already.
    """
    plan = dataclasses.replace(plan, created=plan.created or time.time())
    if folder is None:
        words = file_words(plan.recipe.name.lower(), "run")
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(plan.created))
        folder = runs_dir() / f"{words}-seed{plan.recipe.seed}-{stamp}-{secrets.token_hex(3)}"
    if (folder / "recipe.json").exists():
        raise ValueError(f"{folder} holds a run already; resume that one, or name another folder.")
    make_folder(folder / "checkpoints")
    write_atomically(folder / "recipe.json", json.dumps(dataclasses.asdict(plan)).encode())
    return Run(folder)


def find_run(name: str) -> Run:
    """The run of that name, or at that path.

    Raises:
        RunError: there is none.
    """
    path = Path(name)
    folders = [path] if len(path.parts) > 1 else [runs_dir() / path, path]
    with contextlib.suppress(OSError):  # a name too long to be a file's
        for folder in folders:
            if (folder / "recipe.json").is_file():
                return Run(folder)
    raise RunError(f"There is no run {shorten(name)}; `python -m lenet_core runs` lists them.")


def all_runs() -> list[Run]:
    """All runs, the newest first; a link that leads out of the data folder is none."""
    folders = [path.parent for path in runs_dir().glob("*/recipe.json") if stays(path)]
    return [Run(folder) for folder in sorted(folders, key=_created, reverse=True)]


def _created(folder: Path) -> float:
    try:
        return (folder / "recipe.json").stat().st_mtime
    except OSError:  # removed while we looked
        return 0.0


def unfinished(runs: Sequence[Run]) -> list[Run]:
    """Those that wait for a worker or have one."""
    return [run for run in runs if run.status in ("waiting", "starting", "running", "paused")]
