"""The element codes of a quantizer judged given the scale codes that it emitted.

The stage searches on a sample, verifies what it found on all data, and feeds counterexamples
back into the sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mxref.check._compare import Comparison, add_lanes, compare, element_differences
from mxref.check._element_search import ElementHypothesis, ElementSearch
from mxref.check._findings import ELEMENT_FIELDS, changes, choice_finding, fault_finding
from mxref.check._problem import Piece, Problem, spread
from mxref.check._stage import (
    ROUNDS,
    SAMPLE_LANES,
    TRIED,
    Stage,
    alternatives,
    least_share,
    others,
    share,
    worth_saying,
)
from mxref.check._witness import element_witness
from mxref.check.places._stages import element_places
from mxref.check.report import Finding, Witness
from mxref.faults.encoder import Bools, Bytes
from mxref.policy import Policy

__all__ = ["judge_elements"]


def judge_elements(problem: Problem, base: Policy, seen: Comparison) -> Stage:
    """Explain the element codes of a quantizer, given the emitted scale codes.

    Parameters
    ----------
    problem : Problem
    base : Policy
        What was expected; it refuses nothing.
    seen : Comparison
        With `base`.
    """
    limit = max(32, SAMPLE_LANES // problem.fmt.block_size)
    every = np.arange(problem.n_blocks)
    chosen = np.union1d(spread(seen.bad_blocks(), limit), spread(every, limit))
    proven: list[ElementHypothesis] = []
    for _ in range(ROUNDS):
        sample = problem.take(chosen)
        found = _search(problem, sample, base)
        fits = _simplest(found)[:TRIED]
        misses: list[NDArray[np.intp]] = []
        for hypothesis in fits:
            missed = _verify(problem, hypothesis, stop_early=True)
            if missed.clean:
                proven.append(hypothesis)
            else:
                misses.append(spread(missed.bad_blocks(), 64))
        if proven or not misses:
            break
        chosen = np.union1d(chosen, np.concatenate(misses))
    best = proven[0] if proven else found[0]
    stage = Stage(base.replace(**{f: getattr(best.policy, f) for f in ELEMENT_FIELDS}))
    stage.residual = 0 if proven else _verify(problem, best).elements
    _element_findings(stage, problem, chosen, base, best)
    if stage.residual:
        stage.findings = worth_saying(stage.findings)
        stage.findings += _element_candidates(problem, chosen, base, best, found)
        stage.places = element_places(
            problem, lambda piece: best.encode(piece.x, piece.scales, problem.fmt), best.policy
        )
    stage.notes += alternatives(
        [(m.id, m.detail) for m in best.models],
        [[(m.id, m.detail) for m in h.models] for h in proven],
        "elements",
    )
    return stage


def _search(problem: Problem, sample: Piece, base: Policy) -> list[ElementHypothesis]:
    if sample.used is not None:
        whole = np.flatnonzero(sample.used.all(1))
        sample = sample.rows(whole) if len(whole) else sample
    search = ElementSearch(
        sample.x,
        sample.scales,
        sample.codes,
        problem.fmt,
        base,
        has_layout=not problem.lone,
    )
    return search.run()


def _element_candidates(
    problem: Problem,
    chosen: NDArray[np.intp],
    base: Policy,
    best: ElementHypothesis,
    found: Iterable[ElementHypothesis],
) -> Iterator[Finding]:
    """What else is consistent with a good part of the mismatches, each fault by itself."""
    sample = problem.take(chosen)

    def differs(hypothesis: ElementHypothesis) -> Bools:
        codes = hypothesis.encode(sample.x, sample.scales, problem.fmt)
        return element_differences(codes, sample)

    wrong = differs(ElementHypothesis(base))
    least = least_share(share(wrong & ~differs(best), wrong))
    singles = (h.models[0] for h in found if len(h.models) == 1)
    for model in others(best.models, singles):
        alone = ElementHypothesis(base, (model,))
        part = share(wrong & ~differs(alone), wrong)
        if part >= least:
            left = _verify(problem, alone).elements
            yield fault_finding(model.id, model.detail, part, left, None)


def _simplest(found: list[ElementHypothesis]) -> list[ElementHypothesis]:
    """The hypotheses that fit the sample, of the kind of the best one."""
    best = found[0]
    return [
        h
        for h in found
        if h.residual == 0 and len(h.models) == len(best.models) and h.policy == best.policy
    ]


def _verify(
    problem: Problem, hypothesis: ElementHypothesis, *, stop_early: bool = False
) -> Comparison:
    """Compare all element codes with a hypothesis."""
    if not hypothesis.models and hypothesis.layout is None and problem.lone:
        return compare(problem, hypothesis.policy)
    result = Comparison()
    for piece in problem.pieces():
        expected = hypothesis.encode(piece.x, piece.scales, problem.fmt)
        differs = element_differences(expected, piece)
        add_lanes(result, differs, np.arange(piece.start, piece.stop))
        if stop_early and result.elements:
            break
    return result


def _element_findings(
    stage: Stage,
    problem: Problem,
    chosen: NDArray[np.intp],
    base: Policy,
    best: ElementHypothesis,
) -> None:
    sample = problem.take(chosen)
    fmt, element = problem.fmt, problem.fmt.element
    expected = ElementHypothesis(base).encode(sample.x, sample.scales, fmt)

    def differs(hypothesis: ElementHypothesis) -> Bools:
        return element_differences(hypothesis.encode(sample.x, sample.scales, fmt), sample)

    wrong = element_differences(expected, sample)
    unexplained = differs(best)

    def shown(without: ElementHypothesis) -> tuple[float, int, Witness | None] | None:
        """What rests on one part of the hypothesis; None if it changes nothing."""
        codes = without.encode(sample.x, sample.scales, fmt)
        missed = ~unexplained & element_differences(codes, sample)
        if not missed.any():
            return None
        # A part may mend what another part breaks, where nothing differs from what was expected.
        needed = missed & wrong
        seen = witness(needed, expected) if needed.any() else witness(missed, codes)
        return share(missed, wrong | missed), stage.residual, seen

    def witness(needed: Bools, due: Bytes) -> Witness:
        rows, lanes = np.nonzero(needed)
        block, lane = problem.first(chosen[rows], lanes)
        row = int(np.searchsorted(chosen, block))
        return element_witness(problem, block, lane, int(due[row, lane]))

    for change in changes(best.policy, base, ELEMENT_FIELDS):
        rest = best.policy.replace(**{change[0]: change[2]})
        result = shown(ElementHypothesis(rest, best.models, best.layout))
        if result is not None:
            stage.findings.append(choice_finding(change, element, *result))
    for model in best.models:
        others = tuple(m for m in best.models if m is not model)
        result = shown(ElementHypothesis(best.policy, others, best.layout))
        if result is not None:
            stage.findings.append(fault_finding(model.id, model.detail, *result))
    if best.layout is not None:
        result = shown(ElementHypothesis(best.policy, best.models))
        if result is not None:
            stage.findings.append(fault_finding(best.layout.id, best.layout.detail, *result))
