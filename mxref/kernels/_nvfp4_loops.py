"""The loops of NVFP4 around its lanes. Chunks of blocks run in the default floating-point mode."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import float_kernel, kernel
from mxref.kernels._nvfp4_lanes import (
    LANES,
    ask_ahead,
    nvfp4_amax,
    nvfp4_decode,
    nvfp4_encode,
    nvfp4_scales,
)
from mxref.kernels._nvfp4_options import BY_CODE, TIMES
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = [
    "ABS_MAX",
    "AHEAD",
    "CHUNK",
    "LANES",
    "MAE",
    "MSE",
    "amax_loop",
    "decode_loop",
    "encode_loop",
    "error_loop",
    "peak_loop",
    "random_loop",
    "scale_loop",
    "search_loop",
]

u8, u32 = np.uint8, np.uint32
f32, f64 = np.float32, np.float64

MAE, MSE, ABS_MAX = range(3)
"""What a block loses: the members of ``Selection``."""
CHUNK = 1 << 9  # blocks that one thread takes at a time
# Blocks between those that are worked on and those that memory is asked for: a processor does not
# ask across pages by itself. Without it one core makes 0.92 G elements/s, with it 1.4.
AHEAD = 64


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
                ask_ahead(x, (i + AHEAD) * WIDTH)
                b[i] = u32(nvfp4_amax(x, i * WIDTH, SOURCE))

    return find_amax


@functools.cache
def peak_loop(source: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, peaks)``: the largest magnitude bits of each CHUNK blocks of x."""
    SOURCE, WIDTH = source, LANES

    @kernel(key=f"nvfp4-peak-{source}", parallel=parallel)
    def find_peaks(x, peaks):  # type: ignore[no-untyped-def]
        n_blocks = x.shape[0] // WIDTH
        for chunk in prange(peaks.shape[0]):
            largest = u32(0)
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for i in range(lo, hi):
                ask_ahead(x, (i + AHEAD) * WIDTH)
                largest = max(largest, u32(nvfp4_amax(x, i * WIDTH, SOURCE)))
            peaks[chunk] = u32(largest)

    return find_peaks


@functools.cache
def scale_loop(step: int, rounding: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(b, scales, f)``: scale codes of amax bits, a multiple of 16 of them."""
    STEP, ROUNDING, WIDTH = step, rounding, LANES
    key = f"nvfp4-scales-{step}{rounding}"

    @float_kernel(key=key, parallel=parallel)
    def find_scales(b, scales, f):  # type: ignore[no-untyped-def]
        n_tiles = b.shape[0] // WIDTH
        n_chunks = (n_tiles + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            mode = steady_floats()
            lo = chunk * CHUNK
            hi = min(n_tiles, lo + CHUNK)
            for i in range(lo, hi):
                nvfp4_scales(b, i * WIDTH, scales, f, STEP, ROUNDING)
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
    source: int, step: int, neg_zero: int, nan: int, bounds: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, scales, codes, factors, flips, below)``; see `nvfp4_encode`."""
    SOURCE, STEP, NEG_ZERO, NAN, BOUNDS = source, step, neg_zero, nan, bounds
    WIDTH, IS_BY_CODE = LANES, bounds == BY_CODE
    key = f"nvfp4-encode-{source}{step}{neg_zero}{nan}{bounds}"

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
                at = np.int64(s) * 8 if IS_BY_CODE else 0
                ask_ahead(x, (i + AHEAD) * WIDTH)
                nvfp4_encode(
                    x, i * WIDTH, codes, factors[s], flips[s], below, at,
                    SOURCE, STEP, NEG_ZERO, NAN, BOUNDS,
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
                        # Under no scale all bounds are zero, and yet a zero stays zero.
                        if size > f64(0) and size >= grid[k] * unit:
                            code = k
                    if size > f64(0) and code < 7 and random[j] > 0:
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
