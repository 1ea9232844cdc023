"""The grid of C3's connections as Table I of the 1998 paper draws it, whose cells one can turn on and off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui import state

_HERE = Path(__file__).parent

_grid = st.components.v2.component(
    "table_grid",
    html='<section class="lp-table-grid"></section>',
    js=(_HERE / "table_grid.js").read_text(),
    css=(_HERE / "table_grid.css").read_text(),
)


@dataclass(frozen=True)
class Maps:
    """The maps of a layer for one input: its name ("S2") and each map's picture as a `data:` address."""

    name: str
    pictures: Sequence[str]


def table_grid(
    connected: NDArray[np.bool_],
    paper: NDArray[np.bool_],
    kernels: NDArray[np.float32],
    sources: Maps,
    targets: Maps,
    *,
    label: str,
    as_kernels: bool,
    pair: tuple[int, int] | None,
    key: str,
    on_toggle: Callable[[int, int], None],
) -> None:
    """Shows the grid, with `label` as its text alternative, and beside it the kernel of the cell that is pointed at.

    `connected` and `paper` are (maps before, maps after): what stands, and what the paper has, from which
    differences are marked. `kernels` (maps before, maps after, k, k) float32 are a trained network's, NaN where it
    has none. `as_kernels` draws them in place of the paper's X. `pair` (map before, map after) is the cell whose
    kernel is shown first. `on_toggle` is called with the map before and the map after of a clicked cell.

    Raises:
        ValueError: where the shapes do not go with each other.
    """
    shape = (len(sources.pictures), len(targets.pictures))
    if not connected.shape == paper.shape == kernels.shape[:2] == shape:
        raise ValueError(
            f"connected {connected.shape}, paper {paper.shape} and kernels {kernels.shape}: "
            f"wanted {shape} of each, as there are pictures"
        )

    def toggle() -> None:
        match (state.widget(key) or {}).get("toggle"):
            case [int(source), int(target)] if 0 <= source < shape[0] and 0 <= target < shape[1]:
                on_toggle(source, target)

    data = {
        "label": label,
        "connected": connected.tolist(),
        "paper": paper.tolist(),
        "kernels": [[_sent(kernel) for kernel in row] for row in kernels],
        "limit": float(np.nanmax(np.abs(kernels))),
        "sources": vars(sources) | {"pictures": list(sources.pictures)},
        "targets": vars(targets) | {"pictures": list(targets.pictures)},
        "asKernels": as_kernels,
        "pair": pair,
    }
    _grid(data=data, key=key, on_toggle_change=toggle)


def _sent(kernel: NDArray[np.float32]) -> list[list[float]] | None:
    """A kernel's numbers for the browser; None where there is none."""
    return None if np.isnan(kernel).any() else [[round(float(value), 4) for value in row] for row in kernel]
