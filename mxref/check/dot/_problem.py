"""Dot products as data: which row of each operand makes which output, taken in bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat

__all__ = ["Bytes", "DotProblem", "Floats", "Operand", "Rows", "Singles", "scattered"]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_TERMS = 1 << 20  # products in one piece
_MOST_TERMS = 1 << 24  # in all pieces; of a larger product they are a sample


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
    got : ndarray of float32 or float64
        The outputs.
    numbers : ndarray of int
        Which outputs they are.
    c : ndarray of float64, or None
        The addend of each.
    output : str
        The type that the outputs came in.
    """

    a: Operand
    b: Operand
    k: int
    got: Singles
    numbers: NDArray[np.intp]
    c: Floats | None = None
    output: str = "float32"

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
            None if self.c is None else self.c[which],
            self.output,
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
    got : ndarray of float32, or of float64 where the outputs are
        The outputs, in the shape that the caller sees; those of narrower types widened.
    c : ndarray of float64, float32, float16 or bfloat16, or None
        The addend, in the same shape.
    output : str
        The type that the outputs came in.
    """

    a: Operand
    b: Operand
    k: int
    got: Singles
    c: NDArray[Any] | None = None
    output: str = "float32"

    @property
    def size(self) -> int:
        """How many outputs there are."""
        return int(self.got.size)

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
            None if self.c is None else self.c.reshape(-1)[numbers].astype(np.float64),
            self.output,
        )

    def pieces(self) -> Iterator[Rows]:
        """Yield all outputs in order, or a sample of very many; a million products at a time."""
        k = max(1, self.a.codes.shape[1])
        yield from self.pieces_of(scattered(np.arange(self.size), max(1, _MOST_TERMS // k)))

    def pieces_of(self, numbers: NDArray[np.intp]) -> Iterator[Rows]:
        """Yield some outputs, a million products at a time."""
        step = max(1, _TERMS // max(1, self.a.codes.shape[1]))
        for start in range(0, len(numbers), step):
            yield self.take(numbers[start : start + step])

    @property
    def sampled(self) -> int:
        """How many outputs `pieces` yields."""
        k = max(1, int(self.a.codes.shape[1]))
        return min(self.size, max(1, _MOST_TERMS // k))

    def index(self, number: int) -> tuple[int, ...]:
        """Coordinates of an output."""
        return tuple(int(i) for i in np.unravel_index(number, self.got.shape))


def scattered(numbers: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """At most `limit` of some numbers, always the same, with both ends.

    They lie at random: at even distances they could all be of one column of a matrix.

    Examples
    --------
    >>> scattered(np.arange(3), 4)
    array([0, 1, 2])
    >>> len(scattered(np.arange(1 << 20), 1000)) <= 1000
    True
    """
    if len(numbers) <= limit:
        return numbers
    rng = np.random.default_rng(len(numbers))
    some = rng.integers(0, len(numbers), max(0, limit - 2))
    ends = [0, len(numbers) - 1][:limit]
    return np.asarray(numbers[np.unique(np.concatenate([some, ends]))])
