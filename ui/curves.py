"""From a run's history to the chart of its training."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lenet_core.history import History
from lenet_core.published import read_published
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run
from ui.charts import Curve, smooth, thin, training_figure
from ui.networks import own_colour
from ui.shown import history_of, run_title

_MOST_POINTS = 1200  # of the loss on the chart


def run_figure(run: Run, plan: Plan, history: History, ghosts: Sequence[Run]) -> go.Figure:
    """Loss and accuracy of a run, before those of earlier runs and what was published for its recipe."""
    colour = own_colour(run.name)
    epochs, losses, size = loss_points(history)
    raw = "loss of each step" if size == 1 else f"loss, means of {size}"
    ghost_losses, ghost_accuracies = [], []
    for ghost in ghosts:
        past, name = history_of(ghost), run_title(ghost.plan)
        ghost_losses.append(Curve(name, colour, *_smoothed(past)))
        ghost_accuracies.append(Curve(name, colour, *validation_points(past)))
    return training_figure(
        [Curve(raw, colour, epochs, losses), Curve("smoothed", colour, *_smoothed(history))],
        [
            Curve("training", "#e69f00", *training_points(history)),
            Curve("validation", "#009e73", *validation_points(history)),
        ],
        ghost_losses,
        ghost_accuracies,
        published(plan),
        plan.recipe.epochs,
    )


def spoken(history: History) -> str:
    """The chart's latest numbers, for those who do not see it."""
    ended = history.epochs[-1] if history.epochs else None
    if ended is None:
        return "no epoch is over yet"
    held_out = f", validation accuracy {ended['validation']:.1%}" if "validation" in ended else ""
    return f"after epoch {ended['epoch']} loss {ended['loss']:.3f}, training accuracy {ended['accuracy']:.1%}{held_out}"


def loss_points(history: History) -> tuple[list[float], list[float], int]:
    """The loss over the epochs, as many points as a chart needs, and how many steps each is the mean of."""
    losses, size = thin(history.losses, _MOST_POINTS)
    steps, _ = thin(history.steps, _MOST_POINTS)
    return [step / history.steps_per_epoch for step in steps], losses, size


def _smoothed(history: History) -> tuple[list[float], list[float]]:
    epochs, losses, _ = loss_points(history)
    return epochs, smooth(losses, 0.95)


def training_points(history: History) -> tuple[list[float], list[float]]:
    """The training accuracy (fractions, smoothed) over the epochs."""
    accuracies, _ = thin(history.accuracies, _MOST_POINTS)
    ticks, _ = thin(history.ticks, _MOST_POINTS)
    return [tick / history.steps_per_epoch for tick in ticks], smooth(accuracies, 0.7)


def validation_points(history: History) -> tuple[list[float], list[float]]:
    """The validation accuracy (fractions) after each epoch; empty where no images are held out."""
    ended = [event for event in history.epochs if "validation" in event]
    return [float(event["epoch"]) for event in ended], [event["validation"] for event in ended]


def published(plan: Plan) -> list[Curve]:
    """The published curve of the run's recipe, where there is one and the data are the same.

    Other knobs may be turned: what that does is what one wants to see.
    """
    if plan.base not in RECIPES or plan.recipe.data != RECIPES[plan.base].data:
        return []
    found = read_published(plan.base)
    if found is None or found.curve is None:
        return []
    curve = found.curve
    return [Curve(f"published: {curve.name}", "", curve.epochs, curve.accuracies)]
