"""An input range for each channel: described, checked, built, saved, and walked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lenet_core.architecture import Architecture
from lenet_core.by_hand import by_hand, forward
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.layers import build
from lenet_core.presets import preset

PLAIN = preset("lenet-modern", input_channels=3).replace(channels=(3, 5), dense=(16,))
RANGES = ((-1, 1), (0.0, 2.0), (0.5, -3.5))
COLOURED = PLAIN.replace(input_range=RANGES)


def test_each_channel_gets_its_own_ends() -> None:
    rescale = build(COLOURED, seed=0).get_submodule("input")
    grey = torch.tensor([0.0, 0.5, 1.0]).expand(2, 3, 1, 3)  # two images of 1x3 in three channels
    expected = [[[-1.0, 0.0, 1.0]], [[0.0, 1.0, 2.0]], [[0.5, -1.5, -3.5]]]
    assert rescale(grey).tolist() == [expected, expected]


def test_equal_ranges_are_one_range() -> None:
    images = torch.rand(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    each, one = (build(PLAIN.replace(input_range=ends), seed=1) for ends in (((-0.1, 1.175),) * 3, (-0.1, 1.175)))
    torch.testing.assert_close(each(images), one(images))


def test_the_ends_are_no_weights() -> None:
    assert list(build(COLOURED).state_dict()) == list(build(PLAIN).state_dict())
    assert COLOURED.parameters == PLAIN.parameters


def test_the_description_survives_json() -> None:
    text = json.dumps(COLOURED.to_dict())
    again = Architecture.from_dict(json.loads(text))
    assert again == COLOURED
    assert again.input_range == RANGES
    assert again.replace(dense=(20,)).input_range == RANGES


def test_a_checkpoint_answers_as_before(tmp_path: Path) -> None:
    net = build(COLOURED, seed=2).eval()
    save_checkpoint(tmp_path / "coloured.safetensors", Checkpoint(COLOURED, net, tuple("0123456789")))
    again = load_checkpoint(tmp_path / "coloured.safetensors")
    images = torch.rand(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again.net(images), net(images))
        assert not torch.allclose(net(images), build(PLAIN, seed=2)(images), rtol=0.01)


def test_the_pass_by_hand_takes_it() -> None:
    net = build(COLOURED, seed=3)
    images = torch.rand(4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    logits, _ = forward(by_hand(net), images)
    torch.testing.assert_close(logits, net(images).detach())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_range": RANGES[:2]}, ("2 pairs", "3 channels", "(low, high)")),
        ({"input_range": (*RANGES, (0, 1))}, ("4 pairs", "3 channels")),
        ({"input_shape": (1, 28, 28)}, ("3 pairs", "1 channels", "(low, high)")),
        ({"input_range": ((0, 1), (0, 1), (0, 1, 2))}, ("input_range", "(0, 1, 2)")),
        ({"input_range": ((0, 1), (0, 1), 2)}, ("input_range", "not 2")),
        ({"input_range": (0, (0, 1))}, ("input_range", "(0, 1)")),
        ({"input_range": ((0, 1), (0, 1), (0, float("nan")))}, ("input_range", "nan")),
        ({"input_range": ((0, 1), (0, 1001), (0, 1))}, ("input_range", "1,000", "1001")),
        ({"input_range": ((0, 1), (0, 1), ((0, 1), (0, 1)))}, ("input_range", "(0, 1)")),
        ({"input_range": ()}, ("input_range", "()")),
        ({"input_range": "wide"}, ("input_range", "wide")),
        ({"input_range": [[0, 1]] * 3}, ("input_range", "[[0, 1]")),
    ],
)
def test_a_wrong_range_is_refused_with_its_numbers(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        COLOURED.replace(**changes)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message
