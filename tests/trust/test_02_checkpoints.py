"""A bad checkpoint gives one plain error in under a second and under 100 MB, and what loads can answer.

Files are read in a process of their own, within limits, which this module is when it is started as a program.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import MAX_FILE_BYTES, Checkpoint, load_checkpoint
from lenet_core.errors import CheckpointError
from lenet_core.imagenet import alexnet
from tests.conftest import ROOT
from tests.trust import hostile
from tests.trust.conftest import Trust

SECONDS = 1.0  # of the processor's time, which other programs do not lengthen
MEGABYTES = 100
LETTERS = 400
FORMAT = "lenet-playground-1"
ROOM = 2**30  # bytes that the reading process may take beyond what it has at its beginning

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone tells peaks of memory")


# --- the process that reads --------------------------------------------------------------------


def kilobytes(name: str) -> int:
    """What the system says of this process's memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"the system does not tell {name}")


def complaint(error: BaseException, name: str) -> str:
    """What is wrong with an error; empty if it is one plain line."""
    text = str(error)
    if not isinstance(error, CheckpointError):
        return f"{type(error).__name__}: {text:.200}"
    plain = text.isprintable() and name in text and len(text) <= LETTERS and "Traceback" not in text
    return "" if plain else f"not plain: {text!r:.600}"


def answers(checkpoint: Checkpoint) -> bool:
    """Whether the network answers every one of some images with finite logits."""
    shape = (1, *checkpoint.architecture.input_shape)
    random = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    images = torch.cat([torch.zeros(shape), torch.ones(shape), random, random.round()])
    with torch.inference_mode():
        return bool(checkpoint.net(images).isfinite().all())


def main(path: Path) -> dict[str, Any]:
    """Reads the files that come in by the standard input, each after a line with its name and size.

    Tells which load, how many of each kind are refused, the dearest ones, and what went wrong. Of size -1 is a file
    that lies at the path that its name is.
    """
    import resource

    torch.set_num_threads(1)
    for whole in hostile.sound().values():  # everything that is imported late is there now
        path.write_bytes(whole)
        assert answers(load_checkpoint(path))
    _, most = resource.getrlimit(resource.RLIMIT_AS)  # -1 for none; only root may raise it
    resource.setrlimit(resource.RLIMIT_AS, (1024 * kilobytes("VmSize") + ROOM, most))
    start, refused = kilobytes("VmRSS"), Counter[str]()
    slowest, largest = (0.0, ""), (0.0, "")
    loaded: list[str] = []
    wrong: list[str] = []
    for line in sys.stdin.buffer:
        name, size = json.loads(line)
        file = path if size >= 0 else Path(name)
        if size >= 0:
            path.write_bytes(sys.stdin.buffer.read(size))
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, checkpoint = time.process_time(), None
        try:
            checkpoint = load_checkpoint(file)
        except BaseException as error:
            said = complaint(error, file.name)
            refused[name.rpartition(" ")[0]] += 1
            if said:
                wrong.append(f"{name}: {said}")
        slowest = max(slowest, (time.process_time() - before, name))
        largest = max(largest, ((kilobytes("VmHWM") - start) / 1024, name))
        if checkpoint is not None:
            loaded.append(name)
            if not answers(checkpoint):
                wrong.append(f"{name}: it loads and its answers are not finite")
    return {"names": loaded, "refused": refused, "slowest": slowest, "largest": largest, "wrong": wrong}


def read(files: Iterable[tuple[str, bytes] | Path], folder: Path) -> dict[str, Any]:
    """What `main` says of these files, each with a name or in its place; none was dear or went wrong."""
    command = [sys.executable, "-m", __spec__.name, str(folder / "strange.safetensors")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended early, and says why
            for file in files:
                name, data = (str(file), None) if isinstance(file, Path) else file
                line = json.dumps([name, -1 if data is None else len(data)])
                process.stdin.write(line.encode() + b"\n" + (data or b""))
        output, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    told: dict[str, Any] = json.loads(output)
    assert told["wrong"] == []
    assert told["slowest"][0] < SECONDS, told["slowest"]
    assert told["largest"][0] < MEGABYTES, told["largest"]
    return told


def cost(told: dict[str, Any]) -> str:
    """The dearest cases, for the table."""
    return f"at most {told['slowest'][0]:.2f} s and {told['largest'][0]:.0f} MB"


# --- the promise -------------------------------------------------------------------------------


def mutated(count: int) -> Iterator[tuple[str, bytes]]:
    """Checkpoints with something changed, the same ones each time."""
    sound = hostile.sound()
    for index in range(count):
        random = Random(f"checkpoint {index}")
        name, data = hostile.mutated(sound[random.choice(list(sound))], random)
        yield f"{name} {index}", data


def test_mutated_files(trust: Trust, tmp_path: Path) -> None:
    count = trust.count(2_000, 100_000)
    told = read(mutated(count), tmp_path)
    loaded, refused = len(told["names"]), sum(told["refused"].values())
    assert loaded + refused == count
    assert loaded > count / 20
    assert set(told["refused"]) == set(hostile.CHANGES)
    trust.say(f"{count:,} files: {refused:,} refused in one line, {loaded:,} sound, 0 tracebacks; {cost(told)}")


def test_every_truncation(trust: Trust, tmp_path: Path) -> None:
    whole = hostile.sound()["old"]
    told = read(((f"cut {length}", whole[:length]) for length in range(len(whole))), tmp_path)
    assert told["refused"] == {"cut": len(whole)}
    trust.say(f"{len(whole):,} files; {cost(told)}")


def test_what_asks_for_much(trust: Trust, tmp_path: Path) -> None:
    files = hostile.costly(hostile.sound()["tiny"]).items()
    told = read(files, tmp_path)
    assert not told["names"]
    trust.say(f"{len(files)} files, a header of a million empty tensors among them; {cost(told)}")


def test_large_files(trust: Trust, tmp_path: Path) -> None:
    """What is wrong with them stands at their end: nothing of their size is built before that is seen."""
    files = [tmp_path / "huge.safetensors"]
    with files[0].open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # a hole, which takes no room on a disk
    wide = Architecture("wide", (4, 1024, 1024), (), (), num_classes=20)  # a row of its weights has 17 MB
    for arch in (alexnet(), wide):
        beginning, size = hostile.laid_out(arch)
        for wrong, end in {"nan": struct.pack("<f", math.nan), "short": bytes(3), "long": bytes(8)}.items():
            files.append(tmp_path / f"{wrong} {arch.name}.safetensors")
            with files[-1].open("wb") as file:
                file.write(beginning)
                file.seek(size - 4, os.SEEK_CUR)
                file.write(end)
    told = read(files, tmp_path)
    assert not told["names"]
    trust.say(f"up to {size / 2**20:.0f} MB with a NaN at the end: {cost(told)}")


def weighty() -> Iterator[tuple[str, bytes]]:
    """Checkpoints with NaN and infinity in every tensor, then with weights of every size."""
    for network, whole in hostile.sound().items():
        header, _ = hostile.parts(whole)
        metadata = {"format": FORMAT, "description": json.dumps(header["__metadata__"]["description"])}
        tensors = read_tensors(whole)
        for value in (math.nan, math.inf, -math.inf):
            for name, tensor in tensors.items():
                spoilt = tensor.clone()
                spoilt.view(-1)[-1] = value
                yield f"{value} {name}, {network}", write_tensors(tensors | {name: spoilt}, metadata)
        for power in range(-45, 39):
            alike = {name: torch.full_like(tensor, 10.0**power) for name, tensor in tensors.items()}
            scaled = {name: tensor.sign() * 10.0**power for name, tensor in tensors.items()}
            yield f"alike {power}", write_tensors(alike, metadata)
            yield f"scaled {power}", write_tensors(scaled, metadata)


def test_weights_of_every_size(trust: Trust, tmp_path: Path) -> None:
    """Those that load were asked for their answers, which are finite; those of a trained network's size do load."""
    files = list(weighty())
    told = read(files, tmp_path)
    sizes = [int(name.split()[1]) for name in told["names"] if name.startswith(("alike", "scaled"))]
    assert len(sizes) == len(told["names"])
    for power in range(-45, 5):
        assert sizes.count(power) == 2 * len(hostile.sound())
    assert len(sizes) < len([name for name, _ in files if name.startswith(("alike", "scaled"))])
    trust.say(f"{len(files)} files, {len(sizes)} sound; {cost(told)}")


def test_places_that_overlap_or_leave_gaps(trust: Trust, tmp_path: Path) -> None:
    files = [
        (f"{name} {network}", data)
        for network, whole in hostile.sound().items()
        for name, data in hostile.misplaced(whole).items()
    ]
    told = read(files, tmp_path)
    assert not told["names"]
    trust.say(f"{len(files)} files; {cost(told)}")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
