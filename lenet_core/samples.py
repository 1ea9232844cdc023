"""Pictures of cats and cars that are there without a download: what a network of digits was never shown.

`python -m benchmarks.make_samples` draws them. Where scikit-image happens to be installed, its photograph
of the cat Chelsea comes after the drawn cats; it is found without importing that package. This module
needs NumPy and Pillow alone.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenet_core.bounds import check_choice
from lenet_core.errors import DataError, ImageError
from lenet_core.preprocess import read_image

KINDS = ("cat", "car")
SAMPLES = Path(__file__).resolve().parents[1] / "assets" / "samples"
MAX_SIDE = 256  # pixels, of a photograph
_FACE = 0.48  # where Chelsea's face has its middle, as a share of the photograph's width


def count(kind: str) -> int:
    """How many pictures there are of a "cat" or a "car".

    Raises:
        ValueError: another kind.
        DataError: none is there.
    """
    return len(_paths(kind))


def sample(kind: str, index: int) -> NDArray[np.uint8]:
    """A picture of a "cat" or a "car", (H, W, 3) uint8, square, read-only; `index` begins anew after the last.

    Raises:
        ValueError: another kind.
        DataError: the pictures are missing, or this one is damaged.
    """
    return _square(_path(kind, index))


@lru_cache(maxsize=16)
def _square(path: Path) -> NDArray[np.uint8]:
    """The middle of the picture in a file, read once for all; read-only."""
    try:
        picture = read_image(path).convert("RGB")
    except (ImageError, OSError) as error:
        raise DataError(f"{error} {_next_step(path)}") from error
    side = min(picture.size)
    left = round(min(max(picture.width * _FACE - side / 2, 0), picture.width - side))
    top = (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    if side > MAX_SIDE:
        square = square.resize((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(square)
    pixels.setflags(write=False)
    return pixels


def title(kind: str, index: int) -> str:
    """What to call a picture: "cat 1", "car 4", "Chelsea, a photograph".

    Raises:
        ValueError: another kind.
        DataError: the pictures are missing.
    """
    if _is_drawn(_path(kind, index)):
        return f"{kind} {index % count(kind) + 1}"
    return "Chelsea, a photograph"


def _path(kind: str, index: int) -> Path:
    paths = _paths(kind)
    return paths[index % len(paths)]


def _paths(kind: str) -> list[Path]:
    check_choice("The kind of picture", kind, KINDS)
    drawn = sorted(SAMPLES.glob(f"{kind}-*.png"))
    if not drawn:
        raise DataError(f"{SAMPLES} holds no pictures of a {kind}; draw them with: python -m benchmarks.make_samples")
    return drawn + (_chelsea() if kind == "cat" else [])


def _chelsea() -> list[Path]:
    """The photograph's path, in a list that is empty where scikit-image is not installed or comes without it."""
    package = importlib.util.find_spec("skimage")
    folders = (package.submodule_search_locations if package else None) or []
    paths = [Path(folder) / "data" / "chelsea.png" for folder in folders]
    return [path for path in paths if path.is_file()][:1]


def _is_drawn(path: Path) -> bool:
    return path.parent == SAMPLES


def _next_step(path: Path) -> str:
    if _is_drawn(path):
        return "Draw it anew with: python -m benchmarks.make_samples"
    return "Install scikit-image again, or remove it: it is not needed."
