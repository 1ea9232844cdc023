"""Training as tutorials write it: torchvision's data set, a `DataLoader`, `torch.optim`. What ours is held against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from lenet_core.data import _torchvision_class
from lenet_core.data_sets import DATA_SETS
from lenet_core.layers import build
from lenet_core.recipes import Recipe


class PlainLoop:
    """A recipe's training by the plain loop; the recipe is one of a constant learning rate and cross-entropy.

    Each time an image is used, `ToTensor` makes it floats from 0 to 1, after `Pad` where the network takes 32x32.
    The loader shuffles, and collates in this process, as its default is. Each step zeroes the gradients, goes
    forward and backward, lets `torch.optim`'s default implementation update, and reads the loss. The network is
    the recipe's own, of PyTorch's modules, with the same first weights.

    `images` is how many of the data set's first are used, all of them if None; `order` replaces the shuffling.
    """

    def __init__(self, recipe: Recipe, folder: Path, images: int | None = None, order: Sequence[int] | None = None):
        kind = _torchvision_class(DATA_SETS[recipe.data].torchvision_name)
        from torchvision import transforms  # after `_torchvision_class`, which knows how to import it

        border = (recipe.architecture.input_shape[1] - 28) // 2
        steps: list[Any] = [transforms.Pad(border)] if border else []
        data = kind(str(folder), train=True, transform=transforms.Compose([*steps, transforms.ToTensor()]))
        data.data, data.targets = data.data[:images], data.targets[:images]
        self.loader: DataLoader[Any] = DataLoader(data, recipe.batch_size, shuffle=order is None, sampler=order)
        self.net = build(recipe.architecture, seed=recipe.seed)
        self.criterion = nn.CrossEntropyLoss()
        self.optimiser: torch.optim.Optimizer
        if recipe.optimiser == "sgd":
            self.optimiser = torch.optim.SGD(self.net.parameters(), lr=recipe.learning_rate)
        else:
            self.optimiser = torch.optim.Adam(self.net.parameters(), lr=recipe.learning_rate)

    def epoch(self) -> Iterator[float]:
        """One pass over the images: the loss of each batch, as soon as it was learned from."""
        self.net.train()
        for images, labels in self.loader:
            self.optimiser.zero_grad()
            loss = self.criterion(self.net(images), labels)
            loss.backward()
            self.optimiser.step()
            yield loss.item()
