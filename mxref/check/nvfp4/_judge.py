"""What made the bits of one NVFP4 tensor: the scale of the tensor, block scales, elements."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import spread
from mxref.check.nvfp4._data import Data, same_number
from mxref.check.nvfp4._global import GlobalAnswer, judge_global
from mxref.check.nvfp4._order import order_of_scales
from mxref.check.nvfp4._policies import (
    GLOBAL_FIELDS,
    combinations,
    of_stage,
    profile_policies,
    searches,
    single_changes,
    static,
)
from mxref.check.nvfp4._random import WITHOUT_DRAWS, NeighbourStage, same_bits
from mxref.check.nvfp4._stages import ElementStage, ScaleStage
from mxref.check.relatives import (
    Answer,
    Hypothesis,
    Stage,
    composed,
    explain,
    explain_as,
    faulty,
)
from mxref.faults.nvfp4_elements import element_faults
from mxref.faults.nvfp4_fault import may_meet
from mxref.faults.nvfp4_scales import scale_faults
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import PROFILES

__all__ = ["Judgement", "judge", "judge_random"]

_SEARCHED = {
    "scale": (
        "scale_order",
        "scale_rounding",
        "scale_least",
        "scale_zero",
        "scale_overflow",
        "geometry",
        "amax_nan",
    ),
    "element": (
        "element_order",
        "rounding",
        "neg_zero",
        "nan_element",
        "factor_type",
        "factor_cap",
        "zero_scale",
    ),
}
_FEW = 512
_STARTS = 4  # recipes of the scale of the tensor from which combinations start


def judge_random(data: Data, base: NVFP4Policy, random: Any) -> Judgement:
    """Judge elements by their neighbours; with the draws, by their bits."""
    if random is not None and same_bits(data, base, random):
        overall = GlobalAnswer([base])
        return Judgement(overall, [_clean(ScaleStage(data), base)], ())
    data.check_codes()
    overall = judge_global(data, base)
    starts = _starts(base, overall)
    scales = _explained(ScaleStage(data), base, starts, starts, ())
    stage = NeighbourStage(data)
    overall.notes.append(WITHOUT_DRAWS)
    return Judgement(overall, [scales, explain(stage, base, ())], ())


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of one tensor.

    Attributes
    ----------
    overall : GlobalAnswer
        Of the scale of the tensor.
    answers : list of Answer
        Of block scales, then of elements.
    known : sequence of (str, NVFP4Policy)
        The profiles that give every bit.
    """

    overall: GlobalAnswer
    answers: list[Answer]
    known: Sequence[tuple[str, NVFP4Policy]]

    @property
    def policy(self) -> NVFP4Policy | None:
        """The policy that gives every bit, if there is one."""
        if self.known:
            return self.known[0][1]
        if any(a.residual or a.best.faults for a in self.answers):
            return None
        changes = {n: str(getattr(self.overall.fits[0], n)) for n in GLOBAL_FIELDS}
        found = self.overall.fits[0].replace(**changes)
        for answer in self.answers:
            best = answer.best.policy.diff(answer.base.policy)
            mine = {n: o for n, (o, _) in best.items() if n in answer.stage.fields}
            found = found.replace(**mine)
        return found

    def allows(self, policy: NVFP4Policy) -> bool:
        """Whether a policy gives every bit."""
        if any(a.residual or a.best.faults for a in self.answers):
            return False
        return _still(policy, self.answers, self.overall) and all(
            _is_clean(answer.stage, policy) for answer in self.answers
        )


def judge(
    data: Data, base: NVFP4Policy, hints: tuple[Sequence[Hypothesis], ...] = ((), ())
) -> Judgement:
    """Judge validated data by a policy; hints for both stages are tried first."""
    if data.is_made_by(base):
        overall = GlobalAnswer([base])
        answers = [_clean(ScaleStage(data), base), _clean(ElementStage(data), base)]
        return Judgement(overall, answers, ())
    data.check_codes()
    misplaced = order_of_scales(data, base)
    overall = judge_global(data, base)
    overall.findings += misplaced
    starts = _starts(base, overall)
    # What chooses between 6 and 4 looks at the elements: how they are made has to be known first.
    elements = _explained(ElementStage(data), base, starts, (), hints[1])
    made = _with_choices(starts, elements)
    answers = [_explained(ScaleStage(data), base, starts, made, hints[0]), elements]
    known = _known(data, answers, overall)
    if known:
        answers = [explain_as(a.stage, base, *_as(known[0][1])) for a in answers]
    else:
        answers = _joined(answers, base, overall)
    return Judgement(overall, answers, known)


def _clean(stage: Stage, base: NVFP4Policy) -> Answer:
    start = Hypothesis(base)
    return Answer(stage, start, start, [start], 0, 0, np.zeros(0, np.intp))


def _as(policy: NVFP4Policy) -> tuple[Hypothesis, list[Hypothesis]]:
    found = Hypothesis(policy)
    return found, [found]


def _starts(base: NVFP4Policy, overall: GlobalAnswer) -> list[NVFP4Policy]:
    """Recipes of the scale of the tensor, from which those of blocks and elements start."""
    found = dict.fromkeys((base, *overall.fits[:_STARTS]))
    return list(found)


def _with_choices(starts: Sequence[NVFP4Policy], elements: Answer) -> list[NVFP4Policy]:
    """The starts with what is known of the elements."""
    best = elements.best.policy
    mine = {name: str(getattr(best, name)) for name in _SEARCHED["element"]}
    return [start.replace(**mine) for start in starts]


def _explained(
    stage: ScaleStage | ElementStage,
    base: NVFP4Policy,
    starts: Sequence[NVFP4Policy],
    selecting: Sequence[NVFP4Policy],
    hints: Sequence[Hypothesis],
) -> Answer:
    known = profile_policies(base)
    if not stage.data.has_squares:
        known = tuple(p for p in known if p.geometry == "1d")
    names = [n for n in _SEARCHED[stage.what] if n != "geometry" or stage.data.has_squares]
    faults = scale_faults() if stage.what == "scale" else element_faults()
    plain = static((*starts, *known))
    few = stage.blocks.take(_telling(stage, base))

    def matters(one: NVFP4Policy, other: NVFP4Policy) -> bool:
        return bool((stage.make(one, (), few) != stage.make(other, (), few)).any())

    def wide() -> list[NVFP4Policy]:
        return [cast("NVFP4Policy", h.policy) for h in single_changes(static(starts), names)]

    tiers = (
        lambda _: hints,
        lambda _: single_changes(static(starts), names),
        lambda _: of_stage((*starts, *known), stage.fields),
        lambda _: combinations(static(starts), names, matters),
        lambda _: searches(selecting),
        lambda ranked: _more_searches(ranked, selecting),
        lambda _: faulty(plain, lambda _: faults),
        composed(may_meet),
        lambda _: faulty(wide(), lambda _: faults),
    )
    return explain(stage, base, tiers)


def _telling(stage: ScaleStage | ElementStage, base: NVFP4Policy) -> NDArray[np.intp]:
    """Blocks that show most choices: some that differ, some with -0 or NaN, and some of all."""
    rows = [spread(np.arange(stage.blocks.n), _FEW)]
    for piece in stage.blocks.pieces():
        special = ((piece.x == 0) & np.signbit(piece.x)) | ~np.isfinite(piece.x)
        seen = (stage.wrong(base, (), piece), special)
        rows += [spread(piece.rows[found.any(1)], _FEW) for found in seen]
    return np.unique(np.concatenate(rows))


def _more_searches(
    ranked: Sequence[Hypothesis], selecting: Sequence[NVFP4Policy]
) -> Iterator[Hypothesis]:
    """Searches with two choices changed, where one without them comes nearest so far."""
    best = cast("NVFP4Policy", ranked[0].policy)
    if best.target == "four-over-six":
        yield from searches(selecting[:2], 2)


def _known(
    data: Data, answers: Sequence[Answer], overall: GlobalAnswer
) -> list[tuple[str, NVFP4Policy]]:
    """The profiles that give every bit."""
    if any(a.residual or a.best.faults for a in answers):
        return []
    if not overall.findings and not any(a.mismatches for a in answers):
        return []  # the policy in question is the answer
    found = []
    for name, profile in PROFILES.items():
        policy = profile.policy
        if policy.rounding == "stochastic" or (policy.geometry == "2d" and not data.has_squares):
            continue
        if not overall.is_foreign and not _gives(data, policy):
            continue
        if all(_is_clean(a.stage, policy) for a in answers):
            found.append((name, policy))
    return found


def _gives(data: Data, policy: NVFP4Policy) -> bool:
    return same_number(data.expected(policy).decode, data.g)


def _is_clean(stage: Stage, policy: NVFP4Policy) -> bool:
    few = stage.blocks.take(spread(np.arange(stage.blocks.n), _FEW))
    if stage.wrong(policy, (), few).any():
        return False
    return not any(stage.wrong(policy, (), piece).any() for piece in stage.blocks.pieces())


def _joined(answers: list[Answer], base: NVFP4Policy, overall: GlobalAnswer) -> list[Answer]:
    """Explain all stages by one policy: those that two of them share must be one choice."""
    if any(a.residual or a.best.faults for a in answers):
        return answers
    if all(a.best.policy == base for a in answers) and overall.fits[0] == base:
        return answers
    for policy in _combined(answers, base, overall):
        if all(_is_clean(a.stage, policy) for a in answers):
            least = _least(policy, base, answers, overall)
            return [explain_as(a.stage, base, *_as(least)) for a in answers]
    return answers


def _least(
    policy: NVFP4Policy, base: NVFP4Policy, answers: Sequence[Answer], overall: GlobalAnswer
) -> NVFP4Policy:
    """Take back choices that nothing in the data asks for."""
    for name, (_, theirs) in policy.diff(base).items():
        less = policy.replace(**{name: theirs})
        if name in GLOBAL_FIELDS and not _still(less, answers, overall):
            continue
        if all(_is_clean(a.stage, less) for a in answers):
            policy = less
    return policy


def _still(policy: NVFP4Policy, answers: Sequence[Answer], overall: GlobalAnswer) -> bool:
    """Whether a policy gives the scale of the tensor as well as before."""
    data = cast("ScaleStage", answers[0].stage).data
    return overall.is_foreign or any(not f.legal for f in overall.findings) or _gives(data, policy)


def _combined(
    answers: list[Answer], base: NVFP4Policy, overall: GlobalAnswer
) -> Iterator[NVFP4Policy]:
    """Every combination of what explains the stages, with what gives the scale of the tensor."""
    lists = [[cast("NVFP4Policy", h.policy) for h in a.proven] for a in answers]
    for fit in overall.fits[:_STARTS]:
        for policies in itertools.product(*lists):
            made = base.replace(**{name: str(getattr(fit, name)) for name in GLOBAL_FIELDS})
            for answer, policy in zip(answers, policies, strict=True):
                names = _SEARCHED[answer.stage.what]
                made = made.replace(**{name: str(getattr(policy, name)) for name in names})
                if answer.stage.what == "scale" and policy.target == "four-over-six":
                    selects = ("target", "selection", "selection_order", "scale_top")
                    made = made.replace(**{n: str(getattr(policy, n)) for n in selects})
            yield made
