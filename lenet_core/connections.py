"""A connection table as text, short enough for a link: which maps each map of a convolution reads."""

from __future__ import annotations

import re

from lenet_core.bounds import shorten
from lenet_core.presets import C3_TABLE

Table = tuple[tuple[int, ...], ...]

PAPERS = "1998"  # stands for LeNet-5's own table
_MASK = re.compile(r"[0-9a-fA-F]+")


def table_text(table: Table | None) -> str:
    """The text of a table: "" for None (every map reads all), "1998" for Table I of LeCun et al. 1998.

    Any other is one hexadecimal number for each output map, joined by dots; bit i is set where input map i is
    read: ((0,), (1, 2)) is "1.6". The order within a row does not count.
    """
    if table is None:
        return ""
    if sorted_rows(table) == C3_TABLE:
        return PAPERS
    text = ".".join(f"{sum(1 << index for index in row):x}" for row in table)
    return f"0{text}" if text == PAPERS else text  # a single map that reads maps 3, 4, 7, 8, 11 and 12


def read_table(text: str) -> Table | None:
    """The table that a text stands for, each row in order; `table_text` writes it back.

    Raises:
        ValueError: a part is no hexadecimal number, or an output map reads no map.
    """
    if not text:
        return None
    if text == PAPERS:
        return C3_TABLE
    rows = []
    for number, part in enumerate(text.split(".")):
        if not _MASK.fullmatch(part):
            raise ValueError(
                f"table must be {PAPERS}, empty, or a hexadecimal number for each output map joined by dots, such as "
                f"7.e.1c; that of map {number} is {shorten(part)}."
            )
        mask = int(part, 16)
        if not mask:
            raise ValueError(f"table: output map {number} reads no map; set at least one bit, as in 1 for map 0.")
        rows.append(tuple(index for index in range(mask.bit_length()) if mask >> index & 1))
    return tuple(rows)


def sorted_rows(table: Table) -> Table:
    """The same table with each row in order."""
    return tuple(tuple(sorted(row)) for row in table)


def check_fits(table: Table, inputs: int, outputs: int) -> None:
    """Raises a ValueError unless the table, its rows in order, has `outputs` rows of maps below `inputs`."""
    if len(table) != outputs:
        raise ValueError(
            f"table must have one number for each of the {outputs} maps of the second convolution, not {len(table)}; "
            "leave it empty for all connections."
        )
    for number, row in enumerate(table):
        if row[-1] >= inputs:
            raise ValueError(
                f"table: output map {number} reads map {row[-1]}, but the second convolution's input has maps 0 to "
                f"{inputs - 1}; its number can be {(1 << inputs) - 1:x} at most."
            )
