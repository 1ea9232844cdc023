"""Fragments of HTML for the numbers under the feature maps: means, active shares, saturation, and cosines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from lenet_core.measures import Measures
from ui.markup import number
from ui.pictures import DIVERGING, Scale, coloured, ramp_css

NARROW = 10  # more maps than this in narrower cells

_COSINES = Scale(-1.0, 1.0, DIVERGING)
_MEAN = "The average of the map's values: (a₁ + … + aₙ) / n."
_ACTIVE = "The part of the map's units whose value lies above what the activation makes of 0: a > f(0)."
_SATURATED = (
    "The part of the map's units where the activation is flat and passes hardly any gradient: |f′| < max |f′| / 20."
)
_COSINE = (
    "How alike two inputs' activations are, whatever their strength; 1 is the same pattern, 0 nothing in common, "
    "−1 the opposite: cos(a, b) = a·b / (|a| |b|), measured from f(0)."
)


@dataclass(frozen=True)
class MapNumbers:
    """A layer's title and numbers, and which of its maps have a column, all without `maps`."""

    title: str
    measures: Measures
    maps: slice | None = None


def numbers(names: Sequence[str], pictures: Sequence[str], layers: Sequence[MapNumbers]) -> str:
    """For each layer a table of its numbers: a row for each input, a column for each map, and the whole layer last.

    `pictures` are the inputs in `data:` addresses. A layer of units in a row has the last column alone.
    """
    return "".join(_table(names, pictures, layer) for layer in layers)


def _table(names: Sequence[str], pictures: Sequence[str], layer: MapNumbers) -> str:
    found = layer.measures
    count = found.mean.shape[1]
    decimals = _decimals(found.mean)
    maps = range(count)[layer.maps or slice(None)] if count > 1 else range(0)
    head = "".join(f'<th scope="col">{index}</th>' for index in maps)
    rows = "".join(
        f"<tr>{_input(name, picture)}"
        + "".join(_cell(f"map {index}", *_numbers(found, row, index), decimals) for index in maps)
        + _whole(found, row, decimals)
        + "</tr>"
        for row, (name, picture) in enumerate(zip(names, pictures, strict=True))
    )
    narrow = " lp-narrow" if len(maps) > NARROW else ""
    return (
        f'<p class="lp-quiet">{_legend(layer.title, bool(maps), found.saturated is not None)}</p>'
        f'<div class="lp-scroll" tabindex="0" role="region" aria-label="Numbers of {escape(layer.title)}">'
        f'<table class="lp-numbers{narrow}"><thead><tr><th scope="col">{escape(layer.title)}</th>{head}'
        f'<th scope="col">all</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _legend(title: str, has_maps: bool, saturates: bool) -> str:
    """What a cell shows, each term explained."""
    each = "each map's" if has_maps else "its"
    flat = f", the orange one the {_term('saturated share', _SATURATED)}" if saturates else ""
    return (
        f"{escape(title)}: {each} {_term('mean', _MEAN)} in numbers; "
        f"the blue bar is the {_term('active share', _ACTIVE)}{flat}."
    )


def _term(word: str, why: str) -> str:
    return f'<abbr class="lp-term" title="{escape(why)}">{escape(word)}</abbr>'


def _input(name: str, picture: str) -> str:
    return (
        f'<th scope="row" title="{escape(name)}"><span class="lp-row-head">'
        f'<img class="lp-pixels" src="{escape(picture)}" alt="">'
        f"<span>{escape(name)}</span></span></th>"
    )


def _numbers(found: Measures, row: int, index: int) -> tuple[float, float, float | None]:
    flat = None if found.saturated is None else float(found.saturated[row, index])
    return float(found.mean[row, index]), float(found.active[row, index]), flat


def _cell(what: str, mean: float, active: float, flat: float | None, decimals: int) -> str:
    says = f"{what}: mean {number(mean)}, {_percent(active)} active"
    says += "" if flat is None else f", {_percent(flat)} saturated"
    return f'<td title="{says}">{_mean(mean, decimals)}{_bars(says, active, flat)}</td>'


def _whole(found: Measures, row: int, decimals: int) -> str:
    """The whole layer's numbers, in words too, for who cannot point."""
    active = float(found.active_all[row])
    flat = None if found.saturated_all is None else float(found.saturated_all[row])
    says = f"{_percent(active)} active" + ("" if flat is None else f", {_percent(flat)} saturated")
    mean = _mean(float(found.mean_all[row]), decimals)
    return f'<td class="lp-whole">{mean}{_bars("", active, flat)}<span class="lp-quiet">{says}</span></td>'


def _bars(says: str, active: float, flat: float | None) -> str:
    second = "" if flat is None else _bar(flat, "lp-flat")
    role = f'role="img" aria-label="{says}"' if says else 'aria-hidden="true"'
    return f'<span class="lp-shares" {role}>{_bar(active, "")}{second}</span>'


def _bar(share: float, kind: str) -> str:
    return f'<span class="{kind}"><span style="width:{100 * share:.1f}%"></span></span>'


def _decimals(values: NDArray[np.float64]) -> int:
    """How many decimals give the largest of a table's values three digits, so that all can be compared at a glance."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    return int(np.clip(2 - np.floor(np.log10(max(largest, 0.001))), 0, 5))


def _mean(value: float, decimals: int) -> str:
    """A mean; a bare 0 is one, and no small number rounded."""
    return _fixed(value, decimals) if value else "0"


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def _percent(share: float) -> str:
    """A counted share; never all or none of it but where it is."""
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def alike(names: Sequence[str], pictures: Sequence[str], matrix: NDArray[np.float64], title: str) -> str:
    """The cosines (N, N) between the inputs' activations at a layer as a table, tinted around 0.

    `pictures` are the inputs in `data:` addresses; NaN stands where an input lights nothing.
    """
    head = "".join(
        f'<th scope="col" title="{escape(name)}">'
        f'<img class="lp-pixels" src="{escape(picture)}" alt="{escape(name)}"></th>'
        for name, picture in zip(names, pictures, strict=True)
    )
    rows = ""
    for name, picture, row in zip(names, pictures, matrix.tolist(), strict=True):
        cells = (_cosine(value, f"{name} and {other}") for value, other in zip(row, names, strict=True))
        rows += f"<tr>{_input(name, picture)}{''.join(cells)}</tr>"
    return (
        "<section>"
        f'<p class="lp-quiet">To {escape(title)}, how alike the inputs look: the {_term("cosine", _COSINE)}.</p>'
        f'<div class="lp-scroll" tabindex="0" role="region" aria-label="How alike the inputs look to {escape(title)}">'
        f'<table class="lp-alike"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        '<div class="lp-scale lp-alike-scale"><span>−1</span>'
        f'<span class="lp-ramp" style="background:{ramp_css(_COSINES)}"><span>0</span></span><span>1</span></div>'
        "</section>"
    )


def _cosine(value: float, pair: str) -> str:
    if not np.isfinite(value):
        return '<td title="lights nothing">–</td>'
    colour = coloured(np.array([[value]], dtype=np.float32), _COSINES)[0, 0]
    light = (colour / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])  # relative luminance, as in WCAG
    ink = "#fff" if light < 0.18 else "#000"
    style = f"background:#{bytes(colour).hex()};color:{ink}"
    return f'<td style="{style}" title="{escape(pair)}">{_fixed(value, 2)}</td>'
