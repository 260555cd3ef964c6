"""Counts of mismatches by place: what position signatures are read from, in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "Line", "Located"]

_BINS = 1 << 20  # rows and columns beyond that share counters
_PERIOD = 256
_WHOLE = 0.75  # a wrong scale leaves the zeros of its block right


@dataclass(frozen=True, slots=True)
class Located:
    """Coordinates of the mismatches of a piece, one entry each."""

    flat: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    lane: NDArray[np.int64]
    block: NDArray[np.int64]


@dataclass(slots=True)
class Line:
    """Mismatches along one direction: by number, in bins, and by number modulo 256.

    Attributes
    ----------
    length : int
        How many rows, or columns, there are.
    bins : ndarray of int64
        Mismatches in each `width` neighbouring ones.
    residues : ndarray of int64, shape (256,)
    first, last : int
        The first and the last that holds a mismatch.
    """

    length: int
    bins: NDArray[np.int64]
    residues: NDArray[np.int64]
    width: int = 1
    first: int = 1 << 62
    last: int = -1

    @classmethod
    def of(cls, length: int) -> Line:
        """Counters for a direction of that length."""
        width = max(1, -(-length // _BINS))
        return cls(
            length,
            np.zeros(-(-length // width), np.int64),
            np.zeros(_PERIOD, np.int64),
            width,
        )

    def add(self, numbers: NDArray[np.int64]) -> None:
        """Count some mismatches."""
        self.bins += np.bincount(numbers // self.width, minlength=self.bins.size)
        self.residues += np.bincount(numbers % _PERIOD, minlength=_PERIOD)
        self.first = min(self.first, int(numbers.min()))
        self.last = max(self.last, int(numbers.max()))

    def folded(self, period: int) -> NDArray[np.int64]:
        """Mismatches by number modulo a divisor of 256."""
        return np.asarray(self.residues.reshape(-1, period).sum(0))

    @property
    def hit(self) -> int:
        """How many hold a mismatch; where bins are wide, how many bins do."""
        return int(np.count_nonzero(self.bins))


@dataclass(slots=True)
class Counts:
    """All counts of a mask of mismatches.

    Attributes
    ----------
    shape : tuple of int
        Of the data in the eyes of the caller.
    axis : int
        Blocked axis, counted from the front.
    block_size : int or None
        None where there are no blocks: the data are numbered in C order.
    total : int
        Mismatches so far.
    lanes : ndarray of int64
    blocks, whole, in_whole : int
        Blocks with a mismatch; those that are wrong nearly everywhere; the mismatches in those.
    in_ragged : int
        Mismatches in last blocks that are not full.
    first, last : int
        The first and the last mismatch in C order.
    """

    shape: tuple[int, ...]
    axis: int
    block_size: int | None
    rows: Line = field(init=False)
    columns: Line = field(init=False)
    lanes: NDArray[np.int64] = field(init=False)
    total: int = 0
    blocks: int = 0
    whole: int = 0
    in_whole: int = 0
    in_ragged: int = 0
    some_blocks: list[int] = field(default_factory=list)
    first: int = 1 << 62
    last: int = -1

    def __post_init__(self) -> None:
        """Set up the counters."""
        width = self.shape[-1] if self.shape else 1
        self.rows = Line.of(max(1, math.prod(self.shape[:-1])))
        self.columns = Line.of(max(1, width))
        self.lanes = np.zeros(self.block_size or 1, np.int64)

    @property
    def size(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def plane(self) -> tuple[int, ...]:
        """Shape of the scale plane with the blocked axis last."""
        moved = [n for i, n in enumerate(self.shape) if i != self.axis]
        return (*moved, -(-self.shape[self.axis] // (self.block_size or 1)))

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return math.prod(self.plane) if self.block_size else 0

    @property
    def is_ragged(self) -> bool:
        """Whether last blocks are not full."""
        return bool(self.block_size) and self.shape[self.axis] % (self.block_size or 1) != 0

    @property
    def runs_along_rows(self) -> bool:
        """Whether a block is a piece of a row."""
        return self.axis == len(self.shape) - 1

    def add(self, start_block: int, mask: NDArray[np.bool_]) -> Located | None:
        """Count the mismatches of some blocks; None if there is none."""
        rows, lanes = np.nonzero(mask)
        if not len(rows):
            return None
        found = self._located(start_block, rows, lanes, mask.shape[1])
        self.total += len(rows)
        self.rows.add(found.row)
        self.columns.add(found.column)
        self.first = min(self.first, int(found.flat.min()))
        self.last = max(self.last, int(found.flat.max()))
        if self.block_size:
            self._add_blocks(start_block, mask, found)
        return found

    def _add_blocks(self, start_block: int, mask: NDArray[np.bool_], found: Located) -> None:
        self.lanes += np.bincount(found.lane, minlength=self.lanes.size)
        in_block = mask.sum(1)
        whole = in_block >= max(2, _WHOLE * mask.shape[1])
        hit = np.flatnonzero(in_block)
        self.blocks += len(hit)
        self.some_blocks += [int(b) + start_block for b in hit[: max(0, 8 - len(self.some_blocks))]]
        self.whole += int(whole.sum())
        self.in_whole += int(in_block[whole].sum())
        if self.is_ragged:
            last = found.block % self.plane[-1] == self.plane[-1] - 1
            self.in_ragged += int(last.sum())

    def _located(
        self, start_block: int, rows: NDArray[np.intp], lanes: NDArray[np.intp], k: int
    ) -> Located:
        block = rows.astype(np.int64) + start_block
        lane = lanes.astype(np.int64)
        width = self.columns.length
        if self.block_size is None:
            flat = block * k + lane
            return Located(flat, flat // width, flat % width, lane, block)
        *lead, along = np.unravel_index(block, self.plane)
        index = list(lead)
        index.insert(self.axis, along * self.block_size + lane)
        flat = np.asarray(np.ravel_multi_index(tuple(index), self.shape), np.int64)
        return Located(flat, flat // width, flat % width, lane, block)
