"""Many trainings from one: every combination of some knobs' values, each with several seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import prod

from lenet_core.bounds import shorten
from lenet_core.knobs import KNOBS, differences, read_knob, turn
from lenet_core.recipes import Recipe

MAX_RUNS = 256


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of each knob, from texts such as "activation=relu,tanh" or "channels=6,16;8,32".

    Values are parted by commas; those of a list and of an input range, by semicolons. So an input range for
    each channel, which has semicolons itself, can stand in no text, only in a grid for `expand`.

    Raises:
        ValueError: a text is not of that form, there is no such knob, a knob comes twice, or a value is
            none of its values.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals:
            raise ValueError(f"A grid's part is written like activation=relu,tanh, not {shorten(text)}.")
        if name in grid:
            raise ValueError(f"{name} stands in the grid twice; write all its values in one part.")
        between = KNOBS[name].between if name in KNOBS else ","
        grid[name] = [value.strip() for value in values.split(between)]
        for value in grid[name]:
            read_knob(name, value)
    return grid


def expand(base: Recipe, grid: Mapping[str, Sequence[str]], seeds: Sequence[int]) -> list[Recipe]:
    """One recipe for every combination, in the grid's order with the seeds innermost; all keep the base's name.

    Two activations, two poolings and three seeds give 12.

    Raises:
        ValueError: a list is empty, there are more than `MAX_RUNS` combinations, a value is none of its
            knob's, or a combination is impossible or comes twice; the message names it.
    """
    if "seed" in grid:
        raise ValueError("seed stands in the grid; give the seeds by themselves.")
    counts = {**{name: len(texts) for name, texts in grid.items()}, "seed": len(seeds)}
    for name, count in counts.items():
        if not count:
            raise ValueError(f"{name} has no values; give at least one.")
    runs = prod(counts.values())
    if runs > MAX_RUNS:
        raise ValueError(f"This grid has {runs:,} runs, more than the limit of {MAX_RUNS}; give fewer values or seeds.")
    values = {**grid, "seed": [str(seed) for seed in seeds]}
    for name, texts in values.items():
        for text in texts:
            read_knob(name, text)
    recipes: dict[Recipe, None] = {}  # a set that keeps its order
    for combination in itertools.product(*values.values()):
        changes = dict(zip(values, combination, strict=True))
        try:
            recipe = turn(base, changes)
        except ValueError as error:
            raise ValueError(f"{_words(changes)}: {error}") from error
        if recipe in recipes:
            raise ValueError(f"{_words(changes)} comes twice; give each value and each seed once.")
        recipes[recipe] = None
    return list(recipes)


def title(base: Recipe, recipe: Recipe) -> str:
    """What differs from the base, short: "tanh, average, seed 1"; "unchanged" where nothing does.

    Values that follow from the number of convolutions alone are left out.
    """
    words = []
    for name, (before, after) in differences(base, recipe).items():
        if name in ("kernels", "padding", "pool") and _resized(before, after):
            continue
        if (name, after) == ("validation", "0"):
            words.append("nothing held out")
            continue
        speaks_for_itself = sum(after in knob.choices for knob in KNOBS.values()) == 1
        words.append(after if speaks_for_itself else f"{KNOBS[name].label.lower()} {KNOBS[name].words(after)}")
    return ", ".join(words) or "unchanged"


def _words(changes: Mapping[str, str]) -> str:
    """A combination as one would type it."""
    return " ".join(f"{name}={text}" for name, text in changes.items())


def _resized(before: str, after: str) -> bool:
    """Whether a list is an earlier one with its last value repeated, or its last values dropped."""
    old, new = before.split(","), after.split(",") if after else []
    return new == [old[min(index, len(old) - 1)] for index in range(len(new))]
