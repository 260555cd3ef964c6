"""NVFP4: what its codes mean and how recipes make them, exactly.

``value = e2m1 * ue4m3 * g``. No standard says how codes are made; an `NVFP4Policy` says it step by
step (OP-NVFP4-RECIPE), and here every step stands as it is: `fl` is one rounding to float32.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from mxref._choices import Rounding
from mxref.exact.ieee import largest
from mxref.exact.number import (
    Number,
    NumberClass,
    fields_of,
    quantum,
    round_to_integer,
)
from mxref.exact.nvfp4_arithmetic import ONE, fl, from_code, is_nan, least_of, over, times
from mxref.exact.nvfp4_scales import (
    GlobalScales,
    block_amax,
    block_scale,
    decode_element,
    decode_scale,
    encode_scale,
    from_global_scale,
    global_scales,
)
from mxref.exact.nvfp4_selection import Block, is_less, selection_error
from mxref.exact.random_bits import Draw, draw
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_profiles import get_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = [
    "Block",
    "GlobalScales",
    "block_amax",
    "block_scale",
    "decode_element",
    "decode_scale",
    "encode_block",
    "encode_element",
    "encode_scale",
    "from_global_scale",
    "global_scales",
    "quantize_block",
    "selection_error",
    "value",
]

_ROUNDINGS = {
    choice.Rounding.NEAREST_EVEN: Rounding.NEAREST_EVEN,
    choice.Rounding.NEAREST_DOWN: Rounding.NEAREST_DOWN,
    choice.Rounding.NEAREST_AWAY: Rounding.NEAREST_AWAY,
    choice.Rounding.TOWARD_ZERO: Rounding.TOWARD_ZERO,
    choice.Rounding.STOCHASTIC: Rounding.STOCHASTIC_A,
}
_MAX_CODE, _SIGN = 0x7, 0x8


# --- values -------------------------------------------------------------------------------------


def value(code: int, scale: int, g: Number, policy: NVFP4Policy | str | None = None) -> Number:
    """Return the value of an element as float32: a number of that type.

    Parameters
    ----------
    code, scale : int
        E2M1 and UE4M3 codes.
    g : Number
        The global decode multiplier.

    Notes
    -----
    OP-NVFP4-RECIPE: decode_order, scale_sign.

    Examples
    --------
    >>> str(value(0x7, 0x38, Number.finite(Fraction(1, 2))))
    '3'
    """
    chosen = get_policy(policy)
    e, s = decode_element(code), decode_scale(scale, chosen)
    match chosen.decode_order:
        case choice.DecodeOrder.EXACT:
            return fl(times(times(e, s), g))
        case choice.DecodeOrder.SCALE_FIRST:
            return fl(times(fl(times(s, g)), e))
        case _:
            assert_never(chosen.decode_order)


# --- elements -----------------------------------------------------------------------------------


def encode_element(
    x: Number,
    scale: int,
    scales: GlobalScales,
    policy: NVFP4Policy | str | None = None,
    random: int | None = None,
) -> int:
    """Return the E2M1 code of a float32 number under a scale code.

    Parameters
    ----------
    x : Number
    scale : int
        The UE4M3 code of its block.
    scales : GlobalScales
    random : int, optional
        R, where rounding is stochastic.

    Raises
    ------
    ValueError
        If random bits are missing or too large.

    Notes
    -----
    OP-NVFP4-RECIPE: element_order, factor_type, factor_cap, zero_scale, rounding, neg_zero,
    nan_element.

    Examples
    --------
    >>> from mxref.exact.nvfp4_arithmetic import real
    >>> six = global_scales(Number.finite(6))
    >>> [hex(encode_element(real(x), 0x7E, six)) for x in (6, -3, Fraction(3, 4))]
    ['0x7', '0xd', '0x2']
    >>> theirs = global_scales(real(6), "torchao")
    >>> hex(encode_element(real(Fraction(3, 4)), 0x7E, theirs, "torchao"))
    '0x1'
    """
    chosen = get_policy(policy)
    bits = int(chosen.stochastic_bits.value)
    drawn: Draw | None = None
    if chosen.rounding is choice.Rounding.STOCHASTIC:
        drawn = draw(random, bits, "rounding=stochastic")
    s = decode_scale(scale, chosen)

    # SCALE
    if chosen.zero_scale is choice.ZeroScale.ZERO and s.cls is NumberClass.ZERO:
        number = x if is_nan(x) else from_code(x.sign ^ s.sign, Fraction(0))
        is_zero_before = x.cls is NumberClass.ZERO
    else:
        number = _scaled(x, s, scales, chosen)
        is_zero_before = number.cls is NumberClass.ZERO

    # CLASSIFY
    if is_nan(number):
        match chosen.nan_element:
            case choice.NanElement.POS_MAX:
                return _MAX_CODE
            case choice.NanElement.SIGNED_MAX:
                return _MAX_CODE | (_SIGN if x.sign else 0)
            case choice.NanElement.ZERO:
                return 0
            case _:
                assert_never(chosen.nan_element)

    # ROUND, OVERFLOW and PACK
    magnitude = _rounded(number, chosen, drawn)
    fmt = NVFP4.element
    exponent, mantissa = fields_of(magnitude, fmt.mantissa_bits, fmt.bias)
    code = (exponent << fmt.mantissa_bits) + mantissa
    return code | (_SIGN if _keeps_sign(number.sign, code, chosen, was_zero=is_zero_before) else 0)


def _keeps_sign(sign: int, code: int, policy: NVFP4Policy, *, was_zero: bool) -> bool:
    match policy.neg_zero:
        case choice.NegZero.KEEP:
            return sign == 1
        case choice.NegZero.DROP_INPUT:
            return sign == 1 and not was_zero
        case choice.NegZero.DROP:
            return sign == 1 and code != 0
        case _:
            assert_never(policy.neg_zero)


def _scaled(x: Number, s: Number, scales: GlobalScales, policy: NVFP4Policy) -> Number:
    """The number that is rounded to E2M1; each `fl` is one float32 operation of the recipe."""
    S, g = scales.encode, scales.decode
    match policy.element_order:
        case choice.ElementOrder.EXACT:
            unit = times(s, g)
            if unit.cls is NumberClass.ZERO and x.cls is NumberClass.ZERO:
                return Number.zero(x.sign ^ unit.sign)  # a zero stays one
            return over(x, unit)
        case choice.ElementOrder.DIVIDE:
            return fl(over(x, fl(times(s, g))))
        case choice.ElementOrder.DIVIDE_ENCODE:
            return fl(over(x, fl(over(s, S))))
        case choice.ElementOrder.RECIPROCAL:
            r = fl(over(ONE, fl(times(s, g))))
        case choice.ElementOrder.QUOTIENT:
            r = fl(over(fl(over(ONE, g)), s))
        case choice.ElementOrder.ENCODE:
            r = fl(over(S, s))
        case _:
            assert_never(policy.element_order)
    kind = policy.factor_type.value
    if policy.factor_cap is choice.FactorCap.CLAMP:
        r = least_of(r, largest(kind))
    return fl(times(x, fl(r, kind)))


def _rounded(number: Number, policy: NVFP4Policy, drawn: Draw | None) -> Fraction:
    """The magnitude rounded to E2M1, at most 6."""
    if number.cls is NumberClass.INF:
        return NVFP4.element_max
    fmt = NVFP4.element
    magnitude = min(number.magnitude, NVFP4.element_max)
    step = quantum(magnitude, fmt.mantissa_bits, fmt.emin)
    return round_to_integer(magnitude / step, 0, _ROUNDINGS[policy.rounding], drawn) * step


# --- blocks -------------------------------------------------------------------------------------


def encode_block(
    block: Sequence[Number],
    scale: int,
    scales: GlobalScales,
    policy: NVFP4Policy | str | None = None,
    random: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Return the codes of a block under a scale code.

    Examples
    --------
    >>> from mxref.exact.nvfp4_arithmetic import real
    >>> encode_block([real(6), real(-1)], 0x7E, global_scales(real(6)))
    (7, 10)
    """
    drawn: Sequence[int | None] = random or [None] * len(block)
    return tuple(
        encode_element(x, scale, scales, policy, R) for x, R in zip(block, drawn, strict=True)
    )


def quantize_block(
    block: Sequence[Number],
    scales: GlobalScales,
    policy: NVFP4Policy | str | None = None,
    random: Sequence[int] | None = None,
    *,
    amax: Number | None = None,
) -> Block:
    """Return the scale code and the codes of a block of float32 numbers.

    Parameters
    ----------
    block : sequence of Number
        16 of them, or all rows of a 16 x 16 block one after the other.
    scales : GlobalScales
        Of the tensor.
    random : sequence of int, optional
        R for each element, where rounding is stochastic.
    amax : Number, optional
        b, if it is not that of these elements alone.

    Examples
    --------
    >>> from mxref.exact.nvfp4_arithmetic import real
    >>> block = [real(6), real(-1)] + [Number.zero(0)] * 14
    >>> quantize_block(block, global_scales(real(6)))[0]
    126
    >>> quantize_block(block, global_scales(real(6)), "nvfp4-exact").codes[:2]
    (7, 10)
    """
    chosen = get_policy(policy)
    b = block_amax(block, chosen) if amax is None else amax
    six = block_scale(b, scales, chosen)
    first = Block(six, encode_block(block, six, scales, chosen, random))
    if chosen.target is not choice.Target.FOUR_OVER_SIX:
        return first
    four = block_scale(b, scales, chosen, is_four=True)
    second = Block(four, encode_block(block, four, scales, chosen, random))
    loses_less = is_less(
        selection_error(block, second, scales, chosen),
        selection_error(block, first, scales, chosen),
    )
    return second if loses_less else first
