"""One element: what its code stands for, and which code a number gets.

MX-1.0/5.3/fp8, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4, MX-1.0/5.3/int8 and OFP8 v1.0. All formats go
through the same steps; what differs is in the table of ``mxref.formats``. The module `codes` has
the cases in which nothing is rounded.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import TYPE_CHECKING

from mxref._choices import DecodeSubnormal, ElementSubnormal, ScaledIntermediate
from mxref.exact import codes, ieee, random_bits
from mxref.exact import number as numbers
from mxref.exact.number import (
    Number,
    NumberClass,
    as_code,
    round_to_integer,
    value_of_fields,
)
from mxref.formats import ElementFormat, Kind, element_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from mxref.policy import Policy

__all__ = ["decode", "encode", "quantum"]

_ONE = Fraction(1)
# Asked of every element; see `codes`.
_NAN, _INF = NumberClass.NAN, NumberClass.INF
_EXACT, _FLUSH = ScaledIntermediate.EXACT, ElementSubnormal.FLUSH


def decode(code: int, element: str | ElementFormat, policy: Policy | str | None = None) -> Number:
    """Return the number that an element code stands for.

    Parameters
    ----------
    code : int
        The bit pattern.
    element : str or ElementFormat
        Such as ``"e4m3"``.
    policy : Policy, str or None
        Uses ``decode_subnormal``; default ``ocp``.

    Raises
    ------
    TypeError
        If `code` is no integer.
    ValueError
        If there is no such format or policy, or `code` is not one of its bit patterns.

    Notes
    -----
    OFP8-1.0/value, OFP8-1.0/e4m3, OFP8-1.0/e5m2, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4,
    MX-1.0/5.3/int8, MX-1.0/5.3/subnormals. OP-ELEM-SUBNORMAL: hardware may read a subnormal
    element as zero; ``policy.decode_subnormal`` chooses.

    Examples
    --------
    >>> decode(0x7E, "e4m3").value, decode(0x80, "int8").value
    (Fraction(448, 1), Fraction(-2, 1))
    >>> str(decode(0xFF, "e4m3")), str(decode(0xFC, "e5m2")), str(decode(0x8, "e2m1"))
    ('-nan', '-inf', '-0')
    """
    fmt, chosen = element_format(element), get_policy(policy)
    number = _decode(as_code(code, fmt.bits, f"code of {fmt.name}"), fmt)
    flushes = chosen.decode_subnormal is DecodeSubnormal.FLUSH_ELEMENT
    return Number.zero(number.sign) if flushes and _is_subnormal(number.magnitude, fmt) else number


@functools.cache
def _decode(code: int, fmt: ElementFormat) -> Number:
    if fmt.kind is Kind.FIXED:
        # MX-1.0/5.3/int8: a two's complement integer times an implied scale of 2^-6.
        integer = code - fmt.code_count if code >= fmt.sign_mask else code
        return Number.finite(integer * fmt.min_subnormal)
    sign, magnitude_code = divmod(code, fmt.sign_mask)
    if magnitude_code in fmt.nan_magnitudes:
        below_quiet = magnitude_code >> (fmt.mantissa_bits - 2) & 1
        return Number.nan(sign, payload=below_quiet)
    if magnitude_code == fmt.inf_magnitude:
        return Number.inf(sign)
    exponent, mantissa = divmod(magnitude_code, 1 << fmt.mantissa_bits)
    magnitude = value_of_fields(exponent, mantissa, fmt.mantissa_bits, fmt.bias)
    return Number.finite(-magnitude if sign else magnitude, sign_of_zero=sign)


def _is_subnormal(magnitude: Fraction, fmt: ElementFormat) -> bool:
    """Whether a magnitude of the format, not 0, is one of its subnormals; INT8 has none."""
    is_float = fmt.kind is Kind.FLOAT
    return is_float and 0 < magnitude < numbers.power_of_two(fmt.emin)


def encode(
    number: Number,
    element: str | ElementFormat,
    policy: Policy | str | None = None,
    *,
    scale: Fraction = _ONE,
    source: str = "float32",
    random: int | None = None,
) -> int:
    """Return the code of a number, divided by the scale of its block if it has one.

    Parameters
    ----------
    number : Number
        V, the number to encode.
    element : str or ElementFormat
        Such as ``"e4m3"``.
    policy : Policy, str or None
        Uses ``rounding``, ``stochastic``, ``stochastic_bits``, ``fp8_overflow``, ``nan_element``,
        ``inf_element``, ``nan_payload``, ``neg_zero``, ``int8_min``, ``scaled_intermediate``,
        ``input_subnormal``, ``element_subnormal`` and ``relu``; default ``ocp``.
    scale : fractions.Fraction, default 1
        X, the value of the block's scale, greater than 0.
    source : str, default ``"float32"``
        The float format that the number came in; it says which numbers were subnormal.
    random : int, optional
        R, of as many bits as `random_bits.count` says. A stochastic rounding needs it, the others
        do not look at it.

    Raises
    ------
    TypeError
        If `random` is no integer.
    ValueError
        If there is no such format or policy; if `scale` is not positive; for a NaN that the
        format cannot hold under ``nan_element="raise"``, and an infinity that it cannot hold
        under ``inf_element="raise"``; if a stochastic rounding lacks `random`, or it is out of
        range.

    Notes
    -----
    MX-1.0/6.3/elements, MX-1.0/6.3/rounding, MX-1.0/6.3/clamp, MX-1.0/6.3/clamp-normal,
    MX-1.0/6.3/underflow, MX-1.0/6.3/fp8-overflow, OFP8-1.0/order, OFP8-1.0/in-range,
    OFP8-1.0/underflow, OFP8-1.0/zero, OFP8-1.0/sign.
    OP-SCALED-INTERMEDIATE, OP-ELEM-ROUNDING, OP-ELEM-STOCHASTIC, OP-ELEM-SUBNORMAL, and those of
    the module `codes`.

    Examples
    --------
    >>> hex(encode(Number.finite(Fraction(13, 10)), "e4m3"))
    '0x3a'
    >>> large = Number.finite(1000)
    >>> hex(encode(large, "e4m3")), hex(encode(large, "e4m3", "ocp:fp8_overflow=overflow"))
    ('0x7e', '0x7f')
    """
    fmt, chosen = element_format(element), get_policy(policy)
    if scale <= 0:
        raise ValueError(f"a scale is greater than 0, got {scale}; the NaN scale is block's affair")

    # CLASSIFY: neither NaN nor infinity has a magnitude to scale and to round.
    number = codes.read(number, fmt, chosen, source)
    if number.cls is _NAN:
        return codes.of_nan(number, fmt, chosen)
    if number.cls is _INF:
        return codes.of_overflow(number, fmt, chosen)

    # SCALE: V / X as a real number. OP-SCALED-INTERMEDIATE: an implementation may round here, as
    # the standard is stated over reals; policy.scaled_intermediate chooses whether, and to what.
    scaled = number.magnitude / scale
    intermediate = chosen.scaled_intermediate
    if intermediate is not _EXACT:
        scaled = ieee.round_magnitude(scaled, intermediate)
        if scaled > ieee.largest(intermediate):
            return codes.of_overflow(Number.inf(number.sign), fmt, chosen)

    # ALIGN: count in units of the distance of neighbouring values, without an upper bound. Below
    # 2^emin that is the distance of the subnormals, so that a magnitude rounds below the least of
    # them only to 0 (MX-1.0/6.3/underflow, OFP8-1.0/underflow). One could read those clauses as
    # rounding to a full mantissa first, and 3/4 of the least subnormal would then vanish; we take
    # the reading of IEEE 754, and ml_dtypes does.
    step = quantum(scaled, fmt)
    steps = scaled / step

    # ROUND: once; OFP8-1.0/order has it before any comparison with the range.
    draw = None
    if chosen.rounding in random_bits.STOCHASTIC:
        bits = random_bits.count(fmt, chosen)
        draw = random_bits.draw(random, bits, f"rounding={chosen.rounding}")
    rounded = round_to_integer(steps, number.sign, chosen.rounding, draw) * step

    # The formats have subnormals (MX-1.0/5.3/subnormals); OP-ELEM-SUBNORMAL: hardware may flush
    # them all the same, policy.element_subnormal chooses.
    if chosen.element_subnormal is _FLUSH and _is_subnormal(rounded, fmt):
        rounded = Fraction(0)

    # OVERFLOW
    if rounded > codes.largest(number.sign, fmt, chosen):
        return codes.of_overflow(number, fmt, chosen)

    # PACK
    return codes.pack(number.sign, rounded, fmt, chosen)


def quantum(magnitude: Fraction, element: ElementFormat) -> Fraction:
    """Return the distance of neighbouring values of the format around `magnitude`.

    The grid goes on beyond the largest value as if exponents were unbounded (OFP8-1.0/order).

    Examples
    --------
    >>> [str(quantum(Fraction(500), element_format(name))) for name in ("e4m3", "int8")]
    ['32', '1/64']
    """
    if element.kind is Kind.FIXED:
        return numbers.power_of_two(-element.mantissa_bits)
    return numbers.quantum(magnitude, element.mantissa_bits, element.emin)
