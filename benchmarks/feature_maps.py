"""From a click to its pictures on the Look inside page, in a real browser, and what 200 such clicks leave in memory.

    python -m benchmarks.feature_maps [--changes 200]

Five kinds of change in random order, equally many of each, with four inputs or one more or less: a layer more or
less, an input more, an input less, another of its kind, another scale. The clock starts when the pointer goes down
and stops after the first frame in which the table shows the new pictures. Memory is read in the same state of the
page before and after, once garbage is collected.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import CDPSession, Locator, Page, sync_playwright

from benchmarks.measured import machine, percentile, summary
from tests.conftest import CHROMIUM_FLAGS, chromium_path, serve

# Notes the pointer going down, the message that leaves the browser then, the one that brings the table's data
# (alone in holding `inputSize`), and the end of the first frame with them. The table paints, then says its version.
_WATCH = """
window.bench = {};
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer && new TextDecoder('latin1').decode(data).includes('inputSize'))
        bench.received = performance.now();
    });
  }
  send(message) {
    bench.sent ??= performance.now();
    super.send(message);
  }
};
addEventListener('pointerdown', () => { window.bench = { down: performance.now() }; }, true);
"""
_WATCH_TABLE = """
table => new MutationObserver(() => {
  const change = bench;
  requestAnimationFrame(() => setTimeout(() => { change.seen ??= performance.now(); }));
}).observe(table, { attributes: true, attributeFilter: ['data-version'] })
"""

KINDS = {
    "layer": "a layer more or less",
    "add": "an input more",
    "remove": "an input less",
    "again": "another of its kind",
    "scale": "another scale",
}
GOAL = 400  # ms, for layers and inputs
MOST_SERVER, MOST_BROWSER = 10, 2  # MB more; to keep each change's 0.13 MB of pictures would take 27 over 200
_GOES_BY_GOAL = ("layer", "add", "remove")
_WARM_UP = 20  # changes
_FIRST_LAYERS = ("C1", "C3")
_ADDED = [*"0123456789", "cat", "car"]


@dataclass(frozen=True)
class Times:
    """Milliseconds of one change: till the click leaves the browser, till its data are back, till they are seen."""

    before: float
    server: float
    after: float

    @property
    def all(self) -> float:
        """From the pointer going down to the pictures."""
        return self.before + self.server + self.after


@dataclass(frozen=True)
class Memory:
    """What is held: by the server and by the page's scripts, MB, and the page's nodes, also those not shown."""

    server: float
    browser: float
    nodes: int


class LookPage:
    """The Look inside page, and the changes a visitor makes to it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.random = page, url, random.Random(0)
        self.table = page.locator(".lp-map-table")
        self.layers = page.locator("[class*=st-key-look_layers] button[aria-pressed]")
        self.scales = page.locator("[class*=st-key-look_scale] button[aria-checked]")

    def open(self) -> None:
        """Goes to the page as it comes, with four inputs."""
        self.page.add_init_script(_WATCH)
        self.page.goto(f"{self.url}/feature_maps")
        self.table.and_(self.page.locator("[data-version]")).wait_for()
        self.table.evaluate(_WATCH_TABLE)
        self._rest()

    def change(self, kind: str) -> Times:
        """Makes one change of a kind, and waits until the page is at rest again."""
        self._target(kind).click()
        self.page.wait_for_function("bench.seen !== undefined")
        down, sent, received, seen = self.page.evaluate("[bench.down, bench.sent, bench.received, bench.seen]")
        self._rest()
        return Times(sent - down, received - sent, seen - received)

    def as_it_came(self) -> None:
        """Back to the first layers and the first scale."""
        if self.scales.first.get_attribute("aria-checked") == "false":
            self.scales.first.click()
            self._rest()
        for title in self.layers.all_inner_texts():
            layer = self.layers.get_by_text(title, exact=True).locator("xpath=ancestor::button")
            if (layer.get_attribute("aria-pressed") == "true") != (title in _FIRST_LAYERS):
                layer.click()
                self._rest()

    def _target(self, kind: str) -> Locator:
        """What is to be clicked."""
        match kind:
            case "layer":
                shown = self.layers.and_(self.page.locator("[aria-pressed=true]"))
                hidden = self.layers.and_(self.page.locator("[aria-pressed=false]"))
                fewer = {1: False, 3: True}.get(shown.count(), self.random.random() < 0.5)
                return self._one_of(shown if fewer else hidden)
            case "add":
                return self.page.locator(f".st-key-add_{self.random.choice(_ADDED)} button").locator("visible=true")
            case "scale":
                # Bars look the same for everything as for each map: each input is always a change.
                by_input = self.scales.get_by_text("each input", exact=True).locator("xpath=ancestor::button")
                if by_input.get_attribute("aria-checked") == "false":
                    return by_input
                return self._one_of(self.scales.and_(self.page.locator("[aria-checked=false]")))
        return self._one_of(self.table.locator(f"button.{kind}:not(.absent)"))

    def _one_of(self, found: Locator) -> Locator:
        return found.nth(self.random.randrange(found.count()))

    def _rest(self) -> None:
        """Waits until nothing is under way, and the moment that a visitor takes to look."""
        self.page.wait_for_timeout(100)
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        self.page.wait_for_timeout(self.random.randint(100, 300))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--changes", type=int, default=200)
    options = parser.parse_args()
    if options.changes < len(KINDS):
        parser.error(f"--changes {options.changes}: give at least {len(KINDS)}, one of each kind")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        process, url = serve(Path(folder) / "data", Path(folder) / "log")
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            look_page = LookPage(page, url)
            look_page.open()
            devtools = page.context.new_cdp_session(page)
            devtools.send("Performance.enable")
            print(f"Click to pictures, {machine()}")
            times, held = measure(look_page, options.changes, lambda: memory(devtools, process.pid))
            browser.close()
        finally:
            process.terminate()
            process.wait(10)
    tell(times)
    tell_memory(*held, sum(map(len, times.values())))


def measure(
    look_page: LookPage, count: int, held: Callable[[], Memory]
) -> tuple[dict[str, list[Times]], tuple[Memory, Memory]]:
    """The times of `count` changes by kind, after some to warm up, and what was held before and after them."""
    for kind in order(_WARM_UP, look_page.random):
        look_page.change(kind)
    look_page.as_it_came()
    before = held()
    times: dict[str, list[Times]] = {kind: [] for kind in KINDS}
    for kind in order(count, look_page.random):
        times[kind].append(look_page.change(kind))
    look_page.as_it_came()
    return times, (before, held())


def order(count: int, chance: random.Random) -> list[str]:
    """Which kinds of change follow each other; inputs come and go in turn, so that there are as many at the end."""
    each = count // len(KINDS)
    kinds = [kind for kind in KINDS for _ in range(each)]
    chance.shuffle(kinds)
    moves = iter([move for _ in range(each) for move in chance.sample(("add", "remove"), 2)])
    return [next(moves) if kind in ("add", "remove") else kind for kind in kinds]


def memory(devtools: CDPSession, server: int) -> Memory:
    """What the server process and the page hold now, without what is garbage."""
    devtools.send("HeapProfiler.collectGarbage")
    found = {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}
    status = Path(f"/proc/{server}/status").read_text().split()
    resident = int(status[status.index("VmRSS:") + 1])  # KiB
    return Memory(resident * 1024 / 1e6, found["JSHeapUsedSize"] / 1e6, int(found["Nodes"]))


def tell(times: dict[str, list[Times]]) -> None:
    """Prints the times of each kind, where they go, and whether the goal is met."""
    for kind, title in KINDS.items():
        print(f"{title:21} {summary([one.all for one in times[kind]], 'ms')}")
    every = [one for part in times.values() for one in part]
    print("of all, by where the time goes")
    print(f"  click to message    {summary([one.before for one in every], 'ms')}")
    print(f"  server and wire     {summary([one.server for one in every], 'ms')}")
    print(f"  data to pictures    {summary([one.after for one in every], 'ms')}")
    counted = [one.all for kind in _GOES_BY_GOAL for one in times[kind]]
    print(f"layers and inputs     {summary(counted, 'ms')}")
    print(f"95th percentile {percentile(counted, 0.95):.0f} ms (goal: at most {GOAL} ms)")


def tell_memory(before: Memory, after: Memory, count: int) -> None:
    """Prints how memory grew over the changes."""
    print(f"memory over {count} changes")
    for title, old, new, most in (
        ("server, resident", before.server, after.server, MOST_SERVER),
        ("page's scripts", before.browser, after.browser, MOST_BROWSER),
    ):
        print(f"  {title:19} {old:.1f} to {new:.1f} MB, growth {new - old:+.1f} MB (bar: at most {most} MB)")
    print(f"  page's nodes        {before.nodes:,} to {after.nodes:,}")


if __name__ == "__main__":
    main()
