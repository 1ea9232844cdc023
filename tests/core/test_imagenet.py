"""AlexNet with torchvision's weights: the same answers, and a download from a real server that may misbehave."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lenet_core import imagenet
from lenet_core.architecture import ledger
from lenet_core.checkpoint import load_checkpoint
from lenet_core.data import import_torchvision
from lenet_core.errors import DataError, StorageError
from lenet_core.imagenet import Source, alexnet, convert, fetch, published
from lenet_core.library import imagenet_checkpoint

FILE_NAME = "alexnet-owt-12345678.pth"
CLASSES = tuple(f"class {index}" for index in range(1000))
Weights = dict[str, Tensor]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """torchvision's AlexNet with random weights so large that its answers depend on the image."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = import_torchvision().models.alexnet(weights=None).eval()
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, (2 / parameter[0].numel()) ** 0.5)
            else:
                parameter.data.normal_(0, 0.1)
    assert isinstance(net, nn.Module)
    return net


@pytest.fixture(scope="module")
def blank(theirs: nn.Module) -> Weights:
    """Weights of the right names and shapes, each a single number laid out wide, so that their file is small."""
    return {name: torch.tensor(0.001).expand(tensor.shape) for name, tensor in theirs.state_dict().items()}


def in_a_file(weights: object, **options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(weights, file, **options)
    return file.getvalue()


def source(address: str, content: bytes, max_bytes: int = 250_000_000) -> Source:
    return Source(f"{address}/models/{FILE_NAME}", hashlib.sha256(content).hexdigest()[:8], CLASSES, max_bytes)


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], object]) -> Iterator[str]:
    """The address of a server that answers every GET so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sending(content: bytes, length: int | None = -1) -> Callable[[BaseHTTPRequestHandler], object]:
    """Sends the content, with its own length, another, or none."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(len(content) if length < 0 else length))
        handler.end_headers()
        with suppress(OSError):  # whoever asked may have heard enough
            handler.wfile.write(content)

    return answer


def left_behind() -> list[str]:
    folder = imagenet_checkpoint().parent
    return [file.name for file in folder.iterdir()] if folder.exists() else []


# --- the network -------------------------------------------------------------------------------


def test_it_has_torchvisions_parameters_in_torchvisions_shapes() -> None:
    arch = alexnet()
    assert sum(row["parameters"] for row in ledger(arch)) == arch.parameters == 61_100_840
    shapes = {layer.name: layer.output_shape for layer in arch.layers}
    assert [shapes[f"conv{number}"][1] for number in range(1, 6)] == [55, 27, 13, 13, 13]
    assert shapes["pool5"] == (256, 6, 6)  # what the adaptive pooling would make of it
    assert (shapes["fc6"], shapes["fc7"], shapes["fc8"]) == ((4096,), (4096,), (1000,))


def test_its_mean_and_spread_are_those_that_torchvision_names() -> None:
    usual = import_torchvision().models.AlexNet_Weights.IMAGENET1K_V1.transforms()
    assert (list(imagenet.MEAN), list(imagenet.STD)) == (usual.mean, usual.std)
    assert alexnet().input_shape == (3, *usual.crop_size * 2)


def test_it_answers_as_torchvisions_network_does_on_normalised_images(theirs: nn.Module) -> None:
    images = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    images[1] *= torch.tensor([1.0, 0.5, 0.1])[:, None, None]  # a red one
    ours = convert(theirs.state_dict())
    usual = import_torchvision().models.AlexNet_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(values)[:, None, None] for values in (usual.mean, usual.std))
    with torch.inference_mode():
        expected = theirs((images - mean) / std)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        assert (expected[0] - expected[1]).abs().max() > 0.1 * expected.abs().max()
    assert not ours.training


def test_weights_are_copied(blank: Weights) -> None:
    given = {name: tensor.clone() for name, tensor in blank.items()}
    net = convert(given)
    given["classifier.6.bias"].zero_()
    assert torch.equal(net.get_parameter("fc8.bias"), blank["classifier.6.bias"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features.3.weight": torch.zeros(64, 3, 5, 5)}, ("features.3.weight", "(64, 3, 5, 5)", "(192, 64, 5, 5)")),
        ({"classifier.1.bias": torch.zeros(4096, dtype=torch.half)}, ("classifier.1.bias", "float16", "float32")),
        ({"classifier.6.bias": torch.full((1000,), float("nan"))}, ("classifier.6.bias", "finite")),
        ({"features.0.bias": "sixty-four"}, ("features.0.bias", "str")),
        ({"features.1.weight": torch.zeros(1)}, ("features.1.weight",)),
    ],
)
def test_other_weights_are_refused_by_name(blank: Weights, change: Weights, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        convert({**blank, **change})
    assert [word for word in words if word not in str(caught.value)] == [], caught.value
    assert "\n" not in str(caught.value)


def test_a_missing_weight_is_named(blank: Weights) -> None:
    del (fewer := dict(blank))["features.10.bias"]
    with pytest.raises(DataError, match=r"features\.10\.bias"):
        convert(fewer)


# --- the file ----------------------------------------------------------------------------------


def test_torchvisions_own_file_is_known_without_a_network() -> None:
    own = published()
    assert own.url.startswith("https://download.pytorch.org/")
    assert (own.file_name, own.sha256) == ("alexnet-owt-7be5be79.pth", "7be5be79")
    assert own.max_bytes > 244_408_911
    assert len(own.classes) == 1000
    assert own.classes[281] == "tabby"


def test_it_is_downloaded_once_and_answers_as_its_original(theirs: nn.Module) -> None:
    content = in_a_file(theirs.state_dict())
    told: list[tuple[int, int]] = []
    with serving(sending(content)) as address:
        path = fetch(lambda done, total: told.append((done, total)), source=source(address, content))
    assert fetch(source=source(address, content)) == path == imagenet_checkpoint()  # the server is gone
    assert left_behind() == [path.name]
    assert told[-1] == (len(content), len(content))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 100

    checkpoint = load_checkpoint(path)
    path.unlink()  # a quarter of a gigabyte
    assert checkpoint.architecture == alexnet()
    assert checkpoint.classes == CLASSES
    assert checkpoint.training == {"data": "ImageNet", "source": f"{address}/models/{FILE_NAME}"}
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        assert torch.equal(checkpoint.net(images), convert(theirs.state_dict())(images))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_copied_file_is_read_in_both_of_pytorchs_formats_and_left_there(blank: Weights, zipped: bool) -> None:
    content = in_a_file(blank, _use_new_zipfile_serialization=zipped)
    imagenet_checkpoint().parent.mkdir(parents=True)
    copied = imagenet_checkpoint().with_name(FILE_NAME)
    copied.write_bytes(content)
    path = fetch(source=source("http://127.0.0.1:9", content))
    assert torch.equal(load_checkpoint(path).net.get_parameter("conv1.weight"), blank["features.0.weight"])
    path.unlink()
    assert copied.read_bytes() == content


def test_a_copied_file_cut_short_is_told_and_left_there(blank: Weights) -> None:
    content = in_a_file(blank)
    imagenet_checkpoint().parent.mkdir(parents=True)
    imagenet_checkpoint().with_name(FILE_NAME).write_bytes(content[:-10])
    with pytest.raises(DataError, match=rf"{FILE_NAME} is not torchvision's file, or is cut short.*Copy it anew"):
        fetch(source=source("http://127.0.0.1:9", content))
    assert left_behind() == [FILE_NAME]


# --- when it does not come ---------------------------------------------------------------------


def refused(wanted: Source) -> str:
    """The line that tells of the failure; nothing is left behind."""
    with pytest.raises(DataError) as caught:
        fetch(source=wanted)
    assert left_behind() == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_network_it_says_where_to_put_the_file() -> None:
    line = refused(source("http://127.0.0.1:9", b""))
    assert line.startswith("AlexNet's ImageNet weights could not be downloaded from 127.0.0.1:9 (")
    assert "refused" in line
    assert line.endswith(f"or copy {FILE_NAME} into {imagenet_checkpoint().parent}.")


def test_an_error_of_the_server_is_named() -> None:
    with serving(lambda handler: handler.send_error(404)) as address:
        assert "404" in refused(source(address, b""))


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "TIMEOUT", 0.2)
    asked_enough = threading.Event()
    with serving(lambda handler: asked_enough.wait(20)) as address:
        try:
            assert "timed out" in refused(source(address, b""))
        finally:
            asked_enough.set()


def test_what_is_no_http_is_told() -> None:
    with serving(lambda handler: handler.wfile.write(b"220 ready\r\n\r\n")) as address:
        assert "220 ready" in refused(source(address, b""))


def test_a_file_cut_short_is_told_with_its_bytes() -> None:
    content = bytes(3_000_000)
    with serving(sending(content[:2_000_000], length=3_000_000)) as address:
        assert "after 2,000,000 of 3,000,000 bytes" in refused(source(address, content))


def test_another_file_is_told_by_its_checksum() -> None:
    other = b"please sign in to the hotel's network"
    with serving(sending(other)) as address:
        line = refused(source(address, b"the weights"))
    assert hashlib.sha256(other).hexdigest()[:8] in line
    assert hashlib.sha256(b"the weights").hexdigest()[:8] in line


@pytest.mark.parametrize("length", [-1, None])
def test_a_file_too_large_is_not_taken(length: int | None) -> None:
    content = bytes(5_000_000)
    told: list[int] = []
    with serving(sending(content, length)) as address, pytest.raises(DataError, match=r"over 2,500,000 bytes"):
        fetch(lambda done, total: told.append(done), source=source(address, content, max_bytes=2_500_000))
    assert max(told, default=0) <= 2_500_000
    assert left_behind() == []


def test_other_tensors_are_not_taken_for_weights(blank: Weights) -> None:
    content = in_a_file({**blank, "classifier.6.weight": torch.zeros(10, 4096)})
    with serving(sending(content)) as address:
        assert "classifier.6.weight" in refused(source(address, content))


@pytest.mark.parametrize("content", [b"", b"not PyTorch's", in_a_file([1, 2]), in_a_file(Path("a class of its own"))])
def test_what_holds_no_tensors_is_not_taken_and_runs_no_code(content: bytes) -> None:
    with serving(sending(content)) as address:
        refused(source(address, content))


def test_what_the_progress_raises_ends_it() -> None:
    class Stopped(BaseException):
        """As a page raises when its visitor goes on to something else."""

    def stop(done: int, total: int) -> None:
        raise Stopped

    content = bytes(3_000_000)
    with serving(sending(content)) as address, pytest.raises(Stopped):
        fetch(stop, source=source(address, content))
    assert left_behind() == []


def test_a_folder_that_cannot_be_made_is_named(own_data_folder: Path) -> None:
    own_data_folder.write_text("a file in the folder's place")
    with pytest.raises(StorageError, match=rf"{own_data_folder.name}.*LENET_DATA_DIR"):
        fetch(source=source("http://127.0.0.1:9", b""))
