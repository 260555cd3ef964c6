"""What all reports are made from: one run of a target, an entry for each operation and format."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mxref.check.parts import Verdict
from mxref.check.report import Report

__all__ = ["Entry", "Result", "Run"]


class Result(enum.StrEnum):
    """What became of an entry, in the four words that test reports know."""

    PASSED = "passed"
    FAILED = "failed"
    """Wrong, or not as the policy that was asked for."""
    ERROR = "error"
    """Could not be run, or there was nothing to judge."""
    SKIPPED = "skipped"
    """Not claimed by the target, or a defect that was expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation on one format: its report, or why there is none.

    Attributes
    ----------
    op, format : str
    report : Report or None
    error : str
        Why there is no report.
    seconds : float or None
        How long it took.
    """

    op: str
    format: str
    report: Report | None
    error: str = ""
    seconds: float | None = None

    @property
    def name(self) -> str:
        """Operation and format."""
        return f"{self.op} {self.format}"

    def result(self, expected: tuple[str, ...] = ()) -> Result:
        """Return what became of it, if these faults were expected."""
        report = self.report
        if report is None:
            return Result.ERROR
        if report.trouble is not None and report.trouble.kind == "not-claimed":
            return Result.SKIPPED
        if report.verdict is Verdict.NOT_TESTABLE:
            return Result.ERROR
        if report.ok:
            return Result.PASSED
        if report.verdict is Verdict.DEFECT and self.defects <= set(expected):
            return Result.SKIPPED
        return Result.FAILED

    @property
    def label(self) -> str:
        """The verdict for people, who are told apart what was not run and what is not claimed."""
        if self.report is None:
            return "not-run"
        trouble = self.report.trouble
        if trouble is not None and trouble.kind == "not-claimed":
            return trouble.kind
        return str(self.report.verdict)

    @property
    def is_judged(self) -> bool:
        """Whether there was something to judge."""
        return self.report is not None and self.report.verdict is not Verdict.NOT_TESTABLE

    @property
    def defects(self) -> set[str]:
        """Ids of the faults that were found."""
        found = () if self.report is None else self.report.findings
        return {finding.id for finding in found if not finding.legal}


@dataclass(frozen=True, slots=True)
class Run:
    """All that was found about one target.

    Attributes
    ----------
    target, title : str
        As the user named it, and for people.
    entries : tuple of Entry
    asked : str or None
        Policy that was asked for.
    expected : tuple of str
        Faults that were expected.
    started : str
        Date and time in ISO 8601, or empty.
    seconds : float or None
        How long everything took.
    """

    target: str
    title: str
    entries: tuple[Entry, ...]
    asked: str | None = None
    expected: tuple[str, ...] = ()
    started: str = ""
    seconds: float | None = None

    @classmethod
    def of(cls, report: Report) -> Run:
        """Return a run of a single report."""
        asked = None if report.asked is None else str(report.asked)
        name = f"{report.op} {report.format}"
        return cls(name, name, (Entry(report.op, report.format, report),), asked)

    def after(self, seconds: float) -> Run:
        """Return the same run with its duration."""
        return replace(self, seconds=seconds)

    def result(self, entry: Entry) -> Result:
        """Return what became of an entry of this run."""
        return entry.result(self.expected)

    @property
    def ok(self) -> bool:
        """Whether everything that the target claims is right, or has the expected defects."""
        if {Result.FAILED, Result.ERROR} & {self.result(entry) for entry in self.entries}:
            return False
        judged = [entry for entry in self.entries if entry.is_judged]
        found = {fault for entry in judged for fault in entry.defects}
        return bool(judged) and set(self.expected) <= found

    @property
    def exit_code(self) -> int:
        """Return 0 if all is well, 1 if something is wrong, 2 if something could not be run."""
        if self.ok:
            return 0
        could_run = Result.ERROR not in {self.result(entry) for entry in self.entries}
        return 1 if could_run and any(entry.is_judged for entry in self.entries) else 2

    @property
    def verdicts(self) -> Mapping[str, int]:
        """How many entries have each verdict; ``"not-run"`` where there is no report."""
        found: dict[str, int] = {}
        for entry in self.entries:
            name = "not-run" if entry.report is None else str(entry.report.verdict)
            found[name] = found.get(name, 0) + 1
        order = [*(str(verdict) for verdict in Verdict), "not-run"]
        return {name: found[name] for name in order if name in found}
