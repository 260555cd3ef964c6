"""Sums of parts of K that are stored in bfloat16 before they are added."""

from __future__ import annotations

import numpy as np

from mxref.check.dot._exact import Floats
from mxref.check.dot._outputs import OUTPUTS
from mxref.check.dot._terms import Products

__all__ = ["partial_sums"]


def partial_sums(found: Products, parts: int, radius: Floats) -> tuple[Floats, Floats]:
    """Return the ends between which a sum of stored parts lies, but for its own roundings.

    A part may be off by its share of the bound before it is rounded; where that decides, both
    neighbours are possible. Rounding is monotone, so that the ends are those of the parts.

    Parameters
    ----------
    found : Products
    parts : int
        Parts of as many blocks each, the last of fewer.
    radius : ndarray
        How far each whole sum may be off; a part is granted as much.
    """
    sums = found.by_block().sum(0)
    size = -(-sums.shape[1] // parts)
    bfloat16 = OUTPUTS["bfloat16"]
    least, most = np.zeros(len(sums)), np.zeros(len(sums))
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, sums.shape[1], size):
            part = sums[:, start : start + size].sum(1)
            least += bfloat16.rounded(part - radius)
            most += bfloat16.rounded(part + radius)
    if found.addend is not None:
        least, most = least + found.addend, most + found.addend
    return least, most
