"""The tables of accumulation models: every one, and some beside MMA-Sim."""

from __future__ import annotations

import importlib.util
import os

from benchmarks._gemm_jobs import good_rows
from benchmarks._gemm_models import MMA_SIM
from benchmarks._page import GIGA, table
from mxref.matmul import accumulators, orders

__all__ = ["models"]

# Of the orders in a floating-point type, one of each kind; machines and software all.
ORDERS = (
    "ocp-fp32",
    "float32-sequential",
    "float32-fma-sequential",
    "float32-pairwise",
    "float32-lanes-8-pairwise",
    "float32-chunks-64-pairwise",
    "float32-split-8",
    "bfloat16-sequential",
    "bfloat16-single-sequential",
    "float16-sequential",
    "float64-sequential",
)

MODELS = """\
Whole products of cubes as `accumulate=` names them, every output bit for bit what that machine or
order gives, and how much longer they take than the exact product."""

SIMULATED = """\
[MMA-Sim](https://github.com/microsoft/MMA-Sim) computes an instruction one output at a time, in
Python. Products in a second of one of its instructions, and of whole matrices here:"""


def models(bench):
    """Yield the tables of accumulation models."""
    yield "### Accumulation models"
    yield ""
    yield from MODELS.splitlines()
    yield ""
    others = {model.name for model in orders.ACCUMULATORS} - set(ORDERS)
    names = [name for name in accumulators() if name not in others]
    if bench.quick:
        names = names[:3]
    jobs = [
        {
            "kind": "model",
            "name": name,
            "least": 32 if bench.quick else 128,
            "most": 32 if bench.quick else 1024,
            "rounds": 5,
            "seconds": 0.2 if bench.quick else 3.0,
        }
        for name in names
    ]
    good = yield from good_rows(bench.run(jobs, bench.threads[0]))
    rows = [
        [
            f"`{row['name']}`",
            f"{row['format']}, {row['data']}",
            f"{row['side']}^3",
            f"{row['side'] ** 3 / row['seconds'] / GIGA:.2f}",
            f"{row['times_exact']:.1f}",
        ]
        for row in good
    ]
    yield from table(["accumulate", "data", "shape", "G/s", "times as long as exact"], rows)
    yield from _simulated(bench)


def _simulated(bench):
    yield from SIMULATED.splitlines()
    yield ""
    if "MXREF_MMA_SIM" not in os.environ or importlib.util.find_spec("torch") is None:
        yield "Not measured: it needs torch, and MXREF_MMA_SIM, the folder of its sources."
        yield ""
        return
    side = 64 if bench.quick else 512
    jobs = [
        {"kind": "mma-sim", "case": case, "name": case[0], "side": side, "seconds": 3.0}
        for case in MMA_SIM
    ]
    good = yield from good_rows(bench.run(jobs, bench.threads[0]))
    rows = [
        [
            f"`{row['name']}`",
            f"{row['case'][1]} {row['case'][3]}, {row['case'][2]}",
            f"{row['their_rate']:,.0f}",
            f"{row['rate']:,.0f}",
            f"{row['ratio']:,.0f}x",
            f"{row['same']} of {row['outputs']}",
        ]
        for row in good
    ]
    head = ["accumulate", "instruction", "MMA-Sim, 1/s", f"mxref, {side}^3, 1/s"]
    yield from table([*head, "mxref is faster by", "same outputs"], rows)
