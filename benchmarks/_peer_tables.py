"""The tables of peers: each measured in a process of its own, mxref and a copy beside it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

from benchmarks._page import GIGA, installed_version, table
from benchmarks._peers import PEERS

__all__ = ["peers"]

OPERATIONS = ("quantize", "dequantize", "encode", "decode")
TIMEOUT = 600  # seconds for one peer


def peers(size, rounds):
    """Yield a list of the peers, a table of the fastest for each conversion, and all figures."""
    rows, notes = [], []
    for peer in PEERS:
        found = _found(peer)
        if not found:
            notes.append(f"* {peer.name}: not installed")
            continue
        measured, problem = _run(peer.name, size, rounds)
        rows += [(peer.name, row) for row in measured]
        one = "" if peer.set_threads else "; one thread"
        notes.append(f"* {peer.name} {found}: {peer.what}{one}{problem}")
    yield from notes
    yield ""
    good = [(name, row) for name, row in rows if "error" not in row]
    good.sort(key=lambda pair: OPERATIONS.index(pair[1]["operation"]))
    yield from _fastest(good)
    yield from _all(good)
    for name, row in rows:
        if "error" in row:
            yield f"* {name}, {row['operation']} {row['format']}: {row['error']}"
    yield ""


def _found(peer):
    if importlib.util.find_spec(peer.module) is None:
        return None
    return installed_version(peer.name) or "of an unknown version"


def _run(name, size, rounds):
    """Return the rows that a peer's process gave, and what went wrong with it, if anything."""
    command = [sys.executable, "-m", "benchmarks._peer_process", name, str(size), str(rounds)]
    # Pools of threads that spin while they wait slow down whoever runs next.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as stopped:
        output = stopped.stdout or b""  # bytes, although text was asked for
        text = output if isinstance(output, str) else output.decode()
        return _rows(text), f"; **stopped after {TIMEOUT} s**"
    problem = ""
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        problem = f"; **ended with status {done.returncode}**: {last}"
    return _rows(done.stdout), problem


def _rows(output):
    return [
        json.loads(line)
        for line in output.splitlines()
        if line.startswith("{") and line.endswith("}")
    ]


def _gigabytes(rate):
    value = 4 * rate / GIGA
    return f"{value:.2f}" if value >= 1 else f"{value:.2g}"


def _factor(row):
    value = row["mxref_rate"] / row["rate"]
    return f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def _ratio(value):
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"


def _cells(name, row):
    return [
        f"{row['operation']} {row['format']}",
        str(row["threads"]),
        name,
        _gigabytes(row["rate"]),
        _ratio(row["ratio"]),
        _gigabytes(row["mxref_rate"]),
        _ratio(row["mxref_ratio"]),
        _factor(row),
    ]


HEAD = [
    "conversion",
    "threads",
    "peer",
    "GB/s",
    "of `copy()`",
    "mxref",
    "of `copy()`",
    "mxref / peer",
]


def _fastest(pairs):
    """Yield, for each conversion and number of threads, the peer that is fastest."""
    best = {}
    for name, row in pairs:
        key = (row["operation"], row["format"], row["threads"])
        if key not in best or row["rate"] > best[key][1]["rate"]:
            best[key] = (name, row)
    yield "The fastest peer for each conversion:"
    yield ""
    yield from table(HEAD, [_cells(name, row) for name, row in best.values()])


def _all(pairs):
    yield "All of them:"
    yield ""
    rows = [[*_cells(name, row), str(row["elements"])] for name, row in pairs]
    yield from table([*HEAD, "peer's elements"], rows)
