"""Where unexplained mismatches lie: places in the block, kinds of values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mxref.check._problem import Piece, Problem
from mxref.faults.encoder import Bools, Encoder, as_float64
from mxref.formats import Kind
from mxref.policy import Policy

__all__ = ["where_notes"]

_SHOWN = 8


def where_notes(problem: Problem, sample: Piece, wrong: Bools, policy: Policy) -> Iterator[str]:
    """Say what the mismatches of a sample have in common.

    Parameters
    ----------
    problem : Problem
    sample : Piece
        Some blocks.
    wrong : ndarray of bool
        Which of their elements no hypothesis explains.
    policy : Policy
        What was expected.
    """
    if not wrong.any():
        return
    if not problem.lone:
        yield from _places(wrong)
    for name, members in _kinds(problem, sample, policy).items():
        if wrong[members].sum() == wrong.sum() and not members.all():
            yield f"Every unexplained mismatch of a sample is {name}."


def _places(wrong: Bools) -> Iterator[str]:
    k = wrong.shape[1]
    lanes = np.flatnonzero(wrong.any(0))
    if len(lanes) <= min(_SHOWN, k // 4):
        places = ", ".join(str(lane) for lane in lanes)
        yield f"All unexplained mismatches of a sample lie in places {places} of their blocks."
    elif k > 1 and len(set(lanes % 2)) == 1:
        parity = "odd" if lanes[0] % 2 else "even"
        yield f"All unexplained mismatches of a sample lie in {parity} places of their blocks."


def _kinds(problem: Problem, sample: Piece, policy: Policy) -> dict[str, Bools]:
    fmt = problem.fmt.element
    encoder = Encoder(fmt, policy)
    lanes = encoder.classify(as_float64(sample.x))
    special = {"NaN": lanes.nan, "an infinity": lanes.inf}
    encoder.scale(lanes, sample.scales[:, None].astype(np.int32))
    encoder.align(lanes)
    ordinary = ~lanes.nan & ~lanes.inf
    code = encoder.assemble(lanes, encoder.round(lanes))
    kinds = special | {
        "a tie": (lanes.rest == 0.5) & ordinary,
        "zero": (lanes.magnitude == 0) & ordinary,
        "beyond the largest number": (code > fmt.max_magnitude) & ordinary,
        "negative": lanes.sign,
        "positive": ~lanes.sign,
    }
    if fmt.kind is Kind.FLOAT:
        kinds["below the smallest normal number"] = (code < 1 << fmt.mantissa_bits) & ordinary
        top = fmt.max_magnitude >> fmt.mantissa_bits
        kinds["in the top binade"] = (code >> fmt.mantissa_bits == top) & ordinary
    return kinds
