"""Sums times factors that are no powers of two: behind a product, and in whole integers.

A scale in float32 that a whole row shares stands behind the sum. Its product with the factor of the
other side has 48 bits and is exact in float64; times a sum it is known as a pair. Where a row has
several such scales, and where a pair does not decide, results are summed in integers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from mxref.kernels._jit import float_kernel, helper, parallel_slot
from mxref.kernels.float_mode import restore_floats, steady_floats
from mxref.kernels.gemm.fallback import LOW, WORDS, add_integer, bits_of
from mxref.kernels.gemm.rounding import times_exactly

__all__ = ["sum_scaled", "times_factors"]


def times_factors(high: Any, low: Any, of_a: Any, of_b: Any) -> None:
    """Multiply sums and their errors, in place, by a factor of each row and of each column.

    Where `low` is zero the product is exact; elsewhere `low` is rounded twice on its way.

    Parameters
    ----------
    high, low : ndarray of float64, shape (M, N)
    of_a, of_b : ndarray of float64, shape (M,) and (N,)
        They hold float32 numbers.
    """
    with parallel_slot(8 * high.size) as parallel:
        _times_factors(parallel)(high, low, of_a, of_b)


@cache
def _times_factors(parallel: bool) -> Any:
    @float_kernel(key="gemm-times-factors", parallel=parallel)
    def run(high, low, of_a, of_b):  # type: ignore[no-untyped-def]
        rows, columns = high.shape
        for row in numba.prange(rows):
            before = steady_floats()
            for n in range(columns):
                factor = of_a[row] * of_b[n]
                product, lost = times_exactly(high[row, n], factor)
                high[row, n] = product
                low[row, n] = lost + low[row, n] * factor
            restore_floats(before)

    return run


def sum_scaled(*arguments: Any) -> None:
    """Compute single results; the arguments are those of `run`, below."""
    with parallel_slot(arguments[0].size * arguments[2].shape[1] * 4) as parallel:
        _sum_scaled(parallel)(*arguments)


@helper
def _add_scaled(words, value, x, y, place):  # type: ignore[no-untyped-def]
    """Add value * x * y * 2^(place - 1152); value has 63 bits, x and y have 28, and signs."""
    factor = np.int64(x * y)
    low, high = np.int64(factor & np.int64(0xFFFFFFF)), np.int64(factor >> 28)
    rest = value
    for part in range(3):
        piece = rest if part == 2 else np.int64(rest & np.int64(0x1FFFFF))
        rest = np.int64(rest >> 21)
        add_integer(words, 0, np.int64(piece * low), place + 21 * part)
        add_integer(words, 0, np.int64(piece * high), place + 21 * part + 28)


@cache
def _sum_scaled(parallel: bool) -> Any:
    @float_kernel(key="gemm-sum-scaled", parallel=parallel)
    def run(  # type: ignore[no-untyped-def]
        of_m, of_n, a, a_factors, a_places, b, b_factors, b_places, block,
        significands, exponents, mode, precision, emin, emax, sign_bit, out,
    ):  # fmt: skip
        # Element k of row m of a is a[m, k] * a_factors[m, j] * 2^a_places[m, j], j its block: of
        # 33 bits with the sign, of 28, and a sum of places from -1100. The addend of result i is
        # significands[i] * 2^exponents[i].
        size = a.shape[1]
        for i in numba.prange(of_m.size):
            m, n = of_m[i], of_n[i]
            words = np.zeros(WORDS, np.int64)
            if significands[i] != 0:
                add_integer(words, 0, significands[i], exponents[i] + LOW)
            for j in range(a_factors.shape[1]):
                x, y = a_factors[m, j], b_factors[n, j]
                place = np.int64(a_places[m, j]) + np.int64(b_places[n, j]) + LOW
                upper, lower = np.int64(0), np.int64(0)
                for k in range(j * block, min(size, (j + 1) * block)):
                    upper += np.int64(np.int64(a[m, k] >> 16) * b[n, k])
                    lower += np.int64(np.int64(a[m, k] & np.int64(0xFFFF)) * b[n, k])
                    if k & 4095 == 4095:  # 50 bits each, and 12 for so many
                        _add_scaled(words, lower, x, y, place)
                        _add_scaled(words, upper, x, y, place + 16)
                        upper, lower = np.int64(0), np.int64(0)
                if upper != 0 or lower != 0:
                    _add_scaled(words, lower, x, y, place)
                    _add_scaled(words, upper, x, y, place + 16)
            out[i] = bits_of(words, mode, precision, emin, emax, sign_bit)

    return run
