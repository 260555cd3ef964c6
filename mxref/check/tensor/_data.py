"""A tensor in bytes, and how its codes and scale codes are taken out under an assumed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._foreign import as_numpy
from mxref._suggest import unknown_name
from mxref.check.tensor._dictionary import Indices, Plane, ScaleOrder, places
from mxref.formats import BlockFormat

__all__ = [
    "PACKINGS",
    "ElementOrder",
    "MisfitError",
    "Stored",
    "declared_elements",
    "flat_bytes",
    "wrong_element_orders",
]

Bytes = NDArray[np.uint8]
PACKINGS = ("bytes", "nibbles-low-first", "nibbles-high-first")
"""What a caller can declare. FP6 codes lie one in a byte."""


class MisfitError(ValueError):
    """Buffers that do not hold what was declared; the message says what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A tensor in bytes.

    Attributes
    ----------
    elements, scales : ndarray of uint8, one-dimensional
    shape : (int, int)
        Rows and columns of the tensor.
    axis : int
        0 or 1: along which blocks lie, as declared.
    k : int
        Block size.
    has_nibbles : bool
        Whether a byte holds two codes.
    """

    elements: Bytes
    scales: Bytes
    shape: tuple[int, int]
    axis: int
    k: int
    has_nibbles: bool

    def plane(self, *, turned: bool = False) -> Plane:
        """The scale plane; `turned` for blocks along the other axis."""
        return Plane.of(self.shape, 1 - self.axis if turned else self.axis, self.k)

    @property
    def codes(self) -> Bytes:
        """All codes in the order of the bytes, those of a low half first."""
        return self._codes(self.elements)

    def _codes(self, data: Bytes) -> Bytes:
        if not self.has_nibbles:
            return data
        return np.stack([data & 0xF, data >> 4], -1).ravel()

    def _stream(self) -> Bytes:
        """The elements, and the scale codes behind them: what a reader of records takes."""
        return np.concatenate([self.elements, self.scales])

    @property
    def record_size(self) -> int:
        """Bytes of a record of a scale and its codes."""
        return 1 + (self.k // 2 if self.has_nibbles else self.k)

    def take_codes(self, order: ElementOrder, where: Where) -> Bytes:
        """The codes of some elements under an order; 0 outside the buffer."""
        if order.record:
            return _fetch(self._codes(self._stream()), order.address(*where, self))
        return _fetch(self.codes, order.address(*where, self))

    def take_scales(self, order: ScaleOrder, line: Indices, block: Indices) -> Bytes:
        """Scale codes under an order; 0 outside the buffer."""
        place = order.address(line, block, self.plane(turned=order.turned))
        if not order.record:
            return _fetch(self.scales, place)
        last = self.record_size - 1 if order.record == "scale-last" else 0
        return _fetch(self._stream(), place * self.record_size + last)

    def all_codes(self, order: ElementOrder) -> Bytes:
        """All codes under an order, in the shape of the tensor."""
        if order.address is _linear:  # the usual case, and a large one
            return self.codes[: self.shape[0] * self.shape[1]].reshape(self.shape).copy()
        row, column = np.indices(self.shape)
        return self.take_codes(order, (row, column))

    def all_scales(self, order: ScaleOrder) -> Bytes:
        """The scale plane under an order, in the shape that blocks along its axis have."""
        plane = self.plane(turned=order.turned)
        line, block = np.indices((plane.lines, plane.blocks))
        taken = self.take_scales(order, line, block)
        return taken if plane.axis == 1 else np.ascontiguousarray(taken.T)

    def outside(self, order: ScaleOrder) -> NDArray[np.bool_]:
        """Which scales an order puts outside the buffer, in the shape of the plane."""
        plane = self.plane(turned=order.turned)
        at = places(order, plane)
        size = self.scales.size
        if order.record:
            at = at * self.record_size
            size += self.elements.size
        lost = (at < 0) | (at >= size)
        return lost if plane.axis == 1 else lost.T

    def codes_outside(self, order: ElementOrder) -> NDArray[np.bool_]:
        """Which codes an order puts outside the buffer."""
        if order.address is _linear:
            return np.zeros(self.shape, np.bool_)
        row, column = np.indices(self.shape)
        return self.lost(order, (row, column))

    def lost(self, order: ElementOrder, where: Where) -> NDArray[np.bool_]:
        """Which of some elements an order puts outside the buffer."""
        at = order.address(*where, self)
        size = self.elements.size + (self.scales.size if order.record else 0)
        return (at < 0) | (at >= size * (2 if self.has_nibbles else 1))

    def padding(self, order: ScaleOrder) -> NDArray[np.bool_]:
        """Which scale bytes belong to no block under an order."""
        free = np.ones(self.scales.size, np.bool_)
        free[places(order, self.plane()).ravel()] = False
        return free


def _fetch(buffer: Bytes, at: Indices) -> Bytes:
    inside = (at >= 0) & (at < buffer.size)
    if not buffer.size:
        return np.zeros(at.shape, np.uint8)
    return np.where(inside, buffer[np.where(inside, at, 0)], np.uint8(0))


Where = tuple[Indices, Indices]
"""Rows and columns of some elements."""


# --- orders of the codes ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class ElementOrder:
    """Where the code of element (row, column) lies, counted in codes.

    Attributes
    ----------
    name : str
    address : callable
        Gives the place from arrays of rows and columns, and the tensor.
    fault : str
        The fault that it is where another order was declared.
    record : str
        As in `ScaleOrder`.
    is_swapped : bool
        Whether, of orders that can be declared, it has the first of two neighbours in the high half
        of a byte.
    """

    name: str
    address: Callable[[Indices, Indices, Stored], Indices]
    fault: str = ""
    record: str = ""
    is_swapped: bool = False


def _linear(row: Indices, column: Indices, s: Stored) -> Indices:
    return row * s.shape[1] + column


_LINEAR = ElementOrder("row-major, the first code in the low half", _linear, "L1")
_LONE = ElementOrder("row-major", _linear, "L1")  # the same, for codes of a byte each
_PAIRS = ElementOrder(
    "row-major, the first code in the high half",
    lambda r, c, s: _linear(r, c, s) ^ 1,
    "L1",
    is_swapped=True,
)


def declared_elements(packing: str, fmt: BlockFormat) -> ElementOrder:
    """The order that a packing means.

    Raises
    ------
    ValueError
        If there is no such packing, or a format has codes of more than 4 bits for nibbles.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> declared_elements("nibbles-high-first", block_format("mxfp4")).name
    'row-major, the first code in the high half'
    """
    if packing not in PACKINGS:
        raise ValueError(unknown_name("packing", packing, PACKINGS))
    if packing != "bytes" and fmt.element.bits > 4:
        raise ValueError(
            f"packing {packing!r} puts two codes into a byte, but those of {fmt.name} have "
            f"{fmt.element.bits} bits: give them one in a byte, packing='bytes'"
        )
    return {"bytes": _LONE, "nibbles-low-first": _LINEAR}.get(packing, _PAIRS)


def wrong_element_orders(
    declared: ElementOrder, *, has_nibbles: bool, k: int = 32
) -> Iterator[ElementOrder]:
    """Every other order that may be found where one was declared, the likelier first.

    Examples
    --------
    >>> [order.fault for order in wrong_element_orders(_LINEAR, has_nibbles=True)][:4]
    ['L1', 'L2', 'L2', 'L2']
    """
    if has_nibbles:
        yield _LINEAR if declared is _PAIRS else _PAIRS
        yield from _SPLIT if k % 2 == 0 else ()
        yield from _DOWN
    yield from _MOVED
    if has_nibbles and k % 2:
        return  # no record has half a byte
    for where in ("first", "last"):
        name = f"records, the scale {where}"
        yield ElementOrder(name, _in_record(where), "L7", f"scale-{where}")
        if has_nibbles:
            split = _in_record(where, is_split=True)
            yield ElementOrder(f"{name}, in split halves", split, "L7", f"scale-{where}")


def _runs(place: Callable[[Indices, int], Indices]) -> Callable[..., Indices]:
    """Codes permuted in each run of a block's length; what is left over stays where it is."""

    def address(row: Indices, column: Indices, s: Stored) -> Indices:
        at = _linear(row, column, s)
        moved = at // s.k * s.k + place(at % s.k, s.k)
        return np.where(at < s.shape[0] * s.shape[1] // s.k * s.k, moved, at)

    return address


def _split(i: Indices, k: int) -> Indices:
    """Element i, where i and i + k/2 share a byte, the first in its low half."""
    return i % (k // 2) * 2 + i // (k // 2)


def _unsplit(i: Indices, k: int) -> Indices:
    return i // 2 + i % 2 * (k // 2)


def _split_lines(row: Indices, column: Indices, s: Stored) -> Indices:
    """Split halves of blocks that lie along columns, one block after the other."""
    line, along = (row, column) if s.axis == 1 else (column, row)
    record = line * -(-s.shape[s.axis] // s.k) + along // s.k
    return record * s.k + _split(along % s.k, s.k)


_SPLIT = (
    ElementOrder("split halves of each block (ggml)", _runs(_split), "L2"),
    ElementOrder("split halves of each block taken for neighbours", _runs(_unsplit), "L2"),
    ElementOrder("split halves of blocks, one block after the other", _split_lines, "L2"),
)


def _down(row: Indices, column: Indices, s: Stored) -> Indices:
    """Two neighbours of a column in a byte."""
    return (row // 2 * s.shape[1] + column) * 2 + row % 2


_DOWN = (
    ElementOrder("packed down the columns", _down, "L9"),
    ElementOrder(
        "packed down the columns, the first in the high half",
        lambda r, c, s: _down(r, c, s) ^ 1,
        "L9",
    ),
)


def _pitched(multiple: int) -> ElementOrder:
    def address(row: Indices, column: Indices, s: Stored) -> Indices:
        return row * (-(-s.shape[1] // multiple) * multiple) + column

    return ElementOrder(f"rows padded to {multiple}", address, "L4")


def _tiles(lines: int, width: int) -> ElementOrder:
    def address(row: Indices, column: Indices, s: Stored) -> Indices:
        tile = row // lines * -(-s.shape[1] // width) + column // width
        return tile * lines * width + row % lines * width + column % width

    return ElementOrder(f"tiles of {lines} rows by {width} columns", address, "L6")


def _shifted(by: int, what: str) -> ElementOrder:
    return ElementOrder(what, lambda r, c, s: _linear(r, c, s) + by, "L4")


_MOVED = (
    ElementOrder("column-major", lambda r, c, s: c * s.shape[0] + r, "L8"),
    _tiles(16, 16),
    _tiles(16, 4),
    _tiles(16, 32),
    _tiles(32, 16),
    _pitched(32),
    _pitched(64),
    _pitched(128),
    _pitched(256),
    _shifted(1, "one code too far"),
    _shifted(-1, "one code too early"),
)


def _in_record(where: str, *, is_split: bool = False) -> Callable[..., Indices]:
    def address(row: Indices, column: Indices, s: Stored) -> Indices:
        line, along = (row, column) if s.axis == 1 else (column, row)
        record = line * -(-s.shape[s.axis] // s.k) + along // s.k
        lane = along % s.k
        lane = _split(lane, s.k) if is_split else lane
        per_byte = 2 if s.has_nibbles else 1
        start = record * s.record_size + (where == "first")
        return start * per_byte + lane

    return address


def flat_bytes(data: Any, what: str) -> Bytes:
    """Stored bytes in one dimension.

    Raises
    ------
    TypeError
        If they are not uint8, or a type of one byte.
    """
    array = as_numpy(data, what, packed=True)
    if array.dtype.itemsize != 1 or array.dtype.kind == "b":
        raise TypeError(
            f"{what} have dtype {array.dtype}; expected uint8: the bytes as they are stored"
        )
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
