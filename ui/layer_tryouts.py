"""What LeNet-5 and AlexNet introduced, each a layer to be tried with a few numbers: the networks' own modules."""

from __future__ import annotations

import numpy as np
import streamlit as st

from lenet_core.bitmaps import DIGIT_BITMAPS
from lenet_core.presets import preset
from ui import links, markup, markup_arithmetic, markup_tryouts, markup_why84, state

_TITLES = {
    "subsampling": "Trainable subsampling (1998)",
    "rbf": "RBF output (1998)",
    "lrn": "Response normalisation (2012)",
    "overlap": "Overlapping pooling (2012)",
    "groups": "Two-GPU groups (2012)",
    "dropout": "Dropout (2012)",
}
_UNITS = np.array([0.4, 1.2, 0.7, 2.0, 0.9, 1.6, 0.3, 1.1, 1.8, 1.0], dtype=np.float32)
_THROWS = 10_000
_MAPS, _OWN, _REACH = 7, 3, 2  # of the response normalisation: maps shown, the one to watch, how far its window reaches
_SIDE = 7  # of the map that is pooled: both poolings make 3x3 of it
_LENET_COLOUR = "#d55e00"


def tryouts() -> None:
    """A choice of layers, and the chosen one with its knobs and numbers; the choice stands in the link."""
    keys = list(_TITLES)
    chosen = st.pills(
        "What each introduced, to be tried", keys, default=links.wanted("try", keys, keys[0]), required=True,
        format_func=_TITLES.__getitem__, key="tryout",
    )  # fmt: skip
    links.remember("try", chosen or keys[0], keys[0])
    with st.container(border=True, key="tried"):  # its knobs on the left, what they do on the right
        _ROOMS[chosen or keys[0]]()


def _again(key: str, label: str, icon: str) -> int:
    """A button that asks for another try; how many there were."""
    st.button(label, key=f"again_{key}", icon=icon, on_click=state.try_again, args=(key,))
    return state.tries(key)


def _subsampling() -> None:
    from lenet_core.tryouts import subsampled

    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption(
            "S2 and S4 of 1998 add up each 2x2 window, times a weight, plus a bias: two numbers for each map, set by "
            "training. Then the sum is squashed. A small weight makes the unit nearly linear, a large one a switch. "
            "(LeCun et al. 1998, section II.B)"
        )
        weight = st.slider("Weight w", -2.0, 2.0, 0.25, 0.05, key="try_weight")
        bias = st.slider("Bias b", -2.0, 2.0, 0.0, 0.05, key="try_bias")
        seed = _again("subsampling", "Other numbers", ":material/casino:")
    window = np.random.default_rng(seed).uniform(-1, 1, (2, 2)).round(1).astype(np.float32)
    result = subsampled(window, weight, bias)
    mean = " With w = 1/4 and no bias it is the mean, squashed." if (weight, bias) == (0.25, 0) else ""
    said = f"The window becomes {markup.number(result.value)}.{mean}"
    with right:
        st.html(markup_tryouts.tried(said, markup_arithmetic.unit_sum(result, "One unit of S2", "Its window in C1:")))


def _rbf() -> None:
    from lenet_core.tryouts import code_distances

    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption(
            "Each output is a squared distance: of the 84 units before it to its class's code, Σ (x − code)². Paint "
            "one digit's code over another's, and see where the answer turns. (LeCun et al. 1998, equation 7)"
        )
        digits = [str(digit) for digit in range(10)]
        with st.container(horizontal=True):
            start = st.selectbox("From the code of", digits, index=3, key="try_from", width=150)
            end = st.selectbox("to that of", digits, index=8, key="try_to", width=150)
        share = st.slider("How far", 0, 100, 40, 5, format="%d %%", key="try_share") / 100
        if st.button("Show it a cat: Why 84?", icon=":material/history_edu:", key="try_cat", help="Below C3's table"):
            links.go("pages/history.py", {"why": "cat.0"})
    codes = np.array(DIGIT_BITMAPS, dtype=np.float32)
    units = (1 - share) * codes[int(start)] + share * codes[int(end)]
    distances = code_distances(units)
    nearest = int(distances.argmin())
    said = f"The answer is {nearest}, at a squared distance of {markup_why84.distance(float(distances[nearest]))}."
    picture = markup_why84.bitmap(units, markup_why84.UNITS, "The 84 units", 112)
    bars = markup_tryouts.side_by_side(picture, markup_why84.ranking(distances), _LENET_COLOUR)
    with right:
        st.html(markup_tryouts.tried(said, bars))


def _lrn() -> None:
    from lenet_core.tryouts import normalised

    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption(
            "At each place a map's activity is divided by what its neighbours have there: "
            "b = a / (2 + 0.0001 Σ a²)^0.75, the sum over five maps, its own in the middle. Loud neighbours make it "
            "quieter. It took 1.4 points off AlexNet's top-1 error. (Krizhevsky et al. 2012, section 3.3)"
        )
        own = st.slider(f"Map {_OWN}, the one to watch", 0, 300, 150, 10, key="try_own")
        near = st.slider("Its four neighbours, maps 1, 2, 4 and 5", 0, 300, 100, 10, key="try_near")
        far = st.slider("Maps 0 and 6, outside its window", 0, 300, 200, 10, key="try_far")
    before = [float(own if at == _OWN else near if abs(at - _OWN) <= _REACH else far) for at in range(_MAPS)]
    after, how = normalised(before, _OWN)
    alone, _ = normalised([own if at == _OWN else 0.0 for at in range(_MAPS)], _OWN)
    said = (
        f"Map {_OWN} goes from {own} to {markup.number(float(after[_OWN]))}; with silent neighbours it would be "
        f"{markup.number(float(alone[_OWN]))}. Maps 0 and 6 do not count."
    )
    outside = [at for at in range(_MAPS) if abs(at - _OWN) > _REACH]
    bars = markup_tryouts.neighbours(before, [float(value) for value in after], _OWN, outside)
    with right:
        sum_of_it = markup_arithmetic.unit_sum(how, f"How map {_OWN} got there", "The squares of its window:")
        st.html(markup_tryouts.tried(said, bars + sum_of_it))


def _overlap() -> None:
    from lenet_core.tryouts import pooled

    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption(
            "LeNet's 2x2 windows lie side by side. AlexNet's are 3x3 and move on by 2, so that they share a row and "
            "a column, and a large number can win several. It took 0.4 points off the top-1 error. "
            "(Krizhevsky et al. 2012, section 3.4)"
        )
        seed = _again("overlap", "Other numbers", ":material/casino:")
    values = (np.random.default_rng(seed).permutation(_SIDE**2) + 1).reshape(_SIDE, _SIDE).astype(np.float32)
    kinds = []
    for size in (2, 3):
        result, wins = pooled(values, size, 2)
        kinds.append(markup_tryouts.Pooled(values, wins, result, size, 2))
    apart, shared = (int((kind.wins > 0).sum()) for kind in kinds)
    said = (
        f"Both make 3x3 of it. Apart, the windows have {apart} winners, and none reads the hatched edge; overlapping, "
        f"they have {shared}: where two windows share their largest number, it wins twice (×2)."
    )
    with right:
        st.html(markup_tryouts.tried(said, markup_tryouts.pooled(kinds)))


def _groups() -> None:
    published = preset("alexnet-2012")
    whole = published.replace(groups=1)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption(
            "AlexNet did not fit into the 3 GB of one GPU of 2012. Half of the maps lay on each of two, and only "
            "conv3 and the dense layers read from both: conv2, conv4 and conv5 are convolutions in two groups. "
            "(Krizhevsky et al. 2012, section 3.2)"
        )
        grouped = st.toggle("In two groups, as published", value=True, key="try_groups")
        st.html(markup_tryouts.group_costs(published, whole))
    arch = published if grouped else whole
    said = f"{arch.parameters:,} parameters, {sum(layer.multiply_adds for layer in arch.layers):,} multiply-adds."
    pictures = (
        ("conv2", arch, "conv2"), ("conv3", arch, "conv3"), ("C3 of 1998, by its table", preset("lenet5-1998"), "c3"),
    )  # fmt: skip
    with right:
        body = markup_tryouts.gpus(arch) + markup_tryouts.who_reads_whom(pictures)
        st.html(markup_tryouts.tried(said, body))


def _dropout() -> None:
    from lenet_core.tryouts import at_test, dropped

    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption(
            "While it trains, each unit is left out with probability p, at random for each image, so that none can "
            "rely on another; the rest are divided by 1 − p. When the network answers, nothing is dropped. "
            "(Krizhevsky et al. 2012, section 4.2; with p = 0.5, and the outputs halved at the test instead)"
        )
        fraction = st.slider("p", 0.05, 0.95, 0.5, 0.05, key="try_fraction")
        seed = _again("dropout", "Drop again", ":material/casino:")
    throws = dropped([float(value) for value in _UNITS], fraction, _THROWS, seed)
    after = at_test([float(value) for value in _UNITS], fraction)
    kept = int((throws[0] != 0).sum())
    said = (
        f"{kept} of the 10 survive. Their mean was {_UNITS.mean():.2f} and is {throws[0].mean():.2f} in this throw, "
        f"{throws.mean():.2f} over {_THROWS:,} throws, {after.mean():.2f} at the test."
    )
    rows = (("the ten units", _UNITS), ("training, this throw", throws[0]), ("at the test", after))
    with right:
        st.html(markup_tryouts.tried(said, markup_tryouts.dropped(rows)))


_ROOMS = {
    "subsampling": _subsampling,
    "rbf": _rbf,
    "lrn": _lrn,
    "overlap": _overlap,
    "groups": _groups,
    "dropout": _dropout,
}
