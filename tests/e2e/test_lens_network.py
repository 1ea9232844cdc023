"""The network in the browser answers as PyTorch does, layer by layer, for every kind of network there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Error, Page
from torch import Tensor

from lenet_core.activations import activations
from lenet_core.architecture import ACTIVATIONS, POOLINGS, Architecture
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import fit_field, load
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.library import bundled_checkpoints
from lenet_core.portable import to_portable
from lenet_core.presets import preset
from tests.e2e.lens import lens_module, packed, unpacked

CLOSE = 1e-4  # of the largest value
LENETS = ("lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern")
SMALL = preset("lenet-modern").replace(channels=(3, 5), dense=(16,))
NETWORKS: dict[str, Architecture] = {
    **{name: preset(name) for name in LENETS},
    "lenet5-1998 at 28x28": preset("lenet5-1998", input_size=28),
    # Inputs so large that every part of the activations' curves is used.
    **{f"activation {name}": SMALL.replace(activation=name, input_range=(-9.0, 9.0)) for name in ACTIVATIONS},
    **{f"pooling {name}": SMALL.replace(pooling=name) for name in POOLINGS},
    "no pooling": SMALL.replace(pool=0),
    "windows that overlap": SMALL.replace(pool=3, pool_stride=2),
    "windows that leave a border": SMALL.replace(pool=3, pooling="subsampling"),
    "kernels of 3": SMALL.replace(kernel_size=3),
    "kernels of 7": SMALL.replace(kernel_size=(7, 5)),
    "stride 2, padding 1": SMALL.replace(stride=2, padding=1, pool=0),
    "groups": SMALL.replace(convs=(Conv(6), Conv(12, 3, groups=3))),
    "each map by itself": SMALL.replace(convs=(Conv(4), Conv(8, 3, groups=4))),
    "one convolution": SMALL.replace(convs=(Conv(7),)),
    "four convolutions": SMALL.replace(convs=(Conv(4, 3, pool=0), Conv(6, 3), Conv(8, 3, pool=0), Conv(9, 3))),
    "no dense layers": SMALL.replace(dense=()),
    "no hidden layers": SMALL.replace(convs=(), dense=()),
    "codes that are not bitmaps": SMALL.replace(head="rbf", dense=(40,), num_classes=12),
    "dropout": SMALL.replace(dropout=0.5),
    "a table": SMALL.replace(convs=(Conv(3), Conv(4, table=((2,), (0, 2), (1,), (0, 1, 2))))),
    "colour, a range for each channel": SMALL.replace(
        input_shape=(3, 32, 32), input_range=((-1, 2), (9.0, -9.0), (0.0, 0.5))
    ),
    # Inputs so large that the normalisation matters.
    "normalised": SMALL.replace(channels=(8, 3), normalise=True, input_range=(-90.0, 90.0)),
    "a larger field, not square": SMALL.replace(input_shape=(1, 33, 40)),
    "a smaller field": SMALL.replace(input_shape=(1, 20, 17), kernel_size=3),
    "narrower and higher": SMALL.replace(input_shape=(2, 40, 16), kernel_size=3),
}
_RUN = """([description, weights, images, side, channels, names]) => {
  const network = makeNetwork(description, typedOf(weights, Float32Array));
  const pixels = typedOf(images, Float32Array);
  const size = channels * side * side;
  const found = Object.fromEntries(names.map((name) => [name, []]));
  for (let start = 0; start < pixels.length; start += size) {
    const outputs = network.run(pixels.subarray(start, start + size), side, channels);
    for (const name of names) found[name].push(...outputs.get(name).values);
  }
  const order = [...network.run(pixels.subarray(0, size), side, channels)].map(([name, { shape }]) => [name, shape]);
  return { order, found: names.map((name) => base64Of(Float32Array.from(found[name]))) };
}"""


@pytest.fixture(scope="module")
def lens(browser: Browser) -> Any:
    """A page with the evaluator."""
    torch.set_num_threads(1)
    page = browser.new_page()
    yield lens_module(page, "makeNetwork", "softmax")
    page.close()


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """20 real digits (20, 1, 28, 28) uint8, two of each class."""
    return load("mnist-5k", train=False).images[::50]


def in_browser(page: Page, checkpoint: Checkpoint, images: Tensor, names: list[str]) -> list[NDArray[np.float32]]:
    """What the layers of these names give for each of the images (N, C, H, W), which are fed as they are."""
    portable = to_portable(checkpoint)
    weights = packed(np.frombuffer(portable.weights, "<f4"))
    count, channels, side, _ = images.shape
    told = page.evaluate(_RUN, [portable.description, weights, packed(images.numpy()), side, channels, names])
    arch = checkpoint.architecture
    shapes = [["image", list(arch.input_shape)], *([layer.name, list(layer.output_shape)] for layer in arch.layers)]
    assert told["order"] == shapes
    return [unpacked(text).reshape(count, *dict(shapes)[name]) for name, text in zip(names, told["found"], strict=True)]


def differences(found: NDArray[np.float32], expected: Tensor) -> NDArray[np.float32]:
    """The largest difference in each image, as a share of the largest expected value of that image."""
    flat = expected.flatten(1).numpy()
    return np.abs(found.reshape(flat.shape) - flat).max(1) / np.maximum(np.abs(flat).max(1), 1e-30)  # type: ignore[no-any-return]


def assert_same(page: Page, checkpoint: Checkpoint, images: Tensor) -> None:
    """Every layer gives in the browser what it gives in PyTorch."""
    inputs = fit_field(images, checkpoint.architecture.input_shape)
    expected = {"image": inputs} | activations(checkpoint.net, inputs)
    for (name, values), found in zip(
        expected.items(), in_browser(page, checkpoint, images, list(expected)), strict=True
    ):
        assert values.isfinite().all()
        assert differences(found, values).max() <= CLOSE, name


def untrained(arch: Architecture) -> Checkpoint:
    """A network with weights that no layer starts with, so that none is taken for another."""
    net = build(arch, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return Checkpoint(arch, net, tuple(map(str, range(arch.num_classes))))


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_network_gives_its_logits_for_a_thousand_real_digits(lens: Page, real_data: Path, name: str) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    images = load("mnist", train=False, root=real_data).images[:1000].float() / 255
    expected = activations(checkpoint.net, fit_field(images, checkpoint.architecture.input_shape))
    last = list(expected)[-1]
    (found,) = in_browser(lens, checkpoint, images, [last])
    largest = differences(found, expected[last]).max()
    print(f"{name}: the logits of {len(images):,} digits differ by {largest:.1e} at most")
    assert largest <= CLOSE
    assert (found.argmax(1) == expected[last].numpy().argmax(1)).all()


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_every_layer_of_a_bundled_network_gives_the_same(lens: Page, digits: Tensor, name: str) -> None:
    assert_same(lens, load_checkpoint(bundled_checkpoints()[name]), digits.float() / 255)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_gives_the_same(lens: Page, digits: Tensor, name: str) -> None:
    assert_same(lens, untrained(NETWORKS[name]), digits[:6].float() / 255)


@pytest.mark.parametrize("name", ["lenet-modern", "lenet5-1998"])
def test_pixels_that_were_not_scaled_are_fed_as_they_are(lens: Page, digits: Tensor, name: str) -> None:
    assert_same(lens, load_checkpoint(bundled_checkpoints()[name]), digits.float())


@pytest.mark.parametrize(("shape", "fed"), [((1, 28, 28), (3, 32, 32)), ((3, 16, 16), (3, 16, 16))])
def test_colour_becomes_lightness_and_colour_stays(lens: Page, shape: Any, fed: Any) -> None:
    arch = SMALL.replace(input_shape=shape, kernel_size=3)
    assert_same(lens, untrained(arch), torch.rand(4, *fed, generator=torch.Generator().manual_seed(1)))


def test_an_image_whose_channels_do_not_fit_is_refused(lens: Page, digits: Tensor) -> None:
    with pytest.raises(Error, match="2 channels does not fit a network that takes 1"):
        in_browser(lens, untrained(SMALL), torch.zeros(1, 2, 28, 28), ["image"])


def test_an_answer_stays_what_it_is_when_the_network_runs_again(lens: Page) -> None:
    portable = to_portable(untrained(SMALL))
    same = lens.evaluate(
        """([description, weights]) => {
          const network = makeNetwork(description, typedOf(weights, Float32Array));
          const first = network.run(new Float32Array(784).fill(0.5), 28);
          const kept = [...first.values()].map(({ values }) => Float32Array.from(values));
          const second = network.run(new Float32Array(784).fill(1), 28);
          const alike = (a, b) => a.every((value, index) => value === b[index]);
          return [
            [...first.values()].every(({ values }, index) => alike(values, kept[index])),
            alike([...second.values()].at(-1).values, kept.at(-1)),
          ];
        }""",
        [portable.description, packed(np.frombuffer(portable.weights, "<f4"))],
    )
    assert same == [True, False]


@pytest.mark.parametrize("logits", [[1.5, -2.0, 0.25], [900.0, 899.0, -900.0], [0.0, 0.0], [-1e30, -200.0]])
def test_probabilities_are_those_of_pytorch(lens: Page, logits: list[float]) -> None:
    found = lens.evaluate("(logits) => [...softmax(Float32Array.from(logits))]", logits)
    assert found == pytest.approx(torch.tensor(logits, dtype=torch.double).softmax(0).tolist(), abs=1e-12)
