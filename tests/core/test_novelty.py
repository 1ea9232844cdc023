"""By what one may doubt an answer: scores by hand, where a value stands among others, what a file may claim."""

from __future__ import annotations

import json
from math import exp, inf, log, nan
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet_core.architecture import HEADS
from lenet_core.checkpoint import load_checkpoint, read_description
from lenet_core.data import DataSet, load
from lenet_core.evaluate import evaluate
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.novelty import SCORES, Familiar, scores
from lenet_core.presets import preset

EVENLY = tuple(float(value) for value in range(101))  # the scores 0 to 100, one image each


def familiar(*quantiles: float, images: int = 10_000) -> Familiar:
    return Familiar("MNIST", images, {"energy": quantiles or EVENLY})


def description(**changes: Any) -> dict[str, Any]:
    return {"data": "MNIST", "images": 10_000, "quantiles": {"energy": list(EVENLY)}, **changes}


# --- scores ------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    logits = torch.tensor([[log(1.0), log(2.0), log(5.0)], [-3.0, -3.0, -3.0]])
    result = scores(logits, "linear")
    assert set(result) == {"confidence", "energy"}
    assert result["confidence"].tolist() == pytest.approx([5 / 8, 1 / 3])
    assert result["energy"].tolist() == pytest.approx([log(8), -3 + log(3)])


def test_only_a_network_with_codes_has_a_distance_to_the_nearest() -> None:
    """The outputs of an RBF layer are minus squared distances (LeCun et al. 1998, equation 7)."""
    result = scores(torch.tensor([[-9.0, -4.0, -16.0]]), "rbf")
    assert list(result) == list(SCORES)
    assert result["distance"].tolist() == [-4]
    assert result["energy"].tolist() == pytest.approx([log(exp(-9) + exp(-4) + exp(-16))])


def test_every_score_is_larger_for_what_excites_one_class_more() -> None:
    surer, less_sure = torch.tensor([[-1.0, -20.0, -20.0]]), torch.tensor([[-6.0, -8.0, -7.0]])
    for name, value in scores(surer, "rbf").items():
        assert value > scores(less_sure, "rbf")[name], name


def test_large_logits_stay_finite() -> None:
    for values in scores(torch.tensor([[2e4, -2e4], [-2e4, -2e4]]), "rbf").values():
        assert values.isfinite().all()


def test_logits_of_another_shape_and_unknown_heads_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, classes\), not \(3,\)"):
        scores(torch.zeros(3), "linear")
    with pytest.raises(ValueError, match=", ".join(HEADS)):
        scores(torch.zeros(1, 3), "cosine")


# --- where a value stands ----------------------------------------------------------------------


def test_quantiles_of_scores_by_hand() -> None:
    made = Familiar.from_scores("MNIST", {"energy": torch.arange(201.0).flip(0), "confidence": torch.ones(201)})
    assert made.images == 201
    assert made.quantiles["energy"] == tuple(2.0 * step for step in range(101))
    assert made.quantiles["confidence"] == (1.0,) * 101


def test_quantiles_have_six_digits_so_that_a_header_stays_small() -> None:
    made = Familiar.from_scores("MNIST", {"energy": torch.linspace(-1 / 3, 7e5 / 9, 1_000)})
    assert made.quantiles["energy"][0] == -0.333333
    assert all(len(str(value)) <= 12 for value in made.quantiles["energy"])


@pytest.mark.parametrize(("value", "rank"), [(-0.5, 0), (0.5, 0.005), (37, 0.37), (37.25, 0.3725), (100.5, 1)])
def test_rank_is_the_share_below(value: float, rank: float) -> None:
    assert familiar().rank("energy", value) == pytest.approx(rank)


def test_only_what_is_outside_ranks_below_or_above_all() -> None:
    """A sentence says "lower than all 10,000" by it."""
    one = familiar()
    assert 0 < one.rank("energy", 0) < 1e-3
    assert 1 > one.rank("energy", 100) > 1 - 1e-3
    assert (one.rank("energy", -inf), one.rank("energy", inf), one.rank("energy", nan)) == (0, 1, 0)


def test_values_that_many_share_are_counted_half() -> None:
    saturated = familiar(*[0.5] * 1, *[0.9] * 10, *[1.0] * 90)
    assert saturated.rank("energy", 1.0) == pytest.approx((11 + 100) / 2 / 100)
    assert saturated.rank("energy", 0.9999999) == saturated.rank("energy", 1.0)  # 1 to six digits
    assert saturated.tied("energy", 1.0) == pytest.approx(0.89)
    assert saturated.tied("energy", 0.5) == saturated.tied("energy", 0.7) == 0
    assert saturated.rank("energy", 0.95) == pytest.approx(0.105)
    assert familiar(*[3.0] * 101).rank("energy", 3.0) == 0.5


def test_ranks_are_the_shares_of_the_scores_they_were_made_of() -> None:
    values = torch.randn(5_000, generator=torch.Generator().manual_seed(0)).double()
    made = Familiar.from_scores("MNIST", {"energy": values})
    for value in (-2.5, -1.3, 0.0, 0.4, 2.2):
        assert made.rank("energy", value) == pytest.approx(float((values < value).double().mean()), abs=0.004)


def test_a_score_without_quantiles_is_refused() -> None:
    for ask in (familiar().rank, familiar().tied):
        with pytest.raises(ValueError, match=r"'distance'; there are energy\."):
            ask("distance", 1.0)


# --- what a file may claim ---------------------------------------------------------------------


def test_a_spread_goes_through_json_unchanged() -> None:
    made = Familiar.from_scores(
        "MNIST", scores(torch.randn(300, 10, generator=torch.Generator().manual_seed(1)), "rbf")
    )
    assert Familiar.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert list(made.quantiles) == list(SCORES)


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (None, "data, images and quantiles, not None"),
        ([], "data, images and quantiles"),
        ({"data": "MNIST", "images": 1}, "data, images and quantiles"),
        (description(more=1), "data, images and quantiles"),
        (description(data=7), "data must be a text"),
        (description(data="x" * 81), "80"),
        (description(data="a\nb"), "printable"),
        (description(images=0), "images"),
        (description(images=True), "images"),
        (description(images=10**400), "images"),
        (description(quantiles=[]), "quantiles must be an object"),
        (description(quantiles={}), "a score or more"),
        (description(quantiles={"<script>": list(EVENLY)}), "confidence, energy, distance"),
        (description(quantiles={"energy": list(EVENLY[:-1])}), "101 numbers"),
        (description(quantiles={"energy": "9" * 101}), "101 numbers"),
        (description(quantiles={"energy": ["1"] * 101}), "finite numbers"),
        (description(quantiles={"energy": [True] * 101}), "finite numbers"),
        (description(quantiles={"energy": [None] * 101}), "finite numbers"),
        (description(quantiles={"energy": [*EVENLY[:-1], nan]}), "finite numbers"),
        (description(quantiles={"energy": [*EVENLY[:-1], inf]}), "finite numbers"),
        (description(quantiles={"energy": [*EVENLY[:-1], 10**400]}), "finite numbers"),
        (description(quantiles={"energy": [*EVENLY[:-1], [1]]}), "finite numbers"),
        (description(quantiles={"energy": [*EVENLY[:-1], 98.0]}), "must not fall"),
    ],
)
def test_a_strangers_spread_is_refused_unless_it_is_sound(hostile: object, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        Familiar.from_dict(hostile)
    assert len(str(refusal.value)) < 400


def test_scores_that_are_no_numbers_and_no_scores_have_no_quantiles() -> None:
    with pytest.raises(ValueError, match="finite"):
        Familiar.from_scores("MNIST", {"energy": torch.tensor([1.0, nan])})
    for empty in ({}, {"energy": torch.zeros(0)}):
        with pytest.raises(ValueError, match="at least one image"):
            Familiar.from_scores("MNIST", empty)


# --- as trainings and the bundled networks have it ----------------------------------------------


def test_an_evaluation_holds_the_scores_of_its_images() -> None:
    data = load("mnist-5k", train=False).take(slice(0, 1_000, 5))
    for name, names in (("lenet-modern", SCORES[:2]), ("lenet5-1998", SCORES)):
        arch = preset(name)
        net = build(arch, seed=0)
        found = evaluate(net, data, arch.input_shape).familiar
        assert found is not None
        assert (found.data, found.images, tuple(found.quantiles)) == (data.title, 200, names)
        assert found.quantiles["confidence"][100] <= 1


def test_a_network_whose_logits_are_no_numbers_is_still_evaluated() -> None:
    arch = preset("lenet-modern")
    net = build(arch, seed=0)
    torch.nn.init.constant_(net.get_submodule("output").get_parameter("bias"), inf)
    data = DataSet("x", "x", torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), ("0",))
    result = evaluate(net, data, arch.input_shape)
    assert (result.images, result.familiar) == (3, None)


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_network_holds_how_its_test_images_score(name: str, real_data: Path) -> None:
    """To three digits: another machine's arithmetic differs in the last ones."""
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    stored = Familiar.from_dict(checkpoint.training["familiar"])
    data = load("fashion-mnist" if name.endswith("-fashion") else "mnist", train=False, root=real_data)
    found = evaluate(checkpoint.net, data, checkpoint.architecture.input_shape).familiar
    assert found is not None
    assert (stored.data, stored.images) == (found.data, found.images) == (data.title, 10_000)
    assert list(stored.quantiles) == list(found.quantiles)
    for score, values in stored.quantiles.items():
        assert values == pytest.approx(found.quantiles[score], rel=1e-3, abs=1e-3), score


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_networks_description_stays_small(name: str) -> None:
    assert len(json.dumps(read_description(bundled_checkpoints()[name]))) < 10_000
