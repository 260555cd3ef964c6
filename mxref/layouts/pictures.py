"""Pictures of layouts in 80 columns of text: which bit, or which scale, each byte holds.

They are drawn from the address forms, which are the definition.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mxref.layouts._scale_addresses import Plane
from mxref.layouts._strides import shape_and_strides
from mxref.layouts.packings import Packing
from mxref.layouts.records import Record
from mxref.layouts.scale_orders import ScaleOrder, places, scale_bytes

__all__ = ["first_plane", "order_picture", "packing_picture", "record_picture"]

_MOST_LINES = 12
_CELLS = 8


def packing_picture(packing: Packing) -> str:
    """Draw the bits of one unit; ``3.5`` is bit 5 of code 3, and a dot is padding.

    Examples
    --------
    >>> from mxref.layouts.packings import PACKINGS
    >>> print(packing_picture(PACKINGS["fp6-dense"]))
             bit 7     6     5     4     3     2     1     0
    byte 0     1.1   1.0   0.5   0.4   0.3   0.2   0.1   0.0
    byte 1     2.3   2.2   2.1   2.0   1.5   1.4   1.3   1.2
    byte 2     3.5   3.4   3.3   3.2   3.1   3.0   2.5   2.4
    """
    cells: dict[int, str] = {}
    for code in range(packing.group):
        byte, bit = packing.bit_places(code)
        for k, place in enumerate(byte * 8 + bit):
            cells[int(place)] = f"{code}.{k}"
    return "\n".join(_bit_rows(cells, packing.unit_bytes))


def record_picture(record: Record) -> str:
    """Draw the bits of one record; ``s`` marks scale codes, ``m`` microexponents.

    Examples
    --------
    >>> from mxref.layouts.records import RECORDS
    >>> print(record_picture(RECORDS["gguf-mxfp4"]).splitlines()[2])
    byte 1     16.3  16.2  16.1  16.0   0.3   0.2   0.1   0.0
    """
    cells: dict[int, str] = {}
    for field, mark, bits in (
        (record.scale_starts, "s", 8),
        (record.micro_starts, "m", 1),
        (record.code_starts, "", record.bits),
    ):
        for item, start in enumerate(field):
            for k in range(bits):
                cells[start + k] = f"{mark}{item}" if bits == 1 else f"{mark}{item}.{k}"
    return "\n".join(_bit_rows(cells, record.nbytes))


def _bit_rows(cells: dict[int, str], size: int) -> Iterator[str]:
    wide = len(f"byte {size - 1}")
    yield f"{'':{wide}}   bit 7" + "".join(f"{bit:6}" for bit in range(6, -1, -1))
    for byte in range(size):
        row = "".join(f"{cells.get(byte * 8 + bit, '.'):>6}" for bit in range(7, -1, -1))
        yield f"{f'byte {byte}':{wide}}  {row}"


# --- orders of scale codes --------------------------------------------------------------------


def first_plane(order: ScaleOrder) -> Plane:
    """Return a plane that shows what an order does: one tile, or a few lines."""
    if order.tile is None:
        return Plane(4, 8, 1)
    lines, blocks = order.tile
    return Plane(max(lines, 8), max(blocks, 4), 1) if lines < 8 else Plane(lines, blocks, 1)


def order_picture(order: ScaleOrder) -> str:
    """Draw the bytes of the first tile; ``32,1`` is the scale of block 1 on line 32.

    Examples
    --------
    >>> from mxref.layouts.scale_orders import SCALE_ORDERS
    >>> print(order_picture(SCALE_ORDERS["8x4"]))
    byte 0      0,0   0,1   0,2   0,3   1,0   1,1   1,2   1,3
    byte 8      2,0   2,1   2,2   2,3   3,0   3,1   3,2   3,3
    byte 16     4,0   4,1   4,2   4,3   5,0   5,1   5,2   5,3
    byte 24     6,0   6,1   6,2   6,3   7,0   7,1   7,2   7,3
    (line,block) to byte, in CuTe's notation: (8,4):(4,1)
    """
    plane = first_plane(order)
    at = places(order, plane)
    size = scale_bytes(order, (plane.lines, plane.blocks))
    rows = list(_scale_rows(at, size))
    if len(rows) > _MOST_LINES:
        rows = [*rows[: _MOST_LINES - 2], "...", rows[-1]]
    if strides := shape_and_strides(at):
        rows.append(f"(line,block) to byte, in CuTe's notation: {strides}")
    return "\n".join(rows)


def _scale_rows(at: NDArray[np.int64], size: int) -> Iterator[str]:
    cells = {int(place): f"{line},{block}" for (line, block), place in np.ndenumerate(at)}
    wide = len(f"byte {size - 1}")
    for start in range(0, size, _CELLS):
        row = (cells.get(byte, ".") for byte in range(start, min(size, start + _CELLS)))
        yield f"{f'byte {start}':{wide}}  " + "".join(f"{cell:>6}" for cell in row)
