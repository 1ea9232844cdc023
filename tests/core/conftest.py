"""What the core's tests share: one thread, and patience with a training in their own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lenet_core import guard


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Nets this small are fastest on one thread, and the order of sums is fixed."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def patience() -> Iterator[None]:
    """No force against a training that is slow to stop: in this very process it would end the tests too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "GRACE", 1e9)
        yield
