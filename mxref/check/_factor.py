"""A factor that stands between a block and its codes: a second scale that was forgotten (S16)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mxref.faults.decode import element_table
from mxref.faults.encoder import as_float64
from mxref.formats import ElementFormat

__all__ = ["as_stored", "forgotten_factor", "simplest_between"]

_FEWEST = 8  # elements that must agree on a factor before it is worth a name
_ULP = Fraction(1, 1 << 23)
_OFF = 1.02  # a factor nearer to 1 than this is rounding


def forgotten_factor(
    x: NDArray[np.generic],
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    element: ElementFormat,
) -> float | None:
    """The simplest number by which all elements may have been multiplied, or None.

    Each code says between which two numbers its quotient lay; divided by what the quotient should
    have been, that bounds the factor, and all elements together bound it well.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        Blocks.
    scales, codes : ndarray of uint8, shapes (n,) and (n, k)
        What was stored for them.
    element : ElementFormat

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> x = np.array([np.arange(1, 33)], np.float32) / 32
    >>> element = element_format("e4m3")
    >>> from mxref import arrays
    >>> forgotten_factor(x, np.array([127], np.uint8), arrays.encode(3 * x, element), element)
    3.0
    """
    table = element_table(element)
    sizes = np.unique(np.abs(table[np.isfinite(table)]))
    quotient = np.abs(as_float64(x)) * np.exp2(127.0 - scales.astype(np.float64))[:, None]
    stored = np.abs(table[codes])
    usable = (scales != 0xFF)[:, None] & np.isfinite(quotient) & (quotient > 0)
    usable &= (stored > 0) & (stored < sizes[-1])  # zeros and saturated ones bound one side only
    if np.count_nonzero(usable) < _FEWEST:
        return None
    quotient, stored = quotient[usable], stored[usable]
    at = np.searchsorted(sizes, stored)
    low = float(((sizes[at] + sizes[at - 1]) / 2 / quotient).max())
    high = float(((sizes[at] + sizes[at + 1]) / 2 / quotient).min())
    if not 0 < low <= high or not math.isfinite(high) or (low <= _OFF and high >= 1 / _OFF):
        return None
    # A kernel holds the factor as a float32, which may lie just beside the simple fraction.
    simple = simplest_between(Fraction(low) * (1 - _ULP), Fraction(high) * (1 + _ULP))
    return float(simple)


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of the least denominator in a closed interval of positive numbers.

    Examples
    --------
    >>> simplest_between(Fraction(0.333), Fraction(0.334))
    Fraction(1, 3)
    """
    whole = math.floor(low)
    if whole == low:
        return Fraction(whole)
    if whole + 1 <= high:
        return Fraction(whole + 1)
    return whole + 1 / simplest_between(1 / (high - whole), 1 / (low - whole))


def as_stored(factor: float | None) -> tuple[float, ...]:
    """A factor as a fraction, and as the float32 that a kernel holds of it, where they differ.

    Examples
    --------
    >>> as_stored(3.0), as_stored(None), len(as_stored(1 / 6))
    ((3.0,), (), 2)
    """
    if factor is None:
        return ()
    return tuple(dict.fromkeys((factor, float(np.float32(factor)))))
