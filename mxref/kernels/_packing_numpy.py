"""Packing without a compiler: what the kernels of `_packing_loops` do, as array operations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.kernels._packing_wirings import Wiring

__all__ = ["pack_units", "unpack_units"]

u8, u64 = np.uint8, np.uint64


def pack_units(codes: NDArray[np.uint8], wiring: Wiring) -> NDArray[np.uint8]:
    """Return the bytes of units, shape (n, unit_bytes), from codes of shape (n, group)."""
    packed = np.zeros((codes.shape[0], wiring.unit_bytes), u8)
    fields = codes[:, list(wiring.order)].reshape(codes.shape[0], -1, wiring.merged)
    word = np.zeros(fields.shape[:2], u64)
    for k in range(wiring.merged):
        word |= fields[..., k].astype(u64) << u64(k * wiring.bits + wiring.shift)
    parts = [(word >> u64(8 * b)).astype(u8) for b in range(wiring.kept)]
    packed[:, : wiring.filled] = np.stack(parts, -1).reshape(codes.shape[0], -1)
    return packed


def unpack_units(packed: NDArray[np.uint8], wiring: Wiring) -> NDArray[np.uint8]:
    """Return the codes of units, shape (n, group), from bytes of shape (n, unit_bytes)."""
    parts = packed[:, : wiring.filled].reshape(packed.shape[0], -1, wiring.kept).astype(u64)
    word = np.zeros(parts.shape[:2], u64)
    for b in range(wiring.kept):
        word |= parts[..., b] << u64(8 * b)
    mask = u64((1 << wiring.bits) - 1)
    fields = [
        ((word >> u64(k * wiring.bits + wiring.shift)) & mask).astype(u8)
        for k in range(wiring.merged)
    ]
    codes = np.empty((packed.shape[0], wiring.group), u8)
    codes[:, list(wiring.order)] = np.stack(fields, -1).reshape(packed.shape[0], -1)
    return codes
