"""Networks as descriptions: what no network can be, and what comes back from JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from typing import Any

import pytest

from lenet_core.architecture import Architecture
from lenet_core.bounds import MAX_CONNECTIONS, MAX_PARAMETERS, MAX_UNITS
from lenet_core.layout import Conv
from lenet_core.presets import C3_TABLE, PRESETS, preset

MODERN = preset("lenet-modern")


def as_json(arch: Architecture) -> dict[str, Any]:
    """The architecture as a stranger's file would give it."""
    description: dict[str, Any] = json.loads(json.dumps(arch.to_dict()))
    return description


# --- networks that cannot be -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel_size": (33, 5)}, ("c1", "33x33", "28x28", "padding 2")),
        ({"kernel_size": (5, 15)}, ("c3", "15x15", "14x14")),
        ({"pool": (29, 2)}, ("s2", "29x29", "28x28")),
        ({"channels": (6, 16, 32)}, ("s6", "2x2", "1x1")),
        ({"channels": (6, 0)}, ("c3", "channels", "0")),
        ({"channels": (-6, 16)}, ("c1", "channels", "-6")),
        ({"channels": (6, 4097)}, ("c3", "4,096", "4097")),
        ({"channels": (6, 2.5)}, ("c3", "2.5")),
        ({"channels": "many"}, ("c1", "many")),
        ({"stride": (1, 0)}, ("c3", "stride", "0")),
        ({"padding": (-1, 0)}, ("c1", "padding", "-1")),
        ({"groups": (1, 4)}, ("c3", "4", "6", "16")),
        ({"groups": 3}, ("c1", "3", "1", "6")),
        ({"groups": (1, 3)}, ("c3", "3", "6", "16")),
        ({"table": (None, C3_TABLE[:15])}, ("c3", "15", "16")),
        ({"table": (None, (*C3_TABLE[:15], (0, 6)))}, ("c3", "6", "5")),
        ({"table": (None, (*C3_TABLE[:15], (0, -1)))}, ("c3", "-1")),
        ({"table": (None, (*C3_TABLE[:15], (0, 0)))}, ("c3", "(0, 0)")),
        ({"table": (None, (*C3_TABLE[:15], ()))}, ("c3", "()")),
        ({"table": (None, C3_TABLE), "groups": (1, 2)}, ("c3", "2", "table")),
        ({"dense": (120, 0)}, ("f6", "0")),
        ({"dense": (1_000_000, 84)}, ("f5", "401,000,000", f"{MAX_PARAMETERS:,}")),
        ({"dense": (10**12,)}, ("f5", "1000000000000")),
        ({"num_classes": 1}, ("num_classes", "1")),
        ({"num_classes": 10_001}, ("num_classes", "10001")),
        ({"input_shape": (1, 0, 28)}, ("input", "0")),
        ({"input_shape": (1, 28)}, ("input_shape",)),
        ({"input_shape": (1, 1025, 28)}, ("input", "1025")),
        ({"activation": "swish"}, ("activation", "swish", "relu")),
        ({"pooling": "median"}, ("pooling", "median")),
        ({"head": "softmax"}, ("head", "softmax")),
        ({"dropout": 1.0}, ("dropout", "1.0")),
        ({"dropout": float("nan")}, ("dropout", "nan")),
        ({"input_range": (0.0, float("inf"))}, ("input_range", "inf")),
        ({"name": ""}, ("name",)),
    ],
)
def test_an_impossible_network_is_refused_with_its_layer_and_numbers(
    changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        MODERN.replace(**changes)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message


def test_a_network_of_the_largest_size_is_taken_and_one_parameter_more_is_not() -> None:
    # 9,999 inputs and a bias make 10,000 parameters a unit.
    largest = {"name": "wide", "input_shape": (1, 99, 101), "convs": (), "dense": ()}
    assert Architecture(**largest, num_classes=10_000).parameters == MAX_PARAMETERS
    with pytest.raises(ValueError, match=r"output alone has 100,010,000"):
        Architecture(**{**largest, "input_shape": (1, 100, 100)}, num_classes=10_000)


def test_a_layer_of_too_many_units_is_refused() -> None:
    with pytest.raises(ValueError, match=r"c1.*4096x1024x1024.*5,000,000"):
        Architecture("wide", (1, 1024, 1024), (Conv(4096, kernel_size=1),), ())


@pytest.mark.parametrize(
    ("network", "words"),
    [
        # Each layer is within what one may have, and all parameters are.
        (((3, 256, 256), (Conv(20, 3, padding=1, pool=0),) * 4), ("c3", "20x256x256", "units", "limit of 5,000,000")),
        (((4, 1024, 1024), (Conv(1, 1, pool=0),)), ("c1", "1x1024x1024", "units")),
        (((64, 1024, 1024), (Conv(1, 1, stride=1024, pool=0),)), ("c1", "67,108,865 units")),  # the images alone
        (((64, 64, 64), (Conv(256, 31, padding=15, pool=0),)), ("c1", "256x64x64", "connections")),
        (((1, 512, 512), (Conv(1, 1, pool=250, pool_stride=1),)), ("s2", "1x263x263", "connections", "2,000,000,000")),
        (((1, 32, 32), (Conv(1024, 1, pool=0), Conv(2048, 1, pool=0))), ("c3", "2048x32x32", "connections")),
        # Few connections in the tables, and all of their kernels to be multiplied.
        (((1, 40, 40), (Conv(1024, 1, pool=0), Conv(1024, 8, table=((0,),) * 1024, pool=0))), ("c3", "connections")),
    ],
)
def test_a_network_that_would_keep_a_server_busy_with_one_image_is_refused(
    network: tuple[tuple[int, int, int], tuple[Conv, ...]], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        Architecture("costly", *network, ())
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message


def test_a_network_that_costs_as_much_as_one_may_is_taken() -> None:
    wide = Architecture("wide", (1, 960, 960), (Conv(2, 1, pool=0),), (), num_classes=2)
    assert sum(math.prod(layer.output_shape) for layer in wide.layers if layer.kind != "flatten") > MAX_UNITS * 0.7
    arch = preset("alexnet-2012").replace(groups=1)
    assert MAX_CONNECTIONS / 2 < arch.connections < MAX_CONNECTIONS


def test_codes_of_an_rbf_output_count_towards_the_limit() -> None:
    # No parameter, and 10,485,760,000 fixed numbers that building would have to draw.
    with pytest.raises(ValueError, match="output"):
        Architecture("bomb", (1, 1024, 1024), (), (), num_classes=10_000, head="rbf")


# --- descriptions ------------------------------------------------------------------------------


VARIANTS = [
    *(preset(name) for name in PRESETS),
    preset("lenet5-1998", input_size=28, num_classes=65),
    MODERN.replace(channels=(6, 16, 32), pool=(2, 2, 0), dropout=0.25, name="mine", initialisation="lecun"),
    MODERN.replace(convs=(), dense=()),
]


@pytest.mark.parametrize("arch", VARIANTS, ids=lambda arch: arch.name)
def test_a_description_comes_back_from_json_equal(arch: Architecture) -> None:
    again = Architecture.from_dict(as_json(arch))
    assert again == arch
    assert again.layers == arch.layers


def test_a_description_may_leave_out_what_has_a_default() -> None:
    short = {"name": "short", "input_shape": [1, 28, 28], "convs": [{"channels": 6}], "dense": [84]}
    assert Architecture.from_dict(short).parameters == 156 + 84 * (6 * 12 * 12 + 1) + 850


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def broad(depth: int) -> dict[str, Any]:
    """An object of objects of objects, each with ten fields."""
    return {f"a field of some length {number}": broad(depth - 1) if depth else number for number in range(10)}


@pytest.mark.parametrize("value", [broad(3), nested(100_000), "x" * 10**6, [[[1] * 99] * 99] * 99, 10**5000], ids=type)
def test_a_value_takes_few_letters_of_a_message(value: Any) -> None:
    with pytest.raises(ValueError, match=r"activation must be one of .* not ") as caught:
        MODERN.replace(activation=value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "description",
    [None, [], [1, 2], "lenet", 5, 1.5, True, b"lenet", {}, {"name": "x"}, set()],
    ids=repr,
)
def test_what_is_no_description_is_a_value_error(description: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Architecture.from_dict(description)


def test_a_deeply_nested_list_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r".+"):
        Architecture.from_dict(nested(100_000))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Architecture)])
def test_hostile_values_of_a_field_are_a_value_error(field: str) -> None:
    for value in (
        None, -1, 10**12, 10**5000, 1e308, float("nan"), "6", "", True, {}, {"a": 1}, [[]], [None], ["6"], [10**12],
        [{}] * 17, [[1]] * 1000, nested(100), nested(100_000), "x" * 10**6,
    ):  # fmt: skip
        if field == "name" and value == "6":
            continue  # a fine name
        with pytest.raises(ValueError, match=r".+"):
            Architecture.from_dict({**as_json(MODERN), field: value})


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Conv)])
def test_hostile_values_of_a_convolutions_field_are_a_value_error(field: str) -> None:
    for value in (-1, 10**12, 1e308, float("nan"), "6", {}, [[]], [[{}]], [[10**12]], nested(100), nested(100_000)):
        description = as_json(MODERN)
        description["convs"][1][field] = value
        with pytest.raises(ValueError, match=r".+"):
            Architecture.from_dict(description)


@pytest.mark.parametrize("field", ["name", "input_shape", "convs", "dense"])
def test_a_missing_field_is_named(field: str) -> None:
    description = as_json(MODERN)
    del description[field]
    with pytest.raises(ValueError, match=field):
        Architecture.from_dict(description)


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(ValueError, match="colour"):
        Architecture.from_dict({**as_json(MODERN), "colour": "red"})
    description = as_json(MODERN)
    description["convs"][0]["dilation"] = 2
    with pytest.raises(ValueError, match="dilation"):
        Architecture.from_dict(description)


@pytest.mark.parametrize(
    "changes",
    [
        {"dense": [10**6, 10**6]},
        {"dense": [999_999, 999_999]},
        {"convs": [{"channels": 4096, "kernel_size": 1024, "padding": 1024}] * 16},
        {"input_shape": [64, 1024, 1024], "convs": [{"channels": 4096, "kernel_size": 500, "stride": 500}]},
    ],
)
def test_a_description_of_a_million_million_parameters_is_a_value_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"more than"):
        Architecture.from_dict({**as_json(MODERN), **changes})


def test_descriptions_with_random_changes_are_taken_or_are_value_errors() -> None:
    random_ = random.Random(5)
    strange = [None, True, 0, -1, 3, 2**40, 1e99, "", "relu", [], [1], [[1]], {}, {"channels": 3}, nested(50)]

    def damage(value: Any) -> Any:
        if random_.random() < 0.15:
            return random_.choice(strange)
        if isinstance(value, dict):
            kept = {key: damage(item) for key, item in value.items() if random_.random() > 0.02}
            return {**kept, "extra": 1} if random_.random() < 0.02 else kept
        return [damage(item) for item in value] if isinstance(value, list) else value

    refused = 0
    for turn in range(3_000):
        arch = VARIANTS[turn % len(VARIANTS)]
        try:
            Architecture.from_dict(damage(as_json(arch)))
        except ValueError:
            refused += 1
    assert 1_000 < refused < 3_000


def test_an_unknown_field_of_a_convolution_is_refused_with_its_place_whatever_it_is_called() -> None:
    described = preset("lenet-modern").to_dict()
    for name, shown in {"dilation": "'dilation'", "\x1b[2J\n": r"'\x1b[2J\n'"}.items():
        described["convs"] = [{"channels": 6, name: 2}]
        with pytest.raises(ValueError, match=r"^convs: ") as caught:
            Architecture.from_dict(described)
        assert shown in str(caught.value)
    described["convs"] = [{"kernel_size": 5}]
    with pytest.raises(ValueError, match=r"^convs: .* needs its number of channels"):
        Architecture.from_dict(described)
