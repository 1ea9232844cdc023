"""The preprocessing, step by step: each can be left out, with what that costs the network that answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core.architecture import Architecture
from lenet_core.preprocess import FIELD_SIZE, Digit
from lenet_core.steps import STEPS
from lenet_core.strokes import FIELD
from ui import canvas, links, markup, markup_inspector, state
from ui.components.live_lens import steps_lens
from ui.drawn import digit_of
from ui.networks import Network

if TYPE_CHECKING:
    from lenet_core.ablation import StepCosts
    from lenet_core.checkpoint import Checkpoint

_PARAMETER, _OPENED = "without", "inspector_opened"
_DRAW = "Draw a digit, and see what becomes of it on its way into the network."
_UNKNOWN = (
    "What each step is worth to it is measured at the end of a training on MNIST, Fashion-MNIST or the sample, and "
    "this network holds no such numbers. Train one anew, or ask one that came with the playground."
)


def left_out() -> tuple[str, ...]:
    """The steps that the page's address leaves out, in their order."""
    named = links.asked(_PARAMETER).split(",")
    return tuple(name for name in STEPS if name in named)


def inspector(network: Network, loaded: Checkpoint | None, digit: Digit | None, without: Collection[str]) -> None:
    """The folded section: a switch for each step with its cost, and the pictures between the pen and the network.

    `digit` is the drawing's, made `without` these steps; None where there is none. `loaded` is the network's
    checkpoint; None where it cannot be read.
    """
    if without:
        state.set_widget(_OPENED, True)  # for good: it must not fold under the pointer that turns all steps on
    with st.expander("From your pen to the network's pixels", expanded=bool(state.widget(_OPENED))):
        left, right = st.columns([9, 11], gap="large")
        with left:
            costs = _costs(network, loaded)
            _switches(network, costs, without)
        with right:
            if loaded is not None and _fits(loaded.architecture):
                steps_lens(key="steps_lens")
            with st.container(key="by_server_steps"):
                _by_server(network, loaded, digit, without)


def _fits(arch: Architecture) -> bool:
    """Whether the network is small enough for the browser."""
    from lenet_core.portable import too_large

    return not too_large(arch)


def _costs(network: Network, loaded: Checkpoint | None) -> StepCosts | None:
    """What each step is worth to the network; None, and a line that says why, where that is not known."""
    from lenet_core.ablation import StepCosts

    if loaded is None:
        return None
    stored = loaded.training.get("steps")
    if stored is None:
        st.html(markup_inspector.unknown(network.title, _UNKNOWN))
        return None
    try:
        costs = StepCosts.from_dict(stored)
    except ValueError as error:
        st.html(markup.warning(f"{network.title}: what each step is worth to it cannot be read. {error}"))
        return None
    st.html(markup_inspector.worth(network.title, costs))
    return costs


def _switches(network: Network, costs: StepCosts | None, without: Collection[str]) -> None:
    for name, step in STEPS.items():
        key, is_on = _key(name), name not in without
        # A new switch begins as the address says; one that is there follows it: a button changed it, or Back did.
        follows = state.widget(key) not in (None, is_on)
        if follows:
            state.set_widget(key, is_on)
        with st.container(key=f"step_{name}", gap=None):
            with st.container(horizontal=True, vertical_alignment="center", key=f"step_{name}_head"):
                st.toggle(step.title, value=is_on and not follows, key=key, on_change=_turn)
                if costs is not None:
                    st.html(markup_inspector.cost(name, costs, network.colour))
            st.html(markup_inspector.does(name, not is_on))
    st.button(
        "All steps on", icon=":material/restart_alt:", key="all_steps_on", disabled=not without,
        on_click=all_steps_on,
    )  # fmt: skip


def _key(name: str) -> str:
    return f"step_{name}_on"


def _turn() -> None:
    # By all the switches: clicks in quick succession bring an address that does not know of the first ones yet.
    _leave_out([name for name in STEPS if state.widget(_key(name)) is False])


def all_steps_on() -> None:
    """Leaves nothing out any more."""
    _leave_out(())


def _leave_out(names: Collection[str]) -> None:
    links.remember(_PARAMETER, ",".join(name for name in STEPS if name in names))


def _by_server(network: Network, loaded: Checkpoint | None, digit: Digit | None, without: Collection[str]) -> None:
    """The pictures as of the last pen-up, for where the browser's own part does not run."""
    if digit is None:
        st.html(markup.empty("Nothing to show yet", _DRAW))
        return
    fed = _fed(digit, loaded.architecture.input_shape if loaded else (1, FIELD_SIZE, FIELD_SIZE), without)
    st.html(markup_inspector.pictures(digit, fed, canvas.PEN * FIELD / canvas.SIZE, without))
    complete = digit_of(state.last_drawing()) if without else None
    if loaded is not None and complete is not None:
        from lenet_core.classify import classify

        now, then = classify(loaded, digit.image, without), classify(loaded, complete.image)
        st.html(markup_inspector.answers(network.title, network.colour, now, then))


def _fed(digit: Digit, shape: tuple[int, int, int], without: Collection[str]) -> NDArray[np.float32]:
    """What goes into a network of input `shape`: its first channel (height, width), in its own numbers."""
    import torch

    from lenet_core.data import to_input

    image = to_input(torch.from_numpy(digit.image)[None, None], shape)[0, 0]
    fed: NDArray[np.float32] = (255 * image if "scale" in without else image).numpy()
    return fed
