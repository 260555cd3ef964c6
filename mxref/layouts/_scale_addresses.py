"""Planes of scale codes, and the formulas that say at which byte each of them lies.

The formulas are the definition: pictures, probes and checks read them, and the kernels that move
whole planes are tested against them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Address",
    "Indices",
    "Plane",
    "column_major",
    "count",
    "flat",
    "line_by_line",
    "plain_tiles",
    "row_major",
    "tile_of_32x8",
    "tile_of_128x4",
    "tile_start",
    "tiles_of_warps",
    "up",
    "words_down",
    "words_down_padded",
]

Indices = NDArray[np.int64]


class Plane(NamedTuple):
    """The scales of a tensor: `blocks` on each of `lines`, and the axis on which blocks lie.

    Lines are what blocks lie on: the rows of a tensor under axis 1, its columns under axis 0.
    """

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


def up(number: int, multiple: int) -> int:
    """The next multiple.

    Examples
    --------
    >>> up(5, 4), up(8, 4)
    (8, 8)
    """
    return -(-number // multiple) * multiple


def count(p: Plane) -> int:
    """Bytes of a plane without padding."""
    return p.lines * p.blocks


def flat(row: Indices, column: Indices, width: int) -> Indices:
    """The place in rows of a width."""
    return row * width + column


# --- whole planes -----------------------------------------------------------------------------


def row_major(line: Indices, block: Indices, p: Plane) -> Indices:
    """The rows of the plane, one after the other."""
    return flat(line, block, p.blocks) if p.axis == 1 else flat(block, line, p.lines)


def column_major(line: Indices, block: Indices, p: Plane) -> Indices:
    """The columns of the plane, one after the other."""
    return flat(block, line, p.lines) if p.axis == 1 else flat(line, block, p.blocks)


def line_by_line(line: Indices, block: Indices, p: Plane) -> Indices:
    """What tiles are made of; under axis 0 that is not row-major."""
    return flat(line, block, p.blocks)


# --- tiles ------------------------------------------------------------------------------------


def tile_start(line: Indices, block: Indices, p: Plane, tile: tuple[int, int]) -> Indices:
    """The first byte of a tile; tiles follow each other along the blocks first."""
    lines, blocks = tile
    return (line // lines * -(-p.blocks // blocks) + block // blocks) * (lines * blocks)


def plain_tiles(line: Indices, block: Indices, p: Plane, *, tile: tuple[int, int]) -> Indices:
    """Tiles that are row-major inside."""
    lines, blocks = tile
    return tile_start(line, block, p, tile) + line % lines * blocks + block % blocks


def tile_of_128x4(line: Indices, block: Indices, p: Plane) -> Indices:
    """Sixteen bytes for each line below 32: four words of four blocks, 32 lines apart."""
    inside = line % 32 * 16 + line % 128 // 32 * 4 + block % 4
    return tile_start(line, block, p, (128, 4)) + inside


def tile_of_32x8(line: Indices, block: Indices, p: Plane) -> Indices:
    """A word for each line below 16 and block below 4: two lines, of each two blocks."""
    inside = block % 4 * 64 + line % 16 * 4 + block // 4 % 2 * 2 + line // 16 % 2
    return tile_start(line, block, p, (32, 8)) + inside


def words_down(line: Indices, block: Indices, p: Plane) -> Indices:
    """Words of four blocks, one line after the other."""
    return (block // 4 * p.lines + line) * 4 + block % 4


def words_down_padded(line: Indices, block: Indices, p: Plane) -> Indices:
    """Words of four blocks, one line after the other, lines padded to 16 bytes of words."""
    return (block // 4 * up(p.lines, 4) + line) * 4 + block % 4


def tiles_of_warps(line: Indices, block: Indices, p: Plane, *, warps: int) -> Indices:
    """Groups of 64 bytes for 32 lines by two blocks; a warp's 32 lines are four runs of eight.

    Lines that differ in the lowest 3 bits lie 4 bytes apart; the next bit chooses the byte of a
    pair, then come the warp, and the half of the group.
    """
    half = line // (16 * warps)
    warp = half // 2 * warps + line // 16 % warps
    group = warp * (up(p.blocks, 2) // 2) + block // 2
    return group * 64 + half % 2 * 32 + line % 8 * 4 + block % 2 * 2 + line // 8 % 2
