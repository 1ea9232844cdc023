"""Takes the README's pictures of every page: light, dark, and at a phone's width.

    python -m benchmarks.pictures

Draws a digit of the Draw page's own samples, so that it needs no data beside the project.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lenet_core.strokes import to_link
from tests.conftest import CHROMIUM_FLAGS, ROOT, chromium_path, serve
from ui.sample_strokes import sample_strokes

FOLDER = ROOT / "assets" / "pictures"
_MODES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1366, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1366, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
_SIZE = 336
_LOOK = "feature_maps?unit=0.conv1.0.3.12.12"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    pages = {"home": "", "draw": f"draw?drawing={to_link(sample_strokes('5', _SIZE), _SIZE)}"}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = serve(Path(folder) / "data", Path(folder) / "log")
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
            for name, path in pages.items():
                for mode in _MODES:
                    take(browser, f"{url}/{path}", mode, FOLDER / f"{name}-{mode}.png")
            for mode in _MODES:
                take(browser, f"{url}/{_LOOK}", mode, FOLDER / f"look-{mode}.png", _painted)
            for mode in _MODES:
                take(browser, f"{url}/train?data=mnist-5k&activation=tanh", mode, FOLDER / f"train-{mode}.png", _train)
            sweep(Path(folder) / "data")
            for name, path in (("compare", "compare"), ("history", "history?modern=activation,c3")):
                for mode in _MODES:
                    take(browser, f"{url}/{path}", mode, FOLDER / f"{name}-{mode}.png", _titled)
            browser.close()
        finally:
            process.terminate()
            process.wait(10)


def _answered(page: Page) -> None:
    expect(page.locator(".lp-best").first.or_(page.get_by_test_id("answer"))).to_be_visible(timeout=30_000)


def sweep(data: Path) -> None:
    """Six short trainings for the Compare page, which shows the newest sweep."""
    grid = ["--grid", "activation=relu,tanh,sigmoid", "--seeds", "2"]
    command = [sys.executable, "-m", "lenet_core", "sweep", "lenet-modern", "--data", "mnist-5k", *grid]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "LENET_DATA_DIR": str(data)}, check=True)


def _titled(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)


def _painted(page: Page) -> None:
    expect(page.locator(".lp-map-table canvas").first).to_be_visible(timeout=30_000)


def _train(page: Page) -> None:
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_test_id("result")).to_be_visible(timeout=120_000)


def take(browser: Browser, url: str, mode: str, path: Path, ready: Callable[[Page], None] = _answered) -> None:
    context = browser.new_context(**_MODES[mode])
    page = context.new_page()
    page.goto(url)
    ready(page)
    page.mouse.move(5, 5)
    page.wait_for_timeout(3500)  # the layers of Home arrive one after the other
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(128).save(path, optimize=True)  # a quarter of the size, for a repository
    context.close()
    print(path.relative_to(ROOT), f"{path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
