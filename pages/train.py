"""Choose a network, train it, watch it learn, keep what it learned."""

from __future__ import annotations

import streamlit as st

from ui import choosing, layout, learned, run_list, uploads, watching

layout.begin("train")
with st.container(key="train_room"):  # the style sheet lays these three out, on a phone one below the other
    place, right, knobs = st.container(), st.container(), st.container()
choosing.choose(place, knobs)
with right:
    watching.watch()
    learned.inside()
run_list.earlier_runs()
uploads.bring_back()
