"""Single layers, asked with a handful of numbers: held to the papers' formulas."""

from __future__ import annotations

import math
from threading import Thread

import numpy as np
import pytest
import torch

from lenet_core.bitmaps import DIGIT_BITMAPS
from lenet_core.layers import build, seeded
from lenet_core.presets import preset
from lenet_core.tryouts import at_test, code_distances, dropped, normalised, pooled, subsampled

CODES = np.array(DIGIT_BITMAPS, dtype=np.float32)
MAP = (np.arange(49).reshape(7, 7) * 30 % 49).astype(np.float32)  # 0 to 48, each once


def test_response_normalisation_is_the_papers_formula() -> None:
    values = [200.0, 100.0, 30.0, 150.0, 80.0, 100.0, 5.0]
    after, how = normalised(values, 3)
    for index, value in enumerate(values):
        window = values[max(0, index - 2) : index + 3]
        expected = value / (2 + 1e-4 * sum(a * a for a in window)) ** 0.75
        assert after[index] == pytest.approx(expected, rel=1e-5)
    assert how.value == after[3]
    assert how.formula.endswith(f"= {after[3]:.3g}")
    assert how.terms[0].inputs.tolist() == values[1:6]


def test_one_visitors_dice_are_not_anothers_weights() -> None:
    expected = build(preset("lenet-modern"), seed=0)[0].weight
    built: list[torch.nn.Sequential] = []
    other = Thread(target=lambda: built.append(build(preset("lenet-modern"), seed=0)))
    with seeded(1):
        first = torch.rand(1)
        other.start()
        other.join(0.5)
        second = torch.rand(1)
    other.join()
    with seeded(1):
        assert torch.equal(torch.cat([first, second]), torch.rand(2))
    assert torch.equal(built[0][0].weight, expected)


def test_dropout_keeps_some_scales_them_and_keeps_the_mean() -> None:
    values = [0.5, 1.0, 1.5, 2.0]
    throws = dropped(values, 0.25, 20_000, seed=3)
    kept = throws != 0
    assert np.allclose(throws[kept], np.broadcast_to(values, throws.shape)[kept] / 0.75)
    assert kept.mean() == pytest.approx(0.75, abs=0.01)
    assert throws.mean(0) == pytest.approx(values, rel=0.03)
    assert len({tuple(row) for row in kept[:50].tolist()}) > 5


def test_dropout_is_the_same_for_the_same_seed_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = dropped([1.0] * 10, 0.5, 5, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first, dropped([1.0] * 10, 0.5, 5, seed=0))
    assert not np.array_equal(first, dropped([1.0] * 10, 0.5, 5, seed=1))


def test_at_the_test_nothing_is_dropped() -> None:
    assert at_test([0.5, 1.0, 1.5], 0.9).tolist() == [0.5, 1.0, 1.5]


def test_dropout_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        dropped([1.0], 0.0, 1, 0)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_pooling_takes_each_windows_largest_and_counts_its_wins(size: int, stride: int) -> None:
    result, wins = pooled(MAP, size, stride)
    expected_wins = np.zeros_like(wins)
    for row in range(3):
        for column in range(3):
            top, left = stride * row, stride * column
            window = MAP[top : top + size, left : left + size]
            assert result[row, column] == window.max()
            expected_wins[np.where(window.max() == MAP)] += 1
    assert result.shape == (3, 3)
    assert np.array_equal(wins, expected_wins)


def test_only_overlapping_windows_share_a_winner() -> None:
    peak = np.zeros((7, 7), dtype=np.float32)
    peak[2, 2] = 1  # the corner where four 3x3 windows meet
    assert pooled(peak, 3, 2)[1][2, 2] == 4
    assert pooled(peak, 2, 2)[1].max() == 1


def test_subsampling_is_sum_times_weight_plus_bias_squashed() -> None:
    window = np.array([[0.2, 0.9], [-0.3, 0.6]], dtype=np.float32)
    result = subsampled(window, 0.5, -0.1)
    assert result.value == pytest.approx(1.7159 * math.tanh(2 / 3 * (1.4 * 0.5 - 0.1)), rel=1e-5)
    assert result.before is not None
    assert result.before.value == pytest.approx(0.6, rel=1e-5)
    with pytest.raises(ValueError, match="square"):
        subsampled(np.zeros((2, 3), dtype=np.float32), 1, 0)


def test_distances_to_the_codes() -> None:
    units = 0.5 * CODES[3] + 0.5 * CODES[8]
    assert code_distances(units) == pytest.approx(((units - CODES) ** 2).sum(1))
    assert code_distances(CODES[7])[7] == 0
    with pytest.raises(ValueError, match="84 units"):
        code_distances(units[:10])
