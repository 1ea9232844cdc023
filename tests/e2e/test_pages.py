"""Every page by a cold deep link, and the ways between them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server

PAGES = {
    "": "See how LeNet reads a digit",
    "draw": "Draw a digit",
    "train": "Train a network",
    "feature_maps": "Look inside",
    "compare": "Compare runs",
    "history": "Turn the 1998 net into a modern one",
    "exercises": "Predict, run, compare",
}
DOORS = 5  # in the menu; the others are reached from Home


@pytest.mark.parametrize("path", PAGES)
def test_cold_deep_link(page: Page, server: Server, path: str) -> None:
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path])
    menu = page.locator(".st-key-menu")
    expect(menu.get_by_role("link")).to_have_count(DOORS)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()  # the title comes first
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_home_shows_a_digit_going_through(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.locator(".lp-stage")).to_have_count(8)
    expect(page.get_by_text("The largest wins: 4.")).to_be_visible()
    page.get_by_role("radio", name="7", exact=True).click()
    expect(page.get_by_text("The largest wins: 7.")).to_be_visible()


def test_home_ledger_follows_the_link_and_the_choice(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?preset=alexnet-2012")
    ledger = page.get_by_role("region", name="Ledger")
    expect(ledger).to_contain_text("60,965,224")
    page.get_by_role("combobox", name=re.compile("Network")).click()
    page.get_by_role("option", name="lenet5-1998").click()
    expect(ledger).to_contain_text("340,908")


def test_home_has_a_door_to_the_draw_page(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Draw your own").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Draw a digit")


def test_no_page_is_wider_than_a_phone(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path, title in PAGES.items():
        page.goto(f"{server.url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        page.wait_for_timeout(1500)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
