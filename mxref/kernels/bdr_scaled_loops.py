"""The loops that encode BDR elements under float32 scales.

Quotients are float32 operations in the default mode,
or exact: a floor of float64, put right by its remainder, which float64 holds exactly as t has 33
bits at most, a scale 24 and an integer sub-scale 8.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import prange

from mxref.kernels._jit import float_kernel, inlined
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["encoder", "quotient_finder"]

u8, u32, f32, f64 = np.uint8, np.uint32, np.float32, np.float64

INFINITY = 0x7F800000
_SPLIT = 4096.0  # t * divisor in two exact parts
_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to nearest even
_FAR = 300.0  # beyond the largest magnitude of any element


@inlined
def _scaled(v, divisor, quotient):  # type: ignore[no-untyped-def]
    """Return numerator and denominator of a magnitude over a divisor, as the policy divides."""
    if quotient == 0:
        return v, divisor
    rounded = f32(divisor)
    if quotient == 1:
        return f64(f32(f32(v) / rounded)), 1.0
    return f64(f32(f32(v) * f32(f32(1.0) / rounded))), 1.0


@inlined
def _goes_up(t, rest, denominator, is_odd, is_negative, rounding, bits, random):  # type: ignore[no-untyped-def]
    """Whether to round away from zero; t has `bits` bits behind the point, `rest` lies below."""
    if t == 0 and rest == 0.0:
        return False
    half = np.int64(1) << (bits - 1)
    if rounding >= 7 and rounding <= 9:
        if rounding == 7:
            return t + random >= np.int64(1) << bits
        if rounding == 8:  # bits is N + 1
            return t + 2 * random + 1 >= np.int64(1) << bits
        double = rest * 2.0
        up = double > denominator or (double == denominator and t % 2 == 1)
        return t + np.int64(up) + random >= np.int64(1) << bits
    is_tie = t == half and rest == 0.0
    is_above = t > half or (t == half and rest > 0.0)
    if rounding == 0:
        return is_above or (is_tie and is_odd)
    if rounding == 1:
        return is_above or is_tie
    if rounding == 2:
        return is_above
    if rounding == 3:
        return False
    if rounding == 4:
        return not is_negative
    if rounding == 5:
        return is_negative
    if rounding == 6:
        return not is_odd
    return is_above or (is_tie and not is_negative)


@inlined
def _rounded(numerator, denominator, is_negative, rounding, bits, random, most):  # type: ignore[no-untyped-def]
    """Round a quotient of magnitudes to an integer, or `most` if it is 256 or more."""
    if numerator == 0.0:
        return np.int64(0)
    if not numerator < denominator * 256.0:
        return np.int64(most)
    lifted = numerator * f64(np.int64(1) << bits)
    t = np.int64(np.floor(lifted / denominator))
    upper = f64(t // 4096) * _SPLIT
    rest = (lifted - upper * denominator) - f64(t % 4096) * denominator
    if rest < 0.0:
        t -= 1
        rest += denominator
    elif rest >= denominator:
        t += 1
        rest -= denominator
    below = t >> bits
    t -= below << bits
    is_odd = below % 2 == 1
    up = _goes_up(t, rest, denominator, is_odd, is_negative, rounding, bits, random)
    return below + np.int64(up)


@inlined
def _encode_nearest(x, words, codes, start, stop, divisor, quotient, o):  # type: ignore[no-untyped-def]
    """Encode finite numbers to nearest even, in a loop that becomes vector instructions.

    The quotient may be rounded to float64 first: one that is no tie lies 2**-42 of itself away
    from every tie, at least.
    """
    largest, extra, sign_shift, mask, keeps_zero = o[1], o[2], o[3], o[4], o[5]
    high, low = f64(largest), -f64(largest + extra)
    least = u32(o[6])
    inverse = f32(f32(1.0) / f32(divisor))
    for j in range(start, stop):
        if quotient == 0:
            v = f64(x[j]) / divisor
        elif quotient == 1:
            v = f64(f32(x[j] / f32(divisor)))
        else:
            v = f64(f32(x[j] * inverse))
        v = 0.0 if (words[j] & u32(0x7FFFFFFF)) < least else v
        v = min(max(v, -_FAR), _FAR)
        whole = np.int32(min(max((v + _MAGIC) - _MAGIC, low), high))
        if sign_shift == 0:
            codes[j] = u8(whole & np.int32(mask))
        else:
            sign = np.int32(words[j] >> u32(31))
            if keeps_zero == 0:
                sign = np.int32(whole < 0)
            codes[j] = u8(np.int32(abs(whole)) | np.int32(sign << np.int32(sign_shift)))


@functools.cache
def encoder(rounding: int, quotient: int, shifts: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, words, divisors, codes, subscales, random, size, o)``.

    Groups of `size` elements, the last of which may be short, each under its divisor. With
    `shifts`, each group is shifted as far as it can be, and its shift is written.

    Parameters of the kernel
        ``o`` is an array of int64: bits behind the point, largest magnitude, 1 if a negative one
        may reach one beyond, sign shift (0 for two's complement), mask of a code, 1 to keep -0,
        least magnitude of the input as a word, what NaN and infinity are (0 zero, 1 the largest),
        largest shift, m, 1 for shifts that allow for the rounding, shift of a group of zeros.
    """
    ROUNDING, QUOTIENT, SHIFTS = rounding, quotient, shifts

    @float_kernel(key=f"r{rounding}-q{quotient}-s{shifts}", parallel=parallel)
    def encode(x, words, divisors, codes, subscales, random, size, o):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        bits, largest, extra, sign_shift, mask, keeps_zero = o[0], o[1], o[2], o[3], o[4], o[5]
        input_min, nan_is, inf_is, cap, m, is_after, zero_shift = (
            o[6],
            o[7],
            o[8],
            o[9],
            o[10],
            o[11],
            o[12],
        )
        has_random = random.shape[0] > 0
        for group in prange(divisors.shape[0]):
            before = steady_floats()
            start = group * size
            stop = min(n, start + size)
            divisor = divisors[group]
            if ROUNDING == 0 and not SHIFTS and divisor > 0.0:
                over = u32(0)
                for j in range(start, stop):
                    over = max(over, u32(words[j] & u32(0x7FFFFFFF)))
                # A quotient that overflows, or 0 times infinity, is left to the full form.
                if over < u32(INFINITY) and (QUOTIENT != 2 or divisor > 1e-37):
                    _encode_nearest(x, words, codes, start, stop, divisor, QUOTIENT, o)
                    restore_floats(before)
                    continue
            unit = 1.0
            D = 0
            if SHIFTS:
                amax = 0.0
                for j in range(start, stop):
                    word = np.int64(words[j]) & 0x7FFFFFFF
                    if input_min <= word < INFINITY:
                        a, b = _scaled(f64(abs(x[j])), divisor, QUOTIENT)
                        if a < np.inf:
                            amax = max(amax, a / b)
                if amax == 0.0:
                    D = zero_shift
                else:
                    scaled = amax * 2.0
                    while cap > D and scaled < f64(np.int64(1) << m):
                        scaled *= 2.0
                        D += 1
                if D > 0 and is_after and amax > 0.0:
                    unit = 1.0 / f64(np.int64(1) << D)
                    is_over = False
                    for j in range(start, stop):
                        word = np.int64(words[j]) & 0x7FFFFFFF
                        if input_min <= word < INFINITY:
                            negative = np.int64(words[j]) >> 31
                            most = largest + extra * negative
                            a, b = _scaled(f64(abs(x[j])), divisor, QUOTIENT)
                            R = np.int64(random[j]) if has_random else np.int64(0)
                            M = _rounded(a, b * unit, negative == 1, ROUNDING, bits, R, most + 1)
                            is_over = is_over or (most < M and a < np.inf)
                    if is_over:
                        D -= 1
                unit = 1.0 / f64(np.int64(1) << D)
                subscales[group] = u8(D)
            for j in range(start, stop):
                whole = np.int64(words[j])
                negative = whole >> 31
                word = whole & 0x7FFFFFFF
                M = np.int64(0)
                if word > INFINITY:
                    negative = np.int64(0)
                    M = largest * nan_is
                elif word == INFINITY:
                    M = (largest + extra * negative) * inf_is
                elif word >= input_min and divisor > 0.0:
                    most = largest + extra * negative
                    a, b = _scaled(f64(abs(x[j])), divisor, QUOTIENT)
                    R = np.int64(random[j]) if has_random else np.int64(0)
                    M = _rounded(a, b * unit, negative == 1, ROUNDING, bits, R, most)
                    M = min(M, most)
                if sign_shift == 0:
                    codes[j] = u8((M - 2 * M * negative) & mask)
                else:
                    if M == 0 and keeps_zero == 0:
                        negative = np.int64(0)
                    codes[j] = u8(M | (negative << sign_shift))
            restore_floats(before)

    return encode


@functools.cache
def quotient_finder(quotient: int, parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, words, divisors, out, size, o)``: quotients as float64, with signs.

    For elements that are floating point. Rounded once to float64, they still round to FP8 as the
    exact quotient does: that lies 2**-53 of itself away from every number of 29 bits, at least.
    ``o`` is an array of int64: least magnitude of the input as a word, what NaN and infinity are.
    """
    QUOTIENT = quotient

    @float_kernel(key=f"q{quotient}", parallel=parallel)
    def find_quotients(x, words, divisors, out, size, o):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        input_min, nan_is, inf_is = o[0], o[1], o[2]
        for group in prange(divisors.shape[0]):
            before = steady_floats()
            divisor = divisors[group]
            for j in range(group * size, min(n, group * size + size)):
                word = np.int64(words[j]) & 0x7FFFFFFF
                found = 0.0
                if word >= INFINITY:
                    is_largest = nan_is if word > INFINITY else inf_is
                    found = np.inf if is_largest == 1 else 0.0
                elif word >= input_min and divisor > 0.0:
                    a, b = _scaled(f64(abs(x[j])), divisor, QUOTIENT)
                    found = a / b
                is_negative = np.int64(words[j]) >> 31 == 1 and word <= INFINITY
                out[j] = -found if is_negative else found
            restore_floats(before)

    return find_quotients
