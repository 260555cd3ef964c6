"""Rounding, as lane programs: drop bits of a significand in one of ten ways.

MX-1.0/6.3/rounding, MX-1.0/6.3/rounding-other; OP-ELEM-ROUNDING and OP-ELEM-STOCHASTIC.
"""

from __future__ import annotations

from typing import Any

from mxref.kernels.lanes import Machine
from mxref.kernels.places import P

__all__ = [
    "DOWN",
    "NEAREST_AWAY",
    "NEAREST_DOWN",
    "NEAREST_EVEN",
    "STOCHASTIC_A",
    "STOCHASTIC_B",
    "STOCHASTIC_C",
    "TOWARD_ZERO",
    "TO_ODD",
    "UP",
    "is_stochastic",
    "round_by",
    "round_with",
]

# The order of mxref._choices.Rounding; tests/kernels/test_params.py holds the two together.
NEAREST_EVEN, NEAREST_AWAY, NEAREST_DOWN, TOWARD_ZERO, UP, DOWN, TO_ODD = range(7)
STOCHASTIC_A, STOCHASTIC_B, STOCHASTIC_C = range(7, 10)


def is_stochastic(rounding: int) -> bool:
    """Whether a mode needs random bits."""
    return rounding >= STOCHASTIC_A


def round_by(o: Machine, significand: Any, shift: Any, sign: Any, rounding: int) -> Any:
    """Drop `shift` bits (1 to width - 1) in a deterministic mode."""
    below = o.constant(-1) >> (o.constant(o.width) - shift)  # mask of the dropped bits
    match rounding:
        case 0:  # NEAREST_EVEN
            increment = (below >> 1) + ((significand >> shift) & 1)
        case 1:  # NEAREST_AWAY
            increment = (below >> 1) + 1
        case 2:  # NEAREST_DOWN
            increment = below >> 1
        case 3:  # TOWARD_ZERO
            return significand >> shift
        case 4:  # UP: away from zero for positive numbers
            increment = below & (sign - 1)
        case 5:  # DOWN
            increment = below & (o.constant(0) - sign)
        case _:  # TO_ODD
            return (significand >> shift) | o.minimum(significand & below, 1)
    return (significand + increment) >> shift


def round_with(o: Machine, significand: Any, shift: Any, random: Any, rounding: int) -> Any:
    """Drop `shift` bits (1 or more, without limit) with given random bits.

    Parameters
    ----------
    random : word
        R, a number of as many bits as the parameter RANDOM_BITS says: N, 1 to 24.
    """
    bits = o.parameter(P.RANDOM_BITS)
    one = o.constant(1)
    match rounding:
        case 7:  # STOCHASTIC_A: floor(v * 2**N) + R >= 2**N
            level, _ = _fraction(o, significand, shift, bits)
            total = level + random
        case 8:  # STOCHASTIC_B: the same with one bit more, and a half added to R
            bits = bits + 1
            level, _ = _fraction(o, significand, shift, bits)
            total = level + (random << 1) + 1
        case _:  # STOCHASTIC_C: v * 2**N rounded to nearest even first
            level, dropped = _fraction(o, significand, shift, bits)
            rest = significand & _ones(o, dropped)
            half = (one << dropped) >> 1
            tie = o.where_equal(rest, half, level & 1, 0)
            above = o.where_above(rest, half, 1, tie)
            total = level + o.where_equal(dropped, 0, 0, above) + random
    carry = o.where_above(one << bits, total, 0, 1)
    return (significand >> o.minimum(shift, o.width - 1)) + carry


def _fraction(o: Machine, significand: Any, shift: Any, bits: Any) -> tuple[Any, Any]:
    """The `bits` highest of the dropped bits, zeros appended; and how many lie below them."""
    # A significand is shorter than the word, so that a shift by width - 1 leaves nothing of it.
    dropped = o.minimum(o.maximum(shift, bits) - bits, o.width - 1)
    missing = bits - o.minimum(shift, bits)
    low = significand & _ones(o, o.minimum(shift, o.width - 1))
    return (low >> dropped) << missing, dropped


def _ones(o: Machine, count: Any) -> Any:
    """A mask of `count` low bits, 0 to width - 1."""
    return (o.constant(1) << count) - 1
