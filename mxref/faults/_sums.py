"""Sums of exact terms in accumulators of every width, as integers: the same on every machine."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = [
    "ELEMENT_UNIT",
    "FLOAT32",
    "Narrow",
    "Sum",
    "Term",
    "added",
    "aligned",
    "exact",
    "in_blocks",
    "in_pairs",
    "one_by_one",
    "to_float32",
]

Term = int | float
"""An integer counts units of 2^-294; a float is a NaN or an infinity."""

Sum = Callable[[list[list[Term]]], Term]
"""The sum of terms that are given by block."""

ELEMENT_UNIT = 20
"""An element counts units of 2^-20: also a code of E5M2 that a fault reads as 1.25 * 2^-15."""

_UNIT = 2 * ELEMENT_UNIT + 2 * 127  # two scales down to 2^-127


@dataclass(frozen=True)
class Narrow:
    """A binary floating-point format that terms are rounded to.

    Attributes
    ----------
    precision : int
        Bits of the significand, the leading one included.
    least_exponent, most_exponent : int
        Exponents of the normal numbers.
    nearest : bool
        Ties to even; otherwise toward zero.
    """

    precision: int
    least_exponent: int
    most_exponent: int
    nearest: bool = True

    @property
    def least_normal(self) -> int:
        """The least normal number, as a term."""
        return 1 << (self.least_exponent + _UNIT)

    def rounded(self, term: Term) -> Term:
        """Round a term to the format; subnormals are kept, overflow gives an infinity."""
        if isinstance(term, float):
            return term
        magnitude = abs(term)
        exponent = max(magnitude.bit_length() - 1 - _UNIT, self.least_exponent)
        shift = exponent - (self.precision - 1) + _UNIT
        if shift > 0:
            kept, rest = divmod(magnitude, 1 << shift)
            half = 1 << (shift - 1)
            kept += self.nearest and (rest > half or (rest == half and kept & 1 == 1))
            magnitude = kept << shift
        if magnitude >> (self.most_exponent + 1 + _UNIT):
            if not self.nearest:
                ones = (1 << self.precision) - 1
                magnitude = ones << (self.most_exponent + 1 - self.precision + _UNIT)
                return -magnitude if term < 0 else magnitude
            return -math.inf if term < 0 else math.inf
        return -magnitude if term < 0 else magnitude


FLOAT32 = Narrow(24, -126, 127)


def to_float32(term: Term) -> np.float32:
    """The number that a term stands for, rounded to nearest; what underflows keeps its sign."""
    rounded = FLOAT32.rounded(term)
    if isinstance(rounded, float):
        return np.float32(rounded)
    # At most 24 bits are left, so that both steps are exact.
    value = math.ldexp(float(rounded), -_UNIT)
    return np.float32(-abs(value) if term < 0 else value)


def added(x: Term, y: Term) -> Term:
    """The exact sum; infinities and NaN as in IEEE 754."""
    if isinstance(x, int) and isinstance(y, int):
        return x + y
    specials = [term for term in (x, y) if isinstance(term, float)]
    return sum(specials[1:], specials[0])


def exact(blocks: list[list[Term]]) -> Term:
    """The infinitely precise sum."""
    nothing: Term = 0
    return functools.reduce(added, itertools.chain.from_iterable(blocks), nothing)


def one_by_one(fmt: Narrow) -> Sum:
    """One term after the other, rounded each time."""

    def total(blocks: list[list[Term]]) -> Term:
        found: Term = 0
        for term in itertools.chain.from_iterable(blocks):
            found = fmt.rounded(added(found, term))
        return found

    return total


def in_pairs(fmt: Narrow) -> Sum:
    """Neighbours first, then their sums, rounded each time."""

    def total(blocks: list[list[Term]]) -> Term:
        terms = [fmt.rounded(term) for term in itertools.chain.from_iterable(blocks)]
        while len(terms) > 1:
            pairs = itertools.zip_longest(terms[::2], terms[1::2], fillvalue=0)
            terms = [fmt.rounded(added(x, y)) for x, y in pairs]
        return terms[0] if terms else 0

    return total


def in_blocks(fmt: Narrow) -> Sum:
    """The sum of a block is exact, the running sum across blocks is rounded."""
    running = one_by_one(fmt)
    return lambda blocks: running([[fmt.rounded(exact([block])) for block in blocks]])


def aligned(width: int) -> Sum:
    """Terms cut to a number of bits below the leading bit of the largest, then summed exactly."""

    def total(blocks: list[list[Term]]) -> Term:
        terms = list(itertools.chain.from_iterable(blocks))
        numbers = [abs(term) for term in terms if isinstance(term, int)]
        cut = max((number.bit_length() for number in numbers), default=0) - 1 - width
        return exact([[_cut(term, cut) for term in terms]])

    return total


def _cut(term: Term, bits: int) -> Term:
    if bits <= 0 or isinstance(term, float):
        return term
    magnitude = abs(term) >> bits << bits
    return -magnitude if term < 0 else magnitude
