"""What programs make of operands before the tensor cores see them.

Triton multiplies elements by their scales in bfloat16; torch wants one factor for a whole operand,
for each of its rows, or for each 128 of K.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from mxref.formats import ElementFormat
from mxref.kernels.sums_fused import ABSENT, Side

__all__ = [
    "bfloat16_codes",
    "bfloat16_side",
    "cut",
    "factors",
    "rounded_to_bfloat16",
    "row_scales",
    "scales_per",
]

Bytes = NDArray[np.uint8]
_BIAS = 127
_NAN_SCALE = 0xFF
_NAN, _INFINITY = 3, 4  # classes of a Side


def bfloat16_codes(
    codes: Bytes, scales: Bytes, fmt: ElementFormat, block: int
) -> NDArray[np.uint16]:
    """Return elements times scales as bfloat16 codes, the way `tl.dot_scaled` computes them.

    The product is rounded to nearest even, subnormals kept, and is infinite where it overflows.
    Scale code 0 multiplies by zero, since its bits are moved to where bfloat16 has its exponent.
    Scale code 255 gives NaN. The top exponent of E5M2, NaN and infinity, is read as of numbers.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> codes, scales = np.array([[0x3C, 0x7C]], np.uint8), np.array([[128]], np.uint8)
    >>> [hex(code) for code in bfloat16_codes(codes, scales, element_format("e5m2"), 32)[0]]
    ['0x4000', '0x4800']
    """
    spread = np.repeat(scales, block, axis=1)[:, : codes.shape[1]]
    return _products(fmt)[spread, codes]


@functools.cache
def _products(fmt: ElementFormat) -> NDArray[np.uint16]:
    """The bfloat16 code of every scale code (first index) and element code (second)."""
    codes = np.arange(256)
    field = (codes & (fmt.sign_mask - 1)) >> fmt.mantissa_bits
    hidden = np.where(field > 0, 1 << fmt.mantissa_bits, 0)
    size = (codes & ((1 << fmt.mantissa_bits) - 1)) + hidden
    units = np.where(codes & fmt.sign_mask, -size, size).astype(np.float64)
    values = np.ldexp(units, np.maximum(field, 1) - fmt.bias - fmt.mantissa_bits)
    magnitudes = codes & (fmt.sign_mask - 1)
    if fmt.inf_magnitude is None:
        values[np.isin(magnitudes, list(fmt.nan_magnitudes))] = np.nan
    scale = np.ldexp(1.0, codes - _BIAS)
    scale[0] = 0.0
    scale[_NAN_SCALE] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        # Exact: four significant bits or fewer, and float32 reaches down to 2^-149.
        exact = (scale[:, None] * values[None, :]).astype(np.float32)
    return rounded_to_bfloat16(exact.view(np.uint32))


def rounded_to_bfloat16(codes: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Return float32 codes rounded to bfloat16, to nearest even; a NaN is all ones but the sign.

    Examples
    --------
    >>> codes = np.array([0x3F808000, 0x3F818000, 0x7FFFFFFF], np.uint32)
    >>> [hex(code) for code in rounded_to_bfloat16(codes)]
    ['0x3f80', '0x3f82', '0x7fff']
    """
    tie = (codes >> np.uint32(16)) & np.uint32(1)
    is_nan = (codes & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    finite = np.where(is_nan, np.uint32(0), codes)
    rounded = (finite + np.uint32(0x7FFF) + tie) >> np.uint32(16)
    return np.where(is_nan, np.uint16(0x7FFF), rounded.astype(np.uint16))


def bfloat16_side(codes: NDArray[np.uint16]) -> Side:
    """Return bfloat16 codes as the operand of fused sums.

    Examples
    --------
    >>> side = bfloat16_side(np.array([[0x3FC0, 0x0001, 0x7F80]], np.uint16))
    >>> side.significands.tolist(), side.exponents[0, :2].tolist(), side.classes.tolist()
    ([[192, 1, 0]], [0, -126], [[1, 1, 4]])
    """
    significands, exponents, classes = _bfloat16_tables()
    found = classes[codes]
    has_specials = bool((found >= _NAN).any())
    return Side(significands[codes], exponents[codes], 7, found if has_specials else None)


@functools.cache
def _bfloat16_tables() -> tuple[NDArray[np.int16], NDArray[np.int16], Bytes]:
    codes = np.arange(1 << 16)
    field, mantissa, is_negative = codes >> 7 & 0xFF, codes & 0x7F, codes >> 15 == 1
    size = mantissa + np.where(field > 0, 0x80, 0)
    is_special = field == 0xFF
    size = np.where(is_special, 0, size)
    exponents = np.where(size > 0, np.maximum(field, 1) - _BIAS, ABSENT)
    classes = np.where(size > 0, np.where(is_negative, 2, 1), 0)
    infinite = np.where(is_negative, _INFINITY + 1, _INFINITY)
    classes = np.where(is_special, np.where(mantissa > 0, _NAN, infinite), classes)
    significands = np.where(is_negative, -size, size)
    return significands.astype(np.int16), exponents.astype(np.int16), classes.astype(np.uint8)


def cut(side: Side, start: int, stop: int) -> Side:
    """Return some items of every row of an operand."""
    items = slice(start, stop)
    classes = None if side.classes is None else side.classes[:, items]
    return Side(side.significands[:, items], side.exponents[:, items], side.fraction, classes)


# --- factors ---------------------------------------------------------------------------------


def factors(scales: Bytes) -> NDArray[np.float32]:
    """Return scale codes as float32 numbers; 255 is NaN.

    Examples
    --------
    >>> factors(np.array([128, 0, 255], np.uint8))
    array([2.000000e+00, 5.877472e-39,          nan], dtype=float32)
    """
    exponents = np.where(scales == _NAN_SCALE, 0, scales.astype(np.int32) - _BIAS)
    return np.where(scales == _NAN_SCALE, np.float32(np.nan), np.ldexp(np.float32(1), exponents))


def row_scales(scales: Bytes) -> Bytes | None:
    """Return the one scale code of each row, or None if some row has several.

    Examples
    --------
    >>> row_scales(np.array([[127, 127], [130, 130]], np.uint8))
    array([127, 130], dtype=uint8)
    """
    if scales.shape[1] == 0:
        return np.full(scales.shape[0], _BIAS, np.uint8)
    return scales[:, 0] if bool((scales == scales[:, :1]).all()) else None


def scales_per(scales: Bytes, block: int, k: int, unit: int) -> Bytes | None:
    """Return the one scale code of every `unit` items of K, or None if there is none.

    Examples
    --------
    >>> scales_per(np.array([[127, 127, 130]], np.uint8), 32, 96, 64)
    array([[127, 130]], dtype=uint8)
    """
    count = -(-k // unit)
    if block % unit == 0:
        return np.repeat(scales, block // unit, axis=1)[:, :count]
    if unit % block:
        return None
    group = unit // block
    filled = np.pad(scales, ((0, 0), (0, count * group - scales.shape[1])), mode="edge")
    grouped = filled.reshape(scales.shape[0], count, group)
    first = grouped[:, :, :1]
    return grouped[:, :, 0] if bool((grouped == first).all()) else None
