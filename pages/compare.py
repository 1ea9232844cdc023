"""Lay trainings over each other and over what was published: what did one change do?"""

from __future__ import annotations

import streamlit as st

from ui import compared_beside, compared_runs, comparing, layout, links, markup

layout.begin("compare")
own = compared_runs.offered()
if own or links.asked("runs"):
    with st.container(key="compare_room"):  # on a phone the style sheet puts the charts before the choices
        choices, charts, below = st.container(key="compare_choices"), st.container(), st.container()
    with choices:
        chosen = comparing.choose(own)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            view = comparing.look()
            comparing.choose_set(own)
    if chosen:
        with charts:
            comparing.curves(chosen, view)
        with below:
            compared_beside.beside(chosen)
            comparing.recipe(chosen)
    else:
        with charts:
            st.html(markup.empty("Nothing chosen", "Choose one run or more above to see their curves."))
else:
    comparing.nothing_yet()
