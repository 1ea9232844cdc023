"""The numbers under the pictures, against values worked out by hand."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lenet_core.activations import activations
from lenet_core.architecture import ACTIVATIONS
from lenet_core.checkpoint import load_checkpoint
from lenet_core.diagnostics import saturated, saturation
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.measures import measure, rest, similarity
from lenet_core.presets import preset

MAPS = np.array(
    [
        [[[0.0, 1.0], [2.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]],
        [[[-1.0, -3.0], [0.5, -0.5]], [[4.0, 4.0], [4.0, 4.0]]],
    ],
    dtype=np.float32,
)  # two inputs, two maps of 2x2


def test_means_and_active_shares_by_hand() -> None:
    found = measure(MAPS)
    assert found.mean.tolist() == [[2.0, 0.0], [-1.0, 4.0]]
    assert found.active.tolist() == [[0.75, 0.0], [0.25, 1.0]]
    assert found.mean_all.tolist() == [1.0, 1.5]
    assert found.active_all.tolist() == [0.375, 0.625]
    assert found.saturated is None
    assert found.saturated_all is None


def test_strength_is_the_root_of_the_mean_square_from_rest() -> None:
    assert measure(MAPS).strength.tolist() == pytest.approx([math.sqrt(30 / 8), math.sqrt((10.5 + 64) / 8)])
    flat = np.full((1, 3), 0.5, dtype=np.float32)
    assert measure(flat, rest=0.5).strength.tolist() == [0.0]
    assert measure(flat, rest=0.5).active.tolist() == [[0.0]]  # at rest is not above it
    assert measure(flat).strength.tolist() == [0.5]


def test_units_count_as_one_map() -> None:
    units = np.array([[0.0, 2.0, -2.0, 4.0]], dtype=np.float32)
    found = measure(units, saturated=np.array([[False, True, True, True]]))
    assert found.mean.tolist() == [[1.0]]
    assert found.active.tolist() == [[0.5]]
    assert found.saturated is not None
    assert found.saturated.tolist() == [[0.75]]


def test_saturated_shares_by_hand() -> None:
    flat = np.zeros((2, 2, 2, 2), dtype=bool)
    flat[0, 1] = True
    flat[1, 0, 0, 0] = True
    found = measure(MAPS, 0.0, flat)
    assert found.saturated is not None
    assert found.saturated_all is not None
    assert found.saturated.tolist() == [[0.0, 1.0], [0.25, 0.0]]
    assert found.saturated_all.tolist() == [0.5, 0.125]


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 3), (1, 2, 0, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, C, height, width\) or \(N, units\)"):
        measure(np.zeros(shape, dtype=np.float32))
    with pytest.raises(ValueError, match="units"):
        similarity(np.zeros(shape, dtype=np.float32))


def test_a_saturated_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 2, 2, 2\)"):
        measure(MAPS, saturated=np.zeros((2, 2), dtype=bool))


def test_cosines_by_hand() -> None:
    values = np.array([[3.0, 4.0], [6.0, 8.0], [-3.0, -4.0], [4.0, -3.0], [0.0, 0.0]], dtype=np.float32)
    cosines = similarity(values)
    assert cosines[0].tolist() == pytest.approx([1.0, 1.0, -1.0, 0.0, math.nan], nan_ok=True)
    assert np.diagonal(cosines)[:4].tolist() == [1.0] * 4
    assert np.isnan(cosines[4]).all()  # no activation at all has no direction, not even its own
    assert np.isnan(cosines[:, 4]).all()
    assert similarity(np.array([[1.0, 1.0], [1.0, 0.0]]))[0, 1] == pytest.approx(math.sqrt(0.5))


def test_cosines_are_measured_from_rest() -> None:
    values = np.array([[1.0, 0.5], [0.5, 1.0], [0.5, 0.5]], dtype=np.float32)
    cosines = similarity(values, rest=0.5)
    assert cosines[0, 1] == 0.0
    assert np.isnan(cosines[2]).all()


def test_cosines_of_a_network_that_overflowed_are_not_numbers() -> None:
    cosines = similarity(np.array([[np.inf, 1.0], [np.nan, 1.0], [0.0, 1.0]], dtype=np.float32))
    assert np.isnan(cosines[:2]).all()
    assert cosines[2, 2] == 1.0


def test_cosines_are_symmetric_and_never_above_one() -> None:
    values = np.random.default_rng(0).normal(size=(8, 16, 10, 10)).astype(np.float32)
    values[3] = values[5]
    cosines = similarity(values)
    assert np.array_equal(cosines, cosines.T)
    assert cosines.max() == 1.0
    assert cosines[3, 5] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "layer", "value"),
    [
        ("lenet-d2l", "c1", 0.0), ("lenet-d2l", "c1_act", 0.5), ("lenet-d2l", "s2", 0.5), ("lenet-d2l", "c3", 0.0),
        ("lenet-d2l", "flatten", 0.5), ("lenet-d2l", "f5", 0.0), ("lenet-d2l", "output", 0.0),
        ("lenet-modern", "s2", 0.0), ("lenet5-1998", "input", 0.0), ("lenet5-1998", "s2_act", 0.0),
    ],
)  # fmt: skip
def test_rest_at_each_kind_of_layer(name: str, layer: str, value: float) -> None:
    assert rest(preset(name), layer) == value


def test_rest_after_1998s_subsampling_of_a_sigmoid() -> None:
    arch = preset("lenet5-1998").replace(activation="sigmoid")
    assert [rest(arch, name) for name in ("c1_act", "s2", "s2_act", "c3")] == [0.5, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rest_is_what_a_network_of_zeros_gives(activation: str) -> None:
    """AlexNet with normalisation and dropout: with all sums 0 every layer lies at its rest."""
    arch = preset("alexnet-2012", input_size=67, num_classes=10).replace(activation=activation, dense=(8,))
    net = build(arch, seed=0).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    outputs = activations(net, torch.zeros(1, *arch.input_shape))
    assert {layer.kind for layer in arch.layers} >= {"response-normalisation", "dropout", "max-pool", "flatten"}
    for name, output in outputs.items():
        value = torch.full_like(output, rest(arch, name))
        assert torch.allclose(output, value, rtol=1e-3, atol=0), name


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"lenet-modern has no layer 'c9'; it has c1, c1_act"):
        rest(preset("lenet-modern"), "c9")


def outputs_of(net: torch.nn.Sequential, images: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    return {name: output.numpy() for name, output in activations(net, images).items()}


@pytest.mark.parametrize("name", ["lenet-d2l", "lenet5-tanh", "lenet5-1998"])
def test_saturated_units_are_those_that_a_training_counts(name: str) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    images = torch.rand(3, *checkpoint.architecture.input_shape, generator=torch.Generator().manual_seed(0))
    outputs = outputs_of(checkpoint.net, images)
    for layer, share in saturation(checkpoint.net, images).items():
        flat = saturated(checkpoint.net.get_submodule(f"{layer}_act"), outputs[layer])
        assert flat is not None
        assert flat.shape == outputs[layer].shape
        assert flat.mean() == pytest.approx(share)
        assert saturated(checkpoint.net.get_submodule(layer), outputs[layer]) is None  # a sum does not saturate
    assert all(parameter.grad is None for parameter in checkpoint.net.parameters())


@pytest.mark.parametrize("layer", [torch.nn.ReLU(), torch.nn.GELU(), torch.nn.MaxPool2d(2)])
def test_other_layers_do_not_saturate(layer: torch.nn.Module) -> None:
    assert saturated(layer, MAPS) is None


def test_what_may_not_be_written_to_can_be_counted() -> None:
    before = np.array([[0.0, 9.0, -9.0]], dtype=np.float32)
    before.flags.writeable = False
    flat = saturated(torch.nn.Sigmoid(), before)
    assert flat is not None
    assert flat.tolist() == [[False, True, True]]


def test_units_can_be_counted_inside_inference_mode_and_on_a_shared_network() -> None:
    net = build(preset("lenet5-tanh"), seed=0).eval()
    images = [torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed)) * 20 for seed in range(4)]

    def flat(index: int) -> NDArray[np.bool_]:
        with torch.inference_mode():
            found = saturated(net.get_submodule("c1_act"), outputs_of(net, images[index])["c1"])
        assert found is not None
        return found

    alone = [flat(index) for index in range(4)]
    assert len({one.sum() for one in alone}) > 1
    wrong: list[int] = []

    def ask(index: int) -> None:
        wrong.extend(index for _ in range(20) if not np.array_equal(flat(index), alone[index]))

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
