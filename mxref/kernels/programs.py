"""The integer algorithms, as lane programs: written once, run by LLVM vectors and by NumPy.

Each program reads like its twin in ``mxref.exact``: classify, scale, align, round, overflow, pack.
Values are unsigned words of `o.width` bits that wrap; a comment says where wrapping is meant.

Clauses: MX-1.0/6.3/scale, MX-1.0/6.3/elements, MX-1.0/6.3/clamp, MX-1.0/6.3/rounding,
MX-1.0/5.1/value, OFP8-1.0/overflow-sat, OFP8-1.0/overflow-ovf.
"""

from __future__ import annotations

from typing import Any

from mxref.kernels.lanes import Machine
from mxref.kernels.params import P

__all__ = [
    "DOWN",
    "NEAREST_AWAY",
    "NEAREST_DOWN",
    "NEAREST_EVEN",
    "TOWARD_ZERO",
    "TO_ODD",
    "UP",
    "decode",
    "decode_across",
    "decode_scale",
    "encode",
    "encode_across",
    "encode_scale",
    "magnitude",
    "select_scale",
    "widen_bfloat16",
    "widen_float16",
]

# The order of mxref._choices.Rounding; tests/kernels/test_params.py holds the two together.
NEAREST_EVEN, NEAREST_AWAY, NEAREST_DOWN, TOWARD_ZERO, UP, DOWN, TO_ODD = range(7)

MANTISSA_BITS = {32: 23, 64: 52}
_FLOAT32_NAN = 0x7FC00000
_FLOAT32_INF = 0x7F800000
# Added to exponents that may fall below zero, so that words can stay unsigned: more than the
# 64 bits that normalising can take away, and than the most negative emin.
_LIFT = 128


def magnitude(o: Machine, bits: Any) -> Any:
    """Clear the sign: magnitudes order like integers, infinity and NaN above all numbers."""
    return bits & ((1 << (o.width - 1)) - 1)


def widen_bfloat16(_o: Machine, half: Any) -> Any:
    """Bfloat16 to float32, exactly: it is the upper half."""
    return half << 16


def widen_float16(o: Machine, half: Any) -> Any:
    """Float16 to float32, exactly, NaN payloads included."""
    size = half & 0x7FFF
    rebias = (127 - 15) << 23
    normal = (size << 13) + rebias
    special = normal + rebias  # the exponent field 31 becomes 255
    zeros = o.leading_zeros(size)
    # size * 2**-24: shift the leading one to bit 23; it then adds one to the exponent field.
    subnormal = (size << (o.maximum(zeros, 8) - 8)) + ((o.constant(133) - zeros) << 23)
    subnormal = o.where_equal(size, 0, 0, subnormal)
    wide = o.where_above(size, 0x3FF, normal, subnormal)
    wide = o.where_above(size, 0x7BFF, special, wide)
    return wide | ((half & 0x8000) << 16)


def _significand(o: Machine, size: Any) -> tuple[Any, Any]:
    """Split a finite magnitude into significand and exponent field, one for subnormals.

    The value is ``significand * 2**(field - bias - mantissa_bits)`` in either case.
    """
    mantissa_bits = MANTISSA_BITS[o.width]
    field = o.maximum(size >> mantissa_bits, 1)
    return size - ((field - 1) << mantissa_bits), field


def _normalize(o: Machine, significand: Any) -> tuple[Any, Any]:
    """Shift the leading one to its place; return the shift too."""
    distance = o.leading_zeros(significand) - (o.width - 1 - MANTISSA_BITS[o.width])
    # Zero would be shifted by one more than the mantissa: still below the width, and still zero.
    return significand << distance, distance


def _round(o: Machine, significand: Any, shift: Any, sign: Any, rounding: int) -> Any:
    """Drop `shift` bits (1 to width - 1)."""
    below = o.constant(-1) >> (o.constant(o.width) - shift)  # mask of the dropped bits
    match rounding:
        case 0:  # NEAREST_EVEN
            increment = (below >> 1) + ((significand >> shift) & 1)
        case 1:  # NEAREST_AWAY
            increment = (below >> 1) + 1
        case 2:  # NEAREST_DOWN
            increment = below >> 1
        case 3:  # TOWARD_ZERO
            return significand >> shift
        case 4:  # UP: away from zero for positive numbers
            increment = below & (sign - 1)
        case 5:  # DOWN
            increment = below & (o.constant(0) - sign)
        case _:  # TO_ODD
            return (significand >> shift) | o.minimum(significand & below, 1)
    return (significand + increment) >> shift


def encode(
    o: Machine, bits: Any, origin: Any, *, rounding: int, is_fixed: bool, is_full: bool
) -> Any:
    """Encode source words as element codes.

    Parameters
    ----------
    origin : word
        Exponent field at which a value, once scaled, has the element's emin. Dividing by a power
        of two only moves it.
    rounding : int
        One of the constants above.
    is_fixed : bool
        Two's complement element.
    is_full : bool
        False for the short form, right where every lane is finite, `origin` is 1 or more, values
        saturate and -0 is kept.
    """
    # CLASSIFY
    sign = bits >> (o.width - 1)
    size = magnitude(o, bits)
    significand, field = _significand(o, size)

    # SCALE
    if is_full and o.width == 32:  # float64 cannot reach this: its fields start far below E8M0's
        significand, distance = _normalize(o, significand)
        field = field + _LIFT - distance
        origin = origin + _LIFT

    # ALIGN: `rise` binades above emin a code grows by whole mantissas; below emin bits drop out
    top = o.maximum(field, origin)
    rise = top - origin
    drop = o.minimum(top - field, o.parameter(P.DROP_LIMIT))

    # ROUND: a carry out of the mantissa lands in the exponent, which is the next code up
    rounded = _round(o, significand, o.parameter(P.SHIFT) + drop, sign, rounding)
    code = (rise << o.parameter(P.MANTISSA)) + rounded

    # OVERFLOW
    limit = o.parameter(P.MAX_CODE)
    if is_fixed:
        limit = limit + (sign & o.parameter(P.INT8_EXTRA))
    if not is_full:
        code = o.minimum(code, limit)
    else:
        code, sign = _overflow(o, code, limit, sign, rounding)
        code, sign = _specials(o, size, code, limit, sign, bits >> (o.width - 1))

    # PACK
    if is_fixed:
        return (code ^ (o.constant(0) - sign)) + sign  # two's complement; the store keeps 8 bits
    if is_full:
        sign = sign & (o.minimum(code, 1) | o.parameter(P.KEEP_ZERO))
    return code | (sign << o.parameter(P.SIGN_SHIFT))


def encode_across(o: Machine, bits: Any, scale_code: Any, **options: Any) -> Any:
    """Encode with a scale code in each lane, 0xFF included: lanes belong to different blocks."""
    code = encode(o, bits, scale_code + o.parameter(P.ORIGIN) - 127, **options)
    return o.where_equal(scale_code, 0xFF, o.parameter(P.NAN_BYTE), code)


def _overflow(o: Machine, code: Any, limit: Any, sign: Any, rounding: int) -> tuple[Any, Any]:
    """Replace codes beyond `limit`; a mode that points toward zero never passes it."""
    inward = o.parameter(P.OVERFLOW_INWARD)
    if rounding == UP:
        inward = sign
    elif rounding == DOWN:
        inward = sign ^ 1
    beyond = o.where_equal(inward, 1, limit, o.parameter(P.OVERFLOW_CODE))
    beyond = o.where_equal(o.parameter(P.OVERFLOW_CODE), o.parameter(P.MAX_CODE), limit, beyond)
    keep = o.where_equal(beyond, limit, 1, o.parameter(P.OVERFLOW_KEEP))
    kept = o.where_above(code, limit, sign & keep, sign)
    return o.where_above(code, limit, beyond, code), kept


def _specials(
    o: Machine, size: Any, code: Any, limit: Any, sign: Any, input_sign: Any
) -> tuple[Any, Any]:
    """Replace infinities and NaN."""
    infinity = o.parameter(P.INFINITY)
    inf_code = o.parameter(P.INF_CODE)
    inf_code = o.where_equal(inf_code, o.parameter(P.MAX_CODE), limit, inf_code)
    inf_sign = o.where_equal(inf_code, limit, 1, o.parameter(P.OVERFLOW_KEEP)) & input_sign
    nan_sign = (input_sign & o.parameter(P.NAN_KEEP)) ^ o.parameter(P.NAN_FLIP)
    code = o.where_equal(size, infinity, inf_code, code)
    sign = o.where_equal(size, infinity, inf_sign, sign)
    nan_code = o.parameter(P.NAN_CODE)
    extended = nan_code + (nan_sign & o.parameter(P.INT8_EXTRA))
    nan_code = o.where_equal(nan_code, o.parameter(P.MAX_CODE), extended, nan_code)
    code = o.where_above(size, infinity, nan_code, code)
    sign = o.where_above(size, infinity, nan_sign, sign)
    return code, sign


def select_scale(o: Machine, amax: Any) -> Any:
    """Select the scale code for a finite amax: exponent - emax + [field >= theta]."""
    # CLASSIFY
    mantissa_bits = MANTISSA_BITS[o.width]
    significand, field = _significand(o, amax)
    significand, distance = _normalize(o, significand)

    # ROUND: the exponent of amax, one higher from the rule's threshold on
    fraction = significand & ((1 << mantissa_bits) - 1)
    up = o.where_above(o.parameter(P.THETA), fraction, 0, 1)

    # OVERFLOW: fields of float64 lie up to 1200 below those of E8M0
    lift = 1 << 12
    code = field + o.parameter(P.REBIAS) + lift - distance + up
    code = o.maximum(code, lift) - lift
    code = o.where_above(code, 0xFE, o.parameter(P.ABOVE_CODE), code)
    return o.where_equal(amax, 0, o.parameter(P.ZERO_CODE), code)


def encode_scale(o: Machine, bits: Any) -> Any:
    """Encode source words as E8M0 codes: the scalar cast (OP-E8M0-CAST)."""
    # CLASSIFY
    sign = bits >> (o.width - 1)
    size = magnitude(o, bits)
    infinity = o.parameter(P.INFINITY)

    # SCALE, ALIGN, ROUND and OVERFLOW of a number are those of scale selection with emax 0
    code = select_scale(o, o.where_above(infinity, size, size, 0))

    # PACK
    code = o.where_equal(size, infinity, o.parameter(P.SCALE_INF_CODE), code)
    refused = o.where_equal(size, 0, 0, sign & o.parameter(P.SCALE_NEGATIVE_NAN))
    refused = o.where_above(size, infinity, 1, refused)
    return o.where_equal(refused, 1, 0xFF, code)


def decode(o: Machine, code: Any, scale_code: Any, *, is_fixed: bool, is_full: bool) -> Any:
    """Decode element codes to float32 bits, times the scale.

    Parameters
    ----------
    is_full : bool
        False for the short form, right where the scale code lies between FIRST_PLAIN_SCALE and
        LAST_PLAIN_SCALE.
    """
    # CLASSIFY
    mantissa = o.parameter(P.DECODE_MANTISSA)
    sign = code >> o.parameter(P.SIGN_SHIFT)
    size = code & o.parameter(P.MAGNITUDE_MASK)
    if is_fixed:
        size = ((size ^ (o.constant(0) - sign)) + sign) & 0xFF

    # ALIGN: shift a subnormal until its leading one is where the implicit one would be
    distance = o.maximum(o.leading_zeros(size), o.constant(31) - mantissa)
    distance = distance - (o.constant(31) - mantissa)
    normal = size << distance

    # SCALE: all wrapping differences come out right because the sum is known to be positive
    shift = o.constant(23) - mantissa
    rebias = scale_code - o.parameter(P.DECODE_BIAS) - distance
    in_range = (normal << shift) + (rebias << 23)
    bits = _place(o, normal, mantissa, rebias) if is_full else in_range
    bits = o.where_equal(size, 0, 0, bits)

    # PACK
    special = o.where_equal(size, o.parameter(P.DECODE_INF), _FLOAT32_INF, _FLOAT32_NAN)
    bits = o.where_above(size, o.parameter(P.DECODE_MAX), special, bits)
    sign = o.where_above(bits, _FLOAT32_INF, sign & o.parameter(P.DECODE_NAN_KEEP), sign)
    return bits | (sign << 31)


def decode_across(o: Machine, code: Any, scale_code: Any, **options: Any) -> Any:
    """Decode with a scale code in each lane, 0xFF included."""
    bits = decode(o, code, scale_code, **options)
    negative = (code >> o.parameter(P.SIGN_SHIFT)) & o.parameter(P.DECODE_NAN_KEEP)
    return o.where_equal(scale_code, 0xFF, (negative << 31) | _FLOAT32_NAN, bits)


def _place(o: Machine, normal: Any, mantissa: Any, rebias: Any) -> Any:
    """Build float32 bits where the exponent may leave float32's range at either end."""
    lift = 1 << 10
    field = (normal >> mantissa) + rebias + lift
    implicit = o.constant(1) << mantissa
    significand = ((normal & (implicit - 1)) | implicit) << (o.constant(23) - mantissa)
    in_range = ((field - lift) << 23) + (significand - (1 << 23))
    # Exact: the smallest product of all OCP formats is 2**-143, well above 2**-149.
    down = o.minimum(o.constant(lift + 1) - o.minimum(field, lift + 1), 31)
    bits = o.where_above(field, lift, in_range, significand >> down)
    return o.where_above(field, lift + 254, o.parameter(P.DECODE_OVERFLOW), bits)


def decode_scale(o: Machine, scale_code: Any) -> Any:
    """Decode E8M0 codes to float32 bits: code 0 is the subnormal 2**-127."""
    bits = scale_code << 23
    bits = o.where_equal(scale_code, 0, 1 << 22, bits)
    return o.where_equal(scale_code, 0xFF, _FLOAT32_NAN, bits)
