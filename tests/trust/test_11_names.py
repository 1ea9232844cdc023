"""Promise 11: names never leave the data folder, and never become markup."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from lenet_core.library import bundled_checkpoints
from lenet_core.recipes import recipe_named
from lenet_core.runs import Plan, Run, all_runs, create_run
from tests.conftest import ROOT, serve
from tests.trust.conftest import Trust
from tests.trust.doors import PARAMETERS
from tests.trust.names import MARK, MARKUP, PLOTLY, UNICODE, WINDOWS, sendable

SAYING = tuple(f"pages/{page}.py" for page in ("draw", "feature_maps", "train", "compare"))
# How many texts of charts say a run's name: the loss and the accuracy of the run before it, and the probability of a
# class that is called so; the loss, the training's and the validation's accuracy.
CHARTING = {"pages/train.py": 3, "pages/compare.py": 3}
PAGES = ["app.py", *(f"pages/{path.name}" for path in sorted(ROOT.glob("pages/[!_]*.py")))]


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything under a folder but the data folder: mode, time and content."""
    found = {}
    for path in folder.rglob("*"):
        if folder / "a" / "data" not in (path, *path.parents):
            at = path.lstat()
            found[str(path)] = (at.st_mode, at.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


def test_no_name_leads_out_of_the_data_folder(tmp_path: Path, trust: Trust) -> None:
    """Each name goes through every door in a process whose every opened file is seen."""
    (tmp_path / "a").mkdir()
    command = [sys.executable, "-m", "tests.trust.doors", str(tmp_path / "a" / "data")]
    done = subprocess.run(
        [*command, str(trust.count(50, 10_000)), "11"], cwd=ROOT, capture_output=True, text=True, timeout=7200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["failed"] == []
    assert said["outside"] == []
    assert said["wrong"] == []
    assert said["touched"] > 10 * said["names"]  # the watch was awake
    beside = {str(Path(path).relative_to(tmp_path)).split("/")[0] for path in snapshot(tmp_path)}
    assert beside == {"a", "evil"}
    assert {path.name for path in (tmp_path / "evil").iterdir()} == {
        "recipe.json", "checkpoints", "model.safetensors", "picture.png",
    }  # fmt: skip
    trust.say(f"{said['names']:,} names, {said['touched']:,} files touched, 0 outside the data folder")


def test_deleting_a_run_that_links_elsewhere_deletes_nothing_there(tmp_path: Path, own_data_folder: Path) -> None:
    elsewhere = create_run(Plan(recipe_named("lenet-modern")), tmp_path / "elsewhere").folder
    mine = create_run(Plan(recipe_named("lenet-modern")))
    (mine.folder / "checkpoints" / "link").symlink_to(elsewhere)
    link = mine.folder.parent / "link"
    link.symlink_to(elsewhere)
    before = snapshot(tmp_path)
    Run(link).delete()
    mine.delete()
    after = snapshot(tmp_path)
    assert {path: at for path, at in before.items() if path.startswith(str(elsewhere))} == {
        path: at for path, at in after.items() if path.startswith(str(elsewhere))
    }
    assert not mine.folder.exists()


# ---------------------------------------------------------------- markup, as the pages send it


class Tags(HTMLParser):
    """Finds where the mark stands in HTML: only in text, or in attributes that are read as text."""

    TEXT = ("alt", "aria-label", "title", "data-strokes", "aria-description")

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name not in self.TEXT and MARK in name + (value or ""):
                self.wrong.append(f"<{tag} {name}={value!r}>")
            if name.startswith("on") or (name in ("src", "href") and not (value or "").startswith("data:")):
                self.wrong.append(f"<{tag} {name}={value!r}>")
        if MARK in tag or tag in ("script", "iframe", "object", "embed", "link", "base", "form"):
            self.wrong.append(f"<{tag}>")

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data}-->")


def markdown_of(proto: Any) -> list[str]:
    """The texts of an element that Streamlit reads as Markdown."""
    kind = type(proto).__name__
    if kind == "Block":  # a popover or a dialog comes as a whole, expanders and tabs without what is around them
        inner = proto.WhichOneof("type")
        return markdown_of(getattr(proto, inner)) if inner else []
    if kind in ("Html", "BidiComponent", "PlotlyChart", "Code", "ArrowData", "Dataframe", "Arrow"):
        return []
    texts = [str(getattr(proto, name)) for name in ("label", "help", "body", "text", "title") if hasattr(proto, name)]
    if kind == "ButtonGroup":
        texts += [str(option.content) for option in proto.options]
    if kind == "Radio":
        texts += [*proto.options, *proto.captions]
    return texts


def figure_of(proto: Any) -> Any:
    """The Plotly figure that an element shows, as plain data; None where it shows none."""
    match type(proto).__name__:
        case "PlotlyChart":
            return json.loads(proto.spec)
        case "BidiComponent":
            data = json.loads(proto.json or proto.mixed.json or "null")
            return data.get("figure") if isinstance(data, dict) else None
    return None


def texts_in(figure: Any, called: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a part of a figure, with what the figure calls it."""
    if isinstance(figure, str):
        yield called, figure
    elif isinstance(figure, dict):
        for name, part in figure.items():
            yield from texts_in(part, name)
    elif isinstance(figure, list):
        for part in figure:
            yield from texts_in(part, called)


def read_figures(app: AppTest) -> tuple[list[str], int]:
    """Where Plotly makes markup of a name: of tags anywhere, and of more in templates; how often names stand there."""
    wrong, seen = [], 0
    for node in app._tree:
        for called, text in texts_in(figure_of(getattr(node, "proto", None))):
            if MARK in text.lower() and called not in ("uid", "legendgroup"):  # which nobody sees
                seen += 1
                bare = re.sub(r"^<b>(.*)</b>$", r"\1", text) if called == "text" else text  # our own titles are bold
                if "<" in bare or called.endswith("template"):
                    wrong.append(f"{called}: {text}")
    return wrong, seen


def read_page(app: AppTest) -> tuple[list[str], int]:
    """Where a name has become markup on a page, and how often a name stands on it at all."""
    assert not app.exception
    wrong, seen = [], 0
    for node in app._tree:
        proto = getattr(node, "proto", None)
        if proto is None:
            continue
        if type(proto).__name__ == "Html":
            tags = Tags()
            tags.feed(str(proto.body))
            wrong += tags.wrong
            seen += str(proto.body).count(MARK)
        for text in markdown_of(proto):
            if MARK in text:
                seen += 1
                bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", text.replace("\u2060", ""))  # what is left is plain
                if re.search(r"[*_`\[\]<>$~]|:\w|www\.|^#", bare):
                    wrong.append(f"{type(proto).__name__}: {text}")
    return wrong, seen


def careless(name: str) -> None:
    """A page that makes markup of a name in every way that `read_page` and `read_figures` are to see."""
    import plotly.graph_objects as go
    import streamlit as st

    from ui.components.stream_chart import stream_chart

    st.html(f"<i class={name!r}></i>")
    st.radio("x", [name], captions=[name])
    st.pills("x", [name])
    st.tabs([name])
    st.expander(name)
    st.popover(name)
    st.caption("x", help=name)
    st.toast(name)
    st.plotly_chart(go.Figure(go.Scatter(x=[1], y=[1], name=name)))
    figure = go.Figure(go.Scatter(x=[1], y=[1], hovertemplate=name))
    figure.add_annotation(text=f"<b>{name}</b>")
    stream_chart(figure, run="x", height=300, alt=name, key="chart")


@pytest.mark.parametrize("name", PLOTLY)
def test_a_name_that_is_markup_is_noticed(name: str) -> None:
    app = AppTest.from_function(careless, args=(name,)).run()
    assert [line.partition(":")[0] for line in read_figures(app)[0]] == ["name", "hovertemplate", "text"]
    wrong, _ = read_page(app)
    assert [line.partition(" ")[0] for line in wrong if line.startswith("<")] == ["<i"]
    kinds = [line.partition(":")[0] for line in wrong if not line.startswith("<")]
    popover = "Block"
    assert sorted(kinds) == sorted(["Radio", "Radio", "ButtonGroup", "Tab", "Expandable", popover, "Markdown", "Toast"])


def hostile_network(path: Path, name: str) -> None:
    """A sound network whose every name is that."""
    original = bundled_checkpoints()["lenet-modern"]
    with safe_open(original, "pt") as file:
        told = file.metadata()
    description = json.loads(told["description"])
    description["classes"] = [f"{name[:37]}{number}" for number in range(10)]
    plain = name if name.isprintable() else "evil"
    description["architecture"]["name"] = plain[:80]
    description["training"] = {name: name, "data": name, "recipe": name}
    save_file(load_file(original), path, {**told, "description": json.dumps(description)})


def hostile_run(name: str, folder: Path, learner: str = "") -> Run:
    """A finished run that says the name wherever a run says anything."""
    recipe = recipe_named("lenet-modern")
    changed = {**json.loads(json.dumps(recipe.to_dict())), "name": name[:80]}
    run = create_run(Plan(type(recipe).from_dict(changed), base="lenet-modern", learner=learner, sweep="s"), folder)
    counts = [[10 * (row == column) for column in range(10)] for row in range(10)]
    for event in (
        {
            "kind": "started", "step": 0, "total_steps": 2, "steps_per_epoch": 2, "epochs": 1, "device": name,
            "images": 100, "held_out": 10, "data": name, "classes": [f"{name[:37]}{number}" for number in range(10)],
        },
        {
            "kind": "metrics", "step": 2, "epoch": 0, "first": 1, "stride": 1, "losses": [2.0, 1.0],
            "accuracy": 0.6, "images_per_second": 900.0, "learning_rate": 0.001,
            "layers": {"gradient": {name: 1.0}, "saturation": {name: 0.5}},
        },
        {
            "kind": "epoch", "step": 2, "epoch": 1, "loss": 1.5, "accuracy": 0.6, "validation": 0.7, "seconds": 2.5,
            "confusion": counts,
        },
        {"kind": "failed", "step": 2, "message": f"It failed: {name}"},
    ):  # fmt: skip
        run.append(event)
    hostile_network(run.file("model"), name)
    for step in (1, 2):
        hostile_network(run.checkpoint_path(step), name)
    save_file(
        {"images": torch.zeros(10, 1, 28, 28, dtype=torch.uint8), "labels": torch.arange(10)}, run.file("examples")
    )
    return run


def on_disk(data: Path, name: str) -> str:
    """A run in a folder of that name, or nearly, as somebody may give it by hand; the folder's name.

    And one before it, whose curve then stands behind the run's.
    """
    made = sendable(name).replace("/", "\u2044").replace("\0", "")[:60]
    hostile_run(sendable(name), data / "runs" / f"{made} before")
    hostile_run(sendable(name), data / "runs" / made)
    return made


def links_to(made: str, name: str) -> list[dict[str, str]]:
    """None, to what there is under that name, and one that says the name wherever a link can say anything."""
    own = f"own/{made}"
    there = {"run": made, "runs": made, "net": own, "beside": own}
    return [{}, there, dict.fromkeys(PARAMETERS, name)]


# The classes' names are labels and a chart's title in the first, the layers' names label curves in the second.
VIEWS = ("Feature maps", "Gradients")


def test_no_page_makes_markup_of_a_name(own_data_folder: Path, trust: Trust) -> None:
    """Names of runs, networks, classes, data and devices, and every word of a link."""
    names = [*MARKUP, *UNICODE, *WINDOWS]
    names = names if trust.full else list(PLOTLY)
    shown = looks = 0
    for name in map(sendable, names):
        made = on_disk(own_data_folder, name)
        for page in PAGES:
            for link, view in product(links_to(made, name), VIEWS if page == "pages/train.py" else VIEWS[:1]):
                app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
                app.switch_page(page)
                app.session_state["view"] = view
                for parameter, value in link.items():
                    app.query_params[parameter] = value
                wrong, found = read_page(app.run())
                drawn_wrong, drawn = read_figures(app)
                assert wrong + drawn_wrong == [], (page, name, link)
                if MARK in name and link.get("net") == f"own/{made}":  # there it did stand
                    assert found > 0 or page not in SAYING, (page, name)
                    assert drawn >= CHARTING.get(page, 0) or name not in PLOTLY, (page, name)
                shown, looks = shown + found + drawn, looks + 1
        for run in all_runs():
            run.delete()
    trust.say(f"{len(names)} names on {looks} pages, {shown:,} times shown, 0 times as markup")


# ---------------------------------------------------------------- in a real browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that notes in `page.gone` what it asks for because of a name."""
    context = browser.new_context()
    page = context.new_page()
    page.gone = []  # type: ignore[attr-defined]
    page.on("request", lambda asked: _note(page, asked.url))
    yield page
    context.close()


def _note(page: Page, url: str) -> None:
    asked = urlsplit(url)  # the app's own addresses say names after the question mark
    if asked.scheme == "javascript" or (asked.scheme not in ("data", "blob") and MARK in asked.netloc + asked.path):
        page.gone.append(url)  # type: ignore[attr-defined]


FOUND = """() => {
    const within = root => [...root.querySelectorAll('*')].flatMap(
        one => [one, ...(one.shadowRoot ? within(one.shadowRoot) : [])]);  // components have roots of their own
    const every = within(document), some = selector => every.filter(one => one.matches(selector));
    return [
        ...every.filter(one => one.localName.includes('evil')
            || [...one.attributes].some(at => at.name.startsWith('on') || at.name.includes('evil')
                || (['href', 'src', 'style', 'xlink:href'].includes(at.name) && at.value.includes('evil')))
            || (one.localName === 'script' && one.textContent.includes('hit'))),
        ...some('strong, em, code, del, a, h2, h3, .katex, table').filter(
            one => one.textContent.trim().startsWith('evil') || one.textContent.trim() === 'b'),
        ...some('svg a'),
        ...some('svg tspan').filter(one => one.style.fontWeight && one.textContent.trim().startsWith('evil')),
    ].map(one => one.outerHTML.slice(0, 300));
}"""

# Points at a run's curves, and says whether their names stand beside it, as Plotly writes them.
POINTED_AT = """() => {
    const charts = [...document.querySelectorAll('.lp-stream.js-plotly-plot')];
    for (const one of charts) {
        const curveNumber = one.data.findIndex(({ name, y }) => name?.includes('evil') && y[0] !== null);
        window.Plotly.Fx.hover(one, [{ curveNumber, pointNumber: 0 }]);
    }
    const said = charts.map(one => one.querySelector('.hoverlayer').textContent.includes('evil'));
    return said.length > 0 && said.every(Boolean);
}"""
_TAGS = "strong, em, code, del, a, img, .katex, table, ul, ol, li, h1, blockquote, [data-testid=stIconMaterial]"
PROOF = """
import streamlit as st
from tests.trust.names import MARKUP
from ui.markup import literal
for number, name in enumerate(MARKUP):
    with st.container(key=f"name{number}"):
        st.caption(literal(name))
        st.button(literal(name), key=f"button{number}")
        st.pills("x", [name], format_func=literal, key=f"pills{number}", label_visibility="collapsed")
        st.selectbox("x", [name], key=f"box{number}", label_visibility="collapsed")
st.toast(literal("**evil** ![x](//evil.example/toast.png) :material/home: <b>evil</b>"), duration="infinite")
"""


def test_a_literal_text_is_shown_as_it_is(tmp_path: Path, page: Page) -> None:
    """What Streamlit reads as Markdown: captions, labels of buttons and pills, toasts; and a box, which it does not."""
    (tmp_path / "proof.py").write_text(PROOF)
    process, url = serve(tmp_path / "data", tmp_path / "log", str(tmp_path / "proof.py"))
    try:
        page.goto(url)
        toast = page.get_by_test_id("stToast")
        expect(toast).to_contain_text("**evil** ![x](//evil.example/toast.png) :", timeout=20_000)
        for number, name in enumerate(MARKUP):
            place = page.locator(f".st-key-name{number}")
            wanted = " ".join(name.split())
            for shown in (place.get_by_test_id("stCaptionContainer"), *place.get_by_role("button").all()[:1]):
                assert " ".join(shown.inner_text().replace("\u2060", "").split()) == wanted
            assert place.locator(_TAGS).count() == 0
        assert page.evaluate(FOUND) == []
        assert page.evaluate("window.hit") is None
        assert page.gone == []  # type: ignore[attr-defined]
    finally:
        process.terminate()
        process.wait(60)


def test_nothing_of_a_name_runs_or_is_fetched(tmp_path: Path, page: Page, trust: Trust) -> None:
    """Runs, networks and uploads with the worst names, and a cookie that is none, in a real browser."""
    names = MARKUP[1 :: len(MARKUP) // trust.count(2, 12)][: trust.count(1, 12)]  # first a picture from elsewhere
    names += PLOTLY  # last, so that each chart is of these or has them behind it
    process, url = serve(tmp_path / "data", tmp_path / "log")
    try:
        page.context.add_cookies([{"name": "lenet_learner", "value": "../../evil", "url": url}])
        for name in [on_disk(tmp_path / "data", name) for name in names]:
            query = [f"net=own/{name}", f"net=own/{name}&beside=own/{name}", f"run={name}&sweep={name}", f"runs={name}"]
            for room, asked in zip(("draw", "feature_maps", "train", "compare"), query, strict=True):
                address = "&".join(f"{key}={quote(value)}" for key, value in parse_qsl(asked, keep_blank_values=True))
                page.goto(f"{url}/{room}?{address}")
                expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
                page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
                if room in ("train", "compare"):
                    page.wait_for_function(POINTED_AT)
                if room == "train":  # a title says a class there, and titles may hold links
                    page.get_by_test_id("stButtonGroup").get_by_text("Feature maps").click()
                    expect(page.locator(".annotation-text").last).to_contain_text("How sure it was of")
                page.wait_for_timeout(200)  # in which a picture that is not there would fail
                assert page.evaluate(FOUND) == [], (room, name)
            page.goto(f"{url}/train")
            page.get_by_text("Bring back a network of your own").click()
            files = [{"name": f"{name}.safetensors", "mimeType": "", "buffer": b"x"}]
            page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(files)
            expect(page.locator(".lp-warning").last).to_contain_text("safetensors")
            assert page.evaluate(FOUND) == [], name
        assert page.evaluate("window.hit") is None
        assert page.gone == []  # type: ignore[attr-defined]
        assert {path.name for path in tmp_path.iterdir()} == {"data", "log"}
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        process.terminate()
        process.wait(60)
    trust.say(f"{len(names)} names on 5 pages of Chromium: nothing run, nothing fetched")
