"""What the Train page says of runs that made room for newer ones."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from lenet_core.retention import make_room, taken
from lenet_core.runs import all_runs
from tests.conftest import ROOT
from tests.core.test_retention import run_of
from tests.ui.apps import shown


def train() -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    return app.switch_page("pages/train.py").run()


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def test_a_run_that_lost_its_checkpoints_says_so_in_the_list_and_where_they_were_shown() -> None:
    old, _ = run_of("", 200, "stopped"), run_of("", 100, "stopped")
    assert "given up" not in shown(train())
    make_room(sum(map(taken, all_runs())) - 1)
    app = train()
    row = "given up to make room: its checkpoints along the way and its pictures"
    assert shown(app).count(row) == 1
    assert "no longer kept" not in captions(app)  # of the newest, which is shown
    app.query_params["run"] = old.name
    app.run()
    assert "What it looked like inside is no longer kept" in captions(app)


def test_runs_that_are_gone_are_counted() -> None:
    for age in (300, 200, 100):
        run_of("", age, "stopped")
    make_room(1)
    assert "2 older runs were given up to make room for newer ones." in captions(train())
