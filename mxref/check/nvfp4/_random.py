"""NVFP4 with elements rounded stochastically: what can be said with the draws, and without."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import nvfp4
from mxref._policy_base import Choices
from mxref.check.nvfp4._data import Data, same_number
from mxref.check.nvfp4._stages import ElementStage
from mxref.check.relatives import Piece
from mxref.faults.decode import element_table
from mxref.faults.nvfp4_model import E2M1, E4M3
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["WITHOUT_DRAWS", "NeighbourStage", "same_bits"]

WITHOUT_DRAWS = (
    "Elements were rounded stochastically: each was held to be one of the two neighbours of its "
    "value, and how often which comes out was not judged. Pass the random numbers as random= to "
    "compare every bit."
)
_E2M1, _E4M3 = element_table(E2M1), element_table(E4M3)


class NeighbourStage(ElementStage):
    """Elements, each of which may be either neighbour of its value."""

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[np.uint8]:
        """The neighbours toward zero."""
        cut = policy.replace(rounding="toward-zero")
        return super().make(cut, faults, piece)

    def differs(self, due: NDArray[np.uint8], piece: Piece) -> NDArray[np.bool_]:
        """Neither that neighbour nor, where the value lies beyond it, the next."""
        unit = _E4M3[piece.parts["scales"] & 0x7F] * np.float64(self.data.g)
        with np.errstate(all="ignore"):
            is_beyond = np.abs(piece.x) > np.abs(_E2M1[due & 0xF]) * unit
        is_next = (piece.codes == due + 1) & (due & 7 < 7) & is_beyond
        return np.asarray(super().differs(due, piece) & ~is_next)


def same_bits(data: Data, policy: NVFP4Policy, random: Any) -> bool:
    """Whether a policy gives every bit with the random numbers that were drawn."""
    q = nvfp4.quantize(data.x, data.axis, policy, pad=True, random=random)
    same = np.array_equal(q.scales, data.scales) and np.array_equal(q.codes, data.codes)
    return bool(same and same_number(q.global_scale, data.g))
