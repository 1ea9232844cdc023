"""What each pixel says for a class: against loops and sums done by hand, and on real digits."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lenet_core.architecture import Architecture
from lenet_core.attribution import METHODS, Attribution, attribute, patch_of
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import load, to_input
from lenet_core.layers import RBFOutput, build
from lenet_core.layout import Conv
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import preset
from tests.conftest import ROOT

LENETS = ("lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern")


def random_image(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def net_of(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers)).eval()


def linear_net(channels: int, side: int, classes: int = 3) -> tuple[nn.Sequential, Tensor]:
    """One dense layer, and its weights as (classes, channels, side, side)."""
    dense = nn.Linear(channels * side * side, classes)
    nn.init.normal_(dense.weight, generator=torch.Generator().manual_seed(1))
    return net_of(flatten=nn.Flatten(), output=dense), dense.weight.detach().reshape(classes, channels, side, side)


@pytest.fixture(scope="module")
def modern() -> Checkpoint:
    return load_checkpoint(bundled_checkpoints()["lenet-modern"])


@pytest.fixture(scope="module")
def digits() -> list[tuple[Tensor, int]]:
    """Two real digits of each class, with their labels."""
    data = load("mnist-5k", train=False)
    picked = range(0, len(data), 50)
    images = to_input(data.images[list(picked)], (1, 28, 28))
    return [(image, int(data.labels[index])) for image, index in zip(images, picked, strict=True)]


# --- by hand -----------------------------------------------------------------------------------


def test_occlusion_is_the_mean_fall_over_all_patches_on_a_pixel(
    modern: Checkpoint, digits: list[tuple[Tensor, int]]
) -> None:
    image, label = digits[8]
    result = attribute(modern.net, image, label, "occlusion")
    falls, patches = np.zeros((28, 28)), np.zeros((28, 28))
    with torch.no_grad():
        logit = float(modern.net(image[None])[0, label])
        for top in range(0, 25, 2):
            for left in range(0, 25, 2):
                covered = image.clone()
                covered[:, top : top + 4, left : left + 4] = 0
                falls[top : top + 4, left : left + 4] += logit - float(modern.net(covered[None])[0, label])
                patches[top : top + 4, left : left + 4] += 1
    np.testing.assert_allclose(result.values, falls / patches, atol=1e-4)
    assert np.abs(result.values).max() > 0.1
    assert result.window == (4, 2)
    assert result.logit == pytest.approx(logit, abs=1e-4)
    assert "4 x 4" in result.says


def test_what_a_linear_network_sees_is_its_weights() -> None:
    net, weights = linear_net(channels=2, side=5)
    image = random_image(2, 5, 5)
    expected = {
        "saliency": weights[1],
        "input x gradient": weights[1] * image,
        "integrated gradients": weights[1] * (image - 0.25),
    }
    for method, values in expected.items():
        result = attribute(net, image, 1, method, background=0.25)
        np.testing.assert_allclose(result.values, values.sum(0), atol=1e-5, err_msg=method)
        assert result.values.dtype == np.float32
        assert (result.method, result.label, result.window) == (method, 1, None)


def test_integrated_gradients_of_a_curve_are_its_rise() -> None:
    """-(x - c)² from the background 0 to x rises by 2 c x - x² in each pixel, whatever the slope at x."""
    codes = torch.tensor([[1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, 1.0, -1.0]])
    net = net_of(flatten=nn.Flatten(), output=RBFOutput(codes))
    x = torch.tensor([[[0.0, 0.25], [0.5, 1.0]]])
    result = attribute(net, x, 0, "integrated gradients")
    np.testing.assert_allclose(result.values, [[0.0, -0.5625], [0.75, 1.0]], atol=1e-5)
    assert result.missing == pytest.approx(0, abs=1e-5)
    slope = attribute(net, x, 0, "saliency").values  # 2 (c - x)
    np.testing.assert_allclose(slope, [[2.0, -2.5], [1.0, 0.0]], atol=1e-6)


def test_a_colour_pictures_empty_pixel_is_grey_unless_told() -> None:
    net, _ = linear_net(channels=3, side=7)
    grey = torch.full((3, 7, 7), 0.5)
    for method in ("occlusion", "integrated gradients"):
        assert np.abs(attribute(net, grey, 0, method).values).max() < 1e-4
        assert np.abs(attribute(net, grey, 0, method, background=0).values).max() > 0.1


# --- real networks -----------------------------------------------------------------------------


def test_integrated_gradients_add_up_to_the_change_of_the_logit(
    modern: Checkpoint, digits: list[tuple[Tensor, int]]
) -> None:
    for image, label in digits:
        result = attribute(modern.net, image, label, "integrated gradients")
        with torch.no_grad():
            full, empty = modern.net(torch.stack([image, torch.zeros_like(image)]))[:, label].tolist()
        assert result.missing is not None
        assert float(result.values.sum()) + result.missing == pytest.approx(full - empty, abs=1e-3)
        assert abs(result.missing) < 0.05 * abs(full - empty)
        assert f"{full:.2f}" in result.says
        assert f"{empty:.2f}" in result.says


@pytest.mark.parametrize(("method", "times"), [("occlusion", 3), ("saliency", 1.5)])
def test_the_ink_says_more_than_the_paper(
    modern: Checkpoint, digits: list[tuple[Tensor, int]], method: str, times: float
) -> None:
    on_ink, on_paper = [], []
    for image, label in digits:
        said, ink = np.abs(attribute(modern.net, image, label, method).values), image[0].numpy() > 0.5
        on_ink.append(said[ink].mean())
        on_paper.append(said[~ink].mean())
    assert np.mean(on_ink) > times * np.mean(on_paper)


def test_covering_a_digit_speaks_against_its_class_on_the_whole(
    modern: Checkpoint, digits: list[tuple[Tensor, int]]
) -> None:
    sums = [attribute(modern.net, image, label, "occlusion").values.sum() for image, label in digits]
    assert np.mean(sums) > 0


@pytest.mark.parametrize("name", [*LENETS, "normalised"])
def test_every_kind_of_layer_can_be_looked_through(name: str) -> None:
    normalised = Architecture(
        "normalised", (3, 20, 20), (Conv(8, kernel_size=5, groups=1, normalise=True),), (12,), dropout=0.5,
        naming="alexnet",
    )  # fmt: skip
    arch = normalised if name == "normalised" else preset(name)
    net = build(arch, seed=0).eval()
    image = random_image(*arch.input_shape)
    for method in METHODS:
        result = attribute(net, image, 3, method, background=0)
        assert result.values.shape == arch.input_shape[1:]
        assert np.isfinite(result.values).all()
        assert result.values.any(), method
    with torch.no_grad():
        full, empty = net(torch.stack([image, torch.zeros_like(image)]))[:, 3].tolist()
    whole = attribute(net, image, 3, "integrated gradients", background=0)
    assert float(whole.values.sum()) == pytest.approx(full - empty, rel=0.05, abs=1e-3)


# --- manners -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_left_behind(method: str, training: bool) -> None:
    net = build(preset("lenet-modern"), seed=0)
    image = random_image(1, 28, 28)
    net(image[None]).sum().backward()
    net.get_submodule("c1").weight.requires_grad_(False)
    net.train(training)
    parameters = list(net.parameters())
    before = [(p.detach().clone(), p.grad.clone(), p.requires_grad) for p in parameters if p.grad is not None]
    seen = image.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attribute(net, image, 3, method)
    for parameter, (value, grad, requires) in zip(parameters, before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, grad)
        assert parameter.requires_grad is requires
    for module in net.modules():
        assert module.training is training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not module._backward_pre_hooks
    assert torch.equal(image, seen)
    assert not image.requires_grad
    assert image.grad is None


def test_threads_on_one_network_get_what_each_would_get_alone(
    modern: Checkpoint, digits: list[tuple[Tensor, int]]
) -> None:
    questions = [(image, label, method) for image, label in digits[::4] for method in METHODS]

    def ask(question: tuple[Tensor, int, str]) -> Attribution:
        return attribute(modern.net, *question)

    alone = [ask(question) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, questions))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_progress_rises_to_one(modern: Checkpoint, digits: list[tuple[Tensor, int]], method: str) -> None:
    told: list[float] = []
    attribute(modern.net, *digits[0], method, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert told[0] > 0


def test_the_patch_is_a_seventh_and_moves_by_half() -> None:
    assert patch_of(28, 28) == (4, 2)
    assert patch_of(32, 32) == (5, 3)
    assert patch_of(227, 227) == (32, 16)
    assert patch_of(1, 1) == (1, 1)
    assert patch_of(2, 100) == (2, 1)


def test_no_square_picture_takes_more_than_256_places() -> None:
    for size in range(1, 1025):
        side, stride = patch_of(size, size)
        assert 1 <= stride <= side <= size
        assert (math.ceil((size - side) / stride) + 1) ** 2 <= 256


@pytest.mark.parametrize("label", [-1, 10, True, 2.0])
def test_a_class_that_is_not_there_is_named(modern: Checkpoint, label: int) -> None:
    with pytest.raises(ValueError, match=rf"from 0 to 9, not {label}\."):
        attribute(modern.net, random_image(1, 28, 28), label, "saliency")


def test_a_method_that_is_not_there_is_named(modern: Checkpoint) -> None:
    with pytest.raises(ValueError, match="occlusion, saliency, input x gradient, integrated gradients, not 'lime'"):
        attribute(modern.net, random_image(1, 28, 28), 0, "lime")


@pytest.mark.parametrize(
    ("image", "background", "message"),
    [
        (torch.zeros(1, 1, 28, 28), 0.0, "shape"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), 0.0, "uint8"),
        (torch.zeros(1, 28, 28), 2.0, "from 0 to 1, not 2"),
    ],
)
def test_a_bad_image_or_background_is_named(modern: Checkpoint, image: Tensor, background: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attribute(modern.net, image, 0, "saliency", background=background)


def test_captum_is_loaded_when_first_asked() -> None:
    check = "import sys, lenet_core.attribution; sys.exit('captum' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
