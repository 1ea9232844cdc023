"""What was published for a recipe, and what its trainings here gave: `assets/references`, `assets/reproduced`.

Imports no PyTorch, so that a page can show both side by side.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lenet_core.bounds import check_choice, check_number, check_tuple, shorten
from lenet_core.errors import DataError

REFERENCES = Path(__file__).resolve().parents[1] / "assets" / "references"
REPRODUCED = REFERENCES.with_name("reproduced")
DIAL = "dial"
MEASURES = ("test", "train", "loss")
_MOST_TEXT = 1000
_T = TypeVar("_T")


@dataclass(frozen=True)
class Value:
    """One published number: `what` is "test" or "train" (accuracies, fractions) or "loss" (of the last epoch).

    `text` is the number as its source words it, "0.95 % error"; `low` and `high` are what others got, where known.
    `name` says who published it, `source` where. `runs` is how many trainings it is the mean of, None where unsaid.

    Raises:
        ValueError: a value out of its range, or no source.
    """

    what: str
    value: float
    text: str
    name: str
    source: str
    runs: int | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        check_choice("what", self.what, MEASURES)
        for name in ("value", "low", "high"):
            if name == "value" or getattr(self, name) is not None:
                check_number(name, getattr(self, name), 0, 100 if self.what == "loss" else 1, whole=False)
        if self.runs is not None:
            check_number("runs", self.runs, 1, 1000)
        for name in ("text", "name", "source"):
            _check_text(name, getattr(self, name))


@dataclass(frozen=True)
class Curve:
    """A published accuracy (fractions) after each of some `epochs`, counted from 1.

    Raises:
        ValueError: a value out of its range, not as many accuracies as epochs, or no source.
    """

    name: str
    source: str
    epochs: tuple[int, ...]
    accuracies: tuple[float, ...]

    def __post_init__(self) -> None:
        check_tuple("epochs", self.epochs, 1, 10_000)
        check_tuple("accuracies", self.accuracies, len(self.epochs), len(self.epochs))
        for epoch in self.epochs:
            check_number("epochs", epoch, 1, 10_000)
        _check_fractions("accuracies", self.accuracies)
        for name in ("name", "source"):
            _check_text(name, getattr(self, name))


@dataclass(frozen=True)
class Published:
    """What was published for a recipe: single numbers, none where nothing was, and a curve where there is one.

    `note` says why there are no numbers.
    """

    recipe: str
    values: tuple[Value, ...]
    curve: Curve | None = None
    note: str = ""


@dataclass(frozen=True)
class SeedRun:
    """One training to its end: accuracies are fractions, `loss` and `train` means over the last epoch.

    The tuples have a value for each epoch. `test_by_epoch` was measured on the test images afterwards, for
    comparison alone: nothing was chosen by it. It is empty where the networks on the way were not kept (those
    of more than a million parameters).

    Raises:
        ValueError: a value out of its range.
    """

    seed: int
    test: float
    loss: float
    train: float
    seconds: float
    test_by_epoch: tuple[float, ...]
    train_by_epoch: tuple[float, ...]
    loss_by_epoch: tuple[float, ...]

    def __post_init__(self) -> None:
        check_number("seed", self.seed, 0, 2**32)
        _check_fractions("test and train", (self.test, self.train))
        check_number("loss", self.loss, 0, 1e9, whole=False)
        check_number("seconds", self.seconds, 0, 1e9, whole=False)
        epochs = len(self.train_by_epoch)
        check_tuple("train_by_epoch", self.train_by_epoch, 1, 10_000)
        check_tuple("loss_by_epoch", self.loss_by_epoch, epochs, epochs)
        check_tuple("test_by_epoch", self.test_by_epoch, epochs if self.test_by_epoch else 0, epochs)
        _check_fractions("train_by_epoch", self.train_by_epoch)
        _check_fractions("test_by_epoch", self.test_by_epoch)
        for loss in self.loss_by_epoch:
            check_number("loss_by_epoch", loss, 0, 1e9, whole=False)


@dataclass(frozen=True)
class Reproduced:
    """What a recipe's trainings gave, one for each seed, with all training images learning.

    `settings` are the recipe's knobs as `knobs.settings` words them, `data` is the data set's title, and `stand_in`
    says what the data really were where they were not the originals.

    Raises:
        ValueError: a value out of its range, or no run.
    """

    recipe: str
    settings: dict[str, str]
    parameters: int
    data: str
    device: str
    python: str
    torch: str
    runs: tuple[SeedRun, ...]
    stand_in: str = ""

    def __post_init__(self) -> None:
        for name in ("recipe", "data", "device", "python", "torch"):
            _check_text(name, getattr(self, name))
        if not isinstance(self.stand_in, str) or len(self.stand_in) > _MOST_TEXT:
            raise ValueError(f"stand_in must be a text of at most {_MOST_TEXT} characters.")
        check_number("parameters", self.parameters, 0, 10**9)
        check_tuple("runs", self.runs, 1, 1000)
        if not all(isinstance(text, str) for pair in self.settings.items() for text in pair):
            raise ValueError("settings must be texts by name.")

    @property
    def epochs(self) -> int:
        """How many epochs each training took."""
        return len(self.runs[0].train_by_epoch)

    @property
    def seconds(self) -> float:
        """Seconds a training took, the mean."""
        return self.mean("seconds")

    def values(self, what: str = "test") -> list[float]:
        """A number of each run, in the order of the seeds: "test", "train", "loss" or "seconds"."""
        return [float(getattr(run, what)) for run in self.runs]

    def mean(self, what: str = "test") -> float:
        """That number's mean over the seeds."""
        return sum(self.values(what)) / len(self.runs)

    def range(self, what: str = "test") -> tuple[float, float]:
        """That number's smallest and largest value over the seeds."""
        return min(self.values(what)), max(self.values(what))

    def curve(self, what: str = "test") -> list[tuple[float, float, float]]:
        """Mean, smallest and largest value after each epoch, of "test", "train" or "loss"; empty where not kept."""
        columns = zip(*(getattr(run, f"{what}_by_epoch") for run in self.runs), strict=False)
        return [(sum(column) / len(column), min(column), max(column)) for column in columns]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON types."""
        return dataclasses.asdict(self)


def read_published(recipe: str) -> Published | None:
    """What was published for the recipe of that name; None where no file speaks of it.

    A file in `assets/references` may speak of several recipes.

    Raises:
        DataError: a file there is damaged.
    """
    for path in sorted(REFERENCES.glob("*.json")):
        description = _read(path)
        if recipe in description.get("recipes", ()):
            return _checked(path, functools.partial(_published, recipe, description))
    return None


def read_reproduced(recipe: str, folder: Path = REPRODUCED) -> Reproduced | None:
    """What the recipe's trainings gave when they were last run for the project; None where they were not.

    Raises:
        DataError: its file is damaged.
    """
    path = folder / f"{recipe}.json"
    if not path.is_file():
        return None
    return _checked(path, lambda: _reproduced(_read(path)))


def read_dial(folder: Path = REPRODUCED) -> dict[str, Reproduced]:
    """What each setting of the 1998 dial gave: "1998", each switch alone by its name, "modern"; empty if not measured.

    Raises:
        DataError: its file is damaged.
    """
    path = folder / f"{DIAL}.json"
    if not path.is_file():
        return {}
    return _checked(path, lambda: {name: _reproduced(one) for name, one in _read(path).items()})


def _published(recipe: str, description: Mapping[str, Any]) -> Published:
    values = tuple(Value(**value) for value in description["values"])
    curve = description.get("curve")
    if curve is not None:
        curve = Curve(curve["name"], curve["source"], tuple(curve["epochs"]), tuple(curve["accuracies"]))
    note = description.get("note", "")
    if not values:
        _check_text("note", note)
    return Published(recipe, values, curve, note)


def _reproduced(description: Mapping[str, Any]) -> Reproduced:
    runs = []
    for run in description["runs"]:
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in run.items()
        }
        runs.append(SeedRun(**fields))
    return Reproduced(**{**description, "settings": dict(description["settings"]), "runs": tuple(runs)})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error!s:.200}); fetch it anew.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; fetch it anew.")
    return content


def _checked(path: Path, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DataError(f"{path} is not sound ({error!s:.200}); fetch it anew.") from error


def _check_text(name: str, text: Any) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= _MOST_TEXT:
        raise ValueError(f"{name} must be a text of 1 to {_MOST_TEXT} characters, not {shorten(text)}.")


def _check_fractions(name: str, fractions: Sequence[float]) -> None:
    for fraction in fractions:
        check_number(name, fraction, 0, 1, whole=False)
