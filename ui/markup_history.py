"""Fragments of HTML for the history page: five switches, what each did, the ledger that counts along, C3's costs."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from lenet_core.bitmaps import DIGIT_BITMAPS
from lenet_core.presets import C3_TABLE

_CODE_SHOWN = 3  # the digit whose code stands for all ten
_BLUE, _GREY = "#0072b2", "#7f8894"  # seen on light and dark alike


def switch(name: str, was: str, now: str, why: str, modern: bool) -> str:
    """One switch: 1998 on the left, today on the right, the one that holds framed, and why it was so."""
    old, new = _PICTURES[name]
    return (
        f'<div class="lp-switch"><div class="lp-sides">{_side("1998", was, old, not modern)}'
        f'<span class="lp-to" aria-hidden="true">→</span>{_side("today", now, new, modern)}</div>'
        f'<p class="lp-reason">{escape(why)}</p></div>'
    )


def _side(when: str, says: str, picture: Callable[[], str], holds: bool) -> str:
    mark, state = (" lp-holds", "✓ ") if holds else ("", "")
    return (
        f'<div class="lp-side{mark}"><span class="lp-when">{state}{when}</span>{picture()}'
        f"<span>{escape(says)}</span></div>"
    )


def _picture(width: int, body: str, alt: str, says: str) -> str:
    """A drawing 62 pixels high with a line under it; as an image, for Streamlit takes bare SVG out of HTML."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 62">{body}</svg>'
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<span class="lp-sketch"><img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}" width="{width}" '
        f'height="62"><span>{escape(says)}</span></span>'
    )


def _curve(f: Callable[[float], float], name: str) -> str:
    """A squashing function from -3 to 3, with the point that its scaling is about."""
    points = " ".join(f"{46 + 14 * x:.1f},{31 - 15 * f(x):.1f}" for x in np.linspace(-3, 3, 49))
    height = f"{31 - 15 * f(1.0):.1f}"
    body = (
        f'<path d="M2 31H90M46 2V60" stroke="{_GREY}" opacity=".6"/>'
        f'<path d="M60 31V{height}H46" stroke="{_GREY}" stroke-dasharray="2 2" fill="none"/>'
        f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="2.6"/>'
        f'<circle cx="60" cy="{height}" r="4" fill="#d55e00"/>'
    )
    return _picture(92, body, f"{name} from -3 to 3, with its value at 1", f"f(1) = {f(1.0):.3f}")


def _window(learned: bool) -> str:
    """Four pixels of a map that become one."""
    squares = "".join(
        f'<rect x="{2 + 22 * (n % 2)}" y="{10 + 22 * (n // 2)}" width="20" height="20" rx="2" fill="{_BLUE}" '
        f'opacity="{opacity}"/>'
        for n, opacity in enumerate((0.95, 0.4, 0.65, 0.2))
    )
    body = (
        f'{squares}<path d="M50 31H64M59 26L64 31L59 36" stroke="{_GREY}" stroke-width="2" fill="none"/>'
        f'<rect x="70" y="20" width="21" height="21" rx="2" fill="{_BLUE}" opacity=".55"/>'
    )
    alt = "Four values are summed, weighted, shifted and squashed" if learned else "Four values become their mean"
    return _picture(92, body, alt, "f(w · Σ + b)" if learned else "Σ / 4")


def _table(table: Sequence[Sequence[int]]) -> str:
    """Which of 6 maps each of 16 reads, one square a connection."""
    squares = "".join(
        f'<rect x="{1 + 8 * target}" y="{8 + 8 * source}" width="6.4" height="6.4" rx="1" '
        + (f'fill="{_BLUE}"/>' if source in sources else f'fill="{_GREY}" opacity=".25"/>')
        for target, sources in enumerate(table)
        for source in range(6)
    )
    says = f"{sum(map(len, table))} of 96 pairs"
    return _picture(130, squares, f"A grid of 6 by 16 maps: {says} are connected", says)


def _code() -> str:
    """A digit's code as a picture of 7 x 12, which F6 is held against."""
    cells = "".join(
        f'<rect x="{28 + 5 * (n % 7)}" y="{1 + 5 * (n // 7)}" width="4.6" height="4.6" '
        + (f'fill="{_BLUE}"/>' if value > 0 else f'fill="{_GREY}" opacity=".25"/>')
        for n, value in enumerate(DIGIT_BITMAPS[_CODE_SHOWN])
    )
    return _picture(92, cells, f"The code of a {_CODE_SHOWN}: 7 x 12 values of +1 and -1", "−Σ (x − c)²")


def _scores() -> str:
    """Ten scores, each a weighted sum."""
    heights = (12, 20, 9, 54, 15, 25, 8, 17, 30, 13)
    bars = "".join(
        f'<rect x="{2 + 9 * n}" y="{60 - height}" width="7" height="{height}" fill="{_BLUE}" '
        f'opacity="{1 if n == _CODE_SHOWN else 0.4}"/>'
        for n, height in enumerate(heights)
    )
    return _picture(92, bars, "Ten classes, each with a score of its own", "w · x + b")


def _range(low: float, high: float) -> str:
    """What background and ink become, on a line from -0.25 to 1.25."""
    places = [round(2 + 96 * (value + 0.25) / 1.5) for value in (low, high)]
    width = (places[1] - places[0]) / 10
    steps = "".join(
        f'<rect x="{places[0] + width * n:.1f}" y="18" width="{width + 0.3:.1f}" height="22" '
        f'fill="rgb({round(255 * n / 9)},{round(255 * n / 9)},{round(255 * n / 9)})"/>'
        for n in range(10)
    )
    ticks = "".join(f'<path d="M{round(2 + 96 * (at + 0.25) / 1.5)} 42V52" stroke="{_GREY}"/>' for at in (0, 1))
    body = (
        f'{steps}<path d="M2 47H98" stroke="{_GREY}"/>{ticks}<rect x="{places[0]}" y="18" '
        f'width="{places[1] - places[0]}" height="22" fill="none" stroke="{_GREY}"/>'
    )
    says = f"{low:g} to {high:g}".replace("-", "−")
    return _picture(100, body, f"From black to white: {says}; ticks at 0 and 1", says)


_PICTURES: dict[str, tuple[Callable[[], str], Callable[[], str]]] = {
    "activation": (
        lambda: _curve(lambda x: 1.7159 * math.tanh(2 * x / 3), "1.7159 tanh(2x/3)"),
        lambda: _curve(math.tanh, "tanh x"),
    ),
    "pooling": (lambda: _window(True), lambda: _window(False)),
    "c3": (lambda: _table(C3_TABLE), lambda: _table([range(6)] * 16)),
    "output": (_code, _scores),
    "input": (lambda: _range(-0.1, 1.175), lambda: _range(0, 1)),
}


def signed(change: int) -> str:
    """A change as people write it: +900, −44, ±0."""
    return f"{'+' if change > 0 else '−' if change else '±'}{abs(change):,}"


def counter(parameters: int, before: int, changes: Mapping[str, int]) -> str:
    """The number of parameters as the largest thing, and the sum that leads to it."""
    parts = "".join(
        f'<span class="lp-chip"><b>{signed(change)}</b> <span class="lp-quiet">{escape(name)}</span></span>'
        for name, change in changes.items()
    )
    total = f"{signed(parameters - before)} against 1998" if changes else "as published in 1998"
    return (
        f'<div class="lp-counter" role="status"><span><b data-testid="parameters">{parameters:,}</b> parameters</span>'
        f'<span class="lp-quiet">{total}</span></div>'
        f'<div class="lp-chips lp-sum-chips"><span class="lp-chip">{before:,} '
        f'<span class="lp-quiet">in 1998</span></span>{parts}</div>'
    )


def small_counter(parameters: int, before: int) -> str:
    """The number of parameters in a line, for where the large one is out of sight."""
    change = f", {signed(parameters - before)}" if parameters != before else ""
    return f'<div class="lp-small-counter" aria-hidden="true"><b>{parameters:,}</b> parameters{change}</div>'


def dial_ledger(rows: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]], parameters: int) -> str:
    """The ledger as the switches stand, each row's change against 1998 (`before`) marked."""
    now = {row["name"]: row for row in rows}
    body = "".join(_dial_row(row, now.get(row["name"])) for row in before if row["kind"] != "flatten")
    connections = sum(row["connections"] for row in rows)
    change = signed(parameters - sum(row["parameters"] for row in before))
    return (
        '<div class="lp-scroll" tabindex="0" role="region" aria-label="Ledger">'
        '<table class="lp-small-ledger lp-dial-ledger"><thead><tr><th>Layer</th><th>What it does</th>'
        '<th>Parameters</th><th><abbr title="Against the net of 1998.">Change</abbr></th>'
        '<th><abbr title="For every output unit the inputs it reads, and its bias; counted as in the paper.">'
        f"Connections</abbr></th></tr></thead><tbody>{body}</tbody><tfoot><tr><th>Total</th><td></td>"
        f"<td>{parameters:,}</td><td>{'' if change == '±0' else change}</td><td>{connections:,}</td></tr></tfoot>"
        "</table></div>"
    )


def _does(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "as it comes"
    return ", ".join(filter(None, (row["kind"].replace("-", " "), (row["activation"] or "").replace("-", " "))))


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _dial_row(before: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    """A layer's row; one that the present net has not (the rescaling of its input) does nothing."""
    count, connections = (now["parameters"], now["connections"]) if now else (0, 0)
    change, does = count - before["parameters"], _does(now)
    other_count, other_doing = (' class="lp-other"' if other else "" for other in (change, does != _does(before)))
    return (
        f'<tr><th scope="row">{escape(before["name"])}</th><td{other_doing}>{escape(does)}</td>'
        f"<td{other_count}>{_count(count)}</td>"
        f"<td{other_count}>{signed(change) if change else ''}</td><td>{_count(connections)}</td></tr>"
    )


@dataclass(frozen=True)
class Axis:
    """What the dots of all rows are drawn on: accuracies (fractions) from `low` to `high`."""

    low: float
    high: float

    def place(self, accuracy: float) -> float:
        """Where an accuracy stands, in percent of the axis."""
        return 100 * (accuracy - self.low) / (self.high - self.low)


def axis_for(accuracies: Sequence[float]) -> Axis:
    """An axis that holds all accuracies, from one tenth of a percent to another."""
    low, high = math.floor(1000 * min(accuracies)) / 1000, math.ceil(1000 * max(accuracies)) / 1000
    return Axis(low, high if high > low else low + 0.001)


def measured(title: str, accuracies: Sequence[float], base: Sequence[float], axis: Axis) -> str:
    """Test accuracies of a setting, one for each seed: their mean as a dot on their range, beside 1998's mean."""
    mean, low, high = sum(accuracies) / len(accuracies), min(accuracies), max(accuracies)
    reference = sum(base) / len(base)
    points = 100 * (mean - reference)
    against = "the dashed line" if accuracies is base else f"{points:+.2f} points".replace("-", "−")
    says = f"{100 * mean:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
    seeds = "".join(f'<i style="left:{axis.place(one):.2f}%"></i>' for one in accuracies)
    return (
        f'<div class="lp-measured"><span class="lp-measured-title" aria-hidden="true">{escape(title)}</span>'
        f'<span class="lp-dot-line" role="img" aria-label="{escape(title)}: {says}, {against}">'
        f'<span class="lp-base" style="left:{axis.place(reference):.2f}%"></span>'
        f'<span class="lp-span" style="left:{axis.place(low):.2f}%;width:{axis.place(high) - axis.place(low):.2f}%">'
        f'</span>{seeds}<b style="left:{axis.place(mean):.2f}%"></b></span>'
        f'<span><b>{says}</b><br><span class="lp-quiet">{against}</span></span></div>'
    )


def not_measured(title: str) -> str:
    """What stands in the place of a measurement that is not there."""
    return (
        f'<div class="lp-measured"><span class="lp-measured-title">{escape(title)}</span>'
        '<span class="lp-dot-line lp-no-dot-line"></span><span class="lp-quiet">not measured yet</span></div>'
    )


def axis_line(axis: Axis) -> str:
    """The numbers under the dots."""
    middle = (axis.low + axis.high) / 2
    ticks = "".join(f"<span>{100 * value:.2f} %</span>" for value in (axis.low, middle, axis.high))
    return f'<div class="lp-measured"><span></span><span class="lp-ticks">{ticks}</span><span></span></div>'


def pair_of_counts(what: str, now: int, before: int, how: str) -> str:
    """A number of C3 with its change against the paper's, and how it comes about."""
    change = f"{signed(now - before)} against the paper" if now != before else "as in the paper"
    return (
        f'<div class="lp-count"><span class="lp-quiet">{escape(what)}</span><b>{now:,}</b>'
        f'<span class="lp-quiet">{escape(how)}</span><span class="lp-quiet">{change}</span></div>'
    )


def counts(items: Sequence[str]) -> str:
    """Several of them side by side, read out when they change."""
    return f'<div class="lp-counts" role="status">{"".join(items)}</div>'
