"""The knobs for the second convolution's table and for the input's range: texts, what they turn, what they refuse."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from lenet_core.__main__ import main
from lenet_core.connections import read_table, table_text
from lenet_core.data import load
from lenet_core.knobs import differences, from_link, read_knob, settings, to_link, turn
from lenet_core.layout import Conv
from lenet_core.presets import C3_TABLE
from lenet_core.recipes import RECIPES
from lenet_core.runs import find_run
from lenet_core.sweeps import expand, parse_grid, title
from tests.core.test_codegen import told_by_script, told_by_training

MODERN = RECIPES["lenet-modern"]
PAPER = RECIPES["lenet5-1998"]
TWO_TO_THREE = ((0,), (1,), (0, 1))
SMALL = {"channels": "2,3", "table": "1.2.3"}


# --- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("", None),
        ("1998", C3_TABLE),
        ("1.6", ((0,), (1, 2))),
        ("01998", ((3, 4, 7, 8, 11, 12),)),
        ("8000000000000000.1", ((63,), (0,))),
        (".".join(["7", "e", "1c", "38", "31", "23", "f", "1e", "3c", "39", "33", "27", "1b", "36", "2d", "3e"]),
         (*C3_TABLE[:15], (1, 2, 3, 4, 5))),
    ],
)  # fmt: skip
def test_a_table_and_its_text(text: str, table: tuple[tuple[int, ...], ...] | None) -> None:
    assert table_text(table) == text
    assert read_table(text) == table


def test_every_table_comes_back_from_its_text() -> None:
    chance = random.Random(1998)
    for _ in range(300):
        inputs, outputs = chance.randint(1, 64), chance.randint(1, 16)
        rows = [sorted(chance.sample(range(inputs), chance.randint(1, inputs))) for _ in range(outputs)]
        table = tuple(map(tuple, rows))
        assert read_knob("table", table_text(table)) == table


def test_the_same_table_written_otherwise_is_told_in_one_way() -> None:
    papers_in_numbers = "7.e.1c.38.31.23.f.1e.3c.39.33.27.1b.36.2d.3f"
    assert read_table(papers_in_numbers) == C3_TABLE
    assert turn(PAPER, {"table": papers_in_numbers.upper()}) == PAPER
    assert settings(turn(MODERN, {"channels": "2,3", "table": " 01.2.03 "}))["table"] == "1.2.3"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0,1", (0, 1)), ("-0.1,1.175", (-0.1, 1.175)), (" 1 , -1e0 ", (1, -1)),
        ("-1,1;0,2;.5,3", ((-1, 1), (0, 2), (0.5, 3))),
    ],
)  # fmt: skip
def test_a_range_is_read_for_all_channels_or_for_each(text: str, value: object) -> None:
    assert read_knob("input_range", text) == value


# --- what they turn ----------------------------------------------------------------------------


def test_the_table_is_the_second_convolutions() -> None:
    recipe = turn(MODERN, SMALL)
    assert recipe.architecture.convs == (Conv(2, padding=2), Conv(3, table=TWO_TO_THREE))
    assert turn(recipe, {"table": ""}).architecture.convs == (Conv(2, padding=2), Conv(3))
    assert turn(MODERN, {"table": "1998"}).architecture.parameters == MODERN.architecture.parameters - 36 * 25
    assert turn(PAPER, {"table": ""}).architecture.parameters == PAPER.architecture.parameters + 36 * 25


def test_a_given_table_belongs_to_the_channels_that_are_given_with_it() -> None:
    recipe = turn(PAPER, {"channels": "2,3,20", "table": "1.2.3"})
    assert [conv.table for conv in recipe.architecture.convs] == [None, TWO_TO_THREE, None]
    assert turn(recipe, {"channels": "6,16,120", "table": "1998"}).architecture == PAPER.architecture
    kept = turn(recipe, {"channels": "2,3"})
    assert kept.architecture.convs[1].table == TWO_TO_THREE
    assert turn(recipe, {"channels": "2,4,20"}).architecture.convs[1].table is None


def test_rows_in_another_order_are_the_same_table_and_stay_as_they_are() -> None:
    backwards = Conv(3, table=((0,), (1,), (1, 0)))
    base = dataclasses.replace(MODERN, architecture=MODERN.architecture.replace(convs=(Conv(2), backwards)))
    assert settings(base)["table"] == "1.2.3"
    assert turn(base, settings(base)) == base
    assert turn(base, {"table": "1.2.3"}).architecture.convs[1] == backwards


def test_the_range_is_the_networks_first_layer() -> None:
    layer = turn(MODERN, {"input_range": "-1,2.5"}).architecture.layers[0]
    assert (layer.kind, dict(layer.options)) == ("rescale", {"low": -1.0, "high": 2.5})
    assert turn(PAPER, {"input_range": "0,1"}).architecture.layers[0].kind == "convolution"
    colour = turn(RECIPES["alexnet-cifar"], {"input_range": "-1,1;0,2;0.5,3"})
    assert colour.architecture.input_range == ((-1, 1), (0, 2), (0.5, 3))
    assert settings(colour)["input_range"] == "-1,1;0,2;0.5,3"


def test_a_range_for_the_only_channel_is_a_range_for_all_and_stays_as_it_is() -> None:
    base = dataclasses.replace(MODERN, architecture=MODERN.architecture.replace(input_range=((-1, 2.5),)))
    assert settings(base)["input_range"] == "-1,2.5"
    assert turn(base, settings(base)) == base


@pytest.mark.parametrize("changes", [{"table": "1998"}, SMALL, {"input_range": "-0.1,1.175"}, {"input_range": "3,-2"}])
def test_a_link_brings_them_back_and_the_published_result_is_no_longer_theirs(changes: dict[str, str]) -> None:
    recipe = turn(MODERN, changes)
    assert recipe.reference == ""
    assert to_link("lenet-modern", recipe).items() >= changes.items()
    assert from_link(to_link("lenet-modern", recipe)) == ("lenet-modern", recipe, [])


def test_to_leave_the_table_is_said_in_a_link() -> None:
    recipe = turn(PAPER, {"table": "", "input_range": "0,1"})
    link = {"recipe": "lenet5-1998", "input_range": "0,1", "table": ""}
    assert to_link("lenet5-1998", recipe) == link
    assert from_link(link) == ("lenet5-1998", recipe, [])
    assert differences(PAPER, recipe) == {"input_range": ("-0.1,1.175", "0,1"), "table": ("1998", "")}
    assert title(PAPER, recipe) == "input range 0 to 1, connections all"


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "1.2.3"}, r"one number for each of the 16 maps of the second convolution, not 3; leave it empty"),
        ({"channels": "6,17", "table": "1998"}, r"for each of the 17 maps .*, not 16"),
        ({"channels": "5,16", "table": "1998"}, r"map 3 reads map 5, but .* has maps 0 to 4; .* can be 1f at most"),
        ({"channels": "2,3", "table": "1.2.4"}, r"map 2 reads map 2, but .* has maps 0 to 1; .* can be 3 at most"),
        ({"channels": "2,3", "table": "1.0.3"}, r"map 1 reads no map; set at least one bit"),
        ({"channels": "2,3", "table": "1.2."}, r"joined by dots, such as 7.e.1c; that of map 2 is ''"),
        ({"channels": "2,3", "table": "1.0x2.3"}, r"that of map 1 is '0x2'"),
        ({"channels": "2,3", "table": "1.-2.3"}, r"that of map 1 is '-2'"),
        ({"channels": "2,3", "table": "1. 2.3"}, r"that of map 1 is ' 2'"),
        ({"channels": "2,3", "table": "1.٢.3"}, r"that of map 1 is '٢'"),
        ({"channels": "6", "table": "1998"}, r"table is of the second convolution, and this network has 1; leave"),
        ({"table": "1" * 301}, r"table takes at most 300 characters, not the 301"),
        ({"input_range": "1"}, r"input_range must be two numbers such as -0.1,1.175, .* not '1'"),
        ({"input_range": ""}, r"input_range must be two numbers .* not ''"),
        ({"input_range": "0,1,2"}, r"not '0,1,2'"),
        ({"input_range": "0,1;"}, r"parted by ;, not ''"),
        ({"input_range": "0,x"}, r"each end of input_range must be a number from -1,000 to 1,000, not 'x'"),
        ({"input_range": "0,nan"}, r"from -1,000 to 1,000, not 'nan'"),
        ({"input_range": "0,1001"}, r"from -1,000 to 1,000, not 1001"),
        ({"input_range": "0,1;0,1"}, r"input_range has 2 pairs for an input of 1 channels"),
    ],
)  # fmt: skip
def test_a_wrong_text_is_refused_with_its_numbers(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        turn(MODERN, changes)
    assert "\n" not in str(caught.value)
    _, recipe, problems = from_link(changes)
    assert len(problems) == 1
    assert recipe.architecture.convs[-1].table is None


def test_sixteen_maps_of_up_to_64_maps_can_be_written() -> None:
    text = ".".join(["f" * 16] * 16)
    assert turn(MODERN, {"channels": "64,16", "table": text}).architecture.convs[1].table == (tuple(range(64)),) * 16


def test_groups_and_a_table_exclude_each_other() -> None:
    grouped = MODERN.architecture.replace(convs=(Conv(2), Conv(4, groups=2)))
    with pytest.raises(ValueError, match="a connection table and 2 groups exclude each other"):
        turn(dataclasses.replace(MODERN, architecture=grouped), {"table": "1.2.1.3"})


# --- sweeps, scripts, the command line ---------------------------------------------------------


def test_a_grid_of_tables_and_one_of_ranges() -> None:
    grid = parse_grid(["table=,1998", "input_range=0,1;-0.1,1.175"])
    assert grid == {"table": ["", "1998"], "input_range": ["0,1", "-0.1,1.175"]}
    recipes = expand(MODERN, grid, [0])
    assert [title(MODERN, recipe) for recipe in recipes] == [
        "unchanged", "input range −0.1 to 1.175 (1998)", "connections Table I of 1998",
        "input range −0.1 to 1.175 (1998), connections Table I of 1998",
    ]  # fmt: skip


def test_the_script_of_an_own_table_and_range_trains_as_the_project_does(tmp_path: Path) -> None:
    how = turn(MODERN, {**SMALL, "input_range": "-1,2.5", "data": "mnist-5k", "epochs": "1", "share": "0.3"})
    expected = told_by_training(how, load("mnist-5k", train=True), load("mnist-5k", train=False))
    assert told_by_script(how, tmp_path) == expected


def test_the_command_line_turns_them(own_data_folder: Path, tmp_path: Path) -> None:
    quick = ["--data", "mnist-5k", "--epochs", "1", "--set", "share=0.1", "--out", str(tmp_path / "run")]
    assert main(["train", "lenet5-1998", *quick, "--set", "table=", "--set", "input_range=0,1"]) == 0
    run = find_run(tmp_path / "run")
    assert run.status == "finished"
    assert run.plan.recipe.architecture.convs[1].table is None
    assert run.plan.recipe.architecture.input_range == (0, 1)
