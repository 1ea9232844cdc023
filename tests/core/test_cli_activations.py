"""`python -m lenet_core activations`: what a person gets, checked against the layers' own arithmetic."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from lenet_core.__main__ import main
from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.data import load
from lenet_core.layers import build
from lenet_core.library import bundled_checkpoints
from lenet_core.preprocess import read_image, read_picture, to_digit
from lenet_core.presets import preset
from tests.conftest import missing
from tests.core.test_cli import assert_one_line, call
from tests.pens import SHARED_DATA

Arrays = dict[str, NDArray[np.float32]]
MODERN = bundled_checkpoints()["lenet-modern"]
PAPER = bundled_checkpoints()["lenet5-1998"]


@pytest.fixture
def digits(tmp_path: Path) -> list[Path]:
    """Three real digits as 28x28 PNG files."""
    paths = [tmp_path / f"digit {index}.png" for index in range(3)]
    for path, digit in zip(paths, load("mnist-5k", train=False).images[:3, 0].numpy(), strict=True):
        Image.fromarray(digit).save(path)
    return paths


@pytest.fixture
def photo() -> Path:
    """A photograph of a cat."""
    path = SHARED_DATA / "photos" / "cat_chelsea_skimage.png"
    if not path.exists():
        missing(f"no photographs beside the project ({path.parent.name})")
    return path


@pytest.fixture
def colour(tmp_path: Path) -> Path:
    """The checkpoint of a small network in colour, untrained."""
    arch = preset("alexnet-cifar", input_size=16).replace(channels=(4, 6, 8, 8, 6), dense=(20,))
    path = tmp_path / "colour.safetensors"
    save_checkpoint(path, Checkpoint(arch, build(arch, seed=1).eval(), tuple("0123456789")))
    return path


def arrays(out: Path) -> Arrays:
    """What the file holds."""
    with np.load(out, allow_pickle=False) as read:
        return dict(read)


def first_convolution(checkpoint: Path, images: NDArray[np.float32], name: str = "c1") -> NDArray[np.float32]:
    """The first layer worked out from the images and the weights alone."""
    loaded = load_checkpoint(checkpoint)
    weights = loaded.net.state_dict()
    padding = loaded.architecture.convs[0].padding
    convolved: NDArray[np.float32] = F.conv2d(
        torch.from_numpy(images), weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding
    ).numpy()
    return convolved


def test_digits_as_a_person_asks_for_them(digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    done = call("activations", MODERN, *digits, "--layers", "c1,c3", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    held = arrays(out)
    assert {name: array.shape for name, array in held.items()} == {
        "input": (3, 1, 28, 28), "c1": (3, 6, 28, 28), "c3": (3, 16, 10, 10),
    }  # fmt: skip
    assert all(array.dtype == np.float32 for array in held.values())
    pixels = np.stack([np.asarray(Image.open(path)) for path in digits])[:, None]
    assert np.array_equal(held["input"], pixels / np.float32(255))
    np.testing.assert_allclose(held["c1"], first_convolution(MODERN, held["input"]), rtol=1e-5, atol=1e-6)
    assert held["c1"].min() < 0  # before the ReLU
    weights = load_checkpoint(MODERN).net.state_dict()
    pooled = F.max_pool2d(F.relu(torch.from_numpy(held["c1"])), 2)
    c3 = F.conv2d(pooled, weights["c3.weight"], weights["c3.bias"]).numpy()
    np.testing.assert_allclose(held["c3"], c3, rtol=1e-5, atol=1e-5)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["input", "3x1x28x28", "0..1"]
    assert len(lines) == 3
    for line, (name, array) in zip(lines, held.items(), strict=True):
        found = re.fullmatch(rf"{name} +{'x'.join(map(str, array.shape))} +(\S+)\.\.(\S+)", line)
        assert found
        assert float(found[1]) == pytest.approx(array.min(), rel=1e-3)
        assert float(found[2]) == pytest.approx(array.max(), rel=1e-3)


def test_all_convolutions_where_none_is_named(digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    assert main(["activations", str(PAPER), str(digits[0]), "--out", str(out)]) == 0
    assert list(arrays(out)) == ["input", "c1", "c3", "c5"]


def test_the_paper_networks_input_is_the_picture_before_it_is_rescaled(digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    assert main(["activations", str(PAPER), str(digits[0]), "--layers", "c1", "--out", str(out)]) == 0
    held = arrays(out)
    digit = np.asarray(Image.open(digits[0]))
    assert np.array_equal(held["input"][0, 0], np.pad(digit, 2) / np.float32(255))
    rescaled = -0.1 + 1.275 * held["input"]
    np.testing.assert_allclose(held["c1"], first_convolution(PAPER, rescaled), rtol=1e-5, atol=1e-5)


def test_before_and_after_an_activation_and_layers_of_units(digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    layers = "output, c1_act,c1,f6,c1"
    assert main(["activations", str(MODERN), *map(str, digits), "--layers", layers, "--out", str(out)]) == 0
    held = arrays(out)
    assert list(held) == ["input", "output", "c1_act", "c1", "f6"]
    assert np.array_equal(held["c1_act"], np.maximum(held["c1"], 0))
    assert held["output"].shape == (3, 10)
    assert held["f6"].shape == (3, 84)
    assert held["output"].argmax(1).tolist() == load("mnist-5k", train=False).labels[:3].tolist()


def test_a_photo_and_digits_together(photo: Path, digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    done = call("activations", MODERN, digits[0], photo, digits[1], "--layers", "c1", "--out", out)
    assert done.returncode == 0
    assert done.stderr == f"note: {photo}: Its middle is taken: 300 x 300 of 451 x 300 pixels.\n"
    held = arrays(out)
    assert held["c1"].shape == (3, 6, 28, 28)
    np.testing.assert_allclose(held["c1"], first_convolution(MODERN, held["input"]), rtol=1e-5, atol=1e-6)
    assert np.array_equal(held["input"][2, 0], np.asarray(Image.open(digits[1])) / np.float32(255))
    # The cat as Pillow alone makes it small and grey.
    small = Image.open(photo).crop((75, 0, 375, 300)).convert("L").resize((28, 28), Image.Resampling.BOX)
    apart = np.abs(held["input"][1, 0] - np.asarray(small) / 255)
    assert (apart.max(), apart.mean()) < (0.05, 0.005)


def test_a_network_in_colour_sees_colours(colour: Path, photo: Path, digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    assert main(["activations", str(colour), str(photo), str(digits[0]), "--out", str(out)]) == 0
    held = arrays(out)
    assert list(held) == ["input", "conv1", "conv2", "conv3", "conv4", "conv5"]
    assert held["input"].shape == (2, 3, 16, 16)
    np.testing.assert_allclose(held["conv1"], first_convolution(colour, held["input"], "conv1"), rtol=1e-4, atol=1e-6)
    assert held["input"][0].mean((1, 2)) == pytest.approx(read_picture(photo)[0].mean((0, 1)) / 255, abs=1e-3)
    red, green, blue = held["input"][1]
    assert np.array_equal(red, green)
    assert np.array_equal(red, blue)


def test_many_pictures_stay_in_their_order(digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    paths = [str(digits[index % 3]) for index in range(70)]
    assert main(["activations", str(MODERN), *paths, "--layers", "output", "--out", str(out)]) == 0
    held = arrays(out)
    assert held["output"].shape == (70, 10)
    assert held["output"].argmax(1).tolist() == (load("mnist-5k", train=False).labels[:3].tolist() * 24)[:70]


def test_as_a_digit_it_is_cut_out_and_centred(digits: list[Path], tmp_path: Path) -> None:
    page = Image.new("L", (300, 200), 255)
    page.paste(Image.fromarray(255 - np.asarray(Image.open(digits[0]).resize((84, 84)))), (10, 90))
    path, out = tmp_path / "page.png", tmp_path / "maps.npz"
    page.save(path)
    assert main(["activations", str(MODERN), str(path), "--as", "digit", "--out", str(out)]) == 0
    cut_out = to_digit(read_image(path)).image / np.float32(255)
    assert np.array_equal(arrays(out)["input"][0, 0], cut_out)
    assert main(["activations", str(MODERN), str(path), "--as", "picture", "--out", str(out)]) == 0
    assert arrays(out)["input"][0, 0, 0].min() > 0.9  # the page's own white


# --- refused -----------------------------------------------------------------------------------


def refusal(capsys: pytest.CaptureFixture[str], status: int, *arguments: object) -> str:
    """The one line with which the command refuses."""
    assert main(["activations", *map(str, arguments)]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: ")
    return printed.err


@pytest.mark.parametrize("layers", ["c1,c4", "input", "", "C1"])
def test_an_unknown_layer_is_refused_with_those_there_are(
    layers: str, digits: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "maps.npz"
    line = refusal(capsys, 2, PAPER, digits[0], "--layers", layers, "--out", out)
    assert repr(layers.split(",")[-1]) in line
    assert "there are c1, c1_act, s2, s2_act, c3, c3_act, s4, s4_act, c5, c5_act, flatten, f6, f6_act, output" in line
    assert not out.exists()


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("form", ["picture", "digit"])
def test_a_picture_that_cannot_be_read_leaves_everything_as_it_was(
    form: str, existing: bool, digits: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, folder = tmp_path / "notes.png", tmp_path / "out"
    notes.write_text("a shopping list")
    folder.mkdir()
    out = folder / "maps.npz"
    if existing:
        out.write_bytes(b"of yesterday")
    line = refusal(capsys, 1, MODERN, digits[0], notes, "--as", form, "--out", out)
    assert line.startswith(f"error: {notes}: notes.png is not a picture")
    assert [path.read_bytes() for path in folder.iterdir()] == ([b"of yesterday"] if existing else [])


def test_a_bad_picture_is_one_line_of_the_command_itself(digits: list[Path], tmp_path: Path) -> None:
    empty, out = tmp_path / "empty.png", tmp_path / "maps.npz"
    empty.touch()
    done = call("activations", MODERN, digits[0], empty, "--out", out)
    assert assert_one_line(done, 1) == f"error: {empty}: empty.png is empty (0 bytes); choose another file."
    assert not out.exists()


def test_no_digit_on_a_picture_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank, out = tmp_path / "blank.png", tmp_path / "maps.npz"
    Image.new("L", (50, 50), 255).save(blank)
    line = refusal(capsys, 1, MODERN, blank, "--as", "digit", "--out", out)
    assert line.startswith(f"error: {blank}: There is nothing on the picture")
    assert not out.exists()


def test_what_is_missing_is_told(digits: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone, out = tmp_path / "gone", tmp_path / "maps.npz"
    assert f"There is no checkpoint {gone}." in refusal(capsys, 1, gone, digits[0], "--out", out)
    assert f"{gone}: There is no picture gone." in refusal(capsys, 1, MODERN, gone, "--out", out)
    assert f"{gone / 'maps.npz'} cannot be written" in refusal(capsys, 1, MODERN, digits[0], "--out", gone / "maps.npz")
    assert not out.exists()
