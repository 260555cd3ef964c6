"""The loop over tiles: products of digits in int32, their sum in float64, exact where it can be.

A tile of the result is 32 by 32. For each part of K and each *level* (the sum of the places of two
digits) the products of all pairs of planes are summed in int32, which is exact for up to 2^17
products; they are then weighed by powers of two and added to float64 sums, from the highest level
down. These sums are exact where all that is summed fits 53 bits. Elsewhere the errors of the
additions are summed beside them (TwoSum).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from mxref.kernels._jit import float_kernel, helper, parallel_slot
from mxref.kernels.float_mode import restore_floats, steady_floats
from mxref.kernels.gemm import cpu
from mxref.kernels.gemm.rounding import rounded_to_odd, times_exactly
from mxref.kernels.gemm.tiles import SIDE, begin_tiles, end_tiles, multiply_tiles
from mxref.kernels.gemm.weigh import ADD, ADD_WITH_ERROR, SET, take_off, weigh, weigh_directly

__all__ = ["MOST_PAIRS", "MOST_STEPS", "multiply", "row_sums", "scratch"]

MOST_STEPS = 64  # of at most 64 bytes in one chunk,
MOST_PAIRS = 31  # by so many pairs of planes of one level: 31 * 4096 * 128^2 < 2^31

_PIECE = 8
_TILE = SIDE * SIDE
_LEVELS = 64  # at most 31 planes on either side
_WIDE = 2 * _TILE + 2 * SIDE + _LEVELS  # sums, errors, factors of rows and columns, weights


def scratch(tasks: int, levels: int) -> tuple[Any, ...]:
    """Return working memory for so many tasks, at multiples of 64 bytes."""
    found = []
    shapes = (
        (levels * _TILE, np.int32),
        (levels, np.int64),
        (levels * SIDE, np.int32),
        (_WIDE, np.float64),
    )
    for size, kind in shapes:
        raw = np.empty(tasks * size * np.dtype(kind).itemsize + 64, np.uint8)
        start = -raw.ctypes.data % 64
        found.append(raw[start : len(raw) - 64 + start].view(kind))
    return tuple(found)


def row_sums(packed: Any, width: int, out: Any) -> None:
    """128 times the sum of each packed row of a left operand: what VPDPBUSD adds too much."""
    with parallel_slot(packed.size) as parallel:
        _row_sums(parallel)(packed, width, out)


@cache
def _row_sums(parallel: bool) -> Any:
    @float_kernel(key="gemm-row-sums", parallel=parallel)
    def run(packed, width, out):  # type: ignore[no-untyped-def]
        for row in numba.prange(out.size):
            total = np.int32(0)
            for x in range(width):
                total = np.int32(total + np.int32(packed[row * width + x]))
            out[row] = np.int32(np.int32(128) * total)

    return run


def multiply(path: int, work: int, *arguments: Any) -> None:
    """Run the product of two packed operands.

    Parameters
    ----------
    path : int
        Which instructions, one of those in `cpu.paths`.
    work : int
        How many products there are, which decides over threads.
    *arguments
        Those of `run`, below.
    """
    with parallel_slot(work) as parallel:
        _multiply(path, parallel)(*arguments)


@helper
def _note_excess(excess, of_level, row_sums, at, count, is_first):  # type: ignore[no-untyped-def]
    """Add up what VPDPBUSD has too much in each row of a level."""
    for line in range(SIDE):
        more = np.int32(0) if is_first else excess[of_level + line]
        for step in range(count):
            more = np.int32(more + row_sums[at + step * SIDE + line])
        excess[of_level + line] = more


@helper
def _fill_factors(wide, factors, a_scales, b_scales, first_m, first_n, group, powers):  # type: ignore[no-untyped-def]
    """The scale of each row and of each column."""
    for line in range(SIDE):
        m = min(first_m + line, a_scales.shape[0] - 1)
        n = min(first_n + line, b_scales.shape[0] - 1)
        wide[factors + line] = powers[np.int64(a_scales[m, group])]
        wide[factors + SIDE + line] = powers[np.int64(b_scales[n, group])]


@helper
def _write(wide, sums, first_m, first_n, skipped, direct, high, low, of_a, of_b):  # type: ignore[no-untyped-def]
    """Copy a tile to the result: rounded to float32, or the sums and their errors.

    What is rounded here is multiplied by the factors of its row and column first, if there are any;
    the errors of such sums are zero.
    """
    rows, columns = high.shape
    is_direct = direct.shape[0] > 0
    if is_direct:
        rows, columns = direct.shape
    for line in range(min(SIDE, rows + skipped - first_m)):
        m = first_m + line - skipped
        to = sums + line * SIDE
        if is_direct and of_a.shape[0] > 0:
            of_row = of_a[m]
            for n in range(SIDE):
                factor = of_row * of_b[min(first_n + n, columns - 1)]
                total, lost = times_exactly(wide[to + n], factor)
                wide[to + n] = rounded_to_odd(total, lost)
        elif is_direct:
            for n in range(SIDE):
                high_part, low_part = wide[to + n], wide[to + _TILE + n]
                wide[to + n] = rounded_to_odd(high_part, low_part)
        if is_direct:
            for n in range(min(SIDE, columns - first_n)):
                direct[m, first_n + n] = np.float32(wide[to + n])
        else:
            for n in range(min(SIDE, columns - first_n)):
                high[m, first_n + n] = wide[to + n]
                low[m, first_n + n] = wide[to + _TILE + n]


@helper
def _next_run(a_marks, pa, i, b_marks, pb, j, start, stop):  # type: ignore[no-untyped-def]
    """The first stretch of steps in which neither plane is all zeros; empty at `stop`."""
    while start < stop and not (a_marks[pa, i, start] and b_marks[pb, j, start]):
        start += 1
    end = start
    while end < stop and a_marks[pa, i, end] and b_marks[pb, j, end]:
        end += 1
    return start, end


@cache
def _multiply(PATH: int, parallel: bool) -> Any:
    VNNI = int(PATH == cpu.VNNI)

    @float_kernel(key=f"gemm-product-{PATH}", parallel=parallel)
    def run(  # type: ignore[no-untyped-def]
        a, a_starts, a_planes, a_marks, a_scales, a_sums,
        b, b_starts, b_planes, b_marks, b_scales,
        exact, is_joint, groups, per_group, width, powers, weights, config,
        tasks, buffer, fresh, excess, wide, skipped, direct, high, low, of_a, of_b,
    ):  # fmt: skip
        # exact[pa, pb]: whether float64 holds all sums of these panels; is_joint: whether it holds
        # the sum of all levels of one part. weights[level].
        # buffer, fresh and excess have room for weights.size levels of each task.
        # of_a, of_b: factors of rows and columns, for `direct`; empty for none.
        step_size = SIDE * width
        plane = groups * per_group * step_size
        parts = (per_group + MOST_STEPS - 1) // MOST_STEPS
        levels = weights.size
        for task in numba.prange(tasks.shape[0]):
            before = steady_floats()
            begin_tiles(config, PATH)
            ints, flags, sums = task * levels * _TILE, task * levels, task * _WIDE
            factors = sums + 2 * _TILE
            of_levels = factors + 2 * SIDE
            for pa in range(tasks[task, 0], tasks[task, 1]):
                for pb in range(tasks[task, 2], tasks[task, 3]):
                    is_exact = exact[pa, pb]
                    is_first = True
                    if not is_exact:
                        for x in range(2 * _TILE):
                            wide[sums + x] = np.float64(0.0)
                    top = a_planes[pa] + b_planes[pb] - 2
                    # Weighed once, and a whole tile: it needs no float64 sums in memory.
                    is_short = (
                        is_exact
                        and groups * parts == 1
                        and of_a.shape[0] == 0
                        and (pa + 1) * SIDE - skipped <= direct.shape[0]
                        and (pb + 1) * SIDE <= direct.shape[1]
                    )
                    # Planes that are read several times are read in pieces that a cache holds.
                    piece = MOST_STEPS if top == 0 else _PIECE
                    for part in range(groups * parts):
                        group = part // parts
                        begin = group * per_group + (part % parts) * MOST_STEPS
                        finish = min(begin + MOST_STEPS, (group + 1) * per_group)
                        for level in range(top + 1):
                            fresh[flags + level] = 1
                        for start in range(begin, finish, piece):
                            stop = min(start + piece, finish)
                            for level in range(top + 1):
                                sink = ints + level * _TILE
                                low_i = max(0, level - b_planes[pb] + 1)
                                for i in range(low_i, min(a_planes[pa], level + 1)):
                                    j = level - i
                                    s, e = _next_run(a_marks, pa, i, b_marks, pb, j, start, stop)
                                    while s < e:
                                        at = a_starts[pa] + i * plane + s * step_size
                                        multiply_tiles(
                                            a, at, b, b_starts[pb] + j * plane + s * step_size,
                                            e - s, width, buffer, sink,
                                            np.int64(fresh[flags + level]), PATH,
                                        )  # fmt: skip
                                        if VNNI:
                                            _note_excess(
                                                excess, (flags + level) * SIDE, a_sums, at // width,
                                                e - s, fresh[flags + level] != 0,
                                            )  # fmt: skip
                                        fresh[flags + level] = 0
                                        s, e = _next_run(a_marks, pa, i, b_marks, pb, j, e, stop)
                        if VNNI:
                            for level in range(top + 1):
                                if not fresh[flags + level]:
                                    of_level = (flags + level) * SIDE
                                    take_off(buffer, ints + level * _TILE, excess, of_level)
                        _fill_factors(
                            wide, factors, a_scales, b_scales, pa * SIDE, pb * SIDE, group, powers
                        )
                        for level in range(top + 1):
                            weight = np.float64(0.0) if fresh[flags + level] else weights[level]
                            wide[of_levels + level] = weight
                        if is_short:
                            weigh_directly(
                                buffer, ints, wide, factors, of_levels, top + 1,
                                direct, pa * SIDE - skipped, pb * SIDE,
                            )  # fmt: skip
                        elif is_exact and is_first:
                            weigh(buffer, ints, wide, sums, factors, of_levels, top + 1, SET, PATH)
                            is_first = False
                        elif is_exact:
                            weigh(buffer, ints, wide, sums, factors, of_levels, top + 1, ADD, PATH)
                        elif is_joint:
                            weigh(
                                buffer, ints, wide, sums, factors, of_levels, top + 1,
                                ADD_WITH_ERROR, PATH,
                            )  # fmt: skip
                        else:
                            for down in range(top + 1):
                                level = top - down
                                if not fresh[flags + level]:
                                    weigh(
                                        buffer, ints + level * _TILE, wide, sums, factors,
                                        of_levels + level, 1, ADD_WITH_ERROR, PATH,
                                    )  # fmt: skip
                    if is_short:
                        continue
                    if is_exact:
                        for x in range(_TILE):
                            wide[sums + _TILE + x] = np.float64(0.0)
                    _write(wide, sums, pa * SIDE, pb * SIDE, skipped, direct, high, low, of_a, of_b)
            end_tiles(PATH)
            restore_floats(before)

    return run
