"""A C99 header: one struct and one constant array for the cases, one of each for their members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mxref.vectors.export._table import TYPES, VERDICTS, Column, Table
from mxref.vectors.export._write import described
from mxref.vectors.model import COMPARE_RULES
from mxref.vectors.operations import PACKINGS, SCALE_LAYOUTS

__all__ = ["c_files"]

# The types come without <stdint.h> too: a boot loader or a DSP may have none.
_TYPES = """\
#ifndef MXREF_VECTOR_TYPES
#define MXREF_VECTOR_TYPES
#ifdef MXREF_NO_STDINT
typedef unsigned char mxref_u8;
typedef unsigned short mxref_u16;
typedef unsigned int mxref_u32;
typedef unsigned long long mxref_u64;
#else
#include <stdint.h>
typedef uint8_t mxref_u8;
typedef uint16_t mxref_u16;
typedef uint32_t mxref_u32;
typedef uint64_t mxref_u64;
#endif
/* Does not compile where a type has another width. */
typedef char mxref_widths_are_right[
    sizeof(mxref_u8) == 1 && sizeof(mxref_u16) == 2 && sizeof(mxref_u32) == 4 &&
    sizeof(mxref_u64) == 8 ? 1 : -1];
#endif
"""
_A_LINE = 12  # numbers


def c_files(table: Table) -> dict[str, bytes]:
    """Return one ``.h`` file."""
    text = "\n".join(_header(table)) + "\n"
    return described(table, "c", {f"{table.name}.h": text.encode("ascii")}, {})


def _header(table: Table) -> Iterator[str]:
    file, name = table.file, f"mxref_{table.name}"
    upper = name.upper()
    yield f"/* {file.operation} {file.format}, policy {file.policy.name}."
    yield " * Written by mxref vectors export: do not edit. The data are public domain (CC0)."
    yield " * Define MXREF_NO_STDINT where there is no <stdint.h>. */"
    yield f"#ifndef {upper}_H"
    yield f"#define {upper}_H"
    yield ""
    yield _TYPES
    yield f'#define {upper}_SET_VERSION "{file.set_version}"'
    yield f'#define {upper}_SOURCE "{file.path}"'
    yield f'#define {upper}_SOURCE_SHA256 "{table.sha256}"'
    yield f"#define {upper}_CASES {table.case_count}"
    yield f"#define {upper}_MEMBERS {table.member_count}"
    yield ""
    yield "/* Ways in which a comparison is weaker than equality of bits. */"
    for rule, meaning in COMPARE_RULES.items():
        macro = f"{upper}_{rule.upper().replace('-', '_')}"
        yield f"#define {macro} {int(rule in file.compare)} /* {meaning} */"
    yield ""
    yield from _numbers_of_ragged_columns(name, table)
    yield "/* One allowed output; if `refused`, the input is to be refused and the rest is zero. */"
    yield from _struct(f"{name}_member", table.members)
    yield ""
    yield from _array(f"{name}_member", f"{name}_members", table.members, prefix=f"{name}_out_")
    yield ""
    yield "/* A case passes if one of its members is the output, or if its verdict is open."
    yield f" * verdict: {_legend(VERDICTS)}"
    names = {column.name for column in table.cases}
    for field, words in (("type", TYPES), ("packing", PACKINGS), ("scale_layout", SCALE_LAYOUTS)):
        if field in names:
            yield f" * {field}: {_legend(words)}"
    yield f" * Its members begin at {name}_members[first_member]. */"
    yield from _struct(f"{name}_case", table.cases)
    yield ""
    yield from _array(f"{name}_case", f"{name}_cases", table.cases, prefix=f"{name}_")
    yield ""
    yield "#endif"


def _legend(words: Sequence[str]) -> str:
    return ", ".join(f"{number} {word}" for number, word in enumerate(words))


def _numbers_of_ragged_columns(name: str, table: Table) -> Iterator[str]:
    """The numbers to which the structs point."""
    for prefix, columns in (("", table.cases), ("out_", table.members)):
        for column in columns:
            if column.length is not None:
                continue
            # C has no empty arrays.
            numbers = [_literal(number, column.bits) for number in column.flat] or ["0"]
            yield f"static const mxref_u{column.bits} {name}_{prefix}{column.name}[] = {{"
            for start in range(0, len(numbers), _A_LINE):
                yield "  " + ", ".join(numbers[start : start + _A_LINE]) + ","
            yield "};"
            yield ""


def _struct(name: str, columns: Sequence[Column]) -> Iterator[str]:
    yield f"struct {name} {{"
    for column in columns:
        kind = f"mxref_u{column.bits}"
        if column.length is None:
            yield f"  const {kind} *{column.name};"
            yield f"  mxref_u32 {column.name}_length;"
        else:
            size = f"[{column.length}]" if column.many else ""
            yield f"  {kind} {column.name}{size};"
    yield "};"


def _array(struct: str, name: str, columns: Sequence[Column], prefix: str) -> Iterator[str]:
    """The initialised array; `prefix` leads to the numbers of ragged columns."""
    cells = [list(_cells(column, prefix)) for column in columns]
    yield f"static const struct {struct} {name}[] = {{"
    for row in zip(*cells, strict=True):
        yield "  {" + ", ".join(row) + "},"
    yield "};"


def _cells(column: Column, prefix: str) -> Iterator[str]:
    for row, start in zip(column.rows, column.starts, strict=False):
        if column.length is None:
            yield f"{prefix}{column.name} + {start}, {len(row)}"
            continue
        numbers = ", ".join(_literal(number, column.bits) for number in row)
        yield f"{{{numbers}}}" if column.many else numbers


def _literal(number: int, bits: int) -> str:
    """Hexadecimal with all its digits."""
    suffix = {32: "u", 64: "ull"}.get(bits, "")
    return f"0x{number:0{bits // 4}x}{suffix}"
