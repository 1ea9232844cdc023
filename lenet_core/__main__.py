"""The command line: `python -m lenet_core --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet_core.architecture import Architecture, ledger
from lenet_core.bounds import shorten
from lenet_core.errors import LenetError
from lenet_core.layout import shape_text
from lenet_core.presets import PRESETS, preset
from lenet_core.reproduce_command import add_command
from lenet_core.run_commands import add_commands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 1 the world was in the way, 2 a bad argument."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.run_command(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except LenetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m lenet_core", description="Train and question LeNets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("recipes", help="list the recipes")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run_command=_recipes)

    command = commands.add_parser("ledger", help="shapes, parameters and connections of a preset")
    command.add_argument("preset", choices=PRESETS)
    command.add_argument("--input-size", type=int, help="height and width of the input, pixels")
    command.add_argument("--input-channels", type=int)
    command.add_argument("--classes", type=int, help="number of outputs")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run_command=_ledger)

    add_commands(commands)
    add_command(commands)

    command = commands.add_parser("evaluate", help="test a checkpoint on a data set's test images")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("--data", help="the data set (default: the one it was trained on)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run_command=_evaluate)

    command = commands.add_parser("predict", help="classify pictures of digits, of any size and polarity")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("image", type=Path, nargs="+")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run_command=_predict)

    command = commands.add_parser("activations", help="what layers make of pictures, as arrays in an .npz file")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("image", type=Path, nargs="+")
    command.add_argument("--layers", help="their names, as c1,c3 (default: all convolutions)")
    command.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    command.add_argument(
        "--as", dest="form", choices=("picture", "digit"), default="picture",
        help="show the network each picture's middle square, or the digit in it, cut out and centred",
    )  # fmt: skip
    command.set_defaults(run_command=_activations)

    command = commands.add_parser("script", help="a recipe as a PyTorch script of its own")
    command.add_argument("recipe")
    command.set_defaults(run_command=_script)

    command = commands.add_parser("onnx", help="a checkpoint as an ONNX model")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("out", type=Path)
    command.set_defaults(run_command=_onnx)
    return parser


# Each command imports what it needs, so that `ledger` does not wait for PyTorch.


def _recipes(options: argparse.Namespace) -> None:
    from lenet_core.recipes import RECIPES

    if options.json:
        print(json.dumps([recipe.to_dict() for recipe in RECIPES.values()]))
        return
    for recipe in RECIPES.values():
        training = f"{recipe.data}, {recipe.epochs} epochs, {recipe.optimiser} {recipe.learning_rate:g}"
        print(f"{recipe.name:24}{training}, batch {recipe.batch_size}")
        if recipe.reference:
            print(f"{'':24}published: {recipe.reference}")


def _ledger(options: argparse.Namespace) -> None:
    arch = preset(
        options.preset,
        input_size=options.input_size,
        input_channels=options.input_channels,
        num_classes=options.classes,
    )
    rows = ledger(arch)
    if options.json:
        print(
            json.dumps(
                {
                    "name": arch.name,
                    "input_shape": list(arch.input_shape),
                    "layers": rows,
                    "parameters": arch.parameters,
                    "connections": arch.connections,
                }
            )
        )
        return
    print(f"{'layer':10}{'kind':28}{'shape':14}{'parameters':>12}{'connections':>14}")
    for row in rows:
        shape = shape_text(row["output_shape"])
        kind = " + ".join(filter(None, (row["kind"], row["activation"])))
        print(f"{row['name']:10}{kind:28}{shape:14}{row['parameters']:>12,}{row['connections']:>14,}")
    print(f"{'total':52}{arch.parameters:>12,}{arch.connections:>14,}")


def _evaluate(options: argparse.Namespace) -> None:
    from lenet_core.checkpoint import load_checkpoint
    from lenet_core.data import load
    from lenet_core.devices import device_title, pick_device
    from lenet_core.evaluate import evaluate

    checkpoint = load_checkpoint(options.checkpoint)
    recipe = checkpoint.training.get("recipe")
    name = options.data or (recipe.get("data") if isinstance(recipe, dict) else None)
    if not isinstance(name, str):
        raise ValueError("The checkpoint does not say what it was trained on; name a data set with --data.")
    data = load(name, train=False)
    if checkpoint.classes != data.classes:
        raise ValueError(
            f"The checkpoint answers {', '.join(checkpoint.classes[:3])}, ...; {data.title} has "
            f"{', '.join(data.classes[:3])}, ...: name a data set of the same classes with --data."
        )
    device = pick_device(options.device)
    net = checkpoint.net.to(device)
    result = evaluate(net, data, checkpoint.architecture.input_shape)
    if options.json:
        print(
            json.dumps(
                {
                    "accuracy": result.accuracy,
                    "interval": result.interval,
                    "images": result.images,
                    "data": result.data,
                    "device": device_title(device),
                    "confusion": result.confusion,
                }
            )
        )
        return
    low, high = result.interval
    share = f"{result.accuracy:.2%} of {result.images:,}"
    print(f"{share} ({result.data}; 95 % interval {low:.2%} to {high:.2%}; {device_title(device)})")


def _predict(options: argparse.Namespace) -> None:
    from lenet_core.checkpoint import load_checkpoint
    from lenet_core.classify import classify
    from lenet_core.preprocess import read_image, to_digit

    checkpoint = load_checkpoint(options.checkpoint)
    answers, failures = [], 0
    for path in options.image:
        try:
            answer = classify(checkpoint, to_digit(read_image(path)).image)
        except LenetError as error:
            failures += 1
            print(f"error: {path}: {error}", file=sys.stderr)
            continue
        label, name = answer.label, answer.name(answer.label)
        probabilities = answer.probabilities.tolist()
        answers.append({"file": str(path), "label": label, "name": name, "probabilities": probabilities})
        if not options.json:
            print(f"{path}: {name} ({probabilities[label]:.1%})")
    if options.json:
        print(json.dumps(answers))
    if failures:
        raise LenetError(f"{failures} of {len(options.image)} pictures could not be read as digits.")


def _activations(options: argparse.Namespace) -> None:
    import torch

    from lenet_core.activations import activations, to_npz
    from lenet_core.checkpoint import load_checkpoint
    from lenet_core.files import write_atomically
    from lenet_core.inputs import stack_inputs

    checkpoint = load_checkpoint(options.checkpoint)
    names = _layer_names(checkpoint.architecture, options.layers)
    images = [_shown(path, options.form) for path in options.image]
    inputs = stack_inputs(images, checkpoint.architecture.input_shape)
    parts = []
    for batch in inputs.split(32):  # an AlexNet's layers take 10 MB for each picture
        outputs = activations(checkpoint.net, batch)
        parts.append({"input": batch} | {name: outputs[name] for name in names})
    arrays = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    write_atomically(options.out, to_npz(arrays))
    for name, array in arrays.items():
        print(f"{name:12}{shape_text(array.shape):18}{array.min():.4g}..{array.max():.4g}")


def _layer_names(arch: Architecture, text: str | None) -> list[str]:
    """The layers that are asked for, each once; `input` is none of them, the name of what the network saw."""
    present = {layer.name: layer.kind for layer in arch.layers if layer.name != "input"}
    if text is None:
        text = ",".join(name for name, kind in present.items() if kind == "convolution")
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in present:
            raise ValueError(
                f"{arch.name} has no layer {shorten(name)} to choose; there are {', '.join(present)} "
                "(and `input` is always written)."
            )
    return names


def _shown(path: Path, form: str) -> NDArray[np.uint8]:
    """What a network is shown of a picture; a note on what was chosen goes to the standard error."""
    from lenet_core.preprocess import read_image, read_picture, to_digit

    try:
        if form == "digit":
            return to_digit(read_image(path)).image
        image, note = read_picture(path)
    except LenetError as error:
        raise LenetError(f"{path}: {error}") from error
    if note:
        print(f"note: {path}: {note}", file=sys.stderr)
    return image


def _script(options: argparse.Namespace) -> None:
    from lenet_core.codegen import to_script
    from lenet_core.recipes import recipe_named

    print(to_script(recipe_named(options.recipe)), end="")


def _onnx(options: argparse.Namespace) -> None:
    from lenet_core.checkpoint import load_checkpoint
    from lenet_core.export import to_onnx
    from lenet_core.files import write_atomically

    write_atomically(options.out, to_onnx(load_checkpoint(options.checkpoint)))
    print(options.out)


if __name__ == "__main__":
    sys.exit(main())
