"""The dot product of blocks, and of vectors of blocks: the exact sum.

MX-1.0/6.1/dot and MX-1.0/6.2/dot-general. The standard leaves precision and order open
(MX-1.0/6.1/precision, MX-1.0/6.2/precision; OP-DOT-PRECISION, OP-DOT-GROUPING,
OP-DOT-SCALE-PLACE); the policy has the infinitely precise sum only, which no order can change.
`ieee.to_bits` rounds it once (MX-1.0/6.2/float32, OP-DOT-OUTPUT).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mxref.exact import element, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import block_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mxref.formats import BlockFormat

__all__ = ["dot", "dot_general", "product", "sum_of"]


def dot(
    scale_code_a: int,
    codes_a: Sequence[int],
    fmt_a: str | BlockFormat,
    scale_code_b: int,
    codes_b: Sequence[int],
    fmt_b: str | BlockFormat,
) -> Number:
    """Return the exact dot product of two blocks: X_A * X_B * (sum of P_iA * P_iB).

    Parameters
    ----------
    scale_code_a, scale_code_b : int
        The scale codes.
    codes_a, codes_b : sequence of int
        The element codes, as many on both sides and at most k.
    fmt_a, fmt_b : str or BlockFormat
        The formats. They may differ in the element (MX-1.0/6.1/mixed-types,
        OP-DOT-MIXED-TYPES), not in the block size.

    Returns
    -------
    Number
        NaN without a sign if a scale or an element is NaN, if an infinity meets a zero, or if
        infinities of both signs meet (OP-DOT-NAN: as in IEEE 754). A sum of zero is +0, since
        the real number has no sign (OP-DOT-OUTPUT).

    Raises
    ------
    TypeError
        If a code is no integer.
    ValueError
        If there is no such format; if the operands do not fit each other; if a code is out of
        range.

    Notes
    -----
    MX-1.0/6.1/dot, MX-1.0/5.1/nan-scale, MX-1.0/5.1/special-elements.

    Examples
    --------
    >>> dot(0x80, (0x1, 0x7), "mxfp4/2", 0x7F, (0x2, 0xF), "mxfp4/2").value
    Fraction(-71, 1)
    """
    fmt_a, fmt_b = block_format(fmt_a), block_format(fmt_b)
    k = fmt_a.block_size
    if fmt_b.block_size != k or len(codes_a) != len(codes_b) or len(codes_a) > k:
        raise ValueError(
            "a dot product takes two blocks of one size, got "
            f"{len(codes_a)} codes of {fmt_a.name} and {len(codes_b)} codes of {fmt_b.name} "
            f"(k = {k} and {fmt_b.block_size})"
        )
    X_A, X_B = scale.decode(scale_code_a, fmt_a.scale), scale.decode(scale_code_b, fmt_b.scale)
    P_A = [element.decode(code, fmt_a.element) for code in codes_a]
    P_B = [element.decode(code, fmt_b.element) for code in codes_b]
    total = sum_of(product(a, b) for a, b in zip(P_A, P_B, strict=True))
    return product(product(X_A, X_B), total)


def dot_general(
    blocks_a: Sequence[tuple[int, Sequence[int]]],
    fmt_a: str | BlockFormat,
    blocks_b: Sequence[tuple[int, Sequence[int]]],
    fmt_b: str | BlockFormat,
) -> Number:
    """Return the exact dot product of two vectors of blocks: the sum of their `dot`.

    Parameters
    ----------
    blocks_a, blocks_b : sequence of (scale_code, codes)
        The blocks, as many on both sides. The last may be short, in place of the padding that
        MX-1.0/6.2/padding assumes.
    fmt_a, fmt_b : str or BlockFormat
        The formats.

    Returns
    -------
    Number
        As `dot`; +0 for vectors without a block.

    Raises
    ------
    TypeError, ValueError
        As `dot`; ValueError if the vectors differ in length.

    Notes
    -----
    MX-1.0/6.2/dot-general, MX-1.0/6.2/precision.

    Examples
    --------
    >>> ones = (0x7F, (0x2,) * 32)
    >>> dot_general([ones, ones], "mxfp4", [ones, ones], "mxfp4").value
    Fraction(64, 1)
    """
    if len(blocks_a) != len(blocks_b):
        raise ValueError(
            "a general dot product takes vectors of as many blocks, got "
            f"{len(blocks_a)} and {len(blocks_b)}"
        )
    pairs = zip(blocks_a, blocks_b, strict=True)
    return sum_of(dot(X_A, P_A, fmt_a, X_B, P_B, fmt_b) for (X_A, P_A), (X_B, P_B) in pairs)


def product(a: Number, b: Number) -> Number:
    """Return the product, with the special values of IEEE 754."""
    sign = a.sign ^ b.sign
    classes = {a.cls, b.cls}
    if NumberClass.NAN in classes or classes == {NumberClass.INF, NumberClass.ZERO}:
        return Number.nan(0)
    if NumberClass.INF in classes:
        return Number.inf(sign)
    return Number.finite(a.value * b.value, sign_of_zero=sign)


def sum_of(terms: Iterable[Number]) -> Number:
    """Return the sum, with the special values of IEEE 754; zero is +0."""
    total = Fraction(0)
    infinities: set[int] = set()
    has_nan = False
    for term in terms:
        if term.cls is NumberClass.NAN:
            has_nan = True
        elif term.cls is NumberClass.INF:
            infinities.add(term.sign)
        else:
            total += term.value
    if has_nan or len(infinities) > 1:
        return Number.nan(0)
    if infinities:
        return Number.inf(infinities.pop())
    return Number.finite(total)
