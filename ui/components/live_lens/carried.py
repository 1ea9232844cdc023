"""A network on its way into the browser: what it is called, which of its maps are shown, and once its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lenet_core.architecture import Architecture
from lenet_core.layout import shape_text
from ui import cache, state
from ui.networks import Network
from ui.stages import FIRST_TWO, stages

MOST_MAPS = 16  # of a layer, beside the pen
_DEEPER = "Each looks for a corner, an end or a curve, put together from the maps above."
_UNSIGNED = ("relu", "sigmoid")


@dataclass(frozen=True)
class ShownMaps:
    """The feature maps of a convolution: the `layer` whose output they are, after its activation.

    `shape` is its output's in words, `says` what to see in them, `count` how many of its maps are shown; `signed`
    whether they have two sides, so that zero is white.
    """

    layer: str
    title: str
    shape: str
    says: str
    count: int
    signed: bool


def shown_maps(arch: Architecture) -> list[ShownMaps]:
    """The feature maps beside the pen: those of the first two convolutions, or of what there is."""
    known = stages(arch)
    found = []
    for token, says in zip(FIRST_TWO, (_what_to_see(arch.activation), _DEEPER), strict=True):
        if token in known:
            stage = known[token]
            channels, *field = stage.made_by.output_shape
            shape = shape_text((channels, *field)) + (f", the first {MOST_MAPS}" if channels > MOST_MAPS else "")
            count, is_signed = min(channels, MOST_MAPS), arch.activation not in _UNSIGNED
            found.append(ShownMaps(stage.layer, stage.title, shape, says, count, is_signed))
    return found


def _what_to_see(activation: str) -> str:
    """How to read the first feature maps; what their tones mean depends on the activation."""
    if activation == "sigmoid":
        return "Each looks for one stroke or edge. Bright: it is there; dark: its opposite; between: empty paper."
    if activation == "relu":
        return "Each is bright where it finds its pattern: one stroke or edge in your digit."
    return "Each looks for one stroke or edge. Red: it is there; blue: its opposite; white: neither."


def carried(network: Network, *, at_once: bool) -> dict[str, Any]:
    """The network as the browser gets it; with its weights where it asked for them, or `at_once` if it never had them.

    Raises:
        LenetError: its file cannot be read.
    """
    name = f"{network.key}@{cache.version(network)}"
    checkpoint = cache.checkpoint(network)
    known: dict[str, Any] = {
        "id": name,
        "title": network.title,
        "colour": network.colour,
        "character": network.character,
        "classes": list(checkpoint.classes),
        "maps": [asdict(maps) for maps in shown_maps(checkpoint.architecture)],
    }
    parcels = state.parcels()
    if name in parcels.wanted or (at_once and name not in parcels.sent):
        known |= cache.portable(network)
        parcels.sent.add(name)
        parcels.wanted.discard(name)
    return known
