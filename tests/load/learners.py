"""Learners without a browser: they speak to the app as Streamlit's own page does, so that many fit into one process.

For a server on this machine only, and for a bounded number of learners and seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from lenet_core.strokes import Stroke, Strokes

MOST_LEARNERS = 200
MOST_SECONDS = 600.0
LONGEST_RERUN = 60.0  # seconds, after which a rerun counts as lost
_HERE = ("127.0.0.1", "localhost", "::1")
_CANVAS = "streamlit_drawable_canvas"  # ends the name of the component
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

    What a page does on a clock of its own (a chart of a running training) is not asked for.

    Raises:
        ValueError: the server is not on this machine.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname not in _HERE:
            raise ValueError(f"{url}: learners are for a server of one's own, on {' or '.join(_HERE)}.")
        self.url = url
        self.shown = ""
        self._socket: ClientConnection | None = None
        self._pages: dict[str, str] = {}  # a page's name in the address, and what Streamlit calls it
        self._page = self._query = self._canvas = self._fragment = ""
        self._sent: dict[str, str] = {}  # what each widget sent last, as JSON

    async def open(self, page: str = "draw") -> Rerun:
        """Goes straight to a page, as a link does; the answer to the first message is the whole page."""
        address = f"ws://{urlsplit(self.url).netloc}/_stcore/stream"
        self._socket = await connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, proxy=None)
        return await self._rerun(page_name=page)

    async def turn_to(self, page: str) -> Rerun:
        """Goes to another page by the menu, within the session.

        Raises:
            LearnerError: the menu has no such page.
        """
        if page not in self._pages:
            raise LearnerError(f"The menu has no page {page!r}, but {', '.join(self._pages) or 'none'}.")
        self._page, self._query, self._canvas = self._pages[page], "", ""
        self._sent.clear()  # a page's widgets go with it
        return await self._rerun(page_script_hash=self._page)

    async def draw(self, strokes: Strokes) -> Rerun:
        """Lifts the pen: `strokes`, in canvas pixels, are now on the canvas.

        Raises:
            LearnerError: the page has no canvas.
        """
        if not self._canvas:
            raise LearnerError("There is no canvas on this page: open the Draw page first.")
        self._sent[self._canvas] = json.dumps(_drawing(strokes), separators=(",", ":"))
        return await self._rerun(page_script_hash=self._page, fragment_id=self._fragment)

    async def close(self) -> None:
        """Closes the page; the server forgets the session some time later."""
        if self._socket is not None:
            await self._socket.close()

    async def _rerun(self, **asked: str) -> Rerun:
        if self._socket is None:
            raise LearnerError("The page is not open.")
        message = BackMsg()
        for name, value in asked.items():
            setattr(message.rerun_script, name, value)
        message.rerun_script.query_string = self._query
        for widget, value in self._sent.items():
            message.rerun_script.widget_states.widgets.add(id=widget, json_value=value)
        start = time.perf_counter()
        try:
            async with asyncio.timeout(LONGEST_RERUN):
                await self._socket.send(message.SerializeToString())
                received = await self._until_done(self._socket)
        except TimeoutError as error:
            raise LearnerError(f"A rerun did not end within {LONGEST_RERUN:g} seconds.") from error
        return Rerun(time.perf_counter() - start, received)

    async def _until_done(self, socket: ClientConnection) -> int:
        """Reads what a rerun sends, and returns how many bytes it was."""
        received, html = 0, []
        async for data in socket:
            assert isinstance(data, bytes)
            received += len(data)
            message = ForwardMsg.FromString(data)
            match message.WhichOneof("type"):
                case "new_session":
                    self._page = message.new_session.page_script_hash
                case "navigation":
                    self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
                case "page_info_changed":
                    self._query = message.page_info_changed.query_string
                case "delta":
                    html.append(self._look_at(message.delta))
                case "script_finished" if message.script_finished in _DONE:
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


@dataclass(frozen=True)
class Habits:
    """How learners draw: one stroke of `stroke` seconds, then `pause` seconds of thinking, a third more or less."""

    stroke: float = 1.0
    pause: float = 7.0


@dataclass
class Lesson:
    """What learners met with: the reruns at their pen-ups, those of opening the page, and what went wrong."""

    pen_ups: list[Rerun] = field(default_factory=list)
    opened: list[Rerun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def lesson(
    url: str,
    learners: int,
    seconds: float,
    digits: Sequence[Strokes],
    habits: Habits = Habits(),
    all_there: Callable[[], None] = lambda: None,
) -> Lesson:
    """So many learners open the Draw page, one after the other, and then draw for so long, each at a time of their own.

    Each draws one of `digits` (in canvas pixels) stroke by stroke, then another in its place. `all_there` is called
    once all pages are open. A learner who meets with an error goes home.

    Raises:
        ValueError: the server is not on this machine, or learners or seconds are out of bounds.
    """
    if not 1 <= learners <= MOST_LEARNERS:
        raise ValueError(f"{learners} learners: give 1 to {MOST_LEARNERS}.")
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"{seconds:g} seconds: give more than 0 and at most {MOST_SECONDS:g}.")
    met = Lesson()
    everyone = [Learner(url) for _ in range(learners)]
    try:
        for learner in everyone:
            await _noting(met, _opens(learner, met))
        all_there()
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number, learner in enumerate(everyone):
                chance = random.Random(number)
                group.create_task(_noting(met, _draws(learner, met, digits, habits, end, chance)))
    finally:
        for learner in everyone:
            await learner.close()
    return met


async def _opens(learner: Learner, met: Lesson) -> None:
    met.opened.append(await learner.open("draw"))


async def _draws(
    learner: Learner, met: Lesson, digits: Sequence[Strokes], habits: Habits, end: float, chance: random.Random
) -> None:
    await asyncio.sleep(chance.uniform(0, habits.stroke + habits.pause))  # nobody begins at the same moment
    while True:
        digit = chance.choice(digits)
        for count in range(1, len(digit) + 1):
            if time.monotonic() + habits.stroke > end:
                return
            await asyncio.sleep(habits.stroke)  # nothing is sent while the pen is down
            met.pen_ups.append(await learner.draw(digit[:count]))
            if f'data-strokes="{count}"' not in learner.shown:
                raise LearnerError(f"The page does not answer to {count} strokes.")
            await asyncio.sleep(habits.pause * chance.uniform(2 / 3, 4 / 3))


async def _noting(met: Lesson, doing: Coroutine[Any, Any, None]) -> None:
    """Does something, and notes what the app or the connection did wrong."""
    try:
        await doing
    except (LearnerError, OSError, WebSocketException) as error:
        met.errors.append(f"{type(error).__name__}: {error}")
