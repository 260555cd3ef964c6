"""From codes to the numbers that a sum in a given order starts from.

Every number comes from a table of codes, so that none depends on the floating-point mode.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.arrays import dequantize
from mxref.formats import SCALE_FORMATS, BlockFormat, ElementFormat
from mxref.matmul._operands import Operands

__all__ = [
    "EXACT_MOST",
    "addend_values",
    "block_scales",
    "elements",
    "exact_parts",
    "has_short_products",
    "scaled",
]

Floats = NDArray[np.float64]

_E8M0 = SCALE_FORMATS["e8m0"]

_SPLIT = 16  # E5M2's elements are split where they reach 2**16 of their least
_HELD = 53  # bits of a float64 sum that is exact
_LEAST, _MOST = -149, 127  # float32: the least subnormal, and the largest exponent
EXACT_MOST = 1 << 16
"""The longest block whose exact sum the kernel of exact blocks holds."""


@functools.cache
def element_values(element: ElementFormat) -> Floats:
    """The value of every element code.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> element_values(element_format("e2m1"))[:8].tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """
    fmt = BlockFormat("table", element, _E8M0, 1)
    codes = np.arange(element.code_count, dtype=np.uint8)
    ones = np.full(codes.shape, _E8M0.bias, np.uint8)
    found = np.asarray(dequantize(codes, ones, fmt), np.float64)
    found.flags.writeable = False
    return found


@functools.cache
def scale_values() -> Floats:
    """The value of every scale code; NaN for 0xFF."""
    found = np.ldexp(1.0, np.arange(256) - _E8M0.bias)
    found[_E8M0.nan_code] = np.nan
    found.flags.writeable = False
    return found


@functools.cache
def _scaled_values(element: ElementFormat, *, is_single: bool) -> NDArray[Any]:
    """The value of every element code under every scale code, at ``scale code << 8 | code``."""
    if is_single:
        codes = np.tile(np.arange(256) % element.code_count, 256).astype(np.uint8)
        scales = np.repeat(np.arange(256), 256).astype(np.uint8)
        return dequantize(codes, scales, BlockFormat("table", element, _E8M0, 1))
    with np.errstate(invalid="ignore"):
        values = scale_values()[:, None] * np.resize(element_values(element), 256)
    return np.asarray(values.reshape(-1))


def scaled(operands: Operands, *, is_single: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both operands, each element times its scale: in float32, or float64, which holds them all."""
    sides = (
        (operands.a_codes, operands.a_scales, operands.a_format.element),
        (operands.b_codes, operands.b_scales, operands.b_format.element),
    )
    found = []
    for codes, scales, element in sides:
        shared = np.repeat(scales.astype(np.uint16) << 8, operands.block, axis=1)
        table = _scaled_values(element, is_single=is_single)
        found.append(np.take(table, shared[:, : codes.shape[1]] | codes)[None])
    return found[0], found[1]


def has_short_products(operands: Operands) -> bool:
    """Whether float32 holds the product of every two scaled elements that are finite."""
    low, high = 0, 0
    for scales, fmt in (
        (operands.a_scales, operands.a_format),
        (operands.b_scales, operands.b_format),
    ):
        if not scales.size or scales.max() == _E8M0.nan_code:
            return False
        least = int(np.log2(float(fmt.element.min_subnormal)))
        low += int(scales.min()) - _E8M0.bias + least
        high += int(scales.max()) - _E8M0.bias + fmt.element.emax + 1
    return low >= _LEAST and high <= _MOST


def elements(operands: Operands) -> tuple[NDArray[Any], NDArray[Any]]:
    """The elements of both operands, without their scales."""
    sides = (operands.a_codes, operands.a_format), (operands.b_codes, operands.b_format)
    a, b = (
        np.take(element_values(fmt.element).astype(np.float32), codes)[None] for codes, fmt in sides
    )
    return a, b


def block_scales(operands: Operands) -> tuple[Floats, Floats]:
    """The scales of both operands."""
    return np.take(scale_values(), operands.a_scales), np.take(scale_values(), operands.b_scales)


def exact_parts(operands: Operands) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """The elements of both operands, split so that float64 sums the products of a block exactly.

    Returns
    -------
    a, b : ndarray, shape (parts, rows, K)
        The smaller numbers first, each with zeros in place of the others.
    has_special : bool
        Whether there is one part more, for NaN and infinities: these and zeros as they are, and 1
        with its sign in place of every other number.
    """
    formats = (operands.a_format.element, operands.b_format.element)
    width = sum(_width(element) for element in formats) + max(operands.block - 1, 1).bit_length()
    is_split = width > _HELD
    tables = [_split(element) if is_split else element_values(element)[None] for element in formats]
    values = [element_values(element) for element in formats]
    codes = (operands.a_codes, operands.b_codes)
    has_special = is_split and any(
        not np.isfinite(table).all() and not np.isfinite(np.take(table, given)).all()
        for table, given in zip(values, codes, strict=True)
    )
    if has_special:
        marks = [np.where(np.isfinite(table), np.sign(table), table) for table in values]
        tables = [np.concatenate([t, mark[None]]) for t, mark in zip(tables, marks, strict=True)]
    a, b = (np.take(table, given, axis=1) for table, given in zip(tables, codes, strict=True))
    return a, b, has_special


def _width(element: ElementFormat) -> int:
    """The bits of the largest element, in steps of the least."""
    finite = np.nan_to_num(element_values(element), nan=0.0, posinf=0.0, neginf=0.0)
    return int(np.abs(finite).max() / float(element.min_subnormal)).bit_length()


def _split(element: ElementFormat) -> Floats:
    """The element values in two rows, small and large; one row where all are small."""
    finite = np.nan_to_num(element_values(element), nan=0.0, posinf=0.0, neginf=0.0)
    if _width(element) <= _SPLIT + 2:
        return finite[None]
    is_small = np.abs(finite) < float(element.min_subnormal) * 2**_SPLIT
    return np.stack([np.where(is_small, finite, 0.0), np.where(is_small, 0.0, finite)])


def addend_values(c: NDArray[Any] | None) -> NDArray[Any] | None:
    """The addend as float32 or float64, whatever the floating-point mode."""
    if c is None or c.dtype in (np.float32, np.float64):
        return c
    if c.dtype == np.float16:
        return c.astype(np.float32)
    words = np.ascontiguousarray(c).view(np.uint16).astype(np.uint32) << 16
    return words.view(np.float32)
