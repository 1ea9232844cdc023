"""What makes the pixels of a picture's file: the rest is left out before any decoder sees it.

Beside its pixels a file may hold texts, colour profiles, a camera's notes and more frames, of which nothing is shown
here but which way up it stands. Pillow reads them all: a profile that inflates a thousandfold counts towards none of
its limits, and a million empty parts cost seconds. Here a part is stepped over unread, and parts are counted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lenet_core.errors import ImageError

MAX_PARTS = 100_000  # of a file: chunks, segments, tables and blocks; 20 MB of GIF have 78,000
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_XMP_IN_PNG = b"XML:com.adobe.xmp" + bytes(5)  # its text follows, not compressed
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # none of those that stand within a scan
_ORIENTATION = 0x0112  # EXIF 2.3, section 4.6.4
_UPRIGHT = 1
_UNSIGNED = {1: "B", 3: "H", 4: "I"}  # TIFF 6.0, section 2: how numbers of a type are stored
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


@dataclass(frozen=True)
class Pixels:
    """A picture's file without all that makes no pixel of its first frame.

    `frames` is how many it had, `scans` how many times a JPEG goes over the whole picture, and `orientation` how it
    is to be turned, 1 to 8 as in EXIF. Of a WebP and a BMP nothing was left out, and nothing is known here.
    """

    data: bytes
    frames: int = 1
    scans: int = 1
    orientation: int = _UPRIGHT


def pixels_alone(data: bytes, name: str) -> Pixels:
    """What makes the first frame's pixels, of a file that a message calls `name`.

    What is damaged is left as damaged as it is, for the decoder to refuse.

    Raises:
        ImageError: it has over 100,000 parts.
    """
    parts = _Parts(name)
    if data.startswith(_PNG):
        return _of_png(data, parts)
    if data.startswith(_JPEG):
        return _of_jpeg(data, parts)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _of_gif(data, parts)
    return Pixels(data)


def orientation(notes: bytes) -> int:
    """Which way up a picture stands by its EXIF or XMP notes, 1 to 8; 1 where they do not tell."""
    start = 6 if notes.startswith(b"Exif\0\0") else 0
    order = {b"II": "<", b"MM": ">"}.get(notes[start : start + 2])
    if order is None:
        told = _IN_XMP.search(notes)
        return int(told[1]) if told else _UPRIGHT
    try:
        (place,) = struct.unpack_from(f"{order}I", notes, start + 4)
        (count,) = struct.unpack_from(f"{order}H", notes, start + place)
        for entry in range(start + place + 2, start + place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", notes, entry)
            if tag == _ORIENTATION and kind in _UNSIGNED:
                (value,) = struct.unpack_from(order + _UNSIGNED[kind], notes, entry + 8)
                return value if 1 <= value <= 8 else _UPRIGHT
    except struct.error:  # the notes end early, and with them what is known
        return _UPRIGHT
    return _UPRIGHT


class _Parts:
    """A count with an end."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0

    def add(self, number: int = 1) -> None:
        self.count += number
        if self.count > MAX_PARTS:
            raise ImageError(f"{self.name} has more than {MAX_PARTS:,} parts, the limit; save it again as PNG.")


def _turned(notes: list[bytes]) -> int:
    """The first orientation that is told; the camera's own notes stand before what a program added."""
    found = [orientation(note) for note in sorted(notes, key=lambda note: note.startswith(b"<"))]
    return next((one for one in found if one != _UPRIGHT), _UPRIGHT)


def _of_png(data: bytes, parts: _Parts) -> Pixels:
    kept, notes, place = [data[: len(_PNG)]], list[bytes](), len(_PNG)
    animated, pictures = 0, 0  # frames of an animation, and whether the picture itself is none of them
    while place + 8 <= len(data):
        parts.add()
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[place:end])
            pictures = pictures or int(kind == b"IDAT" and not animated)
        elif kind == b"eXIf":
            notes.append(data[place + 8 : end - 4])
        elif kind == b"iTXt" and data.startswith(_XMP_IN_PNG, place + 8):
            notes.append(data[place + 8 + len(_XMP_IN_PNG) : end - 4])
        elif kind == b"fcTL":
            animated += 1
        if kind == b"IEND":
            break
        place = end
    return Pixels(b"".join(kept), max(1, animated + pictures), orientation=_turned(notes))


def _of_jpeg(data: bytes, parts: _Parts) -> Pixels:
    kept, notes, place, scans, scanned = [data[:2]], list[bytes](), 2, 0, False
    while found := _MARKER.search(data, place):
        parts.add()
        if scanned:  # else it is nothing, or bytes to fill the file, over which Pillow goes one by one
            kept.append(data[place : found.start()].rstrip(b"\xff"))
        code, start = found[1][0], found.end()
        if code == 0xD9:  # the end; what follows is another picture, or a film
            return Pixels(b"".join(kept) + b"\xff\xd9", 1, scans, _turned(notes))
        alone = code in (0x01, 0xD8)
        length = 0 if alone else int.from_bytes(data[start : start + 2], "big")
        place, scanned = start + length, code == 0xDA or (scanned and alone)
        content = data[start + 2 : place]
        # Only two of the notes say what the numbers are: JFIF's and Adobe's.
        if not (0xE0 <= code <= 0xEF or code == 0xFE) or content.startswith((b"JFIF\0", b"Adobe")):
            kept.append(data[found.start() : place])
            parts.add(length // 64)  # so many tables may stand in one segment
            scans += code == 0xDA
        elif code == 0xE1 and content.startswith((b"Exif\0\0", _XMP_IN_JPEG)):
            notes.append(content.removeprefix(_XMP_IN_JPEG))
    return Pixels(b"".join(kept) + (data[place:] if scanned else b""), 1, scans, _turned(notes))


def _of_gif(data: bytes, parts: _Parts) -> Pixels:
    kept, frames, place = list[bytes](), 0, 0
    for kind, start, place in _gif_blocks(data, parts):
        first = kind == b"," or (kind == b"!" and data[start + 1 : start + 2] == b"\xf9")  # or what is clear in it
        if kind == b"" or (first and not frames):
            kept.append(data[start:place])
        frames += kind == b","
    return Pixels(b"".join(kept) + b";", max(1, frames))


def _gif_blocks(data: bytes, parts: _Parts) -> Iterator[tuple[bytes, int, int]]:
    """The blocks' kinds, where they begin and end; the file's head comes first, and is of no kind."""

    def after_colours(flags_at: int) -> int:
        """Where the table of colours ends of which the byte at `flags_at` tells; so many bytes follow that byte."""
        flags = data[flags_at] if flags_at < len(data) else 0
        return 3 << (flags & 7) + 1 if flags & 128 else 0

    place = 13 + after_colours(10)
    yield b"", 0, place
    while place < len(data) and data[place] != 0x3B:
        parts.add()
        kind, start = data[place : place + 1], place
        if kind == b",":
            place += 11 + after_colours(place + 9)
        elif kind == b"!":
            place += 2
        else:  # nothing that is known, which decoders step over too
            place += 1
            continue
        while place < len(data) and data[place]:
            parts.add()
            place += 1 + data[place]
        place += 1
        yield kind, start, place
