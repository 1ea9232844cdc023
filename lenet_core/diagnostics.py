"""Whether a network can learn: how large its gradients are, and how much of it has gone flat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLAT = 0.05  # of an activation's steepest slope


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

    Flat is where the activation's slope is under a twentieth of its steepest: a sigmoid near 0 or 1, a
    tanh near its ends, a ReLU at 0. Hardly any gradient passes there (LeCun et al. 1998, appendix A).
    `images` (N, C, H, W) are floats from 0 to 1 in the network's own size, on its device; the layers
    bear the name of the one before their activation.
    """
    flat = {}
    was_training = net.training
    net.eval()
    try:
        x = images
        for name, layer in net.named_children():
            if name.endswith("_act"):
                flat[name.removesuffix("_act")] = float((_slope(layer, x) < FLAT * _steepest(layer)).float().mean())
            with torch.no_grad():
                x = layer(x)
    finally:
        net.train(was_training)
    return flat


def _slope(layer: nn.Module, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(layer(x).sum(), x)
    return slope.abs()


def _steepest(layer: nn.Module) -> float:
    return float(_slope(layer, torch.linspace(-6, 6, 241)).max())
