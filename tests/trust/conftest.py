"""The promises of the README's table, each in a short form for CI and a full one for `make trust`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

_SAID: dict[str, list[str]] = {}


@dataclass
class Trust:
    """One run of a promise's test: short or full, and what it measured."""

    full: bool
    said: list[str] = field(default_factory=list)

    def count(self, short: int, full: int) -> int:
        """How many cases to try."""
        return full if self.full else short

    def say(self, figure: str) -> None:
        """Adds a measured figure to the table that `make trust` prints."""
        self.said.append(figure)


@pytest.fixture(params=[pytest.param(False, id="short"), pytest.param(True, id="full", marks=pytest.mark.slow)])
def trust(request: Any) -> Iterator[Trust]:
    """A short run in CI, a full one in `make trust`."""
    run = Trust(request.param)
    yield run
    if run.said:
        _SAID.setdefault(f"{request.node.path.stem.removeprefix('test_')} {request.node.originalname}", []).extend(
            run.said
        )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table, in the order of the promises, which the files' names begin with."""
    if not _SAID:
        return
    terminalreporter.section("promises")
    for name, figures in sorted(_SAID.items()):
        number, _, test = name.partition(" ")
        words = re.sub("_", " ", test.removeprefix("test_"))
        terminalreporter.write_line(f"| {number.split('_')[0]} | {words} | {'; '.join(figures)} |")
