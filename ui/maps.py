"""The table of feature maps of one network, rows inputs and columns maps, and the sum behind a chosen unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import streamlit as st

from lenet_core.architecture import Architecture
from lenet_core.fields import box, window
from ui import links, looking, markup, markup_arithmetic, shown_inputs
from ui.components.map_table import Block, Row, map_table
from ui.looking import Look
from ui.stages import OUTPUT, Stage

_PARAMETER = "unit"


@dataclass(frozen=True)
class Unit:
    """A unit in the table: the table's number, the layer's token, row, channel (or unit), and place in the map."""

    table: int
    token: str
    row: int
    channel: int
    y: int
    x: int

    @property
    def text(self) -> str:
        """The unit as it stands in the link."""
        return f"{self.table}.{self.token}.{self.row}.{self.channel}.{self.y}.{self.x}"


def asked_unit() -> Unit | None:
    """The unit that the address names."""
    found = re.fullmatch(r"([01])\.([a-z0-9-]+)\.(\d)\.(\d{1,5})\.(\d{1,4})\.(\d{1,4})", links.asked(_PARAMETER))
    if found is None:
        return None
    table, token, *places = found.groups()
    return Unit(int(table), token, *map(int, places))


def table(number: int, seen: Look, shared: str, page: int) -> None:
    """Shows the table of the page's first or second network, and does what its buttons ask."""
    rows = _rows(seen, can_change=number == 0)
    blocks = [_block(seen, stage, shared, page) for stage in seen.stages]
    unit = asked_unit()
    map_table(
        rows,
        blocks,
        label=f"{seen.network.title}: what its layers make of {len(rows)} inputs",
        input_size=seen.architecture.input_shape[1:],
        selected=_selected(unit, seen) if unit is not None and unit.table == number else None,
        key=f"map_table.{number}",
        on_action=shown_inputs.act,
        on_unit=lambda layer, row, channel, y, x: _choose(number, seen, layer, (row, channel, y, x)),
    )
    if unit is not None and unit.table == number:
        _sum(unit, seen)


def _rows(seen: Look, can_change: bool) -> list[Row]:
    last = len(seen.inputs) - 1
    rows = []
    for index, (one, picture, answer) in enumerate(zip(seen.inputs, seen.pictures, seen.answers, strict=True)):
        possible = {"up": index > 0, "down": index < last, "again": one.input.has_others, "remove": True}
        can = tuple(action for action, is_possible in possible.items() if is_possible and can_change)
        says = f"says {answer.name(answer.label)}, {markup.percent(float(answer.probabilities.max()))}"
        rows.append(Row(one.name, says, picture, can, f"another {one.input.title}"))
    return rows


def _block(seen: Look, stage: Stage, shared: str, page: int) -> Block:
    values = seen.values(stage)
    scales = looking.scales(values, shared)
    place = window(seen.architecture, stage.layer)
    maps = looking.shown_maps(seen, stage, page)
    is_row, is_last = values.ndim == 2, stage.token == OUTPUT
    shape = (len(values), 1 if is_row else values.shape[1])
    low, high = np.broadcast_to(scales.low, shape), np.broadcast_to(scales.high, shape)
    return Block(
        layer=stage.layer,
        title=stage.title,
        note=looking.size_text(values),
        first=0 if is_row else maps.start,
        values=values if is_row else values[:, maps],
        kernels=[] if is_row else looking.kernels(seen, stage, maps),
        names=seen.checkpoint.classes if is_last else (),
        ramp=scales.ramp,
        low=low if is_row else low[:, maps],
        high=high if is_row else high[:, maps],
        shared="all" if is_row and shared == "map" else shared,
        window=(place.offset, place.jump, place.side),
    )


def _choose(number: int, seen: Look, layer: str, place: tuple[int, int, int, int]) -> None:
    token = next((stage.token for stage in seen.stages if stage.layer == layer), "")
    links.remember(_PARAMETER, Unit(number, token, *place).text if token else "")


def _stage_of(unit: Unit, seen: Look) -> Stage | None:
    """The stage that a unit is in, if it is shown and the unit is there."""
    stage = next((stage for stage in seen.stages if stage.token == unit.token), None)
    if stage is None:
        return None
    shape = (*seen.values(stage).shape, 1, 1)[:4]
    place = (unit.row, unit.channel, unit.y, unit.x)
    return stage if all(at < length for at, length in zip(place, shape, strict=True)) else None


def _selected(unit: Unit, seen: Look) -> dict[str, int | str] | None:
    stage = _stage_of(unit, seen)
    if stage is None:
        return None
    return {"layer": stage.layer, "row": unit.row, "channel": unit.channel, "y": unit.y, "x": unit.x}


def _sum(unit: Unit, seen: Look) -> None:
    """The arithmetic that made a unit, as numbers."""
    stage = _stage_of(unit, seen)
    if stage is None:
        return
    from lenet_core.arithmetic import unit_sum

    arch, layers = seen.architecture, seen.answers[unit.row].layers
    shape = layers[stage.layer].shape
    result = unit_sum(
        seen.checkpoint.net, arch, layers, layers["image"], stage.layer, (unit.channel, unit.y, unit.x)[: len(shape)]
    )
    where = f"map {unit.channel}, row {unit.y}, column {unit.x}"
    if looking.is_flat(shape):
        where = f"unit {unit.channel}"
    title = f"{stage.title}, {where}, for {seen.names[unit.row]}"
    st.html(markup_arithmetic.unit_sum(result, title, _sees(arch, stage.layer, unit)))
    st.button(
        "Close the sum", icon=":material/close:", key=f"close_sum.{unit.table}",
        on_click=links.remember, args=(_PARAMETER, ""),
    )  # fmt: skip


def _sees(arch: Architecture, layer: str, unit: Unit) -> str:
    """Which part of the input a unit sees, in words."""
    top, left, bottom, right = box(arch, layer, unit.y, unit.x)
    height, width = arch.input_shape[1:]
    if (top, left, bottom, right) == (0, 0, height, width):
        return "It sees the whole input."
    if top == bottom:
        return "It sees padding alone."
    rows, columns = f"rows {top} to {bottom - 1}", f"columns {left} to {right - 1}"
    return f"It sees {rows} and {columns} of the {height}x{width} input."
