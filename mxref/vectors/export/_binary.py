"""Fixed-size records, little-endian: for programs that map a file and use it as it lies."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mxref.vectors.export._table import Column, Table
from mxref.vectors.export._write import described
from mxref.vectors.model import COMPARE_RULES
from mxref.vectors.operations import OPERATIONS

__all__ = ["binary_files"]

_MAGIC = b"MXREFVEC"
_LAYOUT_VERSION = 1
# magic, layout version, header size, cases, size of a case, members, size of a member, where the
# cases, the members and the data begin, size of the data, set version, operation, compare, source
_HEADER = struct.Struct("<8s 10I 3H B B 32s 8x")
_CODE = {8: "B", 16: "H", 32: "I", 64: "Q"}


class _Slot(NamedTuple):
    """A field of a record."""

    name: str
    offset: int
    bits: int
    length: int


def binary_files(table: Table) -> dict[str, bytes]:
    """Return one ``.bin`` file."""
    pool = _Pool()
    case_slots, cases = _records(table.cases, pool)
    member_slots, members = _records(table.members, pool)
    case_size, member_size = _size(case_slots), _size(member_slots)
    at_cases = _HEADER.size
    at_members = at_cases + len(cases)
    at_data = at_members + len(members)
    rules = list(COMPARE_RULES)
    header = _HEADER.pack(
        _MAGIC,
        _LAYOUT_VERSION,
        _HEADER.size,
        table.case_count,
        case_size,
        table.member_count,
        member_size,
        at_cases,
        at_members,
        at_data,
        len(pool.data),
        *map(int, table.file.set_version.split(".")),
        OPERATIONS.index(table.file.operation),
        sum(1 << rules.index(rule) for rule in table.file.compare),
        bytes.fromhex(table.sha256),
    )
    layout = {
        "layout_version": _LAYOUT_VERSION,
        "compare_bits": rules,
        "case": _described(at_cases, case_size, case_slots, table.cases),
        "member": _described(at_members, member_size, member_slots, table.members),
        "data": {"offset": at_data, "size": len(pool.data)},
    }
    files = {f"{table.name}.bin": header + cases + members + bytes(pool.data)}
    return described(table, "bin", files, layout)


class _Pool:
    """The numbers of ragged columns, one column after the other, each at a multiple of 8."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, column: Column) -> int:
        """Append a column; return where it begins."""
        start = len(self.data)
        flat = column.flat
        self.data += struct.pack(f"<{len(flat)}{_CODE[column.bits]}", *flat)
        self.data += bytes(-len(self.data) % 8)
        return start


def _parts(column: Column, pool: _Pool) -> Iterator[tuple[str, int, int, Sequence[Sequence[int]]]]:
    """(name, bits, count, rows) of what a record holds of a column."""
    if column.length is not None:
        yield column.name, column.bits, column.length, column.rows
        return
    base, width = pool.add(column), column.bits // 8
    places = [(base + start * width,) for start in column.starts[:-1]]
    yield f"{column.name}_start", 32, 1, places
    yield f"{column.name}_length", 32, 1, [(len(row),) for row in column.rows]


def _records(columns: Sequence[Column], pool: _Pool) -> tuple[list[_Slot], bytes]:
    """Lay out and pack; wide fields come first, so that every field lies at a multiple of itself.

    A C struct with the same members in the same order has this layout.
    """
    parts = [part for column in columns for part in _parts(column, pool)]
    parts.sort(key=lambda part: -part[1])  # stable: fields of one width keep their order
    slots, offset = [], 0
    for name, bits, count, _ in parts:
        slots.append(_Slot(name, offset, bits, count))
        offset += count * bits // 8
    codes = " ".join(f"{count}{_CODE[bits]}" for _, bits, count, _ in parts)
    record = struct.Struct(f"<{codes} {_size(slots) - offset}x")
    rows = zip(*(part[3] for part in parts), strict=True)
    packed = (record.pack(*(number for cell in row for number in cell)) for row in rows)
    return slots, b"".join(packed)


def _size(slots: Sequence[_Slot]) -> int:
    """Bytes of a record: up to the next multiple of 8, so that the next one is aligned too."""
    last = slots[-1]
    end = last.offset + last.length * last.bits // 8
    return end + -end % 8


def _described(
    offset: int, size: int, slots: Sequence[_Slot], columns: Sequence[Column]
) -> dict[str, Any]:
    ragged = (column for column in columns if column.length is None)
    return {
        "offset": offset,
        "size": size,
        "fields": [slot._asdict() for slot in slots],
        "lists": [{"name": column.name, "bits": column.bits} for column in ragged],
    }
