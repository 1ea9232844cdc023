"""Ten digits as strokes, for whoever has no pen at hand or comes by keyboard."""

from __future__ import annotations

from math import cos, radians, sin

Points = list[tuple[float, float]]


def _arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Points:
    """Part of an ellipse round (x, y), from `start` to `end` degrees, clockwise from the right."""
    steps = max(4, int(abs(end - start) / 12))
    angles = [radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(x + across * cos(angle), y + down * sin(angle)) for angle in angles]


# In a square of side 100, y down.
_DIGITS: dict[str, list[Points]] = {
    "0": [_arc(50, 50, 24, 34, -80, 285)],
    "1": [[(38, 30), (52, 17), (51, 50), (50, 84)]],
    "2": [_arc(49, 34, 21, 18, -170, 35) + [(50, 62), (28, 83), (52, 81), (75, 83)]],
    "3": [_arc(47, 33, 19, 17, -160, 80) + _arc(47, 67, 22, 18, -85, 155)],
    "4": [[(56, 16), (40, 38), (25, 60), (50, 60), (78, 59)], [(61, 40), (60, 62), (60, 86)]],
    "5": [[(70, 18), (40, 19), (37, 46)] + _arc(47, 63, 23, 21, -110, 150)],
    "6": [[(64, 16), (46, 32), (34, 52)] + _arc(50, 66, 18, 18, 190, -170)],
    "7": [[(26, 20), (50, 19), (74, 19), (62, 40), (52, 62), (45, 85)]],
    "8": [_arc(50, 33, 16, 16, 60, -240)[::-1] + _arc(50, 67, 20, 18, -70, -430)],
    "9": [_arc(47, 34, 18, 17, -20, -380) + [(64, 44), (60, 65), (55, 85)]],
}  # fmt: skip

SAMPLES: tuple[str, ...] = tuple(_DIGITS)


def sample_strokes(digit: str, size: int) -> list[Points]:
    """The strokes of a digit on a square canvas of `size` pixels."""
    return [[(x / 100 * size, y / 100 * size) for x, y in stroke] for stroke in _DIGITS[digit]]
