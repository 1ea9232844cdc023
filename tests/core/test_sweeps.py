"""Grids of trainings: which there are, in which order, what they are called, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from lenet_core.knobs import turn
from lenet_core.recipes import RECIPES
from lenet_core.sweeps import MAX_RUNS, expand, parse_grid, title

MODERN = RECIPES["lenet-modern"]


def test_a_grid_is_read_from_texts() -> None:
    assert parse_grid(["activation=relu,tanh", "learning_rate=0.1, 0.01", "channels=6,16;8,32", "dense=120,84;"]) == {
        "activation": ["relu", "tanh"], "learning_rate": ["0.1", "0.01"], "channels": ["6,16", "8,32"],
        "dense": ["120,84", ""],
    }  # fmt: skip
    assert parse_grid([]) == {}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["activation"], r"written like activation=relu,tanh, not 'activation'"),
        (["colour=red"], r"no knob 'colour'"),
        (["activation=relu,tanh", "activation=elu"], r"activation stands in the grid twice"),
        (["activation="], r"activation must be one of .* not ''"),
        (["activation=relu,softmax"], r"activation must be one of .* not 'softmax'"),
        (["learning_rate=0.1;0.01"], r"learning_rate must be a number .* not '0.1;0.01'"),
        (["epochs=" + "9" * 100_000], r"epochs takes at most 200 characters"),
        (["x" * 100_000], r"not 'xxx"),
        (["x" * 100_000 + "=1"], r"no knob 'xxx"),
    ],
)
def test_a_text_that_is_no_grid_is_refused_in_one_clear_line(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_grid(texts)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_two_activations_two_poolings_and_three_seeds_are_twelve_runs_in_order() -> None:
    recipes = expand(MODERN, parse_grid(["activation=relu,tanh", "pooling=max,average"]), [0, 1, 2])
    assert [(r.architecture.activation, r.architecture.pooling, r.seed) for r in recipes] == [
        (activation, pooling, seed)
        for activation in ("relu", "tanh")
        for pooling in ("max", "average")
        for seed in (0, 1, 2)
    ]
    assert {recipe.name for recipe in recipes} == {"lenet-modern"}
    assert recipes[0] == MODERN
    assert recipes[-1] == turn(MODERN, {"activation": "tanh", "pooling": "average", "seed": "2"})


def test_the_grids_order_is_the_runs_order() -> None:
    grid = {"pooling": ["average", "max"], "activation": ["tanh", "relu"]}
    found = [(r.architecture.pooling, r.architecture.activation) for r in expand(MODERN, grid, [4])]
    assert found == [("average", "tanh"), ("average", "relu"), ("max", "tanh"), ("max", "relu")]


def test_no_grid_is_the_recipe_with_each_seed() -> None:
    assert expand(MODERN, {}, [3, 1]) == [dataclasses.replace(MODERN, seed=3), dataclasses.replace(MODERN, seed=1)]


def test_knobs_that_only_go_together_are_turned_together() -> None:
    grid = {"channels": ["4,8,12"], "kernels": ["5,5,3", "3,3,3"]}
    found = [tuple(conv.kernel_size for conv in r.architecture.convs) for r in expand(MODERN, grid, [0])]
    assert found == [(5, 5, 3), (3, 3, 3)]


@pytest.mark.parametrize(
    ("grid", "seeds", "message"),
    [
        ({"activation": []}, [0], r"activation has no values"),
        ({"activation": ["relu"]}, [], r"seed has no values"),
        ({"seed": ["1", "2"]}, [0], r"seed stands in the grid"),
        ({"activation": ["relu", "tanh"]}, list(range(129)), r"258 runs, more than the limit of 256"),
        (
            {"kernels": ["5,5", "5,15"], "activation": ["tanh"]},
            [7],
            r"kernels=5,15 activation=tanh seed=7: c3: its 15x15",
        ),
        ({"channels": ["6,16", "6"], "kernels": ["5,5"]}, [0], r"channels=6 kernels=5,5 seed=0: kernels must have"),
        ({"activation": ["relu", "tanh", "relu"]}, [0], r"activation=relu seed=0 comes twice"),
        ({"learning_rate": ["0.1", "1e-1"]}, [0], r"learning_rate=1e-1 seed=0 comes twice"),
        ({}, [1, 1], r"seed=1 comes twice"),
        ({}, [-1], r"seed must be a whole number .* not -1"),
        ({"colour": ["red"]}, [0], r"no knob 'colour'"),
    ],
)
def test_an_impossible_sweep_is_refused_and_named(grid: dict[str, list[str]], seeds: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand(MODERN, grid, seeds)


def test_the_largest_sweep_is_allowed_and_a_huge_one_refused_before_any_work() -> None:
    assert len(expand(MODERN, {"activation": ["relu", "tanh"]}, range(MAX_RUNS // 2))) == MAX_RUNS
    huge = {name: ["0", "0.1", "0.2"] * 100_000 for name in ("dropout", "label_smoothing", "momentum", "shear")}
    with pytest.raises(ValueError, match="more than the limit of 256"):
        expand(MODERN, huge, range(10**9))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "unchanged"),
        ({"activation": "tanh", "pooling": "average", "seed": "1"}, "tanh, average, seed 1"),
        ({"learning_rate": "0.01", "seed": "2", "shift": "2"}, "learning rate 0.01, shift 2, seed 2"),
        ({"channels": "8,32", "dense": ""}, "channels 8,32, dense layers none"),
        ({"schedule": "linear"}, "schedule linear"),  # a head is linear too
        ({"channels": "6"}, "channels 6"),
        ({"channels": "6,16,32", "kernels": "5,5,3"}, "channels 6,16,32, kernel sizes 5,5,3"),
        ({"channels": "6,16,32", "kernels": "3,3,3"}, "channels 6,16,32, kernel sizes 3,3,3"),
        ({"kernels": "3,3"}, "kernel sizes 3,3"),
        ({"channels": ""}, "channels none"),
    ],
)
def test_a_title_is_what_differs(changes: dict[str, str], expected: str) -> None:
    assert title(MODERN, turn(MODERN, changes)) == expected
