"""A lesson in a full classroom: learners who draw and turn pages, two trainings, a few real pages in Chromium; and what
all that costs the machine."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, expect, sync_playwright

from lenet_core.leases import holder
from lenet_core.runs import Run
from lenet_core.strokes import Stroke, Strokes
from tests.conftest import CHROMIUM_FLAGS, Server, chromium_path, serve
from tests.e2e.conftest import DrawPage, TrainPage, WatchedPage
from tests.e2e.hands import MOVES, Hand, evenly
from tests.load.learners import Learner
from tests.load.lessons import ELSEWHERE, Habits, Lesson, lesson, start_training
from tests.load.processes import cpu_seconds, niceness, parent, resident
from tests.pens import CANVAS
from ui.layout import ROOMS

HABITS = Habits(turns=0.25)
TRAININGS = 2
REAL = {"recipe": "lenet-modern", "epochs": "10000"}  # on the whole of MNIST, for longer than any lesson
_CANVAS_ON_PAGE = 336  # pixels: `SIZE` of ui/canvas.py, which only Streamlit can import
_SHORTEST = 8.0  # seconds of the lesson with real pages
_PATIENCE = 60_000  # milliseconds that a page in Chromium may take
_MODEST = 10  # Chromium's niceness: learners' browsers run on machines of their own and take nothing from the server


@dataclass(frozen=True)
class Trained:
    """What one training did during the lesson: `steps` are 0 unless one process of the server's did it throughout.

    `nice` is by how much more than the server it gives way to others.
    """

    steps: int
    cpu: float
    nice: int


@dataclass(frozen=True)
class Measured:
    """What was met with in a lesson of so many seconds, and what it cost.

    `server` and `load` are the CPU seconds of the server's own process and of the learners without a browser; `memory`
    is what the server holds for each session, MB. `beside` is what the learners met with in a second, shorter lesson,
    while Chromium worked on the same processors, and `did` counts the strokes and the pages turned there. All errors
    stand in `met`.
    """

    met: Lesson
    seconds: float
    trained: list[Trained]
    server: float
    load: float
    memory: float
    beside: Lesson
    did: int

    @property
    def server_a_rerun(self) -> float:
        """The server's CPU seconds for each rerun."""
        return self.server / max(1, len(self.met.asked) + len(self.met.ticks))


@dataclass(frozen=True)
class School(Server):
    """The app with room for the trainings, and its process."""

    process: int


@contextmanager
def school(data: Path, log: Path) -> Iterator[School]:
    """Opens it on this data folder."""
    process, url = serve(data, log, settings={"LENET_WORKERS": str(TRAININGS)})
    try:
        yield School(url, data, log, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def hold(
    place: School,
    learners: int,
    seconds: float,
    digits: Sequence[Strokes],
    recipe: Mapping[str, str] = REAL,
    habits: Habits = HABITS,
) -> Measured:
    """Holds a lesson, and says what was met with and what it cost.

    Two learners more open the Train page, press Train and watch; then the others come. When they are gone, real pages
    are opened, and the others come once more: a browser takes half of a processor that is its user's own elsewhere.
    `digits` are on the field of the pen digits, `recipe` are the trainings' knobs, as in the Train page's address.

    Raises:
        ValueError: learners or seconds are out of bounds.
        LearnerError: a training does not begin.
    """
    with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as hand:  # of a browser one thread alone may ask things
        return thread.submit(asyncio.run, _held(place, learners, seconds, digits, recipe, habits, hand)).result()


async def _held(
    place: School,
    learners: int,
    seconds: float,
    digits: Sequence[Strokes],
    recipe: Mapping[str, str],
    habits: Habits,
    hand: ThreadPoolExecutor,
) -> Measured:
    await _warm_up(place.url, [on_canvas(stroke, habits.stroke) for stroke in digits[0]])
    loop, chromium = asyncio.get_running_loop(), Chromium(place.url)
    watchers: list[Learner] = []
    before = resident(place.process)
    try:
        for number in range(TRAININGS):
            watchers.append(await start_training(place.url, {**recipe, "seed": str(number)}))
        runs = [Run(path.parent) for path in sorted((place.data / "runs").glob("*/recipe.json"))]
        begun: list[_Count] = []
        drawn = [[on_canvas(stroke, habits.stroke) for stroke in digit] for digit in digits]

        def begins() -> None:
            begun.append(_count(place.process, runs))

        met = await lesson(place.url, learners, seconds, drawn, habits, begins, watchers)
        ended = _count(place.process, runs)
        trained = list(_trained(place.process, begun[0], ended))
        memory = resident(place.process) - before

        await loop.run_in_executor(hand, chromium.open, runs[0].name)
        shorter = max(_SHORTEST, seconds / 3)
        drawing: list[asyncio.Future[None]] = []

        def draws() -> None:
            drawing.append(loop.run_in_executor(hand, chromium.work, digits, habits.pause, time.monotonic() + shorter))

        beside = await lesson(place.url, learners, shorter, drawn, habits, draws, watchers)
        await asyncio.gather(*drawing)
    finally:
        for watcher in watchers:
            await watcher.close()
        await loop.run_in_executor(hand, chromium.close)
    met.errors += beside.errors
    met.errors += [f"in Chromium: {one}" for one in chromium.complaints]
    met.errors += [f"in the server's log: {line}" for line in _complaints(place.log)]
    return Measured(
        met, ended.at - begun[0].at, trained, ended.server - begun[0].server, ended.load - begun[0].load,
        memory / (learners + TRAININGS), beside, chromium.did,
    )  # fmt: skip


def on_canvas(stroke: Stroke, seconds: float) -> Stroke:
    """A stroke as the canvas has it when it took so long: a point for each move of the mouse."""
    scale = _CANVAS_ON_PAGE / CANVAS
    return [(x * scale, y * scale) for x, y in evenly(stroke, max(2, round(seconds * MOVES)))]


async def _warm_up(url: str, digit: Strokes) -> None:
    """One learner has been everywhere before, so that nobody waits for what is loaded once."""
    learner = Learner(url)
    await learner.open("draw")
    await learner.draw(digit)
    for room in ELSEWHERE:
        await learner.turn_to(room)
    await learner.close()


def _complaints(log: Path) -> list[str]:
    """The last lines of what the server wrote when something went wrong that it did not expect."""
    text = log.read_text(errors="replace")
    return text.splitlines()[-5:] if "Traceback" in text else []


class _Count(NamedTuple):
    """What everybody has computed up to a moment, CPU seconds; and of each training the process and its steps."""

    at: float
    server: float
    load: float
    trainings: list[tuple[int, int, float]]


def _count(server: int, runs: Sequence[Run]) -> _Count:
    trainings = []
    for run in runs:
        worker = int((holder(run.folder) or {}).get("pid", 0))
        trainings.append((worker, run.last_event("metrics").get("step", 0), cpu_seconds(worker) if worker else 0.0))
    return _Count(time.monotonic(), cpu_seconds(server), time.process_time(), trainings)


def _trained(server: int, before: _Count, after: _Count) -> Iterator[Trained]:
    for (worker, step, cpu), (same, later, more) in zip(before.trainings, after.trainings, strict=True):
        throughout = worker == same != 0 and parent(worker) == server
        yield (
            Trained(later - step, more - cpu, niceness(worker) - niceness(server)) if throughout else Trained(0, 0.0, 0)
        )


class Chromium:
    """Three real pages: on one digits are drawn, one watches a training, one is turned; all by one thread's hand."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: list[WatchedPage] = []
        self.did = 0  # strokes answered and pages turned
        self._failed = ""

    @property
    def complaints(self) -> list[str]:
        """What went wrong on the pages."""
        return [*(one for page in self.pages for one in page.complaints), *([self._failed] if self._failed else [])]

    def open(self, run: str) -> None:
        """Opens the three pages, one of them at a run."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _MODEST)  # a thread's, on Linux
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        self._draws, self._turns = (DrawPage(self._new_page(), self.url) for _ in range(2))
        self._watches = TrainPage(self._new_page(), self.url)
        self.pages = [WatchedPage(self._draws.page, self.url), WatchedPage(self._turns.page, self.url), self._watches]
        self._draws.open()
        self._turns.open()
        self._watches.open(f"?run={run}")
        self._watches.is_now("running")

    def _new_page(self) -> Page:
        page = self._browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(_PATIENCE)
        return page

    def work(self, digits: Sequence[Strokes], pause: float, end: float) -> None:
        """Draws and turns pages until then, thinking so long between, while the training's chart grows."""
        doors = [room for room in ROOMS.values() if room.in_menu]
        try:
            hand, menu = Hand(self._draws.page), self._turns.page.get_by_test_id("stPageLink")
            self._watches.grows(0.01)
            for digit, door in zip(cycle(digits), cycle(doors), strict=False):
                hand.stroke(digit[0])
                self._draws.read(1)
                hand.clear()
                menu.get_by_text(door.name, exact=True).click()
                expect(self._turns.page.get_by_role("heading", level=1)).to_have_text(door.title)
                self.did += 2
                self._turns.page.wait_for_timeout(1000 * pause)
                if time.monotonic() > end:
                    break
            self._watches.grows(0.01)
            self._watches.is_now("running")
        except Exception as error:  # said like all else that went wrong
            self._failed = f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Closes the browser, if it was opened."""
        if hasattr(self, "_browser"):
            self._browser.close()
        if hasattr(self, "_playwright"):
            self._playwright.stop()
