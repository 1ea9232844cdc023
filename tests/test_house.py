"""What the project promises of itself: arrows that point down, documents that are true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from lenet_core.reproduce_table import dial_table, recipe_table
from tests.conftest import ROOT
from tests.pens import CANVAS, PEN_WIDTH


def imports(path: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_the_front_page_imports_no_other_page_and_no_torch() -> None:
    assert not imports("app.py") & {"pages", "torch", "torchvision"}


def test_no_page_waits_for_torchvision() -> None:
    """It doubles the time to import; only fetching a data set needs it."""
    parts = "ui.markup, ui.cache, ui.networks, ui.state, lenet_core.classify, lenet_core.train, lenet_core.data"
    check = f"import sys, {parts}; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


def test_only_one_file_touches_each_of_streamlits_stores() -> None:
    files = [ROOT / "app.py", *ROOT.glob("pages/*.py"), *ROOT.glob("ui/**/*.py")]
    owners = {
        "st.session_state": {"state.py"}, "@st.cache_": {"cache.py"}, "import st_canvas": {"canvas.py"},
    }  # fmt: skip
    for name, owner in owners.items():
        assert {path.name for path in files if name in path.read_text()} == owner


def test_only_files_of_markup_write_html() -> None:
    files = [ROOT / "app.py", *ROOT.glob("pages/*.py"), *ROOT.glob("ui/*.py")]
    owners = {path.name for path in files if "<div" in path.read_text()}
    assert {name for name in owners if not name.startswith("markup")} == set()


def test_every_page_begins_with_the_shared_layout() -> None:
    for path in [ROOT / "app.py", *ROOT.glob("pages/[!_]*.py")]:
        assert "layout.begin(" in path.read_text(), path.name


def test_the_benchmarks_pen_is_the_canvass() -> None:
    source = (ROOT / "ui" / "canvas.py").read_text()
    size, pen = (int(re.search(rf"^{name} = (\d+)", source, re.M)[1]) for name in ("SIZE", "PEN"))  # type: ignore[index]
    assert round(pen / size * CANVAS) == PEN_WIDTH


def test_every_requirement_is_accounted_for() -> None:
    """Each package in a requirements file has its line in CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for file in ROOT.glob("requirements*.txt"):
        for line in file.read_text().splitlines():
            if line and line[0].isalpha():
                name = re.split(r"[<>=]", line)[0]
                assert f"`{name}`" in text, name


def test_every_command_link_and_picture_in_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    named = re.findall(r"(?:`| {4})make ([a-z]+)", readme)
    assert {"run", "test"} <= set(named) <= set(targets)
    for module in re.findall(r"python -m (benchmarks\.[a-z_]+)", readme):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / link).exists(), link


def test_the_readme_has_no_number_still_to_measure() -> None:
    assert not re.search(r"\| (?=\d*[A-Z])[A-Z0-9]{3,} \|", (ROOT / "README.md").read_text())


def test_the_readmes_reproductions_are_what_was_written() -> None:
    """The tables are those that `reproduce --readme` makes of the files in assets/reproduced."""
    readme = (ROOT / "README.md").read_text()
    for table in (recipe_table(), dial_table()):
        assert table in readme


def test_the_readmes_accuracies_are_those_of_the_checkpoints() -> None:
    """The table in the README is the one that was written when the checkpoints were made."""
    readme = (ROOT / "README.md").read_text()
    rows = [line for line in (ROOT / "assets/checkpoints/README.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == 5
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[1] in readme
        assert cells[6].split(" (")[0] in readme, cells[6]
