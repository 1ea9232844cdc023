"""The five switches between LeNet-5 of 1998 and the network that goes by its name today.

Each is a choice that most re-implementations make otherwise than LeCun, Bottou, Bengio, Haffner,
"Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE 86(11), 1998.
All five at 1998 give 60,000 parameters, all five at today's 61,706.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lenet_core.bounds import shorten
from lenet_core.knobs import turn
from lenet_core.recipes import Recipe

BASE = "lenet5-1998"  # the recipe that the switches turn
EPOCHS = 5  # of each of the 21 trainings that measure them: enough to tell them apart
ALL_1998, ALL_MODERN = "1998", "modern"  # the settings that are measured beside each switch alone


@dataclass(frozen=True)
class Switch:
    """One choice: what it `was` in 1998 and `why`, what it is `now`, and the knobs it turns.

    `knobs` maps a knob's name to its text in 1998 and its text today.
    """

    name: str
    title: str
    was: str
    why: str
    now: str
    knobs: Mapping[str, tuple[str, str]]


_SWITCHES = (
    Switch(
        "activation",
        "Squashing function",
        "scaled tanh, 1.7159 tanh(2x/3)",
        "It sends 1 to 1 and −1 to −1, where its curvature is greatest, so that targets of ±1 lie within its range and "
        "a unit's gain stays near 1 (appendix A).",
        "tanh(x)",
        {"activation": ("scaled-tanh", "tanh")},
    ),
    Switch(
        "pooling",
        "Subsampling",
        "the sum of 2x2 values, times a weight, plus a bias, squashed",
        "A small weight lets a unit blur its map, a large one turns it into a noisy OR or a noisy AND, and each map "
        "learns its own (section II.A).",
        "the mean of 2x2 values",
        {"pooling": ("subsampling", "average")},
    ),
    Switch(
        "c3",
        "What C3 reads",
        "three, four or six of S2's six maps, by Table I",
        "Fewer connections, and above all broken symmetry: maps that get different inputs are forced to extract "
        "different features (section II.B).",
        "all six maps of S2",
        {"table": ("1998", "")},
    ),
    Switch(
        "output",
        "Output and loss",
        "the squared distance to a fixed 7x12 code of each class, with the MAP loss",
        "Characters that look alike get codes that are alike, for a language model to choose between, and what is no "
        "character is far from all codes (section II.B); the loss also pushes wrong classes away (section II.C).",
        "a weighted sum for each class, with cross-entropy",
        {"head": ("rbf", "linear"), "loss": ("map", "cross-entropy")},
    ),
    Switch(
        "input",
        "Input range",
        "background −0.1, ink 1.175",
        "It makes the mean of the pixels about 0 and their variance about 1, which speeds up learning (section II.B).",
        "background 0, ink 1",
        {"input_range": ("-0.1,1.175", "0,1")},
    ),
)

SWITCHES: dict[str, Switch] = {switch.name: switch for switch in _SWITCHES}


def turned(modern: Collection[str], base: Recipe) -> Recipe:
    """The recipe with the switches named in `modern` as they stand today, and all others as in 1998.

    `base` is a recipe of LeNet-5's shape, such as "lenet5-1998"; what no switch turns stays as it is there.

    Raises:
        ValueError: there is no such switch, or the base's second convolution has not 16 maps over 6.
    """
    for name in modern:
        if name not in SWITCHES:
            raise ValueError(f"There is no switch {shorten(name)}; there are {', '.join(SWITCHES)}.")
    changes = {
        knob: now if switch.name in modern else was
        for switch in SWITCHES.values()
        for knob, (was, now) in switch.knobs.items()
    }
    return turn(base, changes)
