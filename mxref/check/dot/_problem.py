"""Dot products as data: which row of each operand makes which output, taken in bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat

__all__ = ["Bytes", "DotProblem", "Operand", "Rows", "Singles"]

Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]

_TERMS = 1 << 20  # products in one piece


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """One operand: rows of whole blocks.

    Attributes
    ----------
    codes : ndarray of uint8, shape (rows, blocks * block size)
    scales : ndarray of uint8, shape (rows, blocks)
    fmt : BlockFormat
    """

    codes: Bytes
    scales: Bytes
    fmt: BlockFormat


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some dot products: a row of each operand for every output, and what came out.

    Attributes
    ----------
    a, b : Operand
    k : int
        How many elements count; what lies behind them is padding.
    got : ndarray of float32
        The outputs.
    numbers : ndarray of int
        Which outputs they are.
    """

    a: Operand
    b: Operand
    k: int
    got: Singles
    numbers: NDArray[np.intp]

    @property
    def block(self) -> int:
        """The block size."""
        return self.a.fmt.block_size

    def some(self, which: NDArray[np.intp]) -> Rows:
        """Some of them."""
        a, b = self.a, self.b
        return Rows(
            Operand(a.codes[which], a.scales[which], a.fmt),
            Operand(b.codes[which], b.scales[which], b.fmt),
            self.k,
            self.got[which],
            self.numbers[which],
        )


@dataclass(frozen=True, slots=True, eq=False)
class DotProblem:
    """All dot products of a call.

    Attributes
    ----------
    a, b : Operand
        The rows of `b` are columns of the matrix, where there is one.
    k : int
        How many elements count.
    got : ndarray of float32
        The outputs, in the shape that the caller sees.
    """

    a: Operand
    b: Operand
    k: int
    got: Singles

    @property
    def size(self) -> int:
        """How many outputs there are."""
        return self.got.size

    @property
    def is_matrix(self) -> bool:
        """Whether every row of one operand meets every row of the other."""
        return self.got.ndim == 2

    def take(self, numbers: NDArray[np.intp]) -> Rows:
        """Copy out what some outputs are made of."""
        of_a, of_b = np.divmod(numbers, self.got.shape[1]) if self.is_matrix else (numbers, numbers)
        a, b = self.a, self.b
        return Rows(
            Operand(a.codes[of_a], a.scales[of_a], a.fmt),
            Operand(b.codes[of_b], b.scales[of_b], b.fmt),
            self.k,
            self.got.reshape(-1)[numbers],
            numbers,
        )

    def pieces(self) -> Iterator[Rows]:
        """Yield all outputs in order, about a million products at a time."""
        step = max(1, _TERMS // max(1, self.a.codes.shape[1]))
        for start in range(0, self.size, step):
            yield self.take(np.arange(start, min(start + step, self.size)))

    def index(self, number: int) -> tuple[int, ...]:
        """Coordinates of an output."""
        return tuple(int(i) for i in np.unravel_index(number, self.got.shape))
