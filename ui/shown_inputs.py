"""Which inputs stand on the Look inside page: named by its address, chosen with buttons, brought as files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core import inputs
from lenet_core.errors import EmptyDrawingError, ImageError, LenetError
from lenet_core.inputs import DRAWING, NOISES, UPLOAD, Input
from lenet_core.strokes import from_link, to_link
from ui import canvas, links, markup, own_pictures, state
from ui.drawn import digit_of

_FIRST = "4.0,8.0,cat.0,uniform.0"
_NONE = "none"
_PARAMETER, _DRAWING = "inputs", "drawing"
_FULL = f"{inputs.MOST} inputs are the most at once: remove one first."


@dataclass(frozen=True)
class Shown:
    """An input with what it looks like, (H, W) or (H, W, 3) uint8, and its name among the others."""

    input: Input
    name: str
    pixels: NDArray[np.uint8]


def asked() -> list[Input]:
    """The inputs that the address names; what it names wrongly is left out and told."""
    text = links.asked(_PARAMETER) or _FIRST
    found, problems = [], []
    for part in [] if text == _NONE else text.split(","):
        try:
            found.append(inputs.parse(part))
        except ValueError as error:
            problems.append(str(error))
    if len(found) > inputs.MOST:
        problems.append(f"The link names {len(found)} inputs; the first {inputs.MOST} are shown.")
    if problems:
        state.bench().notices = problems
        _remember(found[: inputs.MOST])
    return found[: inputs.MOST]


def _remember(chosen: list[Input]) -> None:
    links.remember(_PARAMETER, ",".join(one.text for one in chosen) or _NONE, _FIRST)
    links.remember("unit", "")  # its row may be another's now
    if DRAWING not in [one.kind for one in chosen]:
        links.remember(_DRAWING, "")


def shown() -> list[Shown]:
    """The asked inputs with their pictures; one that is not to be had is left out and told."""
    found: list[tuple[Input, str, NDArray[np.uint8]]] = []
    for one in asked():
        try:
            found.append((one, *_picture(one)))
        except LenetError as error:
            state.bench().notices.append(str(error))
            _remember([other for other in asked() if other != one])
    names = [name for _, name, _ in found]
    seen: dict[str, int] = {}
    result = []
    for one, name, pixels in found:
        seen[name] = seen.get(name, 0) + 1
        result.append(Shown(one, f"{name} ({seen[name]})" if names.count(name) > 1 else name, pixels))
    return result


def _picture(one: Input) -> tuple[str, NDArray[np.uint8]]:
    if one.kind == UPLOAD:
        return own_pictures.find(one)
    if one.kind != DRAWING:
        return one.title, inputs.picture(one)
    strokes = from_link(links.asked(_DRAWING), canvas.SIZE)
    digit = digit_of(strokes or state.last_drawing())
    if digit is None:
        raise ImageError("There is no drawing yet: draw a digit on the Draw page, then come back.")
    return "your drawing", digit.image


def act(action: str, row: int) -> None:
    """Does to the input of a row what its button says: up, down, again or remove."""
    state.bench().notices = []
    chosen = asked()
    if not 0 <= row < len(chosen):
        return
    if action == "remove":
        del chosen[row]
    elif action == "again":
        chosen[row] = chosen[row].next()
    else:
        other = row + (1 if action == "down" else -1)
        if 0 <= other < len(chosen):
            chosen[row], chosen[other] = chosen[other], chosen[row]
    _remember(chosen)


def begin() -> None:
    """Puts the inputs there that a new visitor finds."""
    links.remember(_PARAMETER, _FIRST, _FIRST)


def add(kind: str) -> None:
    """Adds an input of a kind: the next of its kind that is not there yet."""
    state.bench().notices = []
    chosen = asked()
    if len(chosen) >= inputs.MOST:
        state.bench().notices = [_FULL]
        return
    one = Input(kind)
    if kind == DRAWING:
        chosen = [other for other in chosen if other.kind != DRAWING]
        links.remember(_DRAWING, to_link(state.last_drawing(), canvas.SIZE))
    while one.has_others and one in chosen:
        one = one.next()
    _remember([*chosen, one])


def _bring() -> None:
    """Takes what was uploaded: each file becomes an input, or one line that says why not."""
    bench = state.bench()
    files = state.widget(_uploader_key()) or []
    as_digit = state.widget("read_as") == _AS_DIGIT
    chosen, bench.notices = asked(), []
    for file in files:
        if len(chosen) >= inputs.MOST:
            bench.notices.append(f"{file.name}: {_FULL}")
            continue
        try:
            one, note = own_pictures.keep(file.name, file.getvalue(), as_digit)
        except EmptyDrawingError:
            bench.notices.append(f"{file.name} shows no digit, for there is no ink on it: look at it as it is.")
            continue
        except LenetError as error:
            bench.notices.append(str(error))
            continue
        if note:
            bench.notices.append(note)
        if one not in chosen:
            chosen.append(one)
    bench.uploads += 1
    _remember(chosen)


def _uploader_key() -> str:
    return f"pictures.{state.bench().uploads}"


_AS_PICTURE, _AS_DIGIT = "as they are", "as digits"


def chooser() -> None:
    """The buttons that add inputs, in one line."""
    full = len(asked()) >= inputs.MOST
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key="add_inputs"):
        st.html(markup.plain("Add"), width="content")
        for digit in "0123456789":
            _adds(digit, digit, f"Add a {digit} from MNIST", full)
        for kind in ("cat", "car"):
            _adds(kind, kind.capitalize(), f"Add a {kind}, drawn by a program of this project", full)
        drawn = digit_of(state.last_drawing()) is not None
        says = "Add your last drawing" if drawn else "Draw a digit on the Draw page first"
        _adds(DRAWING, "Drawing", says, full, missing=not drawn, icon=":material/draw:")
        with st.popover("Noise", icon=":material/grain:"):
            for kind, title in NOISES.items():
                _adds(kind, title[0].upper() + title[1:], "", full)
        if inputs.has_cifar():
            with st.popover("CIFAR-10"):
                _adds("cifar-cat", "A cat", "", full)
                _adds("cifar-automobile", "An automobile", "", full)
        with st.popover("Upload", icon=":material/upload:"):
            st.segmented_control(
                "Look at them", [_AS_PICTURE, _AS_DIGIT], default=_AS_PICTURE, required=True, key="read_as",
                help="As they are: the middle square, shrunk to the network's size. As digits: the ink is cut out and "
                "centred as MNIST's is, dark on light or light on dark.",
            )  # fmt: skip
            st.file_uploader(
                "PNG, JPEG, WebP, BMP or GIF, several at once", accept_multiple_files=True, key=_uploader_key(),
                on_change=_bring, disabled=full,
            )  # fmt: skip


def _adds(kind: str, label: str, says: str, full: bool, missing: bool = False, icon: str | None = None) -> None:
    st.button(
        label, key=f"add_{kind}", help=_FULL if full else says or None, on_click=add, args=(kind,),
        disabled=full or missing, icon=icon,
    )  # fmt: skip
