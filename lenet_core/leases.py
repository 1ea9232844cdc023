"""Who alone may do something, such as train a run: a file that one process at a time holds and keeps fresh.

The file's age tells whether its holder lives, on every machine that shares the folder; on the holder's
own machine its process is asked for too, so that a crash is seen at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from lenet_core.errors import RunError, StorageError
from lenet_core.files import write_atomically

BEAT = 1.0  # seconds between two signs of life
STALE = 15.0  # seconds without one until the holder counts as gone
_FILE = "lease"


class Lease:
    """A folder's one right (of a run's: to write there), from its making until `release` or until `beat` says no.

    Raises:
        RunError: somebody else holds it.
        StorageError: the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE
        self.text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)})
        present = _read(self.path)
        try:
            if present is None:
                self._create(self.path)
            else:
                self._take_over(present)
        except FileExistsError as error:
            raise RunError(f"{folder.name} was just taken by another worker.") from error
        except OSError as error:
            raise StorageError(f"{folder} cannot be written to ({error.strerror or error}).") from error

    def _create(self, path: Path) -> None:
        """Makes the file, which must not be there; who is killed before it is written keeps others out until STALE."""
        with path.open("x") as file:
            try:
                file.write(self.text)
                file.flush()
            except OSError:
                path.unlink()  # an empty lease would do the same
                raise

    def _take_over(self, present: str) -> None:
        """Replaces a dead holder's file. Of several who try, one makes the mark that belongs to that file alone."""
        if holder(self.path.parent) is not None:
            raise RunError(f"{self.path.parent.name} is being trained by another worker; stop that one first.")
        mark = self.path.with_name(f".lease-{sha256(present.encode()).hexdigest()[:16]}")
        if mark.exists() and _living(mark) is None:  # its maker died at this very place
            mark.unlink(missing_ok=True)
        self._create(mark)
        try:
            if (now := _read(self.path)) is None:
                self._create(self.path)
            elif now == present:
                write_atomically(self.path, self.text.encode(), durable=False)
            else:  # the mark's last maker was done before we made ours
                raise FileExistsError
        finally:
            mark.unlink(missing_ok=True)

    def beat(self) -> bool:
        """Says that the holder lives; False when the lease is no longer its own."""
        try:
            if _read(self.path) != self.text:
                return False
            os.utime(self.path)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Gives it back."""
        if _read(self.path) == self.text:
            with contextlib.suppress(OSError):  # a file that cannot be removed grows stale by itself
                self.path.unlink()


def holder(folder: Path) -> dict[str, Any] | None:
    """The living holder of a folder's lease (`host`, `pid`), or None."""
    return _living(folder / _FILE)


def _living(path: Path) -> dict[str, Any] | None:
    """Who wrote a lease or a mark, if that one lives."""
    text = _read(path)
    if text is None:
        return None
    try:
        age = time.time() - path.stat().st_mtime
        held: dict[str, Any] = json.loads(text)
        on_this_machine = held["host"] == socket.gethostname()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        age, held, on_this_machine = _age(path), {}, False
    if age > STALE or (on_this_machine and not lives(held.get("pid"))):
        return None
    return held


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return STALE + 1


def lives(pid: Any) -> bool:
    """Whether this machine has such a process; where it cannot be asked, that is taken for granted."""
    if os.name != "posix" or not isinstance(pid, int) or not 0 < pid < 2**31:
        return True  # then the file's age alone decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether the process ended and only waits to be counted by its parent (Linux tells)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode(errors="replace")
    except OSError:
        return None
