"""The arithmetic of NVFP4 recipes: exact, or one operation of float32 or bfloat16 at a time.

`times` and `over` are exact, with the rules of IEEE 754 for zeros, infinities and NaN; `fl`
rounds once. So ``fl(over(a, b))`` is a float32 division. Signs follow IEEE 754; that of a NaN says
nothing.
"""

from __future__ import annotations

from fractions import Fraction

from mxref.exact.ieee import largest, round_magnitude
from mxref.exact.number import Number, NumberClass

__all__ = ["NAN", "ONE", "fl", "from_code", "is_nan", "least_of", "over", "real", "times"]

NAN = Number.nan(0)
ONE = Number.finite(1)


def real(value: Fraction | int) -> Number:
    """Return the number of a value.

    Examples
    --------
    >>> str(real(Fraction(-3, 2)))
    '-3/2'
    """
    return Number.finite(value)


def is_nan(number: Number) -> bool:
    """Return whether this is a NaN.

    Examples
    --------
    >>> is_nan(NAN), is_nan(ONE)
    (True, False)
    """
    return number.cls is NumberClass.NAN


def times(a: Number, b: Number) -> Number:
    """Return a * b exactly.

    Examples
    --------
    >>> str(times(real(-2), real(3))), str(times(Number.inf(0), Number.zero(0)))
    ('-6', 'nan')
    """
    if is_nan(a) or is_nan(b):
        return NAN
    sign = a.sign ^ b.sign
    classes = {a.cls, b.cls}
    if NumberClass.INF in classes:
        return NAN if NumberClass.ZERO in classes else Number.inf(sign)
    if NumberClass.ZERO in classes:
        return Number.zero(sign)
    return Number(sign, NumberClass.FINITE, a.magnitude * b.magnitude)


def over(a: Number, b: Number) -> Number:
    """Return a / b exactly.

    Examples
    --------
    >>> str(over(ONE, real(-3))), str(over(ONE, Number.zero(0)))
    ('-1/3', 'inf')
    """
    if is_nan(a) or is_nan(b) or (a.cls is b.cls and a.cls is not NumberClass.FINITE):
        return NAN
    sign = a.sign ^ b.sign
    if a.cls is NumberClass.INF or b.cls is NumberClass.ZERO:
        return Number.inf(sign)
    if a.cls is NumberClass.ZERO or b.cls is NumberClass.INF:
        return Number.zero(sign)
    return Number(sign, NumberClass.FINITE, a.magnitude / b.magnitude)


def fl(number: Number, kind: str = "float32") -> Number:
    """Return the number rounded to a float type, to nearest even; beyond its range an infinity.

    Examples
    --------
    >>> str(fl(over(ONE, real(3)))), str(fl(real(Fraction(1, 2**150))))
    ('11184811/33554432', '0')
    """
    if number.cls is not NumberClass.FINITE:
        return number
    magnitude = round_magnitude(number.magnitude, kind)
    if magnitude > largest(kind):
        return Number.inf(number.sign)
    if magnitude == 0:
        return Number.zero(number.sign)
    return Number(number.sign, NumberClass.FINITE, magnitude)


def least_of(number: Number, bound: Fraction) -> Number:
    """Return the lesser of a number and a positive bound; of a NaN the bound, as fmin has it.

    Examples
    --------
    >>> str(least_of(NAN, Fraction(2))), str(least_of(ONE, Fraction(2)))
    ('2', '1')
    """
    if is_nan(number):
        return real(bound)
    is_above = number.cls is NumberClass.INF or number.magnitude > bound
    return real(bound) if is_above and not number.sign else number


def from_code(sign: int, magnitude: Fraction) -> Number:
    """Return a number with this sign, also if it is zero.

    Examples
    --------
    >>> str(from_code(1, Fraction(0)))
    '-0'
    """
    if magnitude == 0:
        return Number.zero(sign)
    return Number(sign, NumberClass.FINITE, magnitude)
