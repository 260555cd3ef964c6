"""Tiles of an output that were never written, or that hold the results of other tiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats
from mxref.check.dot._fault import DotFault
from mxref.check.dot._outputs import OUTPUTS
from mxref.check.dot._planes import moved, moved_with
from mxref.check.dot._problem import DotProblem
from mxref.check.dot._terms import Planes, Setup

__all__ = ["rough_product", "tile_faults", "where"]

_SIZES = (256, 128, 64, 32, 16, 8)
_DENSE = 0.6  # the share of a wrong tile that differs at least
_MOST = 0.75  # the share of tiles that may be wrong: beyond, it is no matter of tiles
_MANY = 256
_POINTS = 12
_NEAR = 2.0**-6


@dataclass(frozen=True, slots=True)
class _Tiling:
    """A grid over the output, and which of its tiles are wrong.

    Attributes
    ----------
    rows, columns : int
        The size of a tile.
    wrong : list of (int, int)
        Upper left corners.
    """

    rows: int
    columns: int
    wrong: list[tuple[int, int]]

    def text(self, corner: tuple[int, int]) -> str:
        (r, c), m, n = corner, self.rows, self.columns
        return f"rows {r} to {r + m - 1}, columns {c} to {c + n - 1}"


def tile_faults(problem: DotProblem, setup: Setup, wrong: NDArray[np.intp]) -> Iterator[DotFault]:
    """Faults that the places of wrong outputs propose."""
    if not problem.is_matrix or not 0 < len(wrong) < problem.size:
        return
    is_wrong = np.zeros(problem.size, np.bool_)
    is_wrong[wrong] = True
    tiling = _tiling(is_wrong.reshape(problem.got.shape))
    if tiling is None:
        return
    m, n = tiling.rows, tiling.columns
    if (problem.got.reshape(-1)[wrong] == 0).all():
        mask = np.zeros(problem.got.shape, np.bool_)
        for r, c in tiling.wrong:
            mask[r : r + m, c : c + n] = True
        detail = f"0 stands in {tiling.text(tiling.wrong[0])}{_more(tiling)}"
        yield DotFault("G13", detail, {"unwritten": mask.reshape(-1)})
        return
    fault = _moved_tiles(problem, setup, tiling)
    if fault is not None:
        yield fault


def _more(tiling: _Tiling) -> str:
    others = len(tiling.wrong) - 1
    size = f"tiles of {tiling.rows} x {tiling.columns}"
    return f", and in {others} more {size}" if others else ""


def where(problem: DotProblem, wrong: NDArray[np.intp]) -> str:
    """Say in which part of a matrix wrong outputs lie; empty where it is all of it.

    Examples
    --------
    >>> from mxref.check.dot._problem import Operand
    >>> from mxref.formats import block_format
    >>> side = Operand(*np.zeros((2, 64, 32), np.uint8), block_format("mxfp4"))
    >>> problem = DotProblem(side, side, 32, np.zeros((64, 64), np.float32))
    >>> where(problem, np.array([64 * 3 + 5, 64 * 4 + 6]))
    'rows 3 to 4, columns 5 to 6'
    """
    if not problem.is_matrix or not len(wrong):
        return ""
    i, j = np.divmod(wrong, problem.got.shape[1])
    ends = [(int(x.min()), int(x.max())) for x in (i, j)]
    if all(e == (0, size - 1) for e, size in zip(ends, problem.got.shape, strict=True)):
        return ""
    return f"rows {ends[0][0]} to {ends[0][1]}, columns {ends[1][0]} to {ends[1][1]}"


def _tiling(wrong: NDArray[np.bool_]) -> _Tiling | None:
    """The coarsest grid whose wrong tiles are wrong throughout."""
    sizes = sorted(itertools.product(_SIZES, repeat=2), key=lambda size: -size[0] * size[1])
    for m, n in sizes:
        padded = np.pad(wrong, [(0, -s % t) for s, t in zip(wrong.shape, (m, n), strict=True)])
        inside = np.pad(np.ones_like(wrong), [
            (0, p - s) for p, s in zip(padded.shape, wrong.shape, strict=True)])  # fmt: skip
        grid = (padded.shape[0] // m, m, padded.shape[1] // n, n)
        counts, areas = (x.reshape(grid).sum((1, 3)) for x in (padded, inside))
        hit = counts > 0
        if hit.size > 1 and hit.mean() <= _MOST and counts[hit].sum() >= _DENSE * areas[hit].sum():
            corners = [(int(r) * m, int(c) * n) for r, c in np.argwhere(hit)]
            return _Tiling(m, n, corners)
    return None


def rough_product(problem: DotProblem, setup: Setup) -> Floats:
    """The product in float64, with the addend."""
    block = problem.a.fmt.block_size
    with np.errstate(all="ignore"):
        left, right = (
            table[x.codes][:, : problem.k]
            * np.repeat(setup.scales[x.scales], block, axis=1)[:, : problem.k]
            for table, x in ((setup.table_a, problem.a), (setup.table_b, problem.b))
        )
        found = left @ right.T
        return found if problem.c is None else found + problem.c.astype(np.float64)


def _moved_tiles(problem: DotProblem, setup: Setup, tiling: _Tiling) -> DotFault | None:
    """A fault that puts into each wrong tile what belongs into another one."""
    if len(tiling.wrong) > _MANY:
        return None
    due = rough_product(problem, setup)
    if problem.output in OUTPUTS:
        due = OUTPUTS[problem.output].rounded(due)
    got = problem.got.astype(np.float64)
    source = np.arange(problem.size).reshape(got.shape)
    said = ""
    for corner in tiling.wrong:
        origin = _origin(due, got, tiling, corner)
        if origin is None:
            return None
        (r, c), (i, j) = corner, origin
        height, width = (
            min(size, end - max(x, y))
            for size, end, x, y in zip(
                (tiling.rows, tiling.columns), got.shape, corner, origin, strict=True
            )
        )
        own = np.arange(problem.size).reshape(got.shape)
        source[r : r + height, c : c + width] = own[i : i + height, j : j + width]
        said = said or f"{tiling.text(corner)} hold what belongs into {tiling.text(origin)}"
    flat = source.reshape(-1)
    planes = replace(Planes.of(problem), source=lambda numbers: flat[numbers])
    fault = moved(problem, "G13", f"{said}{_more(tiling)}", planes)
    return fault if problem.c is None else moved_with(
        fault, problem.c.reshape(-1).astype(np.float64)
    )  # fmt: skip


def _origin(
    due: Floats, got: Floats, tiling: _Tiling, corner: tuple[int, int]
) -> tuple[int, int] | None:
    """The tile of the grid whose right results stand in a wrong one."""
    m, n = tiling.rows, tiling.columns
    height, width = min(m, due.shape[0] - corner[0]), min(n, due.shape[1] - corner[1])
    rng = np.random.default_rng(0)
    r, c = rng.integers(0, height, _POINTS), rng.integers(0, width, _POINTS)
    rows, columns = np.arange(0, due.shape[0], m), np.arange(0, due.shape[1], n)
    i = np.minimum(rows[:, None, None] + r, due.shape[0] - 1)
    j = np.minimum(columns[None, :, None] + c, due.shape[1] - 1)
    want = got[corner[0] + r, corner[1] + c]
    with np.errstate(invalid="ignore"):
        near = (np.abs(due[i, j] - want) <= _NEAR * np.abs(want)) | (due[i, j] == want)
    found = np.argwhere(near.mean(-1) > 0.8)
    return (int(rows[found[0, 0]]), int(columns[found[0, 1]])) if len(found) else None
