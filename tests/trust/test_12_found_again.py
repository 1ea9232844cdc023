"""Promise 12: a closed tab finds its run again, and so does one that was cut off until its session was gone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from lenet_core.runs import Run
from tests.conftest import Server, serve
from tests.e2e.conftest import DrawPage, TrainPage, browser
from tests.trust.conftest import Trust

__all__ = ["browser"]

LONG = "?data=mnist-5k&epochs=1000&learning_rate=0.0017"
TABLE = "1.2.4.8.10.20.3.6.c.18.30.21.7.e.1c.38"


@pytest.fixture
def forgetful(trust: Trust, tmp_path: Path) -> Iterator[Server]:
    """The app, which in the short run forgets a session two seconds after it was cut off; as shipped, after 120."""
    options = () if trust.full else ("--server.disconnectedSessionTTL", "2")
    process, url = serve(tmp_path / "data", tmp_path / "log", "app.py", *options)
    yield Server(url, tmp_path / "data", tmp_path / "log")
    process.terminate()
    process.wait(20)


@pytest.fixture
def context(browser: object) -> Iterator[BrowserContext]:
    """A browser that keeps its cookies."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})  # type: ignore[attr-defined]
    yield context
    context.close()


class Cable:
    """The connections of a page, which can be cut for a while."""

    def __init__(self, page: Page) -> None:
        self.open: list[tuple[WebSocketRoute, WebSocketRoute]] = []
        self.is_cut = False
        self.made = 0
        page.route_web_socket(re.compile("/_stcore/stream"), self._connect)

    def _connect(self, there: WebSocketRoute) -> None:
        if self.is_cut:
            there.close(code=1001)
        else:
            self.open.append((there, there.connect_to_server()))
            self.made += 1

    def cut(self) -> None:
        """Breaks the connection, and lets no other come about."""
        self.is_cut = True
        for there, server in self.open:
            server.close()
            there.close(code=1001)
        self.open.clear()

    def mend(self) -> None:
        """Lets the page connect again."""
        self.is_cut = False


def wait_until_forgotten(trust: Trust, page: Page) -> None:
    """So long that the server has dropped the session of a page that was closed or cut off."""
    page.wait_for_timeout(1000 * trust.count(4, 130))


def test_a_training_is_found_again_in_every_way(
    trust: Trust, forgetful: Server, context: BrowserContext, own_data_folder: Path
) -> None:
    first = TrainPage(context.new_page(), forgetful.url).train(LONG)
    first.is_now("running", 90)
    link = first.page.url
    (folder,) = (forgetful.data / "runs").iterdir()
    ways = 0

    def shows(shown: TrainPage) -> None:
        nonlocal ways
        shown.is_now("running")
        expect(shown.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()  # it is theirs
        expect(shown.page.locator(".lp-run-row")).to_contain_text(folder.name)
        shown.grows()
        assert f"run={folder.name}" in shown.page.url or "run=" not in shown.page.url
        ways += 1

    first.page.reload()
    shows(first)
    for query in ("", f"?{link.partition('?')[2]}"):  # the plain address, and the run's link
        first.page.close()
        first = TrainPage(context.new_page(), forgetful.url).open(query)
        shows(first)
    cable = Cable(waits := context.new_page())
    cut_off = TrainPage(waits, forgetful.url).open(f"?{link.partition('?')[2]}")
    shows(cut_off)
    first.page.close()
    cable.cut()
    wait_until_forgotten(trust, waits)
    again = TrainPage(context.new_page(), forgetful.url).open()  # a closed tab's session is gone, too
    shows(again)
    again.page.close()
    cable.mend()
    cut_off.wait_for(lambda: cable.made == 2, 60)
    shows(cut_off)
    cut_off.button("Stop")
    cut_off.is_now("stopped", 20)
    trust.say(f"found in {ways} of {ways} ways; the session was gone for {trust.count(4, 130)} s")
    assert Run(folder).status == "stopped"


def test_drawing_knobs_and_table_stand_in_the_address_and_outlive_the_session(
    trust: Trust, forgetful: Server, context: BrowserContext
) -> None:
    pages = [context.new_page() for _ in range(3)]
    cables = [Cable(page) for page in pages]
    drawn = DrawPage(pages[0], forgetful.url).open()
    drawn.button("7")
    expect(drawn.answer).to_have_text("7")
    knobs = TrainPage(pages[1], forgetful.url).open("?data=mnist-5k&learning_rate=0.002")
    pages[1].get_by_role("tab", name="Training").click()
    rate = pages[1].get_by_role("spinbutton", name="Learning rate")
    rate.fill("0.004")
    rate.press("Enter")
    pages[1].wait_for_url(re.compile("learning_rate=0.004"))
    pages[2].goto(f"{forgetful.url}/history?table={TABLE}")
    counts = pages[2].locator(".lp-counts")

    def shown() -> None:
        expect(drawn.answer).to_have_text("7", timeout=60_000)
        expect(knobs.differs).to_contain_text("0.004", timeout=60_000)
        expect(counts).to_contain_text("25 x 30 + 16 biases", timeout=60_000)  # the table's 30 pairs

    shown()
    for cable in cables:
        cable.cut()
    wait_until_forgotten(trust, pages[0])
    for cable, page in zip(cables, pages, strict=True):
        cable.mend()
        deadline = time.monotonic() + 60
        while cable.made < 2:
            assert time.monotonic() < deadline
            page.wait_for_timeout(100)
    drawn.button("Undo")  # of what the address had: the session that knew more is gone
    expect(drawn.empty).to_be_visible()
    drawn.button("Redo")
    shown()
    for page in pages:
        page.reload()
    shown()
    trust.say("a drawing, knobs and a table are there again, in the page as it was and after a reload")
