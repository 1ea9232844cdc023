"""A network described once: an ordered list of named layers.

`Architecture` holds the choices a person makes (channels, kernels, activation, pooling, output
head, ...), is validated when it is made, and works out from them the list of `Layer`s that everything
else walks: the ledger, the PyTorch modules, the pictures of activations. This module is arithmetic
alone and imports no PyTorch, so a page can show a ledger before PyTorch has loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lenet_core.bounds import (
    MAX_CLASSES,
    MAX_DEPTH,
    MAX_INPUT_SIZE,
    MAX_PARAMETERS,
    check_choice,
    check_number,
    check_tuple,
    one_line,
    shorten,
)
from lenet_core.layout import Conv, InputRange, Layer, lay_out

ACTIVATIONS = ("sigmoid", "tanh", "scaled-tanh", "relu", "leaky-relu", "elu", "gelu", "identity")
POOLINGS = ("average", "max", "subsampling")
HEADS = ("linear", "rbf")
INITIALISATIONS = ("pytorch", "xavier-uniform", "lecun")
NAMINGS = ("lenet", "alexnet")


@dataclass(frozen=True)
class Architecture:
    """A validated description of a network.

    `input_shape` is (channels, height, width). Images enter as floats from 0 (background) to 1 (full
    ink); `input_range` is what the network's first layer makes of those two values: one pair (low, high),
    or a pair for each channel. `dense` are the hidden fully connected layers; the output layer has
    `num_classes` units.

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
    input_range: InputRange = (0.0, 1.0)
    dropout: float = 0.0
    initialisation: str = "pytorch"
    naming: str = "lenet"

    def __post_init__(self) -> None:
        _check_fields(self)
        layers = lay_out(self)
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
            fields["convs"] = tuple(map(_read_conv, convs))
            for name in ("input_shape", "dense", "input_range"):
                if name in fields:
                    fields[name] = _freeze(fields[name])
            return cls(**fields)
        except KeyError as error:
            raise ValueError(f"This is not an architecture: {error} is missing.") from error
        except TypeError as error:
            # It may quote a name from the file.
            raise ValueError(f"This is not an architecture: {one_line(str(error), 200)}.") from error


def _read_conv(description: Any) -> Conv:
    if not isinstance(description, Mapping):
        raise ValueError(f"convs must be a list of objects with named fields, not of {shorten(description)}.")
    known = [field.name for field in dataclasses.fields(Conv)]
    if unknown := sorted(map(str, description.keys() - set(known))):
        raise ValueError(f"convs: a convolution has no {shorten(unknown[0])}; it has {', '.join(known)}.")
    if "channels" not in description:
        raise ValueError("convs: a convolution needs its number of channels.")
    return Conv(**{**description, "table": _freeze(description.get("table"))})


def _freeze(value: Any, levels: int = 2) -> Any:
    """Lists as tuples, as deep as a field has them; what lies deeper in a stranger's is refused with its field."""
    if levels and isinstance(value, (list, tuple)):
        return tuple(_freeze(item, levels - 1) for item in value)
    return value


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


def _check_fields(arch: Architecture) -> None:
    if not isinstance(arch.name, str) or not 0 < len(arch.name) <= 80 or not arch.name.isprintable():
        raise ValueError(f"name must be a text of 1 to 80 printable characters, not {shorten(arch.name)}.")
    check_tuple("input_shape", arch.input_shape, 3, 3)
    check_number("input channels", arch.input_shape[0], 1, 64)
    for side in arch.input_shape[1:]:
        check_number("input height and width", side, 1, MAX_INPUT_SIZE)
    check_tuple("convs", arch.convs, 0, MAX_DEPTH)
    check_tuple("dense", arch.dense, 0, MAX_DEPTH)
    check_number("num_classes", arch.num_classes, 2, MAX_CLASSES)
    check_choice("activation", arch.activation, ACTIVATIONS)
    check_choice("pooling", arch.pooling, POOLINGS)
    check_choice("head", arch.head, HEADS)
    check_choice("initialisation", arch.initialisation, INITIALISATIONS)
    check_choice("naming", arch.naming, NAMINGS)
    _check_input_range(arch.input_range, arch.input_shape[0])
    check_number("dropout", arch.dropout, 0, 0.99, whole=False)


def _check_input_range(input_range: Any, channels: int) -> None:
    pairs = (input_range,)
    if isinstance(input_range, tuple) and input_range and isinstance(input_range[0], tuple):
        pairs = input_range
        if len(pairs) != channels:
            raise ValueError(
                f"input_range has {len(pairs)} pairs for an input of {channels} channels; "
                "give each channel one, or a single pair (low, high) for all."
            )
    for pair in pairs:
        check_tuple("input_range", pair, 2, 2)
        for value in pair:
            check_number("input_range", value, -1000, 1000, whole=False)


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
