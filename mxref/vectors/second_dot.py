"""A second computation of dot products, which shares no code with `mxref.exact`.

Products are exact in float64: elements have at most 8 significant bits, scales are powers of two.
`math.fsum` sums them as though exactly and rounds once, to 53 bits; the sign of what that rounding
left over turns it into a rounding to odd; then one cast to float32 rounds the exact sum correctly,
since 53 bits are at least two more than 24.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.arrays import decode
from mxref.formats import BlockFormat

__all__ = ["dot"]

_BIAS = 127
_NAN_SCALE = 0xFF

Bytes = NDArray[np.uint8]


def dot(  # two operands of three parts each
    k: int,
    scales_a: Bytes,
    codes_a: Bytes,
    scales_b: Bytes,
    codes_b: Bytes,
    fmt_a: BlockFormat,
    fmt_b: BlockFormat,
) -> np.float32:
    """Return the dot product of the first k elements, exact and then rounded once.

    Parameters
    ----------
    k : int
        How many elements count.
    scales_a, scales_b : array of uint8
        A scale code for each block.
    codes_a, codes_b : array of uint8
        Element codes, whole blocks; those behind the first k are padding.
    fmt_a, fmt_b : BlockFormat
        The formats; their block sizes must agree.

    Notes
    -----
    MX-1.0/6.1/dot, MX-1.0/6.2/dot-general, MX-1.0/6.2/padding.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> codes, scales = np.full(32, 0x3, np.uint8), np.array([0x80], np.uint8)
    >>> dot(2, scales, codes, scales, codes, block_format("mxfp4"), block_format("mxfp4"))
    np.float32(18.0)
    """
    size = fmt_a.block_size
    n = -(-k // size)
    if _NAN_SCALE in scales_a[:n] or _NAN_SCALE in scales_b[:n]:
        return np.float32(np.nan)
    elements_a = decode(codes_a[:k], fmt_a.element).astype(np.float64)
    elements_b = decode(codes_b[:k], fmt_b.element).astype(np.float64)
    with np.errstate(invalid="ignore"):
        products = elements_a * elements_b
    special = products[~np.isfinite(products)]
    if special.size:
        found = set(special.tolist())
        # The NaN of the processor has a sign of its own: Inf * 0 is negative on x86.
        is_nan = len(found) > 1 or np.isnan(special).any()
        return np.float32(math.nan if is_nan else found.pop())
    return _to_float32(list(_scaled(products, scales_a, scales_b, size)))


def _scaled(products: NDArray[Any], scales_a: Bytes, scales_b: Bytes, size: int) -> Iterator[float]:
    for index, product in enumerate(products.tolist()):
        block = index // size
        yield math.ldexp(product, int(scales_a[block]) + int(scales_b[block]) - 2 * _BIAS)


def _to_float32(terms: list[float]) -> np.float32:
    nearest = math.fsum(terms)
    rest = math.fsum([*terms, -nearest])
    if rest and not _is_odd(nearest):
        nearest = math.nextafter(nearest, math.copysign(math.inf, rest))
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(nearest + 0.0)  # the sum of zeros is +0


def _is_odd(value: float) -> bool:
    return bool(np.float64(value).view(np.uint64) & np.uint64(1))
