"""Promise 10: no learner sees another's work, and nothing that they share is changed by one of them."""

from __future__ import annotations

import asyncio
import functools
import gc
import hashlib
import json
import os
import random
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.runtime.caching import cache_resource_api
from streamlit.testing.v1 import AppTest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from lenet_core.checkpoint import Checkpoint, load_checkpoint, to_bytes
from lenet_core.engine import Engine
from lenet_core.leases import Lease
from lenet_core.library import bundled_checkpoints, pictures_dir, runs_dir, uploads_dir
from lenet_core.progress import Progress, save_progress
from lenet_core.runs import Plan, Run, create_run
from lenet_core.strokes import to_link
from tests.conftest import ROOT, serve
from tests.core.trainings import new_run, tiny
from tests.load.learners import Learner, alone
from tests.trust.conftest import Trust
from ui.components.learner_cookie import NAME as COOKIE
from ui.sample_strokes import sample_strokes

SIZE = 336  # the canvas's side in pixels
RUNS = ("finished", "paused", "running")
CONTROLS = {"Pause", "Resume", "One epoch", "Stop", "Delete this run"}
ROOMS = ("draw", "train", "feature_maps", "compare", "history", "exercises", "")

# ---------------------------------------------------------------- what is a learner's alone


@dataclass(frozen=True)
class Own:
    """A learner and the marks that stand in what is theirs, each of which stands nowhere else."""

    number: int

    @property
    def name(self) -> str:
        """What their browser's cookie says."""
        return f"learner{self.number:02}{'x' * 16}"

    @property
    def run(self) -> str:
        """The name of their training's recipe."""
        return f"of-run-{self.number:02}"

    @property
    def upload(self) -> str:
        """The name of the network that they brought along."""
        return f"of-upload-{self.number:02}"

    @property
    def inside(self) -> str:
        """What the classes that this network knows begin with, which stands in its file alone."""
        return f"of-inside-{self.number:02}"

    @property
    def picture(self) -> str:
        """The name of the picture that they brought along."""
        return f"of-picture-{self.number:02}"

    @property
    def drawing(self) -> str:
        """Their drawing as it stands in the address: a digit, and a dot at a place of its own."""
        dot = 10.0 + 4 * self.number
        return to_link([*sample_strokes(str(self.number % 10), SIZE), [(dot, 20.0), (dot + 30, 40.0)]], SIZE)

    @property
    def rate(self) -> str:
        """The learning rate that they set."""
        return f"0.00{7001 + 20 * self.number}"

    @property
    def answer(self) -> str:
        """What they expected of the exercise that asks for a number."""
        return f"{31 + self.number / 100:.2f}17"

    @property
    def table(self) -> str:
        """Their table of C3: sixteen maps, each reading some of six."""
        chance = random.Random(self.number)
        return ".".join(f"{chance.randrange(1, 64):x}" for _ in range(16))

    @property
    def grid(self) -> str:
        """The same as the history page's grid gets it: for each of six maps, which of the sixteen read it."""
        rows = [int(row, 16) for row in self.table.split(".")]
        return json.dumps([[bool(row >> source & 1) for row in rows] for source in range(6)])

    @property
    def key(self) -> str:
        """Their picture's name in links."""
        return f"{zlib.crc32(self.picture.encode()):016x}"

    def marks(self) -> dict[str, tuple[str, str]]:
        """By what it is of: the mark, and a room where they see it themselves."""
        return {
            "the run": (self.run, "train"), "the run beside others": (self.run, "compare"),
            "the network": (self.upload, "draw"), "the picture": (self.picture, "feature_maps"),
            "the drawing": (self.drawing, "draw"), "the knobs": (self.rate, "train"),
            "the table": (self.grid, "history"), "the progress": (self.answer, "exercises"),
        }  # fmt: skip

    def queries(self) -> dict[str, str]:
        """What the addresses of the rooms hold when they first go there."""
        return {
            "draw": f"drawing={self.drawing}", "train": f"learning_rate={self.rate}",
            "feature_maps": f"inputs=upload.{self.key}", "history": f"table={self.table}",
        }  # fmt: skip

    def folder(self, status: str) -> Path:
        """Of their run of that status."""
        return runs_dir() / f"{self.run}-{status}"

    def links(self) -> list[tuple[str, str, str]]:
        """Links to what is theirs, by what it is of: the room, and what its address holds."""
        drawn = f"drawing={self.drawing}"
        return [
            ("the network", "draw", f"net=own/{self.upload}&{drawn}"),
            ("the network's maps", "feature_maps", f"net=own/{self.upload}&inputs=drawing&{drawn}"),
            ("the network beside another", "feature_maps", f"beside=own/{self.upload}&inputs=drawing&{drawn}"),
            *((f"the {status} run", "train", f"run={self.folder(status).name}") for status in RUNS),
        ]

    def settle(self) -> None:
        """Puts what is theirs into the data folder, as the app does."""
        network = bundled_checkpoints()["lenet-modern"].read_bytes()
        plan = Plan(replace(tiny(), name=self.run), base="lenet-modern", learner=self.name)
        ended(create_run(plan, self.folder("finished")), network)
        begun(create_run(plan, self.folder("paused"))).ask("pause")
        lease = Lease(begun(create_run(plan, self.folder("running"))).folder)
        later = time.time() + 86_400  # a worker that does not beat and still counts as living
        os.utime(lease.path, (later, later))
        uploads, pictures = uploads_dir(self.name), pictures_dir(self.name)
        uploads.mkdir(parents=True)
        brought = load_checkpoint(bundled_checkpoints()["lenet-modern"])
        classes = tuple(f"{self.inside}-{name}" for name in brought.classes)
        (uploads / f"{self.upload}.safetensors").write_bytes(to_bytes(replace(brought, classes=classes)))
        pictures.mkdir(parents=True)
        pixels = np.full((28, 28), self.number, np.uint8)
        Image.fromarray(pixels).save(pictures / f"{self.key}-{self.picture}.png")
        save_progress(self.name, Progress({"activation": self.answer}, last="activation"))


def begun(run: Run) -> Run:
    """Makes a run one that was trained for two steps."""
    run.append({"kind": "started", "step": 0, "total_steps": 2, "steps_per_epoch": 2, "epochs": 1, "device": "CPU",
                "images": 64, "held_out": 0, "data": "digits", "classes": list("0123456789")})  # fmt: skip
    run.append({"kind": "metrics", "step": 2, "epoch": 0, "first": 1, "stride": 1, "losses": [2.0, 1.0],
                "accuracy": 0.5, "images_per_second": 1.0, "learning_rate": 0.1})  # fmt: skip
    return run


def ended(run: Run, network: bytes) -> Run:
    """Makes a run one that was trained to its end."""
    begun(run)
    run.append({"kind": "epoch", "step": 2, "epoch": 1, "loss": 1.5, "accuracy": 0.5, "seconds": 1.0})
    run.append({"kind": "finished", "step": 2, "seconds": 1.0, "test": 0.5, "interval": [0.4, 0.6], "images": 10,
                "correct": 5, "confusion": [[1] * 10] * 10})  # fmt: skip
    for path in (run.file("model"), run.checkpoint_path(0), run.checkpoint_path(2)):
        path.write_bytes(network)
    return run


@dataclass(frozen=True)
class Tried:
    """What a visitor was shown by a link to what is `of` somebody: all that was sent, and the buttons in it."""

    what: str
    of: Own
    sent: bytes
    buttons: frozenset[str]


class Visitor(Learner):
    """A session in a browser that has a learner's cookie.

    `seen` is all that the server sent, by room, before the visitor tried links to another's, and `tried` since then.
    """

    def __init__(self, url: str, own: Own) -> None:
        super().__init__(url)
        self.own = own
        self.seen: dict[str, bytes] = {}
        self.tried: list[Tried] = []
        self._buttons: set[str] = set()
        self._parts: list[bytes] = []

    async def enter(self) -> None:
        """Connects, as a browser with the cookie does."""
        address = f"ws://{self.url.removeprefix('http://')}/_stcore/stream"
        self._socket = await connect(
            address, subprotocols=[Subprotocol("streamlit")], max_size=None, proxy=None,
            additional_headers={"Cookie": f"{COOKIE}={self.own.name}"},
        )  # fmt: skip

    async def _go(self, room: str, query: str) -> None:
        self._parts, self._buttons, self._query, self._canvas = [], set(), query, ""
        self._sent.clear()
        asked = {"page_script_hash": self._pages[room]} if self._pages else {"page_name": room}
        await self._rerun(**asked)

    async def visit(self, room: str, query: str) -> None:
        """Goes to a room, and keeps what is sent."""
        await self._go(room, query)
        told = "" if self._query == query else self._query  # what the visitor came with, nobody sent
        said = b"".join([*self._parts, told.encode()])
        self.seen[room] = self.seen.get(room, b"") + said

    async def try_links(self, of: Own) -> None:
        """Follows every link to what is somebody's, and keeps what is sent."""
        for what, room, query in of.links():
            await self._go(room, query)
            self.tried.append(Tried(what, of, b"".join(self._parts), frozenset(self._buttons)))

    def _look_at(self, delta: Any) -> str:
        self._parts.append(delta.SerializeToString())
        if delta.new_element.WhichOneof("type") == "button":
            self._buttons.add(delta.new_element.button.label)
        return super()._look_at(delta)


async def _day(url: str, owns: list[Own]) -> list[Visitor]:
    """All at once, each in an order of their own: into every room by a link, then by the menu.

    At last each follows the links to what is their own, and to what is their neighbour's.
    """
    visitors = [Visitor(url, own) for own in owns]
    few = asyncio.Semaphore(8)  # under way at a time, so that none waits for more than a rerun may take

    async def live(visitor: Visitor) -> None:
        chance = random.Random(visitor.own.number)
        await visitor.enter()
        for queries in (visitor.own.queries(), {}):
            for room in chance.sample(ROOMS, len(ROOMS)):
                async with few:
                    await visitor.visit(room, queries.get(room, ""))
        for of in (visitor.own, owns[(owns.index(visitor.own) + 1) % len(owns)]):
            async with few:
                await visitor.try_links(of)

    try:
        await asyncio.gather(*map(live, visitors))
    finally:
        for visitor in visitors:
            await visitor.close()
    return visitors


def test_no_page_shows_another_learners_work(trust: Trust, own_data_folder: Path, tmp_path: Path) -> None:
    owns = [Own(number) for number in range(trust.count(4, 50))]
    for own in owns:
        own.settle()
    process, url = serve(own_data_folder, tmp_path / "log")
    try:
        visitors = alone(_day(url, owns))
    finally:
        process.terminate()
        process.wait(20)
    searched = 0
    for visitor in visitors:
        everything = b"".join(visitor.seen.values())
        searched += len(everything)
        for what, (mark, room) in visitor.own.marks().items():
            assert mark.encode() in visitor.seen[room], f"{what} of {visitor.own.name}: not even its learner sees it"
        for other in owns:
            if other is not visitor.own:
                found = [what for what, (mark, _) in other.marks().items() if mark.encode() in everything]
                assert found == [], f"{visitor.own.name} sees of {other.name}"
                assert other.name.encode() not in everything
        _check_tried(visitor)
    trust.say(
        f"{len(owns)} learners with {len(set(owns[0].marks().values()))} marks each in {len(ROOMS)} rooms, "
        f"{searched / 1e6:.0f} MB searched: 0 of another's; {len(owns) * len(owns[0].links())} links to another's "
        "networks and runs: 0 opened, 0 with controls"
    )


def _check_tried(visitor: Visitor) -> None:
    """Their own links open their own; by another's no network is opened, and a run can be watched and no more."""
    own = [tried for tried in visitor.tried if tried.of is visitor.own]
    assert frozenset().union(*(tried.buttons for tried in own)) >= CONTROLS
    for tried in visitor.tried:
        here = f"{visitor.own.name} follows the link to {tried.what} of {tried.of.name}"
        if "run" in tried.what:
            assert tried.of.run.encode() in tried.sent, here  # there was something to control
        else:
            assert (tried.of.inside.encode() in tried.sent) == (tried in own), here
        if tried not in own:
            assert tried.buttons & CONTROLS == set(), here
            assert tried.of.name.encode() not in tried.sent, here


# ---------------------------------------------------------------- what all learners share


def _cached() -> list[Any]:
    """All that `st.cache_resource` keeps: objects that are handed to every session as they are.

    What `st.cache_data` keeps is copied for each of them.
    """
    caches = cache_resource_api._resource_caches._function_caches.get(None, {})
    return [result.value for cache in caches.values() for result in cache._mem_cache.values()]


def _kept_arrays() -> list[Any]:
    """The arrays that our functools caches keep."""
    # Not isinstance, which asks objects of all libraries what they are: some answer with a warning, some no more.
    wrappers = [one for one in gc.get_objects() if type(one) is functools._lru_cache_wrapper]
    ours = [one for one in wrappers if str(one.__module__).startswith(("lenet_core", "ui"))]
    found = gc.get_referents(*gc.get_referents(*ours))  # the wrapper's table, its links, what they hold
    found += gc.get_referents(*[one for one in found if "lru" in type(one).__name__])
    return list({id(one): one for one in found if isinstance(one, np.ndarray)}.values())


def _print_of(checkpoint: Checkpoint) -> str:
    """A fingerprint of a network and of everything about it that another's answer could depend on."""
    net = checkpoint.net
    digest = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    for name, module in net.named_modules():
        hooks = [len(hooked) for key, hooked in vars(module).items() if key.endswith("hooks")]
        digest.update(f"{name} {type(module).__name__} {module.training} {hooks} {module.extra_repr()}".encode())
    grads = [(one.requires_grad, one.grad is None) for one in net.parameters()]
    rest = (checkpoint.architecture, checkpoint.classes, json.dumps(checkpoint.training, sort_keys=True), grads)
    digest.update(repr(rest).encode())
    return digest.hexdigest()


def _prints() -> dict[int, str]:
    """The fingerprints of all that is shared; of a kind that this test does not know it says so."""
    prints = {}
    for one in _cached():
        assert isinstance(one, (Checkpoint, Engine)), f"how is a {type(one).__name__} kept from being changed?"
        if isinstance(one, Checkpoint):  # an engine is asked by all, and says of each run whose it is
            prints[id(one)] = _print_of(one)
    for array in _kept_arrays():
        assert not array.flags.writeable
        prints[id(array)] = hashlib.sha256(array.tobytes()).hexdigest()
    return prints


def _tour(run: str) -> None:
    """A session that goes through every room, with a drawing, all looks inside a run, and knobs."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    drawing = to_link(sample_strokes("3", SIZE), SIZE)
    every_view = [{"view": view} for view in ("Kernels", "Feature maps", "Predictions", "Confusion", "Worst")]
    rooms: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("draw", {"drawing": drawing}, {}), ("draw", {"drawing": drawing, "net": "lenet5-1998"}, {}),
        *(("train", {"run": run}, view) for view in every_view),
        ("feature_maps", {"inputs": "4.0,cat.0,uniform.0,drawing", "drawing": drawing, "beside": "lenet5-1998"}, {}),
        ("feature_maps", {"net": "untrained/lenet5-tanh", "details": "all", "unit": "0.conv1.0.1.5.5"}, {}),
        ("compare", {}, {}), ("history", {}, {}), ("exercises", {}, {}),
    ]  # fmt: skip
    for room, query, widgets in rooms:
        app.switch_page(f"pages/{room}.py")
        app.query_params.clear()
        for name, value in query.items():
            app.query_params[name] = value
        for name, value in widgets.items():
            app.session_state[name] = value
        app.run()
        assert not app.exception, (room, app.exception)


@pytest.fixture
def trained() -> Run:
    """A run that names no learner and so is everybody's."""
    return ended(new_run(), bundled_checkpoints()["lenet-modern"].read_bytes())


def test_what_all_share_is_changed_by_none(trust: Trust, trained: Run) -> None:
    _tour(trained.name)
    first = _prints()
    assert len(first) >= 8
    for _ in range(trust.count(1, 10)):
        _tour(trained.name)
    again = _prints()
    assert {one: again.get(one) for one in first} == first
    trust.say(f"{len(first)} shared networks and arrays: unchanged after {trust.count(2, 11)} sessions in all rooms")


@pytest.mark.parametrize("change", ["weight", "hook", "mode", "gradient", "words"])
def test_a_shared_network_that_is_changed_is_noticed(change: str) -> None:
    from lenet_core.checkpoint import load_checkpoint

    shared = load_checkpoint(bundled_checkpoints()["lenet-modern"])
    before = _print_of(shared)
    assert _print_of(shared) == before
    first = next(shared.net.parameters())
    match change:
        case "weight":
            first.data.view(-1)[0] += 1e-6
        case "hook":
            shared.net[0].register_forward_hook(lambda *_: None)
        case "mode":
            shared.net.train()
        case "gradient":
            first.grad = torch.zeros_like(first)
        case "words":
            shared.training["data"] = "another"
    assert _print_of(shared) != before
