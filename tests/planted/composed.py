"""Implementations with two or three mistakes at once, as real code often has them.

Most are a scale rule of one, and an encoder of another; a few are one function with several
mistakes in it, written anew.
"""

from __future__ import annotations

import ml_dtypes
import more_decoders as dec
import more_elements as ele
import more_scales as sca
import numpy as np
from implementations import (
    E2M1,
    E2M3,
    E4M3,
    E5M2,
    FP4_GRID,
    FP4_MIDPOINTS,
    K,
    arithmetic,
    s1_floor_of_quotient,
    s2_nearest_power,
    s3_round_log2,
    s4_no_emax,
    s7_amax_bfloat16,
    scale_value,
    scaled,
    split_bits,
    table_fp4,
    value_table,
    with_sign,
)


def joined(rule, encode, t):
    """A quantizer of the scales of one and the elements of another."""

    def quantize(x):
        scales = rule(x, t)[1]
        return encode(scaled(x, scales)), scales

    return quantize


# --- encoders ------------------------------


def away_fp4(v):
    """E1: boundaries with `>=`."""
    return with_sign(np.searchsorted(FP4_MIDPOINTS, np.abs(v), side="right"), v, E2M1)


def down_fp4(v):
    """E2: the table's values instead of its midpoints."""
    return with_sign(np.searchsorted(FP4_GRID, np.abs(v), side="right") - 1, v, E2M1)


def away_e4m3(v):
    """E1: half a unit added before the shift."""
    s, e, man = split_bits(v)
    shift = np.minimum(20 + np.maximum(E4M3.emin - e, 0), 40)
    code = ((man + (1 << (shift - 1))) >> shift) + ((np.maximum(e, -6) + 6) << 3)
    return (s * 0x80 + np.minimum(code, 0x7E)).astype(np.uint8)


def flushing(encode, t):
    """E7: results with an exponent field of zero become zero."""

    def flushed(v):
        code = encode(v)
        is_small = code & (t.sign - 1) < 1 << t.mbits
        return np.where(is_small, code & t.sign, code).astype(np.uint8)

    return flushed


def flushing_input(encode, t):
    """E7: numbers below the smallest normal one are zero before anything else."""
    return lambda v: encode(np.where(np.abs(v) < 2.0**t.emin, np.copysign(0.0, v), v))


def top_binade(encode, t):
    """E12: whatever has the largest exponent saturates."""

    def saturating(v):
        code = encode(v)
        return np.where(np.abs(v) >= 2.0**t.emax, code & t.sign | t.max_code, code).astype(np.uint8)

    return saturating


def masked(encode):
    """E4: the mantissa of the largest E4M3 number as a mask."""
    return lambda v: (encode(v) & 0xFE).astype(np.uint8)


def unsigned_zero(encode, t):
    """E19: a zero has no sign."""

    def positive(v):
        code = encode(v)
        return np.where(code == t.sign, 0, code).astype(np.uint8)

    return positive


def cut_off(encode, t):
    """E8: below the smallest subnormal is zero."""
    least = 2.0 ** (t.emin - t.mbits)
    return lambda v: encode(np.where(np.abs(v) < least, np.copysign(0.0, v), v))


def by_bfloat16(encode):
    """E21: through a bfloat16 buffer."""
    return lambda v: encode(v.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float64))


def nearest(t):
    """Correct."""
    return lambda v: arithmetic(v, t)


def host_packer(t, mask):
    """E9 and E10, and E4 with a mask: a packer that rounds 24 bits as though they were 23.

    The bits that align a subnormal fall off unseen; then its significand, hidden one included,
    is rounded to the mantissa's width from a field one too wide.
    """

    def encode(v):
        s, e, man = split_bits(v)
        aligned = man >> np.minimum(np.maximum(t.emin - e, 0), 31)
        shift = np.where(e < t.emin, 24, 23) - t.mbits
        keep, rest, half = aligned >> shift, aligned & ((1 << shift) - 1), 1 << (shift - 1)
        keep = keep + ((rest > half) | ((rest == half) & (keep & 1 == 1)))
        code = np.minimum(keep + ((np.maximum(e, t.emin) - t.emin) << t.mbits), t.max_code)
        return (s * t.sign + (code & ~(mask ^ ((1 << t.mbits) - 1)))).astype(np.uint8)

    return encode


def exchanged(quantize):
    """L1: packed with the first element in the high half of a byte."""

    def packed(x):
        codes, scales = quantize(x)
        return codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape).copy(), scales

    return packed


# --- decoders ------------------------------


def formula(t):
    """D1 and D3 (and D4 in E5M2): one formula for every code."""

    def decode(codes):
        field = (codes.astype(np.int64) & (t.sign - 1)) >> t.mbits
        value = np.ldexp(1 + (codes & ((1 << t.mbits) - 1)) / (1 << t.mbits), field - t.bias)
        return np.where(codes & t.sign, -value, value).astype(np.float32)

    return decode


def no_specials(t):
    """D3, and D4 in E5M2: subnormals are right, all ones is a number."""

    def decode(codes):
        field = (codes.astype(np.int64) & (t.sign - 1)) >> t.mbits
        man = (codes & ((1 << t.mbits) - 1)) / (1 << t.mbits)
        value = np.ldexp(np.where(field == 0, man, 1 + man), np.maximum(field, 1) - t.bias)
        return np.where(codes & t.sign, -value, value).astype(np.float32)

    return decode


def shifted_into_half(codes):
    """D5 and D3: E4M3 bits moved into a float16, whose specials lie elsewhere."""
    bits = codes.astype(np.uint16)
    half = ((bits & 0x80) << 8) | ((bits & 0x7F) << 7)
    return half.astype(np.uint16).view(np.float16).astype(np.float32)


def product(decode, factor):
    """A dequantizer of a decoder of elements and one of scales."""

    def dequantize(codes, scales):
        with np.errstate(over="ignore", invalid="ignore"):
            wide = np.repeat(np.asarray(factor(scales), np.float64), K, axis=-1)
            return (decode(codes).astype(np.float64) * wide).astype(np.float32)

    return dequantize


def shifted_scale(codes):
    """D9 and D10: the byte as the exponent of a float32, and nothing else."""
    return (codes.astype(np.uint32) << np.uint32(23)).view(np.float32)


def sentinel_by_value(codes):
    """D11 and D10: NaN is what decodes to 128.0; code 255 overflows float32 to infinity."""
    with np.errstate(over="ignore"):
        value = np.ldexp(np.float32(1), codes.astype(np.int64) - 127)
    return np.where(value == 128, np.float32(np.nan), value)


# --- the table: ids, type, implementation ------------------------------


FLOOR = sca.s6_bias(0)


QUANTIZERS = [
    ({"S4", "E1"}, E4M3, joined(s4_no_emax, away_e4m3, E4M3)),
    ({"S6", "L1"}, E2M1, exchanged(joined(sca.s6_bias(-1), table_fp4, E2M1))),
    ({"S7", "E21"}, E4M3, joined(s7_amax_bfloat16, by_bfloat16(nearest(E4M3)), E4M3)),
    ({"S1", "E7"}, E2M1, joined(s1_floor_of_quotient, flushing(table_fp4, E2M1), E2M1)),
    ({"S3", "E12"}, E4M3, joined(s3_round_log2, top_binade(nearest(E4M3), E4M3), E4M3)),
    ({"S2", "E19"}, E5M2, joined(s2_nearest_power, unsigned_zero(nearest(E5M2), E5M2), E5M2)),
    ({"S11", "E2"}, E2M1, joined(sca.s11_epsilon(1e-8), down_fp4, E2M1)),
    ({"S15", "E1"}, E2M1, joined(sca.s15_first_missed, away_fp4, E2M1)),
    ({"E4", "E7"}, E4M3, joined(FLOOR, flushing(masked(nearest(E4M3)), E4M3), E4M3)),
    ({"E8", "E12"}, E2M1, joined(FLOOR, top_binade(cut_off(table_fp4, E2M1), E2M1), E2M1)),
    ({"E9", "E10"}, E2M3, joined(FLOOR, host_packer(E2M3, 7), E2M3)),
    ({"E9", "E10"}, E2M1, joined(FLOOR, host_packer(E2M1, 1), E2M1)),
    ({"E15", "E19"}, E4M3, joined(FLOOR, unsigned_zero(ele.e15_clip(E4M3, 416.0), E4M3), E4M3)),
    ({"E1", "L1"}, E2M1, exchanged(joined(FLOOR, away_fp4, E2M1))),
    ({"E7", "E21"}, E4M3, joined(FLOOR, flushing_input(by_bfloat16(nearest(E4M3)), E4M3), E4M3)),
    ({"S4", "E1", "E7"}, E4M3, joined(s4_no_emax, flushing_input(away_e4m3, E4M3), E4M3)),
    # E10 is in it as well, but the mask hides what it does: halved subnormals lose their last bit.
    ({"E4", "E9"}, E4M3, joined(FLOOR, host_packer(E4M3, 6), E4M3)),
    ({"S6", "E7", "L1"}, E2M1, exchanged(joined(sca.s6_bias(-2), flushing(table_fp4, E2M1), E2M1))),
    ({"S2", "E2", "E19"}, E2M1, joined(s2_nearest_power, unsigned_zero(down_fp4, E2M1), E2M1)),
]
"""Ids of all the mistakes, type of the elements, and the quantizer that makes them."""

DEQUANTIZERS = [
    ({"D9", "D10"}, E5M2, product(lambda c: value_table(E5M2)[c], shifted_scale)),
    ({"D10", "D11"}, E2M1, product(lambda c: value_table(E2M1)[c], sentinel_by_value)),
    ({"D1", "D9"}, E2M1, product(dec.d1_decode(E2M1), dec.d9_wrap)),
    ({"D8", "D9"}, E4M3, product(dec.d8_decode(E4M3), dec.d9_wrap)),
    ({"D1", "D3"}, E4M3, product(formula(E4M3), scale_value)),
    ({"D1", "D3", "D9"}, E4M3, product(formula(E4M3), dec.d9_wrap)),
    ({"D8", "D9", "D10"}, E5M2, product(dec.d8_decode(E5M2), shifted_scale)),
]
"""Likewise."""

DECODERS = [
    ({"D1", "D3"}, E4M3, formula(E4M3)),
    # In E5M2 NaN and infinity share one exponent field: D4's title says so of both.
    ({"D4"}, E5M2, no_specials(E5M2)),
    ({"D1", "D4"}, E5M2, formula(E5M2)),
    ({"D3", "D5"}, E4M3, shifted_into_half),
]
"""Likewise, for lone elements."""
