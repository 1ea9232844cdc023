"""Lets a browser keep who its learner is, so that a reload or a second tab finds their runs."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

NAME = "lenet_learner"

_cookie = st.components.v2.component(
    "learner_cookie",
    html="<span hidden></span>",
    js=(Path(__file__).parent / "learner_cookie.js").read_text(),
)


def learner_cookie(learner: str) -> None:
    """Sets the cookie, unless the browser has one that `state.learner` would take."""
    _cookie(data={"name": NAME, "learner": learner}, key="learner_cookie", height=1)
