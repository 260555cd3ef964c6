"""The loops of NVFP4 around its lanes. Chunks of blocks run in the default floating-point mode."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import float_kernel, kernel
from mxref.kernels._nvfp4_lanes import (
    LANES,
    TIMES,
    nvfp4_amax,
    nvfp4_decode,
    nvfp4_encode,
    nvfp4_scales,
)
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = [
    "ABS_MAX",
    "MAE",
    "MSE",
    "amax_loop",
    "decode_loop",
    "encode_loop",
    "error_loop",
    "random_loop",
    "scale_loop",
    "search_loop",
]

u8, u32 = np.uint8, np.uint32
f32, f64 = np.float32, np.float64

MAE, MSE, ABS_MAX = range(3)
"""What a block loses: the members of ``Selection``."""
CHUNK = 1 << 9  # blocks that one thread takes at a time


@functools.cache
def amax_loop(source: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, b)``: the largest magnitude bits of each 16 words, those of NaN too."""
    SOURCE, WIDTH = source, LANES

    @kernel(key=f"nvfp4-amax-{source}", parallel=parallel)
    def find_amax(x, b):  # type: ignore[no-untyped-def]
        n_blocks = b.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                b[i] = u32(nvfp4_amax(x, i * WIDTH, SOURCE))

    return find_amax


@functools.cache
def scale_loop(
    order: int, is_four: int, rounding: int, is_one: int, is_eighth: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(b, scales, f)``: scale codes of amax bits, a multiple of 16 of them."""
    ORDER, IS_FOUR, ROUNDING, IS_ONE, IS_EIGHTH = order, is_four, rounding, is_one, is_eighth
    WIDTH = LANES
    key = f"nvfp4-scales-{order}{is_four}{rounding}{is_one}{is_eighth}"

    @float_kernel(key=key, parallel=parallel)
    def find_scales(b, scales, f):  # type: ignore[no-untyped-def]
        n_tiles = b.shape[0] // WIDTH
        n_chunks = (n_tiles + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            lo = chunk * CHUNK
            hi = min(n_tiles, lo + CHUNK)
            for i in range(lo, hi):
                nvfp4_scales(b, i * WIDTH, scales, f, ORDER, IS_FOUR, ROUNDING, IS_ONE, IS_EIGHTH)
            restore_floats(mode)

    return find_scales


@functools.cache
def search_loop(parallel: bool) -> Callable[..., None]:
    """Return ``kernel(wanted, scales, bounds)``: how many bounds each number reaches.

    `scales` holds a guess, which is seldom wrong by more than one.
    """

    @float_kernel(key="nvfp4-search", parallel=parallel)
    def search(wanted, scales, bounds):  # type: ignore[no-untyped-def]
        n_blocks = wanted.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                number = f64(wanted[i])
                code = int(scales[i])
                while code > 0 and number < bounds[code - 1]:
                    code -= 1
                while code < 127 and number >= bounds[code]:
                    code += 1
                scales[i] = u8(code)
            restore_floats(mode)

    return search


@functools.cache
def encode_loop(
    source: int, step: int, neg_zero: int, nan: int, is_exact: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, scales, codes, factors, flips, below)``; see `nvfp4_encode`.

    With `is_exact`, each scale code has bounds of its own.
    """
    SOURCE, STEP, NEG_ZERO, NAN, IS_EXACT = source, step, neg_zero, nan, is_exact
    WIDTH = LANES
    key = f"nvfp4-encode-{source}{step}{neg_zero}{nan}{is_exact}"

    @float_kernel(key=key, parallel=parallel)
    def encode(x, scales, codes, factors, flips, below):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                s = scales[i]
                at = np.int64(s) * 8 if IS_EXACT else 0
                nvfp4_encode(
                    x, i * WIDTH, codes, factors[s], flips[s], below, at,
                    SOURCE, STEP, NEG_ZERO, NAN,
                )  # fmt: skip
            restore_floats(mode)

    return encode


@functools.cache
def random_loop(step: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, scales, codes, random, factors, units, grid, share, scaled)``.

    Writes E2M1 codes without sign under a stochastic rounding, and to `scaled` what was rounded.
    `grid` holds the values of the codes, `share` is 2**-N.
    """
    STEP, WIDTH = step, LANES

    @float_kernel(key=f"nvfp4-random-{step}", parallel=parallel)
    def encode(x, scales, codes, random, factors, units, grid, share, scaled):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                factor = factors[scales[i]]
                unit = units[scales[i]]
                for j in range(i * WIDTH, i * WIDTH + WIDTH):
                    if STEP == TIMES:
                        scaled[j] = x[j] * factor
                    else:
                        scaled[j] = x[j] / factor
                    size = abs(f64(scaled[j]))
                    code = 0
                    for k in range(1, 8):
                        if size >= grid[k] * unit:
                            code = k
                    if code < 7 and random[j] > 0:
                        gap = grid[code + 1] - grid[code]
                        bound = grid[code] + gap * (f64(1) - f64(random[j]) * share)
                        if size >= bound * unit:
                            code += 1
                    codes[j] = u8(code)
            restore_floats(mode)

    return encode


@functools.cache
def error_loop(selection: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, codes, scales, values, amax, product, errors)``.

    `scales` holds the value of each block's scale, `values` those of the 16 codes. Each line below
    is one float32 operation; sums run from the first element to the last.
    """
    SELECTION, WIDTH = selection, LANES

    @float_kernel(key=f"nvfp4-errors-{selection}", parallel=parallel)
    def find_errors(x, codes, scales, values, amax, product, errors):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                total = f32(0)
                for j in range(i * WIDTH, i * WIDTH + WIDTH):
                    scaled = f32(values[codes[j]] * scales[i])
                    whole = f32(scaled * amax)
                    lost = f32(abs(f32(whole / product) - x[j]))
                    if SELECTION == ABS_MAX:
                        # A NaN stays, and is taken: it is not less than anything.
                        if not (lost <= total or np.isnan(total)):
                            total = lost
                    elif SELECTION == MSE:
                        total = f32(total + f32(lost * lost))
                    else:
                        total = f32(total + lost)
                errors[i] = total
            restore_floats(mode)

    return find_errors


@functools.cache
def decode_loop(parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, scales, out, values)``: codes to float32 bits by a table.

    `values` holds the bits of eight values for each scale code.
    """
    WIDTH = LANES

    @float_kernel(key="nvfp4-decode", parallel=parallel)
    def decode(codes, scales, out, values):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                nvfp4_decode(codes, i * WIDTH, out, values, np.int64(scales[i]) * 8)

    return decode
