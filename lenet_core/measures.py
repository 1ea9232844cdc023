"""Numbers for a layer's activations: how large, how many units are active, and how alike two inputs look.

NumPy alone, so that a page can use it before PyTorch has loaded; which units have gone flat is
`lenet_core.diagnostics.saturated`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet_core.architecture import Architecture
from lenet_core.bounds import shorten

Floats = NDArray[np.float64]

# What an activation makes of 0 is 0, but for the sigmoid.
_AT_ZERO = {"sigmoid": 0.5}
# These pass on what stands for "neither"; any other kind of layer makes something new of it.
_KEEPING = ("average-pool", "max-pool", "flatten", "dropout")


@dataclass(frozen=True)
class Measures:
    """What `measure` found for N inputs and C maps; shares are fractions from 0 to 1.

    For each input and map, (N, C): `mean`, `active` and `saturated`. For each input over the whole layer,
    (N,): `mean_all`, `active_all`, `saturated_all` and `strength`. Both saturated are None where nothing saturates.
    """

    mean: Floats
    active: Floats
    saturated: Floats | None
    mean_all: Floats
    active_all: Floats
    saturated_all: Floats | None
    strength: Floats


def rest(arch: Architecture, name: str) -> float:
    """The value that stands for "neither yes nor no" at a layer: what its activation makes of 0.

    0.5 where the values come from a sigmoid, also after the pooling that follows it; 0 for all other
    activations, and where a weighted sum has not passed through one yet.

    Raises:
        ValueError: the network has no layer of that name.
    """
    value = 0.0
    for layer in arch.layers:
        if layer.kind == "activation":
            value = _AT_ZERO.get(layer.options["function"], 0.0)
        elif layer.kind == "response-normalisation":
            value /= 2**0.75  # Krizhevsky et al. 2012, section 3.3: k and beta; their alpha adds under 0.01 %
        elif layer.kind not in _KEEPING:
            value = 0.0
        if layer.name == name:
            return value
    names = ", ".join(layer.name for layer in arch.layers)
    raise ValueError(f"{arch.name} has no layer {shorten(name)}; it has {names}.")


def measure(values: NDArray[np.floating], rest: float = 0.0, saturated: NDArray[np.bool_] | None = None) -> Measures:
    """The numbers of a layer's activations (N, C, height, width), or (N, units), which count as one map.

    A unit is active above `rest`; `saturated` tells for each unit whether it is. The strength is the root
    of the mean squared distance from `rest`.

    Raises:
        ValueError: another shape, or one that is empty, or a `saturated` of another shape than `values`.
    """
    maps = _as_maps(values)
    flat = None
    if saturated is not None:
        if saturated.shape != values.shape:
            raise ValueError(f"saturated has shape {saturated.shape}; give it that of the values, {values.shape}.")
        flat = _as_maps(saturated)
    return Measures(
        mean=maps.mean(axis=2),
        active=(maps > rest).mean(axis=2),
        saturated=None if flat is None else flat.mean(axis=2),
        mean_all=maps.mean(axis=(1, 2)),
        active_all=(maps > rest).mean(axis=(1, 2)),
        saturated_all=None if flat is None else flat.mean(axis=(1, 2)),
        strength=np.sqrt(np.square(maps - rest).mean(axis=(1, 2))),
    )


def similarity(values: NDArray[np.floating], rest: float = 0.0) -> Floats:
    """The cosine (N, N) between the N inputs' activations, measured from `rest`: from -1 to 1.

    1 is the same pattern, whatever its strength; 0 is nothing in common. NaN where an input's
    activations all lie at rest, or are not finite: they have no direction.
    """
    vectors = _as_maps(values).reshape(len(values), -1) - rest
    lengths = np.sqrt(np.square(vectors).sum(axis=1))
    directed = np.isfinite(lengths) & (lengths > 0)
    units = np.zeros_like(vectors)
    units[directed] = vectors[directed] / lengths[directed, None]
    cosines = np.clip(units @ units.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    cosines[~directed, :] = cosines[:, ~directed] = np.nan
    return cosines


def _as_maps(values: NDArray[np.generic]) -> Floats:
    """(N, C, units of a map), in double precision, in which sums over large layers stay exact."""
    if values.ndim not in (2, 4) or 0 in values.shape:
        raise ValueError(f"Activations have the shape (N, C, height, width) or (N, units), not {values.shape}.")
    maps = values.shape[1] if values.ndim == 4 else 1
    return values.reshape(len(values), maps, -1).astype(np.float64)
