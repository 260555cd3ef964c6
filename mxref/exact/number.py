"""Exact numbers, and the few notions that all binary formats share.

A `Number` is a real number, a signed zero, a signed infinity or a NaN: all that a code can stand
for. Magnitudes are `fractions.Fraction`, so nothing in here ever rounds unless it says so.
"""

from __future__ import annotations

import enum
import functools
import math
import operator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, assert_never

from mxref._choices import Rounding
from mxref._suggest import shown
from mxref.formats import pow2

if TYPE_CHECKING:
    from mxref.exact.random_bits import Draw

__all__ = [
    "Number",
    "NumberClass",
    "as_code",
    "ceil_log2",
    "fields_of",
    "floor_log2",
    "power_of_two",
    "quantum",
    "require_number",
    "round_to_integer",
    "value_of_fields",
]


class NumberClass(enum.Enum):
    """What kind of number a code stands for."""

    ZERO = "zero"
    FINITE = "finite"
    """Finite and not zero."""
    INF = "inf"
    NAN = "nan"


_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Number:
    """A real number, a signed zero, a signed infinity or a NaN with a sign.

    Equality is that of the parts: a NaN equals a NaN of the same sign, and -0 differs from +0.

    Attributes
    ----------
    sign : int
        1 for a minus sign, also on zero, infinity and NaN; otherwise 0.
    cls : NumberClass
        The kind of number.
    magnitude : fractions.Fraction
        The absolute value if the number is FINITE, otherwise 0.
    payload : int
        Of a NaN the second highest bit of its mantissa, the one below the quiet bit
        (OP-NAN-PAYLOAD); otherwise 0. It takes no part in equality.

    Raises
    ------
    ValueError
        If the sign is neither 0 nor 1, or the magnitude or the payload does not fit the class.

    Examples
    --------
    >>> Number.finite(Fraction(-3, 2)).value
    Fraction(-3, 2)
    >>> str(Number.zero(1)), str(Number.inf(1)), Number.nan(0) == Number.nan(0)
    ('-0', '-inf', True)
    """

    sign: int
    cls: NumberClass
    magnitude: Fraction
    payload: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if self.payload and (self.cls is not NumberClass.NAN or self.payload != 1):
            raise ValueError(
                f"the payload of a NaN is 0 or 1, that of another number 0, got {self.payload!r}"
            )
        if self.sign not in (0, 1):
            raise ValueError(f"the sign of a number is 0 or 1, got {self.sign!r}")
        is_positive = self.magnitude.numerator > 0
        if is_positive != (self.cls is NumberClass.FINITE) or self.magnitude.numerator < 0:
            raise ValueError(
                f"a number of class {self.cls.value} has a magnitude "
                f"{'above' if self.cls is NumberClass.FINITE else 'equal to'} 0, "
                f"got {self.magnitude}"
            )

    @classmethod
    def finite(cls, value: Fraction | int, sign_of_zero: int = 0) -> Number:
        """Return the number with this value; zero gets the sign `sign_of_zero`.

        Raises
        ------
        TypeError
            If `value` is no rational number. ``Fraction(x)`` takes a float exactly.
        """
        if not isinstance(value, Fraction | int):
            raise TypeError(
                f"value must be a Fraction or an int, got {type(value).__name__}; "
                "Fraction(x) takes a float exactly"
            )
        if value == 0:
            return cls.zero(sign_of_zero)
        return cls(int(value < 0), NumberClass.FINITE, abs(Fraction(value)))

    @classmethod
    def zero(cls, sign: int) -> Number:
        """Return zero with a sign."""
        return cls(sign, NumberClass.ZERO, _NOTHING)

    @classmethod
    def inf(cls, sign: int) -> Number:
        """Return infinity with a sign."""
        return cls(sign, NumberClass.INF, _NOTHING)

    @classmethod
    def nan(cls, sign: int, payload: int = 0) -> Number:
        """Return NaN with a sign, and with the bit below its quiet bit."""
        return cls(sign, NumberClass.NAN, _NOTHING, payload)

    @property
    def value(self) -> Fraction:
        """The real number.

        Raises
        ------
        ValueError
            If this is an infinity or a NaN.
        """
        if self.cls in (NumberClass.INF, NumberClass.NAN):
            raise ValueError(f"{self} is not a real number; look at .cls before .value")
        return -self.magnitude if self.sign else self.magnitude

    def __str__(self) -> str:
        """Return the value as a fraction, or ``-0``, ``inf``, ``nan`` and the like."""
        is_finite = self.cls is NumberClass.FINITE
        text = str(self.magnitude) if is_finite else self.cls.value.replace("zero", "0")
        return f"-{text}" if self.sign else text


power_of_two = functools.lru_cache(maxsize=8192)(pow2)
"""``formats.pow2``, remembered: the definition asks for the same few powers again and again."""


def floor_log2(value: Fraction) -> int:
    """Return the largest integer e with ``2**e <= value``, for a positive value.

    Examples
    --------
    >>> floor_log2(Fraction(7, 2)), floor_log2(Fraction(1, 3))
    (1, -2)
    """
    above, below = value.numerator, value.denominator
    if above <= 0:
        raise ValueError(f"only a positive number has a logarithm, got {value}")
    # n has bit_length b when 2**(b-1) <= n < 2**b, so the quotient of two integers lies strictly
    # between 2**(guess-1) and 2**(guess+1): one comparison decides, of integers, since comparing
    # fractions takes ten times as long.
    guess = above.bit_length() - below.bit_length()
    reaches = below << guess <= above if guess >= 0 else below <= above << -guess
    return guess if reaches else guess - 1


def ceil_log2(value: Fraction) -> int:
    """Return the smallest integer e with ``value <= 2**e``, for a positive value.

    Examples
    --------
    >>> ceil_log2(Fraction(7, 2)), ceil_log2(Fraction(4))
    (2, 2)
    """
    floor = floor_log2(value)
    return floor if value == power_of_two(floor) else floor + 1


def round_to_integer(
    magnitude: Fraction, sign: int, rounding: Rounding, random: Draw | None = None
) -> int:
    """Return `magnitude`, the magnitude of a number with this sign, rounded to an integer.

    The sign matters to the directed modes only, and `random` to the stochastic ones only. An
    integer and the code that it becomes have the same parity in every format of the table,
    because each has a mantissa bit to carry it; so "even" and "odd" below are those of the code.

    Raises
    ------
    ValueError
        If the mode is stochastic and no random bits are given.

    Notes
    -----
    MX-1.0/6.3/rounding, MX-1.0/6.3/rounding-other, OFP8-1.0/rounding, OFP8-1.0/rounding-other;
    OP-ELEM-ROUNDING: the standards require ties to even, ``policy.rounding`` chooses.
    OP-ELEM-STOCHASTIC: the three stochastic modes are those of IEEE P3109 4.0, section 4.7.4.

    Examples
    --------
    >>> [round_to_integer(Fraction(5, 2), 0, mode) for mode in list(Rounding)[:7]]
    [2, 3, 2, 2, 3, 2, 3]
    >>> from mxref.exact.random_bits import Draw
    >>> [round_to_integer(Fraction(9, 4), 0, Rounding.STOCHASTIC_A, Draw(R, 2)) for R in range(4)]
    [2, 2, 2, 3]
    """
    below, rest = divmod(magnitude.numerator, magnitude.denominator)
    if rest == 0:
        return below  # every mode returns what is exact
    from_half = 2 * rest - magnitude.denominator  # its sign: on which side of the middle
    match rounding:
        case Rounding.NEAREST_EVEN:
            goes_up = from_half > 0 or (from_half == 0 and below % 2 == 1)
        case Rounding.NEAREST_AWAY:
            goes_up = from_half >= 0
        case Rounding.NEAREST_DOWN:
            goes_up = from_half > 0
        case Rounding.TOWARD_ZERO:
            goes_up = False
        case Rounding.UP:
            goes_up = sign == 0
        case Rounding.DOWN:
            goes_up = sign == 1
        case Rounding.TO_ODD:
            goes_up = below % 2 == 0
        case _:
            beyond = Fraction(rest, magnitude.denominator)  # the distance from `below`
            goes_up = _goes_up_at_random(beyond, rounding, random)
    return below + 1 if goes_up else below


_Stochastic = Literal[Rounding.STOCHASTIC_A, Rounding.STOCHASTIC_B, Rounding.STOCHASTIC_C]


def _goes_up_at_random(beyond: Fraction, rounding: _Stochastic, random: Draw | None) -> bool:
    """Whether a stochastic mode goes up from where `beyond`, less than 1, is left over."""
    if random is None:
        raise ValueError(f"{rounding} needs random bits: hand in a Draw, R and its width N")
    R, N = random
    match rounding:
        case Rounding.STOCHASTIC_A:
            return math.floor(beyond * (1 << N)) + R >= 1 << N
        case Rounding.STOCHASTIC_B:
            return math.floor(beyond * (2 << N)) + (2 * R + 1) >= 2 << N
        case Rounding.STOCHASTIC_C:
            return round_to_integer(beyond * (1 << N), 0, Rounding.NEAREST_EVEN) + R >= 1 << N
        case _:
            assert_never(rounding)


def quantum(magnitude: Fraction, mantissa_bits: int, emin: int) -> Fraction:
    """Return the distance of neighbouring values of a float format around `magnitude`.

    Exponents are unbounded above: the grid goes on beyond the largest finite value, which is how
    an overflow is recognised after rounding (OFP8-1.0/order). Below ``2**emin`` lie the
    subnormals, all at the distance of the lowest binade (OFP8-1.0/value, MX-1.0/5.3/subnormals).

    Examples
    --------
    >>> quantum(Fraction(5), mantissa_bits=3, emin=-6), quantum(Fraction(0), 3, -6)
    (Fraction(1, 2), Fraction(1, 512))
    """
    exponent = max(emin, floor_log2(magnitude)) if magnitude else emin
    return power_of_two(exponent - mantissa_bits)


def value_of_fields(exponent: int, mantissa: int, mantissa_bits: int, bias: int) -> Fraction:
    """Return the magnitude that an exponent field and a mantissa field stand for.

    OFP8-1.0/value, and IEEE 754 alike: ``2**(E - bias) * (1 + M / 2**m)`` for a normal number,
    ``2**(1 - bias) * (M / 2**m)`` for a subnormal one, which has E = 0.

    Examples
    --------
    >>> value_of_fields(8, 4, mantissa_bits=3, bias=7)
    Fraction(3, 1)
    """
    fraction = Fraction(mantissa, 1 << mantissa_bits)
    if exponent == 0:
        return power_of_two(1 - bias) * fraction
    return power_of_two(exponent - bias) * (1 + fraction)


def fields_of(magnitude: Fraction, mantissa_bits: int, bias: int) -> tuple[int, int]:
    """Return the exponent field and the mantissa field of a magnitude that has them.

    The inverse of `value_of_fields`.

    Raises
    ------
    ValueError
        If the magnitude does not lie on the grid of the format.

    Examples
    --------
    >>> fields_of(Fraction(3), mantissa_bits=3, bias=7)
    (8, 4)
    """
    steps = magnitude / quantum(magnitude, mantissa_bits, emin=1 - bias)
    if steps.denominator != 1:
        raise ValueError(f"{magnitude} has more than {mantissa_bits} mantissa bits: round it first")
    if steps.numerator < 1 << mantissa_bits:
        return 0, steps.numerator  # a subnormal
    return floor_log2(magnitude) + bias, steps.numerator - (1 << mantissa_bits)


def require_number(given: object) -> None:
    """Refuse what is no `Number`, such as a float: it would not say which NaN or which zero it is.

    Raises
    ------
    TypeError
        If `given` is something else.
    """
    if not isinstance(given, Number):
        raise TypeError(
            f"expected a Number, got {shown(given)}: Number.finite(Fraction(given)) is the same "
            "number exactly, ieee.from_bits(bits, 'float32') any float"
        )


def as_code(code: int, bits: int, what: str) -> int:
    """Return `code` as an int, if it is a bit pattern of this width.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> as_code(16, bits=4, what="code of e2m1")
    Traceback (most recent call last):
        ...
    ValueError: code of e2m1: expected 0 to 0xf (4 bits), got 16
    """
    try:
        number = operator.index(code)
    except TypeError:
        kind = type(code).__name__
        raise TypeError(f"{what}: expected an integer, got {code!r} ({kind})") from None
    if not 0 <= number < 1 << bits:
        last = (1 << bits) - 1
        raise ValueError(f"{what}: expected 0 to {last:#x} ({bits} bits), got {number}")
    return number
