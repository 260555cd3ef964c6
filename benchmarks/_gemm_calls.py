"""What the benchmarks of products share: operands, and timing in turn with pauses."""

from __future__ import annotations

import math
import time

import numpy as np

import mxref
from benchmarks._timing import interleaved

__all__ = ["operands", "timed"]

# OpenBLAS's threads spin after their work, and slow down whoever is next.
PAUSE = 0.06  # seconds before each timing
LEAST = 0.01  # seconds of a timing at least; quicker calls are repeated within it
SPREAD = 12  # binary orders up and down, of the scales of `spread` data


def operands(formats, shape, data):
    """Quantised normals of (M, K, N).

    The scale codes of ``spread`` data lie up to 12 above or below theirs, those of ``unscaled``
    data are 127 throughout.
    """
    rng = np.random.default_rng(1)
    m, k, n = shape
    found = []
    for axis, size, name in ((1, (m, k), formats[0]), (0, (k, n), formats[1])):
        q = mxref.quantize(rng.standard_normal(size, np.float32), name, axis, pad=True)
        scales = q.scales.astype(np.int64)
        if data == "spread":
            scales += rng.integers(-SPREAD, SPREAD + 1, scales.shape)
        if data == "unscaled":
            scales[...] = 127
        found.append(mxref.MXArray(q.codes, scales.astype(np.uint8), q.format, axis=axis))
    return found


def timed(calls, rounds, seconds):
    """Seconds of each call in each round, in turn; 3 rounds, and more as `seconds` allow."""
    repeats, whole = [], 0.0
    for call in calls:
        call()  # what happens only once: compiling, starting threads
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        repeats.append(math.ceil(LEAST / took))
        whole += took * repeats[-1] + PAUSE
    repeated = [_repeated(call, count) for call, count in zip(calls, repeats, strict=True)]
    rounds = max(3, min(rounds, int(seconds / whole)))
    times = interleaved(repeated, rounds, PAUSE)
    return [[took / count for took in series] for series, count in zip(times, repeats, strict=True)]


def _repeated(call, count):
    def calls():
        for _ in range(count):
            call()

    return calls
