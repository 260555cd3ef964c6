"""Elements of a BDR format: what a number counts as, an integer with a sign, and its code."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, assert_never

from mxref._choices import Rounding
from mxref.exact import element, ieee
from mxref.exact.number import Number, NumberClass, as_code, round_to_integer
from mxref.exact.random_bits import draw
from mxref.policy import Policy
from mxref.relatives.bdr_choices import BDRInf, BDRNan, BDRRounding, InputSubnormal, IntMin, NegZero
from mxref.relatives.bdr_format import Element

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from mxref.relatives.bdr_format import BDRFormat
    from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["code_of", "decode", "limit_of", "read", "round_magnitude", "takes_nan_scale"]

_STOCHASTIC = (BDRRounding.STOCHASTIC_A, BDRRounding.STOCHASTIC_B, BDRRounding.STOCHASTIC_C)


def takes_nan_scale(numbers: Sequence[Number], policy: BDRPolicy) -> bool:
    """Whether a NaN or an infinity among the numbers makes the whole block NaN."""
    kinds = {V.cls for V in numbers}
    return (NumberClass.NAN in kinds and policy.nan is BDRNan.NAN_SCALE) or (
        NumberClass.INF in kinds and policy.inf is BDRInf.NAN_SCALE
    )


def read(V: Number, policy: BDRPolicy, source: str) -> Number:
    """Return what a number counts as; an infinity stands for "the largest of its sign".

    Examples
    --------
    >>> from mxref.relatives.bdr_profiles import get_bdr_policy
    >>> str(read(Number.nan(1), get_bdr_policy("bdr-paper:nan=max"), "float32"))
    'inf'
    """
    match V.cls:
        case NumberClass.NAN:
            return Number.inf(0) if policy.nan is BDRNan.MAX else Number.zero(0)
        case NumberClass.INF:
            return V if policy.inf is BDRInf.CLAMP else Number.zero(V.sign)
        case NumberClass.FINITE | NumberClass.ZERO:
            flushes = policy.input_subnormal is InputSubnormal.FLUSH
            return ieee.flushed(V, source) if flushes else V
        case _:
            assert_never(V.cls)


def round_magnitude(magnitude: Fraction, sign: int, policy: BDRPolicy, random: int | None) -> int:
    """Return a magnitude rounded to an integer as the policy says; the sign is the number's."""
    mode, drawn = policy.rounding, None
    if mode in _STOCHASTIC:
        drawn = draw(random, int(policy.stochastic_bits), f"rounding={mode}")
    return round_to_integer(magnitude, sign, _plain_mode(mode, sign), drawn)


def _plain_mode(mode: BDRRounding, sign: int) -> Rounding:
    """Return the mode for numbers of one sign: ties up are ties away or toward zero."""
    if mode is BDRRounding.HALF_UP:
        return Rounding.NEAREST_DOWN if sign else Rounding.NEAREST_AWAY
    return Rounding(mode.value)


def limit_of(sign: int, fmt: BDRFormat, policy: BDRPolicy) -> int:
    """Return the largest magnitude of an integer element of this sign."""
    reaches = fmt.element is Element.TWOS_COMPLEMENT and policy.int_min is IntMin.USED
    return fmt.max_magnitude + (sign if reaches else 0)


def code_of(
    V: Number, unit: Fraction, fmt: BDRFormat, policy: BDRPolicy, random: int | None
) -> int:
    """Return the code of a number that `read` returned, with `unit` as the value of M = 1.

    Elements in OFP8 count `unit` as 1.0.
    """
    if fmt.float_element is not None:
        return _float_code(V, unit, fmt, policy, random)
    limit = limit_of(V.sign, fmt, policy)
    M = limit
    if V.cls is not NumberClass.INF:
        M = min(limit, round_magnitude(V.magnitude / unit, V.sign, policy, random))
    if fmt.element is Element.TWOS_COMPLEMENT:
        return (-M if V.sign else M) & (fmt.code_count - 1)
    keeps_sign = M > 0 or policy.neg_zero is NegZero.KEEP
    return M + (fmt.sign_mask if V.sign and keeps_sign else 0)


def _float_code(
    V: Number, unit: Fraction, fmt: BDRFormat, policy: BDRPolicy, random: int | None
) -> int:
    """OFP8, saturating; what is open there and no BDR policy settles cannot occur."""
    assert fmt.float_element is not None  # noqa: S101  # for the type checker
    if V.cls is NumberClass.INF:
        return fmt.max_magnitude + (fmt.sign_mask if V.sign else 0)
    if policy.rounding in _STOCHASTIC:
        draw(random, int(policy.stochastic_bits), f"rounding={policy.rounding}")
    chosen = _cast_policy(policy, V.sign)
    return element.encode(V, fmt.float_element, chosen, scale=unit, random=random)


@functools.lru_cache(maxsize=256)
def _cast_policy(policy: BDRPolicy, sign: int) -> Policy:
    return Policy(
        rounding=_plain_mode(policy.rounding, sign),
        stochastic_bits=policy.stochastic_bits,
        neg_zero=policy.neg_zero.value,  # type: ignore[arg-type]
    )


def decode(code: int, fmt: BDRFormat) -> Number:
    """Return the element of a code: M with its sign, or the OFP8 number.

    Raises
    ------
    TypeError, ValueError
        If it is no code of the format.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> str(decode(0x1F, bdr_format("mx6"))), str(decode(0x80, bdr_format("scaled_int8")))
    ('-15', '-128')
    """
    pattern = as_code(code, fmt.code_bits, f"code of {fmt.name}")
    if fmt.float_element is not None:
        return element.decode(pattern, fmt.float_element)
    sign = pattern >> fmt.m
    if fmt.element is Element.TWOS_COMPLEMENT:
        return Number.finite(pattern - (fmt.code_count if sign else 0))
    return Number.finite(-(pattern - fmt.sign_mask) if sign else pattern, sign_of_zero=sign)
