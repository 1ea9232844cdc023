"""What the numbers of the layers on show say, in a plain sentence or two."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONTRAST = 0.1  # how much further than the others an input's active share must fall or rise to be remarked on
ALIKE = 0.05  # active shares that differ by less are about the same, if none is twice another
FAINT = 1 / 3  # of the others' median strength
HARDLY = 0.1  # an active share below which a layer hardly answers

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_LIKENESS = (
    (0.9, "look very alike"), (0.6, "look rather alike"), (0.2, "look a little alike"),
    (-0.2, "do not look alike"), (-1.0, "look like opposites"),
)  # fmt: skip


@dataclass(frozen=True)
class LayerNumbers:
    """A layer's title and its numbers for N inputs, as `lenet_core.measures` finds them.

    `active_all` and `strength` are (N,), `similarity` is (N, N).
    """

    title: str
    active_all: Floats
    strength: Floats
    similarity: Floats


def what_they_show(names: Sequence[str], layers: Sequence[LayerNumbers]) -> str:
    """What is most striking in the numbers of one or two layers for the inputs `names`; empty where nothing is shown.

    The first sentence tells what share of the layers' units the inputs light (are above rest), the second which
    two of them the last layer finds most alike. They say what was measured, not why.

    Raises:
        ValueError: more than two layers, or numbers for another count of inputs.
    """
    if len(layers) > 2:
        raise ValueError(f"One or two layers can be told apart in a sentence, not {len(layers)}.")
    for layer in layers:
        if not len(layer.active_all) == len(layer.strength) == len(layer.similarity) == len(names):
            raise ValueError(f"{layer.title} has numbers for {len(layer.active_all)} inputs, not {len(names)}.")
    if not names or not layers:
        return ""
    called = _called(names)
    if len(names) == 1:
        return _sentence(f"{called[0]} {_lights(layers, 0)}")
    first = _dark(called, layers) or _contrast(called, layers) or _faint(called, layers) or _spread(called, layers)
    return " ".join(_sentence(text) for text in (first, _likeness(called, layers[-1])) if text)


def _called(names: Sequence[str]) -> list[str]:
    """The inputs as a sentence names them: the cat, the first 4 (of "4" and "4", or "4 (1)" and "4 (2)"), photo.jpg."""
    names = [re.sub(r" \(\d\)$", "", name) for name in names]
    count, seen = Counter(names), Counter[str]()
    called = []
    for name in names:
        seen[name] += 1
        if count[name] > 1:
            place = seen[name] - 1
            ordinal = _ORDINALS[place] if place < len(_ORDINALS) else f"{place + 1}th"
            called.append(f"the {ordinal} {re.sub(r'^(the|your|an?) ', '', name)}")
        elif re.search(r"\.\w{2,4}$|^(the|your|an?) ", name):  # a file's name, or one that has its article
            called.append(name)
        else:
            called.append(f"the {name}")
    return called


def _sentence(text: str) -> str:
    """With its capital, where it begins with a word of ours and not with a file's name."""
    return re.sub(r"^(the|your|an?|no|all|of|to)\b", lambda word: word[0].capitalize(), text) + "."


def _share(share: float) -> str:
    """A share as people read it: none, 83 %, all."""
    if share in (0, 1):
        return "all" if share else "none"
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _range(shares: Floats) -> str:
    low, high = _share(float(shares.min())), _share(float(shares.max()))
    return low if low == high else f"{low.removesuffix(' %')} to {high}" if "%" in high else f"{low} to {high}"


def _lights(layers: Sequence[LayerNumbers], index: int) -> str:
    return "lights " + " and ".join(f"{_share(float(layer.active_all[index]))} of {layer.title}" for layer in layers)


def _some(called: Sequence[str], indices: Sequence[int]) -> str:
    return _joined([called[index] for index in indices]) if len(indices) < 3 else f"{len(indices)} of the inputs"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _dark(called: Sequence[str], layers: Sequence[LayerNumbers]) -> str:
    """Inputs that light no unit of the last layer."""
    last = layers[-1]
    dark, lit = (np.flatnonzero(there).tolist() for there in (last.active_all == 0, last.active_all != 0))
    if not dark:
        return ""
    if not lit:
        everywhere = not any(layer.active_all.any() for layer in layers)
        return (
            f"no input lights anything in {' or '.join(layer.title for layer in layers) if everywhere else last.title}"
        )
    verb = "lights" if len(dark) == 1 else "light"
    others = f"{called[lit[0]]} lights" if len(lit) == 1 else "the others light"
    return f"{_some(called, dark)} {verb} nothing in {last.title}; {others} {_range(last.active_all[lit])} of it"


def _strength_beside_others(layer: LayerNumbers, index: int) -> float:
    """An input's strength as a fraction of the others' median; 1 where they have none."""
    others = float(np.median(np.delete(layer.strength, index)))
    return float(layer.strength[index]) / others if others > 0 else 1.0


def _contrast(called: Sequence[str], layers: Sequence[LayerNumbers]) -> str:
    """The input whose active share changes from one layer to the next unlike the others'."""
    if len(layers) < 2:
        return ""
    first, last = layers
    falls = first.active_all - last.active_all
    # What hardly reaches the first layer shows no contrast, and is nothing to compare with.
    reach = [index for index in range(len(called)) if _strength_beside_others(first, index) >= FAINT]
    if len(reach) < 2:
        return ""
    unlike = {one: float(falls[one] - np.median([falls[other] for other in reach if other != one])) for one in reach}
    index = max(unlike, key=lambda one: (round(abs(unlike[one]), 6), unlike[one]))
    if abs(unlike[index]) < CONTRAST:
        return ""
    before, after = float(first.active_all[index]), float(last.active_all[index])
    hardly = after < HARDLY and _strength_beside_others(last, index) <= 0.5
    if unlike[index] > 0 and after < before / 2:
        answer = f"{last.title} hardly answers: {_share(after)}" if hardly else f"only {_share(after)} of {last.title}"
        link = f", yet {answer}"
    else:
        link = f"{', but' if unlike[index] < 0 and after > before else ' and'} {_share(after)} of {last.title}"
    who = "the others light" if len(called) > 2 else f"{called[1 - index]} lights"
    ranges = [_range(np.delete(layer.active_all, index)) for layer in layers]
    return (
        f"{called[index]} lights {_share(before)} of {first.title}{link}; "
        f"{who} {ranges[0]} of {first.title} and {ranges[1]} of {last.title}"
    )


def _faint(called: Sequence[str], layers: Sequence[LayerNumbers]) -> str:
    """Inputs that a layer answers with far less strength than the others."""
    for layer in layers:
        beside = [_strength_beside_others(layer, index) for index in range(len(called))]
        faint = [index for index, strength in enumerate(beside) if strength < FAINT]
        if faint:
            most = "at most " if len(faint) > 1 else ""
            others = f"strength for {called[1 - faint[0]]}" if len(called) == 2 else "median strength for the others"
            return (
                f"{layer.title} answers {_some(called, faint)} only faintly, "
                f"with {most}{_share(max(beside[index] for index in faint))} of its {others}"
            )
    return ""


def _spread(called: Sequence[str], layers: Sequence[LayerNumbers]) -> str:
    """Which input lights most of a layer, and which least."""
    apart = [layer for layer in layers if not _about_the_same(layer.active_all)]
    if not apart:
        ranges = " and ".join(f"of {layer.title} ({_range(layer.active_all)})" for layer in layers)
        who = f"all {len(called)} inputs light" if len(called) > 2 else f"{called[0]} and {called[1]} light"
        return f"{who} about the same share {ranges}"
    widest = max(apart, key=lambda layer: float(np.ptp(layer.active_all)))
    texts = [_share(float(share)) for share in widest.active_all]
    ends = []
    for end in (int(np.argmax(widest.active_all)), int(np.argmin(widest.active_all))):
        same = [index for index, text in enumerate(texts) if text == texts[end]]
        ends.append((_some(called, same), "lights" if len(same) == 1 else "light", texts[end]))
    (most, verb, high), (least, _, low) = ends
    return f"of {widest.title} {most} {verb} most ({high}), {least} least ({low})"


def _about_the_same(shares: Floats) -> bool:
    low, high = float(shares.min()), float(shares.max())
    return _share(low) == _share(high) or (high - low < ALIKE and low >= high / 2)


def _cosine(value: float) -> str:
    """A cosine with two digits, and 1.00 only for what is the same."""
    return "over 0.99" if 0.995 <= value < 1 - 1e-6 else f"{value:.2f}".replace("-", "−").replace("−0.00", "0.00")


def _likeness(called: Sequence[str], layer: LayerNumbers) -> str:
    """The two inputs whose activations point most alike, and the two that do least."""
    pairs = {
        pair: float(layer.similarity[pair])
        for pair in combinations(range(len(called)), 2)
        if np.isfinite(layer.similarity[pair])
    }
    if not pairs:
        return ""
    texts = {pair: _cosine(value) for pair, value in pairs.items()}
    most, least = max(pairs, key=lambda pair: pairs[pair]), min(pairs, key=lambda pair: pairs[pair])
    if len(pairs) == 1:
        look = next(look for limit, look in _LIKENESS if pairs[most] >= limit)
        return f"to {layer.title} {_pair(called, most)} {look} (cosine {texts[most]})"
    if texts[most] == texts[least]:
        who = (
            f"all {len(called)} inputs" if len(pairs) == len(called) * (len(called) - 1) // 2 else "all that it answers"
        )
        return f"to {layer.title} {who} look equally alike (cosine {texts[most]})"
    tied = sum(text == texts[most] for text in texts.values()) - 1
    also = f", as do {tied} more pairs" if tied > 1 else ", as does one more pair" if tied else ""
    return (
        f"to {layer.title} {_pair(called, most)} look most alike (cosine {texts[most]}{also}), "
        f"{_pair(called, least)} least ({texts[least]})"
    )


def _pair(called: Sequence[str], pair: tuple[int, int]) -> str:
    return _joined([called[index] for index in pair])
