"""Which candidate a block of NVFP4 takes under four over six: the one that maps to 6, or to 4."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import _nvfp4_numpy as plain
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["Candidate", "picks_second"]

Floats = NDArray[np.float32]
Candidate = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Scale codes, one a row, and codes (rows, 16)."""
_TILE = 16
_SELECTIONS = {rule: place for place, rule in enumerate(choice.Selection)}
_SIGNED = np.concatenate([plain.ELEMENTS, -plain.ELEMENTS]).astype(np.float32)
# An error is rounded three times, and a sum of n of them n - 1 times more; both sides have them.
_DOUBT = 2.0**-50


def picks_second(
    x: Floats,
    first: Candidate,
    second: Candidate,
    of: plain.Globals,
    policy: NVFP4Policy,
    tiles: tuple[int, int, int] | None = None,
) -> NDArray[np.bool_]:
    """Return for each row whether the second candidate loses less.

    Parameters
    ----------
    x : float32 array, shape (rows, 16)
    first, second : tuple of arrays
        Scale codes and codes.
    tiles : tuple of int, optional
        (matrices, lines, blocks in a line): rows of 16 x 16 blocks, which choose together.
    """
    if policy.selection_order is choice.SelectionOrder.FLOAT32:
        lost = [_errors(x, codes, scales, of, policy) for scales, codes in (first, second)]
        if tiles is not None:
            lost = [_tree(_grouped(rows, tiles), policy) for rows in lost]
        with np.errstate(invalid="ignore"):
            return _spread(lost[1] < lost[0], tiles)
    return _exactly(x, first, second, of, policy, tiles)


def _errors(
    x: Floats,
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    of: plain.Globals,
    policy: NVFP4Policy,
) -> Floats:
    """What each row loses, in float32."""
    if INTERPRETED:
        return plain.errors(x, codes, scales, of, policy)
    from mxref.kernels._nvfp4_loops import error_loop

    found = np.empty(scales.size, np.float32)
    s = plain.scale_values(scales, policy).astype(np.float32)
    product = np.float32(6 * plain.top(policy))
    flat = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(codes).reshape(-1)
    with parallel_slot(x.size) as parallel:
        loop = error_loop(_SELECTIONS[policy.selection], parallel)
        loop(*flat, s, _SIGNED, of.amax, product, found)
    return found


def _grouped(rows: NDArray[np.floating], tiles: tuple[int, int, int]) -> NDArray[np.floating]:
    """Rows as (16 lines, tiles); lines that do not exist have lost nothing."""
    matrices, lines, blocks = tiles
    whole = -(-lines // _TILE) * _TILE
    filled = np.zeros((matrices, whole, blocks), rows.dtype)
    filled[:, :lines] = rows.reshape(matrices, lines, blocks)
    grid = filled.reshape(matrices, whole // _TILE, _TILE, blocks)
    return np.moveaxis(grid, 2, 0).reshape(_TILE, -1)


def _spread(picks: NDArray[np.bool_], tiles: tuple[int, int, int] | None) -> NDArray[np.bool_]:
    """What tiles decided, for each of their rows."""
    if tiles is None:
        return picks
    matrices, lines, blocks = tiles
    grid = picks.reshape(matrices, -1, 1, blocks)
    repeated = np.broadcast_to(grid, (*grid.shape[:2], _TILE, blocks))
    return repeated.reshape(matrices, -1, blocks)[:, :lines].reshape(-1)


def _tree(rows: Floats, policy: NVFP4Policy) -> Floats:
    """Row i with row i + 8, then i + 4, and so on, as a warp of TE adds them."""
    with np.errstate(all="ignore"):
        while len(rows) > 1:
            half = len(rows) // 2
            if policy.selection is choice.Selection.ABS_MAX:
                rows = np.maximum(rows[:half], rows[half:])
            else:
                rows = rows[:half] + rows[half:]
    return np.asarray(rows[0])


# --- exact errors -------------------------------------------------------------------------------


def _exactly(
    x: Floats,
    first: Candidate,
    second: Candidate,
    of: plain.Globals,
    policy: NVFP4Policy,
    tiles: tuple[int, int, int] | None,
) -> NDArray[np.bool_]:
    """As rational numbers have it: by float64 where that decides, else by fractions."""
    lost = [_in_float64(x, candidate, of, policy) for candidate in (first, second)]
    if tiles is not None:
        combine = np.max if policy.selection is choice.Selection.ABS_MAX else np.sum
        with np.errstate(all="ignore"):
            lost = [combine(_grouped(rows, tiles), axis=0) for rows in lost]
    one, two = lost
    with np.errstate(invalid="ignore"):
        picks = two < one
        is_close = np.abs(two - one) <= 32 * _DOUBT * one  # up to 256 roundings
    # Where nothing is lost, and where both are the same, float64 is exact.
    is_close &= one > 0
    if tiles is None:
        same = (first[0] == second[0]) & (first[1] == second[1]).all(axis=1)
        is_close &= ~same
    members = np.arange(x.shape[0], dtype=np.int64)
    if tiles is not None:
        members = _grouped((members + 1).astype(np.float64), tiles).astype(np.int64).T - 1
    for i in np.flatnonzero(is_close):
        rows = [int(row) for row in np.atleast_1d(members[i]) if row >= 0]
        picks[i] = _fraction(x, second, rows, of, policy) < _fraction(x, first, rows, of, policy)
    return _spread(picks, tiles)


def _in_float64(
    x: Floats, candidate: Candidate, of: plain.Globals, policy: NVFP4Policy
) -> NDArray[np.float64]:
    scales, codes = candidate
    with np.errstate(all="ignore"):
        unit = plain.scale_values(scales, policy) * np.float64(of.decode)
        e = plain.ELEMENTS[codes & 7]
        values = np.where(codes & 8, -e, e) * unit[:, None]  # exact: 30 bits
        is_finite = np.isfinite(x)
        lost = np.where(is_finite, np.abs(values - np.where(is_finite, x, 0)), 0.0)
        if policy.selection is choice.Selection.ABS_MAX:
            total = lost.max(axis=1)
        else:
            total = (lost * lost if policy.selection is choice.Selection.MSE else lost).sum(axis=1)
    return np.where(np.isfinite(unit), total, np.nan)


def _fraction(
    x: Floats, candidate: Candidate, rows: list[int], of: plain.Globals, policy: NVFP4Policy
) -> Fraction:
    lost = []
    g = Fraction(float(of.decode))
    for row in rows:
        unit = Fraction(float(plain.scale_values(candidate[0][row : row + 1], policy)[0])) * g
        for number, code in zip(x[row].tolist(), candidate[1][row].tolist(), strict=True):
            if np.isfinite(number):
                e = Fraction(float(plain.ELEMENTS[code & 7]))
                lost.append(abs((-e if code & 8 else e) * unit - Fraction(number)))
    if policy.selection is choice.Selection.ABS_MAX:
        return max(lost, default=Fraction(0))
    if policy.selection is choice.Selection.MSE:
        lost = [size * size for size in lost]
    return sum(lost, Fraction(0))
