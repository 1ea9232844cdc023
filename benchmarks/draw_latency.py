"""Pen-up to visible answer on the Draw page, in a real browser.

    python -m benchmarks.draw_latency [--strokes 50]

Each stroke is a whole pen digit, drawn on an empty canvas. The canvas waits a fixed 200 ms after the
pen lifts before it sends; that wait is listed apart, as the time from pen-up to the first message that
leaves the browser.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.measured import machine, summary
from tests.conftest import CHROMIUM_FLAGS, chromium_path, serve
from tests.e2e.conftest import DrawPage
from tests.pens import pen_digits

# Notes the last pen-up, the first message sent after it, and the first frame that shows the answer to
# the wanted number of strokes.
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
  const answer = document.querySelector('[data-testid=answer]');
  if (bench.up !== undefined && bench.seen === undefined && answer?.dataset.strokes === bench.wanted)
    bench.seen = performance.now();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--strokes", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = serve(Path(folder) / "data", Path(folder) / "log")
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.add_init_script(_WATCH)
            waits, totals = measure(DrawPage(page, url), options.strokes)
            browser.close()
        finally:
            process.terminate()
            process.wait(10)
    print(f"Pen-up to visible answer, {machine()}")
    print(f"all               {summary(totals, 'ms')}")
    print(f"canvas's own wait {summary(waits, 'ms')}")
    print(f"the page's share  {summary([a - b for a, b in zip(totals, waits, strict=True)], 'ms')}")


def measure(draw_page: DrawPage, count: int) -> tuple[list[float], list[float]]:
    """The waits and the whole times of `count` strokes, in milliseconds, after three to warm up."""
    draw_page.open()
    waits, totals = [], []
    one_stroke = [digit for digit in pen_digits() if len(digit.strokes) == 1]
    for number, digit in enumerate(random.Random(1).sample(one_stroke, count + 3)):
        draw_page.page.evaluate("wanted => { bench.wanted = wanted }", str(len(digit.strokes)))
        draw_page.stroke(digit.strokes)
        draw_page.read(len(digit.strokes))
        draw_page.page.wait_for_function("bench.seen !== undefined")
        up, sent, seen = draw_page.page.evaluate("[bench.up, bench.sent, bench.seen]")
        if number >= 3:
            waits.append(sent - up)
            totals.append(seen - up)
        draw_page.page.evaluate("bench.up = undefined")
        draw_page.button("Clear")
        draw_page.empty.wait_for()
        draw_page.page.wait_for_timeout(400)
    return waits, totals


if __name__ == "__main__":
    main()
