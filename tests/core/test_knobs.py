"""Recipes turned by texts: what each knob changes, what follows from it, and what links from strangers do."""

from __future__ import annotations

import dataclasses
import math
import random
import re
import subprocess
import sys

import pytest

from lenet_core.architecture import Architecture
from lenet_core.knobs import KNOBS, MAX_PROBLEMS, Knob, differences, from_link, read_knob, settings, to_link, turn
from lenet_core.layout import Conv
from lenet_core.presets import C3_TABLE, preset
from lenet_core.recipes import RECIPES, Augmentation, Recipe

MODERN = RECIPES["lenet-modern"]
PAPER = RECIPES["lenet5-1998"]
LISTS = {"channels": ("4,8", "3", "2,4,6", ""), "dense": ("", "32", "64,32"), "kernels": ("3,3", "5,1"),
         "padding": ("1,1", "2,0"), "pool": ("0,2", "0,0"),
         "input_range": ("-0.1,1.175", "0,1", "-1,2.5", "-1,1;0,2;3,0"),
         "table": ("", "1998", "1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.3f", "3.5")}  # fmt: skip


def some_text(knob: Knob, chance: random.Random) -> str:
    """A value of the knob, as a person might give it."""
    if knob.kind == "choice":
        return chance.choice(knob.choices)
    if knob.kind in ("list", "range", "table"):
        return chance.choice(LISTS[knob.name])
    assert knob.low is not None
    assert knob.high is not None
    if knob.kind == "whole":
        return str(chance.randint(int(knob.low), int(knob.high)))
    return repr(chance.uniform(knob.low, knob.high))


def some_recipes(count: int) -> list[tuple[str, dict[str, str], Recipe]]:
    """The base's name, the changes and the recipe they come to, for random changes that are possible."""
    chance, found = random.Random(1998), []
    while len(found) < count:
        base = chance.choice(list(RECIPES))
        names = chance.sample(list(KNOBS), chance.randint(1, 6))
        changes = {name: some_text(KNOBS[name], chance) for name in names}
        try:
            found.append((base, changes, turn(RECIPES[base], changes)))
        except ValueError:
            continue
    return found


# --- the table ---------------------------------------------------------------------------------


def test_every_choice_of_a_recipe_that_the_page_offers_is_a_knob() -> None:
    assert set(KNOBS) == {
        "activation", "pooling", "head", "initialisation", "dropout", "input_range", "channels", "kernels", "padding",
        "pool", "table", "dense", "data", "share", "validation", "optimiser", "learning_rate", "schedule", "loss",
        "batch_size", "epochs", "label_smoothing", "momentum", "weight_decay", "seed",
        *(field.name for field in dataclasses.fields(Augmentation)),
    }  # fmt: skip
    assert all(name == knob.name for name, knob in KNOBS.items())


@pytest.mark.parametrize("knob", KNOBS.values(), ids=list(KNOBS))
def test_a_knob_explains_itself_and_says_what_it_takes(knob: Knob) -> None:
    assert knob.label[0].isupper()
    assert knob.help.endswith(".")
    assert not set("*_`$[]~<#") & set(knob.help), "a tooltip reads Markdown"
    assert bool(knob.choices) == (knob.kind == "choice")
    assert (knob.low is None) == (knob.high is None) == (knob.kind in ("choice", "table"))
    for text, words in knob.named:
        knob.read(text)
        assert knob.words(text) == words


@pytest.mark.parametrize(
    "knob", [knob for knob in KNOBS.values() if knob.kind in ("whole", "number")], ids=lambda knob: knob.name
)
def test_a_knob_and_the_recipe_have_the_same_limits(knob: Knob) -> None:
    assert knob.low is not None
    assert knob.high is not None
    owner = {"network": MODERN.architecture, "augmentation": Augmentation()}.get(knob.group, MODERN)
    for limit, beyond in ((knob.low, knob.low - 1), (knob.high, knob.high + 1)):
        number = type(beyond)(limit) if knob.kind == "whole" else limit
        assert settings(turn(MODERN, {knob.name: str(limit)}))[knob.name] == str(limit)
        dataclasses.replace(owner, **{knob.name: number})
        with pytest.raises(ValueError, match=knob.name):
            dataclasses.replace(owner, **{knob.name: beyond})
        with pytest.raises(ValueError, match=knob.name):
            turn(MODERN, {knob.name: str(beyond)})


@pytest.mark.parametrize("knob", [knob for knob in KNOBS.values() if knob.choices], ids=lambda knob: knob.name)
def test_every_choice_can_be_made(knob: Knob) -> None:
    for choice in knob.choices:
        assert settings(turn(MODERN, {knob.name: choice}))[knob.name] == choice


# --- there and back ----------------------------------------------------------------------------


def test_settings_are_canonical_texts() -> None:
    texts = settings(RECIPES["lenet5-1998-distorted"])
    assert list(texts) == list(KNOBS)
    assert {name: texts[name] for name in (
        "activation", "channels", "kernels", "padding", "pool", "dense", "dropout", "learning_rate", "share",
        "validation", "epochs", "rotation", "scale", "seed",
    )} == {
        "activation": "scaled-tanh", "channels": "6,16,120", "kernels": "5,5,5", "padding": "0,0,0",
        "pool": "2,2,0", "dense": "84", "dropout": "0", "learning_rate": "0.002", "share": "1",
        "validation": "0.1", "epochs": "20", "rotation": "10", "scale": "1.1", "seed": "0",
    }  # fmt: skip


def test_the_same_value_written_otherwise_gives_the_same_recipe_and_the_same_text() -> None:
    recipe = turn(MODERN, {"learning_rate": "5e-2", "channels": " 08, 16", "pooling": " max ", "epochs": "007"})
    assert recipe == turn(MODERN, {"learning_rate": ".05", "channels": "8,16", "epochs": "7"})
    assert recipe.learning_rate == 0.05
    texts = settings(recipe)
    assert (texts["learning_rate"], texts["channels"], texts["pooling"], texts["epochs"]) == (
        "0.05",
        "8,16",
        "max",
        "7",
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_turned_to_its_own_settings_is_itself(name: str) -> None:
    recipe = RECIPES[name]
    assert turn(recipe, settings(recipe)) == recipe
    assert turn(recipe, {}) == recipe
    assert differences(recipe, recipe) == {}
    assert to_link(name, recipe) == {"recipe": name}


def test_random_changes_go_through_settings_links_and_plain_json_and_come_back() -> None:
    for name, changes, recipe in some_recipes(300):
        base = RECIPES[name]
        assert turn(recipe, settings(recipe)) == recipe
        assert turn(base, settings(recipe)) == recipe, changes
        assert from_link(to_link(name, recipe)) == (name, recipe, [])
        assert Recipe.from_dict(recipe.to_dict()) == recipe
        after = settings(recipe)
        for knob, text in changes.items():
            assert read_knob(knob, after[knob]) == read_knob(knob, text)


def test_the_order_of_the_changes_does_not_matter() -> None:
    chance = random.Random(7)
    for name, changes, recipe in some_recipes(100):
        shuffled = chance.sample(list(changes.items()), len(changes))
        assert turn(RECIPES[name], dict(shuffled)) == recipe


def test_differences_tell_before_and_after_with_the_seed_last() -> None:
    recipe = turn(MODERN, {"seed": "3", "shift": "2", "channels": "6,16,32", "kernels": "5,5,3", "activation": "tanh"})
    assert list(differences(MODERN, recipe).items()) == [
        ("activation", ("relu", "tanh")), ("channels", ("6,16", "6,16,32")), ("kernels", ("5,5", "5,5,3")),
        ("padding", ("2,0", "2,0,0")), ("pool", ("2,2", "2,2,2")), ("shift", ("0", "2")), ("seed", ("0", "3")),
    ]  # fmt: skip


# --- what a turn does --------------------------------------------------------------------------


def test_each_knob_reaches_its_own_field() -> None:
    recipe = turn(
        MODERN,
        {
            "activation": "elu", "pooling": "average", "initialisation": "lecun", "dropout": "0.2",
            "channels": "4,8", "kernels": "3,7", "padding": "1,3", "pool": "0,2", "dense": "",
            "share": "0.25", "validation": "0.2", "optimiser": "sgd", "learning_rate": "0.3", "schedule": "cosine",
            "batch_size": "16", "epochs": "2", "label_smoothing": "0.1", "momentum": "0.9", "weight_decay": "0.01",
            "seed": "5", "rotation": "9",
        },
    )  # fmt: skip
    assert recipe == Recipe(
        "lenet-modern",
        Architecture(
            "lenet-modern", (1, 28, 28), (Conv(4, 3, padding=1, pool=0), Conv(8, 7, padding=3)), (),
            activation="elu", pooling="average", initialisation="lecun", dropout=0.2,
        ),
        "mnist", epochs=2, batch_size=16, learning_rate=0.3, optimiser="sgd", schedule="cosine", label_smoothing=0.1,
        momentum=0.9, weight_decay=0.01, augmentation=Augmentation(rotation=9), share=0.25, validation=0.2, seed=5,
    )  # fmt: skip


def test_more_channels_add_convolutions_like_the_last_and_fewer_drop_the_last() -> None:
    alexnet = RECIPES["alexnet-cifar"]
    assert turn(MODERN, {"channels": "6,16,32", "kernels": "5,5,3"}).architecture.convs == (
        Conv(6, padding=2), Conv(16), Conv(32, kernel_size=3),
    )  # fmt: skip
    assert turn(alexnet, {"channels": "8,16"}).architecture.convs == (
        Conv(8, 3, padding=1, pool=2), Conv(16, 3, padding=1, pool=2),
    )  # fmt: skip
    assert turn(MODERN, {"channels": ""}).architecture.parameters == 784 * 120 + 120 + 121 * 84 + 85 * 10


def test_what_a_convolution_has_beyond_the_knobs_stays() -> None:
    special = Conv(8, 3, stride=2, padding=1, groups=1, normalise=True, pool=3, pool_stride=2)
    base = dataclasses.replace(MODERN, architecture=MODERN.architecture.replace(convs=(Conv(4), special)))
    assert turn(base, {"channels": "4,12", "kernels": "5,5"}).architecture.convs[1] == dataclasses.replace(
        special, channels=12, kernel_size=5
    )


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"kernels": "5,3,5", "padding": "0,0,1", "activation": "tanh"}, True),
        ({"channels": "6,16"}, True),
        ({"channels": "6,16,100"}, True),
        ({"channels": "6,16,120,84", "kernels": "5,5,5,1", "pool": "2,2,0,0"}, True),
        ({"data": "fashion-mnist"}, True),
        ({"channels": "6,17,120"}, False),
        ({"channels": "8,16,120"}, False),
    ],
)
def test_the_connection_table_stays_where_its_channels_and_those_before_stay(
    changes: dict[str, str], kept: bool
) -> None:
    convs = turn(PAPER, changes).architecture.convs
    assert convs[1].table == (C3_TABLE if kept else None)
    assert all(conv.table is None for conv in convs[:1] + convs[2:])


def test_a_convolution_added_after_one_with_a_table_reads_every_map() -> None:
    table = ((0,), (1,))
    base = dataclasses.replace(
        MODERN, architecture=MODERN.architecture.replace(convs=(Conv(2), Conv(2, 3, table=table)))
    )
    convs = turn(base, {"channels": "2,2,2"}).architecture.convs
    assert [conv.table for conv in convs] == [None, table, None]


def test_a_table_of_the_first_convolution_goes_when_the_images_get_colour() -> None:
    first = Conv(2, table=((0,), (0,)))
    base = dataclasses.replace(MODERN, architecture=MODERN.architecture.replace(convs=(first, Conv(4))))
    assert turn(base, {"data": "fashion-mnist"}).architecture.convs[0].table == ((0,), (0,))
    assert turn(base, {"data": "cifar10"}).architecture.convs[0].table is None


@pytest.mark.parametrize(
    ("name", "data", "shape"),
    [
        ("lenet-modern", "cifar10", (3, 32, 32)),  # 32 pixels do not fit inside 28
        ("lenet5-tanh", "cifar10", (3, 32, 32)),
        ("lenet5-tanh", "fashion-mnist", (1, 32, 32)),  # 28 do inside 32
        ("alexnet-cifar", "mnist-5k", (1, 32, 32)),
        ("lenet-modern", "mnist-5k", (1, 28, 28)),
    ],
)
def test_the_networks_input_follows_the_data(name: str, data: str, shape: tuple[int, int, int]) -> None:
    recipe = turn(RECIPES[name], {"data": data})
    assert recipe.data == data
    assert recipe.architecture.input_shape == shape


@pytest.mark.parametrize(("sides", "after"), [((28, 40), (28, 40)), ((40, 20), (28, 28))])
def test_an_oblong_input_stays_only_where_the_images_fit_both_ways(
    sides: tuple[int, int], after: tuple[int, int]
) -> None:
    oblong = dataclasses.replace(MODERN, architecture=MODERN.architecture.replace(input_shape=(1, *sides)))
    assert turn(oblong, {"data": "fashion-mnist"}).architecture.input_shape == (1, *after)


def test_the_number_of_classes_follows_the_data_and_stays_without_it() -> None:
    wide = dataclasses.replace(MODERN, architecture=preset("lenet-modern", num_classes=65))
    assert turn(wide, {"data": "mnist", "epochs": "9"}).architecture.num_classes == 65
    assert turn(wide, {"data": "fashion-mnist"}).architecture.num_classes == 10


@pytest.mark.parametrize("name", KNOBS)
def test_only_the_seed_leaves_the_published_result_standing(name: str) -> None:
    chance = random.Random(5)
    texts = {"channels": "6,16,100", "kernels": "5,3,5", "padding": "0,0,1", "pool": "2,2,1", "dense": "90"}
    for _ in range(100):
        text = texts.get(name) or some_text(KNOBS[name], chance)
        recipe = turn(PAPER, {name: text})
        if recipe != PAPER:
            break
    assert recipe != PAPER
    assert recipe.reference == (PAPER.reference if name == "seed" else "")


def test_augmentation_turned_off_is_none_and_one_turned_on_keeps_the_rest() -> None:
    distorted = RECIPES["lenet5-1998-distorted"]
    off = {"shift": "0", "rotation": "0", "shear": "0", "scale": "1"}
    assert turn(distorted, off).augmentation is None
    assert turn(distorted, {"shift": "2"}).augmentation == Augmentation(shift=2, rotation=10, shear=0.1, scale=1.1)
    assert turn(MODERN, {"flagged_ones": "0.5"}).augmentation == Augmentation(flagged_ones=0.5)


def test_any_loss_goes_with_any_head() -> None:
    assert turn(MODERN, {"loss": "map"}).loss == "map"
    assert turn(MODERN, {"head": "rbf"}).architecture.head == "rbf"


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, r"no knob 'colour'; there are activation, pooling, .*seed"),
        ({"activation": "softmax"}, r"activation must be one of sigmoid, .*, not 'softmax'"),
        ({"learning_rate": "fast"}, r"learning_rate must be a number from 0 to 100, not 'fast'"),
        ({"learning_rate": "nan"}, r"from 0 to 100, not 'nan'"),
        ({"learning_rate": "inf"}, r"from 0 to 100, not 'inf'"),
        ({"learning_rate": "1e999"}, r"from 0 to 100, not inf"),
        ({"learning_rate": "1_0"}, r"from 0 to 100, not '1_0'"),
        ({"learning_rate": "0,1"}, r"from 0 to 100, not '0,1'"),
        ({"learning_rate": ""}, r"from 0 to 100, not ''"),
        ({"epochs": "2.0"}, r"epochs must be a whole number from 1 to 10,000, not '2.0'"),
        ({"epochs": "٣"}, r"from 1 to 10,000, not '٣'"),
        ({"epochs": "0"}, r"from 1 to 10,000, not 0"),
        ({"channels": "6,x"}, r"value 2 of channels must be a whole number from 1 to 4,096, not 'x'"),
        ({"channels": "6,"}, r"value 2 of channels .* not ''"),
        ({"channels": "0"}, r"value 1 of channels .* not 0"),
        ({"channels": ",".join(["6"] * 17)}, r"channels takes at most 16 values, not 17"),
        ({"dense": "9" * 201}, r"dense takes at most 200 characters, not the 201"),
        ({"kernels": "5,5,3"}, r"kernels must have as many values as there are convolutions, 2, not 3"),
        ({"channels": "6,16,32", "pool": "2,2"}, r"pool must have as many values as there are convolutions, 3, not 2"),
        ({"channels": "6", "padding": ""}, r"padding must have as many .* 1, not 0"),
        ({"kernels": "5,15"}, r"c3: its 15x15 kernel is larger than its 14x14 input"),
        ({"head": "rbf", "dense": "3"}, r"output: 3 units before it have only 8 codes for 10 classes"),
        ({"dense": "1000000"}, r"more than the limit of 100,000,000; f5 alone"),
    ],
)
def test_a_bad_change_is_refused_in_one_clear_line(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        turn(MODERN, changes)
    assert "\n" not in str(caught.value)


def test_of_two_bad_changes_the_same_one_is_named_in_either_order() -> None:
    for changes in ({"epochs": "0", "activation": "x"}, {"activation": "x", "epochs": "0"}):
        with pytest.raises(ValueError, match="activation must"):
            turn(MODERN, changes)


# --- links -------------------------------------------------------------------------------------


def test_a_link_is_short_and_readable() -> None:
    recipe = turn(MODERN, {"activation": "tanh", "learning_rate": "0.01", "dense": ""})
    assert to_link("lenet-modern", recipe) == {
        "recipe": "lenet-modern", "activation": "tanh", "dense": "", "learning_rate": "0.01",
    }  # fmt: skip


def test_a_link_to_a_recipe_that_there_is_none_of_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="no recipe 'mine'"):
        to_link("mine", MODERN)


def test_an_empty_link_is_the_default() -> None:
    assert from_link({}) == ("lenet-modern", MODERN, [])
    assert from_link({}, "lenet5-1998") == ("lenet5-1998", PAPER, [])


def test_an_unknown_recipe_falls_back_and_says_so() -> None:
    base, recipe, problems = from_link({"recipe": "lenet-6", "activation": "tanh"}, "lenet5-1998")
    assert (base, recipe) == ("lenet5-1998", turn(PAPER, {"activation": "tanh"}))
    assert len(problems) == 1
    assert re.search(r"no recipe 'lenet-6'.*This is lenet5-1998\.", problems[0])


def test_a_bad_knob_is_left_out_and_the_others_stay() -> None:
    parameters = {"recipe": "lenet-modern", "activation": "tanh", "epochs": "many", "colour": "red", "channels": "0"}
    _, recipe, problems = from_link(parameters)
    assert recipe == turn(MODERN, {"activation": "tanh"})
    assert [re.findall("epochs|colour|channels", line.split(";")[0]) for line in problems] == [
        ["epochs"], ["colour"], ["channels"],
    ]  # fmt: skip


def test_knobs_that_are_impossible_together_give_the_base_and_say_why() -> None:
    base, recipe, problems = from_link({"recipe": "lenet-d2l", "kernels": "5,15", "epochs": "2"})
    assert (base, recipe) == ("lenet-d2l", RECIPES["lenet-d2l"])
    assert len(problems) == 1
    assert "lenet-d2l as it is" in problems[0]
    assert "c3: its 15x15 kernel" in problems[0]


LONG = "9" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        LONG, "x" * 100_000, "," * 100_000, "1," * 100, "1e" + LONG, "0." + LONG, "-" + LONG, "9" * 199, "nan", "-inf",
        "1e308", "0x10", "١", "²", "½", "\u0000", "\ud800", "a\nb", "{}", "None", "True", "--1", "+1", "1e", ".", "-",
        "<script>alert(1)</script>", "../../etc/passwd", "100000000", "1024,1024", "4096,4096",
    ],
    ids=lambda text: ascii(text)[:12],
)  # fmt: skip
def test_no_text_in_a_link_raises_or_fills_the_page(text: str) -> None:
    for name in ("recipe", text, *KNOBS):
        base, recipe, problems = from_link({name: text})
        assert base == "lenet-modern"
        assert turn(recipe, settings(recipe)) == recipe
        assert all(len(line) < 600 and "\n" not in line for line in problems)
        if recipe == MODERN and text != settings(MODERN).get(name):
            assert problems
        assert all(math.isfinite(value) for value in (recipe.learning_rate, recipe.share, recipe.weight_decay))


def test_a_link_of_very_many_parts_gives_few_lines() -> None:
    _, recipe, problems = from_link({"epochs": "2", **{f"part{index}": "1" for index in range(10_000)}})
    assert recipe.epochs == 2
    assert len(problems) == MAX_PROBLEMS
    assert problems[-1] == "9,991 more parts of the link could not be used."


def test_a_link_of_exactly_as_many_problems_as_lines_names_them_all() -> None:
    _, _, problems = from_link({f"part{index}": "1" for index in range(MAX_PROBLEMS)})
    assert [re.findall(r"'(part\d)'", line) for line in problems] == [[f"part{i}"] for i in range(MAX_PROBLEMS)]


def test_turning_knobs_loads_no_pytorch() -> None:
    code = "import sys, lenet_core.sweeps; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
