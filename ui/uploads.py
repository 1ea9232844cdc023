"""Networks that visitors bring back from elsewhere: checked like any stranger's file, then theirs to draw with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import streamlit as st

from lenet_core.errors import CheckpointError, LenetError
from lenet_core.files import make_folder, write_atomically
from lenet_core.library import SUFFIX, file_words, uploads_dir
from ui import links, markup, state
from ui.networks import own_key

MOST = 20  # files of one learner


def bring_back() -> None:
    """The place to drop a checkpoint, and those that were brought."""
    with st.expander("Bring back a network of your own", icon=":material/upload:"):
        file = st.file_uploader(
            "A .safetensors file that this playground wrote", type=["safetensors"],
            key=f"upload.{state.tries('upload')}",
            help="Nothing in it is run; its architecture and weights are checked before anything is built.",
        )  # fmt: skip
        if file is not None:
            try:
                _keep(file.name, file.getvalue())
            except LenetError as error:
                st.html(markup.warning(str(error)))
        for path in sorted(uploads_dir(state.learner()).glob(f"*{SUFFIX}")):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.html(markup.plain(path.stem))
                if st.button("Draw with it", icon=":material/draw:", key=f"draw_{path.stem}"):
                    links.go("pages/draw.py", {"net": own_key(path.stem)})
                if st.button("Look inside", icon=":material/grid_view:", key=f"look_{path.stem}"):
                    links.go("pages/feature_maps.py", {"net": own_key(path.stem)})
                if st.button("Delete", icon=":material/delete:", key=f"drop_{path.stem}"):
                    _drop(path)


def _keep(name: str, data: bytes) -> Path:
    """Keeps a sound checkpoint; the same file twice is one.

    Raises:
        CheckpointError: it is not one, or the learner has brought too many.
        StorageError: it cannot be written.
    """
    from lenet_core.checkpoint import load_checkpoint

    folder = uploads_dir(state.learner())
    words = file_words(Path(name).stem, "network")
    path = folder / f"{words}-{hashlib.sha256(data).hexdigest()[:8]}{SUFFIX}"
    if path.exists():
        return path
    present = len(list(folder.glob(f"*{SUFFIX}")))
    if present >= MOST:
        raise CheckpointError(f"You have brought {present} networks, and {MOST} is the limit; delete one first.")
    unproven = make_folder(folder) / f".{path.name}.unproven"
    write_atomically(unproven, data)
    try:
        load_checkpoint(unproven)
        unproven.rename(path)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(unproven.name, " ".join(name.split())[:80])) from error
    finally:
        unproven.unlink(missing_ok=True)
    return path


def _drop(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        st.html(markup.warning(f"{path.stem} cannot be deleted ({error.strerror or error}). Ask who runs this server."))
        return
    state.try_again("upload")  # else the file that was dropped here would be kept again
    st.rerun()
