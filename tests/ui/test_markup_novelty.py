"""The table of doubts: what it says of an input, and where it puts the tick."""

from __future__ import annotations

import itertools
import re

import pytest

from lenet_core.novelty import Familiar
from ui.markup_novelty import DoubtRow, doubts, in_words

# Confidences of 0.50 to 1.00, energies of 0 to 10; distances of -40 to 0.
QUANTILES = {
    "confidence": tuple(0.5 + 0.005 * step for step in range(101)),
    "energy": tuple(0.1 * step for step in range(101)),
    "distance": tuple(0.4 * step - 40 for step in range(101)),
}
FAMILIAR = Familiar("MNIST", 10_000, {score: QUANTILES[score] for score in ("confidence", "energy")})
CODES = Familiar("MNIST", 10_000, QUANTILES)
PICTURE = "data:image/png;base64,AAAA"


def row(confidence: float, energy: float, name: str = "cat", foreign: bool = True, **more: float) -> DoubtRow:
    return DoubtRow(PICTURE, name, "8", {"confidence": confidence, "energy": energy, **more}, foreign)


def cells(html: str) -> list[str]:
    """What stands in the score cells of the table's body, without markup."""
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<td data-score.*?</td>", body)]


# --- the sentence ------------------------------------------------------------------------------


def test_the_sentence_names_the_surest_answer_to_what_is_no_class() -> None:
    rows = [row(0.99, 5.0, "4", foreign=False), row(0.712, -3.0, "cat"), row(0.55, -9.0, "noise")]
    assert in_words(rows, FAMILIAR, 10) == (
        "It must name one of its 10 classes: for “cat” it says 8 with 71.2 %, but the energy score is lower than "
        "that of all 10,000 real test digits: do not believe it."
    )


@pytest.mark.parametrize(
    ("energy", "many"), [(-0.1, "all 10,000"), (0.05, "over 99 % of"), (0.21, "97 % of"), (0.4, "96 % of")]
)
def test_how_many_score_higher_is_never_overstated(energy: float, many: str) -> None:
    assert f"lower than that of {many} real test digits" in in_words([row(0.9, energy)], FAMILIAR, 10)


def test_a_cat_that_scores_like_a_digit_is_told_too() -> None:
    said = in_words([row(0.9, 5.0)], FAMILIAR, 10)
    assert "8 with 90.0 %, and no score gives that away" in said
    assert said.endswith("Do not believe it.")


def test_far_from_every_code_is_said_as_a_distance() -> None:
    said = in_words([row(0.9, 5.0, distance=-55.0)], CODES, 10)
    assert "it lies farther from every class's code than all 10,000 real test digits" in said


def test_a_digit_with_a_low_score_is_doubted_and_others_are_not() -> None:
    fine = row(0.9, 5.0, "4", foreign=False)
    assert in_words([fine], FAMILIAR, 10) == (
        "All scores are like those of real test digits: nothing here speaks against an answer."
    )
    odd = row(0.51, 5.0, "7", foreign=False)
    assert in_words([fine, odd], FAMILIAR, 10) == (
        "For “7” it says 8 with 51.0 %, but the confidence is lower than that of 98 % of real test digits: doubt it."
    )


def test_what_the_real_images_are_is_the_callers_word() -> None:
    assert "all 10,000 real test images" in in_words([row(0.9, -1.0)], FAMILIAR, 10, "real test images")


def test_a_network_without_a_test_says_so_and_shows_the_numbers_alone() -> None:
    html = doubts([row(0.9, 5.0)], None, 10)
    assert "stored with a network when its training ends" in html
    assert cells(html) == ["90.0 %", "5"]
    assert "lp-strip" not in html


# --- the table ---------------------------------------------------------------------------------


def test_every_cell_says_in_words_where_it_stands() -> None:
    html = doubts([row(0.6, 3.72, distance=-60.0), row(0.4, 12.0, distance=-10.0)], CODES, 10)
    assert [re.sub(r"\s+", " ", cell) for cell in cells(html)] == [
        "60.0 % like the real ones (20 % are lower)",
        "3.72 like the real ones (37 % are lower)",
        "−60 ◀ ▼ farther than all 10,000 real test digits",
        "40.0 % ◀ ▼ lower than all 10,000 real test digits",
        "12 ▶ ▲ higher than all 10,000 real test digits",
        "−10 like the real ones (75 % are farther)",
    ]


def test_a_value_that_most_real_images_share_is_no_doubt() -> None:
    saturated = Familiar("MNIST", 10_000, {"confidence": (0.4, 0.8) + (1.0,) * 99, "energy": QUANTILES["energy"]})
    html = doubts([row(1.0, 5.0)], saturated, 10)
    assert cells(html)[0].endswith("like the real ones (98 % have the same)")
    assert "no score gives that away" in html


def test_the_tick_lies_among_the_bands_as_the_value_among_the_scores() -> None:
    html = doubts([row(0.75, 0.0)], FAMILIAR, 10)
    middle, least = (float(left) for left in re.findall(r'<i style="left:([\d.]+)%"', html))
    bands = [
        (float(left), float(left) + float(width))
        for left, width in re.findall(r'<span style="left:([\d.]+)%;width:([\d.]+)%">', html)[:3]
    ]
    assert middle == pytest.approx(50)
    assert 0 < least < bands[0][0]
    for (outer_left, outer_right), (left, right) in itertools.pairwise(bands):
        assert 0 < outer_left < left < 50 < right < outer_right < 100
    assert bands[2] == pytest.approx((50 - 0.25 * 88, 50 + 0.25 * 88), abs=0.2)


def test_the_real_images_own_scores_stand_below() -> None:
    html = doubts([row(0.9, 5.0)], FAMILIAR, 10, "real test images")
    foot = re.sub(r"<[^>]+>", " ", html[html.index("<tfoot>") :])
    assert "real test images" in foot
    assert "10,000 of MNIST" in foot
    assert "98 % from 0.1 to 9.9" in foot


def test_each_score_is_explained_where_it_stands() -> None:
    html = doubts([row(0.9, 5.0, distance=-1.0)], CODES, 10)
    explained = dict(re.findall(r'<abbr title="([^"]+)">([^<]+)</abbr>', html))
    assert set(explained.values()) == {"Confidence", "Energy score", "Nearest code"}
    assert all(re.search(r"\b(1998|2017|2020)\b", why) for why in explained)


def test_a_score_that_was_not_stored_has_its_number_alone() -> None:
    html = doubts([row(0.9, 5.0, distance=-55.0)], FAMILIAR, 10)
    assert cells(html)[2] == "−55"
    assert "not stored" in html
    assert "no score gives that away" in html


def test_names_are_no_markup() -> None:
    bad = DoubtRow('x"><script>', "<b>a", "<i>8", {"confidence": 0.9, "energy": -5.0}, True)
    html = doubts([bad], Familiar("<u>M", 5, FAMILIAR.quantiles), 10, "<s>digits")
    assert not re.search(r"<(script|b>a|i>8|u>M|s>d)", html)
    assert "&lt;b&gt;a" in html


def test_no_inputs_are_no_table() -> None:
    assert doubts([], FAMILIAR, 10) == ""
