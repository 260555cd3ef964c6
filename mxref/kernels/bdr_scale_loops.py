"""Loops around the float32 scales of BDR blocks: largest magnitudes, scales, and decoding."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from mxref.kernels._jit import float_kernel, kernel
from mxref.kernels.float_mode import restore_floats, steady_floats

__all__ = ["amax_finder", "decoder", "divider", "narrower", "scale_finder", "widener"]

u8, u32, f32, f64 = np.uint8, np.uint32, np.float32, np.float64

CHUNK = 1 << 12  # elements that one thread takes at a time, where there are no groups


@functools.cache
def amax_finder(parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, amax, poison, n_each, input_min, nan_poisons, inf_poisons)``.

    Largest finite magnitudes of each `n_each` words, those below `input_min` as zeros; and 1 where
    a NaN or an infinity makes the group NaN. The last group may be short.
    """

    @kernel(key="amax", parallel=parallel)
    def find_amax(x, amax, poison, n_each, input_min, nan_poisons, inf_poisons):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        for i in prange(amax.shape[0]):
            start = i * n_each
            stop = min(n, start + n_each)
            largest = u32(0)
            over = u32(0)
            for j in range(start, stop):
                word = u32(x[j] & u32(0x7FFFFFFF))
                over = max(over, word)
                kept = u32(0) if word < input_min or word >= u32(0x7F800000) else word
                largest = max(largest, kept)
            amax[i] = largest
            is_poisoned = False
            if over >= u32(0x7F800000):
                for j in range(start, stop):
                    word = u32(x[j] & u32(0x7FFFFFFF))
                    if word > u32(0x7F800000):
                        is_poisoned = is_poisoned or nan_poisons
                    elif word == u32(0x7F800000):
                        is_poisoned = is_poisoned or inf_poisons
            poison[i] = u8(1) if is_poisoned else u8(0)

    return find_amax


@functools.cache
def narrower(parallel: bool) -> Callable[..., None]:
    """Return ``kernel(x, out)``: float64 to float32, to nearest even."""

    @float_kernel(key="narrow", parallel=parallel)
    def narrow(x, out):  # type: ignore[no-untyped-def]
        n = x.shape[0]
        for i in prange((n + CHUNK - 1) // CHUNK):
            before = steady_floats()
            for j in range(i * CHUNK, min(n, i * CHUNK + CHUNK)):
                out[j] = f32(x[j])
            restore_floats(before)

    return narrow


@functools.cache
def widener() -> Callable[..., None]:
    """Return ``kernel(x, out)``: float32 to float64, subnormals included in whatever mode."""

    @float_kernel(key="widen", parallel=False)
    def widen(x, out):  # type: ignore[no-untyped-def]
        before = steady_floats()
        for i in range(x.shape[0]):
            out[i] = f64(x[i])
        restore_floats(before)

    return widen


@functools.cache
def scale_finder() -> Callable[..., None]:
    """Return ``kernel(amax, largest, reciprocal, out)``: amax / largest in float32."""

    @float_kernel(key="scales", parallel=False)
    def find_scales(amax, largest, is_reciprocal, out):  # type: ignore[no-untyped-def]
        before = steady_floats()
        reciprocal = f32(f32(1.0) / f32(largest))
        for i in range(amax.shape[0]):
            if is_reciprocal:
                out[i] = f32(amax[i] * reciprocal)
            else:
                out[i] = f32(amax[i] / f32(largest))
        restore_floats(before)

    return find_scales


@functools.cache
def divider() -> Callable[..., None]:
    """Return ``kernel(wanted, s, each, most, is_up, is_rounded, ss, divisors)``.

    Integer sub-scales, and by what the elements of each sub-block are divided. Quotients and
    products are exact in float64 where it matters: both are of float32 numbers.
    """

    @float_kernel(key="subscales", parallel=False)
    def divide(wanted, s, each, most, is_up, is_rounded, ss, divisors):  # type: ignore[no-untyped-def]
        before = steady_floats()
        for i in range(wanted.shape[0]):
            shared = f64(s[i // each])
            if shared == 0.0:
                ss[i] = 0
                divisors[i] = 0.0
                continue
            quotient = f64(wanted[i]) / shared
            whole = np.ceil(quotient) if is_up else np.rint(quotient)
            whole = min(whole, f64(most))
            ss[i] = u8(whole)
            divisors[i] = whole * shared if is_rounded else f64(wanted[i])
        restore_floats(before)

    return divide


@functools.cache
def decoder(parallel: bool) -> Callable[..., Any]:
    """Return ``kernel(codes, table, factors, size, out, bits, has_nan)``: under float64 factors.

    Groups of `size` codes, the last of which may be short. `bits` is the memory of `out` as
    words: where there can be a NaN, it becomes the canonical one.
    """

    @float_kernel(key="decode", parallel=parallel)
    def decode(codes, table, factors, size, out, bits, has_nan):  # type: ignore[no-untyped-def]
        n = codes.shape[0]
        for group in prange(factors.shape[0]):
            before = steady_floats()
            factor = factors[group]
            start = group * size
            stop = min(n, start + size)
            for j in range(start, stop):
                out[j] = f32(table[codes[j]] * factor)
            if has_nan or not np.isfinite(factor):
                for j in range(start, stop):
                    if np.isnan(out[j]):
                        bits[j] = u32(0x7FC00000)
            restore_floats(before)

    return decode
