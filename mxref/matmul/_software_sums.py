"""What programs do around the instructions: parts of K, factors, and the type of the result."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref.kernels.sums_fused import FusedSum, Side, fused_sums
from mxref.matmul._software_operands import cut, rounded_to_bfloat16

__all__ = [
    "block_sums",
    "fused_multiply_add",
    "number_of",
    "plus",
    "rounded",
    "split_sums",
    "times_row_factors",
    "times_tensor_factors",
]

Words = NDArray[np.uint32]
Singles = NDArray[np.float32]
_NAN = np.uint32(0x7FFFFFFF)


def split_sums(
    a: Side, b: Side, rule: FusedSum, splits: int, unit: int, *, is_paired: bool = False
) -> Singles:
    """Sum each of several parts of K by a rule, then the parts, in order, in float32.

    Parameters
    ----------
    splits : int
        Into how many parts K is split. Each but the last is the same multiple of `unit`, the least
        with which so many parts are enough.
    unit : int
        How much of K the program takes at a time.
    """
    k = a.significands.shape[1]
    n_units = -(-k // unit)
    part = max(1, math.ceil(n_units / splits)) * unit
    total: Singles | None = None
    for start in range(0, max(k, 1), part):
        x, y = cut(a, start, start + part), cut(b, start, start + part)
        sums = fused_sums(x, y, None, rule, is_paired=is_paired).view(np.float32)
        total = sums if total is None else plus(total, sums)
    assert total is not None  # noqa: S101  # the range is never empty
    return total


def block_sums(
    a: Side, b: Side, factor: tuple[Singles, Singles], rule: FusedSum, *, order: str, unit: int,
    is_paired: bool = False,
) -> Singles:  # fmt: skip
    """Sum every `unit` of K by a rule, and add each such sum, times its factors, in float32.

    The addition and one multiplication are one operation (FMA).

    Parameters
    ----------
    factor : two float32 arrays, shapes (M, blocks) and (N, blocks)
    order : str
        ``"factors first"``: the factors are multiplied with each other, rounded;
        ``"a first"``: the sum is multiplied with the factor of a, rounded, then with that of b.
    """
    k = a.significands.shape[1]
    m, n = a.significands.shape[0], b.significands.shape[0]
    total = np.zeros((m,) if is_paired else (m, n), np.float32)
    for i, start in enumerate(range(0, k, unit)):
        x, y = cut(a, start, start + unit), cut(b, start, start + unit)
        sums = fused_sums(x, y, None, rule, is_paired=is_paired).view(np.float32)
        of_a, of_b = factor[0][:, i], factor[1][:, i]
        if not is_paired:
            of_a, of_b = of_a[:, None], of_b[None, :]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if order == "factors first":
                total = fused_multiply_add(sums, of_a * of_b, total)
            else:
                total = fused_multiply_add(sums * of_a, of_b, total)
    return total


def fused_multiply_add(x: Singles, y: Singles, z: Singles) -> Singles:
    """Return x * y + z in float32, rounded once, to nearest even.

    The product is exact in float64, the sum there is rounded to odd, which keeps what the second
    rounding has to know.

    Examples
    --------
    >>> x, z = np.float32([1 + 2**-12]), np.float32([2.0**-60])
    >>> float(fused_multiply_add(x, x, z)[0]) == 1 + 2**-11 + 2**-23  # a tie, but for z
    True
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        product = x.astype(np.float64) * y.astype(np.float64)
        wide = z.astype(np.float64)
        total = np.asarray(product + wide)
        virtual = total - product
        error = (product - (total - virtual)) + (wide - virtual)
        bits = total.view(np.int64)
        is_inexact = (error != 0) & np.isfinite(total) & ((bits & 1) == 0)
        away = np.where((error > 0) == (total > 0), 1, -1)
        odd = np.where(is_inexact, bits + away, bits).view(np.float64)
        return odd.astype(np.float32)


def plus(x: Singles, y: Singles) -> Singles:
    """Return x + y in float32, to nearest even."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return x + y


def times_tensor_factors(sums: Singles, of_a: np.float32, of_b: np.float32) -> Singles:
    """Multiply sums with the rounded product of one factor for a and one for b.

    Nothing is -0 then: cuBLAS adds, or puts, +0.

    Examples
    --------
    >>> times_tensor_factors(np.float32([-3.0]), np.float32(2**-100), np.float32(2**-100))
    array([0.], dtype=float32)
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(sums * (of_a * of_b) + np.float32(0))


def times_row_factors(
    sums: Singles, of_a: Singles, of_b: Singles, *, is_paired: bool = False
) -> Singles:
    """Multiply sums with the factor of their row of b, rounded, then with that of their row of a.

    Examples
    --------
    >>> times_row_factors(np.float32([[3.0, 5.0]]), np.float32([2.0]), np.float32([1.0, 4.0]))
    array([[ 6., 40.]], dtype=float32)
    """
    x, y = (of_a, of_b) if is_paired else (of_a[:, None], of_b[None, :])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(sums * y * x)


def rounded(sums: Singles, dtype: str) -> NDArray[Any]:
    """Return float32 numbers in a type, to nearest even; a NaN is all ones but the sign.

    Examples
    --------
    >>> rounded(np.float32([1.00390625, np.nan]), "bfloat16").view(np.uint16).tolist()
    [16256, 32767]
    """
    codes = np.ascontiguousarray(sums).view(np.uint32)
    is_nan = (codes & _NAN) > np.uint32(0x7F800000)
    if dtype == "float32":
        return np.where(is_nan, _NAN, codes).view(np.float32)
    if dtype == "bfloat16":
        return rounded_to_bfloat16(codes).view(ml_dtypes.bfloat16)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        half = sums.astype(np.float16).view(np.uint16)
    return np.where(is_nan, np.uint16(0x7FFF), half).view(np.float16)


def number_of(array: NDArray[Any]) -> Singles:
    """Return an array of any float type in float32, rounded to nearest even."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return array.astype(np.float32)
