"""What a product must know of an operand before it is packed: ranges of scales, special codes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from mxref.kernels._jit import float_kernel, parallel_slot

__all__ = ["HAS_NAN", "HAS_SPECIAL", "survey"]

HAS_SPECIAL, HAS_NAN = 1, 2
_NAN_SCALE = 255


def survey(
    codes: Any,
    scales: Any,
    block: int,
    *,
    mask: int,
    excess: int,
    least: Any,
    most: Any,
    flags: Any,
    is_across: bool,
) -> None:
    """Find the least and the largest scale code of each row among blocks that are not zero.

    Parameters
    ----------
    codes : ndarray of uint8
        Shape (rows, K), or (K, rows) if `is_across`; C-contiguous.
    scales : ndarray of uint8
        Shape (rows, blocks), or (blocks, rows) if `is_across`; C-contiguous.
    block : int
        The block size.
    mask : int
        Bits of a code that make it other than zero.
    excess : int
        What, added to a masked code, makes bit 7 of a NaN or an infinity, and of no number; 0 if
        the format has none.
    least, most : ndarray of int32, shape (rows,)
        Outputs; a row without a block that counts gets 127 twice.
    flags : ndarray of uint8, shape (rows,)
        Output: HAS_SPECIAL where an element is NaN or infinite, HAS_NAN where a scale is NaN.
    is_across : bool
        Whether K is the first axis.
    """
    count = 1
    if not is_across and block % 8 == 0 and codes.shape[1] % 8 == 0:
        codes, count = codes.view(np.uint64), 8
    ones = 0x0101010101010101 if count == 8 else 1
    kind: Any = np.uint8 if is_across else np.uint64
    masks = [kind(word * ones) for word in (mask, excess, 0x80)]
    with parallel_slot(codes.size) as parallel:
        run = _across(parallel) if is_across else _along(parallel)
        run(codes, scales, block // count, *masks, least, most, flags)


@cache
def _along(parallel: bool) -> Any:
    @float_kernel(key="gemm-survey-along", parallel=parallel)
    def run(codes, scales, block, mask, excess, mark, least, most, flags):  # type: ignore[no-untyped-def]
        # A word of codes is one code, or eight: no sum of two bytes carries into the next.
        rows, size = codes.shape
        for row in numba.prange(rows):
            low, high, flag = 255, 0, 0
            for j in range(scales.shape[1]):
                any_bit, top = np.uint64(0), np.uint64(0)
                for k in range(j * block, min(size, (j + 1) * block)):
                    code = np.uint64(np.uint64(codes[row, k]) & mask)
                    any_bit = np.uint64(any_bit | code)
                    top = np.uint64(top | np.uint64(code + excess))
                if excess and np.uint64(top & mark):
                    flag |= 1
                shared = np.int64(scales[row, j])
                if shared == 255:
                    flag |= 2
                elif any_bit:
                    low, high = min(low, shared), max(high, shared)
            is_empty = low > high
            least[row] = 127 if is_empty else low
            most[row] = 127 if is_empty else high
            flags[row] = flag

    return run


@cache
def _across(parallel: bool) -> Any:
    @float_kernel(key="gemm-survey-across", parallel=parallel)
    def run(codes, scales, block, mask, excess, mark, least, most, flags):  # type: ignore[no-untyped-def]
        size, columns = codes.shape
        tasks = (columns + 255) // 256
        for task in numba.prange(tasks):
            first = task * 256
            last = min(columns, first + 256)
            any_bit, top = np.empty(256, np.uint8), np.empty(256, np.uint8)
            for n in range(first, last):
                least[n], most[n], flags[n] = 255, 0, 0
            for j in range(scales.shape[0]):
                for i in range(last - first):
                    any_bit[i], top[i] = 0, 0
                for k in range(j * block, min(size, (j + 1) * block)):
                    for i in range(last - first):
                        code = np.uint8(codes[k, first + i] & mask)
                        any_bit[i] = np.uint8(any_bit[i] | code)
                        top[i] = np.uint8(top[i] | np.uint8(code + excess))
                for i in range(last - first):
                    n = first + i
                    shared = np.int32(scales[j, n])
                    if excess and top[i] & mark:
                        flags[n] |= np.uint8(1)
                    if shared == 255:
                        flags[n] |= np.uint8(2)
                    elif any_bit[i]:
                        least[n], most[n] = min(least[n], shared), max(most[n], shared)
            for n in range(first, last):
                if least[n] > most[n]:
                    least[n], most[n] = 127, 127

    return run
