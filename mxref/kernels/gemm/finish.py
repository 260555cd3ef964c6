"""Sums of float64 and their errors to results: the addend, the rounding, and its certificate.

A sum is known as an unevaluated pair ``high + low``. The pair is exact where all that was summed
fits some 100 bits; elsewhere the errors of `low` are bounded, and a result is certified if the
whole interval rounds to it. What is left goes to `fallback`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numba
import numpy as np

from mxref.kernels._jit import float_kernel, helper, parallel_slot
from mxref.kernels.float_mode import restore_floats, steady_floats
from mxref.kernels.gemm.rounding import round_magnitude, rounded_to_odd
from mxref.kernels.gemm.tiles import SIDE

__all__ = ["CERTIFIED", "EXACT", "OPEN", "finish"]

EXACT, CERTIFIED, OPEN = range(3)

_HUGE = 2.0**1000  # additions beyond might overflow


def finish(*arguments: Any) -> None:
    """Round sums to results; the arguments are those of `run`, below."""
    with parallel_slot(16 * arguments[0].size) as parallel:
        _finish(parallel)(*arguments)


@helper
def _two_sum(x, y):  # type: ignore[no-untyped-def]
    """The sum of two numbers, rounded, and what is missing."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


@helper
def _rounded(x, y, z, mode, precision, emin, emax):  # type: ignore[no-untyped-def]
    """Bits of x + y + z, each of which is small against the one before; x is not zero."""
    significand, exponent = math.frexp(abs(x))  # 0.5 <= significand < 1
    negative = x < 0.0
    if negative:
        y, z = -y, -z
    # 53 bits of x, and 10 more for what y adds.
    whole = np.int64(significand * 2.0**53)
    part = math.ldexp(y, 63 - exponent)
    floor = np.floor(part)
    behind = y if part == 0.0 else z  # y itself may vanish there
    sticky = part != floor or behind != 0.0
    if behind < 0.0 and part == floor:
        floor -= 1.0
    word = np.uint64(np.int64(np.int64(whole << 10) + np.int64(floor)))
    top = np.int64(exponent)
    while np.uint64(word >> np.uint64(63)) == np.uint64(0):
        word = np.uint64(word << np.uint64(1))
        top -= 1
    bits = round_magnitude(negative, word, top, sticky, mode, precision, emin, emax)
    return bits, negative


@helper
def _to_float32(high, low, row, out):  # type: ignore[no-untyped-def]
    """Round a row of exact pairs to nearest even, by way of float64 rounded to odd."""
    for n in range(high.shape[1]):
        odd = rounded_to_odd(high[row, n], low[row, n])
        out[row, n] = np.float32(odd).view(np.uint32)


@cache
def _finish(parallel: bool) -> Any:
    @float_kernel(key="gemm-finish", parallel=parallel)
    def run(  # type: ignore[no-untyped-def]
        high, low, addend, a_least, b_least, reach, skipped,
        room, unit, error, powers, mode, precision, emin, emax, sign_bit, out, state,
    ):  # fmt: skip
        # All partial sums of a result are below reach[m // 32, n // 32] units of
        # 2^(a_least + b_least - 254 + unit); up to `room` units `low` is exact, beyond it is wrong
        # by less than `error` times that.
        rows, columns = high.shape
        has_addend = addend.shape[0] > 0
        for row in numba.prange(rows):
            before = steady_floats()
            m = row + skipped
            is_plain = mode == 0 and precision == 24 and not has_addend
            for panel in range(reach.shape[1]):
                is_plain = is_plain and reach[m // SIDE, panel] <= room
            if is_plain:
                _to_float32(high, low, row, out)
                for n in range(columns):
                    state[row, n] = EXACT
                restore_floats(before)
                continue
            for n in range(columns):
                size = reach[m // SIDE, n // SIDE]
                given = np.float64(0.0)
                if has_addend:
                    given = np.float64(addend[row, n])
                if not abs(given) <= _HUGE:
                    state[row, n] = OPEN
                    continue
                x, y = _two_sum(high[row, n], low[row, n])
                x, z = _two_sum(x, given)
                y, z = _two_sum(y, z)
                x, y = _two_sum(x, y)
                y, z = _two_sum(y, z)
                x, y = _two_sum(x, y)
                y, z = _two_sum(y, z)
                if size <= room:
                    state[row, n] = EXACT
                    if x == 0.0:
                        out[row, n] = 0
                        continue
                    bits, negative = _rounded(x, y, z, mode, precision, emin, emax)
                    out[row, n] = bits | (sign_bit if negative else np.uint64(0))
                    continue
                scale = powers[np.int64(a_least[m])] * powers[np.int64(b_least[n])]
                slack = error * size * scale * math.ldexp(1.0, unit)
                state[row, n] = OPEN
                # Wide enough for what is left of the addend, and for the rounding of y -+ slack.
                slack = (slack + abs(z)) * 1.01 + abs(y) * 2.0**-52
                if abs(x) > 2.0 * slack:
                    down, up = y - slack, y + slack
                    x1, y1 = _two_sum(x, down)
                    x2, y2 = _two_sum(x, up)
                    bits, negative = _rounded(x1, y1, 0.0, mode, precision, emin, emax)
                    other, _ = _rounded(x2, y2, 0.0, mode, precision, emin, emax)
                    if bits == other:
                        state[row, n] = CERTIFIED
                        out[row, n] = bits | (sign_bit if negative else np.uint64(0))
            restore_floats(before)

    return run
