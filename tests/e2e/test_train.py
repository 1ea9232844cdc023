"""The Train page in a real browser, used as a learner uses it: real trainings by real workers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import classify
from lenet_core.errors import LenetError
from lenet_core.leases import holder
from lenet_core.runs import Run
from tests.conftest import Server, serve
from tests.core.trainings import kinds
from tests.e2e.conftest import DrawPage, TrainPage
from ui.cache import sample_digits

LONG = "?data=mnist-5k&epochs=1000"
BRIEF = "?data=mnist-5k&share=0.25&epochs=2"
GALLERY = ".lp-gallery figure:nth-child(16)"
VIEWS = {  # each look inside, what it says, and what is seen last of it
    "Kernels": ("The weights of each kernel", "img[alt^='C1, feature map 5']"),
    "Feature maps": ("C3: what each kernel finds", "img[alt^='C3, feature map 15']"),
    "Gradients": ("the length of each layer's gradient", "[aria-label^='The gradient'] .scatterlayer .js-line"),
    "Confusion": ("The held-out images after epoch", ".lp-confusion tbody tr:nth-child(10)"),
    "Worst": ("The sixteen held-out images it is worst at", GALLERY),
    "Predictions": ("Sixteen images that it does not learn from", GALLERY),
}


@pytest.fixture(scope="module")
def training_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with two workers, for these tests alone."""
    folder = tmp_path_factory.mktemp("trains")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_WORKERS", "2")
        no_network = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")  # one test asks for MNIST
        process, url = serve(folder / "data", folder / "log", settings=no_network)
    yield Server(url, folder / "data", folder / "log")
    process.terminate()
    process.wait(60)


def runs_of(server: Server) -> list[Run]:
    """All runs, the newest last."""
    return [Run(path.parent) for path in sorted((server.data / "runs").glob("*/recipe.json"), key=_age)]


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


@pytest.fixture
def train_page(page: Page, training_server: Server) -> Iterator[TrainPage]:
    """The Train page, not yet opened; what is left of its runs ends with the test, and nothing may have complained."""
    shown = TrainPage(page, training_server.url)
    yield shown
    clear(training_server)
    assert shown.complaints == []
    assert "Traceback" not in training_server.log.read_text()


def clear(server: Server) -> None:
    """Removes all runs, so that the next test's need not wait."""
    for run in runs_of(server):
        with contextlib.suppress(LenetError):
            run.ask("stop")
    deadline = time.monotonic() + 10
    for run in runs_of(server):
        while holder(run.folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        run.delete()


def visitor(browser: Browser, server: Server) -> TrainPage:
    """Somebody else, in a browser of their own."""
    return TrainPage(browser.new_context(viewport={"width": 1366, "height": 768}).new_page(), server.url)


def look(page: Page, view: str) -> Locator:
    """Chooses a look inside; what is seen last of it."""
    says, seen = VIEWS[view]
    page.get_by_role("radio", name=view, exact=True).click()
    expect(page.get_by_text(says)).to_be_visible()
    last = page.locator(seen).first
    expect(last).to_be_attached()
    return last


def place_a_seven(page: Page) -> None:
    """Goes to the Draw page and places a seven there."""
    page.get_by_role("link", name="Draw").click()
    page.get_by_role("button", name="7", exact=True).click()
    expect(page.get_by_test_id("answer")).to_have_text("7")


# ---------------------------------------------------------------- watching


def test_one_click_trains_and_a_zoom_is_kept_while_points_arrive(train_page: TrainPage) -> None:
    train_page.open(LONG)
    expect(train_page.page.get_by_test_id("empty")).to_have_text("Nothing trained yet")
    train_page.trains.click()
    expect(train_page.status).to_be_visible(timeout=5_000)
    assert train_page.status.get_attribute("data-status") in ("waiting", "starting")
    train_page.is_now("running")
    train_page.wait_for(lambda: train_page.points() >= 10)
    expect(train_page.page.get_by_text(re.compile(r"step [\d,]+ of 113,000 .* images/s .* left"))).to_be_visible()
    whole = train_page.asked("chart.layout.xaxis.range")
    box = train_page.chart.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    train_page.page.mouse.move(box["x"] + 5, box["y"] + 10)
    train_page.page.mouse.down()
    train_page.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    train_page.page.mouse.up()
    train_page.wait_for(lambda: train_page.asked("chart.layout.xaxis.range") != whole)
    zoomed = train_page.asked("[chart.layout.xaxis.range, chart.layout.yaxis.range]")
    assert zoomed[0][1] < 0.6 * whole[1]
    train_page.grows(0.5)
    train_page.wait_for(lambda: train_page.points("validation") >= 1)
    assert train_page.asked("[chart.layout.xaxis.range, chart.layout.yaxis.range]") == zoomed


def test_it_goes_on_while_one_is_elsewhere_and_reads_ones_drawing(train_page: TrainPage) -> None:
    page = train_page.train(LONG).page
    train_page.is_now("running")
    place_a_seven(page)
    page.get_by_role("link", name="Train").click()
    train_page.is_now("running")
    train_page.grows()
    mine = page.locator(".lp-card").filter(has_text="Your last drawing")
    expect(mine.locator(".lp-card-digit")).to_have_text("7")
    page.reload()
    train_page.is_now("running")
    train_page.grows()
    other_tab = TrainPage(page.context.new_page(), train_page.url).open()  # the plain address
    other_tab.is_now("running")
    other_tab.grows()
    expect(other_tab.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    other_tab.button("Stop")
    train_page.is_now("stopped", 10)
    other_tab.page.close()


def test_each_look_inside_shows_something_while_it_trains(train_page: TrainPage) -> None:
    page = train_page.train(LONG).page
    train_page.is_now("running")
    expect(page.get_by_role("heading", name="Inside the network")).to_be_visible()
    train_page.wait_for(lambda: train_page.points("validation") >= 1)
    for view in VIEWS:
        look(page, view)
        expect(train_page.warnings).to_have_count(0)
    train_page.is_now("running", 1)
    kernel = look(page, "Kernels")
    before = kernel.get_attribute("src")
    train_page.wait_for(lambda: kernel.get_attribute("src") != before)  # it is followed


# ---------------------------------------------------------------- its end, and what it leaves


def test_stop_resume_finish_and_keep(train_page: TrainPage, tmp_path: Path) -> None:
    page = train_page.train("?data=mnist-5k&epochs=20").page
    train_page.is_now("running")
    train_page.wait_for(lambda: train_page.points() >= 10)
    train_page.button("Stop")
    train_page.is_now("stopped")
    reached = train_page.points()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    train_page.button("Resume")
    train_page.is_now("starting|running")
    train_page.is_now("finished", 180)
    train_page.wait_for(lambda: train_page.points() > reached)
    expect(train_page.result).to_contain_text(re.compile(r"\d\d\.\d\d %.*of 1,000 test images.*95 % interval", re.S))
    expect(page.get_by_text("The test images were asked this once")).to_be_visible()

    weights = saved(page, "Network", tmp_path / "mine.safetensors")
    network = load_checkpoint(weights)
    assert network.training["test_accuracy"] > 0.8
    model = saved(page, "ONNX", tmp_path / "mine.onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    onnxruntime.InferenceSession(model)

    for view in VIEWS:
        look(page, view)
    kernel = look(page, "Kernels")
    trained = kernel.get_attribute("src")
    page.get_by_role("slider", name="Slide through the training").press("Home")
    expect(page.get_by_test_id("stSliderThumbValue")).to_have_text("step 0 (epoch 0.00)")
    expect(kernel).not_to_have_attribute("src", trained or "")

    seven = classify(network, sample_digits()[7])
    train_page.button("Draw with it")
    drawing = DrawPage(page, train_page.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Draw a digit")
    expect(page.get_by_role("combobox", name=re.compile("Answered by"))).to_have_value(re.compile("your own"))
    drawing.button("7")
    expect(drawing.answer).to_have_text(seven.name(seven.label))


def saved(page: Page, button: str, path: Path) -> Path:
    """The file that a download button gives."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    done: Download = download.value
    assert done.suggested_filename.endswith(path.suffix)
    done.save_as(path)
    return path


def test_pause_resume_one_epoch_and_delete(train_page: TrainPage, training_server: Server) -> None:
    page = train_page.train("?data=mnist-5k&share=0.5&epochs=400").page
    train_page.is_now("running")
    train_page.button("Pause")
    train_page.is_now("paused")
    page.wait_for_timeout(1000)
    stood = step(page)
    page.wait_for_timeout(1500)
    assert step(page) == stood
    train_page.button("One epoch")
    epoch = 57  # steps
    (run,) = runs_of(training_server)
    train_page.wait_for(lambda: kinds(run).count("paused") == 2)
    train_page.is_now("paused")
    page.wait_for_timeout(1000)
    # One that stood between an epoch's last batch and its end had nothing of it left to learn.
    assert step(page) % epoch == 0
    assert 0 <= step(page) - stood <= epoch
    train_page.button("Resume")
    train_page.is_now("running")
    train_page.grows()
    delete(train_page)
    expect(page.get_by_test_id("empty")).to_have_text("Nothing trained yet")
    assert runs_of(training_server) == []


def test_a_double_click_is_one_run(train_page: TrainPage, training_server: Server) -> None:
    train_page.open(LONG)
    train_page.trains.click()
    train_page.page.wait_for_timeout(200)
    train_page.trains.click()
    train_page.is_now("running")
    assert len(runs_of(training_server)) == 1


def test_what_is_deleted_in_another_tab_is_gone_here(train_page: TrainPage) -> None:
    train_page.train(BRIEF)
    train_page.is_now("finished")
    page = train_page.train(LONG).page
    train_page.is_now("running")
    train_page.wait_for(lambda: train_page.points("earlier runs") == 1)
    other_tab = TrainPage(page.context.new_page(), train_page.url).open()
    other_tab.page.get_by_role("button", name="Watch").and_(other_tab.page.locator(":enabled")).click()
    other_tab.is_now("finished")
    delete(other_tab)  # what stands as an earlier run in the other tab's chart
    other_tab.is_now("running")
    train_page.grows()
    train_page.wait_for(lambda: train_page.points("earlier runs") == 0)
    delete(other_tab)  # what the other tab shows
    for shown in (other_tab, train_page):
        expect(shown.page.get_by_test_id("empty")).to_have_text("Nothing trained yet")
    assert other_tab.complaints == []


def step(page: Page) -> int:
    """The step that the shown run is at."""
    says = page.get_by_text(re.compile(r"^step [\d,]+ of")).inner_text()
    return int(says.split()[1].replace(",", ""))


def delete(shown: TrainPage) -> None:
    """Deletes the run that is shown."""
    button = shown.page.get_by_role("button", name="Delete", exact=True)
    expect(button).to_have_count(1)  # while the page turns to another run, both are there
    button.click()
    shown.button("Delete this run")


# ---------------------------------------------------------------- others


def test_two_at_once_see_their_own_and_a_shared_link_lets_one_watch(
    train_page: TrainPage, training_server: Server, browser: Browser
) -> None:
    other = visitor(browser, training_server)
    train_page.train(BRIEF)
    other.train(BRIEF.replace("epochs=2", "epochs=3"))
    for shown in (train_page, other):
        shown.is_now("finished", 90)
        expect(shown.result).to_be_visible()
        expect(shown.page.get_by_role("button", name="Watch")).to_have_count(1)
    expect(train_page.page.locator(".lp-run")).to_contain_text("epochs 2")
    expect(other.page.locator(".lp-run")).to_contain_text("epochs 3")
    train_page.train(LONG)
    train_page.is_now("running")
    other.page.goto(train_page.page.url)
    other.is_now("running")
    other.grows()
    expect(other.page.get_by_text("Another learner's run: you can watch it.")).to_be_visible()
    for name in ("Stop", "Pause", "Delete", "Resume", "One epoch"):
        expect(other.page.get_by_role("button", name=name)).to_have_count(0)
    assert other.complaints == []
    other.page.context.close()


# ---------------------------------------------------------------- what goes wrong


def test_a_killed_worker_is_replaced(train_page: TrainPage, training_server: Server) -> None:
    train_page.train(LONG)
    train_page.is_now("running")
    train_page.wait_for(lambda: train_page.points("validation") >= 1)
    held = holder(runs_of(training_server)[-1].folder)
    assert held is not None
    os.kill(held["pid"], signal.SIGKILL)
    train_page.wait_for(lambda: (holder(runs_of(training_server)[-1].folder) or held)["pid"] != held["pid"])
    train_page.is_now("running")
    train_page.grows(0.5)


def test_a_training_outlives_the_app(page: Page, tmp_path: Path) -> None:
    first, url = serve(tmp_path / "data", tmp_path / "log")
    second: subprocess.Popen[bytes] | None = None
    try:
        shown = TrainPage(page, url).train("?data=mnist-5k&epochs=1000")
        shown.is_now("running")
        shown.wait_for(lambda: shown.points("validation") >= 1)
        (run,) = (tmp_path / "data" / "runs").iterdir()
        first.kill()
        first.wait()
        second, url = serve(tmp_path / "data", tmp_path / "log")
        again = TrainPage(page, url).open()  # who is learning stands in the browser
        again.is_now("running")
        again.grows()
        assert again.points("validation") >= 1
        expect(page.locator(".lp-run-row")).to_contain_text(run.name)
    finally:
        first.kill()
        if second is not None:
            second.terminate()
            second.wait(10)


def test_what_cannot_be_trained_is_said_in_a_line(train_page: TrainPage) -> None:
    train_page.train("?epochs=1")  # MNIST itself, which is not there and cannot be downloaded
    train_page.is_now("failed")
    expect(train_page.warnings).to_have_count(1)
    expect(train_page.warnings).to_contain_text(re.compile("MNIST could not be read.* use mnist-5k"))
    train_page.train(FAR_TOO_FAST)
    train_page.is_now("failed")
    expect(train_page.warnings).to_have_count(1)
    expect(train_page.warnings).to_contain_text(re.compile("no longer a number.*learning rate of 100 is too high"))


FAR_TOO_FAST = "?data=mnist-5k&epochs=2&optimiser=sgd&learning_rate=100&momentum=0.9&activation=identity"


def test_an_impossible_network_says_which_layer_and_cannot_be_trained(train_page: TrainPage) -> None:
    page = train_page.open("?data=mnist-5k").page
    kernel = page.get_by_role("spinbutton", name="kernel 1")
    kernel.fill("40")
    kernel.press("Enter")
    expect(train_page.warnings).to_contain_text(re.compile("c1: its 40x40 kernel is larger than its 28x28 input"))
    expect(train_page.trains).to_be_disabled()
    kernel.fill("5")
    kernel.press("Enter")
    expect(train_page.trains).to_be_enabled()
    expect(train_page.warnings).to_have_count(0)


# ---------------------------------------------------------------- choosing


def test_a_link_turns_the_knobs_and_says_what_differs(train_page: TrainPage) -> None:
    page = train_page.open("?recipe=lenet5-tanh&data=mnist-5k&channels=4,8,60&learning_rate=0.002&rotation=10").page
    expect(train_page.differs.locator(".lp-chip")).to_have_text(
        ["Channels 6,16,120 → 4,8,60", "Data set mnist → mnist-5k", "Learning rate 0.001 → 0.002", "Rotation 0 → 10"]
    )
    expect(page.get_by_role("spinbutton", name="channels 3")).to_have_value("60")
    page.get_by_role("tab", name="Training").click()
    expect(page.get_by_role("spinbutton", name="Learning rate")).to_have_value("0.002")
    page.get_by_role("spinbutton", name="Learning rate").fill("0.004")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("learning_rate=0.004"))
    shared = visitor(page.context.browser, train_page)  # type: ignore[arg-type]
    shared.page.goto(page.url)
    expect(shared.differs).to_contain_text("0.004")
    shared.page.context.close()
    train_page.button("Reset")
    expect(train_page.differs).to_have_count(0)
    expect(page.get_by_role("spinbutton", name="Learning rate")).to_have_value("0.001")


def test_nonsense_in_a_link_is_one_line_and_no_markup(train_page: TrainPage) -> None:
    train_page.open("?activation=<img src=x onerror=alert(1)>&data=mnist-5k")
    expect(train_page.warnings).to_have_count(1)
    expect(train_page.warnings).to_contain_text("activation must be one of")
    expect(train_page.page.locator("img[src=x]")).to_have_count(0)
    expect(train_page.trains).to_be_enabled()


def test_a_sweeps_table_fills(train_page: TrainPage) -> None:
    page = train_page.open("?data=mnist-5k&share=0.1&epochs=1").page
    page.get_by_text("A sweep: every combination of some knobs").click()
    seeds = page.get_by_role("spinbutton", name="Seeds")
    seeds.fill("1")
    seeds.press("Enter")
    train_page.button("Train 4 runs")
    table = page.get_by_role("region", name="Results of the sweep")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(4)
    for row in range(4):
        expect(rows.nth(row)).to_contain_text(re.compile(r"\d\.\d\d ?%"), timeout=90_000)


def test_the_script_is_the_networks_own(train_page: TrainPage, tmp_path: Path) -> None:
    page = train_page.open("?data=mnist-5k&activation=tanh").page
    page.get_by_text("As PyTorch code").click()
    path = saved(page, "Download", tmp_path / "script.py")
    compile(path.read_text(), str(path), "exec")
    assert "Tanh" in path.read_text()


def test_train_is_pressed_by_keyboard(train_page: TrainPage) -> None:
    page = train_page.open(BRIEF).page
    for _ in range(12):
        page.keyboard.press("Tab")
        if train_page.trains.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(train_page.status).to_be_visible()


def test_a_phone_shows_train_at_once_and_scrolls_one_way(browser: Browser, training_server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone = TrainPage(context.new_page(), training_server.url).open(LONG)
    box = phone.trains.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844
    phone.trains.tap()
    phone.is_now("running")
    phone.wait_for(lambda: phone.points() >= 10)
    for view in VIEWS:
        look(phone.page, view)
        assert phone.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390, view
    context.close()
    clear(training_server)
