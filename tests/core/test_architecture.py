"""Networks as arithmetic: published counts and shapes, changes by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lenet_core.architecture import Architecture, ledger
from lenet_core.layers import build
from lenet_core.layout import shape_text
from lenet_core.presets import C3_TABLE, PRESETS, preset, preset_source

LENETS = tuple(name for name in PRESETS if name.startswith("lenet"))
MODERN = preset("lenet-modern")


def rows_of(arch: Architecture) -> dict[str, dict[str, Any]]:
    """The ledger's rows by layer name."""
    return {row["name"]: row for row in ledger(arch)}


def shapes_of(arch: Architecture) -> dict[str, str]:
    """Each layer's output as text, without the flattening, which changes no value."""
    return {row["name"]: shape_text(row["output_shape"]) for row in ledger(arch) if row["kind"] != "flatten"}


# --- published numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lenet-d2l", "lenet-modern"])
def test_textbook_lenet_has_the_published_shapes_and_61706_parameters(name: str) -> None:
    arch = preset(name)
    assert list(shapes_of(arch).values()) == [
        "6x28x28", "6x14x14", "16x10x10", "16x5x5", "120", "84", "10",
    ]  # fmt: skip
    assert rows_of(arch)["flatten"]["output_shape"] == [400]
    assert [row["name"] for row in ledger(arch)] == ["c1", "s2", "c3", "s4", "flatten", "f5", "f6", "output"]
    # 6(25+1) + 16(150+1) + 120(400+1) + 84(120+1) + 10(84+1)
    assert [row["parameters"] for row in ledger(arch)] == [156, 0, 2416, 0, 0, 48120, 10164, 850]
    assert arch.parameters == 61_706


def test_d2l_is_sigmoid_and_average_pooling_and_modern_is_relu_and_max_pooling() -> None:
    for name, activation, pooling in (("lenet-d2l", "sigmoid", "average-pool"), ("lenet-modern", "relu", "max-pool")):
        rows = rows_of(preset(name))
        assert [rows[layer]["activation"] for layer in ("c1", "c3", "f5", "f6")] == [activation] * 4
        assert rows["s2"]["kind"] == rows["s4"]["kind"] == pooling
        assert rows["output"]["activation"] is None


def test_lenet5_tanh_has_c5_as_a_convolution_and_61706_parameters() -> None:
    arch = preset("lenet5-tanh")
    assert shapes_of(arch) == {
        "c1": "6x28x28", "s2": "6x14x14", "c3": "16x10x10", "s4": "16x5x5", "c5": "120x1x1", "f6": "84",
        "output": "10",
    }  # fmt: skip
    assert rows_of(arch)["c5"]["kind"] == "convolution"
    assert arch.parameters == 61_706


def test_lenet5_tanh_takes_65_classes() -> None:
    arch = preset("lenet5-tanh", num_classes=65)
    assert rows_of(arch)["output"]["output_shape"] == [65]
    assert arch.parameters == 61_706 - 10 * 85 + 65 * 85
    assert build(arch, seed=0).eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 65)


def test_lenet5_1998_has_the_papers_parameters_and_connections_layer_by_layer() -> None:
    arch = preset("lenet5-1998")
    rows = rows_of(arch)
    # LeCun et al. 1998, section II.B.
    assert {name: rows[name]["parameters"] for name in ("c1", "s2", "c3", "s4", "c5", "f6")} == {
        "c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164,
    }  # fmt: skip
    assert {name: rows[name]["connections"] for name in ("c1", "s2", "c3", "s4", "c5", "f6")} == {
        "c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120, "f6": 10_164,
    }  # fmt: skip
    assert rows["output"]["parameters"] == 0  # the codes are fixed
    assert rows["output"]["connections"] == 840
    assert arch.parameters == 60_000
    assert arch.connections == 340_908


def test_lenet5_1998_has_the_papers_shapes() -> None:
    assert shapes_of(preset("lenet5-1998")) == {
        "input": "1x32x32", "c1": "6x28x28", "s2": "6x14x14", "c3": "16x10x10", "s4": "16x5x5", "c5": "120x1x1",
        "f6": "84", "output": "10",
    }  # fmt: skip


def test_table_i_joins_six_maps_to_sixteen_as_published() -> None:
    assert [len(row) for row in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert all(sum(source in row for row in C3_TABLE) == 10 for source in range(6))
    assert len(set(C3_TABLE)) == 16
    # The first six read three maps in a row, the next six four in a row, both cyclically.
    assert {frozenset((i, (i + 1) % 6, (i + 2) % 6)) for i in range(6)} == {frozenset(row) for row in C3_TABLE[:6]}
    four = {frozenset((i + step) % 6 for step in range(4)) for i in range(6)}
    assert four == {frozenset(row) for row in C3_TABLE[6:12]}


@pytest.mark.parametrize(
    ("size", "fc6", "total"),
    # fc6 has 4096 units on 256 maps of an eighth of the input's side.
    [(32, (256 * 4 * 4 + 1) * 4096, 35_855_178), (64, (256 * 8 * 8 + 1) * 4096, 86_186_826)],
)
def test_alexnet_cifar_counts_and_shapes(size: int, fc6: int, total: int) -> None:
    arch = preset("alexnet-cifar", input_size=size)
    half, quarter, eighth = size // 2, size // 4, size // 8
    expected = {
        "conv1": ([64, size, size], 64 * (3 * 9 + 1)),
        "pool1": ([64, half, half], 0),
        "conv2": ([192, half, half], 192 * (64 * 9 + 1)),
        "pool2": ([192, quarter, quarter], 0),
        "conv3": ([384, quarter, quarter], 384 * (192 * 9 + 1)),
        "conv4": ([256, quarter, quarter], 256 * (384 * 9 + 1)),
        "conv5": ([256, quarter, quarter], 256 * (256 * 9 + 1)),
        "pool5": ([256, eighth, eighth], 0),
        "fc6": ([4096], fc6),
        "fc7": ([4096], 4097 * 4096),
        "fc8": ([10], 4097 * 10),
    }
    rows = rows_of(arch)
    assert {name: (rows[name]["output_shape"], rows[name]["parameters"]) for name in expected} == expected
    assert arch.parameters == sum(count for _, count in expected.values()) == total


def test_alexnet_2012_has_the_published_parameters_and_first_maps() -> None:
    arch = preset("alexnet-2012")
    assert arch.parameters == 60_965_224
    assert arch.replace(groups=1).parameters == 62_378_344
    shapes = shapes_of(arch)
    assert shapes["conv1"] == "96x55x55"
    assert [shapes[name] for name in ("conv2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8")] == [
        "256x27x27", "384x13x13", "384x13x13", "256x13x13", "256x6x6", "4096", "4096", "1000",
    ]  # fmt: skip


@pytest.mark.parametrize("name", LENETS)
def test_the_first_convolution_is_c1_and_the_second_c3(name: str) -> None:
    assert [row["name"] for row in ledger(preset(name)) if row["kind"] == "convolution"][:2] == ["c1", "c3"]


@pytest.mark.parametrize("name", LENETS)
def test_receptive_fields_of_a_lenet(name: str) -> None:
    rows = rows_of(preset(name))
    # 5; +1 for the pooling; +4 steps of 2 pixels; +1 step of 2.
    assert {layer: rows[layer]["receptive_field"] for layer in ("c1", "s2", "c3", "s4")} == {
        "c1": 5, "s2": 6, "c3": 14, "s4": 16,
    }  # fmt: skip
    if "c5" in rows:
        assert rows["c5"]["receptive_field"] == 32
    assert rows["output"]["receptive_field"] == preset(name).input_shape[1]


def test_receptive_fields_of_alexnet_2012() -> None:
    rows = rows_of(preset("alexnet-2012"))
    # Strides 4, 2, 2: each step counts 4, then 8, then 16 pixels.
    assert [rows[f"conv{number}"]["receptive_field"] for number in range(1, 6)] == [11, 51, 99, 131, 163]
    assert [rows[f"pool{number}"]["receptive_field"] for number in (1, 2, 5)] == [19, 67, 195]


def test_connections_and_multiply_adds_of_a_convolution_by_hand() -> None:
    c1 = rows_of(MODERN)["c1"]
    assert c1["connections"] == 6 * 28 * 28 * (25 + 1)
    assert c1["multiply_adds"] == 6 * 28 * 28 * 25


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_where_it_was_published(name: str) -> None:
    source = preset_source(name)
    assert len(source.splitlines()) > 2
    assert any(year in source for year in ("1998", "2010", "2012", "Dive into Deep Learning"))


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"lenet-6.*lenet-d2l"):
        preset("lenet-6")


@pytest.mark.parametrize("name", ["lenet5-tanh", "lenet5-1998"])
def test_lenet5_at_28_pixels_still_ends_in_a_1x1_c5(name: str) -> None:
    rows = rows_of(preset(name, input_size=28))
    assert rows["s4"]["output_shape"] == [16, 4, 4]
    assert rows["c5"]["output_shape"] == [120, 1, 1]


# --- the ledger and the built network ----------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_the_built_network_is_what_the_ledger_says(name: str) -> None:
    arch = preset(name)
    # On "meta" a tensor has a shape and no memory; a connection table needs real numbers.
    device = "meta" if name.startswith("alexnet") else "cpu"
    with torch.device(device):
        net = build(arch).eval()
        x = torch.zeros(1, *arch.input_shape)
    rows = rows_of(arch)
    assert sum(parameter.numel() for parameter in net.parameters()) == arch.parameters
    assert [child for child, _ in net.named_children() if not child.endswith("_act")] == list(rows)
    for child, layer in net.named_children():
        x = layer(x)
        row = rows[child.removesuffix("_act")]
        assert list(x.shape[1:]) == row["output_shape"], child
        if not child.endswith("_act"):
            assert sum(parameter.numel() for parameter in layer.parameters()) == row["parameters"], child


def test_groups_and_strides_are_built_as_the_ledger_says() -> None:
    arch = MODERN.replace(groups=(1, 2), stride=(1, 2), pool=(3, 2), pool_stride=(2, 1))
    # 28 -> 28, pooled by 3 in steps of 2: 13; (13 - 5) // 2 + 1 = 5, pooled by 2 in steps of 1: 4.
    assert [shapes_of(arch)[name] for name in ("c1", "s2", "c3", "s4")] == ["6x28x28", "6x13x13", "16x5x5", "16x4x4"]
    assert rows_of(arch)["c3"]["parameters"] == 16 * (3 * 25 + 1)
    net = build(arch, seed=0)
    assert sum(parameter.numel() for parameter in net.parameters()) == arch.parameters
    assert net(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


# --- replace -----------------------------------------------------------------------------------


def test_replace_activation() -> None:
    rows = rows_of(MODERN.replace(activation="gelu"))
    assert [rows[name]["activation"] for name in ("c1", "c3", "f5", "f6")] == ["gelu"] * 4
    assert rows["output"]["activation"] is None


def test_replace_pooling() -> None:
    assert rows_of(MODERN.replace(pooling="average"))["s2"]["kind"] == "average-pool"
    trainable = MODERN.replace(pooling="subsampling")
    assert rows_of(trainable)["s2"]["activation"] == "relu"
    assert trainable.parameters == 61_706 + 2 * 6 + 2 * 16


def test_replace_kernel_size() -> None:
    arch = MODERN.replace(kernel_size=3)
    # 28 + 2*2 - 2 = 30, halved; 15 - 2 = 13, halved downwards.
    assert [shapes_of(arch)[name] for name in ("c1", "s2", "c3", "s4")] == ["6x30x30", "6x15x15", "16x13x13", "16x6x6"]
    assert arch.parameters == 6 * 10 + 16 * (6 * 9 + 1) + 120 * (576 + 1) + 84 * 121 + 850
    assert rows_of(MODERN.replace(kernel_size=(5, 3)))["c3"]["parameters"] == 16 * (6 * 9 + 1)


def test_replace_channels() -> None:
    # 8(25+1) + 24(200+1) + 120(600+1) + 84(121) + 850
    assert MODERN.replace(channels=(8, 24)).parameters == 208 + 4_824 + 72_120 + 10_164 + 850


def test_replace_with_a_longer_tuple_adds_convolutions_and_with_a_shorter_one_drops_them() -> None:
    three = MODERN.replace(channels=(6, 16, 32), pool=(2, 2, 0))
    assert shapes_of(three)["c5"] == "32x1x1"
    assert rows_of(three)["c5"]["parameters"] == 32 * (400 + 1)
    assert rows_of(three)["f6"]["parameters"] == 120 * (32 + 1)
    one = MODERN.replace(channels=(6,))
    assert list(shapes_of(one)) == ["c1", "s2", "f3", "f4", "output"]
    assert rows_of(one)["f3"]["parameters"] == 120 * (6 * 14 * 14 + 1)
    assert list(shapes_of(MODERN.replace(convs=()))) == ["f1", "f2", "output"]


def test_replace_can_add_convolutions_where_there_was_none() -> None:
    assert shapes_of(MODERN.replace(convs=()).replace(channels=(4, 8)))["c3"] == "8x8x8"  # 28, 24, 12, 8


def test_replace_dense() -> None:
    assert MODERN.replace(dense=(100,)).parameters == 156 + 2_416 + 100 * 401 + 10 * 101
    assert MODERN.replace(dense=()).parameters == 156 + 2_416 + 10 * 401


def test_replace_padding() -> None:
    assert [shapes_of(MODERN.replace(padding=0))[name] for name in ("c1", "s2", "c3", "s4")] == [
        "6x24x24", "6x12x12", "16x8x8", "16x4x4",
    ]  # fmt: skip


def test_replace_table() -> None:
    with_table = MODERN.replace(table=(None, C3_TABLE))
    assert with_table.parameters == 61_706 - 2_416 + 1_516
    assert preset("lenet5-1998").replace(table=None).parameters == 60_000 - 1_516 + 2_416


def test_replace_head() -> None:
    arch = MODERN.replace(head="rbf")
    assert arch.parameters == 61_706 - 850
    assert rows_of(arch)["output"]["kind"] == "rbf"


def test_replace_num_classes_and_input_shape() -> None:
    assert MODERN.replace(num_classes=26).parameters == 61_706 + 16 * 85
    colour = MODERN.replace(input_shape=(3, 32, 32))
    assert rows_of(colour)["c1"]["parameters"] == 6 * (75 + 1)
    assert rows_of(colour)["f5"]["parameters"] == 120 * (16 * 6 * 6 + 1)


def test_replace_leaves_the_original_alone() -> None:
    MODERN.replace(channels=(8, 24), activation="tanh")
    assert preset("lenet-modern") == MODERN


def test_replace_refuses_what_an_architecture_does_not_have() -> None:
    with pytest.raises(ValueError, match="colour"):
        MODERN.replace(colour="red")


@pytest.mark.parametrize("changes", [{"channels": (6, 16), "kernel_size": ()}, {"channels": (6, 16), "table": ()}])
def test_replace_refuses_an_empty_tuple_beside_a_longer_one(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        MODERN.replace(**changes)
