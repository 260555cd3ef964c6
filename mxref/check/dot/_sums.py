"""Models of accumulators: in which width, order and grouping a dot product is summed.

MX-1.0/6.1/precision leaves all of it open, so that most are legal choices; each has a name that a
report can give. Those that hardware is known for are cited in `_dot_models`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats, rounded_to_float32, two_sum
from mxref.check.dot._outputs import OUTPUTS, rounded_to
from mxref.check.dot._problem import Rows, Singles
from mxref.check.dot._terms import Products

__all__ = [
    "Aligned",
    "Exactly",
    "Narrow",
    "Sum",
    "by_block",
    "chunked",
    "halves",
    "in_float64",
    "in_order",
    "one_by_one",
    "pairwise",
    "parts_of",
    "reversed_order",
    "stored_exponents",
    "strided",
    "sum_of",
    "to_output",
]

Sum = Callable[[Products, Rows], Singles]
Step = Callable[[Singles], Singles]
_LEAST = -126


def sum_of(model: Sum, found: Products, rows: Rows) -> Floats | Singles:
    """Apply a model, add the addend, and put NaN and infinities where they are settled.

    Overflow is what some inputs are for, so that numpy does not warn of it. The addend joins at the
    end unless the sum is exact.
    """
    with np.errstate(all="ignore"):
        total: Floats | Singles = model(found, rows)
        if not isinstance(model, Exactly):
            if found.addend is not None:
                total = np.asarray(total + found.addend.astype(np.float32), np.float32)
            total = to_output(total, rows.output)
    return np.where(found.settled != 0, found.settled, total).astype(rows.got.dtype)


def to_output(total: Floats | Singles, output: str) -> Floats | Singles:
    """Round float32 results to the type of the output, to nearest even."""
    if output in ("float32", "float64"):
        return total
    return OUTPUTS[output].rounded(total.astype(np.float64))


def _singles(found: Products) -> Singles:
    with np.errstate(all="ignore"):
        return found.terms().astype(np.float32)


# --- float32 in some order -------------------------------------------------------------------


def one_by_one(terms: Singles) -> Singles:
    """Add the columns to one running float32 sum."""
    total = np.zeros(len(terms), np.float32)
    for column in np.ascontiguousarray(terms.T):
        total = total + column
    return total


def reversed_order(terms: Singles) -> Singles:
    """As `one_by_one`, from the last column."""
    return one_by_one(terms[:, ::-1])


def pairwise(terms: Singles) -> Singles:
    """Neighbours first, then neighbours of their sums."""
    while terms.shape[1] > 1:
        even = terms[:, : terms.shape[1] // 2 * 2]
        rest = terms[:, even.shape[1] :]
        terms = np.concatenate([even[:, ::2] + even[:, 1::2], rest], axis=1)
    return terms[:, 0] + np.float32(0)


def halves(terms: Singles) -> Singles:
    """The upper half onto the lower half, again and again."""
    while terms.shape[1] > 1:
        half = -(-terms.shape[1] // 2)
        low, high = terms[:, :half].copy(), terms[:, half:]
        low[:, : high.shape[1]] += high
        terms = low
    return terms[:, 0] + np.float32(0)


def in_order(order: Step) -> Sum:
    """A float32 sum of all products in some order."""
    return lambda found, _: order(_singles(found))


def chunked(inner: Step, size: int, outer: Step) -> Sum:
    """Sums of so many neighbours, which are then summed."""

    def total(found: Products, _: Rows) -> Singles:
        return outer(_in_chunks(_singles(found), size, inner))

    return total


def parts_of(inner: Step, parts: int, outer: Step) -> Sum:
    """A split of K into so many parts (split-K), which are then summed."""

    def total(found: Products, _: Rows) -> Singles:
        terms = _singles(found)
        return outer(_in_chunks(terms, -(-terms.shape[1] // parts), inner))

    return total


def strided(lanes: int, outer: Step) -> Sum:
    """As many running sums as a vector register has lanes, which are then summed."""

    def total(found: Products, _: Rows) -> Singles:
        terms = _padded(_singles(found), lanes)
        n, size = terms.shape
        sums = np.zeros((n, lanes), np.float32)
        for step in range(0, size, lanes):
            sums = sums + terms[:, step : step + lanes]
        return outer(sums)

    return total


def _padded(terms: Singles, multiple: int) -> Singles:
    missing = -terms.shape[1] % multiple
    return np.pad(terms, ((0, 0), (0, missing))) if missing else terms


def _in_chunks(terms: Singles, size: int, inner: Step) -> Singles:
    padded = _padded(terms, size)
    return inner(padded.reshape(-1, size)).reshape(len(padded), -1)


# --- exact, or exact within a block ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exactly:
    """The exact sum with its addend, rounded once.

    Attributes
    ----------
    mode : str
        ``"nearest"``, ties to even, or ``"toward-zero"``.
    is_flushed : bool
        Whether subnormal results become zero.
    by_way_of : str
        A narrower type that the result takes first; empty for none.
    """

    mode: str = "nearest"
    is_flushed: bool = False
    by_way_of: str = ""

    def __call__(self, found: Products, rows: Rows) -> Singles:
        """Sum the products."""
        output = self.by_way_of or rows.output
        value = rounded_to(found.exact(), output, self.mode)
        if self.is_flushed and output in OUTPUTS:
            value = np.where(np.abs(value) < 2.0 ** OUTPUTS[output].least, 0.0, value)
        return np.asarray(value.astype(rows.got.dtype))


def by_block(outer: Step) -> Sum:
    """Blocks exactly, then their sums in float32."""

    def total(found: Products, _: Rows) -> Singles:
        expansion = found.by_block()
        flat = rounded_to_float32(expansion.reshape(len(expansion), -1))
        return outer(flat.reshape(expansion.shape[1:]))

    return total


def in_float64(order: str) -> Sum:
    """A float64 sum, rounded to float32 at the end."""

    def total(found: Products, _: Rows) -> Singles:
        terms = found.terms()
        if order == "pairwise":
            return np.asarray(np.asarray(terms.sum(1), np.float32))
        running = np.zeros(len(terms))
        for column in np.ascontiguousarray(terms.T):
            running = running + column
        return running.astype(np.float32)

    return total


# --- narrow accumulators ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Narrow:
    """A running sum that is stored in a type narrower than float32.

    Attributes
    ----------
    precision, least, most : int
        Significant bits, and the exponents of the least and the largest normal number.
    after : str
        ``"term"``, ``"block"`` (blocks are summed exactly) or ``"float32"`` (each sum is rounded to
        float32 first).
    """

    precision: int
    least: int
    most: int
    after: str = "term"

    def __call__(self, found: Products, rows: Rows) -> Singles:
        """Sum the products."""
        if self.after == "block":
            expansion = found.by_block()
            terms = self.rounded(expansion[0], expansion[1])
        else:
            terms = found.terms()
        running = np.zeros(len(rows.got))
        for column in np.ascontiguousarray(terms.T):
            total, rest = two_sum(running, column)
            if self.after == "float32":
                total, rest = total.astype(np.float32).astype(np.float64), np.zeros_like(rest)
            running = self.rounded(total, rest)
        return running.astype(np.float32)

    def rounded(self, value: Floats, rest: Floats | float = 0.0) -> Floats:
        """Round to nearest even; `rest` is what lies below the last bit of `value`."""
        exponent = np.maximum(np.frexp(value)[1] - 1, self.least)
        steps = np.ldexp(value, self.precision - 1 - exponent)
        # A rest decides at a tie: half a float64 unit to its side is enough.
        steps = np.where(np.sign(rest) != 0, np.nextafter(steps, np.sign(rest) * np.inf), steps)
        result = np.ldexp(np.rint(steps), exponent - (self.precision - 1))
        over = np.abs(result) >= 2.0 ** (self.most + 1)
        return np.asarray(np.where(over, np.copysign(np.inf, result), result))


@dataclass(frozen=True, slots=True)
class Aligned:
    """Groups of products and the running sum, aligned to the largest exponent and cut off.

    Attributes
    ----------
    group : int
        Products in a group; 0 for all of them.
    bits : int
        Fractional bits kept below the largest exponent.
    mode : str
        How each result is rounded to float32: ``"nearest"``, ``"toward-zero"``, or ``"narrow"``,
        which keeps only as many fractional bits as were aligned.
    stored : bool
        Whether the exponent of a product is the sum of those stored in its operands, as in
        hardware, rather than that of its leading bit.
    inner : int
        How many neighbours are summed exactly first, their sum placed by its scales; 1 for none.
    restart : int
        After how many products the running sum goes to a float32 sum and starts anew; 0 for never.
    """

    group: int
    bits: int
    mode: str = "toward-zero"
    stored: bool = True
    inner: int = 1
    restart: int = 0

    def __call__(self, found: Products, rows: Rows) -> Singles:
        """Sum the products."""
        terms = found.terms()
        exponents = stored_exponents(found, rows) if self.stored else _leading(terms)
        if self.inner > 1:
            terms = terms.reshape(len(terms), -1, self.inner).sum(-1)
            exponents = _factor_exponents(found)[:, :: self.inner]
        n, size = terms.shape
        group = self.group // self.inner or max(1, size)
        running, outer = np.zeros(n), np.zeros(n, np.float32)
        for start in range(0, size, group):
            stop = start + group
            part = np.concatenate([terms[:, start:stop], running[:, None]], axis=1)
            places = np.concatenate([exponents[:, start:stop], _leading(running)[:, None]], axis=1)
            running = self._fused(part, places)
            if self.restart and stop * self.inner % self.restart == 0:
                outer, running = outer + running.astype(np.float32), np.zeros(n)
        return outer + running.astype(np.float32) if self.restart else running.astype(np.float32)

    def _fused(self, part: Floats, places: NDArray[np.int64]) -> Floats:
        places = np.where(part != 0, places, _FAR_BELOW)
        top = np.maximum(places.max(1), _FAR_BELOW + 1)
        units = np.trunc(np.ldexp(part, (self.bits - top)[:, None])).sum(1)
        if self.mode == "nearest":
            total = np.ldexp(units, top - self.bits)
            return np.asarray(total.astype(np.float32).astype(np.float64))
        precision = 24 if self.mode == "toward-zero" else self.bits + 1
        return _cut(units, top - self.bits, precision)


_FAR_BELOW = -2000


def _leading(terms: Floats) -> NDArray[np.int64]:
    return np.asarray(np.frexp(terms)[1] - 1, np.int64)


def _cut(units: Floats, exponent: NDArray[np.int64], precision: int) -> Floats:
    """Keep so many significant bits, as float32's range has them."""
    place = np.frexp(units)[1] - 1 + exponent
    last = np.maximum(place, _LEAST) - (precision - 1)
    steps = np.trunc(np.ldexp(units, exponent - last))
    return np.asarray(np.ldexp(steps, last))


def stored_exponents(found: Products, rows: Rows) -> NDArray[np.int64]:
    """Exponents of products as hardware sees them: operands are not normalised."""
    sides = []
    for operand in (rows.a, rows.b):
        fmt = operand.fmt.element
        codes = np.arange(fmt.code_count)
        field = (codes & (fmt.sign_mask - 1)) >> fmt.mantissa_bits
        sides.append((np.maximum(field, 1) - fmt.bias)[operand.codes])
    return np.asarray(sides[0] + sides[1] + _factor_exponents(found), np.int64)


def _factor_exponents(found: Products) -> NDArray[np.int64]:
    exponents = np.frexp(found.factors)[1] - 1
    return np.repeat(exponents, found.block, axis=1).astype(np.int64)
