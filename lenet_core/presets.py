"""The published networks, each a starting point for one's own: `preset("lenet5-1998")`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lenet_core.architecture import Architecture
from lenet_core.bounds import shorten
from lenet_core.layout import Conv

# Which maps of S2 (0 to 5) each of the 16 maps of C3 reads.
# LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition",
# Proceedings of the IEEE 86(11), 1998, Table I.
C3_TABLE: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


def _lenet_d2l() -> Architecture:
    """LeNet as textbooks teach it: sigmoid, average pooling, a plain linear output.

    Zhang, Lipton, Li, Smola, "Dive into Deep Learning", section 7.6: 28x28 input padded by 2 in the
    first convolution, Xavier-uniform weights.
    """
    return Architecture(
        name="lenet-d2l",
        input_shape=(1, 28, 28),
        convs=(Conv(6, padding=2), Conv(16)),
        dense=(120, 84),
        activation="sigmoid",
        pooling="average",
        initialisation="xavier-uniform",
    )


def _lenet5_tanh() -> Architecture:
    """LeNet-5 in the shape most re-implementations give it.

    The layout of LeCun et al. 1998, section II.B, with C5 as a convolution, but tanh for the scaled
    tanh, plain average pooling, every C3 map reading all of S2, and a linear output.
    """
    return Architecture(
        name="lenet5-tanh",
        input_shape=(1, 32, 32),
        convs=(Conv(6), Conv(16), Conv(120, pool=0)),
        dense=(84,),
        activation="tanh",
        pooling="average",
    )


def _lenet5_1998() -> Architecture:
    """LeNet-5 as published: 60,000 trainable parameters and 340,908 connections.

    LeCun et al. 1998, section II.B: background -0.1 and ink 1.175; activation 1.7159 tanh(2x/3)
    (appendix A); C3 by Table I; subsampling that sums four inputs, times a weight, plus a bias, and is
    squashed; an output of Euclidean radial basis functions on fixed 7x12 codes of +1 and -1.
    """
    return Architecture(
        name="lenet5-1998",
        input_shape=(1, 32, 32),
        convs=(Conv(6), Conv(16, table=C3_TABLE), Conv(120, pool=0)),
        dense=(84,),
        activation="scaled-tanh",
        pooling="subsampling",
        head="rbf",
        input_range=(-0.1, 1.175),
        initialisation="lecun",
    )


def _lenet_modern() -> Architecture:
    """LeNet with what came after it: ReLU and max pooling.

    The layout of `lenet-d2l`; ReLU after Nair and Hinton 2010, max pooling after Ranzato et al. 2007.
    """
    return Architecture(
        name="lenet-modern",
        input_shape=(1, 28, 28),
        convs=(Conv(6, padding=2), Conv(16)),
        dense=(120, 84),
    )


def _alexnet_cifar() -> Architecture:
    """AlexNet's plan at the size of CIFAR-10: five 3x3 convolutions, three 2x2 max-pools, dropout.

    A widely copied reduction of Krizhevsky et al. 2012. What follows the last pooling is flattened as
    it comes (256x4x4 for a 32x32 image, 256x8x8 for 64x64).
    """
    plan = ((64, 2), (192, 2), (384, 0), (256, 0), (256, 2))
    return Architecture(
        name="alexnet-cifar",
        input_shape=(3, 32, 32),
        convs=tuple(Conv(channels, kernel_size=3, padding=1, pool=pool) for channels, pool in plan),
        dense=(4096, 4096),
        dropout=0.5,
        naming="alexnet",
    )


def _alexnet_2012() -> Architecture:
    """AlexNet as published, two groups and all: 60,965,224 parameters.

    Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
    NIPS 2012, section 3. The paper writes 224x224, but only 227x227 gives its 55x55 first maps. Weights
    start as PyTorch's do, not from the paper's Gaussian of 0.01.
    """
    return Architecture(
        name="alexnet-2012",
        input_shape=(3, 227, 227),
        convs=(
            Conv(96, kernel_size=11, stride=4, normalise=True, pool=3, pool_stride=2),
            Conv(256, kernel_size=5, padding=2, groups=2, normalise=True, pool=3, pool_stride=2),
            Conv(384, kernel_size=3, padding=1, pool=0),
            Conv(384, kernel_size=3, padding=1, groups=2, pool=0),
            Conv(256, kernel_size=3, padding=1, groups=2, pool=3, pool_stride=2),
        ),
        dense=(4096, 4096),
        num_classes=1000,
        dropout=0.5,
        naming="alexnet",
    )


_PRESETS: dict[str, Callable[[], Architecture]] = {
    "lenet-d2l": _lenet_d2l,
    "lenet5-tanh": _lenet5_tanh,
    "lenet5-1998": _lenet5_1998,
    "lenet-modern": _lenet_modern,
    "alexnet-cifar": _alexnet_cifar,
    "alexnet-2012": _alexnet_2012,
}

PRESETS: tuple[str, ...] = tuple(_PRESETS)


def preset_source(name: str) -> str:
    """What a preset is and where it was published, as its docstring tells it."""
    lines = (_PRESETS[name].__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)


def preset(
    name: str,
    *,
    input_size: int | None = None,
    input_channels: int | None = None,
    num_classes: int | None = None,
) -> Architecture:
    """A published network, at its own size or at another: `input_size` is its height and width in pixels.

    For inputs under 32 the LeNet-5 presets' C5 gets a kernel as large as S4, where 5x5 would not fit.

    Raises:
        ValueError: there is no such preset, or it cannot be built at this size.
    """
    if name not in _PRESETS:
        raise ValueError(f"There is no preset {shorten(name)}; there are {', '.join(PRESETS)}.")
    arch = _PRESETS[name]()
    channels, size, _ = arch.input_shape
    shape = (
        channels if input_channels is None else input_channels,
        *((size if input_size is None else input_size,) * 2),
    )
    convs = arch.convs
    if name.startswith("lenet5") and isinstance(input_size, int) and 0 < input_size < size:
        # In the paper C5's kernel is as large as S4, so that C5 is 1x1; at 28x28 S4 is 4x4.
        s4 = ((input_size - 4) // 2 - 4) // 2
        convs = (*convs[:-1], dataclasses.replace(convs[-1], kernel_size=max(1, min(5, s4))))
    return arch.replace(
        input_shape=shape,
        convs=convs,
        num_classes=arch.num_classes if num_classes is None else num_classes,
    )
