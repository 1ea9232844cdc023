"""What every page begins with: its title, the menu, the style sheet."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lenet_core.errors import LenetError
from ui import cache, links, markup, sign_in, state
from ui.components.learner_cookie import learner_cookie
from ui.components.way_back import go_back


@dataclass(frozen=True)
class Room:
    """One page: its file, its name, its title and the line under it; whether it is one of the menu's five doors."""

    page: str
    name: str
    icon: str
    title: str
    lead: str
    in_menu: bool = True


ROOMS = {
    "home": Room(
        "app.py", "Home", ":material/home:", "See how LeNet reads a digit",
        "Choose a digit and follow it through the network, layer by layer. Then draw your own.",
    ),
    "draw": Room(
        "pages/draw.py", "Draw", ":material/draw:", "Draw a digit",
        "Large or small, tidy or not: LeNet reads along while you draw.",
    ),
    "train": Room(
        "pages/train.py", "Train", ":material/model_training:", "Train a network",
        "Choose a recipe, press Train, and watch it learn. Then turn one knob, and compare.",
    ),
    "look": Room(
        "pages/feature_maps.py", "Look inside", ":material/grid_view:", "Look inside",
        "Put digits, cats, cars and noise through the same network: what does each kernel answer to?",
    ),
    "compare": Room(
        "pages/compare.py", "Compare", ":material/stacked_line_chart:", "Compare runs",
        "Lay trainings over each other and over what was published: what did one change do?",
    ),
    "history": Room(
        "pages/history.py", "The 1998 net", ":material/history_edu:", "Turn the 1998 net into a modern one",
        "Five switches lie between LeNet-5 as published and what its name stands for today. Turn them one by one.",
        in_menu=False,
    ),
    "exercises": Room(
        "pages/exercises.py", "Exercises", ":material/checklist:", "Predict, run, compare",
        "The exercises that textbooks set, one by one. Say what you expect before you look.",
        in_menu=False,
    ),
}  # fmt: skip

_STYLE = Path(__file__).parent / "style.css"
_ICON = Path(__file__).parent.parent / "assets" / "icon.png"


def begin(key: str) -> None:
    """Starts the page: the first call of every page script."""
    room = ROOMS[key]
    st.set_page_config(
        page_title=f"{room.title} · LeNet Playground",
        page_icon=str(_ICON),
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    st.html(_STYLE)
    sign_in.ask()
    links.come_back_to(key)
    with st.container(horizontal=True, vertical_alignment="center", key="menu"):
        for other in filter(lambda one: one.in_menu, ROOMS.values()):
            st.page_link(other.page, label=other.name, icon=other.icon)
        if key != "exercises" and state.has_left("exercises"):
            st.page_link(ROOMS["exercises"].page, label="Back to the exercise", icon=ROOMS["exercises"].icon)
        if state.signed_in():  # no cookie: an address would stay in the browser
            go_back(front=key == "home")  # takes no room here, nor does the cookie
            sign_in.sign_out()
        else:
            learner_cookie(state.learner())
    with suppress(LenetError):  # the cluster is away: the Train page says so
        cache.engine()  # whichever page is opened first, unfinished trainings go on
    st.title(room.title, anchor=False)
    st.html(markup.lead(room.lead))
