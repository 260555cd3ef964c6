"""BDR blocks with power-of-two scales, as lane programs: twins of ``mxref.exact.bdr``.

A vector holds whole blocks; `group_max` spreads the largest word of each group over its lanes.
Exponents are those of the source's fields, lifted so that no unsigned word goes below zero.

arXiv 2302.08007, OP-BDR-QUANTIZER.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Protocol

from mxref.kernels.programs import MANTISSA_BITS, magnitude
from mxref.kernels.rounding import (
    NEAREST_EVEN,
    STOCHASTIC_A,
    STOCHASTIC_B,
    STOCHASTIC_C,
    round_by,
    round_with,
)

__all__ = ["HALF_UP", "LIFT", "B", "Blocks", "Part", "decode", "encode", "encode_quick"]

HALF_UP = 10  # after the modes of ``rounding``
LIFT = 128  # more than normalizing takes away, and than the largest shift


class B(enum.IntEnum):
    """Places in the array of parameters."""

    SHIFT = 0  # significand bits dropped from a number with the block's own exponent
    DROP_LIMIT = 1  # further bits dropped at most: beyond it nothing but a sticky bit is left
    MAX_CODE = 2  # largest magnitude of an element
    MIN_EXTRA = 3  # 1 where a negative element may reach one step beyond
    SIGN_SHIFT = 4
    CODE_MASK = 5
    INFINITY = 6  # bits of infinity in the source
    INPUT_MIN = 7  # source magnitudes below count as zero
    BASE = 8  # lifted exponent field of scale code 0
    MAX_SCALE = 9
    ZERO_CODE = 10  # scale code of a block of zeros
    MAX_SHIFT = 11  # largest D
    FIRST = 12  # least amax for the quick form, as a word
    LAST = 13  # largest amax for it
    QUICK_BASE = 14  # exponent field of scale code 0, modulo two to the width
    NAN_POISONS = 15  # 1 where a NaN makes the block NaN
    INF_POISONS = 16
    NAN_SATURATES = 17  # 1 where a NaN becomes the largest element
    INF_SATURATES = 18
    RANDOM_BITS = 19  # where ``rounding.round_with`` looks for it
    NAN_SCALE = 20
    ABOVE_POISONS = 21  # 1 where an exponent above the range of the scale makes the block NaN
    BELOW_FLUSHES = 22
    DECODE_REBIAS = 23  # to the float32 field of M = 1, less E and D; plus LIFT

    COUNT = 24


class Part(enum.IntFlag):
    """What a policy asks for beyond the default, compiled in where needed."""

    AFTER = enum.auto()  # exponents allow for the rounding
    FLUSH_INPUT = enum.auto()
    DROP_ZERO = enum.auto()  # no negative zero
    UNSHIFTED = enum.auto()  # a sub-block of zeros has D = 0
    TWOS = enum.auto()  # two's complement


class Blocks(NamedTuple):
    """Lanes of a conversion: codes, and for each lane the shift and the scale code it is under."""

    codes: Any
    shifts: Any
    scales: Any


class GroupMachine(Protocol):
    """A `Machine` that also finds the largest word of each group of neighbouring lanes."""

    def __getattr__(self, name: str) -> Any:
        """Everything else is as in `Machine`."""

    def group_max(self, word: Any, size: int) -> Any:
        """Return in each lane the largest word of its group."""


def _round(o: Any, significand: Any, shift: Any, sign: Any, rounding: int, random: Any) -> Any:
    if rounding in (STOCHASTIC_A, STOCHASTIC_B, STOCHASTIC_C):
        return round_with(o, significand, shift, random, rounding)
    if rounding == HALF_UP:  # a negative tie goes toward zero
        below = o.constant(-1) >> (o.constant(o.width) - shift)
        return (significand + (below >> 1) + 1 - sign) >> shift
    return round_by(o, significand, shift, sign, rounding)


class _Elements(NamedTuple):
    """Numbers taken apart: the value is the significand times two to the exponent."""

    sign: Any
    significand: Any
    exponent: Any
    random: Any


def _rounded(o: Any, elements: _Elements, origin: Any, rounding: int) -> Any:
    """Magnitudes in steps, without an upper bound, where `origin` is the exponent E - D."""
    top = o.maximum(elements.exponent, origin)
    drop = top - elements.exponent
    if rounding in (STOCHASTIC_A, STOCHASTIC_B, STOCHASTIC_C):
        shift = o.parameter(B.SHIFT) + drop
    else:
        shift = o.parameter(B.SHIFT) + o.minimum(drop, o.parameter(B.DROP_LIMIT))
    rounded = _round(o, elements.significand, shift, elements.sign, rounding, elements.random)
    # Above `origin` an element is beyond the largest anyway: adding is as good as shifting.
    return rounded + ((top - origin) << (o.constant(MANTISSA_BITS[o.width]) - o.parameter(B.SHIFT)))


def _limit(o: Any, sign: Any, parts: int) -> Any:
    limit = o.parameter(B.MAX_CODE)
    return limit + (sign & o.parameter(B.MIN_EXTRA)) if parts & Part.TWOS else limit


def _overflows(
    o: Any, elements: _Elements, origin: Any, rounding: int, parts: int, group: int
) -> Any:
    """1 in each group in which some element rounds beyond the largest."""
    size = _rounded(o, elements, origin, rounding)
    beyond = o.where_above(size, _limit(o, elements.sign, parts), 1, 0)
    return o.group_max(beyond, group)


def _pack(o: Any, size: Any, sign: Any, parts: int) -> Any:
    if parts & Part.TWOS:
        return ((size ^ (o.constant(0) - sign)) + sign) & o.parameter(B.CODE_MASK)
    if parts & Part.DROP_ZERO:
        sign = sign & o.minimum(size, 1)
    return size | (sign << o.parameter(B.SIGN_SHIFT))


def encode_quick(
    o: Any, bits: Any, *, k1: int, k2: int, rounding: int, parts: int
) -> tuple[Blocks, Any]:
    """Convert blocks whose numbers are finite and whose shifted exponents are normal, or zeros.

    Returns the lanes, and in each a word that is not zero where the block is none of those.
    """
    # CLASSIFY
    mantissa_bits = MANTISSA_BITS[o.width]
    sign = bits >> (o.width - 1)
    size = magnitude(o, bits)
    if parts & Part.FLUSH_INPUT:
        size = o.where_above(o.parameter(B.INPUT_MIN), size, 0, size)
    field = o.maximum(size >> mantissa_bits, 1)
    significand = size - ((field - 1) << mantissa_bits)
    elements = _Elements(sign, significand, field, None)

    # SCALE: zero has the field 0
    sub = o.group_max(size, k2) if k2 else size
    amax = o.group_max(sub, k1)
    E = amax >> mantissa_bits
    if parts & Part.AFTER:
        E = E + _overflows(o, elements, o.maximum(E, 1), rounding, parts, k1)

    # SHIFT
    D = o.constant(0)
    origin = E
    if k2:
        D = o.minimum(E - (sub >> mantissa_bits), o.parameter(B.MAX_SHIFT))
        if parts & Part.UNSHIFTED:
            D = o.where_equal(sub, 0, 0, D)
        if parts & Part.AFTER:
            over = _overflows(o, elements, o.maximum(E - D, 1), rounding, parts, k2)
            D = D - o.minimum(over, D)
        origin = E - D

    # ROUND, OVERFLOW, PACK
    rounded = _rounded(o, elements, o.maximum(origin, 1), rounding)
    code = _pack(o, o.minimum(rounded, _limit(o, sign, parts)), sign, parts)
    scale = o.where_equal(amax, 0, o.parameter(B.ZERO_CODE), E - o.parameter(B.QUICK_BASE))
    odd = o.where_above(o.parameter(B.FIRST), amax, amax, 0)
    odd = o.where_above(amax, o.parameter(B.LAST), 1, odd)
    return Blocks(code, D, scale), odd


def _exponent(o: Any, size: Any) -> tuple[Any, Any]:
    """Significand with its leading one in place, and lifted exponent; both 0 for zero."""
    mantissa_bits = MANTISSA_BITS[o.width]
    field = o.maximum(size >> mantissa_bits, 1)
    significand = size - ((field - 1) << mantissa_bits)
    distance = o.leading_zeros(significand) - (o.width - 1 - mantissa_bits)
    exponent = o.where_equal(size, 0, 0, field + LIFT - distance)
    return significand << distance, exponent


def encode(
    o: Any, bits: Any, *, k1: int, k2: int, rounding: int, parts: int, random: Any = None
) -> Blocks:
    """Convert blocks of any numbers.

    Parameters
    ----------
    k1, k2 : int
        Lanes of a block and of a sub-block; k2 is 0 without a second level.
    rounding : int
        One of the constants of ``rounding``, or HALF_UP.
    parts : int
        Members of `Part`, put together.
    random : word, optional
        R, for a stochastic mode.
    """
    # CLASSIFY
    infinity = o.parameter(B.INFINITY)
    sign = bits >> (o.width - 1)
    size = magnitude(o, bits)
    is_nan = o.where_above(size, infinity, 1, 0)
    is_inf = o.where_equal(size, infinity, 1, 0)
    poisons = (is_nan & o.parameter(B.NAN_POISONS)) | (is_inf & o.parameter(B.INF_POISONS))
    saturates = (is_nan & o.parameter(B.NAN_SATURATES)) | (is_inf & o.parameter(B.INF_SATURATES))
    sign = sign & (is_nan ^ 1)
    size = o.where_above(infinity, size, size, 0)
    if parts & Part.FLUSH_INPUT:
        size = o.where_above(o.parameter(B.INPUT_MIN), size, 0, size)
    significand, exponent = _exponent(o, size)
    elements = _Elements(sign, significand, exponent, random)

    # SCALE
    base = o.parameter(B.BASE)
    amax = o.group_max(exponent, k1)
    E = amax
    if parts & Part.AFTER:
        E = E + _overflows(o, elements, E, rounding, parts, k1)
    last = base + o.parameter(B.MAX_SCALE)
    is_nan_block = o.where_above(E, last, o.parameter(B.ABOVE_POISONS), 0)
    is_nan_block = is_nan_block | o.group_max(poisons, k1)
    is_flushed = o.where_above(base, E, o.parameter(B.BELOW_FLUSHES), 0)
    is_flushed = o.where_equal(amax, 0, 0, is_flushed)
    E = o.minimum(o.maximum(E, base), last)

    # SHIFT: zero counts as the exponent of scale code 0
    D = o.constant(0)
    if k2:
        sub = o.group_max(exponent, k2)
        found = o.where_equal(sub, 0, E if parts & Part.UNSHIFTED else base, sub)
        D = o.minimum(E - o.minimum(found, E), o.parameter(B.MAX_SHIFT))
        if parts & Part.AFTER:
            over = _overflows(o, elements, E - D, rounding, parts, k2)
            D = D - o.minimum(over, D)
        D = o.where_equal(amax, 0, 0, D)

    # ROUND, OVERFLOW, PACK
    limit = _limit(o, sign, parts)
    rounded = o.minimum(_rounded(o, elements, E - D, rounding), limit)
    code = _pack(o, o.where_equal(saturates, 1, limit, rounded), sign, parts)
    scale = o.where_equal(amax, 0, o.parameter(B.ZERO_CODE), E - base)
    is_cleared = is_nan_block | is_flushed
    code = o.where_equal(is_cleared, 1, 0, code)
    D = o.where_equal(is_cleared, 1, 0, D)
    scale = o.where_equal(is_flushed, 1, 0, scale)
    return Blocks(code, D, o.where_equal(is_nan_block, 1, o.parameter(B.NAN_SCALE), scale))


def decode(o: Any, code: Any, shift: Any, scale: Any, *, is_twos: bool) -> Any:
    """Decode to float32 bits: M * 2**(1-m) * 2**-D * 2**(E-bias), rounded to nearest even."""
    # CLASSIFY
    sign = code >> o.parameter(B.SIGN_SHIFT)
    if is_twos:
        size = ((code ^ (o.constant(0) - sign)) + sign) & o.parameter(B.CODE_MASK)
    else:
        size = code & o.parameter(B.MAX_CODE)

    # ALIGN: the leading one at bit 24, so that one bit at least is dropped
    zeros = o.leading_zeros(size)
    significand = size << (o.minimum(zeros, 31) - 7)
    field = scale + o.parameter(B.DECODE_REBIAS) + 31 - zeros - shift
    normal = o.maximum(field, LIFT + 1)
    drop = o.minimum(normal - field, 30) + 1

    # ROUND: a carry out of the significand lands in the exponent, and beyond the last in infinity
    rounded = round_by(o, significand, drop, sign, NEAREST_EVEN)
    bits = ((normal - (LIFT + 1)) << 23) + rounded
    bits = o.minimum(o.where_equal(size, 0, 0, bits), 0x7F800000)
    bits = bits | (sign << 31)
    return o.where_equal(scale, o.parameter(B.NAN_SCALE), 0x7FC00000, bits)
