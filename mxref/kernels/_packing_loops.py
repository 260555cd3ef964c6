"""The loops around the packing lanes: lines of units, in vectors of 64 codes."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import kernel
from mxref.kernels._packing_lanes import pack_lanes, unpack_lanes
from mxref.kernels._packing_wirings import WIRINGS

__all__ = ["CHUNK", "packer", "unpacker"]

u64 = np.uint64

VECTOR = 64  # codes in a vector: one 512-bit register, and the most that `above` can flag
CHUNK = 1 << 16  # codes that one thread takes at a time


@functools.cache
def packer(index: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, packed, bad, n_lines, n_units, n_codes, n_bytes)``.

    Lines begin every n_codes codes and every n_bytes bytes and have n_units units. ``bad[chunk]``
    is not zero if a code is out of range, for chunks of CHUNK // group units.
    """
    WIRING, TILE, BYTES = index, WIRINGS[index].group, WIRINGS[index].unit_bytes
    LANES = VECTOR // TILE
    n_step = CHUNK // TILE

    @kernel(key=f"w{index}", parallel=parallel)
    def pack(codes, packed, bad, n_lines, n_units, n_codes, n_bytes):  # type: ignore[no-untyped-def]
        n = n_lines * n_units
        n_chunks = (n + n_step - 1) // n_step
        for chunk in prange(n_chunks):
            start = chunk * n_step
            stop = min(n, start + n_step)
            flags = u64(0)
            while start < stop:
                row = start // n_units
                col = start - row * n_units
                n_run = min(stop - start, n_units - col)
                i = row * n_codes + col * TILE
                j = row * n_bytes + col * BYTES
                k = 0
                while k + LANES <= n_run:
                    flags = u64(flags | pack_lanes(codes, i, packed, j, WIRING, LANES))
                    i += LANES * TILE
                    j += LANES * BYTES
                    k += LANES
                while k < n_run:
                    flags = u64(flags | pack_lanes(codes, i, packed, j, WIRING, 1))
                    i += TILE
                    j += BYTES
                    k += 1
                start += n_run
            bad[chunk] = flags

    return pack


@functools.cache
def unpacker(index: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(packed, codes, n_lines, n_units, n_codes, n_bytes)``, as for `packer`."""
    WIRING, TILE, BYTES = index, WIRINGS[index].group, WIRINGS[index].unit_bytes
    LANES = VECTOR // TILE
    n_step = CHUNK // TILE

    @kernel(key=f"w{index}", parallel=parallel)
    def unpack(packed, codes, n_lines, n_units, n_codes, n_bytes):  # type: ignore[no-untyped-def]
        n = n_lines * n_units
        n_chunks = (n + n_step - 1) // n_step
        for chunk in prange(n_chunks):
            start = chunk * n_step
            stop = min(n, start + n_step)
            while start < stop:
                row = start // n_units
                col = start - row * n_units
                n_run = min(stop - start, n_units - col)
                i = row * n_codes + col * TILE
                j = row * n_bytes + col * BYTES
                k = 0
                while k + LANES <= n_run:
                    unpack_lanes(packed, j, codes, i, WIRING, LANES)
                    i += LANES * TILE
                    j += LANES * BYTES
                    k += LANES
                while k < n_run:
                    unpack_lanes(packed, j, codes, i, WIRING, 1)
                    i += TILE
                    j += BYTES
                    k += 1
                start += n_run

    return unpack
