"""Checkpoint files: whole round trips, refusal of everything unsound, and the ones that ship."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor, nn

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    MAX_TENSORS,
    Checkpoint,
    load_checkpoint,
    read_description,
    save_checkpoint,
)
from lenet_core.data import load
from lenet_core.errors import CheckpointError, StorageError
from lenet_core.evaluate import evaluate
from lenet_core.files import write_atomically
from lenet_core.layers import build
from lenet_core.library import DEFAULT, bundled_checkpoints
from lenet_core.presets import PRESETS, preset
from lenet_core.stored_weights import shapes

LENETS = ("lenet-d2l", "lenet5-tanh", "lenet5-1998", "lenet-modern")
TINY = preset("lenet-modern").replace(name="tiny", channels=(2, 3), dense=(8,))
FORMAT = "lenet-playground-1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound checkpoint of a small network, as bytes."""
    path = tmp_path_factory.mktemp("sound") / "model.safetensors"
    save_checkpoint(path, Checkpoint(TINY, build(TINY, seed=0), tuple("0123456789"), {"seed": 0}))
    return path.read_bytes()


def header_length(data: bytes) -> int:
    (length,) = struct.unpack("<Q", data[:8])
    return int(length)


def description_of(data: bytes) -> dict[str, Any]:
    header = json.loads(data[8 : 8 + header_length(data)])
    description: dict[str, Any] = json.loads(header["__metadata__"]["description"])
    return description


def rewritten(data: bytes, description: object = None, tensors: dict[str, Tensor] | None = None) -> bytes:
    """The checkpoint with another description or other weights."""
    text = json.dumps(description_of(data) if description is None else description)
    metadata = {"format": FORMAT, "description": text}
    return write_tensors(read_tensors(data) if tensors is None else tensors, metadata)


def with_architecture(data: bytes, **changes: Any) -> bytes:
    """The checkpoint with a changed description of its network."""
    description = description_of(data)
    return rewritten(data, {**description, "architecture": {**description["architecture"], **changes}})


def with_tensor(data: bytes, name: str, change: Callable[[Tensor], Tensor]) -> bytes:
    """The checkpoint with one tensor changed."""
    tensors = read_tensors(data)
    return rewritten(data, tensors=tensors | {name: change(tensors[name])})


def with_header(data: bytes, header: object) -> bytes:
    """The checkpoint with any JSON as its header."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + header_length(data) :]


def refusal(data: bytes, folder: Path) -> str:
    """The message with which a file of these bytes is refused: one line that names the file."""
    path = folder / "strange.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert path.name in message
    assert len(message.splitlines()) == 1
    return message


# --- round trips -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LENETS)
def test_a_network_comes_back_with_identical_logits(name: str, tmp_path: Path) -> None:
    arch = preset(name, num_classes=12)
    net = build(arch, seed=4)
    training = {"recipe": {"name": name}, "test_accuracy": 0.5, "notes": ["ä", None, 1.25]}
    path = tmp_path / "folder" / "model.safetensors"
    save_checkpoint(path, Checkpoint(arch, net, ("a", "b"), training))
    again = load_checkpoint(path)
    images = torch.rand(16, *arch.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(net.eval()(images), again.net(images))
    assert (again.architecture, again.classes, again.training) == (arch, ("a", "b"), training)
    assert not again.net.training
    assert {parameter.device.type for parameter in again.net.parameters()} == {"cpu"}


def test_a_runs_folder_stands_for_the_file_in_it(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(whole)
    assert load_checkpoint(tmp_path).architecture == TINY
    assert load_checkpoint(str(tmp_path / "model.safetensors")).architecture == TINY


def test_a_description_is_read_without_the_weights(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole[: 8 + header_length(whole)])
    description = read_description(path)
    assert Architecture.from_dict(description["architecture"]) == TINY
    assert description["training"] == {"seed": 0}


def test_loading_leaves_the_global_generator_alone(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(whole)
    before = torch.get_rng_state()
    load_checkpoint(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_without_notes_on_its_training_is_sound(tmp_path: Path, whole: bytes) -> None:
    description = description_of(whole)
    del description["training"]
    (tmp_path / "model.safetensors").write_bytes(rewritten(whole, description))
    assert load_checkpoint(tmp_path).training == {}


@pytest.mark.parametrize("name", PRESETS)
def test_a_file_names_the_weights_that_the_network_has(name: str) -> None:
    arch = preset(name)
    told = {f"{layer.name}.{kind}": shape for layer in arch.layers for kind, shape in shapes(layer).items()}
    assert told == {name: tuple(weight.shape) for name, weight in build(arch).state_dict().items()}


# --- what is unsound ---------------------------------------------------------------------------
# (files changed at random, cut anywhere, that ask for much or run code: tests/trust)


def test_a_file_with_more_at_its_end_is_refused(tmp_path: Path, whole: bytes) -> None:
    refusal(whole + b"x", tmp_path)


@pytest.mark.parametrize("length", [0, 1, MAX_HEADER_BYTES + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_lie_about_the_headers_length_is_refused(length: int, tmp_path: Path, whole: bytes) -> None:
    refusal(struct.pack("<Q", length) + whole[8:], tmp_path)


def test_a_header_length_that_is_off_by_one_is_refused(tmp_path: Path, whole: bytes) -> None:
    for length in (header_length(whole) - 1, header_length(whole) + 1):
        refusal(struct.pack("<Q", length) + whole[8:], tmp_path)


@pytest.mark.parametrize(
    "header",
    [None, [], "text", 5, {}, {"__metadata__": None}, {"__metadata__": []}, {"__metadata__": {}},
     {"__metadata__": {"format": FORMAT}}, {"__metadata__": {"format": None, "description": "{}"}},
     {"__metadata__": {"format": "another-1", "description": "{}"}},
     *({"__metadata__": {"format": FORMAT, "description": text}}
       for text in (None, 5, "", "{", "[]", "null", "{}", "[" * 100_000, '{"architecture": null, "classes": []}'))],
    ids=lambda header: repr(header)[:60],
)  # fmt: skip
def test_a_header_of_another_kind_is_refused(header: object, tmp_path: Path, whole: bytes) -> None:
    refusal(with_header(whole, header), tmp_path)


def test_a_header_that_is_nested_without_end_is_refused(tmp_path: Path, whole: bytes) -> None:
    text = b"[" * 500_000
    refusal(struct.pack("<Q", len(text)) + text + whole, tmp_path)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(torch.float64, "F64"), (torch.float16, "F16"), (torch.bfloat16, "BF16"), (torch.int32, "I32"),
     (torch.bool, "BOOL")],
)  # fmt: skip
def test_weights_of_another_type_are_refused(dtype: torch.dtype, name: str, tmp_path: Path, whole: bytes) -> None:
    message = refusal(with_tensor(whole, "output.bias", lambda tensor: tensor.to(dtype)), tmp_path)
    assert "output.bias" in message
    assert f"'{name}'" in message


@pytest.mark.parametrize("shape", [(9,), (11,), (1, 10), (10, 1), (0,), ()])
def test_weights_of_another_shape_are_refused(shape: tuple[int, ...], tmp_path: Path, whole: bytes) -> None:
    message = refusal(with_tensor(whole, "output.bias", lambda _: torch.zeros(shape)), tmp_path)
    assert "output.bias" in message
    assert f"{list(shape)}, not 'F32' [10]" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path, whole: bytes) -> None:
    def spoil(tensor: Tensor) -> Tensor:
        spoilt = tensor.clone()
        spoilt.view(-1)[-1] = value
        return spoilt

    assert "c3.weight" in refusal(with_tensor(whole, "c3.weight", spoil), tmp_path)


def test_missing_and_extra_weights_are_refused_by_name(tmp_path: Path, whole: bytes) -> None:
    tensors = read_tensors(whole)
    assert "extra" in refusal(rewritten(whole, tensors=tensors | {"extra": torch.zeros(1)}), tmp_path)
    del tensors["c1.bias"]
    assert "c1.bias" in refusal(rewritten(whole, tensors=tensors), tmp_path)
    refusal(rewritten(whole, tensors={}), tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path, whole: bytes) -> None:
    refusal(with_architecture(whole, dense=[9]), tmp_path)
    refusal(with_architecture(whole, naming="alexnet"), tmp_path)


def test_safetensors_of_others_are_refused_with_a_next_step(tmp_path: Path) -> None:
    weights = {"weight": torch.zeros(3, 3)}
    for data in (write_tensors(weights), write_tensors(weights, {"format": "pt"})):
        refusal(data, tmp_path)
    assert "python -m lenet_core train" in refusal(write_tensors(weights), tmp_path)


@pytest.mark.parametrize("content", [b"", b"a text\n" * 100, bytes(1_000), b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    refusal(content, tmp_path)


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "huge.safetensors"
    path.write_bytes(whole)
    os.truncate(path, MAX_FILE_BYTES + 1)  # a hole, which takes no space
    with pytest.raises(CheckpointError, match=rf"huge\.safetensors.*{MAX_FILE_BYTES:,}"):
        load_checkpoint(path)


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        load_checkpoint(tmp_path / "gone.safetensors")
    with pytest.raises(CheckpointError, match=tmp_path.name):
        load_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_checkpoint(tmp_path)


def test_a_network_of_a_million_million_parameters_is_refused_before_it_is_built(tmp_path: Path, whole: bytes) -> None:
    message = refusal(with_architecture(whole, dense=[10**6, 10**6]), tmp_path)
    assert "1,000,077,057,936 connections" in message
    assert "2,000,000,000" in message


@pytest.mark.parametrize(
    "changes",
    [{"dense": [0]}, {"dense": None}, {"convs": 5}, {"convs": [None]}, {"activation": []}, {"name": 7},
     {"input_shape": "128"}, {"num_classes": 10.0}, {"colour": 1}, {"convs": [{"channels": 2, "table": [[10**30]]}]}],
    ids=str,
)  # fmt: skip
def test_an_unsound_architecture_is_refused(changes: dict[str, Any], tmp_path: Path, whole: bytes) -> None:
    refusal(with_architecture(whole, **changes), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"classes": None}, {"classes": 5}, {"classes": ["x"] * 11}, {"training": 5}, {"training": "done"}],
    ids=str,
)
def test_unsound_notes_are_refused(changes: dict[str, Any], tmp_path: Path, whole: bytes) -> None:
    refusal(rewritten(whole, {**description_of(whole), **changes}), tmp_path)


def test_the_deepest_network_has_no_more_weights_than_a_file_may_name(tmp_path: Path) -> None:
    arch = TINY.replace(pooling="subsampling", dense=(3,) * 16, channels=(1,) * 16, kernel_size=1, pool=1)
    net = build(arch, seed=0)
    assert 90 < len(net.state_dict()) <= MAX_TENSORS
    save_checkpoint(tmp_path / "model.safetensors", Checkpoint(arch, net, ()))
    assert load_checkpoint(tmp_path).architecture == arch


def test_weights_that_could_answer_with_infinity_are_refused(tmp_path: Path, whole: bytes) -> None:
    tensors = {name: tensor * 1e9 for name, tensor in read_tensors(whole).items()}
    assert "smaller learning rate" in refusal(rewritten(whole, tensors=tensors), tmp_path)


def test_a_header_that_says_something_twice_is_refused(tmp_path: Path, whole: bytes) -> None:
    length = header_length(whole)
    header = whole[8 : 8 + length].rstrip().removesuffix(b"}") + b',"c1.bias":{}}'
    message = refusal(struct.pack("<Q", len(header)) + header + whole[8 + length :], tmp_path)
    assert "twice" in message


@pytest.mark.parametrize("classes", [["a\nb"], ["\ud800"], ["\x1b[31m"], [1], {"a": 1}, "ab"], ids=ascii)
def test_classes_that_cannot_be_printed_are_refused(classes: object, tmp_path: Path, whole: bytes) -> None:
    refusal(rewritten(whole, {**description_of(whole), "classes": classes}), tmp_path)


def test_names_from_a_stranger_do_not_break_the_message_into_lines(tmp_path: Path, whole: bytes) -> None:
    tensors = read_tensors(whole)
    for data in (
        rewritten(whole, tensors=tensors | {"extra\nerror: all is lost": torch.zeros(1)}),
        with_architecture(whole, **{"extra\nerror: all is lost": 1}),
        with_architecture(whole, name="extra\nerror: all is lost", dense=[10**6, 10**6]),
        rewritten(whole, tensors=tensors | {"x" * 100_000: torch.zeros(1)}),
        with_architecture(whole, **{"x" * 100_000: 1}),
    ):
        assert len(refusal(data, tmp_path)) < 1_000


# --- writing -----------------------------------------------------------------------------------


def only_file(folder: Path) -> bytes:
    """What the only file of a folder holds."""
    (path,) = folder.iterdir()
    return path.read_bytes()


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_atomically(path, b"first, the longer one")
    write_atomically(path, b"second")
    assert only_file(path.parent) == b"second"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(StorageError) as caught:
            write_atomically(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(path) in str(caught.value)
    assert "too large" in str(caught.value)
    assert only_file(tmp_path) == b"old"


def test_a_failed_replacement_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bytes
) -> None:
    def fail(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "model.safetensors"
    path.write_bytes(whole)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StorageError, match=r"model\.safetensors cannot be written \(Permission denied\)"):
        save_checkpoint(path, Checkpoint(TINY, build(TINY, seed=1), ()))
    assert only_file(tmp_path) == whole


def test_a_folder_in_the_files_place_is_left_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.mkdir()
    (path / "kept").write_text("kept")
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        write_atomically(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert only_file(path) == b"kept"


def test_a_folder_that_is_not_there_is_a_storage_error_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"):
        write_atomically(tmp_path / "gone" / "model.safetensors", b"new")
    assert not list(tmp_path.iterdir())


# --- the ones that ship ------------------------------------------------------------------------


def test_five_networks_ship_and_the_default_is_first() -> None:
    names = list(bundled_checkpoints())
    assert names[0] == DEFAULT
    assert sorted(names) == ["lenet-d2l", "lenet-d2l-fashion", "lenet-modern", "lenet5-1998", "lenet5-tanh"]


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_network_is_a_small_lenet_with_its_classes(name: str) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    assert sum(parameter.numel() for parameter in checkpoint.net.parameters()) <= 62_000
    assert checkpoint.architecture == preset(name.removesuffix("-fashion"))
    if name.endswith("-fashion"):
        assert (checkpoint.classes[0], checkpoint.classes[9]) == ("T-shirt", "ankle boot")
    else:
        assert checkpoint.classes == tuple("0123456789")
    assert isinstance(checkpoint.net, nn.Sequential)
    assert checkpoint.training["recipe"]["architecture"]["name"] == checkpoint.architecture.name


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_a_bundled_network_is_as_good_as_it_says(name: str, real_data: Path) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()[name])
    data = "fashion-mnist" if name.endswith("-fashion") else "mnist"
    result = evaluate(checkpoint.net, load(data, train=False, root=real_data), checkpoint.architecture.input_shape)
    assert result.images == 10_000
    assert result.accuracy >= {DEFAULT: 0.994, "lenet-d2l-fashion": 0.88}.get(name, 0.989)
    assert result.accuracy == pytest.approx(checkpoint.training["test_accuracy"], abs=0.0005)
