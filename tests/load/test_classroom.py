"""A class at the Draw page, whose pen-ups are all that it asks of the server; and what else such learners can do.

A class that turns pages while networks train is in tests/trust/test_06_classroom.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet_core.strokes import Strokes
from tests.conftest import Server
from tests.load.learners import Learner, LearnerError, alone
from tests.load.lessons import MOST_LEARNERS, MOST_SECONDS, Habits, Lesson, lesson, start_training
from tests.pens import pen_digits


@pytest.fixture
def digits(pen_strokes: Path) -> list[Strokes]:
    """Some pen digits."""
    return [digit.strokes for digit in pen_digits()[:50]]


def _holds(met: Lesson, learners: int, least: int) -> None:
    assert met.errors == []
    assert len(met.opened) == learners
    assert len(met.pen_ups) >= least
    # An answer is more than a few words: the picture, the maps and the other networks' cards come with it.
    assert min(rerun.received for rerun in met.pen_ups) > 10_000


def test_a_small_class_is_answered_at_every_pen_up(server: Server, digits: list[Strokes]) -> None:
    met = alone(lesson(server.url, 5, 8, digits, Habits(stroke=0.2, pause=1)))
    _holds(met, 5, 15)


@pytest.mark.slow
def test_a_class_of_fifty_is_answered_at_every_pen_up(server: Server, digits: list[Strokes]) -> None:
    met = alone(lesson(server.url, 50, 60, digits))
    _holds(met, 50, 150)


def test_a_learner_turns_pages_and_finds_the_drawing_again(server: Server, digits: list[Strokes]) -> None:
    async def there_and_back() -> tuple[str, str, str]:
        learner = Learner(server.url)
        await learner.open("draw")
        empty = learner.shown
        await learner.draw(digits[0])
        await learner.turn_to("history")
        elsewhere = learner.shown
        with pytest.raises(LearnerError, match="no canvas"):
            await learner.draw(digits[0])
        await learner.turn_to("draw")
        await learner.close()
        return empty, elsewhere, learner.shown

    empty, elsewhere, back = alone(there_and_back())
    answered = f'data-strokes="{len(digits[0])}"'
    assert answered not in empty
    assert answered not in elsewhere
    assert answered in back


def test_a_learner_trains_and_sees_that_it_is_stopped(server: Server, digits: list[Strokes]) -> None:
    async def trains_and_stops() -> tuple[Lesson, Lesson]:
        watcher = await start_training(server.url, {"recipe": "lenet-modern", "data": "mnist-5k", "epochs": "10000"})
        trained = await lesson(server.url, 1, 2, digits, watchers=[watcher])
        await watcher.use("Stop")
        stopped = await lesson(server.url, 1, 4, digits, watchers=[watcher])
        await watcher.close()
        return trained, stopped

    trained, stopped = alone(trains_and_stops())
    assert trained.errors == []
    assert trained.ticks
    assert stopped.errors == ["LearnerError: The training is stopped."]


def test_a_learner_knows_what_a_page_has(server: Server) -> None:
    async def looks_for_it() -> None:
        learner = Learner(server.url)
        await learner.open("history")
        await learner.use("Squashing function")
        assert "modern=activation" in learner.query
        await learner.use("Squashing function")
        assert "modern" not in learner.query
        with pytest.raises(LearnerError, match="no 'A digit' on this page"):
            await learner.use("A digit", "8")
        await learner.close()

    alone(looks_for_it())


def test_learners_stay_on_this_machine_and_within_bounds() -> None:
    with pytest.raises(ValueError, match="a server of one's own"):
        Learner("http://example.org")
    here = "http://127.0.0.1:1"
    with pytest.raises(ValueError, match=f"{MOST_LEARNERS + 1} learners"):
        alone(lesson(here, MOST_LEARNERS + 1, 1, []))
    with pytest.raises(ValueError, match="seconds: give more than 0"):
        alone(lesson(here, 1, MOST_SECONDS + 1, []))


def test_a_server_that_is_not_there_is_an_error_of_each_learner(digits: list[Strokes]) -> None:
    met = alone(lesson("http://127.0.0.1:1", 2, 1, digits, Habits(0.1, 0.1)))
    assert len(met.errors) == 4  # none could open the page, and none could draw
    assert met.pen_ups == []
