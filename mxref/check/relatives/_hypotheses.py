"""Hypotheses in the order in which they are worth trying: profiles, choices, faults, pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mxref._policy_base import Choices
from mxref.check.relatives._explain import Hypothesis, Tier

__all__ = ["alternatives", "chosen", "composed", "faulty", "products"]

_MOST = 20_000  # policies of one product


def _members(policy: Choices, name: str) -> list[str]:
    return [str(member) for member in type(getattr(policy, name))]


def chosen(policies: Iterable[Choices], stage_fields: Sequence[str]) -> list[Choices]:
    """Return the policies that differ in some fields, the first of each kind."""
    found: dict[tuple[Any, ...], Choices] = {}
    for policy in policies:
        found.setdefault(tuple(getattr(policy, name) for name in stage_fields), policy)
    return list(found.values())


def alternatives(policy: Choices, stage_fields: Sequence[str]) -> Iterator[Choices]:
    """Yield the policies that differ from one in a single field."""
    for name in stage_fields:
        for member in _members(policy, name):
            if member != getattr(policy, name):
                yield policy.replace(**{name: member})


def products(policy: Choices, stage_fields: Sequence[str], depth: int = 9) -> Iterator[Choices]:
    """Yield every combination of the choices of some fields, few changes first.

    Parameters
    ----------
    policy : Choices
        Where the changes start.
    stage_fields : sequence of str
    depth : int
        The most fields that are changed together.
    """
    left = _MOST
    others = {
        name: [m for m in _members(policy, name) if m != getattr(policy, name)]
        for name in stage_fields
    }
    for count in range(1, min(depth, len(stage_fields)) + 1):
        for names in itertools.combinations(stage_fields, count):
            for picked in itertools.product(*(others[name] for name in names)):
                yield policy.replace(**dict(zip(names, picked, strict=True)))
                left -= 1
                if not left:
                    return


def faulty(
    policies: Iterable[Choices], faults_of: Callable[[Choices], Iterable[Any]]
) -> Iterator[Hypothesis]:
    """Yield every fault on each of some policies; one that a policy asks for is left out."""
    for policy in policies:
        for fault in faults_of(policy):
            change: Mapping[str, str] = getattr(fault, "legal_change", {})
            if change and all(getattr(policy, f) == v for f, v in change.items()):
                continue
            yield Hypothesis(policy, (fault,))


def composed(may_meet: Callable[[Any, Any], bool], *, width: int = 12, most: int = 3) -> Tier:
    """Return a tier that composes the best hypotheses so far.

    Parameters
    ----------
    may_meet : callable
        Whether two faults can be in one implementation: they change different things.
    width : int
        How many of the best are composed with each other.
    most : int
        Faults in one hypothesis.
    """

    def tier(ranked: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        best = [h for h in ranked if h.faults][:width]
        for one, other in itertools.combinations(best, 2):
            faults = one.faults + tuple(f for f in other.faults if f not in one.faults)
            if len(faults) > most or len(faults) == len(one.faults):
                continue
            if all(may_meet(a, b) for a, b in itertools.combinations(faults, 2)):
                yield Hypothesis(one.policy, faults)

    return tier
