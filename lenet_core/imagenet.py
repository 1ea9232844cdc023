"""AlexNet as torchvision trained it on ImageNet: its description, and its weights, downloaded once and kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import IO
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor, nn

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import Checkpoint, save_checkpoint
from lenet_core.data import import_torchvision
from lenet_core.errors import DataError, StorageError
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.library import imagenet_checkpoint

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's red, green and blue, from 0 to 1, and their spread
STD = (0.229, 0.224, 0.225)
TIMEOUT = 10.0  # seconds to connect, and to wait for each next piece
_PIECE = 2**20  # bytes between two reports of progress

# By our layers' names those of torchvision's modules.
_MODULES = {
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8", "conv5": "features.10",
    "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A file of weights of torchvision's AlexNet: where it is, and how to know it.

    `sha256` is how the SHA-256 of the file begins, in hexadecimal digits; `classes` name the outputs; a
    file of more than `max_bytes` is not taken.
    """

    url: str
    sha256: str
    classes: tuple[str, ...]
    max_bytes: int = 250_000_000  # torchvision's has 244,408,911

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]


def alexnet() -> Architecture:
    """torchvision's AlexNet for ImageNet's 1,000 classes: 61,100,840 parameters, images of 3x224x224.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997, 2014, as
    torchvision builds it: one column in place of the two groups of 2012, no response normalisation. Its
    input range does what torchvision leaves to whoever prepares the images, (image - mean) / std of each
    channel. Two deviations change no answer: torchvision's adaptive pooling to 6x6 is left out, which at
    this size gives what it gets; and its dropout comes before the first two dense layers, not after.
    """
    return Architecture(
        name="alexnet-imagenet",
        input_shape=(3, 224, 224),
        convs=(
            Conv(64, kernel_size=11, stride=4, padding=2, pool=3, pool_stride=2),
            Conv(192, kernel_size=5, padding=2, pool=3, pool_stride=2),
            Conv(384, kernel_size=3, padding=1, pool=0),
            Conv(256, kernel_size=3, padding=1, pool=0),
            Conv(256, kernel_size=3, padding=1, pool=3, pool_stride=2),
        ),
        dense=(4096, 4096),
        num_classes=1000,
        input_range=tuple((-mean / std, (1 - mean) / std) for mean, std in zip(MEAN, STD, strict=True)),
        dropout=0.5,
        naming="alexnet",
    )


def published() -> Source:
    """The weights that torchvision publishes (`AlexNet_Weights.IMAGENET1K_V1`); asks no network.

    Raises:
        DataError: torchvision cannot be imported.
    """
    weights = import_torchvision().models.AlexNet_Weights.IMAGENET1K_V1
    # torchvision's files bear the beginning of their SHA-256: alexnet-owt-7be5be79.pth.
    return Source(weights.url, Path(weights.url).stem.rpartition("-")[2], tuple(weights.meta["categories"]))


def convert(state_dict: Mapping[str, Tensor]) -> nn.Sequential:
    """The network `alexnet()` with weights by torchvision's names, copied, in evaluation mode.

    Raises:
        DataError: they are not the weights of torchvision's AlexNet.
    """
    if not isinstance(state_dict, Mapping):
        raise DataError(f"torchvision's weights come as tensors by name, not as a {type(state_dict).__name__}.")
    names = {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in _MODULES.items() for kind in ("weight", "bias")}
    if wrong := sorted(map(str, state_dict.keys() ^ set(names.values()))):
        raise DataError(f"These are not the weights of torchvision's AlexNet: {', '.join(wrong[:4]):.200} do not fit.")
    net = build(alexnet(), seed=0)
    for name, wanted in net.state_dict().items():
        _check(names[name], state_dict[names[name]], wanted)
    net.load_state_dict({name: state_dict[theirs] for name, theirs in names.items()})
    return net.eval()


def _check(name: str, given: Tensor, wanted: Tensor) -> None:
    if _kind(given) != _kind(wanted):
        raise DataError(f"These are not the weights of AlexNet: {name} is {_kind(given):.200}, not {_kind(wanted)}.")
    if not bool(torch.isfinite(given).all()):
        raise DataError(f"{name} holds values that are not finite; a network with them cannot answer.")


def _kind(value: object) -> str:
    """What a tensor is but for its values: PyTorch's files can hold sparse ones too, and some without values."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{value.dtype} {tuple(value.shape)} ({value.layout}, {value.device})"


def fetch(progress: Callable[[int, int], None] | None = None, *, source: Source | None = None) -> Path:
    """The path of AlexNet's checkpoint; what is not there yet is downloaded and converted.

    `progress` is called with the bytes that have come and the bytes in all, 0 if the server does not say.
    What it raises ends the download. A file of torchvision's name that somebody put beside the
    checkpoint is read instead of a download, and left there; a failure leaves nothing.

    Raises:
        DataError: the weights cannot be downloaded, or are cut short, or are something else.
        StorageError: there is no room for them, or the folder is not ours.
    """
    place = imagenet_checkpoint()
    if place.exists():
        return place
    source = source or published()
    copied = place.with_name(source.file_name)
    net = _read_copy(copied, source) if copied.exists() else _download(place.parent, source, progress)
    save_checkpoint(place, Checkpoint(alexnet(), net, source.classes, {"data": "ImageNet", "source": source.url}))
    return place


def _read_copy(copied: Path, source: Source) -> nn.Sequential:
    try:
        with copied.open("rb") as file:
            if (size := os.fstat(file.fileno()).st_size) > source.max_bytes:
                raise DataError(
                    f"{copied} has {size:,} bytes, more than the limit of {source.max_bytes:,}, so it is not "
                    "torchvision's file. Copy it anew, or remove it to have it downloaded."
                )
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if not found.startswith(source.sha256):
                raise DataError(
                    f"{copied} is not torchvision's file, or is cut short: its SHA-256 begins with {found[:8]}, "
                    f"not {source.sha256}. Copy it anew, or remove it to have it downloaded."
                )
            file.seek(0)
            return _read(file, source)
    except OSError as error:
        raise DataError(f"{copied} cannot be read ({error.strerror or error}). Copy it anew, or remove it.") from error


def _download(folder: Path, source: Source, progress: Callable[[int, int], None] | None) -> nn.Sequential:
    digest, done = hashlib.sha256(), 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A file without a name: however this ends, the system removes it.
        with tempfile.TemporaryFile(dir=folder) as file, closing(_pieces(source, folder)) as pieces:
            for piece, total in pieces:
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                if progress:
                    progress(done, total)
            found = digest.hexdigest()
            if not found.startswith(source.sha256):
                raise _failure(source, folder, f"what came has a SHA-256 of {found[:8]}…, not {source.sha256}…")
            file.seek(0)
            return _read(file, source)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot take the weights ({error.strerror or error}). Make room there, or choose another "
            "folder in LENET_DATA_DIR."
        ) from error


def _pieces(source: Source, folder: Path) -> Generator[tuple[bytes, int]]:
    """The file piece by piece, each with the bytes in all; the network's errors as `DataError`."""
    request = Request(source.url, headers={"User-Agent": "lenet-playground"})
    done = 0
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            total: int = answer.length or 0
            while piece := answer.read(_PIECE):
                done += len(piece)
                if max(done, total) > source.max_bytes:
                    raise _failure(source, folder, f"it is over {source.max_bytes:,} bytes, which AlexNet's is not")
                yield piece, total
    except (OSError, HTTPException) as error:
        raise _failure(source, folder, error.reason if type(error) is URLError else error) from error
    if done < total:
        raise _failure(source, folder, f"the connection ended after {done:,} of {total:,} bytes")


def _failure(source: Source, folder: Path, reason: object) -> DataError:
    line = " ".join(str(reason).split()) or type(reason).__name__
    return DataError(
        f"AlexNet's ImageNet weights could not be downloaded from {urlsplit(source.url).netloc} ({line:.200}). "
        f"Check the connection and try again, or copy {source.file_name} into {folder}."
    )


def _read(file: IO[bytes], source: Source) -> nn.Sequential:
    try:
        _check_stored(file)
        state_dict = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # PyTorch's own message tells how to run what is in the file
        raise DataError(f"{source.file_name} holds other things than weights, which are not read.") from error
    except Exception as error:  # the reader raises whatever a wrong byte leads to; the message keeps the reason
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{source.file_name} is not a file of PyTorch weights ({reason:.200}).") from error
    return convert(state_dict)


def _check_stored(file: IO[bytes]) -> None:
    """Raises a ValueError for a zip file whose members take more room than the file: what is small stays small."""
    if file.read(4) == b"PK\3\4":  # as PyTorch tells its zip files from its older format, which has no compression
        with ZipFile(file) as archive:
            members = archive.infolist()
        if any(member.compress_type != ZIP_STORED for member in members):
            raise ValueError("it holds something compressed, and PyTorch stores weights as they are")
        if sum(member.file_size for member in members) > file.seek(0, os.SEEK_END):
            raise ValueError("its parts lie on one another")
    file.seek(0)
