"""Bit patterns that covergroups are made of: exact encodings, neighbours, landmarks, midpoints."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

from mxref.exact import element, ieee
from mxref.exact.number import Number, NumberClass
from mxref.formats import ElementFormat, pow2

__all__ = [
    "below_square_root_of_two",
    "exact_bits",
    "finite_codes",
    "landmarks",
    "midpoints",
    "negated",
    "neighbour",
    "power_of_two",
]


def exact_bits(value: Fraction, source: str) -> int | None:
    """Return the bits of a value in an IEEE format, or None where it is not representable.

    Examples
    --------
    >>> hex(exact_bits(Fraction(3, 2), "bfloat16"))
    '0x3fc0'
    >>> exact_bits(Fraction(1, 3), "float32") is None
    True
    """
    bits = ieee.to_bits(Number.finite(value), source)
    found = ieee.from_bits(bits, source)
    is_exact = found.cls in (NumberClass.FINITE, NumberClass.ZERO) and found.value == value
    return bits if is_exact else None


def _layout(source: str) -> tuple[int, int]:
    """(sign bit, bits of infinity)."""
    fmt = ieee.IEEE_FORMATS[source]
    return 1 << (fmt.bits - 1), ((1 << fmt.exponent_bits) - 1) << fmt.mantissa_bits


def neighbour(bits: int, source: str, ulps: int) -> int | None:
    """Return the pattern some ulps away from zero (negative: toward it); None past either end.

    Examples
    --------
    >>> hex(neighbour(0xBF800000, "float32", -1))
    '0xbf7fffff'
    """
    sign_bit, infinity = _layout(source)
    magnitude = (bits & (sign_bit - 1)) + ulps
    return (bits & sign_bit) | magnitude if 0 <= magnitude < infinity else None


def negated(bits: int, source: str) -> int:
    """Return the pattern with the other sign.

    Examples
    --------
    >>> hex(negated(0x3F80, "bfloat16"))
    '0xbf80'
    """
    return bits ^ _layout(source)[0]


def landmarks(source: str) -> Iterator[tuple[int, str]]:
    """Yield zero, one, the ends of the normal and subnormal ranges, infinity and NaNs, both signs.

    Examples
    --------
    >>> [(hex(bits), name) for bits, name in landmarks("float16")][:2]
    [('0x0', '+zero'), ('0x8000', '-zero')]
    """
    fmt = ieee.IEEE_FORMATS[source]
    sign_bit, infinity = _layout(source)
    least_normal = 1 << fmt.mantissa_bits
    for magnitude, name in (
        (0, "zero"),
        (1, "least subnormal"),
        (least_normal - 1, "largest subnormal"),
        (least_normal, "least normal"),
        (fmt.bias << fmt.mantissa_bits, "one"),
        (infinity - 1, "largest"),
        (infinity, "Inf"),
        (infinity | 1, "signalling NaN"),
        (infinity | (least_normal >> 1), "quiet NaN"),
        (infinity | (least_normal - 1), "NaN of all ones"),
    ):
        yield magnitude, f"+{name}"
        yield sign_bit | magnitude, f"-{name}"


def power_of_two(exponent: int, source: str) -> int | None:
    """Return the bits of a power of two, or None where the format has none.

    Examples
    --------
    >>> hex(power_of_two(-149, "float32"))
    '0x1'
    """
    return exact_bits(pow2(exponent), source)


def below_square_root_of_two(source: str) -> int:
    """Return the bits of the largest number below the square root of two.

    Examples
    --------
    >>> hex(below_square_root_of_two("float32"))
    '0x3fb504f3'
    """
    fmt = ieee.IEEE_FORMATS[source]
    significand = math.isqrt(2 << (2 * fmt.mantissa_bits))
    return (fmt.bias << fmt.mantissa_bits) + significand - (1 << fmt.mantissa_bits)


def finite_codes(fmt: ElementFormat) -> list[tuple[int, Number]]:
    """Return every code that is a number, with that number, in the order of the codes.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> len(finite_codes(element_format("e4m3")))
    254
    """
    decoded = ((code, element.decode(code, fmt)) for code in range(fmt.code_count))
    return [(c, n) for c, n in decoded if n.cls in (NumberClass.ZERO, NumberClass.FINITE)]


def midpoints(fmt: ElementFormat) -> list[Fraction]:
    """Return the midpoints of neighbouring magnitudes, and the one above the largest value.

    The last one is where overflow begins: halfway to the value that would come next.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [float(m) for m in midpoints(element_format("e2m1"))]
    [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0]
    """
    magnitudes = sorted({n.magnitude for _, n in finite_codes(fmt) if n.magnitude <= fmt.max})
    magnitudes.append(2 * magnitudes[-1] - magnitudes[-2])
    return [(low + high) / 2 for low, high in itertools.pairwise(magnitudes)]
