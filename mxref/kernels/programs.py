"""The integer algorithms, as lane programs: written once, run by LLVM vectors and by NumPy.

Each program reads like its twin in ``mxref.exact``: classify, scale, align, round, overflow, pack.
Values are unsigned words of `o.width` bits that wrap; a comment says where wrapping is meant.

Clauses: MX-1.0/6.3/scale, MX-1.0/6.3/elements, MX-1.0/6.3/clamp, MX-1.0/6.3/rounding,
MX-1.0/5.1/value, OFP8-1.0/overflow-sat, OFP8-1.0/overflow-ovf.
"""

from __future__ import annotations

import enum
from typing import Any

from mxref.kernels.lanes import Machine
from mxref.kernels.places import TABLE_LENGTH, P, table_start
from mxref.kernels.rounding import DOWN, NEAREST_EVEN, UP, is_stochastic, round_by, round_with

__all__ = [
    "COMPLETE",
    "Part",
    "decode",
    "decode_across",
    "decode_scale",
    "encode",
    "encode_across",
    "encode_scale",
    "look_up_scale",
    "magnitude",
    "select_scale",
    "widen_bfloat16",
    "widen_float16",
]


class Part(enum.IntFlag):
    """Parts of the encoder beyond saturating ties of finite numbers, compiled in where needed."""

    NORMALIZE = enum.auto()  # a subnormal input may be a normal element: `origin` is below 1
    SPECIALS = enum.auto()  # NaN and infinity
    OVERFLOW = enum.auto()  # OVF and its kin
    DROP_ZERO = enum.auto()  # no negative zero
    CUT_INPUT = enum.auto()  # flushed subnormals, a rectifier, no negative zero on input
    INTERMEDIATE = enum.auto()  # double rounding
    FLUSH = enum.auto()  # no subnormal results


COMPLETE = ~Part(0)
"""All parts; the parameters say which of them do anything."""

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


def encode(
    o: Machine,
    bits: Any,
    origin: Any,
    *,
    rounding: int,
    is_fixed: bool,
    parts: int,
    random: Any = None,
) -> Any:
    """Encode source words as element codes.

    Parameters
    ----------
    origin : word
        Exponent field at which a value, once scaled, has the element's emin. Dividing by a power
        of two only moves it.
    rounding : int
        One of the constants of ``rounding``.
    is_fixed : bool
        Two's complement element.
    parts : int
        Members of `Part`, put together.
    random : word, optional
        R, for a stochastic mode.
    """
    # CLASSIFY
    sign = bits >> (o.width - 1)
    size = magnitude(o, bits)
    if parts & Part.CUT_INPUT:
        size, sign = _cut_input(o, size, sign)
    input_sign = sign
    significand, field = _significand(o, size)

    # SCALE
    if parts & (Part.NORMALIZE | Part.INTERMEDIATE) and o.width == 32:
        # float64 cannot reach this: its fields start far below those of E8M0.
        significand, distance = _normalize(o, significand)
        field = field + _LIFT - distance
        origin = origin + _LIFT
    if parts & Part.INTERMEDIATE:
        significand, field, size = _pass_through(o, significand, field, size, origin)

    # ALIGN: `rise` binades above emin a code grows by whole mantissas; below emin bits drop out
    top = o.maximum(field, origin)
    rise = top - origin
    drop = top - field

    # ROUND: a carry out of the mantissa lands in the exponent, which is the next code up
    if is_stochastic(rounding):
        shift = o.parameter(P.SHIFT) + drop
        rounded = round_with(o, significand, shift, random, rounding)
    else:
        shift = o.parameter(P.SHIFT) + o.minimum(drop, o.parameter(P.DROP_LIMIT))
        rounded = round_by(o, significand, shift, sign, rounding)
    code = (rise << o.parameter(P.MANTISSA)) + rounded
    if parts & Part.FLUSH:
        code = o.where_above(o.parameter(P.FLUSH_BELOW), code, 0, code)

    # OVERFLOW
    limit = o.parameter(P.MAX_CODE)
    if is_fixed:
        limit = limit + (sign & o.parameter(P.INT8_EXTRA))
    if parts & Part.OVERFLOW:
        code, sign = _overflow(o, code, limit, sign, rounding)
    else:
        code = o.minimum(code, limit)
    if parts & Part.SPECIALS:
        code, sign = _specials(o, size, code, limit, sign, input_sign)

    # PACK
    if is_fixed:
        return (code ^ (o.constant(0) - sign)) + sign  # two's complement; the store keeps 8 bits
    if parts & Part.DROP_ZERO:
        sign = sign & (o.minimum(code, 1) | o.parameter(P.KEEP_ZERO))
    return code | (sign << o.parameter(P.SIGN_SHIFT))


def _cut_input(o: Machine, size: Any, sign: Any) -> tuple[Any, Any]:
    """Flush subnormal inputs, rectify, and drop the sign of an input zero, where asked for."""
    size = o.where_above(o.parameter(P.INPUT_MIN), size, 0, size)
    rectified = sign & o.parameter(P.RELU)
    cut = o.where_above(size, o.parameter(P.INFINITY), 0, rectified)  # a NaN loses its sign only
    size = o.where_equal(cut, 1, 0, size)
    sign = sign ^ rectified
    return size, o.where_equal(size, 0, sign & o.parameter(P.KEEP_INPUT_ZERO), sign)


def _pass_through(
    o: Machine, significand: Any, field: Any, size: Any, origin: Any
) -> tuple[Any, Any, Any]:
    """Round the scaled value to the type of the intermediate (OP-SCALED-INTERMEDIATE).

    The result is counted in steps of the intermediate, which is how the rest reads it: a value
    that is subnormal there lies at or below the element's own emin.
    """
    least = origin + o.parameter(P.INTER_ORIGIN)  # the field of the intermediate's emin
    top = o.maximum(field, least)
    drop = o.minimum(top - field, o.parameter(P.INTER_LIMIT))
    base = o.parameter(P.INTER_SHIFT)
    # One more bit on both sides, because a shift by zero is no rounding.
    rounded = round_by(o, significand << 1, base + drop + 1, significand, NEAREST_EVEN)
    # Beyond the largest finite value it is an infinity.
    reached = (top << 1) + (rounded >> o.parameter(P.INTER_CARRY))
    last = (least + o.parameter(P.INTER_SPAN)) << 1
    infinity = o.parameter(P.INFINITY)
    over = o.where_above(reached, last, infinity, size)
    over = o.where_above(infinity, size, over, size)
    is_used = o.parameter(P.INTER_USED)
    return (
        o.where_equal(is_used, 1, rounded << base, significand),
        o.where_equal(is_used, 1, top, field),
        o.where_equal(is_used, 1, over, size),
    )


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
    special = (sign & o.parameter(P.OVERFLOW_KEEP)) ^ o.parameter(P.OVERFLOW_FLIP)
    changed = o.where_equal(beyond, limit, sign, special)
    return o.where_above(code, limit, beyond, code), o.where_above(code, limit, changed, sign)


def _specials(
    o: Machine, size: Any, code: Any, limit: Any, sign: Any, input_sign: Any
) -> tuple[Any, Any]:
    """Replace infinities and NaN."""
    infinity = o.parameter(P.INFINITY)
    inf_code = o.parameter(P.INF_CODE)
    inf_code = o.where_equal(inf_code, o.parameter(P.MAX_CODE), limit, inf_code)
    inf_sign = (input_sign & o.parameter(P.OVERFLOW_KEEP)) ^ o.parameter(P.OVERFLOW_FLIP)
    inf_sign = o.where_equal(inf_code, limit, input_sign, inf_sign)
    nan_sign = (input_sign & o.parameter(P.NAN_KEEP)) ^ o.parameter(P.NAN_FLIP)
    code = o.where_equal(size, infinity, inf_code, code)
    sign = o.where_equal(size, infinity, inf_sign, sign)
    second = size >> (MANTISSA_BITS[o.width] - 2)  # below the quiet bit of the payload
    nan_code = o.parameter(P.NAN_CODE) | (second & o.parameter(P.NAN_PAYLOAD))
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


def look_up_scale(o: Machine, amax: Any) -> Any:
    """Select the scale code for a finite amax by the table of its exponent.

    For every policy whose scale is a function of amax alone; ``tables`` has the tables. A code
    above 0xFF asks for a block of zeros under its low eight bits.
    """
    mantissa_bits = MANTISSA_BITS[o.width]
    significand, field = _significand(o, amax)
    significand, distance = _normalize(o, significand)
    fraction = significand & ((1 << mantissa_bits) - 1)
    place = field - distance + table_start(o.width)
    first = o.lookup(place)
    second = o.lookup(place + TABLE_LENGTH[o.width])
    codes = o.lookup(place + (TABLE_LENGTH[o.width] << 1))
    code = o.where_above(second, fraction, (codes >> 9) & 0x1FF, codes >> 18)
    code = o.where_above(first, fraction, codes & 0x1FF, code)
    code = o.where_above(o.parameter(P.OVER_WORD), amax, code, o.parameter(P.OVER_CODE))
    return o.where_equal(amax, 0, o.parameter(P.ZERO_CODE), code)


def encode_scale(o: Machine, bits: Any, *, is_tabled: bool) -> Any:
    """Encode source words as E8M0 codes: the scalar cast (OP-E8M0-CAST)."""
    # CLASSIFY
    sign = bits >> (o.width - 1)
    size = magnitude(o, bits)
    infinity = o.parameter(P.INFINITY)

    # SCALE, ALIGN, ROUND and OVERFLOW of a number are those of scale selection with emax 0
    select = look_up_scale if is_tabled else select_scale
    code = select(o, o.where_above(infinity, size, size, 0))

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
    if is_full:
        size = o.where_above(o.parameter(P.DECODE_FLUSH_BELOW), size, 0, size)

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
    if is_full:
        bits = o.where_above(o.parameter(P.DECODE_RESULT_MIN), bits, 0, bits)

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
