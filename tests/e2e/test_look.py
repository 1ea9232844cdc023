"""The Look inside page in a real browser: what a learner brings, compares, points at, takes home and shares."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from lenet_core.checkpoint import load_checkpoint
from lenet_core.classify import Answer, answers
from lenet_core.inputs import MOST, Input, picture, stack_inputs
from lenet_core.library import bundled_checkpoints
from tests.conftest import Server, missing
from tests.e2e.conftest import DrawPage, LookPage
from tests.image_bytes import saved
from tests.pens import SHARED_DATA

FIRST = ["4", "8", "cat", "uniform noise"]


@pytest.fixture
def look(page: Page, server: Server) -> Iterator[LookPage]:
    """The page, not yet opened; nothing may have complained in the end."""
    shown = LookPage(page, server.url)
    yield shown
    assert shown.complaints == []
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def four() -> Answer:
    """What the modern LeNet makes of the page's first input."""
    checkpoint = load_checkpoint(bundled_checkpoints()["lenet-modern"])
    return answers(checkpoint, stack_inputs([picture(Input("4"))], (1, 28, 28)))[0]


def photo(name: str) -> str:
    path = SHARED_DATA / "photos" / name
    if not path.exists():
        missing("no photographs beside the project")
    return str(path)


def visitor(browser: Browser, server: Server) -> LookPage:
    """Somebody else, in a browser of their own."""
    return LookPage(browser.new_context(viewport={"width": 1366, "height": 768}).new_page(), server.url)


def own_picture(name: str = "mine.png") -> dict[str, object]:
    """A picture of one's own that is there without any photographs, another for each name."""
    slope = len(name) + np.arange(120)
    picture = Image.fromarray(np.add.outer(slope, slope).astype(np.uint8))
    return {"name": name, "mimeType": "image/png", "buffer": saved(picture)}


# ---------------------------------------------------------------- bringing and comparing


def test_photos_go_through_two_networks_at_once(look: LookPage) -> None:
    look.open("?inputs=4.0")
    look.upload(photo("cat_pexels_20787.jpg"), photo("car_taxi_crop_a.jpg"))
    expect(look.names).to_have_text(["4", "cat_pexels_20787", "car_taxi_crop_a"])
    expect(look.warnings).to_have_count(2)  # the middle of each is taken
    look.page.keyboard.press("Escape")
    look.network("Beside it", "LeNet-5, 1998")
    expect(look.table).to_have_count(2)
    expect(look.table.nth(1).locator(".row .name")).to_have_text(["4", "cat_pexels_20787", "car_taxi_crop_a"])
    maps = [look.map("cat_pexels_20787", "C1", 2, table) for table in (0, 1)]
    for canvas in maps:
        expect(canvas).to_be_visible()
        assert len(set(look.pixels(canvas))) > 20
    assert look.pixels(maps[0]) != look.pixels(maps[1])
    expect(look.says).to_have_count(2)


def test_a_bad_file_gets_one_line_which_goes_with_the_next_choice(look: LookPage) -> None:
    look.open()
    look.upload({"name": "cat <b>.png", "mimeType": "image/png", "buffer": b"a text"})
    expect(look.warnings).to_have_count(1)
    expect(look.warnings).to_contain_text("cat <b>.png is not a picture")
    expect(look.names).to_have_text(FIRST)
    look.page.keyboard.press("Escape")
    look.button("Remove cat")
    expect(look.names).to_have_text(["4", "8", "uniform noise"])
    expect(look.warnings).to_have_count(0)


def test_layers_scale_and_details_follow_the_buttons_and_stand_in_the_link(look: LookPage) -> None:
    page = look.open().page
    for layer in ("C1", "C3", "Output"):
        look.choose(layer)
    expect(look.table.locator(".titles b")).to_have_text(["Output"])
    look.choose("S2")
    expect(look.table.locator(".titles b")).to_have_text(["S2", "Output"])
    look.choose("each input")
    expect(look.table.locator(".row .scale")).to_have_count(8)
    look.choose("How alike")
    expect(page.locator(".lp-alike")).to_have_count(2)
    page.wait_for_url(re.compile(r"layers=pool1%2Coutput.*scale=row.*detail=alike"))


def test_a_row_moves_is_renewed_and_removed(look: LookPage) -> None:
    look.open()
    look.button("Move cat up")
    expect(look.names).to_have_text(["4", "cat", "8", "uniform noise"])
    look.button("Move 4 down")
    expect(look.names).to_have_text(["cat", "4", "8", "uniform noise"])
    before = look.pixels(look.map("8", "C1", 0))
    version = look.table.first.get_attribute("data-version")
    look.button("another 8")
    look.page.wait_for_url(re.compile(r"inputs=cat\.0%2C4\.0%2C8\.1%2Cuniform\.0"))
    expect(look.table.first).not_to_have_attribute("data-version", str(version))  # its maps are those of the new 8
    expect(look.names).to_have_count(4)
    assert look.pixels(look.map("8", "C1", 0)) != before
    for name in ("8", "cat", "uniform noise", "4"):
        look.button(f"Remove {name}")
        expect(look.names.get_by_text(name, exact=True)).to_have_count(0)
    expect(look.page.get_by_test_id("empty")).to_have_text("Nothing to look at yet")
    look.page.get_by_role("button", name=re.compile("^Begin with")).click()
    expect(look.names).to_have_text(FIRST)
    assert "inputs=" not in look.page.url


def test_impatient_clicks_add_no_more_than_there_is_room_for(look: LookPage) -> None:
    page = look.open().page
    page.get_by_role("button", name="Cat", exact=True).dblclick()
    page.wait_for_timeout(1000)
    count = look.names.count()
    assert count in (5, 6)  # a press that comes while the first is answered may be one with it
    for _ in range(MOST):
        page.get_by_role("button", name="Car", exact=True).click(force=True, no_wait_after=True)
    expect(page.get_by_role("button", name="Car", exact=True)).to_be_visible()
    page.wait_for_timeout(1000)
    asked = re.findall(r"[a-z0-9-]+\.\d+", page.url.partition("inputs=")[2].replace("%2C", ","))
    assert len(set(asked)) == len(asked) == look.names.count() <= MOST
    assert look.names.count() > count
    assert all("8 inputs are the most at once" in words for words in look.warnings.all_inner_texts())


# ---------------------------------------------------------------- pointing


def test_the_card_the_sum_and_the_network_name_one_value(look: LookPage, four: Answer) -> None:
    look.open()
    values = four.layers["c1_act"][3]
    y, x = (int(at) for at in np.unravel_index(values.argmax(), values.shape))
    canvas = look.map("4", "C1", 3)
    place = look.spot(canvas, y, x, 28)
    canvas.hover(position=place)
    expect(look.card).to_contain_text(f"C1, map 3, row {y}, column {x}: ")
    expect(look.card).to_contain_text("sees rows")
    said = look.card.locator(".where b").inner_text()
    assert float(said) == pytest.approx(float(values[y, x]), rel=0.01)
    canvas.click(position=place)
    expect(look.sum).to_be_visible()
    expect(look.sum.locator(".lp-sum-title")).to_contain_text(f"map 3, row {y}, column {x}")
    expect(look.sum.locator(".lp-sum-step b").last).to_have_text(said)
    look.button("Close the sum")
    expect(look.sum).to_have_count(0)


def test_the_keyboard_alone_reaches_a_map_and_its_sum(look: LookPage) -> None:
    page = look.open().page
    page.get_by_role("button", name="Remove 4").focus()
    page.keyboard.press("Tab")
    expect(look.map("4", "C1", 0)).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(look.card).to_contain_text("map 0, row 2, column 1")
    page.keyboard.press("Enter")
    expect(look.sum.locator(".lp-sum-title")).to_contain_text("map 0, row 2, column 1")
    expect(look.map("4", "C1", 0)).to_be_focused()
    page.keyboard.press("PageDown")
    page.keyboard.press("Enter")
    expect(look.sum.locator(".lp-sum-title")).to_have_text(re.compile(r"map 0, row 2, column 1.* 8$"))
    page.wait_for_url(re.compile(r"unit=0\.conv1\.1\.0\.2\.1"))


# ---------------------------------------------------------------- taking home


def test_the_maps_can_be_taken_home_as_a_picture_and_as_arrays(look: LookPage, four: Answer) -> None:
    page = look.open("?inputs=4.0,cat.0,blank&layers=conv1,conv2,dense2").page
    look.button("Download")
    with page.expect_download() as sheet:
        look.button("Picture sheet (PNG)")
    assert sheet.value.suggested_filename == "lenet-modern-maps.png"
    image = Image.open(sheet.value.path())
    image.load()
    assert image.format == "PNG"
    assert min(image.size) > 200
    with page.expect_download() as arrays:
        look.button("Arrays (NPZ)")
    assert arrays.value.suggested_filename == "lenet-modern-maps.npz"
    with np.load(arrays.value.path()) as found:
        shapes = {name: found[name].shape for name in found.files}
        assert shapes == {
            "c1_act": (3, 6, 28, 28),
            "c3_act": (3, 16, 10, 10),
            "f6_act": (3, 84),
            "input": (3, 1, 28, 28),
            "names": (3,),
        }
        assert found["names"].tolist() == ["4", "cat", "blank"]
        np.testing.assert_array_equal(found["c3_act"][0], four.layers["c3_act"])


# ---------------------------------------------------------------- sharing and keeping


def test_a_link_shows_somebody_else_the_same_upload_and_drawing(
    look: LookPage, browser: Browser, server: Server
) -> None:
    page = look.page
    draw = DrawPage(page, look.url).open()
    draw.button("7")
    assert draw.read(1) == "7"
    page.get_by_role("link", name="Look inside").click()
    look.ready().button("Drawing")
    expect(look.names).to_have_text([*FIRST, "your drawing"])
    look.upload(own_picture())
    expect(look.names).to_have_text([*FIRST, "your drawing", "mine"])
    page.keyboard.press("Escape")
    look.choose("each map")
    page.wait_for_url(re.compile("scale=map"))
    other = visitor(browser, server)
    other.page.goto(page.url)
    other.ready()
    expect(other.names).to_have_text([*FIRST, "your drawing", "mine"])
    for name in ("your drawing", "mine"):
        assert other.pixels(other.map(name, "C3", 4)) == look.pixels(look.map(name, "C3", 4))
    expect(other.page.get_by_role("radio", name="each map")).to_be_checked()
    expect(other.warnings).to_have_count(0)
    assert other.complaints == []
    other.page.context.close()


def test_a_reload_keeps_everything(look: LookPage) -> None:
    page = look.open("?inputs=3.1,car.0&net=lenet5-1998&beside=lenet5-tanh&layers=pool1&scale=map&detail=doubt").page
    look.upload(own_picture())
    expect(look.names).to_have_text(["3", "car", "mine"])
    look.page.keyboard.press("Escape")
    canvas = look.map("car", "S2", 1)
    canvas.click(position=look.spot(canvas, 5, 6, 14))
    title = look.sum.locator(".lp-sum-title")
    expect(title).to_have_text(re.compile("S2, map 1, row 5, column 6.* car$"))
    before = look.pixels(canvas)
    page.reload()
    look.ready()
    expect(look.names).to_have_text(["3", "car", "mine"])
    expect(look.table).to_have_count(2)
    expect(title).to_have_text(re.compile("S2, map 1, row 5, column 6.* car$"))
    expect(page.get_by_role("radio", name="Not one of its classes")).to_be_checked()
    assert look.pixels(canvas) == before


def test_what_was_chosen_is_there_again_after_another_page(look: LookPage) -> None:
    page = look.open().page
    look.button("7")
    expect(look.names).to_have_text([*FIRST, "7"])
    look.choose("C1")
    expect(look.table.locator(".titles b")).to_have_text(["C3"])
    page.get_by_role("link", name="Draw").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Draw a digit")
    page.get_by_role("link", name="Look inside").click()
    look.ready()
    expect(look.names).to_have_text([*FIRST, "7"])
    expect(look.table.locator(".titles b")).to_have_text(["C3"])


def test_two_tabs_do_not_disturb_each_other(look: LookPage) -> None:
    look.open()
    other = LookPage(look.page.context.new_page(), look.url).open("?inputs=1.0,2.0")
    other.button("Remove 1")
    expect(other.names).to_have_text(["2"])
    look.button("Remove cat")
    expect(look.names).to_have_text(["4", "8", "uniform noise"])
    other.upload(own_picture("other.png"))
    expect(other.names).to_have_text(["2", "other"])
    look.button("3")
    expect(look.names).to_have_text(["4", "8", "uniform noise", "3"])
    other.page.reload()
    other.ready()
    expect(other.names).to_have_text(["2", "other"])
    assert other.complaints == []


def test_everything_at_once_fits_a_phone(look: LookPage) -> None:
    page = look.page
    page.set_viewport_size({"width": 390, "height": 844})
    many = ",".join(f"{kind}.0" for kind in (4, 8, "cat", "car", "uniform", "gaussian", "salt-and-pepper", "shuffled"))
    seen = {
        "Numbers": ".lp-numbers",
        "How alike": ".lp-alike",
        "Not one of its classes": ".lp-doubts",
        "Where it looks": ".lp-wide-figure",
    }
    look.open(f"?inputs={many}&beside=untrained/alexnet-cifar&unit=0.conv2.2.5.3.3&scale=row")
    expect(look.sum).to_have_count(1)
    for detail, shown in seen.items():
        look.choose(detail)
        expect(page.locator(shown).last).to_be_visible()
        expect(page.locator("[data-stale=true]")).to_have_count(0)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390, detail
