"""Fragments of HTML for the sum behind one unit: patch times kernel, number by number. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenet_core.bitmaps import BITMAP_UNITS, BITMAP_WIDTH
from ui.markup import number
from ui.pictures import DIVERGING, Scale, coloured

if TYPE_CHECKING:  # it imports PyTorch, which a page does not wait for
    from lenet_core.arithmetic import Term, UnitSum

MOST_MAPS = 6  # shown one by one; what the others add is one number
MOST_INPUTS = 10  # of a fully connected unit
MOST_COLUMNS = 7  # of a grid with numbers in its cells; a wider one shows colours, and numbers on pointing

_Values = NDArray[np.floating]


def unit_sum(result: UnitSum, title: str, sees: str) -> str:
    """How a unit got its value: `title` says which, `sees` what it looks at; then the numbers, then the last steps."""
    steps = [result]
    while steps[0].before is not None:
        steps.insert(0, steps[0].before)
    return (
        f'<div class="lp-sum" data-testid="unit-sum"><div class="lp-sum-title">{escape(title)}</div>'
        f'<div class="lp-quiet">{escape(sees)}</div>{_body(steps[0])}{"".join(map(_step, steps))}</div>'
    )


def _step(result: UnitSum) -> str:
    working, _, value = result.formula.rpartition(" = ")
    return (
        f'<div class="lp-sum-step"><span class="lp-quiet">{escape(_KINDS.get(result.kind, result.kind))}</span>'
        f"<span>{escape(working)} = <b>{escape(value)}</b></span></div>"
    )


_KINDS = {
    "average-pool": "average pooling",
    "max-pool": "max pooling",
    "dense": "fully connected",
    "rescale": "rescaling",
    "flatten": "flattening",
    "rbf": "distance to a code",
    "response-normalisation": "normalisation",
}


def _body(result: UnitSum) -> str:
    """The numbers that a sum starts from, where there are more than stand in its formula."""
    if not all(np.isfinite(term.parts).all() for term in result.terms):
        return _says("Not every number of this sum is finite: the values before it grew beyond what float32 can hold.")
    match result.kind:
        case "convolution":
            return _says(_ADDS_PRODUCTS) + _scroll(_convolution(result))
        case "average-pool" | "max-pool" | "subsampling":
            return _scroll(_window(result))
        case "dense":
            columns = (f"unit of {_layer(result.reads)}", "value", "weight", "product")
            return _scroll(_largest(result.terms[0], columns))
        case "rbf":
            return _says(_COMPARES) + _scroll(_distance(result))
        case "response-normalisation":
            return _scroll(_around(result))
    return ""


_ADDS_PRODUCTS = (
    "The kernel lies on a patch of each map. Number times number gives the products, and all products are added up. "
    "Blue is below 0, white is 0, red is above."
)
_COMPARES = "Each unit's value less the code's, squared, and all squares added up: the class with the least wins."


def _convolution(result: UnitSum) -> str:
    strongest = sorted(result.terms, key=lambda term: -abs(term.total))[:MOST_MAPS]
    shown = sorted(strongest, key=lambda term: term.source)
    word = "channel" if result.reads in ("image", "input") else "map"
    patches, kernels = _Look([term.inputs for term in shown]), _Look([term.weights for term in shown])
    products = _Look([term.parts for term in shown])
    rows = ""
    for term in shown:
        outside, which = ~term.inside, f"{word} {term.source}"
        cells = (
            f"<td>{patches.grid(term.inputs, f'patch of {which}', outside)}</td><td>×</td>"
            f"<td>{kernels.grid(term.weights, f'kernel for {which}')}</td><td>=</td>"
            f"<td>{products.grid(term.parts, f'products of {which}', outside)}</td>"
        )
        rows += f'<tr><th scope="row">{which}</th>{cells}<td class="lp-sum-number">{number(term.total)}</td></tr>'
    rest = len(result.terms) - len(shown)
    padded = any(not term.inside.all() for term in shown)
    if rest:
        others = result.total - sum(term.total for term in shown)
        rows += _foot(f"the other {rest} {word}s, which each add less" if rest > 1 else "the other one", others, 5)
    if len(result.terms) > 1:
        rows += _foot("all together", result.total, 5, last=True)
    return (
        f'<table class="lp-sum-terms"><thead><tr><th></th><th scope="col">{escape(_layer(result.reads))}</th><th></th>'
        f'<th scope="col">kernel</th><th></th><th scope="col">products</th><th scope="col">add up to</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{_key([patches, kernels, products], padded)}"
    )


def _window(result: UnitSum) -> str:
    (term,) = result.terms
    framed = term.weights > 0 if result.kind == "max-pool" else None
    look = _Look([term.inputs])
    grid = look.grid(term.inputs, f"window, map {term.source}", None, framed)
    return f'<div class="lp-quiet">map {term.source} of {escape(_layer(result.reads))}</div>{grid}{_key([look])}'


def _distance(result: UnitSum) -> str:
    (term,) = result.terms
    reads = _layer(result.reads)
    if len(term.inputs) != BITMAP_UNITS:
        squares = -term.parts
        return _largest(term, (f"unit of {reads}", "value", "code", "squared difference"), squares)
    names = (f"{reads}, {BITMAP_UNITS} units", f"code of output {result.unit[0]}", "squared differences")
    arrays = [values.reshape(-1, BITMAP_WIDTH) for values in (term.inputs, term.weights, -term.parts)]
    head = "".join(f'<th scope="col">{escape(name)}</th><th></th>' for name in names)
    grids = [_Look([values]).grid(values, name) for values, name in zip(arrays, names, strict=True)]
    return (
        f'<table class="lp-sum-terms"><thead><tr>{head}</tr></thead><tbody><tr><td>{grids[0]}</td><td>−</td>'
        f"<td>{grids[1]}</td><td>→</td><td>{grids[2]}</td></tr></tbody></table>"
    )


def _around(result: UnitSum) -> str:
    """The maps whose squares a unit is divided by."""
    (term,) = result.terms
    names = [str(term.source + place) for place in range(len(term.inputs))]
    columns = (f"map of {_layer(result.reads)}", "value", f"{number(float(term.weights[0]))} × value²")
    return _list(columns, names, [term.inputs, term.parts])


def _largest(term: Term, columns: Sequence[str], parts: _Values | None = None) -> str:
    """The inputs that add most to a sum, the greatest first, and what the others add."""
    parts = term.parts if parts is None else parts
    order = np.argsort(-np.abs(parts), kind="stable")[:MOST_INPUTS]
    shown = [values[order] for values in (term.inputs, term.weights, parts)]
    total, rest = float(parts.sum()), len(parts) - len(order)
    foot = _foot(f"the other {rest} together", total - float(shown[2].sum()), 2) if rest else ""
    foot += _foot(f"all {len(parts)} together", total, 2, last=True)
    return _list(columns, [str(unit) for unit in order], shown, foot)


def _list(columns: Sequence[str], names: Sequence[str], values: Sequence[_Values], foot: str = "") -> str:
    """A row for each of `names`; of the columns of numbers the last is tinted."""
    tints, light = _tints(values[-1], _scale([values[-1]]))
    decimals = [_decimals(column) + 1 for column in values]
    rows = ""
    for index, name in enumerate(names):
        *plain, last = (_fixed(float(column[index]), places) for column, places in zip(values, decimals, strict=True))
        rows += (
            f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{text}</td>" for text in plain)}'
            f"<td{_tint(tints[index], bool(light[index]))}>{last}</td></tr>"
        )
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    return f'<table class="lp-sum-list"><thead><tr>{head}</tr></thead><tbody>{rows}{foot}</tbody></table>'


def _foot(label: str, value: float, columns: int, last: bool = False) -> str:
    """A line of an addition, its label over all columns between the first and the last."""
    return (
        f'<tr class="{"lp-sum-last" if last else "lp-sum-rest"}"><th></th><td colspan="{columns}">{escape(label)}</td>'
        f'<td class="lp-sum-number">{number(value)}</td></tr>'
    )


class _Look:
    """How grids of one kind are shown: one scale of colours, centred on 0, and one number of decimals for all."""

    def __init__(self, grids: Sequence[_Values]) -> None:
        self.scale = _scale(grids)
        values = np.concatenate([grid.ravel() for grid in grids])
        self.decimals = _decimals(values)
        self.numbered = grids[0].shape[1] <= MOST_COLUMNS
        # Cells of one width, so that grids stand exactly below each other.
        self.width = max(len(_fixed(float(value), self.decimals)) for value in (values.min(), values.max()))

    def grid(
        self,
        values: _Values,
        name: str,
        outside: NDArray[np.bool_] | None = None,
        framed: NDArray[np.bool_] | None = None,
    ) -> str:
        """The values (rows, columns) as tinted cells; those `outside` are hatched, those `framed` ringed."""
        tints, light = _tints(values, self.scale)

        def cell(place: tuple[int, int]) -> str:
            if outside is not None and outside[place]:
                return f'<td class="lp-pad" title="0: outside the map">{"0" if self.numbered else ""}</td>'
            ring = "lp-framed" if framed is not None and framed[place] else ""
            value = float(values[place])
            shown, tip = (_fixed(value, self.decimals), "") if self.numbered else ("", f' title="{number(value)}"')
            return f"<td{_tint(tints[place], bool(light[place]), ring)}{tip}>{shown}</td>"

        height, width = values.shape
        rows = "".join(f"<tr>{''.join(cell((row, column)) for column in range(width))}</tr>" for row in range(height))
        size = "lp-cells" if self.numbered else "lp-cells lp-dots"
        return (
            f'<table class="{size}" style="--cell:{self.width}ch" aria-label="{escape(name)}">'
            f"<tbody>{rows}</tbody></table>"
        )


def _key(looks: Sequence[_Look], padded: bool = False) -> str:
    """What cells without numbers, and hatched ones, mean."""
    ends = ", ".join(f"±{number(look.scale.high)}" for look in looks)
    says = [] if looks[0].numbered else [f"Deepest colours: {ends}; point at a cell for its number."]
    says += ["Hatched cells lie outside the map and count as 0."] if padded else []
    return _says(" ".join(says)) if says else ""


def _scale(grids: Sequence[_Values]) -> Scale:
    largest = max(float(np.abs(grid).max()) for grid in grids) or 1.0
    return Scale(-largest, largest, DIVERGING)


def _decimals(values: _Values) -> int:
    """As many as give the largest value three significant digits, or two where it is below 1; 0 for whole numbers."""
    largest = float(np.abs(values).max())
    if (values == values.round()).all():
        return 0
    magnitude = floor(log10(largest))
    return min(max((2 if magnitude >= 0 else 1) - magnitude, 0), 6)


def _fixed(value: float, decimals: int) -> str:
    """A value as it stands in a column: 0 where it is exactly that."""
    text = f"{value:.{decimals}f}" if value else "0"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def _tints(values: _Values, scale: Scale) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Each value's colour, and whether text on it must be light to be read (WCAG 2.2, relative luminance)."""
    colours = coloured(values.astype(np.float32), scale)
    linear = (colours / 255.0) ** 2.2
    return colours, linear @ np.array([0.2126, 0.7152, 0.0722]) < 0.179


def _tint(colour: NDArray[np.uint8], light: bool, ring: str = "") -> str:
    names = " ".join(filter(None, ("lp-tint", "lp-light" if light else "", ring)))
    return f' class="{names}" style="background:#{bytes(colour).hex()}"'


def _layer(name: str) -> str:
    """A layer's name as the pages write it."""
    if name.endswith("_act"):
        return f"{name.removesuffix('_act').upper()} after its activation"
    return {"image": "image", "input": "input", "flatten": "the flattened maps"}.get(name, name.upper())


def _says(text: str) -> str:
    return f'<p class="lp-quiet">{escape(text)}</p>'


def _scroll(body: str) -> str:
    return f'<div class="lp-scroll" tabindex="0" role="region" aria-label="The numbers of the sum">{body}</div>'
