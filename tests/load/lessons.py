"""What many learners do at the same time: they draw, they turn pages, and some watch how a network trains.

For a bounded number of learners and seconds.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import urlencode

from websockets.exceptions import WebSocketException

from lenet_core.strokes import Stroke, Strokes
from tests.load.learners import Learner, LearnerError, Rerun

MOST_LEARNERS = 200
MOST_SECONDS = 600.0
_DOT = 40  # pixels, a little more than `MIN_EXTENT` of ui/canvas.py
_LONGEST_START = 120.0  # seconds that a training has to begin
# The rooms besides the Draw page, and the first thing that one does there: a widget, and which of its options.
ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "": ("A digit", "8"),
    "train": ("Activation", "tanh"),
    "feature_maps": ("One colour scale for", "each map"),
    "compare": ("", ""),  # who has trained nothing finds nothing to do there
    "history": ("Squashing function", ""),
    "exercises": ("7. Learning rate", ""),
}


@dataclass(frozen=True)
class Habits:
    """How learners work: one stroke of `stroke` seconds, then `pause` seconds of thinking, a third more or less.

    Instead of the next stroke they leave for another room in a share `turns` of the cases: they turn the page, after a
    while do the first thing there is to do, after another turn back, and begin a new digit.
    """

    stroke: float = 1.0
    pause: float = 7.0
    turns: float = 0.0


@dataclass
class Lesson:
    """What learners met with: the reruns at their pen-ups, at pages turned and at what they did there, by room, those
    of opening the Draw page, those that a page on a clock asked for by itself; and what went wrong.

    `answered` says how often each learner was answered in all.
    """

    pen_ups: list[Rerun] = field(default_factory=list)
    turned: defaultdict[str, list[Rerun]] = field(default_factory=lambda: defaultdict(list))
    used: defaultdict[str, list[Rerun]] = field(default_factory=lambda: defaultdict(list))
    opened: list[Rerun] = field(default_factory=list)
    ticks: list[Rerun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)

    @property
    def asked(self) -> list[Rerun]:
        """All that learners asked for during the lesson."""
        return [*self.pen_ups, *chain(*self.turned.values()), *chain(*self.used.values())]


async def lesson(
    url: str,
    learners: int,
    seconds: float,
    digits: Sequence[Strokes],
    habits: Habits = Habits(),
    all_there: Callable[[], None] = lambda: None,
    watchers: Sequence[Learner] = (),
) -> Lesson:
    """So many learners open the Draw page, one after the other, and then work for so long, each at a time of their own.

    Each draws one of `digits` (in canvas pixels) stroke by stroke, then another in its place; none that begins with a
    dot, to which the page rightly answers that there is nothing to read yet. `all_there` is called once all pages are
    open. The `watchers` have opened a training's page before, and watch. A learner who meets with an error goes home.

    Raises:
        ValueError: the server is not on this machine, or learners or seconds are out of bounds.
    """
    if not 1 <= learners <= MOST_LEARNERS:
        raise ValueError(f"{learners} learners: give 1 to {MOST_LEARNERS}.")
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"{seconds:g} seconds: give more than 0 and at most {MOST_SECONDS:g}.")
    digits = [digit for digit in digits if not _is_dot(digit[0])]
    met = Lesson()
    everyone = [Learner(url) for _ in range(learners)]
    try:
        for learner in everyone:
            await _noting(met, _opens(learner, met))
        all_there()
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for watcher in watchers:
                group.create_task(_noting(met, _watches(watcher, met, end)))
            for number, learner in enumerate(everyone):
                chance = random.Random(number)
                group.create_task(_noting(met, _works(learner, met, digits, habits, end, chance)))
    finally:
        for learner in everyone:
            await learner.close()
    met.answered = [learner.answered for learner in everyone]
    return met


def _is_dot(stroke: Stroke) -> bool:
    """Whether it is less than the Draw page takes for a digit."""
    across, down = [x for x, _ in stroke], [y for _, y in stroke]
    return max(max(across) - min(across), max(down) - min(down)) < _DOT


async def start_training(url: str, recipe: Mapping[str, str]) -> Learner:
    """A learner who has opened the Train page with these knobs, pressed Train, and sees that it trains.

    Raises:
        LearnerError: it does not begin.
    """
    learner = Learner(url)
    await learner.open("train", urlencode(recipe))
    await learner.use("Train")
    deadline = time.monotonic() + _LONGEST_START
    while _status(learner) != "running":
        if time.monotonic() > deadline or not learner.clocks:
            raise LearnerError(f"The training does not begin: it is {_status(learner) or 'not there'}.")
        clock = min(learner.clocks, key=learner.clocks.__getitem__)
        await asyncio.sleep(learner.clocks[clock])
        await learner.tick(clock)
    return learner


async def _opens(learner: Learner, met: Lesson) -> None:
    met.opened.append(await learner.open("draw"))


async def _works(
    learner: Learner, met: Lesson, digits: Sequence[Strokes], habits: Habits, end: float, chance: random.Random
) -> None:
    await asyncio.sleep(chance.uniform(0, habits.stroke + habits.pause))  # nobody begins at the same moment
    digit, drawn = chance.choice(digits), 0
    while time.monotonic() + habits.stroke < end:
        if chance.random() < habits.turns:
            await _goes_elsewhere(learner, met, habits, end, chance)
            digit, drawn = chance.choice(digits), 0
            continue
        if drawn == len(digit):
            digit, drawn = chance.choice(digits), 0
        drawn += 1
        await asyncio.sleep(habits.stroke)  # nothing is sent while the pen is down
        met.pen_ups.append(await learner.draw(digit[:drawn]))
        if f'data-strokes="{drawn}"' not in learner.shown:
            answered = re.findall(r'data-strokes="(\d+)"', learner.shown) or "none"
            raise LearnerError(f"The page does not answer to {drawn} strokes, but to {answered}.")
        await asyncio.sleep(habits.pause * chance.uniform(2 / 3, 4 / 3))


async def _goes_elsewhere(learner: Learner, met: Lesson, habits: Habits, end: float, chance: random.Random) -> None:
    room = chance.choice(list(ELSEWHERE))
    widget, option = ELSEWHERE[room]
    pace = habits.stroke + habits.pause
    met.turned[room].append(await learner.turn_to(room))
    _is_there(learner, room)
    await asyncio.sleep(pace * chance.uniform(2 / 3, 4 / 3))
    if widget and time.monotonic() < end:
        met.used[room].append(await learner.use(widget, option))
        await asyncio.sleep(pace * chance.uniform(2 / 3, 4 / 3))
    if time.monotonic() < end:
        met.turned["draw"].append(await learner.turn_to("draw"))
        _is_there(learner, "draw")
        await asyncio.sleep(pace * chance.uniform(2 / 3, 4 / 3))


def _is_there(learner: Learner, room: str) -> None:
    if "lp-lead" not in learner.shown:  # the line under the title
        raise LearnerError(f"The page {room!r} is not there when it is turned to.")


async def _watches(learner: Learner, met: Lesson, end: float) -> None:
    """Looks on, as a browser does by itself, and is content as long as it trains."""
    due: dict[str, float] = {}
    while True:
        if (status := _status(learner)) not in ("running", ""):
            raise LearnerError(f"The training is {status}.")
        now = time.monotonic()
        due = {clock: due.get(clock, now + seconds) for clock, seconds in learner.clocks.items()}
        clock = min(due, key=due.__getitem__, default="")
        if due.get(clock, end) >= end:
            return
        await asyncio.sleep(max(0.0, due.pop(clock) - now))
        met.ticks.append(await learner.tick(clock))


def _status(learner: Learner) -> str:
    """Where the run stands that the learner watches, empty if that was not among what was sent last."""
    found = re.search(r'data-testid="status" data-status="(\w+)"', learner.shown)
    return found[1] if found else ""


async def _noting(met: Lesson, doing: Awaitable[None]) -> None:
    """Does something, and notes what the app or the connection did wrong."""
    try:
        await doing
    except (LearnerError, OSError, WebSocketException) as error:
        met.errors.append(f"{type(error).__name__}: {error}")
