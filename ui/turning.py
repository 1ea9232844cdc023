"""The knobs of the Train page: a widget for each, and the texts that they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from lenet_core.bounds import MAX_DEPTH
from lenet_core.connections import PAPERS
from lenet_core.data_sets import DATA_SETS
from lenet_core.knobs import KNOBS, Knob, settings, to_link
from lenet_core.library import data_dir
from lenet_core.recipes import Recipe
from ui import links, state

DEVICE = "device"
_GROUPS = {"network": "Network", "data": "Data", "training": "Training", "augmentation": "Augmentation"}
# Of each convolution: its label, and what a new one starts with.
_CONVOLUTION = {"channels": ("channels", 16), "kernels": ("kernel", 3), "padding": ("padding", 1), "pool": ("pool", 0)}
_STEPS = {
    "learning_rate": 0.001, "share": 0.1, "validation": 0.05, "dropout": 0.1, "label_smoothing": 0.05,
    "momentum": 0.1, "weight_decay": 0.0005, "rotation": 5.0, "shift": 1.0,
}  # fmt: skip
_DIGITS_ONLY = ("slashed_zeros", "crossed_sevens", "flagged_ones")
_DOWNLOADS = {"mnist": 12, "fashion-mnist": 31, "cifar10": 170}


def open_train_page(base: str, recipe: Recipe) -> None:
    """Opens the Train page with a recipe's knobs, whatever the visitor had chosen there."""
    state.choose_anew(base, settings(recipe))
    links.go("pages/train.py", to_link(base, recipe))


def turn_all(chosen: state.Choice) -> dict[str, str]:
    """Every knob as a widget; what they say, by the knob's name."""
    start = state.kept_settings(chosen)
    said: dict[str, str] = {}
    for tab, group in zip(st.tabs(list(_GROUPS.values())), _GROUPS, strict=True):
        with tab:
            if group == "network":
                said |= _layers(chosen, start)
            knobs = [knob for knob in KNOBS.values() if knob.group == group and knob.name not in said]
            data = said.get("data", start["data"])
            if group == "augmentation" and not data.startswith("mnist"):
                knobs = [knob for knob in knobs if knob.name not in _DIGITS_ONLY]
            for row in range(0, len(knobs), 2):
                for column, knob in zip(st.columns(2), knobs[row : row + 2], strict=False):
                    with column:
                        said[knob.name] = _widget(knob, chosen, start[knob.name])
            if group == "data":
                _data_note(said["data"])
            if group == "training":
                _device()
    return said


def _key(chosen: state.Choice, name: str) -> str:
    return f"knob.{chosen.version}.{name}"


def _widget(knob: Knob, chosen: state.Choice, start: str) -> str:
    """One knob; what it says, as text."""
    key = _key(chosen, knob.name)
    if knob.kind == "range":
        return _pick(knob, key, texts_of(knob, start, chosen.start[knob.name]), start)
    if knob.kind == "choice":
        index = knob.choices.index(start)
        return str(st.selectbox(knob.label, knob.choices, index=index, key=key, help=knob.help))
    assert knob.low is not None
    assert knob.high is not None
    if knob.kind == "whole":
        whole = st.number_input(
            knob.label, int(knob.low), min(int(knob.high), 2**53 - 1), int(start), key=key, help=knob.help
        )
        return str(whole)
    value = st.number_input(
        knob.label, float(knob.low), float(knob.high), float(start), step=_STEPS.get(knob.name, 0.1),
        format="%.5g", key=key, help=knob.help,
    )  # fmt: skip
    return f"{value:.10g}"


def texts_of(knob: Knob, *own: str) -> list[str]:
    """The values of a knob that have names, and the recipe's own."""
    return list(dict.fromkeys([*(text for text, _ in knob.named), *own]))


def _pick(knob: Knob, key: str, texts: list[str], start: str) -> str:
    """A knob that is chosen by names; the text that it says."""
    label = "connections 2" if knob.kind == "table" else knob.label  # it stands among the second convolution's numbers
    return str(
        st.selectbox(label, texts, texts.index(start), format_func=partial(named, knob), key=key, help=knob.help)
    )


def named(knob: Knob, text: str) -> str:
    """A value's name, or that it is one's own."""
    return knob.words(text) if text in dict(knob.named) else f"your own: {text}"


def _layers(chosen: state.Choice, start: Mapping[str, str]) -> dict[str, str]:
    """How many layers there are, and a row of numbers for each convolution and for the dense ones."""
    lists = {name: _numbers(start[name]) for name in (*_CONVOLUTION, "dense")}
    counts = []
    for name, label, column in zip(("channels", "dense"), ("Convolutions", "Dense layers"), st.columns(2), strict=True):
        with column:
            counts.append(
                st.number_input(
                    label, 0, MAX_DEPTH, len(lists[name]), key=_key(chosen, f"{name}.count"), help=KNOBS[name].help
                )
            )
    table = ""
    said: dict[str, list[str]] = {name: [] for name in lists}
    for index in range(int(counts[0])):
        with st.container(horizontal=True, gap="xsmall", key=f"convolution_{index}"):
            for name, (label, fresh) in _CONVOLUTION.items():
                said[name].append(_number(chosen, name, f"{label} {index + 1}", index, lists[name], fresh))
        if index == 1:
            table = _table(chosen, start, said["channels"])
    with st.container(horizontal=True, gap="xsmall"):
        for index in range(int(counts[1])):
            said["dense"].append(_number(chosen, "dense", f"units {index + 1}", index, lists["dense"], 84))
    return {**{name: ",".join(values) for name, values in said.items()}, "table": table}


def _table(chosen: state.Choice, start: Mapping[str, str], channels: Sequence[str]) -> str:
    """The second convolution's tables, to choose from where there is more than one."""
    texts = tables_for(channels, start, chosen.start)
    if len(texts) == 1:
        return texts[0]
    first = start["table"] if start["table"] in texts else texts[0]
    return _pick(KNOBS["table"], _key(chosen, "table"), texts, first)


def tables_for(channels: Sequence[str], *known: Mapping[str, str]) -> list[str]:
    """The tables made for these channels, as texts: none, the paper's, and those of some recipes' settings."""
    made_for = [("6,16", PAPERS), *((one["channels"], one["table"]) for one in known)]
    fitting = [table for theirs, table in made_for if theirs.split(",")[:2] == list(channels[:2])]
    return list(dict.fromkeys(["", *fitting]))


def _number(chosen: state.Choice, name: str, label: str, index: int, known: list[int], fresh: int) -> str:
    """One number of a list knob: as it stood, or `fresh` for a layer that is new."""
    knob = KNOBS[name]
    value = known[index] if index < len(known) else fresh
    help_text = knob.help if index == 0 else None
    return str(
        st.number_input(
            label,
            int(knob.low or 0),
            int(knob.high or 0),
            value,
            key=_key(chosen, f"{name}.{index}"),
            help=help_text,
            width=98,
        )
    )


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")] if text else []


def _data_note(name: str) -> None:
    """Whether the data are here, and what comes if not."""
    info = DATA_SETS[name]
    size = f"{info.train_size:,} training and {info.test_size:,} test images"
    if info.place and not (data_dir() / info.place).is_dir():
        st.caption(
            f"{info.title}: {size}. Not on this machine yet: they are downloaded when the training starts "
            f"({_DOWNLOADS[name]} MB). The sample mnist-5k needs no network."
        )
    else:
        st.caption(f"{info.title}: {size}.")
    st.caption(
        "Validation is a held-out part of the training images, to watch and to choose by. The test images are asked "
        "once, at the very end."
    )


def _device() -> None:
    choices = ("auto", "cpu", "cuda", "mps")
    device = st.selectbox(
        "Device", choices, index=choices.index(links.wanted(DEVICE, choices, "auto")), key=DEVICE,
        help="auto takes the machine's GPU if PyTorch can use it, otherwise the CPU.",
    )  # fmt: skip
    links.remember(DEVICE, device, "auto")
