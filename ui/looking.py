"""What the Look inside page looks at: networks, layers, and what they make of the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenet_core.architecture import Architecture
from lenet_core.layout import shape_text
from ui import cache
from ui.networks import Network
from ui.pictures import Scales, data_uri, kernel_pictures, scales_for
from ui.shown_inputs import Shown
from ui.stages import BEFORE, FIRST_TWO, Stage, stages

if TYPE_CHECKING:
    from torch import Tensor

    from lenet_core.checkpoint import Checkpoint
    from lenet_core.classify import Answer

MOST_MAPS = 32  # beside each other, of all layers shown


@dataclass(frozen=True)
class Look:
    """A network, the stages of it that are shown, the inputs, and what it makes of each."""

    network: Network
    checkpoint: Checkpoint
    stages: tuple[Stage, ...]
    inputs: tuple[Shown, ...]
    answers: tuple[Answer, ...]

    @property
    def architecture(self) -> Architecture:
        """The network's."""
        return self.checkpoint.architecture

    @property
    def names(self) -> list[str]:
        """The inputs' names."""
        return [one.name for one in self.inputs]

    def values(self, stage: Stage) -> NDArray[np.float32]:
        """What a stage makes of the inputs: (N, C, H, W), or (N, units) of a stage without height and width."""
        stacked = np.stack([answer.layers[stage.layer] for answer in self.answers])
        return stacked.reshape(len(stacked), -1) if is_flat(stacked.shape[1:]) else stacked

    def before(self, stage: Stage) -> NDArray[np.float32] | None:
        """What went into a stage's activation, shaped like `values`; None where it has none."""
        if stage.layer == stage.made_by.name:
            return None
        return np.stack([answer.layers[stage.made_by.name] for answer in self.answers]).reshape(
            self.values(stage).shape
        )

    def seen(self, row: int) -> NDArray[np.uint8]:
        """An input as the network sees it, (H, W) or (H, W, 3)."""
        channels = (255 * self.answers[row].layers["image"]).round().clip(0, 255).astype(np.uint8)
        return channels[0] if len(channels) == 1 else np.ascontiguousarray(channels.transpose(1, 2, 0))

    @cached_property
    def pictures(self) -> list[str]:
        """The inputs as the network sees them, in `data:` addresses."""
        return [data_uri(self.seen(row)) for row in range(len(self.inputs))]


def is_flat(shape: Sequence[int]) -> bool:
    """Whether a layer's output (C, H, W) or (units,) is a row of units, which C5's is too."""
    return len(shape) == 1 or (shape[1] == 1 and shape[2] == 1)


def look(network: Network, tokens: Sequence[str], shown: Sequence[Shown]) -> Look:
    """What a network makes of the inputs; of the layers that it has not, none is shown.

    Raises:
        CheckpointError: its file is missing or unsound.
        ValueError: an input does not fit its channels.
    """
    from lenet_core.classify import answers
    from lenet_core.inputs import stack_inputs

    checkpoint = cache.checkpoint(network)
    known = stages(checkpoint.architecture)
    found = tuple(stage for token, stage in known.items() if token in tokens)
    given = answers(checkpoint, stack_inputs([one.pixels for one in shown], checkpoint.architecture.input_shape))
    return Look(network, checkpoint, found, tuple(shown), tuple(given))


def first_stages(arch: Architecture) -> list[str]:
    """The stages that the page opens with: the first two convolutions, or what there is."""
    known = stages(arch)
    return [token for token in FIRST_TWO if token in known] or [token for token in known if BEFORE not in token][:1]


def kernels(seen: Look, stage: Stage, channels: slice) -> list[str]:
    """The kernels that make the shown maps, in `data:` addresses; none where a stage has none."""
    if stage.made_by.kind != "convolution" or is_flat(stage.made_by.output_shape):
        return []
    from lenet_core.layers import TableConv2d

    layer = seen.checkpoint.net.get_submodule(stage.made_by.name)
    weight: Tensor = layer.dense_weight() if isinstance(layer, TableConv2d) else layer.get_parameter("weight")
    return [data_uri(picture) for picture in kernel_pictures(weight.detach().numpy())[channels]]


def page_size(count: int) -> int:
    """How many maps of each of `count` layers stand beside each other."""
    return MOST_MAPS // min(max(count, 1), 4)


def pages(seen: Look) -> int:
    """How many turns it takes to see all maps of the shown layers."""
    most = max((len(values[0]) for stage in seen.stages if (values := seen.values(stage)).ndim == 4), default=1)
    return -(-most // page_size(len(seen.stages)))


def shown_maps(seen: Look, stage: Stage, page: int) -> slice:
    """Which of a stage's maps are shown; all where it has fewer than a page holds."""
    size, count = page_size(len(seen.stages)), seen.values(stage).shape[1]
    first = min(page, -(-count // size) - 1) * size
    return slice(first, min(first + size, count))


def scales(values: NDArray[np.float32], shared: str) -> Scales:
    """The scales of a stage's values; units in a row share theirs with the whole layer or the whole input."""
    if values.ndim == 2:
        return scales_for(values[:, None], "all" if shared == "map" else shared)
    return scales_for(values, shared)


def size_text(values: NDArray[np.float32]) -> str:
    """The size of a stage's output, as people write it."""
    return shape_text(values.shape[1:])


def beside_a_cat(network: str, drawing: str) -> dict[str, str]:
    """The page's address for a network and a drawing, as its own link has it, beside an 8, a cat and noise."""
    return {"net": network, "inputs": "drawing,8.0,cat.0,uniform.0", "drawing": drawing}


def logits(seen: Look) -> NDArray[np.float32]:
    """The network's last layer's outputs, (N, classes)."""
    return np.stack([answer.layers[seen.architecture.layers[-1].name] for answer in seen.answers])
