"""All outputs of a large matrix product judged at once, by a float64 product and its error.

The operands of MX are exact in float64, and so is each product of two; a float64 product of
matrices, summed in whatever order, is off by no more than K * 2^-53 of the sum of magnitudes. That
decides nearly every output. The few that it does not decide are summed exactly, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._bounds import (
    Bools,
    Judged,
    bound_of,
    fits,
    is_tame_addend,
    judge,
    judged,
    last_bits,
    narrows,
    reach,
)
from mxref.check.dot._exact import Floats
from mxref.check.dot._outputs import OUTPUTS, preimage
from mxref.check.dot._problem import DotProblem
from mxref.check.dot._run import exact_results
from mxref.check.dot._terms import Planes, Setup, both, multiplied, products_of

__all__ = ["is_sampled", "judged_pieces"]

_SMALL = 1 << 22  # products, up to which all of them are summed exactly
_CELLS = 1 << 22  # outputs of one piece, or factors of their blocks
_ROUNDOFF = 2.0**-53
_SLACK = 1 + 2.0**-30
_BIAS = 127
_MANY = 1 << 24  # products of outputs that are not decided: then all are summed exactly
_FAR = 1 << 14  # an exponent that nothing has


def judged_pieces(problem: DotProblem, setup: Setup) -> Iterator[tuple[NDArray[np.intp], Judged]]:
    """Judge all outputs under a hypothesis, in pieces; a sample where that would take minutes.

    Yields
    ------
    numbers, judged
    """
    if problem.size * problem.k > _SMALL and _is_bilinear(problem, setup):
        yield from _in_bulk(problem, setup)
        return
    for rows in problem.pieces():
        yield rows.numbers, judge(rows, products_of(setup, rows), setup)


def is_sampled(problem: DotProblem, setup: Setup) -> bool:
    """Whether `judged_pieces` leaves outputs out."""
    is_bulk = problem.size * problem.k > _SMALL and _is_bilinear(problem, setup)
    return not is_bulk and problem.sampled < problem.size


def _is_bilinear(problem: DotProblem, setup: Setup) -> bool:
    """Whether the results are a product of two matrices, scaled block by block."""
    plain = (
        setup.product is multiplied,
        setup.poisoned is None,
        setup.narrowed is None,
        not setup.nan_needs_number,
        not setup.first_infinity,
        not setup.partials,
    )
    return problem.is_matrix and all(plain)


# --- sums that are nearly exact ---------------------------------------------------------------


@dataclass(slots=True)
class _Side:
    """An operand as values without scales, its scales, and the last bits of its blocks."""

    values: Floats
    scales: Floats
    codes: NDArray[np.uint8]
    last: NDArray[np.int32]


@dataclass(slots=True)
class _Sums:
    """Sums without the addend: nearly exact, of magnitudes, and the last bit of all products."""

    value: Floats
    total: Floats
    last: NDArray[np.int32]

    def at(self, numbers: NDArray[np.intp]) -> _Sums:
        return _Sums(self.value[numbers], self.total[numbers], self.last[numbers])


def _side(
    planes: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    table: Floats,
    side: Callable[[Floats], Floats],
    setup: Setup,
    k: int,
) -> _Side:
    codes, scale_codes = planes
    blocks = scale_codes.shape[1]
    block = codes.shape[1] // max(1, blocks)
    used = np.ones(codes.shape[1], np.bool_)
    used[setup.count(k, codes.shape[1], block) :] = False
    if setup.left_out >= 0:
        used[setup.left_out :: block] = False
    if setup.weights is not None:
        used &= np.repeat(setup.weights != 0, block)
    units = last_bits(np.where(np.isfinite(table), table, 0.0))
    places = np.where(np.isinf(units), _FAR, np.frexp(units)[1] - 1).astype(np.int32)
    last = places[codes]
    last[:, ~used] = _FAR
    last = last.reshape(len(codes), blocks, block).min(-1, initial=_FAR)
    values = table[codes]
    values[:, ~used] = 0
    with np.errstate(all="ignore"):
        scales = np.array(side(setup.scales[scale_codes]), np.float64)
    scales[:, ~used.reshape(blocks, block).any(1)] = 1.0
    return _Side(values, scales, scale_codes, last)


def _in_bulk(problem: DotProblem, setup: Setup) -> Iterator[tuple[NDArray[np.intp], Judged]]:
    n = problem.got.shape[1]
    planes = Planes.of(problem) if setup.planes is None else setup.planes
    own_a, own_b = (planes.codes_a, planes.scales_a), (planes.codes_b, planes.scales_b)
    a = _side(own_a, setup.table_a, setup.sides[0], setup, problem.k)
    b = _side(own_b, setup.table_b, setup.sides[1], setup, problem.k)
    width = n if setup.factor is both else n * a.scales.shape[1]
    step = max(1, _CELLS // max(1, width))
    parts = [np.arange(i, min(i + step, len(a.values))) for i in range(0, len(a.values), step)]
    if setup.planes is None:
        for lines in parts:
            numbers = (lines[:, None] * n + np.arange(n)).reshape(-1)
            yield numbers, _judged(problem, setup, numbers, _sums(setup, a, b, lines))
        return
    # A result may come from another place.
    found = [_sums(setup, a, b, lines) for lines in parts]
    every = _Sums(*(np.concatenate([getattr(f, x) for f in found]) for x in _Sums.__slots__))
    numbers = np.arange(problem.size)
    yield numbers, _judged(problem, setup, numbers, every.at(setup.planes.source(numbers)))


def _sums(setup: Setup, a: _Side, b: _Side, lines: NDArray[np.intp]) -> _Sums:
    blocks = a.scales.shape[1]
    block = a.values.shape[1] // max(1, blocks)
    weights = np.ones(blocks) if setup.weights is None else setup.weights
    last = np.full((len(lines), len(b.values)), _FAR, np.int32)
    with np.errstate(all="ignore"):
        if setup.factor is both:
            left = a.values[lines] * np.repeat(a.scales[lines] * weights, block, axis=1)
            right = b.values * np.repeat(b.scales, block, axis=1)
            value, total = left @ right.T, np.abs(left) @ np.abs(right).T
            of_a = a.last[lines] + _exponents(a.scales[lines])
            of_b = b.last + _exponents(b.scales)
            for j in range(blocks):
                np.minimum(last, of_a[:, j, None] + of_b[None, :, j], out=last)
        else:
            factors = setup.factor(
                a.scales[lines][:, None], b.scales[None], a.codes[lines][:, None], b.codes[None]
            ) * np.ones((1, len(b.values), 1))
            value, total = np.zeros((2, *last.shape))
            for j in range(blocks):
                factor = factors[..., j] * weights[j]
                left = a.values[lines, j * block : (j + 1) * block]
                right = b.values[:, j * block : (j + 1) * block].T
                value += (left @ right) * factor
                total += (np.abs(left) @ np.abs(right)) * np.abs(factor)
                places = a.last[lines, j, None] + b.last[None, :, j] + _exponents(factor)
                np.minimum(last, places, out=last)
    return _Sums(value.reshape(-1), total.reshape(-1), last.reshape(-1))


def _exponents(factors: Floats) -> NDArray[np.int32]:
    """Exponents of powers of two; a factor of zero leaves no last bit."""
    found = np.frexp(factors)
    # Of sums of powers of two the last bit counts.
    low = found[1] - 1 if np.isin(found[0], (0.0, 0.5)).all() else _last_exponents(factors)
    return np.where(factors == 0, _FAR, low).astype(np.int32)


def _last_exponents(factors: Floats) -> NDArray[np.int32]:
    units = last_bits(np.where(np.isfinite(factors), factors, 0.0))
    return np.where(np.isinf(units), 0, np.frexp(units)[1] - 1).astype(np.int32)


# --- their judgement --------------------------------------------------------------------------


def _judged(problem: DotProblem, setup: Setup, numbers: NDArray[np.intp], sums: _Sums) -> Judged:
    got, k = problem.got.reshape(-1)[numbers], problem.k
    output = (problem.output, "any") if setup.output is None else setup.output
    addend = _addend(problem, setup, numbers)
    value, total, last = sums.value, sums.total, sums.last
    tame = _tame(problem, numbers)
    if setup.unwritten is not None:
        empty = setup.unwritten[numbers]
        value, total = np.where(empty, 0.0, value), np.where(empty, 0.0, total)
        last = np.where(empty, _FAR, last)
    if addend is not None:
        value, total = value + addend, total + np.abs(addend)
        least = last_bits(np.where(np.isfinite(addend), addend, 0.0))
        last = np.minimum(last, np.where(np.isinf(least), _FAR, np.frexp(least)[1] - 1))
        tame &= is_tame_addend(addend)
    settled = np.where(np.isfinite(value), 0.0, value)
    is_settled = settled != 0
    total = np.where(is_settled, 0.0, total) * _SLACK
    unit = np.where(last > _FAR // 2, np.inf, np.ldexp(1.0, np.clip(last, -1000, 1000)))
    # A float64 sum whose partial sums have at most 53 bits is exact.
    slack = np.where(total <= unit * 2.0**53, 0.0, (k + 4) * _ROUNDOFF * total)
    bound = bound_of(k, total, unit, tame, settled)
    low, high = preimage(got, *output)
    with np.errstate(all="ignore"):
        far = np.maximum(low - value, value - high) - slack
        error = np.maximum(far, 0.0) / _SLACK / bound.radius
        ends = [_rounded(value + side, output[0]) for side in (-slack, slack)]
    is_narrow = narrows(problem.output, setup)
    exact = np.where(is_settled, settled, ends[0]).astype(got.dtype)
    unclear = np.flatnonzero(~is_settled & (ends[0] != ends[1]))
    if len(unclear) * k > _MANY and setup.is_faultless:
        exact[unclear] = exact_results(problem).reshape(-1)[numbers[unclear]]
        unclear = unclear[:0]
    found = judged(got, exact, bound, is_settled, error, is_narrow=is_narrow)
    for rows in problem.pieces_of(numbers[unclear]):
        mine = judge(rows, products_of(setup, rows), setup)
        at = np.searchsorted(numbers, rows.numbers)
        for name in Judged.__slots__:
            getattr(found, name)[at] = getattr(mine, name)
    return found


def _rounded(values: Floats, output: str) -> Floats:
    return values if output == "float64" else OUTPUTS[output].rounded(values) + 0.0


def _addend(problem: DotProblem, setup: Setup, numbers: NDArray[np.intp]) -> Floats | None:
    if setup.addend is not None:
        source = numbers if setup.planes is None else setup.planes.source(numbers)
        found = setup.addend[source]
    elif problem.c is not None:
        found = problem.c.reshape(-1)[numbers].astype(np.float64)
    else:
        return None
    return found if setup.unwritten is None else np.where(setup.unwritten[numbers], 0.0, found)


def _tame(problem: DotProblem, numbers: NDArray[np.intp]) -> Bools:
    counted = -(-problem.k // problem.a.fmt.block_size)
    ends = reach(problem)
    a, b = (x.scales[:, :counted].astype(np.int32) - _BIAS for x in (problem.a, problem.b))
    of_a, of_b = np.all(fits(a, ends), axis=1), np.all(fits(b, ends), axis=1)
    extremes = np.array([a.min() + b.min(), a.max() + b.max()])
    i, j = np.divmod(numbers, problem.got.shape[1])
    tame = np.asarray(of_a[i] & of_b[j])
    if not fits(extremes, ends).all():
        for at in range(counted):
            tame &= fits(a[i, at] + b[j, at], ends)
    return np.asarray(tame)
