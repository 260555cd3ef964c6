"""How far a dot product may be from the exact sum, if it is summed in float32 or wider.

MX-1.0/6.1/precision leaves precision and order open. Where all partial sums are float32 numbers
nothing is open: these bits and no others. Elsewhere the bound holds for any order, any grouping and
any rounding of a sum in float32 or wider, so that what exceeds it is wrong whatever the order was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats, rounded_to_float32
from mxref.check.dot._problem import Rows, Singles
from mxref.check.dot._terms import Products

__all__ = ["Judged", "judge", "same_number"]

Bools = NDArray[np.bool_]

_STEP = 2.0**-23  # a directed rounding may lose a whole unit in the last place
_LEAST = -126
_MOST = 127
_SLACK = 1 + 2.0**-30  # for the float64 arithmetic of the bound itself
_BIAS = 127


@dataclass(slots=True)
class Judged:
    """What may come out of some rows.

    Attributes
    ----------
    exact : ndarray of float32
        The exact sum, rounded once to nearest even.
    equal : ndarray of bool
        Whether this came out; NaN equals NaN, and +0 equals -0.
    is_open : ndarray of bool
        Whether the standard leaves the bits open.
    allowed : ndarray of bool
        Whether what came out is no mistake: equal, or open and inside the bound.
    is_loose : ndarray of bool
        Where no bound holds: scales or sums that may leave the range of float32 on the way.
    error : ndarray of float64
        Distance from the exact sum as a share of the bound; NaN or infinite as the result is.
    """

    exact: Singles
    equal: Bools
    is_open: Bools
    allowed: Bools
    is_loose: Bools
    error: Floats


def same_number(x: Singles, y: Singles) -> Bools:
    """Whether the results are the same: every NaN is one, and so is zero of either sign."""
    return np.asarray((x == y) | (np.isnan(x) & np.isnan(y)))


def judge(rows: Rows, found: Products) -> Judged:
    """Compare what came out with the exact sum of the products, and with the bound."""
    expansion = found.exact()
    exact = rounded_to_float32(expansion)
    exact = np.where(found.settled != 0, found.settled, exact).astype(np.float32)
    settled = found.settled != 0  # NaN is not zero
    is_nan = np.isnan(found.settled)
    tame = _is_tame(rows, found)
    total, unit = _size(found)
    exact_sums = (total <= unit * 2.0**24) & (unit >= 2.0**_LEAST) & (total < 2.0**_MOST)
    must = is_nan | (tame & (settled | exact_sums))
    loose = ~must & (~tame | (total >= 2.0**_MOST))
    equal = same_number(rows.got, exact)
    with np.errstate(all="ignore"):
        got = rows.got.astype(np.float64)
        distance = np.abs((got - expansion[0]) - expansion[1]) / _SLACK
        bound = np.expm1((rows.k + 2) * np.log1p(_STEP)) * total
        tiny = np.where(unit < 2.0**_LEAST, (rows.k + 2) * 2.0**_LEAST, 0.0)
        error = distance / (bound * _SLACK + tiny)
    error = np.where(equal | loose | settled, 0.0, error)
    allowed = equal | loose | (~must & np.isfinite(rows.got) & (error <= 1))
    return Judged(exact, equal, ~must, np.asarray(allowed), loose, np.asarray(error))


def _size(found: Products) -> tuple[Floats, Floats]:
    """Of each row the sum of magnitudes and a power of two that divides every product."""
    n = len(found.elements)
    blocks = np.abs(found.elements).reshape(n, -1, found.block)
    sums = blocks.sum(-1) * found.factors
    total = np.asarray(sums.sum(-1)) * _SLACK
    units = np.where(sums > 0, np.where(sums > 0, _unit(blocks), 1.0) * found.factors, np.inf)
    return total, units.min(-1, initial=np.inf)


def _unit(blocks: Floats) -> Floats:
    """The largest power of two that divides all products of each block, shape (n, blocks)."""
    # A product has at most 16 bits, so that its last one follows from those of an integer.
    significand, exponent = np.frexp(blocks)
    integer = np.ldexp(significand, 24).astype(np.int64)
    last = np.ldexp((integer & -integer).astype(np.float64), exponent - 24)
    return np.asarray(np.min(last, axis=-1, where=last > 0, initial=np.inf))


def _is_tame(rows: Rows, found: Products) -> Bools:
    """Whether nothing leaves float32's normal range, wherever the two scales are applied."""
    a, b = rows.a.fmt.element, rows.b.fmt.element
    low = min(0.0, *(np.log2(float(x)) for x in (a.min_subnormal, b.min_subnormal)))
    low = min(low, np.log2(float(a.min_subnormal)) + np.log2(float(b.min_subnormal)))
    high = np.log2(float(a.max) * float(b.max) * found.block) + 1
    counted = -(-rows.k // found.block)
    of_a = rows.a.scales[:, :counted].astype(np.int32) - _BIAS
    of_b = rows.b.scales[:, :counted].astype(np.int32) - _BIAS
    every = np.concatenate([of_a, of_b, of_a + of_b], axis=1)
    return np.asarray(((every + low >= _LEAST) & (every + high <= _MOST)).all(1))
