"""What a run of ``mxref conform`` found, ordered for a reader: by difference, not by kernel."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mxref import __version__
from mxref.check.render._words import visible
from mxref.check.report import Verdict
from mxref.cli._words import in_words
from mxref.policy import OPEN_POINT_OF, PROFILES, Policy, get_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mxref.check.render.run import Run
    from mxref.check.report import Finding, Report, Witness
    from mxref.check.target import Kernel, Target

__all__ = ["Difference", "Outcome", "Row", "Topic"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which one kernel departs from the policy it is compared with.

    Attributes
    ----------
    words : str
        What the kernel does, in plain words.
    ids : tuple of str
        Open points of a legal choice, or the id of a fault.
    is_legal : bool
        Whether the standard leaves it open.
    fields : tuple of (str, str)
        Policy fields and their choices, if it is legal.
    finding : Finding or None
        What the check said about it, if it did.
    """

    words: str
    ids: tuple[str, ...]
    is_legal: bool
    fields: tuple[tuple[str, str], ...] = ()
    finding: Finding | None = None

    @property
    def witness(self) -> Witness | None:
        """The input that shows it, if the check gave one."""
        return self.finding.witness if self.finding else None


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel with its report, or with the reason why there is none."""

    kernel: Kernel
    report: Report | None
    error: str = ""
    seconds: float | None = None

    @property
    def name(self) -> str:
        """Operation and format."""
        return f"{self.kernel.op} {self.kernel.format}"

    @property
    def is_unexplained(self) -> bool:
        """Whether nothing known reproduces every bit, so that findings are guesses."""
        return self.report is not None and self.report.verdict is Verdict.UNEXPLAINED

    def differences(self) -> tuple[Difference, ...]:
        """Return what the kernel does differently, defects first."""
        if self.report is None:
            return ()
        found: list[Difference] = []
        for finding in self.report.findings:
            changes = {k: str(v) for k, v in finding.policy_change.items()}
            if finding.legal and changes:
                found.append(self._choice(changes, finding))
            else:
                found.append(Difference(finding.title, (finding.id,), finding.legal, (), finding))
        if self.report.policy is not None:
            reference = self.report.asked or get_policy(None)
            named = {name for difference in found for name, _ in difference.fields}
            for name, (ours, _) in self.report.policy.diff(reference).items():
                if name not in named:
                    found.append(self._choice({name: ours}, None))
        return tuple(sorted(found, key=lambda difference: difference.is_legal))

    def _choice(self, changes: dict[str, str], finding: Finding | None) -> Difference:
        said = (in_words(name, choice, self.kernel.format) for name, choice in changes.items())
        ids = tuple(dict.fromkeys(OPEN_POINT_OF[name] for name in changes))
        return Difference("; ".join(said), ids, True, tuple(changes.items()), finding)  # noqa: FBT003


@dataclass(slots=True)
class Topic:
    """A fault, or an open point, with every kernel that shows it and how."""

    ids: tuple[str, ...]
    is_legal: bool
    shown_by: list[tuple[Row, Difference]] = field(default_factory=list)

    def choices(self) -> dict[str, dict[str, list[str]]]:
        """Return the policy fields, their choices, and what kernels do because of each."""
        found: dict[str, dict[str, list[str]]] = {}
        for _, difference in self.shown_by:
            for name, choice in difference.fields:
                said = found.setdefault(name, {}).setdefault(choice, [])
                if difference.words not in said:
                    said.append(difference.words)
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rows of a run."""

    target: Target
    rows: tuple[Row, ...]
    asked: Policy | None

    def topics(self) -> list[Topic]:
        """Return faults and open points, each once, faults first; guesses are left out."""
        found: dict[tuple[bool, tuple[str, ...]], Topic] = {}
        for row in self.rows:
            for difference in () if row.is_unexplained else row.differences():
                key = (difference.is_legal, difference.ids)
                topic = found.setdefault(key, Topic(difference.ids, difference.is_legal))
                topic.shown_by.append((row, difference))
        return sorted(found.values(), key=lambda topic: topic.is_legal)

    def reports(self) -> Iterator[Report]:
        """Return the reports of the kernels that could be run."""
        return (row.report for row in self.rows if row.report is not None)

    def count(self, verdict: Verdict) -> int:
        """Count the kernels with a verdict."""
        return sum(report.verdict is verdict for report in self.reports())

    def judged(self) -> int:
        """Count the outputs that were compared, scales included."""
        totals = (report.mismatches for report in self.reports())
        return sum(m.total_elements + m.total_scales for m in totals)

    def defects(self) -> dict[str, list[Row]]:
        """Return the faults that explain every bit, with the kernels that have them."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.report is not None and row.report.verdict is Verdict.DEFECT:
                for difference in row.differences():
                    if not difference.is_legal:
                        found.setdefault(difference.ids[0], []).append(row)
        return found

    def profile(self) -> Policy | None:
        """Return the one policy that holds every choice seen, unless two kernels disagree."""
        seen: dict[str, str] = {}
        for row in self.rows:
            for difference in () if row.is_unexplained else row.differences():
                for name, choice in difference.fields:
                    if seen.setdefault(name, choice) != choice:
                        # Where a choice is one for some formats only, a profile may hold both.
                        seen[name] = _wider(seen[name], choice)
        if "" in seen.values():
            return None
        for policy in PROFILES.values():  # a profile may also choose where nothing was seen
            chosen = {name: ours for name, (ours, _) in policy.diff(get_policy(None)).items()}
            if seen and seen.items() <= chosen.items():
                return policy
        return get_policy(None).replace(**seen)

    def exit_code(self, expected: Sequence[str] = ()) -> int:
        """Return 0 if all kernels are right, or have exactly the expected defects.

        What the target does not claim counts neither way, unless nothing else is left.
        """
        return self.to_run(expected=expected).exit_code

    def to_run(self, started: str = "", expected: Sequence[str] = ()) -> Run:
        """Return what reports are made from."""
        from mxref.check.render.run import Entry, Run

        entries = tuple(
            Entry(row.kernel.op, row.kernel.format, row.report, row.error, row.seconds)
            for row in self.rows
        )
        asked = None if self.asked is None else str(self.asked)
        target = self.target
        return Run(target.name, target.title, entries, asked, tuple(expected), started)

    def to_dict(self, expected: Sequence[str] = ()) -> dict[str, Any]:
        """Return everything in types that JSON knows."""
        rows = []
        for row in self.rows:
            entry: dict[str, Any] = {"op": row.kernel.op, "format": row.kernel.format}
            if row.report is None:
                entry["error"] = visible(row.error)
            else:
                entry["report"] = json.loads(row.report.to_json())
            rows.append(entry)
        return {
            "mxref": __version__,
            "target": {"name": visible(self.target.name), "title": visible(self.target.title)},
            "policy": None if self.asked is None else self.asked.name,
            "expected_defects": list(expected),
            "exit_code": self.exit_code(expected),
            "verdicts": {str(v): self.count(v) for v in Verdict if self.count(v)},
            "kernels": rows,
        }


def _wider(one: str, other: str) -> str:
    """Return the choice that includes both, or an empty string if neither does."""
    # In E4M3 signed and quiet-signed NaNs are the same codes.
    return "quiet-signed" if {one, other} == {"signed", "quiet-signed"} else ""
