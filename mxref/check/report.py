"""What a check answers: a verdict, the policy, named findings with witnesses, and what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mxref._policy_base import Choices
from mxref._shown import Shown
from mxref.check.parts import (
    Distances,
    Finding,
    Gap,
    Inference,
    Mismatches,
    Place,
    Trouble,
    Verdict,
    Witness,
)

__all__ = ["DefectError", "Finding", "Mismatches", "Report", "Verdict", "Witness"]


class DefectError(AssertionError):
    """Raised by `Report.raise_for_defects`; the message is the report."""


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """The answer of a check.

    Attributes
    ----------
    op, format : str
        What was checked.
    verdict : Verdict
        The outcome.
    policy : Policy, NVFP4Policy, BDRPolicy or None
        The policy that reproduces every bit; None if there is none.
    asked : Policy, NVFP4Policy, BDRPolicy or None
        The policy that the caller asked for.
    findings : tuple of Finding
        Causes, the most telling first.
    mismatches : Mismatches
        Differences from the asked policy, or from ``ocp``.
    notes : tuple of str
        What else there is to know, such as differences without effect.
    inferred : sequence of Inference
        Rules that were read off the data. Worked out when it is first looked at, from the arrays
        as they are then; so is `gaps`.
    gaps : sequence of Gap
        What the data cannot show, with the smallest input that would.
    places : tuple of Place
        Where mismatches without a known cause lie, and what that points to.
    profiles : tuple of str
        Known implementations that give the same bits.
    trouble : Trouble or None
        Why the target could not be judged, or not as it should be.
    distances : Distances or None
        How far results of sums are from the exact ones; None for other operations.
    sum_tree : tuple of str
        In which order a driven target adds, as indented lines.
    """

    op: str
    format: str
    verdict: Verdict
    policy: Choices | None
    asked: Choices | None
    findings: tuple[Finding, ...]
    mismatches: Mismatches
    notes: tuple[str, ...] = ()
    inferred: Sequence[Inference] = ()
    gaps: Sequence[Gap] = ()
    places: tuple[Place, ...] = ()
    profiles: tuple[str, ...] = ()
    trouble: Trouble | None = None
    distances: Distances | None = None
    sum_tree: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the caller may be content: the asked policy, or any legal one if none was."""
        if self.verdict is Verdict.CONFORMS_AS:
            return self.asked is None
        return self.verdict is Verdict.CONFORMS

    def raise_for_defects(self) -> None:
        """Raise `DefectError` with the report as its message unless `ok`."""
        if not self.ok:
            raise DefectError("\n" + str(self))

    def __str__(self) -> str:
        """Return the report in 80 columns, without colour."""
        from mxref.check.render.text import as_text

        return as_text(self)

    def to_json(self) -> str:
        """Return the report as a JSON object."""
        from mxref.check.render.document import as_dict

        return json.dumps(as_dict(self), indent=2, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Return the report as Markdown, for the summary of a CI job."""
        return self._rendered("md")

    def to_html(self) -> str:
        """Return the report as one HTML file that needs nothing else."""
        return self._rendered("html")

    def to_junit(self) -> str:
        """Return the report as JUnit XML with one test case."""
        return self._rendered("junit")

    def _rendered(self, form: str) -> str:
        from mxref.check.render import render
        from mxref.check.render.run import Run

        return render(Run.of(self), form)

    def _repr_html_(self) -> str:
        from mxref.check.render.notebook import fragment

        return fragment(self)
