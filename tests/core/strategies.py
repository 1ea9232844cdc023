"""Networks by chance, for hypothesis: possible ones by construction, and descriptions broken by one edit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lenet_core.architecture import ACTIVATIONS, HEADS, INITIALISATIONS, NAMINGS, POOLINGS, Architecture
from lenet_core.bitmaps import BITMAP_UNITS
from lenet_core.bounds import MAX_DEPTH
from lenet_core.layout import Conv

MAX_MAPS = 8  # of a convolution
MAX_SIDE = 20  # of an image
_DENSE_WEIGHTS = 100_000  # of one layer
_DEPTHS = (0, 1, 1, 2, 2, 2, 3, 3, 4, MAX_DEPTH)  # of which one is taken: most networks are short
_PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")

Draw = Callable[[SearchStrategy[Any]], Any]
Shape = tuple[int, int, int]


# --- possible networks -------------------------------------------------------------------------


@st.composite
def architectures(draw: Draw, min_classes: int = 2, linkable: bool = False) -> Architecture:
    """A network of some layers of any kind, at most some 300,000 weights large.

    A linkable one has nothing but what knobs tell, on the 28x28 images and with the 10 classes of MNIST.
    """
    # Drawn before the layers: hypothesis often leaves what is drawn late at its first value.
    choices = {
        name: draw(st.sampled_from(those))
        for name, those in (
            ("pooling", POOLINGS), ("activation", ACTIVATIONS), ("head", HEADS), ("initialisation", INITIALISATIONS),
        )
    }  # fmt: skip
    depth, hidden = draw(st.sampled_from(_DEPTHS)), draw(st.sampled_from(_DEPTHS))
    dropout = draw(st.just(0.0) | st.floats(0, 0.99))
    if linkable:
        shape, classes, naming, name = (1, 28, 28), 10, "lenet", "lenet-modern"
    else:
        shape = (draw(st.integers(1, 4)), draw(st.integers(1, MAX_SIDE)), draw(st.integers(1, MAX_SIDE)))
        classes = draw(st.sampled_from([n for n in (2, 3, 10, 12, 65) if n >= min_classes]))
        naming, name = draw(st.sampled_from(NAMINGS)), draw(st.text(_PRINTABLE, min_size=1, max_size=80))
    input_range = draw(_input_ranges(shape[0], linkable))
    convs, after = [], shape
    for index in range(depth):
        conv, after = _convolution(draw, after, index, linkable)
        convs.append(conv)
    dense, units = [], math.prod(after)
    for _ in range(hidden):
        units = draw(st.integers(1, min(40, max(1, _DENSE_WEIGHTS // units))) | st.just(BITMAP_UNITS))
        dense.append(units)
    if units < 10 and 2**units < classes:  # too few codes for an RBF output
        choices["head"] = "linear"
    return Architecture(
        name, shape, tuple(convs), tuple(dense), classes,
        input_range=input_range, dropout=dropout, naming=naming, **choices,
    )  # fmt: skip


def _convolution(draw: Draw, shape: Shape, index: int, linkable: bool) -> tuple[Conv, Shape]:
    """A convolution that can follow maps of this shape, and the shape of what it gives on."""
    channels, *sides = shape
    padding = draw(st.integers(0, 2))
    kernel = draw(st.integers(1, min(7, min(sides) + 2 * padding)))
    stride = 1 if linkable else draw(st.integers(1, 3))
    groups = 1 if linkable else draw(st.sampled_from([n for n in (1, 2, 3, 4) if channels % n == 0]))
    maps = groups * draw(st.integers(1, MAX_MAPS // groups))
    table = None
    if groups == 1 and (index == 1 or not linkable) and draw(st.booleans()):
        table = draw(_tables(channels, maps))
    sides = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
    pool = draw(st.integers(0, min(4, *sides)))
    pool_stride = 0 if linkable else draw(st.integers(0, 4))
    normalise = not linkable and draw(st.booleans())
    if pool:
        sides = [(side - pool) // (pool_stride or pool) + 1 for side in sides]
    conv = Conv(maps, kernel, stride, padding, groups, table, normalise, pool, pool_stride)
    return conv, (maps, sides[0], sides[1])


def _tables(inputs: int, outputs: int) -> SearchStrategy[tuple[tuple[int, ...], ...]]:
    """Connection tables, the maps of a row in any order."""
    row = st.lists(st.integers(0, inputs - 1), min_size=1, max_size=inputs, unique=True).map(tuple)
    return st.lists(row, min_size=outputs, max_size=outputs).map(tuple)


def _input_ranges(channels: int, linkable: bool) -> SearchStrategy[Any]:
    end = st.sampled_from((0, 1, -0.1, 1.175, -1000, 1000)) | st.floats(-4, 4)
    pair = st.tuples(end, end)
    each = st.lists(pair, min_size=channels, max_size=channels).map(tuple)
    return st.just((0.0, 1.0)) | pair | (pair if linkable else each)


# --- broken descriptions -----------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """The description of a possible network with one edit: which fields lead to it, and what it is."""

    description: dict[str, Any]
    fields: tuple[str, ...]
    edit: str


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


_STRANGE: dict[str, Any] = {
    **{repr(value): value for value in (  # type: ignore[var-annotated]
        None, True, False, -1, 0, 1, 2, 3, 7, 100, 4097, 2**31, 10**12, 0.5, 5.0, -0.5, 1e308, math.nan, math.inf,
        -math.inf, "", "6", "relu", "rbf", "none", "\x1b[31m\n", [], [1], [[1]], [None], [{}], {}, {"channels": 3},
    )},
    "10**5000": 10**5000, "[10**5000]": [10**5000], "nested 50": nested(50), "nested 100,000": nested(100_000),
    "a long text": "x" * 10**6, "a long list": [1] * 10**4,
}  # fmt: skip
_UNKNOWN = ("colour", "self", "layers", "_layers", "", "Channels", "x" * 1000, "\x1b[2J\n")
_NUDGES: tuple[Callable[[Any], Any], ...] = (
    lambda n: n + 1, lambda n: n - 1, lambda n: -n, lambda n: n * 10, lambda n: n + 20, lambda n: n + 0.5, float,
)  # fmt: skip


@st.composite
def broken_descriptions(draw: Draw) -> Broken:
    """A possible network's description as JSON gives it, with one edit somewhere; now and then it stays possible."""
    # Drawn before the network, for the same reason.
    kind = draw(st.sampled_from(("strange", "nudge", "nudge", "remove", "repeat", "unknown")))
    what, unknown = draw(st.sampled_from(list(_STRANGE))), draw(st.sampled_from(_UNKNOWN))
    nudge = draw(st.sampled_from(_NUDGES))
    turns = draw(st.lists(st.integers(0, 999), min_size=1, max_size=5))
    description = json.loads(json.dumps(draw(architectures()).to_dict()))
    holder, key, fields = _place(description, turns)
    value = holder[key]
    if kind in ("repeat", "unknown"):
        kind = "unknown" if isinstance(holder, dict) else "repeat"
    if kind == "nudge" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        kind = "strange"
    if kind == "strange":
        holder[key] = _STRANGE[what]
    elif kind == "nudge":
        what = repr(nudge(value))
        holder[key] = nudge(value)
    elif kind == "remove":
        del holder[key]
    elif kind == "repeat":
        holder.insert(key, value)
    else:
        what, fields = unknown, (*fields[:-1], unknown)
        holder[unknown] = value
    return Broken(description, fields, kind if kind in ("remove", "repeat") else f"{kind} {what:.40}")


def _place(description: dict[str, Any], turns: list[int]) -> tuple[Any, Any, tuple[str, ...]]:
    """The object or list to edit, the key or index in it, and the fields that lead there: one turn for each step in."""
    holder: Any = description
    key: Any = "convs" if len(turns) > 1 and turns[0] % 2 else list(description)[turns[0] % len(description)]
    fields = [key]
    for turn in turns[1:]:
        if not isinstance(holder[key], (dict, list)) or not holder[key]:
            break
        holder = holder[key]
        if isinstance(holder, dict):
            key = list(holder)[turn % len(holder)]
            fields.append(key)
        else:
            key = turn % len(holder)
    return holder, key, tuple(fields)
