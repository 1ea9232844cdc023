"""Files that are whole or not there, and may be gone from one look to the next."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lenet_core.errors import StorageError

_NEXT = "Make room there, or choose another folder: with --out, or for everything in LENET_DATA_DIR."


def changed(path: Path) -> int:
    """When a file last changed, in nanoseconds since 1970; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def size(path: Path) -> int:
    """A file's bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def make_folder(folder: Path) -> Path:
    """The folder, made with those above it where it was not there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be a folder ({error.strerror or error}). {_NEXT}") from error
    return folder


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replaces the file at `path` with `data`, whole or not at all; if `durable`, also when power fails.

    Makes no folder: where a run was removed, nothing must bring it back.

    Raises:
        StorageError: the file cannot be written; what was there is unchanged.
    """
    temporary: str | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # temporary files are the owner's alone; this is an ordinary one
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written ({error.strerror or error}). {_NEXT}") from error
