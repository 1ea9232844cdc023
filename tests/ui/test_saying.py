"""The sentences above the numbers: true, plain, and about what is most striking."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from ui.saying import LayerNumbers, what_they_show


def layer(
    title: str,
    active: Sequence[float],
    strength: Sequence[float] | None = None,
    alike: dict[tuple[int, int], float] | None = None,
    otherwise: float = 0.5,
) -> LayerNumbers:
    """Numbers for one layer: all strengths 1 and all cosines `otherwise` unless told."""
    count = len(active)
    cosines = np.full((count, count), otherwise)
    np.fill_diagonal(cosines, 1)
    for (one, other), value in (alike or {}).items():
        cosines[one, other] = cosines[other, one] = value
    return LayerNumbers(title, np.array(active), np.array(strength or [1.0] * count), cosines)


NAMES = ["4", "8", "cat", "noise"]


def test_nothing_shown_says_nothing() -> None:
    assert what_they_show([], [layer("C1", [])]) == ""
    assert what_they_show(["4"], []) == ""


def test_one_input_tells_what_it_lights() -> None:
    assert what_they_show(["4"], [layer("C1", [0.252])]) == "The 4 lights 25 % of C1."
    both = [layer("C1", [1.0]), layer("C3", [0.0])]
    assert what_they_show(["noise"], both) == "The noise lights all of C1 and none of C3."


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "none"), (0.009, "under 1 %"), (0.01, "1 %"), (0.83, "83 %"), (0.996, "over 99 %"), (1.0, "all")],
)
def test_a_share_is_never_rounded_to_none_or_all(share: float, text: str) -> None:
    names_it = what_they_show(["cat"], [layer("C1", [share])])
    assert names_it == f"The cat lights {text} of C1."


def test_the_input_that_one_layer_lights_and_the_next_does_not() -> None:
    said = what_they_show(
        NAMES, [layer("C1", [0.25, 0.26, 0.3, 0.83]), layer("C3", [0.15, 0.14, 0.2, 0.06], [1, 1, 1, 0.3])]
    )
    assert said.startswith(
        "The noise lights 83 % of C1, yet C3 hardly answers: 6 %; "
        "the others light 25 to 30 % of C1 and 14 to 20 % of C3. "
    )


def test_few_units_that_answer_strongly_are_no_hardly() -> None:
    said = what_they_show(
        NAMES, [layer("C1", [0.25, 0.26, 0.3, 0.83]), layer("C3", [0.15, 0.14, 0.2, 0.06], [1, 1, 1, 2])]
    )
    assert said.startswith("The noise lights 83 % of C1, yet only 6 % of C3; ")


def test_what_matters_is_the_contrast_to_the_others_not_the_fall_itself() -> None:
    """All inputs fall by half but the cat, which rises."""
    said = what_they_show(NAMES, [layer("C1", [0.5, 0.5, 0.2, 0.52]), layer("C3", [0.2, 0.22, 0.3, 0.21])])
    assert said.startswith("The cat lights 20 % of C1, but 30 % of C3; the others light 50 to 52 % of C1 and ")


def test_two_inputs_are_told_by_their_names() -> None:
    said = what_they_show(["4", "noise"], [layer("C1", [0.25, 0.4]), layer("C3", [0.3, 0.1])])
    assert said == (
        "The noise lights 40 % of C1, yet only 10 % of C3; the 4 lights 25 % of C1 and 30 % of C3. "
        "To C3 the 4 and the noise look a little alike (cosine 0.50)."
    )


def test_what_hardly_reaches_the_first_layer_shows_no_contrast() -> None:
    """The bias of a map lights all of it, whatever the input: a blank's share says little beside its strength."""
    layers = [layer("C1", [0.25, 0.26, 0.17], [0.2, 0.2, 0.01]), layer("C3", [0.15, 0.14, 0.31])]
    said = what_they_show(["4", "8", "blank"], layers)
    assert said.startswith("C1 answers the blank only faintly, with 5 % of its median strength for the others. ")
    said = what_they_show(["4", "blank"], [layer("C3", [0.2, 0.2], [0.5, 0.05])])
    assert said.startswith("C3 answers the blank only faintly, with 10 % of its strength for the 4. ")


def test_blanks_that_light_nothing() -> None:
    nan = {(0, 2): np.nan, (1, 2): np.nan, (2, 2): np.nan}
    said = what_they_show(["4", "8", "blank"], [layer("C1", [0.2, 0.3, 0.0], [1, 1, 0], nan)])
    assert said == (
        "The blank lights nothing in C1; the others light 20 to 30 % of it. "
        "To C1 the 4 and the 8 look a little alike (cosine 0.50)."
    )
    said = what_they_show(["blank", "blank", "4"], [layer("C1", [0.0, 0.0, 0.3], [0, 0, 1], otherwise=np.nan)])
    assert said == "The first blank and the second blank light nothing in C1; the 4 lights 30 % of it."


def test_layers_that_no_input_lights() -> None:
    dead = layer("C3", [0.0, 0.0], [0.0, 0.0], otherwise=np.nan)
    assert what_they_show(["4", "8"], [dead]) == "No input lights anything in C3."
    assert what_they_show(["4", "8"], [layer("C1", [0.2, 0.2]), dead]) == "No input lights anything in C3."
    dead_too = layer("C1", [0.0, 0.0], [0.0, 0.0])
    assert what_they_show(["4", "8"], [dead_too, dead]) == "No input lights anything in C1 or C3."


def test_equal_inputs() -> None:
    same = layer("C1", [0.3, 0.3, 0.3], otherwise=1.0)
    assert what_they_show(["4", "4", "4"], [same]) == (
        "All 3 inputs light about the same share of C1 (30 %). To C1 all 3 inputs look equally alike (cosine 1.00)."
    )


def test_most_and_least_of_one_layer() -> None:
    said = what_they_show(NAMES, [layer("C3", [0.2, 0.2, 0.5, 0.1])])
    assert said.startswith("Of C3 the cat lights most (50 %), the noise least (10 %). ")
    said = what_they_show(NAMES, [layer("C3", [0.2, 0.2, 0.501, 0.499])])
    assert said.startswith("Of C3 the cat and the noise light most (50 %), the 4 and the 8 least (20 %). ")
    said = what_they_show(NAMES, [layer("C3", [0.2, 0.2, 0.2, 0.3])])
    assert said.startswith("Of C3 the noise lights most (30 %), 3 of the inputs least (20 %). ")


def test_small_shares_that_differ_manifold_are_not_the_same() -> None:
    assert "about the same share" in what_they_show(["4", "cat"], [layer("C3", [0.40, 0.44])])
    said = what_they_show(["4", "cat"], [layer("C1", [0.40, 0.445]), layer("C3", [0.01, 0.03])])
    assert said.startswith("Of C3 the cat lights most (3 %), the 4 least (1 %). ")


def test_the_pairs_that_look_most_and_least_alike() -> None:
    cosines = {(2, 3): 0.94, (0, 3): 0.12}
    said = what_they_show(NAMES, [layer("C3", [0.2] * 4, alike=cosines)])
    assert said.endswith(
        " To C3 the cat and the noise look most alike (cosine 0.94), the 4 and the noise least (0.12)."
    )
    said = what_they_show(NAMES, [layer("C3", [0.2] * 4, alike={**cosines, (0, 1): 0.943, (0, 3): -0.2})])
    assert said.endswith("(cosine 0.94, as does one more pair), the 4 and the noise least (−0.20).")


@pytest.mark.parametrize(
    ("cosine", "text"),
    [
        (1.0, "look very alike (cosine 1.00)"), (0.9990, "look very alike (cosine over 0.99)"),
        (0.7, "look rather alike (cosine 0.70)"), (-0.001, "do not look alike (cosine 0.00)"),
        (-1.0, "look like opposites (cosine −1.00)"),
    ],
)  # fmt: skip
def test_a_pair_in_words(cosine: float, text: str) -> None:
    said = what_they_show(["4", "8"], [layer("C3", [0.2, 0.2], alike={(0, 1): cosine})])
    assert said.endswith(f"To C3 the 4 and the 8 {text}.")


def test_names_that_repeat_and_names_of_files() -> None:
    said = what_they_show(["4", "4", "my cat.png"], [layer("C3", [0.1, 0.2, 0.5], alike={(0, 2): 0.1, (0, 1): 0.9})])
    assert said.startswith("Of C3 my cat.png lights most (50 %), the first 4 least (10 %). ")
    assert "the first 4 and the second 4 look most alike" in said
    numbered = what_they_show(["4 (1)", "cat", "4 (2)"], [layer("C3", [0.5, 0.2, 0.1])])
    assert numbered.startswith("Of C3 the first 4 lights most (50 %), the second 4 least (10 %). ")
    assert what_they_show(["cat.png"], [layer("C1", [0.5])]) == "cat.png lights 50 % of C1."
    said = what_they_show(["your drawing", "your drawing"], [layer("C1", [0.5, 0.1])])
    assert said.startswith("Of C1 the first drawing lights most")
    assert what_they_show(["your drawing"], [layer("C1", [0.5])]).startswith("Your drawing lights")


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="C1 has numbers for 2 inputs, not 1"):
        what_they_show(["4"], [layer("C1", [0.1, 0.2])])
    with pytest.raises(ValueError, match="not 3"):
        what_they_show(["4"], [layer("C1", [0.1])] * 3)


@pytest.mark.parametrize("count", range(1, 9))
def test_any_numbers_make_a_sentence_or_two(count: int) -> None:
    """Also of a network that overflowed: nothing fails, nothing reads as a number that is none."""
    random = np.random.default_rng(count)
    odd = (0.0, 1.0, 0.5, np.nan, np.inf)
    for trial, layers in product(range(60), (1, 2)):
        numbers = []
        for index in range(layers):
            cosines = random.choice((0.3, -1.0, 1.0, np.nan), (count, count))
            strength = random.choice(odd, count) if trial % 2 else random.random(count)
            shares = random.choice((0.0, 0.2, 1.0), count) if trial % 3 else random.random(count)
            numbers.append(LayerNumbers(f"C{index}", shares, strength, cosines))
        said = what_they_show([str(index % 3) for index in range(count)], numbers)
        assert said.endswith(".")
        assert 1 <= said.count(". ") + 1 <= 2
        assert "nan" not in said
        assert "inf" not in said
