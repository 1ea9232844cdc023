"""Arrays to figures: trainings laid over each other, drawn with Plotly and without Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import plotly.graph_objects as go

Kind = Literal["loss", "training", "validation", "test", "published"]
_GREY = "#8c8c8c"  # seen on light and on dark
_MOST_UNIFIED = 10  # lines whose values fit into one label
_LOG = {"type": "log", "dtick": "D2", "tickformat": "~r"}  # numbers at 1, 2 and 5
_LOOKS: dict[str, dict[str, Any]] = {
    "loss": {"mode": "lines", "line_width": 2},
    "training": {"mode": "lines", "line_width": 1.2, "opacity": 0.8},
    "validation": {"mode": "lines+markers", "line_width": 2.2, "marker_size": 6},
    "test": {"mode": "markers", "marker_symbol": "diamond", "marker_size": 10},
    "published": {"mode": "lines", "line_width": 1.8, "line_dash": "dash"},
}


@dataclass(frozen=True)
class Line:
    """One line of a comparison: `values[i]` at `places[i]`; `low` and `high`, where given, are its band's edges.

    A test's line is a single point, and its band an error bar. `dash` is Plotly's.

    Raises:
        ValueError: there are not as many values, or edges of a band, as places.
    """

    name: str
    colour: str
    kind: Kind
    places: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dash: str = "solid"

    def __post_init__(self) -> None:
        for said, edge in (("values", self.values), ("low", self.low or self.values), ("high", self.high or self.low)):
            if edge and len(edge) != len(self.places):
                raise ValueError(f"{self.name} has {len(self.places)} places but {len(edge)} of {said}: one of each")


def loss_figure(lines: Sequence[Line], along: str, end: float) -> go.Figure:
    """Losses on a log scale, from 0 to `end` of what `along` names."""
    figure = go.Figure(layout=_layout("Loss", along, end, len(lines)))
    figure.update_layout(yaxis=_LOG)
    for number, line in enumerate(lines):
        _draw(figure, line, number, float, "%{y:.4f}")
    return figure


def accuracy_figure(lines: Sequence[Line], along: str, end: float, as_error: bool = False) -> go.Figure:
    """Accuracies, given as fractions and shown in percent; or what they leave to 100 %, on a log scale."""
    figure = go.Figure(layout=_layout("Error" if as_error else "Accuracy", along, end, len(lines)))
    if as_error:
        figure.update_layout(yaxis={**_LOG, "ticksuffix": " %"})
    else:
        figure.update_layout(yaxis={"ticksuffix": " %", "autorangeoptions": {"clipmax": 100.8}})
    for number, line in enumerate(lines):
        _draw(figure, line, number, _error if as_error else _percent, "%{y:.2f} %")
    return figure


def _percent(fraction: float) -> float:
    return 100 * float(fraction)


def _error(fraction: float) -> float | None:
    """In percent; None where there is none, which a log scale cannot show."""
    return 100 * (1 - float(fraction)) if fraction < 1 else None


def _draw(figure: go.Figure, line: Line, number: int, scale: Callable[[float], float | None], shown: str) -> None:
    """Adds a line, over its band; the `uid`s are what Plotly knows them by when they grow."""
    places: list[float | None] = [float(place) for place in line.places]
    values, low, high = ([scale(one) for one in edge] for edge in (line.values, line.low, line.high))
    look: dict[str, Any] = {**_LOOKS[line.kind], "line_color": line.colour, "marker_color": line.colour}
    if line.dash != "solid":
        look["line_dash"] = line.dash
    spread = ""
    if line.kind == "test" and len(values) == len(low) == 1 and None not in (*values, *low, *high):
        (value,), (least,), (most,) = ([one or 0.0 for one in ends] for ends in (values, low, high))
        least, most = min(least, most), max(least, most)
        bar = {"array": [most - value], "arrayminus": [value - least]}
        look["error_y"] = {**bar, "thickness": 1.5, "width": 4}
        spread = f" ({least:.2f} to {most:.2f})"
    elif low and line.kind != "test":
        figure.add_scatter(
            x=[*places, *reversed(places)], y=[*high, *reversed(low)], fill="toself", mode="lines", line_width=0,
            fillcolor=_pale(line.colour), hoverinfo="skip", uid=f"band-{number}",
        )  # fmt: skip
    figure.add_scatter(
        x=places or [None], y=values or [None], name=escape(line.name, quote=False), uid=f"{line.kind}-{number}",
        hovertemplate=f"{shown}{spread}", hoverlabel_namelength=-1, **look,  # the whole name
    )  # fmt: skip


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.22)"


def _layout(title: str, along: str, end: float, lines: int) -> dict[str, Any]:
    axis = {"showline": False, "zeroline": False, "ticks": "", "automargin": True}
    return {
        "template": "none",
        "margin": {"l": 52, "r": 12, "t": 30, "b": 40},
        "showlegend": False,  # one for both charts stands above them
        "hovermode": "x unified" if lines <= _MOST_UNIFIED else "closest",
        "annotations": [
            {
                "text": f"<b>{title}</b>", "showarrow": False, "xref": "paper", "yref": "paper",
                "x": 0, "xanchor": "left", "xshift": -52, "y": 1, "yanchor": "bottom", "yshift": 5,
            }
        ],
        "xaxis": {
            **axis, "range": [0, 1.02 * end], "title": {"text": along, "standoff": 6, "font_size": 13},
            "unifiedhovertitle": {"text": f"{along} %{{x:~r}}"}, "ticklabelstandoff": 4,
        },
        "yaxis": axis,
    }  # fmt: skip
