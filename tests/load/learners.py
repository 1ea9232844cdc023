"""Learners without a browser: they speak to the app as Streamlit's own page does, so that many fit into one process.

For a server on this machine only; `lessons.py` has what many of them do together.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from lenet_core.strokes import Stroke, Strokes

LONGEST_RERUN = 60.0  # seconds, after which a rerun counts as lost
_HERE = ("127.0.0.1", "localhost", "::1")
_CANVAS = "streamlit_drawable_canvas"  # ends the name of the component
_WIDGETS = ("button", "checkbox", "button_group", "selectbox")  # that a learner knows how to use
_Result = TypeVar("_Result")
_DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class LearnerError(Exception):
    """The app did not do for a learner what it does for a browser."""


@dataclass(frozen=True)
class Rerun:
    """What one rerun took: seconds from the message that asks for it to the last one that it sends, and their bytes."""

    seconds: float
    received: int


class Learner:
    """A visitor's session on the server at `url`. After each rerun `shown` is the HTML that it sent, all in one text.

    `clocks` are the parts of the page that a browser asks for again and again, each with the seconds in between; here
    they are asked for by `tick` alone.

    Raises:
        ValueError: the server is not on this machine.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname not in _HERE:
            raise ValueError(f"{url}: learners are for a server of one's own, on {' or '.join(_HERE)}.")
        self.url = url
        self.shown = ""
        self.clocks: dict[str, float] = {}
        self.answered = 0  # reruns that came to their end
        self._socket: ClientConnection | None = None
        self._pages: dict[str, str] = {}  # a page's name in the address, and what Streamlit calls it
        self._page = self._query = self._canvas = self._fragment = ""
        self._sent: dict[str, WidgetState] = {}  # what each widget sent last
        self._widgets: dict[str, tuple[str, Any, str]] = {}  # by label: kind, what it was made from, fragment

    @property
    def query(self) -> str:
        """What stands in the page's address behind the question mark."""
        return self._query

    async def open(self, page: str = "draw", query: str = "") -> Rerun:
        """Goes straight to a page, as a link does; the answer to the first message is the whole page."""
        self._query = query
        address = f"ws://{urlsplit(self.url).netloc}/_stcore/stream"
        self._socket = await connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, proxy=None)
        answer = await self._rerun(page_name=page)
        self._page = self._pages[page]  # by a link the session begins as that of the first page
        return answer

    async def turn_to(self, page: str) -> Rerun:
        """Goes to another page by the menu, within the session.

        Raises:
            LearnerError: the menu has no such page.
        """
        if page not in self._pages:
            raise LearnerError(f"The menu has no page {page!r}, but {', '.join(self._pages) or 'none'}.")
        self._page, self._query, self._canvas = self._pages[page], "", ""
        self._sent.clear()  # a page's widgets go with it
        self._widgets.clear()
        return await self._rerun(page_script_hash=self._page)

    async def draw(self, strokes: Strokes) -> Rerun:
        """Lifts the pen: `strokes`, in canvas pixels, are now on the canvas.

        Raises:
            LearnerError: the page has no canvas.
        """
        if not self._canvas:
            raise LearnerError("There is no canvas on this page: open the Draw page first.")
        drawing = json.dumps(_drawing(strokes), separators=(",", ":"))
        self._sent[self._canvas] = WidgetState(id=self._canvas, json_value=drawing)
        return await self._rerun(page_script_hash=self._page, fragment_id=self._fragment)

    async def use(self, label: str, option: str = "") -> Rerun:
        """Uses a widget: presses a button, turns a switch over, or chooses `option` of several.

        Raises:
            LearnerError: the page has no such widget.
        """
        if label not in self._widgets:
            raise LearnerError(f"There is no {label!r} on this page, but {', '.join(self._widgets) or 'nothing'}.")
        kind, widget, fragment = self._widgets[label]
        state = WidgetState(id=widget.id)
        match kind:
            case "button":
                state.trigger_value = True
                return await self._rerun(state, page_script_hash=self._page, fragment_id=fragment)
            case "checkbox":
                was = self._sent[widget.id].bool_value if widget.id in self._sent else widget.default
                state.bool_value = not was
            case "button_group":
                state.string_array_value.data.append(option)
            case "selectbox":
                state.string_value = option
        self._sent[widget.id] = state
        return await self._rerun(page_script_hash=self._page, fragment_id=fragment)

    async def tick(self, clock: str) -> Rerun:
        """Asks for one of the `clocks`' parts of the page, as a browser does when its time has come."""
        return await self._rerun(page_script_hash=self._page, fragment_id=clock, is_auto_rerun=True)

    async def close(self) -> None:
        """Closes the page; the server forgets the session some time later."""
        if self._socket is not None:
            await self._socket.close()

    async def _rerun(self, pressed: WidgetState | None = None, **asked: str | bool) -> Rerun:
        if self._socket is None:
            raise LearnerError("The page is not open.")
        message = BackMsg()
        for name, value in asked.items():
            setattr(message.rerun_script, name, value)
        message.rerun_script.query_string = self._query
        message.rerun_script.widget_states.widgets.extend([*self._sent.values(), *([pressed] if pressed else [])])
        start = time.perf_counter()
        try:
            async with asyncio.timeout(LONGEST_RERUN):
                await self._socket.send(message.SerializeToString())
                received = await self._until_done(self._socket)
        except TimeoutError as error:
            raise LearnerError(f"A rerun did not end within {LONGEST_RERUN:g} seconds.") from error
        self.answered += 1
        return Rerun(time.perf_counter() - start, received)

    async def _until_done(self, socket: ClientConnection) -> int:
        """Reads what a rerun sends, and returns how many bytes it was."""
        received, html = 0, []
        clocks: dict[str, float] = {}
        async for data in socket:
            assert isinstance(data, bytes)
            received += len(data)
            message = ForwardMsg.FromString(data)
            match message.WhichOneof("type"):
                case "new_session":
                    self._page = message.new_session.page_script_hash
                    clocks = {}
                case "auto_rerun":
                    clocks[message.auto_rerun.fragment_id] = message.auto_rerun.interval
                case "stop_auto_rerun":
                    for gone in message.stop_auto_rerun.fragment_ids:
                        self.clocks.pop(gone, None)
                case "navigation":
                    self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
                case "page_info_changed":
                    self._query = message.page_info_changed.query_string
                case "delta":
                    html.append(self._look_at(message.delta))
                case "script_finished" if message.script_finished in _DONE:
                    whole = message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                    self.clocks = clocks if whole else self.clocks | clocks
                    self.shown = "\n".join(html)
                    return received
                case "script_finished" if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    raise LearnerError("The page's script does not compile.")
        raise LearnerError("The server closed the connection.")

    def _look_at(self, delta: Any) -> str:
        """Finds the canvas in a part of the page; returns the part's HTML."""
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            raise LearnerError(f"The page shows {element.exception.type}: {element.exception.message}")
        if kind == "bidi_component" and element.bidi_component.component_name.endswith(_CANVAS):
            self._canvas, self._fragment = element.bidi_component.id, delta.fragment_id
        if kind in _WIDGETS:
            widget = getattr(element, kind)
            self._widgets[widget.label] = (kind, widget, delta.fragment_id)
        return str(element.html.body) if kind == "html" else ""


# What the canvas writes beside each path.
_FABRIC = {
    **dict.fromkeys(("lockMovementX", "lockMovementY", "lockRotation", "lockScalingX", "lockScalingY"), False),
    **dict.fromkeys(("lockSkewingX", "lockSkewingY", "lockScalingFlip"), False),
    **{"type": "Path", "version": "7.4.0", "originX": "center", "originY": "center", "fill": None},
    **{"stroke": "#ffffff", "strokeWidth": 22, "strokeDashArray": None, "strokeLineCap": "round"},
    **{"strokeDashOffset": 0, "strokeLineJoin": "round", "strokeUniform": False, "strokeMiterLimit": 10},
    **{"scaleX": 1, "scaleY": 1, "angle": 0, "flipX": False, "flipY": False, "opacity": 1, "shadow": None},
    **{"visible": True, "backgroundColor": "", "fillRule": "nonzero", "paintFirst": "fill"},
    **{"globalCompositeOperation": "source-over", "skewX": 0, "skewY": 0},
}


def _drawing(strokes: Strokes) -> dict[str, Any]:
    """A drawing as the canvas sends it: each stroke a curve through the middles between its points."""
    objects = [{**_FABRIC, "path": _path(stroke)} for stroke in strokes]
    return {"drawing": {"raw": {"version": "7.4.0", "objects": objects, "background": "#000000"}, "data": None}}


def _path(stroke: Stroke) -> list[list[Any]]:
    curves = [["Q", *a, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2] for a, b in pairwise(stroke)]
    return [["M", *stroke[0]], *curves, ["L", *stroke[-1]]]


def alone(doing: Coroutine[Any, Any, _Result]) -> _Result:
    """Does it to its end in a thread of its own, since a browser that Playwright drives takes the caller's loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, doing).result()
