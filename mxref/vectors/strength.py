"""How strong is a set of vectors: which named faults its cases kill, by which case, and which not.

A vector set is as good as the mistakes that it finds. Every fault of the catalogue that is a
deterministic variation of an operation runs over every case of that operation; a fault that no
case tells from the right answer is a hole in the set, unless no input can show it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mxref.executors import run_units
from mxref.faults import FAULTS, bdr, nvfp4
from mxref.faults.equivalent import REASONS, reason_for
from mxref.faults.implementations import Implementation, implementations
from mxref.policy import Policy
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.vectors._families import alternatives
from mxref.vectors.compare import accepts, same_output
from mxref.vectors.driver import answers
from mxref.vectors.gemm.faulty import faulty_products
from mxref.vectors.lookup import RelativeFormat, vector_format
from mxref.vectors.model import Case, Progress, VectorFile, Verdict
from mxref.vectors.operations import RELATIVES, Output
from mxref.vectors.read import load, load_manifest
from mxref.vectors.relatives.equivalent import equivalent

__all__ = ["Row", "Strength", "Survey", "strength", "strength_of", "summary", "without_model"]

KILLED, INCONSISTENT, LEGAL = "killed", "inconsistent", "legal"
EQUIVALENT, UNKILLED = "equivalent", "unkilled"

_Outputs: TypeAlias = Sequence[Output | None]


@dataclass(frozen=True, slots=True)
class Row:
    """What a file does to one fault.

    Attributes
    ----------
    fault, detail : str
        Id of the fault, and which variant of it ("" where there is one only).
    operation, format, policy : str
        The file.
    status : str
        ``killed``: a case fails. ``inconsistent``: every case passes, but no single policy gives
        all the outputs. ``legal``: a policy choice gives these outputs; `by` tells them from what
        the file's own policy gives. ``equivalent``: no input can show the fault here. ``unkilled``:
        a hole in the set.
    by : str
        Id of the first case that shows the fault, "" if none does.
    count : int
        How many cases show it.
    reason : str
        Why the fault is equivalent, or under which choices it is legal.
    """

    fault: str
    detail: str
    operation: str
    format: str
    policy: str
    status: str
    by: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Strength:
    """The rows of a set or of some of its files.

    Examples
    --------
    >>> row = Row("E2", "", "encode", "e4m3", "ocp", "killed", "f9e0", 9, "")
    >>> Strength((row,)).ok
    True
    """

    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every fault that some input can show is killed."""
        return not any(row.status == UNKILLED for row in self.rows)

    def counts(self) -> dict[str, int]:
        """Return how many rows have each status."""
        order = (KILLED, INCONSISTENT, LEGAL, EQUIVALENT, UNKILLED)
        return {status: sum(row.status == status for row in self.rows) for status in order}

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        names = Row.__slots__  # dataclass(slots=True) keeps the order of the fields
        rows = [{name: getattr(row, name) for name in names} for row in self.rows]
        return {"ok": self.ok, "counts": self.counts(), "rows": rows}


def strength(
    directory: str | os.PathLike[str],
    *,
    operation: str | None = None,
    format: str | None = None,  # noqa: A002  # the public word everywhere else
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Strength:
    """Run the catalogue of faults over a set.

    Parameters
    ----------
    directory : path
        The set, such as ``spec_vectors``.
    operation, format : str, optional
        Only files of this operation or format.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each file.
    executor : concurrent.futures.Executor, optional
        Runs the files; default: one after another.

    Returns
    -------
    Strength
        One row for each fault and file in which the fault can occur.

    Raises
    ------
    VectorError
        If the set, or a file of it, cannot be read.
    """
    root = Path(directory)
    files = load_manifest(root / "manifest.json").files
    names = [name for name in sorted(files) if name.endswith(".json") and files[name].cases]
    chosen = [
        name
        for name in names
        if operation in (None, name.partition("/")[0])
        and format in (None, name.partition("/")[2].partition(".")[0])
    ]
    paths = [root / name for name in chosen]
    found: Iterable[tuple[Row, ...]] = map(_rows, paths)
    if executor is not None:
        found = (own for _, own in run_units(executor, _rows, paths, ordered=True, describe=str))
    rows: list[Row] = []
    for done, (name, some) in enumerate(zip(chosen, found, strict=True), start=1):
        rows += some
        if progress is not None:
            progress(name, done, len(chosen))
    return Strength(tuple(rows))


def _rows(path: Path) -> tuple[Row, ...]:
    return strength_of(load(path))


def strength_of(file: VectorFile) -> tuple[Row, ...]:
    """Run the catalogue of faults over one file."""
    return Survey(file).rows()


class Survey:
    """What every fault of the catalogue does in every case of a file; run once, read in many ways.

    Examples
    --------
    >>> from mxref.vectors.plan import build, jobs
    >>> job = next(j for j in jobs() if j.path == "decode/e2m1.ocp.json")
    >>> file = build(job)
    >>> "D7" in Survey(file).flags()[file.cases[8].id]  # code 8 is -0
    True
    """

    def __init__(self, file: VectorFile) -> None:
        self.file = file
        self._found = [
            (model, _failing(file, outputs), _differing(file, outputs), outputs)
            for model in _models(file)
            for outputs in (answers(file.operation, file.cases, model.subject),)
        ]

    def flags(self) -> dict[str, tuple[str, ...]]:
        """Return for each case id the faults that the case discriminates.

        A fault counts for a case if any variant of it gives an output there that is not what the
        policy of the file gives.
        """
        found: dict[str, set[str]] = {case.id: set() for case in self.file.cases}
        for model, _, differing, _ in self._found:
            for case in differing:
                found[case.id].add(model.id)
        return {key: tuple(sorted(ids, key=_fault_order)) for key, ids in found.items()}

    def kills(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return for each fault and variant that the file shows the ids of cases that show it.

        Those that fail a case are listed by these cases; the others by the cases in which the
        output is not the policy's.
        """
        table = {}
        for model, failing, differing, _ in self._found:
            shown = failing or differing
            if shown:
                table[model.id, model.detail] = tuple(case.id for case in shown)
        return table

    def rows(self) -> tuple[Row, ...]:
        """Return one row for each fault."""
        return tuple(self._row(*found) for found in self._found)

    def _row(
        self,
        model: Implementation,
        failing: Sequence[Case],
        differing: Sequence[Case],
        outputs: _Outputs,
    ) -> Row:
        file, reason = self.file, ""
        if failing:
            status = KILLED
        elif not differing:
            reason = _equivalent(model, file)
            status = EQUIVALENT if reason else UNKILLED
        else:
            choices = _explanation(file, outputs)
            status = INCONSISTENT if choices is None else LEGAL
            choices = {**(choices or {}), **model.legal_change}
            reason = ", ".join(f"{k}={v}" for k, v in choices.items()) or "left open"
        shown = failing or differing
        return Row(
            fault=model.id,
            detail=model.detail,
            operation=file.operation,
            format=file.format,
            policy=file.policy.name,
            status=status,
            by=shown[0].id if shown else "",
            count=len(shown),
            reason=reason,
        )


def _models(file: VectorFile) -> tuple[Implementation, ...]:
    fmt, policy = vector_format(file.operation, file.format), file.policy
    if file.operation == "nvfp4_quantize_tensor" and isinstance(policy, NVFP4Policy):
        return _of_tensors(policy)
    if isinstance(policy, NVFP4Policy):
        return nvfp4.implementations(file.operation, policy)
    if isinstance(policy, BDRPolicy) and isinstance(fmt, BDRFormat):
        return bdr.implementations(file.operation, fmt, policy)
    if isinstance(fmt, RelativeFormat) or not isinstance(policy, Policy):
        raise TypeError(f"{file.path}: {fmt} under a policy of another family")
    if file.operation == "matmul" and isinstance(fmt, tuple):
        return faulty_products(fmt)
    return implementations(file.operation, fmt, policy)


def _equivalent(model: Implementation, file: VectorFile) -> str:
    """Why no input shows a fault; "" where one can."""
    asked = model.id, model.detail, file.operation
    if file.operation in RELATIVES:
        return equivalent(*asked, file.policy, file.format)
    return reason_for(*asked, file.format) or ""


def _of_tensors(policy: NVFP4Policy) -> tuple[Implementation, ...]:
    """Faults that a tensor alone can show; the files of blocks have all the others."""
    of_blocks = {(m.id, m.detail) for m in nvfp4.implementations("nvfp4_quantize", policy)}
    found = nvfp4.implementations("nvfp4_quantize_tensor", policy)
    return tuple(model for model in found if (model.id, model.detail) not in of_blocks)


# --- one fault, one file ---------------------------------------------------------------------


def _failing(file: VectorFile, outputs: _Outputs) -> list[Case]:
    pairs = zip(file.cases, outputs, strict=True)
    return [case for case, out in pairs if not accepts(file, case, out)]


def _differing(file: VectorFile, outputs: _Outputs) -> list[Case]:
    """Cases in which the output is not what the policy of the file gives."""
    pairs = zip(file.cases, outputs, strict=True)
    return [case for case, out in pairs if not _is_first(file, case, out)]


def _is_first(file: VectorFile, case: Case, out: Output | None) -> bool:
    want = case.expected
    if out is None or want is None:
        return out is want
    return same_output(file, case, out, want)


def _explanation(file: VectorFile, outputs: _Outputs) -> dict[str, str] | None:
    """The choices, if one assignment of them gives all outputs of the must and one_of cases."""
    claims: set[tuple[tuple[tuple[str, str], ...], ...]] = set()
    for case, out in zip(file.cases, outputs, strict=True):
        found = [m.when for m in case.members if _is_member(file, case, out, m.out)]
        # A member without a label is allowed whatever the choices.
        if case.verdict is Verdict.ONE_OF and () not in found and ({},) not in found:
            claims.add(tuple(tuple(when.items()) for whens in found for when in whens))
    fields = sorted({field for claim in claims for when in claim for field, _ in when})
    options = [alternatives(file.policy, field) for field in fields]
    for combination in itertools.product(*options):
        chosen = set(zip(fields, combination, strict=True))
        if all(any(chosen.issuperset(when) for when in claim) for claim in claims):
            return {f: v for f, v in sorted(chosen) if getattr(file.policy, f) != v}
    return None


def _is_member(file: VectorFile, case: Case, out: Output | None, member: Output | None) -> bool:
    if out is None or member is None:
        return out is member
    return same_output(file, case, out, member)


def without_model(rows: Iterable[Row]) -> dict[str, str]:
    """Return the faults that no file runs, with the reason; "" where there is none.

    Examples
    --------
    >>> without_model([])["D15"]
    'A scale of E8M0 has no mantissa that could be dropped.'
    """
    run = {row.fault for row in rows}
    reasons = {fault: reason for (fault, *_), reason in reversed(list(REASONS.items()))}
    return {fault: reasons.get(fault, "") for fault in FAULTS if fault not in run}


def _fault_order(fault_id: str) -> tuple[str, int]:
    return fault_id[0], int(fault_id[1:])


def summary(rows: Iterable[Row]) -> Mapping[str, Mapping[str, int]]:
    """Return the counts of `Strength.counts` for each file path stem."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(f"{row.operation}/{row.format} {row.policy}", []).append(row)
    return {key: Strength(tuple(found)).counts() for key, found in grouped.items()}
