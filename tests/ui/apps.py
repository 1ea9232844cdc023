"""What the tests of the pages' logic share."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def shown(app: AppTest) -> str:
    """All HTML on the page."""
    assert not app.exception
    return "".join(str(element.proto.body) for element in app.get("html"))
