"""Blocks of 16 x 16: which axes they lie along, and how their rows share an amax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["other_axis", "over_tiles", "tiles_of"]

_SIZE = NVFP4.block_size
_MATRIX = 2  # axes of a matrix


def other_axis(shape: tuple[int, ...], axis: int, policy: NVFP4Policy, *, pad: bool) -> int | None:
    """Return the second axis of 16 x 16 blocks, or None for blocks of 16.

    Raises
    ------
    ValueError
        If there is none, or its length does not fit.
    """
    if policy.geometry is choice.Geometry.ONE_D:
        return None
    if len(shape) < _MATRIX or axis < len(shape) - _MATRIX:
        msg = (
            f"geometry=2d needs the axis to be one of the last two, got axis {axis} of an array "
            f"of shape {shape}"
        )
        raise ValueError(msg)
    other = 2 * len(shape) - 3 - axis
    inputs.scale_shape(shape, other, _SIZE, pad=pad)
    return other


def tiles_of(shape: tuple[int, ...], axis: int, other: int) -> tuple[int, int, int]:
    """Return how rows of `as_rows` lie: (matrices, lines of the other axis, blocks in a line)."""
    blocks = -(-shape[axis] // _SIZE)
    lines = shape[other]
    matrices = int(np.prod(shape, dtype=np.int64)) // max(1, shape[axis] * lines)
    return matrices, lines, blocks


def over_tiles(
    b: NDArray[np.float32], shape: tuple[int, ...], axis: int, other: int
) -> NDArray[np.float32]:
    """Return the largest of 16 neighbouring lines, for each of them."""
    if not b.size:
        return b
    matrices, lines, blocks = tiles_of(shape, axis, other)
    grid = b.reshape(matrices, lines, blocks)
    starts = np.arange(0, lines, _SIZE)
    largest = np.maximum.reduceat(grid, starts, axis=1)
    return np.repeat(largest, _SIZE, axis=1)[:, :lines].reshape(-1)
