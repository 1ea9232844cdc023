"""A bad picture gives one plain error in under a second and under 512 MB, or is a sound picture, by every way in.

Files are read in a process of their own, within limits: `picture_reader`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from lenet_core.errors import ImageError
from lenet_core.preprocess import read_image
from tests.conftest import ROOT
from tests.trust import hostile_images
from tests.trust.conftest import Trust
from tests.trust.picture_reader import WAYS

SECONDS = 1.0  # of the processor's time, which other programs do not lengthen; for each way in
MEGABYTES = 512

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peaks of memory are told in kB on Linux"
)


def read(files: Iterable[tuple[str, bytes]], folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """What the reader says of these files; none was dear or went wrong."""
    command = [sys.executable, "-m", "tests.trust.picture_reader", str(folder)]
    environment = {**os.environ, "LENET_DATA_DIR": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    warming = [(f"warm {name}", data) for name, data in hostile_images.sound().items()]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=(folder / "errors").open("wb")
    ) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended early, and says why
            for name, data in chain(warming, files):
                process.stdin.write(json.dumps([name, len(data)]).encode() + b"\n" + data)
        output, _ = process.communicate()
    assert process.returncode == 0, (folder / "errors").read_text()[-2000:]
    told: dict[str, Any] = json.loads(output)
    assert told["wrong"] == []
    assert told["outcomes"].pop("warm sound") == len(warming) * len(WAYS)
    assert told["slowest"][0] < seconds, told["slowest"]
    assert told["peak"] < MEGABYTES
    return told


def cost(told: dict[str, Any]) -> str:
    """The dearest cases, for the table."""
    return f"at most {told['slowest'][0]:.2f} s, the whole process {told['peak']:.0f} MB"


# --- the promise -------------------------------------------------------------------------------


def total(told: dict[str, Any], outcome: str) -> int:
    return sum(number for name, number in told["outcomes"].items() if name.endswith(outcome))


def test_mutated_pictures(trust: Trust, tmp_path: Path) -> None:
    count = trust.count(1_200, 100_000)
    told = read(map(hostile_images.mutated, range(count)), tmp_path)
    sound, blank, refused = (total(told, outcome) for outcome in ("sound", "blank", "refused"))
    assert sound + blank + refused == count * len(WAYS)
    assert min(sound, refused) > count * len(WAYS) / 10
    for kind in ("png", "jpeg", "webp", "bmp", "gif"):  # each decoder was reached, and refused something
        assert told["outcomes"][f"{kind} sound"]
        assert told["outcomes"][f"{kind} refused"]
    trust.say(
        f"{count:,} files in {len(WAYS)} ways: {refused:,} times refused in one line, {sound + blank:,} times sound "
        f"({blank:,} without ink), 0 tracebacks; {cost(told)}"
    )


def test_what_must_be_refused(trust: Trust, tmp_path: Path) -> None:
    files = hostile_images.no_pictures()
    assert len(files["144 megapixels.png"]) < 20_000
    told = read(files.items(), tmp_path)
    assert total(told, "refused") == len(files) * len(WAYS)
    trust.say(f"{len(files)} files, 144 megapixels in {len(files['144 megapixels.png']) // 1000} kB: {cost(told)}")


def test_what_stands_beside_the_pixels_costs_nothing(trust: Trust, tmp_path: Path) -> None:
    """Bombs of text, of profiles, of camera's notes and of frames: the picture is read, and they are not."""
    files = hostile_images.with_much_beside()
    told = read(files.items(), tmp_path)
    assert total(told, "refused") == 0
    trust.say(f"{len(files)} files, a GIF of 10,000 frames among them: {cost(told)}")


def test_the_largest_pictures(trust: Trust, tmp_path: Path) -> None:
    """They are not bad, so they may take longer, but no more room."""
    files = hostile_images.largest(few=not trust.full)
    told = read(files.items(), tmp_path, 3 * SECONDS)
    assert total(told, "refused") == 0
    trust.say(f"{len(files)} sound, of 16 or 25 megapixels: {cost(told)}")


def test_no_file_stays_open_and_no_log_is_filled(trust: Trust, tmp_path: Path) -> None:
    """What a refused file leaves behind: nothing, by the interpreter's own warnings."""
    files = {f"{index}.png": hostile_images.mutated(index)[1] for index in range(trust.count(300, 3_000))}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for name, data in (files | hostile_images.with_much_beside()).items():
            path = tmp_path / name
            path.write_bytes(data)
            with contextlib.suppress(ImageError):
                read_image(path)
    assert [str(one.message) for one in found if "PIL" not in str(one.message)][:5] == []
    trust.say(f"{len(files):,} files: 0 left open, 0 warnings")
