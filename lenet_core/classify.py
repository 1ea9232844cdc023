"""What a network answers to one image in MNIST's form, and what its layers made of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenet_core.activations import activations
from lenet_core.checkpoint import Checkpoint
from lenet_core.data import fit_field, to_input
from lenet_core.steps import check_steps


@dataclass(frozen=True)
class Answer:
    """Probabilities (classes,) that sum to 1, the classes' names, and each layer's output by name.

    A layer's output is float32 (channels, height, width) or (units,); "image" is what went in.
    """

    probabilities: NDArray[np.float32]
    classes: tuple[str, ...]
    layers: Mapping[str, NDArray[np.float32]]

    @property
    def ranking(self) -> list[int]:
        """The classes' indices, most probable first."""
        return [int(index) for index in np.argsort(-self.probabilities, kind="stable")]

    @property
    def label(self) -> int:
        """The most probable class."""
        return self.ranking[0]

    def name(self, label: int) -> str:
        """The name of a class, or its number where it has none."""
        return self.classes[label] if label < len(self.classes) else str(label)


def classify(checkpoint: Checkpoint, image: NDArray[np.uint8], without: Collection[str] = ()) -> Answer:
    """The checkpoint's answer to an image (height, width) or (height, width, channels), ink 255.

    Of the `steps.STEPS` one belongs here: where `without` names scale, the network is fed numbers from 0 to 255.

    Raises:
        ValueError: `without` names a step that there is not.
    """
    check_steps(without)
    pixels = torch.from_numpy(np.array(image))
    pixels = (pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1))[None]
    shape = checkpoint.architecture.input_shape
    return answers(checkpoint, fit_field(pixels.float(), shape) if "scale" in without else to_input(pixels, shape))[0]


def answers(checkpoint: Checkpoint, inputs: Tensor) -> list[Answer]:
    """The checkpoint's answer to each of `inputs` (N, C, H, W), floats in its own size, from 0 to 1 if scaled."""
    outputs = {"image": inputs} | activations(checkpoint.net, inputs)
    probabilities = list(outputs.values())[-1].softmax(dim=1).numpy()
    return [
        Answer(probabilities[n], checkpoint.classes, {name: output[n].numpy() for name, output in outputs.items()})
        for n in range(len(inputs))
    ]
