"""What is known of each data set before it is loaded. Imports no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

DIGITS = tuple("0123456789")
FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set before it is loaded."""

    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    train_size: int
    test_size: int
    torchvision_name: str = ""
    place: str = ""  # of the original files, within the data folder


DATA_SETS: dict[str, DataInfo] = {
    "mnist": DataInfo("MNIST", DIGITS, (1, 28, 28), 60_000, 10_000, "MNIST", "MNIST/raw"),
    "fashion-mnist": DataInfo(
        "Fashion-MNIST", FASHION, (1, 28, 28), 60_000, 10_000, "FashionMNIST", "FashionMNIST/raw"
    ),
    "cifar10": DataInfo("CIFAR-10", CIFAR, (3, 32, 32), 50_000, 10_000, "CIFAR10", "cifar-10-batches-py"),
    "mnist-5k": DataInfo("the bundled sample of 5,000 MNIST training digits", DIGITS, (1, 28, 28), 4_000, 1_000),
}
