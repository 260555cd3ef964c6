"""The loops around the BDR programs, for blocks that fit a vector."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import kernel
from mxref.kernels._loops import LOAD, VECTOR, word_type
from mxref.kernels.bdr_lanes import decode_group_lanes, encode_group_lanes

__all__ = [
    "MAX_BLOCK",
    "block_decoder",
    "block_encoder",
    "column_decoder",
    "column_encoder",
    "vector_lanes",
]

u8 = np.uint8

MAX_BLOCK = 64  # longer blocks, and those that are no power of two, run on NumPy arrays
CHUNK = 1 << 10  # vectors that one thread takes at a time
STRIP = 1 << 10  # columns that one thread takes at a time
TILE = 32  # columns that are turned at a time; with the longest block they still fit the cache


def vector_lanes(width: int, k1: int) -> int:
    """Return the lanes of a vector: whole blocks."""
    return max(VECTOR[width], k1)


@functools.cache
def block_encoder(
    name: str, width: int, rounding: int, parts: int, k1: int, k2: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, codes, shifts, scales, odd, f)``: vectors of blocks of k1 source words.

    ``odd`` has a word for each vector: other than 0 where the quick form does not do.
    """
    SOURCE, ROUNDING, PARTS, K1, K2 = LOAD[name], rounding, parts, k1, k2
    LANES = vector_lanes(width, k1)
    n_blocks, n_subs = LANES // k1, LANES // k2 if k2 else 0

    @kernel(key=f"{name}-r{rounding}-{parts:02x}-{k1}-{k2}", parallel=parallel)
    def encode_groups(x, codes, shifts, scales, odd, f):  # type: ignore[no-untyped-def]
        n = odd.shape[0]
        n_chunks = (n + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            lo = chunk * CHUNK
            hi = min(n, lo + CHUNK)
            for i in range(lo, hi):
                odd[i] = encode_group_lanes(
                    x,
                    i * LANES,
                    codes,
                    shifts,
                    i * n_subs,
                    scales,
                    i * n_blocks,
                    f,
                    SOURCE,
                    ROUNDING,
                    PARTS,
                    K1,
                    K2,
                    LANES,
                )

    return encode_groups


@functools.cache
def block_decoder(is_twos: bool, k1: int, k2: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, shifts, scales, out, n, f)``: n vectors of blocks to float32 bits."""
    TWOS, K1, K2 = int(is_twos), k1, k2
    LANES = vector_lanes(32, k1)
    n_blocks, n_subs = LANES // k1, LANES // k2 if k2 else 0

    @kernel(key=f"{'twos' if is_twos else 'sign'}-{k1}-{k2}", parallel=parallel)
    def decode_groups(codes, shifts, scales, out, n, f):  # type: ignore[no-untyped-def]
        n_chunks = (n + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            lo = chunk * CHUNK
            hi = min(n, lo + CHUNK)
            for i in range(lo, hi):
                decode_group_lanes(
                    codes,
                    i * LANES,
                    shifts,
                    i * n_subs,
                    scales,
                    i * n_blocks,
                    out,
                    f,
                    TWOS,
                    K1,
                    K2,
                    LANES,
                )

    return decode_groups


@functools.cache
def column_encoder(
    name: str, width: int, rounding: int, parts: int, k1: int, k2: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(x, codes, shifts, scales, odd, n_inner, f)``: blocks that are columns.

    Groups of k1 rows of `n_inner` words. Tiles are turned into blocks in cache memory, converted
    there, and turned back. ``odd`` is other than 0 for each column for which the quick form does
    not do.
    """
    SOURCE, ROUNDING, PARTS, K1, K2 = LOAD[name], rounding, parts, k1, k2
    LANES = vector_lanes(width, k1)
    n_blocks, n_subs = LANES // k1, k1 // k2 if k2 else 0
    n_tile = max(TILE, n_blocks)
    TYPE = {"float16": np.uint16, "bfloat16": np.uint16}.get(name, word_type(width))

    @kernel(key=f"{name}-r{rounding}-{parts:02x}-{k1}-{k2}", parallel=parallel)
    def encode_columns(x, codes, shifts, scales, odd, n_inner, f):  # type: ignore[no-untyped-def]
        n_strips = (n_inner + STRIP - 1) // STRIP
        n = scales.shape[0] // n_inner * n_strips
        for chunk in prange(n):
            turned = np.zeros(n_tile * K1, TYPE)
            found = np.empty(n_tile * K1, u8)
            moved = np.empty(n_tile * max(n_subs, 1), u8)
            shared = np.empty(n_tile, u8)
            block = chunk // n_strips
            lo = (chunk % n_strips) * STRIP
            hi = min(n_inner, lo + STRIP)
            for col in range(lo, hi, n_tile):
                n_cols = min(n_tile, hi - col)
                for row in range(K1):
                    start = (block * K1 + row) * n_inner + col
                    for i in range(n_cols):
                        turned[i * K1 + row] = x[start + i]
                base = block * n_inner + col
                for i in range(0, n_cols, n_blocks):
                    flag = encode_group_lanes(
                        turned,
                        i * K1,
                        found,
                        moved,
                        i * n_subs,
                        shared,
                        i,
                        f,
                        SOURCE,
                        ROUNDING,
                        PARTS,
                        K1,
                        K2,
                        LANES,
                    )
                    for j in range(i, min(n_cols, i + n_blocks)):
                        odd[base + j] = u8(1) if flag else u8(0)
                for row in range(K1):
                    start = (block * K1 + row) * n_inner + col
                    for i in range(n_cols):
                        codes[start + i] = found[i * K1 + row]
                for row in range(n_subs):
                    start = (block * n_subs + row) * n_inner + col
                    for i in range(n_cols):
                        shifts[start + i] = moved[i * n_subs + row]
                for i in range(n_cols):
                    scales[base + i] = shared[i]

    return encode_columns


@functools.cache
def column_decoder(is_twos: bool, k1: int, k2: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, shifts, scales, out, n_inner, f)``: blocks that are columns."""
    TWOS, K1, LANES = int(is_twos), k1, VECTOR[32]
    EACH, HAS_SHIFTS = k2 or k1, int(k2 > 0)
    n_subs = k1 // EACH

    @kernel(key=f"{'twos' if is_twos else 'sign'}-{k1}-{k2}", parallel=parallel)
    def decode_columns(codes, shifts, scales, out, n_inner, f):  # type: ignore[no-untyped-def]
        n = scales.shape[0] // n_inner
        for block in prange(n):
            for row in range(K1):
                start = (block * K1 + row) * n_inner
                base = block * n_inner
                step = (block * n_subs + row // EACH) * n_inner
                j = 0
                while j + LANES <= n_inner:
                    decode_group_lanes(
                        codes,
                        start + j,
                        shifts,
                        step + j,
                        scales,
                        base + j,
                        out,
                        f,
                        TWOS,
                        1,
                        HAS_SHIFTS,
                        LANES,
                    )
                    j += LANES
                while j < n_inner:
                    decode_group_lanes(
                        codes,
                        start + j,
                        shifts,
                        step + j,
                        scales,
                        base + j,
                        out,
                        f,
                        TWOS,
                        1,
                        HAS_SHIFTS,
                        1,
                    )
                    j += 1

    return decode_columns
