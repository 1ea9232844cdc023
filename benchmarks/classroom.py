"""A class: what it costs the server when it draws, and how fast it is answered when it turns pages and trains as well.

    python -m benchmarks.classroom [--learners 50] [--seconds 60]

First the whole classroom. Learners without a browser do something every 8 seconds each: mostly they draw a stroke of a
pen digit, in one case of four they leave for another room, do there what there is to do first, and come back. Two more
have pressed Train and watch; both networks train on MNIST (in LENET_DATA_DIR) from the beginning to the end. Three
real pages in Chromium draw, watch a training, and turn pages. All that shares the machine with the server.

Then drawing alone, a stroke every 8 seconds: first with strokes of one second, then with strokes that take three times
as long and have three times the points, at the same pace. Then a few real pages in Chromium draw strokes of both
kinds. What the browser computes while a pen is down costs the server nothing, so the server's CPU for a pen-up should
be the same throughout. Each part has a server of its own, warmed up by one learner.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.measured import data_links, machine, summary
from lenet_core.strokes import Strokes
from tests.conftest import CHROMIUM_FLAGS, chromium_path, serve
from tests.e2e.hands import Hand, Sent
from tests.load.classroom import hold, on_canvas, school
from tests.load.learners import Rerun, alone
from tests.load.lessons import MOST_LEARNERS, MOST_SECONDS, Habits, Lesson, lesson
from tests.load.processes import cpu_seconds, resident
from tests.pens import pen_digits

PACE = 8.0  # seconds from one pen-up of a learner to the next, a third of the thinking more or less
SHORT, LONG = 1.0, 3.0  # seconds of a stroke
_PAGES, _STROKES = 3, 4  # in Chromium, for each length
_WARM_UP = Habits(stroke=0.1, pause=0.5)


@dataclass(frozen=True)
class Cost:
    """What a lesson cost the server: CPU seconds for each pen-up, and MB of memory for each session."""

    cpu: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if not 1 <= options.learners <= MOST_LEARNERS:
        parser.error(f"--learners {options.learners}: give 1 to {MOST_LEARNERS}")
    if not 2 * PACE <= options.seconds <= MOST_SECONDS:
        parser.error(f"--seconds {options.seconds:g}: give {2 * PACE:g} to {MOST_SECONDS:g}")
    print(f"{options.learners} learners, {options.seconds:g} s, {machine()}")
    _whole_classroom(options.learners, options.seconds)
    print("at the Draw page alone:")
    costs = [_taught(options.learners, options.seconds, stroke) for stroke in (SHORT, LONG)]
    print(
        f"server's CPU for a pen-up, strokes of {LONG:g} s to those of {SHORT:g} s: {costs[1].cpu / costs[0].cpu:.2f}"
    )
    _in_browsers()


def _whole_classroom(learners: int, seconds: float) -> None:
    """Holds a lesson with pages turned, trainings and real pages, and prints what was measured."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir()
        data_links(data)
        with school(data, Path(folder) / "log") as place:
            measured = hold(place, learners, seconds, [digit.strokes for digit in pen_digits()])
    met = measured.met
    _tell_reruns("all that learners asked for", met.asked)
    _tell_reruns("pen-ups", met.pen_ups)
    for room, turned in sorted(met.turned.items()):
        _tell_reruns(f"turned to {room or 'home'}", turned)
    for room, used in sorted(met.used.items()):
        _tell_reruns(f"first thing in {room or 'home'}", used)
    _tell_reruns("opened", met.opened)
    _tell_reruns("watching, by the clock", met.ticks)
    server, learned = (f"{cpu / measured.seconds:.0%} of one core" for cpu in (measured.server, measured.load))
    print(f"  server's CPU        {measured.server_a_rerun * 1000:.1f} ms for a rerun, {server}")
    print(f"  server's memory     {measured.memory:.2f} MB for a session")
    for one in measured.trained:
        pace, cpu = one.steps / measured.seconds, one.cpu / measured.seconds
        print(f"  training            {pace:.0f} steps in a second, {cpu:.0%} of one core, nicer by {one.nice}")
    print(f"  learners            {learned}")
    _tell_reruns(f"beside Chromium ({measured.did} doings)", measured.beside.asked)
    _tell_errors(met)


def _tell_reruns(what: str, reruns: Sequence[Rerun]) -> None:
    if reruns:
        took = [one.seconds * 1000 for one in reruns]
        print(f"  {what:28}{summary(took, 'ms')}, longest {max(took):.0f} ms")


def _tell_errors(met: Lesson) -> None:
    print(f"  errors              {len(met.errors)}{''.join(f'{chr(10)}    {error}' for error in met.errors[:5])}")


def _taught(learners: int, seconds: float, stroke: float) -> Cost:
    """Holds a lesson with strokes of that length, and prints what was measured."""
    digits = [[on_canvas(path, stroke) for path in digit.strokes] for digit in pen_digits()]
    with _server() as (process, url):
        alone(lesson(url, 1, 5, digits, _WARM_UP))
        memory, cpu = resident(process), 0.0

        def begins() -> None:
            nonlocal cpu
            cpu = cpu_seconds(process)

        met = alone(lesson(url, learners, seconds, digits, Habits(stroke, PACE - stroke), begins))
        spent = cpu_seconds(process) - cpu
        cost = Cost(spent / max(1, len(met.pen_ups)), (resident(process) - memory) / learners)
    _tell(met, cost, stroke, spent / seconds)
    return cost


def _tell(met: Lesson, cost: Cost, stroke: float, busy: float) -> None:
    print(f"strokes of {stroke:g} s: {len(met.pen_ups)} pen-ups")
    if met.pen_ups:
        print(f"  rerun               {summary([one.seconds * 1000 for one in met.pen_ups], 'ms')}")
        print(f"  sent at a pen-up    {statistics.mean(one.received for one in met.pen_ups) / 1e3:.0f} kB")
    print(f"  opening the page    {summary([one.seconds * 1000 for one in met.opened], 'ms')}")
    print(f"  server's CPU        {cost.cpu * 1000:.1f} ms for a pen-up, {busy:.0%} of one core")
    print(f"  server's memory     {cost.memory:.2f} MB for a session")
    _tell_errors(met)


def _in_browsers() -> None:
    """Prints what real pages send while strokes of both lengths are drawn, and what a pen-up costs the server then."""
    strokes: Strokes = [digit.strokes[0] for digit in pen_digits() if len(digit.strokes) == 1][: _PAGES * _STROKES]
    with _server() as (process, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        hands = []
        for _ in range(_PAGES):
            hands.append(Hand(browser.new_page(viewport={"width": 1366, "height": 768})))
            hands[-1].open(url)
            hands[-1].stroke(strokes[0])
            hands[-1].clear()
        for seconds in (SHORT, LONG):
            sent, spent = [], 0.0
            for number, stroke in enumerate(strokes):
                hand, before = hands[number % _PAGES], cpu_seconds(process)
                sent.append(hand.stroke(stroke, seconds))
                spent += cpu_seconds(process) - before
                hand.clear()
            _tell_sent(sent, seconds, spent / len(sent))
        browser.close()


def _tell_sent(sent: list[Sent], seconds: float, cpu: float) -> None:
    after = [one.after for one in sent]
    print(
        f"{_PAGES} pages in Chromium, {len(sent)} strokes of {seconds:g} s: {sum(one.during for one in sent)} messages "
        f"and requests while the pen was down, {min(after)} to {max(after)} after it; server's CPU {cpu * 1000:.1f} ms "
        "for a pen-up"
    )


@contextmanager
def _server() -> Iterator[tuple[int, str]]:
    """The app on a data folder of its own: its process, and its address."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process, url = serve(Path(folder) / "data", Path(folder) / "log")
        try:
            yield process.pid, url
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
