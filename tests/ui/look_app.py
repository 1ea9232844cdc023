"""The Look inside page without a browser, and what stands on it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.ui.apps import shown

LEARNER = "0123456789abcdef"
FIRST = ["4", "8", "cat", "uniform noise"]  # what the page opens with
_PAGE = "pages/feature_maps.py"

Floats = NDArray[np.float32]


def home() -> AppTest:
    """A session of the one learner, on the first page."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90).run()
    app.session_state["learner"] = LEARNER
    return app


def look(**query: str) -> AppTest:
    """The page, opened by a link."""
    return turned(home(), _PAGE, **query)


def turned(app: AppTest, page: str = _PAGE, **query: str) -> AppTest:
    """The same session on another page, as its menu opens it: with an address of its own."""
    app.switch_page(page)
    app.query_params.clear()
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def tables(app: AppTest) -> list[dict[str, Any]]:
    """What the tables of feature maps were given, one a network."""
    assert not app.exception
    found = [part for part in app.get("bidi_component") if str(part.key).startswith("map_table")]
    return [json.loads(part.proto.json) for part in found]


def names(app: AppTest) -> list[str]:
    """The inputs' names, from the top."""
    return [row["name"] for row in tables(app)[0]["rows"]]


def titles(app: AppTest, number: int = 0) -> list[str]:
    """The titles of the layers shown of a network."""
    return [block["title"] for block in tables(app)[number]["blocks"]]


def values(block: dict[str, Any]) -> Floats:
    """A layer's values as the table got them: (rows, channels, height, width)."""
    shape = (-1, block["channels"], block["height"], block["width"])
    return np.frombuffer(base64.b64decode(block["values"]), "<f4").reshape(shape)


def limits(block: dict[str, Any]) -> tuple[Floats, Floats]:
    """The ends of the colour scale of each map: (rows, channels) each."""
    low, high = (np.frombuffer(base64.b64decode(block[end]), "<f4") for end in ("low", "high"))
    return low.reshape(-1, block["channels"]), high.reshape(-1, block["channels"])


def group(app: AppTest, key: str) -> Any:
    """The pills or the segmented control of that key."""
    return next(one for one in app.get("button_group") if one.key == key)


def notices(app: AppTest) -> list[str]:
    """What the page complains of, each in a line of its own."""
    shown(app)
    bodies = [str(element.proto.body) for element in app.get("html")]
    return [body.partition(">")[2].removesuffix("</div>") for body in bodies if 'class="lp-warning"' in body]


def text(html: str) -> str:
    """The words of a piece of HTML."""
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def bring(app: AppTest, files: dict[str, bytes], as_digits: bool = False) -> AppTest:
    """Uploads files, all at once."""
    if as_digits:
        group(app, "read_as").set_value("as digits")
    app.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files.items()])
    return app.run()
