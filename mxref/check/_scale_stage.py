"""The scale codes of a quantizer judged by themselves.

The stage searches on a sample, verifies what it found on all data, and feeds counterexamples
back into the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._compare import Comparison
from mxref.check._factor import as_stored, forgotten_factor
from mxref.check._findings import SCALE_FIELDS, changes, choice_finding, fault_finding
from mxref.check._problem import Problem, spread
from mxref.check._scale_search import ScaleHypothesis, search_scales
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
from mxref.check._witness import scale_witness
from mxref.check.infer import scale_differences
from mxref.check.places._stages import scale_places
from mxref.check.report import Finding, Witness
from mxref.faults.encoder import Bools, Bytes
from mxref.faults.scale import ScaleModel
from mxref.faults.scale_variants import second_scale_of_amax
from mxref.faults.stats import BlockStats, block_stats, with_neighbours
from mxref.policy import Policy

__all__ = ["judge_scales", "plane_stats"]

_SAMPLE_BLOCKS = 4096


def plane_stats(problem: Problem) -> BlockStats:
    """Measure all blocks; one-dimensional, in the order of `Problem`."""
    parts = [block_stats(piece.x) for piece in problem.pieces()]

    # One block a row, as kernels are driven: the neighbour is that of the next row.
    plane = problem.plane if problem.plane[-1] > 1 else (-1,)

    def join(of_piece: Callable[[BlockStats], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([of_piece(part) for part in parts]).reshape(plane)

    def join_set(name: str) -> NDArray[Any]:
        return join(lambda part: part.parts[name])

    sets = {name: join_set(name) for name in parts[0].parts}
    stats = BlockStats(
        join(lambda part: part.amax),
        join(lambda part: part.has_nan),
        join(lambda part: part.has_inf),
        join(lambda part: part.nan_first),
        sets,
        parts[0].tiny,
    )
    return with_neighbours(stats).ravel()


def judge_scales(
    problem: Problem, base: Policy, seen: Comparison, *, only_faults: bool = False
) -> Stage:
    """Explain the scale codes of a quantizer.

    Parameters
    ----------
    problem : Problem
    base : Policy
        What was expected; it refuses nothing.
    seen : Comparison
        With `base`.
    only_faults : bool
        Whether another policy is out of the question: the elements show that this one was meant.
    """
    stats = plane_stats(problem)
    given = np.concatenate([piece.scales for piece in problem.pieces()])
    every = np.arange(len(given))
    chosen = np.union1d(spread(seen.bad_scales(), _SAMPLE_BLOCKS), spread(every, _SAMPLE_BLOCKS))
    extra = _second_scales(problem, chosen)
    proven: list[ScaleHypothesis] = []
    for _ in range(ROUNDS):
        sample = stats.take(chosen), given[chosen]
        found = search_scales(*sample, problem.fmt, base, extra, only_faults=only_faults)
        misses: list[NDArray[np.intp]] = []
        for hypothesis in [h for h in found if h.residual == 0][: 4 * TRIED]:
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
    if stage.residual:
        stage.findings = worth_saying(stage.findings)
        stage.findings += _scale_candidates((stats, given), problem, base, best, found)
        codes = best.select(stats, problem.fmt)
        wrong = scale_differences(stats, codes, given)
        stage.places = scale_places(problem, codes, wrong)
    _scale_notes(stage, best, proven)
    return stage


def _second_scales(problem: Problem, blocks: NDArray[np.intp]) -> list[ScaleModel]:
    """S16 with the factor that the elements show, if they show one."""
    piece = problem.take(spread(blocks, SAMPLE_LANES // problem.fmt.block_size))
    factor = forgotten_factor(piece.x, piece.scales, piece.codes, problem.fmt.element)
    return [second_scale_of_amax(each) for each in as_stored(factor)]


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

    def shown(without: ScaleHypothesis) -> tuple[float, int, Witness | None] | None:
        """What rests on one part of the hypothesis; None if it changes nothing."""
        codes = without.select(stats, fmt)
        missed = ~left & scale_differences(stats, codes, given)
        if not missed.any():
            return None
        # A part may mend what another part breaks, where nothing differs from what was expected.
        needed = missed & wrong
        seen = witness(needed, expected) if needed.any() else witness(missed, codes)
        return share(missed, wrong | missed), stage.residual, seen

    def witness(needed: Bools, due: Bytes) -> Witness:
        blocks = np.flatnonzero(needed)
        block, _ = problem.first(blocks, np.zeros_like(blocks))
        return scale_witness(problem, block, int(due[block]))

    for change in changes(best.policy, base, SCALE_FIELDS):
        rest = best.policy.replace(**{change[0]: change[2]})
        result = shown(ScaleHypothesis(rest, best.models))
        if result is not None:
            stage.findings.append(choice_finding(change, None, *result))
    for model in best.models:
        others = tuple(m for m in best.models if m is not model)
        result = shown(ScaleHypothesis(best.policy, others))
        if result is not None:
            stage.findings.append(fault_finding(model.id, model.detail, *result))


def _scale_candidates(
    data: tuple[BlockStats, Bytes],
    problem: Problem,
    base: Policy,
    best: ScaleHypothesis,
    found: Iterable[ScaleHypothesis],
) -> Iterator[Finding]:
    """What else is consistent with a good part of the wrong scales, each fault by itself."""
    stats, given = data

    def differs(hypothesis: ScaleHypothesis) -> Bools:
        return scale_differences(stats, hypothesis.select(stats, problem.fmt), given)

    wrong = differs(ScaleHypothesis(base))
    least = least_share(share(wrong & ~differs(best), wrong))
    singles = (h.models[0] for h in found if len(h.models) == 1)
    for model in others(best.models, singles):
        left = differs(ScaleHypothesis(base, (model,)))
        part = share(wrong & ~left, wrong)
        if part >= least:
            yield fault_finding(model.id, model.detail, part, int(left.sum()), None)


def _scale_notes(stage: Stage, best: ScaleHypothesis, proven: list[ScaleHypothesis]) -> None:
    if not best.models:
        if len(best.rules) > 1 and proven:
            rules = ", ".join(best.rules)
            stage.notes.append(f"These data cannot tell the scale rules {rules} apart.")
        return
    stage.notes += alternatives(
        [(m.id, m.detail) for m in best.models],
        [[(m.id, m.detail) for m in h.models] for h in proven if len(h.models) == len(best.models)],
        "scale codes",
    )
