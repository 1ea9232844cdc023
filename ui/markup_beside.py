"""Fragments of HTML for two networks beside each other: one table, worked out from their ledgers."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from lenet_core.architecture import Architecture
from lenet_core.layout import shape_text
from lenet_core.summary import Summary, summary

_KINDS = {
    "convolution": ("convolution", "convolutions", "#0072b2"),
    "subsampling": ("subsampling", "subsamplings", "#009e73"),
    "dense": ("fully connected", "fully connected", "#e69f00"),
}
_ACTIVATIONS = {
    "scaled-tanh": "1.7159 tanh(2x/3)", "relu": "ReLU, max(0, x)", "leaky-relu": "leaky ReLU", "elu": "ELU",
    "gelu": "GELU", "identity": "none",
}  # fmt: skip
_POOLINGS = {
    "average-pool": "the mean", "max-pool": "the largest", "subsampling": "the sum, times a weight, plus a bias",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line of the table: what it is, a sentence that explains it, and for each network an HTML cell."""

    title: str
    why: str
    cells: tuple[str, str]


def beside(left: Architecture, right: Architecture) -> str:
    """Two networks as one table: what they are, what they cost, where their parameters sit."""
    lines = "".join(_line(line) for line in _lines(left, right))
    heads = "".join(f'<th scope="col">{escape(arch.name)}</th>' for arch in (left, right))
    return (
        f'<table class="lp-beside" data-testid="beside"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def _line(line: Line) -> str:
    cells = "".join(f"<td>{cell}</td>" for cell in line.cells)
    return f'<tr><th scope="row"><abbr title="{escape(line.why)}">{escape(line.title)}</abbr></th>{cells}</tr>'


def _lines(left: Architecture, right: Architecture) -> list[Line]:
    one, other = summary(left), summary(right)
    return [
        Line("Input", "Channels x height x width, in pixels.", (_input(one), _input(other))),
        Line(
            "Depth", "How many layers have weights; codes that are fixed are none.",
            (_depth(one), _depth(other)),
        ),
        Line(
            "Activation", "The function that each unit's weighted sum passes through.",
            (_activation(one), _activation(other)),
        ),
        Line(
            "Pooling", "What becomes of each window of a map, and how far the window moves on (its stride).",
            (_pooling(one), _pooling(other)),
        ),
        Line("Output", "What the last layer does, and for how many classes.", (_output(one), _output(other))),
        Line("And also", "What else is in it: each can be tried below.", (_extras(left), _extras(right))),
        Line(
            "Parameters", "The numbers that training sets: weights and biases.",
            _numbers(one.parameters, other.parameters),
        ),
        Line(
            "Multiply-adds", "Multiplications of a weight and an input, for one image.",
            _numbers(one.multiply_adds, other.multiply_adds),
        ),
        Line(
            "Activations", "What all layers give on for one image, each after its activation, as float32 of 4 bytes.",
            _numbers(one.values, other.values, (_megabytes(one), _megabytes(other))),
        ),
        Line(
            "Where the parameters sit", "The share of all parameters that each kind of layer has.",
            (_parts(one), _parts(other)),
        ),
    ]  # fmt: skip


def _input(one: Summary) -> str:
    return escape(shape_text(one.input_shape))


def _depth(one: Summary) -> str:
    kinds = ", ".join(f"{count} {_KINDS[kind][count > 1]}" for kind, count in one.weighted.items())
    return f"<b>{one.depth}</b>: {escape(kinds)}"


def _activation(one: Summary) -> str:
    return escape(_ACTIVATIONS.get(one.activation, one.activation))


def _pooling(one: Summary) -> str:
    texts = []
    for kind, size, stride in one.windows:
        overlaps = "; windows overlap" if stride < size else ""
        texts.append(f"{size}x{size}, stride {stride}: {_POOLINGS[kind]}{overlaps}")
    return escape("; ".join(texts) or "none")


def _output(one: Summary) -> str:
    how = "the squared distance to its fixed code (RBF)" if one.head == "rbf" else "a weighted sum"
    return escape(f"{one.classes:,} classes, for each {how}")


def _extras(arch: Architecture) -> str:
    found = []
    if any(conv.table for conv in arch.convs):
        found.append("a table of which maps read which")
    if any(conv.normalise for conv in arch.convs):
        found.append("response normalisation")
    if (groups := max((conv.groups for conv in arch.convs), default=1)) > 1:
        found.append(f"convolutions in {groups} groups")
    if arch.dropout:
        found.append(f"dropout of {100 * arch.dropout:.0f}\u00a0%")
    return escape(", ".join(found) or "nothing")


def _numbers(left: int, right: int, says: tuple[str, str] = ("", "")) -> tuple[str, str]:
    """Both numbers, and how many times the other the larger one is."""
    larger, smaller = max(left, right), max(min(left, right), 1)
    times = f' <span class="lp-quiet">{larger / smaller:,.{0 if larger >= 10 * smaller else 1}f} times as many</span>'
    marks = (times if left > right else "", times if right > left else "")
    first, second = (
        f"<b>{value:,}</b> {escape(text)}{mark}" for value, text, mark in zip((left, right), says, marks, strict=True)
    )
    return first, second


def _megabytes(one: Summary) -> str:
    return f"values, {one.megabytes:.{3 if one.megabytes < 1 else 1}f} MB"


def _parts(one: Summary) -> str:
    """Each kind's share of the parameters, as a bar and in numbers."""
    shares = {kind: 100 * count / one.parameters for kind, count in one.parameters_in.items() if kind in _KINDS}
    bar = "".join(
        f'<span style="width:{share:.2f}%;background:{_KINDS[kind][2]}"></span>' for kind, share in shares.items()
    )
    key = "".join(
        f'<span><i class="lp-part-key" style="background:{_KINDS[kind][2]}"></i>'
        f"{escape(_KINDS[kind][0])} {share:.1f}\u00a0%</span>"
        for kind, share in shares.items()
    )
    return f'<div class="lp-parts" aria-hidden="true">{bar}</div><div class="lp-part-list">{key}</div>'
