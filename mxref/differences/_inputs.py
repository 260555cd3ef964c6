"""Where two policies can part: structured inputs, as float32 bit patterns.

A conversion changes its answer at few places: where a scale rule steps, at the midpoints between
neighbouring values, at the ends of the ranges, and at what is not a number. The sets below hold
those places and their neighbours on both sides, in every binade, rather than a sample.

Everything is built from integers, so that no mode of the processor can change an input.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mxref.exact import element as exact_element
from mxref.exact.number import NumberClass, floor_log2
from mxref.formats import pow2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mxref.formats import BlockFormat, ElementFormat

__all__ = ["INF", "NAN", "SIGN", "blocks", "casts", "scale_casts"]

SIGN = 0x8000_0000
INF = 0x7F80_0000
NAN = 0x7FC0_0000
_ONE = 0x3F80_0000
_TWO = 0x4000_0000
# Quiet, negative, with a payload, signalling: a conversion may treat each in its own way.
_NANS = (NAN, NAN | SIGN, 0x7FE0_0000, 0xFFA0_0000)
_SPECIALS = (0, SIGN, INF, INF | SIGN, *_NANS)
_ROOT2 = Fraction(2**0.5)
# float32's log2 is one too high for up to 44 numbers below a power of two.
_NEAR = 64


def _bits_of(values: Iterable[Fraction]) -> NDArray[np.uint32]:
    """Bits of numbers from 0 to float32's largest, or of the float32 next below each."""
    out = []
    for value in values:
        exponent = max(-126, floor_log2(value)) if value else -126
        # Adding instead of or-ing lets the leading 1 raise the exponent field of normal numbers.
        out.append(((exponent + 126) << 23) + int(value // pow2(exponent - 23)))
    return np.array(out, dtype=np.uint32)


def _around(bits: NDArray[np.uint32], reach: int = 1) -> NDArray[np.uint32]:
    """Each positive number with as many neighbours on either side."""
    wide = bits.astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    return np.unique(np.clip(wide, 0, INF - 1)).astype(np.uint32)


def _both_signs(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return np.concatenate([bits, bits | np.uint32(SIGN)])


def _values(element: ElementFormat) -> list[Fraction]:
    """The magnitudes of the format, and one step beyond the largest."""
    numbers = (exact_element.decode(code, element) for code in range(element.sign_mask))
    finite = [n.magnitude for n in numbers if n.cls in (NumberClass.ZERO, NumberClass.FINITE)]
    return [*finite, 2 * finite[-1] - finite[-2]]


def _landmarks(element: ElementFormat) -> list[Fraction]:
    """The magnitudes of the format, and the numbers halfway between neighbours."""
    values = _values(element)
    return sorted({*values, *((low + high) / 2 for low, high in pairwise(values))})


def _significands(element: ElementFormat) -> NDArray[np.uint32]:
    """Mantissa fields at which some scale rule steps, with neighbours, and a grid of 1/64.

    FLOOR and CEIL step at 1, RCEIL at max, EVEN half a step of the element below 2, TOSA half a
    step beyond max, P3109 at 3/2, NEAREST_LOG at the square root of two; narrowing amax to
    bfloat16 or float16 moves a step by half of their last place. The grid serves rules that
    search.
    """
    top = element.max / pow2(element.emax)
    half_step = pow2(-element.mantissa_bits - 1)
    steps = [top, top + half_step, 2 - half_step, Fraction(3, 2), _ROOT2, Fraction(7, 4)]
    steps += [
        step + sign * pow2(-bits) for step in list(steps) for bits in (9, 12) for sign in (1, -1)
    ]
    steps += [2 - pow2(-9), 2 - pow2(-12), 1 + pow2(-9), 1 + pow2(-12)]
    steps += [1 + Fraction(i, 64) for i in range(64)]
    steps += [1 + pow2(-i) for i in range(1, 24)]
    near = [_around(_bits_of(s for s in steps if 1 <= s < 2))]
    near += [_around(_bits_of([s]), _NEAR) for s in (Fraction(1), top, 2 - pow2(-23))]
    found = np.concatenate(near)
    inside = found[(found >= _ONE) & (found < _TWO)]
    return np.unique(inside - np.uint32(_ONE))


def _subnormals() -> NDArray[np.uint32]:
    """Subnormal float32 numbers: the ends and the middle of each binade, and the first ones."""
    shapes = [
        near
        for shift in range(24)
        for start in (1 << shift, 3 << shift >> 1)
        for near in (start - 1, start, start + 1)
    ]
    return np.unique(np.clip([*shapes, *range(1, _NEAR)], 1, (1 << 23) - 1)).astype(np.uint32)


def _amaxes(element: ElementFormat) -> NDArray[np.uint32]:
    exponents = (np.arange(1, 255, dtype=np.uint32) << 23)[:, None]
    normal = (exponents | _significands(element)[None, :]).ravel()
    return np.concatenate([_subnormals(), normal])


def blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    """Return blocks, shape (n, k): one number and zeros, or two numbers and zeros.

    The first kind has each threshold of each scale rule in each binade of float32. In the second
    one number fixes the scale and the other visits the values and midpoints of the element
    format, at three scales, as well as every power of two.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> blocks(block_format("mxfp4")).shape[1]
    32
    """
    element, width = fmt.element, fmt.block_size
    amaxes = _amaxes(element)
    # No rule looks at signs; elements do, and two's complement has one more value below zero.
    negative = amaxes[np.isin(amaxes >> 23, (127, 253, 254))] | np.uint32(SIGN)
    rows = [np.concatenate([amaxes, negative, np.array(_SPECIALS, np.uint32)])[:, None]]
    landmarks = _landmarks(element)
    for exponent in (0, -127, 127 - element.emax):
        anchor = pow2(element.emax + exponent)
        inside = [v * pow2(exponent) for v in landmarks if v * pow2(exponent) <= anchor]
        near = _around(_bits_of(inside))
        rows.append(_pairs(anchor, near[near <= _bits_of([anchor])[0]]))
    powers = _bits_of(pow2(e) for e in range(-149, 128))
    for exponent in (element.emax, 127):
        small = powers[powers <= _bits_of([pow2(exponent)])[0]]
        rows.append(_pairs(pow2(exponent), small))
    specials = np.array(_SPECIALS, np.uint32)
    beside = np.stack([np.full(specials.size, _ONE, np.uint32), specials], axis=1)
    both = np.array([[INF, NAN], [INF | SIGN, NAN | SIGN]], np.uint32)
    rows += [beside, both]
    out = np.zeros((sum(len(r) for r in rows), width), np.uint32)
    row = 0
    for part in rows:
        used = min(part.shape[1], width)  # a block of one number has no place for a second
        out[row : row + len(part), :used] = part[:, :used]
        row += len(part)
    return out


def _pairs(anchor: Fraction, others: NDArray[np.uint32]) -> NDArray[np.uint32]:
    signed = _both_signs(others)
    return np.stack([np.full(signed.size, _bits_of([anchor])[0], np.uint32), signed], axis=1)


def casts(element: ElementFormat) -> NDArray[np.uint32]:
    """Return numbers for casts to an element format.

    Its values, its midpoints and their neighbours; powers of two; multiples of the largest value;
    what float32 cannot normalise; and what is no number.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> casts(element_format("e2m1")).dtype
    dtype('uint32')
    """
    landmarks = _landmarks(element)
    # So little beside a midpoint is lost in bfloat16 or float16, and the tie comes back.
    beside = [
        v + sign * pow2(floor_log2(v) - bits)
        for v in landmarks
        if v
        for bits in range(8, 14)
        for sign in (1, -1)
    ]
    beyond = [element.max * i for i in (2, 3, 64)] + [pow2(128) - pow2(104)]
    positive = np.concatenate(
        [
            _around(_bits_of(landmarks)),
            _bits_of([*beside, *beyond, *(pow2(e) for e in range(-149, 128))]),
            _subnormals(),
        ]
    )
    finite = _both_signs(np.unique(positive))
    return np.concatenate([finite, np.array(_SPECIALS, np.uint32)])


def scale_casts() -> NDArray[np.uint32]:
    """Return numbers for casts to E8M0: the ends and ties of each binade, both signs, specials."""
    shapes = _bits_of(
        [Fraction(1), Fraction(5, 4), _ROOT2, Fraction(3, 2), Fraction(7, 4), 2 - pow2(-23)]
    )
    fields = _around(shapes) - np.uint32(_ONE)
    fields = fields[fields < 1 << 23]
    exponents = (np.arange(1, 255, dtype=np.uint32) << 23)[:, None]
    positive = np.concatenate([(exponents | fields[None, :]).ravel(), _subnormals()])
    eighths = _around(_bits_of(pow2(-127) * Fraction(i, 16) for i in range(1, 48)))
    finite = _both_signs(np.unique(np.concatenate([positive, eighths[eighths > 0]])))
    return np.concatenate([finite, np.array(_SPECIALS, np.uint32)])
