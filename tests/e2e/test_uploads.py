"""Bringing back a network: the file of another machine answers here, and anything else is refused in one line."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from lenet_core.library import bundled_checkpoints
from tests.conftest import Server
from tests.e2e.conftest import DrawPage, TrainPage


def bring(page: Page, name: str, data: bytes) -> None:
    page.get_by_text("Bring back a network of your own").click()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def test_a_network_brought_back_answers_a_drawing(page: Page, server: Server) -> None:
    data = bundled_checkpoints()["lenet5-1998"].read_bytes()
    train = TrainPage(page, server.url).open()
    bring(page, "my net & <b>co.safetensors", data)
    page.get_by_role("button", name="Draw with it").click()
    page.wait_for_url("**/draw?net=own*")
    draw = DrawPage(page, server.url)
    draw.canvas.wait_for()
    draw.button("7")
    assert draw.read(1) == "7"
    assert "my-net-b-co-" in page.get_by_role("combobox", name="Answered by").input_value()
    assert not train.complaints


def test_a_network_just_brought_back_can_be_deleted_and_brought_again(page: Page, server: Server) -> None:
    data = bundled_checkpoints()["lenet5-1998"].read_bytes()
    train = TrainPage(page, server.url).open()
    bring(page, "mine.safetensors", data)
    delete = page.get_by_role("button", name="Delete", exact=True)
    delete.click()
    expect(delete).to_have_count(0)
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.safetensors", "mimeType": "application/octet-stream", "buffer": data}
    )
    expect(delete).to_have_count(1)
    assert not train.complaints


def test_a_file_that_is_no_network_is_refused_in_one_line(page: Page, server: Server) -> None:
    train = TrainPage(page, server.url).open()
    bring(page, "cat.safetensors", b"\x89PNG" + bytes(5_000))
    expect(train.warnings).to_have_count(1)
    expect(train.warnings).to_contain_text("cat.safetensors is not a")
    expect(page.get_by_role("button", name="Draw with it")).to_have_count(0)
