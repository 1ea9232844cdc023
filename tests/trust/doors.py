"""Every door through which a name comes in, and a look at all files that are touched behind it.

`python -m tests.trust.doors DATA COUNT SEED` goes through them in a process of its own, for what Python tells about
opened files cannot be unlearned, and prints what was touched outside the data folder, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.trust.names import random_names, sendable

PARAMETERS = (
    "run", "sweep", "runs", "pair", "net", "beside", "inputs", "drawing", "exercise", "preset", "recipe", "data",
    "table", "c3", "device", "layers", "unit", "maps", "scale", "detail", "why", "modern", "left", "right", "x", "try",
)  # fmt: skip
_WATCHED = {
    "open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.chown", "os.utime", "os.listdir", "os.scandir", "shutil.rmtree", "shutil.copyfile", "shutil.move",
    "os.exec", "os.system", "subprocess.Popen",
}  # fmt: skip
_CODE = [ROOT / "assets", ROOT / "lenet_core", ROOT / "ui", ROOT / "tests", *map(Path, (sys.prefix, sys.base_prefix))]


class Watch:
    """What is touched outside the data folder, other than code and the project's assets that are read."""

    def __init__(self, data: Path) -> None:
        self.outside: set[str] = set()
        self.touched = 0
        self.on = False
        self._data = os.path.realpath(data)
        found = [*_CODE, *(Path(one) for one in sys.path if one.startswith("/") and "packages" in one)]
        self._read = [os.path.realpath(path) for path in found]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in _WATCHED:
            return
        writes = event != "open" and event not in ("os.listdir", "os.scandir")
        if event == "open":
            mode, flags = arguments[1], arguments[2]
            writes = bool(set(mode or "") & set("wax+")) or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        for argument in arguments[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
            if isinstance(argument, (str, bytes, os.PathLike)):
                self._look(os.fsdecode(argument), event, writes)

    def _look(self, path: str, event: str, writes: bool) -> None:
        self.touched += 1
        real = os.path.realpath(path)
        if not writes and real.endswith("/.streamlit/secrets.toml"):
            return  # Streamlit's own, whatever the name
        allowed = [self._data] if writes else [self._data, *self._read]
        if not any(real == one or real.startswith(one + os.sep) for one in allowed):
            self.outside.add(f"{event} {real!r}")


def knock(name: str, picture: bytes, network: bytes) -> list[str]:
    """Goes through every door with a name; says where it led to something that is not the visitor's."""
    import streamlit as st

    from lenet_core import knobs
    from lenet_core.errors import LenetError
    from lenet_core.library import file_words, pictures_dir, uploads_dir
    from lenet_core.progress import load_progress, save_progress
    from lenet_core.recipes import recipe_named
    from lenet_core.runs import Plan, create_run, find_run
    from ui import compared_runs, networks, own_pictures, shown, shown_inputs, state, uploads

    link, wrong = sendable(name), []
    st.query_params.from_dict(dict.fromkeys(PARAMETERS, link))
    if (run := shown.shown_run()) is not None:
        wrong.append(f"?run= shows {run.folder}")
    wrong += [f"?runs= compares {one.run.folder}" for one in compared_runs.asked({})[0]]
    own = [one for key in (link, f"own/{link}") for one in networks.choosable(key) if one.key.startswith("own/")]
    wrong += [f"?net= opens {one.path}" for one in own]
    knobs.from_link({"recipe": link, "data": link, "table": link, link: link})
    for text in (link, f"upload.{link}", f"upload.{PLANTED}"):
        st.query_params["inputs"] = text
        wrong += [f"?inputs= shows {one.name}" for one in shown_inputs.shown() if one.input.kind == "upload"]
    with contextlib.suppress(LenetError):
        if len(Path(name).parts) < 2 and name != "link":  # on the command line a path is a path, a link a link
            wrong.append(f"resume finds {find_run(name).folder}")
    one, _ = own_pictures.keep(name, picture, as_digit=False)
    called, _ = own_pictures.find(one)
    kept = uploads._keep(name, network)
    made = create_run(Plan(replace(recipe_named("lenet-modern"), name=name[:80] or "-"), learner=name[:200], sweep="s"))
    save_progress(name, load_progress(name)[0])
    files = [*pictures_dir(state.learner()).glob("[0-9]*"), *pictures_dir(state.learner()).glob(f"{one.key}-*"), kept]
    for path in {*files, made.folder}:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", path.name) or path.name[-1] in ". ":
            wrong.append(f"a file is called {path.name!r}")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", file_words(name, "x")) or kept.parent != uploads_dir(state.learner()):
        wrong.append(f"{called} is kept at {kept}")
    kept.unlink()
    (pictures_dir(state.learner()) / f"{one.key}-{called}.png").unlink()
    made.folder.rename(made.folder.parent.parent / "gone")
    return wrong


PLANTED = "0123456789abcdef"  # the key of a picture that is a link out of the data folder


def plant(data: Path) -> Path:
    """Puts a run, a network and a picture beside the data folder, and links to them into it; gives their folder."""
    from PIL import Image

    from lenet_core.library import bundled_checkpoints
    from lenet_core.recipes import recipe_named
    from lenet_core.runs import Plan, create_run

    outside = data.parent.parent / "evil"
    create_run(Plan(recipe_named("lenet-modern")), outside)
    (outside / "model.safetensors").write_bytes(bundled_checkpoints()["lenet-modern"].read_bytes())
    Image.new("RGB", (28, 28), "red").save(outside / "picture.png")
    for folder in ("runs", "pictures/stranger", "uploads"):
        (data / folder).mkdir(parents=True)
    create_run(Plan(recipe_named("lenet-modern")), data / "runs" / ".trash" / "evil")  # deleted, not quite gone yet
    (data / "runs" / "link").symlink_to(outside)
    (data / "pictures" / "stranger" / f"{PLANTED}-x.png").symlink_to(outside / "picture.png")
    return outside


def go_through(names: list[str], watch: Watch | None) -> list[str]:
    """`knock` with each name, inside an app; says what went wrong."""
    from PIL import Image

    from lenet_core.library import bundled_checkpoints, uploads_dir
    from tests.image_bytes import saved
    from ui import state

    picture = saved(Image.new("RGB", (28, 28), "green"))
    network = bundled_checkpoints()["lenet-modern"].read_bytes()
    folder = uploads_dir(state.learner())
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "link.safetensors").is_symlink():
        (folder / "link.safetensors").symlink_to(folder.parents[3] / "evil" / "model.safetensors")
    wrong = []
    for name in names:
        if watch is not None:
            watch.on = True
        try:
            wrong += [f"{name!r}: {line}" for line in knock(name, picture, network)]
        finally:
            if watch is not None:
                watch.on = False
        shutil.rmtree(folder.parents[1] / "gone", ignore_errors=True)  # which opens by numbers, not by names
    return wrong


WATCH: list[Watch] = []  # the script below is run from its text alone, so it finds its things here
TO_DO: dict[str, Any] = {}


def _script() -> None:
    from tests.trust import doors

    doors.go_through(["plain"], None)  # so that all is imported before one looks
    doors.TO_DO["wrong"] = doors.go_through(doors.TO_DO["names"], doors.WATCH[0])


def main(data: Path, count: int, seed: int) -> dict[str, Any]:
    """Goes through all doors with so many names; gives what went wrong and what was touched outside."""
    from streamlit.testing.v1 import AppTest

    from tests.trust import doors  # not this file again, as `__main__`

    os.environ["LENET_DATA_DIR"] = str(data)
    doors.plant(data)
    names = random_names(count, seed)
    doors.WATCH.append(doors.Watch(data))
    doors.TO_DO["names"] = names
    app = AppTest.from_function(doors._script, default_timeout=7200).run()
    failed = [str(one.value) + "".join(one.stack_trace) for one in app.exception]
    watch = doors.WATCH[0]
    return {
        "names": len(names), "touched": watch.touched, "outside": sorted(watch.outside), "failed": failed,
        "wrong": doors.TO_DO.get("wrong"),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
