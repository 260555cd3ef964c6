"""Arrays of codes and bytes that users hand in: their dtypes, and what to say of a bad code."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._foreign import as_numpy

__all__ = ["bytes_of", "first_above", "place_in"]

# Types of one byte whose memory is codes of so many bits.
_DTYPES: dict[int, tuple[Any, ...]] = {
    4: (ml_dtypes.float4_e2m1fn,),
    6: (ml_dtypes.float6_e2m3fn, ml_dtypes.float6_e3m2fn),
    8: (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu, np.int8),
}


def bytes_of(
    array: Any, name: str, bits: int, layout: str, *, packed: bool = False
) -> NDArray[np.uint8]:
    """Return an array of codes as uint8, in place: NumPy's, torch's, or of ml_dtypes' types.

    Parameters
    ----------
    array : array of codes of `bits` bits, or of bytes that hold several (`packed`)
    name, layout : str
        What it is and what it is for, in messages.

    Raises
    ------
    TypeError
        If it has another dtype.
    ValueError
        If it has no axis.
    """
    given = as_numpy(array, name, packed=packed)
    also = _DTYPES.get(bits, ())
    if given.dtype in also:
        given = given.view(np.uint8)
    if given.dtype != np.uint8:
        others = "".join(f" or {np.dtype(dtype).name}" for dtype in also)
        hint = "its bytes, from .view(np.uint8)" if packed else "bit patterns, one in each byte"
        msg = f"{name} has dtype {given.dtype}; {layout} takes uint8{others}: {hint}"
        raise TypeError(msg)
    if not given.ndim:
        msg = f"{name} has no axis, and codes are packed along the last one: reshape it to (1,)"
        raise ValueError(msg)
    return given


def first_above(codes: NDArray[np.uint8], bits: int, layout: str, name: str = "code") -> str:
    """Say which code has more than `bits` bits, the first of the array."""
    limit = (1 << bits) - 1
    for piece in inputs.slabs(codes.shape, 1 << 20):
        bad = np.argwhere(codes[piece] > limit)
        if not bad.size:
            continue
        place = place_in(piece, bad[0], codes.ndim)
        return (
            f"{name} {int(codes[place]):#04x} at {place} is out of range: {layout} stores it in "
            f"{bits} bits, 0 to {limit:#04x}"
        )
    return f"a {name} changed while it was packed"  # somebody else writes to the array


def place_in(
    piece: tuple[slice | int, ...], offsets: NDArray[np.int64], ndim: int
) -> tuple[int, ...]:
    """Return the place in an array of what has `offsets` in a piece of it.

    Examples
    --------
    >>> import numpy as np
    >>> place_in((1, slice(10, 20)), np.array([3, 7]), 3)
    (1, 13, 7)
    """
    within = iter(offsets.tolist())
    # An axis of which a number was picked is no axis of the piece.
    return tuple(
        part.start + next(within) if isinstance(part, slice) else part
        for part in (*piece, *[slice(0, None)] * (ndim - len(piece)))
    )
