"""The shared scale: what an E8M0 code stands for, and which one a number or a block gets.

MX-1.0/5.4/e8m0 defines the codes. How a block chooses among them is a recipe that the standard
recommends (MX-1.0/6.3/scale) and that others replace (MX-1.0/6.3/other-recipes).
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from mxref._choices import (
    BlockTail,
    E8M0Inf,
    E8M0Negative,
    E8M0Overflow,
    E8M0Rounding,
    E8M0Zero,
    Rounding,
    ScaleAbove,
    ScaleInf,
    ScaleNan,
    ScaleRule,
    ScaleZeroBlock,
)
from mxref.exact.element import largest_finite, quantum
from mxref.exact.number import (
    Number,
    NumberClass,
    as_code,
    ceil_log2,
    floor_log2,
    power_of_two,
    round_to_integer,
)
from mxref.formats import ElementFormat, ScaleFormat, block_format, element_format, scalar_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.formats import BlockFormat
    from mxref.policy import Policy

__all__ = ["check_length", "decode", "encode", "rule_exponent", "select"]


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
        Uses ``e8m0_rounding``, ``e8m0_zero``, ``e8m0_negative``, ``e8m0_inf`` and
        ``e8m0_overflow``; default ``ocp``.

    Raises
    ------
    ValueError
        If there is no such format or policy.

    Notes
    -----
    MX-1.0/5.4/e8m0 defines the codes and no cast to them; OP-E8M0-CAST.

    Examples
    --------
    >>> hex(encode(Number.finite(Fraction(3, 2)), "e8m0"))
    '0x7f'
    >>> hex(encode(Number.finite(Fraction(3, 2)), "e8m0", "ocp:e8m0_rounding=nearest"))
    '0x80'
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

    # SCALE: a cast has none.

    # ALIGN: between which powers of two does the number lie?
    below, above = floor_log2(number.magnitude), ceil_log2(number.magnitude)

    # ROUND
    match chosen.e8m0_rounding:
        case E8M0Rounding.DOWN:
            exponent = below
        case E8M0Rounding.UP:
            exponent = above
        case E8M0Rounding.NEAREST:
            middle = (power_of_two(below) + power_of_two(above)) / 2
            exponent = above if number.magnitude >= middle else below  # a tie goes up
        case _:
            assert_never(chosen.e8m0_rounding)

    # OVERFLOW: too large is a choice, too small becomes the smallest scale.
    if exponent > fmt.emax:
        return fmt.max_code if chosen.e8m0_overflow is E8M0Overflow.SATURATE else fmt.nan_code

    # PACK
    return max(exponent, fmt.emin) + fmt.bias


def select(
    numbers: Sequence[Number], fmt: str | BlockFormat, policy: Policy | str | None = None
) -> int:
    """Return the scale code of a block.

    Parameters
    ----------
    numbers : sequence of Number
        The elements of one block.
    fmt : str or BlockFormat
        Such as ``"mxfp4"``.
    policy : Policy, str or None
        Uses ``scale_rule``, ``scale_zero_block``, ``scale_nan``, ``scale_inf``, ``scale_above``,
        ``scale_below`` and ``block_tail``; default ``ocp``.

    Raises
    ------
    ValueError
        If there is no such format or policy; if the count does not fit the block; for a NaN or
        an infinity that the policy refuses.

    Notes
    -----
    MX-1.0/6.3/scale, MX-1.0/6.3/other-recipes; OP-SCALE-RULE, OP-SCALE-LOG2, OP-SCALE-QUOTIENT,
    OP-SCALE-SUBNORMAL, OP-SCALE-ZERO-BLOCK, OP-SCALE-NONFINITE, OP-SCALE-RANGE, OP-BLOCK-TAIL.

    Examples
    --------
    >>> block = [Number.finite(7)] + [Number.zero(0)] * 31
    >>> select(block, "mxfp4") - 127, select(block, "mxfp4", "ocp:scale_rule=rceil") - 127
    (0, 1)
    """
    fmt, chosen = block_format(fmt), get_policy(policy)
    check_length(len(numbers), fmt, chosen)

    # CLASSIFY
    special = _scale_of_special(numbers, fmt.scale, chosen)
    if special is not None:
        return special
    amax = max((n.magnitude for n in numbers if n.cls is NumberClass.FINITE), default=None)
    if amax is None:
        return _scale_of_zeros(fmt, chosen)

    # ALIGN and ROUND: to a power of two, exponents unbounded.
    exponent = rule_exponent(amax, fmt.element, chosen.scale_rule)

    # OVERFLOW: MX-1.0/5.4/e8m0 ends at 2^127, and the recipe does not say what then.
    # OP-SCALE-RANGE: clamp or NaN; policy.scale_above chooses. Below 2^-127 the least scale
    # takes over (policy.scale_below has that choice only).
    if exponent > fmt.scale.emax and chosen.scale_above is ScaleAbove.NAN:
        return fmt.scale.nan_code

    # PACK
    return min(max(exponent, fmt.scale.emin), fmt.scale.emax) + fmt.scale.bias


def rule_exponent(amax: Fraction, element: str | ElementFormat, rule: ScaleRule) -> int:
    """Return the exponent of the scale that a rule gives to a block, without bounds.

    Parameters
    ----------
    amax : fractions.Fraction
        The largest magnitude of the block, greater than 0.
    element : str or ElementFormat
        The element format.
    rule : ScaleRule
        OP-SCALE-RULE: MX-1.0/6.3/scale recommends FLOOR; ``policy.scale_rule`` chooses.

    Notes
    -----
    Logarithms and quotients are those of real numbers (OP-SCALE-LOG2, OP-SCALE-QUOTIENT), also
    for an amax that came as a subnormal (OP-SCALE-SUBNORMAL).

    Examples
    --------
    >>> [rule_exponent(Fraction(15, 8), "e2m1", rule) + 2 for rule in ScaleRule]
    [0, 1, 1, 1, 1, 1, 1, 1]
    """
    fmt = element_format(element)
    emax, mantissa_bits = _emax(fmt), fmt.mantissa_bits
    floor = floor_log2(amax)
    match ScaleRule(rule):
        case ScaleRule.FLOOR:
            # The largest power of two <= amax, over the largest power of two of the format.
            return floor - emax
        case ScaleRule.CEIL:
            return ceil_log2(amax) - emax
        case ScaleRule.RCEIL:
            # The least X with amax / X <= max.
            return ceil_log2(amax / largest_finite(fmt))
        case ScaleRule.EVEN | ScaleRule.EVEN_DOWN:
            # FLOOR of amax rounded to as many mantissa bits as the element has.
            ties = Rounding.NEAREST_AWAY if rule is ScaleRule.EVEN else Rounding.NEAREST_DOWN
            step = power_of_two(floor - mantissa_bits)
            return floor_log2(round_to_integer(amax / step, 0, ties) * step) - emax
        case ScaleRule.TOSA:
            # The least X with amax / X rounding to no more than max. FLOOR is where to begin:
            # at half its X, amax / X is 2^(emax + 1) at least, which no format has.
            exponent = floor - emax
            while _rounded_to_nearest(amax / power_of_two(exponent), fmt) > largest_finite(fmt):
                exponent += 1
            return exponent
        case ScaleRule.NEAREST_LOG:
            # floor(log2(amax) + 1/2): the largest e with 2^e <= amax * sqrt(2), in which both
            # sides are squared: 2^(2e) <= 2 * amax^2.
            return floor_log2(2 * amax * amax) // 2 - emax
        case ScaleRule.PLUS_ONE:
            return floor - emax + 1
        case _:
            assert_never(rule)


def _rounded_to_nearest(magnitude: Fraction, fmt: ElementFormat) -> Fraction:
    step = quantum(magnitude, fmt)
    return round_to_integer(magnitude / step, 0, Rounding.NEAREST_EVEN) * step


@functools.cache
def _emax(fmt: ElementFormat) -> int:
    return fmt.emax


def _scale_of_special(numbers: Sequence[Number], scale: ScaleFormat, policy: Policy) -> int | None:
    """The scale code that a NaN or an infinity forces upon a block, or None.

    MX-1.0/6.3/scale speaks of max|V_i| only. OP-SCALE-NONFINITE: policy.scale_nan and
    policy.scale_inf choose. Where both are present and differ, a refusal goes before the NaN
    scale, the NaN scale before saturation, and saturation before the finite elements.
    """
    nan = policy.scale_nan if any(n.cls is NumberClass.NAN for n in numbers) else None
    inf = policy.scale_inf if any(n.cls is NumberClass.INF for n in numbers) else None
    if nan is ScaleNan.RAISE:
        raise ValueError(
            "the block holds a NaN, and the policy refuses it (scale_nan=raise); remove it, or "
            "choose scale_nan=nan-scale or ignore"
        )
    if inf is ScaleInf.RAISE:
        raise ValueError(
            "the block holds an infinity, and the policy refuses it (scale_inf=raise); remove "
            "it, or choose scale_inf=nan-scale, saturate or ignore"
        )
    if nan is ScaleNan.NAN_SCALE or inf is ScaleInf.NAN_SCALE:
        return scale.nan_code
    return scale.max_code if inf is ScaleInf.SATURATE else None


def _scale_of_zeros(fmt: BlockFormat, policy: Policy) -> int:
    """The scale code of a block without a finite element other than zero.

    MX-1.0/6.3/scale has no answer, as no power of two is at most 0. OP-SCALE-ZERO-BLOCK:
    policy.scale_zero_block chooses. Every scale but NaN stands for the same zeros.
    """
    match policy.scale_zero_block:
        case ScaleZeroBlock.MIN:
            return 0
        case ScaleZeroBlock.ONE:
            return fmt.scale.bias
        case ScaleZeroBlock.MINUS_EMAX:
            return fmt.scale.bias - _emax(fmt.element)
        case ScaleZeroBlock.NAN:
            return fmt.scale.nan_code
        case _:
            assert_never(policy.scale_zero_block)


def check_length(count: int, fmt: BlockFormat, policy: Policy) -> None:
    """Refuse a number of elements that makes no block (MX-1.0/5.1/block, OP-BLOCK-TAIL).

    Under ``block_tail="zero-pad"`` a block may be short: the zeros that fill it change neither
    amax nor the other codes, so nobody needs to write them.

    Raises
    ------
    ValueError
        If `count` is 0, or more than k; or less than k, and the policy forbids it.
    """
    short = policy.block_tail is BlockTail.ZERO_PAD and 0 < count < fmt.block_size
    if count != fmt.block_size and not short:
        raise ValueError(
            f"a block of {fmt.name} has {fmt.block_size} elements, got {count}; pad with zeros, "
            "or choose block_tail=zero-pad for a shorter last block"
        )
