"""The loop that runs a program of sums over tiles of a matrix product.

A program says in which order products are added, the same for every output; see `sums_orders`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import kernel
from mxref.kernels._order_lanes import (
    add_tile_lanes,
    round_tile_lanes,
    scaled_tile_lanes,
    settle_tile_lanes,
    sum_run_lanes,
)
from mxref.kernels._sum_lanes import FLOAT64
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["program_runner"]

GROUP = 16  # tiles that one thread takes at a time: they share a panel of b


@functools.cache
def program_runner(
    kind: int,
    product: int,
    exact_product: int,
    parts: tuple[int, int],
    special: int,
    paired: int,
    rows: int,
    lanes: int,
    parallel: bool,
) -> Callable[..., None]:
    """Return ``kernel(program, a, b, fa, fb, c, out, zero, sizes)``.

    `parts` says into how many parts the elements of each side were split, for exact blocks; (0, 0)
    without such blocks. The parts follow each other in a and b.
    """
    KIND, PRODUCT, PAIRED, ROWS, LANES = kind, product, paired, rows, lanes
    SPECIAL, EXACT, WIDE, TILE = special, exact_product, FLOAT64, rows * lanes
    A_PARTS, B_PARTS = parts
    N_EXACT = (A_PARTS + B_PARTS + 1) * TILE
    IS_EXACT, PARTS, GROUPED = bool(A_PARTS), max(1, A_PARTS + B_PARTS - 1), GROUP

    key = f"{kind}-{product}{exact_product}-{A_PARTS}{B_PARTS}{special}-{paired}-{rows}x{lanes}"

    @kernel(key=key, parallel=parallel)
    def run_program(program, a, b, fa, fb, c, out, zero, sizes):  # type: ignore[no-untyped-def]
        n_rows, n_columns, k = sizes[0], sizes[1], sizes[2]
        n_size, n_blocks, n_sums, n_addend = sizes[3], sizes[4], sizes[5], sizes[6]
        n_tiles, n_panels = sizes[7], sizes[8]
        n_a, n_b = sizes[9], sizes[10]  # numbers in one part
        n_steps = program.shape[0]
        n_groups = (n_tiles + GROUPED - 1) // GROUPED
        for chunk in prange(n_panels * n_groups):
            mode = steady_floats()
            sums = np.empty(n_sums * TILE, zero.dtype)
            exact = np.empty(N_EXACT, fb.dtype)
            i0 = chunk // n_groups  # the panel
            lo = (chunk - i0 * n_groups) * GROUPED
            hi = min(n_tiles, lo + GROUPED)
            for tile in range(lo, hi):
                row = tile * ROWS
                # Where the operands and scales of this tile start.
                i1 = row * k
                j1 = i0 * k * LANES
                i2 = row * n_blocks
                j2 = i0 * n_blocks * LANES
                i3 = k
                i4 = n_blocks
                i5 = 1
                if PAIRED:
                    i1 = j1
                    i2 = j2
                    i3 = 0
                    i4 = 0
                    i5 = LANES

                for i in range(n_steps):
                    step = program[i, 0]
                    n_into = program[i, 1] * TILE
                    n_fresh = program[i, 2]
                    start = program[i, 3]
                    n_terms = program[i, 4]
                    n_stride = program[i, 5]
                    if n_fresh == 2:
                        sums[n_into : n_into + TILE] = zero[0]
                        if n_addend == 1:
                            for j in range(TILE):
                                n_row = row + j // LANES
                                n_column = i0 * LANES + j % LANES
                                exact[j] = zero[0]
                                if n_row < n_rows and n_column < n_columns:
                                    exact[j] = c[n_row * n_columns + n_column]
                            for j in range(0, TILE, LANES):
                                round_tile_lanes(exact, j, sums, n_into + j, KIND, LANES)
                        n_fresh = 0
                    if step == 0:  # products
                        sum_run_lanes(
                            sums,
                            n_into,
                            n_fresh,
                            a,
                            i1 + start * i5,
                            i3,
                            n_stride * i5,
                            b,
                            j1 + start * LANES,
                            n_stride * LANES,
                            n_terms,
                            KIND,
                            PRODUCT,
                            PAIRED,
                            ROWS,
                            LANES,
                        )
                    elif step == 1:  # another sum
                        for j in range(0, TILE, LANES):
                            add_tile_lanes(sums, n_into + j, start * TILE + j, KIND, LANES)
                    elif step == 2:  # another sum, scaled
                        for j in range(ROWS):
                            scaled_tile_lanes(
                                sums,
                                n_into + j * LANES,
                                n_fresh,
                                n_terms * TILE + j * LANES,
                                fa,
                                i2 + start * i5 + j * i4,
                                fb,
                                j2 + start * LANES,
                                KIND,
                                PRODUCT,
                                PAIRED,
                                LANES,
                            )
                    elif IS_EXACT:  # blocks, each summed exactly
                        for n1 in range(n_terms):
                            block = start + n1 * n_stride
                            base = block * n_size
                            exact[:] = zero[0]
                            for n0 in range(A_PARTS + SPECIAL):
                                for k0 in range(B_PARTS + SPECIAL):
                                    n_part = n0 + k0
                                    if SPECIAL and (n0 == A_PARTS) != (k0 == B_PARTS):
                                        continue
                                    if SPECIAL and n0 == A_PARTS:
                                        n_part = PARTS
                                    sum_run_lanes(
                                        exact,
                                        n_part * TILE,
                                        0,
                                        a,
                                        n0 * n_a + i1 + base * i5,
                                        i3,
                                        i5,
                                        b,
                                        k0 * n_b + j1 + base * LANES,
                                        LANES,
                                        min(n_size, k - base),
                                        WIDE,
                                        EXACT,
                                        PAIRED,
                                        ROWS,
                                        LANES,
                                    )
                            for j in range(ROWS):
                                settle_tile_lanes(
                                    sums,
                                    n_into + j * LANES,
                                    n_fresh,
                                    exact,
                                    fa,
                                    i2 + block * i5 + j * i4,
                                    fb,
                                    j2 + block * LANES,
                                    j * LANES,
                                    KIND,
                                    PARTS,
                                    SPECIAL,
                                    PAIRED,
                                    TILE,
                                    LANES,
                                )
                            n_fresh = 0

                if n_addend == 2:
                    # The last tile holds the addend, which is rounded once on its way there.
                    base = (n_sums - 1) * TILE
                    for j in range(TILE):
                        n_row = row + j // LANES
                        n_column = i0 * LANES + j % LANES
                        exact[j] = zero[0]
                        if n_row < n_rows and n_column < n_columns:
                            exact[j] = c[n_row * n_columns + n_column]
                    for j in range(0, TILE, LANES):
                        round_tile_lanes(exact, j, sums, base + j, KIND, LANES)
                        add_tile_lanes(sums, j, base + j, KIND, LANES)
                # The result leaves as float32, which holds every shorter type.
                base = (i0 * n_tiles + tile) * TILE
                for j in range(0, TILE, LANES):
                    round_tile_lanes(sums, j, out, base + j, KIND, LANES)
            restore_floats(mode)

    return run_program
