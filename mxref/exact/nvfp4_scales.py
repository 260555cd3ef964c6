"""The scales of NVFP4, exactly: that of the tensor, those of its blocks; and what codes mean.

The names are those of ``mxref.relatives.nvfp4_choices``: b and amax, T and M, S and g, s.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, assert_never

from mxref._choices import Rounding
from mxref.exact.ieee import largest
from mxref.exact.number import (
    Number,
    NumberClass,
    as_code,
    fields_of,
    quantum,
    round_to_integer,
    value_of_fields,
)
from mxref.exact.nvfp4_arithmetic import (
    NAN,
    ONE,
    fl,
    from_code,
    is_nan,
    least_of,
    over,
    real,
    times,
)
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_profiles import get_policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = [
    "GlobalScales",
    "block_amax",
    "block_scale",
    "decode_element",
    "decode_scale",
    "encode_scale",
    "from_global_scale",
    "global_scales",
]

_NAN_CODE, _MOST = NVFP4.scale_nan_code, 0x7E
_ROUNDINGS = {
    choice.ScaleRounding.NEAREST_EVEN: Rounding.NEAREST_EVEN,
    choice.ScaleRounding.NEAREST_UP: Rounding.NEAREST_AWAY,
    choice.ScaleRounding.TOWARD_ZERO: Rounding.TOWARD_ZERO,
}
_LEAST = {
    choice.ScaleLeast.ZERO: Fraction(0),
    choice.ScaleLeast.SUBNORMAL: NVFP4.scale_min,
    choice.ScaleLeast.NORMAL: NVFP4.scale_min_normal,
}
_TINY = Fraction(1, 1 << 126)


class GlobalScales(NamedTuple):
    """The scale of a tensor in both forms.

    Attributes
    ----------
    encode, decode : Number
        S and g, both float32 numbers.
    amax : Number
        What they come from, or what g stands for.
    """

    encode: Number
    decode: Number
    amax: Number


def target(policy: NVFP4Policy) -> int:
    """Return T, the value that b is mapped to; of four over six, that of its first candidate.

    Examples
    --------
    >>> target(get_policy("fouroversix-static-4"))
    4
    """
    return 4 if policy.target is choice.Target.FOUR else 6


def top(policy: NVFP4Policy) -> int:
    """Return M.

    Examples
    --------
    >>> top(get_policy("te-four-over-six"))
    256
    """
    return int(policy.scale_top.value)


def global_scales(amax: Number, policy: NVFP4Policy | str | None = None) -> GlobalScales:
    """Return S and g of a tensor whose largest magnitude is `amax`.

    Parameters
    ----------
    amax : Number
        A float32 number; its sign is ignored.
    policy : NVFP4Policy, str or None
        Default ``te-1d``.

    Notes
    -----
    OP-NVFP4-RECIPE: levels, global_order, global_zero, global_cap.

    Examples
    --------
    >>> S, g, _ = global_scales(Number.finite(6))
    >>> str(S), g.value == Fraction(9586981, 2**32)
    ('448', True)
    """
    chosen = get_policy(policy)
    if chosen.levels is choice.Levels.ONE:
        return GlobalScales(ONE, ONE, amax)
    size = Number(0, amax.cls, amax.magnitude, amax.payload)
    if chosen.global_zero is choice.GlobalZero.TINY and (
        size.cls is NumberClass.ZERO or (size.cls is NumberClass.FINITE and size.magnitude < _TINY)
    ):
        size = real(_TINY)
    product = real(target(chosen) * top(chosen))
    is_one = chosen.global_zero is choice.GlobalZero.ONE and size.cls is NumberClass.ZERO
    match chosen.global_order:
        case choice.GlobalOrder.RECIPROCAL | choice.GlobalOrder.INVERTED:
            if chosen.global_order is choice.GlobalOrder.INVERTED:
                S = fl(times(fl(over(ONE, size)), product))
            else:
                S = fl(over(product, size))
            S = _capped(S, chosen)
            if is_one or (
                chosen.global_zero is choice.GlobalZero.ONE and S.cls is NumberClass.ZERO
            ):
                S = ONE
            return GlobalScales(S, fl(over(ONE, S)), size)
        case choice.GlobalOrder.QUOTIENT:
            g = fl(over(size, product))
            if chosen.global_zero is choice.GlobalZero.ONE and g.cls is NumberClass.ZERO:
                g = ONE
            return GlobalScales(_capped(fl(over(ONE, g)), chosen), g, size)
        case _:
            assert_never(chosen.global_order)


def from_global_scale(g: Number, policy: NVFP4Policy | str | None = None) -> GlobalScales:
    """Return S and g where only g is known: S is fl(1/g), and amax fl(g * T * M).

    A recipe that computed S first may have had a neighbour of that.

    Examples
    --------
    >>> str(from_global_scale(Number.finite(Fraction(1, 4))).encode)
    '4'
    """
    chosen = get_policy(policy)
    amax = fl(times(g, real(target(chosen) * top(chosen))))
    return GlobalScales(_capped(fl(over(ONE, g)), chosen), g, amax)


def _capped(S: Number, policy: NVFP4Policy) -> Number:
    match policy.global_cap:
        case choice.GlobalCap.FLOAT32:
            return least_of(S, largest("float32"))
        case choice.GlobalCap.BFLOAT16:
            return least_of(S, largest("bfloat16"))
        case choice.GlobalCap.ONE:
            return ONE if S.cls in (NumberClass.INF, NumberClass.NAN) else S
        case choice.GlobalCap.NONE:
            return S
        case _:
            assert_never(policy.global_cap)


def block_amax(block: Iterable[Number], policy: NVFP4Policy | str | None = None) -> Number:
    """Return the largest magnitude, as ``amax_nan`` has it.

    Examples
    --------
    >>> str(block_amax([real(-3), NAN])), str(block_amax([NAN], "torchao"))
    ('3', 'nan')
    """
    chosen = get_policy(policy)
    result = Number.zero(0)
    for number in block:
        if is_nan(number):
            if chosen.amax_nan is choice.AmaxNan.PROPAGATE:
                return NAN
        elif number.cls is NumberClass.INF:
            result = Number.inf(0)
        elif result.cls is not NumberClass.INF and number.magnitude > result.magnitude:
            result = real(number.magnitude)
    # A NaN after an infinity has been seen by the loop too: it returns, or is left out.
    return result


def block_scale(
    b: Number,
    scales: GlobalScales,
    policy: NVFP4Policy | str | None = None,
    *,
    is_four: bool = False,
) -> int:
    """Return the scale code of a block with the largest magnitude b.

    Parameters
    ----------
    b : Number
        A float32 number without a sign.
    scales : GlobalScales
    policy : NVFP4Policy, str or None
    is_four : bool
        The candidate of four over six that maps b to 4.

    Notes
    -----
    OP-NVFP4-RECIPE: scale_order, scale_zero, scale_least, scale_rounding, scale_overflow.

    Examples
    --------
    >>> scales = global_scales(Number.finite(6))
    >>> hex(block_scale(Number.finite(6), scales)), hex(block_scale(Number.finite(3), scales))
    ('0x7e', '0x76')
    """
    chosen = get_policy(policy)
    number = _wanted(b, scales, chosen)
    if is_four:
        number = times(number, real(Fraction(3, 2)))
        if chosen.scale_order is not choice.ScaleOrder.EXACT:
            number = fl(number)
    if chosen.scale_zero is choice.ScaleZero.ONE and number.cls is NumberClass.ZERO:
        number = ONE
    least = _LEAST[chosen.scale_least]
    if number.cls in (NumberClass.ZERO, NumberClass.FINITE) and number.magnitude < least:
        number = real(least)
    code = encode_scale(number, chosen)
    if chosen.scale_zero is choice.ScaleZero.EIGHTH and code == 0:
        return 0x20
    return code


def _wanted(b: Number, scales: GlobalScales, policy: NVFP4Policy) -> Number:
    """The number that becomes the scale; each `fl` is one float32 operation of the recipe."""
    T, S, g = real(target(policy)), scales.encode, scales.decode
    match policy.scale_order:
        case choice.ScaleOrder.FOLDED:
            return fl(times(b, fl(times(S, fl(over(ONE, T))))))
        case choice.ScaleOrder.DIVIDED:
            return fl(times(fl(over(b, T)), S))
        case choice.ScaleOrder.QUOTIENT:
            return fl(over(fl(over(b, T)), g))
        case choice.ScaleOrder.PRODUCT:
            return fl(over(b, fl(times(T, g))))
        case choice.ScaleOrder.EXACT:
            return over(b, times(T, g))
        case _:
            assert_never(policy.scale_order)


def encode_scale(number: Number, policy: NVFP4Policy | str | None = None) -> int:
    """Return the UE4M3 code of a number that has no minus sign.

    Notes
    -----
    OP-NVFP4-RECIPE: scale_rounding, scale_overflow.

    Examples
    --------
    >>> hex(encode_scale(real(448))), hex(encode_scale(real(Fraction(17, 16)), "gguf"))
    ('0x7e', '0x39')
    >>> hex(encode_scale(NAN))
    '0x7f'
    """
    chosen = get_policy(policy)
    fmt = NVFP4.scale

    # CLASSIFY
    if is_nan(number):
        return _NAN_CODE
    beyond = _NAN_CODE if chosen.scale_overflow is choice.ScaleOverflow.NAN else _MOST
    if number.cls is NumberClass.INF:
        return beyond

    # ALIGN and ROUND
    step = quantum(number.magnitude, fmt.mantissa_bits, fmt.emin)
    rounding = _ROUNDINGS[chosen.scale_rounding]
    rounded = round_to_integer(number.magnitude / step, 0, rounding) * step

    # OVERFLOW
    if rounded > NVFP4.scale_max:
        return beyond

    # PACK
    exponent, mantissa = fields_of(rounded, fmt.mantissa_bits, fmt.bias)
    return (exponent << fmt.mantissa_bits) + mantissa


def decode_scale(code: int, policy: NVFP4Policy | str | None = None) -> Number:
    """Return the number that a scale code stands for.

    Raises
    ------
    TypeError, ValueError
        If it is no code of 8 bits.

    Notes
    -----
    OP-NVFP4-RECIPE: scale_sign.

    Examples
    --------
    >>> str(decode_scale(0x38)), str(decode_scale(0x01)), str(decode_scale(0x7F))
    ('1', '1/512', 'nan')
    """
    fmt = NVFP4.scale
    sign, rest = divmod(as_code(code, 8, "scale code"), 0x80)
    if rest == _NAN_CODE:
        return NAN
    if get_policy(policy).scale_sign is choice.ScaleSign.IGNORE:
        sign = 0
    exponent, mantissa = divmod(rest, 1 << fmt.mantissa_bits)
    return from_code(sign, value_of_fields(exponent, mantissa, fmt.mantissa_bits, fmt.bias))


def decode_element(code: int) -> Number:
    """Return the number that an E2M1 code stands for.

    Raises
    ------
    TypeError, ValueError
        If it is no code of 4 bits.

    Examples
    --------
    >>> [str(decode_element(code)) for code in (0x0, 0x1, 0x7, 0x8, 0xF)]
    ['0', '1/2', '6', '-0', '-6']
    """
    fmt = NVFP4.element
    sign, rest = divmod(as_code(code, fmt.bits, "code of e2m1"), 1 << (fmt.bits - 1))
    exponent, mantissa = divmod(rest, 1 << fmt.mantissa_bits)
    return from_code(sign, value_of_fields(exponent, mantissa, fmt.mantissa_bits, fmt.bias))
