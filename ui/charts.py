"""Arrays to figures: what a training looks like, drawn with Plotly and without Streamlit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

# Plotly takes pandas from the loaded modules as it is, also while another visitor's session is in the middle of
# importing it: the first two visitors of a server, coming at once, would see an error in place of a chart.
importlib.import_module("pandas")

_GREY = "#8c8c8c"  # seen on light and on dark
_LEFT = 52  # pixels for the numbers on the vertical axes
_ABOVE_ALL = 100.8  # percent: a line at 100 % is not cut in half
_NO_LOSS_YET = (-2.0, 0.5)  # powers of ten: the axis before the first point
_LOSS_DOMAIN, _ACCURACY_DOMAIN = (0.56, 1.0), (0.0, 0.46)
_PALE = {"mode": "lines", "line_width": 1, "opacity": 0.5}
_LINE = {"mode": "lines", "line_width": 1.5}
_BOLD = {"mode": "lines", "line_width": 2.5}
_POINTS = {"mode": "lines+markers", "line_width": 2.5, "marker_size": 7}
_GHOST = {
    "mode": "lines", "line_width": 1, "line_dash": "dot", "line_color": _GREY,
    "legendgroup": "earlier", "legendrank": 2000, "showlegend": False,
}  # fmt: skip
_GHOSTS_ENTRY = {**_GHOST, "showlegend": True, "name": "earlier runs", "uid": "earlier"}  # one for all of them
_PUBLISHED = {
    "mode": "lines+markers", "line_width": 1.5, "line_dash": "dash", "line_color": _GREY,
    "marker_symbol": "circle-open", "marker_size": 8, "legendrank": 1500,
    "meta": {"ink": "text"},  # for the streaming chart: the theme's text colour
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """One line: `values[i]` was measured after `epochs[i]` epochs, which may be fractions.

    `name` stands in the legend and under the mouse, `colour` is any CSS colour.

    Raises:
        ValueError: there are not as many values as epochs.
    """

    name: str
    colour: str
    epochs: Sequence[float]
    values: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.epochs) != len(self.values):
            raise ValueError(f"{self.name} has {len(self.epochs)} epochs but {len(self.values)} values: one of each")


def smooth(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """The bias-corrected exponential moving average, as long as `values`; each depends on those before it alone.

    m_t = weight m_(t-1) + (1 - weight) v_t with m_0 = 0, and the answer m_t / (1 - weight^t): Kingma and Ba,
    "Adam" (2015), section 3.

    Raises:
        ValueError: `weight` is not in [0, 1).
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight is {weight}, but must be at least 0 and below 1")
    averages, mean, left = [], 0.0, 1.0
    for value in values:
        mean = weight * mean + (1 - weight) * value
        left *= weight
        averages.append(mean / (1 - left))
    return averages


def thin(values: Sequence[float], most: int) -> tuple[list[float], int]:
    """At most `most` means of non-overlapping groups of consecutive values, and the groups' size.

    The size is the least power of two that serves. A last group that is not full is left out, so that values
    appended later only append means, until the size doubles. Thin a curve's epochs in the same way.

    Raises:
        ValueError: `most` is below 1.
    """
    if most < 1:
        raise ValueError(f"most is {most}, but must be at least 1")
    size = 1
    while len(values) // size > most:
        size *= 2
    groups = range(0, len(values) - size + 1, size)
    return [sum(values[start : start + size]) / size for start in groups], size


def training_figure(
    loss: Sequence[Curve],
    accuracy: Sequence[Curve],
    ghosts_loss: Sequence[Curve],
    ghosts_accuracy: Sequence[Curve],
    published: Sequence[Curve],
    total_epochs: int,
) -> go.Figure:
    """Loss (log scale) above accuracy (in percent) over the epochs from 0 to `total_epochs`.

    The first loss is each step's own, thin and pale; the second is the smoothed one, bold. The first accuracy is
    the training's, a line; the second is the validation's, with a marker at each epoch. Further curves of either
    look like the validation's. Ghosts are earlier runs. `published` are accuracies from elsewhere. Both are drawn
    in colours of the theme and not in their own. Accuracies are given as fractions.

    Raises:
        ValueError: `total_epochs` is below 1.
    """
    if total_epochs < 1:
        raise ValueError(f"total_epochs is {total_epochs}, but must be at least 1")
    figure = go.Figure(layout=_layout(total_epochs))
    if ghosts_loss or ghosts_accuracy:
        figure.add_scatter(x=[None], y=[None], **_GHOSTS_ENTRY)
    for curves, kind, looks in (
        (ghosts_loss, "ghost-loss", [_GHOST]),
        (ghosts_accuracy, "ghost-accuracy", [_GHOST]),
        (loss, "loss", [_PALE, _BOLD, _POINTS]),
        (accuracy, "accuracy", [_LINE, _POINTS]),
        (published, "published-accuracy", [_PUBLISHED]),
    ):
        for index, curve in enumerate(curves):
            _draw(figure, curve, kind, index, looks[min(index, len(looks) - 1)])
    if any(len(curve.values) for curve in (*loss, *ghosts_loss)):
        figure.update_layout(yaxis_range=None, yaxis_autorange=True)
    if any(len(curve.values) for curve in (*accuracy, *ghosts_accuracy, *published)):
        figure.update_layout(yaxis2_range=None, yaxis2_autorange=True)
    return figure


def _draw(figure: go.Figure, curve: Curve, kind: str, index: int, look: dict[str, Any]) -> None:
    """Adds one curve; its `uid` is what a viewer's hidden legend entry is remembered by."""
    percent = kind.endswith("accuracy")
    epochs: list[float | None] = [float(epoch) for epoch in curve.epochs]
    values: list[float | None] = [100 * float(value) if percent else float(value) for value in curve.values]
    figure.add_scatter(
        x=epochs or [None],  # a trace without points would come into the legend only later, and the plots would jump
        y=values or [None],
        yaxis="y2" if percent else "y",
        name=escape(curve.name, quote=False),  # Plotly reads tags in names, links among them
        uid=f"{kind}-{index}",  # Plotly makes a CSS selector of it, so no spaces
        hovertemplate="%{y:.2f} % (epoch %{x:~r})" if percent else "%{y:.4f}",
        **{"line_color": curve.colour, **look},
    )


def _layout(total_epochs: int) -> dict[str, Any]:
    axis = {"showline": False, "zeroline": False, "ticks": "", "automargin": True}
    return {
        "template": "none",  # None would be the default, 6 kB at each update
        "margin": {"l": _LEFT, "r": 12, "t": 30, "b": 40},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "legend": {"orientation": "h", "x": 0, "y": -0.13, "yanchor": "top"},
        "annotations": [_title("Loss", _LOSS_DOMAIN), _title("Accuracy", _ACCURACY_DOMAIN)],
        "xaxis": {
            **axis, "anchor": "y2", "range": [0, 1.02 * total_epochs],  # the last marker is not cut in half
            "title": {"text": "epochs", "standoff": 6, "font_size": 13}, "ticklabelstandoff": 4,
            "unifiedhovertitle": {"text": "epoch %{x:.2f}"},
            "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "solid", "spikecolor": _GREY,
        },
        "yaxis": {
            **axis, "domain": _LOSS_DOMAIN, "type": "log", "range": _NO_LOSS_YET, "tickformat": "~r",
        },
        "yaxis2": {
            **axis, "domain": _ACCURACY_DOMAIN, "range": [0, _ABOVE_ALL], "ticksuffix": " %",
            "autorangeoptions": {"include": _ABOVE_ALL, "clipmax": _ABOVE_ALL},
        },
    }  # fmt: skip


def _title(text: str, domain: tuple[float, float]) -> dict[str, Any]:
    """A plot's name at its upper left, where a turned axis title would be slower to read."""
    return {
        "text": f"<b>{text}</b>", "showarrow": False, "xref": "paper", "yref": "paper",
        "x": 0, "xanchor": "left", "xshift": -_LEFT, "y": domain[1], "yanchor": "bottom", "yshift": 5,
    }  # fmt: skip
