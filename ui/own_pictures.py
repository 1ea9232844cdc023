"""Pictures that visitors bring: checked like any stranger's file, made small, kept so that a link finds them."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenet_core.errors import ImageError
from lenet_core.files import changed, make_folder, write_atomically
from lenet_core.inputs import UPLOAD, Input
from lenet_core.library import data_dir, file_words, pictures_dir, stays
from lenet_core.preprocess import read_image, read_picture, to_digit
from ui import state

MOST = 40  # pictures of one learner; the oldest make room
_NAME = re.compile(r"[0-9a-f]{16}-[A-Za-z0-9_-]{1,40}\.png")


def keep(name: str, data: bytes, as_digit: bool) -> tuple[Input, str]:
    """Keeps what a network will see of a picture; gives it as an input, and what was chosen in reading it.

    The same picture twice is one.

    Raises:
        ImageError: it cannot be read, or is too large.
        EmptyDrawingError: there is no digit on it.
        StorageError: it cannot be written.
    """
    file = io.BytesIO(data)
    file.name = name[-80:]
    pixels, note = (to_digit(read_image(file)).image, "") if as_digit else read_picture(file)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    key = hashlib.sha256(written.getvalue()).hexdigest()[:16]
    words = file_words(Path(name).stem, "picture")
    folder = pictures_dir(state.learner())
    path = make_folder(folder) / f"{key}-{words}.png"
    for other in folder.glob(f"{key}-*.png"):  # the same picture under another name
        path = other
    write_atomically(path, written.getvalue())  # also when it is there: it is the newest now
    for old in sorted(folder.glob("*.png"), key=changed)[:-MOST]:
        old.unlink(missing_ok=True)
    return Input(UPLOAD, key=key), f"{name[-80:]}: {note}" if note else ""


def find(one: Input) -> tuple[str, NDArray[np.uint8]]:
    """The name and the pixels of a kept picture, whoever brought it: who has its link may see it.

    Raises:
        ImageError: it is no longer kept, or damaged.
    """
    own = pictures_dir(state.learner()).glob(f"{one.key}-*.png")  # under the name that they gave it
    for path in (*own, *(data_dir() / "pictures").glob(f"*/{one.key}-*.png")):
        if _NAME.fullmatch(path.name) and stays(path):
            try:
                with path.open("rb") as file:
                    return path.stem[17:], np.asarray(read_image(file))
            except FileNotFoundError:  # its learner's newest has just taken its place; others may have the same
                continue
    raise ImageError("A picture that this link names is kept here no longer; upload it again.")
