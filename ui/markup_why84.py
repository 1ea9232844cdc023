"""Fragments of HTML for LeNet-5's 84 units and the ten codes they are held against. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenet_core.bitmaps import BITMAP_UNITS, BITMAP_WIDTH, DIGIT_BITMAPS
from ui.markup import grid, pixels, ramp
from ui.markup_novelty import LOW, standing
from ui.pictures import DIVERGING, Scale, coloured

if TYPE_CHECKING:  # it imports PyTorch, which a page does not wait for
    from lenet_core.novelty import Familiar

LIMIT = 1.7159  # F6's scaled tanh reaches no further
UNITS = Scale(-LIMIT, LIMIT, DIVERGING)
_AWAY = Scale(-LIMIT - 1, LIMIT + 1, DIVERGING)  # from a code's +1 or -1
_CODES = np.array(DIGIT_BITMAPS, dtype=np.float32)

_Floats = NDArray[np.float32]


def distance(value: float) -> str:
    """A squared distance as people read it: 137, 16.0, 0.06."""
    if 0 < value < 0.005:
        return "under 0.01"
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def equation(seen: NDArray[np.uint8], name: str, units: _Floats, distances: _Floats, colour: str) -> str:
    """What the network saw, F6's units (84,) less the nearest code, the ten codes, and all distances (10,), sorted."""
    nearest = int(distances.argmin())
    steps = (
        _part(pixels(seen, f"The input: {name}", 140), "It sees", f"{seen.shape[0]} x {seen.shape[1]}"),
        _sign("→"),
        _part(bitmap(units, UNITS, "F6's units", 98), "F6 paints", f"{BITMAP_UNITS} units as 7 x 12"),
        _sign("−"),
        _part(bitmap(_CODES[nearest], UNITS, f"The code of {nearest}", 98), f"Code of {nearest}", "each +1 or −1"),
        _sign("="),
        _part(
            bitmap(units - _CODES[nearest], _AWAY, f"F6's units less the code of {nearest}", 98),
            "Difference", f"squares add up to {distance(float(distances[nearest]))}",
        ),
    )  # fmt: skip
    scales = (
        '<div class="lp-why-scales"><span class="lp-quiet">units and codes</span>'
        f'{ramp(UNITS)}<span class="lp-quiet">difference</span>{ramp(_AWAY)}</div>'
    )
    return (
        f'<div class="lp-why" style="--net:{colour}" data-testid="why"><div><div class="lp-equation">{"".join(steps)}'
        f"</div>{scales}{_codes(units, distances)}</div>{ranking(distances)}</div>"
    )


def _part(picture: str, title: str, says: str) -> str:
    return (
        f'<figure class="lp-figure">{picture}<figcaption><b>{escape(title)}</b><br>{escape(says)}</figcaption></figure>'
    )


def _sign(text: str) -> str:
    return f'<span class="lp-sign" aria-hidden="true">{text}</span>'


def bitmap(values: _Floats, scale: Scale, alt: str, side: int) -> str:
    """84 values (84,) as a picture of 7 x 12 that is `side` CSS pixels wide."""
    return pixels(coloured(grid(values, BITMAP_WIDTH), scale), alt, side)


def ranking(distances: _Floats) -> str:
    """The ten squared distances (10,) as bars, the nearest first and framed, each beside its code."""
    longest = max(float(distances.max()), 1e-9)
    rows = ""
    for place, digit in enumerate(np.argsort(distances, kind="stable")):
        value = float(distances[digit])
        share = 100 * value / longest
        mark = f'<i style="left:calc({min(share, 60):.0f}% + .5rem)">nearest</i>' if place == 0 else ""
        rows += (
            f'<div class="lp-code-bar{" lp-nearest" if place == 0 else ""}" role="listitem">'
            f"{bitmap(_CODES[digit], UNITS, '', 21)}<b>{digit}</b>"
            f'<span class="lp-track"><span style="width:{share:.2f}%"></span>{mark}</span>'
            f"<span>{distance(value)}</span></div>"
        )
    return f'<div class="lp-code-bars" role="list" aria-label="Squared distance to each code">{rows}</div>'


def _codes(units: _Floats, distances: _Floats) -> str:
    """The ten codes in their order with their distances; pointing at one shows F6's units (84,) less that code."""
    nearest = int(distances.argmin())
    tiles = ""
    for digit, code in enumerate(_CODES):
        value = distance(float(distances[digit]))
        says = f"{digit}: squared distance {value}"
        tiles += (
            f'<figure class="lp-code{" lp-nearest" if digit == nearest else ""}" tabindex="0" aria-label="{says}">'
            f"<span>{bitmap(code, UNITS, f'The code of {digit}', 56)}"
            f"{bitmap(units - code, _AWAY, f'What is left of F6 without the code of {digit}', 56)}</span>"
            f"<figcaption><b>{digit}</b> {value}</figcaption></figure>"
        )
    hint = "The ten codes. Point at one, or tap it, to see what is left of F6 without it."
    return f'<p class="lp-quiet">{hint}</p><div class="lp-codes">{tiles}</div>'


def paintings(means: _Floats, distances: _Floats, count: int) -> str:
    """For each digit the mean (10, 84) of what F6 paints of `count` real ones, and the mean distances (10, 10)."""
    head = "".join(f'<th scope="col">{bitmap(code, UNITS, "", 21)}{digit}</th>' for digit, code in enumerate(_CODES))
    rows = ""
    for digit, (mean, row) in enumerate(zip(means, distances, strict=True)):
        nearest = int(row.argmin())
        cells = "".join(
            f'<td class="lp-nearest">{distance(float(value))}</td>' if place == nearest else f"<td>{value:.0f}</td>"
            for place, value in enumerate(row)
        )
        rows += f'<tr><th scope="row">{bitmap(mean, UNITS, "", 21)}{digit}</th>{cells}</tr>'
    return (
        f'<p class="lp-quiet">Each row: the mean of what F6 paints of {count} real test digits, and the mean squared '
        f'distance to each code. The nearest is framed.</p><div class="lp-scroll" tabindex="0" role="region" '
        f'aria-label="Mean squared distances"><table class="lp-paintings"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def in_words(distances: _Floats, familiar: Familiar | None, truth: int | None, known: bool) -> str:
    """What ten squared distances say, in a few sentences.

    `truth` is the digit it is, where that is known; `known` whether it is a digit at all.
    """
    nearest, second = (int(digit) for digit in np.argsort(distances, kind="stable")[:2])
    least = float(distances[nearest])
    said = (
        f"The nearest code is that of {nearest}, at a squared distance of {distance(least)}; "
        f"the next, {second}, is at {distance(float(distances[second]))}."
    )
    if truth not in (None, nearest):
        said += f" It is a {truth}, though: the network is mistaken."
    if familiar is None or "distance" not in familiar.quantiles:
        return said
    half = distance(-familiar.quantiles["distance"][50])
    stands = standing("distance", -least, familiar, "real test digits")
    said += f" Half of all real test digits lie within {half} of theirs; this one is {stands}."
    if familiar.rank("distance", -least) < LOW:
        return said + (" Doubt it." if known else " Do not believe it.")
    return said if known else f"{said} Nothing in it tells that this is no digit."


def says(text: str, colour: str) -> str:
    """What the distances come to, in words."""
    return f'<p class="lp-says-so" data-testid="why-says" style="--net:{colour}">{escape(text)}</p>'


def reasons(texts: Sequence[tuple[str, str]]) -> str:
    """Why it was done so: each reason's few words and its sentence."""
    items = "".join(f"<li><b>{escape(title)}</b> {escape(text)}</li>" for title, text in texts)
    return f'<ul class="lp-reasons">{items}</ul>'
