"""The loops for blocks that lie across the memory order: blocked on an axis that is not the last.

Groups of k rows are read where they lie. The lanes of a vector are neighbouring columns and so
belong to different blocks. The other way, a transposed copy, was measured at 0.06 times the speed
of numpy's plain copy: thirty times slower than the conversion itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._intrinsics import (
    amax_into_lanes,
    amax_lanes,
    decode_across_lanes,
    encode_across_lanes,
    select_scale_lanes,
)
from mxref.kernels._jit import kernel
from mxref.kernels._loops import LOAD, VECTOR, word_type
from mxref.kernels.places import P

__all__ = ["across_decoder", "across_encoder"]

u8 = np.uint8

STRIP = 1 << 10  # columns that one thread takes at a time; a multiple of all vector lengths


@functools.cache
def across_encoder(
    name: str,
    width: int,
    rounding: int,
    fixed: int,
    given: int,
    parts: tuple[int, int],
    parallel: bool,
) -> Callable[..., None]:
    """Return ``kernel(x, codes, scales, n, k, n_inner, f)``: n groups of k rows of columns."""
    SOURCE, ROUNDING, FIXED, GIVEN = LOAD[name], rounding, fixed, bool(given)
    LANES, WORD = VECTOR[width], word_type(width)
    INFINITY, NAN_ACTION, INF_ACTION = int(P.INFINITY), int(P.NAN_ACTION), int(P.INF_ACTION)
    ACTION_CODES, TABLED, ORIGIN = int(P.ACTION_CODES), int(P.TABLED), int(P.ORIGIN)
    QUICK, SLOW = parts
    key = f"{name}-r{rounding}{'-fixed' * fixed}{'-given' * given}-{QUICK:02x}"

    @kernel(key=key, parallel=parallel)
    def encode_across(x, codes, scales, n, k, n_inner, f):  # type: ignore[no-untyped-def]
        n_strips = (n_inner + STRIP - 1) // STRIP
        for chunk in prange(n * n_strips):
            amax = np.empty(LANES, WORD)
            shared = np.empty(LANES, WORD)
            single = np.empty(1, WORD)
            is_flushed = np.zeros(LANES, np.bool_)
            block = chunk // n_strips
            lo = (chunk % n_strips) * STRIP
            hi = min(n_inner, lo + STRIP)
            col = lo
            while col < hi:
                n_cols = LANES if col + LANES <= hi else 1
                base = block * k * n_inner + col
                # CLASSIFY: the largest magnitude of each column of the group
                amax[:] = WORD(0)
                for row in range(k):
                    if n_cols == LANES:
                        amax_into_lanes(x, base + row * n_inner, amax, 0, f, SOURCE, LANES)
                    else:
                        amax_into_lanes(x, base + row * n_inner, amax, 0, f, SOURCE, 1)

                # SCALE
                if not GIVEN:
                    if f[TABLED] == WORD(0):
                        select_scale_lanes(amax, 0, shared, f, 0, LANES)
                    else:
                        select_scale_lanes(amax, 0, shared, f, 1, LANES)
                is_short = True
                for i in range(n_cols):
                    if GIVEN:
                        shared[i] = WORD(scales[block * n_inner + col + i])
                    elif amax[i] >= f[INFINITY]:
                        # Not every element is finite: look at each.
                        finite = WORD(0)
                        is_nan = False
                        is_inf = False
                        for row in range(k):
                            size = amax_lanes(x, base + row * n_inner + i, f, SOURCE, 1)
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
                        shared[i] = single[0]
                    is_flushed[i] = shared[i] > WORD(0xFF)
                    shared[i] = WORD(shared[i] & WORD(0xFF))
                    if not GIVEN:
                        scales[block * n_inner + col + i] = u8(shared[i])
                    # The short form needs finite elements and an origin of 1 or more.
                    origin = WORD(WORD(f[ORIGIN] + shared[i]) - WORD(127))
                    has_room = WORD(origin - WORD(1)) < WORD(0x7FFFFFFF)
                    is_short = is_short and has_room and amax[i] < f[INFINITY]

                # ALIGN to PACK
                for row in range(k):
                    start = base + row * n_inner
                    if n_cols != LANES:
                        encode_across_lanes(
                            x, start, codes, shared, 0, f, SOURCE, ROUNDING, FIXED, SLOW, 1
                        )
                    elif is_short:
                        encode_across_lanes(
                            x, start, codes, shared, 0, f, SOURCE, ROUNDING, FIXED, QUICK, LANES
                        )
                    else:
                        encode_across_lanes(
                            x, start, codes, shared, 0, f, SOURCE, ROUNDING, FIXED, SLOW, LANES
                        )
                if not GIVEN and f[TABLED] != WORD(0):
                    for i in range(n_cols):
                        if is_flushed[i]:
                            for row in range(k):
                                codes[base + row * n_inner + i] = u8(0)
                col += n_cols

    return encode_across


@functools.cache
def across_decoder(fixed: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, scales, out, n, k, n_inner, f)``."""
    FIXED, LANES = fixed, VECTOR[32]

    @kernel(key="fixed" if fixed else "float", parallel=parallel)
    def decode_across(codes, scales, out, n, k, n_inner, f):  # type: ignore[no-untyped-def]
        for block in prange(n):
            for row in range(k):
                start = (block * k + row) * n_inner
                col = 0
                while col + LANES <= n_inner:
                    base = block * n_inner + col
                    decode_across_lanes(codes, start + col, out, scales, base, f, FIXED, LANES)
                    col += LANES
                while col < n_inner:
                    base = block * n_inner + col
                    decode_across_lanes(codes, start + col, out, scales, base, f, FIXED, 1)
                    col += 1

    return decode_across
