"""The left half of the Train page: a recipe, its knobs, the ledger of what they make, and the Train button."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lenet_core.architecture import ledger
from lenet_core.errors import DataError, LenetError
from lenet_core.knobs import KNOBS, Knob, differences, from_link, settings, turn
from lenet_core.presets import PRESETS, preset, preset_source
from lenet_core.published import read_reproduced
from lenet_core.recipes import RECIPES, Recipe, recipe_named
from lenet_core.reproduce_table import mean_and_range
from lenet_core.runs import Plan, Run
from lenet_core.sweeps import expand
from ui import cache, links, markup, markup_training, state
from ui.shown import ACTIVE, own_runs
from ui.turning import DEVICE, named, tables_for, texts_of, turn_all

_OTHER_PARAMETERS = ("run", "sweep", DEVICE)  # of the page's address, beside the knobs


def _recipes_of(name: str) -> list[str]:
    """The recipes that train a preset."""
    return [recipe.name for recipe in RECIPES.values() if recipe.architecture.name == name]


def choice() -> state.Choice:
    """What this session is choosing, at first what the address says."""

    def from_address() -> state.Choice:
        parameters = {key: value for key, value in st.query_params.items() if key not in _OTHER_PARAMETERS}
        base, recipe, problems = from_link(parameters)
        return state.Choice(base, settings(recipe), problems)

    return state.choice(from_address)


def _cards(chosen: state.Choice) -> None:
    """A card for each published network, to start from."""
    here = recipe_named(chosen.base).architecture.name
    with st.container(horizontal=True, gap="xsmall", key="recipe_cards"):
        for name in PRESETS:
            recipes = _recipes_of(name)
            with st.container(border=True, key=f"card_{name}", width=214):
                published = next((RECIPES[one].reference for one in recipes if RECIPES[one].reference), "")
                st.html(markup_training.recipe_card(preset(name), preset_source(name), published, name == here))
                if recipes:
                    st.button(
                        "Chosen" if name == here else "Start from this", key=f"start_{name}", disabled=name == here,
                        on_click=_start_from, args=(chosen, recipes[0]), width="stretch",
                    )  # fmt: skip
                else:
                    st.button(
                        "For ImageNet", key=f"start_{name}", disabled=True, width="stretch",
                        help="Made for ImageNet's pictures, which are not here; alexnet-cifar is its small kin.",
                    )  # fmt: skip


def _start_from(chosen: state.Choice, base: str) -> None:
    chosen.reset(base, settings(recipe_named(base)))


def choose(place: DeltaGenerator, knobs: DeltaGenerator) -> None:
    """Puts the recipe and the button that trains it into `place`, and every knob into `knobs`."""
    chosen = choice()
    base = recipe_named(chosen.base)
    with knobs:
        _cards(chosen)
        turned = turn_all(chosen)
    try:
        recipe, problem = turn(base, turned), ""
    except ValueError as error:
        recipe, problem = None, str(error)
    with place:
        for line in chosen.problems:
            st.html(markup.warning(line))
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="choose_top"):
            _variant(chosen, base)
            _train_button(chosen, recipe)
        if recipe is None:
            st.html(markup.warning(problem))
        else:
            _summary(chosen, base, recipe)
    if recipe is None:
        return
    state.keep_choice(chosen, settings(recipe))
    _remember(chosen.base, recipe)
    with knobs:
        st.html(markup_training.small_ledger(ledger(recipe.architecture), recipe.architecture.parameters))
        with st.expander("A sweep: every combination of some knobs", icon=":material/grid_on:"):
            _sweep(chosen, recipe)
        _code(recipe)


def _variant(chosen: state.Choice, base: Recipe) -> None:
    """Which of the recipes that train this network."""
    variants, key = _recipes_of(base.architecture.name), f"recipe.{chosen.version}"
    st.selectbox(
        "Recipe", variants, index=variants.index(chosen.base), key=key,
        on_change=lambda: _start_from(chosen, state.widget(key)),
        help="The same network, trained in different ways: '-draw' ones are varied as hands vary.",
    )  # fmt: skip


def _remember(base: str, recipe: Recipe) -> None:
    links.remember("recipe", base)
    plain = settings(recipe_named(base))
    for name, text in settings(recipe).items():
        links.remember(name, text, plain[name])


def _summary(chosen: state.Choice, base: Recipe, recipe: Recipe) -> None:
    """What the knobs make, in a line, and what differs from the recipe."""
    arch = recipe.architecture
    multiply_adds = sum(layer.multiply_adds for layer in arch.layers)
    st.html(markup_training.in_a_line(arch.parameters, multiply_adds, recipe.epochs, recipe.data))
    changed = differences(base, recipe)
    if not changed:
        _held_against(base)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(markup_training.what_differs(chosen.base, changed, _LABELS))
        if changed:
            st.button(
                "Reset", icon=":material/restart_alt:", type="tertiary", on_click=_start_from,
                args=(chosen, chosen.base), help="Sets all knobs back to the recipe.",
            )  # fmt: skip


def _held_against(base: Recipe) -> None:
    """What was published for the recipe, beside what it gave when the project trained it."""
    measured = ""
    try:
        if found := read_reproduced(base.name):
            measured = f"{mean_and_range(found)} of the test images, {len(found.runs)} seeds, nothing held out"
    except DataError as error:
        measured = str(error)
    if base.reference or measured:
        st.html(markup_training.held_against(base.reference, measured))


_LABELS = {name: knob.label for name, knob in KNOBS.items()}


def _train_button(chosen: state.Choice, recipe: Recipe | None) -> None:
    # No tooltip: it would lie over the name of the run that appears.
    pressed = st.button("Train", icon=":material/play_arrow:", type="primary", key="train", disabled=recipe is None)
    if pressed and recipe is not None:
        plan = _plan(chosen, recipe)
        if (same := _under_way(plan)) is not None:
            show(same)
        submit([plan])


def _under_way(plan: Plan) -> Run | None:
    """The learner's run that does the very same, which a second click need not do again; None if there is none."""
    wanted = (plan.recipe, plan.device, plan.learner)
    for run in own_runs():
        own = run.plan
        if (own.recipe, own.device, own.learner) == wanted and run.status in ACTIVE:
            return run
    return None


def _plan(chosen: state.Choice, recipe: Recipe, sweep: str = "") -> Plan:
    device = state.widget(DEVICE) or "auto"
    return Plan(recipe, base=chosen.base, device=device, learner=state.learner(), sweep=sweep)


def submit(plans: list[Plan]) -> None:
    """Hands the plans to the engine and shows the first run, or says why not."""
    try:
        runs = cache.engine().submit(plans)
    except (LenetError, ValueError) as error:
        st.html(markup.warning(str(error)))
        return
    show(runs[0], plans[0].sweep)


def show(run: Run, sweep: str = "") -> None:
    """Turns the page to a run."""
    links.remember("run", run.name)
    links.remember("sweep", sweep)
    st.rerun()


def _sweep(chosen: state.Choice, recipe: Recipe) -> None:
    """A grid of knobs times seeds, as one submission."""
    knobs = st.multiselect(
        "Knobs to vary", [name for name in KNOBS if name != "seed"], ["activation", "pooling"],
        format_func=_LABELS.__getitem__, key="sweep_knobs", max_selections=4,
    )  # fmt: skip
    grid = {name: _values_to_vary(KNOBS[name], settings(recipe)) for name in knobs}
    seeds = int(st.number_input("Seeds", 1, 10, 3, key="sweep_seeds", help="How often each is trained anew."))
    try:
        recipes = expand(recipe, grid, range(seeds))
    except ValueError as error:
        st.html(markup.warning(str(error)))
        return
    if st.button(f"Train {len(recipes)} runs", icon=":material/play_arrow:", key="train_sweep"):
        name = secrets.token_hex(4)
        submit([_plan(chosen, one, name) for one in recipes])


def _values_to_vary(knob: Knob, own: Mapping[str, str]) -> list[str]:
    """The values of one knob in a sweep, as texts; at first the recipe's own and another."""
    text = own[knob.name]
    if knob.kind == "table":
        texts = tables_for(own["channels"].split(","), own)
    else:
        texts = texts_of(knob, text) if knob.named else list(knob.choices)
    if texts:
        first = [text, *(one for one in texts if one != text)][:2]
        words = partial(named, knob) if knob.named else str
        return list(st.multiselect(knob.label, texts, first, format_func=words, key=f"sweep.{knob.name}"))
    label = f"{knob.label}, apart by '{knob.between}'"
    said = st.text_input(label, text, key=f"sweep.{knob.name}", help=knob.help, max_chars=400)
    return [value.strip() for value in said.split(knob.between)]


def _code(recipe: Recipe) -> None:
    """The recipe as a script of its own."""
    with st.expander("As PyTorch code", icon=":material/code:"):
        from lenet_core.codegen import to_script

        script = to_script(recipe)
        st.download_button(
            "Download", script, f"{recipe.name}.py", "text/x-python", key="script", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip
        st.code(script, language="python", height=420)
