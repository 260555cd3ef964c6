"""A block: k numbers become one scale code and k element codes, and back.

MX-1.0/5.1/block, MX-1.0/6.3/exists. Scale selection and element conversion are two steps; the
second takes any scale code, also one that somebody else selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxref._choices import InfElement, NanElement
from mxref.exact import element, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import block_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.formats import BlockFormat
    from mxref.policy import Policy

__all__ = ["dequantize", "encode_with_scale", "quantize"]


def quantize(
    numbers: Sequence[Number],
    fmt: str | BlockFormat,
    policy: Policy | str | None = None,
    *,
    source: str = "float32",
    random: Sequence[int] | None = None,
    scale_random: int | None = None,
) -> tuple[int, tuple[int, ...]]:
    """Return the scale code and the element codes of a block.

    Parameters
    ----------
    numbers : sequence of Number
        V_1 to V_k.
    fmt : str or BlockFormat
        Such as ``"mxfp4"``.
    policy : Policy, str or None
        Uses what `scale.select` and `element.encode` use; default ``ocp``.
    source : str, default ``"float32"``
        The float format that the numbers came in; it says which numbers were subnormal.
    random : sequence of int, optional
        R for each number, as `element.encode` takes it: for a stochastic rounding.
    scale_random : int, optional
        R for the scale, as `scale.select` takes it: for the rule STOCHASTIC.

    Returns
    -------
    scale_code : int
        The code of X.
    codes : tuple of int
        The codes of P_1 to P_k, as many as numbers were given.

    Raises
    ------
    TypeError
        If a random number is no integer.
    ValueError
        If there is no such format or policy; if the count does not fit the block; for a NaN or
        an infinity that the policy refuses; for random numbers that are missing, too many, too
        few or out of range; for a rule that searches together with a stochastic rounding.

    Notes
    -----
    MX-1.0/6.3/exists, MX-1.0/6.3/scale, MX-1.0/6.3/elements, MX-1.0/6.3/other-recipes;
    OP-BLOCK-GEOMETRY and OP-BLOCK-TAIL concern whoever cuts a tensor into blocks.

    Examples
    --------
    >>> block = [Number.finite(v) for v in (1, -3, 7, 0)]
    >>> quantize(block, "mxfp4/4")
    (127, (2, 13, 7, 0))
    """
    fmt, chosen = block_format(fmt), get_policy(policy)
    _refuse(numbers, fmt, chosen)
    found = scale.selection(numbers, fmt, chosen, source=source, random=scale_random)
    if found.flushes:
        return found.code, (0,) * len(numbers)  # every element is +0, whatever it was
    codes = encode_with_scale(numbers, found.code, fmt, chosen, source=source, random=random)
    return found.code, codes


def encode_with_scale(
    numbers: Sequence[Number],
    scale_code: int,
    fmt: str | BlockFormat,
    policy: Policy | str | None = None,
    *,
    source: str = "float32",
    random: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Return the element codes of a block under a given scale code.

    Parameters
    ----------
    numbers : sequence of Number
        V_1 to V_k.
    scale_code : int
        The code of X, from whatever rule.
    fmt : str or BlockFormat
        Such as ``"mxfp4"``.
    policy : Policy, str or None
        Uses what `element.encode` uses; default ``ocp``.
    source : str, default ``"float32"``
        The float format that the numbers came in; it says which numbers were subnormal.
    random : sequence of int, optional
        R for each number, as `element.encode` takes it: for a stochastic rounding.

    Raises
    ------
    TypeError
        If the scale code or a random number is no integer.
    ValueError
        If there is no such format or policy; if the count does not fit the block, or the scale
        code the format; for a NaN or an infinity that the elements cannot hold and the policy
        refuses (``nan_element="raise"``, ``inf_element="raise"``); for random numbers that are
        missing, too many, too few or out of range.

    Notes
    -----
    MX-1.0/6.3/elements: P_i is V_i / X, quantized. MX-1.0/4/scope leaves the element codes open
    where X is NaN; chosen: V_i / X is then NaN for every V_i, with no sign, and is encoded so.

    Examples
    --------
    >>> encode_with_scale([Number.finite(3), Number.inf(1)], 0x80, "mxfp4/2")
    (3, 15)
    """
    fmt, chosen = block_format(fmt), get_policy(policy)
    scale.check_length(len(numbers), fmt, chosen)
    _refuse(numbers, fmt, chosen)
    X = scale.decode(scale_code, fmt.scale)
    if X.cls is NumberClass.NAN:
        return (element.encode(Number.nan(0), fmt.element, chosen),) * len(numbers)
    if random is None:
        return tuple(
            element.encode(V, fmt.element, chosen, scale=X.value, source=source) for V in numbers
        )
    if len(random) != len(numbers):
        raise ValueError(
            f"one random number for each element is expected, got {len(random)} for "
            f"{len(numbers)} elements; random_bits.of_place takes shared words apart"
        )
    return tuple(
        element.encode(V, fmt.element, chosen, scale=X.value, source=source, random=R)
        for V, R in zip(numbers, random, strict=True)
    )


def _refuse(numbers: Sequence[Number], fmt: BlockFormat, policy: Policy) -> None:
    """Refuse what the elements cannot hold, whatever scale the block has or gets.

    OP-NAN-ELEMENT and OP-INF-ELEMENT: under "raise" the caller does not want such a block at all,
    also where a NaN scale or a flush would hide the number.
    """
    if policy.nan_element is NanElement.RAISE or policy.inf_element is InfElement.RAISE:
        for V in numbers:
            if V.cls in (NumberClass.NAN, NumberClass.INF):
                element.encode(V, fmt.element, policy)  # raises, if it is refused


def dequantize(
    scale_code: int,
    codes: Sequence[int],
    fmt: str | BlockFormat,
    policy: Policy | str | None = None,
) -> tuple[Number, ...]:
    """Return the values of a block, exactly: X * P_i.

    `ieee.to_bits` rounds them, where they must become floats (OP-DECODE-OVERFLOW), and flushes
    them, where the policy wants that (OP-ELEM-SUBNORMAL).

    Parameters
    ----------
    scale_code : int
        The code of X.
    codes : sequence of int
        The codes of P_1 to P_k; fewer for the last block of a padded vector.
    fmt : str or BlockFormat
        Such as ``"mxfp4"``.
    policy : Policy, str or None
        Uses what `element.decode` uses; default ``ocp``.

    Raises
    ------
    TypeError
        If a code is no integer.
    ValueError
        If there is no such format or policy; if there are more than k codes; if a code is out of
        range.

    Notes
    -----
    MX-1.0/5.1/value, MX-1.0/5.1/nan-scale, MX-1.0/5.1/special-elements. OP-DECODE-NAN: under a
    NaN scale the standard asks for NaN only; here it takes the sign of the element, and
    ``policy.decode_nan`` decides in `ieee.to_bits` whether that sign is kept.

    Examples
    --------
    >>> [str(v) for v in dequantize(0x80, (0x1, 0xF, 0x8), "mxfp4")]
    ['1', '-12', '-0']
    >>> [str(v) for v in dequantize(0xFF, (0x0, 0x8), "mxfp4")]
    ['nan', '-nan']
    """
    fmt, chosen = block_format(fmt), get_policy(policy)
    if len(codes) > fmt.block_size:
        raise ValueError(
            f"a block of {fmt.name} has {fmt.block_size} elements, got {len(codes)} codes; "
            "dequantize block by block"
        )
    X = scale.decode(scale_code, fmt.scale)
    return tuple(_value(X, element.decode(code, fmt.element, chosen)) for code in codes)


def _value(X: Number, P: Number) -> Number:
    if X.cls is NumberClass.NAN:
        return Number.nan(P.sign)
    if P.cls in (NumberClass.NAN, NumberClass.INF):
        return P
    return Number.finite(X.value * P.value, sign_of_zero=P.sign)
