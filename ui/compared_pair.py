"""Two runs side by side: the images that both get wrong or only one, and what each takes for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet_core.errors import RunError
from lenet_core.runs import Run
from ui import cache
from ui.compared_runs import Compared
from ui.galleries import Gallery, read_gallery
from ui.shown import history_of

WRONG = {"both": "Both wrong", "first": "Only A wrong", "second": "Only B wrong"}


@dataclass(frozen=True)
class Seen:
    """A test image (H, W) or (H, W, 3), its label, and each network's answer: a label and its probability."""

    picture: NDArray[np.uint8]
    label: int
    answers: tuple[tuple[int, float], tuple[int, float]]

    @property
    def wrong(self) -> str:
        """One of `WRONG`, empty where both are right."""
        first, second = (answer != self.label for answer, _ in self.answers)
        return "both" if first and second else "first" if first else "second" if second else ""


@dataclass(frozen=True)
class Confusion:
    """A run's counts (classes, classes), a row for each class, on the images that `on` names, and the classes."""

    counts: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    on: str

    def compares_with(self, other: Confusion) -> bool:
        """Whether both were asked the same images, as far as their numbers tell."""
        same = (self.classes, self.on) == (other.classes, other.on)
        return same and [sum(row) for row in self.counts] == [sum(row) for row in other.counts]


def mistakes(first: Compared, second: Compared) -> list[Seen]:
    """Both networks' answers to every image that one of them keeps among its worst test images, the worst first.

    The other network is asked anew, because it keeps its own worst alone.

    Raises:
        RunError: one has no such images yet, or they were tested on different data.
        CheckpointError: a network is missing or unsound.
    """
    if first.plan.recipe.data != second.plan.recipe.data:
        raise RunError(
            f"A was tested on {first.plan.recipe.data}, B on {second.plan.recipe.data}: "
            "choose two runs on the same images to lay their mistakes side by side."
        )
    images, labels = _all(_kept(first.run, "A"), _kept(second.run, "B"))
    said = [_asked(one.run, images) for one in (first, second)]
    pictures = Gallery(images, labels, None)
    found = []
    for index, label in enumerate(labels):
        answers = [(int(one[index].argmax()), float(one[index].max())) for one in said]
        found.append(Seen(pictures.picture(index), int(label), (answers[0], answers[1])))
    return found


def _kept(run: Run, name: str) -> Gallery:
    gallery = read_gallery(run.file("mistakes"))
    if gallery is None:
        raise RunError(f"{name} has not been tested yet: its mistakes are kept when its training is over.")
    return gallery


def _all(first: Gallery, second: Gallery) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images of both, each once, in turns, so that the worst of either come early."""
    seen: dict[tuple[bytes, int], None] = {}
    places: list[tuple[Gallery, int]] = []
    for gallery, index in _turns(first, second):
        key = (gallery.images[index].tobytes(), int(gallery.labels[index]))
        if key not in seen:
            seen[key] = None
            places.append((gallery, index))
    images = np.stack([gallery.images[index] for gallery, index in places])
    return images, np.array([gallery.labels[index] for gallery, index in places])


def _turns(first: Gallery, second: Gallery) -> Iterator[tuple[Gallery, int]]:
    for index in range(max(len(first.labels), len(second.labels))):
        for gallery in (first, second):
            if index < len(gallery.labels):
                yield gallery, index


def _asked(run: Run, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The run's probabilities (N, classes) for the images (N, C, H, W)."""
    import torch

    from lenet_core.evaluate import predict

    network = cache.moment(run.file("model"))
    shape = network.architecture.input_shape
    logits = torch.cat(list(predict(network.net, torch.from_numpy(images), shape)))
    answer: NDArray[np.float32] = logits.softmax(1).numpy()
    return answer


def confusion_of(run: Run, data: str) -> Confusion | None:
    """What the run's network took for what on the test images, or before that on the held-out ones; None if neither."""
    history = history_of(run)
    finished = history.last.get("kind") == "finished"
    event = history.last if finished else next((one for one in reversed(history.epochs) if "confusion" in one), {})
    if "confusion" not in event:
        return None
    on = f"the test images of {data}" if finished else f"held-out images of {data}, after epoch {event['epoch']}"
    classes = tuple(history.started.get("classes", ()))
    return Confusion(tuple(tuple(row) for row in event["confusion"]), classes, on)


def largest_differences(first: Confusion, second: Confusion, most: int) -> list[tuple[str, str, int, int]]:
    """The mistakes whose number differs most: the class, what it is taken for, and how often by either."""
    names = first.classes
    found = [
        (names[row], names[column], before, after)
        for row, (befores, afters) in enumerate(zip(first.counts, second.counts, strict=True))
        for column, (before, after) in enumerate(zip(befores, afters, strict=True))
        if row != column and before != after and max(row, column) < len(names)
    ]
    return sorted(found, key=lambda one: -abs(one[3] - one[2]))[:most]
