"""What quantization did to numbers: errors, and elements beyond either end of a block's range.

Each row is summed in one order whatever the threads, so that results can be repeated. Rows are
joined exactly by `ExactSum`: then the way in which a tensor was cut does not show either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from mxref.kernels._jit import float_kernel, parallel_slot
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["COUNTS", "ExactSum", "measure"]

COUNTS = ("nan_scales", "zero_blocks", "saturated", "flushed", "nonzero", "nonfinite", "nan_codes")
"""What `measure` counts: blocks whose scale is NaN; blocks of zeros; numbers beyond the largest
value of their block, and other than zero that became zero; numbers other than zero; NaN and
infinities that were given; finite numbers whose code is NaN or infinity."""

LANES = 16
_BITS = 26  # of the low half of a significand: sums of 2**26 halves fit a float64


@dataclass(slots=True)
class ExactSum:
    """A sum of float64 numbers without any rounding.

    Attributes
    ----------
    parts : dict of int to int
        Sum of the 53-bit significands of each binary exponent.

    Examples
    --------
    >>> total = ExactSum()
    >>> total.add(np.array([1e300, 1.0]))
    >>> total.add(np.array([-1e300]))
    >>> float(total.value)
    1.0
    """

    parts: dict[int, int] = field(default_factory=dict)

    def add(self, numbers: NDArray[np.float64]) -> None:
        """Add finite numbers."""
        significands, exponents = np.frexp(numbers.reshape(-1))
        whole = np.ldexp(significands, 53).astype(np.int64)
        for start in range(0, len(whole), 1 << _BITS):
            part = slice(start, start + (1 << _BITS))
            self._add(whole[part], exponents[part])

    def _add(self, whole: NDArray[np.int64], exponents: NDArray[np.int32]) -> None:
        if not len(whole):
            return
        least = int(exponents.min())
        place = exponents - least
        high = whole >> _BITS
        sums = [np.bincount(place, half) for half in (high, whole - (high << _BITS))]
        for at in np.flatnonzero(np.bincount(place)):
            both = (int(sums[0][at]) << _BITS) + int(sums[1][at])
            key = int(at) + least
            self.parts[key] = self.parts.get(key, 0) + both

    def merge(self, other: ExactSum) -> None:
        """Add another sum."""
        for key, part in other.parts.items():
            self.parts[key] = self.parts.get(key, 0) + part

    @property
    def value(self) -> Fraction:
        """The sum."""
        return sum(
            (part * Fraction(2) ** (key - 53) for key, part in self.parts.items()), Fraction(0)
        )


def measure(
    x: NDArray[Any],
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    values: NDArray[np.float64],
    units: NDArray[np.float64],
    block: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Compare numbers with what their codes mean.

    Parameters
    ----------
    x : contiguous array of float32 or float64, shape (rows, columns)
    codes : contiguous array of uint8, shape (rows, columns)
    scales : contiguous array of uint8, shape (rows, blocks)
    values : ndarray of float64, shape (256,)
        What each code means; NaN and infinities where it is no number.
    units : ndarray of float64, shape (256,)
        What each scale code means; NaN where it is no number.
    block : int
        Elements of a block; the last one of a row may be short.

    Returns
    -------
    counts : ndarray of int64, shape (rows, 7)
        As `COUNTS` says.
    sums : ndarray of float64, shape (rows, 2)
        Of x squared and of the squared error, over the elements where both are numbers.
    """
    finite = values[np.isfinite(values)]
    limits = np.array([finite.min(), finite.max()])
    counts = np.zeros((len(x), len(COUNTS)), np.int64)
    sums = np.zeros((len(x), 2), np.float64)
    with parallel_slot(x.size) as parallel:
        _measure(parallel)(x, codes, scales, values, units, limits, block, counts, sums)
    return counts, sums


@cache
def _measure(parallel: bool) -> Any:
    @float_kernel(key="statistics", parallel=parallel)
    def run(x, codes, scales, values, units, limits, block, counts, sums):  # type: ignore[no-untyped-def]
        columns = x.shape[1]
        for row in numba.prange(x.shape[0]):
            before = steady_floats()
            # LANES sums of each, since an addition waits for the one before: 0.42 instead of
            # 0.20 Gelem/s a core (numba 0.68.1, AVX-512).
            squares, errors = np.zeros(LANES), np.zeros(LANES)
            decoded = np.empty(block)
            nan_scales, zero_blocks, nan_codes = 0, 0, 0
            saturated, flushed, nonzero, nonfinite = 0, 0, 0, 0
            for j in range(scales.shape[1]):
                unit = units[scales[row, j]]
                low, high = limits[0] * unit, limits[1] * unit
                start = j * block
                size = min(columns, start + block) - start
                for i in range(size):
                    decoded[i] = values[codes[row, start + i]]
                filled, bad, lost = 0, 0, 0
                for i in range(size):
                    v = np.float64(x[row, start + i])
                    d = v - decoded[i] * unit
                    is_odd = v - v != 0.0
                    is_bad = d - d != 0.0
                    filled += int(v != 0.0)
                    nonfinite += int(is_odd)
                    bad += int(is_bad & (not is_odd))
                    saturated += int(((v < low) | (v > high)) & (not is_odd))
                    lost += int((v != 0.0) & (decoded[i] == 0.0) & (not is_odd))
                nonzero += filled
                zero_blocks += int(filled == 0)
                if np.isnan(unit):
                    nan_scales += 1
                    continue  # no number came of it
                nan_codes += bad
                flushed += lost
                whole = size // LANES * LANES
                for base in range(0, whole, LANES):
                    for i in range(LANES):
                        v = np.float64(x[row, start + base + i])
                        d = v - decoded[base + i] * unit
                        is_bad = d - d != 0.0
                        squares[i] += 0.0 if is_bad else v * v
                        errors[i] += 0.0 if is_bad else d * d
                for i in range(whole, size):
                    v = np.float64(x[row, start + i])
                    d = v - decoded[i] * unit
                    is_bad = d - d != 0.0
                    squares[i - whole] += 0.0 if is_bad else v * v
                    errors[i - whole] += 0.0 if is_bad else d * d
            counts[row, 0], counts[row, 1], counts[row, 2] = nan_scales, zero_blocks, saturated
            counts[row, 3], counts[row, 4], counts[row, 5] = flushed, nonzero, nonfinite
            counts[row, 6] = nan_codes
            for i in range(LANES):
                sums[row, 0] += squares[i]
                sums[row, 1] += errors[i]
            restore_floats(before)

    return run
