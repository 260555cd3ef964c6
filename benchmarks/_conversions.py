"""mxref's conversions under its default policy, against copies of the same array."""

from __future__ import annotations

import functools
import statistics
import time

import ml_dtypes
import numpy as np

import mxref
from benchmarks._page import GIGA, mark, table
from benchmarks._timing import paired, thread_counts, threads
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS

__all__ = ["RELATIVES", "casts", "conversions", "input_types", "latency", "sample"]

RELATIVES = ("nvfp4", "mx9", "mx6")
"""Formats of other families, under the default policies of those."""


def sample(size):
    """Return normally distributed float32."""
    return np.random.default_rng(1).standard_normal(size).astype(np.float32)


def _row(names, size, reused, fresh):
    return [
        *names,
        f"{size / reused.seconds / GIGA:.2f}",
        f"{reused.ratio:.2f}",
        f"{fresh.ratio:.2f}",
        mark(min(reused.ratio, fresh.ratio)),
    ]


_HEAD = ["G elements/s", "of `copyto`", "of `copy()`", "reached"]


def _measured(names, x, reused, fresh, rounds):
    """Time a call into reused memory and one into fresh memory, each against its copy."""
    copied = np.empty_like(x)
    against_copyto = paired(reused, lambda: np.copyto(copied, x), rounds)
    return _row(names, x.size, against_copyto, paired(fresh, x.copy, rounds))


def conversions(size, rounds):
    """Yield the table of quantize and dequantize."""
    x = sample(size)
    values = np.empty_like(x)
    rows = []
    for count in thread_counts():
        with threads(count):
            for name in (*BLOCK_FORMATS, *RELATIVES):
                q = mxref.quantize(x, name)
                for what, reused, fresh in (
                    (
                        "quantize",
                        lambda n=name, q=q: mxref.quantize(x, n, out=q),
                        lambda n=name: mxref.quantize(x, n),
                    ),
                    ("dequantize", lambda q=q: q.dequantize(out=values), q.dequantize),
                ):
                    row = _measured([f"{what} {name}", str(count)], x, reused, fresh, rounds)
                    # What is to be reached is stated for the larger number of threads.
                    rows.append(row if count == thread_counts()[0] else [*row[:-1], "-"])
    rows.sort(key=lambda row: row[0].split()[0], reverse=True)  # quantize first; sorting is stable
    yield from table(["operation", "threads", *_HEAD], rows)


def casts(size, rounds):
    """Yield the table of casts of single numbers."""
    x = sample(size)
    codes, values = np.empty(x.shape, np.uint8), np.empty_like(x)
    names = (*ELEMENT_FORMATS, *SCALE_FORMATS)
    rows = []
    with threads(thread_counts()[0]):
        for name in names:
            reused = functools.partial(mxref.encode, x, name, out=codes)
            fresh = functools.partial(mxref.encode, x, name)
            rows.append(_measured([f"encode {name}"], x, reused, fresh, rounds))
        for name in names:
            mxref.encode(x, name, out=codes)
            reused = functools.partial(mxref.decode, codes, name, out=values)
            fresh = functools.partial(mxref.decode, codes, name)
            rows.append(_measured([f"decode {name}"], x, reused, fresh, rounds))
    yield from table(["operation", *_HEAD], rows)


def input_types(size, rounds):
    """Yield the table of input types and of blocks along the first axis."""
    x = sample(size)
    rows = []
    with threads(thread_counts()[0]):
        for dtype in (np.float64, np.float16, ml_dtypes.bfloat16):
            for name in ("mxfp8_e4m3", "mxfp4"):
                given = x.astype(dtype)
                rows.append(_input_row(f"{np.dtype(dtype).name} {name}", given, name, -1, rounds))
        square = x.reshape(-1, 1 << (size.bit_length() // 2))
        for name in ("mxfp8_e4m3", "mxfp4"):
            title = f"float32 {name}, blocks along axis 0 of {square.shape}"
            rows.append(_input_row(title, square, name, 0, rounds))
    yield from table(["input", *_HEAD], rows)


def _input_row(title, given, name, axis, rounds):
    q = mxref.quantize(given, name, axis)
    reused = functools.partial(mxref.quantize, given, name, axis, out=q)
    fresh = functools.partial(mxref.quantize, given, name, axis)
    row = _measured([title], given, reused, fresh, rounds)
    return row if given.dtype == np.float32 else [*row[:-1], "-"]


LATENCY_MUST = 20.0  # microseconds


def latency(rounds):
    """Yield the table of calls on one block of 32, in microseconds."""
    block = sample(32)
    rows = []
    for name, fmt in BLOCK_FORMATS.items():
        element = fmt.element.name
        q = mxref.quantize(block, name)
        calls = (
            lambda n=name: mxref.quantize(block, n),
            q.dequantize,
            lambda q=q, n=name: mxref.dequantize(q.codes, q.scales, n),
            lambda e=element: mxref.encode(block, e),
            lambda q=q, e=element: mxref.decode(q.codes, e),
        )
        micros = [_per_call(call, rounds) for call in calls]
        worst = max(micros)
        reached = "must" if worst <= LATENCY_MUST else "**no**"
        rows.append([name, *(f"{t:.1f}" for t in micros), reached])
    head = ["format", "quantize", "MXArray.dequantize", "dequantize", "encode", "decode"]
    yield from table([*head, "reached"], rows)


def _per_call(call, rounds, repeats=200):
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times[1:]) * 1e6
