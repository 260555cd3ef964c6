"""A vector file as two plain tables, which every exporter writes: cases, and their members.

The rows of the table of cases point into the table of members (``first_member``, ``members``). A
cell holds unsigned integers: one, a fixed number of them, or, in the operations whose cases differ
in size (dot products and tensors), a number that each row has for itself (a *ragged* column).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mxref.formats import block_format
from mxref.vectors.model import (
    ACCUMULATE,
    VectorError,
    VectorFile,
    Verdict,
    sha256,
    vector_file_text,
)
from mxref.vectors.operations import (
    IN_FIELDS,
    INPUT_DIGITS,
    OUT_FIELDS,
    PACKINGS,
    PARTS,
    RELATIVES,
    SCALE_LAYOUTS,
    Field,
)

__all__ = ["TYPES", "VERDICTS", "Column", "Table", "table"]

VERDICTS: tuple[str, ...] = (Verdict.MUST, Verdict.ONE_OF, Verdict.OPEN)
"""A verdict is exported as its position here."""

TYPES: tuple[str, ...] = tuple(INPUT_DIGITS)
"""An input type is exported as its position here."""

_BITS = {"type": 8, "layout": 8, "code": 8, "size": 32, "number": 32, "value": 32, "random": 32}


@dataclass(frozen=True, slots=True)
class Column:
    """One field of all rows.

    Attributes
    ----------
    name : str
        The key in JSON; ``a_codes`` where the key is nested.
    bits : int
        Width of one number: 8, 16, 32 or 64.
    length : int or None
        Numbers in each cell; None where rows differ.
    many : bool
        Whether the cell is a list, be it of one number.
    rows : tuple of tuple of int
        The cells.
    """

    name: str
    bits: int
    length: int | None
    many: bool
    rows: tuple[tuple[int, ...], ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each cell begins in the numbers of all cells, and where the last one ends."""
        found = [0]
        for row in self.rows:
            found.append(found[-1] + len(row))
        return tuple(found)

    @property
    def flat(self) -> tuple[int, ...]:
        """The numbers of all cells, one after the other."""
        return tuple(number for row in self.rows for number in row)


@dataclass(frozen=True, slots=True)
class Table:
    """A vector file in columns.

    Attributes
    ----------
    name : str
        An identifier made of operation, format and policy, such as ``encode_e2m1_ocp``.
    file : VectorFile
        What it was made from.
    sha256 : str
        Of the JSON file.
    cases, members : tuple of Column
        The two tables.
    """

    name: str
    file: VectorFile
    sha256: str
    cases: tuple[Column, ...]
    members: tuple[Column, ...]

    @property
    def case_count(self) -> int:
        """Rows of `cases`."""
        return len(self.file.cases)

    @property
    def member_count(self) -> int:
        """Rows of `members`."""
        return len(self.members[0].rows)

    @property
    def is_ragged(self) -> bool:
        """Whether the cases of this operation differ in size."""
        return _is_ragged(self.file.operation)

    @property
    def description(self) -> dict[str, Any]:
        """What the file is about: the part of a description that all exports share."""
        return {
            "set_version": self.file.set_version,
            "source": self.file.path,
            "source_sha256": self.sha256,
            "operation": self.file.operation,
            "format": self.file.format,
            "policy": self.file.policy.name,
            "assumes": list(self.file.assumes),
            "compare": list(self.file.compare),
            "cases": self.case_count,
            "members": self.member_count,
            "verdict": list(map(str, VERDICTS)),
            "type": list(TYPES),
            "packing": list(PACKINGS),
            "scale_layout": list(SCALE_LAYOUTS),
            **_labels(self.file),
        }


def _labels(file: VectorFile) -> dict[str, Any]:
    """Which accumulation models give which member of a matrix product, by the id of the case."""
    if file.operation != "matmul":
        return {}
    labelled = {
        case.id: [[c[ACCUMULATE] for c in m.when if ACCUMULATE in c] for m in case.members]
        for case in file.cases
        if any(condition for member in case.members for condition in member.when)
    }
    return {ACCUMULATE: labelled}


def table(file: VectorFile) -> Table:
    """Return a vector file in columns; a function of the file alone."""
    counts = [len(case.members) for case in file.cases]
    firsts = itertools.accumulate(counts[:-1], initial=0)
    cases = [
        _scalars("id", 64, [int(case.id, 16) for case in file.cases]),
        _scalars("verdict", 8, [VERDICTS.index(case.verdict) for case in file.cases]),
        _scalars("members", 16, counts),
        _scalars("first_member", 32, list(firsts)),
    ]
    inputs = [case.inputs for case in file.cases]
    for field in IN_FIELDS[file.operation]:
        cases += _columns(file, field, inputs)
    outs = [member.out for case in file.cases for member in case.members]
    members = [_scalars("refused", 8, [int(out is None) for out in outs])]
    for field in OUT_FIELDS[file.operation]:
        members += _columns(file, field, outs)
    return Table(
        name=re.sub(r"[^A-Za-z0-9]+", "_", file.path.removesuffix(".json")),
        file=file,
        sha256=sha256(vector_file_text(file).encode("ascii")),
        cases=tuple(cases),
        members=tuple(members),
    )


def _is_ragged(operation: str) -> bool:
    """Whether cases say their own size; a block always has that of its format."""
    return any(field.kind == "size" for field in IN_FIELDS[operation])


def _block_length(file: VectorFile, rows: Sequence[tuple[int, ...]]) -> int:
    """How many numbers a block has in each case: sub-scales are fewer than elements."""
    if file.operation in RELATIVES:
        return max(map(len, rows), default=0)
    return block_format(file.format).block_size


def _scalars(name: str, bits: int, numbers: Sequence[int]) -> Column:
    return Column(name, bits, 1, many=False, rows=tuple((number,) for number in numbers))


def _columns(file: VectorFile, field: Field, held: Sequence[Any]) -> Iterator[Column]:
    """The columns of a field: one a part for an operand, none for what no case has."""
    if field.kind in PARTS:
        operands = [getattr(h, field.attribute) if field.attribute else h for h in held]
        for part in PARTS[field.kind]:
            inner = part._replace(key=f"{field.key}_{part.key}")
            yield from _columns(file, inner, operands)
        return
    rows = [() if h is None else _numbers(h, field) for h in held]
    if field.optional and not any(rows):
        return
    length: int | None
    if not field.many:
        length = 1
    elif field.kind == "size":
        length = len(rows[0])
    else:
        length = None if _is_ragged(file.operation) else _block_length(file, rows)
    if length is not None:
        # The numbers of a refused member are zero and mean nothing.
        rows = [(0,) * length if h is None else row for h, row in zip(held, rows, strict=True)]
        for case, row in enumerate(rows, start=1):
            if len(row) != length:
                raise VectorError(
                    f"{file.path}: row {case} has {len(row)} numbers in {field.key!r}, not {length}"
                )
    yield Column(field.key, _BITS[field.kind], length, field.many, tuple(rows))


def _numbers(held: Any, field: Field) -> tuple[int, ...]:
    found = getattr(held, field.attribute)
    match field.kind:
        case "type":
            return (TYPES.index(found),)
        case "layout":
            is_scales = field.key == "scale_layout"
            return ((SCALE_LAYOUTS if is_scales else PACKINGS).index(found[is_scales]),)
    if found is None:
        return ()
    return (found,) if isinstance(found, int) else tuple(found)
