"""The Compare page in a real browser: real runs laid over each other, while they train and after."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from lenet_core.codegen import to_script
from lenet_core.recipes import Recipe
from lenet_core.runs import Plan, Run, create_run
from lenet_core.worker import work
from tests.conftest import Server, serve
from tests.core.trainings import tiny
from tests.e2e.conftest import TrainPage


@pytest.fixture(scope="module")
def compare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with one worker and two finished runs that differ by one knob."""
    folder = tmp_path_factory.mktemp("compares")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_DATA_DIR", str(folder / "data"))
        patch.setenv("LENET_WORKERS", "1")
        for activation in ("relu", "tanh"):
            recipe = tiny(share=0.5, epochs=2, channels="4,8", activation=activation)
            assert work(create_run(Plan(recipe, base="lenet-modern", device="cpu"))) == "finished"
        process, url = serve(folder / "data", folder / "log")
    yield Server(url, folder / "data", folder / "log")
    process.terminate()
    process.wait(60)


@pytest.fixture
def finished(compare_server: Server) -> list[Run]:
    """The two finished runs, relu's and tanh's."""
    folders = [path.parent for path in (compare_server.data / "runs").glob("*/recipe.json")]
    runs = [run for run in map(Run, folders) if run.status == "finished"]
    return sorted(runs, key=lambda run: run.plan.recipe.architecture.activation)


class ComparePage(TrainPage):
    """The Compare page as a learner uses it."""

    def __init__(self, page: Page, url: str) -> None:
        super().__init__(page, url)
        self.chart = page.get_by_role("img", name=re.compile("^Loss along"))
        self.accuracy = page.get_by_role("img", name=re.compile("^(Accuracy|Error) along"))

    def _response(self, status: int, url: str) -> None:
        super()._response(status, url.replace("/compare/_stcore/", "/train/_stcore/"))

    def open(self, query: str = "") -> ComparePage:
        """Goes straight to the page, as a link does."""
        self.page.goto(f"{self.url}/compare{query}")
        self.drawn(self.chart)
        return self

    def drawn(self, chart: Locator) -> None:
        """Waits until a chart has lines."""
        expect(chart.locator(".scatterlayer .js-line").first).to_be_attached(timeout=30_000)

    def choose(self, name: str) -> None:
        """Presses one of the switches."""
        self.page.get_by_role("radio", name=name).click()

    def names(self, chart: Locator) -> list[str]:
        """The names of a chart's lines."""
        found = chart.evaluate("chart => chart.data.map(trace => trace.name).filter(Boolean)")
        return [str(name) for name in found]

    def xs(self) -> list[float]:
        """Where the points of the first loss lie."""
        points: list[Any] = self.asked("chart.data.find(trace => trace.name).x")
        return [float(point) for point in points]


@pytest.fixture
def compare_page(page: Page, compare_server: Server) -> Iterator[ComparePage]:
    """The Compare page, not yet opened; nothing may have complained."""
    shown = ComparePage(page, compare_server.url)
    yield shown
    assert shown.complaints == []
    assert "Traceback" not in compare_server.log.read_text()


def link(runs: list[Run], more: str = "") -> str:
    return f"?runs={','.join(run.name for run in runs)}{more}"


def test_runs_are_laid_over_each_other_and_the_link_brings_it_all_back(
    compare_page: ComparePage, finished: list[Run]
) -> None:
    page = compare_page.open(link(finished)).page
    assert len(compare_page.names(compare_page.chart)) == 2
    last = compare_page.xs()[-1]
    compare_page.choose("Steps")
    page.wait_for_url(re.compile("[?&]x=step"))
    compare_page.wait_for(lambda: compare_page.xs()[-1] > 10 * last)
    compare_page.choose("Error")
    expect(compare_page.accuracy).to_have_attribute("aria-label", re.compile("^Error along steps"))
    page.reload()
    compare_page.drawn(compare_page.chart)
    expect(compare_page.accuracy).to_have_attribute("aria-label", re.compile("^Error along steps"))
    assert compare_page.xs()[-1] > 10 * last
    page.get_by_role("button", name=re.compile("^Remove lenet-modern: tanh")).click()
    compare_page.wait_for(lambda: len(compare_page.names(compare_page.chart)) == 1)
    expect(page.get_by_text("Choose a second run above")).to_be_visible()


def test_two_runs_side_by_side(compare_page: ComparePage, finished: list[Run]) -> None:
    page = compare_page.open(link(finished)).page
    for letter, run in zip("AB", finished, strict=True):
        expect(page.get_by_test_id(f"pair-{letter}")).to_contain_text(run.plan.recipe.name)
    expect(page.get_by_test_id("pair-A")).not_to_contain_text("tanh")
    expect(page.get_by_test_id("pair-B")).to_contain_text("tanh")  # all in which the two differ
    for name in ("Both wrong", "Only A wrong", "Only B wrong"):
        compare_page.choose(name)
        wanted = int(re.search(r"\((\d+)\)", page.get_by_role("radio", name=name).inner_text())[1])  # type: ignore[index]
        expect(page.get_by_test_id("mistakes").locator("figure")).to_have_count(min(wanted, 24))
    compare_page.choose("Confusion")
    expect(page.get_by_test_id("difference").locator("tbody tr")).to_have_count(10)
    expect(page.locator(".lp-confusion")).to_have_count(3)


def test_a_recipe_is_taken_along(compare_page: ComparePage, finished: list[Run]) -> None:
    page = compare_page.open(link(finished[::-1])).page
    run = finished[1]
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert Recipe.from_dict(json.loads(download.value.path().read_text())) == run.plan.recipe
    with page.expect_download() as download:
        page.get_by_role("button", name="PyTorch script").click()
    assert download.value.path().read_text() == to_script(run.plan.recipe)


def test_a_run_grows_while_one_looks_and_a_zoom_is_kept(compare_page: ComparePage) -> None:
    training = TrainPage(compare_page.page, compare_page.url).train("?data=mnist-5k&epochs=1000")
    training.is_now("running")
    page = compare_page.page
    page.get_by_role("link", name="Compare").click()
    compare_page.drawn(compare_page.chart)
    whole = compare_page.asked("chart.layout.xaxis.range")
    box = compare_page.chart.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    compare_page.wait_for(lambda: compare_page.asked("chart.layout.xaxis.range") != whole)
    zoomed = compare_page.asked("chart.layout.xaxis.range")
    seen = "Math.max(...chart.data.filter(trace => trace.name).map(trace => trace.x.at(-1)))"
    before = compare_page.asked(seen)
    compare_page.wait_for(lambda: compare_page.asked(seen) > before)
    assert compare_page.asked("chart.layout.xaxis.range") == zoomed
    page.get_by_role("link", name="Train").click()
    training.button("Stop")
    training.is_now("stopped", 10)


def test_on_a_phone_the_charts_come_first_and_nothing_sticks_out(
    compare_page: ComparePage, finished: list[Run]
) -> None:
    compare_page.page.set_viewport_size({"width": 390, "height": 844})
    page = compare_page.open(link(finished)).page
    chart, choices = compare_page.chart.bounding_box(), page.locator(".st-key-compare_choices").bounding_box()
    assert chart is not None
    assert choices is not None
    assert chart["y"] < 844 < choices["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
