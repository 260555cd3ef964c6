"""Packing of element codes into bytes, and back: whole units, in lines that lie in flat arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import _packing_numpy
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels._packing_wirings import INDEX, WIRINGS

__all__ = ["CODES_PER_ELEMENT", "pack", "unpack"]

Bytes = NDArray[np.uint8]

CODES_PER_ELEMENT = 16
"""Codes that are packed in the time in which an element is converted; `parallel_slot` counts
elements. A second thread pays from about 2**20 codes on, 60 microseconds of work."""


def pack(
    codes: Bytes, packed: Bytes, name: str, lines: int, units: int, steps: tuple[int, int]
) -> bool:
    """Pack whole units; return whether every code is in range (if not, `packed` has no meaning).

    Parameters
    ----------
    codes, packed : contiguous uint8 arrays of one dimension
        `packed` is written.
    name : str
        Of the packing; any but ``"bytes"``.
    lines, units : int
        How many lines, and whole units in each.
    steps : (int, int)
        Codes and bytes from the beginning of a line to that of the next; what lies behind the
        units of a line is left alone.
    """
    wiring = WIRINGS[INDEX[name]]
    if not lines * units:
        return True
    if INTERPRETED:
        given, written = _rows(codes, packed, name, lines, units, steps)
        for row, target in zip(given, written, strict=True):
            target[:] = _packing_numpy.pack_units(row, wiring)
        return not bool(np.any(given >> np.uint8(wiring.bits)))
    from mxref.kernels import _packing_loops as loops

    size = lines * units * wiring.group
    bad = np.zeros(size // loops.CHUNK + 1, np.uint64)
    with parallel_slot(size // CODES_PER_ELEMENT) as parallel:
        kernel = loops.packer(INDEX[name], parallel)
        kernel(codes, packed, bad, lines, units, *steps)
    return not bad.any()


def unpack(
    packed: Bytes, codes: Bytes, name: str, lines: int, units: int, steps: tuple[int, int]
) -> None:
    """Unpack whole units into `codes`; parameters as for `pack`."""
    if not lines * units:
        return
    if INTERPRETED:
        written, given = _rows(codes, packed, name, lines, units, steps)
        for row, target in zip(given, written, strict=True):
            target[:] = _packing_numpy.unpack_units(row, WIRINGS[INDEX[name]])
        return
    from mxref.kernels import _packing_loops as loops

    size = lines * units * WIRINGS[INDEX[name]].group
    with parallel_slot(size // CODES_PER_ELEMENT) as parallel:
        kernel = loops.unpacker(INDEX[name], parallel)
        kernel(packed, codes, lines, units, *steps)


def _rows(
    codes: Bytes, packed: Bytes, name: str, lines: int, units: int, steps: tuple[int, int]
) -> tuple[Bytes, Bytes]:
    """View both arrays as (line, unit, code or byte)."""
    wiring = WIRINGS[INDEX[name]]
    views = (
        np.lib.stride_tricks.as_strided(array, (lines, units, size), (step, size, 1))
        for array, size, step in (
            (codes, wiring.group, steps[0]),
            (packed, wiring.unit_bytes, steps[1]),
        )
    )
    return next(views), next(views)
