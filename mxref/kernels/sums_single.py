"""Float32 arithmetic on bit patterns, for the models of accumulators.

Rounding, overflow and gradual underflow are done in integers, so that no flag of the processor
(flushing subnormals, a rounding mode) can change a bit. Bit patterns and all else travel as int64:
numbers stay below 2**61, where no step can wrap. There are no branches on data, only selections:
loops over lanes become vector code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import register_jitable

__all__ = [
    "MAGNITUDE",
    "NAN",
    "add_single",
    "flush_single",
    "inline",
    "round_flushed",
    "round_single",
]

i64 = np.int64

ZERO, ONE = i64(0), i64(1)
INFINITY, NAN = i64(0x7F800000), i64(0x7FC00000)
MAGNITUDE, NEGATIVE_ZERO = i64(0x7FFFFFFF), i64(0x80000000)
MIN_NORMAL, FRACTION = i64(0x00800000), i64(0x007FFFFF)

DIGITS = i64(24)  # of a significand
LAST = i64(149)  # the last place of a subnormal number is 2**-149
SIGN, FIELD = i64(31), i64(23)
BELOW_ALL = i64(-(1 << 20))
GUARD = i64(36)  # bits below the last place in an addition: 24 + 36 < 61
MAX_SHIFT, MAX_GAP = i64(62), i64(61)


def inline(py_func: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that compiled loops take into themselves.

    Left to its own judgement LLVM calls what is used twice, and a loop with a call stays scalar:
    12 instead of 3 ns for an addition (numba 0.68.1).
    """
    return register_jitable(forceinline=True)(py_func)


@inline
def bit_length(x: Any) -> Any:
    """The bit length of 0 <= x < 2**63, in six selections."""
    by32 = i64(i64(x > i64(0xFFFFFFFF)) << i64(5))
    x32 = i64(x >> by32)
    by16 = i64(i64(x32 > i64(0xFFFF)) << i64(4))
    x16 = i64(x32 >> by16)
    by8 = i64(i64(x16 > i64(0xFF)) << i64(3))
    x8 = i64(x16 >> by8)
    by4 = i64(i64(x8 > i64(0xF)) << i64(2))
    x4 = i64(x8 >> by4)
    by2 = i64(i64(x4 > i64(3)) << ONE)
    x2 = i64(x4 >> by2)
    # 0, 1, 2 or 3 is left, of 0, 1, 2 and 2 bits.
    rest = i64(i64(x2 > ZERO) + i64(x2 > ONE))
    return i64(i64(by32 + by16) + i64(i64(by8 + by4) + i64(by2 + rest)))


@inline
def _rounded(size: Any, exponent: Any, lowest: Any, is_odd: Any) -> Any:
    """Magnitude bits of size * 2**exponent with no place below 2**lowest; may be negative."""
    top = i64(exponent + bit_length(size))
    place = i64(max(i64(top - DIGITS), lowest))
    drop = i64(place - exponent)
    right = i64(min(i64(max(drop, ZERO)), MAX_SHIFT))
    left = i64(min(i64(max(i64(-drop), ZERO)), MAX_SHIFT))
    kept = i64(i64(size << left) >> right)
    lost = i64(size & i64(i64(ONE << right) - ONE))
    half = i64(max(i64(i64(ONE << right) >> ONE), ONE))
    nearest = i64(kept + i64(i64(lost + i64(kept & ONE)) > half))
    nearest = i64(nearest if right > ZERO else kept)
    odd = i64(kept | i64(lost > ZERO))
    rounded = i64(odd if is_odd else nearest)
    bits = i64(i64(i64(place + LAST) << FIELD) + rounded)
    bits = i64(min(bits, INFINITY))
    return i64(bits if size > ZERO else ZERO)


@inline
def round_single(negative: Any, size: Any, exponent: Any, is_odd: Any) -> Any:
    """Round (-1)**negative * size * 2**exponent, once; 0 <= size < 2**61.

    To nearest even or to odd; too large is an infinity either way, too small a subnormal number.
    """
    bits = _rounded(size, exponent, i64(-LAST), is_odd)
    return i64(bits | i64(negative << SIGN))


@inline
def round_flushed(negative: Any, size: Any, exponent: Any) -> Any:
    """The same to nearest even, as if exponents were unbounded; then subnormals become zero."""
    bits = _rounded(size, exponent, BELOW_ALL, False)
    kept = i64(bits if bits >= MIN_NORMAL else ZERO)
    return i64(kept | i64(negative << SIGN))


@inline
def flush_single(bits: Any) -> Any:
    """A zero of the same sign for a subnormal number."""
    is_tiny = i64(bits & MAGNITUDE) < MIN_NORMAL
    return i64(i64(bits & NEGATIVE_ZERO) if is_tiny else bits)


@inline
def significand(size: Any) -> Any:
    """The significand of magnitude bits, as an integer of up to 24 bits."""
    return i64(i64(size & FRACTION) | i64(i64(size >= MIN_NORMAL) << FIELD))


@inline
def exponent_of(size: Any) -> Any:
    """The exponent of the leading digit of magnitude bits; that of zero and subnormals is -126."""
    return i64(i64(max(i64(size >> FIELD), ONE)) - i64(127))


@inline
def add_single(x: Any, y: Any, is_odd: Any) -> Any:
    """The sum of x and y, rounded to nearest even or to odd. Each NaN is 0x7FC00000.

    An exact zero is +0, but -0 if both are.
    """
    size_x, size_y = i64(x & MAGNITUDE), i64(y & MAGNITUDE)
    is_swapped = size_y > size_x
    large, small = i64(y if is_swapped else x), i64(x if is_swapped else y)
    size, other = i64(large & MAGNITUDE), i64(small & MAGNITUDE)
    exponent = exponent_of(size)
    gap = i64(min(i64(exponent - exponent_of(other)), MAX_GAP))
    wide, narrow = i64(significand(size) << GUARD), i64(significand(other) << GUARD)
    # What is shifted out is kept as one bit in the last place: enough, so far below the digits.
    shifted = i64(narrow >> gap)
    jammed = i64(shifted | i64(i64(shifted << gap) != narrow))
    has_same_sign = i64(large ^ small) < NEGATIVE_ZERO
    total = i64(i64(wide + jammed) if has_same_sign else i64(wide - jammed))
    negative = i64(large >> SIGN)
    negative = i64(negative if total > ZERO else i64(i64(large & small) >> SIGN))
    place = i64(i64(exponent - FIELD) - GUARD)
    finite = round_single(negative, total, place, is_odd)
    is_nan = (size > INFINITY) | ((other == INFINITY) & (not has_same_sign))
    special = i64(NAN if is_nan else large)
    return i64(special if size >= INFINITY else finite)
