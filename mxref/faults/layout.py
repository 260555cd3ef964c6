"""Layout faults: the right codes in the wrong places of a block.

Each function gives, for a block of k codes, the place from which a faulty implementation takes the
code of each element: ``wrong[..., i] = right[..., permutation[i]]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mxref.formats import BlockFormat

__all__ = ["LayoutModel", "layout_models", "nibbles_swapped", "split_half"]


@dataclass(frozen=True, slots=True, eq=False)
class LayoutModel:
    """A named permutation of the codes of a block.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    permutation : ndarray of int64, shape (k,)
        ``wrong[i] = right[permutation[i]]``.
    """

    id: str
    detail: str
    permutation: npt.NDArray[np.int64]

    def apply(self, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Permute the last axis as the fault does."""
        return blocks[..., self.permutation]

    def undo(self, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Bring the last axis back into its logical order."""
        return blocks[..., np.argsort(self.permutation)]


def nibbles_swapped(block_size: int) -> npt.NDArray[np.int64]:
    """L1: neighbours exchanged.

    Examples
    --------
    >>> nibbles_swapped(4)
    array([1, 0, 3, 2])
    """
    return np.arange(block_size) ^ 1


def split_half(block_size: int) -> npt.NDArray[np.int64]:
    """L2: elements j and j + k/2 share a byte (ggml), read as though neighbours did.

    Examples
    --------
    >>> split_half(8)
    array([0, 4, 1, 5, 2, 6, 3, 7])
    """
    i = np.arange(block_size)
    return i // 2 + (i % 2) * (block_size // 2)


def layout_models(fmt: BlockFormat) -> tuple[LayoutModel, ...]:
    """The layout faults that a format can have: two codes to a byte, hence 4-bit elements.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [model.id for model in layout_models(block_format("mxfp4"))]
    ['L1', 'L2', 'L2']
    """
    k = fmt.block_size
    if fmt.element.bits != 4 or k % 2:
        return ()
    split = split_half(k)
    models = [
        LayoutModel("L1", "", nibbles_swapped(k)),
        LayoutModel("L2", "split order read as linear", split),
        LayoutModel("L2", "linear order read as split", np.argsort(split)),
    ]
    identity = np.arange(k)
    return tuple(m for m in models if not np.array_equal(m.permutation, identity))
