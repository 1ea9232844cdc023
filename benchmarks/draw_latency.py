"""Pen-up to the server's answers on the Draw page, in a real browser.

    python -m benchmarks.draw_latency [--strokes 50] [--training]

With `--training` the app trains a network meanwhile, and each digit is drawn twice, once while its worker computes
and once while that is held still, in turn. MNIST must be in the data folder then.

The chosen network's answer is on the page while the pen still moves, for the browser computes it: `benchmarks.lens`
measures that. Here it is what comes after pen-up: the other networks' answers, and the server's own of the chosen
network, which is visible where the browser cannot compute it.

Each stroke is a whole pen digit, drawn on an empty canvas. The canvas waits a fixed 200 ms after the
pen lifts before it sends; that wait is listed apart, as the time from pen-up to the first message that
leaves the browser.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.measured import data_links, machine, summary
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run, create_run
from tests.conftest import CHROMIUM_FLAGS, chromium_path, serve
from tests.core.trainings import until, worker_of
from tests.e2e.conftest import DrawPage
from tests.pens import pen_digits

# Notes the last pen-up, the first message sent after it, and the first frame in which the page holds the server's
# answer to the wanted number of strokes and shows one of every other network, all of which had none before.
_WATCH = """
window.bench = {};
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (...message) {
  if (bench.up !== undefined && bench.sent === undefined) bench.sent = performance.now();
  return send.apply(this, message);
};
addEventListener('pointerup', () => { bench.up = performance.now(); bench.sent = bench.seen = undefined; }, true);
addEventListener('mouseup', () => { bench.up = performance.now(); bench.sent = bench.seen = undefined; }, true);
const look = () => {
  const answer = document.querySelector('[data-testid=answer-by-server]');
  const others = [...document.querySelectorAll('.st-key-others .lp-card > :first-child')];
  const isThere = answer?.dataset.strokes === bench.wanted && others.every((card) => card.textContent !== '–');
  if (bench.up !== undefined && bench.seen === undefined && isThere) bench.seen = performance.now();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


BAR = 1.25
_WARM_UP = 3  # digits


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--strokes", type=int, default=50)
    parser.add_argument("--training", action="store_true", help="beside a training")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        data = Path(folder) / "data"
        run = waiting_run(data) if options.training else None
        process, url = serve(data, Path(folder) / "log")
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.add_init_script(_WATCH)
            draw_page = DrawPage(page, url)
            draw_page.open()
            print(f"Pen-up to the server's answers, {machine()}")
            print("The chosen network's answer is there with the pen (benchmarks.lens); these come after it.")
            if run is None:
                tell(measure(draw_page, options.strokes))
            else:
                compare(draw_page, options.strokes, run)
            browser.close()
        finally:
            process.terminate()
            process.wait(10)


def waiting_run(data: Path) -> Run:
    """A run that the app finds when its first page is opened, and takes on; long enough for any measurement."""
    data.mkdir()
    data_links(data)
    recipe = dataclasses.replace(RECIPES["lenet-modern"], epochs=10_000)
    return create_run(Plan(recipe, device="cpu"), data / "runs" / "beside")


def compare(draw_page: DrawPage, count: int, run: Run) -> None:
    """Prints the times with and without the training, and their ratio."""
    until(lambda: run.last_event("metrics"), "the first line of metrics")
    worker = worker_of(run)
    held = (False, True, True, False)  # so that neither is always the first of its digit

    def hold(number: int) -> None:
        os.kill(worker, signal.SIGSTOP if held[number % 4] else signal.SIGCONT)

    try:
        times = measure(draw_page, count, times_each=2, prepare=hold)
    finally:
        os.kill(worker, signal.SIGCONT)
    beside, alone = (
        [pair for number, pair in enumerate(times, _WARM_UP * 2) if held[number % 4] is still]
        for still in (False, True)
    )
    if run.status != "running":
        raise SystemExit(f"The training did not last: {run.status}.")
    for title, part in (("beside a training", beside), ("without", alone)):
        print(title)
        tell(part)
    ratios = [sum(a) / sum(b) for a, b in zip(beside, alone, strict=True)]
    print(f"ratio, median     {statistics.median(ratios):.2f} (bar: at most {BAR})")


def tell(times: list[tuple[float, float]]) -> None:
    """Prints the canvas's waits and the page's share, milliseconds."""
    waits, shares = zip(*times, strict=True)
    print(f"all               {summary([sum(pair) for pair in times], 'ms')}")
    print(f"canvas's own wait {summary(waits, 'ms')}")
    print(f"the page's share  {summary(shares, 'ms')}")


def measure(
    draw_page: DrawPage, count: int, times_each: int = 1, prepare: Callable[[int], None] = lambda number: None
) -> list[tuple[float, float]]:
    """The canvas's wait and what the page took after it, in milliseconds, for `count` digits after some to warm up.

    Each digit is drawn `times_each` times; `prepare` is called before each drawing with its number.
    """
    times = []
    one_stroke = [digit for digit in pen_digits() if len(digit.strokes) == 1]
    digits = [digit for digit in random.Random(1).sample(one_stroke, count + _WARM_UP) for _ in range(times_each)]
    for number, digit in enumerate(digits):
        prepare(number)
        draw_page.page.wait_for_timeout(400)
        draw_page.page.evaluate("wanted => { bench.wanted = wanted }", str(len(digit.strokes)))
        draw_page.stroke(digit.strokes)
        draw_page.read(len(digit.strokes))
        draw_page.page.wait_for_function("bench.seen !== undefined")
        up, sent, seen = draw_page.page.evaluate("[bench.up, bench.sent, bench.seen]")
        times.append((sent - up, seen - sent))
        draw_page.page.evaluate("bench.up = undefined")
        draw_page.button("Clear")
        draw_page.empty.wait_for()
    return times[_WARM_UP * times_each :]


if __name__ == "__main__":
    main()
