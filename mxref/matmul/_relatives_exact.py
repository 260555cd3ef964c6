"""The exact product of operands of other families: by the machinery of MX where that takes them.

Where rows have several scales in float32, each block's sum has a factor of its own, and every
result is summed in whole integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels.gemm import scaled
from mxref.kernels.gemm.rounding import MODES
from mxref.matmul._exact import NANS, OUTPUTS, MatmulInfo, exact_product
from mxref.matmul._integers import float_parts, scaled_integers
from mxref.matmul._relatives import RelativeOperands, RelativeSide
from mxref.matmul._relatives_terms import bdr_integers, terms_of
from mxref.matmul._special import infinities, put_special
from mxref.matmul._terms import (
    INFINITY,
    MINUS,
    MINUS_INFINITY,
    NAN,
    PLUS,
    TIMES_INFINITY,
    ZERO,
    Product,
    Terms,
    classes_of,
    sharing_blocks,
)  # fmt: skip

__all__ = ["exact_relatives"]

_AT_ONCE = 1 << 20  # results whose places are listed at once
_NAN_SCALE = 255
_TURNED = np.array([ZERO, MINUS, PLUS, NAN, MINUS_INFINITY, INFINITY], np.uint8)


def exact_relatives(
    operands: RelativeOperands, dtype: str, rounding: str, out: NDArray[Any], path: int
) -> MatmulInfo:
    """Write the exact product, rounded once, to `out`; the parameters are those of `exact_product`.

    Parameters
    ----------
    operands : RelativeOperands
    dtype, rounding : str
    out : ndarray
    path : int
    """
    a, b = terms_of(operands.a), terms_of(operands.b)
    if a is not None and b is not None:
        product = Product(*sharing_blocks(a, b), operands.c)
        return exact_product(product, dtype, rounding, out, path)
    if not out.size:
        return MatmulInfo("integers", 0, 0, 0, 0)
    return _by_blocks(_blocks_of(operands.a), _blocks_of(operands.b), operands.c, dtype, rounding,
                      out)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Element k of a row is ``integers * factors * 2**places``, the last two those of its block."""

    integers: NDArray[np.int64]
    factors: NDArray[np.int64]
    places: NDArray[np.int64]
    block: int
    kinds: NDArray[np.uint8]

    def in_blocks(self, block: int) -> tuple[NDArray[np.int64], ...]:
        """Integers, factors and places, for blocks of a size that divides these."""
        count = -(-self.integers.shape[1] // block)
        factors, places = (
            np.repeat(array, self.block // block, axis=1)[:, :count]
            for array in (self.factors, self.places)
        )
        contiguous = np.ascontiguousarray
        return contiguous(self.integers), contiguous(factors), contiguous(places)


def _by_blocks(
    a: _Blocks, b: _Blocks, c: NDArray[Any] | None, dtype: str, rounding: str, out: NDArray[Any]
) -> MatmulInfo:
    block = gcd(a.block, b.block)
    rules = (MODES.index(rounding), *OUTPUTS[dtype][:3])
    sign_bit = np.uint64(1) << np.uint64(8 * out.dtype.itemsize - 1)
    sides = (*a.in_blocks(block), *b.in_blocks(block))
    flat, n = out.view(OUTPUTS[dtype][3]).reshape(-1), out.shape[1]
    for start in range(0, flat.size, _AT_ONCE):
        here = np.arange(start, min(flat.size, start + _AT_ONCE))
        addend = np.zeros(len(here))
        if c is not None:
            with np.errstate(invalid="ignore"):  # a signalling NaN
                addend = c[here // n, here % n].astype(np.float64)
            addend[~np.isfinite(addend)] = 0.0
        bits = np.empty(len(here), np.uint64)
        scaled.sum_scaled(
            here // n, here % n, *sides, block, *float_parts(addend), *rules, sign_bit, bits
        )
        flat[here] = bits
    special = _special(a.kinds, b.kinds, c)
    n_special = 0 if special is None else put_special(special, out, NANS[dtype])
    return MatmulInfo("integers", 0, 0, out.size - n_special, n_special)


def _special(
    a: NDArray[np.uint8], b: NDArray[np.uint8], c: NDArray[Any] | None
) -> NDArray[np.float32] | None:
    has_special = (a >= NAN).any() or (b >= NAN).any()
    if not has_special and (c is None or np.isfinite(c).all()):
        return None
    values = np.zeros((len(a), len(b)), np.float32)
    if has_special:
        values = infinities(a, b)
        values[(a == NAN).any(1)] = np.nan
        values[:, (b == NAN).any(1)] = np.nan
    if c is not None:
        with np.errstate(invalid="ignore"):
            values = values + np.where(np.isfinite(c), 0, c).astype(np.float32)
    return values


def _blocks_of(side: RelativeSide) -> _Blocks:
    terms = terms_of(side)
    if terms is not None:
        return _of_terms(terms)
    fmt, k = side.format, side.codes.shape[1]
    numbers = bdr_integers(fmt, 0)
    integers, unit = numbers.table[side.codes], numbers.unit
    classes = None if fmt.float_element is None else classes_of(fmt.float_element)
    if fmt.has_subscales:
        assert side.subscales is not None  # noqa: S101  # such a format has them
        shared = np.repeat(side.subscales, fmt.k2, axis=1)[:, :k].astype(np.int64)
        if fmt.subscale == "int":
            integers = integers * shared
        else:
            integers, unit = integers << (fmt.max_shift - shared), unit - fmt.max_shift
    kinds = np.where(integers > 0, PLUS, np.where(integers < 0, MINUS, ZERO)).astype(np.uint8)
    if classes is not None:
        kinds = classes[side.codes]
    block = max(k, 1) if fmt.k1 is None else fmt.k1
    if fmt.scale == "pow2":
        is_nan, places = side.scales == fmt.nan_scale, side.scales.astype(np.int64) - fmt.bias
        kinds[np.repeat(is_nan, block, axis=1)[:, :k]] = NAN
        return _Blocks(integers, np.ones(places.shape, np.int64), places + unit, block, kinds)
    values = np.broadcast_to(side.scales, (len(side.codes), -(-k // block))).astype(np.float64)
    spread = np.repeat(values, block, axis=1)[:, :k]
    kinds = _under(kinds, spread)
    factors, exponents = float_parts(np.where(np.isfinite(values), values, 0), 24)
    return _Blocks(integers, factors, exponents + unit, block, kinds)


def _under(kinds: NDArray[np.uint8], scales: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What elements are after their scales."""
    kinds = np.where(np.isinf(scales), TIMES_INFINITY[kinds], kinds)
    kinds = np.where(scales < 0, _TURNED[kinds], kinds)
    with_zero = np.where(kinds >= NAN, NAN, ZERO)
    kinds = np.where(scales == 0, with_zero, kinds)
    return np.where(np.isnan(scales), NAN, kinds).astype(np.uint8)


def _of_terms(terms: Terms) -> _Blocks:
    integers, factors, places = scaled_integers(terms)
    kinds = terms.kinds()
    if terms.factors is not None:
        rows = np.broadcast_to(terms.factors, len(kinds)).astype(np.float64)
        kinds = _under(kinds, rows[:, None])
    is_nan = np.repeat(terms.scales == _NAN_SCALE, terms.block, axis=1)[:, : kinds.shape[1]]
    return _Blocks(integers, factors, places, terms.block, np.where(is_nan, NAN, kinds))
