"""Arrays of any shape and axis as rows of 16, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import nvfp4 as kernels
from mxref.kernels.nvfp4_steady import steadily
from mxref.relatives.nvfp4_format import NVFP4

if TYPE_CHECKING:
    from mxref.nvfp4._array import NVFP4Array

__all__ = ["as_rows", "decode_array", "from_rows", "is_rows"]

_SIZE = NVFP4.block_size


def as_rows(array: NDArray[Any], axis: int, size: int = _SIZE) -> NDArray[Any]:
    """Return an array as contiguous rows of one block each, each line filled up with zeros.

    Examples
    --------
    >>> as_rows(np.arange(18.0), 0).shape
    (2, 16)
    """
    moved = np.moveaxis(array, axis, -1)
    missing = -moved.shape[-1] % size
    if missing:
        filled = np.zeros((*moved.shape[:-1], moved.shape[-1] + missing), moved.dtype)
        filled[..., : moved.shape[-1]] = moved
        moved = filled
    return np.ascontiguousarray(moved).reshape(-1, size)


def from_rows(
    rows: NDArray[Any], shape: tuple[int, ...], axis: int, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return the array that `as_rows` was made from; `out`, if given, is written.

    Examples
    --------
    >>> from_rows(as_rows(np.arange(18.0), 0), (18,), 0)[-1]
    np.float64(17.0)
    """
    length = shape[axis]
    others = (*shape[:axis], *shape[axis + 1 :])
    lines = rows.reshape(*others, -1)[..., :length] if rows.size else rows.reshape(*others, length)
    found = np.moveaxis(lines, -1, axis)
    if out is None:
        return np.ascontiguousarray(found)
    out[...] = found
    return out


def is_rows(array: NDArray[Any], axis: int, size: int = _SIZE) -> bool:
    """Return whether an array is rows of one block each as it lies in memory."""
    return axis == array.ndim - 1 and array.shape[axis] % size == 0 and array.flags.c_contiguous


@steadily
def decode_array(q: NVFP4Array, out: NDArray[np.float32]) -> None:
    """Write the values of an array."""
    if not q.size:
        return
    codes = as_rows(q.codes, q.axis)
    scales = as_rows(q.scales, q.axis, 1).reshape(-1)
    if is_rows(out, q.axis):
        kernels.decode(codes, scales, q.global_scale, q.policy, out.reshape(-1, _SIZE))
        return
    values = kernels.decode(codes, scales, q.global_scale, q.policy)
    from_rows(values, q.shape, q.axis, out)
