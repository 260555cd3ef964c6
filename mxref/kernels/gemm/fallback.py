"""Single results in whole integers: every block's sum added to a long accumulator, rounded once.

The accumulator counts units of 2^-1152, in words of 32 bits that lie in int64, so that carries wait
until the end. That holds any float64 addend and every product of two elements and two scales.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from mxref.kernels._jit import float_kernel, helper, parallel_slot
from mxref.kernels.gemm.rounding import round_magnitude

__all__ = ["LOW", "WORDS", "add_integer", "bits_of", "sum_in_integers"]

WORDS = 76  # 2432 bits: from 2^-1152 to 2^1280
LOW = 1152
_MASK = 0xFFFFFFFF


def sum_in_integers(*arguments: Any) -> None:
    """Compute single results; the arguments are those of `run`, below."""
    with parallel_slot(arguments[0].size * arguments[2].shape[1]) as parallel:
        _sum_in_integers(parallel)(*arguments)


@helper
def add_integer(words, at, value, place) -> None:  # type: ignore[no-untyped-def]
    """Add value * 2^(place - 1152); `value` is int64."""
    word = np.int64(place) >> 5
    shift = np.int64(place) & 31
    low = np.int64(np.int64(value & np.int64(_MASK)) << shift)  # below 2^63
    high = np.int64(np.int64(value >> 32) << shift)
    words[at + word] += np.int64(low & np.int64(_MASK))
    words[at + word + 1] += np.int64(low >> 32) + np.int64(high & np.int64(_MASK))
    words[at + word + 2] += np.int64(high >> 32)


@helper
def _settle(words, at):  # type: ignore[no-untyped-def]
    """Carry, and return whether the sum is negative; the words then hold its magnitude."""
    negative = False
    for turn in range(2):
        carry = np.int64(0)
        for i in range(WORDS):
            total = np.int64(words[at + i] + carry)
            words[at + i] = np.int64(total & np.int64(_MASK))
            carry = np.int64(total >> 32)
        if carry >= 0 or turn:
            break
        negative = True
        for i in range(WORDS):
            words[at + i] = -words[at + i]
        # What was carried out stands for 2^2432 times -1: the negated words miss nothing, since the
        # sum itself is far smaller.
    return negative


@helper
def bits_of(words, mode, precision, emin, emax, sign_bit) -> Any:  # type: ignore[no-untyped-def]
    """Return the bits of the sum, rounded once; the words are used up."""
    negative = _settle(words, 0)
    top = WORDS - 1
    while top >= 0 and words[top] == 0:
        top -= 1
    if top < 0:
        return np.uint64(0)
    word = np.uint64(np.uint64(words[top]) << np.uint64(32))
    if top >= 1:
        word = np.uint64(word | np.uint64(words[top - 1]))
    third = np.uint64(0)
    if top >= 2:
        third = np.uint64(np.uint64(words[top - 2]) << np.uint64(32))
    exponent = np.int64(32 * top + 31 - LOW)
    while np.uint64(word >> np.uint64(63)) == np.uint64(0):
        word = np.uint64(np.uint64(word << np.uint64(1)) | np.uint64(third >> np.uint64(63)))
        third = np.uint64(third << np.uint64(1))
        exponent -= 1
    sticky = third != np.uint64(0)
    for lowest in range(top - 2):
        sticky = sticky or words[lowest] != 0
    bits = round_magnitude(negative, word, exponent, sticky, mode, precision, emin, emax)
    return np.uint64(bits | (sign_bit if negative else np.uint64(0)))


@cache
def _sum_in_integers(parallel: bool) -> Any:
    @float_kernel(key="gemm-fallback", parallel=parallel)
    def run(  # type: ignore[no-untyped-def]
        of_m, of_n, a, a_scales, a_table, b, b_scales, b_table, block, unit,
        significands, exponents, mode, precision, emin, emax, sign_bit, out,
    ):  # fmt: skip
        # The addend of result i is significands[i] * 2^exponents[i].
        size = a.shape[1]
        for i in numba.prange(of_m.size):
            m, n = of_m[i], of_n[i]
            words = np.zeros(WORDS, np.int64)
            if significands[i] != 0:
                add_integer(words, 0, significands[i], exponents[i] + LOW)
            for j in range(a_scales.shape[1]):
                # Elements have 33 bits with their sign, so that one side is cut in two.
                upper, lower = np.int64(0), np.int64(0)
                place = np.int64(a_scales[m, j]) + np.int64(b_scales[n, j]) - 254 + unit + LOW
                for k in range(j * block, min(size, (j + 1) * block)):
                    x = a_table[a[m, k]]
                    y = b_table[b[n, k]]
                    upper += np.int64(np.int64(x >> 16) * y)
                    lower += np.int64(np.int64(x & np.int64(0xFFFF)) * y)
                    if k & 4095 == 4095:  # 50 bits each, and 12 for so many
                        add_integer(words, 0, lower, place)
                        add_integer(words, 0, upper, place + 16)
                        upper, lower = np.int64(0), np.int64(0)
                if upper != 0 or lower != 0:
                    add_integer(words, 0, lower, place)
                    add_integer(words, 0, upper, place + 16)
            out[i] = bits_of(words, mode, precision, emin, emax, sign_bit)

    return run
