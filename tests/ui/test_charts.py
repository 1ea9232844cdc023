"""What a training looks like: the arrays' arithmetic, the figure, and the part that shows it, without a browser."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from ui.charts import Curve, smooth, thin, training_figure
from ui.components import stream_chart as part

PAGE = ROOT / "tests" / "e2e" / "stream_page.py"


def test_smoothing_by_hand() -> None:
    assert smooth([4.0, 8.0, 2.0], weight=0.5) == pytest.approx([4.0, 20 / 3, 4.0])  # 2/(1/2), 5/(3/4), 3.5/(7/8)
    assert smooth([3.0] * 50) == pytest.approx([3.0] * 50)  # no pull towards zero at the start
    assert smooth([1.0, 5.0], weight=0.0) == [1.0, 5.0]
    assert smooth([]) == []


@pytest.mark.parametrize("weight", [1.0, -0.1, math.nan])
def test_smoothing_needs_a_weight_below_one(weight: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        smooth([1.0], weight)


def test_thinning_by_hand() -> None:
    assert thin([1, 2, 3, 4], most=4) == ([1, 2, 3, 4], 1)
    assert thin([1, 2, 3, 4, 5], most=4) == ([1.5, 3.5], 2)  # the fifth waits for the sixth
    assert thin(list(range(16)), most=4) == ([1.5, 5.5, 9.5, 13.5], 4)
    assert thin([], most=4) == ([], 1)
    with pytest.raises(ValueError, match="most is 0"):
        thin([1.0], most=0)


def test_values_that_come_later_change_no_mean_until_the_groups_double() -> None:
    values = np.random.default_rng(0).normal(size=500).tolist()
    before, size = thin([], most=20)
    for count in range(1, len(values) + 1):
        now, now_size = thin(values[:count], most=20)
        assert len(now) <= 20
        if now_size == size:
            assert now[: len(before)] == before
        else:
            assert now_size == 2 * size
        before, size = now, now_size
    assert size == 32  # 500 values are 31 groups of 16


def figure(**changes: Any) -> go.Figure:
    ends = [1.0, 2.0]
    given: dict[str, Any] = {
        "loss": [Curve("raw", "#0072b2", [0.5, 1.0], [2.0, 1.0]), Curve("smoothed", "#0072b2", [0.5, 1.0], [2.0, 1.5])],
        "accuracy": [Curve("training", "#0072b2", ends, [0.9, 0.95]), Curve("held out", "#d55e00", ends, [0.8, 0.9])],
        "ghosts_loss": [Curve("run 3", "", ends, [1.0, 0.5])],
        "ghosts_accuracy": [Curve("run 3", "", ends, [0.7, 0.8])],
        "published": [Curve("LeCun et al. 1998", "", ends, [0.97, 0.98])],
        "total_epochs": 5,
    }
    return training_figure(**{**given, **changes})


def traces(shown: go.Figure, name: str) -> list[Any]:
    return [trace for trace in shown.data if trace.name == name]


def test_the_figure_shows_what_was_measured() -> None:
    shown = figure()
    (smoothed,), (held_out,) = traces(shown, "smoothed"), traces(shown, "held out")
    assert (list(smoothed.x), list(smoothed.y)) == ([0.5, 1.0], [2.0, 1.5])
    assert list(held_out.y) == pytest.approx([80, 90])  # percent
    assert shown.layout.yaxis.type == "log"
    assert shown.layout.yaxis2.ticksuffix == " %"
    assert shown.layout.yaxis2.autorange
    assert 100 < shown.layout.yaxis2.autorangeoptions.include < 102
    assert shown.layout.xaxis.range[0] == 0
    assert 5 <= shown.layout.xaxis.range[1] < 5.2
    assert {trace.yaxis for trace in (*traces(shown, "raw"), smoothed)} == {"y"}
    assert {trace.yaxis for trace in (held_out, *traces(shown, "LeCun et al. 1998"))} == {"y2"}


def test_the_eye_goes_to_this_run() -> None:
    shown = figure()
    (raw,), (smoothed,), (held_out,) = (traces(shown, name) for name in ("raw", "smoothed", "held out"))
    assert raw.line.width < smoothed.line.width
    assert raw.opacity < 1
    assert held_out.mode == "lines+markers"
    for ghost in traces(shown, "run 3"):
        assert (ghost.line.dash, ghost.line.width, ghost.showlegend) == ("dot", 1, False)
    (published,) = traces(shown, "LeCun et al. 1998")
    assert (published.line.dash, published.marker.symbol) == ("dash", "circle-open")


def test_earlier_runs_share_one_entry_and_traces_keep_their_identity() -> None:
    one, two = figure(), figure(ghosts_loss=[Curve("run 3", "", [1], [1]), Curve("run 4", "", [1], [1])])
    assert len(traces(one, "earlier runs")) == len(traces(two, "earlier runs")) == 1
    assert len({trace.uid for trace in two.data}) == len(two.data)
    assert all(re.fullmatch(r"[a-z0-9-]+", trace.uid) for trace in two.data)  # Plotly makes a CSS selector of it
    assert {trace.uid for trace in one.data} < {trace.uid for trace in two.data}


def test_arrays_and_values_that_are_not_numbers_can_be_shown() -> None:
    broken = Curve("raw", "#0072b2", np.array([1.0, 2.0]), np.array([1.0, np.nan], dtype=np.float32))
    data = json.loads(figure(loss=[broken]).to_json())["data"]
    assert next(trace["y"] for trace in data if trace["name"] == "raw") == [1.0, None]


def test_a_curve_needs_a_value_for_each_epoch() -> None:
    with pytest.raises(ValueError, match="raw has 2 epochs but 1 values"):
        Curve("raw", "#0072b2", [1, 2], [0.5])


def test_a_figure_without_points_has_axes_all_the_same() -> None:
    empty = training_figure([Curve("raw", "#0072b2", [], [])], [], [], [], [], 3)
    assert empty.layout.yaxis.range is not None
    assert empty.layout.yaxis2.range[0] == 0
    assert list(traces(empty, "raw")[0].x) == [None]  # so that the legend lists it
    with pytest.raises(ValueError, match="total_epochs is 0"):
        figure(total_epochs=0)


def test_static_holds_plotlys_script_and_nothing_else() -> None:
    """Whoever reaches the app can fetch all that lies there."""
    AppTest.from_file(str(PAGE), default_timeout=60).run()
    script = part.STATIC / f"plotly-{plotly.__version__}.min.js"
    assert script.read_bytes() == (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()
    assert ROOT / "static" == part.STATIC
    names = {path.name for path in part.STATIC.iterdir()} - {".gitkeep"}
    assert all(name.startswith("plotly-") and name.endswith(".min.js") for name in names)
    assert {"/static/*", "!/static/.gitkeep"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_a_page_with_the_chart_runs_and_sends_all_points() -> None:
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not app.exception
    (chart,) = app.get("bidi_component")
    data = json.loads(chart.proto.json)
    assert (data["run"], data["alt"]) == ("first", "Loss and accuracy of the first run")
    sent = next(trace for trace in data["figure"]["data"] if trace["name"] == "loss, smoothed")
    assert len(sent["x"]) == len(sent["y"]) >= 60
    assert sent["uid"]


@pytest.fixture
def nowhere_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder for the script cannot be made, because a file has its parent's name."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(part, "STATIC", tmp_path / "file" / "static")
    part._library.cache_clear()
    yield
    part._library.cache_clear()


@pytest.mark.usefixtures("nowhere_to_write")
def test_where_the_script_cannot_be_served_streamlits_own_chart_shows_the_figure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    assert not app.get("bidi_component")
    assert "cannot be written" in caplog.text
