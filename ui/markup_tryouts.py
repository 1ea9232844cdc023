"""Fragments of HTML for single layers that one tries with a handful of numbers. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from lenet_core.architecture import Architecture, ledger
from lenet_core.summary import reads
from ui.markup import pixels

_Floats = NDArray[np.float32]


def tried(text: str, body: str) -> str:
    """What a layer did, in a sentence, and the numbers."""
    return f'<div class="lp-tried" data-testid="tried"><p class="lp-says-so">{escape(text)}</p>{body}</div>'


def neighbours(before: Sequence[float], after: Sequence[float], own: int, apart: Iterable[int]) -> str:
    """Maps before and after their normalisation, as bars; `own` is in bold, those outside its window are faint."""
    most_before, most_after = max(*before, 1e-9), max(*after, 1e-9)
    outside = set(apart)
    cells = "<b></b><b>before</b><b></b><b>after</b><b></b>"
    for index, (value, result) in enumerate(zip(before, after, strict=True)):
        look = "lp-own" if index == own else "lp-apart" if index in outside else ""
        cells += (
            f'<span class="{look}">map {index}</span>{_bar(value / most_before)}'
            f'<span class="lp-number {look}">{value:.0f}</span>{_bar(result / most_after)}'
            f'<span class="lp-number {look}">{result:.1f}</span>'
        )
    return f'<div class="lp-neighbours">{cells}</div>'


def _bar(share: float) -> str:
    return f'<span class="lp-track"><span style="width:{100 * share:.1f}%"></span></span>'


def dropped(rows: Sequence[tuple[str, _Floats]]) -> str:
    """Ten units under several circumstances, a row each; those that are 0 are hatched."""
    cells = ""
    for title, values in rows:
        cells += f"<b>{escape(title)}</b>"
        cells += "".join(
            f'<span class="{"" if value else "lp-gone"}">{_short(float(value))}</span>' for value in values
        )
    return f'<div class="lp-dropped" role="group" aria-label="Ten units">{cells}</div>'


def _short(value: float) -> str:
    return f"{value:.2f}" if value else "0"


@dataclass(frozen=True)
class Pooled:
    """A map (height, width), how many windows each of its numbers wins, the largest of each window, and how."""

    values: _Floats
    wins: NDArray[np.int64]
    result: _Floats
    size: int
    stride: int


def pooled(kinds: Sequence[Pooled]) -> str:
    """A map under different poolings, side by side: winners framed, numbers that no window reads hatched."""
    return f'<div class="lp-number-grids">{"".join(map(_pooled, kinds))}</div>'


def _pooled(one: Pooled) -> str:
    height, width = ((side - 1) * one.stride + one.size for side in one.result.shape)
    rows = ""
    for row, values in enumerate(one.values):
        cells = ""
        for column, value in enumerate(values):
            wins = int(one.wins[row, column])
            look = "lp-wins" if wins else "lp-unread" if row >= height or column >= width else ""
            times = f"<sup>×{wins}</sup>" if wins > 1 else ""
            cells += f'<td class="{look}">{value:.0f}{times}</td>'
        rows += f"<tr>{cells}</tr>"
    result = "".join(f"<tr>{''.join(f'<td>{value:.0f}</td>' for value in row)}</tr>" for row in one.result)
    title = f"{one.size}x{one.size}, stride {one.stride}"
    return (
        f"<div><b>{title}</b>"
        f'<table class="lp-number-grid" aria-label="Map, {title}"><tbody>{rows}</tbody></table>'
        f'<span class="lp-quiet">The largest of each window</span>'
        f'<table class="lp-number-grid" aria-label="Result, {title}"><tbody>{result}</tbody></table></div>'
    )


def gpus(arch: Architecture) -> str:
    """Which half of the maps reads which: a column for each convolution, a box for each half, lines between.

    A layer without groups reads both halves. The image is read by both, and the dense layers read all.
    """
    convolutions = [layer for layer in arch.layers if layer.kind == "convolution"]
    columns = [_halves("image", ("",))]
    for layer in convolutions:
        half = layer.output_shape[0] // 2
        columns += [_lines(layer.options["groups"] == 1), _halves(layer.name, (str(half), str(half)))]
    columns += [_lines(True), _halves("dense", ("",))]
    says = "; ".join(
        f"{layer.name} reads {'its own half' if layer.options['groups'] > 1 else 'both halves'}"
        for layer in convolutions
    )
    return f'<div class="lp-groups" role="img" aria-label="{escape(says)}">{"".join(columns)}</div>'


def _halves(name: str, maps: Sequence[str]) -> str:
    return f"<div><b>{escape(name)}</b>{''.join(f'<span>{escape(text)}</span>' for text in maps)}</div>"


def _lines(both: bool) -> str:
    return f'<i class="{"lp-both" if both else ""}"></i>'


def group_costs(grouped: Architecture, whole: Architecture) -> str:
    """What groups spare: each convolution's parameters with and without them, and the whole network's."""
    names = {layer.name for layer in grouped.layers if layer.kind == "convolution"}
    rows = ""
    for one, other in zip(ledger(grouped), ledger(whole), strict=True):
        if one["name"] in names:
            rows += _costs(one["name"], one["parameters"], other["parameters"])
    total = _costs("all layers", grouped.parameters, whole.parameters)
    return (
        '<div class="lp-scroll" tabindex="0" role="region" aria-label="Parameters with and without groups">'
        '<table class="lp-small-ledger"><thead><tr><th scope="col">Parameters</th><th scope="col">in groups</th>'
        '<th scope="col">without</th><th scope="col">spared</th></tr></thead>'
        f"<tbody>{rows}</tbody><tfoot>{total}</tfoot></table></div>"
    )


def _costs(name: str, grouped: int, whole: int) -> str:
    spared = f"{whole - grouped:,}" if whole > grouped else "–"
    return f'<tr><th scope="row">{escape(name)}</th><td>{grouped:,}</td><td>{whole:,}</td><td>{spared}</td></tr>'


def who_reads_whom(networks: Sequence[tuple[str, Architecture, str]]) -> str:
    """For each (title, architecture, layer) a picture of which maps it reads: a row for each, light where it does."""
    figures = ""
    for title, arch, name in networks:
        (layer,) = (layer for layer in arch.layers if layer.name == name)
        table = reads(layer)
        picture = np.where(table, 235, 45).astype(np.uint8)
        before, own = table.shape
        says = f"{own} maps (columns) read {before} (rows) where it is light: {table.sum():,} of {table.size:,} pairs"
        figures += (
            f'<figure class="lp-figure">{pixels(picture, f"{title}: {says}", 160)}'
            f"<figcaption><b>{escape(title)}</b><br>{escape(says)}</figcaption></figure>"
        )
    return f'<div class="lp-row">{figures}</div>'


def side_by_side(picture: str, bars: str, colour: str) -> str:
    """A picture with bars beside it."""
    return f'<div class="lp-row" style="--net:{colour}">{picture}<div style="flex:1 1 16rem">{bars}</div></div>'
