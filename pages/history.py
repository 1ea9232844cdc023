"""The net of 1998 and what became of it: five switches, C3's table, why F6 has 84 units."""

from __future__ import annotations

from ui import c3_room, dial_room, layout, why84

layout.begin("history")
dial_room.dial()
c3_room.c3_table()
why84.why_84()
