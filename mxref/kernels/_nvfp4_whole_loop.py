"""The loop that makes the scales and codes of NVFP4 in one pass, while a block is in the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import prange

from mxref.kernels._jit import float_kernel
from mxref.kernels._nvfp4_lanes import LANES, nvfp4_amax, nvfp4_encode, nvfp4_scales
from mxref.kernels._nvfp4_loops import CHUNK
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["ElementOptions", "ScaleOptions", "quantize_loop"]

u32 = np.uint32


class ScaleOptions(NamedTuple):
    """What `nvfp4_scales` is compiled for."""

    order: int
    is_four: int
    rounding: int
    is_one: int
    is_eighth: int


class ElementOptions(NamedTuple):
    """What `nvfp4_encode` is compiled for, and whether each scale code has bounds of its own."""

    source: int
    step: int
    neg_zero: int
    nan: int
    is_by_code: int


@functools.cache
def quantize_loop(
    of_scale: ScaleOptions, of_element: ElementOptions, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, scales, codes, f, factors, flips, below)`` for x without a NaN.

    `f` is what `nvfp4_scales` reads, the last three what `nvfp4_encode` does.
    """
    ORDER, IS_FOUR, ROUNDING, IS_ONE, IS_EIGHTH = of_scale
    SOURCE, STEP, NEG_ZERO, NAN, IS_BY_CODE = of_element
    WIDTH = LANES
    key = f"nvfp4-whole-{'.'.join(map(str, of_scale))}-{'.'.join(map(str, of_element))}"

    @float_kernel(key=key, parallel=parallel)
    def quantize(x, scales, codes, f, factors, flips, below):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            # As many scales as a vector has lanes are made at once.
            largest = np.zeros(WIDTH, u32)
            made = np.empty(WIDTH, np.uint8)
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for tile in range(lo, hi, WIDTH):
                n_tile = min(WIDTH, hi - tile)
                for i in range(n_tile):
                    largest[i] = u32(nvfp4_amax(x, (tile + i) * WIDTH, SOURCE))
                nvfp4_scales(largest, 0, made, f, ORDER, IS_FOUR, ROUNDING, IS_ONE, IS_EIGHTH)
                for i in range(n_tile):
                    s = made[i]
                    scales[tile + i] = s
                    at = np.int64(s) * 8 if IS_BY_CODE else 0
                    nvfp4_encode(
                        x, (tile + i) * WIDTH, codes, factors[s], flips[s], below, at,
                        SOURCE, STEP, NEG_ZERO, NAN,
                    )  # fmt: skip
            restore_floats(mode)

    return quantize
