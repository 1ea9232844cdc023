"""Gives the drawing canvas a name for screen readers, and hides the toolbar that ours replaces."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_dress = st.components.v2.component(
    "canvas_dress",
    html="<span hidden></span>",
    js=(Path(__file__).parent / "canvas_dress.js").read_text(),
)


def canvas_dress(label: str) -> None:
    """Names the page's drawing canvas `label`."""
    _dress(data={"label": label}, key="canvas_dress", height=1)
