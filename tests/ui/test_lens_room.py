"""The live lens as the server sees it: what it sends to the browser, and what it shows itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.portable import to_portable, too_large
from lenet_core.presets import preset
from tests.ui.apps import linked, shown
from tests.ui.test_pages import draw, drawn
from ui.components.live_lens.carried import MOST_MAPS, shown_maps
from ui.networks import networks

DIGITS = tuple("0123456789")


def sent(app: AppTest, view: str) -> dict[str, Any]:
    """What one of the lens's views was sent; empty if there is none."""
    assert not app.exception
    parts = [element.proto for element in app.get("bidi_component") if element.proto.component_name == "live_lens"]
    return next((data for part in parts if (data := json.loads(part.json))["view"] == view), {})


def save_own(folder: Path, name: str, size: int, seed: int = 0) -> None:
    """Puts an untrained network among the visitor's own."""
    run = folder / "runs" / name
    run.mkdir(parents=True, exist_ok=True)
    arch = preset("lenet-modern", input_size=size)
    save_checkpoint(run / "model.safetensors", Checkpoint(arch, build(arch, seed=seed).eval(), DIGITS))


def test_a_networks_weights_are_sent_once() -> None:
    app = draw(drawing=drawn("8"))
    data = sent(app, "answer")
    (network,) = data["networks"]
    whole = to_portable(load_checkpoint(bundled_checkpoints()["lenet-modern"]))
    assert network["id"] == data["lead"]
    assert network["description"] == whole.description
    assert len(network["weights"]) == 4 * -(-len(whole.weights) // 3)
    app.run()
    assert "weights" not in sent(app, "answer")["networks"][0]
    app.selectbox[0].set_value(networks()[1]).run()
    assert "weights" in sent(app, "answer")["networks"][0]
    app.selectbox[0].set_value(networks()[0]).run()
    assert sent(app, "answer")["lead"] == data["lead"]
    assert "weights" not in sent(app, "answer")["networks"][0]


def test_the_second_network_waits_until_it_is_asked_for() -> None:
    data = sent(draw(drawing=drawn("8")), "turns")
    assert data["beside"] == data["networks"][0]["id"]
    assert "weights" not in data["networks"][0]


def test_a_network_that_was_trained_anew_is_sent_anew(own_data_folder: Path) -> None:
    save_own(own_data_folder, "mine", 28)
    app = draw(drawing=drawn("8"), net="own/mine")
    before = sent(app, "answer")
    save_own(own_data_folder, "mine", 28, seed=1)
    app.run()
    after = sent(app, "answer")
    assert after["lead"] != before["lead"]
    assert after["networks"][0]["weights"] != before["networks"][0]["weights"]


def test_a_network_that_is_too_large_stays_on_the_server(own_data_folder: Path) -> None:
    assert too_large(preset("lenet-modern", input_size=128))
    save_own(own_data_folder, "large", 128)
    app = draw(drawing=drawn("8"), net="own/large")
    assert sent(app, "answer") == {}
    page = shown(app)
    assert "1,741,706 weights, the limit is 1,000,000" in page
    assert 'data-testid="answer-by-server"' in page
    assert "What the network sees: 128 x 128" in page


def test_steps_left_out_are_said_and_can_be_put_back() -> None:
    app = draw(drawing=drawn("8"), without="scale,crop,nonsense")
    page = shown(app)
    assert sent(app, "answer")["without"] == ["crop", "scale"]
    assert "without <b>crop</b>" in page
    assert "without <b>input scale</b>" in page
    next(button for button in app.button if button.label == "Put every step back").click().run()
    assert linked(app, "without") is None
    assert sent(app, "answer")["without"] == []
    assert 'data-testid="left-out"' not in shown(app)


def test_without_a_drawing_every_network_has_its_place() -> None:
    page = shown(draw())
    assert page.count('class="lp-card"') == len(bundled_checkpoints()) - 1
    assert page.count("answers when the pen lifts") == len(bundled_checkpoints()) - 1
    assert page.count('class="lens-bar"') == 10
    assert page.count('<i class="lens-pixels"></i>') == 6 + 16


def test_of_a_wide_layer_the_first_maps_are_shown_and_it_says_so() -> None:
    wide = shown_maps(preset("alexnet-cifar"))
    assert [maps.count for maps in wide] == [MOST_MAPS, MOST_MAPS]
    assert all("the first 16" in maps.shape for maps in wide)
    plain = shown_maps(preset("lenet5-1998"))
    assert [(maps.layer, maps.count, maps.signed) for maps in plain] == [("c1_act", 6, True), ("c3_act", 16, True)]
    assert not any(maps.signed for maps in shown_maps(preset("lenet-modern")))
