"""Codes to bytes and back, as conventions need them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.layouts.packings import find_packing, pack_codes, unpack_codes

__all__ = ["packed_bytes", "to_bytes", "to_codes"]

_BYTES = "bytes"


def packed_bytes(count: int, packing: str) -> int:
    """Bytes that `count` codes of a line take."""
    return int(find_packing(packing).packed_size(count))


def to_bytes(codes: NDArray[np.uint8], packing: str, bits: int) -> NDArray[np.uint8]:
    """Pack the last axis; the result may be `codes` itself."""
    if packing != _BYTES:
        return pack_codes(codes, packing)
    _require_bits(codes, bits)
    return np.ascontiguousarray(codes)


def to_codes(packed: NDArray[np.uint8], packing: str, count: int, bits: int) -> NDArray[np.uint8]:
    """Unpack the last axis; the result may be `packed` itself."""
    if packing != _BYTES:
        return unpack_codes(packed, packing, count)
    _require_bits(packed, bits)
    return packed


def _require_bits(codes: NDArray[np.uint8], bits: int) -> None:
    if bits == 8 or not codes.size or not int(codes.max()) >> bits:
        return
    where = tuple(int(i) for i in np.argwhere(codes >> bits)[0])
    raise ValueError(
        f"code {int(codes[where]):#04x} at {where} has more than {bits} bits: either these are "
        f"other codes, or they are packed"
    )
