"""The parts of a recipe's script that describe its network and its images' variation.

What the project itself defines is copied from its files, so that script and project cannot drift apart.
Reads the files as text and imports no PyTorch.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from lenet_core.layout import Layer, shape_text
from lenet_core.recipes import Augmentation, Recipe


def joined(*lines: str | None) -> str:
    return "\n".join(line for line in lines if line is not None)


def constants(recipe: Recipe) -> list[str]:
    """What is too long for a layer's line: what each sparse convolution reads, the input's range by channel."""
    layers = recipe.architecture.layers
    ends = [
        joined(
            f"# What {end} becomes in each channel of the input.",
            f"{_range_name(key)} = (",
            *(f"    {value}," for value in layer.options[key]),
            ")  # fmt: skip",
        )
        for layer in layers
        if layer.kind == "rescale" and isinstance(layer.options["low"], tuple)
        for key, end in (("low", 0), ("high", 1))
    ]
    return ends + [
        joined(
            f"# Which maps of the layer before each map of {layer.name} reads.",
            f"{_table_name(layer)} = (",
            *(f"    {row}," for row in layer.options["table"]),
            ")  # fmt: skip",
        )
        for layer in layers
        if layer.options.get("table")
    ]


def _table_name(layer: Layer) -> str:
    return f"{layer.name.upper()}_TABLE"


def _range_name(end: str) -> str:
    return f"INPUT_{end.upper()}"


# --- what is copied ----------------------------------------------------------------------------

_PARSING = Lock()


@cache
def _text(module: str) -> str:
    return Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


def parsed(text: str) -> ast.Module:
    """The syntax tree of a program; one thread at a time.

    In Python 3.11 threads that make trees at once can disturb each other: "AST constructor recursion depth mismatch".
    """
    with _PARSING:
        return ast.parse(text)


@cache  # all that is parsed are files of this package
def _definition(module: str, name: str) -> str:
    """A function or class of a module of this package, its decorators included."""
    text = _text(module)
    node = next(n for n in parsed(text).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name)
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[start - 1 : node.end_lineno])


@cache
def _contents(module: str) -> str:
    """All of a module of this package but its docstring and imports."""
    text = _text(module)
    docstring, *rest = parsed(text).body
    head = [docstring, *(node for node in rest if isinstance(node, (ast.Import, ast.ImportFrom)))]
    return "\n".join(text.splitlines()[head[-1].end_lineno :]).strip()


_INITIALISERS = {"xavier-uniform": "_xavier_uniform", "lecun": "_lecun_uniform"}


def copied_definitions(recipe: Recipe) -> list[str]:
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
    if varies(recipe):
        fields = _definition("recipes", "Augmentation").partition("    def __post_init__")[0]
        parts += [fields, _augmentation(recipe), _augment(recipe)]
    return parts


def varies(recipe: Recipe) -> bool:
    return recipe.augmentation not in (None, Augmentation())


def _augmentation(recipe: Recipe) -> str:
    usual = vars(Augmentation())
    chosen = {name: value for name, value in vars(recipe.augmentation).items() if value != usual[name]}
    return joined("AUGMENTATION = Augmentation(", *(f"    {name}={value}," for name, value in chosen.items()), ")")


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


def build_function(recipe: Recipe) -> str:
    arch = recipe.architecture
    initialiser = _INITIALISERS.get(arch.initialisation)
    return joined(
        "def build() -> nn.Sequential:",
        f'    """The untrained network, for images {batch_shape(arch.input_shape)} of floats from 0 to 1."""',
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
        case "rescale" if isinstance(options["low"], tuple):
            return call("Rescale", _range_name("low"), _range_name("high"))
        case "rescale":
            return call("Rescale", options["low"], options["high"])
        case "convolution" if options["table"] is not None:
            window = {key: options[key] for key in ("kernel_size", "stride", "padding")}
            return call("TableConv2d", inputs, _table_name(layer), **window)
        case "convolution":
            usual = {"kernel_size": None, "stride": 1, "padding": 0, "groups": 1}
            return call("nn.Conv2d", inputs, outputs, **{k: options[k] for k in usual if options[k] != usual[k]})
        case "activation":
            return _ACTIVATIONS[options["function"]]
        case "average-pool" | "max-pool":
            name = "nn.AvgPool2d" if layer.kind == "average-pool" else "nn.MaxPool2d"
            size, stride = options["kernel_size"], options["stride"]
            return call(name, size) if stride == size else call(name, size, stride=stride)
        case "subsampling":
            return call("Subsampling", inputs, kernel_size=options["kernel_size"], stride=options["stride"])
        case "response-normalisation":
            return call("nn.LocalResponseNorm", size=5, alpha=5e-4, beta=0.75, k=2.0)
        case "flatten":
            return "nn.Flatten()"
        case "dense":
            return call("nn.Linear", inputs, outputs)
        case "dropout":
            return call("nn.Dropout", options["fraction"])
        case "rbf":
            return call("RBFOutput", call("class_codes", outputs, inputs))
    raise AssertionError(f"no code for a layer of kind {layer.kind}")


def call(name: str, *values: Any, **options: Any) -> str:
    return f"{name}({', '.join([*map(str, values), *(f'{key}={value}' for key, value in options.items())])})"


def batch_shape(shape: tuple[int, int, int]) -> str:
    return f"(N, {', '.join(map(str, shape))})"
