"""Trainings as their sources describe them, over several seeds: which they are, and what came of them.

Here all training images learn, as in the sources: none is held out, so that nothing is chosen along the way.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lenet_core.bounds import check_number
from lenet_core.checkpoint import load_checkpoint, read_description
from lenet_core.data import DataSet, load
from lenet_core.devices import pick_device
from lenet_core.dial import ALL_1998, ALL_MODERN, BASE, EPOCHS, SWITCHES, turned
from lenet_core.errors import RunError
from lenet_core.evaluate import evaluate
from lenet_core.files import make_folder, write_atomically
from lenet_core.knobs import differences, settings, turn
from lenet_core.library import runs_dir
from lenet_core.published import DIAL, REPRODUCED, Reproduced, SeedRun
from lenet_core.recipes import RECIPES, Recipe, recipe_named
from lenet_core.runs import Plan, Run, create_run


@dataclass(frozen=True)
class Member:
    """One training of a reproduction: the run's `name`, what it trains, and the `variant` it is a seed of."""

    variant: str
    name: str
    plan: Plan


def variants(name: str) -> dict[str, Recipe]:
    """The recipes that a reproduction trains, by name: one, or of "dial" all of 1998, each switch alone, all modern.

    Raises:
        ValueError: there is no such recipe.
    """
    if name != DIAL:
        return {name: dataclasses.replace(recipe_named(name), validation=0.0)}
    base = dataclasses.replace(RECIPES[BASE], epochs=EPOCHS, validation=0.0)
    return {
        ALL_1998: turned((), base),
        **{switch: turned((switch,), base) for switch in SWITCHES},
        ALL_MODERN: turned(tuple(SWITCHES), base),
    }


def members(
    name: str, seeds: int, changes: Mapping[str, str] | None = None, device: str = "auto", threads: int = 1
) -> list[Member]:
    """The trainings of a reproduction with seeds 0 to `seeds` - 1, those of a seed together.

    Their runs are named `reproduce-RECIPE-SEED`, or `dial-VARIANT-SEED`. With knobs turned by `changes` they are a
    trial, and named so that they are never taken for the recipe.

    Raises:
        ValueError: there is no such recipe, a value is out of its range, or the changes are impossible.
    """
    check_number("seeds", seeds, 1, 1000)
    changes = changes or {}
    trial = "".join(f"-{knob}-{value}" for knob, value in changes.items())
    prefix = ("try-" if trial else "") + (DIAL if name == DIAL else "reproduce")
    base = BASE if name == DIAL else name
    found = []
    for seed in range(seeds):
        for variant, recipe in variants(name).items():
            recipe = turn(dataclasses.replace(recipe, seed=seed), changes)
            plan = Plan(recipe, base=base, device=device, threads=threads)
            found.append(Member(variant, f"{prefix}-{variant}-{seed}{trial}", plan))
    return found


def take_up(member: Member) -> Run:
    """The member's run, whatever its state: the one that is there, or a new one.

    Raises:
        RunError: a run of that name trains something else, or its plan is damaged.
        StorageError: a new one's folder cannot be made.
    """
    folder = runs_dir() / member.name
    if not (folder / "recipe.json").exists():
        return create_run(member.plan, folder)
    run = Run(folder)
    there, wanted = (dataclasses.replace(plan.recipe, name="", reference="") for plan in (run.plan, member.plan))
    if there != wanted:
        changed = differences(wanted, there).items()
        how = ", ".join(f"{knob} {was or 'none'} instead of {wish or 'none'}" for knob, (wish, was) in changed)
        raise RunError(
            f"{member.name} is another training ({how or 'another network'}); delete or rename {folder}, "
            "and this one is trained anew."
        )
    return run


def collect(ended: Sequence[tuple[Member, Run]], stand_in: str = "") -> dict[str, Reproduced]:
    """What finished runs gave, by variant; the networks kept after each epoch are asked the test images here.

    Raises:
        RunError: a run is not finished, or its folder is damaged.
        CheckpointError: one of its networks is damaged.
        DataError: the data set cannot be had.
    """
    test: dict[str, DataSet] = {}
    results: dict[str, Reproduced] = {}
    for variant in dict.fromkeys(member.variant for member, _ in ended):
        runs = [run for member, run in ended if member.variant == variant]
        recipe = runs[0].plan.recipe
        if recipe.data not in test:
            test[recipe.data] = load(recipe.data, train=False)
        facts = [read_description(run.file("model"))["training"] for run in runs]
        results[variant] = Reproduced(
            recipe=variant,
            settings={knob: text for knob, text in settings(recipe).items() if knob != "seed"},
            parameters=recipe.architecture.parameters,
            data=test[recipe.data].title,
            device=_each(facts, "device"),
            python=_each(facts, "python"),
            torch=_each(facts, "torch"),
            runs=tuple(_seed_run(run, test[recipe.data]) for run in runs),
            stand_in=stand_in,
        )
    return results


def save(name: str, results: Mapping[str, Reproduced], folder: Path = REPRODUCED) -> Path:
    """Writes the results where `published.read_reproduced` and `read_dial` find them; returns the file.

    Raises:
        StorageError: it cannot be written.
    """
    plain = {variant: result.to_dict() for variant, result in results.items()}
    path = folder / f"{name}.json"
    make_folder(folder)
    write_atomically(path, (json.dumps(plain if name == DIAL else plain[name], indent=1) + "\n").encode())
    return path


def _each(facts: Sequence[Mapping[str, Any]], name: str) -> str:
    """A fact of all runs; several, where they differ."""
    return ", ".join(sorted({str(fact.get(name, "unknown")) for fact in facts}))


def _seed_run(run: Run, test: DataSet) -> SeedRun:
    recipe = run.plan.recipe
    status, last = run.look()
    if status != "finished":
        raise RunError(f"{run.name} is not finished but {status}.")
    by_epoch = {event["epoch"]: event for event in run.events()[0] if event["kind"] == "epoch"}
    epochs = [by_epoch.get(epoch, {}) for epoch in range(1, recipe.epochs + 1)]
    if not all({"loss", "accuracy"} <= event.keys() for event in epochs):
        raise RunError(f"The events of {run.name} are not whole; delete {run.folder}, and it is trained anew.")
    losses = [round(float(event["loss"]), 6) for event in epochs]
    accuracies = [round(float(event["accuracy"]), 6) for event in epochs]
    return SeedRun(
        seed=recipe.seed, test=last["test"], loss=losses[-1], train=accuracies[-1], seconds=round(last["seconds"], 1),
        test_by_epoch=_test_by_epoch(run, [event["step"] for event in epochs], test),
        train_by_epoch=tuple(accuracies), loss_by_epoch=tuple(losses),
    )  # fmt: skip


def _test_by_epoch(run: Run, steps: Sequence[int], test: DataSet) -> tuple[float, ...]:
    """The test accuracy of the networks kept after these steps; empty where one was not kept."""
    paths = [run.checkpoint_path(step) for step in steps]
    if not all(path.exists() for path in paths):
        return ()
    plan = run.plan
    torch.set_num_threads(plan.threads)
    device = pick_device(plan.device)
    nets = (load_checkpoint(path).net.to(device) for path in paths)
    return tuple(evaluate(net, test, plan.recipe.architecture.input_shape).accuracy for net in nets)
