"""Files of pictures from anywhere, opened within limits: one plain error, or a sound picture.

The limits are such that no file takes a second or 400 MB to read, whatever it claims.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError, WebPImagePlugin

from lenet_core.bounds import one_line
from lenet_core.errors import ImageError
from lenet_core.picture_parts import Pixels, orientation, pixels_alone

MAX_PIXELS = 25_000_000
MAX_WEBP_PIXELS = 16_000_000  # its decoder holds the picture twice, and hands on a copy
MAX_SIDE = 65_535  # pixels: JPEG, GIF and WebP know no more
MAX_SCANNED = 32 * MAX_PIXELS  # a JPEG goes over all its pixels with each scan; ordinary ones have 1 to 18
MAX_IN_RUNS = 1_000_000  # pixels, and bytes, of a compressed BMP: Pillow decodes that kind in Python
MAX_FILE_BYTES = 20_000_000  # of a path; an upload's limit is the server's, 5 MB, for each stays in its memory
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_RUNS = (1, 2)  # BMP's kinds of run-length encoding
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what turns a picture upright, by EXIF's orientation
_HEAD = 4096  # bytes at a file's beginning that tell what it is


def open_picture(source: str | Path | IO[bytes]) -> tuple[Image.Image, int]:
    """The picture in a file, upright, in its own mode, decoded; and the number of frames that the file holds.

    Raises:
        ImageError: not a PNG, JPEG, WebP, BMP or GIF, damaged, or over a limit.
    """
    name = source if isinstance(source, (str, Path)) else getattr(source, "name", None)
    name = one_line(Path(str(name or "The picture")).name, 120)
    try:
        data = _content(source)
        if len(data) > MAX_FILE_BYTES:
            raise ImageError(f"{name} is larger than {MAX_FILE_BYTES:,} bytes; save a smaller copy of it.")
        pixels = pixels_alone(data, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            image = Image.open(io.BytesIO(pixels.data), formats=FORMATS)
        _check(image, pixels, name)
        frames, turn = pixels.frames, pixels.orientation
        if isinstance(image, WebPImagePlugin.WebPImageFile):
            frames, turn = image.n_frames, orientation(image.info.get("exif") or image.info.get("xmp") or b"")
        image.load()
        return image.transpose(_TURNS[turn]) if turn in _TURNS else image.copy(), frames
    except FileNotFoundError as error:
        raise ImageError(f"There is no picture {name}.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} {_what_instead(data)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} has more than the limit of {MAX_PIXELS:,} pixels in all; save a smaller copy of it."
        ) from error
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever a wrong byte leads to; the message keeps the reason
        raise ImageError(f"{name} cannot be read ({one_line(str(error), 120)}); save it again as PNG.") from error


def _content(source: str | Path | IO[bytes]) -> bytes:
    """The file's bytes, or one more than are allowed."""
    if isinstance(source, (str, Path)):
        with Path(source).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    source.seek(0)
    return source.read(MAX_FILE_BYTES + 1)


def _check(image: Image.Image, pixels: Pixels, name: str) -> None:
    """Refuses what would take too long or too much memory to decode."""
    size, area = f"{image.width:,} x {image.height:,} pixels", image.width * image.height
    if not area:
        raise ImageError(f"{name} has no pixels ({image.width} x {image.height}); save it again as PNG.")
    most = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
    if area > most:
        raise ImageError(f"{name} has {size}, more than the limit of {most:,} in all; save a smaller copy of it.")
    if max(image.size) > MAX_SIDE:  # Pillow has a pointer for each row, which may be more than its pixels
        raise ImageError(f"{name} has {size}, more than the limit of {MAX_SIDE:,} on a side; cut out a part of it.")
    if pixels.scans * area > MAX_SCANNED:
        raise ImageError(
            f"{name} has {size} in {pixels.scans:,} scans, more than the limit of {MAX_SCANNED:,} pixels in all "
            "scans; save it again as PNG."
        )
    if image.format == "BMP" and image.info["compression"] in _RUNS and max(area, len(pixels.data)) > MAX_IN_RUNS:
        raise ImageError(
            f"{name} is a compressed BMP of {size} and {len(pixels.data):,} bytes, more than the limit of "
            f"{MAX_IN_RUNS:,}; save it again as PNG."
        )


def _what_instead(data: bytes) -> str:
    """What a file is that no decoder knows, and the next step."""
    head = data[:_HEAD]
    if not head:
        return "is empty (0 bytes); choose another file."
    if b"<svg" in head.lower() and b"<html" not in head.lower():
        return "is an SVG; SVG is not read, save it as PNG."
    return f"is not a picture in one of the formats {', '.join(FORMATS)}; save it as PNG, or choose another file."
