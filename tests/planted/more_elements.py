"""More planted mistakes, in the elements; `implementations` says how these are made.

An integer style for MXINT8, whose element is a count of 1/64, stands beside the floating-point
ones: first right, then wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from implementations import (
    E4M3,
    E5M2,
    arithmetic,
    encode_by_bits,
    floor_scale,
    scaled,
    split_bits,
    table_fp4,
    twiddle,
    with_sign,
)


@dataclass(frozen=True, slots=True)
class Integer:
    """INT8 as far as the functions for scales need it."""

    name: str = "int8"
    block: str = "mxint8"
    emax: int = 0
    max: float = 127 / 64


INT8 = Integer()


def cast(x, t):
    """Correct saturating cast; NaN becomes the largest number where there is no NaN."""
    nan = 0x7F if t in (E4M3, E5M2) else t.max_code
    return np.where(np.isnan(x), nan, encode_by_bits(x, t)).astype(np.uint8)


def of_blocks(encode, t):
    """A quantizer from what encodes scaled numbers."""

    def quantize(x):
        scales = floor_scale(x, t)
        return encode(scaled(x, scales)), scales

    return quantize


def _int8(count, largest):
    return np.clip(count, -largest, largest).astype(np.int8).view(np.uint8)


def count64(v):
    """Correct: the nearest count of 1/64, ties to even, -127 to 127."""
    return _int8(np.rint(v * 64), 127)


quantize_int8 = of_blocks(count64, INT8)


def encode_int8(x):
    """Correct: infinity clamps; NaN to the largest, as other casts have it."""
    finite = np.nan_to_num(x, nan=2.0, posinf=2.0, neginf=-2.0)
    return count64(finite.astype(np.float64))


# --- rounding ------------------------------


def _shift_right(man, shift):
    return man >> shift, man & ((1 << shift) - 1), 1 << (shift - 1)


def _shifted(v, t, round_up):
    """As `twiddle`, with a rule of one's own for rounding up."""
    s, e, man = split_bits(v)
    shift = np.minimum(23 - t.mbits + np.maximum(t.emin - e, 0), 40)
    keep, rest, half = _shift_right(man, shift)
    keep = keep + round_up(keep, rest, half)
    code = keep + ((np.maximum(e, t.emin) - t.emin) << t.mbits)
    return (s * t.sign + np.minimum(code, t.max_code)).astype(np.uint8)


def e1_int8_away(v):
    """E1: C's round(): ties away from zero."""
    return _int8(np.floor(np.abs(v) * 64 + 0.5) * np.sign(v), 127)


def e2_int8_cast(v):
    """E2: a cast to integer truncates."""
    return _int8(v * 64, 127)


def e3_no_sticky(t):
    """E3: `guard & lsb`: without the sticky bit everything above a midpoint is a tie."""

    def encode(v):
        return _shifted(v, t, lambda keep, rest, half: (rest >= half) & (keep & 1 == 1))

    return encode


def e3_short_sticky(t):
    """E3: guard, and one round bit behind it; nobody ORs the rest."""

    def round_up(keep, rest, half):
        next_bit = rest & (half >> 1) != 0
        return (rest >= half) & (next_bit | (keep & 1 == 1))

    return lambda v: _shifted(v, t, round_up)


def e3_fp4_one_boundary(v):
    """E3: one comparison of seven has `>=` where it should have `>`: 2.5 becomes 3."""
    code = table_fp4(v)
    return np.where(np.abs(v) == 2.5, code + 1, code).astype(np.uint8)


def e6_reciprocal(t):
    """E6: multiplies by 1 / scale in float32; under powers of two nothing can happen."""

    def quantize(x):
        scales = floor_scale(x, t)
        scale = np.ldexp(np.float32(1), np.where(scales == 255, 127, scales).astype(int) - 127)
        inverse = np.float32(1) / scale.astype(np.float32)
        v = np.where(scales == 255, np.float32(0), x) * inverse
        return arithmetic(v, t), scales

    return quantize


# --- subnormals ------------------------------


def e8_fp4(v):
    """E8: below 0.5 is zero, they say, and round 0.3 down."""
    v = np.where(np.abs(v) < 0.5, np.copysign(0.0, v), v)
    return table_fp4(v)


def e9_e4m3(v):
    """E9: subnormals counted in units of 2^-10, so that they come out twice as large."""
    small = np.rint(np.minimum(np.abs(v), 1) * 2.0**10).astype(np.int64)
    return np.where(np.abs(v) < 2.0**-6, with_sign(small, v, E4M3), arithmetic(v, E4M3))


def e10_shift_first(t):
    """E10: the alignment of a subnormal drops bits before the rounding sees them."""

    def encode(v):
        s, e, man = split_bits(v)
        man = man >> np.minimum(np.maximum(t.emin - e, 0), 31)
        keep, rest, half = _shift_right(man, 23 - t.mbits)
        keep = keep + ((rest > half) | ((rest == half) & (keep & 1 == 1)))
        code = keep + ((np.maximum(e, t.emin) - t.emin) << t.mbits)
        return (s * t.sign + np.minimum(code, t.max_code)).astype(np.uint8)

    return encode


def e11_alignment_modulo(t, width):
    """E11: a subnormal is aligned in a 64-bit register; the processor masks the shift count.

    Bits that fall off are kept as a sticky bit, so that nothing else is wrong.
    """

    def encode(v):
        s, e, man = split_bits(v)
        distance = np.maximum(t.emin - e, 0) & (width - 1)
        man, lost = man >> distance, (man & ((1 << distance) - 1)) != 0
        keep, rest, half = _shift_right(man, 23 - t.mbits)
        keep = keep + ((rest > half) | ((rest == half) & (lost | (keep & 1 == 1))))
        code = keep + ((np.maximum(e, t.emin) - t.emin) << t.mbits)
        return (s * t.sign + np.minimum(code, t.max_code)).astype(np.uint8)

    return encode


def e11_shift_modulo(t, width):
    """E11: one shift for alignment and rounding, its count taken modulo the register's width."""

    def encode(v):
        s, e, man = split_bits(v)
        shift = (23 - t.mbits + np.maximum(t.emin - e, 0)) & (width - 1)
        half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
        rest = man & ((1 << shift) - 1)
        keep = man >> shift
        keep = keep + np.where(shift > 0, (rest > half) | ((rest == half) & (keep & 1 == 1)), 0)
        code = keep + ((np.maximum(e, t.emin) - t.emin) << t.mbits)
        return (s * t.sign + np.minimum(code, t.max_code)).astype(np.uint8)

    return encode


# --- ends and specials ------------------------------


def e12_e5m2(v):
    """E12: in E5M2 field 31 is special, and an off-by-one makes 30 special as well."""
    code = twiddle(v, E5M2)
    return np.where(np.abs(v) >= 2.0**15, (code & 0x80) | 0x7B, code).astype(np.uint8)


def e14_encode_e5m2(x):
    """E14: the clamp compares exponents only, so a carry reaches infinity at 61440."""
    s, e, man = split_bits(np.where(np.isfinite(x), x, np.float32(0)))
    keep, rest, half = _shift_right(man, np.minimum(21 + np.maximum(-14 - e, 0), 40))
    keep = keep + ((rest > half) | ((rest == half) & (keep & 1 == 1)))
    code = np.where(e > 15, 0x7B, keep + ((np.maximum(e, -14) + 14) << 2))
    code = np.where(np.isinf(x), 0x7B, code)
    code = np.where(np.isinf(x), np.where(x < 0, 0xFB, 0x7B), s * 0x80 + code)
    return np.where(np.isnan(x), 0x7F, code).astype(np.uint8)


def e15_clip(t, largest):
    """E15: the constant for the largest number is wrong."""
    return lambda v: arithmetic(np.clip(v, -largest, largest), t)


def e15_int8_minimum(v):
    """E15: clamped to 126: one taken off for the sign, one 'for symmetry'."""
    return _int8(np.rint(v * 64), 126)


def e15_int8_wraps(v):
    """E15: the largest count is held to be 128, which int8 wraps to -128."""
    return np.clip(np.rint(v * 64), -127, 128).astype(np.int64).astype(np.uint8)


def e15_encode(t, largest):
    """E15: the same in a cast."""

    def encode(x):
        code = encode_by_bits(np.clip(x, -largest, largest).astype(np.float32), t)
        return np.where(np.isnan(x), 0x7F, code).astype(np.uint8)

    return encode


def e17_encode(t):
    """E17: `where(isfinite(x), x, 0)` cleans the input, of infinities as well."""

    def encode(x):
        return cast(np.where(np.isinf(x), np.float32(0), x), t)

    return encode


def e17_encode_masked(t):
    """E17: the exponent of all ones is masked out of the bits; NaN was handled before."""

    def encode(x):
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
        is_inf = bits & np.uint32(0x7FFFFFFF) == 0x7F800000
        kept = np.where(is_inf, bits & np.uint32(0x80000000), bits).astype(np.uint32)
        return cast(kept.view(np.float32), t)

    return encode


def e18_encode_inverted_sign(x):
    """E18: a NaN keeps its sign, upside down."""
    code = encode_by_bits(x, E4M3)
    return np.where(np.isnan(x), np.where(np.signbit(x), 0x7F, 0xFF), code).astype(np.uint8)


def e19_add_zero(t):
    """E19: x + 0.0 normalizes a negative zero, and a comparison takes the sign of the rest."""

    def encode(v):
        code = arithmetic(np.abs(v), t)
        return np.where((v < 0) & (code > 0), code + t.sign, code).astype(np.uint8)

    return encode


def e20_negative_underflow(v):
    """E20: code | sign: right in OCP's formats, where 0x80 is -0."""
    return arithmetic(v, E4M3)


def e20_int8(v):
    """E20: sign and magnitude put together: -0.001 becomes 0x80, which INT8 reads as -2."""
    magnitude = np.minimum(np.rint(np.abs(v) * 64), 127).astype(np.int64)
    negated = np.where(np.signbit(v), 256 - magnitude, magnitude) & 0xFF
    return np.where((magnitude == 0) & (v < 0), 0x80, negated).astype(np.uint8)


# --- rounded twice, and another dialect ------------------------------


def e21_bfloat16(t):
    """E21: a bfloat16 buffer between the scaling and the cast."""
    return lambda v: arithmetic(v.astype(np.float32).astype(ml_dtypes.bfloat16).astype(float), t)


def e22_float16(t):
    """E22: a float16 buffer between the scaling and the cast."""
    return lambda v: arithmetic(v.astype(np.float32).astype(np.float16).astype(float), t)


def e22_encode(t):
    """E22: a cast by way of half precision."""

    def encode(x):
        with np.errstate(over="ignore"):
            half = x.astype(np.float16).astype(np.float32)
        return cast(half, t)

    return encode


def cut_to_float16(v):
    """float16 toward zero, in arithmetic: 11 significant bits, steps of 2^-24 at the bottom."""
    a = np.abs(np.asarray(v, np.float64))
    e = np.maximum(np.frexp(a)[1] - 1, -14)
    cut = np.ldexp(np.floor(np.ldexp(a, 10 - e)), e - 10)
    return np.copysign(np.minimum(cut, 65504.0), v)


def e23_cut(t):
    """E23: `cvt.rz.f16.f32` in front of the cast."""
    return lambda v: arithmetic(cut_to_float16(v), t)


def e23_encode_cut(t):
    """E23: 13 bits of the float32 are masked away, which is truncation to float16's 10.

    Numbers below float16's range are masked by more, as its subnormals have fewer bits.
    """

    def encode(x):
        ordinary = np.where(np.isfinite(x), x, np.float32(0))
        cut = np.where(np.isfinite(x), cut_to_float16(ordinary), x)
        return cast(cut.astype(np.float32), t)

    return encode


_FNUZ = {"e4m3": (ml_dtypes.float8_e4m3fnuz, 240.0), "e5m2": (ml_dtypes.float8_e5m2fnuz, 57344.0)}


def e24_fnuz(t):
    """E24: the FNUZ type of the framework, one word away from the right one."""
    dtype, largest = _FNUZ[t.name]
    return lambda v: np.clip(v, -largest, largest).astype(np.float32).astype(dtype).view(np.uint8)


def e24_encode(t):
    """E24: the same in a saturating cast; a NaN becomes 0x80."""
    dtype, largest = _FNUZ[t.name]

    def encode(x):
        return np.clip(x, -largest, largest).astype(dtype).view(np.uint8)

    return encode


def e24_bias(v):
    """E24: E4M3 with bias 8, everything else of OCP's: every code is that of 2 v."""
    return arithmetic(2 * v, E4M3)
