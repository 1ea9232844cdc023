"""From the histories of runs to the lines of a comparison, each run's own or a mean over seeds with its band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenet_core.history import History
from lenet_core.published import read_published
from ui.charts import smooth
from ui.compare_charts import Kind, Line
from ui.compared_runs import Compared, Group
from ui.curves import loss_points, published, training_points, validation_points
from ui.shown import ACTIVE, history_of

AXES = {"epoch": "epochs", "step": "steps", "seconds": "seconds of training"}
_GRID = 300  # points of a mean over a whole training
_DASHES = ("solid", "dot", "dashdot")  # by turns, for the seeds of a group; dashes alone are for what was published
Places = NDArray[np.float64]
Points = tuple[Sequence[float], Sequence[float]]  # epochs and the values after them


@dataclass(frozen=True)
class Overlay:
    """The lines of both charts, and where their horizontal axis ends."""

    losses: list[Line]
    accuracies: list[Line]
    end: float


def overlay(groups: Sequence[Group], axis: str, grouped: bool, smoothing: float) -> Overlay:
    """Everything that the charts show of the groups along one of `AXES`, a mean for each group or every run.

    Raises:
        DataError: a file of what was published is damaged.
    """
    found = Overlay([], [], max((_end(one, axis) for group in groups for one in group.members), default=1.0) or 1.0)
    told: set[str] = set()  # what was published is drawn once, whatever was made of the recipe
    for group in groups:
        if group.first.plan.base not in told and group.first.like_published:
            told.add(group.first.plan.base)
            _add_published(found, group, axis)
    for group in groups:
        if grouped and len(group.members) > 1:
            _add_mean(found, group, axis, smoothing)
        else:
            for number, one in enumerate(group.members):
                _add_run(found, one, group.colour, _DASHES[number % len(_DASHES)], axis, smoothing)
    return found


def places(history: History, epochs: Sequence[float] | Places, axis: str) -> Places:
    """Where so many epochs of a training lie along one of `AXES`."""
    at = np.asarray(epochs, dtype=np.float64)
    if axis == "step":
        return at * history.steps_per_epoch
    return _seconds(history, at) if axis == "seconds" else at


def _seconds(history: History, at: Places) -> Places:
    """Seconds of training, even within an epoch; beyond the last one that has ended, at the pace of now."""
    ends, times = [0.0], [0.0]
    for event in history.epochs:
        ends.append(float(event["epoch"]))
        times.append(times[-1] + event.get("seconds", 0.0))
    pace = history.now.get("images_per_second", 0)
    an_epoch = history.started.get("images", 0) / pace if pace else 0.0
    return np.interp(at, ends, times) + np.maximum(at - ends[-1], 0) * an_epoch


def _end(one: Compared, axis: str) -> float:
    """How far it will go, or went, if it ended early."""
    history = history_of(one.run)
    reached = history.step / history.steps_per_epoch
    whole = one.plan.recipe.epochs if one.run.status in ACTIVE or not reached else reached
    return float(places(history, [whole], axis)[0])


def _loss(history: History, smoothing: float) -> Points:
    epochs, losses, _ = loss_points(history)
    return epochs, smooth(losses, smoothing)


def _test(history: History) -> Points:
    last = history.last
    return ([history.step / history.steps_per_epoch], [last["test"]]) if last.get("kind") == "finished" else ([], [])


def _kinds(smoothing: float) -> dict[Kind, Callable[[History], Points]]:
    """How each kind of line is read from a history."""
    return {
        "loss": lambda history: _loss(history, smoothing),
        "training": training_points,
        "validation": validation_points,
        "test": _test,
    }


_SAID = {"loss": "", "training": ", training", "validation": ", validation", "test": ", test"}


def _add(found: Overlay, line: Line) -> None:
    (found.losses if line.kind == "loss" else found.accuracies).append(line)


def _add_run(found: Overlay, one: Compared, colour: str, dash: str, axis: str, smoothing: float) -> None:
    history = history_of(one.run)
    for kind, read in _kinds(smoothing).items():
        epochs, values = read(history)
        if len(values):
            at = places(history, epochs, axis).tolist()
            _add(found, Line(one.label + _SAID[kind], colour, kind, at, values, dash=dash))


def _add_mean(found: Overlay, group: Group, axis: str, smoothing: float) -> None:
    histories = [history_of(one.run) for one in group.members]
    for kind, read in _kinds(smoothing).items():
        curves = [points for points in map(read, histories) if len(points[1])]
        if not curves:
            continue
        if kind in ("loss", "training"):
            grid = np.linspace(0, group.first.plan.recipe.epochs, _GRID + 1)
        else:
            grid = np.array(sorted({epoch for epochs, _ in curves for epoch in epochs}))
        epochs, mean, low, high = mean_and_band(curves, grid)
        at = np.mean([places(history, epochs, axis) for history in histories], axis=0).tolist()
        band = ([], []) if kind == "training" else (low, high)
        name = f"{group.first.title}{_SAID[kind]}, mean of {len(curves)}"
        _add(found, Line(name, group.colour, kind, at, mean, *band))


def mean_and_band(curves: Sequence[Points], grid: Places) -> tuple[Places, list[float], list[float], list[float]]:
    """The mean, least and greatest value of several curves at the places of a grid that any of them reaches.

    Between its points a curve is a straight line; before its first and after its last it does not count.
    """
    at = np.stack([np.interp(grid, xs, ys, left=np.nan, right=np.nan) for xs, ys in curves])
    known = np.isfinite(at).any(axis=0)
    at = at[:, known]
    mean, low, high = (one(at, axis=0).tolist() for one in (np.nanmean, np.nanmin, np.nanmax))
    return grid[known], mean, low, high


def _add_published(found: Overlay, group: Group, axis: str) -> None:
    """What was published for the group's recipe: a curve, or a level; dashed, in the group's colour."""
    plan = group.first.plan
    curves = published(plan)
    if axis != "seconds":  # nobody published any
        for curve in curves:
            at = places(history_of(group.first.run), curve.epochs, axis).tolist()
            found.accuracies.append(Line(curve.name, group.colour, "published", at, curve.values))
    told = read_published(plan.base)
    for value in () if told is None else told.values:
        if value.what == "test" and curves and axis != "seconds":
            continue  # the curve ends there
        name = f"published: {value.text}{', training' if value.what == 'train' else ''}, {value.name}"
        line = Line(name, group.colour, "published", [0.0, found.end], [value.value] * 2)
        (found.losses if value.what == "loss" else found.accuracies).append(line)
