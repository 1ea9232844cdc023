"""Turn it, shift it, thicken it: what stands in the address, and which networks can stand beside each other."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.apps import linked, part, shown
from ui.turns import TURNS, checked, from_link, to_link


def section() -> None:
    import streamlit as st

    from ui.components.live_lens import lens_code
    from ui.networks import networks, untrained
    from ui.turns import turns

    lens_code()
    known = [*networks(), *(network for network in untrained() if network.preset == "alexnet-cifar")]
    turns(next(network for network in known if network.key == st.query_params["net"]), known)


def page(lead: str = "lenet-modern", **query: str) -> AppTest:
    return part(section, net=lead, **query)


def unfolded(app: AppTest) -> bool:
    return bool(app.expander[0].proto.expanded)


@pytest.mark.parametrize(
    ("link", "values"),
    [
        ("", {}),
        ("neutral", {}),
        ("rotation:30,scale:1.2", {"rotation": 30, "scale": 1.2}),
        ("scale:1.2,rotation:-90", {"rotation": -90, "scale": 1.2}),
        ("rotation:90.5,down:-11,noise:-0.1,thickness:3", {"thickness": 3}),
        ("scale:1,noise:0", {}),
        ("tilt:3,rotation:far,shear:nan,across:inf,down:2", {"down": 2}),
        ("rotation:30,sca", {"rotation": 30}),
        ("rotation:1:2,,:,noise", {}),
    ],
)
def test_a_link_tells_the_values_that_can_be(link: str, values: dict[str, float]) -> None:
    assert from_link(link) == values


def test_a_link_made_of_the_values_brings_them_back() -> None:
    values = {"rotation": -30.0, "across": 2.5, "shear": 0.06, "thickness": 1.35}
    assert from_link(to_link(values)) == values
    assert to_link(values) == "rotation:-30,across:2.5,shear:0.06,thickness:1.35"
    assert to_link({}) == "neutral"


def test_what_no_slider_can_have_sent_counts_for_nothing() -> None:
    sent = {"rotation": "30", "across": None, "down": [1], "scale": 10**400, "shear": float("nan"), "other": 1}
    assert checked(sent) == {}
    assert checked({"noise": 0.8, "thickness": 1}) == {"noise": 0.8}


def test_a_neutral_value_lies_within_each_range() -> None:
    assert all(turn.low <= turn.neutral <= turn.high for turn in TURNS.values())


def test_the_section_is_folded_until_the_address_holds_values() -> None:
    assert not unfolded(page())
    assert unfolded(page(turned="rotation:30"))
    assert unfolded(page(turned="neutral"))


def test_at_first_a_network_with_the_same_classes_stands_beside() -> None:
    assert page().selectbox("turns_beside").value == "lenet5-1998"
    assert page("lenet5-tanh").selectbox("turns_beside").value == "lenet-modern"
    clothes = page("lenet-d2l-fashion")
    assert clothes.selectbox("turns_beside").value == "none"
    assert "Modern LeNet (ReLU, max pooling)" in clothes.selectbox("turns_beside").options


def test_the_network_beside_stands_in_the_link() -> None:
    app = page(beside="lenet-d2l")
    assert app.selectbox("turns_beside").value == "lenet-d2l"
    app.selectbox("turns_beside").set_value("none").run()
    assert linked(app, "beside") == "none"
    app.selectbox("turns_beside").set_value("lenet5-1998").run()
    assert linked(app, "beside") is None  # as without a word of it


def test_the_box_follows_when_another_network_leads_and_when_back_is_pressed() -> None:
    app = page()
    for lead, usual in (
        ("lenet-d2l-fashion", "none"),
        ("lenet5-1998", "lenet-modern"),
        ("lenet-modern", "lenet5-1998"),
    ):
        app.query_params["net"] = lead
        assert app.run().selectbox("turns_beside").value == usual
    app.selectbox("turns_beside").set_value("lenet5-tanh").run()
    assert linked(app, "beside") == "lenet5-tanh"
    del app.query_params["beside"]
    assert app.run().selectbox("turns_beside").value == "lenet5-1998"


@pytest.mark.parametrize("named", ["lenet-modern", "nobody", "untrained/alexnet-cifar"])
def test_a_link_to_a_network_that_cannot_stand_beside_brings_the_usual_one(named: str) -> None:
    assert page(beside=named).selectbox("turns_beside").value == "lenet5-1998"


def test_a_network_too_large_for_the_browser_says_so() -> None:
    app = page("untrained/alexnet-cifar", turned="rotation:30")
    assert "alexnet-cifar, untrained cannot be turned here: " in shown(app)
    assert "1,000,000" in shown(app)
    assert not app.selectbox


def test_without_the_browsers_part_a_line_says_what_is_missing() -> None:
    assert "the part that runs in the browser" in shown(page())
