"""How much room the runs may take, and what is given up when they take more. Imports no PyTorch.

`LENET_KEEP` says how many GB. What is over goes in this order, the oldest first, until it is enough:

1. what a finished training needs no more: its saved state, and the network as it was while it trained
2. checkpoints along the way and galleries of ended runs; a run's folder and every list then say so
3. whole ended runs; a list of the last ones is kept

A run that waits, is trained or is paused loses nothing, of each learner's newest ended run only the first goes,
and what learners brought along is not counted. So the runs take at most `LENET_KEEP`, the unfinished ones, and one
for each learner.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lenet_core.errors import LenetError, RunError, StorageError
from lenet_core.files import make_folder, write_atomically
from lenet_core.leases import Lease
from lenet_core.library import data_dir, learner_of, runs_dir, stays
from lenet_core.runs import ENDED, GIVEN_UP, Run, all_runs, trash_dir

_LOG = logging.getLogger(__name__)
_DEFAULT = 10.0  # GB: some 300 LeNets that trained for a hundred epochs
_MOST = 1e6  # GB
_BLOCK = 4096  # bytes that the smallest file takes on most disks
_GALLERIES = ("examples", "worst", "mistakes")
_BYPRODUCTS = "its checkpoints along the way and its pictures"
_LISTED = 200  # runs that were given up whole


def keep_from_environment() -> int:
    """`LENET_KEEP` (10 GB) in bytes; 0: the runs may take all there is.

    Raises:
        ValueError: it is no number from 0 to a million.
    """
    text = os.environ.get("LENET_KEEP", "")
    try:
        gigabytes = float(text or _DEFAULT)
    except ValueError:
        gigabytes = -1
    if not 0 <= gigabytes <= _MOST:  # nor is NaN
        raise ValueError(f"LENET_KEEP must be a number of GB from 0 (no limit) to {_MOST:,.0f}, not {text[:40]!r}.")
    return round(gigabytes * 1e9)


def taken(run: Run) -> int:
    """The bytes that a run takes on the disk, its files rounded up to whole blocks."""
    total = 0
    for folder, _, files in os.walk(run.folder):
        for name in files:
            with contextlib.suppress(OSError):  # removed while we looked
                total += -(-os.lstat(os.path.join(folder, name)).st_size // _BLOCK) * _BLOCK
    return total


def make_room(keep: int) -> list[str]:
    """Gives up what the runs take over `keep` bytes, unless that is 0; a line for each run that lost something to see.

    Does nothing while another process does it.

    Raises:
        StorageError: the data folder cannot be written to.
    """
    try:
        # Two at a time would pass over what the other has in hand, and give up twice as much.
        lease = Lease(make_folder(data_dir()))
    except RunError:
        return []
    try:
        _empty_trash()
        return _make_room(keep, lease)
    finally:
        lease.release()


def _make_room(keep: int, lease: Lease) -> list[str]:
    runs = all_runs()[::-1]
    over = sum(map(taken, runs)) - keep
    if not keep or over <= 0:
        return []
    ended = [run for run in runs if run.status in ENDED]
    older = _but_newest(ended)
    lines: list[str] = []
    ways: tuple[tuple[Sequence[Run], Callable[[Run], str]], ...] = (
        (ended, _give_up_needless), (older, _give_up_byproducts), (older, _give_up_all),
    )  # fmt: skip
    for group, give_up in ways:
        for run in group:
            if over <= 0:
                return lines
            lease.beat()  # gigabytes take their time
            before, line = taken(run), ""
            try:
                with _ended_and_held(run) as ours:
                    line = give_up(run) if ours else ""
            except StorageError:  # of one that cannot be removed; the next one's turn
                _LOG.exception("%s could not be given up", run.name)
            over -= before - taken(run)
            lines += [line] if line else []
    return lines


def _but_newest(runs: Sequence[Run]) -> list[Run]:
    """The runs, oldest first, without each learner's last."""
    learners = [learner_of(run.folder) for run in runs]  # asked once: a run may be deleted meanwhile
    newest = dict(zip(learners, runs, strict=True))
    return [run for run, learner in zip(runs, learners, strict=True) if newest[learner] is not run]


@contextlib.contextmanager
def _ended_and_held(run: Run) -> Iterator[bool]:
    """Keeps workers from a run, and says whether it is over: its learner may have resumed it in this moment."""
    try:
        lease = Lease(run.folder)
    except LenetError:  # it is taken up, removed, or nothing of it can be removed: the next one's turn
        yield False
        return
    try:
        yield run.status in ENDED
    finally:
        lease.release()


def _give_up_needless(run: Run) -> str:
    if run.status == "finished":  # of the others the state is what they go on from
        _remove([run.file("state"), run.file("latest")])
    return ""


def _give_up_byproducts(run: Run) -> str:
    files = [*run.checkpoints().values(), run.file("latest"), *map(run.file, _GALLERIES)]
    if not any(path.exists() for path in files):
        return ""
    write_atomically(run.folder / GIVEN_UP, _BYPRODUCTS.encode(), durable=False)  # first: nothing goes untold
    _remove(files)
    return f"{run.name}: {_BYPRODUCTS} were given up to make room"


def _give_up_all(run: Run) -> str:
    entry = {"run": run.name, "learner": learner_of(run.folder), "time": time.time()}
    told = [one for one in _given_up() if one["run"] != run.name]  # at an earlier try, which failed
    lines = [json.dumps(one) for one in [*told, entry][-_LISTED:]]
    write_atomically(_list_path(), "\n".join(lines).encode(), durable=False)  # first: nothing goes untold
    run.delete()
    return f"{run.name} was given up to make room"


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{path} cannot be removed ({error.strerror or error}).") from error


def given_up_runs(learner: str | None = None) -> list[str]:
    """The names of runs that were given up whole, the last of them last: those of a learner, or of all."""
    names = [str(one["run"]) for one in _given_up() if learner is None or one["learner"] in ("", learner)]
    return [name for name in names if not (runs_dir() / name).exists()]  # else it could not be removed after all


def _given_up() -> list[dict[str, Any]]:
    try:
        lines = _list_path().read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines[-_LISTED:]]
        return [one for one in found if isinstance(one, dict) and {"run", "learner"} <= one.keys()]
    except (OSError, ValueError, RecursionError):
        return []


def _list_path() -> Path:
    return data_dir() / "given-up.jsonl"


def _empty_trash() -> None:
    """Removes what was deleted while its process was ended."""
    trash = trash_dir()
    if not stays(trash):  # a link: what is there was never ours
        return
    for path in _listed(trash):
        if path.is_symlink():
            _remove([path])
        else:
            shutil.rmtree(path, ignore_errors=True)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{folder} cannot be read ({error.strerror or error}).") from error


class Caretaker:
    """Makes room whenever it is asked to, in a thread that ends when it is done.

    Raises:
        ValueError: `LENET_KEEP` is no number of GB.
    """

    def __init__(self) -> None:
        self._keep = keep_from_environment()
        self._asked = self._busy = False
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Asks it to look, now or when it is done with what it does."""
        with self._lock:
            self._asked = True
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._look, name="caretaker", daemon=True).start()

    def _look(self) -> None:
        while self._is_asked():
            try:
                for line in make_room(self._keep):
                    _LOG.warning("%s (LENET_KEEP)", line)
            except Exception:  # whatever it is: with this thread's end nobody would ever look again
                _LOG.exception("room could not be made")

    def _is_asked(self) -> bool:
        with self._lock:
            self._asked, self._busy = False, self._asked
            return self._busy
