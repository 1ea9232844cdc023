"""How well a network does on labelled images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from lenet_core.data import DataSet, to_input
from lenet_core.layers import RBFOutput
from lenet_core.novelty import Familiar, scores

_BATCH = 500  # 10,000 images at once would take 1.6 GB


WORST = 48


@dataclass(frozen=True)
class Evaluation:
    """What a test gave. `confusion` (classes, classes) counts images by true class (row) and answer (column).

    `worst` are the indices of up to 48 images whose own class got the least probability, the worst first,
    and `worst_probabilities` (images, classes) what they got. `familiar` is how the scores by which one may doubt
    an answer are spread over the images, None where a logit is not finite.
    """

    data: str
    images: int
    correct: int
    confusion: list[list[int]]
    worst: list[int]
    worst_probabilities: list[list[float]]
    familiar: Familiar | None

    @property
    def accuracy(self) -> float:
        """The fraction of images that were answered rightly."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy (Wilson 1927), as fractions."""
        z, n, p = 1.96, self.images, self.accuracy
        centre, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def predict(net: nn.Sequential, images: Tensor, input_shape: tuple[int, int, int]) -> Iterator[Tensor]:
    """The logits (batch, classes) of images (N, C, H, W) uint8, batch by batch, on the network's device."""
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    was_training = net.training
    net.eval()
    try:
        for batch in images.split(_BATCH):
            with torch.inference_mode():
                logits = net(to_input(batch.to(device), input_shape))
            yield logits
    finally:
        net.train(was_training)


def evaluate(net: nn.Sequential, data: DataSet, input_shape: tuple[int, int, int]) -> Evaluation:
    """Accuracy, confusion matrix and worst mistakes of the network on labelled images.

    Raises:
        ValueError: the images' channels do not fit the network's input.
    """
    logits = torch.cat([logits.cpu() for logits in predict(net, data.images, input_shape)])
    answers = logits.argmax(1)
    classes = logits.shape[1]
    counts = torch.bincount(data.labels * classes + answers, minlength=classes * classes).reshape(classes, classes)
    probabilities = logits.softmax(1)
    worst = probabilities[torch.arange(len(data)), data.labels].argsort(stable=True)[:WORST]
    familiar = None
    if bool(logits.isfinite().all()):
        head = "rbf" if isinstance(net[-1], RBFOutput) else "linear"
        familiar = Familiar.from_scores(data.title, scores(logits, head))
    return Evaluation(
        data.title, len(data), int(counts.trace()), counts.tolist(), worst.tolist(), probabilities[worst].tolist(),
        familiar,
    )  # fmt: skip
