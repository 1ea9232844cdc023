"""The right half of the Train page: one run as it learns, and its controls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from lenet_core.errors import LenetError
from lenet_core.history import History
from lenet_core.knobs import settings
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run
from ui import cache, links, markup, markup_training, state
from ui.components.stream_chart import stream_chart
from ui.drawn import digit_of
from ui.networks import own_colour, own_key
from ui.plateau_note import explain_plateau
from ui.shown import ACTIVE, history_of, is_sound, newest_network, own_runs, run_title, shown_run

_MOST_GHOSTS = 3


def watch() -> None:
    """The shown run, anew twice a second while it is under way."""
    run = shown_run()
    if run is None:
        st.html(
            markup.empty("Nothing trained yet", "Press Train: the curves of loss and accuracy grow here as it learns.")
        )
        return
    plan = run.plan
    every = 0.5 if run.status in ACTIVE else None
    place = st.container()
    ghosts = _ghosts(run, plan)
    with place:
        st.fragment(_watch, run_every=every)(run, plan, ghosts, _stage(run))


def _stage(run: Run) -> tuple[bool, bool, bool]:
    """What the rest of the page depends on: whether it is under way, has a network to look at, pauses."""
    status = run.status
    return status in ACTIVE, newest_network(run) is not None, status == "paused"


def _watch(run: Run, plan: Plan, ghosts: Sequence[Run], stage_then: tuple[bool, bool, bool]) -> None:
    if _stage(run) != stage_then or not all(map(is_sound, (run, *ghosts))):  # one may be deleted elsewhere
        st.rerun()
    status, last = run.look()
    if status == "waiting" and _queue(run).begun:
        status = "starting"
    history = history_of(run)
    st.html(markup_training.run_head(run_title(plan), status, _says(run, history, status), own_colour(run.name)))
    _progress(history, status)
    _controls(run, plan, status)
    if status == "failed":
        st.html(markup.warning(str(last.get("message", "The training failed."))))
        if not history.started and plan.base in RECIPES and plan.recipe.data.endswith("mnist"):
            st.button(
                "Take the bundled sample instead", icon=":material/hard_drive:", key="take_sample",
                on_click=_take_sample, args=(plan,), help="mnist-5k needs no network. Then press Train.",
            )  # fmt: skip
    if status == "waiting" and (problem := _queue(run).problem):
        st.html(markup.warning(problem))
    _chart(run, plan, history, ghosts)
    explain_plateau(plan, history)
    _own_drawing(run)


def _says(run: Run, history: History, status: str) -> str:
    """Where the run stands, in a line."""
    if status == "waiting":
        ahead = _queue(run).ahead
        place = "" if ahead is None else ", next in the queue" if ahead == 0 else f", {ahead} ahead of it"
        return f"Waiting for a free worker{place}; it starts by itself."
    if status == "starting":
        return "Starting: a worker is loading PyTorch and the images."
    facts = [f"step {history.step:,} of {history.total_steps:,}"] if history.started else []
    if history.now:
        facts.append(f"{history.now['images_per_second']:,.0f} images/s")
        facts.append(f"learning rate {history.now['learning_rate']:.3g}")
    left = history.seconds_left
    if status == "running" and left is not None:
        facts.append(f"{duration(left)} left")
    if history.started:
        facts.append(str(history.started["device"]))
    return " · ".join(facts)


class _Queue(NamedTuple):
    """How many runs wait before one, None where nobody can tell; what keeps all from training; if it has begun."""

    ahead: int | None
    problem: str
    begun: bool


def _queue(run: Run) -> _Queue:
    try:
        engine = cache.engine()
    except LenetError as error:
        return _Queue(None, str(error), False)
    return _Queue(engine.ahead_of(run), engine.problem(), engine.has_begun(run))


def duration(seconds: float) -> str:
    """A time as people say it: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _progress(history: History, status: str) -> None:
    share = min(1.0, history.step / history.total_steps) if status not in ("waiting", "starting") else 0.0
    st.progress(share)


def _controls(run: Run, plan: Plan, status: str) -> None:
    """The buttons that fit the run's state, for those whose run it is."""
    if plan.learner not in ("", state.learner()):
        st.caption("Another learner's run: you can watch it.")
        return
    with st.container(horizontal=True, gap="xsmall", key="run_controls"):
        if status in ("starting", "running"):
            _button("Pause", "pause", run, "pause", help="Keeps everything as it is; Resume goes on exactly there.")
        if status in ("paused", "stopped", "failed"):
            _button("Resume", "play_arrow", run, "resume", help="Goes on from the last saved state.")
        if status in ("running", "paused"):
            _button("One epoch", "skip_next", run, "step", help="Trains to the end of one epoch, then pauses.")
        if status in ACTIVE:
            _button("Stop", "stop", run, "stop", help="Ends it and keeps what it learned; it can be resumed.")
        usable = status not in ("waiting", "starting") and run.file("model").exists()
        if usable and st.button("Draw with it", icon=":material/draw:", key="draw_with_it"):
            links.go("pages/draw.py", {"net": own_key(run.name)})
        if usable and st.button("Look inside", icon=":material/grid_view:", key="look_inside"):
            links.go("pages/feature_maps.py", {"net": own_key(run.name)})
        if plan.base in RECIPES and st.button(
            "Its settings", icon=":material/tune:", key="its_settings", help="Turns the knobs to this run's choice."
        ):
            _take_settings(plan)
        with st.popover("Delete", icon=":material/delete:"):
            st.caption("Its curves and networks are gone for good.")
            if st.button("Delete this run", type="primary", key="delete_run"):
                _delete(run)


def _button(label: str, icon: str, run: Run, request: str, help: str) -> None:
    st.button(label, icon=f":material/{icon}:", key=f"run_{request}", help=help, on_click=_ask, args=(run, request))


def _ask(run: Run, request: str) -> None:
    try:
        if request == "resume":
            cache.engine().resume(run)
        elif request == "step" and run.status == "paused":
            cache.engine().resume(run, "step")
        else:
            run.ask(request)
    except LenetError as error:
        st.toast(markup.literal(str(error)), icon=":material/error:", duration="long")


def _take_settings(plan: Plan) -> None:
    state.choose_anew(plan.base, settings(plan.recipe))
    st.rerun()


def _take_sample(plan: Plan) -> None:
    state.choose_anew(plan.base, {**settings(plan.recipe), "data": "mnist-5k"})


def _delete(run: Run) -> None:
    try:
        run.delete()
    except LenetError as error:
        st.html(markup.warning(str(error)))
        return
    state.histories().pop(run.name, None)
    links.remember("run", "")
    st.rerun()


def _ghosts(run: Run, plan: Plan) -> list[Run]:
    """The runs whose curves stand behind this one's: chosen, or the latest of the same recipe."""
    others = {other.name: other for other in own_runs() if other.name != run.name}
    if not others:
        return []
    plans = {name: other.plan for name, other in others.items()}
    same = [name for name, other in plans.items() if other.base == plan.base and history_of(others[name]).epochs]
    chosen = st.multiselect(
        "Compare with", list(others), same[:_MOST_GHOSTS], key=f"ghosts.{run.name}", max_selections=8,
        format_func=lambda name: f"{run_title(plans[name])} ({_when(name)})", placeholder="earlier runs",
        label_visibility="collapsed",
    )  # fmt: skip
    return [others[name] for name in chosen]


def _when(name: str) -> str:
    """The time in a run's name, or all of a name that was given by hand."""
    found = re.search(r"\d{8}-\d{6}", name)
    return found[0] if found else name


def _chart(run: Run, plan: Plan, history: History, ghosts: Sequence[Run]) -> None:
    from ui.curves import run_figure, spoken

    figure = run_figure(run, plan, history, ghosts)
    alt = f"Loss and accuracy of {run_title(plan)} over its epochs, {spoken(history)}"
    stream_chart(figure, run=run.name, height=430, alt=alt, key="training_chart")


def _own_drawing(run: Run) -> None:
    """The visitor's last drawing, as the network reads it by now."""
    digit = digit_of(state.last_drawing())
    path = newest_network(run)
    if digit is None or path is None:
        return
    from lenet_core.classify import classify

    try:
        answer = classify(cache.moment(path), digit.image)
    except LenetError:  # being replaced at this moment; the next look finds it
        return
    st.html(markup.card("Your last drawing, as this network reads it now", "", own_colour(run.name), answer))
