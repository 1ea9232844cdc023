"""Fragments of HTML, one function each: answers, bars, pictures in pixels. Every text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lenet_core.layout import shape_text
from ui.pictures import INK, Scale, coloured, data_uri, ramp_css, scale_for

if TYPE_CHECKING:  # it imports PyTorch, which a page does not wait for
    from lenet_core.classify import Answer

UNSURE = 0.6  # below this probability an answer is shown as a doubt


def percent(fraction: float) -> str:
    """A probability as people read it: 99.2 %, and never 100 or 0, which no network means."""
    if fraction >= 0.9995:
        return "> 99.9 %"
    if fraction < 0.0005:
        return "< 0.1 %"
    return f"{100 * fraction:.1f} %"


def number(value: float) -> str:
    """A value on a scale, with three significant digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def pixels(image: NDArray[np.uint8], alt: str, side: int) -> str:
    """A picture enlarged in whole pixels to `side` CSS pixels wide."""
    return f'<img class="lp-pixels" src="{data_uri(image)}" alt="{escape(alt)}" style="width:{side}px">'


def figure(image: NDArray[np.uint8], caption: str, side: int) -> str:
    """A picture in pixels with a caption that says what to see in it, which is also its description."""
    return (
        f'<figure class="lp-figure">{pixels(image, caption, side)}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def scaled_figure(image: NDArray[np.uint8], title: str, caption: str, side: int, scale: Scale) -> str:
    """A picture in pixels with its title, the numbers of its colour scale, and a caption."""
    return (
        f'<figure class="lp-figure lp-wide-figure"><b>{escape(title)}</b>{pixels(image, f"{title}: {caption}", side)}'
        f"{ramp(scale)}<figcaption>{escape(caption)}</figcaption></figure>"
    )


def doubt(result: Answer) -> str:
    """How sure an answer is, in words: the second guess where there is one."""
    first, second = result.ranking[:2]
    runner_up = result.name(second)
    if result.probabilities[first] < UNSURE:
        return f"not sure: {result.name(first)} or {runner_up}?"
    if result.probabilities[second] < 0.01:
        return "no other above 1 %"
    return f"then {runner_up}, {percent(float(result.probabilities[second]))}"


def row(items: Iterable[str]) -> str:
    """Pictures side by side."""
    return f'<div class="lp-row">{"".join(items)}</div>'


def lead(text: str) -> str:
    """The line under a page's title."""
    return f'<p class="lp-lead">{escape(text)}</p>'


def warning(text: str) -> str:
    """Something that went wrong without stopping the page. The text may quote a file, so it is no Markdown."""
    return f'<div class="lp-warning" role="alert">{escape(text)}</div>'


def net_title(title: str, colour: str) -> str:
    """A network's name with its colour."""
    return f'<div class="lp-net" style="--net:{colour}">{escape(title)}</div>'


def says_so(title: str, colour: str, text: str) -> str:
    """What a network's pictures show, in words."""
    return f'<p class="lp-says-so" data-testid="says" style="--net:{colour}"><b>{escape(title)}</b>: {escape(text)}</p>'


def plain(text: str) -> str:
    """A text that may come from a file's name, as it is."""
    return f"<span>{escape(text)}</span>"


def literal(text: str) -> str:
    """A text that may come from anywhere, in Markdown that shows it as it is, on one line: for labels and toasts.

    Streamlit looks for icons, `:material/home:`, `:smile:`, for addresses, `www.` and `@`, and for arrows, `->`, when
    the backslashes are gone: a word joiner, which nobody sees, ends what these could be.
    """
    line = re.sub(r"[:@]|www(?=\.)|[-~<>=](?=[-<>=])", "\\g<0>\u2060", " ".join(text.split()), flags=re.IGNORECASE)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)


def bars(result: Answer, colour: str) -> str:
    """All probabilities as bars, in the classes' order."""
    best = result.label
    rows = "".join(
        f'<div class="lp-bar{" lp-best" if label == best else ""}"><span>{escape(result.name(label))}</span>'
        f'<span class="lp-track"><span style="width:{100 * float(p):.2f}%"></span></span>'
        f"<span>{percent(float(p))}</span></div>"
        for label, p in enumerate(result.probabilities)
    )
    return (
        f'<div class="lp-bars" role="group" aria-label="Probability of each class" style="--net:{colour}">{rows}</div>'
    )


def card(title: str, character: str, colour: str, result: Answer | None) -> str:
    """One network's answer, small, to stand beside others; its place where there is none yet."""
    name = result.name(result.label) if result else "–"
    size = "lp-card-digit" if len(name) == 1 else "lp-card-word"
    sure = f"{percent(float(result.probabilities.max()))}, {doubt(result)}" if result else "answers when the pen lifts"
    return (
        f'<div class="lp-card" style="--net:{colour}"><div class="{size}">{escape(name)}</div>'
        f'<div><div class="lp-card-title">{escape(title)}</div><div>{escape(sure)}</div>'
        f'<div class="lp-quiet">{escape(character)}</div></div></div>'
    )


def cards(items: list[str]) -> str:
    """Several cards in as many columns as there is room for."""
    return f'<div class="lp-cards">{"".join(items)}</div>'


def maps(name: str, values: NDArray[np.float32], side: int, says: str, signed: bool = False) -> str:
    """All feature maps (channels, height, width) of a layer, on one colour scale that is shown.

    `says` tells what to see in them. Where they can be `signed`, zero is white though all should have one sign.
    """
    scale = scale_for(values, signed)
    images = "".join(
        f'<img class="lp-pixels" src="{data_uri(coloured(one, scale))}" style="width:{side}px" '
        f'title="map {index}: mean {number(float(one.mean()))}, most {number(float(one.max()))}" '
        f'alt="{escape(name)}, feature map {index}: mean {number(float(one.mean()))}, '
        f'from {number(float(one.min()))} to {number(float(one.max()))}">'
        for index, one in enumerate(values)
    )
    bar = scale_bar(scale, shape_text(values.shape))
    return f'<p class="lp-quiet">{escape(says)}</p><div class="lp-maps">{images}</div>{bar}'


def scale_bar(scale: Scale, shape: str) -> str:
    """What the colours mean, in numbers, and the size of what is shown."""
    return f'<div class="lp-scale">{_ramp(scale)}<span class="lp-quiet">{shape}, one scale for all</span></div>'


def ramp(scale: Scale) -> str:
    """What the colours mean, in numbers."""
    return f'<div class="lp-scale">{_ramp(scale)}</div>'


def _ramp(scale: Scale) -> str:
    zero = "<span>0</span>" if scale.signed else ""
    return (
        f"<span>{number(scale.low)}</span>"
        f'<span class="lp-ramp" style="background:{ramp_css(scale)}">{zero}</span><span>{number(scale.high)}</span>'
    )


def grid(values: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Units (units,) laid out row by row in `columns`; a last row that is not full ends in the least value."""
    rows = -(-len(values) // columns)
    cells = np.full(rows * columns, values.min(), dtype=np.float32)
    cells[: len(values)] = values
    return cells.reshape(rows, columns)


def ink_picture(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Ink (height, width) from 0 to 1 as a picture, white on black as the network is fed."""
    return coloured(values, Scale(0.0, 1.0, INK))


def empty(title: str, hint: str) -> str:
    """What stands where an answer will be."""
    return (
        f'<div class="lp-empty" role="status"><strong data-testid="empty">{escape(title)}</strong>'
        f'<span class="lp-quiet">{escape(hint)}</span></div>'
    )


def stage(name: str, shape: str, says: str, body: str, width: int, order: int) -> str:
    """One layer of the picture of a digit going through a network.

    `width` is its body's in CSS pixels, `order` its turn to appear.
    """
    return (
        f'<figure class="lp-stage" style="--turn:{order};width:{max(width, 96)}px">'
        f'<figcaption><b>{escape(name)}</b> <span class="lp-quiet">{escape(shape)}</span></figcaption>{body}'
        f'<div class="lp-says">{escape(says)}</div></figure>'
    )


def flow(stages: list[str]) -> str:
    """The layers in a row, appearing one after the other."""
    return f'<div class="lp-flow">{"".join(stages)}</div>'


def tiles(values: NDArray[np.float32], columns: int, side: int, name: str) -> str:
    """A layer's maps (channels, height, width) in a block of `columns`, each `side` CSS pixels, on one scale."""
    scale = scale_for(values)
    images = "".join(
        f'<img class="lp-pixels" src="{data_uri(coloured(one, scale))}" alt="" style="width:{side}px">'
        for one in values
    )
    low, high = number(float(values.min())), number(float(values.max()))
    alt = f"{name}: {shape_text(values.shape)} values from {low} to {high}"
    return (
        f'<div class="lp-tiles" role="img" aria-label="{escape(alt)}" style="--columns:{columns}">{images}</div>'
        f'<div class="lp-range"><span>{number(scale.low)}</span>'
        f'<span style="background:{ramp_css(scale)}"></span><span>{number(scale.high)}</span></div>'
    )


def ledger_table(rows: list[dict[str, Any]], parameters: int, connections: int) -> str:
    """A network's ledger as a table, with a bar for each layer's share of the parameters."""
    head = "".join(
        f'<th scope="col"><abbr title="{escape(why)}">{escape(what)}</abbr></th>' for what, why in _LEDGER_HEAD
    )
    body = "".join(_ledger_row(row, max(parameters, 1)) for row in rows)
    foot = (
        f'<tr><th scope="row">Total</th><td></td><td></td><td></td><td>{parameters:,}</td><td></td>'
        f"<td>{connections:,}</td>"
        f"<td>{sum(row['multiply_adds'] for row in rows):,}</td><td></td></tr>"
    )
    return (
        f'<div class="lp-scroll" tabindex="0" role="region" aria-label="Ledger"><table class="lp-ledger">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table></div>"
    )


_LEDGER_HEAD = (
    ("Layer", "LeCun's names: C convolves, S subsamples, F is fully connected."),
    ("What it does", "The operation; most layers have weights that training sets."),
    ("Activation", "The function that each unit's weighted sum passes through, such as max(0, x) for ReLU."),
    ("Output", "Channels x height x width of what comes out, or the number of units."),
    ("Parameters", "The numbers that training sets: weights and biases."),
    ("Share", "Part of all the network's parameters."),
    ("Connections", "For every output unit the inputs it reads, and its bias; counted as in the 1998 paper."),
    ("Multiply-adds", "Multiplications of a weight and an input for one image."),
    ("Sees", "The side of the square of input pixels that one unit depends on: its receptive field."),
)


def _ledger_row(row: dict[str, Any], parameters: int) -> str:
    share = row["parameters"] / parameters
    bar = f'<span class="lp-share" style="width:{6 * share:.2f}rem"></span> {100 * share:.1f} %' if share else ""
    cells = (
        row["kind"].replace("-", " "),
        row["activation"] or "",
        shape_text(row["output_shape"]),
        f"{row['parameters']:,}" if row["parameters"] else "",
    )
    costs = (f"{row[key]:,}" if row[key] else "" for key in ("connections", "multiply_adds"))
    side = row["receptive_field"]
    return (
        f'<tr><th scope="row">{escape(row["name"])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + f"<td>{bar}</td>"
        + "".join(f"<td>{cell}</td>" for cell in costs)
        + f"<td>{side} x {side}</td></tr>"
    )
