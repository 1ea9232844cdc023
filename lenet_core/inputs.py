"""What one can show a network: digits, cats, cars, noise. Each named by a short text that fits into a link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenet_core.bounds import shorten
from lenet_core.data_sets import CIFAR, DATA_SETS, DIGITS
from lenet_core.library import data_dir
from lenet_core.samples import sample

if TYPE_CHECKING:  # a page lists the inputs before PyTorch has loaded
    from torch import Tensor

Picture = NDArray[np.uint8]

MOST = 8  # at once
SIDE = 28  # pixels, of digits and noise
NOISES = {
    "uniform": "uniform noise",
    "gaussian": "Gaussian noise",
    "salt-and-pepper": "salt and pepper",
    "shuffled": "shuffled digit",
    "blank": "blank",
}
_CIFAR = {"cifar-cat": "cat", "cifar-automobile": "automobile"}
DRAWING, UPLOAD = "drawing", "upload"
_MOST_INDEX = 10**6


@dataclass(frozen=True)
class Input:
    """One thing to show a network: its kind and which one of that kind.

    Kinds are the digits "0" to "9", "cat", "car", those of `NOISES` (whose `index` is the seed), CIFAR-10's
    "cifar-cat" and "cifar-automobile", and two that only a page knows: "drawing", and "upload" with its `key`.
    """

    kind: str
    index: int = 0
    key: str = ""

    @property
    def text(self) -> str:
        """The input as it stands in a link: `4.12`, `cat.1`, `uniform.7`, `drawing`, `upload.3f…`."""
        if self.kind in (DRAWING, "blank"):
            return self.kind
        return f"{self.kind}.{self.key or self.index}"

    @property
    def title(self) -> str:
        """What it is, in a word or two."""
        return {"cifar-cat": "CIFAR-10 cat", "cifar-automobile": "CIFAR-10 car"}.get(
            self.kind, NOISES.get(self.kind, self.kind)
        )

    def next(self) -> Input:
        """Another one of its kind."""
        return Input(self.kind, (self.index + 1) % _MOST_INDEX, self.key)

    @property
    def has_others(self) -> bool:
        """Whether there are others of its kind."""
        return self.kind not in (DRAWING, UPLOAD, "blank")


def parse(text: str) -> Input:
    """The input that a link names so.

    Raises:
        ValueError: there is none of that name.
    """
    kind, _, which = text.partition(".")
    if kind == UPLOAD and re.fullmatch(r"[0-9a-f]{16}", which):
        return Input(kind, key=which)
    if kind in (DRAWING, "blank") and not which:
        return Input(kind)
    if kind in (*DIGITS, "cat", "car", *NOISES, *_CIFAR) and kind != "blank" and re.fullmatch(r"[0-9]{1,6}", which):
        return Input(kind, int(which))
    raise ValueError(f"There is no input {shorten(text)}; they are named like 4.0, cat.0, car.0, uniform.0, blank.")


def picture(one: Input) -> Picture:
    """The input itself, (H, W) or (H, W, 3) uint8, ink 255; an index goes round.

    Raises:
        ValueError: a kind that only a page knows.
        DataError: its file is missing or damaged.
    """
    if one.kind in DIGITS:
        return _one_of(digits()[int(one.kind)], one.index)
    if one.kind in ("cat", "car"):
        return sample(one.kind, one.index)
    if one.kind in NOISES:
        return noise(one.kind, one.index)
    if one.kind in _CIFAR:
        return _one_of(_cifar(data_dir(), _CIFAR[one.kind]), one.index)
    raise ValueError(f"{one.kind} has no picture here.")


def _one_of(pictures: Picture, index: int) -> Picture:
    chosen: Picture = pictures[index % len(pictures)]
    return chosen


def noise(kind: str, seed: int) -> Picture:
    """(28, 28) uint8 of one kind of noise, the same for the same seed.

    "uniform" draws every value from 0 to 255 alike; "gaussian" has mean 0.5 and standard deviation 0.2 of full
    ink, cut at both ends; "salt-and-pepper" is full ink or none, each for half of the pixels; "shuffled" is one
    of the sample's digits with its pixels in another order, so that its histogram is a digit's; "blank" is
    nothing.

    Raises:
        ValueError: there is no such noise.
        DataError: the bundled digits cannot be read.
    """
    generator = np.random.default_rng(seed)
    shape = (SIDE, SIDE)
    match kind:
        case "uniform":
            return generator.integers(0, 256, shape, dtype=np.uint8)
        case "gaussian":
            return (255 * generator.normal(0.5, 0.2, shape).clip(0, 1)).round().astype(np.uint8)
        case "salt-and-pepper":
            return generator.integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)
        case "shuffled":
            every = digits().reshape(-1, SIDE * SIDE)
            return generator.permutation(every[generator.integers(len(every))]).reshape(shape)
        case "blank":
            return np.zeros(shape, dtype=np.uint8)
    raise ValueError(f"There is no noise {shorten(kind)}; there are {', '.join(NOISES)}.")


@lru_cache(maxsize=1)
def digits() -> Picture:
    """(10, 100, 28, 28) uint8: a hundred real digits of each class, the test part of the bundled sample; read-only.

    Raises:
        DataError: they cannot be read.
    """
    from lenet_core.data import load

    data = load("mnist-5k", train=False)
    images = data.images[data.labels.argsort(stable=True)].numpy().reshape(10, -1, SIDE, SIDE)
    images.setflags(write=False)
    return images


def has_cifar() -> bool:
    """Whether CIFAR-10 is in the data folder."""
    return (data_dir() / DATA_SETS["cifar10"].place).is_dir()


@lru_cache(maxsize=4)
def _cifar(folder: Path, name: str) -> Picture:
    """CIFAR-10's 1,000 test pictures of a class, (1000, 32, 32, 3) uint8; read-only."""
    from lenet_core.data import load

    data = load("cifar10", train=False, root=folder)
    images = data.images[data.labels == CIFAR.index(name)].permute(0, 2, 3, 1).contiguous().numpy()
    images.setflags(write=False)
    return images


def stack_inputs(images: Sequence[Picture], shape: tuple[int, int, int]) -> Tensor:
    """Pictures (H, W) or (H, W, 3) uint8 as one batch for a network of input `shape`: (N, C, H, W) from 0 to 1.

    As `to_input` fits them; but what would fill less than half of the field's side is enlarged to fill it, so
    that a digit before AlexNet is no speck on black.
    """
    import torch

    return torch.cat([_fit(image, shape) for image in images])


def _fit(image: Picture, shape: tuple[int, int, int]) -> Tensor:
    import torch

    from lenet_core.data import to_input

    if 2 * max(image.shape[:2]) < min(shape[1:]):
        image = np.asarray(Image.fromarray(image).resize((shape[2], shape[1]), Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(image.copy())
    pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    return to_input(pixels[None], shape)
