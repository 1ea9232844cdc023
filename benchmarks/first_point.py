"""From the start of a worker to its first line of metrics, beside the time that PyTorch takes to load.

    python -m benchmarks.first_point [--runs 5]

Both are timed from the start of a fresh process, in turn, in the worker's environment. MNIST must be in the data
folder; its tensors are kept there, as after any earlier training.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measured import data_links, machine, summary
from lenet_core.engine import ROOT, command, environment
from lenet_core.recipes import RECIPES
from lenet_core.runs import Plan, Run, create_run

BAR = 1.5
_TORCH = "import torch; print('loaded', flush=True)"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"Start to first point, {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        data_links(Path(folder))
        os.environ["LENET_DATA_DIR"] = folder
        for data in ("mnist-5k", "mnist"):
            seconds_to_first_point(data)  # for the disk's cache, and so that tensors are kept
            pairs = [(seconds_to_torch(), seconds_to_first_point(data)) for _ in range(options.runs)]
            torch_alone, first_point = zip(*pairs, strict=True)
            print(f"{data}")
            print(f"  import torch  {summary([1000 * seconds for seconds in torch_alone], 'ms')}")
            print(f"  first point   {summary([1000 * seconds for seconds in first_point], 'ms')}")
            print(f"  ratio, median {statistics.median(b / a for a, b in pairs):.2f} (bar: at most {BAR})")


def seconds_to_torch() -> float:
    """Seconds from the start of a Python until it has loaded PyTorch."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", _TORCH], env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - started


def seconds_to_first_point(data: str) -> float:
    """Seconds from the start of a worker, as the app starts it, until its run has a line of metrics."""
    run = create_run(Plan(dataclasses.replace(RECIPES["lenet-modern"], data=data), device="cpu"))
    started = time.perf_counter()
    process = subprocess.Popen(command(run), cwd=ROOT, env=environment(), stdin=subprocess.PIPE)
    try:
        while not _has_point(run):
            if process.poll() is not None:
                raise SystemExit(f"The worker ended before its first point; see {run.folder}.")
            time.sleep(0.005)
        return time.perf_counter() - started
    finally:
        process.kill()
        process.wait()
        run.delete()


def _has_point(run: Run) -> bool:
    return any(event["kind"] == "metrics" for event in run.events()[0])


if __name__ == "__main__":
    main()
