"""The sum behind one unit: against arithmetic written out here, and against what the networks answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from lenet_core.activations import activations
from lenet_core.architecture import ACTIVATIONS, Architecture
from lenet_core.arithmetic import UnitSum, unit_sum
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.presets import C3_TABLE, PRESETS, preset

Floats = NDArray[np.float32]


class Asked:
    """A network that has answered one image."""

    def __init__(self, arch: Architecture, image: Floats | None = None, net: nn.Sequential | None = None) -> None:
        self.arch = arch
        self.net = net or build(arch, seed=0).eval()
        self.image = np.random.default_rng(0).random(arch.input_shape, np.float32) if image is None else image
        outputs = activations(self.net, torch.from_numpy(self.image)[None])
        self.outputs = {name: output[0].numpy() for name, output in outputs.items()}

    def sum(self, name: str, *unit: int) -> UnitSum:
        return unit_sum(self.net, self.arch, self.outputs, self.image, name, unit)


def fill(module: nn.Module, weight: list[object], bias: list[float]) -> None:
    """Sets a layer's weights to known numbers."""
    module.weight.data = torch.tensor(weight, dtype=torch.float32)  # type: ignore[union-attr]
    module.bias.data = torch.tensor(bias, dtype=torch.float32)  # type: ignore[union-attr]


def tiny(activation: str = "relu", pooling: str = "max", **options: object) -> Asked:
    """A 3x3 picture 1 to 9 under a 2x2 kernel: [[12, 16], [24, 28]] - 20 is [[-8, -4], [4, 8]]."""
    conv = Conv(1, kernel_size=2, **options)  # type: ignore[arg-type]
    arch = Architecture("tiny", (1, 3, 3), (conv,), (), 2, activation, pooling)
    net = build(arch, seed=0).eval()
    fill(net.get_submodule("c1"), [[[[1.0, 1.0], [1.0, 1.0]]]], [-20.0])
    return Asked(arch, np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3), net)


# --- by hand -----------------------------------------------------------------------------------


def test_a_convolution_is_patch_times_kernel_plus_bias() -> None:
    asked = tiny()
    fill(asked.net.get_submodule("c1"), [[[[2.0, -1.0], [0.5, 3.0]]]], [0.25])
    asked = Asked(asked.arch, asked.image, asked.net)
    result = asked.sum("c1", 0, 1, 0)
    (term,) = result.terms
    assert (result.kind, result.reads, result.unit, term.source) == ("convolution", "image", (0, 1, 0), 0)
    assert term.inputs.tolist() == [[4, 5], [7, 8]]
    assert term.weights.tolist() == [[2, -1], [0.5, 3]]
    assert term.parts.tolist() == [[8, -5], [3.5, 24]]
    assert term.inside.all()
    # 8 - 5 + 3.5 + 24 + 0.25
    assert (result.total, result.bias, result.value) == (30.5, 0.25, 30.75)
    assert result.formula == "sum of the 4 products + bias = 30.5 + 0.25 = 30.8"
    assert result.before is None


def test_padding_counts_as_zero_and_is_marked() -> None:
    result = tiny(padding=1, pool=0).sum("c1", 0, 0, 3)
    (term,) = result.terms
    assert term.inputs.tolist() == [[0, 0], [3, 0]]
    assert term.inside.tolist() == [[False, False], [True, False]]
    assert term.weights.tolist() == [[1, 1], [1, 1]]
    assert result.value == 3 - 20
    assert result.formula == "sum of the 4 products + bias = 3 − 20 = −17"


def test_an_activated_unit_shows_its_sum_first() -> None:
    result = tiny().sum("c1_act", 0, 1, 0)
    assert result.formula == "max(0, 4) = 4"
    assert result.terms == ()
    assert result.before is not None
    assert (result.before.name, result.before.total, result.before.bias, result.before.value) == ("c1", 24, -20, 4)


def test_a_map_reads_only_its_group() -> None:
    arch = Architecture("groups", (4, 1, 1), (Conv(2, kernel_size=1, groups=2, pool=0),), ())
    net = build(arch, seed=0).eval()
    fill(net.get_submodule("c1"), [[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]], [0.0, 1.0])
    asked = Asked(arch, np.array([5, 6, 7, 8], dtype=np.float32).reshape(4, 1, 1), net)
    result = asked.sum("c1", 1, 0, 0)
    assert [(term.source, term.total) for term in result.terms] == [(2, 21.0), (3, 32.0)]
    assert result.value == 54


@pytest.mark.parametrize(("channel", "sources"), list(enumerate(C3_TABLE)))
def test_a_map_of_c3_reads_the_maps_of_table_1(channel: int, sources: tuple[int, ...]) -> None:
    result = Asked(preset("lenet5-1998")).sum("c3", channel, 0, 0)
    assert tuple(term.source for term in result.terms) == sources


def test_poolings() -> None:
    largest = tiny(activation="identity").sum("s2", 0, 0, 0)
    assert largest.formula == "the largest of the 4 = 8"
    assert largest.terms[0].inputs.tolist() == [[-8, -4], [4, 8]]
    assert largest.terms[0].parts.tolist() == [[0, 0], [0, 8]]
    mean = tiny(activation="identity", pooling="average").sum("s2", 0, 0, 0)
    assert mean.formula == "mean of the 4 = 0 / 4 = 0"
    assert mean.terms[0].weights.tolist() == [[0.25, 0.25], [0.25, 0.25]]
    asked = tiny(activation="relu", pooling="subsampling")
    fill(asked.net.get_submodule("s2"), [0.5], [-0.75])
    weighted = Asked(asked.arch, asked.image, asked.net).sum("s2_act", 0, 0, 0)
    assert weighted.formula == "max(0, 5.25) = 5.25"
    assert weighted.before is not None
    assert weighted.before.formula == "sum of the 4 × weight + bias = 12 × 0.5 − 0.75 = 5.25"
    assert weighted.before.terms[0].parts.tolist() == [[0, 0], [2, 4]]


def test_of_equals_the_first_is_the_largest() -> None:
    asked = tiny()
    fill(asked.net.get_submodule("c1"), [[[[0.0, 0.0], [0.0, 0.0]]]], [2.0])
    result = Asked(asked.arch, asked.image, asked.net).sum("s2", 0, 0, 0)
    assert result.terms[0].weights.tolist() == [[1, 0], [0, 0]]
    assert result.total == result.value == 2


def test_dense_and_flatten() -> None:
    asked = tiny(pool=0)
    fill(asked.net.get_submodule("output"), [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, -1.0, 0.5]], [0.0, 0.5])
    asked = Asked(asked.arch, asked.image, asked.net)
    result = asked.sum("output", 1)
    # what went through ReLU is 0, 0, 4, 8
    assert result.terms[0].inputs.tolist() == [0, 0, 4, 8]
    assert result.terms[0].parts.tolist() == [0, 0, -4, 4]
    assert result.formula == "sum of the 4 products + bias = 0 + 0.5 = 0.5"
    flat = asked.sum("flatten", 2)
    assert flat.formula == "map 0, row 1, column 0 = 4"
    assert flat.before is not None
    assert flat.before.formula == "max(0, 4) = 4"
    assert flat.before.before is not None
    assert flat.before.before.name == "c1"


def test_an_rbf_unit_is_minus_the_squared_distance_to_its_code() -> None:
    arch = Architecture("rbf", (3, 1, 1), (), (), 2, head="rbf")
    net = build(arch, seed=0).eval()
    net.get_submodule("output").codes = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    result = Asked(arch, np.array([0.5, 2, 1], dtype=np.float32).reshape(3, 1, 1), net).sum("output", 1)
    assert result.terms[0].weights.tolist() == [1, 1, -1]
    # (0.5-1)^2, (2-1)^2, (1+1)^2
    assert result.terms[0].parts.tolist() == [-0.25, -1, -4]
    assert (result.total, result.value) == (-5.25, -5.25)
    assert result.formula == "minus the sum of the 3 squared differences = −5.25"


def test_an_input_is_rescaled_as_in_the_1998_paper() -> None:
    arch = preset("lenet5-1998")
    result = Asked(arch, np.full(arch.input_shape, 0.4, dtype=np.float32)).sum("input", 0, 3, 3)
    assert result.formula == "−0.1 + 1.28 × 0.4 = 0.41"
    assert result.total + result.bias == pytest.approx(0.41)


def test_response_normalisation_divides_by_the_maps_around() -> None:
    conv = Conv(4, kernel_size=1, normalise=True, pool=0)
    arch = Architecture("lrn", (1, 1, 1), (conv,), (), naming="alexnet")
    net = build(arch, seed=0).eval()
    fill(net.get_submodule("conv1"), [[[[100.0]]], [[[200.0]]], [[[300.0]]], [[[400.0]]]], [0.0] * 4)
    result = Asked(arch, np.ones((1, 1, 1), dtype=np.float32), net).sum("norm1", 0, 0, 0)
    # the maps 0, 1, 2: 2 + 0.0001 (10,000 + 40,000 + 90,000) = 16
    assert result.terms[0].source == 0
    assert result.terms[0].parts.tolist() == pytest.approx([1, 4, 9], rel=1e-6)
    assert result.value == pytest.approx(100 / 16**0.75, rel=1e-6)
    assert result.formula == "100 / (2 + 0.0001 × 140000)^0.75 = 12.5"
    assert Asked(arch, np.ones((1, 1, 1), dtype=np.float32), net).sum("norm1", 3, 0, 0).terms[0].source == 1


@pytest.mark.parametrize(
    ("function", "below", "above"),
    [
        ("sigmoid", "1 / (1 + e^4) = 0.018", "1 / (1 + e^−4) = 0.982"),
        ("tanh", "tanh(−4) = −0.999", "tanh(4) = 0.999"),
        ("scaled-tanh", "1.7159 × tanh(2/3 × −4) = −1.7", "1.7159 × tanh(2/3 × 4) = 1.7"),
        ("relu", "max(0, −4) = 0", "max(0, 4) = 4"),
        ("leaky-relu", "0.01 × −4 = −0.04", "1 × 4 = 4"),
        ("elu", "elu(−4) = e^−4 − 1 = −0.982", "elu(4) = 4"),
        ("identity", "identity(−4) = −4", "identity(4) = 4"),
    ],
)
def test_every_activation_is_written_out(function: str, below: str, above: str) -> None:
    asked = tiny(activation=function)
    assert asked.sum("c1_act", 0, 0, 1).formula == below
    assert asked.sum("c1_act", 0, 1, 0).formula == above


def test_gelu_is_written_out() -> None:
    asked = tiny(activation="gelu")
    fill(asked.net.get_submodule("c1"), [[[[1.0, 1.0], [1.0, 1.0]]]], [-14.0])
    result = Asked(asked.arch, asked.image, asked.net).sum("c1_act", 0, 0, 0)
    # Φ is the normal distribution: 2.28 % of it lie below -2
    assert result.formula == "−2 × Φ(−2) = −2 × 0.0228 = −0.0455"


def test_every_activation_there_is_can_be_told() -> None:
    for function in ACTIVATIONS:
        assert tiny(activation=function).sum("c1_act", 0, 0, 0).before is not None


# --- against the networks' own answers ------------------------------------------------------------


def small(name: str) -> Architecture:
    """A preset; the largest with short dense layers, which only cost time."""
    return preset(name).replace(dense=(64, 32), num_classes=10) if name.startswith("alexnet") else preset(name)


STRIDED = Architecture(
    "strided",
    (3, 23, 19),
    (Conv(6, kernel_size=5, stride=2, padding=3, pool=2, pool_stride=1), Conv(4, 3, stride=2, padding=1, groups=2)),
    (9,),
    pooling="subsampling",
    activation="elu",
    input_range=(-2.0, 3.0),
    dropout=0.5,
)
NETWORKS = [*(small(name) for name in PRESETS), STRIDED]


def chain(result: UnitSum) -> list[UnitSum]:
    return [result, *(chain(result.before) if result.before else [])]


@pytest.mark.parametrize("arch", NETWORKS, ids=lambda arch: arch.name)
def test_the_parts_add_up_to_what_the_network_answers(arch: Architecture) -> None:
    asked = Asked(arch)
    rng = np.random.default_rng(1)
    for layer in arch.layers:
        units = [tuple(side - 1 for side in layer.output_shape), tuple(0 for _ in layer.output_shape)]
        units += [tuple(int(rng.integers(side)) for side in layer.output_shape) for _ in range(6)]
        for unit in units:
            for result in chain(asked.sum(layer.name, *unit)):
                assert result.value == asked.outputs[result.name][result.unit]
                sum_of_all, reached = result.total + result.bias, result.value
                if result.kind == "response-normalisation":
                    sum_of_all = asked.outputs[result.reads][unit] / sum_of_all**0.75
                elif not result.terms:
                    continue
                largest = max(float(np.abs(term.parts).max()) for term in result.terms)
                assert sum_of_all == pytest.approx(reached, rel=1e-4, abs=1e-5 * largest), (layer.name, unit)


@pytest.mark.parametrize("arch", NETWORKS, ids=lambda arch: arch.name)
def test_activation_and_flatten_tell_the_layer_they_act_on(arch: Architecture) -> None:
    asked = Asked(arch)
    for before, layer in zip(arch.layers, arch.layers[1:], strict=False):
        result = asked.sum(layer.name, *(side // 2 for side in layer.output_shape))
        assert result.reads == before.name
        if layer.kind in ("flatten", "activation", "dropout"):
            assert result.before is not None
            assert result.before.name == before.name
        if layer.kind in ("flatten", "dropout"):
            assert result.before.value == result.value
        if layer.kind == "activation":
            module = asked.net.get_submodule(layer.name)
            assert module(torch.tensor(result.before.value)).item() == pytest.approx(result.value, abs=1e-6)


def test_rescaling_can_differ_by_channel() -> None:
    arch = STRIDED.replace(input_range=((-1.0, 1.0), (0.0, 2.0), (-2.5, 2.5)))
    asked = Asked(arch, np.full(arch.input_shape, 0.5, dtype=np.float32))
    assert [asked.sum("input", channel, 0, 0).value for channel in range(3)] == [0.0, 1.0, 0.0]
    assert asked.sum("input", 2, 0, 0).formula == "−2.5 + 5 × 0.5 = 0"


# --- shared networks and bad questions --------------------------------------------------------------


def test_asking_leaves_a_shared_network_as_it_was() -> None:
    asked = Asked(preset("lenet5-1998"))
    before = {name: value.clone() for name, value in asked.net.state_dict().items()}
    layers = [layer for layer in asked.arch.layers for _ in range(3)]

    def ask(index: int) -> list[tuple[str, float]]:
        layer = layers[index]
        result = asked.sum(layer.name, *(index % side for side in layer.output_shape))
        return [(step.formula, step.total) for step in chain(result)]

    alone = [ask(index) for index in range(len(layers))]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(ask, range(len(layers)))) == alone
    assert all(torch.equal(value, before[name]) for name, value in asked.net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in asked.net.parameters())


def test_a_unit_that_is_not_there_is_refused_with_what_there_is() -> None:
    asked = Asked(preset("lenet-modern"))
    with pytest.raises(ValueError, match=r"no layer 'c9'; it has c1, c1_act"):
        asked.sum("c9", 0, 0, 0)
    for unit in [(6, 0, 0), (0, 28, 0), (0, 0, -1), (0,)]:
        with pytest.raises(ValueError, match=r"c1 has units up to \(5, 27, 27\), counted from 0, and no "):
            asked.sum("c1", *unit)
    with pytest.raises(ValueError, match=r"output has units up to \(9\)"):
        asked.sum("output", 10)


def test_outputs_of_another_network_are_refused() -> None:
    asked, other = Asked(preset("lenet-modern")), Asked(preset("lenet5-tanh"))
    asked.outputs = other.outputs
    with pytest.raises(ValueError, match="The outputs hold 120 for flatten, which gives 400; ask the same"):
        asked.sum("flatten", 0)
    with pytest.raises(ValueError, match="The outputs hold nothing for f5"):
        asked.sum("f5", 0)


def test_very_large_values_are_told_as_they_are() -> None:
    asked = tiny(activation="sigmoid")
    fill(asked.net.get_submodule("c1"), [[[[1e6, 0.0], [0.0, 0.0]]]], [0.0])
    result = Asked(asked.arch, asked.image, asked.net).sum("c1_act", 0, 0, 0)
    assert result.formula == "1 / (1 + e^−1000000) = 1"


def test_values_without_end_stop_nobody() -> None:
    asked = tiny(activation="identity", pooling="average")
    fill(asked.net.get_submodule("c1"), [[[[3e38, -3e38], [0.0, 0.0]]]], [0.0])
    image = np.array([[[9, 0, 9], [0, 9, 0], [9, 0, 0]]], dtype=np.float32)  # inf and -inf in c1
    asked = Asked(asked.arch, image, asked.net)
    assert not all(np.isfinite(output).all() for output in asked.outputs.values())
    for layer in asked.arch.layers:
        result = asked.sum(layer.name, *(0 for _ in layer.output_shape))
        assert result.unit == tuple(0 for _ in layer.output_shape)
