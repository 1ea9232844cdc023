"""The live lens's scripts in a blank page of a real browser, without a server, and arrays on their way there."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests.conftest import ROOT
from ui.components.live_lens import SCRIPTS

FOLDER = ROOT / "ui" / "components" / "live_lens"
FILES = SCRIPTS[:-1]  # without the one that needs Streamlit
_EXPOSE = """async (text) => {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  Object.assign(window, await import(address));
  window.typedOf = (base64, Type) => new Type(Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)).buffer);
  window.base64Of = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    let text = "";
    for (let start = 0; start < bytes.length; start += 8192) {
      text += String.fromCharCode(...bytes.subarray(start, start + 8192));
    }
    return btoa(text);
  };
}"""


def lens_module(page: Page, *names: str) -> Page:
    """A blank page that has these functions, classes and constants of the lens's module as globals.

    Beside them `typedOf(base64, Type)`, which makes what `packed` gives an array, and `base64Of(array)`, which
    `unpacked` reads. Only as many files are joined as the names need.
    """
    joined, wanted = "", set(names)
    for file in FILES:
        if not wanted:
            break
        text = (FOLDER / file).read_text()
        joined += f"{text}\n"
        wanted -= set(re.findall(r"^(?:async )?(?:function\*?|class|const|let) (\w+)", text, re.MULTILINE))
    assert not wanted, f"no file of the lens declares {', '.join(sorted(wanted))}"
    page.goto("about:blank")
    page.evaluate(_EXPOSE, f"{joined}export {{ {', '.join(names)} }};")
    return page


def packed(array: NDArray[Any]) -> str:
    """An array's values, little-endian and one after another, as `typedOf` reads them."""
    return base64.b64encode(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()).decode()


def unpacked(text: str, dtype: Any = np.float32) -> NDArray[Any]:
    """The values (n,) that `base64Of` wrote."""
    return np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<")).astype(dtype)
