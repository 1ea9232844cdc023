"""The networks a visitor can ask: their names, their colours, their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lenet_core.library import bundled_checkpoints, own_checkpoints

# One colour for each network on every page, from Okabe and Ito's set, safe for colour-blind eyes.
_BUNDLED = {
    "lenet-modern": ("Modern LeNet", "#0072b2", "ReLU, max pooling"),
    "lenet5-1998": ("LeNet-5, 1998", "#d55e00", "scaled tanh, sparse C3, RBF output"),
    "lenet5-tanh": ("LeNet-5, tanh", "#cc79a7", "tanh, average pooling"),
    "lenet-d2l": ("Textbook LeNet", "#009e73", "sigmoid, average pooling"),
    "lenet-d2l-fashion": ("Textbook LeNet on clothes", "#e69f00", "knows Fashion-MNIST, no digits"),
}
_OWN_COLOURS = ("#56b4e9", "#f0e442", "#999999")
_MOST_OWN = 6


@dataclass(frozen=True)
class Network:
    """A checkpoint with the name, colour (#rrggbb) and one-line character it has on every page."""

    key: str
    title: str
    colour: str
    character: str
    path: Path


def networks() -> list[Network]:
    """The bundled networks, the default first, then the newest of the user's own."""
    bundled = bundled_checkpoints()
    known = [Network(key, *_BUNDLED[key], bundled[key]) for key in _BUNDLED if key in bundled]
    own = list(own_checkpoints().items())[:_MOST_OWN]
    return known + [
        Network(f"own/{name}", name, _OWN_COLOURS[index % len(_OWN_COLOURS)], "trained by you", path)
        for index, (name, path) in enumerate(own)
    ]
