"""Fragments of HTML for the server's own answer on the Draw page, arranged as the browser's (live_lens/answer.js)."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ui.components.live_lens.carried import ShownMaps
from ui.markup import doubt, number, percent
from ui.pictures import INK, Scale, coloured, data_uri, ramp_css, scale_for

if TYPE_CHECKING:  # it imports PyTorch, which a page does not wait for
    from lenet_core.classify import Answer


def answer(result: Answer | None, classes: Iterable[str], seen: NDArray[np.float32], colour: str, strokes: int) -> str:
    """The answer as the largest thing on the page, the probability of each of the `classes`, and the image.

    `result` is None where there is too little ink; `seen` (height, width) from 0 to 1 is what the network gets.
    """
    empty = "" if result else " none"
    return (
        f'<div class="lens-top{empty}" style="--net:{colour}">'
        f'<div class="lens-answer">{_verdict(result, strokes)}</div>'
        f'<div class="lens-bars" role="group" aria-label="Probability of each class">{_bars(result, classes)}</div>'
        f"{_image(seen)}</div>"
    )


def page(answer_html: str, layers: Iterable[str]) -> str:
    """The answer with the feature maps under it."""
    return f'<div class="lens">{answer_html}<div class="lens-layers">{"".join(layers)}</div></div>'


def _verdict(result: Answer | None, strokes: int) -> str:
    if result is None:
        return (
            '<div class="lens-empty" role="status"><strong data-testid="empty-by-server">Draw a digit</strong>'
            "<span>One digit from 0 to 9, as large as you like. Or place one.</span></div>"
        )
    name = result.name(result.label)
    size = "lens-digit" if len(name) == 1 else "lens-word"
    return (
        f'<div class="lens-verdict" role="status">'
        f'<div class="{size}" data-testid="answer-by-server" data-strokes="{strokes}">{escape(name)}</div>'
        f'<div class="lens-sure">{percent(float(result.probabilities.max()))}</div>'
        f'<div class="lens-doubt">{escape(doubt(result))}</div></div>'
    )


def _bars(result: Answer | None, classes: Iterable[str]) -> str:
    if result is None:
        return "".join(_bar(name, 0.0, "", "") for name in classes)
    return "".join(
        _bar(result.name(label), float(p), percent(float(p)), " best" if label == result.label else "")
        for label, p in enumerate(result.probabilities)
    )


def _bar(name: str, fraction: float, words: str, best: str) -> str:
    return (
        f'<div class="lens-bar{best}"><span>{escape(name)}</span>'
        f'<span class="lens-track"><i style="width:{100 * fraction:.2f}%"></i></span><span>{words}</span></div>'
    )


def _image(seen: NDArray[np.float32]) -> str:
    caption = f"What the network sees: {seen.shape[0]} x {seen.shape[1]}"
    picture = data_uri(coloured(seen, Scale(0.0, 1.0, INK)))
    return (
        f'<figure class="lens-image"><img class="lens-pixels" src="{picture}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def layer(maps: ShownMaps, values: NDArray[np.float32] | None) -> str:
    """A layer's feature maps (channels, height, width) with what to see in them; their places where there are none."""
    scale = None if values is None else scale_for(values[: maps.count], maps.signed)
    places = "".join(_map(maps, index, values, scale) for index in range(maps.count))
    ends = (number(scale.low), number(scale.high)) if scale else ("", "")
    zero = "<span>0</span>" if maps.signed else ""
    ramp = ramp_css(scale or scale_for(np.zeros(1, np.float32), maps.signed))
    many, columns = (" many", 8) if maps.count > 8 else ("", maps.count)
    return (
        f'<div class="lens-layer"><div class="lens-head"><b>{escape(maps.title)}</b><span>{escape(maps.shape)}</span>'
        f'<span class="lens-scale"><span class="lens-end">{ends[0]}</span>'
        f'<span class="lens-ramp" style="background:{ramp}">{zero}</span><span class="lens-end">{ends[1]}</span></span>'
        f'</div><span class="lens-says">{escape(maps.says)}</span>'
        f'<div class="lens-maps{many}" style="--columns:{columns}">{places}</div></div>'
    )


def _map(maps: ShownMaps, index: int, values: NDArray[np.float32] | None, scale: Scale | None) -> str:
    if values is None or scale is None:
        return '<i class="lens-pixels"></i>'
    one = values[index]
    words = f"mean {number(float(one.mean()))}, from {number(float(one.min()))} to {number(float(one.max()))}"
    name = escape(f"{maps.title}, feature map {index}: {words}")
    return f'<img class="lens-pixels" src="{data_uri(coloured(one, scale))}" alt="{name}" title="{name}">'


def left_out(titles: Iterable[str]) -> str:
    """Which steps of the preprocessing are left out."""
    chips = "".join(f'<span class="lp-chip">without <b>{escape(title.lower())}</b></span>' for title in titles)
    return f'<div class="lp-chips" data-testid="left-out">{chips}</div>'


def too_large(why: str) -> str:
    """Why the browser does not run the network."""
    return f'<p class="lp-quiet" data-testid="too-large">{escape(why)}</p>'
