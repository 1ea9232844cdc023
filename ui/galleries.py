"""The images that a run keeps to be looked at: examples, and the ones its network is worst at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ui import markup

_MAX_BYTES = 2**22  # ours have some tens of thousands


@dataclass(frozen=True)
class Gallery:
    """Images (N, C, H, W) uint8 with their labels (N,), and probabilities (N, classes) where a test gave them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32] | None

    def picture(self, index: int) -> NDArray[np.uint8]:
        """An image as a picture (H, W) or (H, W, 3)."""
        channels: NDArray[np.uint8] = self.images[index].transpose(1, 2, 0)
        return channels[:, :, 0] if channels.shape[2] == 1 else channels


def read_gallery(path: Path) -> Gallery | None:
    """The images that a run keeps in that file; None where there is none yet, or something else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        tensors: dict[str, Any] = load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError):  # not written yet, or not by us
        return None
    images: Any = tensors.get("images")
    labels: Any = tensors.get("labels")
    probabilities: Any = tensors.get("probabilities")
    sound = _is(images, np.uint8, 4) and images.shape[1] in (1, 3) and _is(labels, np.int64, 1)
    if not sound or len(labels) != len(images) or (labels < 0).any():
        return None
    if probabilities is not None and not (_is(probabilities, np.float32, 2) and len(probabilities) == len(images)):
        return None
    return Gallery(images, labels, probabilities)


def _is(array: Any, kind: type[np.generic], axes: int) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == kind and array.ndim == axes


def class_name(classes: tuple[str, ...], label: int) -> str:
    """The name of a class, or its number where it has none."""
    return classes[label] if label < len(classes) else str(label)


def shown_picture(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (H, W) as ink on black, one in colour as it is."""
    return markup.ink_picture((image / 255).astype(np.float32)) if image.ndim == 2 else image
