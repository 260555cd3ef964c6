"""What a format costs: bits to store, and what exact arithmetic on it would need.

No area is given: published area models are of designs that are not public, and the normalised
area-memory product of arXiv 2302.08007 cannot be recomputed from what is in print [unverified].
What is given follows from the format alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mxref.formats import BlockFormat, ElementFormat
from mxref.quality._formats import AnyFormat, any_format
from mxref.relatives.bdr_format import BDRFormat, ScaleKind, SubscaleKind

__all__ = ["Cost", "cost"]

_K = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What a format costs.

    Attributes
    ----------
    bits_per_element : Fraction
        Packed, with the shares of every scale but one for a whole tensor.
    block_accumulator_bits : int
        Width of the two's complement integer that holds the dot product of two blocks without
        rounding, scales left aside. Where one scale stands for a whole tensor, of 1024 elements.
    accumulator_bits : int
        Likewise for 1024 elements, with block scales of any size among them: all their exponents,
        since the sum is exact. Scales that are float32 numbers are left aside: such a dot product
        is scaled block by block in floating point, and this is the width for the widest block.
    multiplier_bits : int
        Product of the widths of two significands, hidden bits included, signs not: the partial
        products of one multiplication of elements.
    """

    bits_per_element: Fraction
    block_accumulator_bits: int
    accumulator_bits: int
    multiplier_bits: int


def cost(format: str | AnyFormat) -> Cost:  # noqa: A002
    """Return what a format costs.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> cost("mxfp4").bits_per_element, cost("mxfp4").block_accumulator_bits
    (Fraction(17, 4), 14)
    >>> cost("mx9").bits_per_element, cost("mx9").multiplier_bits
    (Fraction(9, 1), 49)
    """
    fmt = any_format(format)
    if isinstance(fmt, BlockFormat):
        bits = fmt.element.bits + Fraction(fmt.scale.bits, fmt.block_size)
        span = fmt.scale.emax - fmt.scale.emin
        most = _largest_integer(fmt.element)
        return _cost(bits, most, fmt.block_size, 2 * span, _significand(fmt.element))
    if isinstance(fmt, BDRFormat):
        return _of_bdr(fmt)
    scale = _largest_integer(fmt.scale)
    most = _largest_integer(fmt.element)
    block = fmt.block_size * most * most
    return Cost(
        fmt.bits_per_element,
        block.bit_length() + 1,
        (_K * (most * scale) ** 2).bit_length() + 1,
        _significand(fmt.element) ** 2,
    )


def _of_bdr(fmt: BDRFormat) -> Cost:
    element = fmt.float_element
    most = fmt.max_magnitude if element is None else _largest_integer(element)
    width = fmt.m if element is None else _significand(element)
    if fmt.subscale is SubscaleKind.POW2:
        most <<= fmt.max_shift
    elif fmt.subscale is SubscaleKind.INT:
        most *= fmt.max_subscale
    span = 2 * fmt.max_scale if fmt.scale is ScaleKind.POW2 else 0
    return _cost(fmt.bits_per_element, most, fmt.k1 or _K, span, width)


def _cost(bits: Fraction, most: int, block: int, span: int, significand: int) -> Cost:
    """`most`: largest element in units of the smallest; `span`: exponents of a scale product."""
    whole = max(_K, block)
    return Cost(
        bits,
        (block * most * most).bit_length() + 1,
        ((whole * most * most) << span).bit_length() + 1,
        significand * significand,
    )


def _largest_integer(element: ElementFormat) -> int:
    """Return the largest element in units of the smallest."""
    return int(element.max / element.min_subnormal)


def _significand(element: ElementFormat) -> int:
    return element.mantissa_bits + 1
