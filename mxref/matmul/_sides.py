"""An operand of an exact product on its way: surveyed, cut into digits, packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels.gemm import pack, survey, tiles
from mxref.matmul._digits import MOST_DIGITS, Integers, Plan
from mxref.matmul._terms import Terms

__all__ = ["Side", "marks_of", "packed", "scales_of", "shares_of", "side_of"]

_SIDE = tiles.SIDE


@dataclass(slots=True, eq=False)
class Side:
    """One operand on its way: contiguous arrays, what the survey found, the packed digits."""

    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    numbers: Integers
    is_across: bool
    least: NDArray[np.int32]
    most: NDArray[np.int32]
    flags: NDArray[np.uint8]
    spread: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """How many rows, or columns, of the result it has."""
        return len(self.least)


def side_of(terms: Terms, *, right: bool) -> Side:
    codes, scales, numbers = terms.codes, terms.scales, terms.numbers
    is_across = right and not codes.flags.c_contiguous
    given = np.ascontiguousarray(codes.T if is_across else codes)
    shared = np.ascontiguousarray(scales.T if is_across else scales)
    rows = codes.shape[0]
    least, most = np.empty(rows, np.int32), np.empty(rows, np.int32)
    flags = np.empty(rows, np.uint8)
    survey.survey(
        given, shared, terms.block, mask=numbers.mask, excess=numbers.excess,
        least=least, most=most, flags=flags, is_across=is_across,
    )  # fmt: skip
    if terms.is_infinite is not None:
        flags |= terms.is_infinite.astype(np.uint8) * np.uint8(survey.HAS_SPECIAL)
    spread = (most - least).astype(np.int64)
    panels = np.maximum.reduceat(spread, np.arange(0, rows, _SIDE)) if rows else spread
    return Side(given, shared, numbers, is_across, least, most, flags, panels)


def marks_of(side: Side, k: int, block: int) -> NDArray[np.uint8] | None:
    """Where planes of the aligned operand hold more than zeros; None if there are too many."""
    most = int(side.numbers.digits[side.spread].max(initial=1))
    if most > MOST_DIGITS or not k:
        return None
    marks = np.zeros((len(side.spread), most, -(-k // 64)), np.uint8)
    pack.mark(
        side.scales, side.least, side.most, side.numbers.digits, (block, 64), marks,
        is_across=side.is_across,
    )  # fmt: skip
    return marks


def shares_of(a: Any, b: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    return None if a is None or b is None else (a.mean((0, 2)), b.mean((0, 2)))


def scales_of(side: Side, plan: Plan) -> NDArray[Any]:
    """Scale codes as the loop over tiles reads them: one a row, or one for each of its blocks."""
    if plan.is_aligned:
        return side.least.astype(np.uint8)[:, None]
    return np.ascontiguousarray(side.scales.T if side.is_across else side.scales)


def packed(
    side: Side,
    planes: NDArray[np.int64],
    plane: int,
    group: int,
    width: int,
    block: int,
    plan: Plan,
    *,
    right: bool,
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    ends = np.cumsum(planes) * plane
    starts = np.ascontiguousarray(ends - planes * plane)
    size = int(ends[-1])
    raw = np.empty(size + 64, np.int8)
    first = -raw.ctypes.data % 64
    out = raw[first : first + size]
    pack.pack(
        side.codes, side.scales, block, side.least,
        side.most if plan.is_aligned else side.least,
        side.numbers.places, planes, starts, out,
        group=group, width=width, is_right=right, is_across=side.is_across,
    )  # fmt: skip
    return out, starts
