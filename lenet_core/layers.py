"""From a list of layers to PyTorch: `build(architecture)` gives an `nn.Sequential` of named children."""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core.architecture import Architecture
from lenet_core.bitmaps import BITMAP_UNITS, DIGIT_BITMAPS
from lenet_core.layout import Layer

_ONE_SEED_AT_A_TIME = threading.Lock()  # PyTorch has one global generator for all threads


class Rescale(nn.Module):
    """Maps 0 (background) to `low` and 1 (ink) to `high`, each a number, or a tuple with one for each channel.

    LeCun et al. 1998 use -0.1 and 1.175 (section II.B); what is usual for photographs differs by channel.
    """

    low: float | Tensor
    high: float | Tensor

    def __init__(self, low: float | tuple[float, ...], high: float | tuple[float, ...]) -> None:
        super().__init__()
        for name, value in (("low", low), ("high", high)):
            if isinstance(value, tuple):  # given by the description, so no weight
                self.register_buffer(name, torch.tensor(value, dtype=torch.float)[:, None, None], persistent=False)
            else:
                setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * x


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3), so that f(1) = 1 and f(-1) = -1 (LeCun et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class TableConv2d(nn.Module):
    """A convolution in which each output map reads only the input maps its table names.

    Holds one kernel for each pair in the table and no other number, so that C3 of LeNet-5 has exactly
    its 1,516 parameters (LeCun et al. 1998, section II.B and Table I). `weight` is (pairs, kernel,
    kernel), `bias` (out_channels,).
    """

    out_index: Tensor
    in_index: Tensor

    def __init__(
        self,
        in_channels: int,
        table: tuple[tuple[int, ...], ...],
        kernel_size: int,
        stride: int,
        padding: int,
    ) -> None:
        super().__init__()
        pairs = [(out, source) for out, row in enumerate(table) for source in row]
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(len(pairs), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(table)))
        self.register_buffer("out_index", torch.tensor([out for out, _ in pairs]), persistent=False)
        self.register_buffer("in_index", torch.tensor([source for _, source in pairs]), persistent=False)
        self.fan_in = torch.bincount(self.out_index, minlength=len(table)) * float(kernel_size**2)
        self.start_within(self.fan_in**-0.5)

    def start_within(self, limits: Tensor) -> None:
        """Draws the weights and biases of each output map evenly from plus to minus its limit (maps,)."""
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(limits[self.out_index, None, None])
            self.bias.uniform_(-1, 1).mul_(limits)

    def dense_weight(self) -> Tensor:
        """The kernels as an ordinary (out, in, kernel, kernel) weight, zero where the table is empty."""
        return self.weight.new_zeros(self.shape).index_put((self.out_index, self.in_index), self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.dense_weight(), self.bias, self.stride, self.padding)


class Subsampling(nn.Module):
    """The sum of each window, times a weight, plus a bias, one of each per map.

    LeCun et al. 1998, section II.B, layers S2 and S4. The squashing that follows is a layer of its own.
    """

    def __init__(self, channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        # The paper does not say how these start: at the mean of the window, unbiased.
        self.weight = nn.Parameter(torch.full((channels,), 1 / kernel_size**2))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        total = F.avg_pool2d(x, self.kernel_size, self.stride) * self.kernel_size**2
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class RBFOutput(nn.Module):
    """Minus the squared distance to each class's code: (N, units) to (N, classes), at most 0.

    LeCun et al. 1998, equation 7; the sign is turned so that the largest output wins, as elsewhere.
    """

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None, :] - self.codes).square().sum(dim=2)


def class_codes(num_classes: int, units: int) -> Tensor:
    """The fixed codes of an RBF output: (classes, units) of +1 and -1.

    For 84 units the first ten are the digits' 7x12 bitmaps; all others are drawn at random with equal
    probabilities, which the paper names as the alternative (section II.B), always the same ones.
    """
    generator = random.Random(1998)
    codes = {tuple(bitmap): None for bitmap in DIGIT_BITMAPS[:num_classes]} if units == BITMAP_UNITS else {}
    while len(codes) < num_classes:  # a dictionary, so that no two classes get the same code
        codes[tuple(generator.choice((-1.0, 1.0)) for _ in range(units))] = None
    return torch.tensor(list(codes))


_ACTIVATIONS = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "scaled-tanh": ScaledTanh,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
}


def _module(layer: Layer) -> nn.Module:
    options = layer.options
    in_size = layer.input_shape[0]
    match layer.kind:
        case "rescale":
            return Rescale(options["low"], options["high"])
        case "convolution" if options["table"] is not None:
            return TableConv2d(in_size, options["table"], options["kernel_size"], options["stride"], options["padding"])
        case "convolution":
            return nn.Conv2d(
                in_size,
                layer.output_shape[0],
                options["kernel_size"],
                options["stride"],
                options["padding"],
                groups=options["groups"],
            )
        case "activation":
            return _ACTIVATIONS[options["function"]]()
        case "average-pool":
            return nn.AvgPool2d(options["kernel_size"], options["stride"])
        case "max-pool":
            return nn.MaxPool2d(options["kernel_size"], options["stride"])
        case "subsampling":
            return Subsampling(in_size, options["kernel_size"], options["stride"])
        case "response-normalisation":
            # Krizhevsky et al. 2012, section 3.3. PyTorch divides alpha by the size n, the paper does not.
            return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)
        case "flatten":
            return nn.Flatten()
        case "dense":
            return nn.Linear(in_size, layer.output_shape[0])
        case "dropout":
            return nn.Dropout(options["fraction"])
        case "rbf":
            return RBFOutput(class_codes(layer.output_shape[0], in_size))
    raise AssertionError(f"no module for a layer of kind {layer.kind}")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Lets the global generator start from `seed`, for one thread at a time; afterwards it is as it was."""
    with _ONE_SEED_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build(arch: Architecture, seed: int | None = None) -> nn.Sequential:
    """The network as an `nn.Sequential` whose children bear the layers' names.

    Takes images (N, channels, height, width) of floats from 0 to 1 and gives logits (N, classes).
    With a `seed` the initial weights are always the same, and the global generator is left alone.
    """
    with contextlib.nullcontext() if seed is None else seeded(seed):
        net = nn.Sequential(OrderedDict((layer.name, _module(layer)) for layer in arch.layers))
        if arch.initialisation == "xavier-uniform":
            net.apply(_xavier_uniform)
        elif arch.initialisation == "lecun":
            net.apply(_lecun_uniform)
    return net


def _xavier_uniform(module: nn.Module) -> None:
    """Glorot and Bengio 2010, equation 16; biases keep PyTorch's start, as in the d2l text."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
    elif isinstance(module, TableConv2d):
        limit = math.sqrt(6 / (module.shape[0] * module.shape[2] ** 2 + module.fan_in.max().item()))
        nn.init.uniform_(module.weight, -limit, limit)


def _lecun_uniform(module: nn.Module) -> None:
    """Uniform in +-2.4/F, F the number of inputs of a unit (LeCun et al. 1998, appendix A)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        limit = 2.4 / module.weight[0].numel()
        nn.init.uniform_(module.weight, -limit, limit)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -limit, limit)
    elif isinstance(module, TableConv2d):
        module.start_within(2.4 / module.fan_in)
