"""Faults of the dot product: scales dropped or misplaced, padding, narrow sums, mixed operands.

Notes
-----
A faultless dot product is a row of steps (decode, count, multiply, scale, sum, round), and a fault
is one step exchanged for another. All of it is integers: a term counts units of 2^-294, since two
elements and two scales make nothing finer. A NaN or an infinity is a float instead. So the output
of each fault is the same on every machine.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.faults._implementation import Implementation
from mxref.faults._sums import (
    ELEMENT_UNIT,
    FLOAT32,
    Narrow,
    Sum,
    Term,
    added,
    aligned,
    exact,
    in_blocks,
    in_pairs,
    one_by_one,
    to_float32,
)
from mxref.faults.decode import element_table
from mxref.formats import BlockFormat, ElementFormat, Kind

__all__ = ["NOT_EXPRESSIBLE", "correct_dot", "dot_models"]

Bytes = NDArray[np.uint8]
Scales = list[int]
Table = tuple[Term, ...]

NOT_EXPRESSIBLE: Mapping[str, str] = MappingProxyType(
    {
        "G2": "MX has no scale of the whole tensor: dropping a factor of 1 changes nothing.",
        "G7": "A dot product ends in float32, before any later operation and any output scale.",
    }
)
"""Faults of matrix products that no dot product of MX blocks can show, and why."""

_NAN_SCALE = 0xFF
_ONE = 127
_BLOCK = 32

# Choices without a name in `Policy`, which has the exact sum only; the standard allows them.
_NARROWER = {"dot_precision": "narrower"}
_SCALE_PLACE = {"dot_scale_place": "rounded"}
_OUTPUT = {"dot_output": "other"}


# --- the faultless steps ---------------------------------------------------------------------


def _units(values: Iterable[float]) -> Table:
    return tuple(
        int(math.ldexp(value, ELEMENT_UNIT)) if math.isfinite(value) else value for value in values
    )


@functools.cache
def _table(fmt: ElementFormat) -> Table:
    return _units(element_table(fmt).tolist())


def _product(x: Term, y: Term) -> Term:
    if isinstance(x, int) and isinstance(y, int):
        return x * y
    return math.nan if x == 0 or y == 0 else float(_sign(x) * _sign(y))


def _sign(x: Term) -> float:
    """The sign of a number; infinity and NaN stay what they are."""
    return x if isinstance(x, float) else float((x > 0) - (x < 0))


def _scaled(products: list[Term], scale_a: int, scale_b: int) -> list[Term]:
    if _NAN_SCALE in (scale_a, scale_b):
        return [math.nan]
    return [_shifted(p, scale_a + scale_b) for p in products]


def _shifted(product: Term, bits: int) -> Term:
    return product << bits if isinstance(product, int) else product


@dataclass(frozen=True)
class _Dot:
    """A dot product as steps, each of which a fault may replace.

    Attributes
    ----------
    table_a, table_b : tuple of Term
        The value of every code, in units of 2^-20.
    count : callable
        How many elements count, of k and the number of blocks.
    product : callable
        The product of two elements.
    left_out : int or None
        A lane whose products are not summed.
    scales : callable
        Which two scale codes apply, of those of a, those of b, and the index of the block.
    scaled : callable
        The products of one block under two scale codes.
    poisoned : callable
        Whether the result is NaN whatever the elements are, of all scales and the last block + 1.
    total : callable
        The sum of terms, given by block.
    """

    table_a: Table
    table_b: Table
    count: Callable[[int, int], int] = lambda k, _: k
    product: Callable[[Term, Term], Term] = _product
    left_out: int | None = None
    scales: Callable[[Scales, Scales, int], tuple[int, int]] = lambda a, b, j: (a[j], b[j])
    scaled: Callable[[list[Term], int, int], list[Term]] = _scaled
    poisoned: Callable[[Scales], bool] = lambda _: False
    total: Sum = exact

    def __call__(
        self, k: int, scales_a: Bytes, codes_a: Bytes, scales_b: Bytes, codes_b: Bytes
    ) -> np.float32:
        all_a, all_b = scales_a.tolist(), scales_b.tolist()
        if self.poisoned([*all_a, *all_b]):
            return np.float32(np.nan)
        size = self.count(k, len(all_a))
        pairs = list(zip(codes_a[:size].tolist(), codes_b[:size].tolist(), strict=True))
        blocks = []
        for block, first in enumerate(range(0, size, _BLOCK)):
            products = [
                self.product(self.table_a[a], self.table_b[b])
                for lane, (a, b) in enumerate(pairs[first : first + _BLOCK])
                if lane != self.left_out
            ]
            blocks.append(self.scaled(products, *self.scales(all_a, all_b, block)))
        return to_float32(self.total(blocks))


def correct_dot(fmt_a: BlockFormat, fmt_b: BlockFormat) -> Callable[..., np.float32]:
    """Return the faultless dot product: the exact sum, rounded once.

    Parameters
    ----------
    fmt_a, fmt_b : BlockFormat
        The formats of the operands, with blocks of 32.

    Returns
    -------
    callable
        ``dot(k, scales_a, codes_a, scales_b, codes_b) -> float32`` over arrays of uint8.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> dot = correct_dot(block_format("mxfp4"), block_format("mxfp4"))
    >>> codes, scales = np.full(32, 0x3, np.uint8), np.array([0x80], np.uint8)
    >>> dot(2, scales, codes, scales, codes)
    np.float32(18.0)
    """
    return _Dot(_table(fmt_a.element), _table(fmt_b.element))


# --- faults ----------------------------------------------------------------------------------

_Row = tuple[str, str, Mapping[str, Any], Mapping[str, str]]


def dot_models(fmt_a: BlockFormat, fmt_b: BlockFormat) -> tuple[Implementation, ...]:
    """Return every fault that can show in a dot product of two formats.

    Parameters
    ----------
    fmt_a, fmt_b : BlockFormat
        The formats of the operands, with blocks of 32.

    Returns
    -------
    tuple of Implementation
        Those with a `legal_change` are what the standard leaves open (MX-1.0/6.1/precision): they
        fall short of an exact sum and of nothing else.

    Notes
    -----
    G2 and G7 are missing; `NOT_EXPRESSIBLE` says why. OP-DOT-PRECISION, OP-DOT-GROUPING,
    OP-DOT-SCALE-PLACE, OP-DOT-OUTPUT, OP-DOT-MIXED-TYPES.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> models = dot_models(block_format("mxfp4"), block_format("mxint8"))
    >>> sorted({model.id for model in models})
    ['D1', 'D10', 'D8', 'D9', 'G1', 'G10', 'G3', 'G4', 'G5', 'G6', 'G8', 'G9']
    """
    right = _Dot(_table(fmt_a.element), _table(fmt_b.element))
    rows = itertools.chain(
        _of_scales(), _of_padding(), _of_sums(), _of_products(), _of_tables(fmt_a, fmt_b)
    )
    return tuple(
        Implementation(fault, detail, replace(right, **changes), legal)
        for fault, detail, changes, legal in rows
    )


def _of_scales() -> Iterator[_Row]:
    yield "G1", "no scales", {"scales": lambda *_: (_ONE, _ONE)}, {}
    yield "G1", "scales of a only", {"scales": lambda a, _, j: (a[j], _ONE)}, {}
    yield "G1", "scales of b only", {"scales": lambda _, b, j: (_ONE, b[j])}, {}
    yield "G3", "scales of the first block", {"scales": lambda a, b, _: (a[0], b[0])}, {}
    yield "G3", "first scale of a", {"scales": lambda a, b, j: (a[0], b[j])}, {}
    yield "G3", "first scale of b", {"scales": lambda a, b, j: (a[j], b[0])}, {}
    yield "G3", "scale of a twice", {"scales": lambda a, _, j: (a[j], a[j])}, {}
    yield "G3", "scale of b twice", {"scales": lambda _, b, j: (b[j], b[j])}, {}
    yield "G3", "NaN scale lost on zeros", {"scaled": _nan_scale_on_zeros}, {}
    yield "G3", "sum of exponents clamped", {"scaled": _clamped_exponents}, _SCALE_PLACE
    yield "G3", "sum of exponents wrapped", {"scaled": _wrapped_exponents}, _SCALE_PLACE
    yield "G3", "float32 product of scales", {"scaled": _rounded_scales}, _SCALE_PLACE
    yield "D9", "scale code 0 read as zero", {"scaled": _zero_scales}, _SCALE_PLACE
    yield "D10", "scale code ff read as 2^128", {"scaled": _no_nan_scales}, {}


def _of_padding() -> Iterator[_Row]:
    yield "G4", "all blocks count", {"count": lambda _, n: n * _BLOCK}, {}
    yield "G4", "the last block counts whole", {"count": lambda k, _: -(-k // _BLOCK) * _BLOCK}, {}
    yield "G4", "scale ff of padding poisons", {"poisoned": lambda s: _NAN_SCALE in s}, {}
    yield "G4", "part of a block is dropped", {"count": lambda k, _: k // _BLOCK * _BLOCK}, {}
    yield "G4", "one block only", {"count": lambda k, _: min(k, _BLOCK)}, {}


def _of_sums() -> Iterator[_Row]:
    for width in (10, 13, 14, 22):
        yield "G5", f"aligned to {width} bits", {"total": aligned(width)}, {}
    yield "G5", "aligned to 25 bits", {"total": aligned(25)}, _NARROWER
    yield "G5", "bfloat16", {"total": one_by_one(Narrow(8, -126, 127))}, {}
    yield "G5", "float16", {"total": one_by_one(Narrow(11, -14, 15))}, {}
    yield "G5", "float32, one by one", {"total": one_by_one(FLOAT32)}, _NARROWER
    yield "G5", "float32, in pairs", {"total": in_pairs(FLOAT32)}, _NARROWER
    yield "G5", "float32 across exact blocks", {"total": in_blocks(FLOAT32)}, _NARROWER
    toward_zero = Narrow(24, -126, 127, nearest=False)
    yield "G5", "exact, rounded toward zero", {"total": _then(toward_zero.rounded)}, _OUTPUT
    yield "G5", "exact, subnormals flushed", {"total": _then(_flushed)}, _OUTPUT
    yield "G8", "always zero", {"total": lambda _: 0}, {}
    yield "G10", "sum of magnitudes", {"total": _magnitudes}, {}


def _of_products() -> Iterator[_Row]:
    for lane in (0, 15, 16, 31):
        yield "G9", f"lane {lane} left out", {"left_out": lane}, {}


def _of_tables(fmt_a: BlockFormat, fmt_b: BlockFormat) -> Iterator[_Row]:
    a, b = fmt_a.element, fmt_b.element
    for side, fmt in (("a", a), ("b", b)):
        for fault, detail, table in _wrong_tables(fmt):
            yield fault, f"{detail}, in {side}", {f"table_{side}": table}, {}
    if a.inf_magnitude is not None or b.inf_magnitude is not None:
        yield "G11", "Inf times zero is zero", {"product": _quiet_product}, {}
        yield "G11", "Inf minus Inf is Inf", {"total": _quiet_sum}, {}
    if Kind.FLOAT is a.kind is b.kind:
        least = [int(math.ldexp(float(f.min_normal or 0), ELEMENT_UNIT)) for f in (a, b)]
        flush = {"product": functools.partial(_flushing_product, least[0], least[1])}
        yield "D8", "products of two subnormals flushed", flush, {}
    if a != b:
        yield "G6", "b read in the format of a", {"table_b": _seen_as(a, b)}, {}
        yield "G6", "a read in the format of b", {"table_a": _seen_as(b, a)}, {}
        swapped = {"table_a": _seen_as(b, a), "table_b": _seen_as(a, b)}
        yield "G6", "formats exchanged", swapped, {}


# --- wrong scales ----------------------------------------------------------------------------


def _nan_scale_on_zeros(products: list[Term], scale_a: int, scale_b: int) -> list[Term]:
    if _NAN_SCALE in (scale_a, scale_b):
        return [math.nan if product else 0 for product in products]
    return _scaled(products, scale_a, scale_b)


def _with_exponent(code: Callable[[int], int]) -> Callable[[list[Term], int, int], list[Term]]:
    """One scale code in place of the two, from the sum of their exponents, biased once."""

    def scaled(products: list[Term], scale_a: int, scale_b: int) -> list[Term]:
        if _NAN_SCALE in (scale_a, scale_b):
            return [math.nan]
        return _scaled(products, code(scale_a + scale_b - _ONE), _ONE)

    return scaled


_clamped_exponents = _with_exponent(lambda code: min(max(code, 0), 0xFE))
# Eight bits hold ff as well, which is NaN.
_wrapped_exponents = _with_exponent(lambda code: code & 0xFF)


def _rounded_scales(products: list[Term], scale_a: int, scale_b: int) -> list[Term]:
    exponent = scale_a + scale_b - 2 * _ONE
    if _NAN_SCALE in (scale_a, scale_b) or FLOAT32.least_exponent - 23 <= exponent <= _ONE:
        return _scaled(products, scale_a, scale_b)
    factor = math.inf if exponent > _ONE else 0
    return [_product(product, factor) for product in products]


def _zero_scales(products: list[Term], scale_a: int, scale_b: int) -> list[Term]:
    if 0 in (scale_a, scale_b) and _NAN_SCALE not in (scale_a, scale_b):
        return [_product(product, 0) for product in products]
    return _scaled(products, scale_a, scale_b)


def _no_nan_scales(products: list[Term], scale_a: int, scale_b: int) -> list[Term]:
    return [_shifted(product, scale_a + scale_b) for product in products]


# --- wrong products and sums -----------------------------------------------------------------


def _quiet_product(x: Term, y: Term) -> Term:
    return 0 if x == 0 or y == 0 else _product(x, y)


def _flushing_product(least_x: int, least_y: int, x: Term, y: Term) -> Term:
    return 0 if abs(x) < least_x and abs(y) < least_y and x and y else _product(x, y)


def _quiet_sum(blocks: list[list[Term]]) -> Term:
    """The first infinity wins."""
    total: Term = 0
    for term in itertools.chain.from_iterable(blocks):
        total = total if math.inf in (total, -total) and not _is_nan(term) else added(total, term)
    return total


def _is_nan(term: Term) -> bool:
    return term != term  # noqa: PLR0124  # int or float


def _magnitudes(blocks: list[list[Term]]) -> Term:
    return exact([[abs(term) for term in block] for block in blocks])


def _then(last: Callable[[Term], Term]) -> Sum:
    return lambda blocks: last(exact(blocks))


def _flushed(total: Term) -> Term:
    rounded = FLOAT32.rounded(total)
    return 0 if isinstance(rounded, int) and abs(rounded) < FLOAT32.least_normal else rounded


# --- wrong tables ----------------------------------------------------------------------------


def _wrong_tables(fmt: ElementFormat) -> Iterator[tuple[str, str, Table]]:
    if fmt.kind is not Kind.FLOAT:
        return
    right = element_table(fmt)
    as_normal = _as_if_normal(fmt)
    magnitude = np.arange(fmt.code_count) & (fmt.sign_mask - 1)
    is_low = magnitude < 1 << fmt.mantissa_bits
    yield "D1", "exponent 0 read as normal", _units(np.where(is_low, as_normal, right).tolist())
    yield "D8", "subnormals flushed", _units(np.where(is_low, 0.0, right).tolist())
    if fmt.nan_magnitudes:
        is_nan = np.isin(magnitude, sorted(fmt.nan_magnitudes))
        yield "D3", "NaN read as a number", _units(np.where(is_nan, as_normal, right).tolist())
    if fmt.inf_magnitude is not None:
        is_inf = magnitude == fmt.inf_magnitude
        yield "D4", "Inf read as a number", _units(np.where(is_inf, as_normal, right).tolist())


def _as_if_normal(fmt: ElementFormat) -> NDArray[np.float64]:
    codes = np.arange(fmt.code_count)
    magnitude = codes & (fmt.sign_mask - 1)
    significand = (1 << fmt.mantissa_bits) + (magnitude & ((1 << fmt.mantissa_bits) - 1))
    exponent = (magnitude >> fmt.mantissa_bits) - fmt.bias - fmt.mantissa_bits
    signed = np.where(codes >= fmt.sign_mask, -1.0, 1.0) * significand
    return np.asarray(np.ldexp(signed, exponent), np.float64)


def _seen_as(reader: ElementFormat, written: ElementFormat) -> Table:
    """The table of one format for the codes of another: low bits, or zeros on top."""
    table = _table(reader)
    return tuple(table[code % reader.code_count] for code in range(written.code_count))
