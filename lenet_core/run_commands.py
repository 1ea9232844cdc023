"""The commands about runs: train, resume, stop, runs, sweep, work."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_core.errors import LenetError, RunError
from lenet_core.knobs import turn
from lenet_core.recipes import Recipe, recipe_named
from lenet_core.retention import given_up_runs, keep_from_environment, make_room
from lenet_core.runs import ENDED, Plan, Run, all_runs, create_run, find_run

if TYPE_CHECKING:
    from lenet_core.engine import Engine


def add_commands(commands: Any) -> None:
    """Adds the commands to an argument parser's subparsers."""
    command = _command(commands, "train", _train, "train a recipe, here and now")
    command.add_argument("recipe")
    _add_choice(command)
    command.add_argument("--seed", type=int)
    command.add_argument("--out", type=Path, help="the run's folder (default: a new one in your data folder)")

    command = _command(commands, "resume", _resume, "go on with a run from its last saved state")
    command.add_argument("run", help="a run's name or folder")

    command = _command(commands, "stop", _stop, "stop a run, wherever it is trained")
    command.add_argument("run", help="a run's name or folder")

    command = _command(commands, "runs", _runs, "list your runs")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = _command(commands, "sweep", _sweep, "train every combination of some knobs")
    command.add_argument("recipe")
    _add_choice(command)
    command.add_argument(
        "--grid", metavar="KNOB=A,B", action="append", default=[],
        help="values to try, such as activation=relu,tanh or channels=6,16;8,32",
    )  # fmt: skip
    command.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on")
    command.add_argument("--json", action="store_true", help="print the results as JSON")

    command = _command(commands, "work", _work, "train one run's folder: what the engines start")
    command.add_argument("run")
    command.add_argument("--supervised", action="store_true", help="end when standard input does")


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text)
    command.set_defaults(run_command=run)
    return command


def _add_choice(command: argparse.ArgumentParser) -> None:
    command.add_argument("--epochs", type=int)
    command.add_argument("--data", help="another data set, such as mnist-5k, which needs no download")
    command.add_argument(
        "--set", metavar="KNOB=VALUE", action="append", default=[], help="turn a knob, such as activation=tanh"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--threads", type=int, default=1, help="CPU threads; for nets this small 1 is best")


def _chosen(options: argparse.Namespace) -> Recipe:
    changes = {}
    for text in options.set:
        knob, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set takes KNOB=VALUE, not {text!r:.60}.")
        changes[knob] = value
    for knob in ("epochs", "data", "seed"):
        if getattr(options, knob, None) is not None:
            changes[knob] = str(getattr(options, knob))
    return turn(recipe_named(options.recipe), changes)


def _train(options: argparse.Namespace) -> None:
    if _follows():
        return
    recipe = _chosen(options)
    plan = Plan(recipe, base=options.recipe, device=options.device, threads=options.threads)
    work_here(create_run(plan, options.out))


def _resume(options: argparse.Namespace) -> None:
    if _follows():
        return
    run = find_run(options.run)
    if run.status == "finished":
        raise RunError(f"{run.name} is finished; train it anew to train further.")
    run.ask("run")
    work_here(run)


def _follows() -> bool:
    """Whether this is one of torchrun's processes that only compute for the first; then it has done so."""
    if int(os.environ.get("WORLD_SIZE") or 1) < 2 or os.environ.get("RANK") == "0":
        return False
    from lenet_core.parallel import follow

    follow()
    return True


def work_here(run: Run) -> None:
    """Trains a run in this process, with a bar and a line for each epoch, and prints how it ended.

    Raises:
        LenetError: it failed, another worker has it, or its folder cannot be written to.
        ValueError: `LENET_KEEP` is no number of GB.
    """
    keep = keep_from_environment()  # a wrong setting is said before the training, not after it
    from tqdm import tqdm

    from lenet_core.parallel import gather
    from lenet_core.worker import work

    with tqdm(unit="batch", disable=None, leave=False) as bar:  # silent where nobody looks

        def show(event: dict[str, Any]) -> None:
            if event["kind"] == "started":
                bar.total = event["total_steps"]
                bar.write(_started_line(run, event))
            elif event["kind"] == "epoch":
                bar.write(_epoch_line(event, run.plan.recipe.epochs))
            if "step" in event:
                bar.update(event["step"] - bar.n)

        try:
            with gather(run.plan) as team:
                work(run, listener=show, team=team)
        except KeyboardInterrupt:
            bar.write(f"to go on: python -m lenet_core resume {run.name}", file=sys.stderr)
            raise
    status, last = run.look()
    _make_room(keep)
    if status == "failed":
        raise LenetError(last["message"])
    if status == "finished":
        low, high = last["interval"]
        share = f"test accuracy {last['test']:.2%} (95 % interval {low:.2%} to {high:.2%})"
        print(f"{share}, {last['seconds']:.0f} s")
    else:
        print(f"{status}; to go on: python -m lenet_core resume {run.name}")
    print(run.file("model"))


def _make_room(keep: int) -> None:
    try:
        for line in make_room(keep):
            print(f"{line} (LENET_KEEP)", file=sys.stderr)
    except LenetError as error:  # the training is none the worse for it
        print(f"room could not be made: {error}", file=sys.stderr)


def _started_line(run: Run, event: dict[str, Any]) -> str:
    recipe = run.plan.recipe
    held_out = f", {event['held_out']:,} held out to watch" if event["held_out"] else ""
    again = f", from step {event['step']:,}" if event["step"] else ""
    epochs = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)}"
    return (
        f"{recipe.name}: {epochs} on {event['images']:,} images of {event['data']}{held_out}, "
        f"seed {recipe.seed}, {event['device']}{again}"
    )


def _epoch_line(event: dict[str, Any], epochs: int) -> str:
    held_out = f", validation {event['validation']:.2%}" if "validation" in event else ""
    return f"epoch {event['epoch']}/{epochs}: loss {event['loss']:.4f}{held_out}, {event['seconds']:.1f} s"


def _stop(options: argparse.Namespace) -> None:
    run = find_run(options.run)
    status = run.status
    if status in ("finished", "failed"):
        raise RunError(f"{run.name} has {status} already.")
    run.ask("stop")
    deadline = time.monotonic() + 5
    while run.status != "stopped" and time.monotonic() < deadline:
        time.sleep(0.1)
    if run.status != "stopped":
        raise RunError(f"{run.name} has not stopped yet; it was asked to.")
    print(f"stopped; to go on: python -m lenet_core resume {run.name}")


def summary(run: Run) -> dict[str, Any]:
    """A run in a few facts, for a table: name, recipe, status, step, validation and test accuracy."""
    status, last = run.look()
    message = last.get("message", "")
    try:
        recipe, of = run.plan.recipe.name, run.plan.recipe.epochs
    except RunError as error:
        recipe, of, status, message = "", 0, "failed", str(error)
    epoch = run.last_event("epoch")
    return {
        "run": run.name,
        "recipe": recipe,
        "status": status,
        "epochs": epoch.get("epoch", 0),
        "of": of,
        "validation": epoch.get("validation"),
        "test": last.get("test"),
        "message": message,
        "given_up": run.given_up,
    }


def _runs(options: argparse.Namespace) -> None:
    rows = [summary(run) for run in all_runs()]
    if options.json:
        print(json.dumps(rows))
        return
    if not rows:
        print("no runs yet: python -m lenet_core train lenet-modern --data mnist-5k")
    for row in rows:
        print(row_line(row, row["run"]))
    if gone := given_up_runs():
        print(f"given up to make room: {len(gone)} older runs, the last of them {gone[-1]} (LENET_KEEP)")


def row_line(row: dict[str, Any], title: str) -> str:
    """A run's `summary` as a line of a table."""
    accuracies = [f"{name} {row[name]:.2%}" for name in ("validation", "test") if row[name] is not None]
    epochs = f"epoch {row['epochs']}/{row['of']}"
    given_up = [f"given up to make room: {row['given_up']}"] if row["given_up"] else []
    return f"{title:56}{row['status']:10}{epochs:14}{'  '.join([*accuracies, *given_up])}{row['message']}"


def _sweep(options: argparse.Namespace) -> None:
    from lenet_core.cluster import make_engine
    from lenet_core.sweeps import expand, parse_grid, title

    base = _chosen(options)
    recipes = expand(base, parse_grid(options.grid), range(options.seeds))
    sweep = secrets.token_hex(4)
    plans = [
        Plan(recipe, base=options.recipe, device=options.device, threads=options.threads, sweep=sweep)
        for recipe in recipes
    ]
    engine = make_engine()
    with engaged(engine):
        runs = dict(zip((title(base, recipe) for recipe in recipes), engine.submit(plans), strict=True))
        watch(runs, quiet=options.json)
    rows = [{**summary(run), "title": label} for label, run in runs.items()]
    if options.json:
        print(json.dumps(rows))
    failed = sum(row["status"] != "finished" for row in rows)
    if failed:
        raise LenetError(f"{failed} of {len(rows)} runs did not finish.")


@contextlib.contextmanager
def engaged(engine: Engine) -> Iterator[None]:
    """Closes the engine at the end, also when a person or the system ends this process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` runs
    try:
        yield
    except KeyboardInterrupt:
        print("unfinished runs go on when the app is started, or with resume", file=sys.stderr)
        raise
    finally:
        engine.close()


def watch(runs: Mapping[str, Run], quiet: bool = False) -> None:
    """Waits until all runs have ended, and unless `quiet` prints each when it has."""
    shown: set[str] = set()
    while len(shown) < len(runs):
        time.sleep(0.2)
        for label in runs.keys() - shown:
            if runs[label].status in ENDED:
                shown.add(label)
                if not quiet:
                    print(row_line(summary(runs[label]), label), flush=True)


def _work(options: argparse.Namespace) -> None:
    run = find_run(options.run)
    if options.supervised and run.status != "waiting":
        return  # it was stopped before its turn, or has failed, or another trains it: nothing is to be done
    if options.supervised:
        # Ctrl-C reaches all processes of a terminal, and a service manager's end all of a service. Both are for whoever
        # supervises, with whose end the training saves its state and ends too.
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, signal.SIG_IGN)
        if hasattr(os, "nice"):
            os.nice(10)  # gives way to whoever answers people, and before PyTorch is loaded, which takes seconds
    from lenet_core.worker import work

    if options.supervised and run.status != "waiting":  # stopped while PyTorch was loaded, which takes seconds
        return
    status = work(run, supervised=options.supervised)
    if status == "failed":
        raise LenetError(run.last_event().get("message", "the run failed"))
