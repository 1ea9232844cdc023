"""Training: losses and schedules by hand, `fit` against a plain loop, recipes as descriptions."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.architecture import Architecture
from lenet_core.data import DataSet, load, to_input
from lenet_core.evaluate import evaluate
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.presets import preset
from lenet_core.recipes import RECIPES, Augmentation, Recipe, recipe_named
from lenet_core.train import Epoch, Step, Training, learning_rate_at, map_loss, objective, split

MODERN = RECIPES["lenet-modern"]


@pytest.fixture(scope="module")
def digits() -> DataSet:
    """The bundled sample's 4,000 training digits."""
    return load("mnist-5k", train=True)


@pytest.fixture(scope="module")
def few(digits: DataSet) -> DataSet:
    """500 of them, 50 of each."""
    return digits.take(torch.arange(0, 4_000, 8))


def recipe(**changes: Any) -> Recipe:
    """The modern LeNet's recipe for one short training on the sample, with changes."""
    return dataclasses.replace(
        MODERN, **{"data": "mnist-5k", "epochs": 1, "batch_size": 64, "validation": 0.0, **changes}
    )


def trained(how: Recipe, data: DataSet) -> tuple[nn.Sequential, list[Step], list[Epoch]]:
    """A network after the whole training, with what was told on the way."""
    net = build(how.architecture, seed=how.seed)
    events = list(Training(net, how, data))
    steps = [event for event in events if isinstance(event, Step)]
    return net, steps, [event for event in events if isinstance(event, Epoch)]


def same_weights(left: nn.Module, right: nn.Module) -> bool:
    return all(torch.equal(value, right.state_dict()[key]) for key, value in left.state_dict().items())


# --- losses and schedules ----------------------------------------------------------------------


def test_map_loss_is_equation_9_of_the_1998_paper() -> None:
    distances = [[1.0, 3.0, 5.0], [2.0, 0.5, 4.0]]
    labels, rubbish = [0, 2], 1.5
    expected = [
        y[label] + math.log(math.exp(-rubbish) + sum(math.exp(-other) for other in y))
        for y, label in zip(distances, labels, strict=True)
    ]
    loss = map_loss(-torch.tensor(distances), torch.tensor(labels), rubbish)
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-6)


def test_map_loss_pushes_away_even_a_right_answer_that_is_too_far() -> None:
    # All classes as far as the rubbish class: log of 11 equal chances, not of 10.
    assert map_loss(torch.full((1, 10), -0.1), torch.tensor([3]), 0.1).item() == pytest.approx(math.log(11))


def test_cross_entropy_with_smoothed_labels_by_hand() -> None:
    logits, label, smoothing = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), 0.3
    log_sum = math.log(math.exp(2) + 1 + math.exp(-1))
    expected = 0.8 * (log_sum - 2) + 0.1 * log_sum + 0.1 * (log_sum + 1)  # 0.7 + 0.3/3, 0.3/3, 0.3/3
    assert objective(recipe(label_smoothing=smoothing))(logits, label).item() == pytest.approx(expected, rel=1e-6)


def test_each_recipe_gets_its_own_loss() -> None:
    logits, labels = torch.tensor([[-1.0, -2.0]]), torch.tensor([1])
    plain = 2 + math.log(math.exp(-1) + math.exp(-2))
    with_rubbish = 2 + math.log(math.exp(-0.1) + math.exp(-1) + math.exp(-2))
    assert objective(recipe())(logits, labels).item() == pytest.approx(plain, rel=1e-6)
    assert objective(recipe(loss="map"))(logits, labels).item() == pytest.approx(with_rubbish, rel=1e-6)


def test_a_constant_learning_rate_is_constant() -> None:
    assert {learning_rate_at(recipe(learning_rate=0.02), step, 50) for step in range(50)} == {0.02}


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 1 / 20), (9, 10 / 20), (19, 1.0), (20, 1.0), (40, 60 / 80), (60, 40 / 80), (99, 1 / 80)],
)
def test_the_learning_rate_rises_over_a_fifth_and_falls_to_the_end(step: int, share: float) -> None:
    how = recipe(learning_rate=0.4, schedule="warmup-linear")
    assert learning_rate_at(how, step, 100) == pytest.approx(0.4 * share)


@pytest.mark.parametrize(("schedule", "half", "last"), [("linear", 0.5, 0.01), ("cosine", 0.5, 0.000247)])
def test_the_learning_rate_falls_from_the_first_step(schedule: str, half: float, last: float) -> None:
    how = recipe(learning_rate=0.4, schedule=schedule)
    rates = [learning_rate_at(how, step, 100) for step in (0, 50, 99)]
    assert rates == pytest.approx([0.4, 0.4 * half, 0.4 * last], rel=1e-2)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 7])
def test_a_very_short_schedule_still_learns(total: int) -> None:
    rates = [learning_rate_at(recipe(learning_rate=1, schedule="warmup-linear"), step, total) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == 1


# --- training ---------------------------------------------------------------------------------------


def test_one_pass_over_the_sample_reaches_80_percent(digits: DataSet) -> None:
    net, steps, epochs = trained(recipe(batch_size=32), digits)
    assert evaluate(net, load("mnist-5k", train=False), (1, 28, 28)).accuracy > 0.8
    assert len(steps) == 125
    assert len(epochs) == 1


def test_what_is_told_on_the_way(few: DataSet) -> None:
    how = recipe(epochs=2, learning_rate=0.01, schedule="warmup-linear", validation=0.1)
    events = list(Training(build(how.architecture, seed=0), how, few))
    steps = [event for event in events if isinstance(event, Step)]
    # 450 images make 7 batches of 64 and one of 2.
    assert [type(event) for event in events] == ([Step] * 8 + [Epoch]) * 2
    assert [step.step for step in steps] == list(range(1, 17))
    assert [step.epoch for step in steps] == [0] * 8 + [1] * 8
    assert {step.total_steps for step in steps} == {16}
    assert [step.learning_rate for step in steps] == [learning_rate_at(how, step, 16) for step in range(16)]
    epochs = [event for event in events if isinstance(event, Epoch)]
    sizes = [64] * 7 + [2]
    for number, epoch in enumerate(epochs):
        losses = [float(step.loss) for step in steps if step.epoch == number]
        mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / 450
        assert epoch.loss == pytest.approx(mean, rel=1e-5)
        assert epoch.epoch == number
        assert epoch.validation is not None
        assert (epoch.validation.accuracy * 50) == pytest.approx(round(epoch.validation.accuracy * 50))


def test_without_held_out_images_there_is_no_validation_accuracy(few: DataSet) -> None:
    assert trained(recipe(), few)[2][0].validation is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augmentation": Augmentation(shift=2, rotation=10, slashed_zeros=0.5)},
        {"validation": 0.2},
        {"architecture": preset("lenet5-1998"), "loss": "map"},
        {"architecture": preset("lenet-modern").replace(initialisation="lecun", activation="gelu")},
    ],
    ids=["plain", "augmented", "held out", "1998", "gelu"],
)
def test_the_same_training_gives_the_same_weights(changes: dict[str, Any], few: DataSet) -> None:
    torch.manual_seed(1)
    first, steps, _ = trained(recipe(**changes), few)
    torch.manual_seed(2)
    second, again, _ = trained(recipe(**changes), few)
    assert same_weights(first, second)
    assert [float(step.loss) for step in steps] == [float(step.loss) for step in again]
    assert not same_weights(first, trained(recipe(**changes, seed=1), few)[0])


PLAIN_ADAM = {"learning_rate": 0.003}
PLAIN_SGD = {"optimiser": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5e-4}


@pytest.mark.parametrize(
    "changes",
    [
        PLAIN_ADAM,
        PLAIN_SGD,
        {**PLAIN_ADAM, "schedule": "warmup-linear", "label_smoothing": 0.1, "weight_decay": 1e-3},
        {**PLAIN_SGD, "validation": 0.2, "architecture": preset("lenet5-tanh")},
    ],
    ids=["adam", "sgd", "adam with all it takes", "sgd with held-out images"],
)
def test_training_equals_a_plain_loop(changes: dict[str, Any], few: DataSet) -> None:
    how = recipe(epochs=2, batch_size=96, seed=5, **changes)
    net, steps, _ = trained(how, few)

    plain = build(how.architecture, seed=how.seed)
    if how.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            plain.parameters(), lr=how.learning_rate, momentum=how.momentum, weight_decay=how.weight_decay
        )
    else:
        optimiser = torch.optim.Adam(plain.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    count = round(500 * how.validation)
    held_out = torch.randperm(500, generator=torch.Generator().manual_seed(5))[:count]
    # Training images keep the order that the split drew them in.
    kept = torch.randperm(500, generator=torch.Generator().manual_seed(5))[count:]
    assert not set(held_out.tolist()) & set(kept.tolist())
    generator, losses = torch.Generator().manual_seed(5), []
    batches = math.ceil(len(kept) / 96)
    for epoch in range(2):
        order = kept[torch.randperm(len(kept), generator=generator)]
        for number, batch in enumerate(order.split(96)):
            done = epoch * batches + number
            if how.schedule == "warmup-linear":
                rise, total = max(1, 2 * batches // 5), 2 * batches
                share = min((done + 1) / rise, (total - done) / (total - rise), 1)
                optimiser.param_groups[0]["lr"] = how.learning_rate * share
            optimiser.zero_grad()
            logits = plain(to_input(few.images[batch], how.architecture.input_shape))
            loss = F.cross_entropy(logits, few.labels[batch], label_smoothing=how.label_smoothing)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())

    assert [float(step.loss) for step in steps] == pytest.approx(losses, rel=1e-4)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(net.state_dict()[key], value, rtol=1e-3, atol=1e-5)


def test_the_order_of_images_changes_from_pass_to_pass(few: DataSet) -> None:
    # At a learning rate of 0 a batch's loss tells which images it holds.
    _, steps, _ = trained(recipe(epochs=2, learning_rate=0, batch_size=50), few)
    first, second = ([float(step.loss) for step in steps if step.epoch == epoch] for epoch in (0, 1))
    assert first != second
    assert sum(first) == pytest.approx(sum(second), rel=1e-5)


def indexed(count: int) -> DataSet:
    """Images that tell their own index."""
    numbers = torch.arange(count)
    images = torch.stack([numbers // 256, numbers % 256], dim=1).to(torch.uint8).reshape(count, 1, 1, 2)
    return DataSet("mnist-5k", "numbers", images, numbers % 10, tuple("0123456789"))


def indices(data: DataSet) -> list[int]:
    return (data.images[:, 0, 0, 0].int() * 256 + data.images[:, 0, 0, 1].int()).tolist()


@pytest.mark.parametrize(("validation", "count"), [(0, 0), (0.001, 1), (0.3, 300), (0.9, 900)])
def test_a_split_is_disjoint_and_complete(validation: float, count: int) -> None:
    train, held_out = split(indexed(1_000), recipe(validation=validation, seed=3))
    assert (len(train), len(held_out)) == (1_000 - count, count)
    assert sorted(indices(train) + indices(held_out)) == list(range(1_000))
    assert all(int(label) == index % 10 for label, index in zip(held_out.labels, indices(held_out), strict=True))


def test_a_split_is_drawn_by_its_seed() -> None:
    first, again, other = (indices(split(indexed(1_000), recipe(validation=0.3, seed=seed))[1]) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert sorted(first) != list(range(300))


def test_a_share_is_a_part_of_the_images_and_the_rest_is_not_looked_at() -> None:
    train, held_out = split(indexed(1_000), recipe(share=0.2, validation=0.25, seed=3))
    assert (len(train), len(held_out)) == (150, 50)
    assert len(set(indices(train) + indices(held_out))) == 200


def test_nothing_left_to_train_on_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"share of 0\.001 of 400 images"):
        split(indexed(400), recipe(share=0.001))


def test_held_out_images_are_never_trained_on(few: DataSet) -> None:
    how = recipe(validation=0.4, seed=9)
    held_out = torch.randperm(500, generator=torch.Generator().manual_seed(9))[:200]
    spoilt = few.images.clone()
    spoilt[held_out] = 255 - spoilt[held_out]
    net, _, epochs = trained(how, few)
    other, _, spoilt_epochs = trained(how, dataclasses.replace(few, images=spoilt))
    assert same_weights(net, other)
    assert epochs[0].validation.accuracy != spoilt_epochs[0].validation.accuracy
    expected = evaluate(net, few.take(held_out), (1, 28, 28)).accuracy
    assert epochs[0].validation.accuracy == pytest.approx(expected)


def test_stopping_midway_leaves_a_network_that_can_be_used(digits: DataSet) -> None:
    how = recipe(batch_size=32)
    net, start = build(how.architecture, seed=0), build(how.architecture, seed=0)
    training = Training(net, how, digits)
    losses = [float(step.loss) for step in itertools.islice(training, 60) if isinstance(step, Step)]
    assert not same_weights(net, start)
    test = load("mnist-5k", train=False)
    assert evaluate(net, test, (1, 28, 28)).accuracy > evaluate(start, test, (1, 28, 28)).accuracy + 0.2
    _, steps, _ = trained(how, digits)
    assert losses == [float(step.loss) for step in steps[:60]]  # the first part of the whole training


INTERRUPTED = {
    "adam": {"validation": 0.2},
    "sgd": {**PLAIN_SGD, "schedule": "cosine"},
    "augmented": {"augmentation": Augmentation(shift=2, rotation=10, slashed_zeros=0.5)},
    "dropout": {"architecture": preset("lenet-modern").replace(dropout=0.3)},
    "1998": {"architecture": preset("lenet5-1998"), "loss": "map"},
}


@pytest.mark.parametrize("changes", INTERRUPTED.values(), ids=INTERRUPTED)
@pytest.mark.parametrize("at", [1, 8, 9, 13])  # of 8 steps and an `Epoch`, twice
def test_a_training_taken_up_again_is_bitwise_the_uninterrupted_one(
    changes: dict[str, Any], at: int, few: DataSet
) -> None:
    how = recipe(epochs=2, **changes)
    whole, steps, epochs = trained(how, few)
    first = Training(build(how.architecture, seed=0), how, few)
    begun = list(itertools.islice(first, at))
    kept = {name: tensor.clone() for name, tensor in first.state().items()}
    second = Training(build(how.architecture, seed=7), how, few)
    second.load_state(kept)
    events = begun + list(second)
    assert same_weights(second.net, whole)
    assert [float(event.loss) for event in events] == [
        float(e.loss) for e in sorted([*steps, *epochs], key=lambda event: (event.epoch, isinstance(event, Epoch)))
    ]


@pytest.mark.parametrize("changes", [{}, INTERRUPTED["augmented"]], ids=["plain", "augmented"])
def test_a_training_can_be_iterated_again_and_goes_on(changes: dict[str, Any], few: DataSet) -> None:
    how = recipe(epochs=2, **changes)
    whole, _, _ = trained(how, few)
    training = Training(build(how.architecture, seed=0), how, few)
    told = [event for count in (3, 7, 100) for event in itertools.islice(training, count)]
    assert [type(event) for event in told] == ([Step] * 8 + [Epoch]) * 2
    assert same_weights(training.net, whole)


def test_the_state_of_another_training_is_refused(few: DataSet) -> None:
    other = recipe(architecture=preset("lenet5-tanh"))
    state = Training(build(other.architecture), other, few).state()
    with pytest.raises(ValueError, match="another training"):
        Training(build(MODERN.architecture), recipe(), few).load_state(state)


def test_a_network_without_parameters_is_a_value_error(few: DataSet) -> None:
    arch = Architecture("nothing", (1, 28, 28), (), (), head="rbf")
    with pytest.raises(ValueError, match="no parameters"):
        Training(build(arch), recipe(architecture=arch), few)


def test_dropout_is_on_in_training_and_off_in_validation(few: DataSet) -> None:
    arch = Architecture("drop", (1, 28, 28), (Conv(4, pool=4),), (32,), dropout=0.9)
    how = recipe(architecture=arch, learning_rate=0, validation=0.5, epochs=2)
    net = build(arch, seed=0).eval()  # as a loaded network is
    epochs = [event for event in Training(net, how, few) if isinstance(event, Epoch)]
    held_out = torch.randperm(500, generator=torch.Generator().manual_seed(0))[:250]
    net.eval()
    logits = net(to_input(few.images[held_out], (1, 28, 28)))
    expected = (logits.argmax(1) == few.labels[held_out]).float().mean().item()
    assert [epoch.validation.accuracy for epoch in epochs] == pytest.approx([expected] * 2)
    kept = torch.randperm(500, generator=torch.Generator().manual_seed(0))[250:]
    without_dropout = F.cross_entropy(net(to_input(few.images[kept], (1, 28, 28))), few.labels[kept]).item()
    assert abs(epochs[0].loss - without_dropout) > 1e-3


@pytest.mark.parametrize("name", ["lenet5-1998", "alexnet-cifar"])
def test_images_are_fitted_to_the_networks_input(name: str, few: DataSet) -> None:
    arch = preset(name) if name == "lenet5-1998" else preset(name).replace(channels=(4,) * 5, dense=(8,))
    _, steps, _ = trained(recipe(architecture=arch, loss="map" if arch.head == "rbf" else "cross-entropy"), few)
    assert all(math.isfinite(float(step.loss)) for step in steps)


def test_images_that_do_not_fit_are_a_value_error(few: DataSet) -> None:
    how = recipe(architecture=preset("lenet-modern", input_channels=2))
    colour = dataclasses.replace(few, images=few.images.expand(-1, 3, -1, -1))
    with pytest.raises(ValueError, match="channels"):
        Training(build(how.architecture, seed=0), how, colour)


def test_classes_that_do_not_fit_are_a_value_error(few: DataSet) -> None:
    letters = dataclasses.replace(few, labels=few.labels + 20, classes=tuple("abcdefghijklmnopqrstuvwxyzABCD"))
    with pytest.raises(ValueError, match=r"10.*30|30.*10"):
        Training(build(MODERN.architecture, seed=0), recipe(), letters)


def test_the_data_that_went_in_is_left_alone(few: DataSet) -> None:
    images, labels = few.images.clone(), few.labels.clone()
    trained(recipe(augmentation=Augmentation(shift=2, crossed_sevens=1)), few)
    assert torch.equal(few.images, images)
    assert torch.equal(few.labels, labels)


def test_augmented_images_are_what_the_network_sees() -> None:
    # A sideways shift of up to 14 pixels of a spot: the losses spread, though all images are equal.
    images = torch.zeros(256, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 12:16, 12:16] = 255
    spots = DataSet("mnist-5k", "spots", images, torch.zeros(256, dtype=torch.int64), tuple("0123456789"))

    def losses(**changes: Any) -> Tensor:
        return torch.stack([step.loss for step in trained(recipe(batch_size=1, learning_rate=0, **changes), spots)[1]])

    assert losses().std() < 1e-6
    assert losses(augmentation=Augmentation(shift=10)).std() > 1e-4


# --- recipes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_back_from_json_equal(name: str) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(RECIPES[name].to_dict()))) == RECIPES[name]


@pytest.mark.parametrize("name", ["lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern", "alexnet-cifar"])
def test_a_preset_has_its_recipe(name: str) -> None:
    assert recipe_named(name).architecture == preset(name)
    assert recipe_named(name).name == name


def test_every_bundled_network_has_its_recipe() -> None:
    for name in ("lenet-modern-draw", "lenet5-tanh-draw", "lenet5-1998-draw", "lenet-d2l-draw"):
        assert recipe_named(name).architecture == preset(name.removesuffix("-draw"))
        assert recipe_named(name).data == "mnist"
    assert recipe_named("lenet-d2l-fashion").data == "fashion-mnist"


def test_an_rbf_output_is_trained_with_the_papers_loss() -> None:
    assert {how.loss for how in RECIPES.values() if how.architecture.head == "rbf"} == {"map"}


def test_an_unknown_recipe_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"lenet-7.*lenet-modern"):
        recipe_named("lenet-7")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, ("epochs", "1", "0")),
        ({"epochs": 2.5}, ("epochs", "2.5")),
        ({"epochs": True}, ("epochs", "True")),
        ({"epochs": "3"}, ("epochs", "3")),
        ({"batch_size": 0}, ("batch_size",)),
        ({"batch_size": 10**9}, ("batch_size", "60,000")),
        ({"learning_rate": -0.1}, ("learning_rate", "-0.1")),
        ({"learning_rate": math.nan}, ("learning_rate", "nan")),
        ({"learning_rate": math.inf}, ("learning_rate", "inf")),
        ({"momentum": 1.5}, ("momentum", "1.5")),
        ({"weight_decay": -1}, ("weight_decay", "-1")),
        ({"label_smoothing": 1}, ("label_smoothing", "0.99")),
        ({"rubbish": -1}, ("rubbish", "-1")),
        ({"validation": -1}, ("validation", "-1")),
        ({"seed": -1}, ("seed", "-1")),
        ({"seed": 2**33}, ("seed",)),
        ({"optimiser": "lion"}, ("optimiser", "lion", "adam")),
        ({"schedule": "stairs"}, ("schedule", "stairs")),
        ({"loss": "hinge"}, ("loss", "hinge")),
        ({"data": "imagenet"}, ("data", "imagenet", "mnist-5k")),
        ({"architecture": preset("lenet-modern", num_classes=9)}, ("9", "10", "mnist-5k")),
    ],
)
def test_a_bad_value_in_a_recipe_is_a_value_error_that_names_it(
    changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        recipe(**changes)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message


def test_descriptions_that_are_no_recipes_are_value_errors() -> None:
    good: dict[str, Any] = json.loads(json.dumps(RECIPES["lenet-modern-draw"].to_dict()))
    for bad in (
        None, [], "recipe", 5, {}, {**good, "colour": 1}, {**good, "architecture": None},
        {**good, "architecture": {**good["architecture"], "dense": [0]}}, {**good, "augmentation": [1]},
        {**good, "augmentation": {"blur": 1}}, {**good, "augmentation": {"shift": -1}}, {**good, "epochs": [1]},
        {**good, "data": ["mnist"]}, {key: value for key, value in good.items() if key != "architecture"},
        {key: value for key, value in good.items() if key != "epochs"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            Recipe.from_dict(bad)  # type: ignore[arg-type]


def test_dropout_draws_by_the_recipes_seed_and_leaves_other_draws_alone(few: DataSet) -> None:
    dropping = recipe(architecture=MODERN.architecture.replace(dropout=0.5))
    nets = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        expected = torch.rand(3)
        torch.manual_seed(disturbance)
        nets.append(trained(dropping, few)[0])
        assert torch.equal(torch.rand(3), expected)
    assert same_weights(*nets)
