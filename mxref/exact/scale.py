"""The shared scale: what an E8M0 code stands for, and which one a number or a block gets.

MX-1.0/5.4/e8m0 defines the codes. How a block chooses among them is the affair of the module
`selection`, and its rules that of `rules`; both can be reached from here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, assert_never

from mxref._choices import (
    E8M0Inf,
    E8M0Negative,
    E8M0Overflow,
    E8M0Rounding,
    E8M0Subnormal,
    E8M0Underflow,
    E8M0Zero,
)
from mxref.exact import rules
from mxref.exact.number import (
    Number,
    NumberClass,
    as_code,
    ceil_log2,
    floor_log2,
    power_of_two,
)
from mxref.exact.rules import rule_exponent
from mxref.exact.selection import Selection, check_length, select, selection
from mxref.formats import ScaleFormat, scalar_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from fractions import Fraction

    from mxref.policy import Policy

__all__ = [
    "Selection",
    "check_length",
    "decode",
    "encode",
    "rule_exponent",
    "select",
    "selection",
]


def _scale_format(scale: str | ScaleFormat) -> ScaleFormat:
    found = scalar_format(scale)
    if not isinstance(found, ScaleFormat):
        raise ValueError(f"{scale!r} is an element format; a scale format is expected: 'e8m0'")  # noqa: TRY004
    return found


def decode(scale_code: int, scale: str | ScaleFormat) -> Number:
    """Return the number that a scale code stands for: a power of two, or NaN.

    Parameters
    ----------
    scale_code : int
        The bit pattern.
    scale : str or ScaleFormat
        ``"e8m0"``.

    Raises
    ------
    TypeError
        If `scale_code` is no integer.
    ValueError
        If there is no such format, or `scale_code` is not one of its bit patterns.

    Notes
    -----
    MX-1.0/5.4/e8m0.

    Examples
    --------
    >>> decode(0x80, "e8m0").value, str(decode(0xFF, "e8m0"))
    (Fraction(2, 1), 'nan')
    """
    fmt = _scale_format(scale)
    return _decode(as_code(scale_code, fmt.bits, f"scale code of {fmt.name}"), fmt)


@functools.cache
def _decode(scale_code: int, fmt: ScaleFormat) -> Number:
    if scale_code == fmt.nan_code:
        return Number.nan(0)
    return Number.finite(power_of_two(scale_code - fmt.bias))


def encode(number: Number, scale: str | ScaleFormat, policy: Policy | str | None = None) -> int:
    """Return the scale code of one number: a cast, which no block and no recipe takes part in.

    Parameters
    ----------
    number : Number
        The number.
    scale : str or ScaleFormat
        ``"e8m0"``.
    policy : Policy, str or None
        Uses ``e8m0_rounding``, ``e8m0_zero``, ``e8m0_negative``, ``e8m0_inf``,
        ``e8m0_overflow``, ``e8m0_underflow`` and ``e8m0_subnormal``; default ``ocp``.

    Raises
    ------
    ValueError
        If there is no such format or policy.

    Notes
    -----
    MX-1.0/5.4/e8m0 defines the codes and no cast to them; OP-E8M0-CAST.

    Examples
    --------
    >>> hex(encode(Number.finite(3), "e8m0"))
    '0x80'
    >>> hex(encode(Number.finite(3), "e8m0", "ocp:e8m0_rounding=nearest"))
    '0x81'
    """
    fmt, chosen = _scale_format(scale), get_policy(policy)

    # CLASSIFY: E8M0 has neither sign nor zero nor infinity. Each may become NaN, or the scale
    # that comes nearest to it; the policy chooses, case by case.
    if number.cls is NumberClass.NAN:
        return fmt.nan_code
    if number.cls is NumberClass.ZERO:  # of either sign
        return 0 if chosen.e8m0_zero is E8M0Zero.MIN else fmt.nan_code
    if number.sign == 1 and chosen.e8m0_negative is E8M0Negative.NAN:
        return fmt.nan_code
    if number.cls is NumberClass.INF:
        return fmt.max_code if chosen.e8m0_inf is E8M0Inf.SATURATE else fmt.nan_code

    # SCALE: a cast has none. What a float32 subnormal counts for is a choice.
    magnitude = number.magnitude
    if chosen.e8m0_subnormal is E8M0Subnormal.BITS and magnitude < rules.LEAST_NORMAL:
        magnitude = rules.as_float32_bits(magnitude)

    # ALIGN and ROUND: to a power of two, exponents unbounded.
    exponent = _rounded_log2(magnitude, fmt, chosen)

    # OVERFLOW: too large and too small are choices.
    if exponent > fmt.emax:
        return fmt.max_code if chosen.e8m0_overflow is E8M0Overflow.SATURATE else fmt.nan_code
    if exponent < fmt.emin:
        return 0 if chosen.e8m0_underflow is E8M0Underflow.MIN else fmt.nan_code

    # PACK
    return exponent + fmt.bias


def _rounded_log2(magnitude: Fraction, fmt: ScaleFormat, policy: Policy) -> int:
    below, above = floor_log2(magnitude), ceil_log2(magnitude)
    match policy.e8m0_rounding:
        case E8M0Rounding.DOWN:
            return below
        case E8M0Rounding.UP:
            return above
        case E8M0Rounding.NEAREST:
            middle = (power_of_two(below) + power_of_two(above)) / 2
            return above if magnitude >= middle else below  # a tie goes up
        case E8M0Rounding.NEAREST_EVEN:
            return rules.nearest_even_exponent(magnitude, fmt.bias)
        case _:
            assert_never(policy.e8m0_rounding)
