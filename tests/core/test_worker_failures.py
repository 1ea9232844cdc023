"""A training with the world in its way: it fails in one line, and what can go on goes on."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lenet_core import worker
from lenet_core.errors import RunError
from lenet_core.leases import holder
from lenet_core.runs import Plan, Run, create_run
from lenet_core.worker import work
from tests.core.trainings import assert_sound, kinds, litter, new_run, start_worker, tiny


def assert_failed(run: Run, *words: str) -> None:
    """The run says in one line why it failed, its worker is gone, and it may be asked for again."""
    assert run.status == "failed"
    message = run.last_event()["message"]
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert "Traceback" not in message
    assert 20 < len(message) < 500
    assert holder(run.folder) is None
    assert litter(run) == []


def test_a_learning_rate_that_is_too_high_is_told() -> None:
    run = new_run(optimiser="sgd", learning_rate=100, activation="identity", epochs=20)
    assert work(run) == "failed"
    assert_failed(run, "no longer a number", "learning rate of 100", "Try a third")
    assert len((run.folder / "events.jsonl").read_bytes().splitlines()) == len(kinds(run))  # each line can be read


def test_a_data_set_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, own_data_folder: Path) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    run = new_run(data="fashion-mnist")
    assert work(run) == "failed"
    assert_failed(run, "Fashion-MNIST", str(own_data_folder), "mnist-5k, which needs no download")


def test_a_device_that_is_not_there_is_told() -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    run = create_run(Plan(tiny(), device="mps"))
    assert work(run) == "failed"
    assert_failed(run, "This machine has no mps", "cpu")


def test_more_memory_than_there_is_is_told() -> None:
    run = new_run(batch_size=4_000, share=1, channels="1000,4", validation=0)  # 12.5 GB after its first layer
    limit = 8 * 2**30
    worker = start_worker(run, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    _, err = worker.communicate(timeout=120)
    assert_failed(run, "not enough memory", "smaller batch")
    assert err == f"error: {run.last_event()['message']}\n"


@pytest.mark.parametrize(
    "damage",
    ["empty", "noise", "half", "another network", "another optimiser", "bad position", "bad chance", "wrong types"],
)
def test_a_state_that_cannot_be_used_is_told(damage: str) -> None:
    run = new_run(epochs=3)
    run.ask("step")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "PAUSE", 0.0)
        assert work(run) == "paused"
    path = run.file("state")
    data, state = path.read_bytes(), load_file(path)
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "noise":
        path.write_bytes(bytes(range(256)) * 100)
    elif damage == "half":
        path.write_bytes(data[: len(data) // 2])
    elif damage in ("another network", "another optimiser"):
        other = new_run(**({"dense": "9"} if damage == "another network" else {"optimiser": "sgd"}))
        work(other)
        path.write_bytes(other.file("state").read_bytes())
    elif damage == "bad position":
        save_file({**state, "position": torch.tensor([-1, 10**9])}, path)
    elif damage == "bad chance":
        save_file({**state, "generator": torch.zeros_like(state["generator"])}, path)
    else:
        save_file({**state, "generator": state["generator"].float()}, path)
    run.ask("run")
    assert work(run) == "failed"
    assert_failed(run, "saved state cannot be used", "Train the recipe anew")


def limit_files(size: int) -> None:
    """No file of this process may grow beyond that: for a program, what a full disk is."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [30_000, 0])
def test_on_a_full_disk_a_run_fails_in_one_line(size: int) -> None:
    run = new_run()
    out, err = start_worker(run, preexec_fn=lambda: limit_files(size)).communicate(timeout=60)
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert "cannot be written" in err
    assert litter(run) == []
    assert holder(run.folder) is None
    if size:  # else not even that can be written down
        assert_failed(run, "cannot be written (File too large)", "Make room there", "LENET_DATA_DIR")
        run.ask("run")
        assert work(run) == "finished"
        assert_sound(run)


def test_a_plan_that_cannot_be_read_is_refused_before_anything_is_written() -> None:
    run = new_run()
    (run.folder / "recipe.json").write_bytes(b"{")
    before = sorted(path.name for path in run.folder.iterdir())
    with pytest.raises(RunError, match="cannot be read"):
        work(run)
    assert sorted(path.name for path in run.folder.iterdir()) == before
