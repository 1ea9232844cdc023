"""LeNet beside AlexNet, on Home: one table, and what each introduced, to be tried."""

from __future__ import annotations

import streamlit as st

from lenet_core.presets import PRESETS, preset
from ui import layer_tryouts, links, markup, markup_beside

_LEFT, _RIGHT = "lenet5-1998", "alexnet-2012"


@st.fragment
def beside_alexnet() -> None:
    """The section: two networks in one table, then the layers that each brought."""
    st.subheader("LeNet beside AlexNet", anchor=False)
    st.html(markup.lead("Fourteen years, one plan: convolve, pool, repeat, then weigh it all. What changed?"))
    with st.container(horizontal=True, key="beside_choice"):
        left = _network("On the left", "left", _LEFT)
        right = _network("On the right", "right", _RIGHT)
    st.html(markup_beside.beside(preset(left), preset(right)))
    layer_tryouts.tryouts()


def _network(label: str, name: str, default: str) -> str:
    """One of the presets; the choice stands in the link."""
    index = PRESETS.index(links.wanted(name, PRESETS, default))
    chosen = st.selectbox(label, PRESETS, index=index, key=f"beside_{name}", width=220)
    links.remember(name, chosen, default)
    return chosen
