"""Draw a digit, and several LeNets answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lenet_core.errors import LenetError
from lenet_core.preprocess import Digit
from ui import cache, canvas, layout, links, looking, markup
from ui.drawn import digit_of
from ui.networks import Network, networks

if TYPE_CHECKING:
    from lenet_core.classify import Answer


def _choose(known: list[Network]) -> Network:
    """The network that answers first; the choice stands in the link."""
    keys = [network.key for network in known]
    chosen = st.selectbox(
        "Answered by",
        known,
        index=keys.index(links.wanted("net", keys, keys[0])),
        key="network",
        format_func=lambda network: f"{network.title} ({network.character})",
    )
    links.remember("net", chosen.key, keys[0])
    return chosen


def _ask(known: list[Network], digit: Digit | None) -> dict[str, Answer]:
    """Every network's answer by key; also loads them all, so that the first stroke need not wait."""
    from lenet_core.classify import classify

    answers = {}
    for network in known:
        try:
            loaded = cache.checkpoint(network)
            if digit is not None:
                answers[network.key] = classify(loaded, digit.image)
        except (LenetError, ValueError) as error:
            st.html(markup.warning(f"{network.title} cannot answer: {error}"))
    return answers


def _answer(network: Network, answer: Answer, strokes: int) -> None:
    seen = answer.layers["image"][0]
    size = f"{seen.shape[0]} x {seen.shape[1]}"
    picture = markup.figure(markup.ink_picture(seen), f"What the network sees: {size}", side=140)
    st.html(markup.top(markup.answer(answer, network.colour, strokes), markup.bars(answer, network.colour), picture))


def _steps(digit: Digit) -> None:
    """The pictures between the pen and the network."""
    left, top, right, bottom = digit.box
    row, column = digit.centre_of_mass
    height, width = digit.fitted.shape
    steps = (
        (digit.ink, "Your strokes, inked with a pen of MNIST's width"),
        (digit.ink[top:bottom, left:right], "1. Cropped to the ink"),
        (
            digit.fitted,
            f"2. Shrunk to {width} x {height}, the longer side 20: each pixel the mean of what it covers",
        ),
        (
            (digit.image / 255).astype(np.float32),
            f"3. Laid into 28 x 28 with the centre of mass (row {row:.1f}, column {column:.1f}) in the middle",
        ),
    )
    figures = (markup.figure(markup.ink_picture(image), caption, side=150) for image, caption in steps)
    st.html(markup.row(figures))


_LAYERS = (
    ("First layer", 132, "one stroke or edge in your digit"),
    ("Second layer", 78, "a corner, an end or a curve, put together from the first layer's maps"),
)
_FEATURE_MAP = (
    "A feature map is the picture that one kernel makes of what comes before it: at every place the weighted sum "
    "of the pixels there, plus a bias, passed through the activation f."
)


def _what_to_see(activation: str, pattern: str) -> str:
    """How to read a feature map; what its tones mean depends on the activation."""
    if activation == "sigmoid":
        return f"Each kernel looks for {pattern}. Bright: it is there; dark: its opposite; between: empty paper."
    if activation in ("tanh", "scaled-tanh", "identity"):
        return f"Each kernel looks for {pattern}. Red: it is there; blue: its opposite; white: neither."
    return f"Each map is bright where its own kernel finds its pattern: {pattern}."


def _feature_maps(network: Network, answer: Answer) -> None:
    arch = cache.checkpoint(network).architecture
    convolutions = [layer.name for layer in arch.layers if layer.kind == "convolution"]
    columns = st.columns([2, 3], gap="medium")
    for (title, side, pattern), name, column in zip(_LAYERS, convolutions, columns, strict=False):
        with column:
            st.subheader(f"{title}, {name.upper()}", anchor=False, help=_FEATURE_MAP)
            says = _what_to_see(arch.activation, pattern)
            st.html(markup.maps(name.upper(), answer.layers[f"{name}_act"], side, says))


@st.fragment
def room() -> None:
    """The page below its title, made anew at each stroke."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        strokes = canvas.draw()
    digit = digit_of(strokes)
    with right:
        place = st.container()
        known = networks(wanted=links.asked("net"))
        if not known:
            st.html(markup.empty("No network found", "assets/checkpoints is empty: fetch the project anew."))
            return
        first = _choose(known)
        answers = _ask(known, digit)
        if digit is None:
            place.html(markup.empty("Draw a digit", "One digit from 0 to 9, as large as you like. Or place one."))
            return
        if first.key not in answers:
            return
        with place:
            _answer(first, answers[first.key], len(strokes))
        others = [
            markup.card(network.title, network.character, network.colour, answers[network.key])
            for network in known
            if network.key in answers and network.key != first.key
        ]
        st.html(markup.cards(others))
    _feature_maps(first, answers[first.key])
    if st.button("Look further inside, beside a cat and noise", icon=":material/grid_view:", key="look_inside"):
        links.go("pages/feature_maps.py", looking.beside_a_cat(first.key, links.asked("drawing")))
    with st.expander("From your pen to the network's pixels"):
        _steps(digit)


layout.begin("draw")
room()
