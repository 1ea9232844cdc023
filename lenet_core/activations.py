"""What every layer of a network makes of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def activations(net: nn.Sequential, images: Tensor) -> dict[str, Tensor]:
    """The output of each named layer for images (N, C, H, W) in the network's own input form.

    A plain walk along the list, so that any number of threads can ask the same network at once. The
    last entry is the logits. `net` should be in evaluation mode.
    """
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        x = images
        for name, layer in net.named_children():
            outputs[name] = x = layer(x)
    return outputs
