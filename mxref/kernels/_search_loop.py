"""The loop of the search for a scale: the clear cases, compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._error_lanes import clearly_best, error_lanes
from mxref.kernels._intrinsics import amax_lanes, select_scale_lanes
from mxref.kernels._jit import kernel
from mxref.kernels._loops import CHUNK, LOAD, VECTOR, word_type
from mxref.kernels.places import P

__all__ = ["searcher"]

u16 = np.uint16

_OPEN = 0x200  # search.OPEN


@functools.cache
def searcher(
    name: str, rounding: int, fixed: int, parts: int, squared: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, selected, k, f, slack)``: the scale code of each block, or search.OPEN.

    `slack` holds three float64 numbers, because a kernel names none itself: how near to each other,
    relative to their sum, two sums of errors may be and still be told apart; zero; and the same as
    the first, absolutely. Open are also blocks that are not finite, or all zero, or near the ends
    of the scale.
    """
    SOURCE, ROUNDING, FIXED, PARTS, SQUARED = LOAD[name], rounding, fixed, parts, squared
    LANES, WORD, INFINITY = VECTOR[32], word_type(32), int(P.INFINITY)

    key = f"{name}-r{rounding}{'-fixed' * fixed}-{parts:02x}-{'mse' if squared else 'mae'}"

    @kernel(key=key, parallel=parallel)
    def search_blocks(x, selected, k, f, slack):  # type: ignore[no-untyped-def]
        n_blocks = selected.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            found = np.empty(6, slack.dtype)
            single = np.empty(1, WORD)
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for block in range(lo, hi):
                start = block * k
                stop = start + k
                j = start
                largest = WORD(0)
                while j + LANES <= stop:
                    largest = max(largest, amax_lanes(x, j, f, SOURCE, LANES))
                    j += LANES
                while j < stop:
                    largest = max(largest, amax_lanes(x, j, f, SOURCE, 1))
                    j += 1
                selected[block] = u16(_OPEN)
                single[0] = WORD(largest)
                if single[0] >= f[INFINITY] or single[0] == WORD(0):
                    continue
                select_scale_lanes(single, 0, single, f, 0, 1)
                code = WORD(single[0])
                # Far from the ends no subnormal matters: the processor may flush them in here.
                if code < WORD(64) or code > WORD(252):
                    continue
                found[:] = slack[1]
                j = start
                while j + LANES <= stop:
                    error_lanes(
                        x, j, found, code, f, SOURCE, ROUNDING, FIXED, PARTS, SQUARED, LANES
                    )
                    j += LANES
                while j < stop:
                    error_lanes(x, j, found, code, f, SOURCE, ROUNDING, FIXED, PARTS, SQUARED, 1)
                    j += 1
                step = clearly_best(found, slack)
                if step == 0:
                    selected[block] = u16(code)
                elif step == 1:
                    selected[block] = u16(code + WORD(1))
                elif step == 2:
                    selected[block] = u16(code - WORD(1))

    return search_blocks
