"""Sums of products as specifications define them, over whole matrices.

Operands are K-major, as for `sums_amd`. There are two loops: one that sums each group of products
exactly, scales it once and adds it, and one that aligns a group as the RISC-V bulk normalisation
does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from mxref.kernels._jit import kernel, parallel_slot
from mxref.kernels.sums_amd import LANES, TILE, product_bits
from mxref.kernels.sums_single import (
    MAGNITUDE,
    add_single,
    bit_length,
    flush_single,
    inline,
    round_flushed,
    round_single,
)

__all__ = ["LIMB", "bulk_sums", "exact_sums"]

i64, u32, u64 = np.int64, np.uint32, np.uint64

LIMB = 32  # products are shifted by less than twice this
HALF = i64(LIMB)
LOW = i64(0xFFFFFFFF)
ZERO, ONE = i64(0), i64(1)
MAX_SHIFT = i64(62)
KEPT = i64(28)  # bits of the upper limb that are kept beside the 32 below: under 2**61
BIASES = i64(2 * 127)


@inline
def _joined(high: Any, low: Any) -> Any:
    """Sign, magnitude and exponent of high * 2**32 + low, the magnitude cut to 60 bits.

    What is cut off is kept as one bit in the last place.
    """
    carried = i64(high + i64(low >> HALF))
    rest = i64(low & LOW)
    is_negative = carried < ZERO
    is_whole = rest == ZERO
    upper = i64(i64(-carried) - i64(not is_whole))
    lower = i64(ZERO if is_whole else i64(i64(LOW + ONE) - rest))
    upper = i64(upper if is_negative else carried)
    lower = i64(lower if is_negative else rest)
    cut = i64(min(i64(max(i64(bit_length(upper) - KEPT), ZERO)), HALF))
    kept = i64(lower >> cut)
    jammed = i64(kept | i64(i64(kept << cut) != lower))
    return i64(is_negative), i64(i64(upper << i64(HALF - cut)) | jammed), cut


@inline
def _positive_zero(bits: Any) -> Any:
    return i64(ZERO if i64(bits & MAGNITUDE) == ZERO else bits)


@functools.cache
def _exact_loop(
    is_wide: bool, is_flushed: bool, has_special: bool, is_paired: bool, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(a_sig, a_exp, b_sig, b_exp, a_scale, b_scale, acc, n_group, place)``."""
    WIDE, FLUSH, SPECIAL, PAIRED = is_wide, is_flushed, has_special, is_paired

    key = "".join(
        word * flag
        for word, flag in (
            ("wide", is_wide),
            ("-flush", is_flushed),
            ("-special", has_special),
            ("-paired", is_paired),
        )
    )

    @kernel(key=key, parallel=parallel)
    def exact(a_sig, a_exp, b_sig, b_exp, a_scale, b_scale, acc, n_group, n_per, place):  # type: ignore[no-untyped-def]
        n_groups = a_sig.shape[0] // n_group
        rows = acc.shape[0]
        n_chunks = (rows + TILE - 1) // TILE
        for chunk in prange(n_chunks * (acc.shape[1] // LANES)):
            base = (chunk // n_chunks) * LANES
            lo = (chunk % n_chunks) * TILE
            hi = min(rows, lo + TILE)
            low = np.zeros(LANES, i64)
            high = np.zeros(LANES, i64)
            special = np.zeros(LANES, i64)
            for i in range(lo, hi):
                for block in range(n_groups):
                    for lane in range(LANES):
                        low[lane] = i64(0)
                        high[lane] = i64(0)
                        special[lane] = i64(0)
                    for k in range(n_group):
                        k2 = u64(block * n_group + k)
                        for lane in range(LANES):
                            n = u64(base + lane)
                            n2 = u64(base + lane) if PAIRED else u64(i)
                            p, q = i64(a_sig[k2, n2]), i64(b_sig[k2, n])
                            shift = i64(i64(a_exp[k2, n2]) + i64(b_exp[k2, n]))
                            product = i64(p * q)
                            if SPECIAL:
                                # Sums in float32 know what infinities of both signs are.
                                bits = product_bits(p, q, i64(0))
                                special[lane] = i64(add_single(special[lane], bits, False))
                            if WIDE:
                                part = i64(product << i64(shift & i64(31)))
                                is_high = shift >= HALF
                                high[lane] = i64(high[lane] + i64(part if is_high else i64(0)))
                                low[lane] = i64(low[lane] + i64(i64(0) if is_high else part))
                            else:
                                low[lane] = i64(low[lane] + i64(product << shift))
                    k2 = u64(block // n_per)
                    for lane in range(LANES):
                        n, n2 = u64(base + lane), u64(i)
                        row = u64(base + lane) if PAIRED else u64(i)
                        scales = i64(i64(a_scale[k2, row]) + i64(b_scale[k2, n]))
                        exponent = i64(i64(scales - BIASES) + i64(place))
                        if WIDE:
                            negative, size, cut = _joined(high[lane], low[lane])
                        else:
                            negative = i64(low[lane] < i64(0))
                            size = i64(abs(low[lane]))
                            cut = i64(0)
                        exponent = i64(exponent + cut)
                        if FLUSH:
                            total = round_flushed(negative, size, exponent)
                            old = flush_single(i64(acc[n2, n]))
                            bits = flush_single(add_single(old, total, False))
                        else:
                            total = _positive_zero(round_single(negative, size, exponent, False))
                            if SPECIAL:
                                is_finite = i64(special[lane] & MAGNITUDE) == i64(0)
                                total = i64(total if is_finite else special[lane])
                            old = _positive_zero(i64(acc[n2, n]))
                            bits = _positive_zero(add_single(old, total, False))
                        acc[n2, n] = u32(bits)

    return exact


@functools.cache
def _bulk_loop(
    group: int, has_special: bool, is_paired: bool, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(a_sig, a_exp, b_sig, b_exp, acc, pad, below)``.

    `pad` is how far a product is moved up before it is aligned, `below` how many places below the
    greatest exponent the last one lies.
    """
    GROUP, SPECIAL, PAIRED = group, has_special, is_paired

    key = f"{group}{'-special' * has_special}{'-paired' * is_paired}"

    @kernel(key=key, parallel=parallel)
    def bulk(a_sig, a_exp, b_sig, b_exp, acc, pad, below):  # type: ignore[no-untyped-def]
        n_groups = a_sig.shape[0] // GROUP
        rows = acc.shape[0]
        n_chunks = (rows + TILE - 1) // TILE
        for chunk in prange(n_chunks * (acc.shape[1] // LANES)):
            base = (chunk // n_chunks) * LANES
            lo = (chunk % n_chunks) * TILE
            hi = min(rows, lo + TILE)
            tops = np.zeros(LANES, i64)
            sums = np.zeros(LANES, i64)
            special = np.zeros(LANES, i64)
            for i in range(lo, hi):
                for block in range(n_groups):
                    for lane in range(LANES):
                        tops[lane] = i64(-20000)
                        sums[lane] = i64(0)
                        special[lane] = i64(0)
                    for k in range(GROUP):
                        k2 = u64(block * GROUP + k)
                        for lane in range(LANES):
                            n = u64(base + lane)
                            n2 = u64(base + lane) if PAIRED else u64(i)
                            top = i64(i64(a_exp[k2, n2]) + i64(b_exp[k2, n]))
                            tops[lane] = i64(max(tops[lane], top))
                    for k in range(GROUP):
                        k2 = u64(block * GROUP + k)
                        for lane in range(LANES):
                            n = u64(base + lane)
                            n2 = u64(base + lane) if PAIRED else u64(i)
                            p, q = i64(a_sig[k2, n2]), i64(b_sig[k2, n])
                            top = i64(i64(a_exp[k2, n2]) + i64(b_exp[k2, n]))
                            down = i64(min(i64(tops[lane] - top), MAX_SHIFT))
                            product = i64(p * q)
                            if SPECIAL:
                                bits = product_bits(p, q, i64(0))
                                special[lane] = i64(add_single(special[lane], bits, False))
                            size = i64(i64(abs(product)) << i64(pad))
                            kept = i64(size >> down)
                            odd = i64(kept | i64(i64(kept << down) != size))
                            sums[lane] = i64(sums[lane] + i64(-odd if product < i64(0) else odd))
                    for lane in range(LANES):
                        n, n2 = u64(base + lane), u64(i)
                        negative = i64(sums[lane] < i64(0))
                        size = i64(abs(sums[lane]))
                        exponent = i64(tops[lane] - i64(below))
                        total = round_single(negative, size, exponent, True)
                        if SPECIAL:
                            is_finite = i64(special[lane] & MAGNITUDE) == i64(0)
                            total = i64(total if is_finite else special[lane])
                        bits = _positive_zero(add_single(i64(acc[n2, n]), total, True))
                        acc[n2, n] = u32(bits)

    return bulk


Fields = tuple[NDArray[np.int16], NDArray[np.int16]]


def exact_sums(
    a: Fields,
    b: Fields,
    scales: Fields,
    acc: NDArray[np.uint32],
    group: int,
    per_block: int,
    place: int,
    *,
    is_wide: bool,
    is_flushed: bool,
    has_special: bool,
    is_paired: bool,
) -> None:
    """Add products to float32 bits, `group` of K at a time: summed exactly, scaled, rounded, added.

    Parameters
    ----------
    a, b : (integers, shifts), int16 arrays of shape (K, rows) and (K, columns)
        As for `sums_amd.fused_sums`; an element is ``integer << shift`` places.
    scales : (a_scales, b_scales), int16 arrays of shape (blocks, rows) and (blocks, columns)
        Scale codes.
    acc : contiguous uint32 array
        Float32 bits, read and written.
    per_block : int
        Groups in a block.
    place : int
        Exponent of the place that a product of integers counts.
    is_wide : bool
        Whether a group's sum may need more than 61 bits; shifts of products stay below 64.
    is_flushed : bool
        Whether subnormal numbers are zeros, in the addend and in each result. Otherwise they are
        kept, and each zero is +0.
    """
    with parallel_slot(a[0].shape[0] * acc.size) as parallel:
        loop = _exact_loop(is_wide, is_flushed, has_special, is_paired, parallel)
        loop(*a, *b, *scales, acc, group, per_block, place)


def bulk_sums(
    a: Fields,
    b: Fields,
    acc: NDArray[np.uint32],
    group: int,
    pad: int,
    below: int,
    *,
    has_special: bool,
    is_paired: bool,
) -> None:
    """Add products to float32 bits, `group` of K at a time, by bulk normalisation.

    Exponents are reference exponents, and far below all others where the significand is 0. `pad`
    and `below` as for `_bulk_loop`; the rest as for `sums_amd.fused_sums`.
    """
    with parallel_slot(a[0].shape[0] * acc.size) as parallel:
        loop = _bulk_loop(group, has_special, is_paired, parallel)
        loop(*a, *b, acc, pad, below)
