"""What a run's events say so far: read at once or bit by bit, after interruptions, and when they are damaged."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lenet_core.history import History
from lenet_core.runs import Run


def started(step: int = 0, **facts: Any) -> dict[str, Any]:
    return {"kind": "started", "step": step, "total_steps": 40, "steps_per_epoch": 20, "images": 600, **facts}


def metrics(step: int, count: int = 5, stride: int = 1, **facts: Any) -> dict[str, Any]:
    """The line after step `step`, about the `count` steps before it; each step's loss is its own number."""
    first = step - count + 1
    losses = [float(one) for one in range(first, step + 1, stride)]
    return {
        "kind": "metrics", "step": step, "epoch": 0, "first": first, "stride": stride, "losses": losses,
        "accuracy": step / 100, "images_per_second": 300.0, **facts,
    }  # fmt: skip


def epoch(number: int, step: int) -> dict[str, Any]:
    return {"kind": "epoch", "epoch": number, "step": step, "loss": 0.5, "accuracy": 0.8, "validation": 0.9}


LAYERS = {"gradient": {"c1": 0.25}, "saturation": {"c1": 0.5}}
WHOLE = [
    {"kind": "starting"}, started(), metrics(5), metrics(10, layers=LAYERS), metrics(20, 10, stride=3), epoch(1, 20),
    metrics(30, 10), metrics(40, 10, layers=LAYERS), epoch(2, 40),
    {"kind": "finished", "step": 40, "test": 0.9, "interval": [0.8, 0.95], "seconds": 4.0},
]  # fmt: skip


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def history_of(folder: Path, data: bytes) -> History:
    (folder / "events.jsonl").write_bytes(data)
    history = History(Run(folder))
    history.update()
    return history


def columns(history: History) -> list[Any]:
    return [
        history.steps, history.losses, history.ticks, history.accuracies, history.epochs, history.layers,
        history.started, history.now, history.last,
    ]  # fmt: skip


def test_a_history_is_what_the_events_say(tmp_path: Path) -> None:
    history = history_of(tmp_path, lines(WHOLE))
    assert history.steps == [*range(1, 11), 11, 14, 17, 20, *range(21, 41)]
    assert history.losses == [float(step) for step in history.steps]
    assert history.ticks == [5, 10, 20, 30, 40]
    assert history.accuracies == [0.05, 0.1, 0.2, 0.3, 0.4]
    assert [event["validation"] for event in history.epochs] == [0.9, 0.9]
    assert [event["step"] for event in history.layers] == [10, 40]
    assert (history.step, history.total_steps, history.steps_per_epoch) == (40, 40, 20)
    assert history.last["kind"] == "finished"
    assert not history.update()


def test_time_left_is_the_images_left_at_the_present_pace(tmp_path: Path) -> None:
    history = history_of(tmp_path, lines(WHOLE[:4]))
    assert history.step == 10
    assert history.seconds_left == pytest.approx(30 / 20 * 600 / 300)  # 1.5 passes of 600 images, 300 a second


def test_before_anything_happened_nothing_is_known(tmp_path: Path) -> None:
    for history in (History(Run(tmp_path / "gone")), history_of(tmp_path, b"")):
        assert not history.update()
        assert (history.steps, history.step, history.total_steps, history.seconds_left) == ([], 0, 1, None)


def test_bit_by_bit_is_the_same_as_at_once(tmp_path: Path) -> None:
    data = lines([*WHOLE[:4], started(5), *WHOLE[3:]])
    expected = columns(history_of(tmp_path, data))
    dice = random.Random(1)
    for _ in range(10):
        history = history_of(tmp_path, b"")
        rest = data
        while rest:
            piece, rest = rest[: (size := dice.randint(1, 200))], rest[size:]
            with (tmp_path / "events.jsonl").open("ab") as file:
                file.write(piece)
            before = history.last
            assert history.update() == (history.last is not before)
        assert columns(history) == expected


def test_steps_that_a_resumed_run_repeats_are_counted_once(tmp_path: Path) -> None:
    first = [started(), metrics(10, 10), metrics(20, 10), epoch(1, 20), metrics(25), metrics(30, layers=LAYERS)]
    again = [{"kind": "starting"}, started(20), metrics(28, 8), metrics(40, 12), epoch(2, 40)]
    history = history_of(tmp_path, lines(first + again))
    assert history.steps == list(range(1, 41))
    assert history.losses == [float(step) for step in range(1, 41)]
    assert history.ticks == [10, 20, 28, 40]
    assert [event["epoch"] for event in history.epochs] == [1, 2]
    assert history.layers == []


def test_an_epoch_that_is_told_twice_is_counted_once(tmp_path: Path) -> None:
    first = [started(), metrics(20, 20), epoch(1, 20)]  # killed before its state was saved
    again = [started(0), metrics(20, 20), epoch(1, 20), metrics(30, 10)]
    history = history_of(tmp_path, lines(first + again))
    assert history.steps == list(range(1, 31))
    assert [event["epoch"] for event in history.epochs] == [1]


DAMAGE = [
    b"\x00" * 5_000, b"\xff\xfe\x80", b"{", b"null", b"5", b'"kind"', b"[]", b"[" * 100_000, b"{}", b'{"kind": []}',
    b'{"kind": "metrics"}', b'{"kind": "started"}', b'{"kind": "started", "step": "x"}', b'{"kind": "epoch"}',
    b'{"kind": "epoch", "step": 3, "epoch": 1.5}', b'{"kind": "finished", "step": 1, "test": null}',
    b'{"kind": "failed"}', b'{"kind": "failed", "message": 5}',
    json.dumps(metrics(15, losses=5)).encode(), json.dumps(metrics(15, losses=["x"])).encode(),
    json.dumps(metrics(15, stride=1) | {"stride": 0}).encode(), json.dumps(metrics(15) | {"first": -3}).encode(),
    json.dumps(metrics(15) | {"step": True}).encode(), json.dumps(metrics(15) | {"accuracy": "high"}).encode(),
    json.dumps(metrics(15) | {"losses": [float("nan")]}).encode(),
    json.dumps(metrics(15) | {"images_per_second": float("inf")}).encode(),
    json.dumps(metrics(15)).replace("0.15", "1e999").encode(),
    json.dumps(metrics(15, layers=[1])).encode(), json.dumps(metrics(15, layers={"gradient": {"c1": "x"}})).encode(),
    json.dumps(started(5, total_steps=None)).encode(), json.dumps(started(5, images=[])).encode(),
    json.dumps(epoch(1, 20) | {"confusion": [5]}).encode(), json.dumps(metrics(15)).encode()[:-9],
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: repr(damage[-40:]))
def test_a_damaged_line_is_left_out_and_the_others_count(damage: bytes, tmp_path: Path) -> None:
    expected = columns(history_of(tmp_path, lines(WHOLE)))
    history = history_of(tmp_path, lines(WHOLE[:4]) + damage + b"\n" + lines(WHOLE[4:]))
    assert columns(history) == expected
    assert history.seconds_left == 0
    torn = history_of(tmp_path, lines(WHOLE) + damage)
    assert columns(torn) == expected


def test_unknown_events_are_kept_as_the_last_word_only(tmp_path: Path) -> None:
    history = history_of(tmp_path, lines([*WHOLE[:3], {"kind": "waved", "step": 5}]))
    assert history.last == {"kind": "waved", "step": 5}
    assert history.steps == [1, 2, 3, 4, 5]


def test_hours_of_training_are_read_in_pieces(tmp_path: Path) -> None:
    steps = range(50, 600_001, 50)  # 8.6 MB, more than is read at a time
    many = [started(total_steps=600_000), *(metrics(step, 50, stride=5, note="x" * 500) for step in steps)]
    history = history_of(tmp_path, lines(many))
    assert (tmp_path / "events.jsonl").stat().st_size > 8_000_000
    assert history.ticks == list(steps)
    assert len(history.losses) == 120_000


def test_megabytes_of_garbage_do_not_hide_what_follows(tmp_path: Path) -> None:
    history = history_of(tmp_path, lines(WHOLE[:3]) + b"\x00" * 10_000_000 + b"\n" + lines(WHOLE[3:]))
    assert history.last["kind"] == "finished"
    assert history.ticks == [5, 10, 20, 30, 40]
