"""Leads back to the link that a visitor came by, whom the sign-in has put on the front page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_way = st.components.v2.component(
    "way_back",
    html="<span hidden></span>",
    js=(Path(__file__).parent / "way_back.js").read_text(),
)


def keep_address() -> None:
    """The browser's tab keeps the present address, until somebody has signed in."""
    _way(data={"signed_in": False}, key="way_back", width="content", height=1)


def go_back(front: bool) -> None:
    """Opens the kept address on the front page, where a sign-in ends; on any other page it is forgotten."""
    _way(data={"signed_in": True, "front": front}, key="way_back", width="content", height=1)
