"""Bit patterns of float32 numbers, and the numbers at which a format's conversions change.

Built from integers: no mode of the processor can flush or round a subnormal on its way.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mxref.exact import element as exact_element
from mxref.formats import ElementFormat, pow2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "INF",
    "ROOT2",
    "SIGN",
    "around",
    "as_float32",
    "bits_of",
    "both_signs",
    "magnitudes",
    "midpoints",
    "thresholds",
    "times_power_of_two",
]

SIGN = np.uint32(0x8000_0000)
INF = 0x7F80_0000
ROOT2 = Fraction(2**0.5)  # to double precision: float32 neighbours of it lie on both sides


def as_float32(bits: NDArray[np.uint32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(bits, dtype=np.uint32).view(np.float32)


def bits_of(values: Sequence[Fraction | float]) -> NDArray[np.uint32]:
    """Bits of positive numbers that float32 holds exactly, or of the float32 just below them."""
    out = []
    for value in values:
        exact = Fraction(value)
        exponent = max(-126, _floor_log2(exact)) if exact else -126
        step = pow2(exponent - 23)
        significand = exact // step  # 24 bits, fewer if subnormal
        # Adding instead of or-ing lets the leading 1 raise the exponent field of normal numbers.
        out.append(((exponent + 126) << 23) + int(significand))
    return np.array(out, dtype=np.uint32)


def _floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if pow2(guess) <= value else guess - 1


def around(bits: NDArray[np.uint32], *steps: int) -> NDArray[np.uint32]:
    """Each positive number with the float32 neighbours that lie the given steps away."""
    wide = bits.astype(np.int64)[:, None] + np.array([0, *steps])
    near: NDArray[np.uint32] = np.clip(wide, 0, INF - 1).astype(np.uint32)
    return near.ravel()


def both_signs(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Each number with both signs, side by side."""
    return np.stack([bits, bits | SIGN], axis=-1).reshape(-1)


def times_power_of_two(bits: NDArray[np.uint32], exponent: int) -> NDArray[np.uint32]:
    """Multiply normal numbers and zeros by a power of two; the result must be normal."""
    zero = (bits & ~SIGN) == 0
    moved = (bits.astype(np.int64) + (exponent << 23)).astype(np.uint32)
    return np.where(zero, bits, moved).astype(np.uint32)


# --- what a format makes interesting ---------------------------------------------------------


def magnitudes(element: ElementFormat) -> list[Fraction]:
    return [exact_element.decode(m, element).value for m in range(element.max_magnitude + 1)]


def midpoints(element: ElementFormat) -> list[Fraction]:
    """Every number halfway between neighbours, the one above the largest value included."""
    values = magnitudes(element)
    values.append(2 * values[-1] - values[-2])
    return [(low + high) / 2 for low, high in pairwise(values)]


def thresholds(element: ElementFormat) -> NDArray[np.uint32]:
    """Significands, as float32 in [1, 2), at which some scale rule steps, with their neighbours."""
    top = element.max / pow2(element.emax)
    half_ulp = pow2(-element.mantissa_bits - 1)
    # fmt: off
    steps = [
        top,                    # RCEIL, and rules that round amax / max down
        Fraction(3, 2),         # nearest to amax
        2 - half_ulp,           # EVEN
        top + half_ulp,         # TOSA: what still rounds to max
        Fraction(7, 4),         # EVEN with the one mantissa bit of FP4, whatever the element
        ROOT2,                 # nearest in the logarithm
        top * Fraction(3, 4),   # nearest power of two to amax / max
        top / ROOT2,           # the same, nearest in the logarithm
        2 - pow2(-9),           # amax narrowed to bfloat16
        2 - pow2(-12),          # amax narrowed to float16
    ]
    # fmt: on
    one_bit = [1 + pow2(-i) for i in range(1, 24)]  # finds any mask over the mantissa
    one_bit += [top * bit for bit in one_bit if top * bit < 2]  # the same of amax / max
    ones = around(bits_of([Fraction(1)]), 1)
    below_two = bits_of([2 - pow2(-23)])  # floor(log2) in float32 is one too high here
    near = around(bits_of([s for s in steps if 1 <= s < 2]), -1, 1)
    return np.unique(np.concatenate([ones, near, bits_of(one_bit), below_two]))
