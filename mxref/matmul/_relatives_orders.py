"""Sums in a named order of NVFP4 and BDR operands.

An order that scales operands starts from the values as `dequantize` gives them, in float32. One of
blocks takes elements and scales apart, and the global scales of NVFP4 last: the finished sum is
multiplied in float32 by their product, itself rounded to float32, and then the addend is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.matmul._digits import integers_of
from mxref.matmul._orders_operands import addend_values
from mxref.matmul._relatives import RelativeOperands, RelativeSide
from mxref.matmul._relatives_terms import bdr_integers
from mxref.matmul._terms import INFINITY, MINUS_INFINITY, NAN, classes_of

if TYPE_CHECKING:
    from mxref.matmul.orders import Order

__all__ = ["refusal", "sums"]

_HELD = 53  # bits of a float64 sum that is exact


class _Parts(NamedTuple):
    """An operand in blocks: elements and scales that are multiplied apart."""

    elements: NDArray[np.float64]
    scales: NDArray[np.float64]
    block: int
    bits: int
    """Of the largest element, in steps of the least."""


def refusal(order: Order, operands: RelativeOperands) -> str:
    """Say why an order has nothing to say of a product; empty if it has."""
    a, b = operands.a, operands.b
    if order.scales == "operands":
        return order.refusal_of(operands.k, max(operands.k, 1))
    if order.scales == "products":
        return (
            f"{order.name} scales each product exactly, which is defined for powers of two alone; "
            "take an order that scales operands, such as 'float32-sequential'"
        )
    for name, side in (("a", a), ("b", b)):
        if side.family == "bdr" and side.format.scale != "pow2":
            return (
                f"{order.name} multiplies the sum of each block with its scales, exactly, and "
                f"{name} is {side.name}, whose scales are float32 numbers; take an order that "
                "scales operands, such as 'float32-sequential'"
            )
    if _block(a) != _block(b):
        return (
            f"{order.name} sums block by block, and a has blocks of {_block(a)} and b of "
            f"{_block(b)}; expected one size"
        )
    if order.addend == "first" and operands.c is not None and _alpha(operands) != 1:
        return (
            f"{order.name} starts from the addend, and the global scales multiply the finished "
            "sum; expected global scales of 1, or an order without 'addend-first'"
        )
    bits = _bits(a) + _bits(b) + max(_block(a) - 1, 1).bit_length()
    if bits > _HELD:
        return (
            f"{order.name} sums a block exactly in {_HELD} bits, and blocks of {a.name} and "
            f"{b.name} need {bits}"
        )
    return order.refusal_of(operands.k, _block(a))


def sums(order: Order, operands: RelativeOperands) -> NDArray[Any]:
    """Sum a product of matrices."""
    from mxref.kernels import sums_orders

    c = addend_values(operands.c)
    if order.scales == "operands":
        a, b = operands.a.decode()[None], operands.b.decode()[None]
        one = [np.ones((side.shape[1], 1)) for side in (a, b)]
        sides = sums_orders.Sides(a, b, one[0], one[1], block=max(operands.k, 1), is_paired=False)
        return order.sum_sides(sides, operands.k, c)
    x, y = _parts(operands.a), _parts(operands.b)
    kind = np.float64 if order.within == "exact" else np.float32
    sides = sums_orders.Sides(
        *(x.elements.astype(kind)[None], y.elements.astype(kind)[None], x.scales, y.scales),
        block=x.block,
        is_paired=False,
        has_short_products=order.within != "exact",
    )
    alpha = _alpha(operands)
    if alpha == 1:
        return order.sum_sides(sides, operands.k, c)
    total = order.sum_sides(sides, operands.k, None)
    kind_of = total.dtype
    with np.errstate(all="ignore"):
        total = (total.astype(np.float32) * alpha).astype(kind_of)
        if c is not None:
            total = (total.astype(np.float32) + c.astype(kind_of).astype(np.float32)).astype(
                kind_of
            )
    return np.asarray(total)


def _alpha(operands: RelativeOperands) -> np.float32:
    with np.errstate(all="ignore"):
        return np.float32(operands.a.global_scale * operands.b.global_scale)


def _block(side: RelativeSide) -> int:
    return int(side.format.k1 if side.family == "bdr" else side.format.block_size)


def _bits(side: RelativeSide) -> int:
    if side.family == "bdr":
        return int(side.format.m) + 1 + int(side.format.max_shift)
    numbers = integers_of(side.format.element)
    return max(numbers.most, -numbers.least).bit_length()


def _parts(side: RelativeSide) -> _Parts:
    block, k = _block(side), side.codes.shape[1]
    if side.family == "bdr":
        fmt = side.format
        numbers = bdr_integers(fmt, 0)
        elements = np.ldexp(numbers.table[side.codes].astype(np.float64), numbers.unit)
        if side.subscales is not None:
            shifts = np.repeat(side.subscales, fmt.k2, axis=1)[:, :k].astype(np.int64)
            elements = np.ldexp(elements, -shifts)
        scales = np.ldexp(1.0, side.scales.astype(np.int64) - fmt.bias)
        scales[side.scales == fmt.nan_scale] = np.nan
        return _Parts(elements, scales, block, _bits(side))
    element = integers_of(side.format.element)
    values = np.ldexp(element.table.astype(np.float64), element.unit)
    classes = classes_of(side.format.element)
    values[classes == NAN] = np.nan
    values[classes == INFINITY], values[classes == MINUS_INFINITY] = np.inf, -np.inf
    elements = values[side.codes]
    if side.family == "nvfp4":
        return _Parts(elements, _e4m3(side.scales), block, _bits(side))
    scales = np.ldexp(1.0, side.scales.astype(np.int64) - 127)
    scales[side.scales == 0xFF] = np.nan
    return _Parts(elements, scales, block, _bits(side))


def _e4m3(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Scales of NVFP4 as numbers; the sign bit has no meaning."""
    size = (codes & np.uint8(0x7F)).astype(np.int64)
    field, low = size >> 3, size & 7
    significands = np.where(field > 0, low + 8, low).astype(np.float64)
    values = np.asarray(np.ldexp(significands, np.maximum(field, 1) - 10), np.float64)
    values[size == 0x7F] = np.nan
    return values
