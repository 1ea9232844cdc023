"""A class at the Draw page: what its pen-ups cost the server, and that nothing else does.

    python -m benchmarks.classroom [--learners 50] [--seconds 60]

Learners without a browser draw pen digits, a stroke every 8 seconds each: first with strokes of one second, then with
strokes that take three times as long and have three times the points, at the same pace. Then a few real pages in
Chromium draw strokes of both kinds. What the browser computes while a pen is down costs the server nothing, so the
server's CPU for a pen-up should be the same throughout. Each part has a server of its own, warmed up by one learner.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.measured import machine, summary
from lenet_core.strokes import Stroke, Strokes
from tests.conftest import CHROMIUM_FLAGS, chromium_path, serve
from tests.e2e.hands import MOVES, Hand, Sent, evenly
from tests.load.learners import MOST_LEARNERS, MOST_SECONDS, Habits, Lesson, alone, lesson
from tests.pens import CANVAS, pen_digits

_CANVAS_ON_PAGE = 336  # pixels: `SIZE` of ui/canvas.py, which only Streamlit can import
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
    print(f"{options.learners} learners at the Draw page, {options.seconds:g} s, {machine()}")
    costs = [_taught(options.learners, options.seconds, stroke) for stroke in (SHORT, LONG)]
    print(
        f"server's CPU for a pen-up, strokes of {LONG:g} s to those of {SHORT:g} s: {costs[1].cpu / costs[0].cpu:.2f}"
    )
    _in_browsers()


def _taught(learners: int, seconds: float, stroke: float) -> Cost:
    """Holds a lesson with strokes of that length, and prints what was measured."""
    digits = [[_on_canvas(path, stroke) for path in digit.strokes] for digit in pen_digits()]
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


def _on_canvas(stroke: Stroke, seconds: float) -> Stroke:
    """A stroke as the canvas has it when it took so long: a point for each move of the mouse."""
    return [
        (x * _CANVAS_ON_PAGE / CANVAS, y * _CANVAS_ON_PAGE / CANVAS) for x, y in evenly(stroke, round(seconds * MOVES))
    ]


def _tell(met: Lesson, cost: Cost, stroke: float, busy: float) -> None:
    print(f"strokes of {stroke:g} s: {len(met.pen_ups)} pen-ups")
    if met.pen_ups:
        print(f"  rerun               {summary([one.seconds * 1000 for one in met.pen_ups], 'ms')}")
        print(f"  sent at a pen-up    {statistics.mean(one.received for one in met.pen_ups) / 1e3:.0f} kB")
    print(f"  opening the page    {summary([one.seconds * 1000 for one in met.opened], 'ms')}")
    print(f"  server's CPU        {cost.cpu * 1000:.1f} ms for a pen-up, {busy:.0%} of one core")
    print(f"  server's memory     {cost.memory:.2f} MB for a session")
    print(f"  errors              {len(met.errors)}{''.join(f'{chr(10)}    {error}' for error in met.errors[:5])}")


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


def cpu_seconds(process: int) -> float:
    """How long a process has computed so far, all its threads together."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> float:
    """How much memory a process holds now, MB."""
    status = Path(f"/proc/{process}/status").read_text().split()
    return int(status[status.index("VmRSS:") + 1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
