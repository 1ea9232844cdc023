"""Layers by one name in all networks: what the Look inside page offers of each."""

from __future__ import annotations

import dataclasses

import pytest

from lenet_core.presets import PRESETS, preset
from ui.stages import BEFORE, stages

ALEXNET = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3", "dense1", "dense2", "output"]
NORMED = ["conv1", "norm1", "pool1", "conv2", "norm2", "pool2", *ALEXNET[4:]]
FLAT = ["conv1", "pool1", "conv2", "pool2", "dense1", "dense2", "output"]
FIFTH = ["conv1", "pool1", "conv2", "pool2", "conv3", "dense1", "output"]
TOKENS = {
    "lenet-d2l": FLAT, "lenet-modern": FLAT, "lenet5-tanh": FIFTH, "lenet5-1998": FIFTH,
    "alexnet-cifar": ALEXNET, "alexnet-2012": NORMED,
}  # fmt: skip
TITLES = {
    "lenet-d2l": ["C1", "S2", "C3", "S4", "F5", "F6", "Output"],
    "lenet-modern": ["C1", "S2", "C3", "S4", "F5", "F6", "Output"],
    "lenet5-tanh": ["C1", "S2", "C3", "S4", "C5", "F6", "Output"],
    "lenet5-1998": ["C1", "S2", "C3", "S4", "C5", "F6", "Output"],
}


def test_every_preset_is_held_to_its_names() -> None:
    assert set(TOKENS) == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_layer_worth_a_look_has_its_token_in_the_layers_order(name: str) -> None:
    found = stages(preset(name))
    assert [token for token in found if BEFORE not in token] == TOKENS[name]
    assert all(token == stage.token for token, stage in found.items())
    order = [layer.name for layer in preset(name).layers]
    places = [order.index(stage.layer) for stage in found.values()]
    assert places == sorted(places)
    assert len({stage.layer for stage in found.values()}) == len(found)
    assert len({stage.title for stage in found.values()}) == len(found)


@pytest.mark.parametrize("name", TITLES)
def test_a_lenets_layers_are_called_as_lecun_called_them(name: str) -> None:
    assert [stage.title for token, stage in stages(preset(name)).items() if BEFORE not in token] == TITLES[name]


@pytest.mark.parametrize("name", ["alexnet-cifar", "alexnet-2012"])
def test_alexnets_layers_are_called_by_their_own_names(name: str) -> None:
    found = stages(preset(name))
    assert [found[token].title for token in ("conv1", "conv5", "pool3", "dense1")] == ["Conv1", "Conv5", "Pool5", "Fc6"]
    assert found["output"].layer == "fc8"


@pytest.mark.parametrize("name", PRESETS)
def test_before_is_what_an_activation_makes_the_stage_of(name: str) -> None:
    arch = preset(name)
    kinds = {layer.name: layer.kind for layer in arch.layers}
    order = [layer.name for layer in arch.layers]
    found = stages(arch)
    before = {token.removesuffix(BEFORE): stage for token, stage in found.items() if token.endswith(BEFORE)}
    activated = {token for token, stage in found.items() if kinds[stage.layer] == "activation"}
    assert set(before) == activated
    assert activated >= {"conv1", "conv2", "dense1"}
    for token, stage in before.items():
        assert order.index(found[token].layer) == order.index(stage.layer) + 1
        assert stage.made_by is found[token].made_by
        assert stage.made_by.name == stage.layer
        assert found[token].title in stage.title
    for token in set(found) - {one for one in found if one.removesuffix(BEFORE) in activated}:
        assert found[token].layer == found[token].made_by.name


def test_1998s_subsampling_has_a_before_too() -> None:
    found = stages(preset("lenet5-1998"))
    assert (found["pool1-before"].layer, found["pool1"].layer) == ("s2", "s2_act")


def test_an_output_is_one_however_it_is_made() -> None:
    assert [stages(preset(name))["output"].made_by.kind for name in ("lenet5-1998", "lenet-modern")] == ["rbf", "dense"]


def test_a_network_without_pooling_keeps_the_tokens_of_its_convolutions() -> None:
    arch = preset("lenet-modern")
    found = stages(arch.replace(convs=tuple(dataclasses.replace(conv, pool=0) for conv in arch.convs)))
    assert [token for token in found if BEFORE not in token] == ["conv1", "conv2", "dense1", "dense2", "output"]
