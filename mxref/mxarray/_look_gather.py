"""Gather what a view of an array shows: some blocks, element by element, and counts.

The work is bounded, whatever the size of the array: counts are made in a part that is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.exact.number import Number, NumberClass
from mxref.mxarray._look_numbers import brief
from mxref.mxarray._look_parts import Block, Box, Cell, Counts, Family, Index, part_of

__all__ = ["COUNTED", "block_of", "counts_of", "places"]

COUNTED = 1 << 20
"""Elements among which a view counts: a few milliseconds."""
_SEARCHED = 1 << 12  # elements of a block in which its largest magnitude is looked for


def places(shape: tuple[int, ...], head: int, tail: int = 0) -> list[Index | None]:
    """Return the indices of the first and the last blocks; None stands for those between.

    Examples
    --------
    >>> places((2, 3), 2, 1)
    [(0, 0), (0, 1), None, (1, 2)]
    >>> places((2, 1), 2)
    [(0, 0), (1, 0)]
    """
    total = math.prod(shape)
    if total <= head + tail:
        return [_unravel(at, shape) for at in range(total)]
    first = [_unravel(at, shape) for at in range(head)]
    return [*first, None, *(_unravel(at, shape) for at in range(total - tail, total))]


def _unravel(at: int, shape: tuple[int, ...]) -> Index:
    return tuple(int(i) for i in np.unravel_index(at, shape)) if shape else ()


def block_of(family: Family, block: Index, source: NDArray[Any] | None, cells: int) -> Block:
    """Return a block with its first elements.

    Parameters
    ----------
    family : Family
    block : tuple of int
        Index of its scale.
    source : array or None
        The numbers that the array was made of.
    cells : int
        How many elements at most.
    """
    extent = family.extent(block)
    held = part_of(family.codes, extent)
    length = held.size
    wanted = length if length <= _SEARCHED else min(cells, length)
    codes = [int(code) for code in held.flat[:wanted]]
    given = None if source is None else [float(x) for x in part_of(source, extent).flat[:wanted]]
    values = family.values(block, codes)
    at, amax = (None, "") if wanted < length else _amax(values, given)
    origin = [part.start for part in extent]
    shown = []
    for i in range(min(cells, length)):
        offsets = np.unravel_index(i, held.shape) if held.shape else ()
        index = tuple(start + int(offset) for start, offset in zip(origin, offsets, strict=True))
        x = None if given is None else given[i]
        shown.append(_cell(family, index, codes[i], values[i], x, is_amax=i == at))
    scale, subscales = family.scale(block), family.subscales(block, len(shown))
    return Block(_label(family, extent), scale, subscales, tuple(shown), length, at, amax)


def _cell(
    family: Family, index: Index, code: int, value: Number, given: float | None, *, is_amax: bool
) -> Cell:
    element = family.element(code)
    is_finite = value.cls is NumberClass.FINITE  # and not zero, as classes go
    is_top = is_finite and element.magnitude >= family.largest
    is_saturated = is_top and given is not None and abs(given) > value.magnitude
    is_zero = value.cls is NumberClass.ZERO
    is_flushed = is_zero and given is not None and given != 0 and not math.isnan(given)
    return Cell(index, code, element, value, is_amax, is_top, is_saturated, is_flushed, given)


def _amax(values: Sequence[Number], given: Sequence[float] | None) -> tuple[int | None, str]:
    """Return where the largest magnitude is, the first of several, and its text."""
    if given is not None:
        values = [_number(x) for x in given]
    ranks = [(v.cls is NumberClass.INF, v.magnitude) for v in values]
    at = max(range(len(ranks)), key=ranks.__getitem__, default=None)
    if at is None or not any(ranks[at]):
        return None, ""
    largest = values[at]
    return at, brief(Number(0, largest.cls, largest.magnitude))


def _number(x: float) -> Number:
    if math.isnan(x):
        return Number.nan(0)
    return Number.inf(int(x < 0)) if math.isinf(x) else Number.finite(Fraction(x))


def _label(family: Family, extent: Box) -> str:
    """Write where a block lies, as an index."""
    blocked = family.axis
    whole = not family.block_shape
    parts = [
        f"{part.start}:{part.stop}" if whole or i == blocked else str(part.start)
        for i, part in enumerate(extent)
    ]
    return f"[{', '.join(parts) or '()'}]"


# --- counts -------------------------------------------------------------------------------------


def counts_of(family: Family, source: NDArray[Any] | None, limit: int | None = COUNTED) -> Counts:
    """Count, in all of the array or in its first part of about `limit` elements."""
    box = _box(family, limit)
    codes, values = part_of(family.codes, box), family.decoded(box)
    top_codes = _top_codes(family)[codes]
    zeros = values == 0
    is_top = top_codes & np.isfinite(values) & ~zeros
    saturated = flushed = None
    if source is not None:
        given = part_of(source, box).astype(np.float64)
        saturated = int(np.count_nonzero(is_top & (np.abs(given) > np.abs(values))))
        flushed = int(np.count_nonzero(zeros & (given != 0) & ~np.isnan(given)))
    scales, nan_blocks = family.scale_extremes(box)
    return Counts(
        where="" if codes.size == family.codes.size else _where(box),
        elements=codes.size,
        zeros=int(np.count_nonzero(zeros)),
        top=int(np.count_nonzero(is_top)),
        nan=int(np.count_nonzero(np.isnan(values))),
        inf=int(np.count_nonzero(np.isinf(values))),
        zero_blocks=_whole_blocks(family, zeros),
        nan_blocks=nan_blocks,
        scales=scales,
        saturated=saturated,
        flushed=flushed,
    )


def _box(family: Family, limit: int | None) -> Box:
    """Return the first part of an array with about `limit` elements, of whole blocks."""
    shape = family.codes.shape
    sizes, lead = list(shape), 1
    for i, length in enumerate(shape):
        rest = math.prod(shape[i + 1 :])
        if limit is None or lead * length * rest <= limit:
            break
        step = family.block_size if i == family.axis and family.block_shape else 1
        sizes[i] = min(length, max(limit // (lead * rest) // step * step, step))
        lead *= sizes[i]
    return tuple(slice(0, size) for size in sizes)


def _where(box: Box) -> str:
    return f"[{', '.join(f'{part.start}:{part.stop}' for part in box)}]"


def _top_codes(family: Family) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    for code in range(1 << family.code_bits):
        element = family.element(code)
        is_number = element.cls is NumberClass.FINITE
        table[code] = is_number and element.magnitude >= family.largest
    return table


def _whole_blocks(family: Family, is_so: NDArray[np.bool_]) -> int:
    """Return in how many blocks all elements are so."""
    if is_so.size == 0:
        return 0
    if not family.block_shape:
        return int(is_so.all())
    starts = np.arange(0, is_so.shape[family.axis], family.block_size)
    return int(np.count_nonzero(np.logical_and.reduceat(is_so, starts, family.axis)))
