"""Several driven tensors explained together: by one policy, or by the same faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mxref.check.nvfp4._data import Data
from mxref.check.nvfp4._judge import Judgement
from mxref.check.parts import Finding, Mismatches, Verdict
from mxref.check.relatives import Answer, Hypothesis, explain_as
from mxref.check.report import Report
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import PROFILES

__all__ = ["Run", "as_one", "hints"]

_RANK = (Verdict.UNEXPLAINED, Verdict.DEFECT, Verdict.CONFORMS_AS, Verdict.CONFORMS)
_GOOD = (Verdict.CONFORMS, Verdict.CONFORMS_AS)


@dataclass(slots=True)
class Run:
    """One tensor, what came back, and what it is judged to be."""

    name: str
    data: Data
    judged: Judgement


def hints(runs: Sequence[Run]) -> tuple[list[Hypothesis], ...]:
    """What explained the scales, and the elements, of the tensors before."""
    found: tuple[dict[Hypothesis, None], ...] = ({}, {})
    for run in runs:
        for seen, answer in zip(found, run.judged.answers, strict=True):
            if answer.mismatches:
                seen.update(dict.fromkeys(answer.proven))
    return tuple(list(seen) for seen in found)


def as_one(
    runs: Sequence[Run],
    base: NVFP4Policy,
    report_of: Callable[[Run], Report],
    notes: Iterable[str],
) -> Report:
    """Explain all tensors by one policy and one set of faults, if there is one.

    Parameters
    ----------
    runs : sequence of Run
    base : NVFP4Policy
        What was expected.
    report_of : callable
        Gives the report of one tensor.
    notes : iterable of str
        What else is to be said.
    """
    policy = _one_policy(runs, base)
    if policy is not None:
        for run in runs:
            run.judged = _under(run.judged, base, policy)
    else:
        _one_cause(runs, base)
    reports = [report_of(run) for run in runs]
    verdict = next(v for v in _RANK if any(r.verdict is v for r in reports))
    if policy is not None and verdict in _GOOD:
        verdict = Verdict.CONFORMS if policy == base else Verdict.CONFORMS_AS
    elif verdict is Verdict.CONFORMS_AS:  # by another recipe on another tensor
        verdict = Verdict.UNEXPLAINED
    findings = _merged(reports)
    if policy is not None:  # one tensor alone may look as if another choice had been made
        chosen = policy.as_dict()
        findings = [f for f in findings if dict(f.policy_change).items() <= chosen.items()]
    return replace(
        reports[0],
        verdict=verdict,
        policy=policy if verdict in _GOOD else None,
        findings=tuple(findings),
        mismatches=_total(reports, findings),
        notes=tuple(dict.fromkeys([*notes, *_where(runs, reports)])),
        inferred=(),
        gaps=(),
        places=tuple(place for r in reports for place in r.places)[:3],
        profiles=tuple(_names(runs)) if verdict is Verdict.CONFORMS_AS else (),
    )


def _names(runs: Sequence[Run]) -> Iterator[str]:
    """Profiles that give every bit of every tensor."""
    for name, profile in PROFILES.items():
        policy = profile.policy
        if policy.rounding != "stochastic" and all(run.judged.allows(policy) for run in runs):
            yield name


def _total(reports: Sequence[Report], findings: Sequence[Finding]) -> Mismatches:
    return Mismatches(
        sum(r.mismatches.scales for r in reports),
        sum(r.mismatches.elements for r in reports),
        sum(r.mismatches.total_scales for r in reports),
        sum(r.mismatches.total_elements for r in reports),
        next((f.witness for f in findings if f.witness is not None), None),
    )


def _one_policy(runs: Sequence[Run], base: NVFP4Policy) -> NVFP4Policy | None:
    """The policy that gives every bit of every tensor."""
    for policy in _candidates(runs, base):
        if all(run.judged.allows(policy) for run in runs):
            return policy
    return None


def _candidates(runs: Sequence[Run], base: NVFP4Policy) -> Iterator[NVFP4Policy]:
    yield base
    found = [run.judged.policy for run in runs]
    seen = dict.fromkeys(policy for policy in found if policy is not None and policy != base)
    known = [p.policy for p in PROFILES.values() if p.policy.rounding != "stochastic"]
    known.sort(key=lambda policy: len(policy.diff(base)))
    if runs[0].judged.answers[0].stage.what == "value":  # one choice: the rest of a recipe is idle
        yield from seen
    yield from known
    yield from seen
    merged = base
    for policy in seen:
        merged = merged.replace(**{f: ours for f, (ours, _) in policy.diff(base).items()})
        yield merged


def _under(judged: Judgement, base: NVFP4Policy, policy: NVFP4Policy) -> Judgement:
    """The same tensor, explained by what explains all."""
    best = Hypothesis(policy)
    found = [explain_as(answer.stage, base, best, [best]) for answer in judged.answers]
    return replace(judged, answers=found, known=tuple(p for p in judged.known if p[1] == policy))


def _one_cause(runs: Sequence[Run], base: NVFP4Policy) -> None:
    """Prefer, of what explains each stage of one tensor, that which explains it in all."""
    best = []
    for i in range(len(runs[0].judged.answers)):
        answers = [run.judged.answers[i] for run in runs]
        candidates = dict.fromkeys(h for a in answers if a.mismatches for h in a.proven)
        best.append(next((h for h in candidates if _fits_all(answers, h)), None))
    for run in runs:
        found = []
        for answer, hypothesis in zip(run.judged.answers, best, strict=True):
            if hypothesis is None or not answer.mismatches:
                found.append(answer)
            else:
                found.append(explain_as(answer.stage, base, hypothesis, [hypothesis]))
        run.judged = replace(run.judged, answers=found)


def _fits_all(answers: Sequence[Answer], hypothesis: Hypothesis) -> bool:
    return not any(
        answer.stage.wrong(hypothesis.policy, hypothesis.faults, piece).any()
        for answer in answers
        for piece in answer.stage.blocks.pieces()
    )


def _merged(reports: Sequence[Report]) -> list[Finding]:
    """Findings of all tensors, each cause once, with the tensor's number before the index."""
    found: dict[tuple[str, str, tuple[tuple[str, str], ...]], Finding] = {}
    for number, report in enumerate(reports):
        for finding in report.findings:
            key = (finding.id, finding.detail, tuple(finding.policy_change.items()))
            witness = finding.witness
            if witness is not None:
                witness = replace(witness, index=(number, *witness.index))
            known = found.get(key)
            if known is None:
                found[key] = replace(finding, witness=witness)
            else:
                found[key] = replace(
                    known,
                    explains=max(known.explains, finding.explains),
                    residual=known.residual + finding.residual,
                    witness=known.witness or witness,
                )
    return sorted(found.values(), key=lambda f: (f.residual > 0, f.legal, -f.explains))


def _where(runs: Sequence[Run], reports: Sequence[Report]) -> Iterator[str]:
    """Which tensors differ, by name; and what else is to be said of them."""
    bad = [
        f"{number} ({run.name})"
        for number, (run, report) in enumerate(zip(runs, reports, strict=True))
        if report.mismatches.scales or report.mismatches.elements
    ]
    size = sum(run.data.x.size for run in runs)
    tensors = "1 tensor" if len(runs) == 1 else f"{len(runs)} tensors"
    yield f"Driven with {tensors} of {size:,} elements in all."
    if bad:
        more = f" and {len(bad) - 8} more" if len(bad) > 8 else ""
        yield f"Tensors that differ from what was expected: {'; '.join(bad[:8])}{more}."
    told = [note for report in reports for note in report.notes if "fits all" in note]
    yield from dict.fromkeys(told)
