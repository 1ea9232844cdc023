"""Pictures that a visitor brings to the Look inside page: the good, the odd, and what is refused in one line."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from lenet_core.data import load
from lenet_core.inputs import MOST, stack_inputs
from lenet_core.preprocess import read_picture
from tests.core.test_pictures import BAD, COLOURS, SVG, WHOLE_JPEG, WHOLE_PNG
from tests.image_bytes import png, saved
from tests.ui.apps import linked, shown
from tests.ui.look_app import bring, group, look, names, notices, tables, turned

GREY = Image.effect_noise((60, 60), 80)
ON_ITS_SIDE = Image.Exif()
ON_ITS_SIDE[0x0112] = 6


def animation() -> bytes:
    frames = [Image.fromarray(np.roll(COLOURS, 13 * turn, axis=0)) for turn in (1, 2, 3)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


GOOD: dict[str, tuple[bytes, str]] = {  # each with what is said of it
    "colours.png": (saved(Image.fromarray(COLOURS)), ""),
    "grey.bmp": (saved(GREY, "BMP"), ""),
    "cmyk.jpg": (saved(Image.fromarray(COLOURS).convert("CMYK"), "JPEG"), ""),
    "on-its-side.jpg": (saved(Image.fromarray(COLOURS), "JPEG", exif=ON_ITS_SIDE), ""),
    "deep.png": (saved(Image.fromarray(np.arange(3600, dtype=np.uint16).reshape(60, 60) * 18)), "greys are stretched"),
    "moving.gif": (animation(), "It has 3 frames; the first is taken."),
    "wide.webp": (saved(Image.new("RGB", (300, 100), (9, 99, 199)), "WEBP"), "100 x 100 of 300 x 100 pixels"),
}
REFUSED = {
    "half.png": WHOLE_PNG[: len(WHOLE_PNG) // 2],
    "half.jpg": WHOLE_JPEG[: len(WHOLE_JPEG) // 2],
    "huge.png": png((12_000, 12_000), depth=1),
    "notes.png": b"a shopping list\n" * 50,
    "empty.png": b"",
    "drawing.svg": SVG,
}


def digit(number: int = 0) -> Image.Image:
    """A real digit, dark on white and far larger than MNIST's."""
    pixels = load("mnist-5k", train=False).images[number, 0].numpy()
    return Image.fromarray(255 - np.pad(pixels, 6)).resize((300, 300), Image.Resampling.BICUBIC)


def seen(app: AppTest, row: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The picture of a row, as the network sees it."""
    address = tables(app)[0]["rows"][row]["picture"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


# ---------------------------------------------------------------- the good


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_is_shown_as_the_network_sees_it(name: str) -> None:
    data, says = GOOD[name]
    app = bring(look(inputs="4.0", net="untrained/alexnet-cifar", layers="conv1"), {name: data})
    assert names(app) == ["4", Path(name).stem]
    pixels, _ = read_picture(io.BytesIO(data))
    wanted = (255 * stack_inputs([pixels], (3, 32, 32))[0].permute(1, 2, 0)).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(seen(app, 1), wanted)
    told = notices(app)
    assert len(told) == (1 if says else 0)
    assert all(line.startswith(f"{name}: ") and says in line for line in told)


def test_a_photo_on_its_side_stands_upright() -> None:
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(COLOURS)))
    data = saved(stored, "JPEG", exif=ON_ITS_SIDE, quality=95)
    app = bring(look(inputs="4.0", net="untrained/alexnet-cifar", layers="conv1"), {"on-its-side.jpg": data})
    corners = seen(app, 1)[[3, 3, 28, 28], [3, 28, 3, 28]].astype(int)
    assert np.abs(corners - [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]).max() < 20


def test_several_at_once_are_as_many_inputs_in_their_order() -> None:
    files = {name: data for name, (data, _) in GOOD.items()}
    app = bring(look(inputs="4.0"), files)
    assert names(app) == ["4", *(Path(name).stem for name in files)]
    assert len(notices(app)) == 3
    assert len(str(linked(app, "inputs")).split(",")) == 1 + len(files)


def test_what_is_one_too_many_is_told() -> None:
    app = bring(look(inputs="4.0,5.0,6.0,7.0,8.0,9.0"), {name: data for name, (data, _) in list(GOOD.items())[:4]})
    assert len(names(app)) == MOST
    assert names(app)[6:] == ["colours", "grey"]
    assert [line.partition(":")[0] for line in notices(app)] == ["cmyk.jpg", "on-its-side.jpg"]
    assert all("8 inputs are the most at once" in line for line in notices(app))


def test_as_digits_the_ink_is_cut_out_and_read() -> None:
    real = load("mnist-5k", train=False)
    files = {f"{number}.png": saved(digit(number)) for number in (0, 150, 300)}
    app = bring(look(inputs="none"), files, as_digits=True)
    says = [row["says"].split()[1].rstrip(",") for row in tables(app)[0]["rows"]]
    assert says == [str(int(real.labels[number])) for number in (0, 150, 300)]
    assert seen(app, 0).shape == (28, 28)
    assert seen(app, 0)[0, 0] == 0  # paper, though it was white


def test_as_a_digit_or_as_it_is_are_two_inputs() -> None:
    files = {"five.png": saved(digit())}
    app = bring(look(inputs="none"), files, as_digits=True)
    app = bring(app, files, as_digits=True)
    assert names(app) == ["five"]
    group(app, "read_as").set_value("as they are")
    app = bring(app, files)
    assert names(app) == ["five (1)", "five (2)"]
    assert seen(app, 1)[0, 0] == 255


def test_the_same_picture_twice_is_one_input() -> None:
    data = GOOD["colours.png"][0]
    app = bring(look(inputs="4.0"), {"one.png": data, "other.png": data})
    assert names(app) == ["4", "one"]
    app = bring(app, {"third.png": data})
    assert names(app) == ["4", "one"]


def test_the_uploader_is_empty_again_after_each_upload() -> None:
    app = bring(look(inputs="4.0"), {"colours.png": GOOD["colours.png"][0]})
    assert not app.file_uploader[0].value
    link = linked(app, "inputs")
    app.run()
    assert linked(app, "inputs") == link
    app.button(key="add_cat").click().run()
    assert names(app) == ["4", "colours", "cat"]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_gets_one_clear_line_and_the_rest_stays(name: str) -> None:
    app = look(inputs="4.0,cat.0")
    before = tables(app)
    app = bring(app, {name: REFUSED[name]})
    (line,) = notices(app)
    assert line.startswith(f"{name} ")
    assert escape(BAD[name][1]) in line
    assert len(line) < 250
    assert tables(app) == before
    assert linked(app, "inputs") == "4.0,cat.0"


def test_among_bad_ones_the_good_are_taken() -> None:
    app = bring(look(inputs="4.0"), REFUSED | {"colours.png": GOOD["colours.png"][0]})
    assert names(app) == ["4", "colours"]
    assert [line.split()[0] for line in notices(app)] == list(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_as_a_digit_a_bad_file_gets_one_clear_line_too(name: str) -> None:
    app = bring(look(inputs="4.0"), {name: REFUSED[name]}, as_digits=True)
    (line,) = notices(app)
    assert line.startswith(f"{name} ")
    assert names(app) == ["4"]


def test_a_picture_without_a_digit_is_named() -> None:
    app = bring(look(inputs="4.0"), {"sheet.png": saved(Image.new("L", (50, 50), 255))}, as_digits=True)
    (line,) = notices(app)
    assert "sheet.png" in line
    assert names(app) == ["4"]


def test_the_next_upload_takes_away_what_was_said_of_the_last() -> None:
    app = bring(look(inputs="4.0"), {"empty.png": b""})
    assert len(notices(app)) == 1
    app = bring(app, {"colours.png": GOOD["colours.png"][0]})
    assert notices(app) == []


def test_what_was_said_of_an_upload_is_gone_when_one_comes_back() -> None:
    app = bring(look(inputs="4.0"), {"empty.png": b""})
    turned(app, "pages/draw.py")
    turned(app)
    assert notices(app) == []


# ---------------------------------------------------------------- names and links


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>.png", "../../etc/passwd.png", "ä ö.png", ".png", "a" * 300 + ".png"]
)
def test_a_files_name_is_no_markup_and_no_path(name: str, own_data_folder: Path) -> None:
    app = bring(look(inputs="4.0"), {name: GOOD["colours.png"][0], f"{name[:200]}x.gif": b""})
    page = shown(app)
    assert "<img src=x" not in page
    assert len(names(app)) == 2
    assert not set(names(app)[1]) & set("<>&/.\"' ")
    assert len(notices(app)) == 1
    (kept,) = own_data_folder.rglob("*.png")
    assert kept.parent.parent == own_data_folder / "pictures"


def test_a_link_to_an_upload_shows_it_to_somebody_else() -> None:
    app = bring(look(inputs="4.0"), {"colours.png": GOOD["colours.png"][0]})
    other = look(inputs=str(linked(app, "inputs")))
    other.session_state["learner"] = "f" * 16
    assert tables(other.run()) == tables(app)
    assert notices(other) == []


def test_nobody_learns_what_somebody_else_called_the_same_picture() -> None:
    bring(look(inputs="4.0"), {"Ada-private.png": GOOD["colours.png"][0]})
    other = look(inputs="4.0")
    other.session_state["learner"] = "f" * 16
    bring(other, {"mine.png": GOOD["colours.png"][0]})
    assert names(other) == ["4", "mine"]


def test_a_link_to_an_upload_that_is_gone_is_told(own_data_folder: Path) -> None:
    app = bring(look(inputs="4.0"), {"colours.png": GOOD["colours.png"][0]})
    link = str(linked(app, "inputs"))
    for path in own_data_folder.rglob("*.png"):
        path.unlink()
    other = look(inputs=link)
    assert names(other) == ["4"]
    (line,) = notices(other)
    assert "upload it again" in line
    assert linked(other, "inputs") == "4.0"
