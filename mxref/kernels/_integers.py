"""Rounding and measuring NumPy integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bit_length", "nearest_quotient", "round_even", "to_float32"]

Ints = NDArray[np.int64]


def round_even(m: Ints, drop: Ints) -> Ints:
    """Drop bits (0 to 62), to nearest even."""
    half = (np.int64(1) << drop) >> 1
    increment = np.where(drop > 0, half - 1 + ((m >> drop) & 1), 0)
    return (m + increment) >> drop


def nearest_quotient(a: int, b: int) -> int:
    """Quotient of 24 or 25 bits before the point, rounded to 24, to nearest even."""
    shift = (a // b).bit_length() - 24
    whole, rest = divmod(a, b << shift)
    up = 2 * rest > b << shift or (2 * rest == b << shift and whole & 1)
    return (whole + up) << shift


def bit_length(x: Ints) -> Ints:
    """Bit length of positive int64 numbers, exactly (frexp of a float64 would round)."""
    high = x >> 32
    top = np.where(high > 0, high, x & 0xFFFFFFFF)
    return np.frexp(top.astype(np.float64))[1].astype(np.int64) + np.where(high > 0, 32, 0)


def to_float32(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to the precision of float32, to nearest even, in whatever mode the processor is.

    For normal float32 numbers and zero.

    Examples
    --------
    >>> float(to_float32(np.array([1 + 2.0**-24]))[0])
    1.0
    """
    drop = 52 - 23
    short = round_even(x.view(np.int64), np.array([drop]))
    return (short << drop).view(np.float64)
