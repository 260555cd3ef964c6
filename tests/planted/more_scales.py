"""More planted mistakes, in the choice of the scale; `implementations` says how these are made.

The functions take blocks as `implementations` does. Those whose name begins with ``row_`` look
beyond one block: they take float32 of shape (n, 32 m) and give scales (n, m).
"""

from __future__ import annotations

import numpy as np
from implementations import (
    E2M1,
    E4M3,
    NAN_SCALE,
    K,
    arithmetic,
    block_amax,
    exponent_of,
    floor_scale,
    scale_byte,
    scaled,
    with_sign,
)


def finish(x, scales, t):
    """Elements as they should be under the scales."""
    return arithmetic(scaled(x, scales), t), scales


def _quotient(x, t):
    amax = block_amax(x)
    with np.errstate(invalid="ignore"):
        return amax, amax.astype(np.float64) / t.max


# --- S6, S7: a constant, and a narrow amax ------------------------------


def s6_bias(offset):
    """S6: a bias that is not 127, by so much."""

    def quantize(x, t):
        amax = block_amax(x)
        return finish(x, scale_byte(exponent_of(amax) - t.emax + offset, amax), t)

    return quantize


def s6_bias_stored(offset):
    """S6: the byte is right until it is stored; numpy's int16 keeps it from wrapping."""

    def quantize(x, t):
        right = floor_scale(x, t)
        byte = np.clip(right.astype(np.int16) + offset, 0, 254)
        amax = block_amax(x)
        byte = np.where((right == NAN_SCALE) | (amax == 0), right, byte)
        return finish(x, byte.astype(np.uint8), t)

    return quantize


def s7_amax_float16(x, t):
    """S7: the reduction runs in half precision: infinity from 65520, zero below 2^-25."""
    with np.errstate(over="ignore"):
        amax = block_amax(x.astype(np.float16)).astype(np.float32)
    return finish(x, scale_byte(exponent_of(amax) - t.emax, amax), t)


# --- S8: edges ------------------------------


def s8_frexp_doubles(x, t):
    """S8: 2**frexp(amax / max)[1] 'rounds up', and doubles what is a power of two already."""
    amax, r = _quotient(x, t)
    return finish(x, scale_byte(np.frexp(r)[1].astype(np.int64), amax), t)


def s8_frexp_doubles_amax(x, t):
    """S8: the same for ceil(log2 amax): an exact power of two gets the next one."""
    amax = block_amax(x)
    return finish(x, scale_byte(np.frexp(amax)[1].astype(np.int64) - t.emax, amax), t)


def s8_mask_misses_top_bit(x, t):
    """S8: ceil(log2 amax) on the bits, with 0x3FFFFF where the mantissa has 23 ones."""
    amax = block_amax(x)
    bits = np.where(np.isfinite(amax), amax, 0).astype(np.float32).view(np.uint32)
    up = (bits & 0x3FFFFF) != 0
    exponent = np.maximum(bits >> 23, 1).astype(np.int64) - 127 + up
    return finish(x, scale_byte(exponent - t.emax, amax), t)


def s8_mask_misses_low_bits(x, t):
    """S8: the same with 0x7FFF00: what is less than 2^-15 above a power of two is taken for it."""
    amax = block_amax(x)
    bits = np.where(np.isfinite(amax), amax, 0).astype(np.float32).view(np.uint32)
    up = (bits & 0x7FFF00) != 0
    exponent = np.maximum(bits >> 23, 1).astype(np.int64) - 127 + up
    return finish(x, scale_byte(exponent - t.emax, amax), t)


def s8_log2_float32(x, t):
    """S8: floor(log2f(amax)): a float32 has no room for log2 of a number just below 2^100."""
    amax = block_amax(x)
    with np.errstate(divide="ignore"):
        log2 = np.log2(amax.astype(np.float64)).astype(np.float32)
    exponent = np.floor(np.where(np.isfinite(log2), log2, 0)).astype(np.int64)
    return finish(x, scale_byte(exponent - t.emax, amax), t)


def s8_reciprocal(x, t):
    """S8: rceil of amax * (1 / max), both in float32, to save a division."""
    amax = block_amax(x)
    with np.errstate(invalid="ignore"):
        r = amax * (np.float32(1) / np.float32(t.max))
    m, e = np.frexp(r)
    e = np.where(m == 0, -127, np.where(m == 0.5, e - 1, e))  # a product may underflow
    return finish(x, scale_byte(e.astype(np.int64), amax), t)


# --- S9: ties between powers of two ------------------------------


def _nearest(r, tie_up):
    """Exponent of the power of two nearest to r; `tie_up` decides on 1.5 times a power."""
    m, e = np.frexp(r)
    e = e.astype(np.int64) - 1
    return e + np.where(m == 0.75, tie_up(e), m > 0.75)


def s9_even_exponent(x, t):
    """S9: nearest to amax; a tie goes to the even exponent, as though it were a mantissa bit."""
    amax = block_amax(x)
    exponent = _nearest(np.where(np.isfinite(amax), amax, 1), lambda e: e % 2 != 0)
    return finish(x, scale_byte(exponent - t.emax, amax), t)


def s9_even_code(x, t):
    """S9: the same by the lowest bit of the stored byte, whose bias is odd."""
    amax = block_amax(x)
    exponent = _nearest(np.where(np.isfinite(amax), amax, 1), lambda e: (e - t.emax + 127) % 2 != 0)
    return finish(x, scale_byte(exponent - t.emax, amax), t)


def s9_encode_odd_code(x):
    """S9: a cast to E8M0 whose ties look at the unbiased exponent, hence go to odd codes."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    positive = np.where(np.isfinite(x) & (x > 0), x, 1).astype(np.float64)
    code = np.clip(_nearest(positive, lambda e: e % 2 != 0) + 127, 0, 254)
    code = np.where(x == 0, 0, code)
    return np.where(np.isnan(x) | np.isinf(x) | ((bits >> 31 == 1) & (x != 0)), 255, code).astype(
        np.uint8
    )


# --- S11: ends ------------------------------


def s11_epsilon(epsilon):
    """S11: amax is kept above an epsilon 'for stability', so small blocks share one scale."""

    def quantize(x, t):
        amax = np.maximum(block_amax(x), np.float32(epsilon))
        return finish(x, scale_byte(exponent_of(amax) - t.emax, amax), t)

    return quantize


def s11_nan_to_zero(x):
    """S11: exponent field plus guard bit in uint8: that of a NaN is 255 + 1, hence 0."""
    t = E4M3
    amax = block_amax(x)
    byte = np.where(np.isnan(amax), 0, floor_scale(x, t)).astype(np.uint8)
    code = arithmetic(scaled(np.where(np.isnan(x), np.float32(0), x), byte), t)
    return np.where(np.isnan(x), 0x7F, code).astype(np.uint8), byte


# --- S12: zero and tiny blocks ------------------------------


def _divided(x, divisor):
    with np.errstate(all="ignore"):
        return x.astype(np.float64) / divisor


def s12_zero_over_zero(x):
    """S12: the scale of a block of zeros is 0.0; 0/0 is NaN, and E4M3 has a code for it."""
    scales = floor_scale(x, E4M3)
    zero = block_amax(x) == 0
    v = _divided(scaled(x, scales), np.where(zero, 0.0, 1.0))
    code = arithmetic(np.nan_to_num(v), E4M3)
    return np.where(np.isnan(v), 0x7F, code).astype(np.uint8), scales


def s12_zero_over_zero_fp4(x):
    """S12: the same in MXFP4, where a NaN fails every comparison and falls through to 6."""
    scales = floor_scale(x, E2M1)
    zero = block_amax(x) == 0
    a = np.abs(_divided(scaled(x, scales), np.where(zero, 0.0, 1.0)))
    code = np.full(a.shape, 7)
    for i, boundary in reversed(list(enumerate([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]))):
        code = np.where(a <= boundary if i % 2 == 0 else a < boundary, i, code)
    return with_sign(code, np.where(zero, 1.0, x), E2M1), scales


def s12_guarded_scale(floor):
    """S12: the guard against zero sits on the divisor, not on amax: the byte knows nothing."""

    def quantize(x, t):
        scales = floor_scale(x, t)
        finite = np.where(scales == NAN_SCALE, 0.0, x.astype(np.float64))
        scale = np.ldexp(1.0, scales.astype(np.int64) - 127)
        return arithmetic(finite / np.maximum(scale, floor), t), scales

    return quantize


def s12_tiny_is_one(x, t):
    """S12: `if amax < 1e-30: scale = 1`, so that tiny blocks become zeros."""
    amax = block_amax(x)
    byte = np.where(amax < np.float32(1e-30), 127, floor_scale(x, t)).astype(np.uint8)
    return finish(x, byte, t)


# --- S14: another divisor than the stored scale ------------------------------


def _by_quotient(x, scales, divisor, t):
    """Elements divided in float32 by a number of the block's own, by 1 where that underflows."""
    ordinary = (scales != NAN_SCALE) & (divisor > 0)
    safe = np.where(ordinary, divisor, np.float32(1)).astype(np.float32)
    v = np.where(scales == NAN_SCALE, np.float32(0), x) / safe
    return arithmetic(np.clip(v, -t.max, t.max), t), scales


def s14_unrounded(x, t):
    """S14: the byte is rounded up to a power of two, the elements are divided by amax / max."""
    amax, r = _quotient(x, t)
    m, e = np.frexp(r)
    scales = scale_byte(np.where(m == 0.5, e - 1, e).astype(np.int64), amax)
    return _by_quotient(x, scales, amax / np.float32(t.max), t)


def s14_unrounded_floor(x, t):
    """S14: the same in double precision, beside a byte that follows the recipe of OCP."""
    scales = floor_scale(x, t)
    amax = block_amax(x).astype(np.float64)
    divisor = np.where((scales == NAN_SCALE) | (amax == 0), 1.0, amax / t.max)
    v = np.where(scales == NAN_SCALE, 0.0, x.astype(np.float64)) / divisor
    return arithmetic(v, t), scales


def s14_other_power(x, t):
    """S14: two functions compute the scale: the one that stores rounds down, the other up."""
    scales = floor_scale(x, t)
    amax = block_amax(x)
    m, e = np.frexp(amax)
    rounded_up = scale_byte(np.where(m == 0.5, e - 1, e).astype(np.int64) - t.emax, amax)
    return arithmetic(scaled(x, rounded_up), t), scales


# --- S15: the wrong set ------------------------------


def _with_amax(x, amax, t):
    byte = scale_byte(exponent_of(amax) - t.emax, amax)
    has_special = ~np.isfinite(x).all(axis=-1, keepdims=True)  # looked for on its own
    return finish(x, np.where(has_special, NAN_SCALE, byte).astype(np.uint8), t)


def s15_first_half(x, t):
    """S15: the block size of NVFP4, 16, left in the reduction."""
    return _with_amax(x, block_amax(x[:, : K // 2]), t)


def s15_first_missed(x, t):
    """S15: the loop starts at 1, and the accumulator at 0."""
    return _with_amax(x, block_amax(x[:, 1:]), t)


def s15_last_missed(x, t):
    """S15: range(k - 1)."""
    return _with_amax(x, block_amax(x[:, : K - 1]), t)


def s15_signed(x, t):
    """S15: max(x) from an accumulator of 0: a block of negative numbers has none."""
    amax = np.maximum(np.max(x, axis=-1, keepdims=True), np.float32(0))
    return _with_amax(x, amax, t)


def s15_signed_magnitude(x, t):
    """S15: max(x) first and its magnitude then."""
    return _with_amax(x, np.abs(np.max(x, axis=-1, keepdims=True)), t)


def _rows(x, choose, t):
    """Blocks along each row; `choose` sees their amax as (n, m), which lets NaN through."""
    blocks = x.reshape(len(x), -1, K)
    wrong = choose(np.max(np.abs(blocks), axis=-1))[..., None]
    scales = scale_byte(exponent_of(wrong) - t.emax, wrong)
    codes = arithmetic(
        scaled(np.nan_to_num(blocks, nan=np.inf, posinf=np.inf, neginf=-np.inf), scales), t
    )
    if t.block == "mxfp8_e4m3":
        codes = np.where(np.isnan(blocks), 0x7F, codes).astype(np.uint8)
    return codes.reshape(x.shape), scales[..., 0]


def row_s15_pairs(x, t):
    """S15: blocks of 64: two neighbours share the larger amax."""

    def choose(amax):
        pairs = amax.reshape(len(amax), -1, 2).max(axis=-1)
        return np.repeat(pairs, 2, axis=1)

    return _rows(x, choose, t)


def row_s15_next(x, t):
    """S15: an index off by one: each block uses the amax of the next, the last its own."""
    return _rows(x, lambda amax: np.concatenate([amax[:, 1:], amax[:, -1:]], axis=1), t)


def row_s15_previous(x, t):
    """S15: each block uses the amax of the one before: read before the barrier."""
    return _rows(x, lambda amax: np.concatenate([amax[:, :1], amax[:, :-1]], axis=1), t)


# --- D16: scales packed in fours ------------------------------


def row_d16_packed_inverse(x, t):
    """D16: four float32 scales shifted into one word by constants that assume no mantissa.

    Only 2^-127 has a mantissa bit, as a subnormal; it lands in the top bit of a neighbour.
    """
    blocks = x.reshape(len(x), -1, K)
    right = floor_scale(blocks, t)[..., 0]
    scale = np.ldexp(1.0, np.where(right == NAN_SCALE, 0, right).astype(np.int64) - 127)
    bits = scale.astype(np.float32).view(np.uint32).reshape(-1, 4)
    bits = np.where(right.reshape(-1, 4) == NAN_SCALE, np.uint32(0x7F800000), bits)
    x0, y0, z0, w0 = (bits[:, i] for i in range(4))
    word = (x0 >> 23) | (y0 >> 15) | (z0 >> 7) | (w0 << np.uint32(1))
    stored = word.astype("<u4").view(np.uint8).reshape(right.shape)
    codes = arithmetic(scaled(blocks, right[..., None]), t)
    return codes.reshape(x.shape), stored
