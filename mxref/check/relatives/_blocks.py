"""Arrays of any layout as rows of blocks, with the coordinates that the caller knows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "Piece"]

_SLAB = 1 << 20  # elements of a piece


@dataclass(frozen=True, slots=True)
class Piece:
    """Some blocks as rows.

    Attributes
    ----------
    rows : ndarray of int
        Their numbers.
    x, codes : ndarray, shape (n, k)
        Values and element codes.
    parts : mapping of str to ndarray, shape (n, per)
        What else a block has, such as its ``"scales"``.
    used : ndarray of bool, shape (n, k), or None
        False where a ragged last block was filled up with zeros; None where nothing was.
    """

    rows: NDArray[np.intp]
    x: NDArray[Any]
    codes: NDArray[np.uint8]
    parts: Mapping[str, NDArray[Any]]
    used: NDArray[np.bool_] | None


class Blocks:
    """Values, element codes and the parts of a block, cut along one axis.

    Blocks are numbered in C order over the other axes, then along the blocked axis.

    Parameters
    ----------
    x, codes : ndarray
        Of one shape.
    axis : int
        Blocked axis, counted from the front.
    size : int
        Elements a block.
    parts : mapping of str to ndarray
        Each has the shape of `x` but for the blocked axis, along which it has the same number of
        entries for each block.

    Examples
    --------
    >>> x = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    >>> blocks = Blocks(x, x.astype(np.uint8), 0, 4, {"scales": np.zeros((2, 2), np.uint8)})
    >>> piece = blocks.take(np.array([1]))
    >>> piece.x.tolist(), piece.used.tolist(), blocks.element_index(1, 1)
    ([[8.0, 10.0, 0.0, 0.0]], [[True, True, False, False]], (5, 0))
    """

    def __init__(
        self,
        x: NDArray[Any],
        codes: NDArray[np.uint8],
        axis: int,
        size: int,
        parts: Mapping[str, NDArray[Any]],
    ) -> None:
        self.shape, self.axis, self.size = x.shape, axis, size
        self._length = x.shape[axis]
        self._along = -(-self._length // size)
        self.x, self.codes = (self._as_rows(a, size) for a in (x, codes))
        self.parts = MappingProxyType({name: self._part(a) for name, a in parts.items()})
        self.n = len(self.x)
        lead = [n for i, n in enumerate(x.shape) if i != axis]
        self._plane = (*lead, self._along)

    def _as_rows(self, array: NDArray[Any], size: int) -> NDArray[Any]:
        moved = np.moveaxis(array, self.axis, -1)
        missing = self._along * size - moved.shape[-1]
        if missing:
            padded = np.zeros((*moved.shape[:-1], moved.shape[-1] + missing), array.dtype)
            padded[..., : moved.shape[-1]] = moved
            moved = padded
        return moved.reshape(-1, size)

    def _part(self, array: NDArray[Any]) -> NDArray[Any]:
        per = array.shape[self.axis] // max(1, self._along)
        return self._as_rows(array, per)

    @property
    def n_elements(self) -> int:
        """Number of elements, without those that fill up a last block."""
        return math.prod(self.shape)

    @property
    def is_ragged(self) -> bool:
        """Whether last blocks were filled up."""
        return bool(self._along * self.size != self._length)

    def take(self, rows: NDArray[np.intp]) -> Piece:
        """Copy some blocks out, by number."""
        return Piece(
            rows,
            self.x[rows],
            self.codes[rows],
            {name: part[rows] for name, part in self.parts.items()},
            self._used(rows),
        )

    def pieces(self) -> Iterator[Piece]:
        """Yield all blocks in order, about a million elements at a time, without a copy."""
        step = max(1, _SLAB // self.size)
        for start in range(0, self.n, step):
            cut = slice(start, min(self.n, start + step))
            rows = np.arange(cut.start, cut.stop)
            parts = {name: part[cut] for name, part in self.parts.items()}
            yield Piece(rows, self.x[cut], self.codes[cut], parts, self._used(rows))

    def _used(self, rows: NDArray[np.intp]) -> NDArray[np.bool_] | None:
        if not self.is_ragged:
            return None
        along = rows % self._along
        return np.asarray(along[:, None] * self.size + np.arange(self.size) < self._length)

    def block_index(self, row: int) -> tuple[int, ...]:
        """Coordinates of a block, in an array that has one entry for each."""
        index = [int(i) for i in np.unravel_index(row, self._plane)]
        index.insert(self.axis, index.pop())
        return tuple(index)

    def element_index(self, row: int, lane: int) -> tuple[int, ...]:
        """Coordinates of an element."""
        index = list(self.block_index(row))
        index[self.axis] = index[self.axis] * self.size + lane
        return tuple(index)
