"""Where a mismatch lies: in logical coordinates, and in which byte of which file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mxref import arrays
from mxref.check._elements import encode_given
from mxref.check._problem import Problem
from mxref.check._witness import element_witness, scale_witness
from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint._pairs import Pair
from mxref.check.checkpoint._stats import block_length
from mxref.check.parts import Witness
from mxref.formats import block_format
from mxref.policy import Policy

if TYPE_CHECKING:
    from mxref.checkpoints.store import Store

__all__ = ["byte_of", "coordinates", "first_witness"]

_MOST = 1 << 24  # elements that are packed to find a byte


def coordinates(pair: Pair, row: int, column: int) -> tuple[int, ...]:
    """Coordinates of an element, or of a block, in the shape of the tensor."""
    lead = pair.found.shape[:-1]
    return (*(int(i) for i in np.unravel_index(row, lead)), column) if lead else (column,)


def first_witness(
    pair: Pair, stores: tuple[Store, Store], block: int, policy: Policy
) -> tuple[Witness, tuple[int, int, bool]] | None:
    """Show the first mismatch of a block, and say its row, its column and if it is of a scale."""
    fmt = block_format(pair.found.format)
    row, along = divmod(block, pair.blocks)
    step = pairs.row_step(pair)
    start = row // step * step
    part = pairs.read(pair, *stores, start, min(pair.rows, start + step))
    problem = Problem(part.x, part.codes, part.scales, fmt, 1)
    here = (row - start) * pair.blocks + along
    piece = problem.take(np.array([here]))
    due = arrays.quantize(piece.x, fmt, -1, policy)
    if due.scales[0, 0] != piece.scales[0]:
        seen = scale_witness(problem, here, int(due.scales[0, 0]))
        index = coordinates(pair, row, along)
        return replace(seen, index=index), (row, along, True)
    codes = encode_given(piece.x, piece.scales, fmt, policy)
    lanes = np.flatnonzero(codes[0] != piece.codes[0])
    if not len(lanes):
        return None
    lane = int(lanes[0])
    seen = element_witness(problem, here, lane, int(codes[0, lane]))
    column = along * fmt.block_size + lane
    return replace(seen, index=coordinates(pair, row, column)), (row, column, False)


def byte_of(pair: Pair, row: int, column: int, *, is_scale: bool) -> tuple[str, int] | None:
    """Return the file and the byte that hold a code; None where the layout can't be asked.

    The layout itself is asked: a row of zeros is packed with and without this code.
    """
    from mxref.layouts._layout import Fields
    from mxref.layouts.conventions import layout

    found, step = pair.found, pairs.row_step(pair)
    if step * pair.columns > _MOST or pair.reading:
        return None
    start = row // step * step
    rows = min(pair.rows, start + step) - start
    blocks = -(-pair.columns // block_length(found.format))
    gain = None if "global_scale" not in found.parts else np.ones((), np.float64)
    convention = layout(found.layout)
    packed = []
    for code in (0, 1):
        codes = np.zeros((rows, pair.columns), np.uint8)
        scales = np.zeros((rows, blocks), np.uint8)
        (scales if is_scale else codes)[row - start, column] = code
        packed.append(convention.pack(Fields(codes, scales, gain), found.format))
    before = convention.stored_rows(found.format, start, pair.columns)
    for role, plain in packed[0].items():
        if role not in found.parts or role not in before or not plain.size:
            continue
        plain_bytes, other = (_bytes(each[role]) for each in packed)
        changed = np.flatnonzero(plain_bytes != other)
        if len(changed):
            stored = int(np.prod(plain.shape[:-1], dtype=np.int64))
            info = found.parts[role]
            offset = info.offset + before[role] * (plain.nbytes // stored) + int(changed[0])
            return str(info.file), offset
    return None


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
