"""The five switches between 1998 and today: that each turns its own choice, and what all 32 stands cost."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from lenet_core.architecture import ledger
from lenet_core.dial import SWITCHES, turned
from lenet_core.knobs import differences, from_link, to_link, turn
from lenet_core.layers import build
from lenet_core.recipes import RECIPES

PAPER = RECIPES["lenet5-1998"]
STANDS = [stand for count in range(6) for stand in itertools.combinations(SWITCHES, count)]

# 36 more kernels of 5x5; no weight and bias for each of 6 + 16 maps; 10 units of 84 weights and a bias.
COSTS = {"activation": 0, "pooling": -2 * (6 + 16), "c3": 36 * 25, "output": 10 * (84 + 1), "input": 0}


def test_the_switches_stand_in_the_papers_order_and_cite_it() -> None:
    assert list(SWITCHES) == ["activation", "pooling", "c3", "output", "input"]
    for name, switch in SWITCHES.items():
        assert switch.name == name
        assert "(section" in switch.why or "(appendix A)" in switch.why
        assert switch.was != switch.now


@pytest.mark.parametrize("modern", STANDS, ids=lambda stand: "+".join(stand) or "1998")
def test_every_stand_builds_with_the_parameters_that_arithmetic_gives(modern: tuple[str, ...]) -> None:
    recipe = turned(modern, PAPER)
    net = build(recipe.architecture)
    weights = sum(weight.numel() for weight in net.parameters())
    assert weights == recipe.architecture.parameters == 60_000 + sum(COSTS[name] for name in modern)
    assert from_link(to_link("lenet5-1998", recipe)) == ("lenet5-1998", recipe, [])
    assert turned((), recipe).architecture == PAPER.architecture


def test_1998_is_the_paper_and_today_has_the_layers_that_go_by_its_name() -> None:
    assert turned((), PAPER) == PAPER
    today = turned(SWITCHES, PAPER)
    assert today.architecture.parameters == RECIPES["lenet5-tanh"].architecture.parameters == 61_706
    assert ledger(today.architecture) == ledger(RECIPES["lenet5-tanh"].architecture)
    assert today.loss == "cross-entropy"


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_turns_its_own_knobs_alone(name: str) -> None:
    assert differences(PAPER, turned([name], PAPER)) == SWITCHES[name].knobs


def test_what_cannot_be_turned_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no switch 'c5'; there are activation, pooling, c3, output, input"):
        turned(["c5"], PAPER)
    with pytest.raises(ValueError, match="one number for each of the 20 maps"):
        turned([], turn(PAPER, {"channels": "6,20,120"}))


def test_the_dial_needs_no_pytorch() -> None:
    code = "import sys, lenet_core.dial; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
