"""What an exact product is summed from: integers under powers of two, and a factor for each row.

Every block format comes to this form. An MX element is an integer times its scale. Elsewhere what
is not a power of two goes where it costs least: the significand of an E4M3 scale into the integers
of its block, a scale in float32 that a whole row shares into a factor behind the sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import ElementFormat
from mxref.matmul._digits import Integers, integers_of
from mxref.matmul._operands import Operands

__all__ = [
    "INFINITY",
    "MINUS",
    "MINUS_INFINITY",
    "NAN",
    "PLUS",
    "TIMES_INFINITY",
    "ZERO",
    "Product",
    "Terms",
    "classes_of",
    "product_of",
    "sharing_blocks",
]

ZERO, PLUS, MINUS, NAN, INFINITY, MINUS_INFINITY = range(6)
TIMES_INFINITY = np.array([NAN, INFINITY, MINUS_INFINITY, NAN, INFINITY, MINUS_INFINITY], np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """One operand: element (i, k) is ``table[code] * 2**(unit + scale - 127)``, times the factor.

    Attributes
    ----------
    codes : ndarray of uint8, shape (rows, K)
        Any memory layout.
    scales : ndarray of uint8, shape (rows, blocks)
        Of each block, an exponent; 255 is NaN.
    block : int
    numbers : Integers
    classes : ndarray of uint8, shape (256,)
        What each code is: zero, positive, negative, NaN or an infinity.
    factors : ndarray of float32, shape (rows,) or (1,), or None
        Finite. None is 1.
    lift : int
        Added to the exponents: what kept them within a byte.
    is_infinite : ndarray of bool, shape (rows,), or None
        Rows whose factor was infinite; `factors` has 1 with its sign there.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    block: int
    numbers: Integers
    classes: NDArray[np.uint8]
    factors: NDArray[np.float32] | None = None
    lift: int = 0
    is_infinite: NDArray[np.bool_] | None = None

    def kinds(self, rows: Any = slice(None)) -> NDArray[np.uint8]:
        """What the elements of some rows are, without the signs of factors and without scales."""
        kinds: NDArray[np.uint8] = self.classes[self.codes[rows]]
        if self.is_infinite is not None:
            here = self.is_infinite[rows]
            kinds[here] = TIMES_INFINITY[kinds[here]]
        return kinds

    @property
    def unit(self) -> int:
        """The exponent of the integers."""
        return self.numbers.unit + self.lift


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Both operands in blocks of one size, and the addend.

    Attributes
    ----------
    a, b : Terms
    c : ndarray of float64, float32, float16 or bfloat16, or None
        In the shape of the result.
    is_paired : bool
        As in `Operands`.
    """

    a: Terms
    b: Terms
    c: NDArray[Any] | None = None
    is_paired: bool = False

    @property
    def block(self) -> int:
        """The block size, of both sides."""
        return self.a.block

    @property
    def k(self) -> int:
        """How many products each result sums."""
        return int(self.a.codes.shape[1])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        m = self.a.codes.shape[0]
        return (m,) if self.is_paired else (m, self.b.codes.shape[0])

    @property
    def has_factors(self) -> bool:
        """Whether a side has factors behind its sum."""
        return self.a.factors is not None or self.b.factors is not None


@cache
def classes_of(element: ElementFormat) -> NDArray[np.uint8]:
    """Return what each code of an element format is.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> classes_of(element_format("e5m2"))[[0x00, 0x3C, 0xBC, 0x7D, 0x7C, 0xFC]].tolist()
    [0, 1, 2, 3, 4, 5]
    """
    table = integers_of(element).table
    classes = np.where(table > 0, PLUS, np.where(table < 0, MINUS, ZERO)).astype(np.uint8)
    codes = np.arange(256)
    magnitudes = codes & (element.sign_mask - 1)
    if element.nan_magnitudes:
        classes[np.isin(magnitudes, sorted(element.nan_magnitudes))] = NAN
    if element.inf_magnitude is not None:
        is_negative = (codes & element.sign_mask) != 0
        classes[(magnitudes == element.inf_magnitude) & ~is_negative] = INFINITY
        classes[(magnitudes == element.inf_magnitude) & is_negative] = MINUS_INFINITY
    return classes


def product_of(operands: Operands) -> Product:
    """Return the terms of a product of MX operands."""
    sides = (
        (operands.a_codes, operands.a_scales, operands.a_format.element),
        (operands.b_codes, operands.b_scales, operands.b_format.element),
    )
    a, b = (
        Terms(codes, scales, operands.block, integers_of(fmt), classes_of(fmt))
        for codes, scales, fmt in sides
    )
    return Product(a, b, operands.c, operands.is_paired)


def sharing_blocks(a: Terms, b: Terms) -> tuple[Terms, Terms]:
    """Return two sides in blocks of one size: a scale may stand beside several blocks.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> fmt, codes = element_format("e2m1"), np.zeros((1, 32), np.uint8)
    >>> wide = Terms(codes, np.full((1, 1), 127, np.uint8), 32, integers_of(fmt), classes_of(fmt))
    >>> narrow = Terms(codes, np.full((1, 2), 9, np.uint8), 16, integers_of(fmt), classes_of(fmt))
    >>> sharing_blocks(wide, narrow)[0].scales
    array([[127, 127]], dtype=uint8)
    """
    block = gcd(a.block, b.block)
    return _in_blocks(a, block), _in_blocks(b, block)


def _in_blocks(side: Terms, block: int) -> Terms:
    if side.block == block:
        return side
    count = -(-side.codes.shape[1] // block)
    scales = np.repeat(side.scales, side.block // block, axis=1)[:, :count]
    return replace(side, scales=scales, block=block)
