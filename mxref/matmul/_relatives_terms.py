"""NVFP4 and BDR operands as terms of an exact product.

An NVFP4 element is a multiple of 1/2 up to 6, an E4M3 scale has four significant bits: their
product is an integer of a byte, whose code is that of the element beside that of the significand.
What is left of the scale is a power of two, so that the machinery of MX does the rest; the global
scale is a factor behind the sum. A BDR element whose shift has no room beside it in a byte gets its
scale with each sub-block.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import ELEMENT_FORMATS
from mxref.matmul._digits import Integers, integers_from, integers_of
from mxref.matmul._relatives import RelativeSide
from mxref.matmul._terms import MINUS, PLUS, ZERO, Terms, classes_of

__all__ = ["bdr_integers", "folded_nvfp4", "terms_of"]

_BIAS, _NAN_SCALE, _E4M3_NAN, _SIGN = 127, 255, 0x7F, 0x80
_BYTE = 8
_CODES = 256
_SIGNIFICAND = 3  # bits of an E4M3 scale behind the point


def terms_of(side: RelativeSide) -> Terms | None:
    """Return an operand as terms; None if its rows have several scales that are no powers of two.

    Parameters
    ----------
    side : RelativeSide
    """
    if side.family == "mx":
        fmt = side.format
        element = fmt.element
        numbers, classes = integers_of(element), classes_of(element)
        return Terms(side.codes, side.scales, fmt.block_size, numbers, classes)
    if side.family == "nvfp4":
        return _nvfp4(side)
    if side.format.scale == "pow2":
        return _powers(side)
    return _one_factor(side)


# --- NVFP4 -----------------------------------------------------------------------------------


@cache
def folded_nvfp4() -> Integers:
    """Return the integers of an element times the significand of its scale, in units of 2^-4.

    The code is ``significand << 4 | element code``.

    Examples
    --------
    >>> folded_nvfp4().table[[0xF7, 0x89]].tolist()  # 6 * 15/8 and -0.5 * 8/8
    [180, -8]
    """
    element = integers_of(ELEMENT_FORMATS["e2m1"])
    table = np.outer(np.arange(16), element.table[:16]).reshape(-1)
    return integers_from(table, element.unit - _SIGNIFICAND, mask=0x07)


@cache
def _scale_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Of every E4M3 code its significand, moved up, and its exponent; the sign bit has no meaning.

    A scale of zero has the exponent of the subnormals.
    """
    codes = np.arange(_CODES) & 0x7F
    field, low = codes >> _SIGNIFICAND, codes & 7
    significands = np.where(field > 0, low + 8, low) << 4
    exponents = np.maximum(field, 1) - 7 + _BIAS
    exponents[codes == _E4M3_NAN] = _NAN_SCALE
    return significands.astype(np.uint8), exponents.astype(np.uint8)


def _nvfp4(side: RelativeSide) -> Terms:
    significands, exponents = _scale_tables()
    block = side.format.block_size
    high = np.repeat(significands[side.scales], block, axis=1)[:, : side.codes.shape[1]]
    codes = high | side.codes
    if side.has_signed_scales and (side.scales >= _SIGN).any():
        minus = (side.scales & np.uint8(_SIGN)) >> np.uint8(4)  # the sign bit of an element
        codes = codes ^ np.repeat(minus, block, axis=1)[:, : codes.shape[1]]
    numbers = folded_nvfp4()
    scales, factors, is_infinite = _factors(
        exponents[side.scales], np.asarray(side.global_scale, np.float32).reshape(1)
    )
    classes = _classes(numbers)
    return Terms(codes, scales, block, numbers, classes, factors, 0, is_infinite)


# --- BDR -------------------------------------------------------------------------------------


def _powers(side: RelativeSide) -> Terms | None:
    """Elements under powers of two."""
    fmt, codes = side.format, side.codes
    scales = side.scales.astype(np.int64)
    is_nan = side.scales == fmt.nan_scale
    block, shift = fmt.k1, 0
    if fmt.has_subscales:
        assert side.subscales is not None  # noqa: S101  # such a format has them
        shift = fmt.max_shift
        if fmt.code_bits + fmt.d2 <= _BYTE:
            high = (side.subscales << np.uint8(fmt.code_bits)).astype(np.uint8)
            codes = codes | np.repeat(high, fmt.k2, axis=1)[:, : codes.shape[1]]
        else:
            count = -(-codes.shape[1] // fmt.k2)
            scales = np.repeat(scales, fmt.k1 // fmt.k2, axis=1)[:, :count]
            scales = scales - side.subscales[:, :count]
            is_nan = np.repeat(is_nan, fmt.k1 // fmt.k2, axis=1)[:, :count]
            block, shift = fmt.k2, 0
    numbers = bdr_integers(fmt, shift)
    # As bytes from 0 to 254, which spans of 286 cannot all be: shifts by 31 under far scales.
    least = int(scales[~is_nan].min(initial=0))
    most = int(scales[~is_nan].max(initial=0))
    down = least if least < 0 else max(0, most - (_NAN_SCALE - 1))
    if most - down >= _NAN_SCALE:
        return None
    narrow = np.where(is_nan, _NAN_SCALE, scales - down).astype(np.uint8)
    lift = down + _BIAS - fmt.bias
    return Terms(codes, narrow, block, numbers, _classes(numbers), None, lift)


@cache
def bdr_integers(fmt: Any, shift: int) -> Integers:
    """Return the integers of a BDR format.

    Parameters
    ----------
    fmt : BDRFormat
    shift : int
        If not 0, the largest shift: a code has its own above the element, and elements under
        smaller ones are moved up.
    """
    codes = np.arange(_CODES)
    if fmt.float_element is not None:
        return integers_of(fmt.float_element)
    element = codes & (fmt.code_count - 1)
    is_negative = (element & fmt.sign_mask) != 0
    if fmt.element == "twos-complement":
        table = np.where(is_negative, element - fmt.code_count, element)
        mask = fmt.code_count - 1
    else:
        magnitude = element & (fmt.sign_mask - 1)
        table = np.where(is_negative, -magnitude, magnitude)
        mask = fmt.sign_mask - 1
    if shift:
        table = table << np.maximum(shift - (codes >> fmt.code_bits), 0)
    unit = 1 - fmt.m if fmt.scale == "pow2" else 0
    return integers_from(table, unit - shift, mask=mask)


def _one_factor(side: RelativeSide) -> Terms | None:
    """Elements of rows that have one float32 scale each; integer sub-scales multiply elements."""
    fmt = side.format
    rows, k = side.codes.shape
    given = np.asarray(side.scales, np.float32)
    if given.ndim == 2:
        if given.shape[1] > 1:
            return None
        given = given.reshape(-1)
    codes, numbers = side.codes, bdr_integers(fmt, 0)
    if fmt.has_subscales:
        assert side.subscales is not None  # noqa: S101  # such a format has them
        table = numbers.table
        most = max(abs(numbers.most), abs(numbers.least)) * fmt.max_subscale
        if fmt.subscale != "int" or most > 127:
            return None
        shared = np.repeat(side.subscales, fmt.k2, axis=1)[:, :k].astype(np.int8)
        codes = (table.astype(np.int8)[codes] * shared).view(np.uint8)
        numbers = integers_from(np.arange(_CODES).astype(np.uint8).view(np.int8), 0, mask=0xFF)
    element = fmt.float_element
    classes = _classes(numbers) if element is None else classes_of(element)
    plain = np.full((rows, 1 if k else 0), _BIAS, np.uint8)
    scales, factors, is_infinite = _factors(plain, given.reshape(-1))
    return Terms(codes, scales, max(k, 1), numbers, classes, factors, 0, is_infinite)


# --- both ------------------------------------------------------------------------------------


def _factors(
    scales: NDArray[np.uint8], given: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    """Scales and factors, where a factor that is NaN makes its row NaN, and which are infinite."""
    if (given == 1).all():
        return scales, None, None
    if np.isfinite(given).all():
        return scales, given, None
    every = np.broadcast_to(given, scales.shape[:1])
    scales = scales.copy()
    scales[np.isnan(every)] = _NAN_SCALE
    with np.errstate(invalid="ignore"):
        factors = np.where(np.isnan(every), 1, np.where(np.isinf(every), np.sign(every), every))
    return scales, factors.astype(np.float32), np.isinf(every)


def _classes(numbers: Integers) -> NDArray[np.uint8]:
    table = numbers.table
    return np.where(table > 0, PLUS, np.where(table < 0, MINUS, ZERO)).astype(np.uint8)
