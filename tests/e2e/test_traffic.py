"""What the Draw page sends to the server: something after each pen-up, nothing while the pen is down."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server
from tests.e2e.hands import Hand, evenly


@pytest.mark.parametrize("seconds", [1, 3])
def test_nothing_leaves_the_browser_while_the_pen_is_down(page: Page, server: Server, seconds: int) -> None:
    hand = Hand(page)
    hand.open(server.url)
    answer = page.get_by_test_id("answer")
    first = hand.stroke([(140, 40), (140, 240)], seconds)
    expect(answer).to_have_attribute("data-strokes", "1")
    second = hand.stroke([(90, 240), (190, 240)], seconds)
    expect(answer).to_have_attribute("data-strokes", "2")
    assert [first.during, second.during] == [0, 0]
    assert first.after in range(1, 4)
    assert second.after in range(1, 4)


def test_points_lie_evenly_along_a_stroke() -> None:
    points = evenly([(0, 0), (3, 0), (3, 4)], 8)
    assert (points[0], points[3], points[5], points[-1]) == ((0, 0), (3, 0), (3, 2), (3, 4))
    assert evenly([(5, 5)], 2) == [(5, 5), (5, 5)]
