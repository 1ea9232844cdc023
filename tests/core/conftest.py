"""What the core's tests share: one thread."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Nets this small are fastest on one thread, and the order of sums is fixed."""
    torch.set_num_threads(1)
