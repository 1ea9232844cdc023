"""Which networks, layers and scales one can choose on the Look inside page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import PRESETS, preset
from tests.conftest import free_port
from tests.ui.apps import linked, shown
from tests.ui.look_app import bring, group, limits, look, names, notices, tables, titles, values
from tests.ui.test_look_uploads import GOOD

IMAGENET = "imagenet/alexnet"


def own(folder: Path, name: str, arch: Architecture) -> str:
    """Keeps a network as a visitor's own; the key under which links name it."""
    run = folder / "runs" / name
    run.mkdir(parents=True)
    classes = tuple(map(str, range(arch.num_classes)))
    save_checkpoint(run / "model.safetensors", Checkpoint(arch, build(arch, seed=0).eval(), classes))
    return f"own/{name}"


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_every_bundled_network_can_be_chosen(name: str) -> None:
    app = look()
    app.selectbox(key="look_net").set_value(name).run()
    assert tables(app)[0]["inputSize"] == list(
        load_checkpoint(bundled_checkpoints()[name]).architecture.input_shape[1:]
    )
    assert len(names(app)) == 4
    assert notices(app) == []
    assert linked(app, "net") == (None if name == "lenet-modern" else name)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_seen_untrained(name: str) -> None:
    app = look(net=f"untrained/{name}", inputs="4.0,cat.0")
    (table,) = tables(app)
    arch = preset(name)
    assert table["inputSize"] == list(arch.input_shape[1:])
    assert [block["note"] for block in table["blocks"]] == [
        "x".join(map(str, layer.output_shape))
        for layer in arch.layers
        if layer.name in [block["layer"].removesuffix("_act") for block in table["blocks"]]
    ]
    kernels = table["blocks"][0]["kernels"]
    assert len(kernels) == table["blocks"][0]["channels"]
    assert len(set(kernels)) == len(kernels)
    assert np.ptp(values(table["blocks"][1])) > 0
    assert notices(app) == []


def test_a_network_of_ones_own_can_be_chosen_and_linked(own_data_folder: Path) -> None:
    key = own(own_data_folder, "mine <b>", preset("lenet5-tanh"))
    app = look(inputs="4.0")
    app.selectbox(key="look_net").set_value(key).run()
    assert linked(app, "net") == key
    assert tables(app)[0]["inputSize"] == [32, 32]
    page = shown(look(net=key))
    assert "mine &lt;b&gt;" in page
    assert "mine <b>" not in page


def test_without_a_second_convolution_the_page_opens_with_what_there_is(own_data_folder: Path) -> None:
    arch = preset("lenet-modern")
    assert titles(look(net=own(own_data_folder, "one", arch.replace(convs=arch.convs[:1])))) == ["C1"]
    flat = look(net=own(own_data_folder, "none", arch.replace(convs=())))
    assert len(titles(flat)) == 1
    assert tables(flat)[0]["blocks"][0]["bars"]


def test_a_damaged_network_says_why_and_the_other_is_shown(own_data_folder: Path) -> None:
    run = own_data_folder / "runs" / "broken"
    run.mkdir(parents=True)
    (run / "model.safetensors").write_bytes(b"not a network")
    app = look(net="lenet-modern", beside="own/broken")
    assert len(tables(app)) == 1
    (line,) = notices(app)
    assert line.startswith("broken cannot be looked into: ")
    app = look(net="own/broken", beside="lenet-modern")
    assert any(line.startswith("broken cannot be looked into: ") for line in notices(app))
    assert [table["label"].split(":")[0] for table in tables(app)] == ["Modern LeNet"]


def test_a_network_that_a_link_names_wrongly_is_the_first_one() -> None:
    app = look(net="own/nobodys", beside="../../etc", inputs="4.0")
    assert [table["label"].split(":")[0] for table in tables(app)] == ["Modern LeNet"]
    assert linked(app, "beside") is None


def test_two_networks_see_the_same_inputs_at_the_same_layers() -> None:
    app = look(beside="untrained/alexnet-cifar", inputs="4.0,cat.0", layers="conv2")
    bring(app, {"colours.png": GOOD["colours.png"][0]})
    first, second = tables(app)
    assert [row["name"] for row in first["rows"]] == [row["name"] for row in second["rows"]] == ["4", "cat", "colours"]
    assert [(block["layer"], block["title"]) for table in (first, second) for block in table["blocks"]] == [
        ("c3_act", "C3"), ("conv2_act", "Conv2"),
    ]  # fmt: skip
    assert first["rows"][1]["picture"] != second["rows"][1]["picture"]  # grey here, in colour there


def test_beside_a_network_stands_another(own_data_folder: Path) -> None:
    app = look(net="lenet5-1998", beside="lenet5-1998")
    assert len(tables(app)) == 1
    beside = app.selectbox(key="look_beside")
    assert not [option for option in beside.options if option.startswith("LeNet-5, 1998")]
    beside.set_value("untrained/lenet5-1998").run()
    first, second = tables(app)
    assert first["blocks"][0]["kernels"] != second["blocks"][0]["kernels"]  # one sees what training did
    app.selectbox(key="look_beside").set_value(None).run()
    assert len(tables(app)) == 1
    assert linked(app, "beside") is None


# ---------------------------------------------------------------- AlexNet on ImageNet


def test_imagenets_alexnet_says_how_to_get_it_where_it_is_not() -> None:
    app = look(net=IMAGENET)
    assert tables(app) == []
    assert "244 MB" in shown(app)
    assert app.button(key="fetch_imagenet").label == "Fetch the weights"
    both = look(net=IMAGENET, beside="lenet-modern")
    assert "244 MB" in shown(both)
    assert [table["label"].split(":")[0] for table in tables(both)] == ["Modern LeNet"]


def test_without_a_connection_fetching_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")  # where nobody listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    app = look(net=IMAGENET, beside="lenet-modern")
    app.button(key="fetch_imagenet").click().run()
    (line,) = notices(app)
    assert "could not be downloaded" in line
    assert len(tables(app)) == 1
    app.run()
    assert app.button(key="fetch_imagenet")  # to be tried again
    assert notices(app) == []


# ---------------------------------------------------------------- layers


def test_layers_are_shown_in_the_networks_order() -> None:
    app = look(layers="output,dense1,conv1-before,pool2")
    table = tables(app)[0]
    assert [block["layer"] for block in table["blocks"]] == ["c1", "s4", "f5_act", "output"]
    assert [block["bars"] for block in table["blocks"]] == [False, False, True, True]
    assert table["blocks"][3]["names"] == list("0123456789")


def test_a_layer_that_only_one_network_has_is_left_out_of_the_other() -> None:
    app = look(net="untrained/alexnet-cifar", beside="lenet-modern", layers="conv1,conv5", inputs="4.0")
    assert titles(app, 0) == ["Conv1", "Conv5"]
    assert titles(app, 1) == ["C1"]


@pytest.mark.parametrize("detail", ["numbers", "alike", "doubt", "where"])
def test_where_no_layer_is_shared_the_other_network_says_so(detail: str) -> None:
    query = {"layers": "conv5", "inputs": "4.0", "detail": detail}
    app = look(net="untrained/alexnet-cifar", beside="lenet-modern", **query)
    assert titles(app) == ["Conv5"]
    assert len(tables(app)) == 1
    assert 'data-testid="empty"' in shown(app)


@pytest.mark.parametrize("layers", ["nonsense", "conv9,<b>", ",,,", "c1_act", "conv1," + "x" * 5000])
def test_unknown_layers_are_left_out(layers: str) -> None:
    wanted = ["C1"] if layers.startswith("conv1,") else ["C1", "C3"]
    assert titles(look(layers=layers)) == wanted


def test_without_a_layer_the_first_two_come_back() -> None:
    app = look()
    group(app, "look_layers.lenet-modern").set_value(["pool1"]).run()
    assert titles(app) == ["S2"]
    assert linked(app, "layers") == "pool1"
    group(app, "look_layers.lenet-modern").set_value([]).run()
    assert titles(app) == ["C1", "C3"]
    assert linked(app, "layers") is None


def test_the_layers_stay_when_the_network_changes() -> None:
    app = look(layers="pool2")
    app.selectbox(key="look_net").set_value("lenet5-1998").run()
    assert titles(app) == ["S4"]
    app.selectbox(key="look_net").set_value("untrained/alexnet-cifar").run()
    assert titles(app) == ["Pool2"]


# ---------------------------------------------------------------- scales


def same(ends: tuple[Any, Any], axis: int | None) -> bool:
    return all(not np.ptp(end, axis=axis).any() for end in ends)


@pytest.mark.parametrize(
    ("scale", "holds"),
    [
        ("all", lambda ends: same(ends, None)),
        ("row", lambda ends: same(ends, 1) and not same(ends, 0)),
        ("map", lambda ends: same(ends, 0) and not same(ends, 1)),
    ],
)
def test_a_colour_scale_is_shared_as_chosen(scale: str, holds: Callable[[tuple[Any, Any]], bool]) -> None:
    app = look(layers="conv1,conv2-before")
    group(app, "look_scale").set_value(scale).run()
    assert linked(app, "scale") == (None if scale == "all" else scale)
    plain, signed = tables(app)[0]["blocks"]
    assert plain["shared"] == signed["shared"] == scale
    assert holds(limits(plain))
    assert holds(limits(signed))
    low, high = limits(signed)
    assert (low == -high).all()  # zero has one colour
    assert plain["ramp"] != signed["ramp"]
    assert limits(plain)[1].max() == values(plain).max()


def test_a_row_of_units_has_no_scale_for_each_of_them() -> None:
    (block,) = tables(look(scale="map", layers="dense2"))[0]["blocks"]
    assert block["shared"] == "all"


# ---------------------------------------------------------------- wide networks


def test_a_wide_networks_maps_have_pages() -> None:
    app = look(net="untrained/alexnet-cifar", inputs="cat.0", layers="conv5")
    (block,) = tables(app)[0]["blocks"]
    assert (block["first"], block["channels"]) == (0, 32)
    pager = next(one for one in app.get("button_group") if str(one.key).startswith("look_maps"))
    assert len(pager.options) == 8
    assert re.findall(r"\d+", pager.options[1]) == ["32", "63"]
    whole = values(block)
    pager.set_value(7).run()
    assert linked(app, "maps") == "7"
    (last,) = tables(app)[0]["blocks"]
    assert (last["first"], last["channels"]) == (224, 32)
    assert not np.array_equal(values(last), whole)
    assert limits(last)[1].max() == limits(block)[1].max()  # one scale for the whole layer
    assert tables(look(net="untrained/alexnet-cifar", inputs="cat.0", layers="conv5", maps="7")) == tables(app)


@pytest.mark.parametrize("maps", ["8", "-1", "99999999999", "one", "٣x"])
def test_a_page_that_is_not_there_is_another(maps: str) -> None:
    app = look(net="untrained/alexnet-cifar", inputs="cat.0", layers="conv5", maps=maps)
    assert tables(app)[0]["blocks"][0]["channels"] == 32


def test_a_narrow_layer_beside_a_wide_one_stays_on_its_last_page() -> None:
    app = look(net="lenet-modern", beside="untrained/alexnet-cifar", inputs="cat.0", layers="conv1,conv2", maps="3")
    first, second = tables(app)
    assert [(block["first"], block["channels"]) for block in first["blocks"]] == [(0, 6), (0, 16)]
    assert all(block["first"] > 0 for block in second["blocks"])
    assert notices(app) == []


def test_all_maps_of_a_small_network_stand_on_one_page() -> None:
    app = look(maps="3")
    assert not [one for one in app.get("button_group") if str(one.key).startswith("look_maps")]
    assert linked(app, "maps") is None
