"""How far a dot product may be from the exact sum, if it is summed in float32 or wider.

MX-1.0/6.1/precision leaves precision and order open. Where all partial sums are float32 numbers
nothing is open: these bits and no others. Elsewhere the bound holds for any order, any grouping and
any rounding of a sum in float32 or wider, so that what exceeds it is wrong whatever the order was.

The argument: K products and an addend are at most K + 1 exact terms (a product of two elements has
16 bits, a scale is a power of two). In a tree of additions a term meets at most K roundings, each
of which changes what it acts on by a factor between 1 - u and 1 + u, where u = 2^-23 also for a
directed rounding; a fused multiply-add leaves roundings out, which does not add any. Two more are
granted: an addend of more than 24 bits that is rounded first, and the output. So the error is at
most ((1 + u)^(K + 3) - 1) times the sum of all magnitudes. Underflow adds 2^-126 for each step that
a machine without subnormal numbers may flush. No bound holds where a scale, a scaled operand or a
sum may leave the range of float32 on its way: such outputs are *loose*, and nothing is said of
them.

An output of a narrower type has been rounded once more, by whatever rounding: the sum before it is
anywhere between the neighbours of what came out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats
from mxref.check.dot._outputs import preimage, rounded_to, same_number
from mxref.check.dot._partials import partial_sums
from mxref.check.dot._problem import DotProblem, Rows, Singles
from mxref.check.dot._terms import Products, Setup

__all__ = [
    "Bound",
    "Judged",
    "bound_of",
    "fits",
    "is_tame_addend",
    "judge",
    "judged",
    "last_bits",
    "narrows",
    "reach",
]

Bools = NDArray[np.bool_]

_STEP = 2.0**-23  # a directed rounding may lose a whole unit in the last place
_LEAST = -126
_MOST = 127
_SLACK = 1 + 2.0**-30  # for the float64 arithmetic of the bound itself
_BIAS = 127
_EXACT_BITS = 2.0**24


@dataclass(slots=True)
class Judged:
    """What may come out of some rows.

    Attributes
    ----------
    exact : ndarray of float32, or of float64 where the outputs are
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


@dataclass(slots=True)
class Bound:
    """What the products of some outputs allow.

    Attributes
    ----------
    radius : ndarray of float64
        How far a sum may be from the exact one.
    must : ndarray of bool
        Whether all partial sums are float32 numbers, whatever the order.
    loose : ndarray of bool
        Whether no bound holds.
    """

    radius: Floats
    must: Bools
    loose: Bools


def bound_of(k: int, total: Floats, unit: Floats, tame: Bools, settled: Floats) -> Bound:
    """The bound, from what was found of some outputs.

    Parameters
    ----------
    k : int
        How many products each sums.
    total : ndarray
        The sums of magnitudes, or a little more.
    unit : ndarray
        Powers of two that divide every term.
    tame : ndarray of bool
        Whether everything stays in the range of float32, wherever the scales are applied.
    settled : ndarray
        NaN and infinities, where they are the result.

    Examples
    --------
    >>> ones = np.ones(1)
    >>> found = bound_of(8, 64 * ones, ones, ones > 0, 0 * ones)
    >>> bool(found.must[0]), bool(found.radius[0] < 64 * 12 * 2.0**-23)
    (True, True)
    """
    is_settled = settled != 0  # NaN is not zero
    exact_sums = (total <= unit * _EXACT_BITS) & (unit >= 2.0**_LEAST) & (total < 2.0**_MOST)
    must = np.isnan(settled) | (tame & (is_settled | exact_sums))
    loose = ~must & (~tame | (total >= 2.0**_MOST))
    with np.errstate(all="ignore"):
        radius = np.expm1((k + 3) * np.log1p(_STEP)) * total * _SLACK
        radius = radius + np.where(unit < 2.0**_LEAST, (k + 3) * 2.0**_LEAST, 0.0)
    return Bound(np.asarray(radius), np.asarray(must), np.asarray(loose))


def judge(rows: Rows, found: Products, setup: Setup | None = None) -> Judged:
    """Compare what came out with the exact sum of the products, and with the bound."""
    expansion = found.exact()
    settled = found.settled != 0  # NaN is not zero
    output = rows.output if setup is None or setup.output is None else setup.output[0]
    exact = np.where(settled, found.settled, rounded_to(expansion, output)).astype(rows.got.dtype)
    total, unit = _size(found)
    bound = bound_of(rows.k, total, unit, _is_tame(rows, found), found.settled)
    error = _error(rows, found, expansion, bound, setup)
    is_narrow = narrows(rows.output, setup)
    return judged(rows.got, exact, bound, settled, error, is_narrow=is_narrow)


def judged(  # all that is known of some outputs
    got: Singles,
    exact: Singles,
    bound: Bound,
    settled: Bools,
    error: Floats,
    *,
    is_narrow: bool,
) -> Judged:
    """Put together what is known of some outputs.

    Where results are rounded to a narrower type, a sum that is exact in float32 may still have been
    rounded either way.
    """
    equal = same_number(got, exact)
    error = np.where(equal | bound.loose | settled, 0.0, error)
    near = (error <= 1) & (~bound.must | is_narrow)
    allowed = equal | bound.loose | (near & ~settled & ~np.isnan(got))
    return Judged(exact, equal, ~bound.must, np.asarray(allowed), bound.loose, np.asarray(error))


def narrows(output: str, setup: Setup | None) -> bool:
    """Whether results, or parts of them, are rounded to a narrower type on the way."""
    if setup is not None and (setup.partials or setup.output is not None):
        return True
    return output not in ("float32", "float64")


def _error(
    rows: Rows, found: Products, expansion: Floats, bound: Bound, setup: Setup | None
) -> Floats:
    """How far the sums before the last rounding are from the exact one, at least."""
    output = (rows.output, "any") if setup is None or setup.output is None else setup.output
    low, high = preimage(rows.got, *output)
    with np.errstate(all="ignore"):
        if setup is not None and setup.partials:
            least, most = partial_sums(found, setup.partials, bound.radius)
            far = np.maximum(low - most, least - high)
        else:
            below, above = ((end - expansion[0]) - expansion[1] for end in (low, high))
            far = np.maximum(below, -above)
        return np.asarray(np.maximum(far, 0.0) / _SLACK / bound.radius)


def _size(found: Products) -> tuple[Floats, Floats]:
    """Of each row the sum of magnitudes and a power of two that divides every product."""
    n = len(found.elements)
    blocks = np.abs(found.elements).reshape(n, -1, found.block)
    sums = blocks.sum(-1) * found.factors
    total = np.asarray(sums.sum(-1))
    units = np.where(sums > 0, np.where(sums > 0, _unit(blocks), 1.0) * found.factors, np.inf)
    unit = units.min(-1, initial=np.inf)
    if found.addend is not None:
        total = total + np.abs(found.addend)
        unit = np.minimum(unit, last_bits(found.addend))
    return total * _SLACK, unit


def last_bits(values: Floats) -> Floats:
    """The largest power of two that divides each value; infinite for zero.

    Examples
    --------
    >>> last_bits(np.array([12.0, 0.375, 0.0])).tolist()
    [4.0, 0.125, inf]
    """
    significand, exponent = np.frexp(values)
    integer = np.ldexp(significand, 53).astype(np.int64)
    last = np.ldexp((integer & -integer).astype(np.float64), exponent - 53)
    return np.where(integer != 0, last, np.inf)


def _unit(blocks: Floats) -> Floats:
    """The largest power of two that divides all products of each block, shape (n, blocks)."""
    return np.asarray(last_bits(blocks).min(axis=-1, initial=np.inf))


def reach(rows: Rows | DotProblem) -> tuple[float, float]:
    """Exponents between which elements, products and sums of a block lie under scales of 1."""
    a, b = rows.a.fmt.element, rows.b.fmt.element
    low = min(0.0, *(np.log2(float(x)) for x in (a.min_subnormal, b.min_subnormal)))
    low = min(low, np.log2(float(a.min_subnormal)) + np.log2(float(b.min_subnormal)))
    return low, np.log2(float(a.max) * float(b.max) * rows.a.fmt.block_size) + 1


def fits(exponents: NDArray[np.int32], ends: tuple[float, float]) -> Bools:
    """Whether what lies under scales of these exponents stays in float32's normal range."""
    low, high = ends
    return np.asarray((exponents + low >= _LEAST) & (exponents + high <= _MOST))


def _is_tame(rows: Rows, found: Products) -> Bools:
    """Whether nothing leaves float32's normal range, wherever the two scales are applied."""
    counted = -(-rows.k // found.block)
    of_a = rows.a.scales[:, :counted].astype(np.int32) - _BIAS
    of_b = rows.b.scales[:, :counted].astype(np.int32) - _BIAS
    every = np.concatenate([of_a, of_b, of_a + of_b], axis=1)
    tame = fits(every, reach(rows)).all(1)
    if found.addend is not None:
        tame = tame & is_tame_addend(found.addend)
    return np.asarray(tame)


def is_tame_addend(addend: Floats) -> Bools:
    """Whether an addend is zero or in float32's normal range."""
    size = np.abs(addend)
    return np.asarray((size == 0) | ((size >= 2.0**_LEAST) & (size < 2.0**_MOST)))
