"""A recipe's choices as named texts: one flat way to change a recipe, for links, widgets, commands and sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lenet_core.architecture import Architecture
from lenet_core.bounds import shorten
from lenet_core.connections import Table, check_fits, sorted_rows, table_text
from lenet_core.data_sets import DATA_SETS
from lenet_core.knob_tables import KNOBS, MAX_TEXT, Knob
from lenet_core.layout import Conv
from lenet_core.recipes import Augmentation, Recipe, recipe_named

__all__ = [
    "KNOBS", "MAX_PROBLEMS", "MAX_TEXT", "Knob", "differences", "from_link", "read_knob", "settings", "to_link", "turn",
]  # fmt: skip

MAX_PROBLEMS = 10  # lines about one link

_CONV_FIELDS = {"channels": "channels", "kernels": "kernel_size", "padding": "padding", "pool": "pool"}


def read_knob(name: str, text: str) -> Any:
    """The value that a text stands for in the knob of that name, as `Knob.read` gives it.

    Raises:
        ValueError: there is no such knob, or the text is none of its values.
    """
    if name not in KNOBS:
        raise ValueError(f"There is no knob {shorten(name)}; there are {', '.join(KNOBS)}.")
    return KNOBS[name].read(text)


def settings(recipe: Recipe) -> dict[str, str]:
    """Every knob's value as text: 0.001 is "0.001", 1.0 is "1", (6, 16) is "6,16", none is empty.

    A table is what `connections.table_text` makes of it, ranges for several channels are "-1,1;0,2".
    """
    values = _values(recipe)
    return {name: table_text(value) if name == "table" else _text(value) for name, value in values.items()}


def turn(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """The recipe with those knobs turned, all at once; the order of `changes` does not matter.

    `channels` of another length adds convolutions like the last one, or drops the last ones. What a
    convolution has beyond the knobs (stride, groups, normalisation) stays; its connection table stays
    where neither its channels nor the channels before it change, and is dropped elsewhere, so that every
    map reads all maps before it. A `table` that is given is the second convolution's, and must fit the
    channels as they come out. With `data` the network's input takes on the channels of the new images,
    keeps its height and width where they fit inside and takes on theirs where they do not; its classes
    become theirs. Any change but the seed's empties `reference`, which is about another training.

    What a turn drops does not come back with the opposite turn: start from the recipe that one knows.

    Raises:
        ValueError: there is no such knob, a value is none of its values, there are not as many values as
            convolutions, the table does not fit them, or the network is impossible.
    """
    given = {name: read_knob(name, changes[name]) for name in sorted(changes)}
    before = _values(recipe)
    changed = {name: value for name, value in given.items() if value != before[name]}
    groups: dict[str, dict[str, Any]] = {knob.group: {} for knob in KNOBS.values()}
    for name, value in changed.items():
        groups[KNOBS[name].group][name] = value
    fields = {**groups["data"], **groups["training"]}
    if groups["augmentation"]:
        augmentation = dataclasses.replace(recipe.augmentation or Augmentation(), **groups["augmentation"])
        fields["augmentation"] = None if augmentation == Augmentation() else augmentation
    if set(changed) - {"seed"}:
        fields["reference"] = ""
    wiring = {name: value for name, value in given.items() if name in _CONV_FIELDS}
    shape = {name: value for name, value in groups["network"].items() if name not in (*_CONV_FIELDS, "table")}
    if "data" in changed:
        shape |= _input_for(changed["data"], recipe.architecture)
    architecture = _rebuild(recipe.architecture, shape, wiring)
    if "table" in given:
        architecture = _connect(architecture, given["table"])
    return dataclasses.replace(recipe, architecture=architecture, **fields)


def differences(base: Recipe, recipe: Recipe) -> dict[str, tuple[str, str]]:
    """The knobs that stand differently in two recipes, in the order of `KNOBS`: name to (before, after)."""
    before, after = settings(base), settings(recipe)
    return {name: (before[name], after[name]) for name in KNOBS if before[name] != after[name]}


def to_link(base: str, recipe: Recipe) -> dict[str, str]:
    """A link's parameters: the recipe one started from, and every knob that stands differently.

    Raises:
        ValueError: there is no recipe of the name `base`.
    """
    changed = differences(recipe_named(base), recipe)
    return {"recipe": base, **{name: after for name, (_, after) in changed.items()}}


def from_link(parameters: Mapping[str, str], default: str = "lenet-modern") -> tuple[str, Recipe, list[str]]:
    """What a link's parameters say: the base recipe's name, the recipe, and a line for each part not used.

    `default` is the base where the link names none that there is. A knob that cannot be read is left out;
    where the others are impossible together, the recipe is the base itself. The parameters may be
    anybody's: the lines quote them shortened, and there are at most `MAX_PROBLEMS` about knobs.
    """
    problems, base = [], parameters.get("recipe", default)
    try:
        recipe = recipe_named(base)
    except ValueError as error:
        base, recipe = default, recipe_named(default)
        problems.append(f"{error} This is {default}.")
    good, bad = {}, []
    for name, text in parameters.items():
        if name == "recipe":
            continue
        try:
            read_knob(name, text)
            good[name] = text
        except ValueError as error:
            bad.append(str(error))
    if len(bad) > MAX_PROBLEMS:
        bad[MAX_PROBLEMS - 1 :] = [f"{len(bad) - MAX_PROBLEMS + 1:,} more parts of the link could not be used."]
    problems += bad
    try:
        recipe = turn(recipe, good)
    except ValueError as error:
        problems.append(f"The link's settings do not go together, so this is {base} as it is. {error}")
    return base, recipe, problems


def _values(recipe: Recipe) -> dict[str, Any]:
    """Every knob's value, as `Knob.read` gives it."""
    arch, values = recipe.architecture, dataclasses.asdict(recipe.augmentation or Augmentation())
    for knob in KNOBS.values():
        if knob.name in _CONV_FIELDS:
            values[knob.name] = tuple(getattr(conv, _CONV_FIELDS[knob.name]) for conv in arch.convs)
        elif knob.kind == "table":
            table = arch.convs[1].table if len(arch.convs) > 1 else None
            values[knob.name] = None if table is None else sorted_rows(table)
        elif knob.group != "augmentation":
            values[knob.name] = getattr(arch if knob.group == "network" else recipe, knob.name)
    if len(values["input_range"]) == 1:  # a range for the only channel
        (values["input_range"],) = values["input_range"]
    return {name: values[name] for name in KNOBS}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return ";".join(map(_text, value))
        return ",".join(map(_text, value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _input_for(data: str, arch: Architecture) -> dict[str, Any]:
    """The fields of an architecture that follow the data set."""
    info = DATA_SETS[data]
    channels, height, width = info.shape
    fits = height <= arch.input_shape[1] and width <= arch.input_shape[2]
    sides = arch.input_shape[1:] if fits else (height, width)
    return {"input_shape": (channels, *sides), "num_classes": len(info.classes)}


def _rebuild(arch: Architecture, shape: Mapping[str, Any], wiring: Mapping[str, Any]) -> Architecture:
    """The architecture with new fields, and new values for the convolutions."""
    count = len(wiring["channels"]) if "channels" in wiring else len(arch.convs)
    for name, values in wiring.items():
        if len(values) != count:
            raise ValueError(
                f"{name} must have as many values as there are convolutions, {count}, not {len(values)}; "
                "channels sets how many there are."
            )
    convs: list[Conv] = []
    for index in range(count):
        like = arch.convs[min(index, len(arch.convs) - 1)] if arch.convs else Conv(channels=6)
        own = {_CONV_FIELDS[name]: values[index] for name, values in wiring.items()}
        convs.append(dataclasses.replace(like, **own))
    inputs = shape.get("input_shape", arch.input_shape)[0]
    old = [arch.input_shape[0], *(conv.channels for conv in arch.convs)]
    new = [inputs, *(conv.channels for conv in convs)]
    for index, conv in enumerate(convs):
        if old[index : index + 2] != new[index : index + 2]:  # before it and its own; an added one had none
            convs[index] = dataclasses.replace(conv, table=None)
    return dataclasses.replace(arch, **shape, convs=tuple(convs))


def _connect(arch: Architecture, table: Table | None) -> Architecture:
    """The architecture with that table for its second convolution."""
    if len(arch.convs) < 2:
        if table is None:
            return arch
        raise ValueError(
            f"table is of the second convolution, and this network has {len(arch.convs)}; leave table empty, or add "
            "convolutions with channels."
        )
    first, second, *others = arch.convs
    if table is not None:
        check_fits(table, first.channels, second.channels)
        if second.table is not None and sorted_rows(second.table) == table:
            return arch
    return dataclasses.replace(arch, convs=(first, dataclasses.replace(second, table=table), *others))
