"""LeNet beside AlexNet on Home, and why F6 has 84 units, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server

LAYERS = ("subsampling", "rbf", "lrn", "overlap", "groups", "dropout")


def test_another_network_can_stand_beside(page: Page, server: Server) -> None:
    page.goto(server.url)
    table = page.get_by_test_id("beside")
    expect(table).to_contain_text("1,016 times as many")
    choice = page.get_by_role("combobox", name="On the right")
    choice.scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # a list that is open closes where the page scrolls
    choice.click()
    page.get_by_role("option", name="alexnet-cifar").click()
    expect(table).to_contain_text("35,855,178")
    page.wait_for_url(re.compile("right=alexnet-cifar"))


def test_dropout_drops_others_again(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?try=dropout")
    units = page.locator(".lp-dropped")
    expect(units).to_be_visible()
    before = units.inner_text()
    page.get_by_role("button", name="Drop again").click()
    expect(units).not_to_have_text(before, use_inner_text=True)


def test_a_slider_moves_the_numbers(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?try=lrn")
    tried = page.get_by_test_id("tried")
    expect(tried).to_contain_text("Map 3 goes from 150 to 30.8")
    page.get_by_role("slider", name="Map 3, the one to watch").press("Home")
    expect(tried).to_contain_text("Map 3 goes from 0 to 0;")


def test_the_moving_digit_comes_first(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_text("The largest wins: 4.")).to_be_in_viewport()
    expect(page.get_by_role("heading", name="LeNet beside AlexNet")).not_to_be_in_viewport()


@pytest.mark.parametrize(
    ("door", "title"),
    [
        ("Turn it into a modern one", "Turn the 1998 net into a modern one"),
        ("Try the textbooks' exercises", "Predict, run, compare"),
    ],
)
def test_home_has_doors_to_the_rooms_outside_the_menu(page: Page, server: Server, door: str, title: str) -> None:
    page.goto(server.url)
    page.get_by_role("link", name=door).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_from_the_codes_to_the_cat(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?try=rbf")
    page.get_by_role("button", name="Show it a cat: Why 84?").click()
    expect(page.get_by_test_id("why-says")).to_contain_text("Do not believe it.")
    page.locator(".st-key-why_kind").get_by_role("radio", name="7", exact=True).click()
    expect(page.get_by_test_id("why-says")).to_contain_text("The nearest code is that of 7")
    page.wait_for_url(re.compile(r"why=7\.0"))


def test_pointing_at_a_code_shows_what_is_left_without_it(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/history")
    code = page.locator(".lp-code").nth(8)
    left = code.get_by_role("img", name="What is left of F6 without the code of 8")
    expect(code.get_by_role("img", name="The code of 8")).to_be_visible()
    expect(left).not_to_be_visible()
    code.hover()
    expect(left).to_be_visible()
    page.mouse.move(0, 0)
    expect(left).not_to_be_visible()
    code.focus()
    expect(left).to_be_visible()


def test_nothing_is_wider_than_a_phone(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for layer in LAYERS:
        page.goto(f"{server.url}/?try={layer}")
        expect(page.get_by_test_id("tried")).to_be_visible()
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390, layer
        sides = page.locator(".st-key-tried, .lp-beside").evaluate_all(
            "parts => parts.map(part => part.getBoundingClientRect().right)"
        )
        assert max(sides) <= 390, layer
