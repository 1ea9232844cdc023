"""The checkpoints at hand: the bundled ones, and those of the user's own trainings."""

from __future__ import annotations

from pathlib import Path

from lenet_core.checkpoint import SUFFIX
from lenet_core.data import data_dir

BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
DEFAULT = "lenet-modern"


def runs_dir() -> Path:
    """The folder that holds one folder for each training."""
    return data_dir() / "runs"


def bundled_checkpoints() -> dict[str, Path]:
    """The checkpoints that ship with the project, by name, the default one first."""
    paths = {path.stem: path for path in sorted(BUNDLED.glob(f"*{SUFFIX}"))}
    return dict(sorted(paths.items(), key=lambda item: item[0] != DEFAULT))


def own_checkpoints() -> dict[str, Path]:
    """The finished checkpoints of the user's own trainings, by the run's name, newest first."""
    paths = [path for path in runs_dir().glob(f"*/model{SUFFIX}") if path.is_file()]
    return {path.parent.name: path for path in sorted(paths, key=_age)}


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:  # removed while we looked
        return 0.0
