"""Fragments of HTML for comparisons: the charts' legend, images two networks answer, how two matrices differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from ui.markup import percent, pixels

_KINDS = ("validation", "training", "test", "published")


def legend(entries: Sequence[tuple[str, str]], kinds: Collection[str], says: str) -> str:
    """What each colour is, (title, #rrggbb), the kinds of lines there are, and in a sentence how they are made."""
    colours = "".join(
        f'<span class="lp-entry"><i style="background:{colour}"></i>{escape(title)}</span>' for title, colour in entries
    )
    keys = "".join(
        f'<span class="lp-entry"><i class="lp-key lp-key-{kind}"></i>{kind}</span>' for kind in _KINDS if kind in kinds
    )
    return (
        f'<div class="lp-legend" data-testid="legend"><div>{colours}</div><div class="lp-quiet">{keys}'
        f"<span>{escape(says)}</span></div></div>"
    )


def pair_head(letter: str, title: str, status: str, colour: str) -> str:
    """One of the two runs that stand side by side."""
    return (
        f'<div class="lp-run" style="--net:{colour}" data-testid="pair-{letter}"><b>{letter}</b> {escape(title)} '
        f'<span class="lp-quiet">{escape(status)}</span></div>'
    )


def answered_twice(
    images: Sequence[NDArray[np.uint8]], labels: Sequence[str], answers: Sequence[tuple[tuple[str, float], ...]]
) -> str:
    """Pictures (H, W) or (H, W, 3) with what they are, and A's and B's answer to each with its probability."""
    cells = []
    for image, label, said in zip(images, labels, answers, strict=True):
        lines = "".join(_answer(letter, label, *one) for letter, one in zip("AB", said, strict=True))
        spoken = ", ".join(f"{letter} says {name}" for letter, (name, _) in zip("AB", said, strict=True))
        cells.append(
            f'<figure class="lp-seen">{pixels(image, f"{label}, {spoken}", 84)}'
            f"<figcaption>is <b>{escape(label)}</b>{lines}</figcaption></figure>"
        )
    return f'<div class="lp-gallery lp-twice" style="--columns:8" data-testid="mistakes">{"".join(cells)}</div>'


def _answer(letter: str, label: str, answer: str, sure: float) -> str:
    right = answer == label
    look, mark = ("lp-right", "✓") if right else ("lp-wrong", "✕")
    return f'<div class="{look}">{letter} {mark} <b>{escape(answer)}</b> <span>{percent(sure)}</span></div>'


def difference(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """B's confusion matrix minus A's: blue where B does better, orange where it does worse, with its sign."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in classes)
    size = len(classes)
    changes = [[b - a for a, b in zip(*rows, strict=True)][:size] for rows in zip(first, second, strict=True)][:size]
    most = max((abs(change) for row in changes for change in row), default=0) or 1
    rows = []
    for label, (name, row) in enumerate(zip(classes, changes, strict=False)):
        cells = "".join(_change(change, change / most, answer == label) for answer, change in enumerate(row))
        rows.append(f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>")
    return (
        '<p class="lp-quiet">B minus A. On the diagonal more is better, off it fewer: blue where B does better, '
        'orange where it does worse.</p><div class="lp-scroll" tabindex="0" role="region" '
        'aria-label="Difference of the confusion matrices"><table class="lp-confusion" data-testid="difference">'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _change(change: int, share: float, diagonal: bool) -> str:
    if not change:
        return '<td class="lp-none">·</td>'
    colour = "#0072b2" if (change > 0) == diagonal else "#d55e00"
    strength = round(15 + 65 * abs(share))
    white = "color:#fff" if strength > 55 else ""
    sign = "+" if change > 0 else "−"
    style = f"background:color-mix(in srgb, {colour} {strength}%, transparent);{white}"
    return f'<td style="{style}">{sign}{abs(change)}</td>'


def largest(differences: Sequence[tuple[str, str, int, int]]) -> str:
    """The mistakes whose number differs most, in words."""
    if not differences:
        return '<p class="lp-quiet">Both make the same mistakes, as often.</p>'
    lines = "".join(
        f"<li><b>{escape(label)}</b> taken for <b>{escape(answer)}</b>: A {before}, B {after}</li>"
        for label, answer, before, after in differences
    )
    return f'<p class="lp-quiet">What changes most</p><ul class="lp-changes">{lines}</ul>'
