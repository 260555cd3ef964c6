"""Dot products of NVFP4 and BDR operands: the exact sum of products of values.

Every value is what its format says, a rational number that nothing has rounded: in NVFP4 the
element times the block's scale times the global scale. Order and precision do not matter to an
exact sum; `ieee.to_bits` rounds it once. Operands of any two formats can meet, those of MX too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxref.exact import bdr, element, nvfp4, nvfp4_scales, scale
from mxref.exact.dot import product, sum_of
from mxref.exact.number import Number
from mxref.formats import block_format
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.nvfp4_format import NVFP4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.formats import BlockFormat
    from mxref.relatives.bdr_format import BDRFormat
    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["bdr_values", "dot_values", "mx_values", "nvfp4_values"]


def nvfp4_values(
    codes: Sequence[int],
    scales: Sequence[int],
    global_scale: Number,
    policy: NVFP4Policy | str | None = None,
) -> list[Number]:
    """Return the values of a vector in NVFP4, exactly.

    Parameters
    ----------
    codes : sequence of int
        Element codes.
    scales : sequence of int
        A scale code for each 16 elements; the last block may be short.
    global_scale : Number
        The decode multiplier of the tensor.
    policy : NVFP4Policy or str, optional
        It says whether the sign bit of a scale counts.

    Examples
    --------
    >>> [str(v) for v in nvfp4_values([0x7, 0x9], [0x40], Number.finite(3))]
    ['36', '-3']
    """
    X = [product(nvfp4_scales.decode_scale(code, policy), global_scale) for code in scales]
    return [
        product(X[i // NVFP4.block_size], nvfp4.decode_element(code))
        for i, code in enumerate(codes)
    ]


def bdr_values(
    codes: Sequence[int], scales: Sequence[int], subscales: Sequence[int], fmt: str | BDRFormat
) -> list[Number]:
    """Return the values of a vector in a BDR format, exactly.

    Parameters
    ----------
    codes : sequence of int
    scales : sequence of int
        Of each block of k1 the code of a power of two, or the bits of a float32.
    subscales : sequence of int
        Of each sub-block of k2; empty without a second level.
    fmt : str or BDRFormat

    Examples
    --------
    >>> [str(v) for v in bdr_values([1, 0x82, 4], [130], [0, 1], "mx9:k1=4")]
    ['1/8', '-1/4', '1/4']
    """
    fmt = bdr_format(fmt)
    k1 = max(len(codes), 1) if fmt.k1 is None else fmt.k1
    values: list[Number] = []
    for j, X in enumerate(scales):
        part = codes[j * k1 : (j + 1) * k1]
        shared: Sequence[int] = ()
        if fmt.has_subscales:
            n_sub = k1 // fmt.k2
            shared = subscales[j * n_sub : (j + 1) * n_sub]
        values += bdr.dequantize(X, shared, part, fmt)
    return values


def mx_values(codes: Sequence[int], scales: Sequence[int], fmt: str | BlockFormat) -> list[Number]:
    """Return the values of a vector in an MX format, exactly.

    Examples
    --------
    >>> [str(v) for v in mx_values([0x7, 0x9], [128], "mxfp4")]
    ['12', '-1']
    """
    fmt = block_format(fmt)
    X = [scale.decode(code, fmt.scale) for code in scales]
    return [
        product(X[i // fmt.block_size], element.decode(code, fmt.element))
        for i, code in enumerate(codes)
    ]


def dot_values(a: Sequence[Number], b: Sequence[Number]) -> Number:
    """Return the exact dot product of two vectors of values.

    Returns
    -------
    Number
        NaN if a value is NaN, if an infinity meets a zero, or if infinities of both signs meet, as
        in IEEE 754 (OP-DOT-NAN). A sum of zero is +0.

    Raises
    ------
    ValueError
        If they differ in length.

    Examples
    --------
    >>> a = nvfp4_values([0x7] * 16, [0x7E], Number.finite(1))
    >>> str(dot_values(a, mx_values([0x2] * 16, [127], "mxfp4")))
    '43008'
    """
    if len(a) != len(b):
        raise ValueError(f"a dot product takes vectors of one length, got {len(a)} and {len(b)}")
    return sum_of(product(x, y) for x, y in zip(a, b, strict=True))
