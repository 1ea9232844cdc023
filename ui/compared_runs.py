"""Which runs are compared: those that the address names, or the newest; and which of them differ by the seed alone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lenet_core.bounds import shorten
from lenet_core.knobs import KNOBS, settings
from lenet_core.library import run_folder
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run
from lenet_core.sweeps import title
from ui import links
from ui.shown import is_sound, own_runs

MOST = 12
_MOST_OFFERED = 120
_FIRST_SHOWN = 4  # of runs that belong to no sweep
# Okabe and Ito's colours, then three of Paul Tol's, safe for colour-blind eyes and seen on light and on dark.
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#aa4499", "#999933", "#44aa99", "#cc6677", "#ddaa33", "#8c8c8c",
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """A run with its plan, which never changes and is read once."""

    run: Run
    plan: Plan

    @property
    def name(self) -> str:
        """The run's."""
        return self.run.name

    @property
    def seed(self) -> int:
        """What chance started from."""
        return self.plan.recipe.seed

    @property
    def changes(self) -> list[str]:
        """What differs from the recipe it was made from, apart from the seed, each in a few words."""
        base = RECIPES.get(self.plan.base)
        if base is None:
            return []
        said = title(base, dataclasses.replace(self.plan.recipe, seed=base.seed))
        return [] if said == "unchanged" else said.split(", ")

    @property
    def like_published(self) -> bool:
        """Whether it learned from the data of its recipe, so that what was published for that can be held against it.

        Other knobs may be turned: what that does is what one wants to see.
        """
        base = RECIPES.get(self.plan.base)
        return base is not None and base.data == self.plan.recipe.data

    @property
    def title(self) -> str:
        """The recipe and what differs from it, without the seed."""
        return ": ".join([self.plan.recipe.name, *([", ".join(self.changes)] if self.changes else [])])

    @property
    def label(self) -> str:
        """The title with the seed."""
        return f"{self.title}, seed {self.seed}"


@dataclass(frozen=True)
class Group:
    """Runs that differ by the seed alone, the lowest seed first, and their colour (#rrggbb) on this page."""

    members: tuple[Compared, ...]
    colour: str

    @property
    def first(self) -> Compared:
        """The one with the lowest seed."""
        return self.members[0]

    @property
    def title(self) -> str:
        """What they have in common, and how many they are; of one seed there may be several."""
        if len(self.members) == 1:
            return self.first.label
        seeds = {one.seed for one in self.members}
        said = f"{len(seeds)} seeds" if len(seeds) == len(self.members) else f"{len(self.members)} runs"
        return f"{self.first.title}, {said}"


def groups(compared: Iterable[Compared]) -> list[Group]:
    """The runs in groups, that of the oldest run first, so that a new one changes no other's colour."""
    found: dict[object, list[Compared]] = {}
    for one in sorted(compared, key=lambda one: one.plan.created):
        found.setdefault((one.plan.base, dataclasses.replace(one.plan.recipe, seed=0)), []).append(one)
    return [
        Group(tuple(sorted(members, key=lambda one: one.seed)), _COLOURS[number % len(_COLOURS)])
        for number, members in enumerate(found.values())
    ]


def offered() -> dict[str, Compared]:
    """The visitor's own runs and those of the command line, by name, the newest first."""
    return {run.name: Compared(run, run.plan) for run in own_runs(_MOST_OFFERED)}


def asked(own: dict[str, Compared]) -> tuple[list[Compared], list[str]]:
    """The runs that the address names, anybody's, or else the newest; and a line for each name of none."""
    names = list(dict.fromkeys(filter(None, links.asked("runs").split(","))))
    if not names:
        return newest(list(own.values())), []
    found, problems = [], []
    for name in names[:MOST]:
        if name in own:
            found.append(own[name])
        elif (folder := run_folder(name)) is not None and is_sound(run := Run(folder)):
            found.append(Compared(run, run.plan))
        else:
            problems.append(f"There is no run {shorten(name)}: it may have been deleted.")
    if len(names) > MOST:
        problems.append(f"The link names {len(names):,} runs; at most {MOST} are compared, so these are the first.")
    return found, problems


def newest(own: Sequence[Compared]) -> list[Compared]:
    """The newest run's sweep, or all its seeds, or where it has neither the newest few."""
    if not own:
        return []
    sweep = own[0].plan.sweep
    if sweep:
        return [one for one in own if one.plan.sweep == sweep][:MOST]
    seeds = next(group for group in groups(own) if own[0] in group.members).members
    return list(seeds[:MOST] if len(seeds) > 1 else own[:_FIRST_SHOWN])


def sets(own: Sequence[Compared]) -> dict[str, list[Compared]]:
    """What one may want to see together, by a title: each sweep, and all seeds of one recipe; the newest first."""
    sweeps: dict[str, list[Compared]] = {}
    for one in own:
        if one.plan.sweep:
            sweeps.setdefault(one.plan.sweep, []).append(one)
    found = {_sweep_title(name, runs): runs for name, runs in sweeps.items() if len(runs) > 1}
    for group in reversed(groups(own)):
        if len(group.members) > 1:
            found[group.title] = list(group.members)
    return {f"{name} (the first {MOST})" if len(runs) > MOST else name: runs[:MOST] for name, runs in found.items()}


def _sweep_title(sweep: str, runs: Sequence[Compared]) -> str:
    stands = [settings(one.plan.recipe) for one in runs]
    varying = [KNOBS[name].label.lower() for name in KNOBS if len({one[name] for one in stands}) > 1]
    names = " and ".join(dict.fromkeys(one.plan.recipe.name for one in runs))
    if len(names) > 60:
        names = f"{len({one.plan.recipe.name for one in runs})} recipes"
    said = ", ".join(varying) if len(varying) < 5 else f"{len(varying)} knobs"
    return f"Sweep {sweep[:12]}: {names} by {said or 'nothing'}, {len(runs)} runs"


def labels(compared: Iterable[Compared]) -> dict[str, str]:
    """Each run's label by its name; with the name where two have the same."""
    known = {one.name: one.label for one in compared}
    often = Counter(known.values())
    return {name: label if often[label] == 1 else f"{label} ({name})" for name, label in known.items()}
