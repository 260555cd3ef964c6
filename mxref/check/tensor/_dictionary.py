"""The orders in which scale codes and element codes are known to lie in bytes, right and wrong.

An *order* says for each scale of a plane, or each element of a tensor, where it lies. Those with a
source are in use; the others are what mistakes make of them. Lines are what blocks lie on: the rows
of a tensor under axis 1, its columns under axis 0. MX-1.0/5.1/layout prescribes nothing here:
OP-PACKING and OP-SCALE-LAYOUT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref._suggest import unknown_name

__all__ = [
    "SCALE_ORDERS",
    "Indices",
    "Plane",
    "ScaleOrder",
    "places",
    "scale_order",
    "wrong_scale_orders",
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


_Address = Callable[[Indices, Indices, Plane], Indices]
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
    address: _Address
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


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


# --- orders in use ----------------------------------------------------------------------------


def _flat(row: Indices, column: Indices, width: int) -> Indices:
    return row * width + column


def _row_major(line: Indices, block: Indices, p: Plane) -> Indices:
    return _flat(line, block, p.blocks) if p.axis == 1 else _flat(block, line, p.lines)


def _column_major(line: Indices, block: Indices, p: Plane) -> Indices:
    return _flat(block, line, p.lines) if p.axis == 1 else _flat(line, block, p.blocks)


def _line_by_line(line: Indices, block: Indices, p: Plane) -> Indices:
    """What tiles are made of; under axis 0 that is not row-major."""
    return _flat(line, block, p.blocks)


def _count(p: Plane) -> int:
    return p.lines * p.blocks


def _tile(line: Indices, block: Indices, p: Plane, tile: tuple[int, int]) -> Indices:
    """The first byte of a tile; tiles follow each other along the blocks first."""
    lines, blocks = tile
    return (line // lines * -(-p.blocks // blocks) + block // blocks) * (lines * blocks)


def _128x4(line: Indices, block: Indices, p: Plane) -> Indices:
    inside = line % 32 * 16 + line % 128 // 32 * 4 + block % 4
    return _tile(line, block, p, (128, 4)) + inside


def _plain_tiles(line: Indices, block: Indices, p: Plane, *, tile: tuple[int, int]) -> Indices:
    lines, blocks = tile
    return _tile(line, block, p, tile) + line % lines * blocks + block % blocks


def _32x8(line: Indices, block: Indices, p: Plane) -> Indices:
    inside = block % 4 * 64 + line % 16 * 4 + block // 4 % 2 * 2 + line // 16 % 2
    return _tile(line, block, p, (32, 8)) + inside


def _words_down(line: Indices, block: Indices, p: Plane) -> Indices:
    """Words of four blocks, one line after the other, lines padded to 16 bytes of words."""
    return (block // 4 * _up(p.lines, 4) + line) * 4 + block % 4


def _tiled(name: str, tile: tuple[int, int], address: _Address, source: str) -> ScaleOrder:
    def size(p: Plane) -> int:
        return _up(p.lines, tile[0]) * _up(p.blocks, tile[1])

    return ScaleOrder(name, address, size, source, tile=tile)


def _plain(name: str, tile: tuple[int, int], source: str = "") -> ScaleOrder:
    return _tiled(name, tile, partial(_plain_tiles, tile=tile), source)


_IN_USE = (
    ScaleOrder("row-major", _row_major, _count, "torchao, gpt-oss, compressed-tensors", "L3"),
    ScaleOrder("column-major", _column_major, _count, "planes kept transposed", "L8"),
    _tiled("128x4", (128, 4), _128x4, "cuBLAS and CUTLASS block scaling factors"),
    _plain("8x4", (8, 4), "FlashInfer trtllm-gen [secondary]"),
    _tiled("gfx950-32x8", (32, 8), _32x8, "AMD mxDataGenerator and aiter e8m0_shuffle [secondary]"),
    _plain("gfx1250-32x4", (32, 4), "AMD mxDataGenerator (m/32, k/4, 32, 4) [secondary]"),
    ScaleOrder(
        "mn-major-words",
        _words_down,
        lambda p: _up(p.lines, 4) * _up(p.blocks, 4),
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


# --- what mistakes make of them ---------------------------------------------------------------


def wrong_scale_orders(declared: ScaleOrder) -> Iterator[ScaleOrder]:
    """Every other order that may be found where one was declared, the likelier first.

    Examples
    --------
    >>> orders = list(wrong_scale_orders(SCALE_ORDERS["128x4"]))
    >>> [(order.fault, order.name) for order in orders][:2]
    [('L3', 'row-major'), ('L3', 'line by line')]
    """
    tiled = SCALE_ORDERS["128x4"] if declared.tile is None else declared
    for order in _IN_USE:
        # Whoever knows one layout only, mistakes it for row-major or the reverse.
        plain = {declared.name, order.name} == {"128x4", "row-major"}
        plain = plain or (declared.tile is not None and order.name == "row-major")
        if order is not declared:
            yield _renamed(order, "L3" if plain else order.fault if order.fault != "L3" else "L8")
        if order.name == "row-major" and declared.tile is not None:
            yield ScaleOrder("line by line", _line_by_line, _count, "", "L3")
            yield ScaleOrder("row-major in whole tiles", _whole_tiles(tiled), tiled.size, "", "L3")
    yield ScaleOrder(f"{tiled.name} applied twice", _twice(tiled), tiled.size, "", "L3")
    yield ScaleOrder(f"the inverse of {tiled.name}", _inverse(tiled), tiled.size, "", "L3")
    yield from _in_words(declared)
    yield from _strides(declared)
    yield from _other_tiles(tiled)
    yield from _along_other_axis(declared)
    yield from _records()


def _renamed(order: ScaleOrder, fault: str) -> ScaleOrder:
    return ScaleOrder(order.name, order.address, order.size, order.source, fault, tile=order.tile)


def _across(order: ScaleOrder, p: Plane) -> int:
    return _up(p.blocks, (order.tile or (1, 1))[1])


def _whole_tiles(order: ScaleOrder) -> _Address:
    return lambda line, block, p: _flat(line, block, _across(order, p))


def _twice(order: ScaleOrder) -> _Address:
    """The result of the order, taken for the padded plane in row-major order, once more."""

    def address(line: Indices, block: Indices, p: Plane) -> Indices:
        width = _across(order, p)
        once = order.address(line, block, p)
        return order.address(once // width, once % width, p)

    return address


def _inverse(order: ScaleOrder) -> _Address:
    def address(line: Indices, block: Indices, p: Plane) -> Indices:
        width = _across(order, p)
        row, column = np.indices((order.size(p) // width, width))
        back = np.argsort(order.address(row, column, p).ravel())
        return np.asarray(back[line * width + block], np.int64)

    return address


def _in_words(declared: ScaleOrder) -> Iterator[ScaleOrder]:
    """L5: another byte or another lane than the one that holds the scale."""

    def moved(byte: Callable[[Indices], Indices]) -> _Address:
        def address(line: Indices, block: Indices, p: Plane) -> Indices:
            place = declared.address(line, block, p)
            return place // 4 * 4 + byte(place % 4)

        return address

    def shifted(by: int) -> _Address:
        return lambda line, block, p: declared.address(line, block, p) + by

    def lane(line_of: Callable[[Indices], Indices]) -> _Address:
        return lambda line, block, p: declared.address(line_of(line), block, p)

    named: tuple[tuple[str, _Address], ...] = (
        ("the byte one further in each word of four", moved(lambda b: (b + 1) % 4)),
        ("the byte two further in each word of four", moved(lambda b: (b + 2) % 4)),
        ("the byte three further in each word of four", moved(lambda b: (b + 3) % 4)),
        ("the bytes of each word of four reversed", moved(lambda b: 3 - b)),
        *(
            (f"byte {i} of every word of four", moved(partial(np.full_like, fill_value=i)))
            for i in range(4)
        ),
        ("one byte too far", shifted(1)),
        ("one byte too early", shifted(-1)),
        ("lanes 0 to 2 of 32 take the line behind", lane(lambda i: i + (i % 32 < 3))),
        ("neighbouring lines exchanged", lane(lambda i: i ^ 1)),
        ("lines 16 to 31 of 32 exchanged with 0 to 15", lane(lambda i: i ^ 16)),
        ("one line too far", lane(lambda i: i + 1)),
    )
    for name, address in named:
        yield ScaleOrder(name, address, declared.size, "", "L5")


def _strides(declared: ScaleOrder) -> Iterator[ScaleOrder]:
    """L4: the logical extent where the padded one is meant, or the reverse."""
    if declared.tile is None:
        for multiple in (4, 8, 16, 32, 128):
            name = f"rows of the plane padded to {multiple}"
            yield ScaleOrder(name, partial(_pitched, multiple=multiple), _count, "", "L4")
        return
    lines, blocks = declared.tile

    def inside(line: Indices, block: Indices, p: Plane) -> Indices:
        return declared.address(line % lines, block % blocks, p)

    def size_of_lines(line: Indices, block: Indices, p: Plane) -> Indices:
        tile = line // lines * -(-p.blocks // blocks) + block // blocks
        return tile * blocks * min(p.lines, lines) + inside(line, block, p)

    def partial_dropped(line: Indices, block: Indices, p: Plane) -> Indices:
        tile = line // lines * (p.blocks // blocks) + block // blocks
        return tile * lines * blocks + inside(line, block, p)

    def narrow_words(line: Indices, block: Indices, p: Plane) -> Indices:
        width = min(p.blocks, blocks)
        tile = line // lines * -(-p.blocks // blocks) + block // blocks
        return (tile * lines + inside(line, block * 0, p) // blocks) * width + block % blocks

    def logical_stride(line: Indices, block: Indices, p: Plane) -> Indices:
        start = line // lines * (lines * p.blocks) + block // blocks * (lines * blocks)
        return start + inside(line, block, p)

    named: tuple[tuple[str, _Address], ...] = (
        ("tiles without their padding lines", size_of_lines),
        ("the partial tile across not counted", partial_dropped),
        ("words as narrow as the plane", narrow_words),
        ("rows of tiles at the logical width", logical_stride),
    )
    for name, address in named:
        yield ScaleOrder(name, address, declared.size, "", "L4")


def _pitched(line: Indices, block: Indices, p: Plane, *, multiple: int) -> Indices:
    if p.axis == 1:
        return _flat(line, block, _up(p.blocks, multiple))
    return _flat(block, line, _up(p.lines, multiple))


def _other_tiles(tiled: ScaleOrder) -> Iterator[ScaleOrder]:
    """L6: tiles as somebody else wants them."""
    lines, blocks = tiled.tile or (1, 1)

    def down(line: Indices, block: Indices, p: Plane) -> Indices:
        tile = block // blocks * -(-p.lines // lines) + line // lines
        return tile * (lines * blocks) + tiled.address(line % lines, block % blocks, p)

    yield ScaleOrder(f"{tiled.name}, tiles one below the other", down, tiled.size)
    if (lines, blocks) == (128, 4):
        exchanged = partial(_plain_tiles, tile=(128, 4))
        yield ScaleOrder("128x4 with its row parts exchanged", exchanged, tiled.size)

        def transposed(line: Indices, block: Indices, p: Plane) -> Indices:
            inside = block % 4 * 128 + line % 32 * 4 + line % 128 // 32
            return _tile(line, block, p, (128, 4)) + inside

        yield ScaleOrder("128x4 with lines and blocks of a tile exchanged", transposed, tiled.size)


def _along_other_axis(declared: ScaleOrder) -> Iterator[ScaleOrder]:
    """L8: blocks along the other axis, and the plane transposed before it is laid out."""
    name = "blocks along the other axis"
    yield ScaleOrder(name, declared.address, declared.size, "", "L8", turned=True)
    plain = SCALE_ORDERS["row-major"]
    if declared is not plain:
        yield ScaleOrder(f"{name}, row-major", plain.address, plain.size, "", "L8", turned=True)
    if declared.tile is None:
        return

    def exchanged(line: Indices, block: Indices, p: Plane) -> Indices:
        return declared.address(block, line, Plane(p.blocks, p.lines, 1 - p.axis))

    def size(p: Plane) -> int:
        return declared.size(Plane(p.blocks, p.lines, 1 - p.axis))

    yield ScaleOrder(f"the plane transposed, then {declared.name}", exchanged, size, "", "L8")


def _records() -> Iterator[ScaleOrder]:
    """L7: a scale and its codes in one record; `mxref.check.tensor._data` knows its bytes."""
    for where in ("first", "last"):
        name = f"records, the scale {where}"
        yield ScaleOrder(name, _record, _count, "", "L7", record=f"scale-{where}")


def _record(line: Indices, block: Indices, p: Plane) -> Indices:
    return line * p.blocks + block
