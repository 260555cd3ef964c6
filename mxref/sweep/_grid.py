"""Where, among the float32 numbers, rounding turns from one value of a grid to the next."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mxref._choices import ScaledIntermediate
from mxref.formats import pow2

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["INFINITY", "first_above", "float32_bits", "through_narrower"]

INFINITY = 0x7F800000
"""Bits of the float32 infinity."""

_BEYOND = pow2(128)
_FLOAT16_TOP = pow2(16)
_FLOAT16_EMIN, _FLOAT16_MANTISSA = -14, 10


def float32_bits(value: Fraction) -> int:
    """Return the bits of a non-negative number that float32 holds, or of infinity for 2^128.

    Raises
    ------
    ValueError
        If float32 does not hold it exactly.

    Examples
    --------
    >>> hex(float32_bits(Fraction(3, 2)))
    '0x3fc00000'
    """
    if value == _BEYOND:
        return INFINITY
    single = np.float32(float(value))
    if Fraction(float(single)) != value:
        raise ValueError(f"{value} is no float32 number")
    return int(single.view(np.uint32))


def first_above(
    below: Fraction, above: Fraction, code: int, rounding: str, *, negative: bool = False
) -> int:
    """Return the first float32, as bits of its magnitude, that goes to the upper of two values.

    Parameters
    ----------
    below, above : Fraction
        Neighbouring magnitudes of the grid.
    code : int
        Code of `below`; only whether it is even matters.
    rounding : str
        A deterministic member of ``Rounding``, in the words of numbers with a sign.
    negative : bool
        Whether the numbers are negative.

    Examples
    --------
    >>> hex(first_above(Fraction(1), Fraction(2), 2, "nearest-even"))  # the tie stays
    '0x3fc00001'
    """
    middle, is_tie = _not_below((below + above) / 2)
    outward = float32_bits(below) + 1
    inward = float32_bits(above)
    match rounding:
        case "nearest-even":
            return middle + (is_tie and code % 2 == 0)  # a tie stays with an even code
        case "nearest-away":
            return middle
        case "nearest-down":
            return middle + is_tie
        case "toward-zero":
            return inward
        case "up":
            return inward if negative else outward
        case "down":
            return outward if negative else inward
        case "to-odd":
            return outward if code % 2 == 0 else inward
        case _:
            raise ValueError(f"{rounding!r} is no deterministic rounding")


def _not_below(value: Fraction) -> tuple[int, bool]:
    """The first float32, as bits, that is not below a positive number; and if it is that number."""
    single = np.float32(float(value))
    bits, held = int(single.view(np.uint32)), Fraction(float(single))
    return bits + (held < value), held == value


def through_narrower(starts: Sequence[int], narrower: ScaledIntermediate) -> list[int]:
    """Return where codes begin if numbers are rounded to a narrower type first.

    Parameters
    ----------
    starts : sequence of int
        Where they begin without that, as bits of float32 magnitudes; not all below infinity.
    narrower : ScaledIntermediate
        OP-SCALED-INTERMEDIATE. A float32 divided by one is a float32 already.

    Examples
    --------
    >>> hex(through_narrower([0x3FC00001], ScaledIntermediate.BFLOAT16)[0])
    '0x3fc08001'
    """
    match narrower:
        case ScaledIntermediate.BFLOAT16:
            step_to = _bfloat16_step
        case ScaledIntermediate.FLOAT16:
            step_to = _float16_step
        case _:
            return list(starts)
    return [step_to(start) if start else 0 for start in starts]


def _bfloat16_step(start: int) -> int:
    """The first float32 that rounds to a bfloat16 not below `start`: infinity included."""
    upper = -(-start >> 16)  # a bfloat16 is the upper half of a float32
    lower = upper - 1
    return (lower << 16) + 0x8000 + (lower % 2 == 0)


def _float16_step(start: int) -> int:
    """The same for float16, whose infinity stands where 2^16 would."""
    value = _FLOAT16_TOP
    if start < INFINITY:
        value = min(value, Fraction(float(np.uint32(start).view(np.float32))))
    # The step just below `value`. All numbers here are integers times powers of two, so the
    # difference of the lengths is the exponent.
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    exponent = max(exponent - (value == pow2(exponent)), _FLOAT16_EMIN)
    step = pow2(exponent - _FLOAT16_MANTISSA)
    lower = -(-value // step) - 1
    return first_above(lower * step, (lower + 1) * step, lower, "nearest-even")
