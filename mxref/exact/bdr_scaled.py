"""The scale of a BDR block as a float32 number: scaled integers, VSQ and scaled FP8.

Quotients are exact or correctly rounded float32, as the policy says; nothing else rounds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mxref._choices import Rounding
from mxref.exact import ieee
from mxref.exact.bdr_elements import code_of, limit_of, round_magnitude
from mxref.exact.number import (
    Number,
    NumberClass,
    floor_log2,
    power_of_two,
    round_to_integer,
)
from mxref.relatives.bdr_choices import (
    ElementDivisor,
    ElementQuotient,
    ScaleBelow,
    ScaleQuotient,
    SharedExponent,
    Shift,
    SubscaleRounding,
    ZeroBlock,
    ZeroSubblock,
)
from mxref.relatives.bdr_format import SubscaleKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.relatives.bdr_format import BDRFormat
    from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["as_float32", "quantize"]

_ONE = Fraction(1)
_LEAST = power_of_two(-149)


def _f32(magnitude: Fraction) -> Fraction | None:
    """Round to float32, to nearest even; None is infinity."""
    rounded = ieee.round_magnitude(magnitude, "float32")
    return rounded if rounded <= ieee.largest("float32") else None


def as_float32(V: Number) -> Number:
    """Round an input to float32, the type in which these formats are computed.

    Examples
    --------
    >>> str(as_float32(Number.finite(2**200)))
    'inf'
    """
    if V.cls is not NumberClass.FINITE:
        return V
    return _number(_f32(V.magnitude), V.sign)


def quantize(
    block: Sequence[Number], random: Sequence[int | None], fmt: BDRFormat, policy: BDRPolicy
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return the bits of the scale, the sub-scales and the codes of numbers that were read."""
    n_sub = len(block) // fmt.k2 if fmt.has_subscales else 0
    size = fmt.k2 if fmt.has_subscales else max(len(block), 1)
    subs = [block[i : i + size] for i in range(0, len(block), size)]
    amaxes = [max((V.magnitude for V in sub), default=Fraction(0)) for sub in subs]
    amax = max(amaxes, default=Fraction(0))
    if amax == 0:
        is_one = policy.zero_block is ZeroBlock.ONE
        zeros = tuple(code_of(V, _ONE, fmt, policy, R) for V, R in zip(block, random, strict=True))
        return _bits(_ONE if is_one else Fraction(0)), (0,) * n_sub, zeros
    wanted = [_scale(largest, fmt.largest, policy) for largest in amaxes]
    s = max(wanted)
    if fmt.subscale is SubscaleKind.INT:
        s = _scale(s, Fraction(fmt.max_subscale), policy)
    if s == 0:  # it underflowed
        if policy.scale_below is ScaleBelow.FLUSH:
            return _bits(s), (0,) * n_sub, (0,) * len(block)
        s = _LEAST
    subscales: list[int] = []
    codes: list[int] = []
    for i, sub in enumerate(subs):
        drawn = random[i * size : (i + 1) * size]
        if fmt.subscale is SubscaleKind.INT:
            ss = min(_integer(wanted[i] / s, policy), fmt.max_subscale)
            is_rounded = policy.element_divisor is ElementDivisor.ROUNDED
            divisor = ss * s if is_rounded else wanted[i]
            scaled = [_quotient(V, divisor, policy) for V in sub]
            codes += [code_of(V, _ONE, fmt, policy, R) for V, R in zip(scaled, drawn, strict=True)]
            subscales.append(ss)
            continue
        scaled = [_quotient(V, s, policy) for V in sub]
        D = 0
        if fmt.subscale is SubscaleKind.POW2:
            D = _shift(scaled, drawn, fmt, policy)
            subscales.append(D)
        unit = power_of_two(-D)
        codes += [code_of(V, unit, fmt, policy, R) for V, R in zip(scaled, drawn, strict=True)]
    return _bits(s), tuple(subscales), tuple(codes)


def _number(magnitude: Fraction | None, sign: int) -> Number:
    if magnitude is None:
        return Number.inf(sign)
    return Number.finite(-magnitude if sign else magnitude, sign_of_zero=sign)


def _bits(s: Fraction) -> int:
    return ieee.to_bits(Number.finite(s), "float32")


def _scale(amax: Fraction, largest: Fraction, policy: BDRPolicy) -> Fraction:
    """Return amax / largest as float32; it cannot overflow, as `largest` is 1 or more."""
    if policy.scale_quotient is ScaleQuotient.RECIPROCAL:
        reciprocal = _f32(1 / largest)
        found = None if reciprocal is None else _f32(amax * reciprocal)
    else:
        found = _f32(amax / largest)
    return ieee.largest("float32") if found is None else found


def _integer(quotient: Fraction, policy: BDRPolicy) -> int:
    """Return an integer sub-scale."""
    is_up = policy.subscale_rounding is SubscaleRounding.UP
    return round_to_integer(quotient, 0, Rounding.UP if is_up else Rounding.NEAREST_EVEN)


def _quotient(V: Number, divisor: Fraction, policy: BDRPolicy) -> Number:
    """Return V / divisor; zero for a divisor of zero, and infinity where float32 overflows."""
    if V.cls is not NumberClass.FINITE:
        return V
    if divisor == 0:
        return Number.zero(V.sign)
    if policy.element_quotient is ElementQuotient.EXACT:
        return _number(V.magnitude / divisor, V.sign)
    rounded = _f32(divisor)
    if rounded is None:
        return Number.zero(V.sign)
    if policy.element_quotient is ElementQuotient.DIVIDE:
        return _number(_f32(V.magnitude / rounded), V.sign)
    reciprocal = _f32(1 / rounded)
    return _number(None if reciprocal is None else _f32(V.magnitude * reciprocal), V.sign)


def _shift(
    scaled: Sequence[Number], random: Sequence[int | None], fmt: BDRFormat, policy: BDRPolicy
) -> int:
    """Return how far the numbers, in units of s, can move up with the largest still in range."""
    if policy.shift is Shift.OFF:
        return 0
    amax = max(V.magnitude for V in scaled)
    if amax == 0:
        return 0 if policy.zero_subblock is ZeroSubblock.UNSHIFTED else fmt.max_shift
    D = min(max(fmt.m - 1 - floor_log2(amax), 0), fmt.max_shift)
    if D and policy.shared_exponent is SharedExponent.AFTER_ROUNDING:
        unit = power_of_two(-D)
        return D - any(
            round_magnitude(V.magnitude / unit, V.sign, policy, R) > limit_of(V.sign, fmt, policy)
            for V, R in zip(scaled, random, strict=True)
            if V.cls is not NumberClass.INF
        )
    return D
