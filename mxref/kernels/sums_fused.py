"""Fused sums: products and a running sum, aligned to the largest exponent, cut off, added.

The common form of NVIDIA's tensor cores, for whole matrices. What an instruction does is a
`FusedSum`; its operands are `Side` arrays, significands and exponents as hardware sees them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels._fused_loops import LANES, Variant, look_up_kernel, matrix_kernel
from mxref.kernels._fused_numpy import sum_pairs
from mxref.kernels._fused_programs import LIFT, Output
from mxref.kernels._jit import INTERPRETED, parallel_slot

__all__ = ["ABSENT", "OUTPUTS", "FusedSum", "Side", "fused_sums", "look_up"]

OUTPUTS = {
    "float32": Output(24, 24, -126, is_nearest=False),
    "e8m13": Output(24, 14, -126, is_nearest=False),
    "float16": Output(11, 11, -14, is_nearest=True),
}
"""The types of running sums, by name. ``"e8m13"`` is float32 without its last ten bits."""

ABSENT = -3800
"""The exponent of an operand whose products take no part in the search for the largest: so low that
no scale can raise it to an exponent that counts."""

ZERO, POSITIVE, NEGATIVE, NAN, INFINITY, MINUS_INFINITY = range(6)
_PAIRS = 1 << 22  # products that the NumPy form holds at a time
_FEW = 1 << 18  # products for which compiling, or loading what is compiled, takes longer


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One operand of fused sums: row i, item k is ``significands / 2**fraction * 2**exponents``.

    Attributes
    ----------
    significands : int16 array, shape (rows, K)
        Signed; below 2 in magnitude (2 itself may occur), times 2**fraction. Zero for NaN and Inf.
    exponents : int16 array, shape (rows, K)
        Stored, not normalised; scales included. `ABSENT` where products take no part in the search
        for the largest exponent. Where products are summed exactly first, one for each group.
    fraction : int
    classes : uint8 array, shape (rows, K), or None
        0 zero, 1 positive, 2 negative, 3 NaN, 4 +Inf, 5 -Inf; None if all items are finite.
    """

    significands: NDArray[np.int16]
    exponents: NDArray[np.int16]
    fraction: int
    classes: NDArray[np.uint8] | None = None

    def padded(self, size: int, exact: int) -> Side:
        """Lengthen every row with zeros that take no part."""
        missing = size - self.significands.shape[1]
        if not missing:
            return self
        groups = size // exact - self.exponents.shape[1]
        classes = self.classes
        if classes is not None:
            classes = np.pad(classes, ((0, 0), (0, missing)))
        exponents = np.pad(self.exponents, ((0, 0), (0, groups)), constant_values=ABSENT)
        significands = np.pad(self.significands, ((0, 0), (0, missing)))
        return Side(significands, exponents, self.fraction, classes)

    def ordered(self, order: NDArray[np.int64]) -> Side:
        """Take the items of each row in another order."""
        classes = None if self.classes is None else self.classes[:, order]
        return Side(self.significands[:, order], self.exponents[:, order], self.fraction, classes)


@dataclass(frozen=True, slots=True)
class FusedSum:
    """What an instruction does with K products and a running sum.

    Attributes
    ----------
    terms : int
        Products in one fused sum; the running sum is one addend more.
    fraction : int
        Bits kept below the largest exponent: all addends are cut off there, toward zero.
    output : str
        One of `OUTPUTS`: to what, and how, each fused sum is rounded.
    floor : int
        The least exponent to which addends are aligned.
    restart : int
        After so many products the running sum, which began at zero, is added to an outer sum, to
        nearest even in the type of the output, and begins anew. The addend is where the outer sum
        begins. 0: one running sum, which begins with the addend.
    order : tuple of int
        In which order an instruction takes its products; () as they come.
    exact : int
        So many neighbours are summed exactly before anything is aligned.
    """

    terms: int
    fraction: int
    output: str = "float32"
    floor: int = -133
    restart: int = 0
    order: tuple[int, ...] = ()
    exact: int = 1

    def replace(self, **changes: Any) -> FusedSum:
        """Return a copy with other values."""
        return replace(self, **changes)


def fused_sums(
    a: Side,
    b: Side,
    addend: NDArray[np.uint32] | None,
    rule: FusedSum,
    *,
    is_paired: bool = False,
) -> NDArray[np.uint32]:
    """Sum the products of every row of a with every row of b, as an instruction does.

    Parameters
    ----------
    a, b : Side
        Shapes (M, K) and (N, K).
    addend : uint32 array, shape (M, N), or None
        Codes of the type of the running sum: float32, or float16 in the low half. None is +0.
    rule : FusedSum
    is_paired : bool
        Row i with row i only; then the addend and the result have shape (M,).

    Returns
    -------
    ndarray of uint32
        Codes of the same type; a NaN is all ones but the sign.
    """
    m, k = a.significands.shape
    shape = (m,) if is_paired else (m, b.significands.shape[0])
    output = OUTPUTS[rule.output]
    sums = np.zeros(shape, np.uint32) if addend is None else _canonical(addend, output)
    if k == 0 or sums.size == 0:
        return sums
    step = math.lcm(rule.terms, len(rule.order) or 1)
    size = -(-k // step) * step
    a, b = a.padded(size, rule.exact), b.padded(size, rule.exact)
    if rule.order:
        starts = np.arange(0, size, len(rule.order))
        order = (starts[:, None] + np.array(rule.order)).reshape(-1)
        a, b = a.ordered(order), b.ordered(order)
    variant = _variant(a, b, rule, is_paired=is_paired)
    if INTERPRETED or (is_paired and sums.size * size < _FEW):
        return _by_pairs(a, b, sums, variant)
    return _by_tiles(a, b, sums, variant)


def look_up(
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    block: int,
    significands: NDArray[np.int16],
    exponents: NDArray[np.int16],
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return significands and exponents of elements, the scales added to the exponents.

    Parameters
    ----------
    codes : uint8 array, shape (rows, K)
    scales : uint8 array, shape (rows, blocks)
        127 adds nothing.
    block : int
    significands, exponents : int16 array, shape (256,)
        Those of each code.
    """
    if INTERPRETED or not codes.size:
        spread = np.repeat(scales, block, axis=1)[:, : codes.shape[1]].astype(np.int16)
        return significands[codes], exponents[codes] + (spread - np.int16(127))
    results = np.empty((2, *codes.shape), np.int16)
    with parallel_slot(codes.size) as parallel:
        look_up_kernel(parallel)(
            np.ascontiguousarray(codes).reshape(-1),
            np.ascontiguousarray(scales).reshape(-1),
            significands,
            exponents,
            results[0].reshape(-1),
            results[1].reshape(-1),
            codes.shape[1],
            scales.shape[1],
            block,
        )
    return results[0], results[1]


def _variant(a: Side, b: Side, rule: FusedSum, *, is_paired: bool) -> Variant:
    left = rule.fraction - a.fraction - b.fraction
    most = 28 if rule.exact == 1 else 38
    if left < 0 or rule.fraction > most:
        raise ValueError(
            f"a fused sum keeps {rule.fraction} fractional bits; expected {a.fraction + b.fraction}"
            f" (those of the products) to {most}"
        )
    has_specials = a.classes is not None or b.classes is not None
    return Variant(
        OUTPUTS[rule.output],
        rule.fraction,
        rule.floor,
        rule.terms,
        rule.restart // rule.terms,
        rule.exact,
        left,
        has_specials,
        is_paired,
    )


def _canonical(addend: NDArray[np.uint32], output: Output) -> NDArray[np.uint32]:
    is_nan = (addend & np.uint32(output.sign - 1)) > output.infinity
    return np.where(is_nan, np.uint32(output.nan), addend).astype(np.uint32)


def _marks() -> NDArray[np.uint32]:
    """What a product of two classes is: 1 a NaN, 2 +Inf, 4 -Inf, 0 a number."""
    marks = np.zeros((8, 8), np.uint32)
    marks[NAN, :] = marks[:, NAN] = 1
    signs = {POSITIVE: 1, NEGATIVE: -1, INFINITY: 1, MINUS_INFINITY: -1}
    for infinite in (INFINITY, MINUS_INFINITY):
        marks[infinite, ZERO] = marks[ZERO, infinite] = 1
        for other, sign in signs.items():
            mark = 2 if sign == signs[infinite] else 4
            marks[infinite, other] = marks[other, infinite] = mark
    return marks


def _classes(side: Side) -> NDArray[np.uint8]:
    """Classes, those of finite items found from their significands."""
    if side.classes is not None:
        return side.classes
    x = side.significands
    return ((x > 0) * np.uint8(POSITIVE) + (x < 0) * np.uint8(NEGATIVE)).astype(np.uint8)


def _lifted(exponents: NDArray[np.int16]) -> NDArray[np.uint16]:
    return (exponents + np.int16(LIFT // 2)).view(np.uint16)


def _by_pairs(a: Side, b: Side, sums: NDArray[np.uint32], variant: Variant) -> NDArray[np.uint32]:
    sides = [(s.significands, _lifted(s.exponents), _classes(s)) for s in (a, b)]
    flat = sums.reshape(-1)
    n = b.significands.shape[0]
    result = np.empty_like(flat)
    chunk = max(1, _PAIRS // a.significands.shape[1])
    for start in range(0, flat.size, chunk):
        stop = min(flat.size, start + chunk)
        here = np.arange(start, stop)
        rows, columns = (here, here) if variant.is_paired else (here // n, here % n)
        x = tuple(array[rows] for array in sides[0])
        y = tuple(array[columns] for array in sides[1])
        result[start:stop] = sum_pairs(x, y, flat[start:stop], variant, _marks())
    return result.reshape(sums.shape)


def _by_tiles(a: Side, b: Side, sums: NDArray[np.uint32], variant: Variant) -> NDArray[np.uint32]:
    k = a.significands.shape[1]
    # Pairs are one row of results, in which each column has a row of a for itself.
    m, n = (1, sums.size) if variant.is_paired else sums.shape
    laid = _tiles if variant.is_paired else np.asarray
    n_tiles = -(-n // LANES)
    # Exact groups stay small integers; other products come in units of the last bit kept.
    left = variant.left if variant.exact == 1 else 0
    significands = laid(a.significands).astype(np.int32) << left
    tiled = np.zeros((m, n_tiles * LANES), np.uint32)
    tiled[:, :n] = sums
    out = np.ascontiguousarray(tiled.reshape(m, n_tiles, LANES).transpose(1, 0, 2)).reshape(-1)
    specials: tuple[NDArray[np.uint8], ...] = (np.zeros(1, np.uint8),) * 4
    if variant.has_specials:
        steps = (k // variant.terms, variant.terms)
        of_a, of_b = laid(_classes(a)), _tiles(_classes(b))
        a_flags = (of_a >= NAN).reshape(len(of_a), *steps, -1).any((-2, -1))
        b_flags = (of_b >= NAN).reshape(len(of_b), *steps, -1).any((-2, -1))
        marked = (of_a, a_flags.astype(np.uint8), of_b, b_flags.astype(np.uint8))
        specials = tuple(array.reshape(-1) for array in marked)
    with parallel_slot(sums.size * k) as parallel:
        matrix_kernel(variant._replace(left=variant.left - left), parallel)(
            significands.reshape(-1),
            laid(_lifted(a.exponents)).reshape(-1),
            _tiles(b.significands).reshape(-1),
            _tiles(_lifted(b.exponents)).reshape(-1),
            out,
            m,
            k,
            n_tiles,
            *specials,
            _marks(),
        )
    tiled = out.reshape(n_tiles, m, LANES).transpose(1, 0, 2).reshape(m, -1)
    return np.ascontiguousarray(tiled[:, :n]).reshape(sums.shape)


def _tiles(array: NDArray[Any]) -> NDArray[Any]:
    """Rows to tiles of LANES rows, in each of which item k of all rows lies together."""
    rows, size = array.shape
    n_tiles = -(-rows // LANES)
    padded = np.zeros((n_tiles * LANES, size), array.dtype)
    padded[:rows] = array
    return np.ascontiguousarray(padded.reshape(n_tiles, LANES, size).transpose(0, 2, 1))
