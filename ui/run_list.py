"""The visitor's runs in a list, and a sweep's results in a table."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import streamlit as st

from lenet_core.recipes import RECIPES
from lenet_core.runs import Run
from lenet_core.sweeps import MAX_RUNS, title
from ui import links, markup_training
from ui.networks import own_colour
from ui.shown import ACTIVE, MOST_LISTED, own_runs, run_title, shown_run


def earlier_runs() -> None:
    """The queue and what was trained before, each a click away."""
    runs = own_runs()
    if not runs:
        return
    st.subheader("Your runs", anchor=False)
    busy = any(run.status in ACTIVE for run in runs)
    st.fragment(_list_runs, run_every=2.0 if busy else None)()


def _list_runs() -> None:
    runs = own_runs()
    if sweep := links.asked("sweep"):
        _sweep_table([run for run in own_runs(4 * MAX_RUNS) if run.plan.sweep == sweep])
    shown = shown_run()
    for run in runs:
        plan = run.plan
        status, last = run.look()
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row_{run.name}"):
            if st.button(
                "Watch", key=f"watch_{run.name}", type="tertiary", disabled=shown is not None and run.name == shown.name
            ):
                links.remember("run", run.name)
                st.rerun()  # the whole page
            facts = _facts(last, run.name)
            st.html(markup_training.run_row(run_title(plan), status, facts, own_colour(run.name)))
    if len(runs) == MOST_LISTED:
        st.caption(f"The newest {MOST_LISTED}; python -m lenet_core runs lists all.")


def _facts(last: dict[str, Any], name: str) -> str:
    facts = [f"test {last['test']:.2%}"] if "test" in last else []
    if "message" in last:
        facts.append(str(last["message"])[:120])
    return " · ".join([*facts, name])


def _sweep_table(runs: list[Run]) -> None:
    """A sweep's results so far: a row for each setting, a column for each seed, and the mean."""
    rows: dict[str, dict[int, str]] = {}
    tests: dict[str, list[float]] = {}
    for run in sorted(runs, key=lambda run: run.plan.created):
        status, last = run.look()
        recipe, base = run.plan.recipe, RECIPES.get(run.plan.base)
        name = title(base, dataclasses.replace(recipe, seed=base.seed)) if base else recipe.name
        rows.setdefault(name, {})[recipe.seed] = f"{last['test']:.2%}" if "test" in last else status
        tests.setdefault(name, []).extend([last["test"]] if "test" in last else [])
    if not rows:
        return
    seeds = sorted({seed for cells in rows.values() for seed in cells})
    table = [
        [name, *(cells.get(seed, "") for seed in seeds), f"{statistics.mean(tests[name]):.2%}" if tests[name] else ""]
        for name, cells in rows.items()
    ]
    head = ["Test accuracy", *(f"seed {seed}" for seed in seeds), "mean"]
    st.html(markup_training.table(head, table, "Results of the sweep"))
