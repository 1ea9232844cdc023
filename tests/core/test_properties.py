"""What holds for every network that can be described, on networks by chance; and what cannot be is refused.

Every property has a short form for CI and a full one, marked slow.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_core import knobs
from lenet_core.activations import activations
from lenet_core.architecture import Architecture
from lenet_core.by_hand import backward, by_hand, forward
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.codegen import to_script
from lenet_core.layers import TableConv2d, build
from lenet_core.layout import Conv, Layer
from lenet_core.portable import to_portable
from lenet_core.recipes import RECIPES
from lenet_core.summary import reads, summary
from tests.core.strategies import Broken, architectures, broken_descriptions

Case = TypeVar("Case")

KINDS = {
    "rescale", "convolution", "activation", "average-pool", "max-pool", "subsampling", "response-normalisation",
    "flatten", "dense", "dropout", "rbf",
}  # fmt: skip
SHORT, FULL = 120, 5_000
MODERN = RECIPES["lenet-modern"]

EVERY = tuple(range(200))  # maps, three digits each in a file
LARGEST_TABLE = Architecture(
    "wired", (1, 1, 1), (Conv(200, 1, pool=0), Conv(200, 1, pool=0, table=(EVERY,) * 200)), (), num_classes=2
)

short_and_full = pytest.mark.parametrize(
    "examples", [pytest.param(SHORT, id="short"), pytest.param(FULL, id="full", marks=pytest.mark.slow)]
)


def for_all(strategy: SearchStrategy[Case], examples: int, holds: Callable[[Case], None], *always: Case) -> None:
    """Fails with the smallest case found for which `holds` raises; the short form takes the same cases every time."""
    test = given(strategy)(holds)
    for case in always:
        test = example(case)(test)
    settings(
        max_examples=examples,
        derandomize=examples < FULL,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no reason to fail
    )(test)()


def images_for(arch: Architecture, count: int = 3) -> Tensor:
    """Images (count, channels, height, width) of values from 0 to 1."""
    return torch.rand(count, *arch.input_shape, generator=torch.Generator().manual_seed(0))


def untrained(arch: Architecture) -> Checkpoint:
    """The network as it starts, in evaluation mode."""
    return Checkpoint(arch, build(arch, seed=0).eval(), tuple(map(str, range(arch.num_classes))))


# --- it answers and learns ---------------------------------------------------------------------


def answers_and_learns(arch: Architecture) -> None:
    """Fails unless the network gives finite logits, and each of its parameters a finite gradient."""
    net, images = build(arch, seed=0), images_for(arch)
    with torch.inference_mode():
        logits = net.eval()(images)
    assert logits.shape == (len(images), arch.num_classes)
    assert logits.isfinite().all()
    if arch.parameters:
        labels = torch.arange(len(images)) % arch.num_classes
        F.cross_entropy(net.train()(images), labels).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@short_and_full
def test_a_possible_network_answers_and_learns(examples: int) -> None:
    kinds: Counter[str] = Counter()

    def holds(arch: Architecture) -> None:
        kinds.update({layer.kind for layer in arch.layers})
        kinds["table"] += any(conv.table is not None for conv in arch.convs)
        kinds["groups"] += any(conv.groups > 1 for conv in arch.convs)
        answers_and_learns(arch)

    for_all(architectures(), examples, holds)
    print(f"{examples} networks: {dict(kinds.most_common())}")
    assert set(kinds) == {*KINDS, "table", "groups"}
    assert min(kinds.values()) >= examples // 40


@short_and_full
def test_a_possible_network_learns_by_hand_as_by_pytorch(examples: int) -> None:
    def holds(arch: Architecture) -> None:
        net, images = build(arch, seed=0).double().eval(), images_for(arch).double()
        if not arch.parameters:
            return
        labels = torch.arange(len(images)) % arch.num_classes
        expected = torch.autograd.grad(F.cross_entropy(net(images), labels), list(net.parameters()))
        logits, pullbacks = forward(by_hand(net), images)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits.requires_grad_(), labels), logits)
        backward(pullbacks, gradient)
        for (name, parameter), right in zip(net.named_parameters(), expected, strict=True):
            assert parameter.grad is not None, name
            assert (parameter.grad - right).abs().max() <= 1e-9 * (1 + right.abs().max()), name

    for_all(architectures(), examples, holds)


# --- it is kept --------------------------------------------------------------------------------


@short_and_full
def test_a_possible_network_is_saved_and_loaded(examples: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"

    def holds(arch: Architecture) -> None:
        training = {"recipe": {"architecture": arch.to_dict()}}  # as a run writes it
        checkpoint, images = dataclasses.replace(untrained(arch), training=training), images_for(arch)
        save_checkpoint(path, checkpoint)
        again = load_checkpoint(path)
        assert (again.architecture, again.classes) == (arch, checkpoint.classes)
        assert again.training == json.loads(json.dumps(training))
        with torch.inference_mode():
            assert torch.equal(again.net(images), checkpoint.net(images))

    for_all(architectures(), examples, holds, LARGEST_TABLE)


def test_a_table_that_no_file_could_hold_is_refused() -> None:
    first, second = LARGEST_TABLE.convs
    table = (*(second.table or ()), EVERY)
    with pytest.raises(ValueError, match=r"c3: .* 40,200 pairs .* 40,000"):
        LARGEST_TABLE.replace(convs=(first, dataclasses.replace(second, channels=201, table=table)))


@short_and_full
def test_a_possible_network_comes_back_from_its_description(examples: int) -> None:
    def holds(arch: Architecture) -> None:
        again = Architecture.from_dict(json.loads(json.dumps(arch.to_dict())))
        assert again == arch
        assert again.layers == arch.layers
        assert again.replace() == arch

    for_all(architectures(), examples, holds)


# --- it is what its ledger says ----------------------------------------------------------------


def bare(layer: Layer, module: nn.Module) -> tuple[nn.Module, tuple[int, ...]]:
    """A copy of which every weight and bias is 1 and which pads nothing, and the shape of its padded input."""
    module = copy.deepcopy(module).double()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    shape, padding = layer.input_shape, layer.options.get("padding", 0)
    if isinstance(module, nn.Conv2d):
        module.padding = (0, 0)
    elif isinstance(module, TableConv2d):
        module.padding = 0
    return module, (shape[0], *(side + 2 * padding for side in shape[1:]))


def counted(layer: Layer, module: Any) -> tuple[int, int]:
    """The connections and the multiply-adds of a layer, counted on what its module does.

    Where all inputs are 1, the gradient of the outputs' sum for a weight says how many numbers it was multiplied with.
    """
    if layer.kind == "rbf":
        return module.codes.numel(), module.codes.numel()
    ones = torch.ones(1, *bare(layer, module)[1], dtype=torch.float64)
    if layer.kind.endswith("-pool"):
        return int(F.unfold(ones, module.kernel_size, stride=module.stride).sum()), 0
    if not layer.parameters:
        return 0, 0
    module = bare(layer, module)[0]
    outputs = module(ones)
    outputs.sum().backward()
    read, biases = int(module.weight.grad.sum()), int(module.bias.grad.sum())
    return read + biases, outputs.numel() if layer.kind == "subsampling" else read


def wires(layer: Layer, module: nn.Module) -> Any:
    """Which maps before it each map of a convolution hears, (maps before, its own maps); one speaks at a time."""
    module, shape = bare(layer, module)
    inputs = torch.eye(shape[0], dtype=torch.float64)[:, :, None, None].expand(-1, -1, *shape[1:])
    with torch.inference_mode():
        return (module(inputs) > 1).flatten(2).any(2).numpy()  # 1 is the bias alone


@short_and_full
def test_a_possible_network_is_what_its_ledger_says(examples: int) -> None:
    def holds(arch: Architecture) -> None:
        net, images = build(arch, seed=0).eval(), images_for(arch)
        outputs = activations(net, images)
        assert list(outputs) == [layer.name for layer in arch.layers]
        given_on = 0
        shape: tuple[int, ...] = arch.input_shape
        for layer in arch.layers:
            module = net.get_submodule(layer.name)
            assert layer.input_shape == shape, layer.name
            shape = layer.output_shape
            assert outputs[layer.name].shape == (len(images), *layer.output_shape), layer.name
            assert sum(parameter.numel() for parameter in module.parameters()) == layer.parameters, layer.name
            assert counted(layer, module) == (layer.connections, layer.multiply_adds), layer.name
            if layer.kind == "convolution":
                assert np.array_equal(reads(layer), wires(layer, module)), layer.name
            if layer.kind not in ("rescale", "activation", "dropout", "flatten"):
                given_on += outputs[layer.name][0].numel()
        told = summary(arch)
        assert told.parameters == arch.parameters == sum(parameter.numel() for parameter in net.parameters())
        assert told.depth == sum(any(True for _ in module.parameters()) for module in net)
        assert told.values == given_on
        assert told.multiply_adds == sum(layer.multiply_adds for layer in arch.layers)

    for_all(architectures(), examples, holds)


# --- it travels --------------------------------------------------------------------------------


@short_and_full
def test_a_possible_network_goes_through_its_knobs_and_through_a_link(examples: int) -> None:
    def turned(arch: Architecture) -> None:
        recipe = dataclasses.replace(MODERN, architecture=arch)
        texts = knobs.settings(recipe)
        if len(texts["input_range"]) > knobs.MAX_TEXT:
            with pytest.raises(ValueError, match=r"input_range takes at most"):
                knobs.turn(recipe, texts)
        else:
            assert knobs.turn(recipe, texts) == recipe

    def linked(arch: Architecture) -> None:
        recipe = dataclasses.replace(MODERN, architecture=arch, reference="")
        name, again, problems = knobs.from_link(knobs.to_link("lenet-modern", recipe))
        assert (name, problems) == ("lenet-modern", [])
        assert knobs.settings(again) == knobs.settings(recipe)
        assert again.architecture.layers == sorted_tables(arch).layers

    for_all(architectures(min_classes=10), examples, turned)
    for_all(architectures(linkable=True), examples, linked)


def sorted_tables(arch: Architecture) -> Architecture:
    """The same network, each row of its tables in order."""
    return arch.replace(
        convs=tuple(
            dataclasses.replace(conv, table=conv.table and tuple(tuple(sorted(row)) for row in conv.table))
            for conv in arch.convs
        )
    )


@short_and_full
def test_a_possible_networks_script_builds_it(examples: int) -> None:
    def holds(arch: Architecture) -> None:
        recipe = dataclasses.replace(MODERN, architecture=arch, data="mnist-5k", seed=3)
        if not arch.parameters:
            with pytest.raises(ValueError, match="no parameters"):
                to_script(recipe)
            return
        parts: dict[str, Any] = {"__name__": "script"}
        exec(compile(to_script(recipe), "script.py", "exec", dont_inherit=True), parts)
        own, theirs = build(arch, seed=3).eval(), parts["build"]().eval()
        assert str(theirs) == str(own)
        with torch.inference_mode():
            assert torch.equal(theirs(images_for(arch)), own(images_for(arch)))

    for_all(architectures(min_classes=10), examples, holds)


@short_and_full
def test_a_possible_network_goes_to_the_browser_whole(examples: int) -> None:
    def holds(arch: Architecture) -> None:
        checkpoint = untrained(arch)
        portable = to_portable(checkpoint)
        assert json.loads(json.dumps(portable.description)) == portable.description
        weights, end = np.frombuffer(portable.weights, "<f4"), 0
        for layer, told in zip(arch.layers, portable.description["layers"], strict=True):
            assert (told["name"], told["kind"]) == (layer.name, layer.kind)
            assert (told["inputShape"], told["outputShape"]) == ([*layer.input_shape], [*layer.output_shape])
            for tensor in told["tensors"]:
                assert tensor["offset"] == end
                end += prod(tensor["shape"])
                found = torch.tensor(weights[tensor["offset"] : end]).reshape(tensor["shape"])
                assert torch.equal(found, getattr(checkpoint.net.get_submodule(layer.name), tensor["name"]))
        assert end == len(weights)
        assert end == arch.parameters + sum(layer.connections for layer in arch.layers if layer.kind == "rbf")

    for_all(architectures(), examples, holds)


# --- and what cannot be is refused -------------------------------------------------------------

LAYER = r"\b(c|s|f|conv|pool|fc)[0-9]+\b|\b(input|output)\b"


def check_refusal(message: str, fields: tuple[str, ...]) -> None:
    """Fails unless the message is one short printable line that names a layer, or one of the fields."""
    assert message.isprintable(), message
    assert len(message) < 600, message
    named = [re.escape(field[:40]) for field in fields if field.isprintable()] or ["unexpected"]
    assert re.search("|".join([LAYER, *named]), message), message


def affordable(arch: Architecture) -> bool:
    """Whether a network that an edit has made larger can still be tried in no time."""
    inside = (layer for layer in arch.layers if layer.kind == "convolution")
    padded = [layer.input_shape[0] * (max(layer.input_shape) + 2 * layer.options["padding"]) ** 2 for layer in inside]
    units = max(prod(layer.output_shape) for layer in arch.layers)
    work = sum(layer.multiply_adds + layer.connections for layer in arch.layers)
    return max(units, arch.parameters, *padded, 0) < 1e6 and work < 1e8


@short_and_full
def test_a_broken_description_is_refused_by_name_or_is_a_possible_network(examples: int) -> None:
    seen: Counter[str] = Counter()

    def holds(broken: Broken) -> None:
        try:
            arch = Architecture.from_dict(broken.description)
        except ValueError as error:
            seen["refused"] += 1
            check_refusal(str(error), broken.fields)
            return
        seen["possible" if affordable(arch) else "possible, too large to try"] += 1
        if affordable(arch):
            answers_and_learns(arch)

    examples *= 5  # a refusal takes no time
    for_all(broken_descriptions(), examples, holds)
    print(f"{examples} descriptions: {dict(seen)}")
    assert seen["refused"] > examples / 3
    assert seen["possible"] > examples / 20
