"""Counts mismatches into a picture of bounded size, piece by piece.

The data may be far larger than the memory for a second copy of them; the picture has at most 64 by
128 cells, and a piece is looked at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mxref.check.parts import MismatchMap

if TYPE_CHECKING:
    from mxref.check._problem import Problem

__all__ = ["MapBuilder"]

_ROWS, _COLUMNS = 64, 128
_PORTION = 1 << 17  # elements looked at together: a few megabytes of places
_DIGITS = 6  # of a share: six are more than a picture can show


class MapBuilder:
    """Collects where mismatches lie.

    Blocks are numbered as in a check: in C order over the other axes, then along the blocked axis.

    Parameters
    ----------
    shape : tuple of int
        Of the data in the eyes of the caller.
    axis : int
        Blocked axis.
    block_size : int or None
        Elements a block; None where there are no blocks, so that `shape` is taken in C order and
        no lanes are counted.

    Examples
    --------
    >>> builder = MapBuilder((2, 64), axis=1, block_size=32)
    >>> mask = np.zeros((4, 32), np.bool_)
    >>> mask[3, 5] = True  # the second block of the second row
    >>> builder.add(0, mask)
    >>> found = builder.finish()
    >>> found.cell, found.rows[1][32 + 5], found.lanes[5], sum(map(sum, found.rows))
    ((1, 1), 1.0, 1, 1.0)
    """

    def __init__(self, shape: tuple[int, ...], axis: int, block_size: int | None) -> None:
        self.shape = tuple(int(n) for n in shape)
        dims = self.shape or (1,)
        self._dims = dims
        self._k = block_size
        self._axis = len(dims) - 1 if block_size is None else axis % len(dims)
        lead = math.prod(dims[:-1])
        self._cell = (-(-lead // _ROWS) or 1, -(-dims[-1] // _COLUMNS) or 1)
        self._grid = (-(-lead // self._cell[0]), -(-dims[-1] // self._cell[1]))
        self._counts = np.zeros(math.prod(self._grid), np.int64)
        self._lanes = np.zeros(0 if block_size is None else block_size, np.int64)
        others = [n for i, n in enumerate(dims) if i != self._axis]
        is_last = self._axis == len(dims) - 1
        # Blocks then follow each other as their elements do.
        self._is_flat = block_size is None or (is_last and dims[-1] % block_size == 0)
        self._plane = (*others, -(-dims[self._axis] // (block_size or 1)))

    @classmethod
    def of(cls, problem: Problem) -> MapBuilder:
        """Return a builder for the data of a check."""
        if problem.shape is not None:  # lone elements lie flat, in blocks of convenience
            return cls(problem.shape, -1, None)
        return cls(problem.x.shape, problem.axis, problem.fmt.block_size)

    def add(self, start: int | NDArray[np.intp], mask: NDArray[np.bool_]) -> None:
        """Count the mismatches of some blocks.

        Parameters
        ----------
        start : int or ndarray of int
            Number of the first of neighbouring blocks, or the number of each.
        mask : ndarray of bool, shape (n, k)
            Which elements differ; what fills up a ragged last block is left out. Without a block
            size k may be anything, as long as it is the same for each piece.
        """
        if not mask.any():
            return
        width = mask.shape[1]
        step = max(1, _PORTION // width)
        for first in range(0, len(mask), step):
            rows, lanes = np.nonzero(mask[first : first + step])
            rows += first
            blocks = start[rows] if isinstance(start, np.ndarray) else start + rows
            if self._is_flat:
                self.add_elements(blocks * width + lanes)
            else:
                self._add_places(blocks, lanes)

    def _add_places(self, blocks: NDArray[np.intp], lanes: NDArray[np.intp]) -> None:
        *lead, along = np.unravel_index(blocks, self._plane)
        place = along * len(self._lanes) + lanes
        inside = place < self._dims[self._axis]
        index = [i[inside] for i in lead]
        index.insert(self._axis, place[inside])
        self._lanes += np.bincount(lanes[inside], minlength=len(self._lanes))
        self._add_flat(np.ravel_multi_index(tuple(index), self._dims))

    def add_elements(self, elements: NDArray[np.integer]) -> None:
        """Count single mismatches, given by their flat numbers in C order of the shape."""
        if not len(elements):
            return
        self._add_flat(elements)
        if self._k is not None:
            after = math.prod(self._dims[self._axis + 1 :])
            place = elements // after % self._dims[self._axis]
            self._lanes += np.bincount(place % self._k, minlength=self._k)

    def _add_flat(self, elements: NDArray[np.integer]) -> None:
        row, column = np.divmod(elements, self._dims[-1])
        cells = row // self._cell[0] * self._grid[1] + column // self._cell[1]
        self._counts += np.bincount(cells, minlength=len(self._counts))

    @classmethod
    def of_scales(cls, problem: Problem, blocks: NDArray[np.intp]) -> MapBuilder:
        """Return a builder for the scale codes of a check, with those of some blocks counted."""
        *lead, along = np.unravel_index(blocks, problem.plane)
        index = [*lead]
        index.insert(problem.axis, along)
        builder = cls(problem.scales.shape, -1, None)
        builder.add_elements(np.ravel_multi_index(tuple(index), problem.scales.shape))
        return builder

    def finish(self) -> MismatchMap | None:
        """Return the picture; None where nothing differs."""
        if not self._counts.any():
            return None
        down = _lengths(math.prod(self._dims[:-1]), self._cell[0])
        across = _lengths(self._dims[-1], self._cell[1])
        counts = self._counts.reshape(self._grid)
        shares = counts / (down[:, None] * across)
        # A single mismatch in a huge cell is not nothing, and all but one are not all.
        least = 10.0**-_DIGITS
        shares = np.where(counts > 0, np.maximum(np.round(shares, _DIGITS), least), 0.0)
        is_full = counts == down[:, None] * across
        shares = np.where(is_full, 1.0, np.minimum(shares, 1 - least))
        rows = tuple(tuple(float(share) for share in row) for row in shares)
        return MismatchMap(self.shape, rows, self._cell, tuple(int(n) for n in self._lanes))


def _lengths(total: int, cell: int) -> NDArray[np.int64]:
    """How many elements each cell holds along one direction; the last may hold fewer."""
    starts = np.arange(0, total, cell)
    return np.minimum(starts + cell, total) - starts
