"""Elements under scales that differ, counted by their codes and the pair of scales.

Where every scale differs, as after a kernel that rounds scales another way, few pairs of scales
occur: each pair of codes is judged once under each, and not once an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.show.diff._scaling import Scaling, scale_values

__all__ = ["Variants", "variants_of"]

_MOST = 64  # pairs of scales: their counts take 32 MiB
_PAIRS = 1 << 16  # of codes


def variants_of(scaling: Scaling) -> Variants | None:
    """Return the pairs of scales that differ, if they are few and nothing else scales elements."""
    if len(scaling.parts) != 1 or scaling.is_equal:
        return None
    a, b = (part.reshape(-1) for part in scaling.parts[0])
    if a.dtype != np.uint8:
        return None
    a, b = a.astype(np.int64), b.astype(np.int64)
    fmt = scaling.format
    is_power = fmt.scale is ScaleKind.POW2 if isinstance(fmt, BDRFormat) else None
    if is_power or isinstance(fmt, BlockFormat):
        # Of powers of two only the ratio matters: every judgement is relative.
        least = np.minimum(a, b)
        a, b = a - least, b - least
    joint = np.where(a == b, -1, a << 8 | b)
    pairs, of_block = np.unique(joint, return_inverse=True)
    if pairs[0] == -1:
        pairs, of_block = pairs[1:], of_block - 1
    if len(pairs) > _MOST:
        return None
    return Variants(scaling, pairs, of_block.reshape(-1))


class Variants:
    """Counts of pairs of codes under pairs of scales.

    Parameters
    ----------
    scaling : Scaling
    pairs : array of int
        Scale code of a times 256 plus that of b, of each pair that occurs.
    of_block : array of int
        Which pair the scales of a block are; -1 where they are equal.
    """

    def __init__(
        self, scaling: Scaling, pairs: NDArray[np.int64], of_block: NDArray[np.intp]
    ) -> None:
        self._scaling, self._of_block = scaling, of_block
        codes = (pairs >> 8).astype(np.uint8), (pairs & 0xFF).astype(np.uint8)
        self._values = tuple(scale_values(each, scaling.format) for each in codes)
        self.counts = np.zeros(len(pairs) * _PAIRS, np.int64)
        self._waiting: list[NDArray[np.intp]] = []

    def of(self, groups: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return which pair of scales elements have, given their blocks; -1: equal scales."""
        return self._of_block[groups]

    def keys(self, variant: NDArray[np.intp], a: Any, b: Any) -> NDArray[np.intp]:
        """Return the number of the count that elements belong to, given their codes."""
        keys: NDArray[np.intp] = variant * _PAIRS + (a.astype(np.intp) << 8 | b)
        return keys

    def add(self, keys: NDArray[np.intp]) -> None:
        """Count elements; many at once, since a pass over all counts is not free."""
        self._waiting.append(keys)
        if sum(map(len, self._waiting)) >= len(self.counts) // 2:
            self.flush()

    def flush(self) -> None:
        """Count what waits."""
        if self._waiting:
            self.counts += np.bincount(np.concatenate(self._waiting), minlength=len(self.counts))
            self._waiting = []

    # What `judge` asks of a scaling, of keys in place of elements.

    def factors(self, keys: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the elements of a and of b are multiplied by."""
        which = keys // _PAIRS
        return self._values[0][which], self._values[1][which]

    def other(self, keys: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return that the scales differ."""
        return np.ones(len(keys), np.bool_)
