"""What codes mean, as tables: their values, classes, and places on the line of values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mxref._inputs import SOURCE_OF
from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, pow2
from mxref.relatives.bdr_format import BDRFormat, Element
from mxref.relatives.nvfp4_format import NVFP4Format

__all__ = [
    "CLASSES",
    "FloatLine",
    "Line",
    "TableLine",
    "element_line",
    "float_line",
    "integer_line",
    "line_of",
]

# Of the exponent and of the mantissa.
_WIDTHS = {"float32": (8, 23), "float64": (11, 52), "float16": (5, 10), "bfloat16": (8, 7)}

CLASSES = ("zero", "subnormal", "normal", "max", "Inf", "NaN")
"""Classes of codes, in the order of the confusion table; ``max`` is the largest finite value."""

ZERO, SUBNORMAL, NORMAL, MAX, INF, NAN = range(len(CLASSES))


class Line(Protocol):
    """The values of a format in their order."""

    @property
    def bits(self) -> int:
        """Bits of a code."""

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """Names and widths of the fields of a code, the most significant first."""

    def values(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return what codes mean, exactly; NaN and infinities as such."""

    def classes(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the class of each code, an index of `CLASSES`."""

    def signs(self, codes: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which codes have a sign bit that is set."""

    def distances(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
        """Return how many values lie between codes, one of the two included; both finite."""


@dataclass(frozen=True, slots=True, eq=False)
class TableLine:
    """A format of at most 8 bits, as tables of 256 entries."""

    bits: int
    fields: tuple[tuple[str, int], ...]
    of_code: NDArray[np.float64]
    class_of: NDArray[np.uint8]
    sign_mask: int
    sorted: NDArray[np.float64]
    place_of: NDArray[np.int64]

    def values(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return what codes mean."""
        values: NDArray[np.float64] = self.of_code[codes]
        return values

    def classes(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the class of each code."""
        classes: NDArray[np.uint8] = self.class_of[codes]
        return classes

    def signs(self, codes: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which codes have a sign bit that is set."""
        signs: NDArray[np.bool_] = (codes & np.uint8(self.sign_mask)) != 0
        return signs

    def distances(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the steps between codes."""
        steps: NDArray[np.int64] = np.abs(self.place_of[a] - self.place_of[b])
        return steps.astype(np.uint64)

    def nearest(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the places of numbers; of two that are equally near, the lower."""
        middles = (self.sorted[1:] + self.sorted[:-1]) / 2
        zero = int(np.searchsorted(self.sorted, 0.0))
        return np.searchsorted(middles, numbers) - zero


def _table(
    numbers: list[Number],
    bits: int,
    fields: tuple[tuple[str, int], ...],
    sign_mask: int,
    top: Fraction,
    min_normal: Fraction | None = None,
) -> TableLine:
    values = np.full(256, np.nan)
    classes = np.full(256, NAN, np.uint8)
    for code, number in enumerate(numbers):
        if number.cls is NumberClass.NAN:
            continue
        if number.cls is NumberClass.INF:
            values[code], classes[code] = (-np.inf if number.sign else np.inf), INF
        elif number.cls is NumberClass.ZERO:
            values[code], classes[code] = 0.0, ZERO
        else:
            values[code] = float(number.value)
            is_small = min_normal is not None and number.magnitude < min_normal
            is_top = number.magnitude >= top  # INT8 has one more below zero
            classes[code] = MAX if is_top else SUBNORMAL if is_small else NORMAL
    ordered = np.unique(values[np.isfinite(values)])
    zero = int(np.searchsorted(ordered, 0.0))
    places = np.searchsorted(ordered, np.where(np.isfinite(values), values, 0.0)) - zero
    return TableLine(bits, fields, values, classes, sign_mask, ordered, places)


@cache
def element_line(fmt: ElementFormat | ScaleFormat) -> TableLine:
    """Return the line of an element format, or of E8M0.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> line = element_line(ELEMENT_FORMATS["e2m1"])
    >>> codes = np.arange(16, dtype=np.uint8)
    >>> line.values(codes)[:8].tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    >>> line.distances(codes[:1], codes[8:9]).tolist(), CLASSES[line.classes(codes)[15]]
    ([0], 'max')
    """
    from mxref.show._facts import bit_fields

    fields = tuple((name, len(text)) for name, text in bit_fields(0, fmt))
    codes = range(fmt.code_count)
    if isinstance(fmt, ScaleFormat):
        numbers = [exact_scale.decode(c, fmt) for c in codes]
        return _table(numbers, fmt.bits, fields, 0, pow2(fmt.emax))
    numbers = [exact_element.decode(c, fmt) for c in codes]
    return _table(numbers, fmt.bits, fields, fmt.sign_mask, fmt.max, fmt.min_normal)


@cache
def integer_line(fmt: BDRFormat) -> TableLine:
    """Return the line of the integer elements of a BDR format, before any scale."""
    numbers = []
    low_mask = fmt.sign_mask - 1
    for code in range(fmt.code_count):
        low, sign = code & low_mask, int(code & fmt.sign_mask != 0)
        if fmt.element is Element.TWOS_COMPLEMENT:
            integer = low - fmt.sign_mask if sign else low
        else:
            integer = -low if sign else low
        if integer == 0:
            numbers.append(Number.zero(sign))
        else:
            numbers.append(Number.finite(integer * fmt.step))
    fields = (("sign", 1), ("integer", fmt.m))
    return _table(numbers, fmt.code_bits, fields, fmt.sign_mask, fmt.largest)


def line_of(fmt: BlockFormat | NVFP4Format | BDRFormat) -> TableLine:
    """Return the line of the elements of a block format, before any scale.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> line_of(BDR_FORMATS["mx6"]).fields
    (('sign', 1), ('integer', 4))
    """
    if not isinstance(fmt, BDRFormat):
        return element_line(fmt.element)
    return integer_line(fmt) if fmt.float_element is None else element_line(fmt.float_element)


@dataclass(frozen=True, slots=True)
class FloatLine:
    """A floating-point type of NumPy or ml_dtypes, by its bits."""

    bits: int
    fields: tuple[tuple[str, int], ...]
    dtype: np.dtype[Any]
    inf: int

    def _magnitudes(self, codes: NDArray[Any]) -> NDArray[np.uint64]:
        return codes.astype(np.uint64) & np.uint64((1 << (self.bits - 1)) - 1)

    def values(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return what bit patterns mean."""
        with np.errstate(invalid="ignore"):  # a signalling NaN
            return codes.view(self.dtype).astype(np.float64)

    def classes(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the class of each bit pattern."""
        size = self._magnitudes(codes)
        smallest = 1 << self.fields[2][1]
        found = np.full(codes.shape, NORMAL, np.uint8)
        for is_it, name in (
            (size < smallest, SUBNORMAL),
            (size == 0, ZERO),
            (size == self.inf - 1, MAX),
            (size == self.inf, INF),
            (size > self.inf, NAN),
        ):
            found[is_it] = name
        return found

    def signs(self, codes: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which bit patterns have a sign bit that is set."""
        signs: NDArray[np.bool_] = (codes >> np.asarray(self.bits - 1, codes.dtype)) != 0
        return signs

    def distances(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the steps between bit patterns."""
        x, y = self._magnitudes(a), self._magnitudes(b)
        return np.where(self.signs(a) == self.signs(b), np.maximum(x, y) - np.minimum(x, y), x + y)


@cache
def float_line(dtype: np.dtype[Any]) -> FloatLine:
    """Return the line of float64, float32, float16 or bfloat16.

    Examples
    --------
    >>> line = float_line(np.dtype(np.float32))
    >>> ends = np.array([0.0, -0.0, 1e-45, 3.4028235e38], np.float32).view(np.uint32)
    >>> [CLASSES[c] for c in line.classes(ends)], line.distances(ends[1:2], ends[2:3]).tolist()
    (['zero', 'zero', 'subnormal', 'max'], [1])
    """
    exponent, mantissa = _WIDTHS[SOURCE_OF[dtype]]
    fields = (("sign", 1), ("exponent", exponent), ("mantissa", mantissa))
    return FloatLine(1 + exponent + mantissa, fields, dtype, ((1 << exponent) - 1) << mantissa)
