"""The random Hadamard transform of NVFP4 training, exactly.

A row x of d numbers becomes ``x H`` with ``H = S_d H_d / sqrt(d)``: S_d is a diagonal of signs, and
H_d the matrix of Sylvester, whose entry (i, j) is -1 where i and j have an odd number of ones in
common (TransformerEngine, docs of its NVFP4 recipe). H is orthogonal: the same transform of both
operands of a product leaves the product as it is.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mxref.exact.ieee import IEEE_FORMATS, largest
from mxref.exact.number import Number, NumberClass, quantum
from mxref.exact.nvfp4_arithmetic import NAN

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TE_SIGNS", "entry", "transform"]

TE_SIGNS = (1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1)
"""The signs that TransformerEngine uses, d = 16."""


def entry(i: int, j: int) -> int:
    """Return entry (i, j) of H_d, 1 or -1.

    Examples
    --------
    >>> [[entry(i, j) for j in range(4)] for i in range(4)]
    [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    return -1 if (i & j).bit_count() % 2 else 1


def transform(
    row: Sequence[Number],
    signs: Sequence[int] | None = None,
    dest: str = "float32",
    *,
    inverse: bool = False,
) -> list[Number]:
    """Return ``x H``, or ``x H^T`` for the inverse, each number rounded once to `dest`.

    Parameters
    ----------
    row : sequence of Number
        d of them, a power of two.
    signs : sequence of int, optional
        The diagonal of S_d: 1 or -1. Default all 1.
    dest : str
        ``"float32"`` or ``"bfloat16"``.
    inverse : bool
        Whether to undo the transform.

    Raises
    ------
    ValueError
        If d is no power of two, or `signs` does not fit.

    Examples
    --------
    >>> from mxref.exact.nvfp4_arithmetic import real
    >>> [str(y) for y in transform([real(n) for n in (1, 2, 3, 4)])]
    ['5', '-1', '-2', '0']
    >>> [str(y) for y in transform([real(1), real(0)])][:1]
    ['11863283/16777216']
    """
    d = len(row)
    diagonal = [1] * d if signs is None else list(signs)
    if d < 1 or d & (d - 1) or len(diagonal) != d or set(diagonal) - {1, -1}:
        raise ValueError(f"expected a power of two of numbers, and as many signs 1 or -1, got {d}")
    result = []
    for j in range(d):
        if inverse:
            factors = [entry(j, i) * diagonal[j] for i in range(d)]
        else:
            factors = [entry(i, j) * diagonal[i] for i in range(d)]
        result.append(_rounded(_sum(row, factors), d, dest))
    return result


def _sum(row: Sequence[Number], factors: Sequence[int]) -> Number:
    total = Fraction(0)
    infinite: set[int] = set()
    for x, factor in zip(row, factors, strict=True):
        if x.cls is NumberClass.NAN:
            return NAN
        if x.cls is NumberClass.INF:
            infinite.add(-factor if x.sign else factor)
        else:
            total += x.value * factor
    if len(infinite) > 1:
        return NAN
    if infinite:
        return Number.inf(int(infinite == {-1}))
    return Number.finite(total)


def _rounded(total: Number, d: int, dest: str) -> Number:
    """Return total / sqrt(d), to nearest even; sqrt(d) may be irrational, its square is not."""
    if total.cls is not NumberClass.FINITE:
        return total
    fmt = IEEE_FORMATS[dest]
    square = total.magnitude**2 / d
    # A rational number just below the root gives its binade.
    guess = Fraction(_root(square.numerator, square.denominator, 1 << 200), 1 << 200)
    step = quantum(guess, fmt.mantissa_bits, 1 - fmt.bias)
    below = _root(square.numerator, square.denominator * step**2, 1)
    middle = (below + Fraction(1, 2)) * step
    is_up = middle**2 < square or (middle**2 == square and below % 2 == 1)
    magnitude = (below + int(is_up)) * step
    if magnitude > largest(fmt):
        return Number.inf(total.sign)
    if magnitude == 0:
        return Number.zero(total.sign)
    return Number(total.sign, NumberClass.FINITE, magnitude)


def _root(numerator: int, denominator: Fraction | int, unit: int) -> int:
    """The largest integer k with (k / unit)**2 <= numerator / denominator."""
    from math import isqrt

    scaled = Fraction(numerator) / denominator * unit * unit
    return isqrt(scaled.numerator // scaled.denominator)
