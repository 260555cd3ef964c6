"""Sums of products as AMD's matrix instructions make them, over whole matrices.

Both loops take operands K-major. Lanes run over columns of the result, or over its rows where row i
meets row i only. CDNA1 and CDNA2 compute in float32, and so does their loop. CDNA3's takes
significands and exponents: element [k, i] of `a_sig` times 2**(`a_exp` - digits + 1) is a value; a
significand of +-INFINITE stands for an infinity, never for a number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from mxref.kernels._jit import float_kernel, kernel, parallel_slot
from mxref.kernels.float_mode import restore_floats, steady_floats
from mxref.kernels.sums_single import (
    MAGNITUDE,
    NAN,
    exponent_of,
    inline,
    round_single,
    significand,
)

__all__ = ["INFINITE", "LANES", "TILE", "fused_sums", "pairwise_sums", "product_bits"]

i32, i64, u32, u64, f32 = np.int32, np.int64, np.uint32, np.uint64, np.float32

LANES = 32
TILE = 16  # rows of the result that one thread takes at a time
INFINITE = 1 << 14

MARK = i64(INFINITE)
ZERO, ONE = i64(0), i64(1)
INF_BITS, SIGN = i64(0x7F800000), i64(31)
OF_NAN, OF_PLUS, OF_MINUS, OF_LARGE_PLUS, OF_LARGE_MINUS = i64(1), i64(2), i64(4), i64(8), i64(16)
OVERFLOW = i64(128)  # a product of 2**128 and more has left float32
FRACTION = i64(24)  # bits kept of each product below the greatest exponent
WIDE = i64(31)  # and of their sum
PLUS_ZERO, TINY = f32(0), f32(2.0**-126)
DEEP, MAX_SHIFT = i64(25), i64(62)


@inline
def _product_flags(p: Any, q: Any) -> Any:
    """Whether the product of two significands is infinite, and of which sign, or NaN."""
    is_special = (abs(p) == MARK) | (abs(q) == MARK)
    has_zero = (p == ZERO) | (q == ZERO)
    of_sign = i64(OF_MINUS if i64(p ^ q) < ZERO else OF_PLUS)
    found = i64(OF_NAN if has_zero else of_sign)
    return i64(found if is_special else ZERO)


@inline
def product_bits(p: Any, q: Any, finite: Any) -> Any:
    """Float32 bits of an infinite product or of a NaN; of any other, what is given."""
    found = _product_flags(p, q)
    infinite = i64(INF_BITS | i64(i64(found == OF_MINUS) << SIGN))
    special = i64(NAN if found == OF_NAN else infinite)
    return i64(special if found > ZERO else finite)


@inline
def _large_flags(product: Any, exponent: Any, point: Any) -> Any:
    """Whether a product, of `point` bits below the binary point, is 2**128 or more."""
    size = abs(product)
    is_above = (exponent >= OVERFLOW) & (size >= i64(ONE << point))
    is_just = (exponent == i64(OVERFLOW - ONE)) & (size >= i64(i64(2) << point))
    of_sign = i64(OF_LARGE_MINUS if product < ZERO else OF_LARGE_PLUS)
    return i64(of_sign if is_above | is_just else ZERO)


@inline
def _special(flags: Any, acc: Any) -> Any:
    """The result where something is not finite, and -1 where everything is.

    Infinite operands come first, then products that left float32.
    """
    is_acc_special = i64(acc & MAGNITUDE) >= INF_BITS
    of_acc = i64(OF_MINUS if i64(acc >> SIGN) > ZERO else OF_PLUS)
    of_acc = i64(OF_NAN if i64(acc & MAGNITUDE) > INF_BITS else of_acc)
    proper = i64(i64(flags & i64(7)) | i64(of_acc if is_acc_special else ZERO))
    both = i64(OF_PLUS | OF_MINUS)
    large = i64(i64(flags >> i64(2)) & both)
    chosen = i64(proper if proper > ZERO else large)
    is_nan = (i64(chosen & OF_NAN) > ZERO) | (i64(chosen & both) == both)
    of_sign = i64(i64(i64(chosen & OF_MINUS) > ZERO) << SIGN)
    result = i64(NAN if is_nan else i64(INF_BITS | of_sign))
    return i64(result if chosen > ZERO else i64(-1))


@inline
def _add_fused(total: Any, top: Any, acc: Any, flags: Any, is_deep_dropped: Any) -> Any:
    """Add a sum, of 24 bits below 2**top, to float32 bits.

    The greater exponent leads. The sum keeps 31 bits below it and the addend 24, both rounded
    down; the result is rounded to nearest even.
    """
    size = i64(acc & MAGNITUDE)
    own = exponent_of(size)
    lead = i64(max(top, own))
    down = i64(min(i64(lead - top), MAX_SHIFT))
    sum_part = i64(i64(total << i64(WIDE - FRACTION)) >> down)
    digits = i64(significand(size) << ONE)
    digits = i64(-digits if i64(acc >> SIGN) > ZERO else digits)
    acc_part = i64(digits >> i64(min(i64(lead - own), MAX_SHIFT)))
    acc_part = i64(ZERO if is_deep_dropped & (i64(lead - own) > DEEP) else acc_part)
    exact = i64(sum_part + i64(acc_part << i64(WIDE - FRACTION)))
    rounded = round_single(i64(exact < ZERO), i64(abs(exact)), i64(lead - WIDE), False)
    special = _special(flags, acc)
    return i64(special if special >= ZERO else rounded)


@functools.cache
def _fused_loop(
    group: int, halves: int, point: int, has_special: bool, is_paired: bool, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(a_sig, a_exp, b_sig, b_exp, acc)``, which adds to the float32 bits `acc`.

    `point` is how many bits of a product of significands lie below the binary point.
    """
    GROUP, HALVES, PAIRED, SPECIAL = group, halves, is_paired, has_special
    POINT, ROOM, SPLIT = point, 24 - point, halves == 2

    key = f"{group}-{halves}-{point}{'-special' * has_special}{'-paired' * is_paired}"

    @kernel(key=key, parallel=parallel)
    def fused(a_sig, a_exp, b_sig, b_exp, acc):  # type: ignore[no-untyped-def]
        n_groups = a_sig.shape[0] // GROUP
        rows = acc.shape[0]
        n_chunks = (rows + TILE - 1) // TILE
        for chunk in prange(n_chunks * (acc.shape[1] // LANES)):
            base = (chunk // n_chunks) * LANES
            lo = (chunk % n_chunks) * TILE
            hi = min(rows, lo + TILE)
            tops = np.empty((2, LANES), i32)
            sums = np.empty((2, LANES), i32)
            flags = np.zeros(LANES, i64)
            for i in range(lo, hi):
                for block in range(n_groups):
                    for j in range(HALVES):
                        for lane in range(LANES):
                            tops[j, lane] = i32(-4096)
                            sums[j, lane] = i32(0)
                    if SPECIAL:
                        for lane in range(LANES):
                            flags[lane] = i64(0)
                        for k in range(block * GROUP, block * GROUP + GROUP):
                            for lane in range(LANES):
                                n = u64(base + lane)
                                n2 = u64(base + lane) if PAIRED else u64(i)
                                p, q = i64(a_sig[k, n2]), i64(b_sig[k, n])
                                exponent = i64(i64(a_exp[k, n2]) + i64(b_exp[k, n]))
                                found = _product_flags(p, q)
                                large = _large_flags(i64(p * q), exponent, i64(POINT))
                                large = i64(i64(0) if found > i64(0) else large)
                                flags[lane] = i64(i64(flags[lane] | found) | large)
                    for k in range(GROUP):
                        k2 = u64(block * GROUP + k)
                        half = u64(k % HALVES)
                        for lane in range(LANES):
                            n = u64(base + lane)
                            n2 = u64(base + lane) if PAIRED else u64(i)
                            top = i32(i32(a_exp[k2, n2]) + i32(b_exp[k2, n]))
                            if SPECIAL:
                                # What is beyond float32 neither leads nor counts.
                                p, q = i64(a_sig[k2, n2]), i64(b_sig[k2, n])
                                is_large = _large_flags(i64(p * q), i64(top), i64(POINT)) > i64(0)
                                top = i32(i32(-4096) if is_large else top)
                            tops[half, lane] = i32(max(tops[half, lane], top))
                    for k in range(GROUP):
                        k2 = u64(block * GROUP + k)
                        half = u64(k % HALVES)
                        for lane in range(LANES):
                            n = u64(base + lane)
                            n2 = u64(base + lane) if PAIRED else u64(i)
                            product = i32(i32(a_sig[k2, n2]) * i32(b_sig[k2, n]))
                            top = i32(i32(a_exp[k2, n2]) + i32(b_exp[k2, n]))
                            down = i32(min(i32(tops[half, lane] - top), i32(31)))
                            # A product beyond float32 is in the flags: what it adds is not read.
                            down = i32(max(down, i32(0)))
                            # Towards zero: the magnitude is shifted, then the sign put back.
                            sign = i32(product >> i32(31))
                            size = i32(i32(product ^ sign) - sign)
                            kept = i32(i32(size << i32(ROOM)) >> down)
                            sums[half, lane] = i32(sums[half, lane] + i32(i32(kept ^ sign) - sign))
                    for lane in range(LANES):
                        n, n2 = u64(base + lane), u64(i)
                        total, top64 = i64(sums[0, lane]), i64(tops[0, lane])
                        if SPLIT:
                            top_odd = i64(tops[1, lane])
                            lead = i64(max(top64, top_odd))
                            even = i64(total >> i64(min(i64(lead - top64), i64(62))))
                            odd = i64(i64(sums[1, lane]) >> i64(min(i64(lead - top_odd), i64(62))))
                            total, top64 = i64(even + odd), lead
                        bits = _add_fused(total, top64, i64(acc[n2, n]), flags[lane], SPLIT)
                        acc[n2, n] = u32(bits)

    return fused


@functools.cache
def _pairwise_loop(
    group: int, is_flushed: bool, is_paired: bool, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(a, b, acc, n_row, n_column)``, all float32 and raveled."""
    GROUP, FLUSH, PAIRED = group, is_flushed, is_paired

    key = f"{group}{'-flush' * is_flushed}{'-paired' * is_paired}"

    @float_kernel(key=key, parallel=parallel)
    def pairwise(a, b, acc, n_row, n_column):  # type: ignore[no-untyped-def]
        n_groups = b.shape[0] // (n_column * GROUP)
        rows = acc.shape[0] // n_column
        n_chunks = (rows + TILE - 1) // TILE
        for chunk in prange(n_chunks * (n_column // LANES)):
            state = steady_floats()
            base = (chunk // n_chunks) * LANES
            lo = (chunk % n_chunks) * TILE
            hi = min(rows, lo + TILE)
            terms = np.empty(GROUP * LANES, f32)
            for i in range(lo, hi):
                for block in range(n_groups):
                    for k in range(GROUP):
                        start = u64((block * GROUP + k) * n_column + base)
                        row = u64((block * GROUP + k) * n_row + (base if PAIRED else i))
                        to = u64(k * LANES)
                        for lane in range(LANES):
                            n = u64(start + u64(lane))
                            n2 = u64(row + u64(lane)) if PAIRED else u64(row)
                            # A fused multiplication and addition of +0: no product is -0.
                            term = f32(f32(a[n2] * b[n]) + PLUS_ZERO)
                            if FLUSH:
                                term = f32(term * PLUS_ZERO) if abs(term) < TINY else term
                            terms[u64(to + u64(lane))] = term
                    step = 1
                    while step < GROUP:
                        for k in range(0, GROUP, 2 * step):
                            to = u64(k * LANES)
                            start = u64((k + step) * LANES)
                            for lane in range(LANES):
                                n = u64(to + u64(lane))
                                term = f32(terms[n] + terms[u64(start + u64(lane))])
                                if FLUSH:
                                    term = f32(term * PLUS_ZERO) if abs(term) < TINY else term
                                terms[n] = term
                        step *= 2
                    start = u64(i * n_column + base)
                    for lane in range(LANES):
                        n = u64(start + u64(lane))
                        term = f32(acc[n] + terms[u64(lane)])
                        if FLUSH:
                            term = f32(term * PLUS_ZERO) if abs(term) < TINY else term
                        acc[n] = term
            restore_floats(state)

    return pairwise


Fields = tuple[NDArray[np.int16], NDArray[np.int16]]


def fused_sums(
    a: Fields,
    b: Fields,
    acc: NDArray[np.uint32],
    group: int,
    halves: int,
    point: int,
    *,
    has_special: bool,
    is_paired: bool,
) -> None:
    """Add products to float32 bits, `group` of K at a time, aligned and cut as CDNA3 does.

    Parameters
    ----------
    a, b : (significands, exponents), int16 arrays of shape (K, rows) and (K, columns)
        K a multiple of `group`; columns a multiple of `LANES`. With `is_paired`, as many rows.
    acc : contiguous uint32 array, shape (rows, columns), or (1, columns) with `is_paired`
        Float32 bits, read and written.
    halves : int
        2 if even and odd products are summed apart and joined then.
    point : int
        How many bits of a product of significands lie below the binary point.
    has_special : bool
        Whether an operand, the addend or a product may be infinite or beyond float32.
    """
    with parallel_slot(a[0].shape[0] * acc.size) as parallel:
        loop = _fused_loop(group, halves, point, has_special, is_paired, parallel)
        loop(*a, *b, acc)


def pairwise_sums(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    acc: NDArray[np.uint32],
    group: int,
    *,
    is_flushed: bool,
    is_paired: bool,
) -> None:
    """Add products to float32 bits as CDNA1 and CDNA2 do; otherwise as `fused_sums`.

    Each product is rounded to float32, the products of a group are summed pairwise, and their sum
    is added. `is_flushed` makes a zero of every subnormal result.

    Parameters
    ----------
    a, b : contiguous float32 arrays of shape (K, rows) and (K, columns)
        The operands.
    """
    with parallel_slot(a.shape[0] * acc.size) as parallel, np.errstate(all="ignore"):
        loop = _pairwise_loop(group, is_flushed, is_paired, parallel)
        sums = acc.view(np.float32).ravel()
        loop(a.ravel(), b.ravel(), sums, a.shape[1], b.shape[1])
