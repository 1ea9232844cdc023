"""The live lens on the Draw page: how long an update takes while the pen moves, and how many there are.

    python -m benchmarks.lens [--digits 50] [NETWORK ...]

Pen digits are drawn by mouse in Chromium at a person's speed: a stroke in a second, 60 moves. An update is what the
lens does in one animation frame: preprocessing, the network, and painting its canvases and bars. What the browser
needs after it to lay out and paint the page itself is added in the second line. Without names, all networks that come
with the project are measured, and the first of them also with the page's two folded sections open.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.measured import machine, percentile
from lenet_core.library import bundled_checkpoints
from tests.conftest import CHROMIUM_FLAGS, chromium_path, serve
from tests.e2e.hands import Hand, Sent
from tests.pens import pen_digits

FIRST = "lenet-modern"
MOST_MS, LEAST_UPDATES = 8.0, 20  # for FIRST: the median update, and how many in each stroke of one second
_WARM_UP = 3  # digits
_SECTIONS = ("From your pen to the network's pixels", "Turn it, shift it, thicken it")

# Times the lens's own frames, known by the name of its function, and from there on till the page is painted.
_WATCH = """
window.bench = { frames: [], down: 0, up: 0 };
const ask = requestAnimationFrame.bind(window);
const timed = (callback) => (now) => {
  const frame = { at: performance.now() };
  callback(now);
  frame.update = performance.now() - frame.at;
  bench.frames.push(frame);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => { frame.all = performance.now() - frame.at; };
  port2.postMessage(0);
};
window.requestAnimationFrame = (callback) => ask(callback.name === 'renderLens' ? timed(callback) : callback);
addEventListener('pointerdown', () => { window.bench = { frames: [], down: performance.now(), up: 0 }; }, true);
addEventListener('pointerup', () => { bench.up = performance.now(); }, true);
"""
_WHILE_DOWN = "bench.frames.filter(({ at }) => at <= bench.up).map(({ update, all }) => [update, all])"


@dataclass(frozen=True)
class Drawn:
    """One stroke: each update while the pen was down, without and with the page painted, in milliseconds."""

    updates: list[float]
    painted: list[float]
    seconds: float
    sent: Sent


def main() -> None:
    known = sorted(bundled_checkpoints(), key=lambda name: name != FIRST)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(known)}")
    parser.add_argument("--digits", type=int, default=50)
    options = parser.parse_args()
    if unknown := set(options.networks) - set(known):
        parser.error(f"no network {', '.join(sorted(unknown))}: give some of {', '.join(known)}")
    if options.digits < 1:
        parser.error(f"--digits {options.digits}: give at least 1")
    wanted = options.networks or known
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        process, url = serve(Path(folder) / "data", Path(folder) / "log")
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
            print(f"The lens while the pen moves, {machine()}")
            for name in wanted:
                tell(name, measure(browser, url, name, options.digits))
            if not options.networks:
                tell(f"{FIRST}, all open", measure(browser, url, FIRST, options.digits, _SECTIONS))
            browser.close()
        finally:
            process.terminate()
            process.wait(10)


def measure(browser: Browser, url: str, name: str, count: int, sections: Sequence[str] = ()) -> list[Drawn]:
    """The strokes of `count` digits answered by a network, after some to warm up, with `sections` of the page open."""
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.add_init_script(_WATCH)
    hand = Hand(page)
    hand.open(url, f"?net={name}")
    drawn = []
    for number, digit in enumerate(random.Random(1).sample(pen_digits(), count + _WARM_UP)):
        for stroke in digit.strokes:
            sent = hand.stroke(stroke)
            frames = page.evaluate(_WHILE_DOWN)
            seconds = page.evaluate("(bench.up - bench.down) / 1000")
            if number >= _WARM_UP:
                drawn.append(Drawn([one[0] for one in frames], [one[1] for one in frames], seconds, sent))
        if not number:
            for section in sections:  # they are there once something is drawn
                page.locator("summary", has_text=section).click()
                hand.rest()
        hand.clear()
    page.close()
    return drawn


def tell(name: str, drawn: list[Drawn]) -> None:
    """Prints what was measured, and whether the goals are met."""
    updates = [ms for stroke in drawn for ms in stroke.updates]
    if not updates:
        raise SystemExit(f"{name}: the lens made no update in {len(drawn)} strokes.")
    painted = [ms for stroke in drawn for ms in stroke.painted]
    each = [len(stroke.updates) / stroke.seconds for stroke in drawn]
    after = [stroke.sent.after for stroke in drawn]
    print(
        f"{name:24} an update median {statistics.median(updates):5.1f} ms, 95th percentile "
        f"{percentile(updates, 0.95):5.1f} ms (n = {len(updates)}; goal: median at most {MOST_MS:g} ms)"
    )
    print(
        f"{'':24} with the page painted median {statistics.median(painted):5.1f} ms, 95th percentile "
        f"{percentile(painted, 0.95):5.1f} ms"
    )
    print(
        f"{'':24} updates in a second of a stroke: least {min(each):.0f}, median {statistics.median(each):.0f} "
        f"(goal: at least {LEAST_UPDATES}); messages and requests while the pen was down: "
        f"{sum(stroke.sent.during for stroke in drawn)} (goal: 0), after it {min(after)} to {max(after)}"
    )


if __name__ == "__main__":
    main()
