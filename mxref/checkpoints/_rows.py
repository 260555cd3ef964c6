"""Rows of a tensor in a file: how many, how long, and of what type numpy sees them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mxref.checkpoints._dtypes import NUMBERS, storage
from mxref.checkpoints._file import RandomFile
from mxref.checkpoints._words import quoted
from mxref.checkpoints.store import CheckpointError, TensorInfo

__all__ = ["Rows", "read_bytes", "read_rows", "rows_of"]


class Rows(NamedTuple):
    """How a tensor lies in its file, row by row.

    Attributes
    ----------
    rows, columns : int
        The latter in stored units: numbers, or bytes for narrow types.
    dtype : numpy.dtype
        Of a unit, as stored.
    """

    rows: int
    columns: int
    dtype: np.dtype[Any]


def rows_of(info: TensorInfo) -> Rows:
    """Return how a tensor lies in its file.

    Raises
    ------
    CheckpointError
        If a row is no whole number of bytes, or the type is unknown.
    """
    count = math.prod(info.shape[:-1])
    columns = info.shape[-1] if info.shape else 1
    number = NUMBERS.get(info.dtype)
    if number is not None:
        dtype = np.dtype(number)
        stored = dtype.newbyteorder(">") if info.byte_order == "big" else dtype.newbyteorder("<")
        return Rows(count, columns, stored)
    kind = storage(info.dtype)
    if kind is None:
        raise _refusal(
            info,
            f"type {info.dtype} is unknown to mxref, so its rows cannot be read; its bytes can be "
            f"copied",
        )
    per_block, bits = kind
    if columns * bits % (8 * per_block):
        raise _refusal(
            info,
            f"a row of {columns} × {info.dtype} is no whole number of bytes, so it cannot be read "
            f"by rows; its bytes can be copied",
        )
    return Rows(count, columns * bits // (8 * per_block), np.dtype(np.uint8))


def read_rows(
    file: RandomFile, info: TensorInfo, start: int, stop: int | None, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Read rows of a tensor; see `Store.read`."""
    rows, columns, stored = rows_of(info)
    stop = rows if stop is None else stop
    _require_range(info, "rows", start, stop, rows)
    row_bytes = columns * stored.itemsize
    native = stored.newbyteorder("=")
    array = _buffer(info, (stop - start, columns), native, out)
    file.read_into(info.offset + start * row_bytes, array)
    if stored != native:
        array.byteswap(inplace=True)
    return array


def read_bytes(
    file: RandomFile, info: TensorInfo, start: int, stop: int | None, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Read bytes of a tensor; see `Store.read_bytes`."""
    stop = info.nbytes if stop is None else stop
    _require_range(info, "bytes", start, stop, info.nbytes)
    array = _buffer(info, (stop - start,), np.uint8, out)
    file.read_into(info.offset + start, array)
    return array


def _require_range(info: TensorInfo, what: str, start: int, stop: int, count: int) -> None:
    if not 0 <= start <= stop <= count:
        raise _refusal(info, f"has {count} {what}; asked for {start} to {stop}")


def _buffer(
    info: TensorInfo, shape: tuple[int, ...], dtype: DTypeLike, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Return an array to read into."""
    wanted = np.dtype(dtype)
    nbytes = math.prod(shape) * wanted.itemsize
    if out is None:
        try:
            return np.empty(shape, dtype)
        except (MemoryError, OverflowError, ValueError):  # the latter: a length beyond numpy's own
            raise _refusal(
                info, f"no memory for {shape[0]} rows, {nbytes} bytes of shape {shape}; read fewer"
            ) from None
    if out.flags.c_contiguous and out.flags.writeable:
        if out.dtype == wanted and out.shape == shape:
            return out
        if out.dtype == np.uint8 and out.ndim == 1 and out.size >= nbytes:
            return out[:nbytes].view(wanted).reshape(shape)
    raise _refusal(
        info,
        f"out has type {out.dtype} and shape {out.shape}; expected {wanted} and {shape}, or "
        f"{nbytes} bytes of uint8 or more in one dimension, "
        f"C-contiguous and writeable",
    )


def _refusal(info: TensorInfo, problem: str) -> CheckpointError:
    return CheckpointError(f"{info.file}: tensor {quoted(info.name)}: {problem}")
