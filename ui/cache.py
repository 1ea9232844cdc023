"""The only file with `st.cache_*`: what is loaded once for all visitors, and changed by none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.networks import Network

if TYPE_CHECKING:  # PyTorch takes a second to import, so it waits until an answer is wanted
    from lenet_core.checkpoint import Checkpoint


def checkpoint(network: Network) -> Checkpoint:
    """The network's checkpoint, shared by all visitors: to be asked, never to be trained.

    Raises:
        CheckpointError: the file is missing or unsound.
    """
    try:
        changed = network.path.stat().st_mtime_ns
    except OSError:
        changed = 0
    return _checkpoint(str(network.path), changed)


@st.cache_resource(max_entries=64, show_spinner=False)
def _checkpoint(path: str, changed: int) -> Checkpoint:
    import torch

    from lenet_core.checkpoint import load_checkpoint

    torch.set_num_threads(1)  # one image at a time, many visitors: more threads only get in each other's way
    return load_checkpoint(path)


@st.cache_data(show_spinner=False)
def sample_digits() -> NDArray[np.uint8]:
    """One real digit of each class, (10, 28, 28) uint8, from the bundled sample of MNIST.

    Raises:
        DataError: the sample cannot be read.
    """
    from lenet_core.data import load

    data = load("mnist-5k", train=False)
    first = [int((data.labels == digit).nonzero()[0, 0]) for digit in range(10)]
    return np.stack([data.images[index, 0].numpy() for index in first])
