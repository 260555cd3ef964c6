"""Which hypotheses are tried for a stage of a BDR quantizer, and in which order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from mxref._policy_base import Choices
from mxref.check._problem import spread
from mxref.check.bdr._stages import BDRStage
from mxref.check.relatives import (
    Answer,
    Hypothesis,
    Piece,
    alternatives,
    chosen,
    composed,
    explain,
    faulty,
    products,
)
from mxref.faults._bdr_variant import BDRFault
from mxref.faults.bdr import faults_of
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import BDR_POLICIES

__all__ = ["is_deterministic", "judge", "profile_policies"]

_ROUNDS = 4
_LANES = 1 << 13  # elements on which policies are tried
_MISSED = 16
_NOTHING: Mapping[str, str] = MappingProxyType({})


def is_deterministic(policy: Choices) -> bool:
    """Whether no random bits decide."""
    return not str(cast("BDRPolicy", policy).rounding).startswith("stochastic")


def profile_policies(base: Choices) -> list[BDRPolicy]:
    """Return the policies that have a name, the base first."""
    return list(dict.fromkeys([cast("BDRPolicy", base), *BDR_POLICIES.values()]))


def judge(
    stage: BDRStage,
    base: Choices,
    level: str,
    settled: Mapping[str, str] = _NOTHING,
    company: Sequence[str] = (),
    hint: Choices | None = None,
) -> Answer:
    """Explain a stage: choices before faults, one fault before two.

    Parameters
    ----------
    stage : BDRStage
    base : Choices
        What was expected.
    level : str
        ``"scale"``, ``"subscale"`` or ``"element"``.
    settled : mapping of str to str
        Choices that another level has shown already.
    company : sequence of str
        Ids of faults of another level that can reach this one.
    hint : Choices, optional
        What other levels showed: preferred where it fits.
    """
    ground = base.replace(**settled)
    free = tuple(name for name in stage.fields if name not in settled)
    best: list[Choices] = []

    def nearest(_: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        yield Hypothesis(ground if hint is None else hint.replace(**settled))
        yield Hypothesis(ground)
        for fault in of_level(ground):
            if fault.id in company:
                yield Hypothesis(ground, (fault,))
        best.append(_nearest(stage, ground, free))
        yield Hypothesis(best[0])

    def named(_: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        known = (p for p in profile_policies(base) if is_deterministic(p))
        policies = (p.replace(**settled) for p in known)
        yield from map(Hypothesis, chosen(policies, stage.fields))

    def few(_: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        return (Hypothesis(p) for p in products(ground, free, 2) if is_deterministic(p))

    def single(_: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        yield from faulty(_grounds(stage, ground, best[0]), of_level)

    def other(_: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        near = [p for p in alternatives(ground, free) if is_deterministic(p)]
        yield from faulty(near, of_level)

    def of_level(policy: Choices) -> Iterator[BDRFault]:
        return faults_of(stage.fmt, cast("BDRPolicy", policy), level)

    return explain(stage, base, (nearest, named, few, single, other, composed(_may_meet)))


def _grounds(stage: BDRStage, base: Choices, nearest: Choices) -> list[Choices]:
    """Policies on which faults are tried: a fault may have misled the search for choices."""
    grounds = [base, nearest]
    # What NaN and infinity become shows apart from everything else.
    special = [name for name in ("nan", "inf", "neg_zero") if name in stage.fields]
    grounds.append(base.replace(**{name: str(getattr(nearest, name)) for name in special}))
    return list(dict.fromkeys(grounds))


def _may_meet(one: Any, other: Any) -> bool:
    return bool(one.id != other.id)


def _nearest(stage: BDRStage, start: Choices, free: Sequence[str]) -> Choices:
    """The policy that misses the fewest codes, changed choice by choice; and the plainest such."""
    bad = _bad_rows(stage, start)
    size = max(1, stage.blocks.size)
    limit = max(8, _LANES // size)
    rows = np.union1d(spread(bad, limit), spread(np.arange(stage.blocks.n), limit))
    policy = start
    for _ in range(_ROUNDS):
        piece = stage.blocks.take(rows)
        policy = _descended(stage, start, piece, free)
        missed = _bad_rows(stage, policy)
        if not len(missed):
            break
        rows = np.union1d(rows, spread(missed, _MISSED))
    return policy


def _bad_rows(stage: BDRStage, policy: Choices) -> np.ndarray[Any, Any]:
    found = [p.rows[stage.wrong(policy, (), p).any(1)] for p in stage.blocks.pieces()]
    return np.concatenate(found)


def _descended(stage: BDRStage, start: Choices, piece: Piece, free: Sequence[str]) -> Choices:
    def missed(policy: Choices) -> int:
        return int(stage.wrong(policy, (), piece).sum())

    left, policy = missed(start), start
    depth = 1
    while left and depth < 3:  # pairs at most
        trials = alternatives(policy, free) if depth == 1 else _pairs(policy, free)
        counted = ((missed(p), p) for p in trials if is_deterministic(p))
        fewest, found = min(counted, key=lambda pair: pair[0], default=(left, policy))
        if fewest < left:
            left, policy, depth = fewest, found, 1
        else:
            depth += 1
    for name, (_, theirs) in policy.diff(start).items():  # take back what nothing shows
        plainer = policy.replace(**{name: theirs})
        if missed(plainer) <= left:
            policy = plainer
    return policy


def _pairs(policy: Choices, names: Sequence[str]) -> Iterator[Choices]:
    for pair in itertools.combinations(names, 2):
        for one in alternatives(policy, pair[:1]):
            yield from alternatives(one, pair[1:])
