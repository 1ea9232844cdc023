"""The drawing canvas: strokes with a history, a sample to place, and a place in the link.

The only file that imports streamlit_drawable_canvas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from lenet_core.strokes import MAX_POINTS, MAX_STROKES, Stroke, Strokes, from_link, to_link
from ui import state
from ui.components.canvas_dress import canvas_dress
from ui.links import remember
from ui.sample_strokes import SAMPLES, sample_strokes

SIZE = 336  # pixels on a side: 12 for each of the network's 28
PEN = 22  # pixels; the network's picture is inked anew in proportion to the drawing
MIN_EXTENT = SIZE / 10  # a shorter drawing is a dot, not a digit
_KEY, _PARAMETER = "canvas", "drawing"
_LONGEST_LINK = 4000  # characters; the address of an ordinary digit has some 200
_NAME = (
    "Drawing area: draw one digit with mouse, pen or finger. Without one of these, choose a digit under Place a digit."
)


def draw() -> Strokes:
    """Shows the canvas with its buttons, and returns the strokes on it in canvas pixels."""
    drawing = state.drawing(from_link(st.query_params.get(_PARAMETER, ""), SIZE), _KEY)
    _receive(drawing, state.sent_by(_KEY))
    while drawing.placed:  # clicks while the page is busy come together, and Streamlit calls the latest first
        drawing.replace(sample_strokes(drawing.placed.pop(), SIZE))
    st_canvas(
        stroke_width=PEN,
        stroke_color="#ffffff",
        background_color="#000000",
        width=SIZE,
        height=SIZE,
        initial_drawing={"objects": [_path(stroke) for stroke in drawing.loads[-1]], "version": drawing.version},
        key=_KEY,
    )
    _controls(drawing)
    link = to_link(drawing.strokes, SIZE) if drawing.strokes else ""
    remember(_PARAMETER, link if len(link) <= _LONGEST_LINK else "")
    return drawing.strokes


def _receive(drawing: state.Drawing, sent: Mapping[str, Any]) -> None:
    """Takes what was drawn into the history."""
    objects = sent.get("objects", [])
    if objects == drawing.received:
        return
    drawing.received = objects
    strokes = [_points(item["path"])[:MAX_POINTS] for item in objects[:MAX_STROKES] if item.get("path")]
    link = to_link(strokes, SIZE)
    if link == to_link(drawing.strokes, SIZE):
        return
    if link in [to_link(loaded, SIZE) for loaded in drawing.loads]:
        drawing.load()  # the canvas shows an older step, because two of its messages crossed one of ours
        return
    # Strokes in quick succession come in one message; each is a step of its own to undo.
    for count in range(min(len(drawing.strokes) + 1, len(strokes)), len(strokes) + 1):
        drawing.add(strokes[:count])


def _controls(drawing: state.Drawing) -> None:
    with st.container(horizontal=True, gap="small", key="canvas_controls"):
        st.button(
            "Undo", icon=":material/undo:", shortcut="Mod+Z", disabled=not drawing.can_undo,
            on_click=drawing.move, args=(-1,),
        )  # fmt: skip
        st.button(
            "Redo", icon=":material/redo:", shortcut="Mod+Y", disabled=not drawing.can_redo,
            on_click=drawing.move, args=(1,),
        )  # fmt: skip
        st.button(
            "Clear", icon=":material/delete:", shortcut="Delete", disabled=not drawing.strokes,
            on_click=drawing.replace, args=([],),
        )  # fmt: skip
        canvas_dress(_NAME)  # takes no room here
    st.caption("Or place a digit")
    with st.container(horizontal=True, gap="xxsmall", key="place_a_digit"):
        for digit in SAMPLES:
            st.button(digit, on_click=drawing.placed.append, args=(digit,))


def _path(stroke: Stroke) -> dict[str, Any]:
    """A stroke as the canvas's own kind of object."""
    first, *rest = stroke
    lines = rest or [(first[0] + 0.1, first[1])]  # a path of one point is drawn as nothing
    return {
        "type": "path",
        "path": [["M", *first], *(["L", *point] for point in lines)],
        "stroke": "#ffffff",
        "strokeWidth": PEN,
        "strokeLineCap": "round",
        "strokeLineJoin": "round",
        "fill": None,
    }


def _points(path: list[list[Any]]) -> list[tuple[float, float]]:
    """The points of a path of M, L and Q commands; a quadratic curve gives its middle and its end."""
    points: list[tuple[float, float]] = []
    for command, *numbers in path:
        if command == "Q":
            (x0, y0), (cx, cy, x1, y1) = points[-1], numbers
            points.append(((x0 + 2 * cx + x1) / 4, (y0 + 2 * cy + y1) / 4))
            points.append((x1, y1))
        elif command in ("M", "L"):
            points.append((numbers[0], numbers[1]))
    return points
