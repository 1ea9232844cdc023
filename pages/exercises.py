"""Predict, run, compare: the exercises that textbooks set, with a mark for each step."""

from __future__ import annotations

from ui import exercising, layout

layout.begin("exercises")
exercising.room()
