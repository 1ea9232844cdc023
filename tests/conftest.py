"""What the tests share: real data where it is, a server of our own, a real browser."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from safetensors.torch import save_file

from lenet_core import guard
from lenet_core.data import _fingerprint
from lenet_core.data_sets import DATA_SETS
from tests.pens import SHARED_DATA, STROKES

ROOT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI") == "true"
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The sandbox cannot start as root, which CI machines often are; the rest keeps the browser off the network.
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def missing(what: str) -> None:
    """Skips the test for want of `what`; in CI, where it must be there, fails it."""
    if IN_CI:
        pytest.fail(f"{what}: in CI this must be there")
    pytest.skip(what)


@pytest.fixture(autouse=True, scope="session")
def patience() -> Iterator[None]:
    """No force against a training in this very process: a slow disk would end all tests, as if they had passed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "GRACE", 1e9)
        yield


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a data folder of its own, so that none touches the user's."""
    monkeypatch.setenv("LENET_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def own_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python keeps the proxies of its first `urlopen` for good: those of a test that names some stay its own."""
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A writable folder with the full real MNIST and Fashion-MNIST."""
    source = SHARED_DATA / "torchvision"
    if not source.exists():
        missing(f"no real data sets beside the project ({source.name})")
    folder = ROOT / ".data"
    for name in ("MNIST", "FashionMNIST"):
        if not (folder / name).exists():
            shutil.copytree(source / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture(scope="session")
def cifar_test_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with CIFAR-10's test images, from a lossy JPEG copy, as if torchvision had read them."""
    pack = SHARED_DATA / "cifar10" / "cifar10_jpeg_pack.npz"
    if not pack.exists():
        missing("no copy of CIFAR-10 beside the project")
    with np.load(pack) as packed:
        data, offsets, labels = (packed[f"test_{name}"] for name in ("jpeg", "offsets", "labels"))
    pairs = pairwise(offsets)
    pictures = [np.asarray(Image.open(io.BytesIO(data[start:end].tobytes()))) for start, end in pairs]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    folder = tmp_path_factory.mktemp("cifar")
    (folder / DATA_SETS["cifar10"].place).mkdir()
    kept = folder / "tensors" / "cifar10-test.safetensors"
    kept.parent.mkdir()
    originals = {"originals": _fingerprint(folder / DATA_SETS["cifar10"].place)}
    save_file({"images": images, "labels": torch.from_numpy(labels.astype(np.int64))}, kept, originals)
    return folder


@pytest.fixture(scope="session")
def pen_strokes() -> Path:
    """The file of real pen digits."""
    if not STROKES.exists():
        missing("no pen digits beside the project")
    return STROKES


@dataclass(frozen=True)
class Server:
    """A running app, with the folder for its data."""

    url: str
    data: Path
    log: Path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(
    data: Path, log: Path, script: str = "app.py", *more: str, settings: Mapping[str, str] = MappingProxyType({})
) -> tuple[subprocess.Popen[bytes], str]:
    """Starts the app as the README does, or a page of a test's own, on a free port; returns when it answers.

    `more` are further options of Streamlit's, `settings` further variables of the environment.
    """
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true", *more]  # headless: opens no browser
    command = [sys.executable, "-m", "streamlit", "run", script, *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "LENET_DATA_DIR": str(data), "PYTHONPATH": str(ROOT), **settings},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    met: OSError | None = None
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return process, url
        except OSError as error:
            met = error
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"the app did not start, last met with {met!r}: {log.read_text()[-2000:]}") from met


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app, running."""
    folder = tmp_path_factory.mktemp("served")
    process, url = serve(folder / "data", folder / "log")
    yield Server(url, folder / "data", folder / "log")
    process.terminate()
    process.wait(60)


def chromium_path() -> str | None:
    """The Chromium or Chrome of this machine: `CHROMIUM` in the environment, or one on the path."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in _CHROMIUMS if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all: a thread can have no second Playwright beside one that runs."""
    path = chromium_path()
    if path is None:
        missing("no Chromium found: install it, or name one in the variable CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
