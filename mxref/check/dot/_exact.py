"""Sums of dot products without any error, vectorised: float64 arithmetic whose rounding is kept.

The products of one block are split by magnitude into slices that float64 sums exactly. The sums of
slices go through a cascade of error-free additions; where that loses something after all, Python's
integers decide. So every result is the exact sum, rounded once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "exact_sums", "rounded_to_float32", "rounded_to_odd", "slices", "two_sum"]

Floats = NDArray[np.float64]

_LEVELS = 5
_PRECISION = 53
_SIGNIFICANT = 16  # bits of a product of two elements of at most 8
_PASSES = 12


def two_sum(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The rounded sum and what the rounding lost, which is exact (Knuth).

    Examples
    --------
    >>> two_sum(np.array([1.0]), np.array([2.0**-60]))[1] == 2.0**-60
    array([ True])
    """
    total = x + y
    of_y = total - x
    return total, (x - (total - of_y)) + (y - of_y)


def slices(products: Floats, block: int, spare: int = 0) -> Floats:
    """Sum the products of each block exactly, as one or more float64 numbers.

    Parameters
    ----------
    products : ndarray, shape (n, blocks * block)
        Finite numbers of at most 16 significant bits.
    block : int
        Products in a block.
    spare : int
        How many bits each sum must leave, so that a factor of as many keeps it exact.

    Returns
    -------
    ndarray, shape (slices, n, blocks)

    Examples
    --------
    >>> slices(np.array([[1.0, 2.0**-70]]), 2).tolist()
    [[[1.0]], [[8.470329472543003e-22]]]
    """
    n, size = products.shape
    shape = (n, size // block, block)
    magnitude = np.abs(products)
    top = float(magnitude.max(initial=0.0))
    if not top:
        return np.zeros((1, *shape[:2]))
    low = float(np.min(magnitude, where=magnitude > 0, initial=top))
    width = _PRECISION - _SIGNIFICANT - spare - max(1, (block - 1).bit_length())
    span = math.frexp(top)[1] - math.frexp(low)[1] + 1
    if span <= width:
        return np.asarray(products.reshape(shape).sum(-1)[None])
    parts, rest = [], products
    for step in range(1, -(-span // width) + 1):
        floor = math.ldexp(1.0, math.frexp(top)[1] - step * width)
        part = np.where(magnitude >= floor, rest, 0.0)
        rest = rest - part
        parts.append(part.reshape(shape).sum(-1))
    return np.stack(parts)


def exact_sums(terms: Floats) -> Floats:
    """Sum rows into expansions: numbers that do not overlap, the largest first.

    Parameters
    ----------
    terms : ndarray, shape (n, m)

    Returns
    -------
    ndarray, shape (levels, n)
        Their sum is that of the row exactly, and the first is the nearest float64.

    Examples
    --------
    >>> exact_sums(np.array([[1.0, 2.0**-60, -1.0]]))[:2, 0].tolist()
    [8.673617379884035e-19, 0.0]
    """
    n = len(terms)
    found = np.zeros((_LEVELS, n))
    lost = np.zeros(n, np.bool_)
    for column in terms.T:
        carry = column
        for level in range(_LEVELS):
            found[level], carry = two_sum(found[level], carry)
            if not carry.any():
                break
        lost |= carry != 0
    lost |= ~_settle(found)
    for row in np.flatnonzero(lost):
        found[:, row] = _by_integers(terms[row])
    return found


def _settle(found: Floats) -> NDArray[np.bool_]:
    """Renormalise in place; say where that came to an end."""
    changed = np.ones(found.shape[1], np.bool_)
    for _ in range(_PASSES):
        before = found.copy()
        for level in range(_LEVELS - 2, -1, -1):
            found[level], found[level + 1] = two_sum(found[level], found[level + 1])
        changed = (found != before).any(0)
        if not changed.any():
            break
    return ~changed


def _by_integers(terms: Floats) -> list[float]:
    """The expansion of one row, cut off far below the last bit that any rounding looks at."""
    parts: list[float] = []
    for _ in range(_LEVELS):
        parts.append(math.fsum([*terms.tolist(), *(-part for part in parts)]))
    return parts


def rounded_to_odd(expansion: Floats) -> Floats:
    """Round expansions to float64 so that another rounding is correct: to odd where inexact.

    Examples
    --------
    >>> rounded_to_odd(np.array([[1.0], [2.0**-80]])) > 1
    array([ True])
    """
    head = expansion[0] + 0.0
    rest = np.zeros_like(head)
    for part in expansion[:0:-1]:
        rest = np.where(part != 0, part, rest)  # the sign of the largest one that is not zero
    is_even = head.view(np.uint64) & np.uint64(1) == 0
    odd = np.where((rest != 0) & is_even, np.nextafter(head, np.copysign(np.inf, rest)), head)
    return np.asarray(odd)


def rounded_to_float32(expansion: Floats, mode: str = "nearest") -> NDArray[np.float32]:
    """Round expansions to float32 once; zero is +0.

    Parameters
    ----------
    expansion : ndarray, shape (levels, n)
        As `exact_sums` gives it.
    mode : str
        ``"nearest"``, ties to even, or ``"toward-zero"``.

    Examples
    --------
    >>> tie = np.array([[1 + 2.0**-24], [2.0**-80]])
    >>> rounded_to_float32(tie) > 1
    array([ True])
    """
    odd = rounded_to_odd(expansion)
    with np.errstate(over="ignore", under="ignore"):
        near = odd.astype(np.float32)
        if mode == "nearest":
            return np.asarray(near)
        away = np.abs(near.astype(np.float64)) > np.abs(odd)
        return np.asarray(np.where(away, np.nextafter(near, np.float32(0)), near), np.float32)
