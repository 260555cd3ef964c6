"""Time one peer, mxref and a copy in turn: ``python -m benchmarks._peer_process PEER SIZE ROUNDS``.

Writes one JSON object a line. Each peer has a process of its own, so that thread pools do not
disturb each other and a crash costs one peer only.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings

import numpy as np

import mxref
from benchmarks._conversions import sample
from benchmarks._peers import PEERS
from benchmarks._timing import interleaved, thread_counts, threads

__all__ = ["LIMIT", "measure"]

LIMIT = 0.25
"""Seconds that one call may take; slower peers get fewer elements."""

LEAST = 1 << 12


def measure(peer, size, rounds):
    """Yield a row for each case of a peer; a case that raises gives a row with the error."""
    x = sample(size)
    counts = thread_counts() if peer.set_threads else [1]
    for case in peer.cases():
        for count in counts:
            row = {"operation": case.operation, "format": case.format, "threads": count}
            try:
                if peer.set_threads:
                    peer.set_threads(count)
                with threads(count):
                    row |= _timed(case, x, rounds)
            except Exception as error:  # noqa: BLE001  # whatever a package raises is a result
                row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
            yield row


def _timed(case, x, rounds):
    call, size = _affordable(case, x)
    calls = [call, _ours(case, x), x.copy]
    times = interleaved(calls, rounds)
    theirs, ours, copied = (statistics.median(seconds) for seconds in times)
    copy_rate = x.size / copied
    return {
        "elements": size,
        "rate": size / theirs,
        "mxref_rate": x.size / ours,
        "ratio": size / theirs / copy_rate,
        "mxref_ratio": statistics.median(c / s for s, c in zip(times[1], times[2], strict=True)),
    }


def _affordable(case, x):
    """Return the call on as many elements as `LIMIT` allows, and their number."""
    size = min(LEAST, x.size)
    while True:
        call = case.prepare(x[:size])
        call()  # what happens only once
        start = time.perf_counter()
        call()
        if 4 * (time.perf_counter() - start) > LIMIT or size == x.size:
            return call, size
        size = min(4 * size, x.size)


def _ours(case, x):
    name = case.format
    if case.operation == "quantize":
        return lambda: mxref.quantize(x, name)
    if case.operation == "encode":
        return lambda: mxref.encode(x, name)
    if case.operation == "dequantize":
        return mxref.quantize(x, name).dequantize
    codes = mxref.encode(x, name)
    return lambda: mxref.decode(codes, name)


def main():
    """Time the peer that the command names."""
    name, size, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    peer = next(p for p in PEERS if p.name == name)
    for row in measure(peer, size, rounds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
