"""The data of a check as rows of blocks, in pieces of bounded size, with logical coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.formats import SCALE_FORMATS, BlockFormat, ElementFormat

__all__ = ["Piece", "Problem", "spread"]

_SLAB = 1 << 22
_LONE = 32
_UNIT_SCALE = 127


@dataclass(frozen=True, slots=True)
class Piece:
    """Some blocks: values and codes of shape (n, k), scale codes of shape (n,).

    `used` is false where a ragged last block was filled up; None where nothing was.
    """

    start: int
    x: NDArray[Any]
    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    used: NDArray[np.bool_] | None = None

    def rows(self, rows: NDArray[np.intp]) -> Piece:
        """Some of the blocks."""
        used = None if self.used is None else self.used[rows]
        return Piece(self.start, self.x[rows], self.codes[rows], self.scales[rows], used)

    @property
    def stop(self) -> int:
        """Number of the block behind the last one."""
        return self.start + len(self.scales)


class Problem:
    """Values, element codes and scale codes of one tensor.

    Blocks are numbered in C order over the other axes, then along the blocked axis.

    Parameters
    ----------
    x : ndarray
        What was encoded, or for decoding what came out.
    codes, scales : ndarray of uint8
        Element codes in the shape of `x`; one scale code a block.
    fmt : BlockFormat
    axis : int
        Blocked axis, counted from the front.
    shape : tuple of int, optional
        Of lone elements, which have no scale: `x` is flat, and this is its shape in the eyes of
        the caller.
    """

    def __init__(
        self,
        x: NDArray[Any],
        codes: NDArray[np.uint8],
        scales: NDArray[np.uint8],
        fmt: BlockFormat,
        axis: int,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.x, self.codes, self.scales, self.fmt, self.axis = x, codes, scales, fmt, axis
        self.shape = shape
        self._x, self._codes, self._scales = (np.moveaxis(a, axis, -1) for a in (x, codes, scales))
        self.plane = self._scales.shape
        self.n_blocks = scales.size

    @classmethod
    def of_elements(
        cls, x: NDArray[Any], codes: NDArray[np.uint8], element: ElementFormat
    ) -> Problem:
        """Lone elements as blocks whose scale is 1."""
        k = math.gcd(x.size, _LONE) or 1  # no block is ragged
        fmt = BlockFormat(element.name, element, SCALE_FORMATS["e8m0"], k)
        scales = np.full(x.size // k, _UNIT_SCALE, np.uint8)
        return cls(x.reshape(-1), codes.reshape(-1), scales, fmt, 0, x.shape)

    @property
    def lone(self) -> bool:
        """Whether the elements have no scale."""
        return self.shape is not None

    def pieces(self) -> Iterator[Piece]:
        """Yield all blocks in order, about four million elements at a time."""
        start = 0
        for index in inputs.slabs(self.plane, max(1, _SLAB // self.fmt.block_size)):
            scales = self._scales[index].reshape(-1)
            x, codes = self._rows(self._x, index), self._rows(self._codes, index)
            yield Piece(start, x, codes, scales, self._used(start, scales.size))
            start += scales.size

    def _rows(self, array: NDArray[Any], index: tuple[slice | int, ...]) -> NDArray[Any]:
        """Blocks of a piece of the scale plane as rows; a ragged last one is filled with zeros."""
        k = self.fmt.block_size
        if len(index) == len(self.plane):  # the blocked axis itself is cut
            *lead, last = index
            cut = slice(last.start * k, last.stop * k) if isinstance(last, slice) else last
            part = array[(*lead, cut)]
        else:
            part = array[index]
        missing = -part.shape[-1] % k
        if missing:
            padded = np.zeros((*part.shape[:-1], part.shape[-1] + missing), part.dtype)
            padded[..., : part.shape[-1]] = part
            part = padded
        return part.reshape(-1, k)

    def _used(self, start: int, count: int) -> NDArray[np.bool_] | None:
        k, length = self.fmt.block_size, self._x.shape[-1]
        if length % k == 0:
            return None
        along = np.arange(start, start + count) % self.plane[-1]
        return np.asarray(along[:, None] * k + np.arange(k) < length)

    def take(self, blocks: NDArray[np.intp]) -> Piece:
        """Copy some blocks out, by number; `Piece.start` means nothing then."""
        k, length = self.fmt.block_size, self._x.shape[-1]
        *lead, along = np.unravel_index(blocks, self.plane)
        lane = along[:, None] * k + np.arange(k)
        inside = lane < length
        where = (*(i[:, None] for i in lead), np.minimum(lane, length - 1))
        x = np.where(inside, self._x[where], self._x.dtype.type(0))
        codes = np.where(inside, self._codes[where], np.uint8(0))
        used = None if inside.all() else inside
        return Piece(0, x, codes, self._scales[(*lead, along)], used)

    def block_index(self, block: int) -> tuple[int, ...]:
        """Coordinates of a block in the scale array."""
        moved = [int(i) for i in np.unravel_index(block, self.plane)]
        moved.insert(self.axis, moved.pop())
        return tuple(moved)

    def element_index(self, block: int, lane: int) -> tuple[int, ...]:
        """Coordinates of an element in the array."""
        index = list(self.block_index(block))
        index[self.axis] = index[self.axis] * self.fmt.block_size + lane
        if self.shape is not None:
            return tuple(int(i) for i in np.unravel_index(index[0], self.shape))
        return tuple(index)

    def first(self, blocks: NDArray[np.intp], lanes: NDArray[np.intp]) -> tuple[int, int]:
        """Which of some (block, lane) pairs comes first in logical order."""
        *lead, along = np.unravel_index(blocks, self.plane)
        index = list(lead)
        index.insert(self.axis, along * self.fmt.block_size + lanes)
        at = int(np.argmin(np.ravel_multi_index(tuple(index), self.x.shape)))
        return int(blocks[at]), int(lanes[at])

    @property
    def n_elements(self) -> int:
        """Number of elements."""
        return math.prod(self.x.shape)


def spread(numbers: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """At most `limit` of some numbers, evenly spread and with both ends.

    Examples
    --------
    >>> spread(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(numbers) <= limit:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, limit).astype(np.intp)]
