"""The loops around the lane programs: one kernel for each (source, rounding, kind of element).

Each factory returns a compiled kernel whose closure holds small integers only. Blocks are cut
into vectors of LANES elements and single ones for the rest. Tiles of blocks share one vectorised
scale selection; each block then takes the short or the full form of the encoder.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from mxref.kernels._intrinsics import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    amax_lanes,
    decode_lanes,
    decode_scale_lanes,
    encode_lanes,
    encode_scale_lanes,
    select_scale_lanes,
)
from mxref.kernels._jit import kernel
from mxref.kernels.places import P

__all__ = [
    "amax_finder",
    "block_decoder",
    "block_encoder",
    "element_decoder",
    "element_encoder",
    "scale_decoder",
    "scale_encoder",
    "word_type",
]

u8, u32, u64 = np.uint8, np.uint32, np.uint64

LOAD = {"float32": FLOAT32, "float64": FLOAT32, "bfloat16": BFLOAT16, "float16": FLOAT16}
# Elements in a vector. Two 512-bit or four 256-bit registers of words: 2.05 G elements/s on one
# core, against 1.28 with half of that (numba 0.68.1, AVX-512).
VECTOR = {32: 32, 64: 16}
TILE = 16  # blocks whose scales are selected together
CHUNK = 1 << 10  # blocks, or vectors, that one thread takes at a time


def word_type(width: int) -> Any:
    """Return the scalar type of a source's words."""
    return u32 if width == 32 else u64


@functools.cache
def block_encoder(
    name: str,
    width: int,
    rounding: int,
    fixed: int,
    given: int,
    parts: tuple[int, int],
    parallel: bool,
) -> Callable[..., None]:
    """Return ``kernel(x, codes, scales, k, f)``: blocks of k source words to codes.

    With `given`, scales are read; otherwise they are selected and written.
    """
    SOURCE, ROUNDING, FIXED, GIVEN = LOAD[name], rounding, fixed, bool(given)
    LANES, WORD = VECTOR[width], word_type(width)
    INFINITY, NAN_ACTION, INF_ACTION = int(P.INFINITY), int(P.NAN_ACTION), int(P.INF_ACTION)
    ACTION_CODES, TABLED, ORIGIN = int(P.ACTION_CODES), int(P.TABLED), int(P.ORIGIN)
    NAN_BYTE, (QUICK, SLOW) = int(P.NAN_BYTE), parts

    key = f"{name}-r{rounding}{'-fixed' * fixed}{'-given' * given}-{QUICK:02x}"

    @kernel(key=key, parallel=parallel)
    def encode_blocks(x, codes, scales, k, f):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            amax = np.empty(TILE, WORD)
            selected = np.empty(TILE, WORD)
            single = np.empty(1, WORD)
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for tile in range(lo, hi, TILE):
                n_tile = min(TILE, hi - tile)
                # CLASSIFY: the largest magnitude of each block
                for i in range(n_tile):
                    start = (tile + i) * k
                    stop = start + k
                    j = start
                    largest = WORD(0)
                    while j + LANES <= stop:
                        largest = max(largest, amax_lanes(x, j, f, SOURCE, LANES))
                        j += LANES
                    while j < stop:
                        largest = max(largest, amax_lanes(x, j, f, SOURCE, 1))
                        j += 1
                    amax[i] = WORD(largest)

                # SCALE
                if not GIVEN:
                    if f[TABLED] == WORD(0):
                        select_scale_lanes(amax, 0, selected, f, 0, TILE)
                    else:
                        select_scale_lanes(amax, 0, selected, f, 1, TILE)
                    for i in range(n_tile):
                        if amax[i] >= f[INFINITY]:
                            # Not every element is finite: look at each.
                            start = (tile + i) * k
                            finite = WORD(0)
                            is_nan = False
                            is_inf = False
                            for j in range(start, start + k):
                                size = amax_lanes(x, j, f, SOURCE, 1)
                                if size > f[INFINITY]:
                                    is_nan = True
                                elif size == f[INFINITY]:
                                    is_inf = True
                                else:
                                    finite = max(finite, size)
                            rank = WORD(0)
                            if is_nan:
                                rank = WORD(f[NAN_ACTION])
                            if is_inf:
                                rank = WORD(max(rank, f[INF_ACTION]))
                            single[0] = WORD(finite)
                            if rank > WORD(0):
                                single[0] = WORD(f[ACTION_CODES + rank])
                            elif f[TABLED] == WORD(0):
                                select_scale_lanes(single, 0, single, f, 0, 1)
                            else:
                                select_scale_lanes(single, 0, single, f, 1, 1)
                            selected[i] = single[0]
                        scales[tile + i] = u8(selected[i])

                # ALIGN to PACK: each element of each block
                for i in range(n_tile):
                    start = (tile + i) * k
                    stop = start + k
                    j = start
                    code = WORD(scales[tile + i])
                    if not GIVEN and selected[i] > WORD(0xFF):
                        codes[start:stop] = u8(0)  # the block is flushed
                        continue
                    if code == WORD(0xFF):
                        codes[start:stop] = u8(f[NAN_BYTE])
                        continue
                    origin = WORD(WORD(f[ORIGIN] + code) - WORD(127))
                    # Below 1 (it wraps) a subnormal input may be a normal element.
                    has_room = WORD(origin - WORD(1)) < WORD(0x7FFFFFFF)
                    if has_room and amax[i] < f[INFINITY]:
                        while j + LANES <= stop:
                            encode_lanes(
                                x, j, codes, origin, f, SOURCE, ROUNDING, FIXED, QUICK, LANES
                            )
                            j += LANES
                        while j < stop:
                            encode_lanes(x, j, codes, origin, f, SOURCE, ROUNDING, FIXED, QUICK, 1)
                            j += 1
                    else:
                        while j + LANES <= stop:
                            encode_lanes(
                                x, j, codes, origin, f, SOURCE, ROUNDING, FIXED, SLOW, LANES
                            )
                            j += LANES
                        while j < stop:
                            encode_lanes(x, j, codes, origin, f, SOURCE, ROUNDING, FIXED, SLOW, 1)
                            j += 1

    return encode_blocks


@functools.cache
def amax_finder(name: str, width: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, amax, f)``: the largest magnitude of each CHUNK vectors of x."""
    SOURCE, LANES, WORD = LOAD[name], VECTOR[width], word_type(width)

    @kernel(key=name, parallel=parallel)
    def find_amax(x, amax, f):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        step = CHUNK * LANES
        for chunk in prange(amax.shape[0]):
            j = chunk * step
            stop = min(n, j + step)
            largest = WORD(0)
            while j + LANES <= stop:
                largest = max(largest, amax_lanes(x, j, f, SOURCE, LANES))
                j += LANES
            while j < stop:
                largest = max(largest, amax_lanes(x, j, f, SOURCE, 1))
                j += 1
            amax[chunk] = WORD(largest)

    return find_amax


@functools.cache
def block_decoder(fixed: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, scales, out, k, f)``: blocks of k codes to float32 bits."""
    FIXED, LANES = fixed, VECTOR[32]
    FIRST, LAST = int(P.FIRST_PLAIN_SCALE), int(P.LAST_PLAIN_SCALE)
    SIGN_SHIFT, NAN_KEEP = int(P.SIGN_SHIFT), int(P.DECODE_NAN_KEEP)

    key = "fixed" if fixed else "float"

    @kernel(key=key, parallel=parallel)
    def decode_blocks(codes, scales, out, k, f):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for block in range(lo, hi):
                start = block * k
                stop = start + k
                j = start
                code = u32(scales[block])
                if code == u32(0xFF):
                    # The sign is the element's, where the policy keeps it at all.
                    for i in range(start, stop):
                        negative = u32(u32(u32(codes[i]) >> f[SIGN_SHIFT]) & f[NAN_KEEP])
                        out[i] = u32(u32(0x7FC00000) | u32(negative << u32(31)))
                elif f[FIRST] <= code <= f[LAST]:
                    while j + LANES <= stop:
                        decode_lanes(codes, j, out, code, f, FIXED, 0, LANES)
                        j += LANES
                    while j < stop:
                        decode_lanes(codes, j, out, code, f, FIXED, 0, 1)
                        j += 1
                else:
                    while j + LANES <= stop:
                        decode_lanes(codes, j, out, code, f, FIXED, 1, LANES)
                        j += LANES
                    while j < stop:
                        decode_lanes(codes, j, out, code, f, FIXED, 1, 1)
                        j += 1

    return decode_blocks


@functools.cache
def element_encoder(
    name: str, width: int, rounding: int, fixed: int, parts: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, codes, f)``: source words to element codes."""
    SOURCE, ROUNDING, FIXED = LOAD[name], rounding, fixed
    LANES, WORD, ORIGIN = VECTOR[width], word_type(width), int(P.ORIGIN)
    PARTS = parts

    key = f"{name}-r{rounding}{'-fixed' * fixed}-{parts:02x}"

    @kernel(key=key, parallel=parallel)
    def encode_elements(x, codes, f):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        step = CHUNK * LANES
        n_chunks = (n + step - 1) // step
        for chunk in prange(n_chunks):
            origin = WORD(f[ORIGIN])
            j = chunk * step
            stop = min(n, j + step)
            while j + LANES <= stop:
                encode_lanes(x, j, codes, origin, f, SOURCE, ROUNDING, FIXED, PARTS, LANES)
                j += LANES
            while j < stop:
                encode_lanes(x, j, codes, origin, f, SOURCE, ROUNDING, FIXED, PARTS, 1)
                j += 1

    return encode_elements


@functools.cache
def element_decoder(fixed: int, full: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, out, f)``: element codes to float32 bits."""
    FIXED, FULL_FORM, LANES = fixed, full, VECTOR[32]

    @kernel(key=f"{'fixed' if fixed else 'float'}{'-full' * full}", parallel=parallel)
    def decode_elements(codes, out, f):  # type: ignore[no-untyped-def]
        n = codes.shape[0]
        step = CHUNK * LANES
        n_chunks = (n + step - 1) // step
        for chunk in prange(n_chunks):
            j = chunk * step
            stop = min(n, j + step)
            while j + LANES <= stop:
                decode_lanes(codes, j, out, u32(127), f, FIXED, FULL_FORM, LANES)
                j += LANES
            while j < stop:
                decode_lanes(codes, j, out, u32(127), f, FIXED, FULL_FORM, 1)
                j += 1

    return decode_elements


@functools.cache
def scale_encoder(name: str, width: int, tabled: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, codes, f)``: source words to E8M0 codes."""
    SOURCE, TABLED, LANES = LOAD[name], tabled, VECTOR[width]

    @kernel(key=f"{name}{'-table' * tabled}", parallel=parallel)
    def encode_scales(x, codes, f):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        step = CHUNK * LANES
        n_chunks = (n + step - 1) // step
        for chunk in prange(n_chunks):
            j = chunk * step
            stop = min(n, j + step)
            while j + LANES <= stop:
                encode_scale_lanes(x, j, codes, f, SOURCE, TABLED, LANES)
                j += LANES
            while j < stop:
                encode_scale_lanes(x, j, codes, f, SOURCE, TABLED, 1)
                j += 1

    return encode_scales


@functools.cache
def scale_decoder(parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, out)``: E8M0 codes to float32 bits."""
    LANES = VECTOR[32]

    @kernel(key="e8m0", parallel=parallel)
    def decode_scales(codes, out):  # type: ignore[no-untyped-def]
        n = codes.shape[0]
        step = CHUNK * LANES
        n_chunks = (n + step - 1) // step
        for chunk in prange(n_chunks):
            j = chunk * step
            stop = min(n, j + step)
            while j + LANES <= stop:
                decode_scale_lanes(codes, j, out, LANES)
                j += LANES
            while j < stop:
                decode_scale_lanes(codes, j, out, 1)
                j += 1

    return decode_scales
