"""The only file with `st.cache_*`: what is loaded once for all visitors, and changed by none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core.errors import LenetError, RunError
from lenet_core.files import changed, size
from ui.networks import Network

if TYPE_CHECKING:  # PyTorch takes a second to import, so it waits until an answer is wanted
    from lenet_core.checkpoint import Checkpoint
    from lenet_core.engine import Engine

_LARGE = 4 * 2**20  # bytes of a file, of which few are kept in memory; the bundled LeNets have 250 kB


def checkpoint(network: Network) -> Checkpoint:
    """The network's checkpoint, shared by all visitors: to be asked, never to be trained.

    Raises:
        CheckpointError: the file is missing or unsound.
    """
    if network.path is None:
        return _untrained(network.preset)
    read = _large_checkpoint if size(network.path) > _LARGE else _checkpoint
    return read(str(network.path), changed(network.path))


def moment(path: Path) -> Checkpoint:
    """A network as it is, or was, while it trains: to be asked, never to be trained.

    Raises:
        CheckpointError: the file is missing or unsound.
    """
    return (_large_moment if size(path) > _LARGE else _moment)(str(path), changed(path))


@st.cache_resource(max_entries=64, show_spinner=False)
def _checkpoint(path: str, when: int) -> Checkpoint:
    return _load(path)


@st.cache_resource(max_entries=3, show_spinner=False)
def _large_checkpoint(path: str, when: int) -> Checkpoint:
    return _load(path)


@st.cache_resource(max_entries=6, show_spinner=False)  # the AlexNets among them take 384 MB
def _untrained(preset_name: str) -> Checkpoint:
    import torch

    from lenet_core.checkpoint import Checkpoint
    from lenet_core.data_sets import CIFAR, DIGITS
    from lenet_core.layers import build
    from lenet_core.presets import preset

    torch.set_num_threads(1)
    arch = preset(preset_name)
    classes = {1: DIGITS, 3: CIFAR if arch.num_classes == len(CIFAR) else ()}[arch.input_shape[0]]
    return Checkpoint(arch, build(arch, seed=0).eval(), classes)


@st.cache_resource(max_entries=64, show_spinner=False)  # apart, so that they never push the others out
def _moment(path: str, when: int) -> Checkpoint:
    return _load(path)


@st.cache_resource(max_entries=2, show_spinner=False)
def _large_moment(path: str, when: int) -> Checkpoint:
    return _load(path)


def engine() -> Engine:
    """What gets the runs trained, one for all visitors; takes on those that an earlier app left unfinished.

    Raises:
        LenetError: the cluster that the settings name cannot be reached, or a setting is none.
    """
    if problem := _engine_problem():
        raise RunError(problem)
    return _engine()


@st.cache_data(ttl=30, show_spinner=False)  # seconds: a cluster that is away takes 5 to try, and all pages ask
def _engine_problem() -> str:
    try:
        _engine()
    except (LenetError, ValueError) as error:
        return str(error)
    return ""


@st.cache_resource(show_spinner=False)
def _engine() -> Engine:
    import atexit

    from lenet_core.cluster import make_engine

    made = make_engine()
    atexit.register(made.close)
    made.adopt()
    return made


def _load(path: str) -> Checkpoint:
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


def paintings(network: Network) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """What F6 of an RBF network makes of the sample's test digits, by class: the mean of its units (10, units), the
    mean squared distance to each code (10, 10), and of how many digits of each class.

    Raises:
        LenetError: the checkpoint or the sample cannot be read.
    """
    return _paintings(network, version(network))


@st.cache_data(max_entries=4, show_spinner=False)
def _paintings(network: Network, when: int) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    from lenet_core import inputs
    from lenet_core.activations import activations

    loaded = checkpoint(network)
    every = inputs.digits()
    batches = [inputs.stack_inputs(list(ten), loaded.architecture.input_shape) for ten in every]
    outputs = [activations(loaded.net, batch) for batch in batches]
    units = np.stack([output["f6_act"].mean(0).numpy() for output in outputs])
    return units, np.stack([-output["output"].mean(0).numpy() for output in outputs]), every.shape[1]


def version(network: Network) -> int:
    """A number that changes when the network's file does; 0 where it has none."""
    return changed(network.path) if network.path else 0


def portable(network: Network) -> dict[str, Any]:
    """A network as the browser runs it: its `description` as plain JSON types, and its `weights` as base64.

    Raises:
        CheckpointError: the file is missing or unsound.
    """
    return _portable(network, version(network))


@st.cache_data(max_entries=16, show_spinner=False)  # 5 MB each at most; a copy for each visitor, once
def _portable(network: Network, when: int) -> dict[str, Any]:
    import base64

    from lenet_core.portable import to_portable

    known = to_portable(checkpoint(network))
    return {"description": known.description, "weights": base64.b64encode(known.weights).decode()}
