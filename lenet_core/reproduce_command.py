"""The command `reproduce`: trains a recipe as published, over several seeds, and tells what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_core.bounds import check_number
from lenet_core.errors import LenetError, StorageError
from lenet_core.published import DIAL, Reproduced, read_published
from lenet_core.run_commands import engaged, row_line, summary, watch, work_here

if TYPE_CHECKING:
    from lenet_core.reproduce import Member
    from lenet_core.runs import Run

_README = Path(__file__).resolve().parents[1] / "README.md"
_AGAIN = "The same command goes on where this stood."


def add_command(commands: Any) -> None:
    """Adds the command to an argument parser's subparsers."""
    command = commands.add_parser(
        "reproduce", help="train a recipe as published, over several seeds, beside what was published",
        description="Trains a recipe with all training images, none held out, once for each seed. Finished trainings "
        "are kept and unfinished ones resumed, so the same command can be given again. The accuracy of the test images "
        "after each epoch is measured afterwards, for comparison alone.",
    )  # fmt: skip
    command.add_argument("recipe", nargs="?", help=f"a recipe's name, or {DIAL}: the five switches from 1998 to today")
    command.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0 on (default: 3)")
    command.add_argument("--jobs", type=int, metavar="N", help="train N at a time, each a process of its own")
    command.add_argument("--epochs", type=int, help="another number, to try it; the result is not for the table")
    command.add_argument("--data", help="another data set, to try it, such as mnist-5k, which needs no download")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--threads", type=int, default=1, help="CPU threads; for nets this small 1 is best")
    command.add_argument("--write", action="store_true", help="write the result to assets/reproduced, for the table")
    command.add_argument("--stand-in", metavar="TEXT", default="", help="what the data are, if not the originals")
    command.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    command.add_argument("--table", action="store_true", help="print the tables of all written results, as Markdown")
    command.add_argument("--readme", action="store_true", help="write these tables into README.md")
    command.set_defaults(run_command=_reproduce)


def _reproduce(options: argparse.Namespace) -> None:
    if options.recipe is None and not (options.table or options.readme):
        raise ValueError(f"Name a recipe or {DIAL} to train, or give --table or --readme.")
    if options.recipe is not None:
        _train_and_tell(options)
    if options.table or options.readme:
        from lenet_core.reproduce_table import dial_table, recipe_table

        tables = {"reproduced": recipe_table(), DIAL: dial_table()}
        if options.table:
            print("\n".join(filter(None, tables.values())), end="")
        if options.readme:
            write_tables(_README, tables)


def write_tables(readme: Path, tables: Mapping[str, str]) -> None:
    """Puts each table that is not empty between its marks in the file.

    Raises:
        ValueError: the file lacks a table's marks.
        StorageError: it cannot be read or written.
    """
    from lenet_core.files import write_atomically
    from lenet_core.reproduce_table import put_between

    try:
        text = readme.read_text()
    except OSError as error:
        raise StorageError(f"{readme} cannot be read ({error.strerror or error}).") from error
    for name, table in tables.items():
        if table:
            text = put_between(text, name, table)
    write_atomically(readme, text.encode())


def _train_and_tell(options: argparse.Namespace) -> None:
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ValueError("reproduce trains in processes of its own; start it without torchrun.")
    changes = {name: str(getattr(options, name)) for name in ("epochs", "data") if getattr(options, name) is not None}
    if changes and options.write:
        raise ValueError("With --epochs or --data it is another training; it is not written. Leave out --write.")
    if options.jobs is not None:
        check_number("jobs", options.jobs, 1, 1024)
    from lenet_core.reproduce import collect, members, save, take_up

    wanted = members(options.recipe, options.seeds, changes, options.device, options.threads)
    taken = [(member, take_up(member)) for member in wanted]
    _train(taken, options)
    results = collect(taken, options.stand_in)
    if options.json:
        print(json.dumps({name: result.to_dict() for name, result in results.items()}))
    else:
        for result in results.values():
            print(result_text(result))
    if options.write:
        path = save(options.recipe, results)
        if not options.json:
            print(path)


def _train(taken: Sequence[tuple[Member, Run]], options: argparse.Namespace) -> None:
    """Trains what is not finished, here one after the other or side by side.

    Raises:
        LenetError: a training failed, or was stopped or paused.
    """
    runs = {run.name: run for _, run in taken}
    left = {name: run for name, run in runs.items() if run.status != "finished"}
    if not options.json:
        for name, run in runs.items():
            if name not in left:
                print(row_line(summary(run), name))
    try:
        if options.jobs is not None or options.json:  # for JSON too: it alone shall be printed
            _side_by_side(left, options.jobs or 1, options.json)
        else:
            for run in left.values():
                run.ask("run")
                work_here(run)
                if run.status != "finished":
                    break
    except KeyboardInterrupt:
        print(_AGAIN, file=sys.stderr)
        raise
    undone = [f"{name} has {run.status}" for name, run in left.items() if run.status != "finished"]
    if undone:
        raise LenetError(f"{len(undone)} of {len(runs)} trainings are not done; the first, {undone[0]}. {_AGAIN}")


def _side_by_side(runs: Mapping[str, Run], jobs: int, quiet: bool) -> None:
    from lenet_core.engine import Limits
    from lenet_core.local_engine import LocalEngine

    if not runs:
        return
    engine = LocalEngine(Limits(workers=jobs, queue=len(runs), share=len(runs)))
    with engaged(engine):
        for run in runs.values():
            run.ask("run")
            engine.enqueue(run)
        watch(runs, quiet)


def result_text(result: Reproduced) -> str:
    """A result in a few lines for a person: each seed, the mean and range, what was published."""
    from lenet_core.reproduce_table import TITLES, mean_and_range

    lines = [f"{result.recipe}: {result.data}{f' ({result.stand_in})' * bool(result.stand_in)}, {result.device}"]
    lines.append(f"  {'seed':6}{'test':>10}{'training':>10}{'loss':>10}{'seconds':>10}   test accuracy by epoch, %")
    for run in result.runs:
        by_epoch = " ".join(f"{100 * accuracy:.1f}" for accuracy in run.test_by_epoch) or "networks not kept"
        lines.append(
            f"  {run.seed:<6}{run.test:>10.2%}{run.train:>10.2%}{run.loss:>10.4f}{run.seconds:>10.1f}   {by_epoch}"
        )
    lines.append(f"  test accuracy {mean_and_range(result)}, training {mean_and_range(result, 'train')}")
    published = read_published(result.recipe)
    if published is not None:
        said = [f"{TITLES[value.what]} {value.text}, {value.name}" for value in published.values] or [published.note]
        lines += [f"  published: {line}" for line in said]
    return "\n".join(lines)
