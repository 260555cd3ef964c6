"""Records: scale codes and element codes interleaved in one array of bytes, as GGUF stores them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref._suggest import unknown_name
from mxref.layouts._codes import bytes_of, first_above
from mxref.layouts._record import Record
from mxref.layouts._record_table import TABLE

__all__ = ["RECORDS", "Record", "Unpacked", "find_record", "pack_records", "unpack_records"]

RECORDS: Mapping[str, Record] = MappingProxyType({record.name: record for record in TABLE})
"""All records by name."""

SLAB = 1 << 20
"""Codes that are copied at a time where memory does not lie as kernels read it. Each record's
`elements` divides it."""

Bytes = NDArray[np.uint8]


class Unpacked(NamedTuple):
    """What records hold.

    Attributes
    ----------
    scales : array of uint8, shape (..., n / block size)
    codes : array of uint8, shape (..., n)
    micro : array of uint8, shape (..., n / 2), or None
        Microexponents, 0 or 1, if the record has them.
    """

    scales: Bytes
    codes: Bytes
    micro: Bytes | None


def find_record(record: str | Record) -> Record:
    """Return a record by its name.

    Raises
    ------
    ValueError
        If no record has that name; the message names the nearest.
    """
    if isinstance(record, Record):
        return record
    if not isinstance(record, str) or record not in RECORDS:
        raise ValueError(unknown_name("record", record, RECORDS))
    return RECORDS[record]


def pack_records(
    scales: Any,
    codes: Any,
    record: str | Record,
    micro: Any = None,
    *,
    out: Bytes | None = None,
) -> Bytes:
    """Pack scale codes and element codes into records, along the last axis.

    Parameters
    ----------
    scales : array of uint8, shape (..., n / block size)
        One scale code for each block.
    codes : array of uint8, shape (..., n)
        A code in each byte; n is a multiple of the record's `elements`.
    record : str or Record
        A name in `RECORDS`.
    micro : array of uint8, shape (..., n / 2), optional
        Microexponents, 0 or 1, for the records that have them.
    out : array of uint8, optional
        Where to write; of the shape that is returned.

    Returns
    -------
    array of uint8, shape (..., n / elements * nbytes)

    Raises
    ------
    ValueError
        If shapes do not fit, a code or a microexponent has too many bits (`out` then holds no
        result), the name is unknown, or `micro` is missing or too much.
    TypeError
        If a dtype is not one of bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.layouts.records import pack_records
    >>> codes = np.arange(32, dtype=np.uint8) % 16
    >>> pack_records(np.array([127], np.uint8), codes, "gguf-mxfp4").tobytes().hex(" ")
    '7f 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff'
    """
    chosen = find_record(record)
    given = bytes_of(codes, "codes", chosen.bits, chosen.name)
    shared = bytes_of(scales, "scales", 8, chosen.name)
    records = _count(given.shape[-1], chosen.elements, "codes", chosen)
    lead = given.shape[:-1]
    _require_shape(shared, (*lead, records * chosen.blocks), "scales", chosen)
    flags = _as_micro(micro, (*lead, given.shape[-1] // 2), chosen)
    shape = (*lead, records * chosen.nbytes)
    packed = inputs.as_output(out, shape, np.uint8, given)
    for other in (shared, flags):
        inputs.as_output(packed, shape, np.uint8, other)  # it must overlap none of the inputs
    for piece in _pieces(chosen, shared, flags, given, packed):
        if not _pack_piece(*piece, chosen):
            if int(flags.max(initial=0)) > 1:
                raise ValueError(first_above(flags, 1, chosen.name, "micro"))
            raise ValueError(first_above(given, chosen.bits, chosen.name))
    return packed


def unpack_records(packed: Any, record: str | Record) -> Unpacked:
    """Unpack records to scale codes and element codes: the inverse of `pack_records`.

    Parameters
    ----------
    packed : array of uint8, shape (..., m)
        m is a multiple of the record's `nbytes`.
    record : str or Record

    Returns
    -------
    Unpacked

    Raises
    ------
    ValueError
        If the size does not fit, or the name is unknown.
    TypeError
        If `packed` is no array of bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.layouts.records import unpack_records
    >>> scales, codes, _ = unpack_records(np.arange(17, dtype=np.uint8), "gguf-mxfp4")
    >>> scales, codes[:4], codes[16:20]
    (array([0], dtype=uint8), array([1, 2, 3, 4], dtype=uint8), array([0, 0, 0, 0], dtype=uint8))
    """
    chosen = find_record(record)
    given = bytes_of(packed, "packed", 8, chosen.name, packed=True)
    records = _count(given.shape[-1], chosen.nbytes, "packed", chosen)
    lead = given.shape[:-1]
    sizes = (chosen.blocks, len(chosen.micro_starts), chosen.elements)
    scales, micro, codes = (np.empty((*lead, records * size), np.uint8) for size in sizes)
    for piece in _pieces(chosen, scales, micro, codes, given):
        _unpack_piece(*piece, chosen)
    return Unpacked(scales, codes, micro if chosen.micro_starts else None)


def _count(size: int, each: int, name: str, record: Record) -> int:
    """Records of a line, from the length of its last axis."""
    count, rest = divmod(size, each)
    if rest:
        what = "bytes" if name == "packed" else "codes"
        msg = f"{name} has {size} {what} on its last axis; {record.name} holds {each} in a record"
        raise ValueError(msg)
    return count


def _require_shape(array: Bytes, shape: tuple[int, ...], name: str, record: Record) -> None:
    if array.shape != shape:
        msg = f"{name} has shape {array.shape}; expected {shape} beside these codes ({record.name})"
        raise ValueError(msg)


def _as_micro(micro: Any, shape: tuple[int, ...], record: Record) -> Bytes:
    if not record.micro_starts:
        if micro is not None:
            msg = f"micro was given, but {record.name} has no microexponents: leave it out"
            raise ValueError(msg)
        return np.empty((*shape[:-1], 0), np.uint8)
    if micro is None:
        msg = f"{record.name} has microexponents: pass micro, 0 or 1, of shape {shape}"
        raise ValueError(msg)
    flags = bytes_of(micro, "micro", 1, record.name)
    _require_shape(flags, shape, "micro", record)
    return flags


def _pieces(
    record: Record, scales: Bytes, micro: Bytes, codes: Bytes, packed: Bytes
) -> Iterator[tuple[Bytes, Bytes, Bytes, Bytes]]:
    """Yield the arrays as (..., records, items of one): the whole if memory lies so, else slabs.

    What is yielded is always a view: writing to it writes to the array.
    """
    sizes = (record.blocks, len(record.micro_starts), record.elements, record.nbytes)
    lead = (*codes.shape[:-1], codes.shape[-1] // record.elements)
    if not math.prod(lead):
        return
    # Splitting an axis never copies.
    a, b, c, d = (
        array.reshape(*lead, size)
        for array, size in zip((scales, micro, codes, packed), sizes, strict=True)
    )
    if all(view.flags.c_contiguous for view in (a, b, c, d)):
        yield a, b, c, d
        return
    for piece in inputs.slabs(lead, SLAB // record.elements):
        yield a[piece], b[piece], c[piece], d[piece]


def _flat(view: Bytes) -> Bytes:
    """Return records of a piece one after the other, copied if they do not lie so."""
    return np.ascontiguousarray(view).reshape(math.prod(view.shape[:-1]), view.shape[-1])


def _pack_piece(scales: Bytes, micro: Bytes, codes: Bytes, packed: Bytes, record: Record) -> bool:
    from mxref.kernels import packing_records as kernels

    target = packed if packed.flags.c_contiguous else np.empty(packed.shape, np.uint8)
    name, units = record.codes_as
    parts = _flat(scales), _flat(micro), _flat(codes), _flat(target)
    is_good = kernels.pack(*parts, name, units)
    if target is not packed:
        packed[...] = target
    return is_good


def _unpack_piece(scales: Bytes, micro: Bytes, codes: Bytes, packed: Bytes, record: Record) -> None:
    from mxref.kernels import packing_records as kernels

    # All but `packed` were made here and are contiguous, so _flat gives views of them.
    name, units = record.codes_as
    parts = _flat(packed), _flat(scales), _flat(micro), _flat(codes)
    kernels.unpack(*parts, name, units)
