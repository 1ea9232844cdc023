"""By what one may doubt an answer: scores of an input, held against those of real test images.

A network must name one of its classes, whatever it is shown. Each score here is larger the more an
input is like the training classes.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lenet_core.architecture import HEADS
from lenet_core.bounds import check_choice, check_number, shorten

SCORES = ("confidence", "energy", "distance")
_STEPS = 100
_LARGEST = torch.finfo(torch.float32).max
_MAX_IMAGES = 10**9


def scores(logits: Tensor, head: str) -> dict[str, Tensor]:
    """Scores (N,) of N inputs, larger the more an input is like the training classes.

    "confidence" is the largest probability, 0 to 1 (Hendrycks and Gimpel 2017, section 2). "energy" is the
    logarithm of the sum of the exponentials of `logits` (N, classes): minus the energy at T = 1 (Liu et al.
    2020, equation 4). "distance", of an RBF `head` alone, is minus the squared distance to the nearest code,
    which is the largest logit (LeCun et al. 1998, equation 7).

    Raises:
        ValueError: logits of another shape, or there is no such head.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must have the shape (N, classes), not {tuple(logits.shape)}.")
    check_choice("head", head, HEADS)
    result = {"confidence": logits.softmax(1).amax(1), "energy": logits.logsumexp(1)}
    if head == "rbf":
        result["distance"] = logits.amax(1)
    return result


@dataclass(frozen=True)
class Familiar:
    """How the scores of real test images are spread.

    `data` is the data set's title, `images` how many there were, and `quantiles` has for each score the 101
    values below which 0 %, 1 %, ... 100 % of the images lie, to six significant digits.

    Raises:
        ValueError: a field of a wrong type or out of its range; the message names it.
    """

    data: str
    images: int
    quantiles: dict[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        if not isinstance(self.data, str) or not 0 < len(self.data) <= 80 or not self.data.isprintable():
            raise ValueError(f"data must be a text of 1 to 80 printable characters, not {shorten(self.data)}.")
        check_number("images", self.images, 1, _MAX_IMAGES)
        if not isinstance(self.quantiles, dict) or not self.quantiles:
            raise ValueError(f"quantiles must be an object with a score or more, not {shorten(self.quantiles)}.")
        for score, values in self.quantiles.items():
            check_choice("a score of quantiles", score, SCORES)
            _check_quantiles(score, values)

    @classmethod
    def from_scores(cls, data: str, scores: Mapping[str, Tensor]) -> Familiar:
        """The spread of `scores`, as the function of that name gives them for the test images of `data`.

        Raises:
            ValueError: no images, or a score that is not finite.
        """
        images = min((len(values) for values in scores.values()), default=0)
        if not images:
            raise ValueError("There are no scores to take quantiles of; ask at least one image.")
        steps = torch.linspace(0, 1, _STEPS + 1, dtype=torch.float64)
        return cls(
            data,
            images,
            {
                score: tuple(map(_rounded, torch.quantile(values.cpu().double(), steps).tolist()))
                for score, values in scores.items()
            },
        )

    def rank(self, score: str, value: float) -> float:
        """The share of the real images whose `score` is below `value`, those that equal it counted half.

        0 is below them all, 1 above them all; linear between two quantiles. `value` is taken to six significant
        digits, as the quantiles are, so that a confidence of nearly 1 equals the others of that kind. What is not
        a number is like nothing: 0.

        Raises:
            ValueError: there are no quantiles of this score.
        """
        quantiles = self._quantiles_of(score)
        if math.isnan(value):
            return 0.0
        value = _rounded(value)
        if not quantiles[0] <= value <= quantiles[-1]:
            return float(value > quantiles[0])
        first, after = bisect_left(quantiles, value), bisect_right(quantiles, value)
        if first < after:
            place = (first + after - 1) / 2
        else:
            below, above = quantiles[first - 1 : first + 1]
            place = first - 1 + (value - below) / (above - below)
        return min(max(place / _STEPS, 0.5 / self.images), 1 - 0.5 / self.images)

    def tied(self, score: str, value: float) -> float:
        """The share of the real images, to a percent, that have this very `value` to six significant digits.

        Raises:
            ValueError: there are no quantiles of this score.
        """
        return max(self._quantiles_of(score).count(_rounded(value)) - 1, 0) / _STEPS

    def _quantiles_of(self, score: str) -> tuple[float, ...]:
        if score not in self.quantiles:
            raise ValueError(f"There are no quantiles of {shorten(score)}; there are {', '.join(self.quantiles)}.")
        return self.quantiles[score]

    def to_dict(self) -> dict[str, Any]:
        """The spread as plain JSON types; `from_dict` reads it back."""
        quantiles = {score: list(values) for score, values in self.quantiles.items()}
        return {"data": self.data, "images": self.images, "quantiles": quantiles}

    @classmethod
    def from_dict(cls, description: Any) -> Familiar:
        """The spread that a plain dictionary describes, which may come from a stranger's checkpoint.

        Raises:
            ValueError: a field is missing, unknown, of a wrong type or out of its range.
        """
        if not isinstance(description, Mapping) or set(description) != {"data", "images", "quantiles"}:
            raise ValueError(f"It must be an object with data, images and quantiles, not {shorten(description)}.")
        quantiles = description["quantiles"]
        if not isinstance(quantiles, Mapping):
            raise ValueError(f"quantiles must be an object with a score or more, not {shorten(quantiles)}.")
        frozen = {score: tuple(values) if isinstance(values, list) else values for score, values in quantiles.items()}
        return cls(description["data"], description["images"], frozen)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _check_quantiles(score: str, values: Any) -> None:
    if not isinstance(values, tuple) or len(values) != _STEPS + 1:
        raise ValueError(f"The quantiles of {score} must be {_STEPS + 1} numbers, not {shorten(values)}.")
    for value in values:
        # Comparisons, and no conversion: a number of a stranger's may be too large for a float, or not one at all.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
            raise ValueError(f"The quantiles of {score} must be finite numbers, not {shorten(value)}.")
    if any(after < before for before, after in itertools.pairwise(values)):
        raise ValueError(f"The quantiles of {score} must not fall.")
