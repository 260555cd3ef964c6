"""Parts of an output that were never written, or that hold the results of other parts."""

from __future__ import annotations

import itertools
from collections import Counter
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

Bools = NDArray[np.bool_]
Numbers = NDArray[np.intp]

_SIZES = (256, 128, 64, 32, 16, 8)
_DENSE = 0.6  # the share of a wrong tile that differs at least
_MOST = 0.75  # the share of tiles that may be wrong: beyond, it is no matter of tiles
_MANY = 256
_POINTS = 12
_NEAR = 2.0**-6
_SURE = 0.8  # the share of some results that must be found elsewhere
_FEWEST = 4  # wrong results: a single one is found elsewhere by chance
_RUNS = 3  # runs of lines that a text names


@dataclass(frozen=True, slots=True)
class _Tiling:
    """A grid over the output, and which of its tiles are wrong.

    Attributes
    ----------
    rows, columns : int
        The size of a tile.
    corners : list of (int, int)
        Upper left corners of the wrong ones.
    """

    rows: int
    columns: int
    corners: list[tuple[int, int]]

    def part(self, corner: tuple[int, int]) -> tuple[slice, slice]:
        """Where a tile lies; the last ones may reach over the edges."""
        return tuple(  # type: ignore[return-value]  # of two
            slice(at, at + size) for at, size in zip(corner, (self.rows, self.columns), strict=True)
        )

    def more(self) -> str:
        """What the text of one tile leaves out."""
        others = len(self.corners) - 1
        size = f"tile{'s' * (others > 1)} of {self.rows} x {self.columns}"
        return f", and in {others} more {size}" if others else ""


def tile_faults(problem: DotProblem, setup: Setup, wrong: NDArray[np.intp]) -> Iterator[DotFault]:
    """Faults that the places of wrong outputs propose."""
    if not problem.is_matrix or not len(wrong):
        return
    flags = np.zeros(problem.size, np.bool_)
    flags[wrong] = True
    is_wrong = flags.reshape(problem.got.shape)
    is_part = len(wrong) < problem.size
    if is_part and (problem.got.reshape(-1)[wrong] == 0).all():
        yield from _unwritten(is_wrong)
    elif len(wrong) >= _FEWEST:
        yield from _misplaced(problem, _rounded_product(problem, setup), is_wrong)


# --- parts that were never written ------------------------------------------------------------


def _unwritten(is_wrong: Bools) -> Iterator[DotFault]:
    """Zeros in some rows and columns, or in tiles."""
    rows, columns = (np.flatnonzero(is_wrong.any(axis)) for axis in (1, 0))
    area = len(rows) * len(columns)
    if area < is_wrong.size and np.count_nonzero(is_wrong) >= _DENSE * area:
        mask = np.zeros_like(is_wrong)
        mask[np.ix_(rows, columns)] = True
        detail = f"0 stands in {_lines('row', rows)}, {_lines('column', columns)}"
        yield DotFault("G13", detail, {"unwritten": mask.reshape(-1)})
        return
    tiling = _tiling(is_wrong)
    if tiling is None:
        return
    mask = np.zeros_like(is_wrong)
    for corner in tiling.corners:
        mask[tiling.part(corner)] = True
    detail = f"0 stands in {_box(is_wrong, tiling, tiling.corners[0]).text()}{tiling.more()}"
    yield DotFault("G13", detail, {"unwritten": mask.reshape(-1)})


def _lines(what: str, numbers: Numbers) -> str:
    """Rows or columns in words.

    Examples
    --------
    >>> _lines("row", np.array([3, 4, 5, 9]))
    'rows 3 to 5, 9'
    """
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = [f"{r[0]} to {r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs[:_RUNS]]
    others = len(runs) - _RUNS
    more = f" and {others} more run{'s' * (others > 1)}" if others > 0 else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}"


@dataclass(frozen=True, slots=True)
class _Box:
    """Consecutive rows and columns."""

    top: int
    left: int
    rows: int
    columns: int

    def text(self, by: tuple[int, int] = (0, 0)) -> str:
        """Say where it lies, or where it would if it were moved."""
        i, j = self.top + by[0], self.left + by[1]
        rows, columns = np.arange(i, i + self.rows), np.arange(j, j + self.columns)
        return f"{_lines('row', rows)}, {_lines('column', columns)}"


def _box(is_wrong: Bools, tiling: _Tiling | None = None, corner: tuple[int, int] = (0, 0)) -> _Box:
    """The least box around the wrong results, of a tile or of all."""
    part = is_wrong if tiling is None else is_wrong[tiling.part(corner)]
    rows, columns = (np.flatnonzero(part.any(axis)) for axis in (1, 0))
    return _Box(
        corner[0] + int(rows[0]),
        corner[1] + int(columns[0]),
        int(rows[-1] - rows[0]) + 1,
        int(columns[-1] - columns[0]) + 1,
    )


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


def _tiling(wrong: Bools) -> _Tiling | None:
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


# --- parts that hold what belongs elsewhere ---------------------------------------------------


def _rounded_product(problem: DotProblem, setup: Setup) -> Floats:
    due = rough_product(problem, setup)
    return OUTPUTS[problem.output].rounded(due) if problem.output in OUTPUTS else due


def _misplaced(problem: DotProblem, due: Floats, is_wrong: Bools) -> Iterator[DotFault]:
    """Rows or columns in other places, tiles of a grid, or one part that is none."""
    got = problem.got.astype(np.float64)
    for axis, what in enumerate(("row", "column")):
        found = _moved_lines(*((due, got, is_wrong) if not axis else (due.T, got.T, is_wrong.T)))
        if found is not None:
            lines, said = found
            own = np.arange(problem.size).reshape(got.shape)
            yield _from(problem, np.take(own, lines, axis), said.replace("LINE", what))
    if is_wrong.all():
        return
    part = _moved_part(due, got, is_wrong)
    if part is None:
        tiling = _tiling(is_wrong)
        part = None if tiling is None else _moved_tiles(due, got, is_wrong, tiling)
    if part is not None:
        yield _from(problem, *part)


def _from(problem: DotProblem, source: Numbers, detail: str) -> DotFault:
    """The fault that puts into each place the result of another one."""
    flat = source.reshape(-1)
    planes = replace(Planes.of(problem), source=lambda numbers: flat[numbers])
    fault = moved(problem, "G13", detail, planes)
    if problem.c is None:
        return fault
    return moved_with(fault, problem.c.reshape(-1).astype(np.float64))


def _near(due: Floats, want: Floats) -> Bools:
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(due - want) <= _NEAR * np.abs(want)) | (due == want))


def _moved_lines(due: Floats, got: Floats, is_wrong: Bools) -> tuple[Numbers, str] | None:
    """Which row stands in the place of each one, where wrong rows are wrong throughout."""
    wrong = np.flatnonzero(is_wrong.any(1))
    if not wrong.size or is_wrong[wrong].mean() < _DENSE:
        return None
    size = len(due)
    some = wrong[:: max(1, len(wrong) // _POINTS)]
    origins = [_origin_of_line(due, got, int(line)) for line in some]
    if None in origins:
        return None
    steps = {
        int(line - at) % size for line, at in zip(some, origins, strict=True) if at is not None
    }
    lines = np.arange(size)
    if len(steps) == 1 and len(wrong) > size // 2:
        step = min(steps)
        far, how = (step, "before") if step <= size // 2 else (size - step, "behind")
        away = f"the LINE {how} it" if far == 1 else f"the one {far} LINEs {how} it"
        return (lines - step) % size, f"each LINE holds what belongs into {away}"
    if len(wrong) > _MANY:
        return None
    for line in wrong:
        origin = _origin_of_line(due, got, int(line))
        if origin is None:
            return None
        lines[line] = origin
    first, other = int(wrong[0]), int(lines[wrong[0]])
    if len(wrong) == 2 and lines[other] == first:  # a pair
        return lines, f"LINEs {first} and {other} are exchanged"
    more = f"; {len(wrong)} LINEs in all hold those of others" if len(wrong) > 1 else ""
    return lines, f"LINE {first} holds what belongs into LINE {other}{more}"


def _origin_of_line(due: Floats, got: Floats, line: int) -> int | None:
    """The row of right results that stands in a row."""
    count = min(_POINTS, got.shape[1])
    at = np.random.default_rng(line).choice(got.shape[1], count, replace=False)
    found = np.flatnonzero(_near(due[:, at], got[line, at]).mean(1) > _SURE)
    found = found[found != line]  # results that are a little off are near their own place
    if len(found) > 1:
        found = found[_near(due[found], got[line]).mean(1).argmax() :][:1]
    return int(found[0]) if len(found) else None


def _moved_tiles(
    due: Floats, got: Floats, is_wrong: Bools, tiling: _Tiling
) -> tuple[Numbers, str] | None:
    """Where each wrong tile came from, if all of them are other tiles of the grid.

    What is right in such a tile stays: it may reach over what was moved.
    """
    if len(tiling.corners) > _MANY:
        return None
    own = np.arange(got.size).reshape(got.shape)
    source, said = own.copy(), ""
    for corner in tiling.corners:
        box = _box(is_wrong, tiling, corner)
        origin = _origin(due, got, tiling, box, corner)
        if origin is None:
            return None
        di, dj = origin[0] - corner[0], origin[1] - corner[1]
        i, j = np.nonzero(is_wrong[tiling.part(corner)])
        i, j = i + corner[0], j + corner[1]
        ends = [x + d for x, d in ((i, di), (j, dj))]
        is_in = np.all([(e >= 0) & (e < n) for e, n in zip(ends, got.shape, strict=True)], axis=0)
        if not is_in.all():
            return None
        source[i, j] = own[ends[0], ends[1]]
        said = said or f"{box.text()} hold what belongs into {box.text((di, dj))}"
    return source, f"{said}{tiling.more()}"


def _origin(
    due: Floats, got: Floats, tiling: _Tiling, box: _Box, corner: tuple[int, int]
) -> tuple[int, int] | None:
    """The tile of the grid whose right results stand in a wrong one."""
    m, n = tiling.rows, tiling.columns
    rng = np.random.default_rng(0)
    r = rng.integers(0, box.rows, _POINTS) + box.top - corner[0]
    c = rng.integers(0, box.columns, _POINTS) + box.left - corner[1]
    rows, columns = np.arange(0, due.shape[0], m), np.arange(0, due.shape[1], n)
    i = np.minimum(rows[:, None, None] + r, due.shape[0] - 1)
    j = np.minimum(columns[None, :, None] + c, due.shape[1] - 1)
    near = _near(due[i, j], got[corner[0] + r, corner[1] + c])
    found = np.argwhere(near.mean(-1) > _SURE)
    found = found[(found * (m, n) != corner).any(1)]
    return (int(rows[found[0, 0]]), int(columns[found[0, 1]])) if len(found) else None


def _moved_part(due: Floats, got: Floats, is_wrong: Bools) -> tuple[Numbers, str] | None:
    """One box whose results are those of another of its size, wherever both lie."""
    box = _box(is_wrong)
    i, j = np.nonzero(is_wrong)
    if len(i) < _DENSE * box.rows * box.columns:
        return None
    some = np.random.default_rng(0).choice(len(i), min(_POINTS, len(i)), replace=False)
    votes: Counter[tuple[int, int]] = Counter()
    for at in some:
        same = np.argwhere(_near(due, got[i[at], j[at]])) - (i[at], j[at])
        votes.update(map(tuple, same[: 1 << 16].tolist()))
    for (di, dj), count in votes.most_common(_POINTS):
        if count <= _SURE * len(some):
            break
        ends = i + di, j + dj
        if (di or dj) and all(
            e.min() >= 0 and e.max() < n for e, n in zip(ends, got.shape, strict=True)
        ):
            own = np.arange(got.size).reshape(got.shape)
            source = own.copy()
            source[i, j] = own[ends]
            return source, f"{box.text()} hold what belongs into {box.text((di, dj))}"
    return None
