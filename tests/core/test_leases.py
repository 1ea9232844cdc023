"""Leases: one holder at a time, whatever happened to the one before."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from lenet_core.errors import RunError, StorageError
from lenet_core.leases import STALE, Lease, holder
from tests.conftest import ROOT
from tests.core.trainings import let_go, make_old


def lease_of(folder: Path, **changes: object) -> Path:
    """A lease that another process left in the folder, fresh."""
    path = folder / "lease"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "a" * 16, **changes}))
    return path


def test_a_folder_has_one_holder_until_it_is_given_back(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    lease = Lease(tmp_path)
    found = holder(tmp_path)
    assert found is not None
    assert (found["host"], found["pid"]) == (socket.gethostname(), os.getpid())
    with pytest.raises(RunError, match=f"{tmp_path.name} is being trained by another worker"):
        Lease(tmp_path)
    assert lease.beat()
    lease.release()
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert Lease(tmp_path).beat()


def test_a_beat_keeps_a_lease_from_growing_stale(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    make_old(lease.path)
    assert holder(tmp_path) is None
    assert lease.beat()
    assert holder(tmp_path) is not None
    assert time.time() - lease.path.stat().st_mtime < STALE


def test_another_machine_holds_it_as_long_as_the_file_is_fresh(tmp_path: Path) -> None:
    path = lease_of(tmp_path)
    with pytest.raises(RunError, match="another worker"):
        Lease(tmp_path)
    make_old(path, STALE - 5)
    assert holder(tmp_path) is not None
    make_old(path, STALE + 1)
    assert holder(tmp_path) is None
    assert Lease(tmp_path).beat()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the file's age alone tells")
def test_a_dead_process_of_this_machine_is_known_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease_of(tmp_path, host=socket.gethostname(), pid=process.pid)
    with pytest.raises(RunError, match="another worker"):
        Lease(tmp_path)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    assert holder(tmp_path) is None
    process.wait()
    assert holder(tmp_path) is None
    assert Lease(tmp_path).beat()


def test_a_lease_that_was_taken_away_is_noticed_and_left_alone(tmp_path: Path) -> None:
    first = Lease(tmp_path)
    make_old(first.path)
    second = Lease(tmp_path)
    assert not first.beat()
    first.release()
    assert second.beat()
    first.path.unlink()
    assert not second.beat()
    second.release()


def test_of_many_threads_one_takes_a_stale_lease(tmp_path: Path) -> None:
    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        make_old(lease_of(folder, token=str(number)))
        start, won, lost = threading.Barrier(8), [], []

        def take(folder: Path = folder, start: threading.Barrier = start, won: list = won, lost: list = lost) -> None:
            start.wait()
            try:
                won.append(Lease(folder))
            except RunError as error:
                lost.append(str(error))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 7)
        assert won[0].beat()
        assert all(folder.name in message and "\n" not in message for message in lost)
        assert [path.name for path in folder.iterdir()] == ["lease"]


TAKER = """
import sys
from pathlib import Path
from lenet_core.errors import RunError
from lenet_core.leases import Lease
print("ready", flush=True)
input()
held = []
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        held.append(Lease(folder))
        print(folder.name)
    except RunError:
        pass
print("done", flush=True)
input()
"""


def test_of_many_processes_one_takes_each_stale_or_missing_lease(tmp_path: Path) -> None:
    names = [f"{number:03}" for number in range(200)]
    for name in names:
        (tmp_path / name).mkdir()
        if int(name) % 4:
            make_old(lease_of(tmp_path / name, token=name))
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    won: Counter[str] = Counter()
    let_go(takers)
    for taker in takers:  # each stays alive until all are done, as the owner of what it took
        assert taker.stdout is not None
        won.update(line.strip() for line in iter(taker.stdout.readline, "done\n"))
    for taker in takers:
        taker.communicate("\n", timeout=30)
    assert won == Counter(names)


GARBAGE = [
    b"", b"\xff\xfe\x00\x80", b"{", b"null", b"[]", b"5", b"{}", b'{"host": 5}', b"[" * 100_000, b"\x00" * 100_000,
    json.dumps({"host": socket.gethostname(), "pid": "x"}).encode(),
    json.dumps({"host": socket.gethostname(), "pid": 10**30}).encode(),
    json.dumps({"host": socket.gethostname(), "pid": -1}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("content", GARBAGE, ids=lambda content: repr(content[:24]))
def test_a_damaged_lease_is_respected_until_it_is_stale(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "lease").write_bytes(content)
    assert holder(tmp_path) is not None
    with pytest.raises(RunError, match="another worker"):
        Lease(tmp_path)
    make_old(tmp_path / "lease")
    assert holder(tmp_path) is None
    lease = Lease(tmp_path)
    assert lease.beat()
    assert [path.name for path in tmp_path.iterdir()] == ["lease"]


def test_one_who_died_while_taking_over_stops_nobody_for_long(tmp_path: Path) -> None:
    path = lease_of(tmp_path)
    make_old(path)
    code = (
        "import os, sys; from pathlib import Path; from lenet_core import leases; "
        "leases.write_atomically = lambda *_, **__: os._exit(9); leases.Lease(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 9
    (mark,) = [other for other in tmp_path.iterdir() if other != path]
    left = mark.read_text()
    assert Lease(tmp_path).beat()  # its process is known to be dead
    assert list(tmp_path.iterdir()) == [path]

    lease_of(tmp_path)
    make_old(path)
    for elsewhere in (left.replace(socket.gethostname(), "elsewhere"), ""):  # or ended before it could say who it is
        mark.write_text(elsewhere)
        with pytest.raises(RunError, match="just taken"):
            Lease(tmp_path)
    make_old(mark)
    assert Lease(tmp_path).beat()
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"):
        Lease(tmp_path / "gone")


FULL = """
import resource, sys
from pathlib import Path
from lenet_core.errors import StorageError
from lenet_core.leases import Lease
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    Lease(Path(sys.argv[1]))
except StorageError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.skipif(os.name != "posix", reason="no such limit elsewhere")
def test_on_a_full_disk_no_empty_lease_is_left_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(f"{tmp_path} cannot be written to (")
    assert list(tmp_path.iterdir()) == []
