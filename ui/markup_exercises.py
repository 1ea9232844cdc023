"""Fragments of HTML for the exercises: a step's heading, its trainings, what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple


class Row(NamedTuple):
    """A training of an exercise: its name, what is turned in it, where it stands, its test accuracy in words.

    `share` is the accuracy as a fraction, None before there is one.
    """

    label: str
    changes: str
    status: str
    result: str
    share: float | None


def question(text: str) -> str:
    """What is asked."""
    return f'<p class="lp-question" data-testid="question">{escape(text)}</p>'


def step(number: int, title: str, done: bool) -> str:
    """The heading of a step, with its mark."""
    mark, word = ("✓", "done") if done else (str(number), "to do")
    kind = "lp-done" if done else ""
    return (
        f'<h3 class="lp-step {kind}" data-step="{escape(title)}" data-done="{str(done).lower()}">'
        f'<span role="img" aria-label="step {number}, {word}">{mark}</span>{escape(title)}</h3>'
    )


def said(answer: str, measured: str) -> str:
    """What the learner expected, beside what came out where that is known."""
    end = f' <span class="lp-quiet">Measured:</span> <b>{escape(measured)}</b>' if measured else ""
    return (
        f'<p class="lp-said" data-testid="said"><span class="lp-quiet">You expect:</span> <b>{escape(answer)}</b>{end}'
        "</p>"
    )


def trainings(rows: Sequence[Row]) -> str:
    """The trainings of an exercise, with a bar for each accuracy."""
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th><td class="lp-quiet">{escape(row.changes)}</td>'
        f'<td><div class="lp-outcome">{_bar(row.share)}{escape(row.result or row.status)}</div></td></tr>'
        for row in rows
    )
    return (
        '<div class="lp-scroll" tabindex="0" role="region" aria-label="Trainings of this exercise">'
        f'<table class="lp-trainings"><tbody>{body}</tbody></table></div>'
    )


def _bar(share: float | None) -> str:
    return "" if share is None else f'<span class="lp-level"><span style="width:{100 * share:.1f}%"></span></span>'


def look_for(text: str) -> str:
    """What there is to see, once it has been predicted and run."""
    return f'<div class="lp-look-for" data-testid="look-for"><b>What to look for.</b> {escape(text)}</div>'
