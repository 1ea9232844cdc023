"""To be built."""

from __future__ import annotations

from ui import layout

layout.begin("compare")
