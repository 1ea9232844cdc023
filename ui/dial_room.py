"""The 1998 dial: five switches between LeNet-5 as published and today's, the ledger beside them, what each did."""

from __future__ import annotations

import dataclasses

import streamlit as st

from lenet_core.architecture import Architecture, ledger
from lenet_core.dial import ALL_1998, ALL_MODERN, BASE, EPOCHS, SWITCHES, turned
from lenet_core.errors import LenetError
from lenet_core.presets import PRESETS, preset
from lenet_core.published import Reproduced, read_dial
from lenet_core.recipes import Recipe, recipe_named
from ui import links, markup, markup_history, state
from ui.networks import networks, own_key
from ui.shown import own_runs
from ui.turning import open_train_page

_PARAMETER = "modern"


@st.fragment
def dial() -> None:
    """The dial, made anew at each switch."""
    try:
        results, problem = read_dial(), ""
    except LenetError as error:
        results, problem = {}, str(error)
    left, right = st.columns([5, 3], gap="medium")
    with left, st.container(gap="small", key="dial_switches"):
        place = st.container(key="dial_small_counter")  # the style sheet shows it on a phone alone
        modern = _switches(results)
        _extremes(results)
    links.remember(_PARAMETER, ",".join(modern))
    recipe = turned(modern, dataclasses.replace(recipe_named(BASE), epochs=EPOCHS, validation=0.0))
    place.html(markup_history.small_counter(recipe.architecture.parameters, recipe_named(BASE).architecture.parameters))
    with right, st.container(key="dial_counts"):
        if problem:
            st.html(markup.warning(problem))
        _buttons(recipe, modern)
        _count(recipe.architecture, modern)


def _switches(results: dict[str, Reproduced]) -> list[str]:
    """A card for each switch; the names of those that stand as today."""
    asked = links.asked(_PARAMETER).split(",")
    modern = []
    for switch in SWITCHES.values():
        with st.container(border=True, gap="xsmall", key=f"switch_{switch.name}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"head_{switch.name}"):
                if state.widget(_key(switch.name)) is None:
                    state.set_widget(_key(switch.name), switch.name in asked)
                is_modern = st.toggle(switch.title, key=_key(switch.name), width=188)
                st.html(_measured(f"{switch.title} of today alone", switch.name, results))
            st.html(markup_history.switch(switch.name, switch.was, switch.now, switch.why, is_modern))
        if is_modern:
            modern.append(switch.name)
    return modern


def _key(switch: str) -> str:
    return f"dial.{switch}"


def _measured(title: str, name: str, results: dict[str, Reproduced]) -> str:
    """What a setting of the dial gave, on the axis that all share."""
    if name not in results or ALL_1998 not in results:
        return markup_history.not_measured(title)
    base = results[ALL_1998].values()
    return markup_history.measured(title, base if name == ALL_1998 else results[name].values(), base, _axis(results))


def _axis(results: dict[str, Reproduced]) -> markup_history.Axis:
    return markup_history.axis_for([value for one in results.values() for value in one.values()])


def _extremes(results: dict[str, Reproduced]) -> None:
    """Both ends of the dial on the same axis, and how all was measured."""
    with st.container(border=True, gap="xsmall", key="switch_all"):
        rows = [_measured("All five of 1998", ALL_1998, results), _measured("All five of today", ALL_MODERN, results)]
        if results:
            rows.append(markup_history.axis_line(_axis(results)))
        st.html("".join(rows))
        st.caption(_how_measured(results))


def _how_measured(results: dict[str, Reproduced]) -> str:
    if not results:
        return "What each switch does to accuracy is measured by `python -m lenet_core reproduce dial --seeds 3`."
    one = next(iter(results.values()))
    images = f"{one.stand_in}, " if one.stand_in else ""
    return (
        f"Test accuracy after {one.epochs} epochs of {one.data} ({images}all training images), {len(one.runs)} seeds: "
        "the dot is their mean, the bar their range, each tick one; the dashed line is the mean of the net of "
        f"1998. Where two bars overlap, {len(one.runs)} seeds cannot tell the settings apart. Device: {one.device}."
    )


def _buttons(recipe: Recipe, modern: list[str]) -> None:
    with st.container(horizontal=True, gap="xsmall", key="dial_buttons"):
        st.button("All 1998", key="all_1998", on_click=_turn_all, args=(False,), disabled=not modern)
        everything = len(modern) == len(SWITCHES)
        st.button("All modern", key="all_modern", on_click=_turn_all, args=(True,), disabled=everything)
        if st.button(
            "Train this", icon=":material/model_training:", type="primary", key="train_dial",
            help=f"Opens the Train page with these knobs; {EPOCHS} epochs of all training images, as it was measured.",
        ):  # fmt: skip
            open_train_page(BASE, recipe)
        trained = _trained(recipe.architecture)
        if st.button(
            "Look inside", icon=":material/grid_view:", key="look_dial", disabled=trained is None,
            help="No network with these switches has been trained here yet: train it first."
            if trained is None
            else f"Its layers' feature maps: {trained[1]}.",
        ) and trained:  # fmt: skip
            links.go("pages/feature_maps.py", {"net": trained[0]})


def _turn_all(modern: bool) -> None:
    for name in SWITCHES:
        state.set_widget(_key(name), modern)


def _trained(arch: Architecture) -> tuple[str, str] | None:
    """Key and title of a network with the very same layers, bundled or the visitor's own; None if there is none."""
    for network in networks():
        if network.key in PRESETS and preset(network.key).layers == arch.layers:
            return network.key, network.title
    for run in own_runs():
        if run.file("model").exists() and run.plan.recipe.architecture.layers == arch.layers:
            return own_key(run.name), run.name
    return None


def _count(arch: Architecture, modern: list[str]) -> None:
    """The number of parameters, the sum that leads to it, and the ledger with what changed."""
    recipe = recipe_named(BASE)
    before = recipe.architecture.parameters
    changes = {SWITCHES[name].title: turned([name], recipe).architecture.parameters - before for name in modern}
    st.html(markup_history.counter(arch.parameters, before, changes))
    st.html(markup_history.dial_ledger(ledger(arch), ledger(recipe.architecture), arch.parameters))
