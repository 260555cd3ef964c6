"""One element: what its code stands for, and which code a number gets.

MX-1.0/5.3/fp8, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4, MX-1.0/5.3/int8 and OFP8 v1.0. All formats go
through the same steps; what differs is in the table of ``mxref.formats``.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from mxref._choices import FP8Overflow, Int8Min, NanElement, NanPayload, NegZero, Rounding
from mxref.exact import number as numbers
from mxref.exact.number import (
    Number,
    NumberClass,
    as_code,
    fields_of,
    round_to_integer,
    value_of_fields,
)
from mxref.formats import ElementFormat, Kind, element_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from mxref.policy import Policy

__all__ = ["decode", "encode", "largest_finite", "quantum"]

_ONE = Fraction(1)


def decode(code: int, element: str | ElementFormat) -> Number:
    """Return the number that an element code stands for.

    Parameters
    ----------
    code : int
        The bit pattern.
    element : str or ElementFormat
        Such as ``"e4m3"``.

    Raises
    ------
    TypeError
        If `code` is no integer.
    ValueError
        If there is no such format, or `code` is not one of its bit patterns.

    Notes
    -----
    OFP8-1.0/value, OFP8-1.0/e4m3, OFP8-1.0/e5m2, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4,
    MX-1.0/5.3/int8, MX-1.0/5.3/subnormals.

    Examples
    --------
    >>> decode(0x7E, "e4m3").value, decode(0x80, "int8").value
    (Fraction(448, 1), Fraction(-2, 1))
    >>> str(decode(0xFF, "e4m3")), str(decode(0xFC, "e5m2")), str(decode(0x8, "e2m1"))
    ('-nan', '-inf', '-0')
    """
    fmt = element_format(element)
    return _decode(as_code(code, fmt.bits, f"code of {fmt.name}"), fmt)


@functools.cache
def _decode(code: int, fmt: ElementFormat) -> Number:
    if fmt.kind is Kind.FIXED:
        # MX-1.0/5.3/int8: a two's complement integer times an implied scale of 2^-6.
        integer = code - fmt.code_count if code >= fmt.sign_mask else code
        return Number.finite(integer * fmt.min_subnormal)
    sign, magnitude_code = divmod(code, fmt.sign_mask)
    if magnitude_code in fmt.nan_magnitudes:
        return Number.nan(sign)
    if magnitude_code == fmt.inf_magnitude:
        return Number.inf(sign)
    exponent, mantissa = divmod(magnitude_code, 1 << fmt.mantissa_bits)
    magnitude = value_of_fields(exponent, mantissa, fmt.mantissa_bits, fmt.bias)
    return Number.finite(-magnitude if sign else magnitude, sign_of_zero=sign)


def encode(
    number: Number,
    element: str | ElementFormat,
    policy: Policy | str | None = None,
    *,
    scale: Fraction = _ONE,
) -> int:
    """Return the code of a number, divided by the scale of its block if it has one.

    Parameters
    ----------
    number : Number
        V, the number to encode.
    element : str or ElementFormat
        Such as ``"e4m3"``.
    policy : Policy, str or None
        Uses ``rounding``, ``fp8_overflow``, ``nan_element``, ``inf_element``, ``nan_payload``,
        ``neg_zero`` and ``int8_min``; default ``ocp``.
    scale : fractions.Fraction, default 1
        X, the value of the block's scale, greater than 0.

    Raises
    ------
    ValueError
        If there is no such format or policy; if `scale` is not positive; for a NaN that the
        format cannot hold under ``nan_element="raise"``.

    Notes
    -----
    MX-1.0/6.3/elements, MX-1.0/6.3/rounding, MX-1.0/6.3/clamp, MX-1.0/6.3/clamp-normal,
    MX-1.0/6.3/underflow, MX-1.0/6.3/fp8-overflow, OFP8-1.0/order, OFP8-1.0/in-range,
    OFP8-1.0/underflow, OFP8-1.0/zero, OFP8-1.0/sign.
    OP-SCALED-INTERMEDIATE, OP-ELEM-ROUNDING, OP-ELEM-STOCHASTIC, OP-ELEM-SUBNORMAL, and those of
    the helpers below.

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
    if number.cls is NumberClass.NAN:
        return _encode_nan(number.sign, fmt, chosen)
    if number.cls is NumberClass.INF:
        return _encode_overflow(number, fmt, chosen)

    # SCALE: V / X as a real number. OP-SCALED-INTERMEDIATE: an implementation may round here, as
    # the standard is stated over reals; policy.scaled_intermediate has exact only.
    scaled = number.magnitude / scale

    # ALIGN: count in units of the distance of neighbouring values, without an upper bound. Below
    # 2^emin that is the distance of the subnormals, so that a magnitude rounds below the least of
    # them only to 0 (MX-1.0/6.3/underflow, OFP8-1.0/underflow). One could read those clauses as
    # rounding to a full mantissa first, and 3/4 of the least subnormal would then vanish; we take
    # the reading of IEEE 754, and ml_dtypes does.
    step = quantum(scaled, fmt)
    steps = scaled / step

    # ROUND: once; OFP8-1.0/order has it before any comparison with the range.
    rounded = round_to_integer(steps, number.sign, chosen.rounding) * step

    # OVERFLOW
    if rounded > _largest(number.sign, fmt, chosen):
        return _encode_overflow(number, fmt, chosen)

    # PACK
    return _pack(number.sign, rounded, fmt, chosen)


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


@functools.cache
def largest_finite(element: ElementFormat) -> Fraction:
    """Return the largest finite value of the format, remembered.

    Examples
    --------
    >>> largest_finite(element_format("e2m1"))
    Fraction(6, 1)
    """
    return element.max


def _largest(sign: int, fmt: ElementFormat, policy: Policy) -> Fraction:
    """The largest magnitude that a result with this sign may have.

    Two's complement has one more value below zero than above. MX-1.0/5.3.4/int8-min lets an
    implementation leave it unused or use it; OP-INT8-MIN: policy.int8_min chooses.
    """
    if fmt.kind is Kind.FIXED and sign == 1 and policy.int8_min is Int8Min.USED:
        return largest_finite(fmt) + fmt.min_subnormal
    return largest_finite(fmt)


def _encode_nan(sign: int, fmt: ElementFormat, policy: Policy) -> int:
    """The code of a NaN.

    OFP8-1.0/nan: a NaN stays a NaN; which one, and its sign (OFP8-1.0/nan-sign), is left to the
    implementation: OP-NAN-PAYLOAD, policy.nan_payload chooses. MX-1.0/5.3/nan-source: what it
    becomes in a format without NaN is left too: OP-NAN-ELEMENT, policy.nan_element chooses.
    """
    if fmt.has_nan:
        nan = max(fmt.nan_magnitudes)
        if policy.nan_payload is NanPayload.CANONICAL:
            return nan
        if policy.nan_payload is NanPayload.QUIET_SIGNED:
            # The least quiet NaN: IEEE 754 marks it by the top bit of the mantissa.
            quiet = 1 << (fmt.mantissa_bits - 1)
            nan = min(m for m in fmt.nan_magnitudes if m & quiet)
        return sign * fmt.sign_mask + nan
    match policy.nan_element:
        case NanElement.POS_MAX:
            return _pack(0, largest_finite(fmt), fmt, policy)
        case NanElement.SIGNED_MAX:
            return _pack(sign, _largest(sign, fmt, policy), fmt, policy)
        case NanElement.ZERO:
            return _pack(0, Fraction(0), fmt, policy)
        case NanElement.FLIPPED_ZERO:
            return _pack(1 - sign, Fraction(0), fmt, policy)
        case NanElement.RAISE:
            raise ValueError(
                f"a NaN cannot be encoded in {fmt.name}, which has none, and the policy refuses "
                "it (nan_element=raise); choose another nan_element, or remove the NaN"
            )
        case _:
            assert_never(policy.nan_element)


def _encode_overflow(number: Number, fmt: ElementFormat, policy: Policy) -> int:
    """The code of an infinity, or of a number that rounds beyond the largest finite value.

    FP6, FP4 and INT8 clamp (MX-1.0/6.3/clamp; an infinity too: OP-INF-ELEMENT). FP8 has two
    methods, and neither is the default (MX-1.0/6.3/fp8-overflow, OFP8-1.0/modes);
    OP-FP8-OVERFLOW: policy.fp8_overflow chooses.
    """
    clamps = not fmt.is_fp8 or policy.fp8_overflow is FP8Overflow.SATURATE
    # What OVF means for other modes than to nearest is not specified (OFP8-1.0/rounding-other).
    # Chosen: as IEEE 754 overflows, so a finite number that is rounded toward zero stays finite.
    if clamps or (
        number.cls is NumberClass.FINITE and _rounds_inward(number.sign, policy.rounding)
    ):
        # OFP8-1.0/overflow-sat, OFP8-1.0/inf-sat, MX-1.0/6.3/clamp-normal
        return _pack(number.sign, _largest(number.sign, fmt, policy), fmt, policy)
    # OFP8-1.0/overflow-ovf, OFP8-1.0/inf-ovf: infinity, or NaN where there is none.
    if fmt.inf_magnitude is None:
        return _encode_nan(number.sign, fmt, policy)
    return number.sign * fmt.sign_mask + fmt.inf_magnitude


def _rounds_inward(sign: int, rounding: Rounding) -> bool:
    """Whether the mode never takes a number with this sign from the largest value to infinity."""
    inward = Rounding.DOWN if sign == 0 else Rounding.UP
    # TO_ODD: chosen so, because infinity would come from rounding to an even code.
    return rounding in (Rounding.TOWARD_ZERO, Rounding.TO_ODD, inward)


def _pack(sign: int, magnitude: Fraction, fmt: ElementFormat, policy: Policy) -> int:
    """The code with this sign and magnitude, which the format has."""
    if fmt.kind is Kind.FIXED:
        integer = (magnitude / fmt.min_subnormal).numerator
        return (-integer if sign else integer) % fmt.code_count  # two's complement; one zero only
    # OFP8-1.0/sign and OFP8-1.0/zero keep the sign of a zero in FP8; nothing is said of FP6 and
    # FP4. OP-NEG-ZERO: policy.neg_zero chooses, for all of them.
    if magnitude == 0 and policy.neg_zero is NegZero.DROP:
        sign = 0
    exponent, mantissa = fields_of(magnitude, fmt.mantissa_bits, fmt.bias)
    return sign * fmt.sign_mask + (exponent << fmt.mantissa_bits) + mantissa
