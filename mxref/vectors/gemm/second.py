"""A second computation of matrix products, over integers, which shares nothing with `mxref.exact`.

Elements count units of 2^-16, of which every element is a multiple, so that products are integers,
and two scale codes shift them. Their sum is exact; one rounding by hand makes a float32 of it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mxref.arrays import decode
from mxref.formats import BlockFormat, ElementFormat
from mxref.vectors.driver import planes
from mxref.vectors.operations import Inputs

__all__ = [
    "BLOCK",
    "NAN_SCALE",
    "SCALES",
    "TOTAL",
    "UNIT",
    "element_units",
    "exact_texts",
    "matmul",
    "to_float32",
    "totals",
]

Bytes = NDArray[np.uint8]
Pair = tuple[BlockFormat, BlockFormat]
Total = int | float
"""A sum in units of 2^-286; or NaN or an infinity."""

UNIT = 16  # of an element: 2^-16
SCALES = 254  # two biases
TOTAL = 2 * UNIT + SCALES
NAN_SCALE = 0xFF
BLOCK = 32
_LEAST = -149  # the exponent of float32's least subnormal
_DIGITS = 24
_INFINITY = 0x7F800000
_NAN = 0x7FC00000


@functools.cache
def element_units(fmt: ElementFormat) -> tuple[Total, ...]:
    """Return the value of every code in units of 2^-16; NaN and infinities as they are.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> element_units(element_format("e2m1"))[1]  # 0.5
    32768
    """
    values = decode(np.arange(fmt.code_count, dtype=np.uint8), fmt).astype(np.float64).tolist()
    return tuple(int(math.ldexp(v, UNIT)) if math.isfinite(v) else v for v in values)


def matmul(
    fmts: Pair, scales_a: Bytes, codes_a: Bytes, scales_b: Bytes, codes_b: Bytes
) -> NDArray[np.float32]:
    """Return the product of two matrices, exact and then rounded once.

    Parameters
    ----------
    fmts : pair of BlockFormat
        The formats, with blocks of 32.
    scales_a, scales_b : array of uint8, shape (lines, blocks)
        A scale code for each block.
    codes_a, codes_b : array of uint8, shape (lines, k)
        Element codes; row i of a meets row j of b.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> codes, scales = np.full((1, 2), 0x3, np.uint8), np.array([[0x80]], np.uint8)
    >>> matmul((block_format("mxfp4"),) * 2, scales, codes, scales, codes)
    array([[18.]], dtype=float32)
    """
    sums = totals(fmts, scales_a, codes_a, scales_b, codes_b)
    bits = np.array([to_float32(total) for total in sums], np.uint32)
    return bits.view(np.float32).reshape(len(codes_a), len(codes_b))


def totals(
    fmts: Pair, scales_a: Bytes, codes_a: Bytes, scales_b: Bytes, codes_b: Bytes
) -> Iterator[Total]:
    """Yield the exact sums, row by row; parameters as of `matmul`."""
    sides = []
    given = ((scales_a, codes_a), (scales_b, codes_b))
    for fmt, (scales, codes) in zip(fmts, given, strict=True):
        table = element_units(fmt.element)
        sides.append(
            [
                (own, [table[code] for code in line])
                for own, line in zip(scales.tolist(), codes.tolist(), strict=True)
            ]
        )
    for own_a, line_a in sides[0]:
        for own_b, line_b in sides[1]:
            yield _total(own_a, line_a, own_b, line_b)


def _total(own_a: list[int], line_a: list[Total], own_b: list[int], line_b: list[Total]) -> Total:
    if NAN_SCALE in own_a or NAN_SCALE in own_b:
        return math.nan
    total, special = 0, 0.0
    for block, (scale_a, scale_b) in enumerate(zip(own_a, own_b, strict=True)):
        lanes = slice(block * BLOCK, (block + 1) * BLOCK)
        inner = 0
        for x, y in zip(line_a[lanes], line_b[lanes], strict=True):
            if isinstance(x, int) and isinstance(y, int):
                inner += x * y
            else:
                special += float(x) * float(y)  # NaN from infinity times zero, as in IEEE 754
        total += inner << (scale_a + scale_b)
    return special or total


def to_float32(total: Total) -> int:
    """Return the bits of a sum rounded to nearest, ties to even.

    Examples
    --------
    >>> hex(to_float32(3 << TOTAL))
    '0x40400000'
    """
    if isinstance(total, float):
        return _NAN if math.isnan(total) else _INFINITY | (total < 0) << 31
    sign = (total < 0) << 31
    magnitude = abs(total)
    # The step of the binade, in units of the sum.
    step = max(magnitude.bit_length() - _DIGITS, _LEAST + TOTAL)
    count, rest = magnitude >> step, magnitude & ((1 << step) - 1)
    half = 1 << (step - 1)
    count += rest > half or (rest == half and count & 1)
    # A count of 2^24 carries into the exponent by itself.
    bits = count + ((step - _LEAST - TOTAL) << (_DIGITS - 1))
    return sign | min(bits, _INFINITY)


def exact_texts(fmts: Pair, inputs: Inputs) -> tuple[str, ...]:
    """Return the exact values of a case as a file writes them.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> b = Inputs(None, (0x2, 0x3), scales=(0x7F,))
    >>> case = Inputs(None, (0x2, 0x2), scales=(0x80,), other=b, shape=(1, 1, 2))
    >>> exact_texts((block_format("mxfp4"),) * 2, case)
    ('0x5p+0',)
    """
    scales_a, codes_a, scales_b, codes_b = planes(inputs)
    return tuple(map(_text, totals(fmts, scales_a, codes_a, scales_b, codes_b)))


def _text(total: Total) -> str:
    if isinstance(total, float):
        return str(total)
    if not total:
        return "0x0p+0"
    shift = (total & -total).bit_length() - 1
    return f"{total >> shift:#x}p{shift - TOTAL:+d}"
