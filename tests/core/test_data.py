"""The data sets: what they hold, and what is said when they are not what they should be."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lenet_core.data import DataSet, _torchvision_class, load, to_input
from lenet_core.data_sets import DATA_SETS, DIGITS
from lenet_core.errors import DataError
from lenet_core.library import data_dir
from tests.conftest import ROOT

# Published with the data: digits 0 to 9 among MNIST's training and test images.
MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
NOWHERE = "http://127.0.0.1:9/"  # a port that nobody listens on


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of this file downloads anything."""
    for name in ("MNIST", "FashionMNIST"):
        monkeypatch.setattr(_torchvision_class(name), "mirrors", [NOWHERE])
    monkeypatch.setattr(_torchvision_class("CIFAR10"), "url", NOWHERE + "cifar-10-python.tar.gz")
    monkeypatch.setenv("no_proxy", "*")


def counts(data: DataSet) -> list[int]:
    """How many images each class has."""
    return torch.bincount(data.labels, minlength=10).tolist()


# --- the bundled sample ------------------------------------------------------------------------


def test_mnist_5k_has_balanced_parts() -> None:
    train, test = load("mnist-5k", train=True), load("mnist-5k", train=False)
    assert train.images.shape == (4_000, 1, 28, 28)
    assert test.images.shape == (1_000, 1, 28, 28)
    assert train.images.dtype == torch.uint8
    assert train.labels.dtype == torch.int64
    assert counts(train) == [400] * 10
    assert counts(test) == [100] * 10
    assert (len(train), train.classes) == (4_000, DIGITS)
    assert "5,000" in train.title


def test_mnist_5k_has_ink_255_on_background_0() -> None:
    images = load("mnist-5k", train=False).images
    assert int(images.max()) == 255
    assert int(images[:, :, 0, 0].max()) == 0
    assert 0.1 < images.float().mean() / 255 < 0.16


def test_mnist_5k_tests_on_no_image_that_it_trains_on() -> None:
    train, test = load("mnist-5k", train=True), load("mnist-5k", train=False)
    seen = {image.numpy().tobytes() for image in train.images}
    assert len(seen) == 4_000
    assert [index for index, image in enumerate(test.images) if image.numpy().tobytes() in seen] == []


def test_mnist_5k_comes_from_mnists_training_images(real_data: Path) -> None:
    full = load("mnist", train=True, root=real_data)
    labels = {image.numpy().tobytes(): int(label) for image, label in zip(full.images, full.labels, strict=True)}
    for train in (True, False):
        sample = load("mnist-5k", train=train)
        assert [labels.get(image.numpy().tobytes()) for image in sample.images] == sample.labels.tolist()


def test_take_picks_images_with_their_labels() -> None:
    test = load("mnist-5k", train=False)
    taken = test.take(torch.tensor([999, 0]))
    assert taken.labels.tolist() == [9, 0]
    assert torch.equal(taken.images[0], test.images[999])
    assert (taken.name, taken.title, taken.classes) == (test.name, test.title, test.classes)
    assert len(test.take(slice(100, 300))) == 200


# --- the real ones -----------------------------------------------------------------------------


def test_mnist_is_mnist(real_data: Path) -> None:
    train, test = load("mnist", train=True, root=real_data), load("mnist", train=False, root=real_data)
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert counts(train) == MNIST_TRAIN
    assert counts(test) == MNIST_TEST
    pixels = train.images.double() / 255
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_fashion_mnist_is_fashion_mnist(real_data: Path) -> None:
    train = load("fashion-mnist", train=True, root=real_data)
    test = load("fashion-mnist", train=False, root=real_data)
    assert counts(train) == [6_000] * 10
    assert counts(test) == [1_000] * 10
    pixels = train.images.double() / 255
    assert pixels.mean().item() == pytest.approx(0.2860, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3530, abs=5e-5)
    assert train.classes[train.labels[0]] == "ankle boot"
    assert test.labels[:5].tolist() == [9, 2, 1, 1, 6]


def test_the_data_folder_is_the_default_root(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENET_DATA_DIR", str(real_data))
    assert data_dir() == real_data
    assert len(load("mnist", train=False)) == 10_000


def test_without_the_variable_the_data_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENET_DATA_DIR")
    assert data_dir().name == "lenet-playground"
    assert data_dir().is_absolute()


# --- CIFAR-10, from files in its own format ----------------------------------------------------


def cifar_batch(number: int) -> dict[str, object]:
    """10,000 images: red tells the label, green the row, blue the column, all shifted by the batch's number."""
    labels = [(index + number) % 10 for index in range(10_000)]
    rows, columns = np.indices((32, 32), dtype=np.uint8)
    data = np.empty((10_000, 3, 32, 32), dtype=np.uint8)
    data[:, 0] = (np.array(labels) * 20 + number)[:, None, None]
    data[:, 1], data[:, 2] = rows * 3 + number, columns * 3 + number
    return {"data": data.reshape(10_000, 3_072), "labels": labels}


def test_cifar10_is_read_from_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = _torchvision_class("CIFAR10")
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def write(name: str, content: dict[str, object]) -> list[str]:
        data = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    meta = write("batches.meta", {"label_names": list(DATA_SETS["cifar10"].classes)})
    train_list = [write(f"data_batch_{number}", cifar_batch(number)) for number in range(1, 6)]
    monkeypatch.setattr(kind, "train_list", train_list)
    monkeypatch.setattr(kind, "test_list", [write("test_batch", cifar_batch(0))])
    monkeypatch.setattr(kind, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta[1]})

    train, test = load("cifar10", train=True, root=tmp_path), load("cifar10", train=False, root=tmp_path)
    assert train.images.shape == (50_000, 3, 32, 32)
    assert test.images.shape == (10_000, 3, 32, 32)
    assert train.images.is_contiguous()
    assert counts(train) == [5_000] * 10
    assert test.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert test.classes[0] == "airplane"
    # Image 23 of batch 3 has label 6; the pixel at row 4, column 7.
    assert int(train.labels[20_023]) == 6
    assert train.images[20_023, :, 4, 7].tolist() == [6 * 20 + 3, 4 * 3 + 3, 7 * 3 + 3]

    (folder / "data_batch_2").write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"CIFAR-10.*LENET_DATA_DIR"):
        load("cifar10", train=True, root=tmp_path)


# --- what can be wrong -------------------------------------------------------------------------


def refusal(name: str, root: Path | None = None) -> str:
    """The message with which the test images of a data set are refused."""
    with pytest.raises(DataError) as caught:
        load(name, train=False, root=root)
    message = str(caught.value)
    assert "\n" not in message
    assert DATA_SETS[name].title in message
    return message


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_missing_data_without_a_network_names_the_folder_and_the_variable(name: str, own_data_folder: Path) -> None:
    message = refusal(name)
    assert str(own_data_folder) in message
    assert "LENET_DATA_DIR" in message
    assert "mnist-5k" in message


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file" / "data") in refusal("mnist", tmp_path / "file" / "data")


def test_an_unknown_data_set_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"imagenet.*mnist-5k"):
        load("imagenet", train=True)


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in MNIST's file format."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return head + array.astype(np.uint8).tobytes()


IMAGES = idx(np.arange(10_000 * 784, dtype=np.uint32).reshape(10_000, 28, 28) % 251)
LABELS = idx(np.arange(10_000) % 10)


def mnist_files(folder: Path, images: bytes = IMAGES, labels: bytes = LABELS) -> Path:
    """A folder with MNIST's four files; the test files as given."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / name).write_bytes(b"")
    (raw / "t10k-images-idx3-ubyte").write_bytes(images)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(labels)
    return folder


def test_mnists_file_format_is_read_as_it_is_written(tmp_path: Path) -> None:
    data = load("mnist", train=False, root=mnist_files(tmp_path))
    assert data.labels[:11].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert int(data.images[3, 0, 5, 7]) == (3 * 784 + 5 * 28 + 7) % 251


@pytest.mark.parametrize(
    "content",
    [
        b"",
        IMAGES[:3],
        IMAGES[:10],
        IMAGES[:16],
        IMAGES[: len(IMAGES) // 2],
        IMAGES[:-1],
        IMAGES + b"x",
        b"hello, this is a text\n" * 40,
        b"<html><body>404 Not Found</body></html>",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\x1f\x8b\x08\x00" + bytes(100),
        IMAGES[:2] + b"\x0d" + IMAGES[3:],
        IMAGES[:2] + b"\x07" + IMAGES[3:],
        IMAGES[:4] + b"\xff" * 12 + IMAGES[16:],
        LABELS,
        idx(np.zeros((10, 28, 28))),
        idx(np.zeros((10_000, 14, 14))),
    ],
    ids=[
        "empty", "3 bytes", "10 bytes", "header alone", "half", "a byte short", "a byte more", "text", "web page",
        "picture", "packed", "of floats", "of nothing known", "of a huge shape", "labels", "10 images", "14x14",
    ],
)  # fmt: skip
def test_a_cut_or_foreign_file_of_images_is_a_data_error(content: bytes, tmp_path: Path) -> None:
    assert str(tmp_path) in refusal("mnist", mnist_files(tmp_path, images=content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        LABELS[:9],
        LABELS[:-1],
        b"a text that is no list of labels",
        IMAGES,
        idx(np.zeros(10)),
        idx(np.full(10_000, 10)),
    ],
    ids=["empty", "9 bytes", "a byte short", "text", "images", "10 labels", "labels of 10"],
)
def test_a_cut_or_foreign_file_of_labels_is_a_data_error(content: bytes, tmp_path: Path) -> None:
    assert str(tmp_path) in refusal("mnist", mnist_files(tmp_path, labels=content))


def test_a_wrong_number_of_images_is_told_with_both_numbers(tmp_path: Path) -> None:
    few = mnist_files(tmp_path, idx(np.zeros((10, 28, 28))), idx(np.zeros(10)))
    message = refusal("mnist", few)
    assert "holds 10 images" in message
    assert "10,000" in message


def test_a_read_only_folder_is_read_and_left_as_it_is(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (real_data / "MNIST" / "raw").glob("*.gz"):
        (raw / file.name).symlink_to(file)
    before = sorted(raw.iterdir())
    # Removing the permission would not stop a superuser, as tests often are.
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(tmp_path)))
    assert counts(load("mnist", train=False, root=tmp_path)) == MNIST_TEST
    assert sorted(raw.iterdir()) == before


# --- kept as tensors ---------------------------------------------------------------------------


def test_a_second_reading_takes_the_kept_tensors_which_are_the_same(tmp_path: Path) -> None:
    folder = mnist_files(tmp_path)
    first = load("mnist", train=False, root=folder)
    kept = folder / "tensors" / "mnist-test.safetensors"
    assert load_file(kept).keys() == {"images", "labels"}
    save_file({"images": first.images.flip(0), "labels": first.labels}, kept, metadata_of(kept))
    second = load("mnist", train=False, root=folder)
    assert torch.equal(second.images, first.images.flip(0))  # nobody else could have said so
    assert (second.images.dtype, second.labels.dtype) == (torch.uint8, torch.int64)


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata())


@pytest.mark.parametrize("change", ["replaced", "added", "touched"])
def test_originals_that_changed_are_read_anew(change: str, tmp_path: Path) -> None:
    folder = mnist_files(tmp_path)
    raw = folder / "MNIST" / "raw"
    before = load("mnist", train=False, root=folder)
    kept = folder / "tensors" / "mnist-test.safetensors"
    save_file({"images": before.images.flip(0), "labels": before.labels}, kept, metadata_of(kept))
    if change == "replaced":
        (raw / "t10k-images-idx3-ubyte").write_bytes(idx(np.full((10_000, 28, 28), 7)))
    elif change == "added":
        (raw / "more").write_bytes(b"x")
    else:
        os.utime(raw / "t10k-labels-idx1-ubyte", (1, 1))
    after = load("mnist", train=False, root=folder)
    expected = torch.full_like(before.images, 7) if change == "replaced" else before.images
    assert torch.equal(after.images, expected)
    assert torch.equal(load("mnist", train=False, root=folder).images, expected)


@pytest.mark.parametrize("damage", ["empty", "half", "noise", "foreign", "without labels", "folder", "bad header"])
def test_damaged_tensors_are_made_anew(damage: str, tmp_path: Path) -> None:
    folder = mnist_files(tmp_path)
    expected = load("mnist", train=False, root=folder)
    kept = folder / "tensors" / "mnist-test.safetensors"
    data, metadata = kept.read_bytes(), metadata_of(kept)
    if damage == "foreign":
        save_file({"images": expected.images * 0, "labels": expected.labels}, kept, {"originals": "of another"})
    elif damage == "without labels":
        save_file({"images": expected.images * 0}, kept, metadata)
    elif damage == "folder":
        kept.unlink()
        kept.mkdir()
    else:
        bad = {
            "empty": b"",
            "half": data[: len(data) // 2],
            "noise": bytes(range(256)) * 99,
            "bad header": b"\xff" * 99,
        }
        kept.write_bytes(bad[damage])
    found = load("mnist", train=False, root=folder)
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.labels, expected.labels)
    if damage != "folder":
        assert kept.read_bytes() == data
    assert [path.name for path in (folder / "tensors").iterdir()] == [kept.name]


@pytest.mark.parametrize("tensors", ["floats", "few", "labels too high"])
def test_kept_tensors_of_a_wrong_kind_never_reach_a_training(tensors: str, tmp_path: Path) -> None:
    folder = mnist_files(tmp_path)
    data = load("mnist", train=False, root=folder)
    images, labels = data.images, data.labels
    kept = folder / "tensors" / "mnist-test.safetensors"
    images = images.float() if tensors == "floats" else images[:10] if tensors == "few" else images
    labels = labels[:10] if tensors == "few" else labels + 1 if tensors == "labels too high" else labels
    save_file({"images": images.contiguous(), "labels": labels.contiguous()}, kept, metadata_of(kept))
    if tensors == "floats":
        found = load("mnist", train=False, root=folder)
        assert torch.equal(found.images, data.images)
        assert found.images.dtype == torch.uint8
    else:
        assert ("holds 10 images" if tensors == "few" else "labels outside 0 to 9") in refusal("mnist", folder)


def test_where_nothing_can_be_kept_the_originals_are_read(tmp_path: Path) -> None:
    folder = mnist_files(tmp_path)
    (folder / "tensors").write_text("no folder")
    for _ in range(2):
        assert len(load("mnist", train=False, root=folder)) == 10_000
    assert (folder / "tensors").read_text() == "no folder"


def test_kept_tensors_need_no_torchvision(tmp_path: Path) -> None:
    folder = mnist_files(tmp_path)
    load("mnist", train=False, root=folder)
    code = (
        "import sys; from pathlib import Path; from lenet_core.data import load; "
        "print(len(load('mnist', train=False, root=Path(sys.argv[1]))), 'torchvision' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "10000 False\n"


# --- as a network takes them -------------------------------------------------------------------


def test_to_input_makes_floats_from_0_to_1() -> None:
    made = to_input(torch.tensor([[[[0, 51], [204, 255]]]], dtype=torch.uint8), (1, 2, 2))
    assert made.dtype == torch.float32
    assert made.flatten().tolist() == pytest.approx([0, 0.2, 0.8, 1])


def test_to_input_pads_28_to_32_by_2_on_each_side() -> None:
    images = torch.full((3, 1, 28, 28), 255, dtype=torch.uint8)
    made = to_input(images, (1, 32, 32))
    expected = torch.zeros(3, 1, 32, 32)
    expected[:, :, 2:30, 2:30] = 1
    assert torch.equal(made, expected)


def test_to_input_makes_three_equal_channels_of_grey() -> None:
    images = load("mnist-5k", train=False).images[:5]
    made = to_input(images, (3, 32, 32))
    assert made.shape == (5, 3, 32, 32)
    assert torch.equal(made[:, 0, 2:30, 2:30], images[:, 0] / 255)
    assert torch.equal(made[:, 0], made[:, 1])
    assert torch.equal(made[:, 0], made[:, 2])


def test_to_input_makes_lightness_of_colour() -> None:
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [100, 50, 200]], dtype=torch.uint8)
    made = to_input(colours.reshape(5, 3, 1, 1), (1, 1, 1))
    # Rec. 601: 0.299 red, 0.587 green, 0.114 blue.
    assert made.flatten().tolist() == pytest.approx([0.299, 0.587, 0.114, 1, (29.9 + 29.35 + 22.8) / 255], abs=1e-6)


def test_to_input_averages_a_larger_image_down() -> None:
    image = torch.tensor([[[[0, 255, 51, 51], [255, 255, 51, 51]]]], dtype=torch.uint8)
    assert to_input(image, (1, 1, 2)).flatten().tolist() == pytest.approx([0.75, 0.2])


def test_to_input_leaves_an_image_that_fits() -> None:
    images = load("mnist-5k", train=False).images[:5]
    assert torch.equal(to_input(images, (1, 28, 28)), images / 255)


def test_to_input_refuses_channels_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"3 channels.*2"):
        to_input(torch.zeros(1, 3, 28, 28, dtype=torch.uint8), (2, 28, 28))
