"""A recipe as PyTorch code: the script that a student saves trains the very same network in the very same way."""

from __future__ import annotations

import ast
import dataclasses
import gc
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenet_core.architecture import ACTIVATIONS, HEADS, INITIALISATIONS, POOLINGS, Architecture
from lenet_core.codegen import to_script
from lenet_core.data import DataSet, _torchvision_class, load, to_input
from lenet_core.data_sets import DATA_SETS
from lenet_core.evaluate import evaluate
from lenet_core.layers import build
from lenet_core.layout import Conv
from lenet_core.presets import preset
from lenet_core.recipes import RECIPES, SCHEDULES, Augmentation, Recipe, recipe_named
from lenet_core.train import EagerStep, Epoch, Training, learning_rate_at
from tests.conftest import ROOT

SMALL = preset("lenet-modern").replace(channels=(3, 5), dense=(16,))
TABLED = preset("lenet5-1998", input_size=28)
SMALL_ALEXNET = preset("alexnet-cifar").replace(channels=(4, 8, 8, 8, 8), dense=(32, 16))
STROKES = Augmentation(shift=1, rotation=7, slashed_zeros=0.5, crossed_sevens=0.5, flagged_ones=0.5)

NETWORKS: dict[str, Architecture] = {
    **{f"activation {name}": SMALL.replace(activation=name) for name in ACTIVATIONS},
    **{f"pooling {name}": SMALL.replace(pooling=name) for name in POOLINGS},
    **{f"head {name}": SMALL.replace(head=name) for name in HEADS},
    **{f"initialisation {name}": SMALL.replace(initialisation=name) for name in INITIALISATIONS},
    **{f"table, initialisation {name}": TABLED.replace(initialisation=name) for name in INITIALISATIONS},
    "a table of single maps": SMALL.replace(channels=(3, 2), table=(None, ((0,), (2,)))),
    "codes that are not bitmaps": TABLED.replace(dense=(40,), num_classes=12),
    "no pooling": SMALL.replace(pool=0),
    "windows that overlap": SMALL.replace(pool=3, pool_stride=2),
    "sums of windows that overlap": SMALL.replace(pool=3, pool_stride=2, pooling="subsampling"),
    "dropout": SMALL.replace(dropout=0.3),
    "no convolutions": SMALL.replace(convs=()),
    "no hidden layers": SMALL.replace(convs=(), dense=()),
    "a range of its own": SMALL.replace(input_range=(-1, 2.5)),
    "a range for each channel": SMALL.replace(
        input_shape=(3, 28, 28), input_range=((-1, 2.5), (-2.1179039301310043, 2.2489082969432315), (0.0, 1e-5))
    ),
    "a range for the only channel": SMALL.replace(input_range=((-1, 2.5),)),
    "groups, strides, normalisation": preset("alexnet-2012").replace(
        input_shape=(3, 40, 30),
        convs=(Conv(8, stride=2, normalise=True, pool=3, pool_stride=2), Conv(6, 3, padding=1, groups=2)),
        dense=(64, 32),
        num_classes=10,
    ),
}


def recipe(**changes: Any) -> Recipe:
    """The modern LeNet's recipe for one pass over the bundled sample, with changes."""
    usual = {"data": "mnist-5k", "epochs": 1, "batch_size": 64, "validation": 0.0}
    return dataclasses.replace(RECIPES["lenet-modern"], **{**usual, **changes})


DESCRIBED: dict[str, Recipe] = {**RECIPES, **{name: recipe(architecture=arch) for name, arch in NETWORKS.items()}}


@pytest.fixture(scope="module", autouse=True)
def ready() -> None:
    """torchvision imported in the one way that works with every PyTorch."""
    _torchvision_class("MNIST")


def parts_of(script: str) -> dict[str, Any]:
    """The script's functions and classes, without its training."""
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(compile(script, "script.py", "exec", dont_inherit=True), namespace)
    return namespace


# --- the same training -------------------------------------------------------------------------


def told_by_training(how: Recipe, train: DataSet, test: DataSet) -> list[str]:
    """What the script ought to print, from the project's own training in plain PyTorch, which rounds as it does."""
    net = build(how.architecture, seed=how.seed)
    lines = []
    for event in Training(net, how, train, make_step=EagerStep):
        if isinstance(event, Epoch):
            line = f"epoch {event.epoch + 1}: loss {event.loss:.6g}, training accuracy {event.accuracy:.4%},"
            lines.append(f"{line} validation accuracy {event.validation.accuracy:.4%}" if event.validation else line)
    accuracy = evaluate(net, test, how.architecture.input_shape).accuracy
    return [*lines, f"test accuracy {accuracy:.2%}"]


def told_by_script(how: Recipe, folder: Path, *arguments: str) -> list[str]:
    """What the script prints when a program of its own runs it, away from the project."""
    path = folder / "script.py"
    path.write_text(to_script(how), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


TRAININGS: dict[str, Recipe] = {
    "lenet-modern": recipe(batch_size=32, validation=0.1, epochs=2),
    **{
        name: dataclasses.replace(RECIPES[name], data="mnist-5k", epochs=1)
        for name in ("lenet-d2l", "lenet5-tanh", "lenet5-1998")
    },
    "everything at once": recipe(
        architecture=preset("lenet-modern").replace(dropout=0.25), schedule="cosine", augmentation=STROKES,
        share=0.6, validation=0.15, label_smoothing=0.1, weight_decay=1e-3, seed=7, epochs=2,
    ),
    "a small AlexNet": recipe(
        architecture=SMALL_ALEXNET, optimiser="sgd", learning_rate=0.02, momentum=0.9, weight_decay=5e-4,
        schedule="linear", augmentation=Augmentation(shift=2, scale=1.2), share=0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAININGS)
def test_the_script_prints_the_figures_of_the_projects_own_training(name: str, tmp_path: Path) -> None:
    how = TRAININGS[name]
    expected = told_by_training(how, load("mnist-5k", train=True), load("mnist-5k", train=False))
    assert told_by_script(how, tmp_path) == expected
    assert len(expected) == how.epochs + 1


def test_epochs_can_be_chosen_anew_and_the_schedule_follows(tmp_path: Path) -> None:
    how = recipe(architecture=SMALL, schedule="warmup-linear", epochs=5, share=0.2)
    longer = dataclasses.replace(how, epochs=2)
    expected = told_by_training(longer, load("mnist-5k", train=True), load("mnist-5k", train=False))
    assert told_by_script(how, tmp_path, "--epochs", "2") == expected


def test_the_script_trains_on_the_real_mnist(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    how = recipe(data="mnist", share=0.02, validation=0.1)
    script = parts_of(to_script(how))
    monkeypatch.setattr(sys, "argv", ["script.py", "--data", str(real_data)])
    script["main"]()
    train, test = (load("mnist", train=part, root=real_data) for part in (True, False))
    assert capsys.readouterr().out.splitlines() == told_by_training(how, train, test)


def test_cifar10_is_read_with_its_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images in CIFAR-10's own format: 3,072 values each, all of red, then green, then blue."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
    (tmp_path / "cifar-10-batches-py").mkdir()
    content = {
        "test_batch": {"data": pixels.reshape(10, 3_072), "labels": list(range(10))},
        "batches.meta": {"label_names": list(DATA_SETS["cifar10"].classes)},
    }
    for name, entry in content.items():
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(entry))
    kind = _torchvision_class("CIFAR10")
    monkeypatch.setattr(kind, "train_list", [])
    monkeypatch.setattr(kind, "test_list", [["test_batch", None]])
    monkeypatch.setattr(kind, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})

    images, labels = parts_of(to_script(RECIPES["alexnet-cifar"]))["load"](False, "cpu", str(tmp_path))
    assert torch.equal(images, torch.from_numpy(pixels))
    assert images.is_contiguous()  # another order in memory would be summed in another order
    assert labels.tolist() == list(range(10))


# --- the same network --------------------------------------------------------------------------


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_script_builds_the_projects_own_network(name: str) -> None:
    how = dataclasses.replace(DESCRIBED[name], seed=3)
    own, theirs = build(how.architecture, seed=3), parts_of(to_script(how))["build"]()
    assert str(theirs) == str(own)  # the names of the layers, their kinds and what their weights do not show
    weights = theirs.state_dict()
    assert list(weights) == list(own.state_dict())
    assert all(torch.equal(weights[key], value) for key, value in own.state_dict().items())
    images = torch.rand(2, *how.architecture.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(theirs.eval()(images), own.eval()(images))


@pytest.mark.parametrize("name", DESCRIBED)
def test_each_layer_has_a_line_with_its_output_shape(name: str) -> None:
    how = DESCRIBED[name]
    lines = [line.strip() for line in to_script(how).splitlines()]
    for layer in how.architecture.layers:
        [line] = [line for line in lines if line.startswith(f"{layer.name}=")]
        assert line.endswith("# " + "x".join(map(str, layer.output_shape)))


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "constant"])
@pytest.mark.parametrize("total", [1, 3, 100])
def test_the_schedules_are_the_projects_own(schedule: str, total: int) -> None:
    how = recipe(schedule=schedule, learning_rate=0.3)
    rate = parts_of(to_script(how))["learning_rate_at"]
    assert [rate(step, total) for step in range(total)] == [learning_rate_at(how, step, total) for step in range(total)]


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ("mnist-5k", (1, 32, 32)), ("mnist-5k", (1, 29, 31)), ("mnist-5k", (1, 20, 20)),
        ("mnist-5k", (3, 32, 32)), ("mnist-5k", (3, 28, 28)), ("mnist-5k", (3, 40, 20)),
        ("cifar10", (1, 32, 32)), ("cifar10", (1, 28, 28)), ("cifar10", (1, 40, 36)), ("cifar10", (3, 35, 40)),
    ],
)  # fmt: skip
def test_images_are_fitted_as_the_project_fits_them(data: str, shape: tuple[int, int, int]) -> None:
    how = recipe(data=data, architecture=SMALL.replace(input_shape=shape))
    images = torch.randint(0, 256, (4, *DATA_SETS[data].shape), generator=torch.Generator().manual_seed(0)).byte()
    fitted = parts_of(to_script(how))["fit_field"](images.float() / 255)
    assert torch.equal(fitted, to_input(images, shape))


# --- the text ----------------------------------------------------------------------------------


def test_a_plain_recipe_has_nothing_that_it_does_not_need() -> None:
    script = to_script(dataclasses.replace(RECIPES["lenet-modern"], reference=""))
    assert script.count("def ") == 4
    for needless in ("class ", "augment", "learning_rate_at", "map_loss", "fit_field", "math", "step += 1"):
        assert needless not in script
    assert len(script.splitlines()) < 100


def test_the_docstring_names_the_recipe_its_size_and_what_was_published() -> None:
    for how in RECIPES.values():
        text = " ".join((ast.get_docstring(ast.parse(to_script(how))) or "").split())
        assert how.name in text
        assert how.architecture.name in text
        assert f"{how.architecture.parameters:,} parameters" in text
        assert DATA_SETS[how.data].title in text
        assert how.reference in text


def test_scripts_are_formatted_and_without_a_needless_or_missing_import(tmp_path: Path) -> None:
    recipes = {**DESCRIBED, **TRAININGS}
    for index, how in enumerate(recipes.values()):
        (tmp_path / f"script_{index}.py").write_text(to_script(how), encoding="utf-8")
    for command in (["format", "--diff"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", str(ROOT / "pyproject.toml"), "."]
        done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.iterdir())) == len(recipes)


PRINTABLE = [
    '"""\\nimport os\\n"""', '"', '""', '""""', "'''", "\\", "\\\\", '\\"""', '"""\\', "\\N{BULLET}", "\\x22" * 3,
    "{recipe}", "%(prog)s", "# -*- coding: utf-7 -*-", "+AAo-import os", "één “net”",
]  # fmt: skip
UNPRINTABLE = [
    '"""\nimport os\n"""',
    "\rimport os",
    "\fimport os",
    "\u2028import os",
    "\u202eso tropmi",
    "\0",
    "\ud800",
]


def check_harmless(how: Recipe, expected: str) -> None:
    plain = dataclasses.replace(
        how, name="plain", reference="", architecture=dataclasses.replace(how.architecture, name="plain")
    )
    script = to_script(how).encode("utf-8")  # as it is saved
    docstring, *code = ast.parse(script).body
    assert [ast.dump(node) for node in code] == [ast.dump(node) for node in ast.parse(to_script(plain)).body[1:]]
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    assert expected in " ".join(docstring.value.value.split())


@pytest.mark.parametrize("text", PRINTABLE)
def test_a_strangers_words_are_shown_as_they_are_and_never_run(text: str) -> None:
    check_harmless(recipe(name=text), f"{text}: the network")
    check_harmless(recipe(reference=text), f"Published: {text}.")
    check_harmless(recipe(architecture=dataclasses.replace(SMALL, name=text)), f"the network {text} (")


@pytest.mark.parametrize("text", UNPRINTABLE)
def test_what_cannot_be_printed_ends_no_line_and_hides_nothing(text: str) -> None:
    shown = " ".join(text.translate({ord(char): " " for char in "\n\r\f\u2028\u202e\0\ud800"}).split())
    check_harmless(recipe(name=text), f"{shown}: the network")
    check_harmless(recipe(reference=f"by {text}"), f"Published: {f'by {shown}'.strip()}.")


# --- when there is no script, and when there is no PyTorch -------------------------------------


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (recipe(data="cifar10", architecture=SMALL.replace(input_shape=(2, 32, 32))), r"3 channels .* takes 2"),
        (recipe(share=0.001, validation=0.9), "leaves none to train on"),
        (recipe(architecture=SMALL.replace(convs=(), dense=(), head="rbf")), "no parameters to train"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused_as_training_refuses_it(how: Recipe, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_script(how)


def test_a_script_is_written_without_loading_pytorch() -> None:
    code = """
import sys
from lenet_core.codegen import to_script
from lenet_core.recipes import RECIPES
scripts = [to_script(recipe) for recipe in RECIPES.values()]
print(len(scripts), sorted({"torch", "torchvision", "mlxtend"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"{len(RECIPES)} []", done.stderr


def test_many_visitors_get_their_scripts_at_once() -> None:
    """At depths of the stack that differ, and with a collection of garbage that lets another thread go on."""
    recipe = recipe_named("lenet5-1998")
    expected = to_script(recipe)

    def script_at(depth: int) -> str:
        return script_at(depth - 1) if depth else to_script(recipe)

    def lets_others_on(_: str, __: dict[str, int]) -> None:
        time.sleep(1e-6)

    often, gc_threshold = sys.getswitchinterval(), gc.get_threshold()
    gc.callbacks.append(lets_others_on)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            scripts = list(threads.map(script_at, range(0, 80, 4)))
    finally:
        sys.setswitchinterval(often)
        gc.set_threshold(*gc_threshold)
        gc.callbacks.remove(lets_others_on)
    assert set(scripts) == {expected}
