"""The lens's own evaluator beside onnxruntime-web: what is shipped, how soon it answers, how long a run takes.

    npm pack onnxruntime-web && tar xzf onnxruntime-web-*.tgz
    python -m benchmarks.web_runtimes package

Both run in Chromium, and give the values of every layer, since the lens shows them. onnxruntime-web has its smallest
build, WebAssembly without a GPU, and one thread: more need a page that is cross-origin isolated. A start is from a page
with nothing on it, nothing cached, to the first answer; files come from this machine, so the wire costs nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Browser, sync_playwright

from benchmarks.measured import machine, percentile
from lenet_core.checkpoint import Checkpoint, load_checkpoint
from lenet_core.data import to_input
from lenet_core.export import to_onnx
from lenet_core.library import bundled_checkpoints
from lenet_core.portable import to_portable
from lenet_core.preprocess import to_digit
from tests.conftest import CHROMIUM_FLAGS, ROOT, chromium_path, serve
from tests.load.processes import cpu_seconds
from tests.pens import inked, pen_digits

NETWORKS = ("lenet-modern", "lenet5-1998")
_EVALUATOR = ROOT / "ui" / "components" / "live_lens" / "evaluator.js"
_ORT, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_STARTS = 7
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", "": "text/html"}

_OURS = """
const { makeNetwork } = await import('/ours.js');
const [description, weights] = await Promise.all([
  fetch(`/${name}.json`).then((answer) => answer.json()),
  fetch(`/${name}.bin`).then((answer) => answer.arrayBuffer()),
]);
const network = makeNetwork(description, new Float32Array(weights));
const pixels = Float32Array.from(given.image);
const run = () => [...network.run(pixels, 28).values()].at(-1).values;
"""
_THEIRS = f"""
const ort = await import('/{_ORT}');
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = {{ wasm: '/{_WASM}' }};
const session = await ort.InferenceSession.create(`/${{name}}.onnx`);
const images = new ort.Tensor('float32', Float32Array.from(given.input), [1, ...given.shape]);
const run = async () => (await session.run({{ images }}, given.layers)).logits.data;
"""
# A clock in a page counts tenths of milliseconds: runs are timed fifty at once.
_TIMED = """async ({ name, given, times }) => {
  const start = performance.now();
  %s
  const logits = [...await run()];
  const first = performance.now() - start;
  const each = [];
  for (let part = 0; part < times; part += 1) {
    const before = performance.now();
    for (let number = 0; number < 50; number += 1) await run();
    each.push((performance.now() - before) / 50);
  }
  return { first, logits, each };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", type=Path, help="onnxruntime-web as npm packs it, unpacked")
    folder = parser.parse_args().package / "dist"
    if not (folder / _WASM).exists():
        parser.error(f"{folder} has no {_WASM}: give the folder of an unpacked onnxruntime-web")
    torch.set_num_threads(1)
    checkpoints = {name: load_checkpoint(bundled_checkpoints()[name]) for name in NETWORKS}
    files = {path.name: path.read_bytes() for path in (folder / _ORT, folder / _WASM)}
    files["ours.js"] = _EVALUATOR.read_bytes() + b"\nexport { makeNetwork };\n"
    for name, checkpoint in checkpoints.items():
        portable = to_portable(checkpoint)
        files[f"{name}.json"] = json.dumps(portable.description).encode()
        files[f"{name}.bin"] = portable.weights
        files[f"{name}.onnx"] = with_every_layer(checkpoint)
    print(f"Two ways to run a network in the browser, {machine()}")
    tell_bytes(files)
    with sync_playwright() as playwright, served(files) as url:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        for name, checkpoint in checkpoints.items():
            compare(browser, url, name, checkpoint)
        tell_streamlit(browser, files)
        browser.close()


def with_every_layer(checkpoint: Checkpoint) -> bytes:
    """The network as an ONNX model whose outputs are all layers, bearing their names, and `logits`."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(to_onnx(checkpoint)))
    layers = {layer.name for layer in checkpoint.architecture.layers}
    model.graph.output.extend(value for value in model.graph.value_info if value.name in layers)
    data: bytes = model.SerializeToString()
    return data


def tell_bytes(files: dict[str, bytes]) -> None:
    """Prints what each way ships."""
    theirs, ours = (_ORT, _WASM), ("ours.js",)
    for title, names in (("ours", ours), ("onnxruntime-web", theirs)):
        _tell_size(title, names, files)
    for name in NETWORKS:
        _tell_size(f"{name} as ours takes it", (f"{name}.json", f"{name}.bin"), files)
        _tell_size(f"{name} as ONNX", (f"{name}.onnx",), files)


def _tell_size(title: str, names: tuple[str, ...], files: dict[str, bytes]) -> None:
    raw = sum(len(files[name]) for name in names)
    packed = sum(len(gzip.compress(files[name])) for name in names)
    print(f"{title:32} {raw:12,} bytes, {packed:11,} with gzip")


def compare(browser: Browser, url: str, name: str, checkpoint: Checkpoint) -> None:
    """Prints, for one network, how soon and how fast both answer, and how far their answers lie from PyTorch's."""
    image = torch.from_numpy(to_digit(inked(pen_digits()[0])).image)
    fed = to_input(image[None, None], checkpoint.architecture.input_shape)
    with torch.no_grad():
        wanted = checkpoint.net(fed)[0]
    layers = [layer.name for layer in checkpoint.architecture.layers if layer.kind != "dropout"]
    given = {
        "image": (image.float() / 255).flatten().tolist(),
        "input": fed.flatten().tolist(),
        "shape": list(checkpoint.architecture.input_shape),
        "layers": [*layers[:-1], "logits"],
    }
    for title, script in (("ours", _OURS), ("onnxruntime-web", _THEIRS)):
        starts = [
            _in_a_new_page(browser, url, script, {"name": name, "given": given, "times": 0})["first"]
            for _ in range(_STARTS)
        ]
        told = _in_a_new_page(browser, url, script, {"name": name, "given": given, "times": 20})
        each = told["each"][5:]  # by then both are compiled
        off = (torch.tensor(told["logits"]) - wanted).abs().max() / wanted.abs().max()
        print(
            f"{name:14} {title:16} first answer after {statistics.median(starts):6.1f} ms; a run with all layers "
            f"median {statistics.median(each):.3f} ms, 95th percentile {percentile(each, 0.95):.3f} ms; "
            f"from PyTorch {off:.1e}"
        )


def _in_a_new_page(browser: Browser, url: str, script: str, given: dict[str, Any]) -> dict[str, Any]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    told: dict[str, Any] = page.evaluate(_TIMED % script, given)
    context.close()
    return told


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[str]:
    """The files, on a port of this machine, and an empty page at `/`; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            data = b"<!doctype html>" if not name else files.get(name)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Type", _TYPES.get(Path(name).suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def tell_streamlit(browser: Browser, files: dict[str, bytes]) -> None:
    """Prints what serving onnxruntime-web's WebAssembly from Streamlit's `static/` costs at each page load."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        script = Path(folder) / "app.py"
        script.write_text("")
        (script.parent / "static").mkdir()
        (script.parent / "static" / _WASM).write_bytes(files[_WASM])
        process, url = serve(script.parent / "data", script.parent / "log", str(script))
        try:
            page = browser.new_page()
            page.goto(url)
            isolated = page.evaluate("[crossOriginIsolated, typeof SharedArrayBuffer !== 'undefined']")
            print(
                f"a page of Streamlit's: cross-origin isolated {isolated[0]}, memory that threads share {isolated[1]}"
            )
            address = f"{url}/app/static/{_WASM}"
            fetched = _fetched(address, {"Accept-Encoding": "gzip"})
            before = cpu_seconds(process.pid)
            again = _fetched(address, {"Accept-Encoding": "gzip", "If-None-Match": fetched[2]})
            print(
                f"its static/ sends {fetched[1]:,} bytes, and to a browser that has them already {again[0]} with "
                f"{again[1]:,} bytes, for {cpu_seconds(process.pid) - before:.2f} s of the server's CPU"
            )
        finally:
            process.terminate()
            process.wait(10)


def _fetched(address: str, headers: dict[str, str]) -> tuple[int, int, str]:
    """The answer's status, the bytes on the wire, and the mark by which the browser asks whether they changed."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, len(answer.read()), answer.headers.get("ETag", "")
    except urllib.error.HTTPError as error:  # 304 is one to urllib
        return error.code, 0, ""


if __name__ == "__main__":
    main()
