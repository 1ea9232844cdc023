"""AlexNet as it was trained on ImageNet: too large to come with the project, so it is fetched when it is wanted."""

from __future__ import annotations

from threading import Lock

import streamlit as st

from lenet_core.errors import LenetError
from ui import markup
from ui.networks import Network, imagenet

_FETCHING = Lock()  # who asks while another's download runs waits for its end, and finds the file


def is_there(network: Network) -> bool:
    """Whether a network can be looked into; where AlexNet's file is missing, shows how to get it."""
    if network.path is None or network.key != imagenet().key or network.path.exists():
        return True
    says = (
        "AlexNet's ImageNet weights have 244 MB and are not here yet. torchvision publishes them; "
        "they are fetched once, checked, and kept in the data folder."
    )
    st.html(markup.empty(network.title, says))
    place = st.empty()
    if st.button("Fetch the weights", icon=":material/download:", type="primary", key="fetch_imagenet"):
        _fetch(place)
    return False


def _fetch(place: st.delta_generator.DeltaGenerator) -> None:
    from lenet_core.imagenet import fetch

    bar = place.progress(0.0, "Asking for the file")

    def progress(done: int, total: int) -> None:
        bar.progress(min(done / total, 1.0) if total else 0.0, f"{done / 1e6:.0f} of {total / 1e6:.0f} MB have come")

    try:
        with _FETCHING:
            fetch(progress)
    except LenetError as error:
        place.html(markup.warning(str(error)))
        return
    st.rerun(scope="fragment")
