"""What the given data cannot show: a check that passes says nothing about cases that never came."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import Problem, spread
from mxref.faults.encoder import Encoder, as_float64
from mxref.formats import Kind
from mxref.policy import Policy

__all__ = ["coverage_notes"]

_SAMPLE_LANES = 1 << 14


def coverage_notes(problem: Problem) -> list[str]:
    """Say which cases do not occur in the data, or in a sample of large data."""
    limit = max(1, _SAMPLE_LANES // problem.fmt.block_size)
    blocks = spread(np.arange(problem.n_blocks), limit)
    sample = problem.take(blocks)
    missing = _missing(problem, sample.x, sample.scales)
    notes = []
    if missing:
        what = "These data hold"
        if len(blocks) < problem.n_blocks:
            what = f"A sample of {blocks.size * problem.fmt.block_size:,} elements holds"
        notes.append(f"{what} no {', no '.join(missing)}: what happens there was not judged.")
    if problem.x.dtype.name == "bfloat16":
        notes.append("bfloat16 input cannot show a second rounding through bfloat16 (E21).")
    elif problem.x.dtype.name == "float16":
        notes.append("float16 input cannot show a second rounding through float16 (E22, E23).")
    return notes


def _missing(problem: Problem, x: NDArray[Any], scales: NDArray[np.uint8]) -> list[str]:
    fmt = problem.fmt.element
    encoder = Encoder(fmt, Policy())
    values = as_float64(x)
    lanes = encoder.classify(values)
    cases = {"NaN": lanes.nan.any(), "infinity": lanes.inf.any()}
    encoder.scale(lanes, scales[:, None].astype(np.int32))
    encoder.align(lanes)
    ordinary = ~lanes.nan & ~lanes.inf
    code = encoder.assemble(lanes, encoder.round(lanes))
    cases["tie"] = ((lanes.rest == 0.5) & ordinary).any()
    cases["overflow"] = ((code > fmt.max_magnitude) & ordinary).any()
    if fmt.kind is Kind.FLOAT:
        small = (code < 1 << fmt.mantissa_bits) & (code > 0)
        cases["subnormal result"] = (small & ordinary).any()
        cases["negative zero result"] = ((code == 0) & lanes.sign & ordinary).any()
    return [
        name
        for name in (
            "tie",
            "subnormal result",
            "negative zero result",
            "overflow",
            "infinity",
            "NaN",
        )
        if not cases.get(name, True)
    ]
