"""Single results of exact products, each summed in whole integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mxref.kernels.gemm import fallback, scaled
from mxref.matmul._terms import Product, Terms

__all__ = ["float_parts", "scaled_integers", "sums_in_integers"]

_BIAS, _NAN_SCALE = 127, 255


def sums_in_integers(
    product: Product,
    of_m: NDArray[np.intp],
    of_n: NDArray[np.intp],
    addend: NDArray[np.float64],
    rounding: tuple[int, int, int, int],
    sign_bit: np.uint64,
) -> NDArray[np.uint64]:
    """Return the bits of single results, each summed in integers; NaN and infinities count as 0.

    Parameters
    ----------
    product : Product
    of_m, of_n : ndarray of int
        The row of a and the row of b of each result.
    addend : ndarray of float64
        Of each result; finite.
    rounding : (int, int, int, int)
        The place in `MODES`, precision, emin and emax.
    sign_bit : uint64
    """
    a, m = _picked(product.a, of_m)
    b, n = _picked(product.b, of_n)
    whole, exponents = float_parts(addend)
    bits = np.empty(len(m), np.uint64)
    if product.has_factors:
        sides = (*scaled_integers(a), *scaled_integers(b))
        rules = (*rounding, sign_bit)
        scaled.sum_scaled(m, n, *sides, product.block, whole, exponents, *rules, bits)
        return bits
    fallback.sum_in_integers(
        m, n, a.codes, a.scales, a.numbers.table, b.codes, b.scales, b.numbers.table,
        product.block, a.unit + b.unit, whole, exponents, *rounding, sign_bit, bits,
    )  # fmt: skip
    return bits


def float_parts(
    values: NDArray[np.float64], digits: int = 53
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return integers and exponents of finite numbers with so many digits.

    Examples
    --------
    >>> [part.tolist() for part in float_parts(np.array([-1.5]), 24)]
    [[-12582912], [-23]]
    """
    significand, exponent = np.frexp(values)
    return np.ldexp(significand, digits).astype(np.int64), exponent.astype(np.int64) - digits


def _picked(side: Terms, of: NDArray[np.intp]) -> tuple[Terms, NDArray[np.int64]]:
    """The rows that are needed, contiguous, and the number that each result's row has there."""
    some, back = np.unique(of, return_inverse=True)
    if len(some) == len(side.codes):
        some, back = slice(None), of  # type: ignore[assignment]
    factors = side.factors
    if factors is not None and len(factors) > 1:
        factors = factors[some]
    codes, scales = np.ascontiguousarray(side.codes[some]), np.ascontiguousarray(side.scales[some])
    picked = replace(side, codes=codes, scales=scales, factors=factors, is_infinite=None)
    return picked, back.astype(np.int64)


def scaled_integers(side: Terms) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return elements as integers; of each block a factor, and the exponent of its place."""
    integers = side.numbers.table[side.codes]
    scales = np.where(side.scales == _NAN_SCALE, _BIAS, side.scales).astype(np.int64)
    places = scales + (side.unit - _BIAS)
    factors = np.ones(places.shape, np.int64)
    if side.factors is not None:
        whole, exponents = float_parts(side.factors.astype(np.float64), 24)
        factors *= whole[:, None]
        places += exponents[:, None]
    return integers, factors, places
