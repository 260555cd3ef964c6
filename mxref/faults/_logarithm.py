"""Floor and ceiling of a float32 logarithm, the same on every machine.

A ``log2f`` that rounds correctly gives an integer n not only for 2^n, but also for numbers so near
to it that n is the float32 next to their logarithm. How near is a constant for each n, worked out
here in decimal arithmetic; what is left is a comparison of float64 numbers.
"""

from __future__ import annotations

import functools
import math
from decimal import Context, Decimal

import numpy as np

from mxref.faults.encoder import Floats, Ints

__all__ = ["ceil_log2_float32", "floor_log2_float32"]

_CONTEXT = Context(prec=60)
_MANTISSA = 23
_TINIEST = -149  # exponent of the least float32


def floor_log2_float32(number: Floats) -> Ints:
    """floor(log2f(x)) of positive numbers.

    Examples
    --------
    >>> floor_log2_float32(np.array([1.0, 8 - 2.0**-20, 8 - 2.0**-21]))
    array([0, 2, 3])
    """
    fraction, above = np.frexp(number)  # number = fraction * 2^above, with 1/2 <= fraction < 1
    above = above.astype(np.int64)
    return above - 1 + (fraction >= _by_integer(above, below=True))


def ceil_log2_float32(number: Floats) -> Ints:
    """ceil(log2f(x)) of positive numbers.

    Examples
    --------
    >>> ceil_log2_float32(np.array([64, 64 + 2.0**-17, 64 + 2.0**-16]))
    array([6, 6, 7])
    """
    fraction, above = np.frexp(number)
    below = above.astype(np.int64) - 1
    return below + (fraction * 2 > _by_integer(below, below=False))


def _by_integer(integers: Ints, *, below: bool) -> Floats:
    """The threshold of each integer."""
    distinct, where = np.unique(integers, return_inverse=True)
    table = np.array([_threshold(int(n), below=below) for n in distinct], np.float64)
    return np.asarray(table[where].reshape(integers.shape))


@functools.cache
def _threshold(n: int, *, below: bool) -> float:
    """From which x / 2^n on (below), or up to which, the logarithm of x rounds to the integer n.

    The threshold is 2 to half the distance from n to its neighbour in float32. That is irrational,
    so that no x lies on it; of the two float64 numbers around it, the one on the side of 1 is
    returned.
    """
    exponent = math.frexp(n)[1] - 1
    toward_zero = (n > 0) == below
    is_power = n != 0 and abs(n) & (abs(n) - 1) == 0
    step = _TINIEST if n == 0 else exponent - _MANTISSA - (is_power and toward_zero)
    half = _CONTEXT.power(Decimal(2), Decimal(step - 1))
    edge = _CONTEXT.exp(_CONTEXT.multiply(_CONTEXT.ln(Decimal(2)), -half if below else half))
    found = float(edge)  # correctly rounded
    if below:
        return found if Decimal(found) >= edge else math.nextafter(found, 1)
    return found if Decimal(found) <= edge else math.nextafter(found, 1)
