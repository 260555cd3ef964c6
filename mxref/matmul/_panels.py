"""Operands as integers, K-major, and the walk over a product in panels of limited size.

The models of AMD's and of specified accumulators read a value as a significand and an exponent. A
table holds both for each pair of a scale code and an element code, so that a scale costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.formats import ElementFormat, Kind
from mxref.matmul._operands import Operands

__all__ = [
    "INFINITE",
    "Fields",
    "OperandType",
    "Side",
    "Table",
    "element_integers",
    "first_not_held",
    "has_infinity",
    "held_table",
    "result_of",
]

INFINITE = 1 << 14
"""The significand that stands for an infinity in the kernels (`kernels.sums_amd.INFINITE`)."""

LANES = 32
PANEL = 256  # rows, and columns, whose operands are laid out at once,
ITEMS = 1 << 23  # unless K is so large that these are more operands than that
SIGN = -(1 << 31)
NAN_BITS, MIN_NORMAL, NAN_SCALE = 0x7FC00000, 0x00800000, 0xFF

Fields = tuple[NDArray[np.int16], NDArray[np.int16]]
Step = Callable[["Side", "Side", NDArray[np.uint32]], None]


class OperandType(NamedTuple):
    """The type in which an instruction takes its operands."""

    name: str
    digits: int
    """Of a significand, the leading one included."""
    emin: int
    """Exponent of the smallest normal number; subnormals go on below it."""
    emax: int
    has_infinity: bool
    is_flushed: bool = False
    """Whether the instruction reads subnormal operands as zero."""
    zero_exponent: int = -126
    """What stands for the exponent of zero when exponents are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What each code stands for, by ``scale code << 8 | element code``.

    Attributes
    ----------
    significands, exponents : ndarray of int16, shape (65536,)
        A value is ``significand * 2**(exponent - digits + 1)``. NaN is read as zero: `result_of`
        sees to it.
    is_held : ndarray of bool, shape (65536,)
        Whether the type has the value.
    """

    significands: NDArray[np.int16]
    exponents: NDArray[np.int16]
    is_held: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Some rows of one operand, laid out for a kernel.

    Attributes
    ----------
    fields : tuple of ndarray of int16, shape (K, rows)
        Significands and exponents; K is padded with zeros to whole groups.
    scales : ndarray of int16, shape (blocks, rows)
        Scale codes.
    """

    fields: Fields
    scales: NDArray[np.int16]

    def values(self, digits: int) -> NDArray[np.float32]:
        """The operands as float32, which holds each exactly, shape (K, rows).

        Those that are subnormal in float32 are put together from integers: a processor may be set
        to flush them.
        """
        significands, exponents = (field.astype(np.int32) for field in self.fields)
        values = np.ldexp(significands.astype(np.float64), exponents - (digits - 1))
        is_infinite = np.abs(significands) == INFINITE
        values[is_infinite] *= np.inf
        lowest = (exponents == -126) & ~is_infinite
        size = np.abs(significands[lowest]) << (24 - digits)  # a leading digit is the exponent's
        values[lowest] = 0
        result = values.astype(np.float32)
        result.view(np.int32)[lowest] = np.where(significands[lowest] < 0, size + SIGN, size)
        return result


@functools.cache
def element_integers(element: ElementFormat) -> tuple[list[int], int]:
    """Return each code as an integer, and the exponent of the place that it counts.

    Infinities and NaN are read as numbers, as hardware does that has no case for them.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> integers, place = element_integers(element_format("e2m1"))
    >>> [value * 2.0**place for value in integers[8:16]]
    [0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]
    """
    integers = []
    for code in range(element.code_count):
        magnitude = code & (element.sign_mask - 1)
        is_negative = code >= element.sign_mask
        if element.kind is Kind.FIXED:
            integers.append(code - element.code_count if is_negative else code)
            continue
        field = magnitude >> element.mantissa_bits
        fraction = magnitude & ((1 << element.mantissa_bits) - 1)
        size = (fraction | (1 << element.mantissa_bits)) << (field - 1) if field else fraction
        integers.append(-size if is_negative else size)
    return integers, element.emin - element.mantissa_bits


@functools.cache
def held_table(element: ElementFormat, operand: OperandType) -> Table:
    """Return what element times scale is in an operand type, and where the type has no such value.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> table = held_table(element_format("e2m1"), OperandType("float16", 11, -14, 15, True))
    >>> int(table.significands[127 << 8 | 1]), int(table.exponents[127 << 8 | 1])  # 0.5
    (1024, -1)
    >>> bool(table.is_held[140 << 8 | 7]), bool(table.is_held[141 << 8 | 7])  # 6 * 2**13 and 14
    (True, False)
    """
    significands = np.zeros((256, 256), np.int16)
    exponents = np.full((256, 256), operand.zero_exponent, np.int16)
    is_held = np.ones((256, 256), bool)
    integers, place = element_integers(element)
    for code, integer in enumerate(integers):
        magnitude = code & (element.sign_mask - 1)
        if magnitude in element.nan_magnitudes or integer == 0:
            continue
        if magnitude == element.inf_magnitude:
            significands[:NAN_SCALE, code] = INFINITE if integer > 0 else -INFINITE
            is_held[:NAN_SCALE, code] = operand.has_infinity
            continue
        size = abs(integer)
        for scale_code in range(NAN_SCALE):
            unit = place + scale_code - 127
            leading = unit + size.bit_length() - 1
            exponent = max(leading, operand.emin)
            shift = unit - (exponent - operand.digits + 1)
            significand = size << shift if shift >= 0 else size >> -shift
            is_exact = shift >= 0 or significand << -shift == size
            is_held[scale_code, code] = is_exact and leading <= operand.emax
            is_zero = operand.is_flushed and leading < operand.emin
            if is_held[scale_code, code] and not is_zero:
                significands[scale_code, code] = significand if integer > 0 else -significand
                exponents[scale_code, code] = exponent
    return Table(significands.ravel(), exponents.ravel(), is_held.ravel())


def _indices(operands: Operands, side: str, rows: slice) -> NDArray[np.uint16]:
    """Indices into a table, K-major: shape (K, rows)."""
    codes, scales = _side_of(operands, side)
    high = np.repeat(np.ascontiguousarray(scales[rows].T), operands.block, axis=0)
    index = high[: operands.k].astype(np.uint16) << np.uint16(8)
    index |= codes[rows].T
    return index


def _side_of(operands: Operands, side: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if side == "a":
        return operands.a_codes, operands.a_scales
    return operands.b_codes, operands.b_scales


def _panels(count: int, k: int) -> Iterator[slice]:
    fitting = ITEMS // max(k, 1) // LANES * LANES
    height = max(LANES, min(PANEL, fitting))
    for start in range(0, count, height):
        yield slice(start, min(count, start + height))


def first_not_held(operands: Operands, side: str, table: Table) -> tuple[int, int] | None:
    """Return (row, k) of the first operand that the type of the table lacks, if there is one."""
    codes, _ = _side_of(operands, side)
    for rows in _panels(codes.shape[0], operands.k):
        lacks = ~table.is_held[_indices(operands, side, rows)]
        if lacks.any():
            row, k = np.argwhere(lacks.T)[0].tolist()
            return rows.start + row, k
    return None


def _layout(
    operands: Operands, side: str, table: Table, rows: slice, group: int, width: int
) -> Side:
    index = _indices(operands, side, rows)
    depth = -(-operands.k // group) * group
    fields = []
    for column in (table.significands, table.exponents):
        field = np.full((depth, width), column[0], np.int16)  # code 0 under scale code 0 is zero
        field[: index.shape[0], : index.shape[1]] = column[index]
        fields.append(field)
    _, scale_codes = _side_of(operands, side)
    scales = np.zeros((scale_codes.shape[1], width), np.int16)
    scales[:, : index.shape[1]] = scale_codes[rows].T
    return Side((fields[0], fields[1]), scales)


def result_of(
    operands: Operands,
    tables: tuple[Table, Table],
    group: int,
    step: Step,
    *,
    is_element_nan: bool = True,
    is_addend_flushed: bool = False,
) -> NDArray[np.float32]:
    """Run a kernel over all panels of a product.

    Parameters
    ----------
    operands : Operands
        Its addend is rounded to float32, to nearest even.
    tables : (Table, Table)
        Of the left and of the right operand.
    group : int
        How many products a step sums. K is padded with zeros to a multiple.
    step : callable
        ``step(a, b, acc)`` adds to the float32 bits `acc`; rows are those of `a`, lanes those
        of `b`.
    is_element_nan : bool
        Whether an element that is NaN makes a NaN of the result; a scale always does.
    is_addend_flushed : bool
        Whether a subnormal addend is read as +0, and -0 too.
    """
    acc = np.zeros(operands.shape, np.float32)
    if operands.c is not None:
        with np.errstate(over="ignore"):  # what float32 cannot hold is an infinity
            acc[...] = operands.c
    bits = acc.view(np.uint32)
    if operands.k and bits.size:
        if is_addend_flushed:
            bits[bits & 0x7FFFFFFF < MIN_NORMAL] = 0
        if operands.is_paired:
            _run_paired(operands, tables, group, step, bits)
        else:
            _run_panels(operands, tables, group, step, bits)
        is_nan = [_nan_rows(operands, side, is_element_nan=is_element_nan) for side in "ab"]
        if operands.is_paired:
            bits[is_nan[0] | is_nan[1]] = NAN_BITS
        else:
            bits[is_nan[0], :] = NAN_BITS
            bits[:, is_nan[1]] = NAN_BITS
    bits[np.isnan(acc)] = NAN_BITS
    return acc


def _run_paired(
    operands: Operands,
    tables: tuple[Table, Table],
    group: int,
    step: Step,
    bits: NDArray[np.uint32],
) -> None:
    for rows in _panels(bits.shape[0], operands.k):
        count = rows.stop - rows.start
        width = -(-count // LANES) * LANES
        a = _layout(operands, "a", tables[0], rows, group, width)
        b = _layout(operands, "b", tables[1], rows, group, width)
        panel = np.zeros((1, width), np.uint32)
        panel[0, :count] = bits[rows]
        step(a, b, panel)
        bits[rows] = panel[0, :count]


def _run_panels(
    operands: Operands,
    tables: tuple[Table, Table],
    group: int,
    step: Step,
    bits: NDArray[np.uint32],
) -> None:
    # Lanes run over the longer side: products commute, so the sides may change places.
    few, many = (0, 1) if bits.shape[1] >= bits.shape[0] else (1, 0)
    target = bits if few == 0 else bits.T
    for columns in _panels(target.shape[1], operands.k):
        count = columns.stop - columns.start
        width = -(-count // LANES) * LANES
        right = _layout(operands, "ab"[many], tables[many], columns, group, width)
        for rows in _panels(target.shape[0], operands.k):
            height = rows.stop - rows.start
            left = _layout(operands, "ab"[few], tables[few], rows, group, height)
            panel = np.zeros((height, width), np.uint32)
            panel[:, :count] = target[rows, columns]
            step(left, right, panel)
            target[rows, columns] = panel[:, :count]


def _nan_rows(operands: Operands, side: str, *, is_element_nan: bool) -> NDArray[np.bool_]:
    codes, scales = _side_of(operands, side)
    found: NDArray[np.bool_] = (scales == NAN_SCALE).any(axis=1)
    element = (operands.a_format if side == "a" else operands.b_format).element
    if is_element_nan and element.has_nan:
        magnitudes = codes & np.uint8(element.sign_mask - 1)
        lowest = min(element.nan_magnitudes)  # they are the codes at the top
        found |= (magnitudes >= lowest).any(axis=1)
    return found


def has_infinity(operands: Operands) -> bool:
    """Return whether an element or the addend is infinite."""
    for side, fmt in (("a", operands.a_format), ("b", operands.b_format)):
        codes, _ = _side_of(operands, side)
        infinity = fmt.element.inf_magnitude
        if infinity is not None:
            magnitudes = codes & np.uint8(fmt.element.sign_mask - 1)
            if (magnitudes == infinity).any():
                return True
    return operands.c is not None and bool(np.isinf(operands.c).any())
