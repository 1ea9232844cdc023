"""Processes that are to be killed: forked from one that has loaded PyTorch already, so that hundreds take minutes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.context import ForkServerProcess
from types import ModuleType
from typing import Any

import pytest
import torch

from lenet_core import worker
from lenet_core.errors import RunError
from lenet_core.leases import STALE
from lenet_core.library import data_dir
from lenet_core.runs import REQUESTS, Plan, Run, create_run, find_run
from lenet_core.train import Step, Training
from lenet_core.worker import work
from tests.core.trainings import tiny

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.trust.mortal"])


def begin(life: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process of its own, with one thread, in the data folder of this one."""
    process = _FORKS.Process(target=_live, args=(str(data_dir()), life, arguments), daemon=True)
    with pytest.MonkeyPatch.context() as patch:  # else the child would run this one's script, or a page's, as its own
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        process.start()
    return process


def _live(data: str, life: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ["LENET_DATA_DIR"] = data
    torch.set_num_threads(1)
    life(*arguments)


def train(name: str) -> None:
    """Trains as the app's workers do."""
    deadline = time.monotonic() + 2 * STALE
    while True:
        try:
            sys.exit(int(work(find_run(name)) == "failed"))
        except RunError:  # one that was killed while it took the run over; an engine tries again as well
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def train_and_write(name: str) -> None:
    """Trains, and does little else than write every file of the run anew after every step."""
    worker.TICK = worker.LOOK = worker.SAVE = 0.0
    worker.EARLY = tuple(range(10_000))  # type: ignore[assignment]
    train(name)


def train_and_die(name: str, steps: int, save: float) -> None:
    """Trains for so many steps and kills itself in the midst of the next; the state is saved every `save` seconds."""
    worker.TICK, worker.SAVE = min(worker.TICK, save), save
    one_step, done = Training._one_step, count()

    def mortal_step(*arguments: Any) -> Step:
        step = one_step(*arguments)
        if next(done) == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return step

    Training._one_step = mortal_step  # type: ignore[method-assign]
    train(name)


def keep_house() -> None:
    """What the app's own process writes: makes runs, asks things of them, deletes them, on and on."""
    dice = random.Random()
    runs: list[Run] = []
    while True:
        runs.append(create_run(Plan(tiny(seed=dice.randrange(100)), learner="ada")))
        for request in dice.choices(REQUESTS, k=3):
            dice.choice(runs).ask(request)
        if len(runs) > 3:
            runs.pop(dice.randrange(len(runs))).delete()
