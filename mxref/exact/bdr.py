"""A block of a BDR format: k1 numbers become a scale, sub-scales and codes, and back.

arXiv 2302.08007, OP-BDR-QUANTIZER. Scales are powers of two here, or float32 numbers as
``bdr_scaled`` finds them. The whole is written for one block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxref.exact import bdr_scaled, ieee
from mxref.exact.bdr_elements import (
    code_of,
    decode,
    limit_of,
    read,
    round_magnitude,
    takes_nan_scale,
)
from mxref.exact.number import Number, NumberClass, as_code, floor_log2, power_of_two
from mxref.relatives.bdr_choices import (
    ScaleAbove,
    ScaleBelow,
    SharedExponent,
    Shift,
    ZeroBlock,
    ZeroSubblock,
)
from mxref.relatives.bdr_format import ScaleKind, SubscaleKind
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_profiles import get_bdr_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from mxref.relatives.bdr_format import BDRFormat
    from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["decode_scale", "dequantize", "quantize"]

_NAN_SCALE_BITS = 0x7FC00000
"""The float32 NaN that stands for the scale of a block that is NaN."""


def quantize(
    numbers: Sequence[Number],
    fmt: str | BDRFormat,
    policy: BDRPolicy | str | None = None,
    *,
    source: str = "float32",
    random: Sequence[int] | None = None,
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return the scale, the sub-scales and the element codes of a block.

    Parameters
    ----------
    numbers : sequence of Number
        V_1 to V_k1; fewer for the last block of a padded vector, completed with zeros.
    fmt : str or BDRFormat
        Such as ``"mx9"``.
    policy : BDRPolicy, str or None
        Default ``bdr-paper``.
    source : str, default ``"float32"``
        The float format that the numbers came in; it says which were subnormal. Formats with a
        float32 scale round a float64 to float32 first.
    random : sequence of int, optional
        R for each number, under a stochastic rounding.

    Returns
    -------
    scale : int
        The code E of a power of two, or the bits of a float32 scale.
    subscales : tuple of int
        The shifts D, or the integers ss, k1 / k2 of them; empty without a second level.
    codes : tuple of int
        As many as numbers were given.

    Raises
    ------
    TypeError
        If a random number is no integer.
    ValueError
        If there is no such format or policy, if there are too many numbers, or random numbers are
        missing, of another count or out of range.

    Examples
    --------
    >>> block = [Number.finite(v) for v in (8, -3, 1, 0)]
    >>> quantize(block, "mx4:k1=4")
    (130, (0, 1), (2, 5, 0, 0))
    """
    fmt, chosen = bdr_format(fmt), get_bdr_policy(policy)
    if fmt.k1 is not None and len(numbers) > fmt.k1:
        raise ValueError(
            f"a block of {fmt.name} has {fmt.k1} elements, got {len(numbers)} numbers; "
            "quantize block by block"
        )
    if random is not None and len(random) != len(numbers):
        raise ValueError(
            f"one random number for each element is expected, got {len(random)} for "
            f"{len(numbers)} elements"
        )
    missing = (fmt.k1 or len(numbers)) - len(numbers)
    given = [None] * len(numbers) if random is None else random
    drawn: list[int | None] = [*given, *[0] * missing]
    if fmt.scale is ScaleKind.FLOAT32 and source == "float64":
        numbers = [bdr_scaled.as_float32(V) for V in numbers]
        source = "float32"
    nothing = (0,) * (len(numbers) + missing)
    n_sub = len(nothing) // fmt.k2 if fmt.has_subscales else 0
    if takes_nan_scale(numbers, chosen):
        nan = fmt.nan_scale if fmt.scale is ScaleKind.POW2 else _NAN_SCALE_BITS
        return nan, (0,) * n_sub, nothing[: len(numbers)]
    block = [read(V, chosen, source) for V in numbers] + [Number.zero(0)] * missing
    convert = _quantize if fmt.scale is ScaleKind.POW2 else bdr_scaled.quantize
    scale, subscales, codes = convert(block, drawn, fmt, chosen)
    return scale, subscales, codes[: len(numbers)]


def _quantize(
    block: Sequence[Number], random: Sequence[int | None], fmt: BDRFormat, policy: BDRPolicy
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """With a power of two as scale."""
    n_sub = len(block) // fmt.k2 if fmt.has_subscales else 0
    amax = _amax(block)
    if amax == 0:
        E, shifts = fmt.bias if policy.zero_block is ZeroBlock.ONE else 0, [0] * n_sub
    else:
        E = _exponent(block, random, amax, fmt, policy)
        if fmt.max_scale < E and policy.scale_above is ScaleAbove.NAN_SCALE:
            return fmt.nan_scale, (0,) * n_sub, (0,) * len(block)
        if E < 0 and policy.scale_below is ScaleBelow.FLUSH:
            return 0, (0,) * n_sub, (0,) * len(block)
        E = min(max(E, 0), fmt.max_scale)
        shifts = [
            _shift(E, block[i * fmt.k2 : (i + 1) * fmt.k2], random[i * fmt.k2 :], fmt, policy)
            for i in range(n_sub)
        ]
    codes = tuple(
        code_of(V, _unit(E, shifts[i // fmt.k2] if n_sub else 0, fmt), fmt, policy, random[i])
        for i, V in enumerate(block)
    )
    return E, tuple(shifts), codes


def _amax(block: Sequence[Number]) -> Fraction:
    """Return the largest finite magnitude: what stands for an infinity has none."""
    return max(V.magnitude for V in block)


def _unit(E: int, D: int, fmt: BDRFormat) -> Fraction:
    """Return the value of M = 1: 2**(1-m) * 2**-D * 2**(E-bias)."""
    return fmt.step * power_of_two(E - fmt.bias - D)


def _exponent(
    block: Sequence[Number],
    random: Sequence[int | None],
    amax: Fraction,
    fmt: BDRFormat,
    policy: BDRPolicy,
) -> int:
    """Return E before it is held in range: that of amax, one more where rounding carries out."""
    E = floor_log2(amax) + fmt.bias
    if policy.shared_exponent is SharedExponent.AFTER_ROUNDING:
        E += _overflows(block, random, _unit(E, 0, fmt), fmt, policy)
    return E


def _overflows(
    numbers: Sequence[Number],
    random: Sequence[int | None],
    unit: Fraction,
    fmt: BDRFormat,
    policy: BDRPolicy,
) -> bool:
    """Whether some number rounds beyond the largest element."""
    return any(
        round_magnitude(V.magnitude / unit, V.sign, policy, R) > limit_of(V.sign, fmt, policy)
        for V, R in zip(numbers, random, strict=False)
        if V.cls is not NumberClass.INF
    )


def _shift(
    E: int,
    sub: Sequence[Number],
    random: Sequence[int | None],
    fmt: BDRFormat,
    policy: BDRPolicy,
) -> int:
    """Return D: how far the largest exponent of a sub-block lies below E, as far as D reaches."""
    if policy.shift is Shift.OFF:
        return 0
    amax = _amax(sub)
    if amax == 0 and policy.zero_subblock is ZeroSubblock.UNSHIFTED:
        return 0
    exponent = floor_log2(amax) + fmt.bias if amax else 0
    D = min(max(E - exponent, 0), fmt.max_shift)
    is_after = policy.shared_exponent is SharedExponent.AFTER_ROUNDING
    return D - bool(D and is_after and _overflows(sub, random, _unit(E, D, fmt), fmt, policy))


def decode_scale(scale: int, fmt: str | BDRFormat) -> Number:
    """Return the number that a scale stands for.

    Parameters
    ----------
    scale : int
        The code of a power of two, or the bits of a float32.

    Raises
    ------
    TypeError, ValueError
        If there is no such format, or it has no such scale.

    Examples
    --------
    >>> str(decode_scale(130, "mx9")), str(decode_scale(0xFF, "mx9"))
    ('8', 'nan')
    """
    fmt = bdr_format(fmt)
    if fmt.scale is ScaleKind.FLOAT32:
        return ieee.from_bits(scale, "float32")
    E = as_code(scale, fmt.d1, f"scale code of {fmt.name}")
    if fmt.nan_scale == E:
        return Number.nan(0)
    return Number.finite(power_of_two(E - fmt.bias))


def dequantize(
    scale: int,
    subscales: Sequence[int],
    codes: Sequence[int],
    fmt: str | BDRFormat,
) -> tuple[Number, ...]:
    """Return the values of a block, exactly. Decoding leaves nothing open.

    Parameters
    ----------
    scale : int
        The code of a power of two, or the bits of a float32.
    subscales : sequence of int
        One for each sub-block; empty without a second level.
    codes : sequence of int
        At most k1.

    Raises
    ------
    TypeError
        If a code is no integer.
    ValueError
        If there is no such format, or the counts or a code do not fit it.

    Notes
    -----
    A scale of NaN makes every element NaN, one of infinity those that are not zero infinite.

    Examples
    --------
    >>> [str(v) for v in dequantize(130, (0, 1), (2, 5, 1, 4), "mx4:k1=4")]
    ['8', '-4', '2', '-0']
    """
    fmt = bdr_format(fmt)
    if fmt.k1 is not None and len(codes) > fmt.k1:
        raise ValueError(f"a block of {fmt.name} has {fmt.k1} elements, got {len(codes)} codes")
    n_sub = -(-len(codes) // fmt.k2) if fmt.has_subscales else 0
    if len(subscales) < n_sub or (not fmt.has_subscales and subscales):
        raise ValueError(
            f"{len(codes)} codes of {fmt.name} have {n_sub} sub-scales, got {len(subscales)}"
        )
    shared = [as_code(ss, fmt.d2, f"sub-scale of {fmt.name}") for ss in subscales]
    X = decode_scale(scale, fmt)
    return tuple(
        _value(X, shared[i // fmt.k2] if shared else None, decode(code, fmt), fmt)
        for i, code in enumerate(codes)
    )


def _value(X: Number, subscale: int | None, P: Number, fmt: BDRFormat) -> Number:
    if X.cls is NumberClass.NAN or P.cls is NumberClass.NAN:
        return Number.nan(0)
    factor = power_of_two(0) if fmt.scale is ScaleKind.FLOAT32 else fmt.step
    if subscale is not None:
        factor *= power_of_two(-subscale) if fmt.subscale is SubscaleKind.POW2 else subscale
    sign = P.sign ^ X.sign
    if NumberClass.INF in (X.cls, P.cls):
        is_nan = factor == 0 or NumberClass.ZERO in (X.cls, P.cls)
        return Number.nan(0) if is_nan else Number.inf(sign)
    return Number.finite(P.value * factor * X.value, sign_of_zero=sign)
