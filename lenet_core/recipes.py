"""Trainings described once: an architecture, a data set, an optimiser, and what to hold it against."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet_core.architecture import Architecture
from lenet_core.bounds import check_choice, check_number, shorten
from lenet_core.data_sets import DATA_SETS
from lenet_core.presets import preset

OPTIMISERS = ("adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine", "warmup-linear")
LOSSES = ("cross-entropy", "map")


@dataclass(frozen=True)
class Augmentation:
    """How far training images are varied; every amount is the largest, drawn evenly to both sides.

    `shift` in pixels, `rotation` in degrees, `shear` as a fraction, `scale` and `aspect` as factors
    (1.1 is a tenth larger or smaller). `slashed_zeros`, `crossed_sevens` and `flagged_ones` are the
    fractions of those digits that get an extra stroke.
    """

    shift: float = 0.0
    rotation: float = 0.0
    shear: float = 0.0
    scale: float = 1.0
    aspect: float = 1.0
    slashed_zeros: float = 0.0
    crossed_sevens: float = 0.0
    flagged_ones: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("shift", 0, 14), ("rotation", 0, 180), ("shear", 0, 1), ("scale", 1, 4), ("aspect", 1, 4),
            ("slashed_zeros", 0, 1), ("crossed_sevens", 0, 1), ("flagged_ones", 0, 1),
        ):  # fmt: skip
            check_number(name, getattr(self, name), low, high, whole=False)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, apart from the machine it runs on.

    `share` is the fraction of the data set's training images that are used, and `validation` the
    fraction of those that is held out. `schedule` "linear" and "cosine" lower the learning rate to 0
    over all steps; "warmup-linear" raises it from 0 over the first fifth of them and lowers it linearly
    to 0 at the last. `loss` "map" is LeCun et al. 1998, equation 9, with a rubbish class at distance
    `rubbish`. `reference` is what was published for this training, with its source.

    Raises:
        ValueError: a value out of its range.
    """

    name: str
    architecture: Architecture
    data: str
    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: str = "adam"
    schedule: str = "constant"
    loss: str = "cross-entropy"
    rubbish: float = 0.1
    label_smoothing: float = 0.0
    momentum: float = 0.0
    weight_decay: float = 0.0
    augmentation: Augmentation | None = None
    share: float = 1.0
    validation: float = 0.0
    seed: int = 0
    reference: str = ""

    def __post_init__(self) -> None:
        for name, choices in (
            ("data", tuple(DATA_SETS)), ("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("loss", LOSSES),
        ):  # fmt: skip
            check_choice(name, getattr(self, name), choices)
        for name, low, high, whole in (
            ("epochs", 1, 10_000, True), ("batch_size", 1, 60_000, True), ("learning_rate", 0, 100, False),
            ("rubbish", 0, 1e3, False), ("label_smoothing", 0, 0.99, False), ("momentum", 0, 1, False),
            ("weight_decay", 0, 10, False), ("share", 0.001, 1, False), ("validation", 0, 0.9, False),
            ("seed", 0, 2**32, True),
        ):  # fmt: skip
            check_number(name, getattr(self, name), low, high, whole)
        classes = len(DATA_SETS[self.data].classes)
        if self.architecture.num_classes < classes:
            raise ValueError(
                f"{self.architecture.name} has {self.architecture.num_classes} outputs, too few for the "
                f"{classes} classes of {self.data}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Recipe:
        """The recipe that a plain dictionary describes.

        Raises:
            ValueError: a field is missing, unknown, of a wrong type or out of its range.
        """
        try:
            fields = dict(description)
            fields["architecture"] = Architecture.from_dict(fields["architecture"])
            if fields.get("augmentation") is not None:
                fields["augmentation"] = Augmentation(**fields["augmentation"])
            return cls(**fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"This is not a recipe: {error}.") from error


_PEN = Augmentation(
    shift=1, rotation=7, shear=0.1, aspect=1.15, slashed_zeros=0.12, crossed_sevens=0.12, flagged_ones=0.2
)


def _draw_recipe(name: str, **changes: Any) -> Recipe:
    """A training for digits that people draw: MNIST alone, varied as hands vary."""
    recipe = Recipe(
        name=f"{name}-draw",
        architecture=preset(name),
        data="mnist",
        epochs=16,
        batch_size=64,
        learning_rate=4e-3,
        schedule="warmup-linear",
        label_smoothing=0.05,
        augmentation=_PEN,
    )
    return dataclasses.replace(recipe, **changes)


def _fastest(
    name: str, epochs: int, batch_size: int, learning_rate: float, smoothing: float, held: str, shift: float = 0
) -> Recipe:
    """A training of the modern LeNet for an accuracy in little time (`python -m benchmarks.time_to_accuracy`)."""
    return Recipe(
        name, preset("lenet-modern"), "mnist", epochs, batch_size, learning_rate, schedule="warmup-linear",
        label_smoothing=smoothing, augmentation=Augmentation(shift=shift) if shift else None,
        reference=f"{held}, held in a reference study over 3 seeds",
    )  # fmt: skip


def _recipes() -> list[Recipe]:
    return [
        Recipe(
            "lenet-d2l", preset("lenet-d2l"), "fashion-mnist", epochs=10, batch_size=128, learning_rate=0.1,
            optimiser="sgd", validation=0.1,
            reference="validation accuracy 0.728 after 10 epochs on Fashion-MNIST, one run "
            "(Dive into Deep Learning, section 7.6, read off its plot)",
        ),
        Recipe(
            "d2l-2023", preset("lenet-d2l"), "fashion-mnist", epochs=10, batch_size=128, learning_rate=0.1,
            optimiser="sgd",
            reference="accuracy .101 .101 .100 .100 .483 .595 .654 .679 .706 .728 after epochs 1 to 10, one run, on "
            "Fashion-MNIST's test images (Dive into Deep Learning, 2023, section 7.6, read off its plot)",
        ),
        Recipe(
            "d2l-2021", preset("lenet-d2l"), "fashion-mnist", epochs=10, batch_size=256, learning_rate=0.9,
            optimiser="sgd",
            reference="loss 0.469, training accuracy 0.824, test accuracy 0.776 (Dive into Deep Learning, 2021, "
            "section 6.6; others' runs 0.741 to 0.800)",
        ),
        Recipe(
            "lenet5-tanh", preset("lenet5-tanh"), "mnist", epochs=3, batch_size=64, learning_rate=1e-3,
            validation=0.1, reference="98.2 % of the test images in a reference run, one seed",
        ),
        Recipe(
            "lenet5-1998", preset("lenet5-1998"), "mnist", epochs=20, batch_size=64, learning_rate=2e-3,
            schedule="warmup-linear", loss="map", validation=0.1,
            reference="0.95 % test error within 20 passes, without distortions (LeCun et al. 1998, section III.B)",
        ),
        Recipe(
            "lenet5-1998-distorted", preset("lenet5-1998"), "mnist", epochs=20, batch_size=64,
            learning_rate=2e-3, schedule="warmup-linear", loss="map", validation=0.1,
            augmentation=Augmentation(shift=1, rotation=10, shear=0.1, scale=1.1),
            reference="0.8 % test error with distortions (LeCun et al. 1998, section III.B)",
        ),
        Recipe(
            "lenet-modern", preset("lenet-modern"), "mnist", epochs=5, batch_size=32, learning_rate=1e-3,
            validation=0.1, reference='"about 99.2 %" claimed; 98.89 % in a reference run, mean of 3 seeds',
        ),
        Recipe(
            "alexnet-cifar", preset("alexnet-cifar"), "cifar10", epochs=10, batch_size=128,
            learning_rate=0.01, optimiser="sgd", momentum=0.9, weight_decay=5e-4, validation=0.1,
        ),
        _fastest("fastest-99", 2, 64, 4e-3, 0.1, "99.0 % within 2 epochs"),
        _fastest("fastest-99.2", 4, 64, 4e-3, 0.1, "99.2 % within 3 epochs"),
        _fastest("fastest-99.4", 8, 64, 4e-3, 0.05, "99.4 % within 10 epochs", shift=1),
        _draw_recipe("lenet-modern"),
        _draw_recipe("lenet5-tanh", learning_rate=2e-3),
        _draw_recipe(
            "lenet5-1998", epochs=20, learning_rate=2e-3, loss="map", label_smoothing=0.0,
        ),
        _draw_recipe("lenet-d2l", epochs=20),
        Recipe(
            "lenet-d2l-fashion", preset("lenet-d2l"), "fashion-mnist", epochs=16, batch_size=64,
            learning_rate=4e-3, schedule="warmup-linear",
        ),
    ]  # fmt: skip


RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _recipes()}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in RECIPES:
        raise ValueError(f"There is no recipe {shorten(name)}; there are {', '.join(RECIPES)}.")
    return RECIPES[name]
