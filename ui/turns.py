"""Turn it, shift it, thicken it: how much of each change a drawing stands before a network reads something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from lenet_core.errors import LenetError
from ui import cache, links, markup, state
from ui.components.live_lens import turns_lens
from ui.networks import Network

_VALUES, _BESIDE, _BOX = "turned", "beside", "turns_beside"
_NEUTRAL, _NONE = "neutral", "none"  # in the address, where nothing is turned or nothing stands beside


@dataclass(frozen=True)
class Turn:
    """One slider, from `low` to `high`; its `neutral` value changes nothing."""

    low: float
    high: float
    neutral: float = 0


# As turns.js has them, in degrees, pixels of the 28, and factors; noise is a standard deviation, full ink being 1.
TURNS = {
    "rotation": Turn(-90, 90),
    "across": Turn(-10, 10),
    "down": Turn(-10, 10),
    "scale": Turn(0.4, 1.8, neutral=1),
    "shear": Turn(-1, 1),
    "noise": Turn(0, 0.8),
    "thickness": Turn(0.3, 3, neutral=1),
}


def turns(lead: Network, known: list[Network]) -> None:
    """Draws the folded section, unfolded where the address holds values."""
    # Unfolded for good: "neutral" stays in the address, for a section should not fold under who is using it.
    asked = links.asked(_VALUES)
    with st.expander("Turn it, shift it, thicken it", expanded=bool(asked)):
        if problem := _problem(lead):
            st.html(markup.lead(f"{lead.title} cannot be turned here: {problem}"))
            return
        second = _choose_beside(lead, known)
        with st.container(key="by_server_turns"):
            st.html(markup.lead("This needs the part that runs in the browser, which does not run here."))
        turns_lens(beside=second, values=from_link(asked), key="turns", on_values=_keep)


def beside(lead: Network, known: list[Network]) -> Network | None:
    """The network that the address puts beside the `lead`; None for none.

    Where the address names none that there is, it is the first that knows the same classes.
    """
    others = _others(lead, known)
    by_key = {network.key: network for network in others}
    return by_key.get(links.wanted(_BESIDE, [_NONE, *by_key], _usual(lead, others)))


def from_link(text: str) -> dict[str, float]:
    """The sliders' values that a link tells ("rotation:30,scale:1.2"), without the neutral and the senseless ones."""
    told: dict[str, object] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        try:
            told[name] = float(value)
        except ValueError:  # a link cut short, or changed by hand: what is left of it still counts
            continue
    return checked(told)


def checked(told: Mapping[str, object]) -> dict[str, float]:
    """The values that can be, in `TURNS`' order, of what a browser or a link tells; the neutral ones are left out."""
    found = {}
    for name, turn in TURNS.items():
        value = told.get(name)
        if isinstance(value, int | float) and turn.low <= value <= turn.high and value != turn.neutral:
            found[name] = float(value)
    return found


def to_link(values: Mapping[str, float]) -> str:
    """The values as they stand in a link; "neutral" where there are none."""
    return ",".join(f"{name}:{value:g}" for name, value in values.items()) or _NEUTRAL


def _keep(values: Mapping[str, object]) -> None:
    """Puts into the address what the browser says the sliders stand at."""
    links.remember(_VALUES, to_link(checked(values)))


def _choose_beside(lead: Network, known: list[Network]) -> Network | None:
    """The network in the box, which puts its choice into the address before the page is made anew."""
    others, chosen = _others(lead, known), beside(lead, known)
    titles = {_NONE: "No other"} | {network.key: f"{network.title} ({network.character})" for network in others}
    wanted = chosen.key if chosen else _NONE
    # A new box begins as the address says; one that is there follows it: Back changed it, or another network leads.
    follows = state.widget(_BOX) not in (None, wanted)
    if follows:
        state.set_widget(_BOX, wanted)
    st.selectbox(
        "Beside it",
        list(titles),
        index=0 if follows else list(titles).index(wanted),
        format_func=lambda key: titles[key],
        key=_BOX,
        on_change=lambda: links.remember(_BESIDE, state.widget(_BOX), _usual(lead, others)),
        width=420,
    )
    return chosen


def _others(lead: Network, known: list[Network]) -> list[Network]:
    """The networks that can stand beside the `lead`."""
    return [network for network in known if network.key != lead.key and not _problem(network)]


def _usual(lead: Network, others: list[Network]) -> str:
    """The key of the network beside where the address says nothing."""
    classes = cache.checkpoint(lead).classes
    return next((other.key for other in others if cache.checkpoint(other).classes == classes), _NONE)


def _problem(network: Network) -> str:
    """Why a network cannot run in the browser; empty if it can."""
    from lenet_core.portable import too_large

    try:
        return too_large(cache.checkpoint(network).architecture)
    except (LenetError, ValueError) as error:
        return str(error)
