"""A process that reads pictures by every way in, and tells what came of it; PyTorch is not in it."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from lenet_core.errors import EmptyDrawingError, ImageError
from lenet_core.preprocess import read_image, read_picture, to_digit
from ui import own_pictures

ROOM = 4 * 2**30  # bytes that the process may take beyond what it has at its beginning
LETTERS = 400


def kilobytes(name: str) -> int:
    """What the system says of this process's memory."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0])


def as_image(path: Path, data: bytes) -> bool:
    """From a path; whether what comes out is sound."""
    image = read_image(path)
    return image.width * image.height > 0 and np.asarray(image.resize((4, 4))).shape[:2] == (4, 4)


def as_picture(path: Path, data: bytes) -> bool:
    pixels, note = read_picture(_named(path, data))
    return pixels.dtype == np.uint8 and 0 < pixels.shape[0] == pixels.shape[1] <= 256 and note.isprintable()


def as_digit(path: Path, data: bytes) -> bool:
    digit = to_digit(read_image(_named(path, data))).image
    return digit.shape == (28, 28) and digit.dtype == np.uint8 and digit.max() == 255


def kept_picture(path: Path, data: bytes) -> bool:
    return _is_found(path, data, digit=False)


def kept_digit(path: Path, data: bytes) -> bool:
    return _is_found(path, data, digit=True)


def _named(path: Path, data: bytes) -> io.BytesIO:
    """A file as an uploaded one is."""
    file = io.BytesIO(data)
    file.name = path.name
    return file


def _is_found(path: Path, data: bytes, digit: bool) -> bool:
    one, _ = own_pictures.keep(path.name, data, digit)
    return own_pictures.find(one)[1].dtype == np.uint8


WAYS = (as_image, as_picture, as_digit, kept_picture, kept_digit)


def complaint(error: BaseException, name: str) -> str:
    """What is wrong with an error; empty if it is one plain line."""
    text = str(error)
    if not isinstance(error, (ImageError, EmptyDrawingError)):
        return f"{type(error).__name__}: {text:.200}"
    named = isinstance(error, EmptyDrawingError) or name in text  # that one is about the drawing, not its file
    plain = text.isprintable() and named and len(text) <= LETTERS and "Traceback" not in text
    return "" if plain else f"not plain: {text!r:.600}"


def serve(folder: Path) -> None:
    """Reads the files that come in by the standard input, each after a line with its name and size.

    Prints how many were sound, blank and refused, by the first word of their names, the dearest, and what went wrong.
    Room is limited after the first file whose name does not begin with "warm": everything is imported then.
    """
    limited, outcomes, slowest, wrong = False, Counter[str](), (0.0, ""), list[str]()
    for line in sys.stdin.buffer:
        name, size = json.loads(line)
        path, data = folder / name, sys.stdin.buffer.read(size)
        path.write_bytes(data)
        if not limited and not name.startswith("warm"):
            limited = True
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (1024 * kilobytes("VmSize") + ROOM, most))
        for way in WAYS:
            before, outcome = time.process_time(), "sound"
            try:
                if not way(path, data):
                    wrong.append(f"{name} {way.__name__}: it is read, and is no sound picture")
            except BaseException as error:
                outcome, said = "refused" if isinstance(error, ImageError) else "blank", complaint(error, name)
                if said:
                    wrong.append(f"{name} {way.__name__}: {said}")
            if limited:
                slowest = max(slowest, (time.process_time() - before, f"{name} {way.__name__}"))
            outcomes[f"{name.split()[0]} {outcome}"] += 1
        path.unlink()
    peak = kilobytes("VmHWM") / 1024  # `ru_maxrss` would be what the parent had, if that was more
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "peak": peak, "wrong": wrong[:20]}))


if __name__ == "__main__":  # as a visit to the app, for what is kept is a learner's

    def visit(folder: str) -> None:
        import traceback
        from pathlib import Path

        from tests.trust import picture_reader

        try:
            picture_reader.serve(Path(folder))
        except BaseException:
            traceback.print_exc()  # where the test looks for it
            raise

    assert not AppTest.from_function(visit, kwargs={"folder": sys.argv[1]}, default_timeout=86_400).run().exception
