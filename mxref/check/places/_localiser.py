"""Collects mismatches piece by piece, and finds out what they have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.check.parts import Place
from mxref.check.places._counts import Counts
from mxref.check.places._positions import position_signs
from mxref.check.places._signs import LEAST
from mxref.check.places._values import Values

__all__ = ["MOST", "Localiser"]

MOST = 6
"""How many places are worth a reader's time."""


class Localiser:
    """Collects mismatches piece by piece, and says what they have in common.

    Memory is bounded: counts by row, column, lane and block, and a sample of values.

    Parameters
    ----------
    shape : tuple of int
        Of the data in the eyes of the caller.
    axis : int
        Blocked axis, counted from the front.
    block_size : int or None
        None for lone elements, which are numbered in C order.

    Notes
    -----
    A signature is claimed of at least 8 mismatches, where it holds for 99 % of them, and where
    mismatches strewn at random would show it, or another that is looked for, with a probability
    below one in a million.

    Examples
    --------
    >>> right = np.arange(1.0, 2049.0, dtype=np.float32).reshape(64, 32)
    >>> wrong = right.copy()
    >>> wrong[:, 31] = 0.5  # the last lane of each block
    >>> localiser = Localiser((64, 32), axis=1, block_size=32)
    >>> localiser.add(0, wrong != right, wrong, right)
    >>> [place.what for place in localiser.finish()][1]
    'Every mismatch lies in lane 31 of 32.'
    """

    def __init__(self, shape: tuple[int, ...], axis: int, block_size: int | None) -> None:
        self._counts = Counts(shape, axis, block_size)
        width = block_size or 1
        row = self._counts.columns.length
        along = self._counts.plane[-1] * width if block_size else row
        steps = {1, 2, 4, 8, 16, 32, 64, 128, width, 2 * width, 4 * width, along, 2 * along}
        self._values = Values(tuple(sorted(steps)), width)

    def add(
        self,
        start_block: int,
        mask: NDArray[np.bool_],
        got: NDArray[np.float32],
        expected: NDArray[np.float32],
        previous: NDArray[np.float32] | None = None,
    ) -> None:
        """Take in some blocks; what is not added counts as right.

        Parameters
        ----------
        start_block : int
            Number of the first block, as `mxref.check._problem.Problem` counts them; of lone
            elements, of rows as long as those of `mask`.
        mask : ndarray of bool, shape (n, k)
            Where the blocks mismatch.
        got, expected : ndarray of float32, shape (n, k)
            Values: of element codes those that they decode to.
        previous : ndarray of float32, shape (n, k), optional
            What the call before gave there, where a target is driven.
        """
        found = self._counts.add(start_block, mask)
        if found is not None:
            self._values.add(mask, got, expected, previous, found)

    def finish(self) -> tuple[Place, ...]:
        """Return what was found, the most telling first; at most six."""
        if self._counts.total < LEAST:
            return ()
        signs = [*position_signs(self._counts), *self._values.signs()]
        signs.sort(key=lambda sign: -sign.telling)
        return tuple(sign.place for sign in signs[:MOST])
