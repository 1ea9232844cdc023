"""Inside the shown run: what its network looks like now or did at any kept moment, and its result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lenet_core.errors import LenetError
from lenet_core.history import History
from lenet_core.runs import Plan, Run
from ui import cache, markup, markup_training, state
from ui.drawn import digit_of
from ui.galleries import Gallery, class_name, read_gallery, shown_picture
from ui.networks import own_colour
from ui.shown import ACTIVE, history_of, newest_network, shown_run

if TYPE_CHECKING:
    from lenet_core.checkpoint import Checkpoint

_VIEWS = ("Kernels", "Feature maps", "Gradients", "Confusion", "Worst", "Predictions")
_DRAWING = "your drawing"
_OFFERED_ONNX = "pip install -r requirements-onnx.txt"


def inside() -> None:
    """Everything below the chart: the look inside, and once it is over the result."""
    run = shown_run()
    if run is None:
        return
    status, last = run.look()
    if status == "finished":
        _result(run, last)
    elif status not in ACTIVE and run.file("model").exists():
        _downloads(run)
    if status == "waiting" or not run.checkpoints():
        if given_up := run.given_up:
            st.caption(f"What it looked like inside is no longer kept: {given_up} were given up to make room.")
        return
    st.subheader("Inside the network", anchor=False)
    live = status in ("starting", "running")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        view = st.segmented_control(
            "What to look at", _VIEWS, default=_VIEWS[0], required=True, key="view", label_visibility="collapsed"
        )
        follow = live and st.toggle("Follow", True, key="follow", help="Looks anew every second while it trains.")
    st.fragment(_inside, run_every=1.0 if follow else None)(run, run.plan, str(view), live)


def _inside(run: Run, plan: Plan, view: str, live: bool) -> None:
    history = history_of(run)
    if view == "Gradients":
        _gradients(run, history)
    elif view == "Confusion":
        _confusion(history)
    elif view == "Worst":
        _worst(run, history)
    else:
        path = _moment(run, history, live)
        if path is None:
            return
        try:
            network = cache.moment(path)
        except LenetError as error:  # a training that went wrong leaves weights that are no numbers
            st.html(markup.empty("This moment cannot be shown", f"Slide to an earlier one. ({error})"))
            return
        show = {"Kernels": _kernels, "Feature maps": _feature_maps, "Predictions": _predictions}[view]
        show(run, network)
        if view == "Feature maps":
            _over_training(run, history)


def _moment(run: Run, history: History, live: bool) -> Path | None:
    """The network to look at: as it is now while it trains, else at the moment that the slider names."""
    kept = run.checkpoints()
    newest = newest_network(run)
    if live:
        return newest or next(reversed(kept.values()), None)
    if len(kept) < 2:
        return newest
    per_epoch = history.steps_per_epoch
    step = st.select_slider(
        "Slide through the training", list(kept), max(kept), key=f"moment.{run.name}",
        format_func=lambda step: f"step {step:,} (epoch {step / per_epoch:.2f})",
    )  # fmt: skip
    return kept[step]


def _kernels(run: Run, network: Checkpoint) -> None:
    """The first layer's kernels."""
    first = next((layer for layer in network.architecture.layers if layer.kind == "convolution"), None)
    if first is None:
        st.html(markup.empty("No kernels", "This network has no convolution."))
        return
    weight = network.net.state_dict()[f"{first.name}.weight"].numpy()
    says = (
        "The weights of each kernel of the first layer: red adds, blue takes away. At the start they are noise; "
        "edges and strokes appear as it learns."
    )
    kernels = weight.reshape(-1, *weight.shape[-2:])[:96]
    st.html(markup.maps(first.name.upper(), kernels, 96 if len(kernels) <= 8 else 56, says, signed=True))


def _chosen_image(run: Run, network: Checkpoint) -> tuple[NDArray[np.uint8], str] | None:
    """The image to follow, and the name of its class."""
    examples = read_gallery(run.file("examples"))
    if examples is None:
        return None
    first = _first_of_each(examples)
    names = {class_name(network.classes, label): index for label, index in first.items()}
    drawing = digit_of(state.last_drawing())
    options = [*names, *([_DRAWING] if drawing is not None else [])]
    name = st.pills(
        "Image", options, default=options[0], required=True, key=f"image.{run.name}", format_func=markup.literal
    )  # fmt: skip
    if name == _DRAWING and drawing is not None:
        return drawing.image, _DRAWING
    name = name if name in names else options[0]
    return examples.picture(names[name]), name


def _first_of_each(examples: Gallery) -> dict[int, int]:
    """The first example of each class that there is: label to index."""
    first = {int(label): index for index, label in reversed(list(enumerate(examples.labels)))}
    return dict(sorted(first.items()))


def _feature_maps(run: Run, network: Checkpoint) -> None:
    """What the convolutions make of one image, and what the network answers."""
    from lenet_core.classify import classify

    chosen = _chosen_image(run, network)
    if chosen is None:
        return
    image, name = chosen
    answer = classify(network, image)
    left, *others = st.columns([2, 3, 3], gap="medium")
    with left:
        st.html(markup.figure(shown_picture(image), f"The image: {name}", 112))
        st.html(markup.bars(answer, own_colour(run.name)))
    layers = [layer.name for layer in network.architecture.layers if layer.kind == "convolution"]
    for layer, column, side in zip(layers, others, (96, 64), strict=False):
        with column:
            values = answer.layers.get(f"{layer}_act", answer.layers[layer])
            st.html(markup.maps(layer.upper(), values[:32], side, f"{layer.upper()}: what each kernel finds in it."))


def _over_training(run: Run, history: History) -> None:
    """The probability of the chosen image's own class at every kept moment."""
    from lenet_core.classify import classify
    from ui.inner_charts import probability_figure

    kept = run.checkpoints()
    examples = read_gallery(run.file("examples"))
    name = state.widget(f"image.{run.name}")
    classes = tuple(history.started.get("classes", ()))
    if len(kept) < 2 or examples is None or name not in classes:
        return
    label = classes.index(name)
    index = _first_of_each(examples)[label]
    epochs = [step / history.steps_per_epoch for step in kept]
    try:
        values = [
            float(classify(cache.moment(path), examples.picture(index)).probabilities[label]) for path in kept.values()
        ]
    except LenetError:  # a checkpoint that is being written; the next look finds it
        return
    figure = probability_figure(epochs, values, name, own_colour(run.name))
    st.plotly_chart(figure, key="probability", height=220, config={"displayModeBar": False})


def _predictions(run: Run, network: Checkpoint) -> None:
    """A grid of held-out images with what the network says of each."""
    from lenet_core.classify import classify

    examples = read_gallery(run.file("examples"))
    if examples is None:
        return
    answers = [classify(network, examples.picture(index)) for index in range(len(examples.labels))]
    says = "Sixteen images that it does not learn from, and what it says of each by now."
    st.html(
        markup_training.gallery(
            [shown_picture(examples.picture(index)) for index in range(len(answers))],
            [class_name(network.classes, int(label)) for label in examples.labels],
            [(answer.name(answer.label), float(answer.probabilities.max())) for answer in answers],
            says,
            columns=4,
        )
    )


def _mistakes(gallery: Gallery, classes: tuple[str, ...], most: int, says: str) -> None:
    assert gallery.probabilities is not None
    best = gallery.probabilities.argmax(1)[:most]
    shown = range(min(most, len(gallery.labels)))
    st.html(
        markup_training.gallery(
            [shown_picture(gallery.picture(index)) for index in shown],
            [class_name(classes, int(gallery.labels[index])) for index in shown],
            [
                (class_name(classes, int(best[index])), float(gallery.probabilities[index, best[index]]))
                for index in shown
            ],
            says,
            columns=4 if most == 16 else 6,
        )
    )


def _worst(run: Run, history: History) -> None:
    """The held-out images whose own class got the least probability in the last epoch."""
    gallery = read_gallery(run.file("worst"))
    if gallery is None:
        st.html(markup.empty("Not yet", "After the first epoch stand here the held-out images it is worst at."))
        return
    says = (
        "The sixteen held-out images it is worst at, after the last epoch: their own class got the least probability."
    )
    _mistakes(gallery, tuple(history.started.get("classes", ())), 16, says)


def _confusion(history: History) -> None:
    ended = [event for event in history.epochs if "confusion" in event]
    if not ended:
        st.html(markup.empty("Not yet", "After the first epoch stands here what it confuses with what."))
        return
    st.caption(f"The held-out images after epoch {ended[-1]['epoch']}.")
    confusion = ended[-1]["confusion"]
    st.html(markup_training.confusion(confusion, _classes(history, len(confusion))))


def _gradients(run: Run, history: History) -> None:
    """How large each layer's gradient is, and how much of it has gone flat."""
    from ui.components.stream_chart import stream_chart
    from ui.inner_charts import layers_figure

    if not history.layers:
        st.html(markup.empty("Not yet", "After the first second stand here the size of each layer's gradient."))
        return
    st.caption(_GRADIENTS_SAY)
    figure = layers_figure(
        [event["step"] / history.steps_per_epoch for event in history.layers],
        [event["layers"]["gradient"] for event in history.layers],
        [event["layers"]["saturation"] for event in history.layers],
    )
    alt = "The gradient's norm and the share of flat units of each layer over the epochs"
    stream_chart(figure, run=f"{run.name} layers", height=430, alt=alt, key="layers_chart")


_GRADIENTS_SAY = (
    "Above, the length of each layer's gradient: where it is tiny, the layer hardly learns. Below, the share of its "
    "units where the activation is flat, so that no gradient passes (a sigmoid near 0 or 1, a ReLU at 0)."
)


_CHANCE = (
    "That is no better than guessing: it has learned nothing. Look at the gradients below; another learning rate, "
    "activation or initialisation may end it."
)


def _result(run: Run, last: dict[str, Any]) -> None:
    """What the test images say, once, at the end."""
    classes = _classes(history_of(run), len(last["confusion"]))
    low, high = last["interval"]
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.html(markup_training.result(last["test"], low, high, last["correct"], last["images"], own_colour(run.name)))
    with right:
        st.caption(
            "The test images were asked this once, when the training was over; validation, above, is a held-out part "
            "of the training images."
        )
        _downloads(run)
    if low <= 1 / len(classes):
        st.html(markup.warning(_CHANCE))
    with st.expander("Confusion on the test images"):
        st.html(markup_training.confusion(last["confusion"], classes))
    gallery = read_gallery(run.file("mistakes"))
    if gallery is not None:
        with st.expander("Its worst mistakes among the test images"):
            says = "The test images whose own class got the least probability."
            _mistakes(gallery, classes, 48, says)


def _classes(history: History, count: int) -> tuple[str, ...]:
    """The names of `count` classes; their numbers where the run's events have lost the line that names them."""
    return tuple(history.started.get("classes") or map(str, range(count)))


def _downloads(run: Run) -> None:
    path = run.file("model")
    with st.container(horizontal=True, gap="small", key="downloads"):
        st.download_button(
            "Network", path.read_bytes, f"{run.name}.safetensors", key="download", on_click="ignore",
            icon=":material/download:", help="Weights and architecture as safetensors, to bring back later.",
        )  # fmt: skip
        st.download_button(
            "ONNX", lambda: _onnx(path), f"{run.name}.onnx", key="download_onnx", on_click="ignore",
            icon=":material/download:", disabled=not _has_onnx(),
            help="For other programs; onnxruntime gives the same answers." if _has_onnx() else _OFFERED_ONNX,
        )  # fmt: skip


def _has_onnx() -> bool:
    import importlib.util

    return importlib.util.find_spec("onnx") is not None


def _onnx(path: Path) -> bytes:
    from lenet_core.export import to_onnx

    return to_onnx(cache.moment(path))
