"""Element codes packed into bytes, and back, in every order that is in use.

MX-1.0/5.1/layout leaves it open how 6-bit and 4-bit codes lie in bytes (open point OP-PACKING).
Each way here has a name and a source; `Packing` says where each bit lies.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._suggest import unknown_name
from mxref.layouts._codes import bytes_of, first_above, place_in
from mxref.layouts._packing import Packing
from mxref.layouts._packing_table import TABLE

__all__ = ["PACKINGS", "Packing", "find_packing", "pack_codes", "unpack_codes"]

PACKINGS: Mapping[str, Packing] = MappingProxyType({packing.name: packing for packing in TABLE})
"""All packings by name."""

SLAB = 1 << 20
"""Codes that are copied at a time where memory does not lie as kernels read it. Each packing's
`group` divides it."""


def find_packing(packing: str | Packing) -> Packing:
    """Return a packing by its name.

    Raises
    ------
    ValueError
        If no packing has that name; the message names the nearest.
    """
    if isinstance(packing, Packing):
        return packing
    if not isinstance(packing, str) or packing not in PACKINGS:
        raise ValueError(unknown_name("packing", packing, PACKINGS))
    return PACKINGS[packing]


def pack_codes(
    codes: Any, packing: str | Packing, *, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Pack element codes into bytes, along the last axis (open point OP-PACKING).

    Parameters
    ----------
    codes : array of uint8, shape (..., n)
        A code in each byte, in its low bits; arrays of ml_dtypes' types of that width as well, and
        torch tensors.
        Each line is packed by itself. Where n is no multiple of the packing's `group`, the bits
        that are left over are 0.
    packing : str or Packing
        A name in `PACKINGS`. ``"bytes"`` copies.
    out : array of uint8, optional
        Where to write; of the shape that is returned.

    Returns
    -------
    array of uint8, shape (..., ``packing.packed_size(n)``)

    Raises
    ------
    ValueError
        If a code has too many bits (`out` then holds no result), the name is unknown, or `out`
        does not fit.
    TypeError
        If `codes` has another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.layouts.packings import pack_codes
    >>> codes = np.array([0x3F, 0x01, 0x21, 0x00], np.uint8)
    >>> pack_codes(codes, "fp6-dense").tobytes().hex(" ")
    '7f 10 02'
    >>> pack_codes(codes & 15, "nibbles-low-first").tobytes().hex(" ")
    '1f 01'
    """
    chosen = find_packing(packing)
    given = bytes_of(codes, "codes", chosen.bits, chosen.name)
    n = given.shape[-1]
    packed = inputs.as_output(out, (*given.shape[:-1], chosen.packed_size(n)), np.uint8, given)
    if chosen.bits == 8:
        np.copyto(packed, given)
        return packed
    for piece, target in _pieces(given, packed, chosen):
        _pack_lines(piece, target, chosen, given)
    return packed


def unpack_codes(
    packed: Any,
    packing: str | Packing,
    count: int | None = None,
    *,
    strict: bool = False,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Unpack bytes to element codes, a code in each byte: the inverse of `pack_codes`.

    Parameters
    ----------
    packed : array of uint8, shape (..., m)
    packing : str or Packing
    count : int, optional
        Codes in a line; as many as its bytes can hold if left out.
    strict : bool
        Refuse bits other than 0 where no code lies: padding, and what a last unit leaves over.
        They are ignored otherwise.
    out : array of uint8, optional
        Where to write; of the shape that is returned.

    Returns
    -------
    array of uint8, shape (..., count)

    Raises
    ------
    ValueError
        If `count` codes do not take m bytes, the name is unknown, `out` does not fit, or padding
        is not 0 under `strict`.
    TypeError
        If `packed` is no array of bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.layouts.packings import unpack_codes
    >>> unpack_codes(np.array([0x21, 0x03], np.uint8), "nibbles-low-first", 3)
    array([1, 2, 3], dtype=uint8)
    """
    chosen = find_packing(packing)
    given = bytes_of(packed, "packed", 8, chosen.name, packed=True)
    count = _as_count(count, given.shape[-1], chosen)
    if strict:
        _refuse_padding(given, chosen, count)
    codes = inputs.as_output(out, (*given.shape[:-1], count), np.uint8, given)
    if chosen.bits == 8:
        np.copyto(codes, given)
        return codes
    for target, piece in _pieces(codes, given, chosen):
        _unpack_lines(piece, target, chosen)
    return codes


def _as_count(count: Any, size: int, packing: Packing) -> int:
    if count is None:
        return packing.capacity(size)
    try:
        wanted = operator.index(count)
    except TypeError:
        msg = f"count must be an integer, the codes of a line; got {count!r}"
        raise TypeError(msg) from None
    if wanted < 0:
        msg = f"count is {wanted}; expected how many codes a line has"
        raise ValueError(msg)
    if packing.packed_size(wanted) != size:
        msg = (
            f"a line has {size} bytes, but {wanted} codes of {packing.name} take "
            f"{packing.packed_size(wanted)}"
        )
        raise ValueError(msg)
    return wanted


def _pieces(codes: Any, packed: Any, packing: Packing) -> Any:
    """Yield both arrays in pieces that fit, of the whole where memory lies as kernels read it."""
    if codes.flags.c_contiguous and packed.flags.c_contiguous:
        yield codes, packed
        return
    n = codes.shape[-1]
    for piece in inputs.slabs(codes.shape, SLAB):
        if len(piece) < codes.ndim:
            yield codes[piece], packed[piece]
            continue
        *lead, cut = piece
        assert isinstance(cut, slice)  # noqa: S101  # the last index that slabs gives is a slice
        units = cut.start // packing.group * packing.unit_bytes
        stop = packed.shape[-1] if cut.stop >= n else packing.packed_size(cut.stop)
        yield codes[piece], packed[(*lead, slice(units, stop))]


def _pack_lines(
    codes: NDArray[np.uint8], packed: NDArray[np.uint8], packing: Packing, given: Any
) -> None:
    from mxref.kernels import packing as kernels

    n, size = codes.shape[-1], packed.shape[-1]
    lines = math.prod(codes.shape[:-1])
    flat = np.ascontiguousarray(codes).reshape(-1)
    target = packed if packed.flags.c_contiguous else np.empty(packed.shape, np.uint8)
    units, rest = divmod(n, packing.group)
    if rest:
        is_good = kernels.pack(flat, target.reshape(-1), packing.name, lines, units, (n, size))
        tail = np.zeros((lines, packing.group), np.uint8)
        tail[:, :rest] = flat.reshape(lines, n)[:, n - rest :]
        last = np.empty((lines, packing.unit_bytes), np.uint8)
        sizes = (packing.group, packing.unit_bytes)
        is_good &= kernels.pack(tail.reshape(-1), last.reshape(-1), packing.name, lines, 1, sizes)
        behind = units * packing.unit_bytes
        target.reshape(lines, size)[:, behind:] = last[:, : size - behind]
    else:
        sizes = (packing.group, packing.unit_bytes)
        is_good = kernels.pack(flat, target.reshape(-1), packing.name, 1, lines * units, sizes)
    if not is_good:
        raise ValueError(first_above(given, packing.bits, packing.name))
    if target is not packed:
        packed[...] = target


def _unpack_lines(packed: NDArray[np.uint8], codes: NDArray[np.uint8], packing: Packing) -> None:
    from mxref.kernels import packing as kernels

    n, size = codes.shape[-1], packed.shape[-1]
    lines = math.prod(codes.shape[:-1])
    flat = np.ascontiguousarray(packed).reshape(-1)
    target = codes if codes.flags.c_contiguous else np.empty(codes.shape, np.uint8)
    units, rest = divmod(n, packing.group)
    if rest:
        kernels.unpack(flat, target.reshape(-1), packing.name, lines, units, (n, size))
        behind = units * packing.unit_bytes
        last = np.zeros((lines, packing.unit_bytes), np.uint8)
        last[:, : size - behind] = flat.reshape(lines, size)[:, behind:]
        tail = np.empty((lines, packing.group), np.uint8)
        sizes = (packing.group, packing.unit_bytes)
        kernels.unpack(last.reshape(-1), tail.reshape(-1), packing.name, lines, 1, sizes)
        target.reshape(lines, n)[:, n - rest :] = tail[:, :rest]
    else:
        sizes = (packing.group, packing.unit_bytes)
        kernels.unpack(flat, target.reshape(-1), packing.name, 1, lines * units, sizes)
    if target is not codes:
        codes[...] = target


def _refuse_padding(packed: NDArray[np.uint8], packing: Packing, count: int) -> None:
    """Raise a ValueError if a bit that holds no code is not 0."""
    units, rest = divmod(count, packing.group)
    cut = units * packing.unit_bytes
    lead = packed.shape[:-1]
    for codes, lines, first in (
        # Splitting an axis never copies.
        (packing.group, packed[..., :cut].reshape(*lead, units, packing.unit_bytes), 0),
        (rest, packed[..., np.newaxis, cut:], cut),
    ):
        unused = ~packing.used_bits(codes)
        if not unused.any():
            continue
        for piece in inputs.slabs(lines.shape[:-1], SLAB // packing.unit_bytes):
            bad = lines[piece] & unused
            if not bad.any():
                continue
            *line, unit, byte = place_in(piece, np.argwhere(bad)[0], lines.ndim)
            place = (*line, first + unit * packing.unit_bytes + byte)
            msg = (
                f"padding is not 0: the byte at {place} is {int(packed[place]):#04x}, and "
                f"{packing.name} has no code in its bits {int(unused[byte]):#04x}; pass "
                f"strict=False to ignore padding"
            )
            raise ValueError(msg)
