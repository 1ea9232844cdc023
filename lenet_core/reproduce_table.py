"""The Markdown tables of what was reproduced beside what was published, for a README. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lenet_core.dial import ALL_1998, ALL_MODERN, SWITCHES
from lenet_core.published import Published, Reproduced, SeedRun, read_dial, read_published, read_reproduced
from lenet_core.recipes import RECIPES

TITLES = {"test": "test", "train": "training", "loss": "loss"}


def recipe_table() -> str:
    """The table of all recipes whose results lie in `assets/reproduced`; empty without any.

    Raises:
        DataError: a file of published or measured numbers is damaged.
    """
    results = {name: result for name in RECIPES if (result := read_reproduced(name)) is not None}
    rows = [recipe_row(result, read_published(name)) for name, result in results.items()]
    header = ["recipe", "what", "published", "measured: mean (range)", "each training"]
    return _table(header, rows, list(results.values()))


def dial_table() -> str:
    """The table of the 1998 dial, from `assets/reproduced/dial.json`; empty without it.

    Raises:
        DataError: the file is damaged.
    """
    results = read_dial()
    header = ["modern switches", "1998", "today", "parameters", "measured: mean (range)", "beside all 1998"]
    return _table(header, dial_rows(results), list(results.values()))


def recipe_row(result: Reproduced, published: Published | None) -> list[str]:
    """The cells of a recipe's row. Where nothing was published its accuracy by epoch stands in for that."""
    said, measures, by_epoch = "", ["test"], True
    if published is not None and published.values:
        said = "; ".join(f"{_titled(value.what)}{value.text}, {value.name}" for value in published.values)
        measures = list(dict.fromkeys(value.what for value in published.values))
        by_epoch = published.curve is not None
        if published.curve is not None:
            said += f"; by epoch {_by_epoch(published.curve.accuracies)}"
    elif published is not None:
        said = published.note
    measured = "; ".join(_titled(what) + mean_and_range(result, what) for what in measures)
    if by_epoch:
        kept = "test" if result.curve("test") else "train"
        measured += f"; {_titled(kept)}by epoch {_by_epoch([mean for mean, *_ in result.curve(kept)])}"
    low, high = (f"{second:,.0f}" for second in result.range("seconds"))
    spread = f" ({low} to {high})" if low != high else ""  # wide where other programs took the processor
    epochs = f"{result.epochs} epoch{'s' * (result.epochs > 1)}, {result.seconds:,.0f} s{spread}"
    return [f"`{result.recipe}`", _what(result), said, f"{measured}; {_seeds(result.runs)}", epochs]


def dial_rows(results: Mapping[str, Reproduced]) -> list[list[str]]:
    """The cells of the dial's rows: all as in 1998, each switch alone as today, all as today."""
    rows = []
    for name, result in results.items():
        switch = SWITCHES.get(name)
        title = switch.title if switch else {ALL_1998: "none: all as in 1998", ALL_MODERN: "all five"}.get(name, name)
        was, now = (switch.was, switch.now) if switch else ("", "")
        points = 100 * (result.mean() - results[ALL_1998].mean()) if ALL_1998 in results else 0.0
        beside = "" if name == ALL_1998 else f"{points:+.2f} points".replace("-", "−")
        measured = f"{mean_and_range(result)}; {_seeds(result.runs)}"
        rows.append([title, was, now, f"{result.parameters:,}", measured, beside])
    return rows


def mean_and_range(result: Reproduced, what: str = "test") -> str:
    """A number over the seeds, "98.09 % (98.08 to 98.31)", or of a loss "0.472 (0.469 to 0.480)"."""
    low, high = result.range(what)
    mean = result.mean(what)
    if what == "loss":
        return f"{mean:.3f}" + (f" ({low:.3f} to {high:.3f})" if len(result.runs) > 1 else "")
    return f"{100 * mean:.2f} %" + (f" ({100 * low:.2f} to {100 * high:.2f})" if len(result.runs) > 1 else "")


def put_between(text: str, name: str, table: str) -> str:
    """The text with the table between its marks `<!-- name -->` and `<!-- /name -->`, for what was there.

    Raises:
        ValueError: the text has not both marks, in this order.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, opened, rest = text.partition(first)
    _, closed, after = rest.partition(last)
    if not opened or not closed:
        raise ValueError(f"There are no marks {first} and {last}, in this order; write them where it shall stand.")
    return f"{before}{first}\n\n{table}\n{last}{after}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], results: Sequence[Reproduced]) -> str:
    if not rows:
        return ""
    cells = [header, ["---"] * len(header), *rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([*lines, "", _footnote(results), ""])


def _footnote(results: Sequence[Reproduced]) -> str:
    devices, pythons, torches = (
        ", ".join(sorted({getattr(result, name) for result in results})) for name in ("device", "python", "torch")
    )
    return (
        "All training images learned, and the test images chose nothing: accuracies by epoch were measured afterwards. "
        f"{devices}; Python {pythons}; PyTorch {torches}."
    )


def _what(result: Reproduced) -> str:
    """The training in a few words: "`lenet-d2l`, Fashion-MNIST, SGD 0.9, batch 256"."""
    knobs = result.settings
    network = f"`{RECIPES[result.recipe].architecture.name}`, " if result.recipe in RECIPES else ""
    data = f"{result.data} ({result.stand_in})" if result.stand_in else result.data
    optimiser = {"sgd": "SGD", "adam": "Adam"}.get(knobs["optimiser"], knobs["optimiser"])
    return f"{network}{data}, {optimiser} {knobs['learning_rate']}, batch {knobs['batch_size']}"


def _titled(what: str) -> str:
    """What a number in a table is, said before it; of test accuracies, which are most, nothing."""
    return "" if what == "test" else f"{TITLES[what]} "


def _seeds(runs: Sequence[SeedRun]) -> str:
    return f"{len(runs)} seed{'s' * (len(runs) > 1)}"


def _by_epoch(accuracies: Sequence[float]) -> str:
    """Fractions as papers print them: ".101 .483"."""
    return " ".join(f"{accuracy:.3f}".removeprefix("0") for accuracy in accuracies)
