"""More planted mistakes, in decoders and in the use of scales; see `implementations`.

A decoder is a function of codes; `as_blocks` makes a dequantizer of it, whose scales are right, and
`with_scales` one whose elements are right.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from implementations import (
    E4M3,
    E5M2,
    NAN_SCALE,
    K,
    decode_by_table,
    floor_scale,
    scale_value,
    value_table,
)
from more_elements import INT8


def _product(elements, factor):
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.repeat(np.asarray(factor, np.float64), K, axis=-1)
        return (elements.astype(np.float64) * wide).astype(np.float32)


def as_blocks(decode):
    """A dequantizer from a decoder of elements."""

    def dequantize(codes, scales):
        return _product(decode(codes), scale_value(scales))

    return dequantize


def with_scales(factor, t):
    """A dequantizer from a decoder of scales."""

    def dequantize(codes, scales):
        return _product(decode_by_table(codes, t), factor(scales))

    return dequantize


def decode_int8(codes):
    """Correct: an integer in units of 1/64."""
    return codes.view(np.int8).astype(np.float32) / 64


def _fields(codes, t):
    codes = codes.astype(np.int64)
    return codes & t.sign != 0, (codes & (t.sign - 1)) >> t.mbits, codes & ((1 << t.mbits) - 1)


def _special(codes, value, t):
    """NaN and infinity as the table has them, the rest as given."""
    right = value_table(t)[codes]
    return np.where(np.isfinite(right), value, right).astype(np.float32)


# --- elements ------------------------------


def d1_decode(t):
    """D1: the implicit one is always there."""

    def decode(codes):
        negative, field, man = _fields(codes, t)
        value = np.ldexp(1 + man / (1 << t.mbits), field - t.bias)
        return _special(codes, np.where(negative, -value, value), t)

    return decode


def d2_decode(t, offset):
    """D2: the exponent of subnormals is -bias, or another constant near the right one."""

    def decode(codes):
        negative, field, man = _fields(codes, t)
        fraction = man / (1 << t.mbits)
        normal = np.ldexp(1 + fraction, field - t.bias)
        value = np.where(field == 0, np.ldexp(fraction, 1 - t.bias + offset), normal)
        return _special(codes, np.where(negative, -value, value), t)

    return decode


def d3_decode_e5m2(codes):
    """D3: E5M2 with NaN forgotten and infinity remembered."""
    negative, field, man = _fields(codes, E5M2)
    value = np.where(field == 0, man * 2.0**-16, np.ldexp(1 + man / 4, field - 15))
    value = np.where((field == 31) & (man == 0), np.inf, value)
    return np.where(negative, -value, value).astype(np.float32)


def d5_into_half(codes):
    """D5: E4M3 shifted into the fields of float16, and nobody multiplies by 2^8."""
    bits = codes.astype(np.uint16)
    half = ((bits & 0x80) << 8) | ((bits & 0x7F) << 7)
    return _special(codes, half.astype(np.uint16).view(np.float16).astype(np.float32), E4M3)


def d5_into_bfloat16(t):
    """D5: the same into bfloat16, by whose bias everything is next to nothing."""

    def decode(codes):
        bits = codes.astype(np.uint16)
        magnitude = (bits & (t.sign - 1)) << (7 - t.mbits)
        wide = ((bits & t.sign != 0).astype(np.uint16) << 15) | magnitude
        return _special(codes, wide.view(ml_dtypes.bfloat16).astype(np.float32), t)

    return decode


def d6_decode_signed(codes):
    """D6: the byte read as a two's complement integer."""
    return codes.view(np.int8).astype(np.float32)


def d7_decode(t):
    """D7: `if code == 0` comes first, and a mantissa of zero has no other exit."""

    def decode(codes):
        negative, field, man = _fields(codes, t)
        fraction = man / (1 << t.mbits)
        small = (field == 0) & (man != 0)
        exponent = np.where(small, 1 - t.bias, field - t.bias)
        value = np.ldexp(np.where(small, fraction, 1 + fraction), exponent)
        value = np.where(negative, -value, value)
        return _special(codes, np.where(codes == 0, 0.0, value), t)

    return decode


def d8_decode(t):
    """D8: the exponent field is zero, so the value is."""

    def decode(codes):
        negative, field, _ = _fields(codes, t)
        zero = np.where(negative, np.float32(-0.0), np.float32(0))
        return np.where(field == 0, zero, value_table(t)[codes])

    return decode


def d8_unsigned(t):
    """D8: the same with a constant 0.0: the sign goes too."""

    def decode(codes):
        _, field, _ = _fields(codes, t)
        return np.where(field == 0, np.float32(0), value_table(t)[codes])

    return decode


def d14_decode(t, code):
    """D14: there is no scale, and the buffer that stands for it holds a byte that is not 127."""

    def decode(codes):
        wide = value_table(t)[codes].astype(np.float64)
        return np.ldexp(wide, code - 127).astype(np.float32)

    return decode


def e24_decode(codes):
    """E24: OCP's codes read as FNUZ."""
    return codes.view(ml_dtypes.float8_e4m3fnuz).astype(np.float32)


def e24_decode_e5m2(codes):
    """E24: the same of E5M2."""
    return codes.view(ml_dtypes.float8_e5m2fnuz).astype(np.float32)


# --- scales ------------------------------


def d9_wrap(codes):
    """D9: (code << 23) on a signed exponent that wraps: code 0 gives zero, as a table of 255."""
    table = np.ldexp(1.0, np.arange(256) - 127)
    table[0], table[NAN_SCALE] = 0.0, np.nan
    return table[codes].astype(np.float32)


def d10_finite(codes):
    """D10: code 255 is 2^128, which double precision holds."""
    return np.ldexp(1.0, codes.astype(np.int64) - 127)


def d10_zero(codes):
    """D10: code 255 zeroes its block: `nan_to_num`."""
    return np.nan_to_num(scale_value(codes)).astype(np.float32)


def d11_value_128(codes):
    """D11: the marker is looked for in the decoded value: 128.0 is code 134."""
    value = scale_value(codes)
    return np.where(value == 128.0, np.nan, value).astype(np.float32)


def d11_code(code):
    """D11: one code too many is held to be the marker."""
    return lambda codes: np.where(codes == code, np.nan, scale_value(codes)).astype(np.float32)


def d12_low_codes(codes):
    """D12: 103 to 112 go through the exponent of a float16, which has none for them."""
    value = scale_value(codes)
    return np.where((codes >= 103) & (codes <= 112), 0.0, value).astype(np.float32)


def d12_float16_exponent(codes):
    """D12: float16's exponent field put together by hand: 0 from code 112 down."""
    value = scale_value(codes)
    return np.where(codes <= 112, 0.0, value).astype(np.float32)


def d12_through_float16(codes):
    """D12: the scale is a float16 without subnormals: small ones vanish, large ones are Inf."""
    with np.errstate(over="ignore"):
        half = scale_value(codes).astype(np.float16).astype(np.float32)
    return np.where(np.abs(half) < 2.0**-14, np.float32(0), half)


def d13_raw(codes):
    """D13: the byte itself is the factor."""
    return codes.astype(np.float32)


def d13_raw_nan(codes):
    """D13: the same with NaN looked after."""
    return np.where(codes == NAN_SCALE, np.nan, codes).astype(np.float32)


# --- the inverse of a scale, in a quantizer ------------------------------


def d17_inverse_by_bits(x):
    """D17: 254 - byte shifted into a float32 is the inverse, and 0 for the largest scale."""
    scales = floor_scale(x, INT8)
    pattern = (np.uint32(254) - np.where(scales == 255, 127, scales)).astype(np.uint32) << 23
    inverse = pattern.astype(np.uint32).view(np.float32)
    v = np.where(scales == 255, np.float32(0), x) * inverse
    return np.clip(np.rint(v.astype(np.float64) * 64), -127, 127).astype(np.int8).view(
        np.uint8
    ), scales


def d17_flushed(x):
    """D17: 1 / scale is subnormal for 2^127, and the processor flushes it."""
    scales = floor_scale(x, INT8)
    scale = np.ldexp(1.0, np.where(scales == 255, 127, scales).astype(int) - 127)
    inverse = 1 / scale
    inverse = np.where(inverse < 2.0**-126, 0.0, inverse)
    v = np.where(scales == 255, 0.0, x.astype(np.float64)) * inverse
    return np.clip(np.rint(v * 64), -127, 127).astype(np.int8).view(np.uint8), scales
