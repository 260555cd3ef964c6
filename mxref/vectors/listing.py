"""What a set holds: its files with their counts, and the cases that somebody looks for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxref import clauses
from mxref._suggest import unknown_name
from mxref.faults import FAULTS
from mxref.vectors._loose import vector_paths
from mxref.vectors.model import Case, Progress, VectorError, VectorFile, Verdict
from mxref.vectors.read import iter_cases

__all__ = ["FileRow", "Wanted", "find_cases", "list_files"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases are looked for; None stands for any.

    Attributes
    ----------
    operation, format, policy : str or None
        As in the header of a file.
    covergroup : str or None
        The covergroup that built the case.
    clause : str or None
        A clause or open point that the case cites.
    flag : str or None
        A fault that the case discriminates.
    verdict : str or None
        ``must``, ``one_of`` or ``open``.

    Examples
    --------
    >>> Wanted(format="e4m3").asks_for_cases
    False
    """

    operation: str | None = None
    format: str | None = None
    policy: str | None = None
    covergroup: str | None = None
    clause: str | None = None
    flag: str | None = None
    verdict: str | None = None

    @property
    def asks_for_cases(self) -> bool:
        """Whether anything is asked that differs from case to case of a file."""
        return any((self.covergroup, self.clause, self.flag, self.verdict))

    def takes(self, case: Case) -> bool:
        """Whether a case of the right file is one of those looked for."""
        return (
            self.covergroup in (None, case.comment.partition(":")[0])
            and (self.clause is None or self.clause in case.clauses)
            and (self.flag is None or self.flag in case.flags)
            and self.verdict in (None, str(case.verdict))
        )


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file: what it is about, and how many of its cases were looked for.

    Examples
    --------
    >>> row = FileRow("encode/e4m3.ocp.json", "encode", "e4m3", "ocp", {"must": 3}, {"ties": 3})
    >>> row.cases
    3
    """

    path: str
    operation: str
    format: str
    policy: str
    verdicts: Mapping[str, int]
    covergroups: Mapping[str, int]

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(self.verdicts.values())

    def as_json(self) -> dict[str, Any]:
        """Return everything in types that JSON knows."""
        return {
            "path": self.path,
            "operation": self.operation,
            "format": self.format,
            "policy": self.policy,
            "cases": self.cases,
            "verdicts": dict(self.verdicts),
            "covergroups": dict(self.covergroups),
        }


def find_cases(
    source: str | os.PathLike[str],
    wanted: Wanted | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[tuple[VectorFile, Case]]:
    """Yield the cases that somebody looks for, each with its file.

    Parameters
    ----------
    source : path
        A set or a JSON vector file.
    wanted : Wanted, optional
        What to look for; default: every case.
    progress : callable, optional
        Called as ``progress(path, done, total)`` for each file that is read.

    Raises
    ------
    VectorError
        If the set is damaged, or what is looked for is unknown: the message names the nearest.
    """
    asked = wanted or Wanted()
    _known(asked)
    groups: set[str] = set()
    files: set[tuple[str, str, str]] = set()
    found = False
    total = len(vector_paths(Path(source))) if progress is not None else 0
    for file, case in _of_files(source, asked):
        if (key := (file.operation, file.format, file.policy.name)) not in files:
            files.add(key)
            if progress is not None:
                progress(file.path, len(files), total)
            groups |= {group.name for group in file.covergroups}
        if asked.takes(case):
            found = True
            yield file, case
    if not files:
        raise VectorError(_no_file(source, asked))
    if not found and asked.covergroup is not None and asked.covergroup not in groups:
        raise VectorError(unknown_name("covergroup", asked.covergroup, sorted(groups)))


def list_files(
    source: str | os.PathLike[str],
    wanted: Wanted | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[FileRow, ...]:
    """Return the files that hold cases which somebody looks for, with counts.

    Parameters
    ----------
    source, wanted, progress
        As for `find_cases`.

    Raises
    ------
    VectorError
        As for `find_cases`.
    """
    rows: dict[str, FileRow] = {}
    counts: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for file, case in find_cases(source, wanted, progress=progress):
        if file.path not in rows:
            verdicts = Counter({str(verdict): 0 for verdict in Verdict})
            groups = Counter({group.name: 0 for group in file.covergroups})
            counts[file.path] = verdicts, groups
            rows[file.path] = FileRow(
                file.path, file.operation, file.format, file.policy.name, verdicts, groups
            )
        verdicts, groups = counts[file.path]
        verdicts[str(case.verdict)] += 1
        groups[case.comment.partition(":")[0]] += 1
    return tuple(rows.values())


def _of_files(source: str | os.PathLike[str], asked: Wanted) -> Iterator[tuple[VectorFile, Case]]:
    if not Path(source).exists():
        raise VectorError(
            f"{source}: there is no such file or folder; `mxref vectors generate` writes a set"
        )
    return iter_cases(source, operation=asked.operation, format=asked.format, policy=asked.policy)


def _known(asked: Wanted) -> None:
    """Complain of a word that means nothing anywhere."""
    if asked.clause is not None and asked.clause not in clauses.CLAUSES:
        try:
            clauses.get(asked.clause)
        except KeyError as error:  # its message names the nearest; the whole list has 90
            raise VectorError(str(error.args[0])) from error
    if asked.flag is not None and asked.flag not in FAULTS:
        raise VectorError(unknown_name("fault", asked.flag, list(FAULTS)))
    if asked.verdict is not None and asked.verdict not in list(Verdict):
        raise VectorError(unknown_name("verdict", asked.verdict, [str(v) for v in Verdict]))


def _no_file(source: str | os.PathLike[str], asked: Wanted) -> str:
    said = ", ".join(
        f"{name} {value}"
        for name, value in (
            ("operation", asked.operation),
            ("format", asked.format),
            ("policy", asked.policy),
        )
        if value is not None
    )
    return f"{source}: no file of {said or 'any kind'}; `mxref vectors list` names them all"
