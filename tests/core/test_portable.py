"""The network for the browser: its description and weights are the network's own, and what is too large says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.library import bundled_checkpoints
from lenet_core.portable import MAX_CLASSES, MAX_WEIGHTS, MAX_WORK, to_portable, too_large
from lenet_core.presets import PRESETS, preset

LENETS = [name for name in PRESETS if name.startswith("lenet")]
MODERN = preset("lenet-modern")


def untrained(arch: Architecture) -> Checkpoint:
    return Checkpoint(arch, build(arch, seed=0), tuple(map(str, range(arch.num_classes))))


@pytest.mark.parametrize("name", [*LENETS, "alexnet-cifar"])
def test_every_number_that_the_network_holds_is_where_the_description_says(name: str) -> None:
    small = {"dense": (8,)} if name == "alexnet-cifar" else {}
    checkpoint = untrained(preset(name).replace(**small))
    portable = to_portable(checkpoint)
    weights = np.frombuffer(portable.weights, "<f4")
    layers = portable.description["layers"]
    assert [(layer["name"], layer["kind"]) for layer in layers] == [
        (layer.name, layer.kind) for layer in checkpoint.architecture.layers
    ]
    expected = dict(checkpoint.net.state_dict())
    if name == "lenet5-1998":
        expected["output.codes"] = checkpoint.net.get_submodule("output").get_buffer("codes")
    end = 0
    for layer in layers:
        for tensor in layer["tensors"]:
            start, end = tensor["offset"], tensor["offset"] + int(np.prod(tensor["shape"]))
            found = torch.tensor(weights[start:end]).reshape(tensor["shape"])
            assert torch.equal(found, expected.pop(f"{layer['name']}.{tensor['name']}"))
    assert not expected
    assert end == len(weights)


def test_the_description_is_plain_json_and_says_what_each_layer_does() -> None:
    arch = preset("lenet5-1998").replace(input_shape=(2, 32, 32), input_range=((-0.1, 1.0), (0.0, 2.0)))
    description = to_portable(Checkpoint(arch, build(arch), ("null", "één"))).description
    assert json.loads(json.dumps(description)) == description
    assert description["inputShape"] == [2, 32, 32]
    assert description["classes"] == ["null", "één"]
    layers = {layer["name"]: layer for layer in description["layers"]}
    assert layers["input"]["options"] == {"low": [-0.1, 0.0], "high": [1.0, 2.0]}
    assert layers["c3"]["options"]["table"][:2] == [[0, 1, 2], [1, 2, 3]]
    assert layers["c3"]["tensors"][0]["shape"] == [60, 5, 5]
    assert layers["s2"]["outputShape"] == layers["c3"]["inputShape"] == [6, 14, 14]


def test_a_network_in_training_is_left_as_it_is() -> None:
    checkpoint = untrained(MODERN.replace(dropout=0.5))
    checkpoint.net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    still = to_portable(Checkpoint(checkpoint.architecture, build(checkpoint.architecture, seed=0).eval(), ()))
    assert to_portable(checkpoint).weights == still.weights
    assert all(module.training for module in checkpoint.net.modules())
    assert all(parameter.requires_grad for parameter in checkpoint.net.parameters())


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_the_bundled_networks_run_in_the_browser(name: str) -> None:
    assert not too_large(load_checkpoint(bundled_checkpoints()[name]).architecture)


@pytest.mark.parametrize(
    "arch",
    [
        *map(preset, LENETS),
        preset("lenet-modern", input_size=64),
        MODERN.replace(channels=(32, 64), dense=(256, 84)),
        MODERN.replace(channels=(64, 128), kernel_size=3),
        MODERN.replace(convs=tuple(Conv(32, 3, padding=1, pool=pool) for pool in (0, 2, 0, 2))),
    ],
)
def test_lenets_and_what_one_makes_of_them_run_in_the_browser(arch: Architecture) -> None:
    assert not too_large(arch)


@pytest.mark.parametrize(
    ("arch", "value", "limit"),
    [
        (preset("alexnet-cifar"), "35,855,178 weights", MAX_WEIGHTS),
        (preset("alexnet-2012"), "60,965,224 weights", MAX_WEIGHTS),
        (MODERN.replace(channels=(1,), dense=(), num_classes=2_000), "2,000 classes", MAX_CLASSES),
        # Few weights, and much to do: by a convolution, a pooling, an activation, a margin.
        (MODERN.replace(channels=(96, 96), padding=2, dense=()), "multiply-adds", MAX_WORK),
        (Architecture("pools", (1, 320, 320), (Conv(1, 1, pool=250, pool_stride=1),), ()), "multiply-adds", MAX_WORK),
        (Architecture("acts", (1, 1024, 1024), (Conv(1, 1, pool=1024),), ()), "multiply-adds", MAX_WORK),
        (Architecture("margin", (8, 28, 28), (Conv(1, 1, stride=1024, padding=1024),), ()), "multiply-adds", MAX_WORK),
        # 1,500 kernels in the file, a thousand times as many where the table is laid into all of them.
        (
            Architecture("table", (1, 8, 8), (Conv(1500, 1, pool=8), Conv(1500, 1, table=((0,),) * 1500, pool=0)), ()),
            "weights",
            MAX_WEIGHTS,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Architecture) else None,
)
def test_what_is_too_large_says_how_large_and_what_happens_instead(arch: Architecture, value: str, limit: int) -> None:
    sentence = too_large(arch)
    assert value in sentence
    assert f"the limit is {limit:,}" in sentence
    assert sentence.endswith("the answer comes when the pen lifts.")
