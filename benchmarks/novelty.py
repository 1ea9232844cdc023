"""How well each score tells a digit from what is none: AUROC on real test data, as a Markdown table.

    python -m benchmarks.novelty            measure
    python -m benchmarks.novelty --store    write the scores' spread on its own test images into each bundled checkpoint

Needs MNIST and Fashion-MNIST, and CIFAR-10 or the JPEG copy of it beside the project. An AUROC is the
chance that a digit gets a higher score than something else does: 1 tells them always apart, 0.5 never.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor

from lenet_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lenet_core.data import load
from lenet_core.data_sets import CIFAR
from lenet_core.evaluate import evaluate
from lenet_core.inputs import NOISES, Input, Picture, has_cifar, noise, picture, stack_inputs
from lenet_core.library import bundled_checkpoints
from lenet_core.novelty import scores
from tests.pens import SHARED_DATA

NETWORKS = ("lenet-modern", "lenet5-tanh", "lenet5-1998", "lenet-d2l")
JPEG_COPY = SHARED_DATA / "cifar10" / "cifar10_jpeg_pack.npz"
OF_EACH = 1_000
_BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", action="store_true", help="write the spread into the bundled checkpoints")
    torch.set_num_threads(1)
    if parser.parse_args().store:
        store()
    else:
        measure()


def store() -> None:
    """Writes into each bundled checkpoint how its scores are spread over its own test images, and nothing else."""
    for name, path in bundled_checkpoints().items():
        before = load_checkpoint(path)
        data = load(before.training["recipe"]["data"], train=False)
        familiar = evaluate(before.net, data, before.architecture.input_shape).familiar
        assert familiar is not None, f"{name} gives logits that are not finite"
        training = before.training | {"familiar": familiar.to_dict()}
        save_checkpoint(path, Checkpoint(before.architecture, before.net, before.classes, training))
        print(f"{name}: {', '.join(familiar.quantiles)} of {familiar.images:,} test images of {familiar.data}")


def measure() -> None:
    """Prints the AUROC of each network's scores for digits against everything else."""
    digits = list(load("mnist", train=False).images[:, 0].numpy())
    cifar = "CIFAR-10" if has_cifar() else "a JPEG copy of CIFAR-10"
    others: dict[str, list[Picture]] = {
        "clothes": list(load("fashion-mnist", train=False).images[:, 0].numpy()),
        "cats": list(cifar_pictures("cat")),
        "cars": list(cifar_pictures("automobile")),
    } | {title: [noise(kind, seed) for seed in range(OF_EACH)] for kind, title in NOISES.items()}
    print(
        f"AUROC, {len(digits):,} test digits of MNIST against: clothes, {len(others['clothes']):,} test images of "
        f"Fashion-MNIST; cats and cars, {len(others['cats']):,} test pictures each of {cifar}, in grey; noise, "
        f"{OF_EACH:,} of each kind. Confidences are ordered by their log-odds: as numbers many are exactly 1.\n"
    )
    print("| network | score | " + " | ".join(others) + " |")
    print("|---|---|" + "---:|" * len(others))
    for name in NETWORKS:
        checkpoint = load_checkpoint(bundled_checkpoints()[name])
        real = scores_of(checkpoint, digits)
        apart = {title: scores_of(checkpoint, images) for title, images in others.items()}
        for score, values in real.items():
            cells = (f"{auroc(values, unlike[score]):.3f}" for unlike in apart.values())
            print(f"| `{name}` | {score} | " + " | ".join(cells) + " |")


def cifar_pictures(name: str) -> Iterator[Picture]:
    """The 1,000 test pictures of one of CIFAR-10's classes, (32, 32, 3) uint8."""
    if has_cifar():
        yield from (picture(Input(f"cifar-{name}", index)) for index in range(OF_EACH))
        return
    with np.load(JPEG_COPY) as pack:
        offsets, jpegs = pack["test_offsets"], pack["test_jpeg"].tobytes()
        for index in np.flatnonzero(pack["test_labels"] == CIFAR.index(name)):
            with Image.open(io.BytesIO(jpegs[offsets[index] : offsets[index + 1]]), formats=["JPEG"]) as image:
                yield np.asarray(image.convert("RGB"))


def scores_of(checkpoint: Checkpoint, images: list[Picture]) -> Mapping[str, Tensor]:
    arch = checkpoint.architecture
    with torch.inference_mode():
        logits = [
            checkpoint.net(stack_inputs(images[start : start + _BATCH], arch.input_shape))
            for start in range(0, len(images), _BATCH)
        ]
    every = torch.cat(logits).double()
    return scores(every, arch.head) | {"confidence": log_odds(every)}


def log_odds(logits: Tensor) -> Tensor:
    """ln(p / (1 - p)) of the largest probability: its order, which an AUROC goes by, also where it rounds to 1.

    In float32, lenet5-1998 gives 98.8 % of the test digits exactly 1, and half of the clothes.
    """
    top, label = logits.max(1)
    return top - logits.scatter(1, label[:, None], -torch.inf).logsumexp(1)


def auroc(digits: Tensor, others: Tensor) -> float:
    is_digit = [1] * len(digits) + [0] * len(others)
    return float(roc_auc_score(is_digit, torch.cat([digits, others]).numpy()))


if __name__ == "__main__":
    main()
