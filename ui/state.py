"""The only file that touches `st.session_state`: what one visitor's session remembers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from lenet_core.strokes import Strokes
from ui.components.learner_cookie import NAME as LEARNER_COOKIE

_MAX_STEPS = 100
_MAX_LOADS = 20  # messages that can still be under way


@dataclass
class Drawing:
    """The visitor's drawing and its history.

    `loads` are the strokes that the canvas was told to show, the latest last, and `version` counts how
    often it was told: it answers each with a message that is no new stroke. `received` is what it sent
    last, so that an old message is not taken for a new one. `placed` are the digits whose buttons were
    pressed since the page was last made, the latest first.
    """

    history: list[Strokes] = field(default_factory=lambda: [[]])
    position: int = 0
    loads: list[Strokes] = field(default_factory=lambda: [[]])
    version: int = 0
    received: object = None
    placed: list[str] = field(default_factory=list)

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


@dataclass
class Choice:
    """What the visitor is choosing on the Train page: `start` are the knobs as they first stood.

    `version` counts how often all knobs were set anew; the widgets' keys bear it, so that they follow.
    """

    base: str
    start: dict[str, str]
    problems: list[str] = field(default_factory=list)
    version: int = 0

    def reset(self, base: str, settings: dict[str, str]) -> None:
        """Sets all knobs anew, from the recipe `base`."""
        self.base, self.start, self.problems = base, settings, []
        self.version += 1


def choice(first: Callable[[], Choice]) -> Choice:
    """The session's choice; a new session begins with `first`'s."""
    if "choice" not in st.session_state:
        st.session_state["choice"] = first()
    kept: Choice = st.session_state["choice"]
    return kept


def choose_anew(base: str, settings: dict[str, str]) -> None:
    """Sets all knobs of the Train page anew, whatever the session had chosen there."""
    choice(lambda: Choice(base, settings)).reset(base, settings)


def keep_choice(kept: Choice, settings: dict[str, str]) -> None:
    """Remembers how the knobs stand, for when the page is left: its widgets forget."""
    st.session_state["knobs"] = (kept.version, settings)


def kept_settings(kept: Choice) -> dict[str, str]:
    """How the knobs stood when the page was left, or as they first stood."""
    version, settings = st.session_state.get("knobs", (None, {}))
    return settings if version == kept.version else kept.start


def histories() -> dict[str, Any]:
    """The runs' histories that this session has read, by the run's name."""
    found: dict[str, Any] = st.session_state.setdefault("histories", {})
    return found


def last_watched() -> str:
    """The name of the run that the visitor watched last; empty before the first."""
    return str(st.session_state.get("watched", ""))


def keep_watched(name: str) -> None:
    """Remembers the run that the visitor watches, for when the page is left."""
    st.session_state["watched"] = name


@dataclass
class Bench:
    """What the Look inside page remembers of a session.

    `link` is what its address held last, for when the page is left and come back to; `notices` what is to be
    said of the pictures that were uploaded last; `uploads` counts the uploads, so that the uploader is emptied.
    """

    link: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    uploads: int = 0


def bench() -> Bench:
    """The session's bench."""
    if "bench" not in st.session_state:
        st.session_state["bench"] = Bench()
    kept: Bench = st.session_state["bench"]
    return kept


def last_drawing() -> Strokes:
    """The strokes on the visitor's canvas; empty if there are none."""
    kept: Drawing | None = st.session_state.get("drawing")
    return kept.strokes if kept else []


def signed_in() -> bool:
    """Whether the visitor has signed in, where the server asks for that."""
    return bool(st.user.get("is_logged_in"))


def learner() -> str:
    """Who is learning: their sign-in where the server asks for one, else what their browser keeps, else new."""
    if signed_in():
        # Some providers give no address; what they call their own user is as lasting.
        who = str(st.user.get("email") or "").lower() or f"{st.user.get('iss')} {st.user.get('sub')}"
        short = len(who) <= 200  # the most that a plan can bear
        return who if short else hashlib.sha256(who.encode(errors="surrogatepass")).hexdigest()
    if "learner" not in st.session_state:
        kept = str(st.context.cookies.get(LEARNER_COOKIE, ""))
        known = 16 <= len(kept) <= 64 and kept.isascii() and kept.isalnum()
        st.session_state["learner"] = kept if known else secrets.token_hex(16)
    return str(st.session_state["learner"])


def widget(key: str) -> Any:
    """What the widget of that key holds; None before it is shown."""
    return st.session_state.get(key)


def tries(key: str) -> int:
    """How often the visitor has asked for another try of that key."""
    return int(st.session_state.get(f"tries.{key}", 0))


def try_again(key: str) -> None:
    """Counts one more try of that key."""
    st.session_state[f"tries.{key}"] = tries(key) + 1


def set_widget(key: str, value: Any) -> None:
    """Sets what the widget of that key holds; for callbacks, which run before the page is made anew."""
    st.session_state[key] = value


@dataclass
class Tables:
    """What the history page remembers of a session: C3's tables `before` the present one, the latest last, as text.

    `refused` is why the last click did nothing; empty if it did something.
    """

    before: list[str] = field(default_factory=list)
    refused: str = ""

    def step(self, left: str) -> None:
        """Remembers the table that is left for another."""
        self.before = [*self.before[1 - _MAX_STEPS :], left]
        self.refused = ""


def tables() -> Tables:
    """The session's tables."""
    if "tables" not in st.session_state:
        st.session_state["tables"] = Tables()
    kept: Tables = st.session_state["tables"]
    return kept


def leave(own: dict[str, str], sent: dict[str, str]) -> None:
    """Remembers the address of the room that is left, and what the next one is sent."""
    st.session_state.setdefault("left", {})[st.session_state.get("room", "")] = (own, sent)


def has_left(room: str) -> bool:
    """Whether one of a room's buttons led elsewhere, and its visitor has not been back."""
    return room in st.session_state.get("left", {})


def enter(room: str) -> tuple[dict[str, str], dict[str, str]]:
    """What `leave` remembered of a room when it was left for another, once; empty where it was not."""
    entered = st.session_state.get("room") != room
    st.session_state["room"] = room
    if not entered:
        return {}, {}
    found: tuple[dict[str, str], dict[str, str]] = st.session_state.setdefault("left", {}).pop(room, ({}, {}))
    return found


@dataclass
class Parcels:
    """The networks' weights on their way to this session's browser, each network as `key@version`.

    `sent` are those that were sent, `wanted` those that the browser asked for; `turn` counts the messages, so that
    the browser asks once for each that lacks a network.
    """

    sent: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    turn: int = 0


def parcels() -> Parcels:
    """The session's parcels."""
    if "parcels" not in st.session_state:
        st.session_state["parcels"] = Parcels()
    kept: Parcels = st.session_state["parcels"]
    return kept
