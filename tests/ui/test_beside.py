"""LeNet beside AlexNet: one table from two ledgers, and the layers that one can try."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lenet_core.presets import PRESETS, preset
from tests.ui.apps import linked, part, shown
from ui.markup_beside import beside
from ui.markup_tryouts import Pooled, gpus, pooled


def section() -> None:
    from ui.beside_alexnet import beside_alexnet

    beside_alexnet()


def page(**query: str) -> AppTest:
    return part(section, **query)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u00a0", " ")


def lines(html: str) -> dict[str, list[str]]:
    """Each line of the table: its cells in words, by its title."""
    found = re.findall(r'<tr><th scope="row"><abbr[^>]*>([^<]+)</abbr></th>(.*?)</tr>', html)
    return {title: [text(cell).strip() for cell in re.findall(r"<td>(.*?)</td>", cells)] for title, cells in found}


def said(app: AppTest) -> str:
    found = re.search(r'data-testid="tried"><p[^>]*>([^<]+)<', shown(app))
    assert found
    return found[1]


def test_the_table_is_worked_out_from_the_two_ledgers() -> None:
    table = lines(shown(page()))
    assert table["Input"] == ["1x32x32", "3x227x227"]
    assert [cell[:1] for cell in table["Depth"]] == ["6", "8"]
    assert table["Pooling"] == [
        "2x2, stride 2: the sum, times a weight, plus a bias", "3x3, stride 2: the largest; windows overlap",
    ]  # fmt: skip
    assert table["Parameters"] == ["60,000", "60,965,224 1,016 times as many"]
    assert table["Multiply-adds"] == ["328,096", "724,406,816 2,208 times as many"]
    assert table["Activations"] == ["8,094 values, 0.032 MB", "1,258,760 values, 5.0 MB 156 times as many"]
    assert table["Where the parameters sit"] == [
        "convolution 83.0 % subsampling 0.1 % fully connected 16.9 %", "convolution 3.8 % fully connected 96.2 %",
    ]  # fmt: skip
    assert table["And also"] == [
        "a table of which maps read which", "response normalisation, convolutions in 2 groups, dropout of 50 %",
    ]  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_stand_there(name: str) -> None:
    app = page(left=name)
    table = lines(shown(app))
    assert table["Parameters"][0].startswith(f"{preset(name).parameters:,}")
    app.selectbox("beside_right").set_value(name).run()
    assert linked(app, "right") == (None if name == "alexnet-2012" else name)
    assert lines(shown(app))["Parameters"] == [f"{preset(name).parameters:,}"] * 2


def test_the_larger_one_is_told_on_its_own_side() -> None:
    table = lines(beside(preset("alexnet-2012"), preset("lenet5-1998")))
    assert table["Parameters"] == ["60,965,224 1,016 times as many", "60,000"]
    assert "1.7 times" in lines(beside(preset("alexnet-2012"), preset("alexnet-cifar")))["Parameters"][0]


def test_subsampling_follows_its_weight_and_bias() -> None:
    app = page()
    assert "With w = 1/4 and no bias it is the mean" in said(app)
    total = float(re.search(r"bias = (−?[\d.]+) ×", text(shown(app)))[1].replace("−", "-"))  # type: ignore[index]
    app.slider("try_weight").set_value(0.5)
    app.slider("try_bias").set_value(1.0).run()
    value = 1.7159 * math.tanh(2 / 3 * (0.5 * total + 1))
    assert f"The window becomes {value:.3g}".replace("-", "−") in said(app)
    before = shown(app)
    app.button("again_subsampling").click().run()
    assert shown(app) != before


def test_response_normalisation_follows_its_neighbours() -> None:
    app = page(**{"try": "lrn"})
    for near in (0, 200):
        app.slider("try_near").set_value(near).run()
        value = 150 / (2 + 1e-4 * (150**2 + 4 * near**2)) ** 0.75
        assert f"goes from 150 to {value:.3g};" in said(app)
    before = said(app)
    app.slider("try_far").set_value(0).run()
    assert said(app) == before  # they are outside its window


def test_the_rbf_answer_turns_half_way() -> None:
    app = page(**{"try": "rbf"})
    assert said(app).startswith("The answer is 3, at a squared distance of 5.76")  # 9 pixels, each 0.8 away
    app.slider("try_share").set_value(60).run()
    assert said(app).startswith("The answer is 8, at a squared distance of 5.76")
    app.slider("try_share").set_value(100).run()
    assert said(app).startswith("The answer is 8, at a squared distance of 0.00")


def test_dropout_drops_again_and_keeps_the_mean() -> None:
    app = page(**{"try": "dropout"})
    throws = set()
    for _ in range(4):
        throws.add(re.search(r"training, this throw</b>(.*?)<b>", shown(app))[1])  # type: ignore[index]
        assert re.search(r"1\.\d\d over 10,000 throws, 1\.10 at the test", said(app))
        app.button("again_dropout").click().run()
    assert len(throws) > 1
    app.slider("try_fraction").set_value(0.95).run()
    assert int(said(app).split()[0]) <= 5


def test_overlapping_pooling_reads_what_the_other_leaves() -> None:
    app = page(**{"try": "overlap"})
    html = shown(app)
    apart, overlapping = re.findall(r'aria-label="Map, .*?</table>', html)
    assert apart.count("lp-unread") == 13
    assert "lp-unread" not in overlapping
    assert apart.count("lp-wins") == 9
    app.button("again_overlap").click().run()
    assert shown(app) != html


def test_groups_spare_what_the_ledger_says() -> None:
    app = page(**{"try": "groups"})
    assert said(app) == "60,965,224 parameters, 724,406,816 multiply-adds."
    assert "1,413,120" in shown(app)  # 307,200 + 663,552 + 442,368
    app.toggle("try_groups").set_value(False).run()
    assert said(app).startswith("62,378,344 parameters")
    assert linked(app, "try") == "groups"


def test_lines_cross_only_where_both_halves_are_read() -> None:
    arch = preset("alexnet-2012")
    crossing = [bool(name) for name in re.findall(r'<i class="([^"]*)"', gpus(arch))]
    assert crossing == [True, False, True, False, False, True]
    assert all(re.findall(r'<i class="([^"]*)"', gpus(arch.replace(groups=1))))


def test_a_number_that_wins_twice_is_marked() -> None:
    wins = np.array([[0, 2], [1, 0]])
    html = pooled([Pooled(np.array([[1, 9], [8, 2]], dtype=np.float32), wins, np.array([[9.0]], np.float32), 2, 2)])
    assert '<td class="lp-wins">9<sup>×2</sup></td>' in html
    assert '<td class="lp-wins">8</td>' in html


def test_a_link_to_a_layer_that_is_not_there_opens_the_first() -> None:
    assert "The window becomes" in said(page(**{"try": "transformer"}))
