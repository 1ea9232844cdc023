"""A network in a few numbers: held to counts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_core.presets import C3_TABLE, PRESETS, preset
from lenet_core.summary import reads, summary


def test_the_1998_net_by_hand() -> None:
    found = summary(preset("lenet5-1998"))
    assert dict(found.weighted) == {"convolution": 3, "subsampling": 2, "dense": 1}
    assert dict(found.parameters_in) == {"convolution": 156 + 1516 + 48120, "subsampling": 12 + 32, "dense": 10164}
    assert found.windows == (("subsampling", 2, 2),)
    assert found.values == 6 * 28 * 28 + 6 * 14 * 14 + 16 * 10 * 10 + 16 * 5 * 5 + 120 + 84 + 10 == 8094
    assert found.megabytes == pytest.approx(0.032376)


def test_alexnet_by_hand() -> None:
    found = summary(preset("alexnet-2012"))
    assert (found.depth, found.classes, found.windows) == (8, 1000, (("max-pool", 3, 2),))
    first, second = 96 * 55 * 55, 256 * 27 * 27  # each convolved, then normalised, then pooled
    rest = 2 * 384 * 13 * 13 + 256 * 13 * 13 + 256 * 6 * 6 + 4096 + 4096 + 1000
    assert found.values == 2 * first + 96 * 27 * 27 + 2 * second + 256 * 13 * 13 + rest
    assert found.parameters_in["dense"] == (9216 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000


@pytest.mark.parametrize("name", PRESETS)
def test_the_summary_is_the_ledgers(name: str) -> None:
    arch = preset(name)
    found = summary(arch)
    assert found.parameters == arch.parameters
    assert found.multiply_adds == sum(layer.multiply_adds for layer in arch.layers)


def test_who_reads_whom_by_table_by_groups_and_freely() -> None:
    layers = {layer.name: layer for layer in preset("lenet5-1998").layers}
    table = reads(layers["c3"])
    assert [tuple(np.flatnonzero(column)) for column in table.T] == list(C3_TABLE)
    assert reads(layers["c1"]).all()
    grouped = {layer.name: layer for layer in preset("alexnet-2012").layers}["conv2"]
    assert reads(grouped)[:48, :128].all()
    assert not reads(grouped)[:48, 128:].any()
    assert reads(grouped).sum() * 25 + 256 == grouped.parameters


def test_only_a_convolution_has_a_choice_of_maps() -> None:
    pooling = preset("lenet-modern").layers[2]
    with pytest.raises(ValueError, match="s2 is no convolution but max-pool"):
        reads(pooling)
