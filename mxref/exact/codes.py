"""The ends of an encoder: what an input is taken for, and which code a result gets.

NaN, infinity and numbers beyond the range have no place among the values that `element.encode`
rounds to. Nearly all that is said of them here is a choice.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from mxref._choices import (
    FP8Overflow,
    InfElement,
    InputSubnormal,
    Int8Min,
    NanElement,
    NanPayload,
    NegZero,
    Relu,
    Rounding,
)
from mxref.exact import ieee
from mxref.exact.number import Number, NumberClass, fields_of, require_number
from mxref.formats import Kind

if TYPE_CHECKING:
    from mxref.formats import ElementFormat
    from mxref.policy import Policy

__all__ = ["largest", "largest_finite", "of_nan", "of_overflow", "pack", "read"]

# Asked of every element: a member by its name costs 70 ns in Python 3.11, a tenth of it by these.
_FLUSH, _REFUSE, _RECTIFY = InputSubnormal.FLUSH, InfElement.RAISE, Relu.ON
_DROP_INPUT, _ZERO, _INF, _NAN = (
    NegZero.DROP_INPUT,
    NumberClass.ZERO,
    NumberClass.INF,
    NumberClass.NAN,
)


def read(number: Number, element: ElementFormat, policy: Policy, source: str) -> Number:
    """Return the number that an encoder takes an input for.

    Parameters
    ----------
    number : Number
        The input.
    element : ElementFormat
        The format that it goes to.
    policy : Policy
        Uses ``input_subnormal``, ``inf_element``, ``relu`` and ``neg_zero``.
    source : str
        The float format of the input.

    Raises
    ------
    ValueError
        For an infinity that the format cannot hold under ``inf_element="raise"``, whatever its
        sign; if there is no such float format.

    Notes
    -----
    The standards say nothing of any of it. OP-ELEM-SUBNORMAL: whether a subnormal input is zero,
    and whether a rectifier comes first. OP-INF-ELEMENT: whether an infinity is an error.
    OP-NEG-ZERO: whether a zero that comes in keeps its sign.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> str(read(Number.finite(-3), ELEMENT_FORMATS["e2m1"], Policy(relu="on"), "float32"))
    '0'
    """
    require_number(number)
    if policy.input_subnormal is _FLUSH:
        number = ieee.flushed(number, source)
    if policy.inf_element is _REFUSE and number.cls is _INF and not element.is_fp8:
        raise ValueError(
            f"an infinity cannot be encoded in {element.name}, which has none, and the policy "
            "refuses it (inf_element=raise); choose inf_element=clamp, or remove the infinity"
        )
    if policy.relu is _RECTIFY:
        if number.cls is _NAN:
            return Number.nan(0, number.payload)
        if number.sign == 1:
            return Number.zero(0)
    if policy.neg_zero is _DROP_INPUT and number.cls is _ZERO:
        return Number.zero(0)
    return number


@functools.cache
def largest_finite(element: ElementFormat) -> Fraction:
    """Return the largest finite value of the format, remembered.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> largest_finite(ELEMENT_FORMATS["e2m1"])
    Fraction(6, 1)
    """
    return element.max


def largest(sign: int, fmt: ElementFormat, policy: Policy) -> Fraction:
    """Return the largest magnitude that a result with this sign may have.

    Two's complement has one more value below zero than above. MX-1.0/5.3.4/int8-min lets an
    implementation leave it unused or use it; OP-INT8-MIN: policy.int8_min chooses.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> largest(1, ELEMENT_FORMATS["int8"], Policy()), largest(1, ELEMENT_FORMATS["e2m1"], Policy())
    (Fraction(127, 64), Fraction(6, 1))
    """
    if fmt.kind is Kind.FIXED and sign == 1 and policy.int8_min is Int8Min.USED:
        return largest_finite(fmt) + fmt.min_subnormal
    return largest_finite(fmt)


def of_nan(number: Number, fmt: ElementFormat, policy: Policy) -> int:
    """Return the code of a NaN.

    OFP8-1.0/nan: a NaN stays a NaN; which one, and its sign (OFP8-1.0/nan-sign), is left to the
    implementation: OP-NAN-PAYLOAD, policy.nan_payload chooses. MX-1.0/5.3/nan-source: what it
    becomes in a format without NaN is left too: OP-NAN-ELEMENT, policy.nan_element chooses.

    Raises
    ------
    ValueError
        If the format has no NaN, and the policy refuses it.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> [hex(of_nan(Number.nan(1), ELEMENT_FORMATS[n], Policy())) for n in ("e4m3", "e2m1")]
    ['0x7f', '0x7']
    """
    if fmt.has_nan:
        return _nan_code(number, fmt, policy)
    sign = number.sign
    match policy.nan_element:
        case NanElement.POS_MAX:
            return pack(0, largest_finite(fmt), fmt, policy)
        case NanElement.SIGNED_MAX:
            return pack(sign, largest(sign, fmt, policy), fmt, policy)
        case NanElement.ZERO:
            return pack(0, Fraction(0), fmt, policy)
        case NanElement.FLIPPED_ZERO:
            return pack(1 - sign, Fraction(0), fmt, policy)
        case NanElement.RAISE:
            raise ValueError(
                f"a NaN cannot be encoded in {fmt.name}, which has none, and the policy refuses "
                "it (nan_element=raise); choose another nan_element, or remove the NaN"
            )
        case _:
            assert_never(policy.nan_element)


def _nan_code(number: Number, fmt: ElementFormat, policy: Policy) -> int:
    sign = number.sign
    nan = max(fmt.nan_magnitudes)
    # The least quiet NaN: IEEE 754 marks it by the top bit of the mantissa. Below that bit
    # E5M2 has one more, and E4M3 has this NaN only.
    top = 1 << (fmt.mantissa_bits - 1)
    quiet = min(m for m in fmt.nan_magnitudes if m & top)
    match policy.nan_payload:
        case NanPayload.CANONICAL:
            return nan
        case NanPayload.NEGATIVE:
            return fmt.sign_mask + nan
        case NanPayload.SIGNED:
            return sign * fmt.sign_mask + nan
        case NanPayload.QUIET_SIGNED:
            return sign * fmt.sign_mask + quiet
        case NanPayload.PAYLOAD:
            return sign * fmt.sign_mask + (quiet | number.payload)
        case _:
            assert_never(policy.nan_payload)


def of_overflow(number: Number, fmt: ElementFormat, policy: Policy) -> int:
    """Return the code of an infinity, or of a number that rounds beyond the largest value.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> hex(of_overflow(Number.inf(1), ELEMENT_FORMATS["e5m2"], Policy(fp8_overflow="overflow")))
    '0xfc'
    """
    if _saturates(number, fmt, policy):
        # OFP8-1.0/overflow-sat, OFP8-1.0/inf-sat, MX-1.0/6.3/clamp-normal
        return pack(number.sign, largest(number.sign, fmt, policy), fmt, policy)
    # OFP8-1.0/overflow-ovf, OFP8-1.0/inf-ovf: infinity, or NaN where there is none.
    if fmt.inf_magnitude is None:
        return of_nan(Number.nan(number.sign), fmt, policy)
    return number.sign * fmt.sign_mask + fmt.inf_magnitude


def _saturates(number: Number, fmt: ElementFormat, policy: Policy) -> bool:
    """Whether an infinity, or a number beyond the range, becomes the largest finite value.

    FP6, FP4 and INT8 clamp (MX-1.0/6.3/clamp; an infinity too: OP-INF-ELEMENT). FP8 has two
    methods, and neither is the default (MX-1.0/6.3/fp8-overflow, OFP8-1.0/modes); IEEE P3109
    4.0, section 4.7.5, has two more. OP-FP8-OVERFLOW: policy.fp8_overflow chooses.
    """
    if not fmt.is_fp8:
        return True
    is_finite, has_inf = number.cls is NumberClass.FINITE, fmt.inf_magnitude is not None
    inward = Rounding.DOWN if number.sign == 0 else Rounding.UP
    points_inward = policy.rounding in (Rounding.TOWARD_ZERO, inward)
    match policy.fp8_overflow:
        case FP8Overflow.SATURATE:
            return True
        case FP8Overflow.OVERFLOW:
            # What OVF means for other modes than to nearest is not specified
            # (OFP8-1.0/rounding-other). Chosen: as IEEE 754 overflows, so a finite number that is
            # rounded toward zero stays finite; and TO_ODD, because infinity has an even code.
            return is_finite and (points_inward or policy.rounding is Rounding.TO_ODD)
        case FP8Overflow.PROPAGATE:
            return is_finite or not has_inf
        case FP8Overflow.SAT_NONE:
            # In P3109 TO_ODD goes to infinity, where there is one.
            return not has_inf or (is_finite and points_inward)
        case _:
            assert_never(policy.fp8_overflow)


def pack(sign: int, magnitude: Fraction, fmt: ElementFormat, policy: Policy) -> int:
    """Return the code with this sign and magnitude, which the format has.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> pack(1, Fraction(3), ELEMENT_FORMATS["e2m1"], Policy())
    13
    """
    if fmt.kind is Kind.FIXED:
        integer = (magnitude / fmt.min_subnormal).numerator
        return (-integer if sign else integer) % fmt.code_count  # two's complement; one zero only
    # OFP8-1.0/sign and OFP8-1.0/zero keep the sign of a zero in FP8; nothing is said of FP6 and
    # FP4. OP-NEG-ZERO: policy.neg_zero chooses, for all of them; DROP_INPUT has been at work in
    # `read`, and lets a result keep its sign.
    if magnitude == 0 and policy.neg_zero is NegZero.DROP:
        sign = 0
    exponent, mantissa = fields_of(magnitude, fmt.mantissa_bits, fmt.bias)
    return sign * fmt.sign_mask + (exponent << fmt.mantissa_bits) + mantissa
