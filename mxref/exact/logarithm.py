"""The float32 logarithm of base two, correctly rounded.

Where an implementation takes log2 of a float32 instead of looking at its exponent, the result is
rounded before anybody takes its floor (OP-SCALE-LOG2). Libraries differ in the last bit; the
definition has the one that rounds correctly.
"""

from __future__ import annotations

import functools
from decimal import Context, Decimal
from fractions import Fraction

from mxref.exact import ieee
from mxref.exact.number import floor_log2, power_of_two

__all__ = ["log2_float32", "round_to_float32"]


def round_to_float32(value: Fraction) -> Fraction:
    """Return a number rounded to float32, to nearest even, without an upper bound.

    Examples
    --------
    >>> round_to_float32(Fraction(-16777217)), round_to_float32(Fraction(1, 4))
    (Fraction(-16777216, 1), Fraction(1, 4))
    """
    magnitude = ieee.round_magnitude(abs(value), "float32")
    return -magnitude if value < 0 else magnitude


@functools.lru_cache(maxsize=4096)
def log2_float32(value: Fraction) -> Fraction:
    """Return log2 of a positive number, rounded to float32, to nearest even.

    Parameters
    ----------
    value : fractions.Fraction
        A number greater than 0 and between 2**-5000 and 2**5000.

    Raises
    ------
    ValueError
        If `value` is not positive.

    Notes
    -----
    Write value = m * 2**E with 1 <= m < 2. For m = 1 the logarithm is the integer E, which
    float32 holds. For every other rational number it is irrational, since 2**(p/q) = m would
    make the q-th power of the odd factors of m a power of two. So it is neither a float32 nor
    the middle of two, and lies a positive distance from both: some precision decides, and
    the loop ends when both ends of the interval that holds the logarithm round to one float32.

    The interval: `Decimal` rounds each of m, ln m, ln 2, the quotient and the sum correctly to p
    digits. With u = 10**(1-p), m is off by at most u, hence ln m by u, and by as much again from
    its own rounding; the quotient is at most 1, so it is off by less than 10 u; the sum has a
    magnitude below 10**4 and adds less than 10**4 * u. Less than 10**5 * u = 10**(6-p) in all.

    Examples
    --------
    >>> log2_float32(Fraction(1, 8)), float(log2_float32(Fraction(3)))
    (Fraction(-3, 1), 1.5849624872207642)
    >>> log2_float32(8 - Fraction(1, 2**21))
    Fraction(3, 1)
    """
    E = floor_log2(value)
    m = value / power_of_two(E)
    if m == 1:
        return Fraction(E)
    digits = 60
    while True:
        context = Context(prec=digits)
        quotient = context.divide(Decimal(m.numerator), Decimal(m.denominator))
        log2 = context.divide(context.ln(quotient), context.ln(Decimal(2)))
        middle = Fraction(context.add(log2, Decimal(E)))
        error = Fraction(10) ** (6 - digits)
        low, high = round_to_float32(middle - error), round_to_float32(middle + error)
        if low == high:
            return low
        digits *= 2
