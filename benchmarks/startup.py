"""From `streamlit run` to a canvas that can be drawn on, and what the app's imports cost beside PyTorch's.

    python -m benchmarks.startup [--runs 5]

The server starts cold each time, with the browser already open. Imports are timed in fresh processes,
in turn, with Streamlit loaded before the clock starts, as it is in the server.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.measured import machine, summary
from tests.conftest import CHROMIUM_FLAGS, ROOT, chromium_path, serve

_TIMED = "import streamlit, time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_TORCH = "import torch"
_APP = "; ".join(
    (
        "import ui.layout, ui.markup, ui.cache, ui.links, ui.networks, ui.state, ui.pictures",
        "import lenet_core.preprocess, lenet_core.strokes, lenet_core.checkpoint, lenet_core.classify",
        "import lenet_core.cluster",
        "import sys; assert 'torchvision' not in sys.modules",
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"Start-up, {machine()}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        starts = [1000 * seconds_to_canvas(browser.new_page()) for _ in range(options.runs)]
        browser.close()
    print(f"to a canvas        {summary(starts, 'ms')}")
    imports(_TORCH)  # once for the disk's cache
    pairs = [(imports(_TORCH), imports(_APP)) for _ in range(options.runs)]
    torch_alone, app = zip(*pairs, strict=True)
    print(f"import torch       {summary([1000 * seconds for seconds in torch_alone], 'ms')}")
    print(f"the app's imports  {summary([1000 * seconds for seconds in app], 'ms')}")
    print(f"ratio, median      {statistics.median(b / a for a, b in pairs):.2f}")


def seconds_to_canvas(page: Page) -> float:
    """Seconds from the command to a canvas on the page; the server is ended afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process, url = serve(Path(folder) / "data", Path(folder) / "log")
        try:
            page.goto(f"{url}/draw")
            page.locator("canvas.upper-canvas").wait_for()
            return time.perf_counter() - started
        finally:
            page.close()
            process.terminate()
            process.wait(10)


def imports(statement: str) -> float:
    """Seconds that the imports take in a fresh process."""
    command = [sys.executable, "-c", _TIMED.format(statement)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[-1])


if __name__ == "__main__":
    main()
