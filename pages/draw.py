"""Draw a digit, and several LeNets answer: one while the pen moves, the others when it lifts."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import streamlit as st

from lenet_core.errors import LenetError
from lenet_core.preprocess import Digit
from ui import cache, canvas, layout, lens_room, links, looking, markup
from ui.drawn import digit_of
from ui.inspector import inspector, left_out
from ui.networks import Network, networks
from ui.turns import turns

if TYPE_CHECKING:
    from lenet_core.checkpoint import Checkpoint
    from lenet_core.classify import Answer


def _choose(known: list[Network]) -> Network:
    """The network that answers first; the choice stands in the link."""
    keys = [network.key for network in known]
    with st.container(key="answered_by"):
        chosen = st.selectbox(
            "Answered by",
            known,
            index=keys.index(links.wanted("net", keys, keys[0])),
            key="network",
            format_func=lambda network: f"{network.title} ({network.character})",
        )
    links.remember("net", chosen.key, keys[0])
    return chosen


def _load(known: list[Network]) -> dict[str, Checkpoint]:
    """All that can be read, by key, so that the first stroke need not wait."""
    found = {}
    for network in known:
        try:
            found[network.key] = cache.checkpoint(network)
        except (LenetError, ValueError) as error:
            st.html(markup.warning(f"{network.title} cannot answer: {error}"))
    return found


def _ask(loaded: dict[str, Checkpoint], digit: Digit | None, without: Collection[str]) -> dict[str, Answer]:
    """Every network's answer, by key; none where nothing is drawn."""
    from lenet_core.classify import classify

    if digit is None:
        return {}
    return {key: classify(checkpoint, digit.image, without) for key, checkpoint in loaded.items()}


def _others(known: list[Network], answers: dict[str, Answer]) -> None:
    """The other networks' answers, as of the last time the pen was lifted."""
    cards = [
        markup.card(network.title, network.character, network.colour, answers.get(network.key)) for network in known
    ]
    with st.container(key="others"):
        st.html(markup.cards(cards))


@st.fragment
def room() -> None:
    """The page below its title, made anew at each stroke."""
    with st.container(key="draw_room"):
        left, right = st.columns([2, 3], gap="medium")
    with left:
        strokes = canvas.draw()
    without = left_out()
    digit = digit_of(strokes, without)
    with right:
        known = networks(wanted=links.asked("net"))
        if not known:
            st.html(markup.empty("No network found", "assets/checkpoints is empty: fetch the project anew."))
            return
        first = _choose(known)
        place = st.container(key="answer")
        loaded = _load(known)
        answers = _ask(loaded, digit, without)
        if first.key in loaded:
            with place:
                lens_room.answer(first, loaded[first.key], answers.get(first.key), strokes, without)
    _others([network for network in known if network.key in loaded and network != first], answers)
    inspector(first, loaded.get(first.key), digit, without)
    turns(first, known)
    if st.button("Look further inside, beside a cat and noise", icon=":material/grid_view:", key="look_inside"):
        links.go("pages/feature_maps.py", looking.beside_a_cat(first.key, links.asked("drawing")))


layout.begin("draw")
lens_room.begin()
room()
