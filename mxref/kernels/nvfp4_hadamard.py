"""The Hadamard transform over rows: the twin of ``mxref.exact.nvfp4_hadamard``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from mxref.exact import ieee
from mxref.exact.nvfp4_hadamard import transform
from mxref.kernels._jit import INTERPRETED, float_kernel, parallel_slot
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["EXACT", "FLOAT32", "hadamard"]

EXACT, FLOAT32 = range(2)
"""One rounding; or a float32 rounding after each addition of the fast transform."""
CHUNK = 1 << 9
f32, f64 = np.float32, np.float64


def hadamard(
    x: NDArray[np.float32], signs: NDArray[np.float32], order: int, dest: str, *, inverse: bool
) -> NDArray[np.uint32]:
    """Return the bits of ``x H`` or ``x H^T`` for rows of d float32, as `dest`.

    Parameters
    ----------
    x : float32 array, shape (rows, d)
    signs : float32 array, shape (d,)
    order : int
        `EXACT` or `FLOAT32`: then stages of distance 1, 2, 4, ... and, after all of them, a product
        with the float32 nearest to 1 / sqrt(d).
    dest : str
        ``"float32"`` or ``"bfloat16"``.
    """
    n_rows, d = x.shape
    sums = np.empty((n_rows, d), np.float64)
    sizes = np.empty((n_rows, d), np.float64)
    given = (np.ascontiguousarray(x), signs, sums, sizes, int(inverse), int(order == FLOAT32))
    if INTERPRETED:
        _plain(*given)
    else:
        with parallel_slot(x.size) as parallel:
            _loop(parallel)(*given)
    with np.errstate(all="ignore"):
        if order == FLOAT32:
            return _narrow(sums.astype(np.float32).view(np.uint32), dest)
        root = np.sqrt(np.float64(d))
        values = sums / root
        # Each sum is off by less than this; a root and a quotient add two roundings.
        doubt = sizes / root * 2.0**-52 * (2 * d.bit_length() + 4)
        found = _to(values, dest)
        is_open = (_to(values - doubt, dest) != _to(values + doubt, dest)) | ~np.isfinite(values)
    for row in np.flatnonzero(is_open.any(axis=1)):
        found[row] = _defined(x[row], signs, dest, inverse=inverse)
    return found


def _to(values: NDArray[np.float64], dest: str) -> NDArray[np.uint32]:
    """Bits of float64 numbers in `dest`, rounded once: to odd in between."""
    if dest == "float32":
        return values.astype(np.float32).view(np.uint32)
    nearest = values.astype(np.float32)
    bits = nearest.view(np.uint32)
    inexact = nearest.astype(np.float64) != values
    too_large = np.abs(nearest.astype(np.float64)) > np.abs(values)
    truncated = np.where(inexact & too_large, bits - np.uint32(1), bits)
    odd = np.where(inexact, truncated | np.uint32(1), truncated).astype(np.uint32)
    return _narrow(odd, dest)


def _narrow(bits: NDArray[np.uint32], dest: str) -> NDArray[np.uint32]:
    """float32 bits as bits of `dest`, to nearest even."""
    if dest == "float32":
        return np.where((bits & 0x7FFFFFFF) > 0x7F800000, np.uint32(0x7FC00000), bits)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(is_nan, np.uint32(0x7FC0), rounded).astype(np.uint32)


def _defined(
    row: NDArray[np.float32], signs: NDArray[np.float32], dest: str, *, inverse: bool
) -> list[int]:
    numbers = [ieee.from_bits(int(word), "float32") for word in row.view(np.uint32)]
    found = transform(numbers, [int(s) for s in signs], dest, inverse=inverse)
    return [ieee.to_bits(number, dest) for number in found]


@functools.cache
def _loop(parallel: bool) -> Callable[..., None]:
    """Fill sums with ``x H`` times sqrt(d), and sizes with the sums of magnitudes.

    With `is_short`, sums are float32 and include the factor.
    """

    @float_kernel(key="nvfp4-hadamard", parallel=parallel)
    def fill(x, signs, sums, sizes, is_inverse, is_short):  # type: ignore[no-untyped-def]
        n_rows, d = x.shape
        n_chunks = (n_rows + CHUNK - 1) // CHUNK
        factor = f32(f64(1) / np.sqrt(f64(d)))
        for chunk in prange(n_chunks):
            mode = steady_floats()
            short = np.empty(d, np.float32)
            wide = np.empty(d, np.float64)
            for i in range(chunk * CHUNK, min(n_rows, chunk * CHUNK + CHUNK)):
                size = f64(0)
                for j in range(d):
                    number = x[i, j] if is_inverse else f32(x[i, j] * signs[j])
                    short[j] = number
                    wide[j] = f64(number)
                    size += abs(f64(number))
                half = 1
                while half < d:
                    for start in range(0, d, 2 * half):
                        for j in range(start, start + half):
                            if is_short:
                                a = short[j]
                                b = short[j + half]
                                short[j] = f32(a + b)
                                short[j + half] = f32(a - b)
                            else:
                                left = wide[j]
                                right = wide[j + half]
                                wide[j] = left + right
                                wide[j + half] = left - right
                    half *= 2
                for j in range(d):
                    found = f64(f32(short[j] * factor)) if is_short else wide[j]
                    sums[i, j] = found * f64(signs[j]) if is_inverse else found
                    sizes[i, j] = size
            restore_floats(mode)

    return fill


def _plain(
    x: NDArray[np.float32],
    signs: NDArray[np.float32],
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    is_inverse: int,
    is_short: int,
) -> None:
    """As the loop, by NumPy."""
    d = x.shape[1]
    kind = np.float32 if is_short else np.float64
    with np.errstate(all="ignore"):
        work: Any = (x if is_inverse else x * signs).astype(kind)
        sizes[...] = np.abs(work.astype(np.float64)).sum(axis=1, keepdims=True)
        half = 1
        while half < d:
            pairs = work.reshape(-1, d // (2 * half), 2, half)
            a, b = pairs[:, :, 0].copy(), pairs[:, :, 1].copy()
            pairs[:, :, 0], pairs[:, :, 1] = a + b, a - b
            half *= 2
        if is_short:
            work = work * np.float32(1 / np.sqrt(np.float64(d)))
        sums[...] = work * signs if is_inverse else work
