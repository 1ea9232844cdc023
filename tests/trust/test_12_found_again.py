"""Promise 12: a closed tab finds its run again, and so does one that was cut off until its session was gone."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator
from subprocess import Popen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from lenet_core.runs import Run
from tests.conftest import Server, serve
from tests.e2e.conftest import DrawPage, TrainPage
from tests.trust.conftest import Trust

LONG = "?data=mnist-5k&epochs=1000&learning_rate=0.0017"
TABLE = "1.2.4.8.10.20.3.6.c.18.30.21.7.e.1c.38"


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts the app with further options of Streamlit's, for all tests here that want the same."""
    started: list[Popen[bytes]] = []

    @functools.cache
    def start(*options: str) -> Server:
        folder = tmp_path_factory.mktemp("served")
        process, url = serve(folder / "data", folder / "log", "app.py", *options)
        started.append(process)
        return Server(url, folder / "data", folder / "log")

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


@pytest.fixture
def forgetful(trust: Trust, apps: Callable[..., Server]) -> Server:
    """The app, which in the short run forgets a session one second after it was cut off; as shipped, after 120."""
    return apps() if trust.full else apps("--server.disconnectedSessionTTL", "1")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps its cookies."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
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
    page.wait_for_timeout(1000 * trust.count(3, 130))


def test_a_training_is_found_again_in_every_way(trust: Trust, forgetful: Server, context: BrowserContext) -> None:
    cable = Cable(page := context.new_page())
    first = TrainPage(page, forgetful.url).train(LONG)
    first.is_now("running", 90)
    link = f"?{page.url.partition('?')[2]}"
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

    for query in ("", link)[: trust.count(0, 2)]:  # while the server still remembers the session
        shows(other := TrainPage(context.new_page(), forgetful.url).open(query))
        other.page.close()
    cable.cut()
    wait_until_forgotten(trust, page)
    shows(other := TrainPage(context.new_page(), forgetful.url).open())  # by the plain address
    cable.mend()
    first.wait_for(lambda: cable.made >= 2, 60)
    shows(first)
    page.reload()
    shows(first)
    page.close()
    shows(other.open(link))
    other.button("Stop")
    other.is_now("stopped", 20)
    trust.say(f"found in {ways} of {ways} ways; the session was gone for {trust.count(3, 130)} s")
    assert Run(folder).status == "stopped"


def test_drawing_knobs_and_table_stand_in_the_address_and_outlive_the_session(
    trust: Trust, forgetful: Server, context: BrowserContext
) -> None:
    pages = [context.new_page() for _ in range(3)]
    cables = [Cable(page) for page in pages]
    drawn = DrawPage(pages[0], forgetful.url).open()
    for digit in ("1", "7"):
        drawn.button(digit)
        expect(drawn.answer).to_have_text(digit)
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
        expect(drawn.answer).to_have_attribute("data-settled", "true")  # the server knows it too, and so the address
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
    drawn.button("Undo")  # of what the address had: the session that knew of the 1 is gone
    expect(drawn.empty).to_be_visible()
    drawn.button("Redo")
    shown()
    for page in pages:
        page.reload(wait_until="commit")
    shown()
    trust.say("a drawing, knobs and a table are there again, in the page as it was and after a reload")
