"""A page with nothing but the table of feature maps, for the browser test: real digits and noise in a real network."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import Answer, classify
from lenet_core.data import load
from lenet_core.layout import shape_text
from lenet_core.library import bundled_checkpoints
from ui.components.map_table import Block, Row, map_table
from ui.pictures import data_uri, kernel_pictures, scales_for

INPUTS = ("4", "8", "noise", "blank")
WINDOWS = {"c1": (-2, 1, 5), "c1_act": (-2, 1, 5), "c3": (-2, 2, 14), "c3_act": (-2, 2, 14)}
LAYERS = ("c1_act, c3_act", "c1, c3", "c3_act, output", "f6_act, output")


@st.cache_resource
def answers() -> dict[str, Answer]:
    """What the network makes of each input."""
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet-modern"])
    digits = load("mnist-5k", train=True)
    pixels = {name: digits.images[digits.labels == int(name)][0, 0].numpy() for name in ("4", "8")}
    pixels["noise"] = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    pixels["blank"] = np.zeros((28, 28), np.uint8)
    return {name: classify(checkpoint, picture) for name, picture in pixels.items()}


@st.cache_resource
def kernels(name: str) -> list[str]:
    """The kernels of a convolution."""
    network = load_checkpoint(bundled_checkpoints()["lenet-modern"]).net
    weight: NDArray[np.float32] = network.get_submodule(name).weight.detach().numpy()
    return [data_uri(picture) for picture in kernel_pictures(weight)]


def block(layer: str, names: list[str], shared: str) -> Block:
    """A layer of all inputs."""
    values = np.stack([answers()[name].layers[layer] for name in names])
    is_row = values.ndim == 2
    scales = scales_for(values[:, None] if is_row else values, shared)
    module = layer.removesuffix("_act")
    return Block(
        layer=layer,
        title=module.upper() + (" after ReLU" if layer != module else ""),
        note=shape_text(values.shape[1:]),
        first=0,
        values=values,
        kernels=[] if is_row else kernels(module),
        names=answers()[names[0]].classes if layer == "output" else (),
        ramp=scales.ramp,
        low=scales.low,
        high=scales.high,
        shared=shared,
        window=WINDOWS.get(layer, (0, 0, 28)),
    )


def act(action: str, row: int) -> None:
    """Does what a button asks."""
    names = st.session_state["names"]
    st.session_state["told"] = f"{action} {row}"
    if action == "remove":
        del names[row]
    elif action in ("up", "down"):
        names.insert(row + (1 if action == "down" else -1), names.pop(row))


def choose(layer: str, row: int, channel: int, y: int, x: int) -> None:
    """Keeps the clicked unit selected."""
    st.session_state["selected"] = {"layer": layer, "row": row, "channel": channel, "y": y, "x": x}
    st.session_state["told"] = f"{layer} {row} {channel} {y} {x}"


def row(names: list[str], index: int) -> Row:
    """An input with the buttons it has there."""
    answer = answers()[names[index]]
    picture = data_uri((255 * answer.layers["image"][0]).round().astype(np.uint8))
    possible = {"up": index > 0, "down": index < len(names) - 1, "again": names[index] == "noise", "remove": True}
    says = f"says {answer.name(answer.label)}, {100 * answer.probabilities.max():.1f} %"
    can = tuple(action for action, is_possible in possible.items() if is_possible)
    return Row(names[index], says, picture, can, "more noise")


st.set_page_config(layout="wide")
names = st.session_state.setdefault("names", list(INPUTS))
left, right = st.columns(2)
layers = left.selectbox("Layers", LAYERS)
shared = right.segmented_control("Scale", ["all", "row", "map"], default="all", required=True)
told = st.session_state.get("told", "nothing")
st.text(f"Told: {told}")
map_table(
    [row(names, index) for index in range(len(names))],
    [block(layer, names, "all" if shared == "map" and layer[0] in "fo" else shared) for layer in layers.split(", ")],
    label="What two layers make of the inputs",
    input_size=(28, 28),
    selected=st.session_state.get("selected"),
    key="table",
    on_action=act,
    on_unit=choose,
)
