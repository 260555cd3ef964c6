"""What a scale selection may look at: amax, special values, and amax over wrong sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Bools, Floats, as_float64, least_normal

__all__ = ["BlockStats", "block_stats", "with_neighbours"]


@dataclass(frozen=True, slots=True)
class BlockStats:
    """What scale selection may look at, one entry a block.

    Attributes
    ----------
    amax : ndarray of float64
        Largest finite magnitude, 0 if there is none.
    has_nan, has_inf : ndarray of bool
        Whether the block holds one.
    nan_first : ndarray of bool
        Whether its first element is NaN.
    parts : Mapping of str to ndarray of float64
        amax over wrong sets of elements: ``without_first``, ``without_last``, ``first_half``,
        ``second_half``; ``signed``, the largest value instead of the largest magnitude; and what
        `with_neighbours` adds.
    tiny : float
        Least normal number of the source; 0 where subnormals do not matter.
    """

    amax: Floats
    has_nan: Bools
    has_inf: Bools
    nan_first: Bools
    parts: Mapping[str, Floats]
    tiny: float = 0.0

    def take(self, where: npt.NDArray[Any]) -> BlockStats:
        """The blocks at these indices, or where a mask is true; one-dimensional."""
        parts = {name: array[where] for name, array in self.parts.items()}
        return BlockStats(
            self.amax[where],
            self.has_nan[where],
            self.has_inf[where],
            self.nan_first[where],
            parts,
            self.tiny,
        )

    def ravel(self) -> BlockStats:
        """The same blocks in one dimension."""
        return self.take(np.ones(self.amax.shape, np.bool_))

    @property
    def is_normal(self) -> Bools:
        """Blocks of finite elements that are not all zero: those that the rule decides."""
        return ~self.has_nan & ~self.has_inf & (self.amax > 0)


def block_stats(blocks: npt.NDArray[Any]) -> BlockStats:
    """Measure blocks.

    Parameters
    ----------
    blocks : ndarray, shape (..., n_blocks, k)
        Values, any source type.

    Returns
    -------
    BlockStats
        Arrays of shape (..., n_blocks).
    """
    x = as_float64(blocks)
    nan, inf = np.isnan(x), np.isinf(x)
    value = np.where(nan | inf, 0.0, x)
    size = np.abs(value)
    amax = size.max(-1)
    half = max(x.shape[-1] // 2, 1)
    parts = {
        "signed": value.max(-1),
        "without_first": size[..., 1:].max(-1, initial=0.0),
        "without_last": size[..., :-1].max(-1, initial=0.0),
        "first_half": size[..., :half].max(-1),
        "second_half": size[..., half:].max(-1, initial=0.0),
    }
    tiny = least_normal(np.asarray(blocks).dtype)
    return BlockStats(amax, np.any(nan, -1), np.any(inf, -1), nan[..., 0], parts, tiny)


def with_neighbours(stats: BlockStats) -> BlockStats:
    """Add amax over neighbouring blocks: ``previous``, ``next`` and ``pair``.

    What ends in ``_odd`` says whether there are NaN (2) or infinities (1) in them; ``place`` counts
    the blocks along the axis.

    Parameters
    ----------
    stats : BlockStats
        Arrays of shape (..., n_blocks), all blocks of an axis in order.
    """
    amax = stats.amax
    previous = np.concatenate([amax[..., :1], amax[..., :-1]], -1)
    following = np.concatenate([amax[..., 1:], amax[..., -1:]], -1)
    odd = np.arange(amax.shape[-1]) % 2 == 1
    other = np.where(odd, previous, following)
    parts = dict(stats.parts)
    parts |= {"previous": previous, "next": following, "pair": np.maximum(amax, other)}
    # NaN counts 2 and an infinity 1, so that one array carries both.
    special = 2.0 * stats.has_nan + stats.has_inf
    before = np.concatenate([special[..., :1], special[..., :-1]], -1)
    behind = np.concatenate([special[..., 1:], special[..., -1:]], -1)
    beside = np.where(odd, before, behind)
    either = 2.0 * ((special >= 2) | (beside >= 2)) + ((special % 2 == 1) | (beside % 2 == 1))
    parts |= {"previous_odd": before, "next_odd": behind, "pair_odd": either}
    parts["place"] = np.broadcast_to(np.arange(amax.shape[-1], dtype=np.float64), amax.shape)
    return replace(stats, parts=parts)
