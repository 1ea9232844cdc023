"""Accuracy, confusion and intervals by hand; one image's answer, and the layers' outputs from many threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from math import exp

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lenet_core.activations import activations
from lenet_core.architecture import Architecture, ledger
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.classify import Answer, classify
from lenet_core.data import DataSet, load, to_input
from lenet_core.evaluate import Evaluation, evaluate, predict
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.presets import preset

LENETS = ("lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern")
TINY = Architecture("tiny", (1, 1, 2), (), (), num_classes=3)


def tiny_net() -> nn.Sequential:
    """Class 0 where the left pixel is brighter, 1 where the right one is, 2 where both are dark."""
    net = build(TINY, seed=0)
    output = net.get_submodule("output")
    assert isinstance(output, nn.Linear)
    output.weight.data = torch.tensor([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    output.bias.data = torch.tensor([0.0, 0.0, 1.0])
    return net


def tiny_data(pixels: list[tuple[int, int]], labels: list[int]) -> DataSet:
    images = torch.tensor(pixels, dtype=torch.uint8).reshape(-1, 1, 1, 2)
    return DataSet("tiny", "three kinds of two pixels", images, torch.tensor(labels), ("left", "right", "none"))


PIXELS = [(255, 0), (200, 100), (0, 255), (10, 10), (0, 0), (255, 0)]
ANSWERS = [0, 0, 1, 2, 2, 0]
LABELS = [0, 1, 1, 2, 0, 0]  # the second and the fifth are answered wrongly


# --- evaluation --------------------------------------------------------------------------------


def test_accuracy_and_confusion_by_hand() -> None:
    result = evaluate(tiny_net(), tiny_data(PIXELS, LABELS), (1, 1, 2))
    assert (result.images, result.correct) == (6, 4)
    assert result.accuracy == pytest.approx(4 / 6)
    # Rows are the true classes, columns the answers.
    assert result.confusion == [[2, 0, 1], [1, 1, 0], [0, 0, 1]]
    assert result.data == "three kinds of two pixels"


def test_logits_come_in_order_across_batches() -> None:
    repeated = torch.tensor(PIXELS * 300, dtype=torch.uint8).reshape(-1, 1, 1, 2)
    batches = list(predict(tiny_net(), repeated, (1, 1, 2)))
    assert len(batches) > 1
    assert torch.cat(batches).argmax(1).tolist() == ANSWERS * 300
    expected = torch.tensor([4.0, 0.0, 1.0])
    torch.testing.assert_close(torch.cat(batches)[0], expected)


def test_classes_that_the_network_does_not_name_have_their_place_in_the_confusion() -> None:
    wide = build(TINY.replace(num_classes=5), seed=0)
    output = wide.get_submodule("output")
    nn.init.zeros_(output.weight)
    output.bias.data = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0])
    result = evaluate(wide, tiny_data(PIXELS, LABELS), (1, 1, 2))
    assert [row[4] for row in result.confusion] == [3, 2, 1, 0, 0]
    assert result.correct == 0


def test_the_network_is_asked_in_evaluation_mode_and_given_back_as_it_was() -> None:
    arch = preset("lenet-modern").replace(dropout=0.5)
    net = build(arch, seed=0).train()
    test = load("mnist-5k", train=False)
    first, second = evaluate(net, test, (1, 28, 28)), evaluate(net, test, (1, 28, 28))
    assert first == second
    assert net.training
    assert all(layer.training for layer in net)
    net.eval()
    assert evaluate(net, test, (1, 28, 28)) == first
    assert not net.training


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, 1998,
    # Table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_newcombes_published_ones(correct: int, images: int, low: float, high: float) -> None:
    assert Evaluation("", images, correct, [], [], [], None).interval == pytest.approx((low, high), abs=5e-5)


def test_an_interval_stays_within_0_and_1_and_is_symmetric() -> None:
    all_right, none_right = (
        Evaluation("", 20, 20, [], [], [], None).interval,
        Evaluation("", 20, 0, [], [], [], None).interval,
    )
    assert all_right == pytest.approx((1 - none_right[1], 1 - none_right[0]))
    assert none_right[0] == pytest.approx(0, abs=1e-12)
    assert all_right[1] <= 1 + 1e-12


def test_images_that_do_not_fit_are_a_value_error() -> None:
    colour = DataSet("x", "x", torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ("a",))
    with pytest.raises(ValueError, match="channels"):
        evaluate(build(preset("lenet-modern", input_channels=2), seed=0), colour, (2, 28, 28))


# --- one image ---------------------------------------------------------------------------------


def test_an_answer_by_hand() -> None:
    checkpoint = Checkpoint(TINY, tiny_net().eval(), ("left", "right"))
    answer = classify(checkpoint, np.array([[51, 255]], dtype=np.uint8))
    weights = [exp(0.8), exp(4), exp(1)]
    assert answer.probabilities.tolist() == pytest.approx([weight / sum(weights) for weight in weights])
    assert answer.ranking == [1, 2, 0]
    assert answer.label == 1
    assert [answer.name(label) for label in range(3)] == ["left", "right", "2"]
    assert answer.layers["output"].tolist() == pytest.approx([0.8, 4, 1])
    assert answer.layers["image"].ravel().tolist() == pytest.approx([0.2, 1])


def test_equal_probabilities_are_ranked_by_class() -> None:
    answer = Answer(np.array([0.2, 0.3, 0.2, 0.3], dtype=np.float32), (), {})
    assert answer.ranking == [1, 3, 0, 2]


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_probabilities_sum_to_1_and_fall_along_the_ranking(name: str) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    for image in load("mnist-5k", train=False).images[::100, 0].numpy():
        answer = classify(checkpoint, image)
        assert answer.probabilities.dtype == np.float32
        assert answer.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert answer.probabilities.min() >= 0
        ranked = answer.probabilities[answer.ranking]
        assert (np.diff(ranked) <= 0).all()
        assert sorted(answer.ranking) == list(range(10))
        assert answer.label == int(answer.probabilities.argmax())


@pytest.mark.parametrize("name", LENETS)
def test_layers_are_named_and_shaped_as_in_the_ledger(name: str) -> None:
    arch = preset(name)
    answer = classify(Checkpoint(arch, build(arch, seed=0).eval(), ()), np.zeros((28, 28), dtype=np.uint8))
    rows = ledger(arch)
    plain = [layer for layer in answer.layers if layer != "image" and not layer.endswith("_act")]
    assert plain == [row["name"] for row in rows]
    for row in rows:
        assert list(answer.layers[row["name"]].shape) == row["output_shape"]
        assert (f"{row['name']}_act" in answer.layers) == (row["activation"] is not None)
    assert answer.layers["image"].shape == arch.input_shape


def test_colour_images_are_taken_with_their_channels_last() -> None:
    arch = preset("alexnet-cifar").replace(channels=(4,) * 5, dense=(8,))
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[3, 5] = (255, 51, 0)
    answer = classify(Checkpoint(arch, build(arch, seed=0).eval(), ()), image)
    assert answer.layers["image"][:, 3, 5].tolist() == pytest.approx([1, 0.2, 0])
    assert answer.layers["image"].sum() == pytest.approx(1.2)


def test_the_image_that_was_asked_about_is_left_alone() -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet5-1998"])
    image = load("mnist-5k", train=False).images[0, 0].numpy()
    image.flags.writeable = False
    before = image.copy()
    classify(checkpoint, image)
    assert np.array_equal(image, before)


# --- activations -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LENETS)
def test_the_last_activation_is_the_networks_own_output(name: str) -> None:
    arch = preset(name)
    net = build(arch, seed=0).eval()
    images = torch.rand(3, *arch.input_shape, generator=torch.Generator().manual_seed(0))
    outputs = activations(net, images)
    assert list(outputs) == [layer for layer, _ in net.named_children()]
    assert torch.equal(outputs["output"], net(images))
    first = net.get_submodule("input")(images) if name == "lenet5-1998" else images
    assert torch.equal(outputs["c1"], net.get_submodule("c1")(first))


@pytest.mark.parametrize("name", ["lenet5-1998", "lenet-modern"])
def test_eight_threads_that_ask_one_network_at_once_get_their_own_answers(name: str) -> None:
    arch = preset(name)
    net = build(arch, seed=0).eval()
    images = to_input(load("mnist-5k", train=False).images[::5], arch.input_shape)
    expected = [activations(net, image[None]) for image in images]
    together = threading.Barrier(8)

    def ask(thread: int) -> list[tuple[int, dict[str, Tensor]]]:
        together.wait(30)
        return [(index, activations(net, images[index][None])) for index in range(thread, len(images), 8)]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for part in pool.map(ask, range(8)) for answer in part]
    assert len(answers) == 200
    for index, outputs in answers:
        for layer, output in outputs.items():
            assert torch.equal(output, expected[index][layer]), (index, layer)
