"""Whether a network can learn: how large its gradients are, and how much of it has gone flat."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lenet_core.layers import ScaledTanh

FLAT = 0.05  # of an activation's steepest slope
_SATURATING = (nn.Sigmoid, nn.Tanh, ScaledTanh)


def gradient_norms(net: nn.Sequential) -> dict[str, float]:
    """The Euclidean norm of the last step's gradient, for each layer that has parameters."""
    norms = {}
    for name, layer in net.named_children():
        gradients = [p.grad.norm() for p in layer.parameters() if p.grad is not None]
        if gradients:
            norms[name] = float(torch.stack(gradients).norm())
    return norms


def saturation(net: nn.Sequential, images: Tensor) -> dict[str, float]:
    """For each layer with an activation, the fraction of its units where that is flat.

    `images` (N, C, H, W) are floats from 0 to 1 in the network's own size, on its device; the layers
    bear the name of the one before their activation.
    """
    shares = {}
    was_training = net.training
    net.eval()
    try:
        x = images
        for name, layer in net.named_children():
            if name.endswith("_act"):
                shares[name.removesuffix("_act")] = float(flat(layer, x).float().mean())
            with torch.no_grad():
                x = layer(x)
    finally:
        net.train(was_training)
    return shares


def saturated(activation: nn.Module, before: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Which units are flat where an activation is given the values `before`; None if it cannot saturate.

    Booleans of the shape of `before`. Only sigmoid, tanh and scaled tanh saturate, at both their ends: a ReLU at 0
    is called inactive.
    """
    if not isinstance(activation, _SATURATING):
        return None
    return flat(activation, torch.from_numpy(np.array(before))).numpy()  # a copy: it may not be writable


def flat(activation: nn.Module, before: Tensor) -> Tensor:
    """Where an activation of the values `before` is flat: booleans of the same shape.

    Flat is where its slope is under a twentieth of its steepest: a sigmoid near 0 or 1, a tanh near its
    ends, a ReLU at 0. Hardly any gradient passes there (LeCun et al. 1998, appendix A).
    """
    return _slope(activation, before) < FLAT * _steepest(activation)


def _slope(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        x = x.detach().clone().requires_grad_()  # a clone, because what inference mode made can have no gradient
        (slope,) = torch.autograd.grad(layer(x).sum(), x)
    return slope.abs()


def _steepest(layer: nn.Module) -> float:
    return float(_slope(layer, torch.linspace(-6, 6, 241)).max())
