"""The drawn cats and cars, and the photograph that may be there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.drawing import SIDE
from benchmarks.make_samples import drawn
from lenet_core import samples
from lenet_core.errors import DataError
from tests.conftest import missing
from tests.pens import SHARED_DATA

CHELSEA = SHARED_DATA / "photos" / "cat_chelsea_skimage.png"
DRAWN = sorted(samples.SAMPLES.glob("*.png"))


@pytest.fixture(autouse=True)
def _no_skimage(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a fresh install, whatever else is in this environment."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "skimage").exists()])


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_picture_is_there_square_and_in_colour(kind: str) -> None:
    number = samples.count(kind)
    assert number >= 3
    pictures = [samples.sample(kind, index) for index in range(number)]
    for picture in pictures:
        assert picture.shape == (SIDE, SIDE, 3)
        assert picture.dtype == np.uint8
        assert np.ptp(picture.astype(int), axis=2).max() > 20  # colour, not grey three times
    assert len({picture.tobytes() for picture in pictures}) == number
    assert [samples.title(kind, index) for index in range(number)] == [f"{kind} {n + 1}" for n in range(number)]


def test_the_index_begins_anew_after_the_last() -> None:
    number = samples.count("car")
    assert np.array_equal(samples.sample("car", number + 1), samples.sample("car", 1))
    assert samples.title("car", number + 1) == "car 2"


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="cat, car"):
        samples.count("dog")


def test_the_script_draws_what_is_in_assets() -> None:
    """Two grey levels leave room for the rounding of other versions of NumPy and Pillow."""
    made = dict(drawn())
    assert sorted(made) == [path.name for path in DRAWN]
    for path in DRAWN:
        with Image.open(path) as kept:
            assert kept.mode == "RGB"
            difference = np.abs(np.asarray(kept, float) - np.asarray(made[path.name], float)).mean()
        assert difference < 2, path.name


def test_they_are_small_enough_for_a_repository() -> None:
    assert sum(path.stat().st_size for path in DRAWN) < 250_000


@pytest.fixture
def skimage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name with the real photograph in its data folder, and nothing that could be imported."""
    if not CHELSEA.exists():
        missing(f"no photographs beside the project ({CHELSEA.name})")
    data = tmp_path / "site" / "skimage" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise ImportError('this must not be imported')")
    shutil.copyfile(CHELSEA, data / "chelsea.png")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return data / "chelsea.png"


def test_chelsea_comes_after_the_drawn_cats(skimage: Path) -> None:
    last = samples.count("cat") - 1
    assert last == len([path for path in DRAWN if path.name.startswith("cat")])
    assert samples.title("cat", last) == "Chelsea, a photograph"
    assert samples.title("cat", last - 1) == f"cat {last}"
    picture = samples.sample("cat", last)
    assert picture.shape == (samples.MAX_SIDE, samples.MAX_SIDE, 3)
    with Image.open(skimage) as photograph:  # both eyes, at (170, 115) and (317, 136), are inside the square
        whole = np.asarray(photograph.convert("RGB").resize((385, 256), Image.Resampling.LANCZOS), float)
    gaps = [np.abs(picture - whole[:, left : left + 256]).mean() for left in range(385 - 256 + 1)]
    best = int(np.argmin(gaps))
    assert gaps[best] < 4  # it lies a third of a pixel beside; elsewhere the gap is about 33
    assert best < 170 * 256 / 300 - 20
    assert best + 256 > 317 * 256 / 300 + 20
    assert samples.count("car") == 4


def test_skimage_without_its_photograph_is_no_trouble(skimage: Path) -> None:
    skimage.unlink()
    assert samples.title("cat", samples.count("cat") - 1) == f"cat {samples.count('cat')}"


def test_a_damaged_photograph_names_its_next_step(skimage: Path) -> None:
    skimage.write_bytes(skimage.read_bytes()[:5000])
    with pytest.raises(DataError, match="scikit-image"):
        samples.sample("cat", samples.count("cat") - 1)


def test_a_damaged_picture_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cat-0.png").write_bytes((samples.SAMPLES / "cat-0.png").read_bytes()[:5000])
    monkeypatch.setattr(samples, "SAMPLES", tmp_path)
    with pytest.raises(DataError, match=r"cat-0\.png.*python -m benchmarks\.make_samples"):
        samples.sample("cat", 0)


def test_missing_pictures_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SAMPLES", tmp_path / "nothing")
    for ask in (samples.count, lambda kind: samples.sample(kind, 0), lambda kind: samples.title(kind, 0)):
        with pytest.raises(DataError, match=r"python -m benchmarks\.make_samples"):
            ask("car")
