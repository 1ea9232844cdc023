"""The networks a visitor can ask: their names, their colours, their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from lenet_core.files import size
from lenet_core.library import bundled_checkpoints, imagenet_checkpoint, own_checkpoints
from lenet_core.presets import PRESETS
from ui import state

# One colour for each network on every page, from Okabe and Ito's set, safe for colour-blind eyes.
_BUNDLED = {
    "lenet-modern": ("Modern LeNet", "#0072b2", "ReLU, max pooling"),
    "lenet5-1998": ("LeNet-5, 1998", "#d55e00", "scaled tanh, sparse C3, RBF output"),
    "lenet5-tanh": ("LeNet-5, tanh", "#cc79a7", "tanh, average pooling"),
    "lenet-d2l": ("Textbook LeNet", "#009e73", "sigmoid, average pooling"),
    "lenet-d2l-fashion": ("Textbook LeNet on clothes", "#e69f00", "knows Fashion-MNIST, no digits"),
}
_UNTRAINED_COLOUR = "#7f7f7f"
_IMAGENET_COLOUR = "#882255"
_OWN_COLOURS = ("#56b4e9", "#aa4499", "#999933")  # the last three of Paul Tol's muted set, as safe
_MOST_OWN = 6
_LARGE = 50_000_000  # bytes
_OWN = "own/"
_UNTRAINED = "untrained/"


@dataclass(frozen=True)
class Network:
    """A checkpoint with the name, colour (#rrggbb) and one-line character it has on every page.

    `path` is its file; None for a preset as it is before training.
    """

    key: str
    title: str
    colour: str
    character: str
    path: Path | None

    @property
    def is_large(self) -> bool:
        """Whether it takes a second or more to read."""
        if self.path is None:
            return "alexnet" in self.key
        return size(self.path) > _LARGE

    @property
    def preset(self) -> str:
        """The preset's name, of a network that was not trained."""
        return self.key.removeprefix(_UNTRAINED)


def bundled(key: str) -> Network | None:
    """The network of that key that came with the project; None where its file is missing."""
    path = bundled_checkpoints().get(key)
    return None if path is None else Network(key, *_BUNDLED[key], path)


def networks(wanted: str = "") -> list[Network]:
    """The bundled networks, the default first, then the newest of the visitor's own, and the `wanted` one."""
    known = [network for key in _BUNDLED if (network := bundled(key)) is not None]
    own = own_checkpoints(state.learner(), _MOST_OWN)
    name = wanted.removeprefix(_OWN)
    if wanted.startswith(_OWN) and name not in own:
        own |= {key: path for key, path in own_checkpoints(state.learner()).items() if key == name}
    return known + [Network(own_key(name), name, own_colour(name), "your own", path) for name, path in own.items()]


def choosable(*wanted: str) -> list[Network]:
    """All networks that one can look into: `networks` with each `wanted` one, AlexNet on ImageNet, the untrained."""
    known = {network.key: network for key in wanted for network in networks(key)}
    return [*known.values(), imagenet(), *untrained()]


def untrained() -> list[Network]:
    """Every preset with random weights, as a training would begin."""
    return [
        Network(_UNTRAINED + name, f"{name}, untrained", _UNTRAINED_COLOUR, "random weights", None) for name in PRESETS
    ]


def imagenet() -> Network:
    """AlexNet as it was trained on ImageNet; its file is not there before it was fetched."""
    return Network(
        "imagenet/alexnet", "AlexNet on ImageNet", _IMAGENET_COLOUR, "1,000 classes, cats and cars among them",
        imagenet_checkpoint(),
    )  # fmt: skip


def own_key(name: str) -> str:
    """The key of a visitor's own network, as it stands in links."""
    return _OWN + name


def own_colour(name: str) -> str:
    """The colour (#rrggbb) of a visitor's own network or run, the same on every page."""
    return _OWN_COLOURS[crc32(name.encode()) % len(_OWN_COLOURS)]
