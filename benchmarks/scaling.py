"""Measure what docs/scaling.md reckons with: ``python -m benchmarks.scaling`` writes its numbers.

Needs the extra `dask`. Work is measured as processor time of one thread, which other work on the
machine disturbs least; what a scheduler costs, as elapsed and as processor time.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

import mxref
from mxref.check.checkpoint import checkpoint
from mxref.checkpoints.quantize import quantize_checkpoint
from mxref.executors import open_executor, run_units
from mxref.sweep import published, sweep_chunk

PAGE_NUMBERS = Path(__file__).resolve().parents[1] / "docs" / "scaling.json"
CALLS = 3000
# Each tenth cast, and chunks from all over the domain: most inputs saturate or vanish.
CASTS = published()[::10]
CHUNKS = (0x00, 0x2F, 0x3B, 0x3F, 0x40, 0x44, 0x7F, 0x80, 0xBF, 0xC2, 0xFF)
ROWS, COLUMNS = 8192, 8192  # 2**26 weights, 256 MB as float32


def work_of(function):
    """Seconds of this thread's processor, the least of three."""
    found = []
    for _ in range(3):
        began = time.thread_time()
        function()
        found.append(time.thread_time() - began)
    return min(found)


def chunks():
    """Milliseconds of each measured chunk, with the oracle."""
    for cast in CASTS:  # compile
        sweep_chunk(cast, 0x3F)
    return [
        round(1e3 * work_of(lambda: sweep_chunk(cast, chunk)), 2)  # noqa: B023  # called at once
        for cast in CASTS
        for chunk in CHUNKS
    ]


def checkpoints(folder):
    """Processor seconds for each GB of source weights, and bytes read for each of theirs."""
    import ml_dtypes
    from safetensors.numpy import save_file

    weights = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), np.float32)
    found = {}
    for name, dtype in (("float32", np.float32), ("bfloat16", ml_dtypes.bfloat16)):
        source, made = folder / f"{name}.safetensors", folder / f"{name}.mxfp4.safetensors"
        save_file({"w.weight": weights.astype(dtype)}, source)
        quantize_checkpoint(source, made, "mxfp4", "gpt-oss")
        size = source.stat().st_size
        seconds = []
        for _ in range(4):
            began = time.process_time()
            report = checkpoint(made, source, executor="threads:1")
            seconds.append(time.process_time() - began)
            assert report.ok
        found[name] = {
            "seconds_per_GB": round(min(seconds[1:]) / size * 1e9, 3),
            "read_per_byte": round(1 + made.stat().st_size / size, 4),
        }
    return found


def calls(address):
    """Milliseconds that a call costs which does nothing."""
    from mxref.executors import _units

    _units._WORTH_A_CALL = 0.0  # each unit by itself
    with open_executor(address) as cluster:
        list(run_units(cluster, abs, range(200)))
        walls, works = [], []
        for _ in range(3):
            wall, work = time.perf_counter(), time.process_time()
            list(run_units(cluster, abs, range(CALLS), in_flight=200))
            walls.append((time.perf_counter() - wall) / CALLS)
            works.append((time.process_time() - work) / CALLS)
    return {"elapsed_ms": round(1e3 * min(walls), 2), "processor_ms": round(1e3 * min(works), 2)}


def first_unit():
    """Seconds until a new process has done its first chunk, the kernels being compiled."""
    code = "from mxref.sweep import Subject, sweep_chunk\nsweep_chunk(Subject.of('e4m3'), 0)\n"
    found = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], check=True)
        after = os.times()
        found.append(after.children_user + after.children_system
                     - before.children_user - before.children_system)  # fmt: skip
    return round(min(found), 2)


def main():
    from distributed import LocalCluster

    load = os.getloadavg()[0]  # before there is our own
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        dask = calls(cluster.scheduler_address)
    with tempfile.TemporaryDirectory() as folder:
        checks = checkpoints(Path(folder))
    each = chunks()
    numbers = {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load before {load:.1f}",
        "versions": {name: version(name) for name in ("numpy", "numba", "distributed")},
        "mxref": mxref.__version__,
        "chunk_ms": each,
        "checkpoint": checks,
        "call": dask,
        "first_unit_s": first_unit(),
    }
    PAGE_NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    shown = {**numbers, "chunk_ms": f"{len(each)} times, median {statistics.median(each)}"}
    print(json.dumps(shown, indent=1))


if __name__ == "__main__":
    main()
