"""The answer on the Draw page: the lens's in the browser, and the server's, which stands there where no lens lives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lenet_core.steps import STEPS
from lenet_core.strokes import Strokes
from ui import canvas, inspector, markup, markup_lens
from ui.components import live_lens
from ui.components.live_lens.carried import shown_maps
from ui.networks import Network

if TYPE_CHECKING:
    from lenet_core.checkpoint import Checkpoint
    from lenet_core.classify import Answer

_STYLE = Path(live_lens.__file__).parent / "answer.css"


def begin() -> None:
    """Brings what the lens needs onto the page: once, outside of what is made anew at each stroke."""
    st.html(_STYLE)
    live_lens.lens_code()


def answer(
    network: Network, loaded: Checkpoint, given: Answer | None, strokes: Strokes, without: tuple[str, ...]
) -> None:
    """Shows what the network answers to the strokes: `given`, or nothing yet where there is too little ink."""
    from lenet_core.portable import too_large

    _left_out(without)
    if why := too_large(loaded.architecture):
        st.html(markup_lens.too_large(why))
    else:
        live_lens.answer_lens(
            network,
            strokes,
            size=canvas.SIZE,
            pen=canvas.PEN,
            min_extent=canvas.MIN_EXTENT,
            unsure=markup.UNSURE,
            without=without,
            key="lens",
        )
    with st.container(key="by_server"):
        st.html(_by_server(network, loaded, given, len(strokes), without))


def _left_out(without: tuple[str, ...]) -> None:
    """Which steps are left out, and the way back."""
    place = st.container(horizontal=True, gap="small", key="left_out")  # always there: what follows keeps its place
    if not without:
        return
    with place:
        st.html(markup_lens.left_out([STEPS[name].title for name in without]))
        st.button(
            "Put every step back", icon=":material/restart_alt:", key="all_steps", type="tertiary",
            on_click=inspector.all_steps_on,
        )  # fmt: skip


def _by_server(
    network: Network, loaded: Checkpoint, given: Answer | None, strokes: int, without: tuple[str, ...]
) -> str:
    """The server's answer to the strokes, arranged as the lens's."""
    arch = loaded.architecture
    seen = np.zeros(arch.input_shape[1:], np.float32) if given is None else given.layers["image"][0]
    if "scale" in without:
        seen = seen / np.float32(255)
    classes = [
        loaded.classes[label] if label < len(loaded.classes) else str(label) for label in range(arch.num_classes)
    ]
    top = markup_lens.answer(given, classes, seen, network.colour, strokes)
    layers = (markup_lens.layer(maps, None if given is None else given.layers[maps.layer]) for maps in shown_maps(arch))
    return markup_lens.page(top, layers)
