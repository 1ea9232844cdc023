"""What every layer of a network makes of images."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def activations(net: nn.Sequential, images: Tensor) -> dict[str, Tensor]:
    """The output of each named layer, in the order in which the images go through them; the last are the logits.

    `images` are (N, C, H, W) float32, in the network's own input form; they and the network stay as they are.
    Outputs are float32 (N, channels, height, width), or (N, units) from the flattening on, of inference mode; some
    share memory with others (a flattening's with what it flattened), so write into none. `c1` is the convolution's
    own output, `c1_act` what its activation makes of it. `net` should be in evaluation mode.

    A plain walk along the list, without hooks, so that any number of threads can ask the same network at once.
    """
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        x = images
        for name, layer in net.named_children():
            outputs[name] = x = layer(x)
    return outputs


def to_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as the bytes of a compressed .npz file, which `numpy.load` reads back under the same names."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
