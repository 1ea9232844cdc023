"""Fragments of HTML for the preprocessing: what leaving a step out costs, and the pictures between pen and network."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenet_core.preprocess import BOX_SIZE, CENTRE, FIELD_SIZE, Digit, centre_of_mass
from lenet_core.steps import STEPS
from lenet_core.strokes import FIELD, LONGER_SIDE, PEN
from ui.markup import ink_picture, percent, pixels
from ui.pictures import INK, Scale, ramp_css

if TYPE_CHECKING:  # they import PyTorch, which a page does not wait for
    from lenet_core.ablation import StepCosts
    from lenet_core.classify import Answer

# The pictures in their order, each with the steps that it shows. The browser's part has the same (steps.js).
PICTURES = {
    "Inked": ("width",),
    "Cropped": ("crop",),
    "Shrunk": ("fit", "antialias"),
    "Placed": ("centre",),
    "Fed": ("polarity", "scale"),
}
_NOTICED = 0.0005  # of the test images: less than what is shown


def worth(title: str, costs: StepCosts) -> str:
    """What the bars under it mean, and which step matters most to the network called `title`."""
    most = _most(costs)
    return (
        f'<p class="lp-worth" data-testid="steps-worth"><b>{escape(STEPS[most].title)}</b> matters most to '
        f"{escape(title)}: without it, it reads {_accuracy(costs.without[most])} instead of "
        f"{_accuracy(costs.accuracy)} of {costs.images:,} test images of {escape(costs.data)}, enlarged and laid "
        'anywhere on the canvas.<br><span class="lp-quiet">Bars: percentage points lost when that step alone is left '
        "out. After the arrow: what is still read.</span></p>"
    )


def unknown(title: str, why: str) -> str:
    """What stands there for a network called `title` whose costs are not stored."""
    return f'<p class="lp-worth" data-testid="steps-worth"><b>{escape(title)}</b>: {escape(why)}</p>'


def cost(name: str, costs: StepCosts, colour: str) -> str:
    """What leaving the step of that name out costs: a bar on a scale of 100 points, and the numbers."""
    points = costs.cost(name)
    most = " lp-most" if name == _most(costs) else ""
    return (
        f'<div class="lp-step-cost{most}" data-step="{name}" style="--net:{colour}">'
        f'<span class="lp-track" aria-hidden="true"><span style="width:{100 * max(points, 0):.2f}%"></span></span>'
        f'<b>{_points(points)}</b><span class="lp-quiet">→ {_accuracy(costs.without[name])}</span></div>'
    )


def does(name: str, is_left_out: bool) -> str:
    """What a step does, or what happens without it."""
    if is_left_out:
        return f'<p class="lp-step-does lp-left-out"><b>Left out.</b> {escape(STEPS[name].without)}</p>'
    return f'<p class="lp-step-does">{escape(STEPS[name].does)}</p>'


def _most(costs: StepCosts) -> str:
    return max(STEPS, key=costs.cost)


def _accuracy(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _points(cost: float) -> str:
    """A loss of accuracy in percentage points; a gain has a plus."""
    if abs(cost) < _NOTICED:
        return "no difference"
    return f"{'−' if cost > 0 else '+'}{100 * abs(cost):.1f} points"


def pictures(digit: Digit, fed: NDArray[np.float32], pen: float, without: Collection[str]) -> str:
    """The pictures between the pen and the network.

    `fed` (height, width) is what goes into it, in its own numbers; `pen` the canvas's own, in pixels of `digit.ink`.
    """
    left, top, right, bottom = digit.box
    shown: dict[str, NDArray[np.float32]] = {
        "Inked": digit.ink,
        "Cropped": digit.ink[top:bottom, left:right],
        "Shrunk": digit.fitted,
        "Placed": (_placed(digit, without) / 255).astype(np.float32),
        "Fed": (fed / _top(without)).astype(np.float32),
    }
    says = captions(digit, fed.shape, pen, without)
    figures = "".join(_figure(name, picture, says[name], without) for name, picture in shown.items())
    return f'<div class="lp-inspected">{figures}</div>'


def _figure(name: str, picture: NDArray[np.float32], caption: str, without: Collection[str]) -> str:
    missing = [STEPS[step].title for step in PICTURES[name] if step in without]
    mark = f'<span class="lp-left-out"><b>Left out: {escape(", ".join(missing))}</b></span>' if missing else ""
    return (
        f'<figure class="lp-figure"><b>{name}</b>{pixels(ink_picture(picture), f"{name}: {caption}", 150)}'
        f"{_ramp(without) if name == 'Fed' else ''}<figcaption>{mark} <span>{escape(caption)}</span></figcaption>"
        "</figure>"
    )


def _ramp(without: Collection[str]) -> str:
    ramp = ramp_css(Scale(0.0, 1.0, INK))
    return (
        f'<div class="lp-scale"><span>0</span><span class="lp-ramp" style="background:{ramp}"></span>'
        f"<span>{_top(without)}</span></div>"
    )


def _top(without: Collection[str]) -> int:
    """What full ink, or bright paper, is fed as."""
    return 255 if "scale" in without else 1


def _placed(digit: Digit, without: Collection[str]) -> NDArray[np.uint8]:
    """The image before its polarity, which is the last step."""
    return 255 - digit.image if "polarity" in without else digit.image


def captions(digit: Digit, fed: tuple[int, ...], pen: float, without: Collection[str]) -> dict[str, str]:
    """What each picture says now, by its name.

    `fed` is (height, width) of what goes into the network; `pen` the canvas's own, in pixels of `digit.ink`.
    """
    left, top, right, bottom = digit.box
    height, width = digit.fitted.shape
    row, column = centre_of_mass(_placed(digit, without).astype(np.float32))
    across = f"{fed[1]} x {fed[0]}"
    return {
        "Inked": _pen(max(right - left, bottom - top), pen, without),
        "Cropped": (
            f"Nothing is cut off: all {FIELD} x {FIELD}."
            if "crop" in without
            else f"To the ink: {right - left} x {bottom - top} of {FIELD} x {FIELD}."
        ),
        "Shrunk": (
            f"To {width} x {height}, the longer side {FIELD_SIZE if 'fit' in without else BOX_SIZE}. Each pixel is "
            f"{'one point: ink or none' if 'antialias' in without else 'the mean of what it covers'}."
        ),
        "Placed": (
            f"Into {FIELD_SIZE} x {FIELD_SIZE}, centred by its {'box' if 'centre' in without else 'mass'}. "
            f"The mass lies at row {row:.1f}, column {column:.1f}; the middle is {CENTRE:.0f}."
        ),
        "Fed": f"{across} numbers from 0 to {_top(without)}, {'paper' if 'polarity' in without else 'ink'} bright.",
    }


def _pen(longer: int, pen: float, without: Collection[str]) -> str:
    """How wide the pen is; `longer` is the longer side of the ink's box, which the pen has made wider."""
    if "width" not in without:
        return f"A pen of {100 * PEN / LONGER_SIDE:.1f} % of the drawing's length, about MNIST's."
    return f"The canvas's own pen: {100 * pen / max(longer - pen, 1):.0f} % of the drawing's length."


def answers(title: str, colour: str, now: Answer, complete: Answer) -> str:
    """What the network called `title` answers as the steps stand, beside its answer with all steps on."""
    return (
        f'<div class="lp-verdicts" style="--net:{colour}">{_verdict(f"{title}, as set", now)}'
        f"{_verdict('With all steps on', complete)}</div>"
    )


def _verdict(heading: str, answer: Answer) -> str:
    name = escape(answer.name(answer.label))
    return (
        f'<div><span class="lp-quiet">{escape(heading)}</span>'
        f"<span><b>{name}</b> {percent(float(answer.probabilities.max()))}</span></div>"
    )
