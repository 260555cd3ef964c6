"""Time products of matrices: ``python -m benchmarks._gemm_process < JOBS``, jobs as JSON.

Writes one JSON object a line, in the order of the jobs. Each number of threads has a process of its
own, since a pool of threads reads its size when it starts. What else is measured, torch's product
or numpy's, takes its turn in the same rounds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
import time
from contextlib import contextmanager

import numpy as np

import mxref
from benchmarks import _gemm_models
from benchmarks._gemm_calls import operands, timed

__all__ = ["KINDS"]


def _blas(a, b):
    """numpy's products of the dequantised operands, and torch's where it is installed."""
    x, y = a.dequantize(), b.dequantize()
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    single = np.empty((x.shape[0], y.shape[1]), np.float32)
    double = np.empty(single.shape, np.float64)
    found = {
        "sgemm": lambda: np.matmul(x, y, out=single),
        "dgemm": lambda: np.matmul(wide_x, wide_y, out=double),
    }
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        left, right = torch.from_numpy(x), torch.from_numpy(y)
        short_left, short_right = left.to(torch.bfloat16), right.to(torch.bfloat16)
        found["torch float32"] = lambda: torch.mm(left, right)
        found["torch bfloat16"] = lambda: torch.mm(short_left, short_right)
    return found


@contextmanager
def _on(path):
    """Let products take one kind of instruction; None is whatever they would take."""
    before = os.environ.get("MXREF_GEMM")
    if path:
        os.environ["MXREF_GEMM"] = path
    try:
        yield
    finally:
        os.environ.pop("MXREF_GEMM", None)
        if before is not None:
            os.environ["MXREF_GEMM"] = before


def exact(job):
    """An exact product beside those of BLAS."""
    a, b = operands(job["formats"], job["shape"], job["data"])
    others = _blas(a, b)
    options = job.get("options", {})
    out = np.empty((a.shape[0], b.shape[1]), options.get("dtype", "float32"))
    c = np.ones(out.shape, np.float32) if job.get("addend") else None
    with _on(job.get("path")):
        _, info = mxref.matmul(a, b, c, full_output=True, **options)
        calls = [lambda: mxref.matmul(a, b, c, out=out, **options), *others.values()]
        ours, *theirs = timed(calls, job["rounds"], job["seconds"])
    ratios = {
        name: statistics.median(t / o for t, o in zip(series, ours, strict=True))
        for name, series in zip(others, theirs, strict=True)
    }
    return {
        "seconds": statistics.median(ours),
        "sgemm_seconds": statistics.median(theirs[0]),
        "ratios": ratios,
        "path": info.path,
        "fallbacks": info.fallbacks,
        "certified": info.certified,
        "exact": info.exact,
    }


def flint(job):
    """python-flint's product of matrices of integers, which is exact too."""
    import flint as library

    a, b = operands(job["formats"], job["shape"], job["data"])
    start = time.perf_counter()
    left, right = (library.fmpz_mat(_as_integers(q)) for q in (a, b))
    converted = time.perf_counter() - start
    x, y = a.dequantize(), b.dequantize()
    out, single = (np.empty((a.shape[0], b.shape[1]), np.float32) for _ in range(2))
    calls = [
        lambda: left * right,
        lambda: mxref.matmul(a, b, out=out),
        lambda: np.matmul(x, y, out=single),
    ]
    theirs, ours, sgemm = timed(calls, 3, job["seconds"])
    return {
        "seconds": statistics.median(theirs),
        "conversion": converted,
        "ratio": statistics.median(t / o for t, o in zip(theirs, ours, strict=True)),
        "of_sgemm": statistics.median(s / t for t, s in zip(theirs, sgemm, strict=True)),
        "version": library.__version__,
    }


def _as_integers(q):
    """Values in units of the smallest that the operand holds, as Python integers."""
    axis, size = q.axis, q.format.block_size
    shifts = np.repeat(q.scales.astype(np.int64) - int(q.scales.min()), size, axis)
    unscaled = mxref.MXArray(q.codes, np.full_like(q.scales, 127), q.format, axis=axis)
    steps = np.round(unscaled.dequantize() / float(q.format.element.min_subnormal))
    return [
        [int(value) << int(up) for value, up in zip(row, ups, strict=True)]
        for row, ups in zip(steps.tolist(), shifts, strict=True)
    ]


KINDS = {
    "exact": exact,
    "flint": flint,
    "model": _gemm_models.model,
    "mma-sim": _gemm_models.mma_sim,
}


def main():
    """Do the jobs on standard input; one that raises gives its error."""
    np.seterr(all="ignore")
    for job in json.load(sys.stdin):
        try:
            found = KINDS[job["kind"]](job)
        except Exception as error:  # noqa: BLE001  # one job's error is no reason to lose the others
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(job | found), flush=True)


if __name__ == "__main__":
    main()
