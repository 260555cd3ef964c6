"""Messages between mxref and its worker process: a tree of JSON, and the arrays beside it.

A message is the length of its head (8 bytes), the head in JSON, then the bytes of the arrays one
after another. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Reader", "pack", "packed_tree", "unpacked_tree", "write_all"]

_LENGTH = 8


def packed_tree(item: Any, arrays: list[NDArray[Any]]) -> Any:
    """Return an item as JSON knows it, with its arrays appended to a list.

    Arrays, None, numbers, text, lists, tuples, and objects with ``codes`` and ``scales``.

    Examples
    --------
    >>> packed_tree((np.zeros(2), None), [])
    {'tuple': [{'array': 0}, {'plain': None}]}
    """
    if isinstance(item, np.ndarray):
        arrays.append(item)
        return {"array": len(arrays) - 1}
    if isinstance(item, tuple | list):
        kind = "tuple" if isinstance(item, tuple) else "list"
        return {kind: [packed_tree(each, arrays) for each in item]}
    if isinstance(item, SimpleNamespace):
        return {"fields": {name: packed_tree(each, arrays) for name, each in vars(item).items()}}
    if item is None or isinstance(item, bool | int | float | str):
        return {"plain": item}
    raise TypeError(f"no message holds a {type(item).__name__}")


def unpacked_tree(tree: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    """Return the item that `packed_tree` packed.

    Examples
    --------
    >>> unpacked_tree({"list": [{"plain": 3}]}, [])
    [3]
    """
    ((kind, held),) = tree.items()
    if kind == "array":
        return arrays[held]
    if kind == "fields":
        fields = {name: unpacked_tree(each, arrays) for name, each in held.items()}
        return SimpleNamespace(**fields)
    if kind in ("tuple", "list"):
        items = [unpacked_tree(each, arrays) for each in held]
        return tuple(items) if kind == "tuple" else items
    return held


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.name if hasattr(ml_dtypes, dtype.name) else dtype.str


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, name))


def pack(head: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> list[memoryview]:
    """Return the pieces of a message, to be written one after another."""
    shapes = [[_dtype_name(array.dtype), list(array.shape)] for array in arrays]
    text = json.dumps({**head, "arrays": shapes}).encode("ascii")
    pieces = [memoryview(len(text).to_bytes(_LENGTH, "little") + text)]
    for array in arrays:
        whole = np.ascontiguousarray(array).reshape(-1)
        pieces.append(whole.view(np.uint8).data)
    return pieces


def write_all(descriptor: int, pieces: Sequence[memoryview]) -> None:
    """Write to a blocking pipe."""
    for piece in pieces:
        left = piece
        while left:
            left = left[os.write(descriptor, left) :]


class Reader:
    """Reads messages from a descriptor; `wait` may give up before each read.

    Parameters
    ----------
    descriptor : int
    wait : callable, optional
        Called before each read; raises if it does not want to wait any longer.
    """

    def __init__(self, descriptor: int, wait: Callable[[], None] | None = None) -> None:
        self._descriptor = descriptor
        self._wait = wait

    def message(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Return the head and the arrays of the next message.

        Raises
        ------
        EOFError
            If the other side has gone.
        """
        length = int.from_bytes(self._exactly(_LENGTH), "little")
        head: dict[str, Any] = json.loads(bytes(self._exactly(length)))
        arrays = []
        for name, shape in head["arrays"]:
            dtype = _dtype(name)
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            arrays.append(np.frombuffer(self._exactly(size), dtype).reshape(shape))
        return head, arrays

    def _exactly(self, size: int) -> bytearray:
        whole = bytearray(size)
        view = memoryview(whole)
        while view:
            if self._wait is not None:
                self._wait()
            got = os.readv(self._descriptor, [view])
            if not got:
                raise EOFError
            view = view[got:]
        return whole
