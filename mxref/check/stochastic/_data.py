"""Stochastic rounding without its random bits: where each value lies between its neighbours.

Each element is one draw: it may give the neighbour below or the one above, and the one above with
the probability that the standard's idea of stochastic rounding gives it, the fraction of the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.faults.decode import element_table
from mxref.formats import ElementFormat

__all__ = ["Bools", "Draws", "Floats", "draws_of", "stimuli"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SEED = 20230907
_TIMES = 4096  # how often each tie is drawn
_TOTAL = 1 << 17  # a whole number of groups, blocks and rows
_FRACTIONS = (0.25, 0.5, 0.75, 0.125, 0.875)


@dataclass(frozen=True, slots=True)
class Draws:
    """What became of some values.

    Attributes
    ----------
    fraction : ndarray of float64
        How far the magnitude lies above the neighbour below, 0 to 1; 0 for values of the format.
    up : ndarray of bool
        Whether the neighbour above came out.
    negative : ndarray of bool
        The sign of the input.
    is_judged : ndarray of bool
        False for NaN, infinities and what lies beyond the largest number.
    is_outside : ndarray of bool
        Whether neither neighbour came out, or an exact value changed, or the sign of a number.
    is_zero : ndarray of bool
        Whether the code of a zero came out.
    """

    fraction: Floats
    up: Bools
    negative: Bools
    is_judged: Bools
    is_outside: Bools
    is_zero: Bools

    @property
    def is_drawn(self) -> Bools:
        """Where chance decides."""
        return self.is_judged & (self.fraction > 0)


def draws_of(values: Floats, codes: NDArray[np.uint8], fmt: ElementFormat) -> Draws:
    """Compare values under a scale of 1 with the codes that came out; flat arrays.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> found = draws_of(np.array([1.25, 1.0]), np.uint8([3, 2]), element_format("e2m1"))
    >>> found.fraction, found.up
    (array([0.5, 0. ]), array([ True, False]))
    """
    table = element_table(fmt)
    ends = np.unique(np.abs(table[np.isfinite(table)]))
    ends = ends[ends <= float(fmt.max)]
    magnitude = np.abs(values)
    is_judged = magnitude <= ends[-1]  # false for NaN
    safe = np.where(is_judged, magnitude, 0.0)
    place = np.minimum(np.searchsorted(ends, safe, "right") - 1, len(ends) - 2)
    low, high = ends[place], ends[place + 1]
    fraction = np.where(safe == high, 0.0, (safe - low) / (high - low))
    low = np.where(safe == high, high, low)
    got = table[codes]
    up = (np.abs(got) == high) & (fraction > 0)
    inside = (np.abs(got) == low) | up
    negative = np.signbit(values)
    wrong_sign = (got != 0) & (np.signbit(got) != negative)
    is_outside = is_judged & (~inside | wrong_sign)
    return Draws(fraction, up, negative, is_judged, is_outside, got == 0)


def stimuli(fmt: ElementFormat) -> NDArray[np.float32]:
    """Values for a driven kernel: ties and quarter points many times, exact values, a sweep.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> stimuli(element_format("e2m1")).dtype
    dtype('float32')
    """
    table = element_table(fmt)
    ends = np.unique(np.abs(table[np.isfinite(table)]))
    ends = ends[ends <= float(fmt.max)]
    places = sorted({0, 1, len(ends) // 2, len(ends) // 2 + 1, len(ends) - 2})
    parts = [np.concatenate([ends, -ends])]
    for place in places:
        low, high = ends[place], ends[place + 1]
        for fraction in _FRACTIONS:
            value = low + fraction * (high - low)
            times = _TIMES if fraction == 0.5 else _TIMES // 4
            parts += [np.full(times, value), np.full(times, -value)]
    rng = np.random.default_rng(_SEED)
    swept = _TOTAL - sum(map(len, parts))
    parts.append(rng.uniform(-float(ends[-1]), float(ends[-1]), swept))
    return np.concatenate(parts).astype(np.float32)
