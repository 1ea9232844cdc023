"""The left half of the Train page: a recipe, its knobs, the ledger of what they make, and the Train button."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lenet_core.architecture import ledger
from lenet_core.bounds import MAX_DEPTH
from lenet_core.data_sets import DATA_SETS
from lenet_core.errors import LenetError
from lenet_core.knobs import KNOBS, Knob, differences, from_link, settings, to_link, turn
from lenet_core.library import data_dir
from lenet_core.presets import PRESETS, preset, preset_source
from lenet_core.recipes import RECIPES, Recipe, recipe_named
from lenet_core.runs import Plan, Run
from lenet_core.sweeps import expand, parse_grid
from ui import cache, links, markup, markup_training, state
from ui.shown import ACTIVE, own_runs

_DEVICE = "device"
_OTHER_PARAMETERS = ("run", "sweep", _DEVICE)  # of the page's address, beside the knobs
_GROUPS = {"network": "Network", "data": "Data", "training": "Training", "augmentation": "Augmentation"}
# Of each convolution: its label, and what a new one starts with.
_CONVOLUTION = {"channels": ("channels", 16), "kernels": ("kernel", 3), "padding": ("padding", 1), "pool": ("pool", 0)}
_STEPS = {
    "learning_rate": 0.001, "share": 0.1, "validation": 0.05, "dropout": 0.1, "label_smoothing": 0.05,
    "momentum": 0.1, "weight_decay": 0.0005, "rotation": 5.0, "shift": 1.0,
}  # fmt: skip
_DIGITS_ONLY = ("slashed_zeros", "crossed_sevens", "flagged_ones")


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
        turned = _knobs(chosen, base)
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
    wanted = to_link(base, recipe)
    for name in ("recipe", *KNOBS):
        links.remember(name, wanted.get(name, ""), "")


def _knobs(chosen: state.Choice, base: Recipe) -> dict[str, str]:
    """Every knob as a widget; what they say, by the knob's name."""
    start = state.kept_settings(chosen)
    said: dict[str, str] = {}
    for tab, group in zip(st.tabs(list(_GROUPS.values())), _GROUPS, strict=True):
        with tab:
            if group == "network":
                said |= _layers(chosen, start)
            knobs = [knob for knob in KNOBS.values() if knob.group == group and knob.name not in said]
            data = said.get("data", start["data"])
            if group == "augmentation" and not data.startswith("mnist"):
                knobs = [knob for knob in knobs if knob.name not in _DIGITS_ONLY]
            for row in range(0, len(knobs), 2):
                for column, knob in zip(st.columns(2), knobs[row : row + 2], strict=False):
                    with column:
                        said[knob.name] = _widget(knob, _key(chosen, knob.name), start[knob.name])
            if group == "data":
                _data_note(said["data"])
            if group == "training":
                _device()
    return said


def _key(chosen: state.Choice, name: str) -> str:
    return f"knob.{chosen.version}.{name}"


def _widget(knob: Knob, key: str, start: str) -> str:
    """One knob; what it says, as text."""
    if knob.kind == "choice":
        index = knob.choices.index(start)
        return str(st.selectbox(knob.label, knob.choices, index=index, key=key, help=knob.help))
    assert knob.low is not None
    assert knob.high is not None
    if knob.kind == "whole":
        whole = st.number_input(
            knob.label, int(knob.low), min(int(knob.high), 2**53 - 1), int(start), key=key, help=knob.help
        )
        return str(whole)
    value = st.number_input(
        knob.label, float(knob.low), float(knob.high), float(start), step=_STEPS.get(knob.name, 0.1),
        format="%.5g", key=key, help=knob.help,
    )  # fmt: skip
    return f"{value:.10g}"


def _layers(chosen: state.Choice, start: Mapping[str, str]) -> dict[str, str]:
    """How many layers there are, and a row of numbers for each convolution and for the dense ones."""
    lists = {name: _numbers(start[name]) for name in (*_CONVOLUTION, "dense")}
    counts = []
    for name, label, column in zip(("channels", "dense"), ("Convolutions", "Dense layers"), st.columns(2), strict=True):
        with column:
            counts.append(
                st.number_input(
                    label, 0, MAX_DEPTH, len(lists[name]), key=_key(chosen, f"{name}.count"), help=KNOBS[name].help
                )
            )
    said: dict[str, list[str]] = {name: [] for name in lists}
    for index in range(int(counts[0])):
        with st.container(horizontal=True, gap="xsmall", key=f"convolution_{index}"):
            for name, (label, fresh) in _CONVOLUTION.items():
                said[name].append(_number(chosen, name, f"{label} {index + 1}", index, lists[name], fresh))
    with st.container(horizontal=True, gap="xsmall"):
        for index in range(int(counts[1])):
            said["dense"].append(_number(chosen, "dense", f"units {index + 1}", index, lists["dense"], 84))
    return {name: ",".join(values) for name, values in said.items()}


def _number(chosen: state.Choice, name: str, label: str, index: int, known: list[int], fresh: int) -> str:
    """One number of a list knob: as it stood, or `fresh` for a layer that is new."""
    knob = KNOBS[name]
    value = known[index] if index < len(known) else fresh
    help_text = knob.help if index == 0 else None
    return str(
        st.number_input(
            label,
            int(knob.low or 0),
            int(knob.high or 0),
            value,
            key=_key(chosen, f"{name}.{index}"),
            help=help_text,
            width=98,
        )
    )


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")] if text else []


def _data_note(name: str) -> None:
    """Whether the data are here, and what comes if not."""
    info = DATA_SETS[name]
    size = f"{info.train_size:,} training and {info.test_size:,} test images"
    if info.place and not (data_dir() / info.place).is_dir():
        st.caption(
            f"{info.title}: {size}. Not on this machine yet: they are downloaded when the training starts "
            f"({_DOWNLOADS[name]} MB). The sample mnist-5k needs no network."
        )
    else:
        st.caption(f"{info.title}: {size}.")
    st.caption(
        "Validation is a held-out part of the training images, to watch and to choose by. The test images are asked "
        "once, at the very end."
    )


_DOWNLOADS = {"mnist": 12, "fashion-mnist": 31, "cifar10": 170}


def _device() -> None:
    choices = ("auto", "cpu", "cuda", "mps")
    device = st.selectbox(
        "Device", choices, index=choices.index(links.wanted(_DEVICE, choices, "auto")), key=_DEVICE,
        help="auto takes the machine's GPU if PyTorch can use it, otherwise the CPU.",
    )  # fmt: skip
    links.remember(_DEVICE, device, "auto")


def _summary(chosen: state.Choice, base: Recipe, recipe: Recipe) -> None:
    """What the knobs make, in a line, and what differs from the recipe."""
    arch = recipe.architecture
    multiply_adds = sum(layer.multiply_adds for layer in arch.layers)
    st.html(markup_training.in_a_line(arch.parameters, multiply_adds, recipe.epochs, recipe.data))
    changed = differences(base, recipe)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(markup_training.what_differs(chosen.base, changed, _LABELS))
        if changed:
            st.button(
                "Reset", icon=":material/restart_alt:", type="tertiary", on_click=_start_from,
                args=(chosen, chosen.base), help="Sets all knobs back to the recipe.",
            )  # fmt: skip


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
    device = state.widget(_DEVICE) or "auto"
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
    texts = []
    for name in knobs:
        knob = KNOBS[name]
        if knob.kind == "choice":
            own = settings(recipe)[name]
            first = [own, *(one for one in knob.choices if one != own)][:2]
            values: list[str] = st.multiselect(knob.label, knob.choices, first, key=f"sweep.{name}")
        else:
            apart = ";" if knob.kind == "list" else ","
            text = st.text_input(
                f"{knob.label}, apart by '{apart}'",
                settings(recipe)[name],
                key=f"sweep.{name}",
                help=knob.help,
                max_chars=400,
            )
            values = text.split(apart)
        texts.append(f"{name}=" + (";" if knob.kind == "list" else ",").join(values))
    seeds = int(st.number_input("Seeds", 1, 10, 3, key="sweep_seeds", help="How often each is trained anew."))
    try:
        recipes = expand(recipe, parse_grid(texts), range(seeds))
    except ValueError as error:
        st.html(markup.warning(str(error)))
        return
    if st.button(f"Train {len(recipes)} runs", icon=":material/play_arrow:", key="train_sweep"):
        name = secrets.token_hex(4)
        submit([_plan(chosen, one, name) for one in recipes])


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
