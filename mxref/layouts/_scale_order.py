"""What an order of scale codes is: the byte at which each of them lies, as a formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mxref.layouts._scale_addresses import Address, Indices, Plane

__all__ = ["ScaleOrder", "places"]


@dataclass(frozen=True, slots=True, eq=False)
class ScaleOrder:
    """Where the scale code of (line, block) lies.

    Lines are what blocks lie on: the rows of a tensor under axis 1, its columns under axis 0.

    Attributes
    ----------
    name : str
    address : callable
        Gives the byte from arrays of lines and blocks, and the plane: the definition.
    size : callable
        Gives the bytes that a plane takes, padding included.
    source : str
        Who has it so.
    tile : (int, int) or None
        Lines and blocks to which a tiled order pads.
    tiles_down : bool
        Whether tiles follow each other along the lines first.
    pad : int
        What its writers put into the bytes of no scale.
    text, url, evidence : str
        What it is in a sentence; where that can be read; how sure it is, in the words of
        `mxref.layouts._packing_table`.
    """

    name: str
    address: Address
    size: Callable[[Plane], int]
    source: str = ""
    tile: tuple[int, int] | None = field(default=None, kw_only=True)
    tiles_down: bool = field(default=False, kw_only=True)
    pad: int = field(default=0, kw_only=True)
    text: str = field(default="", kw_only=True)
    url: str = field(default="", kw_only=True)
    evidence: str = field(default="", kw_only=True)


def places(order: ScaleOrder, plane: Plane) -> Indices:
    """The address of each scale, shape (lines, blocks).

    Examples
    --------
    >>> from mxref.layouts.scale_orders import SCALE_ORDERS
    >>> places(SCALE_ORDERS["128x4"], Plane(34, 5, 1))[32:, :]
    array([[  4,   5,   6,   7, 516],
           [ 20,  21,  22,  23, 532]])
    """
    line, block = np.indices((plane.lines, plane.blocks))
    return np.asarray(order.address(line, block, plane), np.int64)
