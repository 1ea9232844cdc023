"""A hand at a real page: strokes at a person's speed, and what leaves the browser meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from playwright.sync_api import Page, expect

from lenet_core.strokes import Stroke
from tests.pens import CANVAS

MOVES = 60  # a second, of a mouse
_LATEST = 10  # seconds after the pen is lifted, in which the page should have said so; the canvas waits 0.2


@dataclass(frozen=True)
class Sent:
    """How many messages and requests left the browser while a stroke was drawn, and after the pen was lifted."""

    during: int
    after: int


class Hand:
    """Draws on the canvas of a page that is not yet opened, and counts what the page sends to the server."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._count = 0
        page.on("websocket", lambda socket: socket.on("framesent", lambda _: self._sent()))
        page.on("request", lambda request: None if request.url.startswith(("blob:", "data:")) else self._sent())

    def open(self, url: str, query: str = "") -> None:
        """Goes straight to the Draw page of the app at `url`, and waits until it is at rest."""
        self.page.goto(f"{url}/draw{query}")
        self.page.locator("canvas.upper-canvas").wait_for()
        self.rest()

    def clear(self) -> None:
        """Empties the canvas."""
        button = self.page.get_by_role("button", name="Clear")
        button.click()
        expect(button).to_be_disabled()
        self.rest()

    def rest(self) -> None:
        """Waits until nothing is under way between the page and the server."""
        app = self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
        self.page.wait_for_timeout(300)
        app.wait_for()
        self.page.wait_for_timeout(700)
        app.wait_for()

    def stroke(self, stroke: Stroke, seconds: float = 1.0) -> Sent:
        """Draws a stroke given on a 280 x 280 field in so many seconds, and waits for what follows it."""
        box = self.page.locator("canvas.upper-canvas").bounding_box()
        assert box is not None
        scale = box["width"] / CANVAS
        points = [
            (box["x"] + x * scale, box["y"] + y * scale) for x, y in evenly(stroke, max(2, round(seconds * MOVES)))
        ]
        before = self._count
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        start = time.perf_counter()
        for number, point in enumerate(points[1:], 1):
            self.page.mouse.move(*point)
            early = start + seconds * number / (len(points) - 1) - time.perf_counter()
            self.page.wait_for_timeout(max(0, early * 1000))
        during = self._count - before
        self.page.mouse.up()
        deadline = time.monotonic() + _LATEST
        while self._count == before + during and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        self.rest()
        return Sent(during, self._count - before - during)

    def _sent(self) -> None:
        self._count += 1


def evenly(stroke: Stroke, count: int) -> list[tuple[float, float]]:
    """`count` points (2 or more) along a stroke, equally far apart."""
    far = [0.0]
    for a, b in pairwise(stroke):
        far.append(far[-1] + math.dist(a, b))
    points, part = [], 0
    for number in range(count):
        wanted = far[-1] * number / (count - 1)
        while part < len(stroke) - 2 and far[part + 1] < wanted:
            part += 1
        points.append(_between(stroke, far, part, wanted))
    return points


def _between(stroke: Stroke, far: Sequence[float], part: int, wanted: float) -> tuple[float, float]:
    """The point `wanted` along a stroke, which lies on its line number `part`."""
    a, b = stroke[part], stroke[min(part + 1, len(stroke) - 1)]
    length = math.dist(a, b)
    share = (wanted - far[part]) / length if length else 0.0
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
