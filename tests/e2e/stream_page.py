"""A page with nothing but the streaming chart, for the browser test: a made-up training that learns as one looks."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import streamlit as st

from ui.charts import Curve, smooth, thin, training_figure
from ui.components.stream_chart import stream_chart

EPOCHS, STEPS, MOST = 10, 40, 300  # epochs in all, steps an epoch, points of a curve on the page
BLUE, ORANGE = "#0072b2", "#d55e00"


def curves(steps: int, late: float) -> tuple[list[Curve], list[Curve]]:
    """Loss and accuracy after so many steps; `late` shifts them, so that two runs differ."""
    every = [(step + 1) / STEPS for step in range(steps)]
    losses = [
        2.3 * math.exp(-epoch / (1 + late)) + 0.02 + 0.06 * late + 0.01 * math.sin(37 * epoch * STEPS)
        for epoch in every
    ]
    epochs, loss = thin(every, MOST)[0], thin(losses, MOST)[0]
    ends = [float(end + 1) for end in range(steps // STEPS)]
    right = [0.995 - 0.3 * math.exp(-end / (1 + late)) for end in ends]
    return (
        [Curve("loss of a batch", BLUE, epochs, loss), Curve("loss, smoothed", BLUE, epochs, smooth(loss))],
        [
            Curve("training accuracy", BLUE, ends, right),
            Curve("validation accuracy", ORANGE, ends, [value - 0.006 for value in right]),
        ],
    )


st.set_page_config(layout="wide")
run = st.segmented_control("Run", ["first", "second"], default="first", required=True)
started = st.session_state.setdefault(f"started {run}", time.monotonic())


earlier = [0.3, 0.6, 0.9][: 3 if st.button("Another earlier run") else 2]


@st.fragment(run_every=0.5)
def watch() -> None:
    steps = min(60 + int(20 * (time.monotonic() - started)), EPOCHS * STEPS)
    loss, accuracy = curves(steps, late=0.0 if run == "first" else 1.0)
    past = [curves(EPOCHS * STEPS, late) for late in earlier]
    ghosts_loss = [replace(one[0][1], name=f"run {number}") for number, one in enumerate(past, 7)]
    ghosts_accuracy = [replace(one[1][1], name=f"run {number}") for number, one in enumerate(past, 7)]
    published = [Curve("LeCun et al. 1998", "", [1, 4, 7, 10], [0.95, 0.985, 0.9895, 0.9905])]
    figure = training_figure(loss, accuracy, ghosts_loss, ghosts_accuracy, published, EPOCHS)
    stream_chart(figure, run=str(run), height=520, alt=f"Loss and accuracy of the {run} run", key="chart")
    st.caption(f"{steps} steps")


if st.toggle("Shown", value=True):
    watch()
