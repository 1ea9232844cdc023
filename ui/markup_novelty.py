"""Fragments of HTML for "not one of my classes": each answer with the scores by which one may doubt it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ui.markup import number, percent

if TYPE_CHECKING:  # it imports PyTorch, which a page does not wait for
    from lenet_core.novelty import Familiar

LOW = 0.05  # a score below those of all but this share of real images speaks against an answer
_BANDS = ((1, 99), (5, 95), (25, 75))  # percents of the real images, the widest band first
_MARGIN = 0.06  # of the strip, on each side of the least and the largest real score


@dataclass(frozen=True)
class DoubtRow:
    """One input and its scores, larger the more it is like the classes.

    `picture` is a `data:` address, `answer` the class it got. `foreign` is whether it is known to be none of them.
    """

    picture: str
    name: str
    answer: str
    scores: Mapping[str, float]
    foreign: bool


_HEAD = {
    "confidence": (
        "Confidence",
        "The largest of the classes' probabilities, max softmax(logits) (Hendrycks and Gimpel 2017): they must sum to "
        "100 % whatever the network is shown.",
    ),
    "energy": (
        "Energy score",
        "How large the logits are together, ln Σ exp(logits), which is minus the energy (Liu et al. 2020): low where "
        "an input excites no class.",
    ),
    "distance": (
        "Nearest code",
        "Minus the squared distance from the last hidden layer to the nearest class's code, −min Σ (x − code)² "
        "(LeCun et al. 1998, equation 7): 0 is a perfect match.",
    ),
}


def doubts(rows: Sequence[DoubtRow], familiar: Familiar | None, classes: int, real: str = "real test digits") -> str:
    """Each input's answer and scores as a table, a sentence above it, and the `real` images' scores below.

    Without `familiar`, which a network has after its test, there are the numbers alone.
    """
    if not rows:
        return ""
    names = list(rows[0].scores)
    head = "".join(
        f'<th scope="col"><abbr title="{escape(_HEAD[name][1])}">{escape(_HEAD[name][0])}</abbr></th>' for name in names
    )
    body = "".join(_row(row, familiar, real) for row in rows)
    foot = _foot(names, familiar, real) if familiar else ""
    return (
        f'<p class="lp-says-so" data-testid="doubt">{escape(in_words(rows, familiar, classes, real))}</p>'
        f'<div class="lp-scroll" tabindex="0" role="region" aria-label="Scores of each answer">'
        f'<table class="lp-doubts"><thead><tr><th scope="col" colspan="2">Input</th><th scope="col">It says</th>{head}'
        f"</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
    )


def in_words(rows: Sequence[DoubtRow], familiar: Familiar | None, classes: int, real: str = "real test digits") -> str:
    """What the scores say of the most telling input, in a sentence.

    That is the one answered with most confidence among those that are none of the classes; without any, the one
    with the lowest score.
    """
    must = f"It must name one of its {classes:,} classes"
    if familiar is None:
        return (
            f"{must}. How {real} score is stored with a network when its training ends and it is tested; "
            "this one has not been."
        )
    foreign = [row for row in rows if row.foreign]
    if not foreign:
        row = min(rows, key=lambda row: _least(row, familiar)[1])
        score, rank = _least(row, familiar)
        if rank >= LOW:
            return f"All scores are like those of {real}: nothing here speaks against an answer."
        return f"For {_claim(row)}, but {_in_a_clause(score, row, familiar, real)}: doubt it."
    row = max(foreign, key=lambda row: row.scores["confidence"])
    score, rank = _least(row, familiar)
    if rank >= LOW:
        return f"{must}: for {_claim(row)}, and no score gives that away: {real} have the same. Do not believe it."
    return f"{must}: for {_claim(row)}, but {_in_a_clause(score, row, familiar, real)}: do not believe it."


def standing(score: str, value: float, familiar: Familiar, real: str) -> str:
    """Where a score stands among those of the `real` images."""
    rank, tied = familiar.rank(score, value), familiar.tied(score, value)
    farther = "farther" if score == "distance" else "lower"
    if tied:
        return f"like the real ones ({100 * tied:.0f} % have the same)"
    if rank < LOW:
        return f"{farther} than {_how_many(rank, familiar)} {real}"
    if rank == 1:
        return f"{'nearer' if score == 'distance' else 'higher'} than all {familiar.images:,} {real}"
    return f"like the real ones ({min(round(100 * rank), 99)} % are {farther})"


def _how_many(rank: float, familiar: Familiar) -> str:
    """How many score higher, as words before "real test digits"."""
    if rank == 0:
        return f"all {familiar.images:,}"
    return "over 99 % of" if rank < 0.01 else f"{int(100 * (1 - rank))} % of"


def _claim(row: DoubtRow) -> str:
    sure = percent(row.scores["confidence"]).replace("> ", "over ").replace("< ", "under ")
    return f"“{row.name}” it says {row.answer} with {sure}"


def _in_a_clause(score: str, row: DoubtRow, familiar: Familiar, real: str) -> str:
    many = _how_many(familiar.rank(score, row.scores[score]), familiar)
    if score == "distance":
        return f"it lies farther from every class's code than {many} {real}"
    return f"the {_HEAD[score][0].lower()} is lower than that of {many} {real}"


def _least(row: DoubtRow, familiar: Familiar) -> tuple[str, float]:
    """The score that speaks most against an answer, and its rank; one that many real images share does not."""
    ranks = {
        score: 0.5 if familiar.tied(score, value) else familiar.rank(score, value)
        for score, value in row.scores.items()
        if score in familiar.quantiles
    }
    return min(ranks.items(), key=lambda item: item[1], default=("confidence", 0.5))


def _row(row: DoubtRow, familiar: Familiar | None, real: str) -> str:
    cells = "".join(_cell(score, value, familiar, real) for score, value in row.scores.items())
    return (
        f'<tr><td><img class="lp-pixels" src="{escape(row.picture)}" alt="" width="44" height="44"></td>'
        f'<th scope="row">{escape(row.name)}</th>'
        f"<td><b>{escape(row.answer)}</b>, {percent(row.scores['confidence'])}</td>{cells}</tr>"
    )


def _cell(score: str, value: float, familiar: Familiar | None, real: str) -> str:
    label = f'<td data-score="{escape(_HEAD[score][0])}"><b>{_value(score, value)}</b>'
    if familiar is None or score not in familiar.quantiles:
        return f"{label}</td>"
    rank, tied = familiar.rank(score, value), familiar.tied(score, value)
    low = rank < LOW and not tied
    mark = '<b class="lp-mark">▼</b> ' if low else "▲ " if rank == 1 else ""
    return (
        f"{label}{_strip(familiar.quantiles[score], value)}"
        f'<span class="lp-stands{" lp-low" if low else ""}">{mark}{escape(standing(score, value, familiar, real))}'
        "</span></td>"
    )


def _strip(quantiles: Sequence[float], value: float | None) -> str:
    """The real scores as nested bands, the least on the left, and a tick at `value`, an arrow where that is outside."""
    low, span = quantiles[0], max(quantiles[-1] - quantiles[0], 1e-9)

    def place(at: float) -> float:
        return 100 * (_MARGIN + (1 - 2 * _MARGIN) * (at - low) / span)

    bands = ""
    for first, last in _BANDS:
        left, right = place(quantiles[first]), place(quantiles[last])
        bands += f'<span style="left:{left:.1f}%;width:{right - left:.1f}%"></span>'
    tick = ""
    if value is not None:
        if value < low:
            tick = '<i class="lp-out" style="left:0">◀</i>'
        elif value > quantiles[-1]:
            tick = '<i class="lp-out" style="right:0">▶</i>'
        else:
            tick = f'<i style="left:{place(value):.1f}%"></i>'
    return f'<span class="lp-strip" aria-hidden="true">{bands}{tick}</span>'


def _foot(names: Sequence[str], familiar: Familiar, real: str) -> str:
    """The real images' own scores: what the bands mean, in numbers."""
    cells = "".join(_real_cell(name, familiar.quantiles.get(name)) for name in names)
    return (
        f'<tfoot><tr><td></td><th scope="row" colspan="2">{escape(real)}<br><span class="lp-quiet">'
        f"{familiar.images:,} of {escape(familiar.data)}; bands hold 98, 90 and 50 % of them</span></th>"
        f"{cells}</tr></tfoot>"
    )


def _real_cell(score: str, quantiles: Sequence[float] | None) -> str:
    label = f'<td data-score="{escape(_HEAD[score][0])}">'
    if quantiles is None:
        return f'{label}<span class="lp-quiet">not stored</span></td>'
    median, first, last = (_value(score, quantiles[at]) for at in (50, 1, 99))
    spread = f"half are below that; 98 % from {first} to {last}" if first != last else "98 % are like that"
    return f'{label}<b>{median}</b>{_strip(quantiles, None)}<span class="lp-stands">{escape(spread)}</span></td>'


def _value(score: str, value: float) -> str:
    return percent(value) if score == "confidence" else number(value)
