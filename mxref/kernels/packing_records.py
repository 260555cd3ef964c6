"""Records that hold scale codes before their element codes, and back, in contiguous arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import _packing_numpy
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels._packing_wirings import INDEX, WIRINGS
from mxref.kernels.packing import CODES_PER_ELEMENT

__all__ = ["pack", "unpack"]

Bytes = NDArray[np.uint8]


def pack(scales: Bytes, micro: Bytes, codes: Bytes, packed: Bytes, name: str, units: int) -> bool:
    """Pack records; return whether all is in range (if not, `packed` has no meaning).

    Parameters
    ----------
    scales : contiguous uint8 array, shape (n, blocks of a record)
    micro : contiguous uint8 array, shape (n, flags)
        Microexponents, 0 or 1: none or 8 in a record. They become one byte behind the scales.
    codes : contiguous uint8 array, shape (n, units * group)
    packed : contiguous uint8 array, shape (n, bytes of a record)
        Written.
    name : str
        How the codes are packed: a packing, or ``"dense-8"``, ``"dense-5"`` or ``"dense-3"``.
    units : int
        Units of that packing in a record.
    """
    n, head = scales.shape
    flags = micro.shape[1]
    wiring = WIRINGS[INDEX[name]]
    if INTERPRETED:
        packed[:, :head] = scales
        body = head + flags // 8
        packed[:, head:body] = np.packbits(micro, axis=1, bitorder="little")
        units_of = codes.reshape(-1, wiring.group)
        packed[:, body:] = _packing_numpy.pack_units(units_of, wiring).reshape(n, -1)
        highest = max(codes.max(initial=0) >> wiring.bits, micro.max(initial=0) >> 1)
        return bool(highest == 0)
    from mxref.kernels import _packing_record_loops as loops

    bad = np.zeros(n // loops.CHUNK + 1, np.uint64)
    with parallel_slot(codes.size // CODES_PER_ELEMENT) as parallel:
        kernel = loops.record_packer(INDEX[name], units, head, flags, parallel)
        kernel(*(a.reshape(-1) for a in (scales, micro, codes, packed)), bad, n)
    return not bad.any()


def unpack(packed: Bytes, scales: Bytes, micro: Bytes, codes: Bytes, name: str, units: int) -> None:
    """Unpack records into `scales`, `micro` and `codes`; parameters as for `pack`."""
    n, head = scales.shape
    flags = micro.shape[1]
    wiring = WIRINGS[INDEX[name]]
    if INTERPRETED:
        body = head + flags // 8
        scales[:] = packed[:, :head]
        micro[:] = np.unpackbits(packed[:, head:body], axis=1, bitorder="little")
        units_of = np.ascontiguousarray(packed[:, body:]).reshape(-1, wiring.unit_bytes)
        codes[:] = _packing_numpy.unpack_units(units_of, wiring).reshape(n, -1)
        return
    from mxref.kernels import _packing_record_loops as loops

    with parallel_slot(codes.size // CODES_PER_ELEMENT) as parallel:
        kernel = loops.record_unpacker(INDEX[name], units, head, flags, parallel)
        kernel(*(a.reshape(-1) for a in (packed, scales, micro, codes)), n)
