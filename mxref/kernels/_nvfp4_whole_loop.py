"""The loop that makes the scales and codes of NVFP4 in one pass, while a block is in the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import float_kernel
from mxref.kernels._nvfp4_lanes import (
    INFINITY,
    LANES,
    ask_ahead,
    nvfp4_amax,
    nvfp4_amax_of_all,
    nvfp4_encode,
    nvfp4_scales,
)
from mxref.kernels._nvfp4_loops import AHEAD, CHUNK
from mxref.kernels._nvfp4_options import BY_CODE, ElementOptions, ScaleOptions
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["quantize_loop"]

u32 = np.uint32


@functools.cache
def quantize_loop(
    of_scale: ScaleOptions, of_element: ElementOptions, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, scales, codes, f, factors, flips, below, odd)`` for x without a NaN.

    `f` is what `nvfp4_scales` reads; `factors`, `flips` and `below` are what `nvfp4_encode` does.
    ``odd[0]`` becomes 1 if there is a NaN all the same; its block is then wrong.
    """
    SCALE_STEP, ROUNDING = of_scale
    SOURCE, STEP, NEG_ZERO, NAN, BOUNDS = of_element
    WIDTH, IS_BY_CODE = LANES, of_element.bounds == BY_CODE
    key = f"nvfp4-whole-{'.'.join(map(str, of_scale))}-{'.'.join(map(str, of_element))}"

    @float_kernel(key=key, parallel=parallel)
    def quantize(x, scales, codes, f, factors, flips, below, odd):  # type: ignore[no-untyped-def]
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
                peak = u32(0)
                if n_tile == WIDTH:
                    peak = u32(nvfp4_amax_of_all(x, tile * WIDTH, largest, SOURCE))
                else:
                    for i in range(n_tile):
                        largest[i] = u32(nvfp4_amax(x, (tile + i) * WIDTH, SOURCE))
                        peak = max(peak, largest[i])
                if peak > u32(INFINITY):
                    odd[0] = u32(1)
                nvfp4_scales(largest, 0, made, f, SCALE_STEP, ROUNDING)
                for i in range(n_tile):
                    s = made[i]
                    scales[tile + i] = s
                    ask_ahead(x, (tile + i + AHEAD) * WIDTH)
                    at = np.int64(s) * 8 if IS_BY_CODE else 0
                    nvfp4_encode(
                        x, (tile + i) * WIDTH, codes, factors[s], flips[s], below, at,
                        SOURCE, STEP, NEG_ZERO, NAN, BOUNDS,
                    )  # fmt: skip
            restore_floats(mode)

    return quantize
