"""What went wrong in a tensor that no published policy explains: the check of blocks says it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mxref.check.checkpoint import _locate as locate
from mxref.check.checkpoint import _misplaced as misplaced
from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint import _scan as scans
from mxref.check.checkpoint._candidates import Candidate, candidate_of
from mxref.check.checkpoint._scan import Evidence, Unit
from mxref.check.checkpoint._stats import block_length
from mxref.check.parts import Finding, Place, Verdict
from mxref.check.report import Report
from mxref.formats import block_format
from mxref.policy import Policy

__all__ = ["Case", "Diagnosis", "diagnose"]

_EVIDENCE = 2048  # blocks
_SAMPLED = 1 << 16  # elements, most of which agree, beside those that don't


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A tensor that nothing explains.

    Attributes
    ----------
    unit : Unit
    lead : Candidate
        What explains most of it.
    evidence : tuple of Evidence
        Blocks that it does not explain.
    is_widespread : bool
        Whether there are so many that another rule may be at work.
    rows : tuple of (int, int)
        Runs of rows that hold such blocks.
    """

    unit: Unit
    lead: Candidate
    evidence: tuple[Evidence, ...]
    is_widespread: bool
    rows: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer.

    Attributes
    ----------
    found : Candidate or None
        A policy without a published name that explains all that was looked at.
    findings, notes, places
        As in `TensorReport`.
    is_explained : bool
        Whether the findings account for every bit that was looked at.
    """

    found: Candidate | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    is_explained: bool = False


def diagnose(case: Case) -> Diagnosis:
    """Look at the blocks that differ, together with some that don't."""
    pair = case.unit.pair
    _, _, good = scans.sample(case.unit, scans.stretches(pair, _SAMPLED))
    evidence = Evidence.joined([*case.evidence, good], _EVIDENCE)
    fmt = block_format(pair.found.format)
    report = _explained(evidence, pair, case.lead)
    if report is None:
        return Diagnosis(notes=(f"Some codes are no codes of {fmt.element.name}.",))
    if report.verdict is Verdict.UNEXPLAINED and case.is_widespread:
        other = _explained(evidence, pair, None)
        if other is not None and other.verdict is not Verdict.UNEXPLAINED:
            report = other
    if report.verdict is Verdict.CONFORMS_AS and isinstance(report.policy, Policy):
        other = _explained(evidence, pair, None)  # seen from ocp it may be less of a change
        if (
            other is not None
            and other.verdict is Verdict.CONFORMS_AS
            and isinstance(other.policy, Policy)
            and len(other.policy.name) < len(report.policy.name)
        ):
            return Diagnosis(candidate_of(other.policy, fmt))
        return Diagnosis(candidate_of(report.policy, fmt))
    count = report.mismatches.total_scales
    is_explained = report.verdict is Verdict.DEFECT
    if is_explained:
        notes: tuple[str, ...] = (
            f"The findings explain every bit of {count:,} block{'s' * (count != 1)} looked at.",
        )
    else:
        notes = (f"Nothing explains all of {count:,} block{'s' * (count != 1)} looked at.",)
        wrong = Evidence.joined(list(case.evidence), _EVIDENCE)
        notes += misplaced.look_within(case.unit, wrong, case.rows)
    return Diagnosis(None, report.findings, notes, report.places, is_explained)


def _explained(evidence: Evidence, pair: pairs.Pair, policy: Candidate | None) -> Report | None:
    """Let the check of blocks say what happened; None if there are codes that don't exist."""
    from mxref.check.quantize import quantize

    asked = None if policy is None else policy.policy
    fmt = block_format(pair.found.format)
    try:
        report = quantize(evidence.x, evidence.codes, evidence.scales[:, None], fmt, -1, asked)
    except ValueError:
        return None
    findings = tuple(_placed(each, evidence, pair) for each in report.findings)
    # Blocks were picked from all over: what their rows have in common means nothing.
    places = tuple(place for place in report.places if "row" not in place.what)
    return replace(report, findings=findings, places=places)


def _placed(finding: Finding, evidence: Evidence, pair: pairs.Pair) -> Finding:
    """Give the witness of a finding its place in the tensor."""
    witness = finding.witness
    if witness is None:
        return finding
    row, along = divmod(int(evidence.blocks[witness.index[0]]), pair.blocks)
    column = along
    if witness.stage != "scale":
        column = along * block_length(pair.found.format) + witness.index[1]
    index = locate.coordinates(pair, row, column)
    return replace(finding, witness=replace(witness, index=index))
