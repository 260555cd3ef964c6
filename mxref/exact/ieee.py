"""The bits of float32, float64, float16 and bfloat16, to and from exact numbers.

Inputs of a conversion and decoded values are IEEE 754 bit patterns; the definition needs them as
numbers. Rounding to one of these formats happens where a decoded value leaves the library, and
where a policy has an implementation round on its way.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref._choices import DecodeNan, DecodeOverflow, DecodeSubnormal, Rounding
from mxref._suggest import unknown_name
from mxref.exact.number import (
    Number,
    NumberClass,
    as_code,
    fields_of,
    power_of_two,
    quantum,
    round_to_integer,
    value_of_fields,
)
from mxref.policy import get_policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from mxref.policy import Policy

__all__ = [
    "IEEE_FORMATS",
    "IeeeFormat",
    "flushed",
    "from_bits",
    "largest",
    "round_magnitude",
    "to_bits",
]


@dataclass(frozen=True, slots=True)
class IeeeFormat:
    """A binary interchange format of IEEE 754, or one of its shape (bfloat16).

    Attributes
    ----------
    name : str
        The name of the NumPy or ml_dtypes type.
    exponent_bits, mantissa_bits : int
        Field widths.

    Examples
    --------
    >>> half = IEEE_FORMATS["float16"]
    >>> half.bits, half.bias, half.max
    (16, 15, Fraction(65504, 1))
    """

    name: str
    exponent_bits: int
    mantissa_bits: int

    @property
    def bits(self) -> int:
        """Width of a pattern, sign included."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        """Exponent bias."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def special_exponent(self) -> int:
        """The exponent field of infinities and NaNs: all ones."""
        return (1 << self.exponent_bits) - 1

    @property
    def max(self) -> Fraction:
        """Largest finite value."""
        ones = (1 << self.mantissa_bits) - 1
        return value_of_fields(self.special_exponent - 1, ones, self.mantissa_bits, self.bias)


IEEE_FORMATS: Mapping[str, IeeeFormat] = MappingProxyType(
    {
        f.name: f
        for f in (
            IeeeFormat("float32", exponent_bits=8, mantissa_bits=23),
            IeeeFormat("float64", exponent_bits=11, mantissa_bits=52),
            IeeeFormat("float16", exponent_bits=5, mantissa_bits=10),
            IeeeFormat("bfloat16", exponent_bits=8, mantissa_bits=7),
        )
    }
)
"""The float formats in which arrays come and go, by name."""


def _format(name: str | IeeeFormat) -> IeeeFormat:
    if isinstance(name, IeeeFormat):
        return name
    found = IEEE_FORMATS.get(name)
    if found is None:
        raise ValueError(unknown_name("float format", name, IEEE_FORMATS))
    return found


@functools.cache
def largest(name: str | IeeeFormat) -> Fraction:
    """Return the largest finite value of the format, remembered.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> largest("float16")
    Fraction(65504, 1)
    """
    return _format(name).max


def round_magnitude(magnitude: Fraction, name: str | IeeeFormat) -> Fraction:
    """Return a magnitude rounded to the mantissa of the format, to nearest, ties to even.

    Small numbers underflow gradually. There is no upper bound: compare with `largest`.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> from fractions import Fraction
    >>> round_magnitude(Fraction(1, 3), "bfloat16"), round_magnitude(Fraction(70001), "float16")
    (Fraction(171, 512), Fraction(70016, 1))
    """
    fmt = _format(name)
    step = quantum(magnitude, fmt.mantissa_bits, emin=1 - fmt.bias)
    return round_to_integer(magnitude / step, 0, Rounding.NEAREST_EVEN) * step


def flushed(number: Number, source: str | IeeeFormat) -> Number:
    """Return a zero of the same sign for a number that is subnormal in its type, else the number.

    ``policy.input_subnormal`` says whether a conversion reads its input so (OP-ELEM-SUBNORMAL).

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> from fractions import Fraction
    >>> tiny = Number.finite(Fraction(-1, 2**20))
    >>> str(flushed(tiny, "float16")), flushed(tiny, "float32") is tiny
    ('-0', True)
    """
    fmt = _format(source)
    is_finite = number.cls is NumberClass.FINITE
    if is_finite and number.magnitude < power_of_two(1 - fmt.bias):
        return Number.zero(number.sign)
    return number


def from_bits(bits: int, source: str | IeeeFormat) -> Number:
    """Return the number that a bit pattern stands for, exactly.

    Subnormals are read as what they are; `flushed` takes them for zero (OP-ELEM-SUBNORMAL).

    Parameters
    ----------
    bits : int
        The pattern as an unsigned integer.
    source : str or IeeeFormat
        ``"float32"``, ``"float64"``, ``"float16"`` or ``"bfloat16"``.

    Raises
    ------
    TypeError
        If `bits` is no integer.
    ValueError
        If there is no such format, or the pattern is wider than the format.

    Examples
    --------
    >>> from_bits(0x3FC00000, "float32").value
    Fraction(3, 2)
    >>> str(from_bits(0xFF80, "bfloat16"))
    '-inf'
    """
    fmt = _format(source)
    pattern = as_code(bits, fmt.bits, f"bits of {fmt.name}")
    rest, mantissa = divmod(pattern, 1 << fmt.mantissa_bits)
    sign, exponent = divmod(rest, 1 << fmt.exponent_bits)
    if exponent == fmt.special_exponent:
        if mantissa == 0:
            return Number.inf(sign)
        # The highest bit makes a NaN quiet; of the payload below it, FP8 has room for one bit.
        return Number.nan(sign, payload=mantissa >> (fmt.mantissa_bits - 2) & 1)
    magnitude = value_of_fields(exponent, mantissa, fmt.mantissa_bits, fmt.bias)
    if magnitude == 0:
        return Number.zero(sign)
    return Number(sign, NumberClass.FINITE, magnitude)


def to_bits(number: Number, dest: str | IeeeFormat, policy: Policy | str | None = None) -> int:
    """Return the bit pattern of a number, rounded to nearest, ties to even.

    Parameters
    ----------
    number : Number
        The number.
    dest : str or IeeeFormat
        ``"float32"``, ``"float64"``, ``"float16"`` or ``"bfloat16"``.
    policy : Policy, str or None
        Uses ``decode_overflow``, ``decode_nan`` and ``decode_subnormal``; default ``ocp``.

    Raises
    ------
    ValueError
        If there is no such format or policy.

    Notes
    -----
    MX-1.0/5.1/overflow, MX-1.0/5.1/underflow; OP-DECODE-OVERFLOW, OP-DECODE-NAN,
    OP-ELEM-SUBNORMAL.

    Examples
    --------
    >>> hex(to_bits(Number.finite(-2), "float32"))
    '0xc0000000'
    >>> hex(to_bits(Number.nan(1), "float32")), hex(to_bits(Number.nan(1), "float32", "ml_dtypes"))
    ('0x7fc00000', '0xffc00000')
    """
    fmt, chosen = _format(dest), get_policy(policy)

    # CLASSIFY
    if number.cls is NumberClass.NAN:
        # OP-DECODE-NAN: the standard asks for a NaN; policy.decode_nan chooses its sign. The
        # payload is that of the quiet NaN with nothing else set.
        sign = number.sign if chosen.decode_nan is DecodeNan.SIGNED else 0
        return _join(sign, fmt.special_exponent, 1 << (fmt.mantissa_bits - 1), fmt)
    if number.cls is NumberClass.INF:
        return _join(number.sign, fmt.special_exponent, 0, fmt)

    # ALIGN and ROUND
    rounded = round_magnitude(number.magnitude, fmt)

    # OVERFLOW: infinity, as IEEE 754 says for this rounding, or the largest finite value.
    if rounded > largest(fmt):
        if chosen.decode_overflow is DecodeOverflow.INF:
            return _join(number.sign, fmt.special_exponent, 0, fmt)
        rounded = largest(fmt)

    # OP-ELEM-SUBNORMAL: hardware may flush a subnormal result; policy.decode_subnormal chooses,
    # for float32, which is what a decoder gives.
    if (
        chosen.decode_subnormal is DecodeSubnormal.FLUSH_RESULT
        and fmt.name == "float32"
        and rounded < power_of_two(1 - fmt.bias)
    ):
        return _join(number.sign, 0, 0, fmt)

    # PACK
    exponent, mantissa = fields_of(rounded, fmt.mantissa_bits, fmt.bias)
    return _join(number.sign, exponent, mantissa, fmt)


def _join(sign: int, exponent: int, mantissa: int, fmt: IeeeFormat) -> int:
    return (((sign << fmt.exponent_bits) + exponent) << fmt.mantissa_bits) + mantissa
