"""Where a network looks: what each pixel of one picture says for or against a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lenet_core.bounds import check_choice, check_number

METHODS: dict[str, str] = {
    "occlusion": "Covers the picture with an empty patch, place by place, and notes how far the class's logit falls.",
    "saliency": "The slope of the class's logit: what it would gain if a pixel were a little brighter.",
    "input x gradient": "That slope times the pixel's own brightness: what its light adds, as far as the slope holds.",
    "integrated gradients": (
        "The slopes met on the way from an empty picture to this one, times what each pixel changed: "
        "shares that add up to what the picture did to the class's logit."
    ),
}

# On the way. Of the logit's change on 40 real digits, lenet-modern left up to 6.7 % unshared with 50 steps, 3.3 % with
# 100 and 2.0 % with 200; lenet5-1998 19 %, 1.4 % and 0.002 %. For AlexNet 100 take 5 s.
_STEPS = 100
_BATCH = 16  # images at once; more are hardly faster (alexnet-cifar a tenth, with 200) and take more memory


@dataclass(frozen=True)
class Attribution:
    """What each pixel says for a class: `values` (H, W) float32 in logits, the channels summed.

    Saliency's are logits per unit of brightness. Positive speaks for the class, negative against it. `logit` is
    the class's own, `says` one sentence on how to read the values. `window` is the patch that occlusion moved: its
    side and its stride in pixels. `missing` is what the values of integrated gradients lack, in logits, of the sum
    they should have (completeness, Sundararajan et al. 2017, section 3). Both are None for other methods.
    """

    method: str
    label: int
    values: NDArray[np.float32]
    logit: float
    says: str
    window: tuple[int, int] | None = None
    missing: float | None = None


def attribute(
    net: nn.Sequential,
    image: Tensor,
    label: int,
    method: str,
    *,
    background: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Attribution:
    """The share of each pixel of `image` in the network's logit for class `label`.

    `image` (C, H, W) is float from 0 to 1, in the network's own input form and on its device. `net` should
    be in evaluation mode; it is only read, so that any number of threads can ask it at once. `background`,
    from 0 to 1, is what an empty pixel holds: 0, bare paper, unless told, and 0.5, grey, for pictures of
    several channels. `progress` is called with the fraction done, after each batch of images.

    Occlusion is Zeiler and Fergus 2014, section 4.2, saliency Simonyan et al. 2014, section 3, input x
    gradient Shrikumar et al. 2016, integrated gradients Sundararajan et al. 2017, equation 1.

    Raises:
        ValueError: there is no such method or class, or the image is of another shape or type.
    """
    check_choice("The method", method, tuple(METHODS))
    if image.ndim != 3 or not image.is_floating_point():
        raise ValueError(f"An image is floats (C, H, W), not {image.dtype} of shape {tuple(image.shape)}.")
    if background is None:
        background = 0.0 if len(image) == 1 else 0.5
    check_number("The background", background, 0, 1, whole=False)
    with torch.no_grad():
        logits = net(image[None])[0]
    check_number("The class", label, 0, len(logits) - 1)
    # The logit and not the probability: softmax is flat where the network is sure, and it mixes in what a
    # pixel says of the other classes. An RBF output's logit is minus the squared distance to the class's
    # code, so there positive means "brings the picture nearer to it".
    ask = _Ask(net, image, label, background, float(logits[label]), progress)
    if method == "occlusion":
        return ask.occlusion()
    if method == "integrated gradients":
        return ask.integrated_gradients()
    return ask.saliency() if method == "saliency" else ask.input_x_gradient()


def patch_of(height: int, width: int) -> tuple[int, int]:
    """The side and the stride, in pixels, of the patch for a picture of that size.

    A seventh of the longer side, as 4 pixels of 28, and half of that: a square picture has at most 256 places for it.
    """
    side = min(height, width, max(1, round(max(height, width) / 7)))
    return side, -(-side // 2)


@dataclass(frozen=True)
class _Ask:
    """One question, put to captum. Its methods used here set no hooks, and take gradients of the image alone.

    captum is imported where it is needed, because it brings matplotlib: 0.35 s and 34 MB that no other page wants.
    """

    net: nn.Sequential
    image: Tensor
    label: int
    background: float
    logit: float
    progress: Callable[[float], None] | None

    def occlusion(self) -> Attribution:
        from captum.attr import Occlusion

        channels, height, width = self.image.shape
        side, stride = patch_of(height, width)
        places = [-(-(length - side) // stride) + 1 for length in (height, width)]
        values = Occlusion(self._counted(places[0] * places[1] + 1)).attribute(
            self._inputs(),
            sliding_window_shapes=(channels, side, side),
            strides=(channels, stride, stride),
            baselines=self.background,
            target=self.label,
            perturbations_per_eval=_BATCH,
        )
        says = (
            f"How far the logit, {self.logit:.2f}, falls when a patch of {side} x {side} pixels covers a pixel: "
            f"the mean of all patches over it, which stand {stride} apart."
        )
        return self._attribution("occlusion", values, says, window=(side, stride))

    def saliency(self) -> Attribution:
        from captum.attr import Saliency

        # Signed and summed over the channels: what a pixel's whole light says. The paper shows the largest
        # absolute value among the channels, in which for and against look alike.
        values = Saliency(self._counted(1)).attribute(self._inputs(), target=self.label, abs=False)
        says = f"What the logit, {self.logit:.2f}, gains for each unit of brightness that a pixel gains, at the start."
        return self._attribution("saliency", values, says)

    def input_x_gradient(self) -> Attribution:
        from captum.attr import InputXGradient

        values = InputXGradient(self._counted(1)).attribute(self._inputs(), target=self.label)
        says = f"What a pixel's light adds to the logit, {self.logit:.2f}, if the slope holds; black adds none."
        return self._attribution("input x gradient", values, says)

    def integrated_gradients(self) -> Attribution:
        from captum.attr import IntegratedGradients

        values, gap = IntegratedGradients(self._counted(_STEPS + 2)).attribute(
            self._inputs(),
            baselines=self.background,
            target=self.label,
            n_steps=_STEPS,
            internal_batch_size=_BATCH,
            return_convergence_delta=True,
        )
        total, missing = float(values.detach().sum()), -float(gap)
        says = (
            f"The values sum to {total:.2f}: the picture's logit, {self.logit:.2f}, less that of an empty one, "
            f"{self.logit - total - missing:.2f}, but for {abs(missing):.2g}."
        )
        return self._attribution("integrated gradients", values, says, missing=missing)

    def _inputs(self) -> Tensor:
        return self.image.detach().clone()[None].requires_grad_()  # a copy, for captum changes requires_grad

    def _counted(self, images: int) -> Callable[[Tensor], Tensor]:
        """The network, telling `progress` what part of all `images` it has seen."""
        seen = 0

        def forward(batch: Tensor) -> Tensor:
            nonlocal seen
            logits: Tensor = self.net(batch)
            seen += len(batch)
            if self.progress:
                self.progress(seen / images)
            return logits

        return forward

    def _attribution(
        self,
        method: str,
        values: Tensor,
        says: str,
        window: tuple[int, int] | None = None,
        missing: float | None = None,
    ) -> Attribution:
        shares = values.detach()[0].sum(0).cpu().numpy()
        return Attribution(method, self.label, shares, self.logit, says, window, missing)
