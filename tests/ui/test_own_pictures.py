"""Pictures that visitors bring: how many are kept, for whom, and who finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from lenet_core.errors import ImageError
from lenet_core.inputs import UPLOAD, Input, parse
from tests.core.trainings import make_old
from tests.image_bytes import saved
from tests.ui.look_app import LEARNER
from ui.own_pictures import MOST, find

OTHER = "f" * 32


def png(shade: int) -> bytes:
    """A picture unlike those of other shades."""
    return saved(Image.new("L", (20, 20), shade))


def kept(*files: tuple[str, bytes], learner: str = LEARNER) -> list[tuple[Input, str]]:
    """What a learner gets for these files, brought one after the other."""

    def bring(files: list[tuple[str, bytes]]) -> None:
        import streamlit as st

        from ui import own_pictures

        st.session_state["kept"] = [own_pictures.keep(name, data, as_digit=False) for name, data in files]

    app = AppTest.from_function(bring, kwargs={"files": list(files)}, default_timeout=60)
    app.session_state["learner"] = learner
    app.run()
    assert not app.exception
    found: list[tuple[Input, str]] = app.session_state["kept"]
    return found


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("pictures/*/*"))


def test_a_picture_is_found_by_what_its_link_says() -> None:
    ((one, note),) = kept(("a cat.png", png(7)))
    assert note == ""
    assert parse(one.text) == one
    name, pixels = find(one)
    assert name == "a-cat"
    assert pixels.shape == (20, 20)
    assert (pixels == 7).all()


def test_the_same_picture_twice_is_one(own_data_folder: Path) -> None:
    first, again, renamed, other = (one for one, _ in kept(
        ("cat.png", png(7)), ("cat.png", png(7)), ("dog.png", png(7)), ("cat.png", png(8)),
    ))  # fmt: skip
    assert first == again == renamed != other
    assert find(first)[0] == "cat"
    assert len(files_in(own_data_folder)) == 2


def test_the_newest_forty_of_a_learner_are_kept(own_data_folder: Path) -> None:
    found = [one for one, _ in kept(*[(f"{shade}.png", png(shade)) for shade in range(MOST)])]
    assert MOST == 40
    assert len(files_in(own_data_folder)) == 40
    for path in files_in(own_data_folder):  # a second apart: a file system's clock may be coarse
        make_old(path, 1_000 - int(path.stem[17:]))
    kept(("again.png", png(0)), ("one.png", png(100)), ("two.png", png(101)))
    assert len(files_in(own_data_folder)) == 40
    assert (find(found[0])[1] == 0).all()  # brought again, so it is no old one
    assert (find(found[3])[1] == 3).all()
    for gone in found[1:3]:
        with pytest.raises(ImageError, match="upload it again"):
            find(gone)


def test_another_learners_pictures_make_no_room(own_data_folder: Path) -> None:
    ((mine, _),) = kept(("mine.png", png(200)))
    kept(*[(f"{shade}.png", png(shade)) for shade in range(MOST)], learner=OTHER)
    assert (find(mine)[1] == 200).all()
    assert len(files_in(own_data_folder)) == 41
    assert len(list((own_data_folder / "pictures").iterdir())) == 2
    assert LEARNER not in str(files_in(own_data_folder))  # a folder's name tells nothing of its learner


@pytest.mark.parametrize("key", ["", "0123456789abcdef", "f" * 16])
def test_a_key_that_nobody_was_given_finds_nothing(key: str, own_data_folder: Path) -> None:
    kept(("mine.png", png(7)))
    stranger = own_data_folder / "pictures" / "x" / f"{key}-not ours.png"
    stranger.parent.mkdir()
    stranger.write_bytes(png(9))
    with pytest.raises(ImageError, match="upload it again"):
        find(Input(UPLOAD, key=key))


@pytest.mark.parametrize(
    "key", ["", ".", ".*", "." + "?" * 16, ".[0-9a-f]*", ".../x", ".0123456789ABCDEF", ".0", ".0123456789abcdef\n"]
)
def test_a_link_that_names_no_key_is_refused_before_any_file_is_looked_for(key: str) -> None:
    with pytest.raises(ValueError, match="There is no input"):
        parse(f"upload{key}")


def test_a_file_that_was_damaged_since_is_told(own_data_folder: Path) -> None:
    ((one, _),) = kept(("cat.png", png(7)))
    (path,) = files_in(own_data_folder)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ImageError):
        find(one)


def test_what_is_kept_is_small_however_large_it_was(own_data_folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    ((one, _),) = kept(("large.jpg", saved(Image.fromarray(noise), "JPEG")))
    assert find(one)[1].shape == (256, 256, 3)
    (path,) = files_in(own_data_folder)
    assert path.stat().st_size < 250_000


def test_a_folder_that_cannot_be_written_is_told(own_data_folder: Path) -> None:
    own_data_folder.mkdir(parents=True)
    (own_data_folder / "pictures").write_text("in the way")

    def bring(data: bytes) -> None:
        import streamlit as st

        from lenet_core.errors import StorageError
        from ui import own_pictures

        try:
            own_pictures.keep("cat.png", data, as_digit=False)
        except StorageError as error:
            st.text(str(error))

    app = AppTest.from_function(bring, kwargs={"data": png(7)}).run()
    assert not app.exception
    assert "cannot be a folder (Not a directory). Make room there" in app.text[0].value
