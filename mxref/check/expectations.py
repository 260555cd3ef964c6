"""Known defects, written down so that the record cannot rot.

A file of expectations lists what is known to be wrong, why, and where it is tracked. A kernel that
shows exactly that counts as expected; anything more fails, and so does anything less: a defect
that is gone must leave the file, and an entry that matches nothing was misspelt or is out of date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxref.faults.catalogue import FAULTS

if TYPE_CHECKING:
    from mxref.check.report import Report

__all__ = ["Expectation", "ExpectationError", "judge_expected", "read_expectations", "unmatched"]

_FIELDS = {"id", "op", "format", "reason", "url"}
_NEEDED = ("id", "reason", "url")


class ExpectationError(ValueError):
    """A file of expectations cannot be used; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One known defect.

    Attributes
    ----------
    id : str
        Fault id, such as ``"E1"``, or ``"unexplained"``.
    reason : str
        Why it is accepted for now.
    url : str
        Where it is tracked.
    op, format : str
        The kernels that show it; ``*`` and ``?`` stand for anything.
    """

    id: str
    reason: str
    url: str
    op: str = "*"
    format: str = "*"

    def concerns(self, op: str, format: str) -> bool:  # noqa: A002
        """Whether it is about a kernel.

        Examples
        --------
        >>> Expectation("E1", "known", "https://example.org/1", format="mxfp*").concerns(
        ...     "quantize", "mxfp4"
        ... )
        True
        """
        return fnmatchcase(op, self.op) and fnmatchcase(format, self.format)

    def __str__(self) -> str:
        """Return the entry as a message shows it."""
        return f"{self.id} in {self.op} {self.format} ({self.reason}; {self.url})"


def read_expectations(path: str | Path) -> tuple[Expectation, ...]:
    r"""Read a TOML file with one ``[[expect]]`` table for each known defect.

    Raises
    ------
    ExpectationError
        If the file cannot be read, is no TOML, or an entry has no id, reason or URL, an unknown
        field, or an id that the catalogue does not have.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "known.toml")
    ...     _ = path.write_text('[[expect]]\nid = "E1"\nreason = "old"\nurl = "https://x.org"')
    ...     read_expectations(path)[0].id
    'E1'
    """
    try:
        with Path(path).open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ExpectationError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExpectationError(f"{path} is no TOML: {error}") from None
    entries = content.pop("expect", [])
    if content or not isinstance(entries, list):
        found = ", ".join(content) or "expect"
        raise ExpectationError(
            f"{path}: found {found}; expected [[expect]] tables with id, reason, url, and op and "
            "format where they matter"
        )
    return tuple(_entry(path, number, entry) for number, entry in enumerate(entries, start=1))


def _entry(path: str | Path, number: int, entry: Any) -> Expectation:
    where = f"{path}, entry {number}"
    if not isinstance(entry, dict):
        raise ExpectationError(f"{where}: expected a table, got {entry!r}")
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ExpectationError(
            f"{where}: unknown field {unknown[0]!r}; there are {', '.join(sorted(_FIELDS))}"
        )
    for field, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise ExpectationError(f"{where}: {field} is {value!r}; expected text")
    missing = [field for field in _NEEDED if field not in entry]
    if missing:
        raise ExpectationError(f"{where}: no {missing[0]}; an entry needs {', '.join(_NEEDED)}")
    fault = entry["id"]
    if fault not in FAULTS and fault != "unexplained":
        raise ExpectationError(
            f"{where}: no fault {fault!r}; give an id of the catalogue, such as E1, or unexplained"
        )
    return Expectation(**entry)


def unmatched(
    expectations: Iterable[Expectation], kernels: Sequence[tuple[str, str]]
) -> list[Expectation]:
    """Return the entries that are about none of the kernels (operation, format).

    Examples
    --------
    >>> known = Expectation("E1", "old", "https://x.org", op="encode")
    >>> unmatched([known], [("quantize", "mxfp4")]) == [known]
    True
    """
    return [e for e in expectations if not any(e.concerns(*kernel) for kernel in kernels)]


def judge_expected(report: Report, expectations: Iterable[Expectation]) -> tuple[bool, str]:
    """Compare a report with what is known of its kernel.

    Parameters
    ----------
    report : Report
        The answer of a check.
    expectations : iterable of Expectation
        All of them; those about other kernels do not matter.

    Returns
    -------
    expected : bool
        Whether the report shows known defects, all of them and nothing else.
    problem : str
        What is not as expected; empty where all is well.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref import check
    >>> report = check.encode(np.array([1.0], np.float32), np.array([0x38], np.uint8), "e4m3")
    >>> judge_expected(report, [])
    (False, '')
    >>> judge_expected(report, [Expectation("E1", "old", "https://x.org")])[1]
    'expected E1 in * * (old; https://x.org), which encode e4m3 does not show: delete the entry'
    """
    mine = [e for e in expectations if e.concerns(report.op, report.format)]
    shown = _shown(report)
    name = f"{report.op} {report.format}"
    gone = [e for e in mine if e.id not in shown]
    if gone:
        listed = "; ".join(map(str, gone))
        return False, f"expected {listed}, which {name} does not show: delete the entry"
    known = {e.id for e in mine}
    new = [fault for fault in shown if fault not in known]
    if not shown and not report.ok:
        new = [str(report.verdict)]
    if new and mine:
        return False, f"{name} shows {', '.join(new)} besides what is expected of it"
    if new:
        return False, f"{name}: {report.verdict}"
    return bool(shown), ""


def _shown(report: Report) -> list[str]:
    """The ids of what is wrong, as an entry would name them."""
    if report.ok or report.trouble is not None:
        return []
    if report.verdict == "unexplained":
        return ["unexplained"]
    return list(dict.fromkeys(f.id for f in report.findings if not f.legal and f.certain))
