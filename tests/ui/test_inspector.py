"""The preprocessing inspector: its switches, the address, what leaving a step out costs, the server's pictures."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lenet_core.ablation import StepCosts
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.data_sets import DIGITS
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import preset
from lenet_core.steps import STEPS
from lenet_core.strokes import to_link
from tests.ui.apps import linked, part, shown
from ui.sample_strokes import sample_strokes

SIZE = 336
WITHOUT = {
    "width": 0.97, "crop": 0.61, "fit": 0.942, "antialias": 0.9899, "centre": 0.951, "polarity": 0.124, "scale": 0.996,
}  # fmt: skip
COSTS = StepCosts("MNIST", 10_000, 0.99, WITHOUT)


def section() -> None:
    from ui import cache, canvas, links
    from ui.drawn import digit_of
    from ui.inspector import inspector, left_out
    from ui.networks import networks

    wanted = links.asked("net")
    network = next(network for network in networks(wanted) if network.key == wanted)
    without = left_out()
    strokes = canvas.draw()
    inspector(network, cache.checkpoint(network), digit_of(strokes, without), without)


def page(network: str = "own/mine", digit: str = "7", **query: str) -> AppTest:
    drawing = {"drawing": to_link(sample_strokes(digit, SIZE), SIZE)} if digit else {}
    return part(section, net=network, **drawing, **query)


def own_network(folder: Path, steps: Any, source: str = "lenet-modern") -> None:
    """A network "mine" whose checkpoint holds `steps` as what its preprocessing is worth."""
    checkpoint = load_checkpoint(bundled_checkpoints()[source])
    training = checkpoint.training | {"steps": steps}
    save_checkpoint(folder / "runs" / "mine" / "model.safetensors", dataclasses.replace(checkpoint, training=training))


@pytest.fixture(autouse=True)
def mine(own_data_folder: Path) -> None:
    own_network(own_data_folder, COSTS.to_dict())


def toggle(app: AppTest, name: str) -> Any:
    return app.toggle(key=f"step_{name}_on")


def cost(app: AppTest, name: str) -> str:
    """What stands beside a switch."""
    found = re.search(rf'data-step="{name}".*?</div>', shown(app))
    assert found
    return " ".join(re.sub(r"<[^>]+>", " ", found[0].split(">", 1)[1]).split())


def captions(app: AppTest) -> dict[str, str]:
    """What the server's pictures say, by their name."""
    figures = re.findall(r"<figure.*?<b>(\w+)</b>.*?<figcaption>(.*?)</figcaption>", shown(app))
    return {name: html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for name, text in figures}


def is_open(app: AppTest) -> bool:
    return bool(app.expander[0].proto.expanded)


def test_every_step_has_a_switch_that_says_what_it_does_and_is_on() -> None:
    app = page()
    assert [switch.label for switch in app.toggle] == [step.title for step in STEPS.values()]
    assert all(switch.value for switch in app.toggle)
    assert all(step.does in shown(app) and step.without not in shown(app) for step in STEPS.values())
    assert not is_open(app)


def test_a_switch_goes_into_the_address_in_the_steps_order_and_the_section_stays_open() -> None:
    app = page()
    toggle(app, "centre").set_value(False).run()
    toggle(app, "crop").set_value(False).run()
    assert linked(app, "without") == "crop,centre"
    assert STEPS["crop"].without in shown(app)
    assert STEPS["crop"].does not in shown(app)
    toggle(app, "crop").set_value(True).run()
    assert linked(app, "without") == "centre"
    toggle(app, "centre").set_value(True).run()
    assert linked(app, "without") is None
    assert is_open(app)


def test_a_link_opens_so_and_what_it_names_wrongly_is_nothing() -> None:
    app = page(without="polarity,<b>,crop,crop")
    assert [name for name in STEPS if not toggle(app, name).value] == ["crop", "polarity"]
    assert is_open(app)
    assert all(switch.value for switch in page(without="cropped,,").toggle)


def test_the_address_moves_the_switches_when_it_changes_on_the_page() -> None:
    app = page(without="crop")
    app.query_params["without"] = "scale"
    app.run()
    assert [name for name in STEPS if not toggle(app, name).value] == ["scale"]


def test_one_button_turns_all_steps_on() -> None:
    app = page(without="crop,scale")
    button = app.button(key="all_steps_on")
    assert not button.disabled
    button.click().run()
    assert all(switch.value for switch in app.toggle)
    assert linked(app, "without") is None
    assert app.button(key="all_steps_on").disabled


def test_each_cost_stands_beside_its_switch_and_the_greatest_in_a_sentence() -> None:
    app = page()
    assert cost(app, "polarity") == "−86.6 points → 12.4 %"
    assert cost(app, "crop") == "−38.0 points → 61.0 %"
    assert cost(app, "antialias").startswith("no difference")
    assert cost(app, "scale") == "+0.6 points → 99.6 %"
    worth = shown(app)
    assert "Polarity</b> matters most to mine: without it, it reads 12.4 % instead of 99.0 %" in worth
    assert "10,000 test images of MNIST" in worth


def test_a_bars_length_is_the_points_lost_of_a_hundred() -> None:
    bars = re.findall(r'data-step="(\w+)".*?width:([\d.]+)%', shown(page()))
    assert {name: float(width) for name, width in bars} == pytest.approx(
        {name: max(100 * (0.99 - accuracy), 0) for name, accuracy in WITHOUT.items()}, abs=0.006
    )


def test_a_network_without_costs_says_what_to_do(own_data_folder: Path) -> None:
    own_network(own_data_folder, None)
    app = page()
    assert "Train one anew" in shown(app)
    assert "data-step" not in shown(app)
    assert len(app.toggle) == len(STEPS)


@pytest.mark.parametrize(
    "nonsense",
    [
        "yes", 7, [], {}, {"data": "<b>x</b>"}, COSTS.to_dict() | {"accuracy": "![x](a.png)"},
        COSTS.to_dict() | {"without": {"crop": 1e999}},
    ],
)  # fmt: skip
def test_a_strangers_nonsense_is_named_and_no_traceback(own_data_folder: Path, nonsense: Any) -> None:
    own_network(own_data_folder, nonsense)
    app = page()
    assert "what each step is worth to it cannot be read" in shown(app)
    assert "<b>x</b>" not in shown(app)
    assert "data-step" not in shown(app)
    assert not app.warning
    assert len(captions(app)) == 5


def test_a_strangers_data_title_is_no_markup(own_data_folder: Path) -> None:
    own_network(own_data_folder, COSTS.to_dict() | {"data": "<script>MNIST"})
    assert "&lt;script&gt;MNIST" in shown(page())


def test_the_servers_pictures_say_what_was_done() -> None:
    says = captions(page())
    assert says["Inked"] == "A pen of 13.5 % of the drawing's length, about MNIST's."
    assert re.fullmatch(r"To the ink: \d+ x 22\d of 280 x 280\.", says["Cropped"])
    assert re.fullmatch(r"To \d+ x 20, the longer side 20\. Each pixel is the mean of .*", says["Shrunk"])
    assert re.search(
        r"by its mass\. The mass lies at row 1[34]\.\d, column 1[34]\.\d; the middle is 14\.", says["Placed"]
    )
    assert says["Fed"] == "28 x 28 numbers from 0 to 1, ink bright."


def test_the_servers_pictures_tell_of_what_was_left_out() -> None:
    app = page(without=",".join(STEPS))
    says = captions(app)
    assert re.fullmatch(r"Left out: Stroke width The canvas's own pen: \d+ % of .*", says["Inked"])
    assert says["Cropped"] == "Left out: Crop Nothing is cut off: all 280 x 280."
    assert says["Shrunk"].startswith("Left out: Fit to 20 x 20, Anti-alias To 28 x 28, the longer side 28.")
    assert says["Placed"].startswith("Left out: Centre by mass Into 28 x 28, centred by its box.")
    assert says["Fed"] == "Left out: Polarity, Input scale 28 x 28 numbers from 0 to 255, paper bright."
    assert "With all steps on</span><span><b>7</b>" in shown(app)


def test_a_larger_network_is_fed_with_its_margin_and_clothes_are_named() -> None:
    assert captions(page("lenet5-1998"))["Fed"].startswith("32 x 32 numbers")
    clothes = load_checkpoint(bundled_checkpoints()["lenet-d2l-fashion"]).classes
    answer = re.search(r"as set</span><span><b>([^<]+)</b>", shown(page("lenet-d2l-fashion", without="fit")))
    assert answer
    assert answer[1] in clothes


def lenses(app: AppTest) -> int:
    """How many parts of the live lens are on the page."""
    return sum(part.proto.component_name == "live_lens" for part in app.get("bidi_component"))


def test_a_network_too_large_for_the_browser_has_the_servers_pictures(own_data_folder: Path) -> None:
    assert lenses(page()) == 1
    arch = dataclasses.replace(preset("lenet-modern"), dense=(3000, 84))
    path = own_data_folder / "runs" / "mine" / "model.safetensors"
    save_checkpoint(path, Checkpoint(arch, build(arch, seed=0), DIGITS))
    app = page()
    assert lenses(app) == 0
    assert len(captions(app)) == 5


def test_without_a_drawing_there_are_the_switches_and_a_hint() -> None:
    app = page(digit="", without="crop")
    assert "Nothing to show yet" in shown(app)
    assert cost(app, "crop").startswith("−38.0 points")


def test_the_costs_survive_the_file() -> None:
    assert StepCosts.from_dict(json.loads(json.dumps(COSTS.to_dict()))) == COSTS
