"""The live lens: the chosen network, run in the visitor's browser while the pen moves.

Its script travels once, with `lens_code`, which a page calls outside of its fragments. The views are made anew at
each stroke; they carry the strokes and a few lines, and a network's weights only the first time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from lenet_core.strokes import Strokes
from ui import state
from ui.components.live_lens.carried import carried
from ui.networks import Network
from ui.pictures import DIVERGING, INK, SEQUENTIAL

SCRIPTS = (
    "evaluator.js", "strokes.js", "preprocess.js", "distort.js", "pen.js", "colours.js", "lens.js", "answer.js",
    "steps.js", "curves.js", "turns.js", "live_lens.js",
)  # fmt: skip
STYLES = ("answer.css", "steps.css", "turns.css")
HERE = Path(__file__).parent


def _script() -> str:
    """The lens as one module: a component without an installed package cannot import a second script."""
    ramps = {"sequential": SEQUENTIAL, "diverging": DIVERGING, "ink": INK}
    known = {
        "LENS_CSS": "\n".join((HERE / name).read_text() for name in STYLES),
        "LENS_RAMPS": {name: base64.b64encode(ramp.tobytes()).decode() for name, ramp in ramps.items()},
    }
    constants = (f"const {name} = {json.dumps(value)};" for name, value in known.items())
    return "\n".join((*constants, *((HERE / name).read_text() for name in ("ready.js", *SCRIPTS))))


_code = st.components.v2.component("live_lens_code", html="<span hidden></span>", js=_script())
_view = st.components.v2.component(
    "live_lens",
    html='<section class="lp-lens"></section>',
    js="\n".join((HERE / name).read_text() for name in ("ready.js", "loader.js")),
)


def lens_code() -> None:
    """Brings the lens's script onto the page: once, outside of what is made anew at each stroke."""
    with st.container(key="by_browser_code"):
        _code(key="live_lens_code", height=1)


def answer_lens(
    lead: Network,
    strokes: Strokes,
    *,
    size: int,
    pen: float,
    min_extent: float,
    unsure: float,
    without: Collection[str],
    key: str,
) -> None:
    """Shows what `lead` answers to the drawing while it is made: its probabilities, its input, its feature maps.

    `strokes` are those that the server knows, on a canvas of `size` pixels a side with a pen of `pen`; a drawing whose
    longer side is under `min_extent` is none. Below the probability `unsure` an answer is a doubt. `without` are the
    steps left out.

    Raises:
        LenetError: the network's file cannot be read.
    """
    known = carried(lead, at_once=True)
    data = {
        "view": "answer",
        "lead": known["id"],
        "networks": [known],
        "strokes": [list(stroke) for stroke in strokes],
        "size": size,
        "pen": pen,
        "minExtent": min_extent,
        "unsure": unsure,
        "without": list(without),
    }
    _mount(data, key, {})


def steps_lens(*, key: str) -> None:
    """Shows the steps from the pen to the network's pixels while the pen moves."""
    _mount({"view": "steps"}, key, {})


def turns_lens(
    *, beside: Network | None, values: Mapping[str, float], key: str, on_values: Callable[[Mapping[str, Any]], None]
) -> None:
    """Shows what turning, shifting and thickening the drawing does to the lens's network and the one `beside` it.

    The browser asks for the weights of the latter when somebody looks.

    `values` are the sliders' by name; `on_values` is called with what the browser says of them when one is let go,
    which is not checked here.

    Raises:
        LenetError: the network's file cannot be read.
    """
    known = [] if beside is None else [carried(beside, at_once=False)]
    data = {
        "view": "turns",
        "beside": known[0]["id"] if known else "",
        "networks": known,
        "values": dict(values),
    }

    def tell() -> None:
        sent = _told(key, "values")
        if isinstance(sent, Mapping):
            on_values(sent)

    _mount(data, key, {"on_values_change": tell})


def _mount(data: dict[str, Any], key: str, callbacks: dict[str, Any]) -> None:
    """Puts a view on the page; it stays out of sight until the lens is alive."""

    def send_again() -> None:
        wanted = _told(key, "wants")
        if isinstance(wanted, list):
            state.parcels().wanted.update(map(str, wanted))

    parcels = state.parcels()
    parcels.turn += 1
    with st.container(key=f"by_browser_{key}"):
        _view(data=data | {"turn": parcels.turn}, key=key, on_wants_change=send_again, **callbacks)


def _told(key: str, event: str) -> object:
    """What the browser sent with an event just now."""
    return (state.widget(key) or {}).get(event)
