"""Which codes and which scales an index of an `MXArray` selects: whole blocks, always."""

from __future__ import annotations

import operator
from types import EllipsisType
from typing import Any

import numpy as np

__all__ = ["permutation", "selection"]

_ADVICE = "or index q.codes, or the values q.dequantize(), as you like"


def selection(
    key: Any, shape: tuple[int, ...], axis: int, block_size: int
) -> tuple[tuple[Any, ...], tuple[Any, ...], int]:
    """Turn an index into one for the codes, one for the scales, and the axis of blocks behind it.

    Parameters
    ----------
    key : int, slice, None, Ellipsis or a tuple of these
    shape : tuple of int
        Shape of the codes.
    axis : int
        Axis along which blocks lie, counted from the front.
    block_size : int

    Raises
    ------
    IndexError
        If there are too many items, or one is out of range.
    TypeError
        If an item is something else, such as an array.
    ValueError
        If blocks would be cut.

    Examples
    --------
    >>> selection((0, slice(32, 96)), (4, 128), 1, 32)
    ((0, slice(32, 96, None)), (0, slice(1, 3, None)), 0)
    """
    codes = _complete(key if isinstance(key, tuple) else (key,), shape)
    scales = list(codes)
    source = 0  # axis of the given array that the next item reads
    made = 0  # axes that the result has by then
    new_axis = 0
    for position, item in enumerate(codes):
        if item is None:
            made += 1
            continue
        if source == axis:
            if not isinstance(item, slice):
                _refuse_one(item, shape[axis], axis, block_size)
            scales[position] = _blocks(item, shape[axis], axis, block_size)
            new_axis = made
        made += isinstance(item, slice)
        source += 1
    return tuple(codes), tuple(scales), new_axis


def _complete(key: tuple[Any, ...], shape: tuple[int, ...]) -> list[Any]:
    """Check each item, and write out an ellipsis and the axes that were left away."""
    items = [_item(each) for each in key]
    n_given = sum(each is not None and each is not Ellipsis for each in items)
    if n_given > len(shape):
        msg = f"{n_given} indices for an MXArray of {len(shape)} axes, shape {shape}"
        raise IndexError(msg)
    ellipses = [i for i, each in enumerate(items) if each is Ellipsis]
    if len(ellipses) > 1:
        msg = f"an index can have one ellipsis (...) only, got {len(ellipses)}: write : for an axis"
        raise IndexError(msg)
    at = ellipses[0] if ellipses else len(items)
    rest = [slice(None)] * (len(shape) - n_given)
    return [*items[:at], *rest, *items[at + 1 :]]


def _item(item: Any) -> slice | int | EllipsisType | None:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    is_array = getattr(item, "shape", ()) != ()  # an array of one index would become that index
    if not is_array and not isinstance(item, bool | np.bool_):
        try:
            return operator.index(item)
        except TypeError:
            pass
    msg = (
        f"an MXArray takes integers and slices, got {type(item).__name__}; make another one of "
        f"q.codes[...] and q.scales[...], {_ADVICE}"
    )
    raise TypeError(msg)


def _refuse_one(item: int, length: int, axis: int, block_size: int) -> None:
    if not -length <= item < length:
        msg = f"index {item} is out of range for axis {axis} of length {length}"
        raise IndexError(msg)
    msg = (
        f"index {item} on axis {axis} would take an element out of its block: slice that axis "
        f"by multiples of {block_size}, {_ADVICE}"
    )
    raise ValueError(msg)


def _blocks(item: slice, length: int, axis: int, block_size: int) -> slice:
    """Return the blocks that a slice of elements covers."""
    start, stop, step = item.indices(length)
    if step == 1 and start >= stop:
        return slice(0, 0)
    whole = start % block_size == 0 and (stop % block_size == 0 or stop == length)
    if step != 1 or not whole:
        given = ":".join("" if each is None else str(each) for each in (item.start, item.stop))
        given += "" if item.step is None else f":{item.step}"
        msg = (
            f"the slice {given} of axis {axis} (length {length}) would cut blocks: begin and end "
            f"at multiples of the block size {block_size}, with step 1, {_ADVICE}"
        )
        raise ValueError(msg)
    return slice(start // block_size, -(-stop // block_size))


def permutation(axes: tuple[Any, ...], n_axes: int) -> tuple[int, ...]:
    """Return the order of axes that ``transpose(*axes)`` means; no axes: all reversed.

    Raises
    ------
    TypeError, ValueError
        If it is no order of all axes.

    Examples
    --------
    >>> permutation((), 3), permutation(((0, -1, 1),), 3)
    ((2, 1, 0), (0, 2, 1))
    """
    if len(axes) == 1 and isinstance(axes[0], tuple | list):
        axes = tuple(axes[0])
    if not axes or axes == (None,):
        return tuple(reversed(range(n_axes)))
    order = tuple(operator.index(each) for each in axes)
    if sorted(each % n_axes if -n_axes <= each < n_axes else -1 for each in order) != list(
        range(n_axes)
    ):
        msg = f"axes {order} are no order of the {n_axes} axes 0 to {n_axes - 1}"
        raise ValueError(msg)
    return tuple(each % n_axes for each in order)
