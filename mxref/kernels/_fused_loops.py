"""The loops around the fused sum: every row of a with every column of b."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import prange

from mxref.kernels._fused_intrinsics import add_lanes, exact_lanes, fused_lanes
from mxref.kernels._fused_programs import Output
from mxref.kernels._jit import kernel

__all__ = ["LANES", "Variant", "look_up_kernel", "matrix_kernel"]

i16, u32 = np.int16, np.uint32

LANES = 32  # columns side by side: 1.3 times as fast as 16, on AVX-512 (numba 0.68.1)
CHUNK = 32  # rows that one thread takes at a time


class Variant(NamedTuple):
    """What a kernel is compiled for."""

    output: Output
    fraction: int
    floor: int
    terms: int
    restart: int
    """Fused sums after which the running sum goes to the outer one; 0 for never."""
    exact: int
    left: int
    has_specials: bool
    is_paired: bool
    """Each column has a row of its own; both sides lie in tiles, and there is one row."""

    @property
    def key(self) -> str:
        """Distinguishes it on disk."""
        output = "-".join(str(int(part)) for part in self.output)
        return f"{output}-{'-'.join(str(int(part)) for part in self[1:])}"


@functools.cache
def matrix_kernel(variant: Variant, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(a, ae, b, be, out, n_rows, n_k, n_tiles, a_classes, b_classes, ...)``.

    Parameters of the kernel: significands and lifted exponents of a by rows, those of b by tiles
    of LANES columns; the sums, by tiles, with the addend in them; sizes; then, for special
    values, classes and flags of both sides and the table of products' marks.
    """
    STORED, PRECISION, LEAST, NEAREST = map(int, variant.output)
    FRACTION, FLOOR, n_terms, n_restart = map(int, variant[1:5])
    n_exact, LEFT, IS_EXACT = variant.exact, variant.left, variant.exact > 1
    HAS_RESTART, HAS_SPECIALS = n_restart > 0, variant.has_specials
    n_paired = int(variant.is_paired)
    n_rows_of_tile = LANES if variant.is_paired else 1  # side by side, in a tile of a
    SIGN, INFINITY = variant.output.sign, variant.output.infinity
    NAN = MAGNITUDE = variant.output.nan

    @kernel(key=variant.key, parallel=parallel)
    def sum_matrix(  # type: ignore[no-untyped-def]
        a, ae, b, be, out, n_rows, n_k, n_tiles, a_classes, a_flags, b_classes, b_flags, marks
    ):
        n_chunks = (n_rows + CHUNK - 1) // CHUNK
        n_blocks = n_k // n_terms
        for i in prange(n_chunks * n_tiles):
            running = np.zeros(LANES, u32)
            before = np.zeros(LANES, u32)
            tile = i // n_chunks
            lo = (i % n_chunks) * CHUNK
            for row in range(lo, min(n_rows, lo + CHUNK)):
                base = (tile * n_rows + row) * LANES
                for block in range(n_blocks):
                    i1 = row + tile * n_paired  # of a: a row, or a tile
                    k1 = (i1 * n_k + block * n_terms) * n_rows_of_tile
                    k2 = (tile * n_k + block * n_terms) * LANES
                    if HAS_RESTART:
                        if block % n_restart == 0:
                            running[:] = u32(0)
                    else:
                        running[:] = out[base : base + LANES]
                    if HAS_SPECIALS:
                        before[:] = running
                    if IS_EXACT:
                        exact_lanes(
                            a, k1, ae, b, k2, be, running, 0, k1 // n_exact, k2 // n_exact,
                            STORED, PRECISION, LEAST, NEAREST, FRACTION, FLOOR, n_terms, n_exact,
                            LEFT, n_paired, LANES,
                        )  # fmt: skip
                    else:
                        fused_lanes(
                            a, k1, ae, b, k2, be, running, 0,
                            STORED, PRECISION, LEAST, NEAREST, FRACTION, FLOOR, n_terms,
                            n_paired, LANES,
                        )  # fmt: skip
                    if HAS_SPECIALS and (
                        a_flags[i1 * n_blocks + block] | b_flags[tile * n_blocks + block]
                    ):
                        for lane in range(LANES):
                            mark = u32(0)
                            for j in range(n_terms):
                                i2 = a_classes[k1 + j * n_rows_of_tile + lane * n_paired]
                                j2 = b_classes[k2 + j * LANES + lane]
                                mark = u32(mark | marks[i2, j2])
                            size = u32(before[lane] & u32(MAGNITUDE))
                            if size > u32(INFINITY):
                                mark = u32(mark | u32(1))
                            elif size == u32(INFINITY):
                                is_negative = u32(before[lane] & u32(SIGN)) != u32(0)
                                mark = u32(mark | (u32(4) if is_negative else u32(2)))
                            if mark == u32(2):
                                running[lane] = u32(INFINITY)
                            elif mark == u32(4):
                                running[lane] = u32(SIGN | INFINITY)
                            elif mark > u32(0):
                                running[lane] = u32(NAN)
                    n_done = block + 1
                    if not HAS_RESTART:
                        out[base : base + LANES] = running
                    elif n_done % n_restart == 0 or n_done == n_blocks:
                        add_lanes(out, base, running, 0, STORED, STORED, LEAST, LANES)

    return sum_matrix


@functools.cache
def look_up_kernel(parallel: bool) -> Callable[..., None]:
    """Return ``kernel(codes, scales, values, exponents, a, ae, k, n_blocks, n_of_block)``.

    Significands and exponents of elements from tables, the scales added to the exponents: a loop,
    since NumPy looks up a fifth as fast.
    """

    @kernel(key="look-up", parallel=parallel)
    def look_up(codes, scales, values, exponents, a, ae, n_k, n_blocks, n_of_block):  # type: ignore[no-untyped-def]
        for row in prange(codes.shape[0] // n_k):
            for block in range(n_blocks):
                shift = i16(i16(scales[row * n_blocks + block]) - i16(127))
                lo = row * n_k + block * n_of_block
                hi = min(lo + n_of_block, (row + 1) * n_k)
                for i in range(lo, hi):
                    a[i] = values[codes[i]]
                    ae[i] = i16(exponents[codes[i]] + shift)

    return look_up
