"""ONNX models: onnxruntime answers as PyTorch does, for every kind of network there is."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenet_core.architecture import ACTIVATIONS, HEADS, POOLINGS, Architecture
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import load, to_input
from lenet_core.export import to_onnx
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import preset
from tests.conftest import ROOT

DIGITS = tuple("0123456789")
LENETS = ("lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern")
SMALL = preset("lenet-modern").replace(channels=(3, 5), dense=(16,))
TABLED = preset("lenet5-1998", input_size=28)
SMALL_ALEXNET = preset("alexnet-cifar", input_size=16).replace(dense=(64, 32))
NORMALISED = preset("alexnet-2012").replace(  # inputs so large that the normalisation matters
    input_shape=(3, 40, 30),
    input_range=(-90.0, 90.0),
    convs=(Conv(8, stride=2, normalise=True, pool=3, pool_stride=2), Conv(6, 3, padding=1, groups=2)),
    dense=(64, 32),
)

NETWORKS: dict[str, Architecture] = {
    **{name: preset(name) for name in LENETS},
    "alexnet-cifar": SMALL_ALEXNET,
    # Inputs so large that every part of the activations' curves is used.
    **{f"activation {name}": SMALL.replace(activation=name, input_range=(-9.0, 9.0)) for name in ACTIVATIONS},
    **{f"pooling {name}": SMALL.replace(pooling=name) for name in POOLINGS},
    "no pooling": SMALL.replace(pool=0),
    "windows that overlap": SMALL.replace(pool=3, pool_stride=2),
    "windows that leave a border": SMALL.replace(pool=3, pooling="subsampling"),
    **{f"head {name}": SMALL.replace(head=name) for name in HEADS},
    "codes that are not bitmaps": TABLED.replace(dense=(40,), num_classes=12),
    "no convolutions": SMALL.replace(convs=()),
    "no dense layers": SMALL.replace(dense=()),
    "no hidden layers": SMALL.replace(convs=(), dense=()),
    "no dense layers, codes": SMALL.replace(dense=(), head="rbf"),
    "a whole-number range": SMALL.replace(input_range=(-1, 2)),
    "a range for each channel": SMALL.replace(input_shape=(3, 28, 28), input_range=((-1, 2), (9.0, -9.0), (0.0, 0.5))),
    "groups, strides, normalisation": NORMALISED,
}


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """200 real digits (200, 1, 28, 28) uint8, 20 of each class."""
    return load("mnist-5k", train=False).images[::5]


def session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def answers(data: bytes, images: Tensor, batch: int) -> NDArray[np.float32]:
    """The logits that onnxruntime gives to images in batches of this size, the last one what is left."""
    running = session(data)
    return np.concatenate([running.run(["logits"], {"images": part.numpy()})[0] for part in images.split(batch)])


def assert_same_answers(checkpoint: Checkpoint, images: Tensor, data: bytes) -> None:
    """onnxruntime's logits within 1e-4 of each image's largest, and the same class, alone and in batches."""
    with torch.inference_mode():
        expected = copy.deepcopy(checkpoint.net).eval()(images).numpy()
    for batch in (1, 7):
        given = answers(data, images, batch)
        assert given.dtype == np.float32
        assert given.shape == expected.shape
        assert (np.abs(given - expected) <= 1e-4 * np.abs(expected).max(axis=1, keepdims=True)).all()
        assert (given.argmax(1) == expected.argmax(1)).all()


def untrained(arch: Architecture, seed: int = 0) -> Checkpoint:
    """The network as it starts, with biases and subsampling weights that are not all alike."""
    net = build(arch, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return Checkpoint(arch, net, DIGITS)


# --- the same answers --------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_network_answers_alike_on_real_digits(name: str, digits: Tensor) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    assert_same_answers(checkpoint, to_input(digits, checkpoint.architecture.input_shape), to_onnx(checkpoint))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_answers_alike(name: str) -> None:
    checkpoint = untrained(NETWORKS[name])
    images = torch.rand(15, *checkpoint.architecture.input_shape, generator=torch.Generator().manual_seed(1))
    data = to_onnx(checkpoint)
    assert_same_answers(checkpoint, images, data)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


def test_a_network_that_trains_is_exported_for_answering_and_left_as_it_is() -> None:
    """With dropout, in training mode and in the memory layout that training uses."""
    checkpoint = untrained(SMALL_ALEXNET.replace(dropout=0.9))
    checkpoint.net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {name: tensor.clone() for name, tensor in checkpoint.net.state_dict().items()}
    random_state = torch.get_rng_state()
    data = to_onnx(checkpoint)
    assert all(module.training for module in checkpoint.net.modules())
    assert all(parameter.requires_grad for parameter in checkpoint.net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in checkpoint.net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_same_answers(checkpoint, torch.rand(8, *checkpoint.architecture.input_shape), data)


def test_threads_export_the_same_network_at_once() -> None:
    checkpoint = untrained(preset("lenet5-1998"))
    alone = to_onnx(checkpoint)
    start = threading.Barrier(4)

    def export(_: int) -> list[bytes]:
        start.wait()
        return [to_onnx(checkpoint) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        files = [data for several in pool.map(export, range(4)) for data in several]
    assert set(files) == {alone}
    assert_same_answers(checkpoint, torch.rand(8, 1, 32, 32), files[0])


# --- the file ----------------------------------------------------------------------------------


def test_the_inputs_and_outputs_are_named_and_take_any_batch() -> None:
    running = session(to_onnx(untrained(preset("lenet5-tanh", num_classes=26))))
    (images,), (logits,) = running.get_inputs(), running.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["N", 1, 32, 32])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["N", 26])


def test_the_metadata_name_the_classes_and_describe_the_architecture() -> None:
    arch = preset("lenet5-1998")
    checkpoint = Checkpoint(arch, build(arch, seed=0), ("null", "één", "\ud800"))
    metadata = session(to_onnx(checkpoint)).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["null", "één", "\ud800"]
    assert Architecture.from_dict(json.loads(metadata["architecture"])) == arch


def test_every_layer_keeps_its_name() -> None:
    arch = preset("lenet5-1998")
    nodes = [node.name for node in onnx.load_from_string(to_onnx(untrained(arch))).graph.node]
    named = [name for name in nodes if "_" not in name.removesuffix("_act")]
    assert named == [layer.name for layer in arch.layers]


@pytest.mark.parametrize("name", [*LENETS, "alexnet-cifar"])
def test_the_file_is_little_more_than_the_weights(name: str) -> None:
    """At most a twentieth for what LeNet-5's sparse C3 and fixed codes add, and 8 kB to describe the layers."""
    checkpoint = untrained(NETWORKS[name])
    weights = 4 * checkpoint.architecture.parameters
    assert weights < len(to_onnx(checkpoint)) < 1.05 * weights + 8_000


# --- without the extra -------------------------------------------------------------------------


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_the_extra_the_error_says_what_to_install() -> None:
    script = """
import sys
sys.modules["onnx"] = None  # as if it were not installed
from lenet_core.checkpoint import load_checkpoint
from lenet_core.errors import LenetError
from lenet_core.export import to_onnx
from lenet_core.library import DEFAULT, bundled_checkpoints
try:
    to_onnx(load_checkpoint(bundled_checkpoints()[DEFAULT]))
except LenetError as error:
    print(error)
"""
    done = run(script)
    assert "pip install -r requirements-onnx.txt" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_the_app_starts_without_loading_onnx() -> None:
    script = """
import sys
import lenet_core.__main__, lenet_core.export, ui.cache, ui.networks
from streamlit.testing.v1 import AppTest
home = AppTest.from_file("app.py", default_timeout=60).run()
print([error.message for error in home.exception], sorted({"onnx", "onnxscript", "onnxruntime"} & set(sys.modules)))
"""
    done = run(script)
    assert done.stdout.strip() == "[] []", done.stderr
