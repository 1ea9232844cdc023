"""Promise 14: safe as shipped, and a classroom can be served as docs/classroom.md says."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from streamlit.testing.v1 import AppTest

from tests.conftest import CHROMIUM_FLAGS, ROOT, Server, chromium_path, free_port, missing, serve
from tests.trust.conftest import Trust
from tests.trust.identity import HOST, provider, tls_proxy
from tests.ui.apps import shown
from ui.sign_in import is_member, read

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
CLASSROOM = (ROOT / "docs" / "classroom.md").read_text()
EXAMPLE = (ROOT / ".streamlit" / "secrets.example.toml").read_text()
SECTIONS = ("global", "server", "browser", "client", "runner")
# What must be so when the app runs, whether the file says it or Streamlit's default does.
SETTINGS: dict[str, Any] = {
    "server.address": "127.0.0.1",
    "server.allowedHosts": ["127.0.0.1", "localhost"],
    "server.maxUploadSize": 5,
    "server.enableStaticServing": True,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.corsAllowedOrigins": [],
    "server.trustedUserHeaders": {},
    "server.showEmailPrompt": False,
    "server.fileWatcherType": "none",
    "server.baseUrlPath": "",
    "global.developmentMode": False,
    "global.minCachedMessageSize": 1e12,
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.allowedOrigins": [],
    "client.toolbarMode": "minimal",
    "client.showSidebarNavigation": False,
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,
}
# Newer Streamlits have these, and 1.66 does not: nobody but a browser drives the app.
LATER_SETTINGS: dict[str, Any] = {"server.enableAgentApi": False}


@pytest.fixture(scope="module")
def browser(browser: Browser) -> Iterator[Browser]:
    """Headless Chromium, to which class.example is this machine."""
    flags = [*CHROMIUM_FLAGS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    resolving = browser.browser_type.launch(executable_path=chromium_path(), args=flags)
    yield resolving
    resolving.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of a visitor's own."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(20_000)
    yield context
    context.close()


# ---------------------------------------------------------------- settings


def in_force() -> dict[str, Any]:
    """All settings as Streamlit takes them in the project's folder, without this machine's own."""
    say = (
        "import json, streamlit.config as c\n"
        "print(json.dumps({k: o.value for k, o in c.get_config_options().items()}, default=str))"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    done = subprocess.run([sys.executable, "-c", say], cwd=ROOT, capture_output=True, check=True, env=plain)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_setting_that_matters_is_in_force(trust: Trust) -> None:
    found = in_force()
    assert {name: found.get(name) for name in SETTINGS} == SETTINGS
    assert {name: found[name] for name in LATER_SETTINGS if name in found}.items() <= LATER_SETTINGS.items()
    trust.say(f"{len(SETTINGS) + len(LATER_SETTINGS)} settings in force")


def test_every_line_of_the_settings_file_is_held_here() -> None:
    """A setting that Streamlit dropped or renamed would be ignored without a word, and a new one is to be judged."""
    from streamlit import config

    written = {f"{section}.{name}" for section in SECTIONS for name in CONFIG[section]}
    assert written <= set(config._config_options_template)
    assert written <= set(SETTINGS)
    assert set(CONFIG) <= {*SECTIONS, "theme"}


# ---------------------------------------------------------------- who is answered, and with what


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses and ports at which a process and its children listen, IPv6 ones as hexadecimal."""
    inodes = set()
    for process in (pid, *children(pid)):
        for handle in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(handle)))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # in the state LISTEN
                address, port = fields[1].split(":")
                plain = socket.inet_ntoa(bytes.fromhex(address)[::-1]) if table == "tcp" else address
                found.add((plain, int(port, 16)))
    return found


def children(pid: int) -> list[int]:
    direct = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return direct + [one for child in direct for one in children(child)]


def own_address() -> str:
    """This machine's address on its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def test_it_listens_on_loopback_alone(tmp_path: Path, trust: Trust) -> None:
    process, url = serve(tmp_path / "data", tmp_path / "log")
    port = int(url.rsplit(":", 1)[1])
    try:
        if sys.platform == "linux":
            assert listening(process.pid) == {("127.0.0.1", port)}
        other = own_address()
        if other.startswith("127."):
            trust.say("listens on 127.0.0.1 alone")
        else:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((other, port), timeout=5).close()
            trust.say("listens on 127.0.0.1 alone; refused at the machine's other address")
    finally:
        process.terminate()
        process.wait(60)


def shake_hands(server: Server, host: str, origin: str | None) -> int:
    """The status with which a websocket is answered."""
    port = int(server.url.rsplit(":", 1)[1])
    lines = [
        "GET /_stcore/stream HTTP/1.1", f"Host: {host.format(port=port)}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: bm90aGluZyBzZWNyZXQgaA==", "Sec-WebSocket-Protocol: streamlit",
        *([f"Origin: {origin.format(port=port)}"] if origin else []),
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(100).split()[1])


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 101),
        ("localhost:{port}", "http://localhost:{port}", 101),
        ("127.0.0.1:{port}", "https://evil.example", 403),
        ("evil.example:{port}", "http://evil.example:{port}", 403),  # a website whose name leads to this machine
        ("evil.example:{port}", None, 403),
        ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example", 403),
        ("127.0.0.1:{port}", "null", 403),
        # Streamlit takes other programs on this machine for the app's own, which SECURITY.md says.
        ("127.0.0.1:{port}", "http://localhost:3000", 101),
    ],
)
def test_a_websocket_opens_for_the_apps_own_pages_alone(
    server: Server, host: str, origin: str | None, status: int
) -> None:
    assert shake_hands(server, host, origin) == status


def answer(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


WAYS_OUT = [
    f"{base}{step * depth}{target}"
    for base in ("app/static/", "media/", "component/", "_stcore/bidi-components/", "static/", "")
    for step in ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "....//", "%252e%252e%252f", ".%00./")
    for depth in (1, 3, 8)
    for target in (".streamlit/config.toml", "app.py", "etc/passwd")
] + ["app/static//etc/passwd", "//etc/passwd", "app/static/%2fetc/passwd", "app/static/C:%5cWindows%5cwin.ini"]


def raw_get(server: Server, path: str) -> bytes:
    """What is answered to a path as it is: urllib would tidy it."""
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(2**16), b""))


def test_only_plotlys_script_is_served_from_the_projects_folder(server: Server, trust: Trust) -> None:
    kept = {path.name for path in (ROOT / "static").iterdir()}
    assert {name for name in kept if not re.fullmatch(r"\.gitkeep|plotly-[\d.]+\.min\.js", name)} == set()
    for path in WAYS_OUT:
        said = raw_get(server, path)
        assert said.startswith(b"HTTP/1.1 "), path
        for secret in (b"Safe as shipped", b"ledger(arch)", b"root:x:"):
            assert secret not in said, path
    status, _, _ = answer(f"{server.url}/app/static/")
    assert status == 404  # no list of what is there
    trust.say(f"{len(WAYS_OUT)} ways out of static/ lead nowhere")


def test_no_other_website_reads_an_answer(server: Server) -> None:
    for path in ("", "_stcore/health", "_stcore/host-config"):
        _, headers, _ = answer(f"{server.url}/{path}", Origin="https://evil.example")
        assert headers.get("access-control-allow-origin") not in ("*", "https://evil.example"), path


def test_nothing_is_taken_without_the_pages_own_token(server: Server) -> None:
    status, _, _ = answer(f"{server.url}/_stcore/upload_file/someone/file", method="PUT")
    assert status == 403
    for path in ("interact", "mcp"):  # an agent's way in, where Streamlit has one
        status, _, _ = answer(f"{server.url}/_stcore/agent/{path}", method="POST")
        assert status >= 400


def test_a_file_over_the_limit_is_refused_by_the_server_itself(server: Server, context: BrowserContext) -> None:
    """The page refuses it too, but a page can be gone round."""
    page = context.new_page()
    page.goto(f"{server.url}/train")
    page.get_by_text("Bring back a network of your own").click()
    chooser = page.get_by_test_id("stFileUploaderDropzoneInput")
    with page.expect_request(re.compile("upload_file")) as asked:
        chooser.set_input_files({"name": "a.safetensors", "mimeType": "", "buffer": b"no network"})
    said = asked.value.response()
    assert said is not None
    assert said.status == 204
    headers = {"X-Xsrftoken": asked.value.headers["x-xsrftoken"]}
    for size, status in ((2**20, 204), (5 * 2**20 + 2**16, 413)):
        file = {"name": "a.safetensors", "mimeType": "application/octet-stream", "buffer": bytes(size)}
        sent = context.request.put(f"{asked.value.url}0", headers=headers, multipart={"file": file})
        assert sent.status == status


def test_a_page_that_fails_shows_no_traceback(tmp_path: Path, context: BrowserContext) -> None:
    script = tmp_path / "fails.py"
    script.write_text('secret = "canary"\nraise RuntimeError(f"{secret}-{6 * 7} in {__file__}")\n')
    process, url = serve(tmp_path / "data", tmp_path / "log", str(script))
    try:
        page = context.new_page()
        page.goto(url)
        alert = page.get_by_test_id("stException")
        expect(alert).to_be_visible()
        for word in ("canary", "fails.py", "RuntimeError"):
            assert word not in page.content()
    finally:
        process.terminate()
        process.wait(60)
    told = re.sub(r"\x1b\[[0-9;]*m", "", (tmp_path / "log").read_text())  # without its colours
    assert "canary-42" in told  # who runs the server does see it


# ---------------------------------------------------------------- a classroom


def documented_options() -> list[str]:
    """The options with which docs/classroom.md starts the app behind a proxy."""
    (line,) = re.findall(rf"^    python -m streamlit run app\.py (.*{HOST}.*)$", CLASSROOM, re.M)
    return shlex.split(line)


def test_the_documented_options_are_streamlits() -> None:
    from streamlit import config

    named = re.findall(r"--([a-z]+\.[A-Za-z]+)", CLASSROOM)
    assert {"server.allowedHosts", "server.address"} <= set(named) <= set(config._config_options_template)
    (service,) = re.findall(r"^    ExecStart=\S+/python -m streamlit run app\.py (.*)$", CLASSROOM, re.M)
    assert shlex.split(service) == documented_options()


@pytest.mark.parametrize(
    ("email", "verified", "members", "comes_in"),
    [
        ("ada@school.example", True, ["@school.example"], True),
        ("Ada@School.Example", None, ["@school.example"], True),
        ("ada@school.example", False, ["@school.example"], False),
        ("ada@school.example", "False", ["*"], False),
        ("ada@evil.school.example", True, ["@school.example"], False),
        ("ada@school.example.evil", True, ["@school.example"], False),
        ("guest@else.example", True, ["@school.example", "guest@else.example"], True),
        ("xguest@else.example", True, ["guest@else.example"], False),
        ("", True, ["@school.example"], False),
        ("anyone@anywhere.example", True, ["*"], True),
        ("anyone@anywhere.example", True, [], False),
    ],
)
def test_members_come_in_and_others_do_not(email: str, verified: object, members: list[str], comes_in: bool) -> None:
    assert is_member({"email": email, "email_verified": verified}, members) is comes_in


def filled_in() -> str:
    """The example of a secrets file with a secret in it."""
    return EXAMPLE.replace('cookie_secret = "CHANGE-ME"', f'cookie_secret = "{64 * "0"}"')


PAGES = ["app.py", *(f"pages/{path.name}" for path in sorted(ROOT.glob("pages/[!_]*.py")))]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_anything_before_the_sign_in(page: str) -> None:
    app = AppTest.from_file(str(ROOT / page), default_timeout=60)
    app.secrets = tomllib.loads(filled_in())
    app.run()
    assert not app.exception
    assert [title.value for title in app.title] == ["LeNet Playground"]
    assert [button.label for button in app.button] == ["Sign in"]
    assert len(app.get("html")) == 2  # the style, a sentence


def test_a_secret_that_can_be_guessed_lets_nobody_in() -> None:
    """Above all the example's own."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.secrets = tomllib.loads(EXAMPLE)
    app.run()
    assert "nobody can come in" in shown(app)
    assert len(app.button) == len(app.title) == 0


MEMBERS = 'members = ["@school.example", "guest@else.example"]'
SLIPS = {
    "members misspelt": (MEMBERS, MEMBERS.replace("members", "memberS")),
    "members in the wrong section": (f"[classroom]\n{MEMBERS}", f"{MEMBERS}\n[classroom]"),
    "members forgotten": (MEMBERS, ""),
    "nobody named": (MEMBERS, "members = []"),
    "an empty name": (MEMBERS, 'members = [""]'),
    "a text for a list": (MEMBERS, 'members = "@school.example"'),
    "a domain without its @": (MEMBERS, 'members = ["school.example"]'),
    "something else beside them": (MEMBERS, f'{MEMBERS}\nmember = "guest@else.example"'),
    "classroom misspelt": ("[classroom]", "[Classroom]"),
    "auth misspelt": ("[auth]", "[Auth]"),
    "auth as a word": ("[auth]", 'auth = "on"\n[other]'),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_secrets_is_told(slip: str) -> None:
    right, wrong = SLIPS[slip]
    without_comments = re.sub(r"(?m)^#.*\n| +#.*", "", filled_in())
    assert right in without_comments
    assert read(tomllib.loads(without_comments)).members == ("@school.example", "guest@else.example")
    with pytest.raises(ValueError, match=r"members|\[auth\]"):
        read(tomllib.loads(without_comments.replace(right, wrong)))


@pytest.mark.parametrize("written", ["[auth\nclient_id = 1", "", "[other]\nkey = 1", None])
def test_a_secrets_file_with_a_slip_lets_nobody_in(
    written: str | None, tmp_path: Path, context: BrowserContext
) -> None:
    if written is not None:
        (tmp_path / "secrets.toml").write_text(written)
    options = ["--secrets.files", str(tmp_path / "secrets.toml")]
    process, url = serve(tmp_path / "data", tmp_path / "log", "app.py", *options)
    try:
        page = context.new_page()
        page.goto(url)
        expect(page.get_by_role("alert")).to_contain_text("nobody can come in")
        expect(page.locator(".st-key-menu")).to_have_count(0)
    finally:
        process.terminate()
        process.wait(60)
    assert "sign-in: " in (tmp_path / "log").read_text()


class Classroom:
    """The app as docs/classroom.md serves it, and who the provider says comes."""

    def __init__(self, url: str, data: Path, user: dict[str, Any]) -> None:
        self.url, self.data, self.user = url, data, user


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    for package in ("authlib", "httpx"):
        try:
            __import__(package)
        except ImportError:
            missing(f"no {package}: pip install -r requirements-signin.txt")
    folder, port, user = tmp_path_factory.mktemp("class"), free_port(), {"sub": "1", "email": "", "name": "Ada"}
    secret = tomllib.loads(EXAMPLE)["auth"]
    with provider(user, secret["client_id"]) as metadata:
        written = (
            filled_in().replace(secret["server_metadata_url"], metadata).replace(f"//{HOST}/", f"//{HOST}:{port}/")
        )
        (folder / "secrets.toml").write_text(written)
        options = [*documented_options(), "--secrets.files", str(folder / "secrets.toml")]
        process, url = serve(folder / "data", folder / "log", "app.py", *options)
        try:
            with tls_proxy(int(url.rsplit(":", 1)[1]), port, folder):
                yield Classroom(f"https://{HOST}:{port}", folder / "data", user)
        finally:
            process.terminate()
            process.wait(60)


def sign_in(page: Page, classroom: Classroom, email: str, link: str = "draw") -> None:
    classroom.user["email"] = email
    page.goto(f"{classroom.url}/{link}")
    expect(page.get_by_role("heading", level=1)).to_have_text("LeNet Playground")
    expect(page.locator("canvas, .st-key-menu")).to_have_count(0)
    page.get_by_role("button", name="Sign in").click()


def keeps_a_sign_in(context: BrowserContext) -> bool:
    """Whether the browser has any cookie of Streamlit's sign-in: who it is, or the provider's tokens."""
    return any(cookie["name"].startswith("_streamlit_user") for cookie in context.cookies())


def test_a_member_signs_in_over_tls_and_is_the_same_learner_in_any_browser(
    classroom: Classroom, browser: Browser, trust: Trust
) -> None:
    from lenet_core.library import progress_path

    for first in (True, False):
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        sign_in(page, classroom, "ada@school.example", "exercises?exercise=pooling")
        # The provider leads to the front page, and that to the link that she came by.
        expect(page.get_by_role("heading", level=1)).to_have_text("Predict, run, compare", timeout=30_000)
        expect(page).to_have_url(f"{classroom.url}/exercises?exercise=pooling")
        if first:
            page.get_by_role("radiogroup").locator("label").first.click()
            page.get_by_role("button", name="Keep my prediction").click()
        expect(page.get_by_test_id("said")).to_be_visible()
        assert keeps_a_sign_in(context) is True
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("See how LeNet reads a digit", timeout=30_000)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert keeps_a_sign_in(context) is False  # the next one at this machine reads no name
        context.close()
    (kept,) = (classroom.data / "progress").iterdir()
    assert kept.name == progress_path("ada@school.example").name
    trust.say("signed in by OIDC behind TLS, twice the same learner")


def test_somebody_else_is_turned_away(classroom: Classroom, context: BrowserContext) -> None:
    page = context.new_page()
    sign_in(page, classroom, "eve@evil.example")
    expect(page.get_by_role("alert")).to_contain_text("eve@evil.example is not among those", timeout=30_000)
    page.goto(f"{classroom.url}/train")
    expect(page.get_by_role("alert")).to_contain_text("eve@evil.example is not among those")
    expect(page.locator(".st-key-menu")).to_have_count(0)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
