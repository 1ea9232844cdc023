"""Where things lie: the user's data folder, the bundled checkpoints, those of the user's own trainings.

Imports no PyTorch, so a page can list the networks before it has loaded.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

SUFFIX = ".safetensors"
BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
DEFAULT = "lenet-modern"


def data_dir() -> Path:
    """The folder for data sets and runs: `LENET_DATA_DIR`, or the user's own data folder."""
    return Path(os.environ.get("LENET_DATA_DIR") or platformdirs.user_data_dir("lenet-playground", False))


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
