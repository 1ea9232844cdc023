"""The visitor's runs in a list, and a sweep's results in a table."""

from __future__ import annotations

import statistics
from typing import Any

import streamlit as st

from lenet_core.knobs import KNOBS, settings
from lenet_core.retention import given_up_runs
from lenet_core.runs import Run
from lenet_core.sweeps import MAX_RUNS
from ui import links, markup_training, state
from ui.networks import own_colour
from ui.shown import ACTIVE, MOST_LISTED, own_runs, run_title, shown_run


def earlier_runs() -> None:
    """The queue and what was trained before, each a click away."""
    runs = own_runs()
    if not runs:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Your runs", anchor=False, width="content")
        if st.button("Compare them", icon=":material/stacked_line_chart:", key="compare_runs_button"):
            st.switch_page("pages/compare.py")
    busy = any(run.status in ACTIVE for run in runs)
    st.fragment(_list_runs, run_every=2.0 if busy else None)()


def _list_runs() -> None:
    runs = own_runs()
    shown = shown_run()
    if sweep := links.asked("sweep") or (shown.plan.sweep if shown is not None else ""):
        _sweep_table([run for run in own_runs(4 * MAX_RUNS) if run.plan.sweep == sweep])
    for run in runs:
        plan = run.plan
        status, last = run.look()
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row_{run.name}"):
            if st.button(
                "Watch", key=f"watch_{run.name}", type="tertiary", disabled=shown is not None and run.name == shown.name
            ):
                links.remember("run", run.name)
                st.rerun()  # the whole page
            facts = _facts(last, run)
            st.html(markup_training.run_row(run_title(plan), status, facts, own_colour(run.name)))
    if len(runs) == MOST_LISTED:
        st.caption(f"The newest {MOST_LISTED}; python -m lenet_core runs lists all.")
    if gone := len(given_up_runs(state.learner())):
        older = "One older run was" if gone == 1 else f"{gone} older runs were"
        st.caption(f"{older} given up to make room for newer ones.")


def _facts(last: dict[str, Any], run: Run) -> str:
    facts = [f"test {last['test']:.2%}"] if "test" in last else []
    if "message" in last:
        facts.append(str(last["message"])[:120])
    if given_up := run.given_up:
        facts.append(f"given up to make room: {given_up}")
    return " · ".join([*facts, run.name])


def _sweep_table(runs: list[Run]) -> None:
    """A sweep's results so far: a row for each setting: the knobs that vary, each seed, the mean."""
    if not runs:
        return
    runs = sorted(runs, key=lambda run: run.plan.created)
    stands = {run.name: settings(run.plan.recipe) for run in runs}
    varying = [name for name in KNOBS if name != "seed" and len({one[name] for one in stands.values()}) > 1]
    rows: dict[tuple[str, ...], dict[int, tuple[str, float | None]]] = {}
    for run in runs:
        status, last = run.look()
        test = last.get("test")
        cell = status if test is None else f"{test:.2%}"
        rows.setdefault(tuple(stands[run.name][name] for name in varying), {})[run.plan.recipe.seed] = (cell, test)
    seeds = sorted({seed for cells in rows.values() for seed in cells})
    table = []
    for values, cells in rows.items():
        tests = [test for _, test in cells.values() if test is not None]
        mean = f"{statistics.mean(tests):.2%}" if tests else ""
        table.append([*values, *(cells[seed][0] if seed in cells else "" for seed in seeds), mean])
    head = [*(KNOBS[name].label for name in varying), *(f"seed {seed}" for seed in seeds), "mean"]
    st.caption("The sweep's test accuracies")
    st.html(markup_training.table(head, table, "Results of the sweep"))
