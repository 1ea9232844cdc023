"""The only file that touches `st.session_state`: what one visitor's session remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from lenet_core.strokes import Strokes

_MAX_STEPS = 100
_MAX_LOADS = 20  # messages that can still be under way


@dataclass
class Drawing:
    """The visitor's drawing and its history.

    `loads` are the strokes that the canvas was told to show, the latest last, and `version` counts how
    often it was told: it answers each with a message that is no new stroke. `received` is what it sent
    last, so that an old message is not taken for a new one.
    """

    history: list[Strokes] = field(default_factory=lambda: [[]])
    position: int = 0
    loads: list[Strokes] = field(default_factory=lambda: [[]])
    version: int = 0
    received: object = None

    @property
    def strokes(self) -> Strokes:
        """The strokes as they stand."""
        return self.history[self.position]

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self.position > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return self.position < len(self.history) - 1

    def add(self, strokes: Strokes) -> None:
        """Makes `strokes` the present step, and forgets what had been taken back."""
        self.history[self.position + 1 :] = [strokes]
        del self.history[:-_MAX_STEPS]
        self.position = len(self.history) - 1

    def load(self) -> None:
        """Tells the canvas to show the present step."""
        self.loads = [*self.loads[-_MAX_LOADS:], self.strokes]
        self.version += 1

    def replace(self, strokes: Strokes) -> None:
        """Puts `strokes` on the canvas as a new step."""
        self.add(strokes)
        self.load()

    def move(self, steps: int) -> None:
        """Goes back (-1) or forward (+1) in the history, as far as it reaches."""
        self.position = min(max(self.position + steps, 0), len(self.history) - 1)
        self.load()


def drawing(first: Strokes, canvas_key: str) -> Drawing:
    """The session's drawing, told to load when the canvas is new on the page.

    A new session starts with the strokes of `first`, which can be undone.
    """
    if "drawing" not in st.session_state:
        st.session_state["drawing"] = Drawing()
        if first:
            st.session_state["drawing"].add(first)
    kept: Drawing = st.session_state["drawing"]
    if canvas_key not in st.session_state:  # Streamlit drops a widget's state when its page is left
        kept.received = None
        kept.load()
    return kept


def sent_by(canvas_key: str) -> Mapping[str, Any]:
    """The drawing that the canvas of that key sent last, in its own form; empty before it sends one."""
    component: Mapping[str, Any] = st.session_state.get(canvas_key) or {}
    return (component.get("drawing") or {}).get("raw") or {}
