"""What the tests of the pages' logic share."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest


def part(section: Callable[[], None], **query: str) -> AppTest:
    """A page with one section alone, opened by a link; the section imports what it needs."""
    app = AppTest.from_function(section, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def linked(app: AppTest, name: str) -> str | None:
    """What the page's address holds under a name."""
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def shown(app: AppTest) -> str:
    """All HTML on the page."""
    assert not app.exception
    return "".join(str(element.proto.body) for element in app.get("html"))
