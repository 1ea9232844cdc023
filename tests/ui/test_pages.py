"""The pages' logic, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

from lenet_core.library import bundled_checkpoints
from lenet_core.presets import PRESETS, preset
from lenet_core.strokes import to_link
from tests.conftest import ROOT
from tests.ui.apps import linked, shown
from ui.networks import networks
from ui.sample_strokes import sample_strokes

SIZE = 336
MARKDOWN = ("markdown", "caption", "title", "header", "subheader", "warning", "error", "info", "success", "toast")


def home() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def draw(**query: str) -> AppTest:
    app = home().run()
    app.switch_page("pages/draw.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def drawn(digit: str) -> str:
    return to_link(sample_strokes(digit, SIZE), SIZE)


@pytest.mark.parametrize("digit", list("0123456789"))
def test_a_drawing_in_the_link_is_answered(digit: str) -> None:
    page = shown(draw(drawing=drawn(digit)))
    assert f'data-strokes="{len(sample_strokes(digit, SIZE))}">{digit}</div>' in page


def test_an_empty_canvas_asks_for_a_digit_and_guesses_nothing() -> None:
    page = shown(draw())
    assert "Draw a digit" in page
    assert 'data-testid="answer-by-server"' not in page


def test_all_bundled_networks_answer() -> None:
    page = shown(draw(drawing=drawn("8")))
    assert page.count('class="lp-card"') == len(bundled_checkpoints()) - 1 == 4


def test_the_network_in_the_link_leads() -> None:
    app = draw(drawing=drawn("8"), net="lenet5-1998")
    assert "1998" in app.selectbox[0].value.title
    assert "What the network sees: 32 x 32" in shown(app)


def test_choosing_a_network_puts_it_into_the_link_and_the_default_out_of_it() -> None:
    app = draw(drawing=drawn("8"))
    app.selectbox[0].set_value(networks()[3]).run()
    assert linked(app, "net") == "lenet-d2l"
    app.selectbox[0].set_value(networks()[0]).run()
    assert linked(app, "net") is None


def test_undo_redo_and_clear_act_on_the_drawing_and_its_link() -> None:
    app = draw(drawing=drawn("4"))
    undo, redo, clear = app.button[:3]
    assert (undo.disabled, redo.disabled, clear.disabled) == (False, True, False)
    clear.click().run()
    assert "Draw a digit" in shown(app)
    assert linked(app, "drawing") is None
    app.button[0].click().run()
    assert linked(app, "drawing") == drawn("4")
    assert ">4</div>" in shown(app)


def test_a_digit_can_be_placed_twice() -> None:
    app = draw()
    for _ in range(2):
        next(button for button in app.button if button.label == "6").click().run()
        assert ">6</div>" in shown(app)
        app.button[2].click().run()
        assert "Draw a digit" in shown(app)


def test_own_networks_answer_and_their_names_are_no_markup(own_data_folder: Path) -> None:
    run = own_data_folder / "runs" / "<b>mine"
    run.mkdir(parents=True)
    (run / "model.safetensors").write_bytes(bundled_checkpoints()["lenet5-tanh"].read_bytes())
    page = shown(draw(drawing=drawn("3")))
    assert "&lt;b&gt;mine" in page
    assert "<b>mine" not in page


def test_a_strangers_words_in_a_warning_are_neither_markup_nor_markdown(own_data_folder: Path) -> None:
    run = own_data_folder / "runs" / "![x](a.png) <b>bold"
    run.mkdir(parents=True)
    data = save({}, {"format": "![y](//nowhere.example/y.png) <script>", "description": "{}"})
    (run / "model.safetensors").write_bytes(data)
    app = draw(drawing=drawn("3"))
    page = shown(app)
    assert "![x](a.png) &lt;b&gt;bold cannot answer" in page
    assert "<script>" not in page
    read = [element for kind in MARKDOWN for element in app.get(kind)]
    assert read
    assert all("![" not in str(element.value) for element in read)


def test_a_damaged_own_network_is_named_and_the_others_answer(own_data_folder: Path) -> None:
    run = own_data_folder / "runs" / "broken"
    run.mkdir(parents=True)
    (run / "model.safetensors").write_bytes(b"not a network")
    app = draw(drawing=drawn("3"))
    page = shown(app)
    assert page.count('role="alert"') == 1
    assert "broken cannot answer" in page
    assert ">3</div>" in page


def test_a_colour_network_of_ones_own_answers_too(own_data_folder: Path) -> None:
    from lenet_core.checkpoint import Checkpoint, save_checkpoint
    from lenet_core.layers import build

    arch = preset("lenet-modern", input_channels=3, input_size=32)
    net = build(arch, seed=0).eval()
    folder = own_data_folder / "runs" / "colour"
    folder.mkdir(parents=True)
    save_checkpoint(folder / "model.safetensors", Checkpoint(arch, net, tuple("0123456789")))
    app = draw(drawing=drawn("3"), net="own/colour")
    assert "What the network sees: 32 x 32" in shown(app)


@pytest.mark.parametrize("name", PRESETS)
def test_home_shows_every_presets_ledger(name: str) -> None:
    app = home()
    app.query_params["preset"] = name
    page = shown(app.run())
    assert f"{preset(name).parameters:,}" in page
    assert f"{preset(name).connections:,}" in page


def test_home_shows_every_digit_in_every_digit_network() -> None:
    app = home().run()
    for network in networks()[:4]:
        app.selectbox[0].set_value(network).run()
        for digit in range(10):
            app.get("button_group")[0].set_value(digit).run()
            assert f"The largest wins: {digit}." in shown(app)


def test_home_without_the_bundled_digits_says_so_and_keeps_its_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    st.cache_data.clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    app = home().run()
    assert "pip install mlxtend" in shown(app)
    assert "340,908" in shown(app)
