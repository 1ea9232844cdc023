"""The layers against arithmetic done by hand, and the weights that a network starts from."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lenet_core.architecture import INITIALISATIONS, Architecture
from lenet_core.bitmaps import BITMAP_HEIGHT, BITMAP_WIDTH, DIGIT_BITMAPS
from lenet_core.layers import RBFOutput, Rescale, ScaledTanh, Subsampling, TableConv2d, build, class_codes
from lenet_core.layout import Conv
from lenet_core.presets import C3_TABLE, preset

LENETS = ("lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern")


def c3() -> TableConv2d:
    """C3 of LeNet-5 with weights that are known to be numbers."""
    layer = TableConv2d(6, C3_TABLE, 5, 1, 0)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(3))
    return layer


# --- single layers -----------------------------------------------------------------------------


def test_scaled_tanh_passes_through_one_and_minus_one() -> None:
    values = ScaledTanh()(torch.tensor([1.0, -1.0, 0.0, 100.0]))
    assert values[:3].tolist() == pytest.approx([1, -1, 0], abs=5e-5)
    assert values[3].item() == pytest.approx(1.7159)


def test_rescale_maps_background_and_ink_as_in_the_paper() -> None:
    rescale = build(preset("lenet5-1998"), seed=0).get_submodule("input")
    assert isinstance(rescale, Rescale)
    assert rescale(torch.tensor([0.0, 1.0, 0.5])).tolist() == pytest.approx([-0.1, 1.175, 0.5375])


def test_subsampling_sums_four_inputs_times_a_weight_plus_a_bias() -> None:
    layer = Subsampling(2, 2, 2)
    layer.weight.data = torch.tensor([0.5, -1.0])
    layer.bias.data = torch.tensor([0.25, 3.0])
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, -2.0]]]])
    # 0.5 (1+2+3+4) + 0.25 and -1 (1-2) + 3
    assert layer(x).flatten().tolist() == pytest.approx([5.25, 4.0])


def test_subsampling_starts_as_the_mean() -> None:
    assert Subsampling(1, 2, 2)(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).item() == pytest.approx(3)


def test_rbf_output_is_minus_the_squared_distance_to_each_code() -> None:
    layer = RBFOutput(torch.tensor([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]]))
    # (0.5-1)^2 + (2+1)^2, (0.5+1)^2 + (2+1)^2, (0.5-1)^2 + (2-1)^2
    assert layer(torch.tensor([[0.5, 2.0]]))[0].tolist() == pytest.approx([-9.25, -11.25, -1.25])


def test_a_digits_own_bitmap_wins_the_rbf_output() -> None:
    codes = class_codes(10, 84)
    answers = RBFOutput(codes)(codes)
    assert answers.argmax(1).tolist() == list(range(10))
    assert answers.diagonal().tolist() == [0.0] * 10


def test_table_convolution_equals_an_ordinary_one_with_the_table_as_mask() -> None:
    layer = c3()
    weight = torch.zeros(16, 6, 5, 5)
    pair = 0
    for out, row in enumerate(C3_TABLE):
        for source in row:
            weight[out, source] = layer.weight[pair].detach()
            pair += 1
    x = torch.randn(3, 6, 14, 14, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(x), F.conv2d(x, weight, layer.bias))


def test_table_convolution_reads_only_the_maps_that_its_table_names() -> None:
    layer = c3()
    x = torch.randn(1, 6, 14, 14, generator=torch.Generator().manual_seed(0))
    for source in range(6):
        changed = x.clone()
        changed[:, source] += 1
        moved = (layer(changed) - layer(x)).abs().amax(dim=(0, 2, 3)) > 0
        assert moved.tolist() == [source in row for row in C3_TABLE]


def test_c3_of_lenet5_has_1516_parameters() -> None:
    assert sum(parameter.numel() for parameter in c3().parameters()) == 1_516


def test_table_convolution_pads_and_strides_as_an_ordinary_one() -> None:
    layer = TableConv2d(2, ((0,), (0, 1), (1,)), 3, 2, 1)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    # Ones summed over a 3x3 window: 4 in the padded corner, 9 inside; twice that where two maps are read.
    out = layer(torch.ones(1, 2, 5, 5))
    assert out.shape == (1, 3, 3, 3)
    assert out[0, :, 0, 0].tolist() == [4, 8, 4]
    assert out[0, :, 1, 1].tolist() == [9, 18, 9]


def test_response_normalisation_is_krizhevskys_formula() -> None:
    arch = Architecture("lrn", (1, 3, 3), (Conv(7, kernel_size=1, normalise=True, pool=0),), (), naming="alexnet")
    layer = build(arch, seed=0).get_submodule("norm1")
    a = torch.linspace(-300, 200, 14).reshape(1, 7, 1, 2)
    out = layer(a)
    for i in range(7):
        for column in range(2):
            near = [a[0, j, 0, column].item() ** 2 for j in range(max(0, i - 2), min(6, i + 2) + 1)]
            expected = a[0, i, 0, column].item() / (2 + 1e-4 * sum(near)) ** 0.75
            assert out[0, i, 0, column].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", [1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-1))]),
        ("tanh", [math.tanh(-2), 0, math.tanh(1)]),
        ("scaled-tanh", [1.7159 * math.tanh(-4 / 3), 0, 1.7159 * math.tanh(2 / 3)]),
        ("relu", [0, 0, 1]),
        ("leaky-relu", [-0.02, 0, 1]),
        ("elu", [math.exp(-2) - 1, 0, 1]),
        ("gelu", [-2 * (1 + math.erf(-math.sqrt(2))) / 2, 0, (1 + math.erf(1 / math.sqrt(2))) / 2]),
        ("identity", [-2, 0, 1]),
    ],
)
def test_activations(name: str, expected: list[float]) -> None:
    act = build(preset("lenet-modern").replace(activation=name), seed=0).get_submodule("f5_act")
    assert act(torch.tensor([-2.0, 0.0, 1.0])).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("pooling", "expected"), [("max", 4.0), ("average", 2.5), ("subsampling", 2.5)])
def test_poolings(pooling: str, expected: float) -> None:
    pool = build(preset("lenet-modern").replace(pooling=pooling), seed=0).get_submodule("s2")
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(1, 6, 2, 2)
    assert pool(x).flatten().tolist() == pytest.approx([expected] * 6)


# --- codes -------------------------------------------------------------------------------------


def test_codes_of_ten_classes_are_the_bitmaps() -> None:
    codes = class_codes(10, 84)
    assert codes.shape == (10, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert codes.tolist() == DIGIT_BITMAPS


def test_bitmaps_are_digits_of_12_rows_of_7() -> None:
    grids = [torch.tensor(bitmap).reshape(BITMAP_HEIGHT, BITMAP_WIDTH) for bitmap in DIGIT_BITMAPS]
    assert (BITMAP_HEIGHT, BITMAP_WIDTH) == (12, 7)
    for left in range(10):
        for right in range(left):
            assert int((grids[left] != grids[right]).sum()) >= 5  # no two digits nearly alike
    # What no drawing of them could lack: a 0 is hollow, a 1 is a stem, an 8 is left-right symmetric.
    assert grids[0][6, 3] == -1
    assert grids[1][1:11, 3].tolist() == [1.0] * 10
    assert torch.equal(grids[8], grids[8].flip(1))


@pytest.mark.parametrize(("classes", "units"), [(10, 120), (10, 8), (10, 5), (65, 84), (65, 32), (2, 84)])
def test_codes_are_signs_all_different_and_always_the_same(classes: int, units: int) -> None:
    codes = class_codes(classes, units)
    assert codes.shape == (classes, units)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert len({tuple(code) for code in codes.tolist()}) == classes
    torch.manual_seed(classes)
    assert torch.equal(codes, class_codes(classes, units))


def test_random_codes_are_about_half_plus_one() -> None:
    share = (class_codes(65, 200) == 1).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.02)  # four standard deviations of 13,000 throws


# --- building ----------------------------------------------------------------------------------


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
@pytest.mark.parametrize("name", LENETS)
def test_a_seed_always_gives_the_same_finite_weights(name: str, initialisation: str) -> None:
    arch = preset(name).replace(initialisation=initialisation)
    first, second, other = build(arch, seed=7), build(arch, seed=7), build(arch, seed=8)
    for key, value in first.state_dict().items():
        assert value.isfinite().all(), key
        assert torch.equal(value, second.state_dict()[key]), key
    assert not torch.equal(first.get_submodule("c1").weight, other.get_submodule("c1").weight)


def test_building_with_a_seed_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build(preset("lenet5-1998"), seed=7)
    assert torch.equal(torch.get_rng_state(), before)


def test_building_without_a_seed_uses_the_global_generator() -> None:
    torch.manual_seed(1)
    first = build(preset("lenet-modern"))
    second = build(preset("lenet-modern"))
    torch.manual_seed(1)
    third = build(preset("lenet-modern"))
    assert torch.equal(first.get_submodule("c1").weight, third.get_submodule("c1").weight)
    assert not torch.equal(first.get_submodule("c1").weight, second.get_submodule("c1").weight)


def spread_within(weight: torch.Tensor, bound: float) -> bool:
    """Whether the values fill the range from -bound to bound evenly, and none lies outside."""
    largest = weight.abs().max().item()
    return 0.9 * bound < largest <= bound * 1.00001 and abs(weight.std().item() / (bound / math.sqrt(3)) - 1) < 0.2


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [("c1", 25, 6 * 25), ("c3", 6 * 25, 16 * 25), ("f5", 400, 120), ("f6", 120, 84), ("output", 84, 10)],
)
def test_xavier_uniform_weights_fill_glorots_bound(layer: str, fan_in: int, fan_out: int) -> None:
    weight = build(preset("lenet-d2l"), seed=0).get_submodule(layer).weight
    assert spread_within(weight, math.sqrt(6 / (fan_in + fan_out)))


def test_xavier_uniform_reaches_a_table_convolution() -> None:
    weight = build(preset("lenet5-1998").replace(initialisation="xavier-uniform"), seed=0).get_submodule("c3").weight
    assert spread_within(weight, math.sqrt(6 / (6 * 25 + 16 * 25)))


@pytest.mark.parametrize(("layer", "fan_in"), [("c1", 25), ("c5", 400), ("f6", 120)])
def test_lecun_weights_fill_two_point_four_over_the_fan_in(layer: str, fan_in: int) -> None:
    built = build(preset("lenet5-1998"), seed=0).get_submodule(layer)
    assert spread_within(built.weight, 2.4 / fan_in)
    assert built.bias.abs().max().item() <= 2.4 / fan_in


def rows_of_c3(weight: torch.Tensor) -> list[torch.Tensor]:
    """C3's kernels by output map."""
    return list(weight.split([len(row) for row in C3_TABLE]))


def test_lecun_weights_of_c3_depend_on_how_many_maps_each_row_reads() -> None:
    weight = build(preset("lenet5-1998"), seed=0).get_submodule("c3").weight
    for row, kernels in zip(C3_TABLE, rows_of_c3(weight), strict=True):
        assert spread_within(kernels, 2.4 / (25 * len(row)))


def test_pytorchs_own_start_of_c3_depends_on_how_many_maps_each_row_reads() -> None:
    net = build(preset("lenet5-1998").replace(initialisation="pytorch"), seed=0)
    for row, kernels in zip(C3_TABLE, rows_of_c3(net.get_submodule("c3").weight), strict=True):
        assert spread_within(kernels, 1 / math.sqrt(25 * len(row)))
    assert net.get_submodule("c3").bias.abs().max().item() <= 1 / math.sqrt(75)


@pytest.mark.parametrize("name", LENETS)
def test_dropout_free_lenets_answer_one_image_as_they_answer_it_in_a_batch(name: str) -> None:
    arch = preset(name)
    net = build(arch, seed=0).eval()
    images = torch.rand(4, *arch.input_shape, generator=torch.Generator().manual_seed(0))
    together, alone = net(images), torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together.shape == (4, 10)
