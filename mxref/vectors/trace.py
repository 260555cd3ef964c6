"""From each clause to what rests on it: vectors, the exact definition, its kernel twin, tests."""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mxref.clauses import CLAUSES, ID_PATTERN
from mxref.vectors._loose import vector_json, vector_paths
from mxref.vectors._uncovered import UNCOVERED

__all__ = ["UNCOVERED", "TraceRow", "trace", "trace_problems"]

_PACKAGE = Path(__file__).resolve().parents[1]
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class TraceRow:
    """What rests on one clause or open point.

    Attributes
    ----------
    clause : str
        The id.
    cases : Mapping of str to int
        Cases that cite it, by operation.
    grouped : Mapping of str to int
        Where no case cites it: cases of the covergroups that were built for it.
    exact : tuple of str
        Functions of ``mxref.exact`` whose text cites it; a module alone where its head does.
    kernels : tuple of str
        Functions of ``mxref.kernels`` of the same names.
    tests : tuple of str
        Test functions that cite it; empty where the tests are not there.
    reason : str
        Why no vector is about it; empty where one is, or nobody has said.
    """

    clause: str
    cases: Mapping[str, int]
    grouped: Mapping[str, int]
    exact: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_covered(self) -> bool:
        """Whether a case cites it, or was built for it."""
        return any(self.cases.values()) or any(self.grouped.values())


@dataclass(slots=True)
class _Found:
    """What cites one clause."""

    cases: Counter[str] = field(default_factory=Counter)
    grouped: Counter[str] = field(default_factory=Counter)
    exact: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)


def trace(directory: str | os.PathLike[str]) -> tuple[TraceRow, ...]:
    """Return for each clause and open point what rests on it.

    Parameters
    ----------
    directory : path
        The set, such as ``spec_vectors``.

    Returns
    -------
    tuple of TraceRow
        In the order of `mxref.clauses.CLAUSES`.

    Raises
    ------
    VectorError
        If the set cannot be read.
    """
    found = {name: _Found() for name in CLAUSES}
    for path in vector_paths(Path(directory)):
        _count(path, found)
    for name, clause in _citations(_PACKAGE / "exact"):
        found[clause].exact.append(name)
    for name, clause in _citations(_PACKAGE.parent / "tests"):
        found[clause].tests.append(name)
    twins = _definitions(_PACKAGE / "kernels")
    return tuple(
        TraceRow(
            clause=name,
            cases=dict(sorted(one.cases.items())),
            # A group of several clauses says less about each than a case that cites it.
            grouped={} if one.cases else dict(sorted(one.grouped.items())),
            exact=_unique(one.exact),
            kernels=_unique([function for function in one.exact if function in twins]),
            tests=_unique(one.tests),
            reason=UNCOVERED.get(name, ""),
        )
        for name, one in found.items()
    )


def trace_problems(rows: tuple[TraceRow, ...]) -> list[str]:
    """Return a sentence for each clause without a vector or a reason, and each reason too many.

    Examples
    --------
    >>> trace_problems((TraceRow("OP-PACKING", {}, {}),))
    ['OP-PACKING: no case is about it, and mxref/vectors/_uncovered.py does not say why']
    """
    problems = []
    for row in rows:
        if not row.is_covered and not row.reason:
            problems.append(
                f"{row.clause}: no case is about it, and mxref/vectors/_uncovered.py does not say "
                "why"
            )
        if row.is_covered and row.reason:
            problems.append(
                f"{row.clause}: cases are about it; remove its reason from "
                "mxref/vectors/_uncovered.py"
            )
    unknown = sorted(UNCOVERED.keys() - CLAUSES.keys())
    problems += [f"{name}: no such clause, but _uncovered.py has it" for name in unknown]
    return problems


# --- vectors ---------------------------------------------------------------------------------


def _count(path: Path, found: Mapping[str, _Found]) -> None:
    data = vector_json(path)
    operation = data["operation"]
    groups = {name: set(group["clauses"]) for name, group in data["covergroups"].items()}
    for case in data["cases"]:
        cited = set(case["clauses"])
        about = groups.get(case["comment"].partition(":")[0], set())
        for clause in cited & found.keys():
            found[clause].cases[operation] += 1
        for clause in (about - cited) & found.keys():
            found[clause].grouped[operation] += 1


# --- sources ---------------------------------------------------------------------------------


def _sources(folder: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else ():
        text = path.read_text(encoding="utf-8")
        yield path, text, ast.parse(text)


def _citations(folder: Path) -> Iterator[tuple[str, str]]:
    """Each function of a folder with each clause that its text names, comments included.

    The name of a function follows that of its file; what stands outside of all functions belongs
    to the file.
    """
    for path, text, tree in _sources(folder):
        module = path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
        spans = [
            (node.lineno, node.end_lineno or node.lineno, node.name)
            for node in tree.body
            if isinstance(node, _FUNCTION)
        ]
        for number, line in enumerate(text.splitlines(), start=1):
            inside = (name for first, last, name in spans if first <= number <= last)
            owner = next(inside, None)
            for match in ID_PATTERN.finditer(line):
                if match[0] in CLAUSES:
                    yield (f"{module}.{owner}" if owner else module), match[0]


def _definitions(folder: Path) -> set[str]:
    return {
        f"{path.stem}.{node.name}"
        for path, _, tree in _sources(folder)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def _unique(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
