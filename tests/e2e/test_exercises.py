"""An exercise from the prediction to the comparison, in a real browser with real trainings."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import Server


class ExercisesPage:
    """The Exercises page as a learner uses it; what went wrong behind it is in `complaints`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.question = page.get_by_test_id("question")
        self.look_for = page.get_by_test_id("look-for")
        self.done = page.get_by_test_id("stProgress")

    def open(self, exercise: str) -> ExercisesPage:
        """Goes straight to an exercise, as a link does."""
        self.page.goto(f"{self.url}/exercises?exercise={exercise}")
        expect(self.question).to_be_visible(timeout=30_000)
        return self

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def steps(self, *done: bool) -> None:
        """Waits until the steps have these marks."""
        for index, one in enumerate(done):
            mark = self.page.locator(".lp-step").nth(index)
            expect(mark).to_have_attribute("data-done", str(one).lower(), timeout=60_000)

    def predict(self, option: str) -> None:
        self.page.get_by_text(option, exact=True).click()
        self.button("Keep my prediction").click()
        self.steps(True)


@pytest.fixture
def exercises(page: Page, server: Server) -> ExercisesPage:
    return ExercisesPage(page, server.url)


def test_predict_run_compare_and_come_back(exercises: ExercisesPage) -> None:
    page = exercises.open("pooling").page
    exercises.steps(False, False, False)
    expect(exercises.button("Train them")).to_be_disabled()
    exercises.predict("max pooling")
    exercises.button("Train them").click()
    page.wait_for_url(re.compile("/train.*[?&]run="))
    expect(page.get_by_test_id("status")).to_be_visible()
    page.go_back()
    exercises.open("pooling").steps(True, True, False)  # noticed by itself, once both are trained
    table = page.get_by_role("region", name="Trainings of this exercise")
    expect(table).to_contain_text("%")
    expect(exercises.look_for).to_be_visible()
    exercises.button("Compare the runs").click()
    page.wait_for_url(re.compile("/compare.*[?&]runs=[^&]*%2C"))
    page.reload()
    exercises.open("pooling").steps(True, True, True)
    expect(exercises.done).to_contain_text("1 of 12 done")
    exercises.button("Next: ReLU for sigmoid").click()
    expect(exercises.question).to_contain_text("sigmoids")
    assert exercises.complaints == []


def test_another_browser_begins_with_nothing(exercises: ExercisesPage) -> None:
    exercises.open("pooling").steps(False, False, False)
    expect(exercises.done).to_contain_text("0 of 12 done")


def test_a_plateau_on_the_train_page_is_explained_and_ended(exercises: ExercisesPage) -> None:
    page = exercises.open("activation").page
    field = page.get_by_role("spinbutton")
    field.fill("70")
    field.press("Tab")
    expect(exercises.button("Keep my prediction")).to_be_enabled()
    exercises.button("Keep my prediction").click()
    exercises.button("Train them").click()
    note = page.get_by_test_id("plateau")
    expect(note).to_be_visible(timeout=60_000)
    expect(note).to_contain_text("at chance")
    expect(note).to_contain_text("times shorter than OUTPUT's")
    expect(note.get_by_role("row")).to_have_count(6)
    first = page.url
    exercises.button("Train it with ReLU").click()
    page.wait_for_url(lambda url: "run=" in url and url != first)
    expect(page.get_by_test_id("differs")).to_contain_text("relu")
    expect(page.get_by_test_id("status")).to_have_attribute("data-status", "finished", timeout=90_000)
    expect(note).to_have_count(0)
    assert exercises.complaints == []


def test_a_phone_shows_it_all_in_one_column(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    ExercisesPage(page, server.url).open("learning-rate")
    page.wait_for_timeout(1500)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    box = page.get_by_test_id("question").bounding_box()
    assert box is not None
    assert box["y"] < 500
