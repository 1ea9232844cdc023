"""Put digits, cats, cars and noise through the same network, and compare what its layers make of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import streamlit as st

from lenet_core.errors import LenetError
from ui import cache, imagenet, layout, links, look_details, looking, maps, markup, shown_inputs, state
from ui.looking import Look
from ui.networks import Network, choosable
from ui.pictures import SHARED
from ui.stages import stages

_PARAMETERS = ("net", "beside", "layers", "scale", "maps", "inputs", "drawing", "unit", "detail")


def _choices() -> tuple[list[Network], str]:
    """The one or two networks that the visitor chose, and what shares a colour scale."""
    known = choosable(links.asked("net"), links.asked("beside"))
    by_key = {network.key: network for network in known}
    keys = list(by_key)
    left, middle, right = st.columns([3, 3, 2], gap="small")
    with left:
        first = st.selectbox(
            "Network", keys, index=keys.index(links.wanted("net", keys, keys[0])), key="look_net",
            format_func=lambda key: f"{by_key[key].title} ({by_key[key].character})",
        )  # fmt: skip
    with middle:
        others = [key for key in keys if key != first]
        wanted = links.wanted("beside", others, "")
        second = st.selectbox(
            "Beside it", others, index=others.index(wanted) if wanted else None, key="look_beside",
            placeholder="another network for the same inputs",
            format_func=lambda key: f"{by_key[key].title} ({by_key[key].character})",
        )  # fmt: skip
    links.remember("net", first, keys[0])
    links.remember("beside", second or "")
    with right:
        shared = _scale()
    return [by_key[key] for key in (first, second) if key], shared


def _layers(network: Network) -> list[str]:
    """The tokens of the layers that the visitor chose, of those the first network has."""
    arch = cache.checkpoint(network).architecture
    known = stages(arch)
    first = looking.first_stages(arch)
    wanted = [token for token in links.asked("layers").split(",") if token in known] or first
    chosen = st.pills(
        "Layers", list(known), selection_mode="multi", default=wanted, key=f"look_layers.{network.key}",
        format_func=lambda token: known[token].label, help=_LAYERS_HELP,
    )  # fmt: skip
    tokens = [token for token in known if token in chosen] or first
    links.remember("layers", ",".join(tokens), ",".join(first))
    return tokens


_LAYERS_HELP = (
    "An activation is what a unit gives on: its weighted sum, passed through a function f such as max(0, x). "
    '"Sum" shows a layer before that. C layers convolve, S layers subsample, F layers weigh all units before them.'
)


def _scale() -> str:
    keys = list(SHARED)
    chosen = st.segmented_control(
        "One colour scale for", keys, default=links.wanted("scale", keys, keys[0]), required=True, key="look_scale",
        format_func=SHARED.__getitem__,
        help="Everything: colours compare all over a layer. Each input: within its row. Each map: down its column.",
    )  # fmt: skip
    links.remember("scale", chosen, keys[0])
    return chosen


def _page(seen: list[Look]) -> int:
    """Which maps of wide layers are shown."""
    count = max(map(looking.pages, seen), default=1)
    if count == 1:
        links.remember("maps", "")
        return 0
    asked = links.asked("maps")
    page = min(int(asked), count - 1) if asked.isdecimal() and len(asked) < 4 else 0
    size = looking.page_size(len(seen[0].stages))
    page = st.segmented_control(
        "Maps", list(range(count)), default=page, required=True, key=f"look_maps.{count}",
        format_func=lambda number: f"{number * size} to {(number + 1) * size - 1}",
    )  # fmt: skip
    links.remember("maps", str(page), "0")
    return page


def _waiting(network: Network) -> AbstractContextManager[None]:
    """Says so where a network takes its time."""
    return st.spinner(f"Asking {markup.literal(network.title)}", show_time=True) if network.is_large else nullcontext()


def _looks(chosen: list[Network], tokens: list[str], shown: list[shown_inputs.Shown]) -> list[Look]:
    """What each network makes of the inputs; one that cannot says why."""
    seen = []
    for network in chosen:
        try:
            with _waiting(network):
                seen.append(looking.look(network, tokens, shown))
        except (LenetError, ValueError) as error:
            st.html(markup.warning(f"{network.title} cannot be looked into: {error}"))
    return seen


def _ready(chosen: list[Network]) -> list[Network]:
    """Those of the networks that can be looked into; the others say why not."""
    ready = []
    for network in chosen:
        if not imagenet.is_there(network):
            continue
        try:
            with _waiting(network):
                cache.checkpoint(network)
            ready.append(network)
        except LenetError as error:
            st.html(markup.warning(f"{network.title} cannot be looked into: {error}"))
    return ready


def _tables(seen: list[Look], shared: str, page: int) -> None:
    for number, one in enumerate(seen):
        if len(seen) > 1:
            st.html(markup.net_title(one.network.title, one.network.colour))
        if one.stages:
            maps.table(number, one, shared, page)
        else:
            st.html(markup.empty("Nothing to see here", f"{one.network.title} has none of the layers chosen above."))


def _everything() -> None:
    with st.container(key="look_choices"):
        chosen, shared = _choices()
        chosen = _ready(chosen)
        if not chosen:
            return
        tokens = _layers(chosen[0])
    shown_inputs.chooser()
    shown = shown_inputs.shown()
    for notice in state.bench().notices:
        st.html(markup.warning(notice))
    if not shown:
        st.html(markup.empty("Nothing to look at yet", "Add a digit, a cat, a car, noise or a picture of your own."))
        st.button("Begin with a 4, an 8, a cat and noise", key="begin_inputs", on_click=shown_inputs.begin)
        return
    seen = _looks(chosen, tokens, shown)
    page = _page(seen)
    _tables(seen, shared, page)
    if seen := [one for one in seen if one.stages]:
        look_details.details(seen, shared, page)


@st.fragment
def room() -> None:
    """The page below its title, made anew at each choice."""
    _everything()
    links.keep(state.bench().link, _PARAMETERS)


layout.begin("look")
if state.widget("look_net") is None:  # one comes to the page, or back to it
    state.bench().notices = []
    links.come_back(state.bench().link, _PARAMETERS)
room()
