"""Planes of scale codes to and from their bytes: whole squares in registers, the rest one by one.

A tiled order is given by the addresses inside its first tile, and by the two steps from a tile to
its neighbours. What these addresses look like decides how most of a plane is moved; the ends of
lines and planes are always moved byte by byte, by the addresses alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from mxref.kernels._byte_lanes import (
    copy_lanes,
    pair_lanes,
    turn_lanes,
    unpair_lanes,
    unweave_lanes,
    weave_lanes,
    zip_full_lanes,
    zip_lanes,
    zip_wide_lanes,
)
from mxref.kernels._jit import INTERPRETED, kernel, parallel_slot

__all__ = ["INTERPRETED", "Tiles", "pack", "transpose", "unpack"]

u8 = np.uint8

STRIP = 128  # least lines that one thread takes at a time; a multiple of the lines of most tiles
LINE = 64  # bytes of a cache line
RUN = 16 * LINE  # so much of a line is moved before the next
BYTES, WORDS, WEAVE, PAIRS = range(4)  # how most of a plane is moved


@dataclass(frozen=True)
class Tiles:
    """A tiled order for one plane.

    Attributes
    ----------
    lines, blocks : int
        Of the plane.
    size : int
        Bytes of a packed plane.
    inside : ndarray of int64, shape (lines, blocks) of a tile
        Addresses in the first tile.
    down, across : int
        From a tile to the next along the lines, and along the blocks.
    """

    lines: int
    blocks: int
    size: int
    inside: NDArray[np.int64]
    down: int
    across: int

    @functools.cached_property
    def plan(self) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
        """How most of it is moved, the addresses in one dimension, and the numbers for loops."""
        how, apart = self._how()
        height, width = self.inside.shape
        near = 4 if apart == 1 else 1
        full = 0  # lines of a group that is moved 16 lines at a time
        if how == WORDS and self._fills_runs(apart):
            full = max(16, 4 * apart)
        numbers = (
            *(self.lines, self.blocks, self.size, height, width, self.down, self.across),
            *(apart, near, full),
        )
        inside = np.ascontiguousarray(self.inside).reshape(-1)
        return how, inside, np.array(numbers, np.int64)

    def _fills_runs(self, apart: int) -> bool:
        """Whether the words of 16 lines fill 64 bytes: then whole cache lines are moved."""
        starts = self.inside[:, 0]
        if len(starts) % max(16, 4 * apart):
            return False
        if apart == 1:
            return bool((np.diff(starts.reshape(-1, 16), axis=-1) == 4).all())
        return bool((np.diff(starts.reshape(-1, 4, apart)[:, 0], axis=-1) == 16).all())

    def _how(self) -> tuple[int, int]:
        """How most of it is moved, and how many lines apart the words of 16 bytes are."""
        a = self.inside
        if a.shape == (32, 8) and np.array_equal(a, _WOVEN):
            return WEAVE, 1
        if a.shape[1] == 4 and np.array_equal(a, a[:, :1] + np.arange(4)):
            for apart in (1, 32):
                if _has_runs(a[:, 0], apart):
                    return WORDS, apart
        if a.shape[1] == 2 and len(a) % 16 == 0 and self.across == 64:
            runs = a.reshape(-1, 16, 2)
            if np.array_equal(runs, runs[:, :1, :1] + _PAIRED):
                return PAIRS, 1
        return BYTES, 1


def _has_runs(starts: NDArray[np.int64], apart: int) -> bool:
    """Whether four lines so far apart have their words in 16 bytes, one after the other."""
    if len(starts) % (4 * apart):
        return False
    fours = starts.reshape(-1, 4, apart).transpose(0, 2, 1)
    return bool((np.diff(fours, axis=-1) == 4).all())


_b, _l = np.arange(8), np.arange(32)[:, None]
_WOVEN = _b % 4 * 64 + _l % 16 * 4 + _b // 4 * 2 + _l // 16
_PAIRED = _l[:16] % 8 * 4 + _b[:2] * 2 + _l[:16] // 8  # Triton's for Hopper, 16 lines of it


def pack(planes: NDArray[np.uint8], packed: NDArray[np.uint8], tiles: Tiles) -> None:
    """Write contiguous planes (n, lines, blocks) to (n, size); padding is left as it is."""
    _move(planes, packed, tiles, packing=1)


def unpack(packed: NDArray[np.uint8], planes: NDArray[np.uint8], tiles: Tiles) -> None:
    """Read contiguous planes (n, lines, blocks) from (n, size)."""
    _move(planes, packed, tiles, packing=0)


def _move(
    planes: NDArray[np.uint8], packed: NDArray[np.uint8], tiles: Tiles, *, packing: int
) -> None:
    how, inside, numbers = tiles.plan
    height = len(tiles.inside)
    n_strip = -(-STRIP // height) * height
    with parallel_slot(planes.size) as parallel:
        mover = _mover(packing, how, parallel)
        mover(planes.reshape(-1), packed.reshape(-1), inside, numbers, len(planes), n_strip)


@functools.cache
def _mover(packing: int, how: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(planes, packed, inside, numbers, n_planes, n_strip)``."""
    PACKING, HOW = packing, how

    @kernel(key=f"scales-{'pack' if packing else 'unpack'}-{how}", parallel=parallel)
    def move(planes, packed, inside, numbers, n_planes, n_strip):  # type: ignore[no-untyped-def]
        n_lines, n_blocks, n_bytes = numbers[0], numbers[1], numbers[2]
        n_high, n_wide = numbers[3], numbers[4]
        n_down, n_across, n_apart = numbers[5], numbers[6], numbers[7]
        n_near, n_full = numbers[8], numbers[9]
        n_strips = (n_lines + n_strip - 1) // n_strip
        for chunk in prange(n_planes * n_strips):
            square = np.empty(64 * 64, u8)
            lo = chunk % n_strips * n_strip
            hi = min(n_lines, lo + n_strip)
            n_first = chunk // n_strips * n_lines * n_blocks  # of the plane; then of the bytes
            base = chunk // n_strips * n_bytes + lo // n_high * n_down
            n_whole = lo + (hi - lo) // n_high * n_high  # lines and blocks moved in squares
            n_fast = 0
            if HOW == WORDS:
                n_fast = n_blocks // 16 * 16
            if HOW == WEAVE:
                n_fast = n_blocks // 8 * 8
            if HOW == PAIRS:
                n_fast = n_blocks // 16 * 16
            for start in range(0, n_fast, RUN):
                stop = min(n_fast, start + RUN)
                n_tile = base
                for tile in range(lo, n_whole, n_high):
                    n_row = n_first + tile * n_blocks
                    if HOW == WORDS:
                        n_end = start
                        if n_full:  # 16 lines by 64 blocks at a time
                            n_end = start + (stop - start) // 64 * 64
                            for i in range(0, n_high, n_full):
                                for k in range(i, i + n_full // 4, 4):
                                    n_at = n_tile + inside[k * 4] + start // 4 * n_across
                                    n_line = n_row + k * n_blocks
                                    for j in range(start, n_end, 64):
                                        zip_full_lanes(
                                            packed,
                                            n_at,
                                            n_across,
                                            planes,
                                            n_line + j,
                                            n_near * n_blocks,
                                            n_apart * n_blocks,
                                            PACKING,
                                        )
                                        n_at = n_at + 16 * n_across
                        for i in range(0, n_high, 4 * n_apart):
                            for k in range(i, i + n_apart):
                                n_at = n_tile + inside[k * 4] + n_end // 4 * n_across
                                n_line = n_row + k * n_blocks
                                n_step = n_apart * n_blocks
                                n_stop = n_end + (stop - n_end) // 64 * 64
                                for j in range(n_end, n_stop, 64):
                                    zip_wide_lanes(
                                        packed, n_at, n_across, planes, n_line + j, n_step, PACKING
                                    )
                                    n_at = n_at + 16 * n_across
                                for j in range(n_stop, stop, 16):
                                    if PACKING:
                                        zip_lanes(
                                            packed, n_at, n_across, planes, n_line + j, n_step, 4
                                        )
                                    else:
                                        zip_lanes(
                                            planes, n_line + j, n_step, packed, n_at, n_across, 4
                                        )
                                    n_at = n_at + 4 * n_across
                    if HOW == WEAVE:
                        n_at = n_tile + start // 8 * n_across
                        n_end = start
                        if not PACKING:  # 8 bytes in each of 32 lines are slow to write
                            n_end = start + (stop - start) // 64 * 64
                            for j in range(start, n_end, 64):
                                for k in range(0, 64, 8):
                                    unweave_lanes(square, k, 64, packed, n_at)
                                    n_at = n_at + n_across
                                for i in range(32):
                                    copy_lanes(planes, n_row + i * n_blocks + j, square, i * 64, 64)
                        for j in range(n_end, stop, 8):
                            if PACKING:
                                weave_lanes(packed, n_at, planes, n_row + j, n_blocks)
                            else:
                                unweave_lanes(planes, n_row + j, n_blocks, packed, n_at)
                            n_at = n_at + n_across
                    if HOW == PAIRS:
                        for i in range(0, n_high, 16):
                            for j in range(start, stop, 16):
                                n_at = n_tile + inside[i * 2] + j // 2 * n_across
                                n_line = n_row + i * n_blocks + j
                                if PACKING:
                                    pair_lanes(packed, n_at, planes, n_line, n_blocks)
                                else:
                                    unpair_lanes(planes, n_line, n_blocks, packed, n_at)
                    n_tile = n_tile + n_down
            n_tile = base
            for tile in range(lo, hi, n_high):
                for i in range(min(n_high, hi - tile)):
                    n_row = n_first + (tile + i) * n_blocks
                    j = n_fast if tile < n_whole else 0
                    if HOW == WORDS:
                        n_at = n_tile + j // 4 * n_across + inside[i * 4]
                        while j + 4 <= n_blocks:
                            if PACKING:
                                copy_lanes(packed, n_at, planes, n_row + j, 4)
                            else:
                                copy_lanes(planes, n_row + j, packed, n_at, 4)
                            j = j + 4
                            n_at = n_at + n_across
                        for k in range(j, n_blocks):
                            if PACKING:
                                packed[n_at + k - j] = planes[n_row + k]
                            else:
                                planes[n_row + k] = packed[n_at + k - j]
                    else:
                        n_at = n_tile + j // n_wide * n_across
                        while j < n_blocks:
                            for k in range(min(n_wide, n_blocks - j)):
                                n_to = n_at + inside[i * n_wide + k]
                                if PACKING:
                                    packed[n_to] = planes[n_row + j + k]
                                else:
                                    planes[n_row + j + k] = packed[n_to]
                            j = j + n_wide
                            n_at = n_at + n_across
                n_tile = n_tile + n_down

    return move


# --- transposing ------------------------------------------------------------------------------


def transpose(planes: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Transpose contiguous planes (n, rows, columns) to (n, columns, rows)."""
    n, rows, columns = planes.shape
    with parallel_slot(planes.size) as parallel:
        _transposer(parallel)(planes.reshape(-1), out.reshape(-1), n, rows, columns)


@functools.cache
def _transposer(parallel: bool) -> Callable[..., None]:
    @kernel(key="scales-transpose", parallel=parallel)
    def move(planes, out, n_planes, n_rows, n_cols):  # type: ignore[no-untyped-def]
        n_strips = (n_rows + LINE - 1) // LINE
        for chunk in prange(n_planes * n_strips):
            lo = chunk % n_strips * LINE
            hi = min(n_rows, lo + LINE)
            square = np.empty(64 * 64, u8)
            base = chunk // n_strips * n_rows * n_cols
            n_whole = lo + (hi - lo) // 16 * 16
            n_fast = n_cols // 16 * 16
            n_full = n_cols // 64 * 64 if hi - lo == 64 else 0
            for start in range(0, n_full, 64):
                for i in range(0, 64, 16):
                    turn_lanes(square, i, planes, base + (lo + i) * n_cols + start, n_cols)
                for j in range(64):
                    copy_lanes(out, base + (start + j) * n_rows + lo, square, j * 64, 64)
            for j in range(n_full, n_fast, 16):
                for i in range(lo, n_whole, 16):
                    zip_lanes(
                        out, base + j * n_rows + i, n_rows, planes, base + i * n_cols + j, n_cols, 1
                    )
            for i in range(lo, hi):
                for j in range(n_fast if i < n_whole else 0, n_cols):
                    out[base + j * n_rows + i] = planes[base + i * n_cols + j]

    return move
