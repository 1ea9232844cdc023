"""Promise 5: a training that was killed, however often, and resumed gives the same weights, bit for bit."""

from __future__ import annotations

import random

import torch
from safetensors.torch import load_file

from lenet_core.checkpoint import load_checkpoint
from lenet_core.history import History
from lenet_core.knobs import turn
from lenet_core.recipes import RECIPES, Recipe
from lenet_core.runs import Plan, Run, create_run
from tests.core.trainings import all_of, litter, tiny
from tests.trust import mortal
from tests.trust.conftest import Trust

_LONGER = {"share": 0.1, "epochs": 6, "batch_size": 4}
RECIPES_TRIED: dict[str, Recipe] = {
    "Adam": tiny(**_LONGER, validation=0),
    "SGD with momentum": tiny(
        **_LONGER, optimiser="sgd", learning_rate=0.02, momentum=0.9, weight_decay=1e-4, schedule="cosine"
    ),
    "augmentation": tiny(
        **_LONGER, shift=2, rotation=15, shear=0.2, scale=1.2, slashed_zeros=0.5, crossed_sevens=0.5, flagged_ones=0.5
    ),
    "dropout and held-out images": tiny(**_LONGER, dropout=0.5, validation=0.3, schedule="warmup-linear"),
    "LeNet-5 of 1998, MAP loss": turn(
        RECIPES["lenet5-1998"],
        {"data": "mnist-5k", "share": "0.04", "epochs": "4", "batch_size": "4", "validation": "0.1"},
    ),
    "a large batch": tiny(**{**_LONGER, "batch_size": 100, "epochs": 20, "shift": 1}),
}
SAVES = (0.0, 0.05, 0.0, 10.0)  # seconds between two saved states, kill by kill; 0: after every step


def results(run: Run) -> dict[str, torch.Tensor]:
    """All tensors that a training leaves: its last state, its network, its pictures."""
    return {
        f"{name}.{key}": tensor
        for name in ("state", "model", "examples", "worst", "mistakes")
        if run.file(name).exists()
        for key, tensor in load_file(run.file(name)).items()
    }


def told(run: Run) -> tuple[object, ...]:
    """What a training says that is no matter of time: its losses, its epochs, its test."""
    history = History(run)
    history.update()
    epochs = [(event["step"], event["loss"], event["accuracy"], event.get("validation")) for event in history.epochs]
    return epochs, history.last["test"], history.last["confusion"]


def assert_same(run: Run, whole: Run, name: str) -> None:
    assert (run.status, whole.status) == ("finished", "finished"), name
    left, right = results(run), results(whole)
    assert left.keys() == right.keys()
    assert [key for key in left if not torch.equal(left[key], right[key])] == [], name
    kept = whole.checkpoints()
    assert run.checkpoints().keys() == kept.keys()
    for step, path in run.checkpoints().items():
        weights, others = (load_checkpoint(file).net.state_dict() for file in (path, kept[step]))
        assert all(torch.equal(weights[key], others[key]) for key in others), (name, step)
    assert told(run) == told(whole), name
    assert litter(run) == []


def trained(plan: Plan) -> Run:
    """A run that nobody interrupted."""
    run = create_run(plan)
    go_on_to_the_end(run)
    return run


def go_on_to_the_end(run: Run) -> None:
    process = mortal.begin(mortal.train, run.name)
    process.join()
    assert process.exitcode == 0


def killed(run: Run, most: int, steps: int, dice: random.Random) -> int:
    """How many times it was killed, at random steps, before it came to its end; at most so many."""
    for kills in range(most):
        process = mortal.begin(mortal.train_and_die, run.name, dice.randrange(steps // 3), SAVES[kills % len(SAVES)])
        process.join()
        if process.exitcode == 0:
            return kills
        assert process.exitcode == -9
    go_on_to_the_end(run)
    return most


def test_killed_at_random_steps_and_resumed(trust: Trust) -> None:
    dice, promised, all_resumed = random.Random(), trust.count(1, 50), 0
    for name, recipe in list(RECIPES_TRIED.items())[:: trust.count(2, 1)]:
        plan = Plan(recipe, device="cpu")
        whole = trained(plan)
        (started,) = all_of(whole, "started")
        kills, runs, resumed = 0, 0, set()
        while kills < promised:
            run = create_run(plan)
            kills += killed(run, min(10, promised - kills), started["total_steps"], dice)
            assert_same(run, whole, name)
            runs += 1
            starts = [event["step"] for event in all_of(run, "started")]
            assert starts == sorted(starts), name  # none goes back behind the one before
            resumed |= set(starts) - {0}
        all_resumed += len(resumed)
        within = sum(step % started["steps_per_epoch"] > 0 for step in resumed)
        trust.say(f"{name}: {kills} kills, {runs} runs, resumed at {len(resumed)} steps, {within} of them mid-epoch")
    assert all_resumed  # else none went on from what was saved
    trust.say("all weights, losses and answers bit for bit the same")
