"""Fragments of HTML about a training that stands still: what is said of it, and its numbers by layer."""

from __future__ import annotations

import math
from html import escape

from lenet_core.plateau import Explanation, Plateau


def note(found: Explanation) -> str:
    """Why a training stands or stood at chance, with the gradient and the flat units of each layer as bars."""
    over = "lp-over" if found.plateau.until is not None else "lp-lasts"
    return (
        f'<div class="lp-plateau {over}" data-testid="plateau"><p><b>{escape(found.stands)}</b> {_loss(found)}</p>'
        f"<p>{escape(found.why)}</p>{_bars(found.plateau)}</div>"
    )


def _loss(found: Explanation) -> str:
    return (
        f'Its loss there is {found.plateau.loss:.3f}; <abbr title="−log(1/{found.classes}), what it costs to give each '
        f'of the {found.classes} classes the same probability.">an even guess</abbr> costs '
        f"ln {found.classes} = {math.log(found.classes):.3f}."
    )


def _bars(plateau: Plateau) -> str:
    """A table of the layers: the gradient's length on a logarithmic bar, the share of flat units on a linear one."""
    if not plateau.gradients:
        return ""
    positive = [length for length in plateau.gradients.values() if length > 0]
    low, high = (math.log10(min(positive)) - 0.3, math.log10(max(positive))) if positive else (0.0, 1.0)
    rows = []
    for name, length in plateau.gradients.items():
        share = (math.log10(length) - low) / (high - low) if length > 0 else 0.0
        flat = plateau.flat.get(name)
        cell = "<td></td><td></td>" if flat is None else f"<td>{100 * flat:.0f} %</td><td>{_bar(flat, 'lp-flat')}</td>"
        rows.append(
            f'<tr><th scope="row">{escape(name.upper())}</th><td>{length:.2g}</td><td>{_bar(share, "")}</td>{cell}</tr>'
        )
    return (
        '<table aria-label="Gradient and flat units by layer"><thead><tr><th></th>'
        '<th scope="col" colspan="2"><abbr title="The length of the layer\'s gradient: the square root of the sum of '
        "the squares of the loss's slopes over all its weights. The bar is logarithmic.\">gradient</abbr></th>"
        '<th scope="col" colspan="2"><abbr title="The share of the layer\'s units where the activation\'s slope is '
        'under a twentieth of its steepest, so that hardly any gradient passes.">flat units</abbr></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _bar(share: float, kind: str) -> str:
    return f'<span class="lp-level {kind}"><span style="width:{100 * share:.1f}%"></span></span>'
