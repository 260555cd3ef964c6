"""Numbers for the cells of a view: short, and never a digit that is not true.

A decimal that is not exact starts with ``~``.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from mxref.exact.number import Number, NumberClass

__all__ = ["brief", "full", "of_float", "power_text"]

_PLAIN = range(-4, 7)  # decimal exponents of numbers that are not easier to read as m*2^e
_EXACT_DIGITS = 17
_FLOAT_DIGITS = 9  # tell any two float32 apart
_FULL_DIGITS, _FULL_POWER = 12, 12


def brief(number: Number, width: int = 8) -> str:
    """Write a number in a few characters, `width` or one more or so.

    Examples
    --------
    >>> [brief(Number.finite(Fraction(n, d))) for n, d in ((3, 2), (-3, 4096), (7919, 1 << 20))]
    ['1.5', '~-0.00073', '~0.00755']
    >>> brief(Number.finite(Fraction(3, 2**100)))
    '3*2^-100'
    >>> brief(Number.zero(1)), brief(Number.nan(0)), brief(Number.inf(1))
    ('-0', 'NaN', '-Inf')
    """
    if number.cls is not NumberClass.FINITE:
        return _special(number)
    exact = _decimal(number.value, _EXACT_DIGITS)
    if exact is not None and len(exact) <= width:
        return exact
    texts = [f"~{float(number.value):.{digits}g}" for digits in (3, 2)]
    power = power_text(number.value)
    if Decimal(texts[0][1:]).adjusted() not in _PLAIN and len(power) <= width + 2:
        return power
    return next((text for text in texts if len(text) <= width), texts[-1])


def full(number: Number) -> str:
    """Write a number exactly, as a decimal or as m*2^e, where that is short, else ``~`` and digits.

    Examples
    --------
    >>> [full(Number.finite(Fraction(n, 1 << 12))) for n in (3, -1)]
    ['0.000732421875', '-0.000244140625']
    >>> full(Number.finite(Fraction(3, 1 << 90))), full(Number.finite(Fraction(7919, 1 << 30)))
    ('3*2^-90', '7919*2^-30')
    >>> full(Number.finite(Fraction(0.1)))
    '~0.1'
    """
    if number.cls is not NumberClass.FINITE:
        return _special(number)
    value = number.value
    exact = _decimal(value, _FULL_DIGITS)
    if exact is not None:
        return exact
    power = power_text(value)
    return power if len(power) <= _FULL_POWER else f"~{float(value):.{_FLOAT_DIGITS}g}"


def of_float(value: float) -> str:
    """Write a float: exactly if that is short, else ``~`` and nine digits.

    Examples
    --------
    >>> of_float(0.1), of_float(1.5), of_float(float("nan"))
    ('~0.1', '1.5', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value) or value == 0:
        return f"{value:g}".replace("inf", "Inf")
    rounded = f"{value:.{_FLOAT_DIGITS}g}"
    return rounded if Fraction(rounded) == Fraction(value) else f"~{rounded}"


def power_text(value: Fraction) -> str:
    """Write a number as ``m*2^e`` with an odd m, exactly; one that is not dyadic as ``p/q``.

    Examples
    --------
    >>> power_text(Fraction(1, 8)), power_text(Fraction(-448)), power_text(Fraction(1))
    ('2^-3', '-7*2^6', '2^0')
    """
    if value == 0:
        return "0"
    numerator, denominator = abs(value.numerator), value.denominator
    if denominator & (denominator - 1):
        return str(value)
    twos = (numerator & -numerator).bit_length() - 1
    odd = numerator >> twos
    sign, factor = "-" if value < 0 else "", f"{odd}*" if odd > 1 else ""
    return f"{sign}{factor}2^{twos - denominator.bit_length() + 1}"


def _special(number: Number) -> str:
    if number.cls is NumberClass.NAN:
        return "NaN"
    return ("-" if number.sign else "") + ("0" if number.cls is NumberClass.ZERO else "Inf")


def _decimal(value: Fraction, digits: int) -> str | None:
    """Write a number as a decimal without an exponent, if that is exact."""
    context = Context(prec=digits)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    if context.flags[Inexact] or not -digits < quotient.adjusted() < digits:
        return None
    return format(quotient.normalize(context), "f")
