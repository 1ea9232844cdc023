"""Whether a training stands still at chance, what its numbers say of it, which knob ends it. Imports no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from lenet_core.data_sets import DATA_SETS
from lenet_core.history import History
from lenet_core.knobs import turn
from lenet_core.recipes import Recipe

MIN_STEPS, MIN_IMAGES = 100, 10_000  # every training begins at chance: shorter is no plateau
_POOL = 2_000  # images to judge by: chance of ten classes then varies by 0.7 % of them
_SIGMAS = 3.0
_UNEVEN = 0.15  # always the same answer is right for the largest class, up to 12 % more often than the mean one
_LEARNED = 0.02  # of ln(classes): the loss that has fallen so far has learned something
_DEAD, _STUCK = 0.9, 0.5  # flat units that stop a network: of ReLUs, half of which are 0 anyway, and of the others
_USUAL_RATE = {"adam": 0.001, "sgd": 0.1}  # both without momentum
_FAR_OFF, _TINY = 8.0, 100.0  # times from the usual rate; what a sigmoid's plateau would outlast anyway
_BRISK = 2.0  # times the usual rate, from which on ReLUs are in danger
_WEAKER = 4.0  # times a gradient is weaker in the first layer: worth a word


@dataclass(frozen=True)
class Plateau:
    """A stretch of a training at chance.

    It went from step `since` to step `until`, which is None while it lasts. `loss` is its mean loss, `gradients`
    the median length of each layer's gradient in it, and `flat` the median share of the layer's units whose
    activation is flat (fractions), by the layer's name from the input on; both empty before they were measured.
    """

    since: int
    until: int | None
    loss: float
    gradients: Mapping[str, float]
    flat: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """How many times longer the last layer's gradient is than the first layer's; 0 before that is known."""
        lengths = list(self.gradients.values())
        return lengths[-1] / lengths[0] if lengths and lengths[0] > 0 else 0.0


@dataclass(frozen=True)
class Explanation:
    """What to tell a learner about a plateau.

    `classes` is how many there are to guess among; `stands` says since when and until when, `why` what its numbers
    say. `changes` are the knobs that end it, name to value, and `recipe` is the training with them; there are none,
    and it is None, where no knob is known to.
    """

    plateau: Plateau
    classes: int
    stands: str
    why: str
    changes: Mapping[str, str]
    recipe: Recipe | None


def explain(history: History, recipe: Recipe) -> Explanation | None:
    """The explanation of the run's longest stretch at chance, also when it is over; None where there was none."""
    plateau = find(history, recipe)
    if plateau is None:
        return None
    changes, why = _cause(plateau, recipe)
    turned = turn(recipe, changes) if changes else None
    return Explanation(plateau, _classes(recipe), _stands(plateau, history), why, changes, turned)


def find(history: History, recipe: Recipe) -> Plateau | None:
    """The longest stretch of a training at chance, of at least `MIN_STEPS` steps and `MIN_IMAGES` images.

    At chance is where the training accuracy of some 2,000 images is within three standard deviations of what
    always the same answer gives and the loss is at least 98 % of ln(classes): what an even guess costs, with label
    smoothing or without. The loss "map" has no such measure, and none is found.
    """
    if recipe.loss == "map":
        return None
    longest: tuple[int, int, bool] | None = None
    since: int | None = None
    pools = _pools(history, recipe.batch_size)
    floor = (1 - _LEARNED) * math.log(_classes(recipe))
    for start, end, accuracy, loss in pools:
        guesses = accuracy <= _best_guess(recipe, (end - start) * recipe.batch_size) and loss >= floor
        if guesses and since is None:
            since = start
        if not guesses:
            since = None
        elif since is not None and (longest is None or end - since > longest[1] - longest[0]):
            longest = since, end, end == pools[-1][1]
    if longest is None:
        return None
    first, last, lasts = longest
    steps = last - first
    if steps < MIN_STEPS or steps * recipe.batch_size < MIN_IMAGES:
        return None
    ended = history.total_steps if history.last.get("kind") == "finished" else None
    return _measured(history, first, last, ended if lasts else last)


def _pools(history: History, batch_size: int) -> list[tuple[int, int, float, float]]:
    """The training in pieces of at least 2,000 images: (first step, last step, accuracy, mean loss) of each.

    The last, smaller batch of a pass counts as a whole one; that is one in hundreds.
    """
    need = -(-_POOL // batch_size)
    pools: list[tuple[int, int, float, float]] = []
    start, right, position = 0, 0.0, 0
    for before, (tick, accuracy) in zip(
        (0, *history.ticks), zip(history.ticks, history.accuracies, strict=True), strict=False
    ):
        right += accuracy * (tick - before)
        if tick - start < need:
            continue
        end = position
        while end < len(history.steps) and history.steps[end] <= tick:
            end += 1
        losses = history.losses[position:end]
        if losses:
            pools.append((start, tick, right / (tick - start), sum(losses) / len(losses)))
        start, right, position = tick, 0.0, end
    return pools


def _classes(recipe: Recipe) -> int:
    return len(DATA_SETS[recipe.data].classes)


def _best_guess(recipe: Recipe, images: int) -> float:
    """The largest accuracy that so many images may show without anything learned."""
    chance = 1 / _classes(recipe)
    return chance * (1 + _UNEVEN) + _SIGMAS * math.sqrt(chance * (1 - chance) / images)


def _measured(history: History, since: int, last: int, until: int | None) -> Plateau:
    """The stretch with what was measured in it."""
    losses = [loss for step, loss in zip(history.steps, history.losses, strict=True) if since < step <= last]
    looks = [event["layers"] for event in history.layers if since < event["step"] <= last]
    return Plateau(since, until, sum(losses) / len(losses), _medians(looks, "gradient"), _medians(looks, "saturation"))


def _medians(looks: Sequence[Mapping[str, Any]], what: str) -> dict[str, float]:
    names = dict.fromkeys(name for look in looks for name in look[what])
    return {name: median(look[what][name] for look in looks if name in look[what]) for name in names}


def _stands(plateau: Plateau, history: History) -> str:
    """Since when and until when it stands, in a sentence."""
    per_epoch, total = history.steps_per_epoch, history.total_steps
    epochs = round(total / per_epoch)
    whole = f"{epochs:,} epochs" if epochs > 1 else "one epoch"
    begun = f" from step {plateau.since:,} on" if plateau.since else ""
    if plateau.until is None:
        reached = f"step {history.step:,}, {_round(history.step / per_epoch)} of {whole}"
        return f"It stands at chance{begun or ' since it began'}: this is {reached}."
    if plateau.until >= total:
        return f"It stood at chance{begun or f' for the whole of its {whole}'}, to the end."
    length = _round((plateau.until - plateau.since) / per_epoch)
    first = "" if plateau.since else "its first "
    return f"It stood at chance for {first}{length} of {whole}{begun and ','}{begun}, until step {plateau.until:,}."


def _cause(plateau: Plateau, recipe: Recipe) -> tuple[dict[str, str], str]:
    """The knobs that end it, none where none is known, and why it stands."""
    activation, rate = recipe.architecture.activation, recipe.learning_rate
    usual = _USUAL_RATE[recipe.optimiser] * (1 - recipe.momentum)
    to_usual = {"learning_rate": f"{usual:.3g}"} if usual else {}
    flattest = max(plateau.flat, key=lambda name: plateau.flat[name], default="")
    share = plateau.flat.get(flattest, 0.0)
    if share >= (_DEAD if activation == "relu" else _STUCK) and rate > usual:
        where = "below 0" if activation == "relu" else "its ends"
        return to_usual, (
            f"{share:.0%} of {flattest.upper()}'s units are flat: too long steps pushed them to where {activation} "
            f"is level, {where}, and no gradient comes through to the layers before."
        )
    if rate * (_TINY if activation == "sigmoid" else _FAR_OFF) < usual:
        return to_usual, f"A step is {rate:g} times the gradient, too short to change an answer in this time."
    if activation == "sigmoid":
        # ReLU hands on four times as much, in each layer: at the rate that moved sigmoids its units die.
        shorter = to_usual if rate > _BRISK * usual else {}
        return {"activation": "relu", **shorter}, _shrinks(plateau, share)
    if rate > _FAR_OFF * usual:
        return to_usual, f"A step is {rate:g} times the gradient, so long that each undoes the last one's gain."
    if recipe.architecture.initialisation == "lecun":  # ±2.4/n, which is the smallest of the three
        return {"initialisation": "xavier-uniform"}, _faint(plateau)
    return {}, f"{_faint(plateau)} It may yet begin by itself."


def _shrinks(plateau: Plateau, share: float) -> str:
    """What sigmoids do to the gradient, with this run's numbers."""
    said = "A sigmoid's slope is 1/4 at most, so each layer hands back a weaker gradient than it gets"
    if plateau.ratio >= _WEAKER:
        first, *_, last = plateau.gradients
        said += f": {first.upper()}'s is {_round(plateau.ratio)} times shorter than {last.upper()}'s"
        said += ", though no unit is flat" if share < 0.01 else f", and up to {share:.0%} of a layer's units are flat"
    return f"{said}. The first layers hardly learn, and the answer stays nearly the same for every image."


def _faint(plateau: Plateau) -> str:
    """What the gradients say where neither the activation nor the learning rate is to blame."""
    if plateau.ratio < _WEAKER:
        return "The weights that it started with hand on too little of the image for the last layer to tell it by."
    first, *_, last = plateau.gradients
    return (
        "The weights that it started with weaken what passes from layer to layer: "
        f"{first.upper()}'s gradient is {_round(plateau.ratio)} times shorter than {last.upper()}'s."
    )


def _round(number: float) -> str:
    """A number with two digits that count: 134.2 is 130, 7.77 is 7.8."""
    return f"{float(f'{number:.2g}'):,g}"
