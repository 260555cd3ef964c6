"""Times of accumulation models: whole products, and one instruction of MMA-Sim beside them."""

from __future__ import annotations

import os
import statistics
import sys
import time

import numpy as np

import mxref
from benchmarks._gemm_calls import operands, timed

__all__ = ["MMA_SIM", "mma_sim", "model"]

LIMIT = 0.5
"""Seconds that one product may take; slower models get a smaller one."""

# What an instruction takes: the first of these that a model does not refuse.
CANDIDATES = (
    ("mxfp8_e4m3", "normal"),
    ("mxfp4", "normal"),
    ("mxfp8_e4m3", "unscaled"),
    ("mxfp4", "unscaled"),
)

# Our name; class, architecture and instruction of MMA-Sim; the format; whether it takes scales.
MMA_SIM = (
    ("nv-ada-fp8", "mma", "Ada Lovelace", "m16n8k32.f32.e4m3.e4m3.f32", "mxfp8_e4m3"),
    ("nv-hopper-fp8", "wgmma", "Hopper", "m64n8k32.f32.e4m3.e4m3", "mxfp8_e4m3"),
    (
        "nv-blackwell-mxf8f6f4",
        "mma_block_scale",
        "RTX Blackwell",
        "m16n8k32.block32.f32.e4m3.e4m3.f32.ue8m0",
        "mxfp8_e4m3",
    ),
)


def _accepted(name, side):
    for fmt, data in CANDIDATES:
        pair = operands((fmt, fmt), (side, side, side), data)
        try:
            mxref.matmul(*pair, accumulate=name)
        except ValueError:
            continue
        return fmt, data
    raise ValueError(f"{name} takes none of {', '.join(' '.join(c) for c in CANDIDATES)}")


def model(job):
    """A model's product of the largest cube that takes `LIMIT` at most, beside the exact one."""
    name, side = job["name"], job["least"]
    fmt, data = _accepted(name, side)
    while True:
        a, b = operands((fmt, fmt), (side, side, side), data)
        mxref.matmul(a, b, accumulate=name)
        start = time.perf_counter()
        mxref.matmul(a, b, accumulate=name)
        if 8 * (time.perf_counter() - start) > LIMIT or side >= job["most"]:
            break
        side *= 2
    out = np.empty((side, side), np.float32)
    calls = [
        lambda: mxref.matmul(a, b, accumulate=name),
        lambda: mxref.matmul(a, b, out=out),
    ]
    ours, exact = timed(calls, job["rounds"], job["seconds"])
    return {
        "format": fmt,
        "data": data,
        "side": side,
        "seconds": statistics.median(ours),
        "times_exact": statistics.median(o / e for o, e in zip(ours, exact, strict=True)),
    }


def mma_sim(job):
    """One instruction of MMA-Sim on random operands, and our model on a whole product."""
    folder = os.environ["MXREF_MMA_SIM"]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import torch
    from mmasim.simulator import nv_ptx

    name, kind, architecture, instruction, fmt = job["case"]
    simulated = getattr(nv_ptx, kind)(architecture, instruction)
    shape = (simulated.m, simulated.k, simulated.n)
    scaled = kind == "mma_block_scale"
    a, b = operands((fmt, fmt), shape, "spread" if scaled else "unscaled")
    arguments = [
        torch.from_numpy(a.codes).view(torch.float8_e4m3fn),
        torch.from_numpy(np.ascontiguousarray(b.codes)).view(torch.float8_e4m3fn),
        torch.zeros(shape[0], shape[2]),
    ]
    if scaled:
        arguments += [
            torch.from_numpy(np.ascontiguousarray(q.scales)).view(torch.float8_e8m0fnu)
            for q in (a, b)
        ]
    theirs = simulated(*arguments).numpy()
    (calls,) = timed([lambda: simulated(*arguments)], 3, 0)
    once = statistics.median(calls)
    ours = mxref.matmul(a, b, accumulate=name)
    side = job["side"]
    whole = operands((fmt, fmt), (side, side, side), "spread" if scaled else "unscaled")
    (seconds,) = timed([lambda: mxref.matmul(*whole, accumulate=name)], 5, job["seconds"])
    rate = side**3 / statistics.median(seconds)
    their_rate = shape[0] * shape[1] * shape[2] / once
    return {
        "shape": shape,
        "rate": rate,
        "their_rate": their_rate,
        "ratio": rate / their_rate,
        "same": int((ours.view(np.uint32) == theirs.view(np.uint32)).sum()),
        "outputs": ours.size,
    }
