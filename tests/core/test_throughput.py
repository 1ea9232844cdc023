"""The plain loop that the benchmarks hold ours against does the same mathematics."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks.plain_loop import PlainLoop
from benchmarks.throughput import RECIPE_NAMES
from lenet_core.data import DataSet, load
from lenet_core.data_sets import DATA_SETS
from lenet_core.layers import build
from lenet_core.recipes import RECIPES
from lenet_core.train import Step, Training

IMAGES = 1_000


@pytest.fixture(scope="module")
def digits() -> DataSet:
    """A thousand of the bundled sample's training digits, 100 of each."""
    return load("mnist-5k", train=True).take(torch.arange(0, 4_000, 4))


def write_originals(data: DataSet, folder: Path) -> None:
    """The images as the files that torchvision reads: two numbers of four bytes and more, then a byte a pixel."""
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        for name, shape, values in (
            ("images-idx3", (len(data), 28, 28), data.images),
            ("labels-idx1", (len(data),), data.labels),
        ):
            head = b"".join(number.to_bytes(4, "big") for number in (0x800 + len(shape), *shape))
            (folder / f"{part}-{name}-ubyte").write_bytes(head + values.to(torch.uint8).numpy().tobytes())


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_the_plain_loop_and_ours_get_the_same_loss_from_the_same_batches(
    name: str, digits: DataSet, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(RECIPES[name], epochs=1, validation=0.0)
    write_originals(digits, tmp_path / DATA_SETS[recipe.data].place)
    training = Training(build(recipe.architecture, seed=recipe.seed), recipe, digits)
    # Ours draws once to split the images, and once for the first epoch's order.
    draws = [torch.randperm(IMAGES, generator=torch.Generator().manual_seed(recipe.seed)) for _ in range(2)]
    plain = PlainLoop(recipe, tmp_path, order=draws[0][draws[1]].tolist())
    expected = list(plain.epoch())
    losses = [float(event.loss) for event in training if isinstance(event, Step)]
    assert len(losses) == -(-IMAGES // recipe.batch_size)
    assert losses == pytest.approx(expected, rel=1e-4)
    assert expected[0] != pytest.approx(expected[-1], rel=1e-4)  # it learned something
    for own, theirs in zip(training.net.parameters(), plain.net.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-2, atol=1e-4)


def test_the_plain_loop_shuffles_anew_each_time(digits: DataSet, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPES["lenet-d2l"], learning_rate=0.0)
    write_originals(digits, tmp_path / DATA_SETS[recipe.data].place)
    plain = PlainLoop(recipe, tmp_path, images=512)
    first, second = list(plain.epoch()), list(plain.epoch())
    assert len(first) == 4
    assert first != second
    assert sum(first) == pytest.approx(sum(second), rel=1e-5)
