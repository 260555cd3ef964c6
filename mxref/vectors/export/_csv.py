"""One row a case, for spreadsheets and scripts: RFC 4180, with CRLF and a header row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from mxref.vectors.export._table import TYPES, VERDICTS, Column, Table
from mxref.vectors.export._write import described
from mxref.vectors.model import Case
from mxref.vectors.operations import IN_FIELDS, INPUT_DIGITS, PACKINGS, SCALE_LAYOUTS

__all__ = ["csv_files"]

_WORDS = {"type": TYPES, "packing": PACKINGS, "scale_layout": SCALE_LAYOUTS}


def csv_files(table: Table) -> dict[str, bytes]:
    """Return one ``.csv`` file."""
    inputs = [column for column in table.cases if not _is_bookkeeping(column)]
    most = max(len(case.members) for case in table.file.cases)
    header = ["id", "verdict", "members", *(column.name for column in inputs)]
    for number in range(most):
        names = (*(column.name for column in table.members), "when")
        header += [f"out{number}_{name}" for name in names]
    header += ["clauses", "flags", "comment"]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(header)
    member = 0
    for index, case in enumerate(table.file.cases):
        cells = [case.id, VERDICTS[VERDICTS.index(case.verdict)], str(len(case.members))]
        cells += [_cell(table, column, index, case) for column in inputs]
        for _ in case.members:
            cells += _member(table, member, case, index)
            member += 1
        cells += [""] * ((most - len(case.members)) * (len(table.members) + 1))
        cells += [" ".join(case.clauses), " ".join(case.flags), case.comment]
        rows.writerow(cells)
    files = {f"{table.name}.csv": text.getvalue().encode("ascii")}
    return described(table, "csv", files, {"columns": header})


def _is_bookkeeping(column: Column) -> bool:
    return column.name in ("id", "verdict", "members", "first_member")


def _cell(table: Table, column: Column, index: int, case: Case) -> str:
    """A cell of the inputs: names as names, sizes in decimal, bits in hexadecimal."""
    row = column.rows[index]
    if column.name in _WORDS:
        return _WORDS[column.name][row[0]]
    kinds = {field.key: field.kind for field in IN_FIELDS[table.file.operation]}
    kind = kinds.get(column.name)
    if kind == "size":
        return " ".join(map(str, row))
    digits = column.bits // 4
    if kind == "number" and case.inputs.type is not None:
        digits = INPUT_DIGITS[case.inputs.type]
    return " ".join(f"{number:0{digits}x}" for number in row)


def _member(table: Table, number: int, case: Case, index: int) -> Iterator[str]:
    refused, *outputs = table.members
    is_refused = refused.rows[number][0]
    yield str(is_refused)
    for column in outputs:
        bits = () if is_refused else column.rows[number]
        yield " ".join(f"{n:0{column.bits // 4}x}" for n in bits)
    first = table.cases[3].rows[index][0]
    when = case.members[number - first].when
    yield " | ".join(" ".join(f"{k}={v}" for k, v in each.items()) or "always" for each in when)
