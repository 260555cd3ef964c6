"""The judgement of dot products: accumulators first, then the bound, then faults."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mxref.check.dot._bounds import judge
from mxref.check.dot._fault import DotFault
from mxref.check.dot._faults import composed, dot_faults
from mxref.check.dot._models import Accumulator, aligned_models, families, model_named
from mxref.check.dot._problem import DotProblem, scattered
from mxref.check.dot._proposed import proposed_faults
from mxref.check.dot._report import (
    accumulator_finding,
    bound_finding,
    dot_finding,
    dot_witness,
    gaps_of,
    narrow_notes,
)
from mxref.check.dot._run import operands_of_problem, reproduces
from mxref.check.dot._search import Hypothesis, Survey, find_accumulators, find_faults, survey
from mxref.check.dot._terms import Setup, plain_setup, products_of
from mxref.check.dot._tiles import where
from mxref.check.dot._whole import is_sampled, judged_pieces
from mxref.check.maps import MapBuilder
from mxref.check.parts import Finding, Inference, Mismatches, Place, Verdict
from mxref.check.report import Report
from mxref.policy import get_policy

__all__ = ["explains", "judge_dots"]

_EXACT = "exact"
_TILE_FAULT = "G13"
_FIRST_LOOK = 64  # outputs that rule out most faults
_SAME_SHOWN = 4
_SEVERAL = 3
_WORTH_SAYING = 0.1  # the share of the mismatches that a guess must explain
_GROSS = 2.0**8  # shares of the bound, which no accumulator of 16 bits or more reaches
_SUSPECT = 0.05  # a share of the bound that float32 does not reach in practice
_WIDTHS = range(7, 41)  # fractional bits that are tried where no named accumulator fits


def judge_dots(op: str, problem: DotProblem, accumulate: str | None) -> Report:
    """Judge results; what all checks of products share.

    Parameters
    ----------
    op : str
        What the report calls it.
    problem : DotProblem
    accumulate : str or None
        The accumulator that is claimed.

    Raises
    ------
    ValueError
        If there is no such accumulator, or it has nothing to say of these operands.
    """
    claimed = None if accumulate is None else model_named(accumulate)
    if claimed is not None:
        _require_applicable(claimed, problem)
    a, b = problem.a.fmt, problem.b.fmt
    blank = Report(
        op,
        f"{a.name}-{b.name}",
        Verdict.NOT_TESTABLE,
        None,
        None if claimed is None else get_policy(None),
        (),
        Mismatches(0, 0, 0, problem.size),
    )
    if not problem.size or not problem.k:
        return replace(blank, notes=("The input is empty: there is nothing to judge.",))
    setup = plain_setup(a.element, b.element)
    seen = survey(problem, setup)
    blank = replace(blank, distances=seen.distances)
    if claimed is not None and claimed.name != _EXACT and reproduces(claimed, problem):
        return _conforming(blank, problem, claimed, seen.open)
    if not len(seen.different) and (claimed is None or claimed.name == _EXACT):
        return _conforming(blank, problem, model_named(_EXACT), seen.open)
    return _Diagnosis(blank, problem, setup, seen, claimed).report()


def explains(ids: Sequence[str], problem: DotProblem) -> bool:
    """Whether faults, each in some variant, explain every wrong result of a product.

    A fault that one product names can be held against another one this way.

    Parameters
    ----------
    ids : sequence of str
        Ids of the faults, which act together.
    problem : DotProblem
    """
    setup = plain_setup(problem.a.fmt.element, problem.b.fmt.element)
    targets = survey(problem, setup).targets
    if not len(targets):
        return True
    if list(ids) == [_TILE_FAULT] and not problem.got.reshape(-1)[targets].any():
        return True  # a small output may lie in one tile altogether
    every = (*dot_faults(problem), *proposed_faults(problem, setup, targets))
    few = problem.take(scattered(targets, _FIRST_LOOK))
    for faults in itertools.product(*([f for f in every if f.id == one] for one in ids)):
        changed = composed(setup, faults)
        if changed is None:
            continue
        found = judge(few, products_of(changed, few), changed)
        if (found.equal | found.allowed).all() and all(
            (part.equal | part.allowed).all() for _, part in judged_pieces(problem, changed)
        ):
            return True
    return False


def _require_applicable(claimed: Accumulator, problem: DotProblem) -> None:
    """Refuse the claim of a model that says nothing of such operands, as `mxref.matmul` does."""
    if claimed.machine is None:
        return
    operands = operands_of_problem(problem, None)
    reason = claimed.machine.refuses(operands)
    if reason:
        raise ValueError(f"accumulate={claimed.name!r} cannot be applied: {reason}")


def _conforming(blank: Report, problem: DotProblem, model: Accumulator, n_open: int) -> Report:
    share = f"{n_open:,} of {problem.size:,} results depend on how they are summed"
    found = f"summed {model.text}; {share}"
    return replace(
        blank,
        verdict=Verdict.CONFORMS,
        policy=get_policy(None) if model.name == _EXACT else None,
        inferred=(Inference("accumulation", found, model.name if n_open else "", n_open > 0),),
        gaps=tuple(gaps_of(problem, n_open)),
    )


class _Diagnosis:
    """Results that are not the exact sum, on their way to a report."""

    def __init__(
        self,
        blank: Report,
        problem: DotProblem,
        setup: Setup,
        seen: Survey,
        claimed: Accumulator | None,
    ) -> None:
        self.problem, self.setup, self.seen, self.claimed = problem, setup, seen, claimed
        different = seen.different if claimed is not None else seen.wrong
        self.first = dot_witness(problem, setup, int(seen.different[0])) if len(
            seen.different
        ) else None  # fmt: skip
        mismatches = Mismatches(0, len(different), 0, problem.size, self.first)
        self.blank = replace(blank, mismatches=mismatches, gaps=tuple(gaps_of(problem, seen.open)))

    def report(self) -> Report:
        """Try accumulators, then legal places of the scales, then the bound, then faults.

        Errors that dwarf the bound are no matter of width: then faults come before the accumulators
        of hardware, of which there are many.
        """
        legal = self._accumulated(families()[:1])
        if legal is not None:
            return legal
        found: list[Hypothesis] = []
        is_gross = len(self.seen.wrong) > 0 and (
            self.seen.worst > _GROSS or any(narrow_notes(self.problem))
        )
        if is_gross:
            found = find_faults(self.problem, self.setup, self.seen.targets)
            if _is_proven(found):
                return self._faulty(found)
        legal = self._accumulated(self._other_families())
        if legal is not None:
            return legal
        if not len(self.seen.targets):
            return self._inside()
        for hypothesis in self._legal_places():
            return self._faulty([hypothesis])
        if not is_gross:
            found = find_faults(self.problem, self.setup, self.seen.targets)
            if _is_proven(found) and self._is_sound(found[0]):
                return self._faulty(found)
        if not len(self.seen.wrong):
            return self._inside()
        return self._unexplained(found)

    def _other_families(self) -> Iterator[Iterable[Accumulator]]:
        yield from families()[1:]
        if len(self.seen.wrong) or self.seen.error > _SUSPECT:
            yield aligned_models(_WIDTHS, few=True)

    def _accumulated(self, families: Iterable[Iterable[Accumulator]]) -> Report | None:
        models = find_accumulators(self.problem, self.setup, self.seen.different, families)
        if not models:
            return None
        model = models[0]
        is_legal = self.claimed is None and model.is_legal
        finding = accumulator_finding(model, 1.0, self.first, is_legal=is_legal)
        return replace(
            self.blank,
            verdict=Verdict.CONFORMS_AS if is_legal else Verdict.DEFECT,
            findings=(finding,),
            inferred=(_inference(models),),
            notes=(*_same(models), *self._sampled(model)),
        )

    def _sampled(self, model: Accumulator) -> Iterator[str]:
        """Say so where a model was not run on every result."""
        if model.machine is None and self.problem.sampled < self.problem.size:
            yield (
                f"The accumulator was run on {self.problem.sampled:,} of {self.problem.size:,} "
                "results; all others lie inside the bound of a sum in float32."
            )

    def _legal_places(self) -> Iterator[Hypothesis]:
        """Other places of the scales that reproduce every bit (OP-DOT-SCALE-PLACE)."""
        if not len(self.seen.loose):
            return
        for fault in dot_faults(self.problem):
            setup = composed(self.setup, (fault,)) if fault.is_legal else None
            if setup and find_accumulators(
                self.problem, setup, self.seen.different, families()[:1]
            ):
                yield Hypothesis(setup, (fault,), explained=len(self.seen.targets))

    def _is_sound(self, best: Hypothesis) -> bool:
        """Whether a fault may be claimed where every difference may be one of range alone.

        A right sum that leaves the range of float32 on its way may look like many faults. So it
        takes several finite results, and every bit.
        """
        if len(self.seen.wrong) or all(fault.is_legal for fault in best.faults):
            return True
        got = self.problem.got.reshape(-1)[self.seen.targets]
        if len(got) < _SEVERAL or not np.isfinite(got).all():
            return False
        return bool(find_accumulators(self.problem, best.setup, self.seen.different))

    def _inside(self) -> Report:
        """No model has the bits, but all of them are allowed."""
        seen = self.seen
        finding = bound_finding(len(seen.different), seen.error, self.first)
        notes = []
        if len(seen.loose):
            notes.append(
                f"{len(seen.loose):,} of them have scales or sums that may leave the range of "
                "float32 on the way, so that no bound holds (OP-DOT-SCALE-PLACE)."
            )
        text = f"at least float32, in an order that no model has; {finding.detail}"
        report = replace(
            self.blank,
            findings=(finding,),
            inferred=(Inference("accumulation", text, "", exact=False),),
            notes=tuple(notes),
        )
        if self.claimed is None:
            return replace(report, verdict=Verdict.CONFORMS_AS)
        residual = len(seen.different)
        return replace(
            report,
            verdict=Verdict.UNEXPLAINED,
            findings=(replace(finding, id="G5", residual=residual, legal=False),),
        )

    def _faulty(self, found: list[Hypothesis]) -> Report:
        best = found[0]
        models = find_accumulators(self.problem, best.setup, self.seen.different)
        is_legal = self.claimed is None and all(f.is_legal for f in best.faults)
        is_legal = is_legal and (not models or models[0].is_legal)
        others = [
            h
            for h in found[1:]
            if h.residual == 0 and h.equal >= best.equal and len(h.faults) == len(best.faults)
        ]
        notes = [_alternatives(others)] if others else []
        inferred: tuple[Inference, ...] = ()
        summed: tuple[Finding, ...] = ()
        if models:
            inferred = (_inference(models),)
            if is_legal and models[0].fault:
                summed = (accumulator_finding(models[0], 1.0, self.first, is_legal=True),)
        else:
            text = "at least float32, in an order that no model has"
            inferred = (Inference("accumulation", text, "", exact=False),)
            notes.append(
                "With this fault every result lies inside the bound of a sum in float32; the order "
                "of the sum, and so its last bits, no model reproduces."
            )
        if is_sampled(self.problem, best.setup):
            notes.append(
                f"The cause was verified on {self.problem.sampled:,} of {self.problem.size:,} "
                "results."
            )
        return replace(
            self.blank,
            verdict=Verdict.CONFORMS_AS if is_legal else Verdict.DEFECT,
            findings=(*self._findings(best, 0, 1.0, is_legal=is_legal), *summed),
            inferred=inferred,
            notes=tuple(notes),
        )

    def _findings(
        self, best: Hypothesis, residual: int, share: float, *, is_legal: bool
    ) -> tuple[Finding, ...]:
        witness = dot_witness(self.problem, self.setup, int(self.seen.targets[0]))
        return tuple(
            dot_finding(fault, share, residual, witness, is_legal=is_legal) for fault in best.faults
        )

    def _unexplained(self, found: Sequence[Hypothesis]) -> Report:
        """The best few, with the share of a sample that they explain."""
        findings: tuple[Finding, ...] = ()
        for hypothesis in found[:1]:
            share = hypothesis.explained / max(1, hypothesis.explained + hypothesis.residual)
            if share < _WORTH_SAYING:
                continue
            findings = self._findings(hypothesis, hypothesis.residual, share, is_legal=False)
        note = (
            f"{len(self.seen.wrong):,} results lie outside what a sum in float32 or wider can give "
            "in any order."
        )
        notes = (note, *narrow_notes(self.problem))
        builder = MapBuilder(self.problem.got.shape, -1, None)
        builder.add_elements(self.seen.wrong)
        return replace(
            self.blank,
            verdict=Verdict.UNEXPLAINED,
            findings=findings,
            notes=notes,
            mismatches=replace(self.blank.mismatches, map=builder.finish()),
            places=tuple(_places(self.problem, self.seen)),
        )


def _places(problem: DotProblem, seen: Survey) -> Iterator[Place]:
    """Where wrong results of a matrix lie, if that is not everywhere."""
    part = where(problem, seen.wrong)
    if part:
        yield Place(
            f"Every result outside the bound lies in {part}.",
            "a tile that was not written, was written twice, or holds what another product left",
            "run the product twice, with another output before each: what changes is stale",
        )


def _is_proven(found: Sequence[Hypothesis]) -> bool:
    return bool(found) and found[0].residual == 0 and found[0].explained > 0


def _inference(models: Sequence[Accumulator]) -> Inference:
    return Inference(
        "accumulation", f"summed {models[0].text}", models[0].name, exact=len(models) == 1
    )


def _same(models: Sequence[Accumulator]) -> tuple[str, ...]:
    if len(models) == 1:
        return ()
    names = "; ".join(model.name for model in models[1 : 1 + _SAME_SHOWN])
    more = f" and {len(models) - 1 - _SAME_SHOWN} more" if len(models) > 1 + _SAME_SHOWN else ""
    return (f"These data cannot tell it from: {names}{more}.",)


def _alternatives(others: Sequence[Hypothesis]) -> str:
    def named(faults: tuple[DotFault, ...]) -> str:
        return " with ".join(f"{f.id} ({f.detail})" if f.detail else f.id for f in faults)

    names = "; ".join(named(h.faults) for h in others[:_SAME_SHOWN])
    return f"These data cannot tell it from: {names}."
