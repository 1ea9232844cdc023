"""A Plotly chart that grows while it is looked at: zoom, hidden lines and the label under the mouse stay."""

from __future__ import annotations

import json
import logging
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import plotly
import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATIC = Path(__file__).parents[3] / "static"  # beside app.py: what Streamlit serves under app/static/
_PACKAGED = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_LOG = logging.getLogger(__name__)

_chart = st.components.v2.component(
    "stream_chart",
    html='<section class="lp-stream" role="img" style="font-variant-numeric: tabular-nums"></section>',
    js=(Path(__file__).parent / "stream_chart.js").read_text(),
    isolate_styles=False,  # Plotly puts its style sheet into the page, which does not reach into a shadow root
)


def stream_chart(figure: go.Figure, *, run: str, height: int, alt: str, key: str) -> None:
    """Shows `figure`, `height` CSS pixels high, with `alt` as its text alternative.

    Called again with the same `run`, the chart on the page takes what is new and keeps what its viewer did to
    it; with another `run` it starts afresh. Traces that only grew should have the same order and look.
    Text and grid take the theme's colours, and so does a trace whose `meta` is `{"ink": "text"}`.

    Where Plotly's script cannot be served, `st.plotly_chart` shows the figure, and forgets the viewer's zoom.
    """
    library = _library() if st.get_option("server.enableStaticServing") else None
    if library is None:
        st.plotly_chart(figure, height=height, key=key)
        return
    # By way of text, numbers that are not finite become null, which a browser can read; a trace is known by its uid.
    plain = json.loads(figure.to_json(remove_uids=False))
    _chart(data={"figure": plain, "run": run, "height": height, "alt": alt, "library": library}, key=key, height=height)


@cache
def _library() -> str | None:
    """The file name of Plotly's script under `STATIC`, put there if need be; None where that cannot be written."""
    target = STATIC / f"plotly-{plotly.__version__}.min.js"
    try:
        if not target.exists():
            STATIC.mkdir(exist_ok=True)
            with TemporaryDirectory(dir=STATIC) as folder:
                os.replace(shutil.copyfile(_PACKAGED, Path(folder) / target.name), target)
    except OSError as error:
        _LOG.warning("%s cannot be written (%s): charts will forget a viewer's zoom", STATIC, error)
        return None
    return target.name
