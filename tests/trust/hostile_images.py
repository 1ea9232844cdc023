"""Pictures that strangers could send: small sound ones, those with something changed, and some that ask for much."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from tests.image_bytes import chunk, png, saved
from tests.trust import hostile

MEGABYTE = 2**20
Parts = list[tuple[bytes, bytes]]  # a file's head, then its chunks or segments: kind and content


# --- sound ones --------------------------------------------------------------------------------


@cache
def sound() -> dict[str, bytes]:
    """Small pictures of a stroke, in every format and many modes, by name; the format is the first word."""
    shape = np.full((24, 18), 255, dtype=np.uint8)
    shape[4:20, 8:11] = np.arange(16, dtype=np.uint8)[:, None] * 6
    grey = Image.fromarray(shape)
    colour = Image.merge("RGB", [grey, grey.point(lambda v: v // 2), Image.new("L", grey.size, 200)])
    clear = colour.copy()
    clear.putalpha(grey.point(lambda v: 255 - v))
    palette = colour.quantize(16)
    frames = [colour.rotate(90 * turn) for turn in (1, 2)]
    turned = Image.Exif()
    turned[0x0112], turned[0x0131] = 6, "camera"
    row, stroke = b"\x18\x40\0\0", b"\x0a\x40\x04\xff\x0a\x40\0\0"
    moving: dict[str, Any] = {"save_all": True, "append_images": frames, "duration": 50}
    return {
        "png grey": saved(grey, "PNG"), "png 16 bit": saved(Image.fromarray(shape.astype(np.uint16) * 257), "PNG"),
        "png one bit": saved(grey.convert("1"), "PNG"), "png palette": saved(palette, "PNG", bits=4, transparency=1),
        "png alpha": saved(clear, "PNG", exif=turned), "png interlaced": interlaced(shape),
        "png moving": saved(colour, "PNG", **moving), "png clear colour": saved(colour, "PNG", transparency=(9, 9, 9)),
        "jpeg grey": saved(grey, "JPEG"), "jpeg turned": saved(colour, "JPEG", exif=turned, comment="made by hand"),
        "jpeg progressive": saved(colour, "JPEG", progressive=True, quality=40),
        "jpeg cmyk": saved(colour.convert("CMYK"), "JPEG", subsampling=2),
        "jpeg restarts": saved(colour, "JPEG", restart_marker_blocks=2),
        "webp lossy": saved(colour, "WEBP", exif=turned), "webp lossless": saved(clear, "WEBP", lossless=True),
        "webp clear": saved(clear, "WEBP", quality=50), "webp moving": saved(colour, "WEBP", **moving),
        "bmp": saved(colour, "BMP"), "bmp palette": saved(palette, "BMP"), "bmp alpha": saved(clear, "BMP"),
        "bmp runs": bmp_in_runs(
            24, 18, row * 5 + b"\x0a\x40\x04\xff\0\x0a" + b"\x40" * 10 + b"\0\0" + stroke * 7 + row * 5
        ),
        "gif": saved(grey, "GIF", interlace=0), "gif interlaced": saved(palette, "GIF", interlace=1, transparency=2),
        "gif moving": saved(colour, "GIF", comment="made by hand", **moving),
    }  # fmt: skip


def interlaced(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A grey PNG in Adam7's seven passes."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [pixels[top::down, left::along] for top, left, down, along in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp_in_runs(width: int, height: int, runs: bytes) -> bytes:
    """A BMP in run-length encoding."""
    colours = b"".join(bytes((level, 255 - level, 7, 0)) for level in range(256))
    start = 54 + len(colours)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + head + colours + runs


def segment(code: int, data: bytes) -> bytes:
    """A JPEG's segment."""
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


# --- with something changed --------------------------------------------------------------------

NUMBERS = (0, 1, 2, 3, 7, 8, 9, 127, 128, 255, 256, 5_000, 32_767, 65_535, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def parts_of(whole: bytes) -> Parts:
    """A PNG's, WebP's or JPEG's parts."""
    found: Parts = []
    if whole.startswith(b"\xff\xd8"):
        marks = [mark.start() for mark in re.finditer(rb"\xff[\xc0-\xcf\xd9-\xfe]", whole)]
        for start, end in zip(marks, [*marks[1:], len(whole)], strict=True):
            found.append((whole[start : start + 2], whole[start + 4 : end]))
        return found
    large = whole.startswith(b"\x89PNG")
    place = 8 if large else 12
    while place + 8 <= len(whole):
        length, kind = struct.unpack_from(">I4s", whole, place) if large else (0, whole[place : place + 4])
        length = length if large else struct.unpack_from("<I", whole, place + 4)[0]
        found.append((kind, whole[place + 8 : place + 8 + length]))
        place += 12 + length if large else 8 + length + length % 2
    return found


def joined(whole: bytes, parts: Parts) -> bytes:
    """A file as `whole` is, of these parts; lengths and checksums are right."""
    if whole.startswith(b"\x89PNG"):
        return whole[:8] + b"".join(chunk(kind, data) for kind, data in parts)
    if whole.startswith(b"\xff\xd8"):
        lengths = {kind: _segment_length(kind, data) for kind, data in parts}
        return b"\xff\xd8" + b"".join(
            kind + (b"" if kind == b"\xff\xd9" else struct.pack(">H", lengths[kind]) + data) for kind, data in parts
        )
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _segment_length(kind: bytes, data: bytes) -> int:
    """What a segment says of itself; after a scan's head follows the scan."""
    return min(65_535, 2 + (4 + 2 * data[0] if kind == b"\xff\xda" and data else len(data)))


def _number(whole: bytes, random: Random, start: int, end: int) -> bytes:
    """One field becomes a number at a limit."""
    width, order = random.choice((1, 2, 4)), random.choice(("big", "little"))
    place = random.randrange(start, max(start + 1, min(end, len(whole)) - width))
    value = random.choice(NUMBERS) % 256**width
    return whole[:place] + value.to_bytes(width, order) + whole[place + width :]


def _head(whole: bytes, random: Random) -> bytes:
    return _number(whole, random, 4, 60)


def _field(whole: bytes, random: Random) -> bytes:
    return _number(whole, random, 4, len(whole))


def _cut(whole: bytes, random: Random) -> bytes:
    return whole[: random.randrange(len(whole))]


def _structure(whole: bytes, random: Random) -> bytes:
    """One to three changes in the order, the kinds or the contents of the file's parts."""
    if not whole.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")):
        return _head(_head(whole, random), random)
    parts = parts_of(whole)
    for _ in range(random.choice((1, 1, 2, 3))):
        index, other = random.randrange(len(parts)), random.randrange(len(parts))
        kind, data = parts[index]
        match random.randrange(7):
            case 0 if len(parts) > 1:
                del parts[index]
            case 1:
                parts.insert(other, parts[index])
            case 2:
                parts[index], parts[other] = parts[other], parts[index]
            case 3:
                parts[index] = (parts[other][0], data)
            case 4 if data:
                parts[index] = (kind, hostile.CHANGES[random.choice(("insert", "delete", "repeat"))](data, random))
            case 5 if kind == b"IDAT" and len(data) > 8:
                parts[index] = (
                    kind,
                    zlib.compress(hostile.CHANGES["flip"](zlib.decompressobj().decompress(data) or b"\0", random)),
                )
            case _ if data:
                parts[index] = (kind, _number(data, random, 0, len(data)))
    return joined(whole, parts)


def _quietly(whole: bytes, random: Random) -> bytes:
    """A change that what is compressed no longer allows is another one."""
    try:
        return _structure(whole, random)
    except zlib.error:
        return _field(whole, random)


CHANGES: dict[str, Callable[[bytes, Random], bytes]] = {
    **{name: hostile.CHANGES[name] for name in ("flip", "swap", "insert", "delete", "repeat", "overwrite", "move")},
    "cut": _cut, "field": _field, "head 1": _head, "head 2": _head,
    "structure 1": _quietly, "structure 2": _quietly, "structure 3": _quietly, "structure 4": _quietly,
}  # fmt: skip


def mutated(index: int) -> tuple[str, bytes]:
    """The name of a picture with something changed, and its file; of each index always the same."""
    random = Random(f"picture {index}")
    seed, change = random.choice(list(sound())), random.choice(list(CHANGES))
    return f"{seed}, {change} {index}", CHANGES[change](sound()[seed], random)


# --- some that ask for much --------------------------------------------------------------------


def many(part: bytes, size: int) -> bytes:
    """So many of them that they fill so many bytes."""
    return part * (size // len(part))


def exif_bomb(entries: int, size: int) -> bytes:
    """Camera's notes in which every entry is the same `size` bytes."""
    place = 8 + 2 + 12 * entries + 4
    table = b"".join(struct.pack("<HHII", 0x200 + entry, 7, size, place) for entry in range(entries))
    return b"II*\0" + struct.pack("<IH", 8, entries) + table + bytes(4 + size)


def gif(extension: bytes = b"", frames: int = 1, size: tuple[int, int] = (1, 1)) -> bytes:
    """A GIF of 8x8 pixels, and further frames that claim a size."""
    begin = saved(Image.new("L", (8, 8), 255), "GIF").removesuffix(b";")
    further = b"," + struct.pack("<4HB", 0, 0, *size, 0) + b"\x02\x02\x44\x01\x00"
    return begin + extension + further * (frames - 1) + b";"


def scans(size: tuple[int, int], count: int) -> bytes:
    """A progressive JPEG of one grey that goes over its pixels again and again."""
    whole = saved(Image.new("L", size, 128), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + b"\xff\xd9"


def no_pictures() -> dict[str, bytes]:
    """Files that must be refused, by what they are, each with its end."""
    stroke = Image.effect_noise((90, 90), 80)
    jpeg, lossless = saved(stroke, "JPEG"), saved(stroke, "WEBP", lossless=True)
    fits = "".join(
        f"{card:80}" for card in ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 9", "NAXIS2  = 9", "END")
    )
    wide = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 16, 6, 0, 0, 0))
    rows = b"\x01\0\0\0" * 381 + b"\0\1"
    return {
        "144 megapixels.png": png((12_000, 12_000), depth=1),
        "2^62 pixels.png": b"\x89PNG\r\n\x1a\n" + wide + png((1, 1))[33:],
        "half.jpg": jpeg[: len(jpeg) // 2], "half.webp": lossless[: len(lossless) // 2],
        "half.png": png((900, 900))[:60], "half.gif": gif()[:-9], "half.bmp": saved(stroke, "BMP")[:5_000],
        "page.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n",
        "sky.fits": fits.encode().ljust(2880),
        "scan.tif": saved(stroke, "TIFF"), "notes.pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n",
        "pixels.ppm": saved(stroke, "PPM"),
        "icon.ico": saved(stroke, "ICO"), "photo.jp2": saved(stroke, "JPEG2000"), "book.psd": b"8BPS\0\1" + bytes(99),
        "tall.png": png((1, 25_000_000)), "wide.png": png((25_000_000, 1)),
        "none.bmp": bmp_in_runs(0, 9, b"\0\1"),
        "a runs' row.bmp": bmp_in_runs(25_000_000, 1, b"\x01\0\0\0\0\1"),
        "runs' rows.bmp": bmp_in_runs(65_535, 381, rows),
        "short runs.bmp": bmp_in_runs(1_000, 1_000, many(b"\1a", 5 * MEGABYTE)),
        "scans.jpg": scans((4_096, 4_096), 5_000), "a million scans.jpg": scans((8, 8), 10**6),
        "empty chunks.png": png((8, 8), many(chunk(b"abCd", b""), 19 * MEGABYTE)),
        "empty chunks at the end.png": png((8, 8), after=many(chunk(b"abCd", b""), 19 * MEGABYTE)),
        "empty pixels.png": png((8, 8), many(chunk(b"IDAT", b""), 19 * MEGABYTE)),
        "comments.jpg": jpeg[:2] + many(segment(0xFE, b""), 19 * MEGABYTE) + jpeg[2:],
        "fill bytes.jpg": jpeg[:2] + b"\xff" * 60_000 + b"\0",  # a search that went back would take 14 seconds
        "tables.jpg": jpeg[:2] + many(segment(0xDB, bytes(range(65)) * 1000), 19 * MEGABYTE) + jpeg[2:],
        "comment.gif": gif(b"!\xfe" + many(b"\1a", 19 * MEGABYTE) + b"\0"), "frames.gif": gif(frames=10**6),
        "large.bmp": b"BM" + bytes(20_000_000), "large.webp": saved(Image.new("L", (16_000, 1_001)), "WEBP"),
    }  # fmt: skip


def with_much_beside() -> dict[str, bytes]:
    """Small sound pictures in files that ask for gigabytes and minutes beside them; all show the same."""
    inflates = zlib.compress(bytes(MEGABYTE - 9), 9)
    jpeg, exif = saved(Image.new("L", (8, 8)), "JPEG"), exif_bomb(5_000, 900_000)
    size, small = (8, 8), 4_900_000
    apart = [segment(0xE1, b"Exif\0\0" + exif[at : at + 65_000]) for at in range(0, len(exif), 65_000)]
    return {
        "profiles.png": png(size, many(chunk(b"iCCP", b"a\0\0" + inflates), small)),
        "nameless texts.png": png(size, many(chunk(b"zTXt", b"\0\0" + inflates), small)),
        "texts.png": png(size, many(chunk(b"zTXt", b"a\0\0" + inflates), small)),
        "texts at the end.png": png(size, after=many(chunk(b"zTXt", b"\0\0" + inflates), small)),
        "wrong texts.png": png(size, many(chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"\xff" * 10**6)), small)),
        "a text of 4 GB.png": png(size, chunk(b"zTXt", b"a\0\0" + inflates * 4)),
        "a long text.png": png(size, chunk(b"tEXt", b"a\0" + bytes(small))),
        "notes.png": png(size, chunk(b"eXIf", exif)), "notes.jpg": jpeg[:2] + b"".join(apart) + jpeg[2:],
        "comments.jpg": jpeg[:2] + many(segment(0xFE, bytes(100)), small) + jpeg[2:],
        "fill bytes.jpg": jpeg[:2] + b"\xff" * small + jpeg[2:], "zeros.jpg": jpeg[:3] + bytes(small) + jpeg[2:],
        "frames.gif": gif(frames=10_000), "huge frames.gif": gif(frames=10_000, size=(60_000, 60_000)),
        "frames.png": png(size, chunk(b"acTL", struct.pack(">II", 2**31, 0))),
    }  # fmt: skip


def largest(few: bool) -> dict[str, bytes]:
    """Sound pictures as large as they may be, in the kinds that take most; or one of them."""
    noise = np.random.default_rng(0).integers(0, 256, (3_999, 4_000, 3), dtype=np.uint8)
    size = (5_000, 5_000)
    made = {
        "alpha.png": lambda: png(size, depth=16, colour=6),
        "lossy.webp": lambda: saved(Image.fromarray(noise), "WEBP", quality=30, method=0),
        "cmyk.jpg": lambda: saved(Image.new("CMYK", size), "JPEG", progressive=True, subsampling=0),
        "noise.jpg": lambda: saved(Image.fromarray(noise), "JPEG", progressive=True, quality=60),
        "lossless.webp": lambda: saved(Image.new("RGBA", (4_000, 4_000)), "WEBP", lossless=True, method=0),
        "palette.png": lambda: png(size, chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(range(256))), colour=3),
        "grey alpha.png": lambda: png(size, colour=4), "16 bit.png": lambda: png(size, depth=16),
        "largest.gif": lambda: saved(Image.new("L", size), "GIF"),
        "one bit.bmp": lambda: saved(Image.new("1", size), "BMP"),
        "tallest.png": lambda: png((381, 65_535), colour=6), "scans.jpg": lambda: scans(size, 25),
    }  # fmt: skip
    return {name: make() for name, make in list(made.items())[: 1 if few else None]}
