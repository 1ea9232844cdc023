"""Below the feature maps: what they show in words and numbers, how far to believe the answers, downloads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from lenet_core import measures
from lenet_core.data_sets import DIGITS, FASHION
from lenet_core.inputs import DRAWING, NOISES, UPLOAD, Input
from lenet_core.library import file_words
from ui import links, looking, markup, markup_novelty, markup_numbers
from ui.attributions import where_it_looks
from ui.looking import Look
from ui.markup_novelty import DoubtRow
from ui.markup_numbers import MapNumbers
from ui.pictures import Scales
from ui.saying import LayerNumbers, what_they_show
from ui.stages import OUTPUT, Stage

if TYPE_CHECKING:
    from lenet_core.novelty import Familiar

_DETAILS = {
    "numbers": "Numbers",
    "alike": "How alike",
    "doubt": "Not one of its classes",
    "where": "Where it looks",
}


def details(seen: list[Look], shared: str, page: int) -> None:
    """What stands below the tables."""
    for one in seen:
        if words := _in_words(one):
            st.html(markup.says_so(one.network.title, one.network.colour, words))
    keys = list(_DETAILS)
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        chosen = st.segmented_control(
            "In detail", keys, default=links.wanted("detail", keys, keys[0]), required=True, key="look_detail",
            format_func=_DETAILS.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
    links.remember("detail", chosen, keys[0])
    with right:
        _downloads(seen, shared)
    if chosen == "where":
        where_it_looks(seen)
        return
    for one in seen:
        if len(seen) > 1:
            st.html(markup.net_title(one.network.title, one.network.colour))
        if chosen == "numbers":
            _numbers(one, page)
        elif chosen == "alike":
            _alike(one)
        else:
            _doubt(one)


def _in_words(seen: Look) -> str:
    """A sentence on the first and the last of the shown layers."""
    layers = []
    inner = [stage for stage in seen.stages if stage.token != OUTPUT]  # what an output lights is its answer
    for stage in (*inner[:1], *inner[1:][-1:]):
        values, rest = seen.values(stage), measures.rest(seen.architecture, stage.layer)
        found = measures.measure(values, rest)
        alike = measures.similarity(values, rest)
        layers.append(LayerNumbers(stage.title, found.active_all, found.strength, alike))
    return what_they_show(seen.names, layers)


def _numbers(seen: Look, page: int) -> None:
    layers = [
        MapNumbers(stage.title, _measures(seen, stage), looking.shown_maps(seen, stage, page)) for stage in seen.stages
    ]
    st.html(markup_numbers.numbers(seen.names, seen.pictures, layers))


def _measures(seen: Look, stage: Stage) -> measures.Measures:
    from lenet_core.diagnostics import saturated

    before = seen.before(stage)
    flat = None if before is None else saturated(seen.checkpoint.net.get_submodule(stage.layer), before)
    return measures.measure(seen.values(stage), measures.rest(seen.architecture, stage.layer), flat)


def _alike(seen: Look) -> None:
    tables = []
    for stage in seen.stages:
        cosines = measures.similarity(seen.values(stage), measures.rest(seen.architecture, stage.layer))
        tables.append(markup_numbers.alike(seen.names, seen.pictures, cosines, stage.title))
    st.html(markup.row(tables))


def _doubt(seen: Look) -> None:
    """What the network answers to each input, and how its scores stand among those of real test images."""
    import torch

    from lenet_core.novelty import scores

    logits = torch.from_numpy(looking.logits(seen))
    found = scores(logits, seen.architecture.head)
    rows = []
    for index, (one, answer, picture) in enumerate(zip(seen.inputs, seen.answers, seen.pictures, strict=True)):
        says = answer.name(answer.label)
        own = {name: float(values[index]) for name, values in found.items()}
        rows.append(DoubtRow(picture, one.name, says, own, _is_foreign(one.input, answer.classes)))
    kind = {DIGITS: "digits", FASHION: "clothes"}.get(seen.checkpoint.classes, "images")
    st.html(markup_novelty.doubts(rows, _familiar(seen), seen.architecture.num_classes, f"real test {kind}"))


def _familiar(seen: Look) -> Familiar | None:
    """How real test images score, as it is stored with the checkpoint; None where it is not, or unsound."""
    from lenet_core.novelty import Familiar

    stored = seen.checkpoint.training.get("familiar")
    if stored is None:
        return None
    try:
        return Familiar.from_dict(stored)
    except ValueError as error:
        st.html(markup.warning(f"The scores stored with {seen.network.title} cannot be used: {error}"))
        return None


def _is_foreign(one: Input, classes: tuple[str, ...]) -> bool:
    """Whether an input is known to be none of the classes; of what a visitor brings nobody knows."""
    if one.kind == UPLOAD:
        return False
    if one.kind in NOISES:
        return True
    if one.kind == DRAWING or one.kind in DIGITS:
        return classes != DIGITS
    return classes in (DIGITS, FASHION)


def _downloads(seen: list[Look], shared: str) -> None:
    with (
        st.container(horizontal=True, horizontal_alignment="right"),
        st.popover("Download", icon=":material/download:"),
    ):
        for number, one in enumerate(seen):
            name = file_words(one.network.key, "network")
            of = f" of {markup.literal(one.network.title)}" if len(seen) > 1 else ""
            st.download_button(
                f"Picture sheet{of} (PNG)", partial(_sheet, one, shared), f"{name}-maps.png", "image/png",
                key=f"sheet.{number}", on_click="ignore", icon=":material/image:",
                help="The shown layers, with all their maps, as one picture.",
            )  # fmt: skip
            st.download_button(
                f"Arrays{of} (NPZ)", partial(_arrays, one), f"{name}-maps.npz", key=f"arrays.{number}",
                on_click="ignore", icon=":material/data_array:",
                help="For NumPy: each shown layer (inputs, maps, height, width), `input`, and the inputs' `names`.",
            )  # fmt: skip


def _sheet(seen: Look, shared: str) -> bytes:
    from ui.sheets import SheetLayer, sheet

    layers = []
    for stage in seen.stages:
        values = seen.values(stage)
        scales: Scales = looking.scales(values, shared)
        layers.append(SheetLayer(stage.title, looking.size_text(values), values, scales))
    pictures = [seen.seen(row) for row in range(len(seen.inputs))]
    return sheet(seen.network.title, seen.names, pictures, layers)


def _arrays(seen: Look) -> bytes:
    import numpy as np

    from lenet_core.activations import to_npz

    arrays = {stage.layer: np.stack([answer.layers[stage.layer] for answer in seen.answers]) for stage in seen.stages}
    image = np.stack([answer.layers["image"] for answer in seen.answers])
    return to_npz(arrays | {"input": image, "names": np.array(seen.names)})
