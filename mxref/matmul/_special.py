"""Results that are NaN or infinite because an element or a scale is.

OP-DOT-NAN: as in IEEE 754. A NaN gives NaN, infinity times zero and infinity minus infinity too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels.gemm.survey import HAS_NAN, HAS_SPECIAL
from mxref.matmul._terms import INFINITY, MINUS, MINUS_INFINITY, NAN, PLUS, ZERO, Product, Terms

_NAN_SCALE = 0xFF

__all__ = ["infinities", "put_special", "special_dots", "special_results"]

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


def special_results(
    product: Product, a_flags: NDArray[np.uint8], b_flags: NDArray[np.uint8]
) -> NDArray[np.float32] | None:
    """Find the results that NaN and infinities of the operands decide.

    Parameters
    ----------
    product : Product
    a_flags, b_flags : ndarray of uint8
        What the survey found in each row of a and each column of b.

    Returns
    -------
    ndarray of float32, or None
        NaN, infinities, and 0 where neither is; None if there are none at all.
    """
    a, b, c = product.a, product.b, product.c
    is_tame = not a_flags.any() and not b_flags.any()
    if c is not None:
        # ml_dtypes warns of a NaN in bfloat16, and numpy of a signalling one.
        with np.errstate(invalid="ignore"):
            c = np.where(np.isfinite(c), 0, c).astype(np.float32)
    if is_tame and (c is None or not (c != 0).any()):
        return None
    rows, a_infinite = _split(a, a_flags)
    columns, b_infinite = _split(b, b_flags)
    values = np.zeros(product.shape, np.float32)
    if len(a_infinite):
        values[a_infinite] = infinities(a.kinds(a_infinite), b.kinds())
    if len(b_infinite):
        values[:, b_infinite] = infinities(a.kinds(), b.kinds(b_infinite))
    _turn(values, product)
    values[rows] = np.nan
    values[:, columns] = np.nan
    if c is not None:
        with np.errstate(invalid="ignore"):
            values = values + c
    return values


def special_dots(product: Product) -> NDArray[np.float32]:
    """As `special_results`, where each row of a meets one row of b."""
    values = np.array([0, 1, -1, np.nan, np.inf, -np.inf], np.float32)
    a, b = (values[side.kinds()] for side in (product.a, product.b))
    with np.errstate(invalid="ignore"):
        products = a * b
        found = np.where(np.isfinite(products), 0, products).sum(1, dtype=np.float32)
        _turn(found, product)
        is_nan = (product.a.scales == _NAN_SCALE) | (product.b.scales == _NAN_SCALE)
        found = np.where(is_nan.any(1), np.float32(np.nan), found)
        if product.c is not None:
            found = found + np.where(np.isfinite(product.c), 0, product.c).astype(np.float32)
    return np.asarray(found, np.float32)


def _turn(values: NDArray[np.float32], product: Product) -> None:
    """Multiply infinities by the signs of the factors: a factor of zero makes NaN of them."""
    for side, place in ((product.a, 0), (product.b, -1)):
        if side.factors is not None:
            signs = np.sign(side.factors)
            if values.ndim == 2 and place == 0:
                signs = signs[:, None]
            with np.errstate(invalid="ignore"):
                values[...] = np.where(values != 0, values * signs, 0)


def put_special(values: NDArray[np.float32], out: NDArray[Any], nan: int) -> int:
    """Write NaN and infinities over the results of the finite parts; return how many there are."""
    is_special = values != 0
    with np.errstate(all="ignore"):
        out[is_special] = values[is_special].astype(out.dtype)
    out.view(f"u{out.dtype.itemsize}")[np.isnan(values)] = nan
    return int(is_special.sum())


def _split(side: Terms, flags: NDArray[np.uint8]) -> tuple[Bools, NDArray[np.intp]]:
    """Which rows have a NaN, and the numbers of those that have infinities alone."""
    is_nan = (flags & HAS_NAN) != 0
    special = np.flatnonzero(flags & HAS_SPECIAL)
    if not len(special):
        return is_nan, special
    has_nan = (side.kinds(special) == NAN).any(1)
    is_nan[special[has_nan]] = True
    return is_nan, special[~has_nan & ~is_nan[special]]


def infinities(of_a: Bytes, of_b: Bytes) -> NDArray[np.float32]:
    """Return the sum of the products that have an infinite factor: 0 if there are none.

    Parameters
    ----------
    of_a, of_b : ndarray of uint8, shape (M, K) and (N, K)
        What the elements are. Products are counted in float32, which is exact up to 2^24 of them.
    """
    kinds = (INFINITY, MINUS_INFINITY, PLUS, MINUS, ZERO)
    infinite, minus = {INFINITY, MINUS_INFINITY}, {MINUS, MINUS_INFINITY}
    counts = {}
    for x in kinds:
        for y in kinds:
            is_x, is_y = of_a == x, of_b == y
            if infinite & {x, y} and is_x.any() and is_y.any():
                counts[x, y] = (is_x.astype(np.float32) @ is_y.astype(np.float32).T) > 0
    shape = (len(of_a), len(of_b))
    up, down, bad = (np.zeros(shape, np.bool_) for _ in range(3))
    for (x, y), is_there in counts.items():
        if ZERO in {x, y}:
            bad |= is_there
        elif (x in minus) == (y in minus):
            up |= is_there
        else:
            down |= is_there
    values = np.where(up, np.float32(np.inf), np.where(down, -np.float32(np.inf), 0))
    return np.where(bad | (up & down), np.float32(np.nan), values).astype(np.float32)
