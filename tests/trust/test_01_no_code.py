"""No file runs code: every kind of hostile file is given to every way by which a file comes in."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from lenet_core import data, imagenet, inputs, knobs, leases, preprocess, progress, strokes
from lenet_core.checkpoint import load_checkpoint, read_description
from lenet_core.errors import DataError, LenetError
from lenet_core.imagenet import Source
from lenet_core.library import imagenet_checkpoint, progress_path
from lenet_core.runs import Plan, Run, create_run
from lenet_core.worker import work
from tests.core.trainings import tiny
from tests.trust import hostile
from tests.trust.conftest import Trust
from ui.galleries import read_gallery

Files = dict[str, bytes]
_STARTS = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "webbrowser.open")
_seen: list[str] | None = None


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event in _STARTS:
        _seen.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_listen)  # for good, as Python has it; silent unless `watched`


@contextmanager
def watched() -> Iterator[list[str]]:
    """What was unpickled by name, or started as a program, meanwhile."""
    global _seen
    _seen = found = []
    try:
        yield found
    finally:
        _seen = None


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Nothing here gains from more."""
    torch.set_num_threads(1)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """The file that must never be there."""
    return tmp_path / "canary"


@pytest.fixture
def files(canary: Path) -> Files:
    """The hostile files, by what they are."""
    return {name: one.data for name, one in hostile.corpus(canary).items()}


def unharmed(canary: Path, seen: list[str]) -> None:
    """Nothing ran."""
    assert not canary.exists()
    assert seen == []


def line_of(error: LenetError) -> str:
    """The message, which must be one plain line."""
    line = str(error)
    assert line.isprintable()
    assert len(line) < 500
    return line


def test_the_corpus_is_live(canary: Path) -> None:
    """A careless reader of each file does make the canary, so that its absence elsewhere says something."""
    for name, one in hostile.corpus(canary).items():
        if one.reader is not None:
            with watched() as seen:
                try:
                    one.reader(io.BytesIO(one.data))
                except Exception as error:  # after the code ran, what comes out is nothing that can be used
                    print(f"{name}: {error!r:.100}")
            assert canary.exists(), name
            assert seen, name
            canary.unlink()


# --- files of their own ------------------------------------------------------------------------


def as_checkpoint(path: Path) -> None:
    load_checkpoint(path)


def as_description(path: Path) -> None:
    read_description(path)


def as_runs_folder(path: Path) -> None:
    folder = path.with_suffix("")
    folder.mkdir()
    path.rename(folder / "model.safetensors")
    load_checkpoint(folder)


def as_plan(path: Path) -> None:
    folder = path.with_suffix("")
    folder.mkdir()
    path.rename(folder / "recipe.json")
    Run(folder).plan  # noqa: B018 (reading it is the point)


def as_images_of_torchvision(path: Path) -> None:
    """MNIST as torchvision kept it long ago, in two files of PyTorch's, which it would still read first."""
    place = path.parent / "MNIST" / "processed"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("training.pt", "test.pt"):
        (place / name).write_bytes(path.read_bytes())
    data.load("mnist", train=True, root=path.parent)


def as_batches(path: Path) -> None:
    """CIFAR-10's originals, which are pickles: torchvision is to open those alone whose checksums were published."""
    place = path.parent / data.DATA_SETS["cifar10"].place
    place.mkdir(exist_ok=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (place / name).write_bytes(path.read_bytes())
    (path.parent / "cifar-10-python.tar.gz").write_bytes(path.read_bytes())
    for train in (True, False):
        with suppress(DataError):
            data.load("cifar10", train=not train, root=path.parent)
        data.load("cifar10", train=train, root=path.parent)


def as_alexnet(path: Path) -> None:
    """A file of the right name and checksum beside AlexNet's place."""
    content = path.read_bytes()
    imagenet_checkpoint().parent.mkdir(parents=True, exist_ok=True)
    imagenet_checkpoint().with_name("alexnet-owt-12345678.pth").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()[:8]
    imagenet.fetch(source=Source("http://127.0.0.1:9/alexnet-owt-12345678.pth", digest, ("a",) * 1000))


REFUSING = [as_checkpoint, as_description, as_runs_folder, as_plan, as_images_of_torchvision, as_batches, as_alexnet]
_SLOW = (as_images_of_torchvision, as_batches)  # that try to download what is refused


def test_every_one_is_refused_in_a_line(
    trust: Trust, files: Files, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy"):  # nothing is downloaded instead
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    tried = 0
    for way in REFUSING:
        names = list(files)[:: trust.count(8, 1) if way in _SLOW else 1]
        for number, name in enumerate(names):
            path = tmp_path / f"{way.__name__}-{number}.safetensors"
            path.write_bytes(files[name])
            with watched() as seen:
                try:
                    way(path)
                except LenetError as error:
                    line_of(error)
                else:
                    # Its weights are not looked at, so that nothing after them is either.
                    assert way is as_description, name
                    assert name in ("checkpoint and zip", "checkpoint and pickle")
            unharmed(canary, seen)
        tried += len(names)
    trust.say(f"{len(files)} files, tried {tried} times in {len(REFUSING)} ways: 0 canaries, each refused in one line")


def test_weights_that_are_compressed_are_refused_unread(trust: Trust, canary: Path, tmp_path: Path) -> None:
    """A `.pt` of one's own: harmless weights, but not stored as PyTorch stores them."""
    blank = {f"{theirs}.{kind}": torch.zeros(1) for theirs in imagenet._MODULES.values() for kind in ("weight", "bias")}
    stored = hostile.saved(blank)
    for name, content, reason in (
        ("stored", stored, "not float32|not torch.float32"),  # read, and then refused as no AlexNet
        ("deflated", hostile.deflated(stored), "compressed"),
        ("bomb", hostile.corpus(canary)["zip bomb"].data, "compressed"),
        ("overlapping", hostile.overlapping_zip(), "lie on one another"),
    ):
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        with pytest.raises(DataError, match=reason):
            as_alexnet(path)
    trust.say("deflated and overlapping zip files refused before PyTorch reads them")


@pytest.mark.parametrize("kind", ["sparse", "without values", "no tensor", "too large a file"])
def test_weights_of_another_kind_are_refused(kind: str, tmp_path: Path) -> None:
    expected = imagenet.alexnet()
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in imagenet.build(expected).state_dict().items()}
    weights: dict[str, Any] = {}
    for ours, theirs in imagenet._MODULES.items():
        for part in ("weight", "bias"):
            weights[f"{theirs}.{part}"] = torch.zeros(1).expand(shapes[f"{ours}.{part}"])
    name = "features.0.bias"
    if kind == "sparse":
        weights[name] = torch.zeros(64).to_sparse()
    elif kind == "without values":
        weights[name] = torch.zeros(64, device="meta")
    elif kind == "no tensor":
        weights[name] = [0.0] * 64
    path = tmp_path / "copied.pth"
    path.write_bytes(hostile.saved(weights))
    if kind == "too large a file":
        with path.open("ab") as file:
            file.truncate(250_000_001)
    with pytest.raises(DataError, match="250,000,001 bytes" if kind == "too large a file" else name) as caught:
        as_alexnet(path)
    line_of(caught.value)


# --- pictures ----------------------------------------------------------------------------------


def test_pictures_are_refused_or_only_pixels(trust: Trust, files: Files, canary: Path, tmp_path: Path) -> None:
    taken = set()
    for read in (preprocess.read_image, preprocess.read_picture):
        for name, content in files.items():
            path = tmp_path / "strange.png"
            path.write_bytes(content)
            for source in (path, io.BytesIO(content)):
                with watched() as seen:
                    try:
                        read(source)
                        taken.add(name)
                    except LenetError as error:
                        line_of(error)
                unharmed(canary, seen)
    assert taken == {"png with html", "png and html", "png and pt", "jpeg and zip", "gif and js", "webp and html"}
    trust.say(f"{len(files)} files, {len(taken)} of them pictures too: 0 canaries")


def brought(files: Files, own_module: str) -> list[str]:
    """What a learner is told who brings these files, one after the other; empty where one is taken."""

    def bring(files: dict[str, bytes], own_module: str) -> None:
        import streamlit as st

        from lenet_core.errors import LenetError
        from ui import own_pictures, uploads

        keep = {
            "uploads": lambda name, data: uploads._keep(f"{name}.safetensors", data),
            "pictures": lambda name, data: own_pictures.keep(f"{name}.png", data, as_digit=False),
            "digits": lambda name, data: own_pictures.keep(f"{name}.png", data, as_digit=True),
        }[own_module]
        told = []
        for name, content in files.items():
            try:
                keep(name, content)
                told.append("")
            except LenetError as error:
                told.append(str(error))
        st.session_state["told"] = told

    app = AppTest.from_function(bring, kwargs={"files": files, "own_module": own_module}, default_timeout=300)
    app.session_state["learner"] = "0123456789abcdef"
    app.run()
    assert not app.exception
    told: list[str] = app.session_state["told"]
    return told


def test_what_a_learner_brings(trust: Trust, files: Files, canary: Path, own_data_folder: Path) -> None:
    taken = {}
    for way in ("uploads", "pictures", "digits"):
        with watched() as seen:
            told = brought(files, way)
        unharmed(canary, seen)
        assert len(told) == len(files)
        assert all(line.isprintable() and len(line) < 500 for line in told)
        taken[way] = told.count("")
        for path in own_data_folder.rglob("*"):
            if path.is_file():
                assert path.suffix == ".png"  # made anew, of pixels alone
                for mark in (b"<script", b"PK\3\4", str(canary).encode()):
                    assert mark not in path.read_bytes()
    assert taken["uploads"] == 0
    assert taken["pictures"] == 6
    trust.say(f"{len(files)} files brought as networks, pictures and digits: 0 canaries, and only pixels are kept")


# --- runs, links and the rest ------------------------------------------------------------------


def test_a_runs_files_are_read_as_data(trust: Trust, files: Files, canary: Path) -> None:
    run = create_run(Plan(tiny()))
    for name, content in files.items():
        for place in ("events.jsonl", "lease", "request", "examples.safetensors", "latest.safetensors"):
            (run.folder / place).write_bytes(content)
        progress_path("me").parent.mkdir(parents=True, exist_ok=True)
        progress_path("me").write_bytes(content)
        with watched() as seen:
            assert run.events()[0] == []
            assert run.last_event() == {}
            assert leases.holder(run.folder) in (None, {})
            assert run.request == "run"
            assert read_gallery(run.file("examples")) is None, name
            with pytest.raises(LenetError):
                load_checkpoint(run.file("latest"))
            assert progress.load_progress("me")[0] == progress.Progress()
        unharmed(canary, seen)
    trust.say(f"{len(files)} files in each of 6 places: 0 canaries")


def test_a_saved_state_is_refused_and_the_run_says_so(trust: Trust, files: Files, canary: Path) -> None:
    names = list(files)[:: trust.count(20, 1)]
    for name in names:
        run = create_run(Plan(tiny(), device="cpu"))
        run.file("state").write_bytes(files[name])
        with watched() as seen:
            assert work(run) == "failed", name
        unharmed(canary, seen)
        message = run.last_event("failed")["message"]
        assert message.isprintable()
        assert "The saved state cannot be used" in message
        run.delete()
    trust.say(f"{len(names)} files: 0 canaries, each run failed with one line")


def test_links_are_only_text(trust: Trust, files: Files, canary: Path) -> None:
    for content in files.values():
        text = content[:100_000].decode("latin-1")
        with watched() as seen:
            for name in ("recipe", *knobs.KNOBS, "none"):
                base, recipe, problems = knobs.from_link({name: text})
                assert (base, recipe) == ("lenet-modern", knobs.recipe_named(base))
                assert all(len(line) < 500 for line in problems)
                assert problems
            with pytest.raises(ValueError, match=r"."):
                inputs.parse(text)
            assert strokes.from_link(text, 336) is not None
        unharmed(canary, seen)
    trust.say(f"{len(files)} texts under {len(knobs.KNOBS) + 4} names: 0 canaries")
