"""Why F6 of the 1998 net has 84 units: they are a 7 x 12 picture, held against ten codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core import inputs
from lenet_core.data_sets import DIGITS
from lenet_core.dial import BASE
from lenet_core.errors import ImageError, LenetError
from lenet_core.inputs import DRAWING, NOISES, UPLOAD, Input
from lenet_core.strokes import from_link, to_link
from ui import cache, canvas, links, markup, markup_why84, state
from ui.drawn import digit_of
from ui.networks import Network, bundled

if TYPE_CHECKING:
    from lenet_core.classify import Answer
    from lenet_core.novelty import Familiar

_FIRST = "4.3"
_PARAMETER, _DRAWING, _ALL = "why", "drawing", "why_all"
_KINDS = (*DIGITS, "cat", "car", "uniform", "shuffled", DRAWING)
_TITLES = {"uniform": "Noise", DRAWING: "Your drawing"}
_REASONS = (
    ("7 x 12 = 84.", "Each class's code is a picture of its character, 7 pixels wide and 12 high, and F6 has a unit "
     "for each pixel. The network is trained to paint the answer; the output only measures how near it came."),
    ("Like characters have like codes.", "The codes of 6 and 8 differ in 8 pixels, those of 0 and 4 in 34. The paper "
     "had the whole of ASCII in mind, where O, o and 0 look the same: a step that knows words can choose among them."),
    ("It can say no.", "A softmax must share out 100 %. A distance to every code can be large, and then the input is "
     "none of the classes. (LeCun et al. 1998, section II.B; the codes here are drawn after its figure 3)"),
)  # fmt: skip


@st.fragment
def why_84() -> None:
    """The section: choose an input, see F6 as a picture, and how far it lies from each code."""
    st.subheader("Why 84?", anchor=False)
    st.html(markup.lead("F6's 84 units are a picture, and so is the code of each digit. Show the net a cat."))
    network = bundled(BASE)
    if network is None:
        st.html(markup.empty("The 1998 net is missing", "assets/checkpoints is not complete: fetch the project anew."))
        return
    one = _choice()
    try:
        answer = _ask(network, one)
        familiar = _familiar(network)
    except LenetError as error:
        st.html(markup.warning(str(error)))
        if one.kind == DRAWING and st.button("Draw a digit", icon=":material/draw:", key="why_draw"):
            links.go("pages/draw.py")
        return
    units, distances = answer.layers["f6_act"], -answer.layers["output"]
    seen = markup.ink_picture(answer.layers["image"][0])
    truth = int(one.kind) if one.kind in DIGITS else None
    known = truth is not None or one.kind == DRAWING
    said = markup_why84.in_words(distances, familiar, truth, known)
    st.html(markup_why84.says(said, network.colour))
    st.html(markup_why84.equation(seen, _title(one.kind), units, distances, network.colour))
    _all_digits(network)
    with st.expander("Why the paper did it so"):
        st.html(markup_why84.reasons(_REASONS))


def _choice() -> Input:
    """What is shown to the network; it stands in the link."""
    now = _asked()
    kinds = [*_KINDS, *([] if now.kind in _KINDS else [now.kind])]
    with st.container(horizontal=True, vertical_alignment="bottom", key="why_choice"):
        kind = st.pills("Show the 1998 net", kinds, default=now.kind, required=True, format_func=_title, key="why_kind")
        one = now if kind == now.kind else Input(kind or now.kind)
        _remember(one)
        st.button(
            "Another", key="why_another", icon=":material/refresh:", on_click=_another, disabled=not one.has_others,
            help="Another one of this kind",
        )  # fmt: skip
    return one


def _asked() -> Input:
    """The input that the address names, or the first; a wrong name is told."""
    try:
        one = inputs.parse(links.asked(_PARAMETER) or _FIRST)
        if one.kind != UPLOAD:
            return one
        problem = "An uploaded picture cannot be shown here; choose one of these."
    except ValueError as error:
        problem = str(error)
    st.html(markup.warning(problem))
    return inputs.parse(_FIRST)


def _remember(one: Input) -> None:
    links.remember(_PARAMETER, one.text, _FIRST)
    if one.kind == DRAWING and not links.asked(_DRAWING) and state.last_drawing():
        links.remember(_DRAWING, to_link(state.last_drawing(), canvas.SIZE))
    elif one.kind != DRAWING:
        links.remember(_DRAWING, "")


def _another() -> None:
    _remember(_asked().next())


def _title(kind: str) -> str:
    return _TITLES.get(kind) or NOISES.get(kind, Input(kind).title).capitalize()


def _ask(network: Network, one: Input) -> Answer:
    from lenet_core.classify import answers

    loaded = cache.checkpoint(network)
    return answers(loaded, inputs.stack_inputs([_picture(one)], loaded.architecture.input_shape))[0]


def _picture(one: Input) -> NDArray[np.uint8]:
    if one.kind != DRAWING:
        return inputs.picture(one)
    digit = digit_of(from_link(links.asked(_DRAWING), canvas.SIZE) or state.last_drawing())
    if digit is None:
        raise ImageError("There is no drawing yet: draw a digit on the Draw page, then come back.")
    return digit.image


def _familiar(network: Network) -> Familiar | None:
    """How near real test digits come, as it is stored with the checkpoint; None where it is not."""
    from lenet_core.novelty import Familiar

    stored = cache.checkpoint(network).training.get("familiar")
    return None if stored is None else Familiar.from_dict(stored)


def _all_digits(network: Network) -> None:
    """The codes held against a thousand real digits at once, where that is wanted: it takes a second."""
    wanted = st.toggle("A hundred real test digits of each class at once", links.asked(_ALL) == "1", key="why_all")
    links.remember(_ALL, "1" if wanted else "")
    if wanted:
        st.html(markup_why84.paintings(*cache.paintings(network)))
