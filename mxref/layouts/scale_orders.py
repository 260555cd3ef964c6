"""The orders in which scale codes lie in bytes: who uses each, and how to read and write them.

An *order* says for each scale of a plane where it lies. MX-1.0/5.1/layout prescribes nothing here:
OP-SCALE-LAYOUT. `mxref.check` knows what mistakes make of these orders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._suggest import unknown_name
from mxref.layouts import _scale_addresses as at
from mxref.layouts._scale_addresses import Plane
from mxref.layouts._scale_order import ScaleOrder, places
from mxref.layouts._scale_table import TABLE

__all__ = [
    "SCALE_ORDERS",
    "Plane",
    "ScaleOrder",
    "pack_scales",
    "places",
    "scale_bytes",
    "scale_order",
    "unpack_scales",
]


SCALE_ORDERS: Mapping[str, ScaleOrder] = MappingProxyType({order.name: order for order in TABLE})
"""The orders in use, by name."""


def scale_order(name: str | ScaleOrder) -> ScaleOrder:
    """Find an order.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> scale_order("128x4").tile
    (128, 4)
    """
    if isinstance(name, ScaleOrder):
        return name
    if name not in SCALE_ORDERS:
        raise ValueError(unknown_name("scale layout", name, SCALE_ORDERS))
    return SCALE_ORDERS[name]


# --- packing ----------------------------------------------------------------------------------


def scale_bytes(order: str | ScaleOrder, shape: tuple[int, int], axis: int = -1) -> int:
    """Return how many bytes a plane takes, padding included.

    Parameters
    ----------
    order : str or ScaleOrder
    shape : (int, int)
        Rows and columns of the plane.
    axis : int
        Axis of the plane along which blocks lie.

    Examples
    --------
    >>> scale_bytes("row-major", (130, 5)), scale_bytes("128x4", (130, 5))
    (650, 2048)
    """
    return int(scale_order(order).size(_plane(shape, axis)))


def pack_scales(
    scales: Any,
    order: str | ScaleOrder,
    *,
    axis: int = -1,
    pad: int | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Lay planes of scale codes out as bytes.

    Parameters
    ----------
    scales : array of uint8 (or another type of one byte), shape (..., rows, columns)
        Scale codes. With more than two axes, each of the planes (of experts, say) is laid out by
        itself.
    order : str or ScaleOrder
        Such as ``"128x4"``; `SCALE_ORDERS` has them all.
    axis : int
        Axis along which blocks lie: the last, or the one before it.
    pad : int, optional
        Byte for the places that hold no scale; default: what writers of the order use.
    out : ndarray of uint8, optional
        Where to write.

    Returns
    -------
    ndarray of uint8, shape (..., bytes)

    Raises
    ------
    TypeError, ValueError
        If there is no such order, or the array is no plane of bytes.

    Notes
    -----
    OP-SCALE-LAYOUT.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.arange(8, dtype=np.uint8).reshape(2, 4)
    >>> pack_scales(plane, "column-major").tolist()
    [0, 4, 1, 5, 2, 6, 3, 7]
    >>> packed = pack_scales(plane, "128x4")
    >>> packed.size, packed[:4].tolist(), packed[16:20].tolist()
    (512, [0, 1, 2, 3], [4, 5, 6, 7])
    """
    found = scale_order(order)
    array = _bytes_of(scales, "scales")
    if array.ndim < 2:
        raise ValueError(
            f"scales have shape {array.shape}; expected (..., rows, columns): a plane with one "
            f"scale for each block of each line"
        )
    where = inputs.normal_axis(axis, array.shape) - array.ndim
    if where < -2:
        raise ValueError(
            f"axis {axis} of scales of shape {array.shape}: blocks lie along one of the last two "
            f"axes; those before count planes"
        )
    plane = _plane(array.shape[-2:], where)
    fill = found.pad if pad is None else pad
    if not isinstance(fill, (int, np.integer)) or not 0 <= fill <= 0xFF:
        raise ValueError(f"pad is {fill!r}; expected a byte, 0 to 255")
    shape = (*array.shape[:-2], int(found.size(plane)))
    result = inputs.as_output(out, shape, np.uint8, array)
    _kernels().pack(found, plane, array, result, fill)
    return result


def unpack_scales(
    packed: Any,
    order: str | ScaleOrder,
    shape: tuple[int, int],
    *,
    axis: int = -1,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Read planes of scale codes from bytes; what padding holds is not looked at.

    Parameters
    ----------
    packed : array of uint8 (or another type of one byte), shape (..., bytes)
    order : str or ScaleOrder
    shape : (int, int)
        Rows and columns of the plane: lines and blocks, or with ``axis=-2`` blocks and lines.
    axis : int
        Axis of the plane along which blocks lie.
    out : ndarray of uint8, optional
        Where to write.

    Returns
    -------
    ndarray of uint8, shape (..., rows, columns)

    Raises
    ------
    TypeError, ValueError
        If there is no such order, or there are more or fewer bytes than it needs.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.arange(10, dtype=np.uint8).reshape(2, 5)
    >>> packed = pack_scales(plane, "128x4")
    >>> np.array_equal(unpack_scales(packed, "128x4", (2, 5)), plane)
    True
    >>> unpack_scales(packed[:10], "128x4", (2, 5))
    Traceback (most recent call last):
    ValueError: packed holds 10 bytes; 128x4 needs 1024 for a plane of 2 x 5. Orders that need 10: \
row-major, column-major
    """
    found = scale_order(order)
    array = _bytes_of(packed, "packed")
    plane = _plane(shape, axis)
    _require_size(array.shape, found, plane)
    result = inputs.as_output(out, (*array.shape[:-1], *plane.shape), np.uint8, array)
    _kernels().unpack(found, plane, array, result)
    return result


def _kernels() -> Any:
    from mxref.layouts import _scale_moves

    return _scale_moves


def _plane(shape: Any, axis: int) -> Plane:
    rows, columns = _two(shape)
    where = inputs.normal_axis(axis, (rows, columns))
    return Plane(rows, columns, 1) if where == 1 else Plane(columns, rows, 0)


def _two(shape: Any) -> tuple[int, int]:
    sizes = tuple(shape) if np.ndim(shape) == 1 else (shape,)
    is_plane = len(sizes) == 2 and all(isinstance(n, int | np.integer) and n >= 0 for n in sizes)
    if not is_plane:
        raise ValueError(
            f"shape is {shape!r}; expected the two sizes of a plane of scales, such as (lines, "
            f"blocks)"
        )
    return int(sizes[0]), int(sizes[1])


def _bytes_of(data: Any, what: str) -> NDArray[np.uint8]:
    array = np.asarray(data)
    if array.dtype.itemsize != 1 or array.dtype.kind == "b":
        raise TypeError(f"{what} have dtype {array.dtype}; expected uint8: scale codes, not values")
    return array.view(np.uint8)


def _require_size(shape: tuple[int, ...], order: ScaleOrder, plane: Plane) -> None:
    needed = int(order.size(plane))
    held = shape[-1] if shape else 1
    if held == needed and shape:
        return
    rows, columns = plane.shape
    text = f"{order.name} needs {needed} for a plane of {rows} x {columns}"
    if shape and math.prod(shape) == needed:
        raise ValueError(
            f"packed has shape {shape}, and {text} on the last axis: pass packed.reshape(-1)"
        )
    if held > needed and order.name == "gfx950-32x8":
        whole = plane._replace(lines=at.up(plane.lines, 256))
        if held == order.size(whole):
            raise ValueError(
                f"packed holds {held} bytes; {text}. They are those of lines padded to 256: pass "
                f"packed[..., :{needed}]"
            )
    others = [o.name for o in SCALE_ORDERS.values() if o.size(plane) == held]
    hint = f"Orders that need {held}: {', '.join(others)}" if others else "No order needs so many"
    raise ValueError(f"packed holds {held} bytes; {text}. {hint}")
