"""Where a network looks: what each pixel of one input says for or against one class."""

from __future__ import annotations

import streamlit as st

from ui import markup
from ui.looking import Look
from ui.overlays import overlay
from ui.pictures import scale_for

_SLOW = 1_000_000  # parameters; of a larger network one method at a time
_CLASSES = 20  # the most probable ones


def where_it_looks(seen: list[Look]) -> None:
    """Which pixels of a chosen input speak for a class, asked in several ways."""
    names = seen[0].names
    name = st.selectbox("Input", names, key="where_input", width=220)
    row = names.index(name) if name in names else 0
    for number, one in enumerate(seen):
        if len(seen) > 1:
            st.html(markup.net_title(one.network.title, one.network.colour))
        _ask(number, one, row)
    st.caption("Red speaks for the class, blue against it; grey is the input itself. Each picture has its own scale.")


def _ask(number: int, seen: Look, row: int) -> None:
    """The class, the method where it takes long, and the pictures."""
    from lenet_core.attribution import METHODS

    answer, methods = seen.answers[row], list(METHODS)
    asked = f"{seen.network.key}.{seen.inputs[row].input.text}"  # another network or input, and the choice begins anew
    with st.container(horizontal=True, key=f"where.{number}"):
        label = st.selectbox(
            "What speaks for", answer.ranking[:_CLASSES], key=f"where_class.{number}.{asked}", width=260,
            format_func=lambda label: f"{answer.name(label)} ({markup.percent(float(answer.probabilities[label]))})",
            help="The class whose logit, its score before softmax, is taken apart; first the network's answer.",
        )  # fmt: skip
        if seen.architecture.parameters > _SLOW:
            methods = [st.selectbox("Method", methods, key=f"where_method.{number}", width=220)]
    st.html(markup.row([_figure(seen, row, int(label), method) for method in methods]))


def _figure(seen: Look, row: int, label: int, method: str) -> str:
    """One method's answer as a picture with how to read it."""
    import torch

    from lenet_core.attribution import METHODS, attribute

    image = torch.from_numpy(seen.answers[row].layers["image"].copy())
    bar, title = st.empty(), markup.literal(seen.network.title)

    def progress(done: float) -> None:
        bar.progress(min(done, 1.0), f"{method.capitalize()}: asking {title} over and over")

    is_slow = seen.architecture.parameters > _SLOW
    found = attribute(seen.checkpoint.net, image, label, method, progress=progress if is_slow else None)
    bar.empty()
    scale = scale_for(found.values, signed=True)
    picture = overlay(seen.seen(row), found.values, scale)
    return markup.scaled_figure(picture, method.capitalize(), f"{METHODS[method]} {found.says}", 216, scale)
