"""The Exercises page: a list of twelve, and the one that is open, in three steps: predict, run, compare."""

from __future__ import annotations

import secrets
import statistics

import streamlit as st

from lenet_core.data_sets import DATA_SETS
from lenet_core.errors import LenetError
from lenet_core.exercises import EXERCISES, Exercise, Setting, does, images
from lenet_core.knobs import KNOBS, settings
from lenet_core.library import data_dir
from lenet_core.progress import Progress, load_progress, save_progress
from lenet_core.runs import Plan, Run
from ui import cache, links, markup, markup_exercises, state
from ui.markup_exercises import Row
from ui.shown import ACTIVE, own_runs

_MOST_RUNS = 200  # of a learner's newest that are looked through
_PARAMETER = "exercise"
_ICONS = ("radio_button_unchecked", "clock_loader_40", "clock_loader_80", "check_circle")
_STEPS = ("predicted", "run", "compared")

Found = dict[str, list[Run]]  # a setting's label to the learner's runs of it, the newest first


def room() -> None:
    """The page below its title."""
    progress, problem = load_progress(state.learner())
    if problem:
        st.html(markup.warning(problem))
    runs = own_runs(_MOST_RUNS)
    found = {key: _runs_of(exercise, runs) for key, exercise in EXERCISES.items()}
    marks = {key: _marks(exercise, progress, found[key]) for key, exercise in EXERCISES.items()}
    opened = links.wanted(_PARAMETER, list(EXERCISES), progress.last or next(iter(EXERCISES)))
    _head(sum(map(all, marks.values())))
    left, right = st.columns([1, 2], gap="medium")
    with left, st.container(key="exercise_list", gap="xxsmall"):
        for number, (key, exercise) in enumerate(EXERCISES.items(), 1):
            _door(number, exercise, marks[key], key == opened)
    busy = _busy(found[opened])
    with right:
        st.fragment(_exercise, run_every=2.0 if busy else None)(EXERCISES[opened], marks[opened], busy)


def _runs_of(exercise: Exercise, runs: list[Run]) -> Found:
    """The learner's runs of each setting of an exercise."""
    plans = [(run, run.plan) for run in runs]
    wanted = {setting.label: exercise.recipe(setting) for setting in exercise.settings}
    return {label: [run for run, plan in plans if does(plan, recipe)] for label, recipe in wanted.items()}


def _marks(exercise: Exercise, progress: Progress, found: Found) -> tuple[bool, bool, bool]:
    """Whether it is predicted, run and compared."""
    ran = all(map(_finished, found.values())) if exercise.settings else exercise.key in progress.looked
    return exercise.key in progress.predictions, ran, exercise.key in progress.compared


def _busy(found: Found) -> bool:
    """Whether one of its trainings is under way."""
    return any(run.status in ACTIVE for runs in found.values() for run in runs)


def _finished(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.status == "finished"]


def _head(done: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="exercise_head"):
        st.progress(done / len(EXERCISES), f"{done} of {len(EXERCISES)} done", width="stretch")
        with st.popover("Start over", icon=":material/restart_alt:"):
            st.caption("Forgets what you predicted and compared. Your runs stay: an exercise's count as run again.")
            st.button("Forget my progress", type="primary", key="start_over", on_click=_start_over)


def _start_over() -> None:
    _keep(Progress())


def _keep(progress: Progress) -> bool:
    """Writes the progress; where that cannot be, says why."""
    try:
        save_progress(state.learner(), progress)
    except LenetError as error:
        st.toast(markup.literal(str(error)), icon=":material/error:", duration="long")
        return False
    return True


def _door(number: int, exercise: Exercise, marks: tuple[bool, bool, bool], opened: bool) -> None:
    """A line of the list, with its progress."""
    said = [step for step, done in zip(_STEPS, marks, strict=True) if done]
    st.button(
        f"{number}. {exercise.title}", icon=f":material/{_ICONS[sum(marks)]}:", key=f"open_{exercise.key}",
        type="secondary" if opened else "tertiary", on_click=links.remember, args=(_PARAMETER, exercise.key),
        help=", ".join(said) or "not begun", width="stretch",
    )  # fmt: skip


def _exercise(exercise: Exercise, marks_then: tuple[bool, bool, bool], busy_then: bool) -> None:
    """The open exercise, anew every two seconds while it trains."""
    progress, _ = load_progress(state.learner())
    found = _runs_of(exercise, own_runs(_MOST_RUNS))
    predicted, ran, compared = marks = _marks(exercise, progress, found)
    if marks != marks_then or _busy(found) != busy_then:  # the list beside it shows them; the clock stops or starts
        st.rerun()
    st.subheader(exercise.title, anchor=False)
    st.html(markup_exercises.question(exercise.question))
    st.html(markup_exercises.step(1, "Predict", predicted))
    _predict(exercise, progress, found)
    st.html(markup_exercises.step(2, "Run" if exercise.settings else "Look", ran))
    if exercise.settings:
        _run(exercise, predicted, found)
    else:
        _look(exercise, progress, predicted)
    st.html(markup_exercises.step(3, "Compare", compared))
    _compare(exercise, progress, predicted and ran, found)


def _predict(exercise: Exercise, progress: Progress, found: Found) -> None:
    """The learner's answer, which is asked before anything is shown."""
    kept = progress.predictions.get(exercise.key)
    if kept is not None:
        unit = "" if exercise.options else " %"
        st.html(markup_exercises.said(f"{kept}{unit}", _result(_finished(found.get(exercise.asks, [])))[0]))
        return
    answer: str | None
    if exercise.options:
        answer = st.radio(
            "Your prediction", exercise.options, index=None, key=f"said.{exercise.key}", label_visibility="collapsed"
        )
    else:
        number = st.number_input(
            "Your prediction, in percent", 0.0, 100.0, None, step=1.0, format="%.4g", key=f"said.{exercise.key}",
            placeholder="0 to 100", width=220,
        )  # fmt: skip
        answer = None if number is None else f"{round(number, 2):g}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Keep my prediction", type="primary", key="keep_prediction", disabled=answer is None):
            assert answer is not None
            progress.predictions[exercise.key], progress.last = answer, exercise.key
            if _keep(progress):
                st.rerun()
        with st.popover("A hint", icon=":material/lightbulb:"):
            st.html(markup.plain(exercise.hint))


def _result(finished: list[Run]) -> tuple[str, float | None]:
    """What the test images said of a setting's finished runs, in words and as their mean."""
    ends = [run.last_event("finished") for run in finished]
    tests = [float(end["test"]) for end in ends]
    if not tests:
        return "", None
    if len(tests) == 1:
        low, high = ends[0]["interval"]
        return f"{100 * tests[0]:.1f} % ({100 * low:.1f} to {100 * high:.1f})", tests[0]
    mean = statistics.mean(tests)
    return f"{100 * mean:.1f} % (mean of {len(tests)})", mean


def _run(exercise: Exercise, predicted: bool, found: Found) -> None:
    """The exercise's trainings: where each stands, and the button that trains those that are missing."""
    rows = []
    for setting in exercise.settings:
        runs = found[setting.label]
        result, share = _result(_finished(runs)) if predicted else ("", None)
        status = "not trained yet" if not runs else runs[0].status
        hidden = status == "finished" and not predicted
        changes = ", ".join(f"{KNOBS[name].label.lower()} {text or 'none'}" for name, text in setting.changes.items())
        rows.append(Row(setting.label, changes, "trained; predict first" if hidden else status, result, share))
    st.html(markup_exercises.trainings(rows))
    missing = [setting for setting in exercise.settings if not found[setting.label]]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if missing:
            _train_button(exercise, missing, predicted)
        elif not all(map(_finished, found.values())):
            newest = next(runs[0] for runs in found.values() if not _finished(runs))
            if st.button("Watch", icon=":material/monitoring:", key="watch"):
                links.go("pages/train.py", {"run": newest.name, "sweep": newest.plan.sweep})
        else:
            seed = 1 + max(run.plan.recipe.seed for runs in found.values() for run in runs)
            if st.button(
                f"Again with seed {seed}", icon=":material/replay:", key="again", disabled=not predicted,
                help="Another start and another order of the same images: how much of the difference stays?",
            ):  # fmt: skip
                _train(exercise, list(exercise.settings), seed)
        if st.button("Its knobs", icon=":material/tune:", key="its_knobs", help="Opens the Train page with them."):
            _turn_knobs(exercise, (missing or exercise.settings)[0])
            links.go("pages/train.py")
    st.caption(_cost(exercise))


def _train_button(exercise: Exercise, missing: list[Setting], predicted: bool) -> None:
    label = f"Train {'them' if len(missing) > 1 else missing[0].label}"
    if st.button(
        label, icon=":material/play_arrow:", type="primary", key="train_exercise", disabled=not predicted,
        help=None if predicted else "Predict first: what one has not expected teaches little.",
    ):  # fmt: skip
        _train(exercise, missing, 0)


def _train(exercise: Exercise, chosen: list[Setting], seed: int) -> None:
    """Hands the trainings to the engine and goes to watch the first."""
    sweep = secrets.token_hex(4)
    plans = []
    for setting in chosen:
        recipe = exercise.recipe(Setting(setting.label, {**setting.changes, "seed": str(seed)}))
        plans.append(Plan(recipe, base=exercise.base, learner=state.learner(), sweep=sweep))
    try:
        runs = cache.engine().submit(plans)
    except (LenetError, ValueError) as error:
        st.html(markup.warning(str(error)))
        return
    _turn_knobs(exercise, chosen[0])
    links.go("pages/train.py", {"run": runs[0].name, "sweep": sweep})


def _turn_knobs(exercise: Exercise, setting: Setting) -> None:
    """Sets the Train page's knobs, which a session keeps, to one of the trainings."""
    state.choose_anew(exercise.base, settings(exercise.recipe(setting)))


def _cost(exercise: Exercise) -> str:
    """What the trainings take, and what must be there for them."""
    recipes = [exercise.recipe(setting) for setting in exercise.settings]
    small = f"Quick settings: {images(recipes):,} images altogether, under a minute on a laptop."
    infos = {DATA_SETS[recipe.data] for recipe in recipes}
    absent = [info.title for info in infos if info.place and not (data_dir() / info.place).is_dir()]
    return f"{small} {absent[0]} is not here yet: it is downloaded first (31 MB)." if absent else small


def _look(exercise: Exercise, progress: Progress, predicted: bool) -> None:
    """The door to the Look inside page, with the exercise's inputs on it."""
    if st.button(
        "Look inside", icon=":material/grid_view:", type="primary", key="look_exercise", disabled=not predicted,
        help=None if predicted else "Predict first: what one has not expected teaches little.",
    ):  # fmt: skip
        progress.looked.add(exercise.key)
        progress.last = exercise.key
        if _keep(progress):
            links.go("pages/feature_maps.py", dict(exercise.look))
    st.caption("Opens bundled networks on inputs that are there: nothing to train. Come back by the browser's Back.")


def _compare(exercise: Exercise, progress: Progress, ready: bool, found: Found) -> None:
    """The runs over each other, and what there is to see."""
    if not ready:
        st.caption("Opens when both steps before are done.")
        return
    if exercise.settings:
        names = [run.name for runs in found.values() for run in _finished(runs)[:3]]
        if st.button("Compare the runs", icon=":material/stacked_line_chart:", type="primary", key="compare_exercise"):
            _compared(exercise, progress)
            links.go("pages/compare.py", {"runs": ",".join(names[:12])})
    elif exercise.key not in progress.compared:
        if st.button("Hold it against what was seen here", type="primary", key="compare_look"):
            _compared(exercise, progress)
            st.rerun()
        return
    st.html(markup_exercises.look_for(exercise.look_for))
    _next(exercise, progress)


def _compared(exercise: Exercise, progress: Progress) -> None:
    progress.compared.add(exercise.key)
    progress.last = exercise.key
    _keep(progress)


def _next(exercise: Exercise, progress: Progress) -> None:
    keys = list(EXERCISES)
    after = keys[keys.index(exercise.key) + 1 :]
    if after and exercise.key in progress.compared and st.button(
        f"Next: {EXERCISES[after[0]].title}", icon=":material/arrow_forward:", key="next_exercise"
    ):  # fmt: skip
        links.remember(_PARAMETER, after[0])
        st.rerun()
