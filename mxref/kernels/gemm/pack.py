"""Codes to digits: the bytes that the tiles of a product are made of.

Each element is an integer in units of its format's smallest number; its block's scale moves it up
by so many bits against the least scale of its row. The integer is then cut into digits, signed
bytes in base 256, and the digits of one place make a *plane*. A shift by 8 bits moves digits up a
plane, so that a table of the shifts 0 to 7 holds all there is to compute.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from mxref.kernels._jit import float_kernel, parallel_slot
from mxref.kernels.gemm.tiles import SIDE

__all__ = ["PLACES", "digit_table", "mark", "pack"]

PLACES = 6  # E5M2 has 32 bits and a sign; 7 bits of shift make 40
_ENTRY = 256  # codes; a shift is 256 entries, a place 2048
_PLACE = 8 * _ENTRY


def digit_table(integers: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the digits of every code under shifts of 0 to 7 bits, flat: [place, shift, code].

    Behind the last place lies one of zeros.

    Examples
    --------
    >>> table = digit_table(np.arange(256)).reshape(PLACES + 1, 8, 256)
    >>> table[:2, 1, 200].tolist()  # 400 is -112 + 2 * 256
    [-112, 2]
    """
    rest = integers[None, :] << np.arange(8)[:, None]
    places = []
    for _ in range(PLACES):
        digit = ((rest + 128) & 255) - 128
        places.append(digit)
        rest = (rest - digit) >> 8
    return np.stack([*places, np.zeros_like(rest)]).astype(np.int8).reshape(-1)


def mark(
    scales: Any,
    least: Any,
    most: Any,
    digits: NDArray[np.int64],
    blocks: tuple[int, int],
    marks: NDArray[np.uint8],
    *,
    is_across: bool,
) -> None:
    """Mark the steps in which a plane of a panel may hold anything but zeros.

    Parameters
    ----------
    scales, least, most
        As for `pack`.
    digits : ndarray of int64
        How many digits an element needs when it is moved up by 0, 1, 2 ... bits.
    blocks : (int, int)
        The block size, and the elements of a step.
    marks : ndarray of uint8, shape (panels, planes, steps)
        Output, zeros at first.
    is_across : bool
        Whether the blocks are the first axis of `scales`.
    """
    block, width = blocks
    with parallel_slot(scales.size * 8) as parallel:
        _mark(int(is_across), parallel)(scales, least, most, digits, block, width, marks)


@cache
def _mark(ACROSS: int, parallel: bool) -> Any:
    @float_kernel(key=f"gemm-mark-{ACROSS}", parallel=parallel)
    def run(scales, least, most, digits, block, width, marks):  # type: ignore[no-untyped-def]
        rows = least.size
        blocks = scales.shape[0] if ACROSS else scales.shape[1]
        for panel in numba.prange(marks.shape[0]):
            for j in range(blocks):
                high, low = np.int64(0), np.int64(255)
                for row in range(panel * SIDE, min(rows, (panel + 1) * SIDE)):
                    code = np.int64(scales[j, row]) if ACROSS else np.int64(scales[row, j])
                    span = np.int64(most[row]) - np.int64(least[row])
                    up = min(max(code - np.int64(least[row]), 0), span)
                    high, low = max(high, up), min(low, up)
                first, last = low >> 3, min(digits[high], marks.shape[1])
                for step in range(
                    j * block // width, min(marks.shape[2], ((j + 1) * block - 1) // width + 1)
                ):
                    for place in range(first, last):
                        marks[panel, place, step] = 1

    return run


def pack(
    codes: Any,
    scales: Any,
    block: int,
    least: Any,
    most: Any,
    table: NDArray[np.int8],
    planes: NDArray[np.int64],
    starts: NDArray[np.int64],
    out: NDArray[np.int8],
    *,
    group: int,
    width: int,
    is_right: bool,
    is_across: bool,
) -> None:
    """Write the planes of an operand, panel by panel.

    Parameters
    ----------
    codes, scales, block, least, most
        As `survey` has them. Where ``least == most`` nothing is shifted.
    table : ndarray of int8
        `digit_table`.
    planes, starts : ndarray of int64, shape (panels,)
        How many digits the elements of each panel of 32 rows have, and where in `out` they begin.
    out : ndarray of int8
        [panel][plane][step, 2, 16, width] or, of the right operand,
        [panel][plane][step, 2, width // 4, 16, 4].
    group : int
        So many elements along K begin at a step of their own: the block size, or K.
    width : int
        Bytes of a step along K.
    is_right, is_across : bool
        Whether it is the right operand; whether K is the first axis of `codes`.
    """
    with parallel_slot(codes.size) as parallel:
        run = _columns(parallel) if is_across else _rows(int(is_right), parallel)
        run(codes, scales, block, least, most, table, planes, starts, out, group, width)


@cache
def _rows(RIGHT: int, parallel: bool) -> Any:
    @float_kernel(key=f"gemm-pack-rows-{RIGHT}", parallel=parallel)
    def run(  # type: ignore[no-untyped-def]
        codes, scales, block, least, most, table, planes, starts, out, group, width
    ):
        rows, size = codes.shape
        per_group = (group + width - 1) // width
        steps = per_group * ((size + group - 1) // group)
        plane = steps * SIDE * width
        for panel in numba.prange(planes.size):
            digits = planes[panel]
            for line in range(SIDE):
                row = panel * SIDE + line
                half = (line // 16) * 16 * width
                lane = (line % 16) * (4 if RIGHT else width)
                for step in range(steps):
                    inside = (step % per_group) * width
                    first = (step // per_group) * group + inside
                    count = min(width, group - inside, size - first)
                    if row >= rows or count < 0:
                        count = 0
                    base = starts[panel] + step * SIDE * width + half + lane
                    done = 0
                    while done < count:
                        j = (first + done) // block
                        last = min(count, (j + 1) * block - first)
                        up = np.int64(scales[row, j]) - np.int64(least[row])
                        up = min(max(up, 0), np.int64(most[row]) - np.int64(least[row]))
                        for digit in range(digits):
                            place = digit - (up >> 3)
                            place = PLACES if place < 0 or place > PLACES else place
                            at = np.uint64(base + digit * plane)
                            entry = np.uint64(place * _PLACE + (up & 7) * _ENTRY)
                            for x in range(np.uint64(done), np.uint64(last)):
                                code = np.uint64(codes[row, np.uint64(first) + x])
                                to = x
                                if RIGHT:
                                    to = np.uint64(
                                        np.uint64(x >> np.uint64(2)) * np.uint64(64)
                                        + np.uint64(x & np.uint64(3))
                                    )
                                out[at + to] = table[entry + code]
                        done = last
                    for digit in range(digits):
                        at = base + digit * plane
                        for x in range(count, width):
                            to = ((x >> 2) * 64 + (x & 3)) if RIGHT else x
                            out[at + to] = 0

    return run


@cache
def _columns(parallel: bool) -> Any:
    @float_kernel(key="gemm-pack-columns", parallel=parallel)
    def run(  # type: ignore[no-untyped-def]
        codes, scales, block, least, most, table, planes, starts, out, group, width
    ):
        size, columns = codes.shape
        per_group = (group + width - 1) // width
        steps = per_group * ((size + group - 1) // group)
        plane = steps * SIDE * width
        for panel in numba.prange(planes.size):
            digits = planes[panel]
            column = panel * SIDE
            lines = min(SIDE, columns - column)
            ups = np.zeros(SIDE, np.int64)
            entries = np.zeros(SIDE, np.uint64)  # of the table, for each column
            held = -1
            for step in range(steps):
                inside = (step % per_group) * width
                first = (step // per_group) * group + inside
                count = max(0, min(width, group - inside, size - first))
                for digit in range(digits):
                    base = starts[panel] + digit * plane + step * SIDE * width
                    if count < width or lines < SIDE:
                        for x in range(SIDE * width):
                            out[base + x] = 0
                    done = 0
                    while done < count:
                        j = (first + done) // block
                        last = min(count, (j + 1) * block - first)
                        if j != held:
                            held = j
                            for line in range(lines):
                                up = np.int64(scales[j, column + line]) - least[column + line]
                                span = np.int64(most[column + line]) - least[column + line]
                                ups[line] = min(max(up, 0), span)
                        for line in range(lines):
                            place = digit - (ups[line] >> 3)
                            place = PLACES if place < 0 or place > PLACES else place
                            entries[line] = np.uint64(place * _PLACE + (ups[line] & 7) * _ENTRY)
                        for x in range(done, last):
                            quad = np.uint64(base + (x >> 2) * 64 + (x & 3))
                            for half in range((lines + 15) // 16):
                                far = np.uint64(quad + np.uint64(half * 16 * width))
                                for lane in range(np.uint64(min(16, lines - half * 16))):
                                    line = np.uint64(np.uint64(half * 16) + lane)
                                    code = np.uint64(codes[first + x, np.uint64(column) + line])
                                    at = np.uint64(far + np.uint64(lane * np.uint64(4)))
                                    out[at] = table[np.uint64(entries[line] + code)]
                        done = last

    return run
