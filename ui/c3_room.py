"""C3's table, alive: which of S2's six maps each of C3's sixteen reads, to be changed cell by cell."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core.connections import PAPERS, Table, table_text
from lenet_core.dial import BASE
from lenet_core.errors import LenetError
from lenet_core.knobs import turn
from lenet_core.layout import Layer
from lenet_core.presets import C3_TABLE
from lenet_core.recipes import Recipe, recipe_named
from lenet_core.summary import reads
from ui import cache, links, markup, markup_history, state
from ui.components.table_grid import Maps, table_grid
from ui.networks import Network, bundled
from ui.pictures import coloured, data_uri, scale_for
from ui.turning import open_train_page

_PARAMETER, _PAIR, _DIGIT, _CELLS = "table", "pair", "digit", "cells"
_BEFORE, _AFTER = 6, 16  # maps of S2 and of C3
_ALL: Table = (tuple(range(_BEFORE)),) * _AFTER
_CELLS_SHOW = {"paper": "X, as in the paper", "kernels": "its kernel"}
_KEY = "c3_grid"
_WHY = (
    "Which maps of S2 does each map of C3 read? Not all: that keeps the connections within bounds and, more important, "
    "maps that get different inputs are forced to extract different features (LeCun et al. 1998, section II.B). "
    "Click a cell to connect two maps or to part them."
)


@st.fragment
def c3_table() -> None:
    """The table, its kernels and its costs, made anew at each click."""
    st.subheader("C3's table, alive", anchor=False)
    st.html(markup.lead(_WHY))
    network = bundled(BASE)
    if network is None:
        st.html(markup.empty("The 1998 net is not there", "assets/checkpoints is incomplete: fetch the project anew."))
        return
    recipe, problem = _recipe()
    with st.container(horizontal=True, vertical_alignment="bottom", key="c3_choices"):
        _buttons(recipe)
        cells = _cells()
        digit = _digit()
    if refused := problem or state.tables().refused:
        st.html(markup.warning(refused))
        state.tables().refused = ""
    _costs(recipe)
    try:
        _grid(network, reads(_c3(recipe)), digit, cells == "kernels")
    except LenetError as error:
        st.html(markup.warning(f"The kernels cannot be shown: {error}"))
    st.caption(_READING)


_READING = (
    "Beside each number: what the bundled net of 1998 makes of the digit there, red above 0, blue below. Thick green "
    "frame: yours, not in the paper; dashed: taken from the paper's. The kernels are the trained net's and stay: train "
    "with your table to see what it does. By keyboard: the arrows move, Space connects or parts."
)


def _recipe() -> tuple[Recipe, str]:
    """The recipe with the table that the address names, or with the paper's and why."""
    base = recipe_named(BASE)
    text = links.asked(_PARAMETER) or PAPERS
    try:
        return turn(base, {"table": text}), ""
    except ValueError as error:
        return base, f"The link's table cannot be used, so this is the paper's. {error}"


def _table(recipe: Recipe) -> Table:
    """The table that stands, each row in order."""
    return recipe.architecture.convs[1].table or _ALL


def _put(table: Table) -> None:
    """Makes a table the present one."""
    recipe, _ = _recipe()
    state.tables().step(table_text(_table(recipe)))
    links.remember(_PARAMETER, table_text(table), PAPERS)


def _toggle(source: int, target: int) -> None:
    """Connects two maps, or parts them; a map that reads nothing is refused."""
    recipe, _ = _recipe()
    rows = [set(row) for row in _table(recipe)]
    rows[target] ^= {source}
    links.remember(_PAIR, f"{source}.{target}")
    if not rows[target]:
        state.tables().refused = (
            f"C3 map {target} reads S2 map {source} alone, and a map must read at least one: connect another first."
        )
        return
    _put(tuple(tuple(sorted(row)) for row in rows))


def _undo() -> None:
    kept = state.tables()
    if kept.before:  # a second click may come before the button is off
        links.remember(_PARAMETER, kept.before.pop(), PAPERS)
    kept.refused = ""


def _buttons(recipe: Recipe) -> None:
    table = _table(recipe)
    st.button("The paper's", key="c3_paper", on_click=_put, args=(C3_TABLE,), disabled=table == C3_TABLE)
    st.button("All", key="c3_all", on_click=_put, args=(_ALL,), disabled=table == _ALL)
    st.button("Undo", icon=":material/undo:", key="c3_undo", on_click=_undo, disabled=not state.tables().before)
    if st.button(
        "Train with this table", icon=":material/model_training:", type="primary", key="c3_train",
        help=f"Opens the Train page with {BASE} and this table.",
    ):  # fmt: skip
        # A table that connects all maps is none: an ordinary convolution, which is faster.
        open_train_page(BASE, turn(recipe, {"table": ""}) if table == _ALL else recipe)


def _cells() -> str:
    keys = list(_CELLS_SHOW)
    chosen = st.segmented_control(
        "A connection is drawn as", keys, default=links.wanted(_CELLS, keys, keys[0]), required=True, key="c3_cells",
        format_func=_CELLS_SHOW.__getitem__,
    )  # fmt: skip
    links.remember(_CELLS, chosen, keys[0])
    return chosen


def _digit() -> int:
    digits = [str(digit) for digit in range(10)]
    chosen = st.pills(
        "The maps' digit", digits, default=links.wanted(_DIGIT, digits, "4"), required=True, key="c3_digit"
    )
    links.remember(_DIGIT, chosen, "4")
    return int(chosen)


def _costs(recipe: Recipe) -> None:
    """What the table costs, beside the paper's."""
    arch, base = recipe.architecture, recipe_named(BASE).architecture
    now, before = _c3(recipe), _c3(recipe_named(BASE))
    pairs, papers = int(reads(now).sum()), int(reads(before).sum())
    side = now.output_shape[1]
    st.html(
        markup_history.counts(
            [
                markup_history.pair_of_counts("Pairs of maps", pairs, papers, "of 96, X each"),
                markup_history.pair_of_counts(
                    "Parameters of C3", now.parameters, before.parameters, f"25 x {pairs} + {_AFTER} biases"
                ),
                markup_history.pair_of_counts(
                    "Connections of C3", now.connections, before.connections,
                    f"{now.parameters:,} x {side} x {side} places",
                ),
                markup_history.pair_of_counts(
                    "Parameters of the net", arch.parameters, base.parameters, "all layers together"
                ),
            ]
        )
    )  # fmt: skip


def _c3(recipe: Recipe) -> Layer:
    return next(layer for layer in recipe.architecture.layers if layer.name == "c3")


def _grid(network: Network, connected: NDArray[np.bool_], digit: int, as_kernels: bool) -> None:
    from lenet_core.classify import classify

    layers = classify(cache.checkpoint(network), cache.sample_digits()[digit]).layers
    table_grid(
        connected,
        reads(_c3(recipe_named(BASE))),
        _kernels(network),
        Maps("S2", _pictures(layers["s2_act"])),
        Maps("C3", _pictures(layers["c3_act"])),
        label="Which maps of S2 each map of C3 reads",
        as_kernels=as_kernels,
        pair=_pair(),
        key=_KEY,
        on_toggle=_toggle,
    )


def _pair() -> tuple[int, int] | None:
    """The pair of maps that the address names."""
    found = re.fullmatch(r"(\d)\.(\d\d?)", links.asked(_PAIR))
    if found is None:
        return None
    source, target = map(int, found.groups())
    return (source, target) if source < _BEFORE and target < _AFTER else None


def _pictures(maps: NDArray[np.float32]) -> list[str]:
    """A layer's maps (channels, height, width) on one scale."""
    scale = scale_for(maps)
    return [data_uri(coloured(one, scale)) for one in maps]


def _kernels(network: Network) -> NDArray[np.float32]:
    """The trained kernels (maps before, maps after, 5, 5), NaN where the paper's table has none."""
    from lenet_core.layers import TableConv2d

    layer = cache.checkpoint(network).net.get_submodule("c3")
    assert isinstance(layer, TableConv2d)
    weight: NDArray[np.float32] = layer.dense_weight().detach().numpy().transpose(1, 0, 2, 3)
    return np.where(reads(_c3(recipe_named(BASE)))[..., None, None], weight, np.float32(np.nan))
