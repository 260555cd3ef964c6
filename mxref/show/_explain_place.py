"""One place of a tensor: which block it is in, and the numbers of that block.

The only part of explanations that needs numpy, and so imported only when there is a tensor.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.show._errors import ArgumentError
from mxref.show._explain_position import Place
from mxref.show._explain_spot import Spot
from mxref.show._input import Given, read_number

__all__ = ["as_array", "as_place", "block_of", "givens", "locate", "one_number"]


def as_array(x: Any) -> NDArray[Any]:
    """Return an array of real numbers; a list of texts is read as `read_number` reads them.

    Raises
    ------
    TypeError
        If the dtype is none that mxref converts.
    ValueError
        If a text is no number, or texts name several types.

    Examples
    --------
    >>> as_array(["1.3", "0x40000000"])
    array([1.3, 2. ], dtype=float32)
    """
    if not (isinstance(x, list | tuple) and any(isinstance(item, str) for item in x)):
        return inputs.as_float(x)[0]
    given = [read_number(item) for item in x]
    names = {one.source for one in given}
    name = names.pop()
    if names or name is None:
        what = "the numbers of a list are of one type"
        raise ArgumentError(
            f"with at=, {what}: all text, or all floats; got several",
            f"with --at, {what}; got several",
        )
    dtype = next(dtype for dtype, known in inputs.SOURCE_OF.items() if known == name)
    return np.array([one.bits for one in given], f"u{dtype.itemsize}").view(dtype)


def as_place(at: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return an index counted from the front.

    Raises
    ------
    TypeError
        If it is no integer and no sequence of integers.
    ValueError
        If it has another number of axes, or lies outside.

    Examples
    --------
    >>> as_place((1, -1), (2, 64)), as_place(5, (64,))
    ((1, 63), (5,))
    """
    hint = f"one integer for each axis of shape {shape}"
    try:
        index = [operator.index(i) for i in (at if isinstance(at, Sequence) else (at,))]
    except TypeError:
        raise TypeError(f"at must be {hint}, got {at!r}") from None
    if len(index) != len(shape):
        raise _misplaced(at, f" has {len(index)} of {len(shape)} axes: expected {hint}")
    for axis, (i, length) in enumerate(zip(index, shape, strict=True)):
        if not -length <= i < length:
            takes = f"takes 0 to {length - 1}" if length else "is empty"
            raise _misplaced(at, f" lies outside shape {shape}: axis {axis} {takes}")
    return tuple(i % length for i, length in zip(index, shape, strict=True))


def _misplaced(at: Any, what: str) -> ArgumentError:
    index = at if isinstance(at, Sequence) else (at,)
    return ArgumentError(f"at={at!r}{what}", f"--at {','.join(map(str, index))}{what}")


def locate(at: Any, shape: tuple[int, ...], axis: Any, size: int | None, name: str = "x") -> Place:
    """Find the block of an element; with `size` None the whole tensor is one.

    Examples
    --------
    >>> str(locate((3, 70), (4, 128), -1, 32))
    'x[3, 70], element 6 of block [3, 2]: x[3, 64:96], along axis 1'
    """
    index = as_place(at, shape)
    if size is None:
        flat = int(np.ravel_multi_index(index, shape)) if shape else 0
        return Place(index, shape, 0, (), flat, 0, 0, 0, name)
    where = inputs.normal_axis(axis, shape)
    number, within = divmod(index[where], size)
    block = (*index[:where], number, *index[where + 1 :])
    start = number * size
    stop = min(start + size, shape[where])
    return Place(index, shape, where, block, within, start, stop, size, name)


def block_of(array: NDArray[Any], place: Place) -> NDArray[Any]:
    """Return the elements of the block, a flat view."""
    key: list[Any] = list(place.index)
    key[place.axis] = slice(place.start, place.stop)
    block: NDArray[Any] = array[tuple(key)]
    return block


def givens(values: NDArray[Any]) -> list[Given]:
    """Return numbers with the bits that they came in."""
    return [read_number(value) for value in values]


def one_number(x: Any, at: Any) -> tuple[Given, Spot]:
    """Return the number at a place, and the place."""
    array = as_array(x)
    index = as_place(at, array.shape)
    return read_number(array[index]), Spot(index, array.shape)
