"""The orders in which scale codes are known to lie in bytes.

An *order* says for each scale of a plane, or each element of a tensor, where it lies. Those with a
source are in use; the others are what mistakes make of them. Lines are what blocks lie on: the rows
of a tensor under axis 1, its columns under axis 0. MX-1.0/5.1/layout prescribes nothing here:
OP-PACKING and OP-SCALE-LAYOUT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref._suggest import unknown_name

__all__ = [
    "SCALE_ORDERS",
    "Address",
    "Indices",
    "Plane",
    "ScaleOrder",
    "count",
    "flat",
    "line_by_line",
    "places",
    "plain_tiles",
    "scale_order",
    "tile_start",
    "up",
]

Indices = NDArray[np.int64]


class Plane(NamedTuple):
    """The scales of a tensor: `blocks` on each of `lines`, and the axis on which blocks lie."""

    lines: int
    blocks: int
    axis: int

    @classmethod
    def of(cls, shape: tuple[int, int], axis: int, block_size: int) -> Plane:
        """The plane of a tensor.

        Examples
        --------
        >>> Plane.of((3, 70), 1, 32), Plane.of((40, 3), 0, 32).shape
        (Plane(lines=3, blocks=3, axis=1), (2, 3))
        """
        return cls(shape[1 - axis], -(-shape[axis] // block_size), axis)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as the tensor has them."""
        return (self.lines, self.blocks) if self.axis == 1 else (self.blocks, self.lines)


Address = Callable[[Indices, Indices, Plane], Indices]
_Size = Callable[[Plane], int]


@dataclass(frozen=True, slots=True, eq=False)
class ScaleOrder:
    """Where the scale code of (line, block) lies.

    Attributes
    ----------
    name : str
        As `mxref.vectors.operations` has it, where it has it.
    address : callable
        Gives the byte from arrays of lines and blocks, and the plane.
    size : callable
        Gives the bytes that a plane takes, padding included.
    source : str
        Who has it so; empty for an order that is a mistake.
    fault : str
        The fault that it is where another order was declared.
    turned : bool
        Whether its lines and blocks are those of the other axis.
    record : str
        ``"scale-first"`` or ``"scale-last"``, where `address` counts records of a scale and its
        codes; else empty.
    tile : (int, int) or None
        Lines and blocks to which a tiled order pads.
    """

    name: str
    address: Address
    size: _Size
    source: str = ""
    fault: str = "L6"
    turned: bool = False
    record: str = ""
    tile: tuple[int, int] | None = None


def places(order: ScaleOrder, plane: Plane) -> Indices:
    """The address of each scale, shape (lines, blocks).

    Examples
    --------
    >>> places(SCALE_ORDERS["128x4"], Plane(34, 5, 1))[32:, :]
    array([[  4,   5,   6,   7, 516],
           [ 20,  21,  22,  23, 532]])
    """
    line, block = np.indices((plane.lines, plane.blocks))
    return np.asarray(order.address(line, block, plane), np.int64)


def up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


# --- orders in use ----------------------------------------------------------------------------


def flat(row: Indices, column: Indices, width: int) -> Indices:
    return row * width + column


def _row_major(line: Indices, block: Indices, p: Plane) -> Indices:
    return flat(line, block, p.blocks) if p.axis == 1 else flat(block, line, p.lines)


def _column_major(line: Indices, block: Indices, p: Plane) -> Indices:
    return flat(block, line, p.lines) if p.axis == 1 else flat(line, block, p.blocks)


def line_by_line(line: Indices, block: Indices, p: Plane) -> Indices:
    """What tiles are made of; under axis 0 that is not row-major."""
    return flat(line, block, p.blocks)


def count(p: Plane) -> int:
    return p.lines * p.blocks


def tile_start(line: Indices, block: Indices, p: Plane, tile: tuple[int, int]) -> Indices:
    """The first byte of a tile; tiles follow each other along the blocks first."""
    lines, blocks = tile
    return (line // lines * -(-p.blocks // blocks) + block // blocks) * (lines * blocks)


def _128x4(line: Indices, block: Indices, p: Plane) -> Indices:
    inside = line % 32 * 16 + line % 128 // 32 * 4 + block % 4
    return tile_start(line, block, p, (128, 4)) + inside


def plain_tiles(line: Indices, block: Indices, p: Plane, *, tile: tuple[int, int]) -> Indices:
    lines, blocks = tile
    return tile_start(line, block, p, tile) + line % lines * blocks + block % blocks


def _32x8(line: Indices, block: Indices, p: Plane) -> Indices:
    inside = block % 4 * 64 + line % 16 * 4 + block // 4 % 2 * 2 + line // 16 % 2
    return tile_start(line, block, p, (32, 8)) + inside


def _words_down(line: Indices, block: Indices, p: Plane) -> Indices:
    """Words of four blocks, one line after the other, lines padded to 16 bytes of words."""
    return (block // 4 * up(p.lines, 4) + line) * 4 + block % 4


def _tiled(name: str, tile: tuple[int, int], address: Address, source: str) -> ScaleOrder:
    def size(p: Plane) -> int:
        return up(p.lines, tile[0]) * up(p.blocks, tile[1])

    return ScaleOrder(name, address, size, source, tile=tile)


def _plain(name: str, tile: tuple[int, int], source: str = "") -> ScaleOrder:
    return _tiled(name, tile, partial(plain_tiles, tile=tile), source)


_IN_USE = (
    ScaleOrder("row-major", _row_major, count, "torchao, gpt-oss, compressed-tensors", "L3"),
    ScaleOrder("column-major", _column_major, count, "planes kept transposed", "L8"),
    _tiled("128x4", (128, 4), _128x4, "cuBLAS and CUTLASS block scaling factors"),
    _plain("8x4", (8, 4), "FlashInfer trtllm-gen [secondary]"),
    _tiled("gfx950-32x8", (32, 8), _32x8, "AMD mxDataGenerator and aiter e8m0_shuffle [secondary]"),
    _plain("gfx1250-32x4", (32, 4), "AMD mxDataGenerator (m/32, k/4, 32, 4) [secondary]"),
    ScaleOrder(
        "mn-major-words",
        _words_down,
        lambda p: up(p.lines, 4) * up(p.blocks, 4),
        "DeepGEMM on SM100: four scales of K in a little-endian word [secondary]",
    ),
)

SCALE_ORDERS: dict[str, ScaleOrder] = {order.name: order for order in _IN_USE}
"""The orders that a caller can declare."""


def scale_order(name: str) -> ScaleOrder:
    """Find a declared order.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in SCALE_ORDERS:
        raise ValueError(unknown_name("scale layout", name, SCALE_ORDERS))
    return SCALE_ORDERS[name]
