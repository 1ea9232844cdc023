"""Where things lie: the user's data folder, the bundled checkpoints, those that learners bring along.

Imports no PyTorch, so a page can list the networks before it has loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import platformdirs

SUFFIX = ".safetensors"
BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
DEFAULT = "lenet-modern"
_RUN_NAME = re.compile(r"[\w-]{1,200}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{kind}{digit}" for kind in ("com", "lpt") for digit in "123456789¹²³")}


def data_dir() -> Path:
    """The folder for data sets and runs: `LENET_DATA_DIR`, or the user's own data folder."""
    return Path(os.environ.get("LENET_DATA_DIR") or platformdirs.user_data_dir("lenet-playground", False))


def runs_dir() -> Path:
    """The folder that holds one folder for each training."""
    return data_dir() / "runs"


def run_folder(name: str) -> Path | None:
    """Where the run lies that a link names, there or not; None if that can be no run's name, or leads elsewhere."""
    if not _RUN_NAME.fullmatch(name) or name.lower() in _DEVICES:  # on Windows those are devices in every folder
        return None
    folder = runs_dir() / name
    return folder if stays(folder) else None


def stays(path: Path) -> bool:
    """Whether a path in the data folder leads to a place in it, also by way of links."""
    try:
        return path.resolve().is_relative_to(data_dir().resolve())
    except (OSError, RuntimeError):  # too long to be a file's name; links in a circle
        return False


def file_words(name: str, otherwise: str) -> str:
    """What of a name from elsewhere can stand in a file's: at most 40 ASCII letters, digits, hyphens, underscores."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or otherwise


def bundled_checkpoints() -> dict[str, Path]:
    """The checkpoints that ship with the project, by name, the default one first."""
    paths = {path.stem: path for path in sorted(BUNDLED.glob(f"*{SUFFIX}"))}
    return dict(sorted(paths.items(), key=lambda item: item[0] != DEFAULT))


def uploads_dir(learner: str) -> Path:
    """The folder for the checkpoints that a learner brought along; its name tells nothing of theirs."""
    return data_dir() / "uploads" / _nameless(learner)


def pictures_dir(learner: str) -> Path:
    """The folder for the pictures that a learner brought along."""
    return data_dir() / "pictures" / _nameless(learner)


def progress_path(learner: str) -> Path:
    """The file that keeps how far a learner has come with the exercises."""
    return data_dir() / "progress" / f"{_nameless(learner)}.json"


def _nameless(learner: str) -> str:
    return hashlib.sha256(learner.encode(errors="surrogatepass")).hexdigest()[:32]


def imagenet_checkpoint() -> Path:
    """Where AlexNet's ImageNet weights lie once they were fetched."""
    return data_dir() / "imagenet" / f"alexnet-imagenet{SUFFIX}"


def own_checkpoints(learner: str = "", most: int | None = None) -> dict[str, Path]:
    """The networks that a learner trained or brought along, by name, the newest first, at most `most`.

    Runs that name no learner, which the command line made, are everybody's.
    """
    trained = runs_dir().glob(f"*/model{SUFFIX}")
    brought = uploads_dir(learner).glob(f"*{SUFFIX}")
    own: dict[str, Path] = {}
    for path in sorted(filter(Path.is_file, [*trained, *brought]), key=_age):
        if most is not None and len(own) == most:
            break
        if not stays(path):
            continue
        if path.parent.parent != runs_dir():
            own[path.stem] = path
        elif learner_of(path.parent) in ("", learner):
            own[path.parent.name] = path
    return own


def learner_of(run_folder: Path) -> str:
    """Whose run it is: empty where it names nobody, a name that nobody has where that cannot be read."""
    try:
        return str(json.loads((run_folder / "recipe.json").read_text())["learner"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "\0"


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:  # removed while we looked
        return 0.0
