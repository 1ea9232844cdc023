"""The Compare page: choosing runs, their curves over each other, and the table under them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from lenet_core.errors import LenetError
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan
from ui import compared_runs, links, markup, markup_compare, state
from ui.compared_curves import AXES, Overlay, overlay
from ui.compared_runs import MOST, Compared, Group
from ui.compared_table import rows
from ui.components.stream_chart import stream_chart
from ui.shown import ACTIVE, is_sound
from ui.turning import open_train_page

_RUNS, _SET = "compare_runs", "compare_set"
_GROUPED = {"grouped": "Mean of the seeds", "single": "Each run"}
_MEASURES = {"accuracy": "Accuracy", "error": "Error"}
_SMOOTHINGS = ("0", "0.5", "0.8", "0.9", "0.95", "0.98")
_SMOOTH = "0.95"
_HEIGHT = 380  # CSS pixels of each chart


def nothing_yet() -> None:
    """What stands here before there is a run."""
    st.html(markup.empty("Nothing to compare yet", "Train a network, turn one knob, train again: both appear here."))
    with st.container(horizontal=True, gap="small", horizontal_alignment="center"):
        if st.button("Train one", icon=":material/model_training:", type="primary", key="train_one"):
            st.switch_page("pages/train.py")
        if st.button(
            "Do an exercise with two runs", icon=":material/checklist:", key="open_exercises",
            help="Max pooling for average pooling: say what you expect, train both, compare.",
        ):  # fmt: skip
            links.go("pages/exercises.py", {"exercise": "pooling"})


def choose(own: dict[str, Compared]) -> list[Compared]:
    """The runs that the visitor chose, at first those that the address names."""
    first, problems = compared_runs.asked(own)
    for line in problems:
        st.html(markup.warning(line))
    known = own | {one.name: one for one in first}
    held = state.widget(_RUNS)
    if held is None or not set(held) <= set(known):  # new here, or one of them was deleted
        state.set_widget(_RUNS, [one.name for one in first if held is None or one.name in held])
    titles = compared_runs.labels(known.values())
    names = st.multiselect(
        "Runs", list(known), key=_RUNS, max_selections=MOST, format_func=titles.__getitem__,
        placeholder="choose runs to lay over each other", label_visibility="collapsed",
    )  # fmt: skip
    if names:
        links.remember("runs", ",".join(names))
    if any(known[name].plan.learner not in ("", state.learner()) for name in names):
        st.caption("Some of these are another learner's runs: you can look at them.")
    return [known[name] for name in names]


def choose_set(own: dict[str, Compared]) -> None:
    """One click for a whole sweep, or all seeds of a recipe."""
    together = compared_runs.sets(list(own.values()))
    if not together:
        return

    def take() -> None:
        state.set_widget(_RUNS, [one.name for one in together.get(str(state.widget(_SET)), [])])
        state.set_widget(_SET, None)

    st.selectbox(
        "A whole set", list(together), index=None, key=_SET, on_change=take, label_visibility="collapsed",
        placeholder="take a whole sweep, or all seeds", width=300,
    )  # fmt: skip


@dataclass(frozen=True)
class View:
    """How the curves are drawn: along which of `AXES`, a mean for each group of seeds, as errors, how smooth."""

    axis: str
    grouped: bool
    as_error: bool
    smoothing: float


def look() -> View:
    """How the visitor wants the curves."""
    axis = _switch("x", {name: along.split()[0].capitalize() for name, along in AXES.items()})
    shown = _switch("as", _GROUPED)
    measure = _switch("y", _MEASURES)
    smoothing = st.selectbox(
        "Smoothing", _SMOOTHINGS, index=_SMOOTHINGS.index(links.wanted("smooth", _SMOOTHINGS, _SMOOTH)),
        key="compare_smooth", format_func=lambda text: "loss as it is" if text == "0" else f"loss smoothed {text}",
        label_visibility="collapsed", width=190,
    )  # fmt: skip
    links.remember("smooth", smoothing, _SMOOTH)
    return View(axis, shown == "grouped", measure == "error", float(smoothing))


def _switch(name: str, choices: Mapping[str, str]) -> str:
    """One of a few, the first unless the address says otherwise."""
    usual = next(iter(choices))
    chosen = st.segmented_control(
        name, list(choices), default=links.wanted(name, list(choices), usual), required=True, key=f"compare_{name}",
        format_func=choices.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    links.remember(name, chosen, usual)
    return chosen


def curves(chosen: Sequence[Compared], view: View) -> None:
    """The charts and the table, anew every two seconds while one of the runs is under way."""
    every = 2.0 if _busy(chosen) else None
    st.fragment(_curves, run_every=every)(chosen, view, _busy(chosen))


def _busy(chosen: Sequence[Compared]) -> frozenset[str]:
    return frozenset(one.name for one in chosen if one.run.status in ACTIVE)


def _curves(chosen: Sequence[Compared], view: View, busy: frozenset[str]) -> None:
    if _busy(chosen) != busy or not all(is_sound(one.run) for one in chosen):  # one ended, or was deleted elsewhere
        st.rerun()
    groups = compared_runs.groups(chosen)
    try:
        found = overlay(groups, view.axis, view.grouped, view.smoothing)
        table = rows(groups, view.grouped)
    except LenetError as error:
        st.html(markup.warning(str(error)))
        return
    for one in chosen:
        status, last = one.run.look()
        if status == "failed":
            st.html(markup.warning(f"{one.label} failed: {last.get('message', 'its worker ended')}"))
    kinds = {line.kind for line in (*found.losses, *found.accuracies)}
    st.html(markup_compare.legend([(group.title, group.colour) for group in groups], kinds, _says(groups, view)))
    _charts(found, view, "; ".join(group.title for group in groups))
    _table(table)


def _charts(found: Overlay, view: View, titles: str) -> None:
    from ui.compare_charts import accuracy_figure, loss_figure

    along = AXES[view.axis]
    left, right = st.columns(2, gap="small")
    with left:
        stream_chart(
            loss_figure(found.losses, along, found.end), run=f"loss {view.axis}", height=_HEIGHT,
            alt=f"Loss along {along} of {titles}", key="compare_loss",
        )  # fmt: skip
    with right:
        said = "Error" if view.as_error else "Accuracy"
        stream_chart(
            accuracy_figure(found.accuracies, along, found.end, view.as_error), run=f"{said} {view.axis}",
            height=_HEIGHT, alt=f"{said} along {along} of {titles}", key="compare_accuracy",
        )  # fmt: skip


def _says(groups: Sequence[Group], view: View) -> str:
    """How the lines are made, where that is not plain."""
    said = []
    if any(len(group.members) > 1 for group in groups):
        said.append(_BAND if view.grouped else "Runs of one colour differ by the seed alone.")
    if view.axis == "seconds":
        said.append("Seconds are of training, on the device of each run.")
    return " ".join(said)


_BAND = (
    "Lines are means over the seeds, bands go from the lowest to the highest of them; where not all have got so far, "
    "over the others."
)


def _table(table: list[dict[str, object]]) -> None:
    """What was trained and what came of it; a click on a column's head sorts."""
    column, number = st.column_config, st.column_config.NumberColumn
    watched = any(row["validation"] is not None for row in table)
    spread = any(row["validation_range"] or row["test_range"] for row in table)
    ranges = "The lowest and the highest of the seeds, in percent."
    st.dataframe(
        table,
        hide_index=True,
        key="compare_table",
        placeholder="–",
        alt="The compared runs: recipe, changes, parameters, seeds, accuracies, seconds, device and status",
        column_config={
            "colour": column.ImageColumn(" ", width=30, help="The colour of its lines."),
            "recipe": column.TextColumn("Recipe"),
            "changes": column.ListColumn("Changes from it", help="What differs from the recipe, apart from the seed."),
            "parameters": number("Parameters", format="localized"),
            "seeds": column.TextColumn("Seeds"),
            "validation": None
            if not watched
            else number("Validation", format="%.2f %%", help="After the last epoch; the mean of the seeds."),
            "test": number("Test", format="%.2f %%", help="Asked once, at the end; the mean of the seeds."),
            "validation_range": column.TextColumn("Validation, range", help=ranges) if spread and watched else None,
            "test_range": column.TextColumn("Test, range", help=ranges) if spread else None,
            "seconds": number("Seconds", format="%.1f", help="Of training, a run's mean."),
            "device": column.TextColumn("Device"),
            "status": column.TextColumn("Status"),
            "published": column.TextColumn("Published", help="What was published for the recipe."),
        },
    )


def recipe(chosen: Sequence[Compared]) -> None:
    """A run's exact recipe, to turn its knobs, to keep as JSON, or to run as a script of its own."""
    titles = compared_runs.labels(chosen)
    by_name = {one.name: one for one in chosen}
    st.subheader("Take a recipe along", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="compare_recipe"):
        name = st.selectbox(
            "Run", list(by_name), key="compare_take", format_func=titles.__getitem__, label_visibility="collapsed",
            width=420,
        )  # fmt: skip
        plan = by_name[name].plan
        if plan.base in RECIPES and st.button(
            "On the Train page", icon=":material/tune:", key="take_settings",
            help="Turns the knobs there to this run's choice; that page's address is then the recipe as a link.",
        ):  # fmt: skip
            open_train_page(plan.base, plan.recipe)
        st.download_button(
            "JSON", json.dumps(plan.recipe.to_dict(), indent=2), f"{name}.json", "application/json", key="take_json",
            on_click="ignore", icon=":material/data_object:", help="Every setting, as plain data.",
        )  # fmt: skip
        _script(name, plan)


def _script(name: str, plan: Plan) -> None:
    from lenet_core.codegen import to_script

    try:
        script = to_script(plan.recipe)
    except ValueError as error:
        st.caption(f"No script: {markup.literal(str(error))}")
        return
    st.download_button(
        "PyTorch script", script, f"{name}.py", "text/x-python", key="take_script", on_click="ignore",
        icon=":material/code:", help="One file that needs PyTorch alone and trains this very network in this very way.",
    )  # fmt: skip
