"""Address probes: in which byte a function looks for each scale or code, or puts it.

Every place gets a number, written in digits: a run of the function carries one digit of each, as a
power of two in the scales or as one of the codes in the elements. What comes out spells the number
of the place that was taken. One more run, with other digits, proves the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._shown import Shown
from mxref._suggest import unknown_name
from mxref.check._call import Caller
from mxref.check._guard import signature
from mxref.check.tensor._address_runs import UNKNOWN, Probes
from mxref.check.tensor._data import (
    ElementOrder,
    Stored,
    declared_elements,
    wrong_element_orders,
)
from mxref.check.tensor._dictionary import (
    Indices,
    Plane,
    ScaleOrder,
    places,
    scale_order,
)
from mxref.check.tensor._mistakes import wrong_scale_orders
from mxref.formats import BlockFormat, block_format

__all__ = ["AddressMap", "Departure", "address_map", "probe"]


class Departure(NamedTuple):
    """The first place at which a map is another than the nearest known order.

    Attributes
    ----------
    place : (int, int)
        Row and column, of the scale plane or of the tensor.
    expected, found : int
        Addresses; -1 for none.
    nearest : str
        The known order.
    """

    place: tuple[int, int]
    expected: int
    found: int
    nearest: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AddressMap(Shown):
    """Where a function takes, or puts, each scale code or element code.

    Attributes
    ----------
    of : str
        ``"scales"`` or ``"elements"``.
    addresses : ndarray of int64
        In the shape of the scale plane, counted in bytes; or of the tensor, counted in codes. -1
        where no one place decides.
    declared : str
        The order that was declared.
    name : str
        The known order that it is, or empty.
    source : str
        Who has that order; empty for a mistake.
    fault : str
        Id of the fault that it is; empty for the declared order.
    departs : Departure or None
        Where it departs from the nearest known order; None if it is one.
    runs : int
        Calls of the function.
    """

    of: str
    addresses: Indices
    declared: str
    name: str
    source: str
    fault: str
    departs: Departure | None
    runs: int

    @property
    def ok(self) -> bool:
        """Whether it is the declared order."""
        return self.name == self.declared

    def __str__(self) -> str:
        """Return one or two sentences."""
        size = " x ".join(map(str, self.addresses.shape))
        head = f"{self.of}, {size}, {self.runs} runs: "
        if self.ok:
            return f"{head}{self.name}, as declared."
        if self.name:
            return f"{head}{self.name} ({self.fault}); declared: {self.declared}."
        if self.departs is None:  # there are no places
            return f"{head}nothing to compare."
        at, expected, found, nearest = self.departs
        where = "at no one address" if found == UNKNOWN else f"at address {found}"
        return (
            f"{head}no known order. The nearest is {nearest}; first departure: "
            f"[{at[0]}, {at[1]}] lies {where}, expected {expected}."
        )


def address_map(
    fn: Callable[..., Any],
    format: str | BlockFormat,  # noqa: A002
    shape: tuple[int, int],
    axis: int = -1,
    *,
    op: str = "dequantize_tensor",
    of: str = "scales",
    packing: str = "bytes",
    scale_layout: str = "row-major",
) -> AddressMap:
    """Recover where a function takes or puts every scale code (or element code) of a tensor.

    Parameters
    ----------
    fn : callable
        ``dequantize_tensor``: elements, scales (both uint8, as stored) and shape to float32 values;
        ``quantize_tensor``: float32 values to elements and scales, as stored.
    format : str or BlockFormat
    shape : (int, int)
        Rows and columns; shapes beyond one tile tell more orders apart.
    axis : int
        Blocked axis.
    op : str
        ``"dequantize_tensor"`` or ``"quantize_tensor"``.
    of : str
        ``"scales"`` or ``"elements"``.
    packing, scale_layout : str
        As for `mxref.check.quantize_tensor`.

    Returns
    -------
    AddressMap

    Raises
    ------
    TargetError
        If `fn` raises, or returns something else.
    ValueError
        If a name does not exist.

    Notes
    -----
    Every byte of the buffer has its own number, padding as well: a function that reads padding
    shows as one that reads a place where no scale is.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> def reader(elements, scales, shape):
    ...     return mxref.dequantize(elements.reshape(shape), scales.reshape(2, 8).T, "mxfp8_e4m3")
    >>> print(address_map(reader, "mxfp8_e4m3", (8, 64)))
    scales, 8 x 2, 2 runs: column-major (L8); declared: row-major.
    """
    if op not in ("quantize_tensor", "dequantize_tensor"):
        raise ValueError(unknown_name("operation", op, ("quantize_tensor", "dequantize_tensor")))
    if of not in ("scales", "elements"):
        raise ValueError(unknown_name("kind of address", of, ("scales", "elements")))
    fmt = block_format(format)
    where = inputs.normal_axis(axis, shape)
    call = Caller(fn, signature(op))
    return probe(call, fmt, shape, where, op, of=of, packing=packing, scale_layout=scale_layout)


def probe(
    call: Callable[..., Any],
    fmt: BlockFormat,
    shape: tuple[int, int],
    axis: int,
    op: str,
    *,
    of: str,
    packing: str,
    scale_layout: str,
) -> AddressMap:
    """As `address_map`, with a function that is guarded already."""
    elements, scales = declared_elements(packing, fmt), scale_order(scale_layout)
    has_nibbles = packing != "bytes"
    count = shape[0] * shape[1]
    plane = Stored(_none(0), _none(0), shape, axis, fmt.block_size, has_nibbles).plane()
    size = -(-count // 2) if has_nibbles else count
    blank = Stored(_none(size), _none(scales.size(plane)), shape, axis, fmt.block_size, has_nibbles)
    probes = Probes(call, fmt, blank)
    if of == "scales":
        found = probes.read_scales() if op == "dequantize_tensor" else probes.written_scales()
        return _named_scales(found, blank, scales, probes.runs)
    found = probes.read_codes() if op == "dequantize_tensor" else probes.written_codes()
    return _named_codes(found, blank, elements, probes.runs)


def _none(size: int) -> NDArray[np.uint8]:
    return np.zeros(size, np.uint8)


# --- names ------------------------------------------------------------------------------------


def _named_scales(found: Indices, blank: Stored, declared: ScaleOrder, runs: int) -> AddressMap:
    orders = [declared, *(o for o in wrong_scale_orders(declared) if not o.record)]
    plane, k = blank.plane(), blank.k
    per_block = found.shape != blank.shape
    own = found if per_block else _of_blocks(found, blank)
    if per_block or not (own == _MIXED).any():
        orders = [o for o in orders if not o.turned]
        per_element, shown = False, own
    else:  # blocks along the other axis, or no blocks at all
        per_element, shown = True, found

    def expected(order: ScaleOrder) -> Indices:
        if not per_element:
            return places(order, plane)
        row, column = np.indices(blank.shape)
        other = blank.plane(turned=order.turned)
        if other.axis == 1:
            return order.address(row, column // k, other)
        return order.address(column, row // k, other)

    best, wrong = _nearest(shown, (expected(o) for o in orders), blank.scales.size)
    order = orders[best]
    fits = not wrong.any()
    own = np.where(own == _MIXED, UNKNOWN, own)
    departs = None
    if not fits:
        if per_element:
            wrong = _any_of_blocks(wrong, blank)
        departs = _departure(order, wrong, own, plane)
    fault = "" if order is declared or not fits else order.fault
    name, source = (order.name, order.source) if fits else ("", "")
    addresses = own if plane.axis == 1 else np.ascontiguousarray(own.T)
    return AddressMap("scales", addresses, declared.name, name, source, fault, departs, runs)


_MIXED = -2  # the elements of a block have scales from different places


def _cut(array: NDArray[Any], blank: Stored) -> NDArray[Any]:
    """The elements of each block, lines first."""
    plane, k = blank.plane(), blank.k
    lines = array if plane.axis == 1 else array.T
    full = np.pad(lines, ((0, 0), (0, -lines.shape[1] % k)), mode="edge")
    return full.reshape(plane.lines, plane.blocks, k)


def _of_blocks(found: Indices, blank: Stored) -> Indices:
    """One address a block, lines first."""
    full = _cut(found, blank)
    return np.where((full == full[..., :1]).all(-1), full[..., 0], _MIXED)


def _any_of_blocks(wrong: NDArray[np.bool_], blank: Stored) -> NDArray[np.bool_]:
    return np.asarray(_cut(wrong, blank).any(-1))


def _nearest(
    found: Indices, expected: Iterable[Indices], size: int
) -> tuple[int, NDArray[np.bool_]]:
    """Which of some maps is nearest, and where it differs; outside the buffer there is nothing."""
    best, wrong = 0, np.ones(found.shape, np.bool_)
    for i, wanted in enumerate(expected):
        inside = (wanted >= 0) & (wanted < size)
        differs = np.where(inside, wanted, UNKNOWN) != found
        if i == 0 or differs.sum() < wrong.sum():
            best, wrong = i, differs
        if not wrong.any():
            break
    return best, wrong


def _departure(
    order: ScaleOrder, wrong: NDArray[np.bool_], own: Indices, plane: Plane
) -> Departure:
    shown = wrong if plane.axis == 1 else wrong.T
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(shown)), shown.shape))
    line, block = (row, column) if plane.axis == 1 else (column, row)
    wanted = order.address(np.array(line), np.array(block), plane)
    return Departure((row, column), int(wanted), int(own[line, block]), order.name)


def _named_codes(found: Indices, blank: Stored, declared: ElementOrder, runs: int) -> AddressMap:
    others = wrong_element_orders(declared, has_nibbles=blank.has_nibbles, k=blank.k)
    orders = [declared, *(o for o in others if not o.record)]
    row, column = np.indices(blank.shape)

    def expected(order: ElementOrder) -> Indices:
        return order.address(row, column, blank)

    size = blank.elements.size * (2 if blank.has_nibbles else 1)
    best, wrong = _nearest(found, (expected(o) for o in orders), size)
    order = orders[best]
    if not wrong.any():
        fault = "" if order is declared else order.fault
        return AddressMap("elements", found, declared.name, order.name, "", fault, None, runs)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    index = (at[0], at[1])
    departs = Departure(index, int(expected(order)[index]), int(found[index]), order.name)
    return AddressMap("elements", found, declared.name, "", "", "", departs, runs)
