"""Arrays to figures: what goes on inside a network while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

# Okabe and Ito's colours, safe for colour-blind eyes, from the first layer on.
_COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#999999")
_AXIS = {"showline": False, "zeroline": False, "ticks": "", "automargin": True}
_LEGEND = {"orientation": "h", "x": 0, "y": -0.13, "yanchor": "top"}


def layers_figure(
    epochs: Sequence[float], gradients: Sequence[Mapping[str, float]], flat: Sequence[Mapping[str, float]]
) -> go.Figure:
    """The norm of each layer's gradient (log scale) above the share of its units that are flat (in percent).

    `gradients[i]` and `flat[i]` were measured after `epochs[i]` epochs, by the layer's name.
    """
    figure = go.Figure(
        layout={
            "template": None,
            "margin": {"l": 60, "r": 12, "t": 30, "b": 40},
            "hovermode": "x unified",
            "legend": _LEGEND,
            "xaxis": {**_AXIS, "anchor": "y2", "title": {"text": "epochs", "standoff": 6, "font_size": 13}},
            "yaxis": {**_AXIS, "domain": (0.56, 1), "type": "log", "tickformat": ".0e"},
            "yaxis2": {**_AXIS, "domain": (0, 0.46), "range": [0, 101], "ticksuffix": " %"},
            "annotations": [_title("Length of the gradient", 1.0), _title("Flat units", 0.46)],
        }
    )
    names = list(dict.fromkeys(name for values in (*gradients, *flat) for name in values))
    for index, name in enumerate(names):
        look = {
            "name": escape(name.upper(), quote=False),
            "legendgroup": name,
            "line": {"color": _COLOURS[index % len(_COLOURS)], "width": 2},
        }
        norms = [values.get(name) or None for values in gradients]
        shares = [None if name not in values else 100 * values[name] for values in flat]
        figure.add_scatter(x=list(epochs), y=norms, uid=f"gradient {name}", hovertemplate="%{y:.2e}", **look)
        figure.add_scatter(
            x=list(epochs), y=shares, yaxis="y2", uid=f"flat {name}", showlegend=False,
            hovertemplate="%{y:.1f} % flat", **look,
        )  # fmt: skip
    return figure


def probability_figure(epochs: Sequence[float], values: Sequence[float], name: str, colour: str) -> go.Figure:
    """The probability of a class over the training, 0 to 1 given and shown in percent."""
    figure = go.Figure(
        layout={
            "margin": {"l": 60, "r": 12, "t": 30, "b": 40},
            "xaxis": {**_AXIS, "title": {"text": "epochs", "standoff": 6, "font_size": 13}},
            "yaxis": {**_AXIS, "range": [0, 101], "ticksuffix": " %"},
            "annotations": [_title(f"How sure it was of {escape(name)}", 1.0)],
        }
    )
    figure.add_scatter(
        x=list(epochs), y=[100 * value for value in values], mode="lines+markers", line_color=colour,
        hovertemplate="%{y:.1f} % at epoch %{x:.2f}<extra></extra>",
    )  # fmt: skip
    return figure


def _title(text: str, top: float) -> dict[str, object]:
    return {
        "text": f"<b>{text}</b>", "showarrow": False, "xref": "paper", "yref": "paper",
        "x": 0, "xanchor": "left", "xshift": -52, "y": top, "yanchor": "bottom", "yshift": 5,
    }  # fmt: skip
