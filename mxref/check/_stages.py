"""The two stages of a quantizer judged apart: scales, and elements given the emitted scales.

Each stage searches on a sample, verifies what it found on all data, and feeds counterexamples
back into the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._compare import Comparison, add_lanes, compare, element_differences
from mxref.check._findings import (
    ELEMENT_FIELDS,
    SCALE_FIELDS,
    changes,
    choice_finding,
    fault_finding,
)
from mxref.check._problem import Piece, Problem, spread
from mxref.check._where import where_notes
from mxref.check._witness import element_witness, scale_witness
from mxref.check.diagnose import (
    ElementHypothesis,
    ElementSearch,
    ScaleHypothesis,
    search_scales,
)
from mxref.check.infer import scale_differences
from mxref.check.report import Finding, Witness
from mxref.faults.encoder import Bools, Bytes
from mxref.faults.stats import BlockStats, block_stats, with_neighbours
from mxref.policy import Policy

__all__ = ["Stage", "judge_elements", "judge_scales", "plane_stats"]

_SAMPLE_BLOCKS = 4096
_SAMPLE_LANES = 1 << 14
_ROUNDS = 3
_Names = list[tuple[str, str]]
_TRIED = 4  # hypotheses verified on all data in one round


@dataclass(slots=True)
class Stage:
    """What one stage found.

    Attributes
    ----------
    policy : Policy
        The base with the fields of this stage as inferred.
    findings : list of Finding
    residual : int
        Mismatches that are left on all data.
    notes : list of str
    """

    policy: Policy
    findings: list[Finding] = field(default_factory=list)
    residual: int = 0
    notes: list[str] = field(default_factory=list)


# --- scales -----------------------------------------------------------------------------------


def plane_stats(problem: Problem) -> BlockStats:
    """Measure all blocks; one-dimensional, in the order of `Problem`."""
    parts = [block_stats(piece.x) for piece in problem.pieces()]

    def join(of_piece: Callable[[BlockStats], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([of_piece(part) for part in parts]).reshape(problem.plane)

    def join_set(name: str) -> NDArray[Any]:
        return join(lambda part: part.parts[name])

    sets = {name: join_set(name) for name in parts[0].parts}
    stats = BlockStats(
        join(lambda part: part.amax),
        join(lambda part: part.has_nan),
        join(lambda part: part.has_inf),
        join(lambda part: part.nan_first),
        sets,
    )
    return with_neighbours(stats).ravel()


def judge_scales(problem: Problem, base: Policy, seen: Comparison) -> Stage:
    """Explain the scale codes of a quantizer.

    Parameters
    ----------
    problem : Problem
    base : Policy
        What was expected; it refuses nothing.
    seen : Comparison
        With `base`.
    """
    stats = plane_stats(problem)
    given = np.concatenate([piece.scales for piece in problem.pieces()])
    every = np.arange(len(given))
    chosen = np.union1d(spread(seen.bad_scales(), _SAMPLE_BLOCKS), spread(every, _SAMPLE_BLOCKS))
    proven: list[ScaleHypothesis] = []
    for _ in range(_ROUNDS):
        found = search_scales(stats.take(chosen), given[chosen], problem.fmt, base)
        misses: list[NDArray[np.intp]] = []
        for hypothesis in [h for h in found if h.residual == 0][: 4 * _TRIED]:
            codes = hypothesis.select(stats, problem.fmt)
            missed = np.flatnonzero(scale_differences(stats, codes, given))
            if len(missed):
                misses.append(spread(missed, 64))
            else:
                proven.append(hypothesis)
        if proven or not misses:
            break
        chosen = np.union1d(chosen, np.concatenate(misses))
    best = proven[0] if proven else found[0]
    stage = Stage(base.replace(**{f: getattr(best.policy, f) for f in SCALE_FIELDS}))
    _scale_findings(stage, problem, (stats, given), base, best)
    _scale_notes(stage, best, proven)
    return stage


def _scale_findings(
    stage: Stage,
    problem: Problem,
    data: tuple[BlockStats, Bytes],
    base: Policy,
    best: ScaleHypothesis,
) -> None:
    stats, given = data
    fmt = problem.fmt
    expected = ScaleHypothesis(base).select(stats, fmt)
    wrong = scale_differences(stats, expected, given)
    left = scale_differences(stats, best.select(stats, fmt), given)
    stage.residual = int(left.sum())

    def shown(without: ScaleHypothesis) -> tuple[float, int, Witness | None]:
        needed = wrong & ~left & scale_differences(stats, without.select(stats, fmt), given)
        return _share(needed, wrong), stage.residual, witness(needed)

    def witness(needed: Bools) -> Witness | None:
        blocks = np.flatnonzero(needed)
        if not len(blocks):
            return None
        block, _ = problem.first(blocks, np.zeros_like(blocks))
        return scale_witness(problem, block, int(expected[block]))

    for change in changes(best.policy, base, SCALE_FIELDS):
        rest = best.policy.replace(**{change[0]: change[2]})
        result = shown(ScaleHypothesis(rest, best.models))
        if result[0] > 0:
            stage.findings.append(choice_finding(change, None, *result))
    for model in best.models:
        others = tuple(m for m in best.models if m is not model)
        result = shown(ScaleHypothesis(best.policy, others))
        stage.findings.append(fault_finding(model.id, model.detail, *result))


def _scale_notes(stage: Stage, best: ScaleHypothesis, proven: list[ScaleHypothesis]) -> None:
    if not best.models:
        if len(best.rules) > 1 and proven:
            rules = ", ".join(best.rules)
            stage.notes.append(f"These data cannot tell the scale rules {rules} apart.")
        return
    stage.notes += _alternatives(
        [(m.id, m.detail) for m in best.models],
        [[(m.id, m.detail) for m in h.models] for h in proven if len(h.models) == len(best.models)],
        "scale codes",
    )


# --- elements ---------------------------------------------------------------------------------


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
    limit = max(32, _SAMPLE_LANES // problem.fmt.block_size)
    every = np.arange(problem.n_blocks)
    chosen = np.union1d(spread(seen.bad_blocks(), limit), spread(every, limit))
    proven: list[ElementHypothesis] = []
    for _ in range(_ROUNDS):
        sample = problem.take(chosen)
        found = _search(problem, sample, base)
        fits = _simplest(found)[:_TRIED]
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
        stage.notes += _next_best([[(m.id, m.detail) for m in h.models] for h in found[:20]])
    stage.notes += _alternatives(
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


def _next_best(found: list[_Names]) -> Iterator[str]:
    """Name the hypotheses that come next to the best, which is the first."""
    seen = {tuple(fault_id for fault_id, _ in found[0]), ()}
    names = []
    for row in found[1:]:
        ids = tuple(fault_id for fault_id, _ in row)
        if ids not in seen and len(ids) == len(found[0]):
            seen.add(ids)
            names.append(" with ".join(ids))
    if names and found[0]:
        yield f"Next best: {', '.join(names[:3])}."


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
    explained = wrong & ~unexplained
    if stage.residual:
        stage.notes += where_notes(problem, sample, unexplained, best.policy)

    def shown(without: ElementHypothesis) -> tuple[float, int, Witness | None]:
        needed = explained & differs(without)
        return _share(needed, wrong), stage.residual, witness(needed)

    def witness(needed: Bools) -> Witness | None:
        rows, lanes = np.nonzero(needed)
        if not len(rows):
            return None
        block, lane = problem.first(chosen[rows], lanes)
        row = int(np.searchsorted(chosen, block))
        return element_witness(problem, block, lane, int(expected[row, lane]))

    for change in changes(best.policy, base, ELEMENT_FIELDS):
        rest = best.policy.replace(**{change[0]: change[2]})
        result = shown(ElementHypothesis(rest, best.models, best.layout))
        stage.findings.append(choice_finding(change, element, *result))
    for model in best.models:
        others = tuple(m for m in best.models if m is not model)
        result = shown(ElementHypothesis(best.policy, others, best.layout))
        stage.findings.append(fault_finding(model.id, model.detail, *result))
    if best.layout is not None:
        result = shown(ElementHypothesis(best.policy, best.models))
        stage.findings.append(fault_finding(best.layout.id, best.layout.detail, *result))


def _share(part: Bools, whole: Bools) -> float:
    return float(part.sum() / max(1, int(whole.sum())))


def _alternatives(best: _Names, others: list[_Names], what: str) -> Iterator[str]:
    """Say which other faults fit as well; variants of one fault are one."""
    seen = {tuple(fault_id for fault_id, _ in best)}
    for names in others:
        ids = tuple(fault_id for fault_id, _ in names)
        if ids in seen:
            continue
        seen.add(ids)
        text = " with ".join(f"{i} ({d})" if d else i for i, d in names)
        yield f"{text} fits all {what} too: these data cannot tell them apart."
