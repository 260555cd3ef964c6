"""The orders in which scale codes are known to lie in bytes, as the checks of tensors see them.

`mxref.layouts.scale_orders` defines those in use. Here each also says which fault it is where
another was declared; `_mistakes` adds what mistakes make of them. MX-1.0/5.1/layout prescribes
nothing here: OP-PACKING and OP-SCALE-LAYOUT.
"""

from __future__ import annotations

from dataclasses import dataclass

from mxref._suggest import unknown_name
from mxref.layouts import scale_orders
from mxref.layouts._scale_addresses import (
    Address,
    Indices,
    Plane,
    count,
    flat,
    line_by_line,
    plain_tiles,
    tile_start,
    up,
)
from mxref.layouts.scale_orders import places

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


@dataclass(frozen=True, slots=True, eq=False)
class ScaleOrder(scale_orders.ScaleOrder):
    """Where the scale code of (line, block) lies, and which mistake that is.

    Attributes
    ----------
    fault : str
        The fault that it is where another order was declared.
    turned : bool
        Whether its lines and blocks are those of the other axis.
    record : str
        ``"scale-first"`` or ``"scale-last"``, where `address` counts records of a scale and its
        codes; else empty.

    Notes
    -----
    The other attributes are those of `mxref.layouts.scale_orders.ScaleOrder`. Here `source` is
    empty for an order that is a mistake.
    """

    fault: str = "L6"
    turned: bool = False
    record: str = ""


_FAULTS = {"row-major": "L3", "column-major": "L8"}


def _known(order: scale_orders.ScaleOrder) -> ScaleOrder:
    # Words that go down the lines are no tiles to the mistakes: those have names of their own.
    tile = None if order.tile in ((1, 4), (4, 4)) else order.tile
    fault = _FAULTS.get(order.name, "L6")
    return ScaleOrder(order.name, order.address, order.size, order.source, fault, tile=tile)


SCALE_ORDERS: dict[str, ScaleOrder] = {
    name: _known(order) for name, order in scale_orders.SCALE_ORDERS.items()
}
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
