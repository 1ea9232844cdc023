"""Files that strangers could send: some run code in a careless reader, some are checkpoints with something changed."""

from __future__ import annotations

import copy
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from lenet_core.architecture import Architecture
from lenet_core.checkpoint import Checkpoint, to_bytes
from lenet_core.layers import build
from lenet_core.presets import preset

# --- what runs code ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Hostile:
    """A file, and a reader that runs the code in it; None where only a program of another kind would."""

    data: bytes
    reader: Callable[[io.BytesIO], object] | None = None


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path, call: Callable[..., object] = open) -> None:
        self.call, self.arguments = call, (str(canary), "w") if call is open else (f"touch '{canary}'",)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def pickles(canary: Path) -> dict[str, bytes]:
    """Pickles that make the canary, in every way that pickle's operations know."""
    command, path = f"touch '{canary}'".encode(), str(canary).encode()
    text = b"X" + struct.pack("<I", len(command)) + command
    return {
        **{f"reduce, protocol {protocol}": pickle.dumps(Touch(canary), protocol) for protocol in range(6)},
        "reduce, os.system": pickle.dumps(Touch(canary, os.system)),
        "global": b"c__builtin__\nopen\n(V" + path + b"\nVw\ntR.",
        "stack global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text + b"\x85R.",
        "inst": b"(" + text + b"iposix\nsystem\n.",
        "obj": b"(cposix\nsystem\n" + text + b"o.",
        "build": b"\x80\x02ctypes\nSimpleNamespace\n)\x81}X\x0c\x00\x00\x00__setstate__cposix\nsystem\nsb"
        + text
        + b"b.",
        "eval": b"c__builtin__\neval\n(V__import__('os').system(" + repr(command.decode()).encode() + b")\ntR.",
        "among weights": pickle.dumps(OrderedDict(weight=[1.0], more={"deep": [Touch(canary)]}), 2),
    }


def in_zip(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def zipped_pt(pickled: bytes, kind: int = zipfile.ZIP_STORED) -> bytes:
    """PyTorch's file around a pickle."""
    parts = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", ".data/serialization_id": b"0" * 40}
    return in_zip({f"archive/{name}": data for name, data in parts.items()}, kind)


def legacy_pt(pickled: bytes) -> bytes:
    """PyTorch's older file around a pickle."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    first, *others = (pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system, []))
    return first + others[0] + others[1] + pickled + others[2]


def tar_pt(pickled: bytes) -> bytes:
    """PyTorch's oldest file around a pickle."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(pickled)
            archive.addfile(info, io.BytesIO(pickled))
    return file.getvalue()


def deflated(stored: bytes) -> bytes:
    """The same zip file, compressed."""
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        return in_zip({name: archive.read(name) for name in archive.namelist()}, zipfile.ZIP_DEFLATED)


def overlapping_zip() -> bytes:
    """A zip file, uncompressed, whose 1,000 members are all the same 100 kB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data/0", bytes(100_000))
        archive.filelist.extend([archive.filelist[0]] * 999)
    return file.getvalue()


def careless_torch(data: io.BytesIO) -> object:
    """What PyTorch made of a file before it asked whether it could be trusted."""
    with tempfile.TemporaryFile() as file:  # a real one: tar is looked for in no other
        file.write(data.getvalue())
        file.seek(0)
        return torch.load(file, weights_only=False)


def careless_numpy(file: io.BytesIO) -> object:
    """What NumPy makes of a file when pickles are allowed."""
    return np.load(file, allow_pickle=True)


def picture(kind: str, **options: Any) -> bytes:
    """A small picture in a file of that kind."""
    file = io.BytesIO()
    Image.effect_noise((30, 30), 80).save(file, kind, **options)
    return file.getvalue()


def corpus(canary: Path) -> dict[str, Hostile]:
    """Every kind of file that runs code somewhere; what it would do is to make the canary."""
    made = pickles(canary)
    script = f"<script>fetch('file://{canary}')</script>"
    html = f"<!doctype html><html><body onload=alert(1)>{script}</body></html>".encode()
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">{script}<text>&x;</text></svg>'.encode()
    entity = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{canary.parent}">]>'.encode()
    laughs = b"<!DOCTYPE svg [<!ENTITY a 'ha'>" + b"".join(
        f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>".encode() for n in range(10)
    )
    eps = (
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch {canary}) (w) file closefile\n"
        f"({canary}) (w) file closefile\nshowpage\n"
    ).encode()
    chunk = PngImagePlugin.PngInfo()
    chunk.add_text("Comment", html.decode())
    array = io.BytesIO()
    np.save(array, np.array([Touch(canary)], dtype=object), allow_pickle=True)
    bomb = in_zip({"archive/data.pkl": made["global"], "archive/data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    whole = next(iter(sound().values()))
    pt, one = zipped_pt(made["global"]), made["global"]
    return {
        **{f"pickle: {name}": Hostile(data, pickle.load) for name, data in made.items()},
        **{f"pt: {name}": Hostile(zipped_pt(data), careless_torch) for name, data in made.items()},
        **{f"old pt: {name}": Hostile(legacy_pt(data), careless_torch) for name, data in made.items()},
        "tar pt": Hostile(tar_pt(one), careless_torch),
        "pt by PyTorch": Hostile(saved({"weight": torch.zeros(3), "more": Touch(canary)}), careless_torch),
        "deflated pt": Hostile(zipped_pt(one, zipfile.ZIP_DEFLATED), careless_torch),
        "npy": Hostile(array.getvalue(), careless_numpy),
        "npz": Hostile(in_zip({"images.npy": array.getvalue()}), lambda file: careless_numpy(file)["images"]),  # type: ignore[index]
        "eps": Hostile(eps),
        "svg": Hostile(svg),
        "svg, entity": Hostile(entity + svg),
        "svg, a billion laughs": Hostile(laughs + b"]><svg>&k;</svg>"),
        "html": Hostile(html),
        "shell": Hostile(f"#!/bin/sh\ntouch '{canary}'\n".encode()),
        "python": Hostile(f"open({str(canary)!r}, 'w')\n".encode()),
        "json with a name to call": Hostile(json.dumps({"__reduce__": ["os.system", f"touch {canary}"]}).encode()),
        "checkpoint and zip": Hostile(whole + pt),
        "checkpoint and pickle": Hostile(whole + one),
        "pickle and checkpoint": Hostile(one + whole, pickle.load),
        "png with html": Hostile(picture("PNG", pnginfo=chunk)),
        "png and html": Hostile(picture("PNG") + html),
        "png and pt": Hostile(picture("PNG") + pt),
        "jpeg and zip": Hostile(picture("JPEG") + in_zip({"run.sh": b"touch x"})),
        "gif and js": Hostile(b"GIF89a/*" + picture("GIF")[8:] + f"*/=1;{script}".encode()),
        "webp and html": Hostile(picture("WEBP") + html),
        "pdf and zip": Hostile(b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n" + pt),
        "zip bomb": Hostile(bomb),
        "zip bomb in a zip": Hostile(in_zip({"archive/data.pkl": bomb})),
        "zip of one thing 1,000 times": Hostile(overlapping_zip()),
        "gzip bomb": Hostile(gzip.compress(bytes(50_000_000))),
    }


def saved(value: object) -> bytes:
    """The value as PyTorch saves it."""
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


# --- checkpoints with something changed --------------------------------------------------------

TINY = preset("lenet-modern").replace(name="tiny", channels=(2, 3), dense=(8,))
OLD = preset("lenet5-1998").replace(
    name="old", channels=(2, 3), dense=(8,), table=(None, ((0,), (1,), (0, 1))), input_range=((-0.1, 1.175),)
)  # every other kind of layer: a table, trainable subsampling, an RBF output
SMALLEST = Architecture("smallest", (1, 4, 4), (), (), num_classes=2)


def sound() -> dict[str, bytes]:
    """Sound checkpoints of small networks, by name; the same bytes each time."""
    found = {}
    for arch in (TINY, OLD, SMALLEST):
        written = to_bytes(Checkpoint(arch, build(arch, seed=0), ("a", "b"), {"seed": 0, "test_accuracy": 0.5}))
        header, data = parts(written)
        # The package safetensors writes the metadata in another order each time.
        found[arch.name] = joined({**header, "__metadata__": dict(sorted(header["__metadata__"].items()))}, data)
    return found


def with_header(header: bytes, data: bytes = b"") -> bytes:
    """A file with that header."""
    return struct.pack("<Q", len(header)) + header + data


def parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    """A checkpoint's header, its description read too, and its weights."""
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    header["__metadata__"]["description"] = json.loads(header["__metadata__"]["description"])
    return header, whole[8 + length :]


def joined(header: dict[str, Any], data: bytes) -> bytes:
    """The checkpoint of these parts."""
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and isinstance(metadata.get("description"), (dict, list)):
        metadata = {**metadata, "description": json.dumps(metadata["description"])}
        header = {**header, "__metadata__": metadata}
    return with_header(json.dumps(header).encode(), data)


class Twin(str):
    """A text that equals no other, so that a dictionary holds it twice."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def mutated(whole: bytes, random: Random) -> tuple[str, bytes]:
    """The name of a change, and the checkpoint with it."""
    name = random.choice(list(CHANGES))
    return name, CHANGES[name](whole, random)


def _flip(whole: bytes, random: Random) -> bytes:
    changed = bytearray(whole)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _flip_in_header(whole: bytes, random: Random) -> bytes:
    (length,) = struct.unpack("<Q", whole[:8])
    return _flip(whole[: 8 + length], random) + whole[8 + length :]


def _flip_in_weights(whole: bytes, random: Random) -> bytes:
    (length,) = struct.unpack("<Q", whole[:8])
    return whole[: 8 + length] + _flip(whole[8 + length :], random)


def _swap(whole: bytes, random: Random) -> bytes:
    changed, (one, other) = bytearray(whole), random.sample(range(len(whole)), 2)
    changed[one], changed[other] = changed[other], changed[one]
    return bytes(changed)


def _span(whole: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(whole))
    return start, min(len(whole), start + random.choice((1, 2, 4, 8, 40, 400, 4000)))


def _insert(whole: bytes, random: Random) -> bytes:
    start, end = _span(whole, random)
    return whole[:start] + random.choice((random.randbytes(end - start), bytes(end - start))) + whole[start:]


def _delete(whole: bytes, random: Random) -> bytes:
    start, end = _span(whole, random)
    return whole[:start] + whole[end:]


def _repeat(whole: bytes, random: Random) -> bytes:
    start, end = _span(whole, random)
    return whole[:end] + whole[start:]


def _overwrite(whole: bytes, random: Random) -> bytes:
    start, end = _span(whole, random)
    return whole[:start] + random.randbytes(end - start) + whole[end:]


def _move(whole: bytes, random: Random) -> bytes:
    start, end = _span(whole, random)
    rest = whole[:start] + whole[end:]
    place = random.randrange(len(rest) + 1)
    return rest[:place] + whole[start:end] + rest[place:]


def _lie_about_length(whole: bytes, random: Random) -> bytes:
    (length,) = struct.unpack("<Q", whole[:8])
    lie = random.choice((random.getrandbits(64), random.randrange(2**21), max(0, length + random.randrange(-9, 9))))
    return struct.pack("<Q", lie) + whole[8:]


def _values() -> list[Any]:
    """What a part of a header may become; no object stands in one twice, where a later edit would multiply."""
    deep: Any = []
    for _ in range(150):
        deep = [deep]
    return [
        10**12, 10**400, -1, 0, 1, 2**31, 2**63, 2**64, 1.5, 10.0, 1e308, -0.0, float("nan"), float("inf"), True, False,
        None, "", "F32", "F64", "relu", "\ud800", "a\nb\x1b[31m", "x" * 10_000, [], {}, [[]], [1] * 10_000, deep,
        [[0] for _ in range(5_000)], {"a": 1}, [0, 0],
        [0, 2**62], ["a"] * 11, [{"channels": 4096, "kernel_size": 1024} for _ in range(16)],
    ]  # fmt: skip


_VALUES = _values()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in the tree, with each of its keys or indices."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)


def _edit(whole: bytes, random: Random) -> bytes:
    """One to three changes in the header's grammar."""
    header, data = parts(whole)
    for _ in range(random.choice((1, 1, 2, 3))):
        tree, key = random.choice(list(_places(header)))
        match random.randrange(6):
            case 0:
                del tree[key]
            case 1 if isinstance(tree, dict):
                tree[Twin(key)] = copy.deepcopy(random.choice((tree[key], *_VALUES)))
            case 2 if isinstance(tree, dict):
                tree[random.choice((key + "x", "", "\ud800", "extra\nerror: all is lost", "x" * 5_000))] = tree.pop(key)
            case 3 if type(tree[key]) in (int, float):
                tree[key] = random.choice((tree[key] + 1, tree[key] - 1, -tree[key], tree[key] * 2, tree[key] * 10**9))
            case 4:
                other, its = random.choice(list(_places(header)))
                tree[key] = copy.deepcopy(other[its])
            case _:
                tree[key] = copy.deepcopy(random.choice(_VALUES))
        if not header:
            break
    return joined(header, data)


CHANGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "flip": _flip, "flip in header": _flip_in_header, "flip in weights": _flip_in_weights, "swap": _swap,
    "insert": _insert, "delete": _delete, "repeat": _repeat, "overwrite": _overwrite, "move": _move,
    "length": _lie_about_length, "edit 1": _edit, "edit 2": _edit, "edit 3": _edit, "edit 4": _edit,
}  # fmt: skip


# --- checkpoints made to cost something --------------------------------------------------------


def costly(whole: bytes) -> dict[str, bytes]:
    """Small files that ask for much, by what they ask for."""
    header, data = parts(whole)
    architecture = header["__metadata__"]["description"]["architecture"]

    def asking(**changes: Any) -> bytes:
        changed = copy.deepcopy(header)
        changed["__metadata__"]["description"]["architecture"] = architecture | changes
        return joined(changed, data)

    def described(text: str) -> bytes:
        metadata = header["__metadata__"] | {"description": text}
        return with_header(json.dumps(header | {"__metadata__": metadata}).encode(), data)

    conv = architecture["convs"][0] if architecture["convs"] else {"channels": 2}
    empty = b'"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    metadata = json.dumps({"__metadata__": header["__metadata__"] | {"description": "{}"}}).encode()[1:-1]
    million = b"{" + metadata + b"".join(b',"%06d":{' % n + empty for n in range(10**6)) + b"}"
    as_many = b"{" + metadata + b"".join(b',"%05d":{' % n + empty for n in range(18_000)) + b"}"
    same = b"{" + metadata + (b',"a":{' + empty) * 19_000 + b"}"
    fill = 2**20 - 2_000
    return {
        "a million empty tensors": with_header(million),
        "18,000 empty tensors": with_header(as_many),
        "one tensor 19,000 times": with_header(same),
        "half a million empty lists": described(json.dumps({"architecture": {}, "classes": []})[:-1]
        + ', "training": [' + ",".join(["[]"] * (fill // 3 - 9_000)) + "]}"),
        "150,000 objects": with_header(b"[" + b",".join([b'{"":0}'] * (fill // 8)) + b"]"),
        "lists in lists": with_header(b"[" * fill),
        "objects in objects": with_header(b'{"":' * (fill // 5)),
        "lists in lists, in the description": described("[" * (fill // 2)),
        "a number of a million digits": with_header(b"1" * fill),
        "numbers of 4,000 digits": with_header(b"[" + b",".join([b"1" * 4_000] * 250) + b"]"),
        "a text of a million letters": with_header(b'"' + b"a" * fill + b'"'),
        "escaped letters": with_header(b'"' + b"\\u4e00" * (fill // 6) + b'"'),
        "10^12 parameters": asking(dense=[10**6, 10**6]),
        "10^12 parameters in kernels": asking(convs=[conv | {"channels": 4096, "kernel_size": 1000}] * 2),
        "10^24 units": asking(convs=[conv | {"padding": 1024}] * 16, input_shape=[64, 1024, 1024]),
        "100,000 layers": asking(dense=[1] * 100_000),
        "10,000 convolutions": asking(convs=[conv] * 5_000),
        "a table of 300,000": asking(convs=[conv | {"table": [[0]] * 200_000}]),
        "a table row of 300,000": asking(convs=[conv | {"table": [list(range(130_000))] * 1}]),
        "a hundred thousand classes": asking(num_classes=10**5),
        "ten thousand codes": asking(head="rbf", num_classes=10_000),
        "100,000 ranges": asking(input_range=[[0, 1]] * 100_000),
        "a name of 500,000 letters": asking(name="x" * 500_000),
    }  # fmt: skip


def laid_out(arch: Architecture) -> tuple[bytes, int]:
    """How a checkpoint of that network begins, and how many bytes of weights follow; builds none of them."""
    header, place = parts(sound()["smallest"])[0]["__metadata__"], 0
    description = {"architecture": arch.to_dict(), "classes": [], "training": {}}
    tensors: dict[str, Any] = {"__metadata__": header | {"description": description}}
    with torch.device("meta"):
        weights = build(arch).state_dict()
    for name, tensor in weights.items():
        end = place + 4 * tensor.numel()
        tensors[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    return joined(tensors, b""), place


def misplaced(whole: bytes) -> dict[str, bytes]:
    """The checkpoint with weights that do not lie where, or are not of the kind that, they must."""
    header, data = parts(whole)
    first, *_, last = sorted(header.keys() - {"__metadata__"}, key=lambda name: int(header[name]["data_offsets"][0]))
    entry = header[last]

    def moved(name: str, start: Any, end: Any, tail: bytes = b"") -> bytes:
        begin, stop = header[name]["data_offsets"]
        offsets = [start(begin) if callable(start) else start, end(stop) if callable(end) else end]
        return joined(header | {name: header[name] | {"data_offsets": offsets}}, data + tail)

    def back(n: int) -> int:
        return n - 4

    def on(n: int) -> int:
        return n + 4

    return {
        "overlap": moved(last, back, back), "gap": moved(last, on, on, bytes(4)), "twice the first": joined(
            header | {last: entry | {"data_offsets": header[first]["data_offsets"]}}, data),
        "after the end": moved(last, on, on), "before the beginning": moved(last, -4, back),
        "too short": moved(last, on, int), "too long": moved(last, int, on, bytes(4)),
        "backwards": moved(last, on, back), "floats": moved(last, float, float), "texts": moved(last, str, str),
        "huge": moved(last, 2**62, 2**62 + 4), "beyond all": moved(last, 10**300, 10**300 + 4),
        "bytes after the last": joined(header, data + b"x"), "a byte before the first": joined(header, b"x" + data),
        "three offsets": joined(header | {last: entry | {"data_offsets": [0, 4, 8]}}, data),
        "no offsets": joined(header | {last: {k: v for k, v in entry.items() if k != "data_offsets"}}, data),
        "a list": joined(header | {last: list(entry.items())}, data),
        **{f"dtype {dtype!r}": joined(header | {last: entry | {"dtype": dtype}}, data)
           for dtype in ("F64", "F16", "I32", "U8", "f32", "", None, ["F32"], 32)},
        **{f"shape {shape!r:.30}": joined(header | {last: entry | {"shape": shape}}, data)
           for shape in (None, [], [0], [-1], [2.0], [True], ["2"], [1, *entry["shape"]], [10**400], [2] * 5_000,
                         [float(side) for side in entry["shape"]])},
    }  # fmt: skip
