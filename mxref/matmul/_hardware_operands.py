"""Operands as hardware sees them: significands and stored exponents, scales where they belong.

An instruction with block scales adds them to the exponents of its products (`scaled_side`). One
without can still be fed: each element times its scale, exactly, as a number of a wider type
(`converted_side`).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.kernels.sums_fused import ABSENT, Side, look_up

__all__ = [
    "BFLOAT16",
    "E4M3",
    "FLOAT16",
    "Narrow",
    "converted_side",
    "first_misfit",
    "grouped_side",
    "scaled_side",
    "unscaled_side",
]

Bytes = NDArray[np.uint8]
Shorts = NDArray[np.int16]
_ZERO, _POSITIVE, _NEGATIVE, _NAN, _INFINITY = range(5)
_NAN_SCALE = 0xFF
_BIAS = 127


class Narrow(NamedTuple):
    """A floating-point type to which elements are converted."""

    name: str
    precision: int
    least: int
    most: int

    @property
    def lowest(self) -> int:
        """Exponent of the least subnormal number."""
        return self.least - (self.precision - 1)


BFLOAT16 = Narrow("bfloat16", 8, -126, 127)
FLOAT16 = Narrow("float16", 11, -14, 15)
E4M3 = Narrow("E4M3", 4, -6, 8)


class _Table(NamedTuple):
    """One row for each byte."""

    significands: Shorts
    exponents: Shorts
    classes: Bytes
    fraction: int


@functools.cache
def _element_table(fmt: ElementFormat) -> _Table:
    """Elements with their stored exponents; an integer has the exponent 0."""
    codes = np.arange(256)
    size = codes & (fmt.sign_mask - 1)
    is_negative = (codes & fmt.sign_mask) != 0
    if fmt.kind is Kind.FIXED:
        value = codes.astype(np.uint8).view(np.int8).astype(np.int16)
        exponents = np.zeros(256, np.int16)
    else:
        field = size >> fmt.mantissa_bits
        hidden = np.where(field > 0, 1 << fmt.mantissa_bits, 0)
        magnitude = (size & ((1 << fmt.mantissa_bits) - 1)) + hidden
        value = np.where(is_negative, -magnitude, magnitude).astype(np.int16)
        exponents = (np.maximum(field, 1) - fmt.bias).astype(np.int16)
    classes = np.where(value > 0, _POSITIVE, np.where(value < 0, _NEGATIVE, _ZERO))
    classes[np.isin(size, list(fmt.nan_magnitudes))] = _NAN
    if fmt.inf_magnitude is not None:
        classes[size == fmt.inf_magnitude] = _INFINITY
        classes[(size == fmt.inf_magnitude) & is_negative] = _INFINITY + 1
    value[classes >= _NAN] = 0
    return _Table(value, exponents, classes.astype(np.uint8), fmt.mantissa_bits)


@functools.cache
def _normal_table(fmt: ElementFormat, precision: int) -> _Table:
    """The same elements, normalised to a number of significant bits."""
    plain = _element_table(fmt)
    size = np.abs(plain.significands.astype(np.int64))
    length = np.array([int(s).bit_length() for s in size])
    left = np.where(size > 0, precision - length, 0)
    significands = plain.significands.astype(np.int64) << np.maximum(left, 0)
    exponents = plain.exponents + np.where(size > 0, length - 1 - plain.fraction, 0)
    narrow = (significands.astype(np.int16), exponents.astype(np.int16))
    return _Table(*narrow, plain.classes, precision - 1)


def _side(
    codes: Bytes, scales: Bytes | None, table: _Table, fmt: BlockFormat, zero: int = ABSENT
) -> Side:
    """Look up, add the scales to the exponents, and say where specials are."""
    if scales is None:
        scales = np.full((codes.shape[0], -(-codes.shape[1] // fmt.block_size)), _BIAS, np.uint8)
    of_codes = np.where(table.classes == _ZERO, zero, table.exponents).astype(np.int16)
    of_codes[table.classes >= _NAN] = ABSENT
    significands, exponents = look_up(codes, scales, fmt.block_size, table.significands, of_codes)
    has_nan_scale = bool((scales == _NAN_SCALE).any())
    magnitudes = codes & np.uint8(fmt.element.sign_mask - 1)
    has_special = bool((magnitudes > fmt.element.max_magnitude).any())
    classes: Bytes | None = None
    if has_special or has_nan_scale:
        classes = table.classes[codes]
    if classes is not None and has_nan_scale:
        is_nan = np.repeat(scales == _NAN_SCALE, fmt.block_size, axis=1)[:, : codes.shape[1]]
        classes[is_nan] = _NAN
        significands[is_nan] = 0
        exponents[is_nan] = ABSENT
    return Side(significands, exponents, table.fraction, classes)


def unscaled_side(codes: Bytes, fmt: BlockFormat) -> Side:
    """Return elements as they are, without their scales.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> side = unscaled_side(np.array([[0x38, 0x01]], np.uint8), block_format("mxfp8_e4m3"))
    >>> side.significands, side.exponents, side.fraction
    (array([[8, 1]], dtype=int16), array([[ 0, -6]], dtype=int16), 3)
    """
    return _side(codes, None, _element_table(fmt.element), fmt)


def scaled_side(codes: Bytes, scales: Bytes, fmt: BlockFormat, zero: int = ABSENT) -> Side:
    """Return elements with their scales added to their exponents.

    Parameters
    ----------
    codes : uint8 array, shape (rows, K)
    scales : uint8 array, shape (rows, blocks)
    fmt : BlockFormat
    zero : int, optional
        The exponent that a zero has, before its scale is added; by default it takes no part in
        the search for the largest.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> codes, scales = np.array([[0x38, 0x01]], np.uint8), np.array([[130]], np.uint8)
    >>> scaled_side(codes, scales, block_format("mxfp8_e4m3")).exponents
    array([[ 3, -3]], dtype=int16)
    """
    return _side(codes, scales, _element_table(fmt.element), fmt, zero)


def grouped_side(codes: Bytes, scales: Bytes, fmt: BlockFormat, group: int) -> Side:
    """Return elements as integers, in groups that share the exponent of their scale.

    The format's values are multiples of its least one. Each block is a whole number of groups.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> codes, scales = np.full((1, 32), 0x7, np.uint8), np.array([[130]], np.uint8)
    >>> side = grouped_side(codes, scales, block_format("mxfp4"), 16)
    >>> side.significands[0, 0], side.fraction, side.exponents
    (np.int16(12), 1, array([[3, 3]], dtype=int16))
    """
    table = _element_table(fmt.element)
    lift = np.maximum(table.exponents - fmt.element.emin, 0)
    integers = (table.significands << lift).astype(np.int16)
    k = codes.shape[1]
    n_groups = -(-k // group)
    spread = np.repeat(scales, fmt.block_size // group, axis=1)[:, :n_groups]
    exponents = spread.astype(np.int16) - np.int16(_BIAS)
    significands, classes = integers[codes], table.classes[codes]
    is_nan = np.repeat(spread == _NAN_SCALE, group, axis=1)[:, :k]
    classes[is_nan] = _NAN
    has_specials = bool((classes >= _NAN).any())
    fraction = table.fraction - fmt.element.emin
    return Side(significands, exponents, fraction, classes if has_specials else None)


def converted_side(
    codes: Bytes, scales: Bytes | None, fmt: BlockFormat, narrow: Narrow
) -> tuple[Side, NDArray[np.bool_]]:
    """Return each element times its scale as a number of another type, and where that is wrong.

    Returns
    -------
    Side
    ndarray of bool, shape (rows, K)
        Where the product is no number of that type: too large, too small, or with bits below the
        last one.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> codes, scales = np.array([[0x3, 0x1]], np.uint8), np.array([[0]], np.uint8)
    >>> side, wrong = converted_side(codes, scales, block_format("mxfp4"), BFLOAT16)
    >>> side.significands, side.exponents, wrong
    (array([[96, 32]], dtype=int16), array([[-126, -126]], dtype=int16), array([[False, False]]))
    """
    side = _side(codes, scales, _normal_table(fmt.element, narrow.precision), fmt)
    if _fits(scales, fmt, narrow.least, narrow.most):
        return side, np.zeros(codes.shape, np.bool_)
    x = side.significands
    below = np.where(x != 0, np.clip(narrow.least - side.exponents, 0, 15), 0).astype(np.int16)
    size = np.abs(x) >> below
    wrong = ((size << below) != np.abs(x)) | ((x != 0) & (side.exponents > narrow.most))
    exponents = np.where(size != 0, np.maximum(side.exponents, narrow.least), side.exponents)
    exponents[size == 0] = ABSENT
    significands = np.where(x < 0, -size, size).astype(np.int16)
    return Side(significands, exponents, side.fraction, side.classes), wrong


def first_misfit(
    codes: Bytes, scales: Bytes, fmt: BlockFormat, narrow: Narrow
) -> tuple[int, int] | None:
    """Return where an element times its scale is no number of a type, or None.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> codes, scales = np.array([[0x38, 0x7E]], np.uint8), np.array([[140]], np.uint8)
    >>> first_misfit(codes, scales, block_format("mxfp8_e4m3"), FLOAT16)
    (0, 1)
    """
    if _element_precision(fmt.element) > narrow.precision:
        return (0, 0) if codes.size else None
    if _fits(scales, fmt, narrow.lowest, narrow.most):
        return None
    _, wrong = converted_side(codes, scales, fmt, narrow)
    if not wrong.any():
        return None
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return int(row), int(column)


def _fits(scales: Bytes | None, fmt: BlockFormat, lowest: int, most: int) -> bool:
    """Whether all that the format could hold under these scales lies within exponents."""
    used = np.array([_BIAS]) if scales is None else scales[scales != _NAN_SCALE]
    if not used.size:
        return True
    least = fmt.element.emin - fmt.element.mantissa_bits + int(used.min()) - _BIAS
    largest = fmt.element.emax + int(used.max()) - _BIAS + (fmt.element.kind is Kind.FIXED)
    return least >= lowest and largest <= most


def _element_precision(fmt: ElementFormat) -> int:
    return fmt.mantissa_bits + (2 if fmt.kind is Kind.FIXED else 1)
