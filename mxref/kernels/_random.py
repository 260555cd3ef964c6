"""The loop for stochastic rounding: as ``_loops`` with given scales, and random bits beside x."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._intrinsics import encode_random_lanes
from mxref.kernels._jit import kernel
from mxref.kernels._loops import CHUNK, LOAD, VECTOR, word_type
from mxref.kernels.places import P

__all__ = ["random_encoder"]

u8 = np.uint8


@functools.cache
def random_encoder(
    name: str, width: int, rounding: int, fixed: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, random, codes, scales, k, f)``: blocks of k source words to codes."""
    SOURCE, ROUNDING, FIXED = LOAD[name], rounding, fixed
    LANES, WORD = VECTOR[width], word_type(width)
    ORIGIN, NAN_BYTE = int(P.ORIGIN), int(P.NAN_BYTE)

    @kernel(key=f"{name}-r{rounding}{'-fixed' * fixed}", parallel=parallel)
    def encode_randomly(x, random, codes, scales, k, f):  # type: ignore[no-untyped-def]
        n_blocks = scales.shape[0]
        n_chunks = (n_blocks + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            lo = chunk * CHUNK
            hi = min(n_blocks, lo + CHUNK)
            for block in range(lo, hi):
                start = block * k
                stop = start + k
                j = start
                code = WORD(scales[block])
                if code == WORD(0xFF):
                    codes[start:stop] = u8(f[NAN_BYTE])
                    continue
                origin = WORD(WORD(f[ORIGIN] + code) - WORD(127))
                while j + LANES <= stop:
                    encode_random_lanes(
                        x, j, codes, random, origin, f, SOURCE, ROUNDING, FIXED, LANES
                    )
                    j += LANES
                while j < stop:
                    encode_random_lanes(x, j, codes, random, origin, f, SOURCE, ROUNDING, FIXED, 1)
                    j += 1

    return encode_randomly
