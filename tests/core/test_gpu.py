"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from lenet_core.data import load
from lenet_core.layers import build
from lenet_core.recipes import RECIPES
from lenet_core.train import Epoch, Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")

RECIPE = dataclasses.replace(RECIPES["lenet-modern"], data="mnist-5k", epochs=1)


def test_a_gpu_learns_what_a_cpu_does() -> None:
    data = load("mnist-5k", train=True)
    ends = []
    for device in ("cpu", "cuda"):
        training = Training(build(RECIPE.architecture, seed=0), RECIPE, data, device)
        ends += [event for event in training if isinstance(event, Epoch)]
    assert ends[1].loss == pytest.approx(ends[0].loss, rel=0.05)


def test_no_step_waits_for_the_gpu() -> None:
    training = Training(build(RECIPE.architecture, seed=0), RECIPE, load("mnist-5k", train=True), "cuda")
    steps = iter(training)
    next(steps)  # the epoch's shuffling, and the kernels' first use
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert len(list(itertools.islice(steps, 50))) == 50
    finally:
        torch.cuda.set_sync_debug_mode("default")
