"""Moves planes of scale codes to and from their bytes, by the fastest means that an order has."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import scale_orders as kernels
from mxref.layouts import _scale_addresses as at
from mxref.layouts._scale_addresses import Plane
from mxref.layouts.scale_orders import SCALE_ORDERS, ScaleOrder, places

__all__ = ["pack", "unpack"]

Bytes = NDArray[np.uint8]


def pack(order: ScaleOrder, plane: Plane, scales: Bytes, out: Bytes, pad: int) -> None:
    """Write each plane of `scales` (..., rows, columns) to `out` (..., bytes)."""
    if not out.size:
        return
    to = out if out.flags.c_contiguous else np.empty(out.shape, np.uint8)
    if to.shape[-1] != at.count(plane):
        to[...] = pad
    if scales.size:
        _pack(order, plane, scales, to)
    if to is not out:
        out[...] = to


def _pack(order: ScaleOrder, plane: Plane, scales: Bytes, to: Bytes) -> None:
    if order.address is at.row_major:
        np.copyto(to.reshape(scales.shape), scales)
        return
    tiles = _tiles(order, plane)
    is_transposed = order.address is at.column_major
    if kernels.INTERPRETED or (tiles is None and not is_transposed):
        to[..., _flat_places(order, plane)] = scales.reshape(*scales.shape[:-2], -1)
        return
    planes = np.ascontiguousarray(scales).reshape(-1, *plane.shape)
    packed = to.reshape(len(planes), -1)
    if tiles is None:
        kernels.transpose(planes, packed)
    else:
        kernels.pack(planes if plane.axis == 1 else _turned(planes), packed, tiles)


def unpack(order: ScaleOrder, plane: Plane, packed: Bytes, out: Bytes) -> None:
    """Read each plane from `packed` (..., bytes) into `out` (..., rows, columns)."""
    if not out.size:
        return
    if order.address is at.row_major:
        np.copyto(out, packed.reshape(out.shape))
        return
    tiles = _tiles(order, plane)
    is_transposed = order.address is at.column_major
    if kernels.INTERPRETED or (tiles is None and not is_transposed):
        out[...] = packed[..., _flat_places(order, plane)].reshape(out.shape)
        return
    to = out if out.flags.c_contiguous else np.empty(out.shape, np.uint8)
    planes = to.reshape(-1, *plane.shape)
    source = np.ascontiguousarray(packed).reshape(len(planes), -1)
    if tiles is None:
        kernels.transpose(source.reshape(-1, *plane.shape[::-1]), planes)
    elif plane.axis == 1:
        kernels.unpack(source, planes, tiles)
    else:
        lines_first = np.empty((len(planes), plane.lines, plane.blocks), np.uint8)
        kernels.unpack(source, lines_first, tiles)
        kernels.transpose(lines_first, planes)
    if to is not out:
        out[...] = to


def _turned(planes: Bytes) -> Bytes:
    n, rows, columns = planes.shape
    turned = np.empty((n, columns, rows), np.uint8)
    kernels.transpose(planes, turned)
    return turned


@lru_cache(maxsize=256)
def _tiles(order: ScaleOrder, plane: Plane) -> kernels.Tiles | None:
    """The order as its first tile and two steps; they are read off its address form."""
    if order.tile is None or SCALE_ORDERS.get(order.name) is not order:
        return None  # who knows what else an address form of somebody's own depends on
    high, wide = order.tile
    high = high if high > 4 else 16  # the words of 16 lines make 64 bytes
    line, block = np.indices((high, wide))
    inside = np.asarray(order.address(line, block, plane), np.int64)
    down, across = (
        int(order.address(np.array(i), np.array(j), plane)) - int(inside[0, 0])
        for i, j in ((high, 0), (0, wide))
    )
    size = int(order.size(plane))
    return kernels.Tiles(plane.lines, plane.blocks, size, inside, down, across)


def _flat_places(order: ScaleOrder, plane: Plane) -> NDArray[np.int64]:
    """The address of each scale in the order of the plane's own rows."""
    where = places(order, plane)
    return (where if plane.axis == 1 else where.T).reshape(-1)
