"""A network described once: an ordered list of named layers.

`Architecture` holds the choices a person makes (channels, kernels, activation, pooling, output
head, ...), is validated when it is made, and works out from them the list of `Layer`s that everything
else walks: the ledger, the PyTorch modules, the pictures of activations. This module is arithmetic
alone and imports no PyTorch, so a page can show a ledger before PyTorch has loaded.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

Shape = tuple[int, ...]
shorten = reprlib.repr  # a value in a message: its beginning, however long or deep it is

ACTIVATIONS = ("sigmoid", "tanh", "scaled-tanh", "relu", "leaky-relu", "elu", "gelu", "identity")
POOLINGS = ("average", "max", "subsampling")
HEADS = ("linear", "rbf")
INITIALISATIONS = ("pytorch", "xavier-uniform", "lecun")
NAMINGS = ("lenet", "alexnet")

# Bounds that hold before anything is built, so that a description from a stranger costs nothing.
MAX_PARAMETERS = 100_000_000  # AlexNet without groups has 62 million
MAX_UNITS = 20_000_000  # activations of one layer for one image
MAX_INPUT_SIZE = 1024
MAX_CHANNELS = 4096
MAX_DEPTH = 16
MAX_CLASSES = 10_000
MAX_CODE_VALUES = 1_000_000  # of an RBF output


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


@dataclass(frozen=True)
class Architecture:
    """A validated description of a network.

    `input_shape` is (channels, height, width). Images enter as floats from 0 (background) to 1 (full
    ink); `input_range` is what the network's first layer makes of those two values. `dense` are the
    hidden fully connected layers; the output layer has `num_classes` units.

    Raises:
        ValueError: a value out of its range, or layers that cannot follow each other; the message
            names the layer and the numbers.
    """

    name: str
    input_shape: tuple[int, int, int]
    convs: tuple[Conv, ...]
    dense: tuple[int, ...]
    num_classes: int = 10
    activation: str = "relu"
    pooling: str = "max"
    head: str = "linear"
    input_range: tuple[float, float] = (0.0, 1.0)
    dropout: float = 0.0
    initialisation: str = "pytorch"
    naming: str = "lenet"

    def __post_init__(self) -> None:
        _check_fields(self)
        layers = _lay_out(self)
        object.__setattr__(self, "_layers", layers)
        parameters = sum(layer.parameters for layer in layers)
        if parameters > MAX_PARAMETERS:
            largest = max(layers, key=lambda layer: layer.parameters)
            raise ValueError(
                f"{self.name} would have {parameters:,} parameters, more than the limit of "
                f"{MAX_PARAMETERS:,}; {largest.name} alone has {largest.parameters:,}. "
                "Use fewer channels or smaller dense layers."
            )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order, activations included."""
        return self._layers  # type: ignore[attr-defined,no-any-return]

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def connections(self) -> int:
        """The number of connections, counted as in the 1998 paper."""
        return sum(layer.connections for layer in self.layers)

    def replace(self, **changes: Any) -> Architecture:
        """A copy with some choices changed.

        Takes the fields of `Architecture`, and those of `Conv` for all convolutions at once: one value
        for every convolution, or a tuple with one value each (`kernel_size=3`, `channels=(8, 24)`).
        A tuple longer or shorter than the present list adds convolutions like the last one, or drops
        the last ones. A connection table whose convolution changes its channels must be given anew,
        or be dropped with `table=None`.

        >>> from lenet_core.presets import preset
        >>> preset("lenet-modern").replace(channels=(8, 24), activation="tanh").parameters
        88166
        """
        conv_fields = {field.name for field in dataclasses.fields(Conv)}
        for_convs = {key: changes.pop(key) for key in list(changes) if key in conv_fields}
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise ValueError(f"An architecture has no {', '.join(sorted(unknown))}.")
        if for_convs:
            changes["convs"] = _change_convs(changes.get("convs", self.convs), for_convs)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The description as plain JSON types; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Architecture:
        """The architecture that a plain dictionary describes, validated before anything is built.

        Raises:
            ValueError: a field is missing, unknown, of a wrong type or out of its range.
        """
        if not isinstance(description, Mapping):
            raise ValueError(f"An architecture is an object with named fields, not {shorten(description)}.")
        fields = dict(description)
        try:
            convs = fields["convs"]
            if not isinstance(convs, (list, tuple)) or len(convs) > MAX_DEPTH:
                raise ValueError(f"convs must be a list of at most {MAX_DEPTH} convolutions, not {shorten(convs)}.")
            fields["convs"] = tuple(Conv(**{**conv, "table": _freeze(conv.get("table"))}) for conv in convs)
            for name in ("input_shape", "dense", "input_range"):
                if name in fields:
                    fields[name] = _freeze(fields[name])
            return cls(**fields)
        except KeyError as error:
            raise ValueError(f"This is not an architecture: {error} is missing.") from error
        except (TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200]  # it may quote a name from the file
            raise ValueError(f"This is not an architecture: {reason}.") from error


def _freeze(value: Any) -> Any:
    return tuple(_freeze(item) for item in value) if isinstance(value, (list, tuple)) else value


def _change_convs(convs: Sequence[Conv], changes: Mapping[str, Any]) -> tuple[Conv, ...]:
    per_layer = {
        key: value
        for key, value in changes.items()
        if isinstance(value, (tuple, list)) and (key != "table" or _is_list_of_tables(value))
    }
    count = max((len(value) for value in per_layer.values()), default=len(convs))
    for key, value in per_layer.items():
        if count and not value:
            raise ValueError(f"{key} needs a value for each of the {count} convolutions, or one for all.")
    if not convs and count:
        convs = (Conv(channels=6),)
    grown = [convs[min(index, len(convs) - 1)] for index in range(count)]
    result = []
    for index, conv in enumerate(grown):
        own = {key: value[min(index, len(value) - 1)] if key in per_layer else value for key, value in changes.items()}
        result.append(dataclasses.replace(conv, **own))
    return tuple(result)


def _is_list_of_tables(value: Sequence[Any]) -> bool:
    """Whether this is one table (or None) for each convolution, rather than a single table."""
    return any(
        item is None or (isinstance(item, (tuple, list)) and item and isinstance(item[0], (tuple, list)))
        for item in value
    )


def _check_number(what: str, value: Any, low: float, high: float, whole: bool = True) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        number = "a whole number" if whole else "a number"
        raise ValueError(f"{what} must be {number} from {low:,} to {high:,}, not {shorten(value)}.")


def _check_choice(what: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, not {shorten(value)}.")


def _check_tuple(what: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, tuple) or not low <= len(value) <= high:
        raise ValueError(f"{what} must be a tuple of {low} to {high} values, not {shorten(value)}.")


def _check_fields(arch: Architecture) -> None:
    if not isinstance(arch.name, str) or not 0 < len(arch.name) <= 80 or not arch.name.isprintable():
        raise ValueError(f"name must be a text of 1 to 80 printable characters, not {shorten(arch.name)}.")
    _check_tuple("input_shape", arch.input_shape, 3, 3)
    _check_number("input channels", arch.input_shape[0], 1, 64)
    for side in arch.input_shape[1:]:
        _check_number("input height and width", side, 1, MAX_INPUT_SIZE)
    _check_tuple("convs", arch.convs, 0, MAX_DEPTH)
    _check_tuple("dense", arch.dense, 0, MAX_DEPTH)
    _check_number("num_classes", arch.num_classes, 2, MAX_CLASSES)
    _check_choice("activation", arch.activation, ACTIVATIONS)
    _check_choice("pooling", arch.pooling, POOLINGS)
    _check_choice("head", arch.head, HEADS)
    _check_choice("initialisation", arch.initialisation, INITIALISATIONS)
    _check_choice("naming", arch.naming, NAMINGS)
    _check_tuple("input_range", arch.input_range, 2, 2)
    for value in arch.input_range:
        _check_number("input_range", value, -1000, 1000, whole=False)
    if not 0 <= _number("dropout", arch.dropout) < 1:
        raise ValueError(f"dropout must be a fraction from 0 to below 1, not {shorten(arch.dropout)}.")


def _number(what: str, value: Any) -> float:
    _check_number(what, value, -1e9, 1e9, whole=False)
    return float(value)


def _check_conv(name: str, conv: Conv, in_channels: int) -> None:
    _check_number(f"{name}: channels", conv.channels, 1, MAX_CHANNELS)
    _check_number(f"{name}: kernel_size", conv.kernel_size, 1, MAX_INPUT_SIZE)
    _check_number(f"{name}: stride", conv.stride, 1, MAX_INPUT_SIZE)
    _check_number(f"{name}: padding", conv.padding, 0, MAX_INPUT_SIZE)
    _check_number(f"{name}: groups", conv.groups, 1, MAX_CHANNELS)
    _check_number(f"{name}: pool", conv.pool, 0, MAX_INPUT_SIZE)
    _check_number(f"{name}: pool_stride", conv.pool_stride, 0, MAX_INPUT_SIZE)
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
        if not isinstance(row, tuple) or not row or len(set(row)) != len(row):
            raise ValueError(f"{name}: each row of the table lists different input maps, not {shorten(row)}.")
        for index in row:
            _check_number(f"{name}: the table's input maps", index, 0, in_channels - 1)


# --- from choices to layers --------------------------------------------------------------------


class _Stack:
    """The list of layers as it grows, with the shape and receptive field reached so far."""

    def __init__(self, arch: Architecture) -> None:
        self.arch = arch
        self.shape: Shape = arch.input_shape
        self.layers: list[Layer] = []
        self.field, self.jump = 1, 1

    def add(self, name: str, kind: str, output_shape: Shape, **costs_and_options: Any) -> None:
        costs = {key: costs_and_options.pop(key, 0) for key in ("parameters", "connections", "multiply_adds")}
        if prod(output_shape) > MAX_UNITS:
            raise ValueError(
                f"{name}: its output {shape_text(output_shape)} has more than {MAX_UNITS:,} units; "
                "use fewer channels, a larger stride or a smaller input."
            )
        self.layers.append(
            Layer(name, kind, self.shape, output_shape, costs_and_options, receptive_field=self.field, **costs)
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


def _lay_out(arch: Architecture) -> tuple[Layer, ...]:
    stack = _Stack(arch)
    lenet = arch.naming == "lenet"
    if arch.input_range != (0.0, 1.0):
        low, high = arch.input_range
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
        _check_number(f"{name}: units", units, 1, MAX_PARAMETERS)
        _add_dense(stack, name, units)
        stack.activate(name)
        if arch.dropout:
            stack.add(f"drop{number}", "dropout", stack.shape, fraction=arch.dropout)
    _add_head(stack, "output" if lenet else f"fc{number + 1}")
    return tuple(stack.layers)


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
    stack.add(
        name,
        "convolution",
        (conv.channels, height, width),
        parameters=weights + conv.channels,
        connections=(weights + conv.channels) * height * width,
        multiply_adds=weights * height * width,
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


# --- the ledger --------------------------------------------------------------------------------


def shape_text(shape: Sequence[int]) -> str:
    """A shape as people write it: `6x28x28`, or `120`."""
    return "x".join(str(side) for side in shape)


def ledger(arch: Architecture) -> list[dict[str, Any]]:
    """One row for each layer, as the papers count them: a layer's activation belongs to its row.

    Each row has `name`, `kind`, `output_shape`, `activation` (or None), `parameters`, `connections`,
    `multiply_adds` and `receptive_field` (pixels on the input).
    """
    rows: list[dict[str, Any]] = []
    for layer in arch.layers:
        if layer.kind == "activation":
            rows[-1]["activation"] = layer.options["function"]
            continue
        rows.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "output_shape": list(layer.output_shape),
                "activation": None,
                "parameters": layer.parameters,
                "connections": layer.connections,
                "multiply_adds": layer.multiply_adds,
                "receptive_field": layer.receptive_field,
            }
        )
    return rows
