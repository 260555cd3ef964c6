"""Operands of matrix products: codes by value, sequences that look random, and their packing.

Both operands are rows along the sum: row i of a meets row j of b, which is column j of the matrix
that a is multiplied by. So they lie in memory as most kernels want them, and a block is 32
neighbours on either side.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.vectors.bits import finite_codes
from mxref.vectors.operations import Inputs

__all__ = ["Row", "by_value", "matrices", "sequence", "sparse", "whole"]

Row = tuple[tuple[int, ...], tuple[int, ...]]
"""A row of an operand: its scale codes, one a block, and its codes."""

_MULTIPLIER, _INCREMENT = 6364136223846793005, 1442695040888963407
_WORD = (1 << 64) - 1


def matrices(a: Sequence[Row], b: Sequence[Row]) -> Inputs:
    """Return rows as the inputs of a matrix product.

    Examples
    --------
    >>> a, b = ((127,), (1, 2, 3)), ((128,), (4, 5, 6))
    >>> found = matrices([a], [b, b])
    >>> found.shape, found.scales, found.other.bits
    ((1, 2, 3), (127,), (4, 5, 6, 4, 5, 6))
    """
    k = len(a[0][1])
    sides = []
    for rows in (a, b):
        scales = tuple(itertools.chain.from_iterable(scales for scales, _ in rows))
        codes = tuple(itertools.chain.from_iterable(codes for _, codes in rows))
        sides.append(Inputs(None, codes, scales=scales))
    first, second = sides
    shape = (len(a), len(b), k)
    return Inputs(None, first.bits, scales=first.scales, other=second, shape=shape)


@functools.cache
def by_value(fmt: ElementFormat) -> Mapping[Fraction, int]:
    """The codes of the finite numbers, by value; that of zero is +0.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> by_value(element_format("e2m1"))[Fraction(-3)]
    13
    """
    found: dict[Fraction, int] = {}
    for code, number in finite_codes(fmt):
        found.setdefault(number.value, code)
    return found


@functools.cache
def whole(fmt: ElementFormat, most: int) -> tuple[int, ...]:
    """Codes of the multiples of one unit, 1 or the step of an integer format, up to `most` of it.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [hex(code) for code in whole(element_format("e2m1"), 2)]
    ['0xc', '0xa', '0x0', '0x2', '0x4']
    """
    unit = Fraction(1)
    if fmt.kind is Kind.FIXED:
        unit = min(value for value in by_value(fmt) if value > 0)
    counts = {value / unit: code for value, code in by_value(fmt).items()}
    return tuple(counts[n] for n in sorted(counts) if n.denominator == 1 and abs(n) <= most)


def sequence(seed: int) -> Iterator[int]:
    """Yield numbers below 2^31 in no visible order, the same ones everywhere.

    Examples
    --------
    >>> import itertools
    >>> list(itertools.islice(sequence(1), 3))
    [908834774, 1093944153, 1392341196]
    """
    state = seed
    while True:
        state = (state * _MULTIPLIER + _INCREMENT) & _WORD
        yield state >> 33


def sparse(fmt: BlockFormat, k: int, lanes: Mapping[int, Fraction], scales: Sequence[int]) -> Row:
    """Return a row of zeros but for the values given by lane.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> sparse(block_format("mxfp4"), 4, {1: Fraction(1), 3: Fraction(-2)}, (127,))
    ((127,), (0, 2, 0, 12))
    """
    codes = [0] * k
    for lane, value in lanes.items():
        codes[lane] = by_value(fmt.element)[value]
    return tuple(scales), tuple(codes)
