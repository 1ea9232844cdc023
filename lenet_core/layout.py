"""From the choices of an architecture to its ordered list of named layers, with what each costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from lenet_core.bounds import (
    MAX_CHANNELS,
    MAX_CODE_VALUES,
    MAX_CONNECTIONS,
    MAX_INPUT_SIZE,
    MAX_PARAMETERS,
    MAX_TABLE_PAIRS,
    MAX_UNITS,
    check_number,
    shorten,
)

if TYPE_CHECKING:
    from lenet_core.architecture import Architecture

Shape = tuple[int, ...]
InputRange = tuple[float, float] | tuple[tuple[float, float], ...]  # for all channels, or for each


@dataclass(frozen=True)
class Conv:
    """One convolution and what follows it: activation, then normalisation, then pooling.

    `table` lists, for each output map, the input maps it reads (LeCun et al. 1998, Table I); without
    it every output map reads all maps of its group. `pool` is the pooling window, 0 for none;
    `pool_stride` 0 means the window itself, so that windows do not overlap.
    """

    channels: int
    kernel_size: int = 5
    stride: int = 1
    padding: int = 0
    groups: int = 1
    table: tuple[tuple[int, ...], ...] | None = None
    normalise: bool = False
    pool: int = 2
    pool_stride: int = 0


@dataclass(frozen=True)
class Layer:
    """One named layer: what it is, the shapes it maps, and what it costs.

    Shapes are (channels, height, width) or (units,), without the batch. `connections` counts as the
    1998 paper does: for every output unit the inputs it reads, and its bias. `receptive_field` is the
    side, in input pixels, of the square that one unit sees.
    """

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    options: Mapping[str, Any]
    parameters: int = 0
    connections: int = 0
    multiply_adds: int = 0
    receptive_field: int = 1


def shape_text(shape: Sequence[int]) -> str:
    """A shape as people write it: `6x28x28`, or `120`."""
    return "x".join(str(side) for side in shape)


def _check_conv(name: str, conv: Conv, in_channels: int) -> None:
    check_number(f"{name}: channels", conv.channels, 1, MAX_CHANNELS)
    check_number(f"{name}: kernel_size", conv.kernel_size, 1, MAX_INPUT_SIZE)
    check_number(f"{name}: stride", conv.stride, 1, MAX_INPUT_SIZE)
    check_number(f"{name}: padding", conv.padding, 0, MAX_INPUT_SIZE)
    check_number(f"{name}: groups", conv.groups, 1, MAX_CHANNELS)
    check_number(f"{name}: pool", conv.pool, 0, MAX_INPUT_SIZE)
    check_number(f"{name}: pool_stride", conv.pool_stride, 0, MAX_INPUT_SIZE)
    if not isinstance(conv.normalise, bool):
        raise ValueError(f"{name}: normalise must be true or false, not {shorten(conv.normalise)}.")
    if in_channels % conv.groups or conv.channels % conv.groups:
        raise ValueError(
            f"{name}: {conv.groups} groups must divide both its {in_channels} input and {conv.channels} output maps."
        )
    if conv.table is not None:
        _check_table(name, conv, in_channels)


def _check_table(name: str, conv: Conv, in_channels: int) -> None:
    table = conv.table
    if conv.groups != 1:
        raise ValueError(f"{name}: a connection table and {conv.groups} groups exclude each other.")
    if not isinstance(table, tuple) or len(table) != conv.channels:
        rows = len(table) if isinstance(table, tuple) else "no"
        raise ValueError(f"{name}: its connection table has {rows} rows for {conv.channels} channels.")
    for row in table:
        for index in row if isinstance(row, tuple) else ():
            check_number(f"{name}: the table's input maps", index, 0, in_channels - 1)
        if not isinstance(row, tuple) or not row or len(set(row)) != len(row):
            raise ValueError(f"{name}: each row of the table lists different input maps, not {shorten(row)}.")


class _Stack:
    """The list of layers as it grows, with the shape and receptive field reached so far."""

    def __init__(self, arch: Architecture) -> None:
        self.arch = arch
        self.shape: Shape = arch.input_shape
        self.units = prod(arch.input_shape)
        self.connections = 0
        self.layers: list[Layer] = []
        self.field, self.jump = 1, 1
        self.table_pairs = 0

    def add(self, name: str, kind: str, output_shape: Shape, dense: int = 0, **costs_and_options: Any) -> None:
        """Adds a layer; `dense` connections are computed where that is more than there are, as for a table's."""
        costs = {key: costs_and_options.pop(key, 0) for key in ("parameters", "connections", "multiply_adds")}
        self.units += prod(output_shape) if kind != "flatten" else 0  # which keeps nothing of its own
        self.connections += max(costs["connections"], dense)
        for what, count, limit in (
            ("units", self.units, MAX_UNITS), ("connections", self.connections, MAX_CONNECTIONS),
        ):  # fmt: skip
            if count > limit:
                raise ValueError(
                    f"{name}: with its output {shape_text(output_shape)} the network has {count:,} {what}, more than "
                    f"the limit of {limit:,}; use fewer channels, a larger stride or a smaller input."
                )
        self.layers.append(
            Layer(
                name,
                kind,
                self.shape,
                output_shape,
                costs_and_options,
                receptive_field=min(self.field, max(self.arch.input_shape[1:])),
                **costs,
            )
        )
        self.shape = output_shape

    def slide(self, name: str, what: str, size: int, stride: int, padding: int = 0) -> tuple[int, int]:
        """The height and width after a window of `size` slid over the map."""
        _, height, width = self.shape
        if size > min(height, width) + 2 * padding:
            around = f" with padding {padding}" if padding else ""
            raise ValueError(
                f"{name}: its {size}x{size} {what} is larger than its {height}x{width} input{around}. "
                f"Use a smaller {what}, more padding, a larger input, or fewer layers before it."
            )
        self.field += (size - 1) * self.jump
        self.jump *= stride
        return (height + 2 * padding - size) // stride + 1, (width + 2 * padding - size) // stride + 1

    def activate(self, name: str) -> None:
        self.add(f"{name}_act", "activation", self.shape, function=self.arch.activation)

    def see_everything(self) -> None:
        self.field = max(self.arch.input_shape[1:])


def lay_out(arch: Architecture) -> tuple[Layer, ...]:
    """The layers that an architecture's choices come to, in order.

    Raises:
        ValueError: a layer cannot follow the one before it; the message names it and the numbers.
    """
    stack = _Stack(arch)
    lenet = arch.naming == "lenet"
    if arch.input_range != (0.0, 1.0):
        low, high = _ends(arch.input_range)
        stack.add("input", "rescale", stack.shape, low=low, high=high)
    number = 0
    for index, conv in enumerate(arch.convs):
        number = 2 * index + 1 if lenet else index + 1
        _add_conv(stack, f"c{number}" if lenet else f"conv{number}", conv)
        if conv.normalise:
            stack.add(f"norm{number}", "response-normalisation", stack.shape)
        if conv.pool:
            number += lenet
            _add_pool(stack, f"s{number}" if lenet else f"pool{number}", conv)
    if len(stack.shape) > 1:
        stack.see_everything()
        stack.add("flatten", "flatten", (prod(stack.shape),))
    for units in arch.dense:
        number += 1
        name = f"f{number}" if lenet else f"fc{number}"
        check_number(f"{name}: units", units, 1, MAX_PARAMETERS)
        _add_dense(stack, name, units)
        stack.activate(name)
        if arch.dropout:
            stack.add(f"drop{number}", "dropout", stack.shape, fraction=arch.dropout)
    _add_head(stack, "output" if lenet else f"fc{number + 1}")
    return tuple(stack.layers)


def _ends(input_range: InputRange) -> tuple[Any, Any]:
    """The low and the high end, each a number, or a tuple with one for each channel."""
    first, *_ = input_range
    if isinstance(first, tuple):
        low, high = zip(*input_range, strict=True)
        return low, high
    return first, input_range[1]


def _add_conv(stack: _Stack, name: str, conv: Conv) -> None:
    in_channels = stack.shape[0]
    _check_conv(name, conv, in_channels)
    height, width = stack.slide(name, "kernel", conv.kernel_size, conv.stride, conv.padding)
    pairs = (
        sum(len(row) for row in conv.table) if conv.table is not None else conv.channels * in_channels // conv.groups
    )
    weights = pairs * conv.kernel_size**2
    if conv.channels * in_channels * conv.kernel_size**2 > MAX_PARAMETERS:  # a table is laid into all of it
        raise ValueError(
            f"{name}: {conv.channels} x {in_channels} kernels of {conv.kernel_size}x{conv.kernel_size} have more than "
            f"the limit of {MAX_PARAMETERS:,} weights; use fewer channels or a smaller kernel."
        )
    if conv.table is not None:
        stack.table_pairs += pairs
        if stack.table_pairs > MAX_TABLE_PAIRS:
            raise ValueError(
                f"{name}: the connection tables up to it name {stack.table_pairs:,} pairs of maps, more than the limit "
                f"of {MAX_TABLE_PAIRS:,}; use fewer channels, or groups in place of a table."
            )
    stack.add(
        name,
        "convolution",
        (conv.channels, height, width),
        parameters=weights + conv.channels,
        connections=(weights + conv.channels) * height * width,
        multiply_adds=weights * height * width,
        dense=conv.channels * in_channels // conv.groups * conv.kernel_size**2 * height * width,
        kernel_size=conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        groups=conv.groups,
        table=conv.table,
    )
    stack.activate(name)


def _add_pool(stack: _Stack, name: str, conv: Conv) -> None:
    channels = stack.shape[0]
    stride = conv.pool_stride or conv.pool
    height, width = stack.slide(name, "pooling window", conv.pool, stride)
    units = channels * height * width
    trainable = stack.arch.pooling == "subsampling"
    stack.add(
        name,
        "subsampling" if trainable else f"{stack.arch.pooling}-pool",
        (channels, height, width),
        parameters=2 * channels if trainable else 0,
        connections=units * (conv.pool**2 + trainable),
        multiply_adds=units if trainable else 0,
        kernel_size=conv.pool,
        stride=stride,
    )
    if trainable:
        stack.activate(name)


def _add_dense(stack: _Stack, name: str, units: int) -> None:
    inputs = stack.shape[0]
    cost = (inputs + 1) * units
    stack.add(name, "dense", (units,), parameters=cost, connections=cost, multiply_adds=inputs * units)


def _add_head(stack: _Stack, name: str) -> None:
    inputs, classes = stack.shape[0], stack.arch.num_classes
    if stack.arch.head == "rbf":
        if inputs * classes > MAX_CODE_VALUES:
            raise ValueError(
                f"{name}: {classes:,} codes of {inputs:,} values are over the limit of {MAX_CODE_VALUES:,}."
            )
        if inputs < 64 and 2**inputs < classes:
            raise ValueError(f"{name}: {inputs} units before it have only {2**inputs} codes for {classes} classes.")
        # The codes are fixed, so the layer has connections and no parameters.
        stack.add(name, "rbf", (classes,), connections=inputs * classes, multiply_adds=inputs * classes)
    else:
        _add_dense(stack, name, classes)
