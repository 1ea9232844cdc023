"""The only file that touches `st.session_state`: what one visitor's session remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from lenet_core.strokes import Strokes

_MAX_STEPS = 100


@dataclass
class Drawing:
    """The visitor's drawing and its history.

    `loaded` are the strokes that the canvas was last told to show, `version` counts how often it was
    told. `received` is what the canvas sent last, so that an old message is not taken for a new stroke.
    """

    history: list[Strokes] = field(default_factory=lambda: [[]])
    position: int = 0
    loaded: Strokes = field(default_factory=list)
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
        self.loaded = self.strokes
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


def take_choice(key: str) -> str | None:
    """What was chosen in the widget of that key, which is then free to be chosen again."""
    choice: str | None = st.session_state.get(key)
    st.session_state[key] = None
    return choice
