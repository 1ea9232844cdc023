"""What processes cost, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_seconds(process: int) -> float:
    """How long a process has computed so far, all its threads together."""
    return _cpu(_fields(process))


def resident(process: int) -> float:
    """How much memory a process holds now, MB."""
    status = Path(f"/proc/{process}/status").read_text().split()
    return int(status[status.index("VmRSS:") + 1]) * 1024 / 1e6


def parent(process: int) -> int:
    """Who started a process."""
    return int(_fields(process)[1])


def niceness(process: int) -> int:
    """How far a process gives way to others: 0 as usual, 19 the most."""
    return int(_fields(process)[16])


def _fields(process: int) -> list[str]:
    """What /proc/PID/stat says from the third field on, by the man page proc(5)."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _cpu(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
