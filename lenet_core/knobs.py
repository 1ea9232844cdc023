"""A recipe's choices as named texts: one flat way to change a recipe, for links, widgets, commands and sweeps."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lenet_core.architecture import ACTIVATIONS, HEADS, INITIALISATIONS, POOLINGS, Architecture
from lenet_core.bounds import (
    MAX_CHANNELS,
    MAX_DEPTH,
    MAX_INPUT_SIZE,
    MAX_UNITS,
    check_choice,
    check_number,
    shorten,
)
from lenet_core.data_sets import DATA_SETS
from lenet_core.layout import Conv
from lenet_core.recipes import LOSSES, OPTIMISERS, SCHEDULES, Augmentation, Recipe, recipe_named

MAX_TEXT = 200  # characters of one knob's value: 16 numbers of nine digits fit, with their commas
MAX_PROBLEMS = 10  # lines about one link

_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_CONV_FIELDS = {"channels": "channels", "kernels": "kernel_size", "padding": "padding", "pool": "pool"}


@dataclass(frozen=True)
class Knob:
    """One choice in a recipe.

    `name` stands in links and commands, `label` beside a widget; `help` is one sentence with the formula,
    free of Markdown. A "choice" is one of `choices`; a "whole" and a "number" lie from `low` to `high`,
    and so does each value of a "list".
    """

    name: str
    label: str
    group: Literal["network", "data", "training", "augmentation"]
    kind: Literal["choice", "whole", "number", "list"]
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def read(self, text: str) -> Any:
        """The value that a text stands for: a str, int, float, or a tuple of int for a list.

        Raises:
            ValueError: it is not written as one, or it is out of range.
        """
        if len(text) > MAX_TEXT:
            raise ValueError(f"{self.name} takes at most {MAX_TEXT} characters, not the {len(text):,} of this text.")
        text = text.strip()
        if self.kind == "choice":
            check_choice(self.name, text, self.choices)
            return text
        if self.kind == "list":
            parts = text.split(",") if text else []
            if len(parts) > MAX_DEPTH:
                raise ValueError(f"{self.name} takes at most {MAX_DEPTH} values, not {len(parts)}.")
            return tuple(self._number(part.strip(), f"value {n} of {self.name}") for n, part in enumerate(parts, 1))
        return self._number(text, self.name)

    def _number(self, text: str, what: str) -> Any:
        """The number, or the refusal of a text that is none: `float` alone takes "nan", "1_0" and all alphabets."""
        assert self.low is not None
        assert self.high is not None
        whole = self.kind != "number"
        value: Any = text
        if (_WHOLE if whole else _NUMBER).fullmatch(text):
            value = int(text) if whole else float(text)
        check_number(what, value, self.low, self.high, whole)
        return value


def _network_knobs() -> list[Knob]:
    return [
        Knob(
            "activation", "Activation", "network", "choice",
            "What a unit makes of its weighted sum x: relu is max(0, x), sigmoid 1 / (1 + e^−x), "
            "scaled-tanh 1.7159 tanh(2x/3), identity x itself.",
            ACTIVATIONS,
        ),
        Knob(
            "pooling", "Pooling", "network", "choice",
            "What becomes of each window of a feature map: its mean (average), its largest value (max), or "
            "its sum · w + b with a learned w and b for each map (subsampling).",
            POOLINGS,
        ),
        Knob(
            "head", "Output head", "network", "choice",
            "How a class is scored: linear is w · x + b, rbf is −Σ (x − c)², minus the squared distance to the "
            "fixed code c of the class.",
            HEADS,
        ),
        Knob(
            "initialisation", "Initialisation", "network", "choice",
            "What the weights start from, drawn evenly between ±1/√n (pytorch), ±√(6 / (n + m)) (xavier-uniform) "
            "or ±2.4/n (lecun), where n values enter a unit and its output goes to m.",
            INITIALISATIONS,
        ),
        Knob(
            "dropout", "Dropout", "network", "number",
            "The fraction p of each dense layer's units that is set to 0 at random in every training step; the "
            "others are multiplied by 1 / (1 − p).",
            low=0, high=0.99,
        ),
        Knob(
            "channels", "Channels", "network", "list",
            "The number of feature maps that each convolution makes; there are as many convolutions as values.",
            low=1, high=MAX_CHANNELS,
        ),
        Knob(
            "kernels", "Kernel sizes", "network", "list",
            "The side k of each convolution's kernel in pixels; a map of side s becomes one of side "
            "s + 2 · padding − k + 1.",
            low=1, high=MAX_INPUT_SIZE,
        ),
        Knob(
            "padding", "Padding", "network", "list",
            "The pixels of zeros that each convolution's input gets on every side.",
            low=0, high=MAX_INPUT_SIZE,
        ),
        Knob(
            "pool", "Pooling windows", "network", "list",
            "The side of the pooling window after each convolution in pixels, 0 for no pooling; a window of 2 "
            "halves the map's sides.",
            low=0, high=MAX_INPUT_SIZE,
        ),
        Knob(
            "dense", "Dense layers", "network", "list",
            "The units of each hidden fully connected layer, from n inputs (n + 1) · units parameters; empty "
            "for none.",
            low=1, high=MAX_UNITS,
        ),
    ]  # fmt: skip


def _data_knobs() -> list[Knob]:
    return [
        Knob(
            "data", "Data set", "data", "choice",
            "The images to learn from; the network's input and its number of classes follow.",
            tuple(DATA_SETS),
        ),
        Knob(
            "share", "Share of the data", "data", "number",
            "The fraction of the training images that is used.",
            low=0.001, high=1,
        ),
        Knob(
            "validation", "Held out for validation", "data", "number",
            "The fraction of the used training images that the network never learns from, to choose between "
            "trainings without looking at the test images.",
            low=0, high=0.9,
        ),
    ]  # fmt: skip


def _training_knobs() -> list[Knob]:
    return [
        Knob(
            "optimiser", "Optimiser", "training", "choice",
            "How a gradient g changes a weight: sgd takes −η g with the learning rate η, adam −η m / (√v + ε) with "
            "running means m of g and v of g².",
            OPTIMISERS,
        ),
        Knob(
            "learning_rate", "Learning rate", "training", "number",
            "The size η of a step: sgd changes each weight by −η times its gradient.",
            low=0, high=100,
        ),
        Knob(
            "schedule", "Schedule", "training", "choice",
            "How the learning rate goes over the training: constant; down to 0 in a line or along a cosine; or "
            "up from 0 over the first fifth and then down to 0 (warmup-linear).",
            SCHEDULES,
        ),
        Knob(
            "loss", "Loss", "training", "choice",
            "What training makes small: cross-entropy is −log p of the right class, map is d + log(e^−j + Σ e^−dᵢ) "
            "with d the distance to the right class's code, dᵢ to each class's, and j to a rubbish class.",
            LOSSES,
        ),
        Knob(
            "batch_size", "Batch size", "training", "whole",
            "The number of images whose mean gradient makes one step.",
            low=1, high=60_000,
        ),
        Knob(
            "epochs", "Epochs", "training", "whole",
            "How many times the network sees every training image.",
            low=1, high=10_000,
        ),
        Knob(
            "label_smoothing", "Label smoothing", "training", "number",
            "The part ε of the target shared among all K classes: the right class aims at 1 − ε + ε/K, the "
            "others at ε/K; for cross-entropy alone.",
            low=0, high=0.99,
        ),
        Knob(
            "momentum", "Momentum", "training", "number",
            "How much m of the last step's velocity v is kept: v becomes m v + gradient and the step −η v; for "
            "sgd alone.",
            low=0, high=1,
        ),
        Knob(
            "weight_decay", "Weight decay", "training", "number",
            "How strongly λ weights are drawn to 0: λ times the weight is added to its gradient.",
            low=0, high=10,
        ),
    ]  # fmt: skip


def _augmentation_knobs() -> list[Knob]:
    return [
        Knob(name, label, "augmentation", "number", text, low=low, high=high)
        for name, label, text, low, high in (
            ("shift", "Shift", "Training images are moved by up to this many pixels each way.", 0, 14),
            ("rotation", "Rotation", "Training images are turned by up to this many degrees each way.", 0, 180),
            ("shear", "Shear", "Training images are slanted by up to this fraction s: x becomes x + s y.", 0, 1),
            ("scale", "Scale", "Training images are enlarged or shrunk by up to this factor; 1 is neither.", 1, 4),
            ("aspect", "Aspect", "Training images' width to height changes by up to this factor; 1 is not.", 1, 4),
            ("slashed_zeros", "Slashed zeros", "The fraction of zeros that get a slash, as some write 0.", 0, 1),
            ("crossed_sevens", "Crossed sevens", "The fraction of sevens that get a bar, as some write 7.", 0, 1),
            ("flagged_ones", "Flagged ones", "The fraction of ones that get a flag, as some write 1.", 0, 1),
        )
    ]


_SEED = Knob(
    "seed", "Seed", "training", "whole",
    "What chance starts from: the same seed gives the same start, order of images and held-out part.",
    low=0, high=2**32,
)  # fmt: skip

# The seed stands last, so that a list of differences ends with it.
KNOBS: dict[str, Knob] = {
    knob.name: knob for knob in (*_network_knobs(), *_data_knobs(), *_training_knobs(), *_augmentation_knobs(), _SEED)
}


def read_knob(name: str, text: str) -> Any:
    """The value that a text stands for in the knob of that name, as `Knob.read` gives it.

    Raises:
        ValueError: there is no such knob, or the text is none of its values.
    """
    if name not in KNOBS:
        raise ValueError(f"There is no knob {shorten(name)}; there are {', '.join(KNOBS)}.")
    return KNOBS[name].read(text)


def settings(recipe: Recipe) -> dict[str, str]:
    """Every knob's value as text: 0.001 is "0.001", 1.0 is "1", (6, 16) is "6,16", none is empty."""
    values = _values(recipe)
    return {name: _text(values[name]) for name in KNOBS}


def turn(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with those knobs turned, all at once; the order of `changes` does not matter.

    `channels` of another length adds convolutions like the last one, or drops the last ones. What a
    convolution has beyond the knobs (stride, groups, normalisation) stays; its connection table stays
    where neither its channels nor the channels before it change, and is dropped elsewhere, so that every
    map reads all maps before it. With `data` the network's input takes on the channels of the new images,
    keeps its height and width where they fit inside and takes on theirs where they do not; its classes
    become theirs. Any change but the seed's empties `reference`, which is about another training.

    What a turn drops does not come back with the opposite turn: start from the recipe that one knows.

    Raises:
        ValueError: there is no such knob, a value is none of its values, there are not as many values as
            convolutions, or the network is impossible.
    """
    given = {name: read_knob(name, changes[name]) for name in sorted(changes)}
    before = _values(recipe)
    changed = {name: value for name, value in given.items() if value != before[name]}
    groups: dict[str, dict[str, Any]] = {knob.group: {} for knob in KNOBS.values()}
    for name, value in changed.items():
        groups[KNOBS[name].group][name] = value
    fields = {**groups["data"], **groups["training"]}
    if groups["augmentation"]:
        augmentation = dataclasses.replace(recipe.augmentation or Augmentation(), **groups["augmentation"])
        fields["augmentation"] = None if augmentation == Augmentation() else augmentation
    if set(changed) - {"seed"}:
        fields["reference"] = ""
    wiring = {name: value for name, value in given.items() if name in _CONV_FIELDS}
    shape = {name: value for name, value in groups["network"].items() if name not in _CONV_FIELDS}
    if "data" in changed:
        shape |= _input_for(changed["data"], recipe.architecture)
    architecture = _rebuild(recipe.architecture, shape, wiring)
    return dataclasses.replace(recipe, architecture=architecture, **fields)


def differences(base: Recipe, recipe: Recipe) -> dict[str, tuple[str, str]]:
    """The knobs that stand differently in two recipes, in the order of `KNOBS`: name to (before, after)."""
    before, after = settings(base), settings(recipe)
    return {name: (before[name], after[name]) for name in KNOBS if before[name] != after[name]}


def to_link(base: str, recipe: Recipe) -> dict[str, str]:
    """A link's parameters: the recipe one started from, and every knob that stands differently.

    Raises:
        ValueError: there is no recipe of the name `base`.
    """
    changed = differences(recipe_named(base), recipe)
    return {"recipe": base, **{name: after for name, (_, after) in changed.items()}}


def from_link(parameters: Mapping[str, str], default: str = "lenet-modern") -> tuple[str, Recipe, list[str]]:
    """What a link's parameters say: the base recipe's name, the recipe, and a line for each part not used.

    `default` is the base where the link names none that there is. A knob that cannot be read is left out;
    where the others are impossible together, the recipe is the base itself. The parameters may be
    anybody's: the lines quote them shortened, and there are at most `MAX_PROBLEMS` about knobs.
    """
    problems, base = [], parameters.get("recipe", default)
    try:
        recipe = recipe_named(base)
    except ValueError as error:
        base, recipe = default, recipe_named(default)
        problems.append(f"{error} This is {default}.")
    good, bad = {}, []
    for name, text in parameters.items():
        if name == "recipe":
            continue
        try:
            read_knob(name, text)
            good[name] = text
        except ValueError as error:
            bad.append(str(error))
    if len(bad) > MAX_PROBLEMS:
        bad[MAX_PROBLEMS - 1 :] = [f"{len(bad) - MAX_PROBLEMS + 1:,} more parts of the link could not be used."]
    problems += bad
    try:
        recipe = turn(recipe, good)
    except ValueError as error:
        problems.append(f"The link's settings do not go together, so this is {base} as it is. {error}")
    return base, recipe, problems


def _values(recipe: Recipe) -> dict[str, Any]:
    """Every knob's value, as `Knob.read` gives it."""
    arch, values = recipe.architecture, dataclasses.asdict(recipe.augmentation or Augmentation())
    for knob in KNOBS.values():
        if knob.name in _CONV_FIELDS:
            values[knob.name] = tuple(getattr(conv, _CONV_FIELDS[knob.name]) for conv in arch.convs)
        elif knob.group != "augmentation":
            values[knob.name] = getattr(arch if knob.group == "network" else recipe, knob.name)
    return values


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _input_for(data: str, arch: Architecture) -> dict[str, Any]:
    """The fields of an architecture that follow the data set."""
    info = DATA_SETS[data]
    channels, height, width = info.shape
    fits = height <= arch.input_shape[1] and width <= arch.input_shape[2]
    sides = arch.input_shape[1:] if fits else (height, width)
    return {"input_shape": (channels, *sides), "num_classes": len(info.classes)}


def _rebuild(arch: Architecture, shape: Mapping[str, Any], wiring: Mapping[str, Any]) -> Architecture:
    """The architecture with new fields, and new values for the convolutions."""
    count = len(wiring["channels"]) if "channels" in wiring else len(arch.convs)
    for name, values in wiring.items():
        if len(values) != count:
            raise ValueError(
                f"{name} must have as many values as there are convolutions, {count}, not {len(values)}; "
                "channels sets how many there are."
            )
    convs: list[Conv] = []
    for index in range(count):
        like = arch.convs[min(index, len(arch.convs) - 1)] if arch.convs else Conv(channels=6)
        own = {_CONV_FIELDS[name]: values[index] for name, values in wiring.items()}
        convs.append(dataclasses.replace(like, **own))
    inputs = shape.get("input_shape", arch.input_shape)[0]
    old = [arch.input_shape[0], *(conv.channels for conv in arch.convs)]
    new = [inputs, *(conv.channels for conv in convs)]
    for index, conv in enumerate(convs):
        if old[index : index + 2] != new[index : index + 2]:  # before it and its own; an added one had none
            convs[index] = dataclasses.replace(conv, table=None)
    return dataclasses.replace(arch, **shape, convs=tuple(convs))
