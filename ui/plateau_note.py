"""Beside the chart of a training: why it stands still at chance or stood so, and the button that ends it."""

from __future__ import annotations

import streamlit as st

from lenet_core.errors import LenetError
from lenet_core.history import History
from lenet_core.knobs import KNOBS, settings
from lenet_core.plateau import Explanation, explain
from lenet_core.recipes import RECIPES, Recipe
from lenet_core.runs import Plan
from ui import cache, links, markup, markup_plateau, state


def explain_plateau(plan: Plan, history: History) -> None:
    """The explanation where the run stands or stood at chance; nothing for an ordinary one."""
    found = explain(history, plan.recipe)
    if found is None:
        return
    st.html(markup_plateau.note(found))
    if found.recipe is None or plan.base not in RECIPES:
        return
    # The training is begun by a callback: a run that ends at this moment makes the page anew before a button is asked.
    pressed = st.button(
        _label(found), icon=":material/play_arrow:", key="end_plateau", on_click=_train, args=(plan, found.recipe),
        help="Turns this alone, leaves the rest as it was, and trains anew. Both curves stand in the chart.",
    )  # fmt: skip
    if pressed:
        st.rerun()  # the whole page


def _train(plan: Plan, recipe: Recipe) -> None:
    """Trains the recipe that ends the plateau and turns the page, knobs and all, to it."""
    state.choose_anew(plan.base, settings(recipe))
    try:
        runs = cache.engine().submit([Plan(recipe, base=plan.base, device=plan.device, learner=state.learner())])
    except (LenetError, ValueError) as error:
        st.toast(markup.literal(str(error)), icon=":material/error:", duration="long")
        return
    links.remember("run", runs[0].name)
    links.remember("sweep", "")


def _label(found: Explanation) -> str:
    """The button's words: ReLU is the one activation that is ever named, all other knobs have numbers."""
    words = [
        "ReLU" if text == "relu" else f"{KNOBS[name].label.lower()} {text}" for name, text in found.changes.items()
    ]
    return f"Train it with {' and '.join(words)}"
