"""What users hand in, checked: dtypes, shapes, axes and code ranges, with errors that help."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref._foreign import as_numpy
from mxref._suggest import shown

__all__ = [
    "as_codes",
    "as_float",
    "as_output",
    "check_range",
    "normal_axis",
    "scale_shape",
    "slabs",
]

SOURCE_OF: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "float32",
    np.dtype(np.float64): "float64",
    np.dtype(np.float16): "float16",
    np.dtype(ml_dtypes.bfloat16): "bfloat16",
}
"""Input dtypes (in native byte order) and the names that kernels know them by."""

# One byte per code in ml_dtypes too, so the codes can be read in place.
CODE_DTYPES: dict[str, tuple[Any, ...]] = {
    "e4m3": (ml_dtypes.float8_e4m3fn,),
    "e5m2": (ml_dtypes.float8_e5m2,),
    "e3m2": (ml_dtypes.float6_e3m2fn,),
    "e2m3": (ml_dtypes.float6_e2m3fn,),
    "e2m1": (ml_dtypes.float4_e2m1fn,),
    "int8": (np.int8,),
    "e8m0": (ml_dtypes.float8_e8m0fnu,),
}


def as_float(x: Any, name: str = "x") -> tuple[NDArray[Any], str]:
    """Return an array of real numbers and the name of its type; nothing is converted.

    Raises
    ------
    TypeError
        If the dtype is none of float32, float64, float16 and bfloat16.
    """
    if isinstance(x, np.ma.MaskedArray):
        msg = f"{name} is a masked array; its mask would be lost: use {name}.filled(...) first"
        raise TypeError(msg)
    array = as_numpy(x, name)
    source = SOURCE_OF.get(array.dtype.newbyteorder("="))
    if source is None:
        given = f"has dtype {array.dtype}"
        if x is None or isinstance(x, str):
            given = f"is {x!r}"
        msg = (
            f"{name} {given}; expected float32, float64, float16 or ml_dtypes.bfloat16: "
            f"{_number_hint(x, array, name)}"
        )
        raise TypeError(msg)
    return array, source


def _number_hint(x: Any, array: NDArray[Any], name: str) -> str:
    """Say how to get real numbers from what is none."""
    if isinstance(x, str):
        if x.endswith((".npy", ".npz")):
            return f"read the file first, np.load({x!r})"
        return "the array comes first, then the name of the format"
    if array.dtype.kind == "c":
        return f"convert {name}.real and {name}.imag, each by itself"
    if array.ndim == 0 and array.dtype == object:
        return "give an array of numbers"
    hint = "convert it first, for example with .astype(np.float32)"
    if array.dtype == np.uint8:
        hint += f"; if these are codes, mxref.decode({name}, format) gives their values"
    if array.dtype == object:
        hint = "an object array holds Python objects, not numbers: " + hint
    return hint


def as_codes(codes: Any, format_name: str, name: str = "codes") -> NDArray[np.uint8]:
    """Return codes as a uint8 array, reading ml_dtypes arrays of the format in place.

    Raises
    ------
    TypeError
        If the dtype is neither uint8 nor the ml_dtypes type of the format.
    """
    array = as_numpy(codes, name)
    if array.dtype == np.uint8:
        return array
    if array.dtype in CODE_DTYPES[format_name]:
        return array.view(np.uint8)
    also = ", ".join(np.dtype(d).name for d in CODE_DTYPES[format_name])
    hint = "bit patterns, one in each byte"
    if np.issubdtype(array.dtype, np.floating):
        hint += f"; these look like values: use mxref.encode(values, {format_name!r}) to get codes"
    elif array.dtype.kind in "iu":
        ends = (int(array.min()), int(array.max())) if array.size else (0, 0)
        hint += f"; if these are codes: np.asarray({name}, dtype=np.uint8)"
        if ends[0] < 0 or ends[1] > 0xFF:
            hint = f"it holds {ends[0] if ends[0] < 0 else ends[1]}, and a byte is 0 to 255"
    elif array.dtype.kind in "US":
        hint += "; a code is a number, such as 0x7e, not a text"
    msg = f"{name} has dtype {array.dtype}; expected uint8 or {also}: {hint}"
    raise TypeError(msg)


def check_range(codes: NDArray[np.uint8], count: int, format_name: str) -> None:
    """Refuse codes that the format does not have.

    Raises
    ------
    ValueError
        If a code is `count` or more.
    """
    if count >= 1 << 8 or codes.size == 0 or int(codes.max()) < count:
        return
    where = tuple(int(i) for i in np.argwhere(codes >= count)[0])
    hint = ""
    if count == 16:
        hint = (
            "; if two codes are packed in a byte, low nibble first, unpack them: "
            "np.stack([b & 15, b >> 4], -1).reshape(*b.shape[:-1], -1)"
        )
    msg = (
        f"code {int(codes[where]):#04x} at {where} is out of range: {format_name} codes are "
        f"0 to {count - 1:#04x}{hint}"
    )
    raise ValueError(msg)


def as_output(out: Any, shape: tuple[int, ...], dtype: Any, like: NDArray[Any]) -> NDArray[Any]:
    """Return `out` if it can hold the result, or a new array if it is None.

    Raises
    ------
    TypeError, ValueError
        If `out` is no writable array of the given shape and dtype, or overlaps the input.
    """
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != np.dtype(dtype):
        given = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        msg = (
            f"out must be a numpy array of dtype {np.dtype(dtype)}, got {given}: "
            f"np.empty({shape}, np.{np.dtype(dtype)})"
        )
        raise TypeError(msg)
    if out.shape != shape:
        msg = (
            f"out has shape {out.shape}; expected {shape}: np.empty({shape}, np.{np.dtype(dtype)})"
        )
        raise ValueError(msg)
    if not out.flags.writeable:
        msg = "out is read-only; give an array that may be written: out.copy()"
        raise ValueError(msg)
    if np.may_share_memory(out, like):
        msg = "out overlaps the input in memory; give it memory of its own"
        raise ValueError(msg)
    return out


def normal_axis(axis: Any, shape: tuple[int, ...]) -> int:
    """Return the axis counted from the front.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or out of range.
    """
    try:
        index = operator.index(axis)
    except TypeError:
        hint = f"; is it a policy? Then policy={axis!r}" if isinstance(axis, str) else ""
        msg = f"axis must be an integer, got {shown(axis)}{hint}"
        raise TypeError(msg) from None
    if not shape:
        msg = "a block needs an axis, and a zero-dimensional array has none; reshape it to (1,)"
        raise ValueError(msg)
    if not -len(shape) <= index < len(shape):
        msg = (
            f"axis {index} is out of range for an array of shape {shape}; expected "
            f"{-len(shape)} to {len(shape) - 1}"
        )
        raise ValueError(msg)
    return index % len(shape)


def scale_shape(
    shape: tuple[int, ...], axis: int, block_size: int, *, pad: bool
) -> tuple[int, ...]:
    """Return the shape of the scales: one for each block along `axis`.

    Raises
    ------
    ValueError
        If the length is not a multiple of the block size and `pad` is false (OP-BLOCK-TAIL).
    """
    length = shape[axis]
    if length % block_size and not pad:
        missing = -length % block_size
        msg = (
            f"axis {axis} has length {length}, which is not a multiple of the block size "
            f"{block_size}; pass pad=True (--pad of a command) to count {missing} zeros into the "
            f"last block, or pad the array yourself"
        )
        raise ValueError(msg)
    return (*shape[:axis], -(-length // block_size), *shape[axis + 1 :])


def slabs(shape: tuple[int, ...], limit: int) -> Iterator[tuple[slice | int, ...]]:
    """Cut an index space into pieces of at most `limit` items, in order.

    Examples
    --------
    >>> list(slabs((3, 4), 8))
    [(slice(0, 2, None),), (slice(2, 3, None),)]
    """
    if 0 in shape:
        return
    axis = 0
    while axis < len(shape) - 1 and math.prod(shape[axis + 1 :]) > limit:
        axis += 1
    if not shape:
        yield ()
        return
    step = max(1, limit // max(1, math.prod(shape[axis + 1 :])))
    for outer in np.ndindex(*shape[:axis]):
        for start in range(0, shape[axis], step):
            yield (*outer, slice(start, min(start + step, shape[axis])))
