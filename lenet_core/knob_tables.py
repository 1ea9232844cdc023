"""The table of a recipe's knobs: what each is called, says of itself, and takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from lenet_core.architecture import ACTIVATIONS, HEADS, INITIALISATIONS, POOLINGS
from lenet_core.bounds import MAX_CHANNELS, MAX_DEPTH, MAX_INPUT_SIZE, MAX_UNITS, check_choice, check_number, shorten
from lenet_core.connections import PAPERS, read_table
from lenet_core.data_sets import DATA_SETS
from lenet_core.recipes import LOSSES, OPTIMISERS, SCHEDULES

MAX_TEXT = 200  # characters of one knob's value: 16 numbers of nine digits fit, with their commas
MAX_TABLE_TEXT = 300  # of a connection table: 16 maps over 64 fit

_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Knob:
    """One choice in a recipe.

    `name` stands in links and commands, `label` beside a widget; `help` is one sentence with the formula,
    free of Markdown. A "choice" is one of `choices`; a "whole" and a "number" lie from `low` to `high`,
    and so does each value of a "list" or of a "range". `named` are texts with words for people.
    """

    name: str
    label: str
    group: Literal["network", "data", "training", "augmentation"]
    kind: Literal["choice", "whole", "number", "list", "range", "table"]
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    named: tuple[tuple[str, str], ...] = ()

    @property
    def between(self) -> str:
        """What parts several values of the knob in one text."""
        return ";" if self.kind in ("list", "range") else ","

    def words(self, text: str) -> str:
        """What people call a value: its name where it has one, "none" for an empty text, else the text."""
        return dict(self.named).get(text, text or "none")

    def read(self, text: str) -> Any:
        """The value that a text stands for.

        A str, int or float; a tuple of int for a list; (low, high), or a pair for each channel, for a range; for
        a table the input maps of each output map, or None.

        Raises:
            ValueError: it is not written as one, or it is out of range.
        """
        limit = MAX_TABLE_TEXT if self.kind == "table" else MAX_TEXT
        if len(text) > limit:
            raise ValueError(f"{self.name} takes at most {limit} characters, not the {len(text):,} of this text.")
        text = text.strip()
        if self.kind == "choice":
            check_choice(self.name, text, self.choices)
            return text
        if self.kind == "table":
            return read_table(text)
        if self.kind == "range":
            pairs = tuple(self._pair(part) for part in text.split(";"))
            return pairs if len(pairs) > 1 else pairs[0]
        if self.kind == "list":
            parts = text.split(",") if text else []
            if len(parts) > MAX_DEPTH:
                raise ValueError(f"{self.name} takes at most {MAX_DEPTH} values, not {len(parts)}.")
            return tuple(self._number(part.strip(), f"value {n} of {self.name}") for n, part in enumerate(parts, 1))
        return self._number(text, self.name)

    def _pair(self, text: str) -> tuple[float, float]:
        ends = text.split(",")
        if len(ends) != 2:
            raise ValueError(
                f"{self.name} must be two numbers such as -0.1,1.175, or two for each channel parted by ;, "
                f"not {shorten(text)}."
            )
        low, high = (self._number(end.strip(), f"each end of {self.name}") for end in ends)
        return low, high

    def _number(self, text: str, what: str) -> Any:
        """The number, or the refusal of a text that is none: `float` alone takes "nan", "1_0" and all alphabets."""
        assert self.low is not None
        assert self.high is not None
        whole = self.kind not in ("number", "range")
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
            "input_range", "Input range", "network", "range",
            "What the network's first layer makes of a pixel p from 0 (background) to 1 (ink): "
            "low + (high − low) · p.",
            low=-1000, high=1000,
            named=(("0,1", "0 to 1"), ("-0.1,1.175", "−0.1 to 1.175 (1998)")),
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
            "table", "Connections", "network", "table",
            "Which maps of the layer before it each map of the second convolution reads; each pair of maps has "
            "a kernel of k · k weights. LeNet-5's Table I leaves out 36 of 96 pairs.",
            named=(("", "all"), (PAPERS, "Table I of 1998")),
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
