"""What mistakes make of the orders in use: where scale codes are found instead.

MX-1.0/5.1/layout prescribes nothing here: OP-SCALE-LAYOUT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from mxref.check.tensor._dictionary import (
    SCALE_ORDERS,
    Address,
    Indices,
    Plane,
    ScaleOrder,
    count,
    flat,
    line_by_line,
    plain_tiles,
    tile_start,
    up,
)

__all__ = ["wrong_scale_orders"]


def wrong_scale_orders(declared: ScaleOrder) -> Iterator[ScaleOrder]:
    """Every other order that may be found where one was declared, the likelier first.

    Examples
    --------
    >>> orders = list(wrong_scale_orders(SCALE_ORDERS["128x4"]))
    >>> [(order.fault, order.name) for order in orders][:2]
    [('L3', 'row-major'), ('L3', 'line by line')]
    """
    tiled = SCALE_ORDERS["128x4"] if declared.tile is None else declared
    for order in SCALE_ORDERS.values():
        # Whoever knows one layout only, mistakes it for row-major or the reverse.
        plain = {declared.name, order.name} == {"128x4", "row-major"}
        plain = plain or (declared.tile is not None and order.name == "row-major")
        unpadded = (declared.name, order.name) == ("mn-major-words", "gfx1250-words")
        if order is not declared and not unpadded:  # that is a stride, and has its own name below
            yield _renamed(order, "L3" if plain else order.fault if order.fault != "L3" else "L8")
        if order.name == "row-major" and declared.tile is not None:
            yield ScaleOrder("line by line", line_by_line, count, "", "L3")
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
    return up(p.blocks, (order.tile or (1, 1))[1])


def _whole_tiles(order: ScaleOrder) -> Address:
    return lambda line, block, p: flat(line, block, _across(order, p))


def _twice(order: ScaleOrder) -> Address:
    """The result of the order, taken for the padded plane in row-major order, once more."""

    def address(line: Indices, block: Indices, p: Plane) -> Indices:
        width = _across(order, p)
        once = order.address(line, block, p)
        return order.address(once // width, once % width, p)

    return address


def _inverse(order: ScaleOrder) -> Address:
    def address(line: Indices, block: Indices, p: Plane) -> Indices:
        width = _across(order, p)
        row, column = np.indices((order.size(p) // width, width))
        back = np.argsort(order.address(row, column, p).ravel())
        return np.asarray(back[line * width + block], np.int64)

    return address


def _in_words(declared: ScaleOrder) -> Iterator[ScaleOrder]:
    """L5: another byte or another lane than the one that holds the scale."""

    def moved(byte: Callable[[Indices], Indices]) -> Address:
        def address(line: Indices, block: Indices, p: Plane) -> Indices:
            place = declared.address(line, block, p)
            return place // 4 * 4 + byte(place % 4)

        return address

    def shifted(by: int) -> Address:
        return lambda line, block, p: declared.address(line, block, p) + by

    def lane(line_of: Callable[[Indices], Indices]) -> Address:
        return lambda line, block, p: declared.address(line_of(line), block, p)

    named: tuple[tuple[str, Address], ...] = (
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
    if declared.name == "mn-major-words":
        yield from _words_at_strides()
        return
    if declared.tile is None:
        for multiple in (4, 8, 16, 32, 128):
            name = f"rows of the plane padded to {multiple}"
            yield ScaleOrder(name, partial(_pitched, multiple=multiple), count, "", "L4")
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

    named: tuple[tuple[str, Address], ...] = (
        ("tiles without their padding lines", size_of_lines),
        ("the partial tile across not counted", partial_dropped),
        ("words as narrow as the plane", narrow_words),
        ("rows of tiles at the logical width", logical_stride),
    )
    for name, address in named:
        yield ScaleOrder(name, address, declared.size, "", "L4")


def _words_at_strides() -> Iterator[ScaleOrder]:
    """Words down the lines, where lines are not padded, or to another multiple than 4."""

    def address(line: Indices, block: Indices, p: Plane, *, multiple: int) -> Indices:
        return (block // 4 * up(p.lines, multiple) + line) * 4 + block % 4

    def size(p: Plane, *, multiple: int) -> int:
        return up(p.lines, multiple) * up(p.blocks, 4)

    for multiple in (1, 8, 16, 32, 64, 128):
        name = f"words of lines padded to {multiple}" if multiple > 1 else "words of lines as given"
        at, own = partial(address, multiple=multiple), partial(size, multiple=multiple)
        yield ScaleOrder(name, at, own, "", "L4")


def _pitched(line: Indices, block: Indices, p: Plane, *, multiple: int) -> Indices:
    if p.axis == 1:
        return flat(line, block, up(p.blocks, multiple))
    return flat(block, line, up(p.lines, multiple))


def _other_tiles(tiled: ScaleOrder) -> Iterator[ScaleOrder]:
    """L6: tiles as somebody else wants them."""
    lines, blocks = tiled.tile or (1, 1)

    def down(line: Indices, block: Indices, p: Plane) -> Indices:
        tile = block // blocks * -(-p.lines // lines) + line // lines
        return tile * (lines * blocks) + tiled.address(line % lines, block % blocks, p)

    yield ScaleOrder(f"{tiled.name}, tiles one below the other", down, tiled.size)
    if (lines, blocks) == (128, 4):
        exchanged = partial(plain_tiles, tile=(128, 4))
        yield ScaleOrder("128x4 with its row parts exchanged", exchanged, tiled.size)

        def transposed(line: Indices, block: Indices, p: Plane) -> Indices:
            inside = block % 4 * 128 + line % 32 * 4 + line % 128 // 32
            return tile_start(line, block, p, (128, 4)) + inside

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
        yield ScaleOrder(name, _record, count, "", "L7", record=f"scale-{where}")


def _record(line: Indices, block: Indices, p: Plane) -> Indices:
    return line * p.blocks + block
