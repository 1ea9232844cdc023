"""A table of feature maps: rows are inputs, columns are maps, of one layer or of several side by side."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui import state

ACTIONS = ("up", "down", "again", "remove")
_SHARED = ("all", "row", "map")
_HERE = Path(__file__).parent

_table = st.components.v2.component(
    "map_table",
    html='<section class="lp-map-table" role="group"></section>',
    # One module: a component without an installed package cannot import a second script.
    js="\n".join((_HERE / name).read_text() for name in ("values.js", "pointing.js", "map_table.js")),
    css=(_HERE / "map_table.css").read_text(),
)


@dataclass(frozen=True)
class Row:
    """An input: its name, what the network says to it, its picture as a `data:` address, and its buttons.

    `can` names the buttons out of `ACTIONS`; `again` is what the button of that name does ("another 4").
    """

    name: str
    says: str
    picture: str
    can: tuple[str, ...] = ()
    again: str = ""


@dataclass(frozen=True)
class Block:
    """A layer: `values` float32 (rows, channels, height, width), or (rows, units), which are shown as bars.

    `layer` is sent back with a click; `first` is the number of the first channel shown. `kernels` are `data:`
    addresses, one a channel, or none; `names` are those of the units, or none. A value between `low` and `high`
    (finite, broadcast to (rows, channels)) has its colour in `ramp`, uint8 (256, 3). `shared` says who shares
    the two: "all" maps, those of a "row", or those of a "map", which is a column.
    Unit (r, c) sees `side` input rows from offset + r * jump on and as many columns, where `window` is
    (offset, jump, side), in pixels; the part outside the input is padding.
    """

    layer: str
    title: str
    note: str
    first: int
    values: NDArray[np.float32]
    kernels: list[str]
    names: tuple[str, ...]
    ramp: NDArray[np.uint8]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    shared: str
    window: tuple[int, int, int]


def map_table(
    rows: Sequence[Row],
    blocks: Sequence[Block],
    *,
    label: str,
    input_size: tuple[int, int],
    selected: Mapping[str, Any] | None,
    key: str,
    on_action: Callable[[str, int], None],
    on_unit: Callable[[str, int, int, int, int], None],
) -> None:
    """Shows the table, with `label` as its text alternative.

    `input_size` is (height, width) of what the network sees, in pixels. `on_action` is called with a button (out of
    `ACTIONS`) and its row, `on_unit` with a clicked unit: its layer, row, channel (counted from 0 in the whole
    layer), y and x. `selected` is a unit by these names, "layer" to "x", which stays framed.
    Called again with the same `key`, the table on the page takes what is new.

    Raises:
        ValueError: where shapes, kernels, scales or names do not go with each other.
    """
    if not rows or not blocks:
        raise ValueError(f"{len(rows)} inputs and {len(blocks)} layers: no {'layer' if rows else 'input'} to show")
    if len({block.layer for block in blocks}) < len(blocks):
        raise ValueError(f"layers {[block.layer for block in blocks]}: a table shows each once; name them apart")
    data: dict[str, Any] = {
        "label": label,
        "inputSize": list(input_size),
        "rows": [vars(row) | {"can": list(row.can)} for row in rows],
        "blocks": [_sent(block, len(rows)) for block in blocks],
        "selected": selected,
    }
    data["version"] = blake2b(json.dumps(data).encode(), digest_size=8).hexdigest()

    def act() -> None:
        if (action := _action(_told(key, "action"), rows)) is not None:
            on_action(*action)

    def choose() -> None:
        if (unit := _unit(_told(key, "unit"), blocks)) is not None:
            on_unit(*unit)

    _table(data=data, key=key, on_action_change=act, on_unit_change=choose)


def _told(key: str, event: str) -> object:
    """What the browser sent with an event just now."""
    return (state.widget(key) or {}).get(event)


def _sent(block: Block, rows: int) -> dict[str, Any]:
    """A block as the browser gets it."""
    shape = block.values.shape
    if len(shape) not in (2, 4) or shape[0] != rows or 0 in shape:
        raise ValueError(f"{block.layer}: values {shape}, wanted ({rows}, channels, height, width) or ({rows}, units)")
    channels, height, width = shape[1:] if len(shape) == 4 else (shape[1], 1, 1)
    for name, given in (("kernels", block.kernels), ("names", block.names)):
        if len(given) not in (0, channels):
            raise ValueError(f"{block.layer}: {len(given)} {name}, wanted none or {channels}, one a channel")
    if block.ramp.shape != (256, 3):
        raise ValueError(f"{block.layer}: a ramp of shape {block.ramp.shape}, wanted (256, 3)")
    low, high = (_limits(block, limit, (rows, channels)) for limit in (block.low, block.high))
    return {
        "layer": block.layer,
        "title": block.title,
        "note": block.note,
        "first": block.first,
        "bars": len(shape) == 2,
        "channels": channels,
        "height": height,
        "width": width,
        "values": _base64(block.values.astype("<f4")),
        "low": _base64(low),
        "high": _base64(high),
        "ramp": _base64(block.ramp),
        "shared": block.shared,
        "kernels": block.kernels,
        "names": list(block.names),
        "window": list(block.window),
    }


def _limits(block: Block, limit: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """One end of each map's scale, float32 `shape`; the maps said to share it must have the same."""
    if block.shared not in _SHARED:
        raise ValueError(f"{block.layer}: a scale shared by {block.shared!r}, wanted one of {_SHARED}")
    full = np.broadcast_to(limit, shape).astype("<f4")
    axes = {"all": (0, 1), "row": (1,), "map": (0,)}[block.shared]
    if not np.isfinite(full).all() or np.ptp(full, axis=axes).any():
        raise ValueError(f"{block.layer}: limits {limit} of a scale, wanted finite and one for each {block.shared!r}")
    return full


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _action(sent: object, rows: Sequence[Row]) -> tuple[str, int] | None:
    """The button pressed and its row, which may have moved since; None where it has left the table."""
    match sent:
        case [str(action), int(row), str(name)]:
            moved = sorted(range(len(rows)), key=lambda index: abs(index - row))
            return next(((action, at) for at in moved if rows[at].name == name and action in rows[at].can), None)
    return None


def _unit(sent: object, blocks: Sequence[Block]) -> tuple[str, int, int, int, int] | None:
    """The unit clicked; None where it has left the table since."""
    match sent:
        case {"layer": str(layer), "row": int(row), "channel": int(channel), "y": int(y), "x": int(x)}:
            for block in blocks:
                places = (row, channel - block.first, y, x)
                shape = (*block.values.shape, 1, 1)[:4]
                if block.layer == layer and all(0 <= at < size for at, size in zip(places, shape, strict=True)):
                    return layer, row, channel, y, x
    return None
