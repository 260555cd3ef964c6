"""Some accumulation models a second time, over integers, from what their documents say.

A sum counts units of 2^-286, as in `mxref.vectors.gemm.second`; a rounding is a shift. Slow and
short: the labels of the vectors are held against it, so that they do not rest on one program alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mxref.formats import BlockFormat, Kind
from mxref.vectors.driver import planes
from mxref.vectors.gemm.second import BLOCK, NAN_SCALE, TOTAL, UNIT, element_units, to_float32
from mxref.vectors.operations import Inputs

__all__ = ["SECOND", "second_output"]

Pair = tuple[BlockFormat, BlockFormat]
Total = int | float  # in units of 2^-286, or an infinity

_BIAS = 127


@dataclass(frozen=True, slots=True)
class _Product:
    """One product: its value, and the exponents of its factors as the operands store them."""

    value: int
    stored: int
    normal: int


# --- float32 and float64 ---------------------------------------------------------------------


def _rounded(total: Total, digits: int, least: int, most: int, *, nearest: bool = True) -> Total:
    """A sum with so many digits, none below 2^least, none of 2^most or more."""
    if isinstance(total, float):
        return total
    size = abs(total)
    step = max(size.bit_length() - digits, least + TOTAL, 0)
    count, rest = size >> step, size & ((1 << step) - 1)
    half = 1 << step >> 1
    if nearest and step and (rest > half or (rest == half and count & 1)):
        count += 1
    size = count << step
    if size >> (most + TOTAL):
        return math.copysign(math.inf, total)
    return -size if total < 0 else size


_single = functools.partial(_rounded, digits=24, least=-149, most=128)
_double = functools.partial(_rounded, digits=53, least=-1074, most=1024)


def _added(x: Total, y: Total) -> Total:
    if isinstance(x, int) and isinstance(y, int):
        return x + y
    return float(x) + float(y) if math.isinf(x) and math.isinf(y) else max(x, y, key=abs)


def _in_order(terms: Sequence[Total], rounding: Callable[[Total], Total]) -> Total:
    total: Total = 0
    for term in terms:
        total = rounding(_added(total, rounding(term)))
    return total


def _of_products(
    products: list[_Product], rounding: Callable[[Total], Total] = _single, step: int = 1
) -> Total:
    return _in_order([p.value for p in products][::step], rounding)


def _of_blocks(products: list[_Product]) -> Total:
    values = [p.value for p in products]
    return _in_order([sum(values[i : i + BLOCK]) for i in range(0, len(values), BLOCK)], _single)


# --- fused sums ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fused:
    """So many products and the running sum, cut off below the largest exponent, then rounded down.

    Attributes
    ----------
    terms, fraction : int
        Products of a step, and the bits kept below the largest exponent.
    digits : int
        Significant bits of the running sum.
    floor : int
        The least value that the largest exponent takes.
    is_normal : bool
        Whether the operands are converted first, so that subnormal elements have no part in it.
    """

    terms: int
    fraction: int
    digits: int = 24
    floor: int = -10_000
    is_normal: bool = False

    def __call__(self, products: list[_Product]) -> Total:
        total: Total = 0
        for first in range(0, len(products), self.terms):
            if isinstance(total, float):
                return total
            total = self._step(total, products[first : first + self.terms])
        return total

    def _step(self, total: int, products: list[_Product]) -> Total:
        held = [(p.value, p.normal if self.is_normal else p.stored) for p in products if p.value]
        if total:
            held.append((total, max(abs(total).bit_length() - 1 - TOTAL, -126)))
        if not held:
            return 0
        unit = max(self.floor, *(exponent for _, exponent in held)) - self.fraction + TOTAL
        whole = sum(_cut(value, unit) for value, _ in held)
        return _rounded(whole, self.digits, -126 - self.digits + 1, 128, nearest=False)


def _cut(value: int, unit: int) -> int:
    size = abs(value) >> unit << unit if unit > 0 else abs(value)
    return -size if value < 0 else size


SECOND: Mapping[str, Callable[[list[_Product]], Total]] = MappingProxyType(
    {
        "float32-sequential": _of_products,
        "float32-reversed": functools.partial(_of_products, step=-1),
        "float64-sequential": functools.partial(_of_products, rounding=_double),
        "ocp-fp32": _of_blocks,
        "nv-ampere-bf16": _Fused(8, 24, floor=-132, is_normal=True),
        "nv-ada-bf16": _Fused(8, 24, floor=-132, is_normal=True),
        "nv-hopper-bf16": _Fused(16, 25, is_normal=True),
        "nv-blackwell-bf16": _Fused(16, 25, is_normal=True),
        "nv-ada-fp8": _Fused(16, 13, 14),
        "nv-hopper-fp8": _Fused(32, 13, 14),
        "nv-blackwell-fp8": _Fused(32, 25),
        "nv-blackwell-mxf8f6f4": _Fused(32, 25, floor=-126),
    }
)
"""The models that are here, by name."""


# --- a whole case ----------------------------------------------------------------------------


def second_output(name: str, fmts: Pair, inputs: Inputs) -> tuple[int, ...] | None:
    """Return the bits of a product as a model gives them.

    None where an operand is no number, or the model is not here: then nothing is said.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> b = Inputs(None, (2, 3), scales=(0x7F,))
    >>> case = Inputs(None, (2, 2), scales=(0x80,), other=b, shape=(1, 1, 2))
    >>> [hex(bits) for bits in second_output("ocp-fp32", (block_format("mxfp4"),) * 2, case)]
    ['0x40a00000']
    """
    scales_a, codes_a, scales_b, codes_b = planes(inputs)
    if name not in SECOND or NAN_SCALE in scales_a or NAN_SCALE in scales_b:
        return None
    for fmt, codes in zip(fmts, (codes_a, codes_b), strict=True):
        units = element_units(fmt.element)
        if any(isinstance(units[code], float) for code in codes.flat):
            return None
    sides = [
        [_factors(fmt, *line) for line in zip(scales.tolist(), codes.tolist(), strict=True)]
        for fmt, scales, codes in zip(fmts, (scales_a, scales_b), (codes_a, codes_b), strict=True)
    ]
    rule = SECOND[name]
    return tuple(
        to_float32(rule([_product(x, y) for x, y in zip(a, b, strict=True)]))
        for a in sides[0]
        for b in sides[1]
    )


_Factor = tuple[int, int, int]  # units of 2^-16 without scale, scale code, stored exponent


def _factors(fmt: BlockFormat, scales: list[int], codes: list[int]) -> list[_Factor]:
    element = fmt.element
    least = element.emin if element.kind is Kind.FLOAT else -UNIT
    values = [int(element_units(element)[code]) for code in codes]
    return [
        (value, scales[place // BLOCK], max(abs(value).bit_length() - 1 - UNIT, least))
        for place, value in enumerate(values)
    ]


def _product(x: _Factor, y: _Factor) -> _Product:
    shift = x[1] + y[1]
    scale = shift - 2 * _BIAS
    normal = abs(x[0]).bit_length() + abs(y[0]).bit_length() - 2 - 2 * UNIT
    return _Product((x[0] * y[0]) << shift, x[2] + y[2] + scale, normal + scale)
