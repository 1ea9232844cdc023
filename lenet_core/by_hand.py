"""A network's forward and backward pass written out, for CPUs, where some of PyTorch's kernels are slow for LeNets.

Pooling, tanh and the weights' gradients of narrow convolutions take a third to a half of a LeNet's training there.
Here they are put together from operations that are fast, without a record for the backward pass. Layers that have
no form of their own here go through PyTorch as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.layers import ScaledTanh, Subsampling, TableConv2d

# From the gradient of a layer's output to that of its input; leaves the gradients of its parameters in their
# `grad`. To be called once: it may use up what the layer kept for it.
Pullback = Callable[[Tensor], Tensor]
Layer = Callable[[Tensor], tuple[Tensor, Pullback]]

_aten = torch.ops.aten
_NARROW = range(4, 16)  # input channels: fewer or more suit oneDNN's formats, which take 16 at once


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
    if (
        type(module) is nn.Conv2d
        and module.bias is not None
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    ):
        slide = module.stride, module.padding, module.dilation, module.groups
        return partial(_convolution, module, slide, first)
    if type(module) is TableConv2d:
        return partial(_convolution, module, ([module.stride] * 2, [module.padding] * 2, [1, 1], 1), first)
    if type(module) is nn.Linear and module.bias is not None:
        return partial(_dense, module)
    if type(module) is nn.MaxPool2d and _halves(module) and module.dilation == 1 and not module.return_indices:
        return _max_pool
    if type(module) is nn.AvgPool2d and _halves(module) and module.divisor_override is None:
        return _average_pool
    if type(module) is Subsampling and (module.kernel_size, module.stride) == (2, 2):
        return partial(_subsampling, module)
    if type(module) is nn.Flatten:
        return partial(_reshaping, module)
    return _ELEMENTWISE.get(type(module)) or partial(_recorded, module)


def _halves(module: nn.MaxPool2d | nn.AvgPool2d) -> bool:
    """Whether the windows are of 2x2, side by side."""
    return (module.kernel_size, module.stride, module.padding, module.ceil_mode) == (2, 2, 0, False)


def _given(module: nn.Module) -> Layer:
    return lambda x: (module(x), lambda gradient: gradient)


def _recorded(module: nn.Module, x: Tensor) -> tuple[Tensor, Pullback]:
    """Any module, by PyTorch's own record of what it did."""
    with torch.enable_grad():
        start = x.detach().requires_grad_()
        y: Tensor = module(start)

    def pullback(gradient: Tensor) -> Tensor:
        y.backward(gradient)
        assert start.grad is not None
        return start.grad

    return y.detach(), pullback


_Slide = tuple[Sequence[int], Sequence[int], Sequence[int], int]  # stride, padding, dilation, groups


def _convolution(module: nn.Conv2d | TableConv2d, slide: _Slide, first: bool, x: Tensor) -> tuple[Tensor, Pullback]:
    """Of the first layer the input's gradient, which nobody asks for, is not computed."""
    stride, padding, dilation, groups = slide
    kernels = module.dense_weight() if isinstance(module, TableConv2d) else module.weight

    def pullback(gradient: Tensor) -> Tensor:
        of_input, of_kernels, of_bias = _convolution_gradients(gradient, x, kernels, slide, not first)
        if isinstance(module, TableConv2d):
            of_kernels = of_kernels[module.out_index, module.in_index]
        _leave(module.weight, of_kernels)
        assert module.bias is not None
        _leave(module.bias, of_bias)
        return gradient if of_input is None else of_input

    return F.conv2d(x, kernels, module.bias, stride, padding, dilation, groups), pullback


def _convolution_gradients(
    gradient: Tensor, x: Tensor, kernels: Tensor, slide: _Slide, wants_input: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The gradients of the input, if it is wanted, of the kernels and of the biases."""
    stride, padding, dilation, groups = slide
    how = [len(kernels)], stride, padding, dilation, False, [0, 0], groups
    if x.shape[1] not in _NARROW:
        of_all: tuple[Tensor | None, Tensor, Tensor]
        of_all = _aten.convolution_backward(gradient, x, kernels, *how, [wants_input, True, True])
        return of_all
    nhwc = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (gradient, x))
    of_kernels = _aten.convolution_backward(*nhwc, kernels, *how, [False, True, False])[1]
    of_input = None
    if wants_input:
        of_input = _aten.convolution_backward(gradient, x, kernels, *how, [True, False, False])[0]
    return of_input, of_kernels, gradient.sum((0, 2, 3))


def _dense(module: nn.Linear, x: Tensor) -> tuple[Tensor, Pullback]:
    def pullback(gradient: Tensor) -> Tensor:
        _leave(module.weight, gradient.t() @ x)
        _leave(module.bias, gradient.sum(0))
        return gradient @ module.weight

    return module(x), pullback


def _leave(parameter: Tensor, gradient: Tensor) -> None:
    """Fused optimisers take parameter and gradient to lie alike in memory, and do not check."""
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    parameter.grad = gradient


def _reshaping(module: nn.Module, x: Tensor) -> tuple[Tensor, Pullback]:
    return module(x), lambda gradient: gradient.reshape(x.shape)


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


def _scaled_tanh(x: Tensor) -> tuple[Tensor, Pullback]:
    y, pullback = _tanh(x * (2 / 3))
    return 1.7159 * y, lambda gradient: pullback(gradient).mul_(1.7159 * 2 / 3)


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


def _subsampling(module: Subsampling, x: Tensor) -> tuple[Tensor, Pullback]:
    mean, pullback_of_mean = _average_pool(x)
    total = mean.mul_(4)
    weight = module.weight[:, None, None]

    def pullback(gradient: Tensor) -> Tensor:
        _leave(module.weight, (gradient * total).sum((0, 2, 3)))
        _leave(module.bias, gradient.sum((0, 2, 3)))
        return pullback_of_mean(gradient * (4 * weight))

    return total * weight + module.bias[:, None, None], pullback


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


_ELEMENTWISE: dict[type[nn.Module], Layer] = {
    nn.ReLU: _relu, nn.Sigmoid: _sigmoid, nn.Tanh: _tanh, ScaledTanh: _scaled_tanh,
}  # fmt: skip
