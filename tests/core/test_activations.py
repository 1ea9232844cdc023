"""What every layer makes of images: the same numbers as by hand, and nothing left behind."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.activations import activations, to_npz
from lenet_core.bitmaps import DIGIT_BITMAPS
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import load, to_input
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import C3_TABLE

THREADS, ROUNDS = 8, 200


def trained(name: str) -> Checkpoint:
    """A bundled network."""
    return load_checkpoint(bundled_checkpoints()[name])


def digits(checkpoint: Checkpoint, count: int) -> Tensor:
    """The first real test digits of the bundled sample, as the network takes them."""
    return to_input(load("mnist-5k", train=False).images[:count], checkpoint.architecture.input_shape)


# --- by hand -----------------------------------------------------------------------------------


def by_hand_modern(w: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    out = {"c1": F.conv2d(images, w["c1.weight"], w["c1.bias"], padding=2)}
    out["c1_act"] = F.relu(out["c1"])
    out["s2"] = F.max_pool2d(out["c1_act"], 2)
    out["c3"] = F.conv2d(out["s2"], w["c3.weight"], w["c3.bias"])
    out["c3_act"] = F.relu(out["c3"])
    out["s4"] = F.max_pool2d(out["c3_act"], 2)
    out["flatten"] = out["s4"].reshape(len(images), 400)
    out["f5"] = F.linear(out["flatten"], w["f5.weight"], w["f5.bias"])
    out["f5_act"] = F.relu(out["f5"])
    out["f6"] = F.linear(out["f5_act"], w["f6.weight"], w["f6.bias"])
    out["f6_act"] = F.relu(out["f6"])
    out["output"] = F.linear(out["f6_act"], w["output.weight"], w["output.bias"])
    return out


def by_hand_d2l(w: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    out = {"c1": F.conv2d(images, w["c1.weight"], w["c1.bias"], padding=2)}
    out["c1_act"] = torch.sigmoid(out["c1"])
    out["s2"] = F.avg_pool2d(out["c1_act"], 2)
    out["c3"] = F.conv2d(out["s2"], w["c3.weight"], w["c3.bias"])
    out["c3_act"] = torch.sigmoid(out["c3"])
    out["s4"] = F.avg_pool2d(out["c3_act"], 2)
    out["flatten"] = out["s4"].reshape(len(images), 400)
    out["f5"] = out["flatten"] @ w["f5.weight"].T + w["f5.bias"]
    out["f5_act"] = torch.sigmoid(out["f5"])
    out["f6"] = out["f5_act"] @ w["f6.weight"].T + w["f6.bias"]
    out["f6_act"] = torch.sigmoid(out["f6"])
    out["output"] = out["f6_act"] @ w["output.weight"].T + w["output.bias"]
    return out


def squash(x: Tensor) -> Tensor:
    """LeCun et al. 1998, appendix A."""
    return 1.7159 * torch.tanh(2 / 3 * x)


def subsample(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LeCun et al. 1998, section II.B: four inputs added, times a weight, plus a bias."""
    four = x[..., ::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, ::2] + x[..., 1::2, 1::2]
    return four * weight.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)


def by_hand_1998(w: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    out = {"input": images * 1.275 - 0.1}
    out["c1"] = F.conv2d(out["input"], w["c1.weight"], w["c1.bias"])
    out["c1_act"] = squash(out["c1"])
    out["s2"] = subsample(out["c1_act"], w["s2.weight"], w["s2.bias"])
    out["s2_act"] = squash(out["s2"])
    kernels, maps = iter(w["c3.weight"]), []
    for row, bias in zip(C3_TABLE, w["c3.bias"], strict=True):
        read = [F.conv2d(out["s2_act"][:, [source]], next(kernels)[None, None]) for source in row]
        maps.append(torch.stack(read).sum(0) + bias)
    out["c3"] = torch.cat(maps, 1)
    out["c3_act"] = squash(out["c3"])
    out["s4"] = subsample(out["c3_act"], w["s4.weight"], w["s4.bias"])
    out["s4_act"] = squash(out["s4"])
    out["c5"] = F.conv2d(out["s4_act"], w["c5.weight"], w["c5.bias"])
    out["c5_act"] = squash(out["c5"])
    out["flatten"] = out["c5_act"].reshape(len(images), 120)
    out["f6"] = F.linear(out["flatten"], w["f6.weight"], w["f6.bias"])
    out["f6_act"] = squash(out["f6"])
    out["output"] = torch.stack(
        [-(out["f6_act"] - torch.tensor(code)).square().sum(1) for code in DIGIT_BITMAPS], dim=1
    )
    return out


BY_HAND: dict[str, Callable[[dict[str, Tensor], Tensor], dict[str, Tensor]]] = {
    "lenet-modern": by_hand_modern,
    "lenet-d2l": by_hand_d2l,
    "lenet5-1998": by_hand_1998,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_numbers_are_those_of_stepping_through_the_layers_by_hand(name: str) -> None:
    checkpoint = trained(name)
    images = digits(checkpoint, 7)
    outputs = activations(checkpoint.net, images)
    expected = BY_HAND[name](checkpoint.net.state_dict(), images)
    assert list(outputs) == list(expected)  # the same layers, in the same order
    for layer, values in expected.items():
        assert outputs[layer].dtype == torch.float32
        torch.testing.assert_close(outputs[layer], values, rtol=1e-5, atol=1e-5, msg=partial("{}: {}".format, layer))


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_layers_come_in_the_architectures_order_with_its_shapes(name: str) -> None:
    checkpoint = trained(name)
    outputs = activations(checkpoint.net, digits(checkpoint, 3))
    layers = checkpoint.architecture.layers
    assert [(layer, tuple(output.shape)) for layer, output in outputs.items()] == [
        (layer.name, (3, *layer.output_shape)) for layer in layers
    ]


# --- shared, and left as it was ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["lenet-modern", "lenet5-1998"])
def test_threads_that_share_a_network_get_exactly_what_each_gets_alone(name: str) -> None:
    net = trained(name).net
    images = digits(trained(name), THREADS)
    alone = [activations(net, image[None]) for image in images]
    assert not torch.equal(alone[0]["c1"], alone[1]["c1"])
    together = threading.Barrier(THREADS)

    def ask(thread: int) -> list[tuple[int, str]]:
        torch.set_num_threads(1)  # every thread has its own setting
        wrong = []
        for turn in range(ROUNDS):
            together.wait(60)
            outputs = activations(net, images[thread][None])
            wrong += [(turn, layer) for layer in outputs if not torch.equal(outputs[layer], alone[thread][layer])]
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(ask, range(THREADS))) == [[]] * THREADS


def hooks(net: nn.Module) -> int:
    """How many functions are hooked into a network."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in net.modules() for kind in kinds)


@pytest.mark.parametrize("training", [True, False])
def test_network_and_images_stay_as_they_were(training: bool) -> None:
    checkpoint = trained("lenet5-1998")
    net = checkpoint.net.train(training)
    images = digits(checkpoint, 2)
    weights, pixels = copy.deepcopy(net.state_dict()), images.clone()
    outputs = activations(net, images)
    assert hooks(net) == 0
    assert all(module.training == training for module in net.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert torch.equal(images, pixels)
    assert all(output.grad_fn is None and output.is_inference() for output in outputs.values())
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


# --- as a file ---------------------------------------------------------------------------------


def test_arrays_come_back_from_a_file_by_name() -> None:
    checkpoint = trained("lenet-modern")
    arrays = {name: output.numpy() for name, output in activations(checkpoint.net, digits(checkpoint, 2)).items()}
    data = to_npz(arrays)
    with np.load(io.BytesIO(data), allow_pickle=False) as read:
        assert read.files == list(arrays)
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            assert np.array_equal(read[name], array)


def test_the_file_is_compressed() -> None:
    assert len(to_npz({"blank": np.zeros((100, 100))})) < 2_000
