"""Fragments of HTML for trainings: recipe cards, ledgers, what a run does, galleries, confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenet_core.architecture import Architecture
from lenet_core.knobs import KNOBS
from lenet_core.layout import shape_text
from ui.markup import percent, pixels

_CHARACTERS = {
    "lenet-d2l": "The textbook's: sigmoid, average pooling",
    "lenet5-tanh": "LeNet-5 as mostly re-made: tanh, average pooling",
    "lenet5-1998": "As published: sparse C3, trainable subsampling, RBF output",
    "lenet-modern": "What came after: ReLU, max pooling",
    "alexnet-cifar": "AlexNet's plan at CIFAR-10's size",
    "alexnet-2012": "As published, for ImageNet's 227 x 227",
}
_STATUS = {
    "waiting": ("○", "waiting"), "starting": ("◔", "starting"), "running": ("●", "training"),
    "paused": ("❚❚", "paused"), "stopped": ("■", "stopped"), "finished": ("✓", "finished"), "failed": ("✕", "failed"),
}  # fmt: skip


def recipe_card(arch: Architecture, source: str, published: str, chosen: bool) -> str:
    """A published network in a few words; its whole source on pointing at it."""
    mark = " lp-chosen" if chosen else ""
    number = published.split(" (")[0] if published else "nothing published at this size"
    return (
        f'<div class="lp-recipe{mark}" title="{escape(source)}&#10;{escape(published)}"><b>{escape(arch.name)}</b>'
        f"<div>{escape(_CHARACTERS.get(arch.name, ''))}</div>"
        f'<div class="lp-quiet">{arch.parameters:,} parameters; {escape(number)}</div></div>'
    )


def in_a_line(parameters: int, multiply_adds: int, epochs: int, data: str) -> str:
    """What the Train button will do."""
    return (
        f'<span class="lp-quiet">{parameters:,} parameters, {multiply_adds:,} multiply-adds an image; '
        f"{epochs} epochs of {escape(data)}</span>"
    )


def held_against(published: str, measured: str) -> str:
    """What was published for a recipe, beside what was measured here."""
    parts = (("Published", published), ("Measured here", measured))
    lines = (f"<b>{title}</b>: {escape(text)}." for title, text in parts if text)
    return f'<div class="lp-quiet" data-testid="held-against">{"<br>".join(lines)}</div>'


def what_differs(base: str, changed: Mapping[str, tuple[str, str]], labels: Mapping[str, str]) -> str:
    """The knobs that were turned, as chips."""
    if not changed:
        return f'<span class="lp-quiet">Exactly the recipe {escape(base)}.</span>'
    chips = "".join(
        f'<span class="lp-chip"><span class="lp-quiet">{escape(labels[name])}</span> '
        f"{escape(KNOBS[name].words(before))} → <b>{escape(KNOBS[name].words(after))}</b></span>"
        for name, (before, after) in changed.items()
    )
    return f'<div class="lp-chips" data-testid="differs">{chips}</div>'


def small_ledger(rows: Sequence[Mapping[str, Any]], parameters: int) -> str:
    """The ledger's five columns that change as knobs turn."""
    body = "".join(
        f'<tr><th scope="row">{escape(row["name"])}</th><td>{escape(shape_text(row["output_shape"]))}</td>'
        f"<td>{row['parameters']:,}</td><td>{row['multiply_adds']:,}</td>"
        f"<td>{row['receptive_field']} x {row['receptive_field']}</td></tr>"
        for row in rows
    )
    adds = sum(row["multiply_adds"] for row in rows)
    return (
        '<div class="lp-scroll" tabindex="0" role="region" aria-label="Ledger"><table class="lp-small-ledger">'
        "<thead><tr><th>Layer</th><th>Output</th><th>Parameters</th><th>Multiply-adds</th>"
        '<th><abbr title="The square of input pixels that one unit depends on: its receptive field.">Sees</abbr></th>'
        f"</tr></thead><tbody>{body}</tbody><tfoot><tr><th>Total</th><td></td><td>{parameters:,}</td><td>{adds:,}</td>"
        "<td></td></tr></tfoot></table></div>"
    )


def status_word(status: str) -> str:
    """A run's status as it is said, with its mark."""
    mark, word = _STATUS[status]
    return f"{mark} {word}"


def run_head(title: str, status: str, says: str, colour: str) -> str:
    """A run's name and state, above its chart."""
    return (
        f'<div class="lp-run" style="--net:{colour}"><b>{escape(title)}</b> '
        f'<span class="lp-status lp-{status}" role="status" data-testid="status" data-status="{status}">'
        f'{status_word(status)}</span><div class="lp-quiet">{escape(says)}</div></div>'
    )


def run_row(title: str, status: str, facts: str, colour: str) -> str:
    """A run in a list."""
    return (
        f'<div class="lp-run-row" style="--net:{colour}">'
        f'<span class="lp-status lp-{status}">{status_word(status)}</span> '
        f'<span>{escape(title)}</span> <span class="lp-quiet">{escape(facts)}</span></div>'
    )


def gallery(
    images: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    answers: Sequence[tuple[str, float]],
    says: str,
    columns: int,
) -> str:
    """Pictures (H, W) or (H, W, 3) in `columns`, with what they are and what the network said of each."""
    cells = []
    for image, label, (answer, sure) in zip(images, labels, answers, strict=True):
        right = label == answer
        word = f"✓ {answer}" if right else f"✕ {answer}, is {label}"
        alt = f"{label}, answered {answer} with {percent(sure)}"
        cells.append(
            f'<figure class="lp-seen {"lp-right" if right else "lp-wrong"}">{pixels(image, alt, 84)}'
            f"<figcaption>{escape(word)}<br>{percent(sure)}</figcaption></figure>"
        )
    grid = f'<div class="lp-gallery" style="--columns:{columns}">{"".join(cells)}</div>'
    return f'<p class="lp-quiet">{escape(says)}</p>{grid}'


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """A confusion matrix: a row for each class, a column for each answer, and the class's accuracy."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in classes)
    rows = []
    for label, (name, row) in enumerate(zip(classes, counts, strict=False)):
        total = sum(row)
        cells = "".join(_cell(count, total, answer == label) for answer, count in enumerate(row[: len(classes)]))
        share = f"{100 * row[label] / total:.1f} %" if total else "–"
        rows.append(f"<tr><th scope=row>{escape(name)}</th>{cells}<td>{share}</td></tr>")
    return (
        '<p class="lp-quiet">Rows: what the image is; columns: what the network said. Off the diagonal are its '
        'mistakes.</p><div class="lp-scroll" tabindex="0" role="region" aria-label="Confusion matrix">'
        f'<table class="lp-confusion"><thead><tr><th></th>{head}<th>right</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(count: int, total: int, right: bool) -> str:
    share = count / total if total else 0.0
    colour = "#0072b2" if right else "#d55e00"
    strength = round(100 * (share if right else min(1.0, 6 * share)))
    weight = "" if count else ' class="lp-none"'
    return (
        f'<td{weight} style="background:color-mix(in srgb, {colour} {strength}%, transparent);'
        f'{"color:#fff" if strength > 55 else ""}">{count or "·"}</td>'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> str:
    """A plain table of texts."""
    top = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="lp-scroll" tabindex="0" role="region" aria-label="{escape(name)}"><table class="lp-table">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def result(accuracy: float, low: float, high: float, correct: int, images: int, colour: str) -> str:
    """The test accuracy as the run's last word, with its 95 % interval (Wilson 1927)."""
    return (
        f'<div class="lp-result" style="--net:{colour}" data-testid="result"><b>{100 * accuracy:.2f} %</b>'
        f"<div>of {images:,} test images are read rightly, {correct:,} of them</div>"
        f'<div class="lp-quiet">95 % interval {100 * low:.2f} to {100 * high:.2f} %</div></div>'
    )
