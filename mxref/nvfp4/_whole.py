"""Conversion in two passes, where the recipe and the numbers allow it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.kernels import nvfp4_whole as whole
from mxref.nvfp4._array import NVFP4Array
from mxref.nvfp4._blocks import from_rows, is_rows
from mxref.nvfp4._tensor import tensor_scales
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["in_two_passes"]


def in_two_passes(
    given: NDArray[Any],
    scales_of_tensor: tuple[Any, Any],
    policy: NVFP4Policy,
    out: NVFP4Array | None,
    axis: int,
    shape: tuple[int, ...],
) -> NVFP4Array | None:
    """Return what `quantize` does, or None if there is a NaN.

    Parameters
    ----------
    given : array of float32, bfloat16 or float16
        Rows of 16.
    scales_of_tensor : tuple
        The arguments global_amax and global_scale.
    out, axis
        As for `quantize`, checked.
    shape : tuple of int
        That of x.
    """
    source = inputs.SOURCE_OF[given.dtype]
    words = given.reshape(-1).view(f"u{given.dtype.itemsize}")
    amax, g = scales_of_tensor
    largest = None
    if amax is None and g is None:
        largest = whole.peak(words, source)
        if largest is None:
            return None
    of = tensor_scales(amax, g, largest, policy)
    is_direct = out is not None and is_rows(out.codes, axis) and is_rows(out.scales, axis, 1)
    if out is not None and is_direct:
        codes, scales = out.codes.reshape(-1), out.scales.reshape(-1)
    else:
        codes, scales = np.empty(given.size, np.uint8), np.empty(len(given), np.uint8)
    if not whole.quantize(words, source, of, policy, scales, codes):
        return None
    blocks = -(-shape[axis] // NVFP4.block_size)
    scale_shape = (*shape[:axis], blocks, *shape[axis + 1 :])
    if out is None:
        found = from_rows(codes, shape, axis), from_rows(scales, scale_shape, axis)
        return NVFP4Array.trusted(*found, of.decode, axis, policy)
    if not is_direct:
        from_rows(codes, shape, axis, out.codes)
        from_rows(scales, scale_shape, axis, out.scales)
    out._assign(out.codes, out.scales, of.decode, axis, policy)  # noqa: SLF001  # its own module
    return out
