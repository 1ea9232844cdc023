"""A network's forward and backward pass written out, for the CPU, where PyTorch's own ways are slow for LeNets.

Pooling, tanh and the weights' gradients of narrow convolutions take most of a LeNet's training in PyTorch's
kernels, and bookkeeping for the backward pass takes much of the rest. Here the same arithmetic is put
together from operations that are fast, without bookkeeping. Layers that have no such form go through
PyTorch as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# From the gradient of a layer's output to that of its input; leaves the gradients of its parameters in their
# `grad`. To be called once: it may use up what the layer kept for it.
Pullback = Callable[[Tensor], Tensor]
Layer = Callable[[Tensor], tuple[Tensor, Pullback]]

_aten = torch.ops.aten
_NARROW = range(4, 16)  # input channels: fewer or more suit oneDNN's formats, at which it computes 16 at once


def by_hand(net: nn.Sequential) -> list[Layer]:
    """The network's layers in order, each a function from its input to its output and its pullback."""
    modules = list(net)
    for index, (module, after) in enumerate(pairwise(modules)):
        if type(module) is nn.ReLU and type(after) is nn.MaxPool2d:
            # The other way round they give the same, the gradient too, for a quarter of the work.
            modules[index], modules[index + 1] = after, module
    layers: list[Layer] = []
    learning = False  # of layers before the first that learns, nobody asks for a gradient
    for module in modules:
        has_parameters = any(True for _ in module.parameters())
        layers.append(_layer(module, first=not learning) if learning or has_parameters else _given(module))
        learning = learning or has_parameters
    return layers


def forward(layers: list[Layer], images: Tensor) -> tuple[Tensor, list[Pullback]]:
    """The logits (N, classes) of images (N, C, H, W), and the layers' pullbacks, the first layer's first."""
    x, pullbacks = images, []
    with torch.no_grad():
        for layer in layers:
            x, pullback = layer(x)
            pullbacks.append(pullback)
    return x, pullbacks


def backward(pullbacks: list[Pullback], gradient: Tensor) -> None:
    """Leaves in each parameter's `grad`, empty until now, what `gradient` (N, classes) of the logits makes of it."""
    with torch.no_grad():
        for pullback in reversed(pullbacks):
            gradient = pullback(gradient)


def _layer(module: nn.Module, first: bool) -> Layer:
    if type(module) is nn.Conv2d and module.bias is not None and module.padding_mode == "zeros":
        return _convolution(module, first)
    if type(module) is nn.Linear and module.bias is not None:
        return _dense(module)
    if _halves(module):
        return _max_pool if type(module) is nn.MaxPool2d else _average_pool
    if type(module) is nn.Flatten:
        return _reshaping(module)
    return _PLAIN.get(type(module)) or _recorded(module)


def _given(module: nn.Module) -> Layer:
    return lambda x: (module(x), lambda gradient: gradient)


def _halves(module: nn.Module) -> bool:
    """Whether it pools windows of 2x2 side by side."""
    if type(module) is nn.MaxPool2d:
        plain = module.dilation == 1 and not module.return_indices
    elif type(module) is nn.AvgPool2d:
        plain = module.divisor_override is None
    else:
        return False
    return plain and (module.kernel_size, module.stride, module.padding, module.ceil_mode) == (2, 2, 0, False)


def _recorded(module: nn.Module) -> Layer:
    """Any module, by PyTorch's own record of what it did."""

    def layer(x: Tensor) -> tuple[Tensor, Pullback]:
        with torch.enable_grad():
            start = x.detach().requires_grad_()
            y = module(start)

        def pullback(gradient: Tensor) -> Tensor:
            y.backward(gradient)
            assert start.grad is not None
            return start.grad

        return y.detach(), pullback

    return layer


def _convolution(module: nn.Conv2d, first: bool) -> Layer:
    """Of the first layer the input's gradient, which nobody asks for, is not computed."""
    weight, bias = module.weight, module.bias
    assert bias is not None
    how = (
        [module.out_channels], list(module.stride), list(module.padding), list(module.dilation), False, [0, 0],
        module.groups,
    )  # fmt: skip
    narrow = module.in_channels in _NARROW

    def layer(x: Tensor) -> tuple[Tensor, Pullback]:
        def pullback(gradient: Tensor) -> Tensor:
            if narrow:
                nhwc = (t.contiguous(memory_format=torch.channels_last) for t in (gradient, x))
                of_weight = _aten.convolution_backward(*nhwc, weight, *how, [False, True, False])[1]
                of_bias = gradient.sum((0, 2, 3))
                of_input = None if first else _aten.convolution_backward(gradient, x, weight, *how, _INPUT)[0]
            else:
                of_input, of_weight, of_bias = _aten.convolution_backward(
                    gradient, x, weight, *how, [not first, True, True]
                )
            _leave(weight, of_weight)
            _leave(bias, of_bias)
            return gradient if of_input is None else of_input

        return module(x), pullback

    return layer


_INPUT = [True, False, False]


def _dense(module: nn.Linear) -> Layer:
    weight, bias = module.weight, module.bias

    def layer(x: Tensor) -> tuple[Tensor, Pullback]:
        def pullback(gradient: Tensor) -> Tensor:
            _leave(weight, gradient.t() @ x)
            _leave(bias, gradient.sum(0))
            return gradient @ weight

        return module(x), pullback

    return layer


def _leave(parameter: Tensor, gradient: Tensor) -> None:
    """Fused optimisers take parameter and gradient to lie alike in memory, and do not check."""
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    parameter.grad = gradient


def _reshaping(module: nn.Module) -> Layer:
    return lambda x: (module(x), lambda gradient: gradient.reshape(x.shape))


def _relu(x: Tensor) -> tuple[Tensor, Pullback]:
    y = torch.relu(x)
    return y, lambda gradient: _aten.threshold_backward(gradient, y, 0)


def _sigmoid(x: Tensor) -> tuple[Tensor, Pullback]:
    y = torch.sigmoid(x)
    return y, lambda gradient: _aten.sigmoid_backward(gradient, y)


def _tanh(x: Tensor) -> tuple[Tensor, Pullback]:
    """As 2 sigmoid(2x) - 1, a fifth of the time of PyTorch's and as exact against an output of size 1."""
    y = torch.sigmoid(2 * x).mul_(2).sub_(1)
    return y, lambda gradient: _aten.tanh_backward(gradient, y)


def _average_pool(x: Tensor) -> tuple[Tensor, Pullback]:
    even = _even(x)
    rows = even[:, :, ::2] + even[:, :, 1::2]
    y = (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)

    def pullback(gradient: Tensor) -> Tensor:
        quarter = gradient * 0.25
        for column in (0, 1):
            rows[..., column::2] = quarter
        result = torch.empty_like(even)
        for row in (0, 1):
            result[:, :, row::2] = rows
        return _padded(result, x)

    return y, pullback


def _max_pool(x: Tensor) -> tuple[Tensor, Pullback]:
    """Of equal pixels the first, row by row, counts as the largest, as in PyTorch."""
    even = _even(x)
    left = even[..., ::2].contiguous()
    rows = torch.maximum(left, even[..., 1::2])
    top = rows[:, :, ::2].contiguous()
    y = torch.maximum(top, rows[:, :, 1::2])

    def pullback(gradient: Tensor) -> Tensor:
        upper = top.eq_(y).mul_(gradient)
        of_rows = torch.empty_like(rows)
        of_rows[:, :, ::2], of_rows[:, :, 1::2] = upper, gradient - upper
        leftmost = left.eq_(rows).mul_(of_rows)
        result = torch.empty_like(even)
        result[..., ::2], result[..., 1::2] = leftmost, of_rows.sub_(leftmost)
        return _padded(result, x)

    return y, pullback


def _even(x: Tensor) -> Tensor:
    """Without the last row and column, where their number is odd: no window holds them."""
    return x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]


def _padded(gradient: Tensor, x: Tensor) -> Tensor:
    """With zeros for what `_even` left out."""
    if gradient.shape == x.shape:
        return gradient
    return F.pad(gradient, (0, x.shape[3] - gradient.shape[3], 0, x.shape[2] - gradient.shape[2]))


_PLAIN: dict[type[nn.Module], Layer] = {nn.ReLU: _relu, nn.Sigmoid: _sigmoid, nn.Tanh: _tanh}
