"""Answers of stages as one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mxref._policy_base import Choices
from mxref.check.maps import MapBuilder
from mxref.check.parts import Finding, Gap, Inference, Lazy, Mismatches, MismatchMap, Verdict
from mxref.check.relatives._blocks import Blocks
from mxref.check.relatives._explain import Answer, Hypothesis
from mxref.check.report import Report

__all__ = ["Judged", "assemble", "empty_report"]


def empty_report(op: str, name: str, asked: Choices | None) -> Report:
    """Return the report of an empty input."""
    note = "The input is empty: there is nothing to judge."
    total = Mismatches(0, 0, 0, 0)
    return Report(op, name, Verdict.NOT_TESTABLE, None, asked, (), total, (note,))


@dataclass(frozen=True, slots=True)
class Judged:
    """What was judged, and against what.

    Attributes
    ----------
    op, name : str
        Operation and format.
    blocks : Blocks
    base, asked : Choices
        What was judged against; what the caller asked for, if anything.
    total_scales : int, optional
        How many scale codes there are; default: one a block.
    """

    op: str
    name: str
    blocks: Blocks
    base: Choices
    asked: Choices | None
    total_scales: int | None = None


def assemble(
    judged: Judged,
    answers: Sequence[Answer],
    *,
    known: Sequence[tuple[str, Choices]] = (),
    extra: Sequence[Finding] = (),
    notes: Sequence[str] = (),
    inferred: Callable[[], tuple[Inference, ...]] = tuple,
    gaps: Callable[[Report], tuple[Gap, ...]] = lambda _: (),
) -> Report:
    """Put the answers of all stages into one report.

    Parameters
    ----------
    judged : Judged
    answers : sequence of Answer
        Of each stage, scales before elements. Stages of scales count into `Mismatches.scales`.
    known : sequence of (str, Choices)
        Profiles that give every bit of every stage.
    extra : sequence of Finding
        Of what is no stage, such as a scale of the whole tensor; each must be certain.
    notes : sequence of str
    inferred, gaps : callable
        Worked out when somebody looks.
    """
    blocks, base = judged.blocks, judged.base
    findings = [finding for answer in answers for finding in answer.findings] + list(extra)
    found = _policy(base, answers, known)
    verdict = _verdict(answers, findings, found)
    if known and verdict is not Verdict.CONFORMS:
        legal = [f for f in findings if f.legal]
        findings, verdict = legal + [f for f in extra if not f.legal], Verdict.CONFORMS_AS
        if any(not f.legal for f in findings):
            verdict = Verdict.DEFECT
        found = known[0][1]
    findings.sort(key=lambda f: (f.residual > 0, f.legal, -f.explains))
    scales = [a for a in answers if a.stage.what == "scale"]
    elements = [a for a in answers if a.stage.what != "scale"]
    first = next((a.first for a in answers if a.first is not None), None)
    count = Mismatches(
        sum(a.mismatches for a in scales),
        sum(a.mismatches for a in elements),
        blocks.n if judged.total_scales is None else judged.total_scales,
        blocks.n_elements,
        first,
        _map(blocks, elements or scales),
    )
    names = [name for name, _ in known]
    notes = [*notes, *(note for a in answers for note in (*a.notes, *_alike(a)))]
    if verdict is Verdict.DEFECT and names:
        notes.append(f"All but what is named above is bit for bit as by {', '.join(names)}.")
    report = Report(
        judged.op,
        judged.name,
        verdict,
        found if verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS) else None,
        judged.asked,
        tuple(findings),
        count,
        tuple(notes),
        places=tuple(place for a in answers for place in a.places),
        profiles=tuple(names) if verdict is Verdict.CONFORMS_AS else (),
    )
    return replace(report, inferred=Lazy(inferred), gaps=Lazy(lambda: gaps(report)))


def _policy(
    base: Choices, answers: Sequence[Answer], known: Sequence[tuple[str, Choices]]
) -> Choices:
    if all(a.best == Hypothesis(base) for a in answers):
        return base
    if known:
        return known[0][1]
    best = [a.best.policy for a in answers]
    if all(policy == best[0] for policy in best):  # of fields that belong to no stage as well
        return best[0]
    found = base
    for answer in answers:
        changes = answer.best.policy.diff(base)
        mine = {f: ours for f, (ours, _) in changes.items() if f in answer.stage.fields}
        found = found.replace(**mine)
    return found


def _verdict(answers: Sequence[Answer], findings: Sequence[Finding], found: Choices) -> Verdict:
    if any(a.residual or (a.mismatches and not a.findings) for a in answers):
        return Verdict.UNEXPLAINED
    if not all(finding.legal for finding in findings):
        return Verdict.DEFECT
    if any(a.mismatches for a in answers) or findings:
        # Stages were inferred one by one: a field that two of them share must be one choice.
        for answer in answers:
            for piece in answer.stage.blocks.pieces():
                if answer.stage.wrong(found, (), piece).any():
                    return Verdict.UNEXPLAINED
        return Verdict.CONFORMS_AS
    return Verdict.CONFORMS


def _alike(answer: Answer) -> list[str]:
    """Other faults that give the same codes."""
    said, seen = [], {answer.best.ids}
    for other in answer.proven:
        if answer.best.faults and other.faults and other.ids not in seen:
            seen.add(other.ids)
            text = " with ".join(f"{f.id} ({f.detail})" if f.detail else f.id for f in other.faults)
            said.append(
                f"{text} fits all {answer.stage.what} codes too: these data cannot tell them apart."
            )
    return said


def _map(blocks: Blocks, answers: Sequence[Answer]) -> MismatchMap | None:
    builder = MapBuilder(blocks.shape, blocks.axis, blocks.size)
    for answer in answers:
        policy = answer.base.policy
        for start in range(0, len(answer.bad), 4096):
            piece = blocks.take(answer.bad[start : start + 4096])
            wrong = answer.stage.wrong(policy, (), piece)
            if wrong.shape[1] != blocks.size:  # scale codes: their whole blocks
                wrong = np.repeat(wrong, blocks.size // wrong.shape[1], axis=1)
            builder.add(piece.rows, wrong)
    return builder.finish()
