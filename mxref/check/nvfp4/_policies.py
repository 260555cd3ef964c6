"""The recipes that a check tries: profiles, and combinations of choices of a stage."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from mxref._policy_base import Choices
from mxref.check.relatives import Hypothesis, alternatives, chosen, products
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import PROFILES

__all__ = [
    "GLOBAL_FIELDS",
    "combinations",
    "is_deterministic",
    "of_stage",
    "profile_policies",
    "searches",
    "single_changes",
    "static",
]

GLOBAL_FIELDS = (
    "levels",
    "global_order",
    "target",
    "scale_top",
    "global_zero",
    "global_cap",
    "amax_nan",
)
"""Choices on which the scale of the tensor depends, the likeliest first."""


_OF_SCALES = ("scale_order", "scale_least", "scale_rounding", "scale_zero")
_ORDERS = ("scale_order", "element_order")  # which show in few numbers, and beside other choices


def is_deterministic(policy: Choices) -> bool:
    """Whether codes follow from values alone."""
    return bool(getattr(policy, "rounding", "") != "stochastic")


@functools.cache
def profile_policies(base: NVFP4Policy) -> tuple[NVFP4Policy, ...]:
    """Return the policies of all profiles but one that is the base."""
    policies = dict.fromkeys(profile.policy for profile in PROFILES.values())
    return tuple(p for p in policies if p != base and is_deterministic(p))


def static(policies: Iterable[NVFP4Policy]) -> list[NVFP4Policy]:
    """Return those under which no search chooses the scale."""
    return [policy for policy in policies if policy.target != "four-over-six"]


def of_stage(starts: Iterable[NVFP4Policy], names: Sequence[str]) -> Iterator[Hypothesis]:
    """Yield recipes, the first of each kind that differ in what a stage depends on."""
    yield from (Hypothesis(policy) for policy in chosen(starts, names))


def single_changes(starts: Sequence[NVFP4Policy], names: Sequence[str]) -> Iterator[Hypothesis]:
    """Yield recipes with one choice changed."""
    for start in starts:
        yield from (Hypothesis(p) for p in alternatives(start, names) if is_deterministic(p))


def combinations(
    starts: Sequence[NVFP4Policy],
    names: Sequence[str],
    matters: Callable[[NVFP4Policy, NVFP4Policy], bool],
) -> Iterator[Hypothesis]:
    """Yield combinations of the choices that change anything, those of few changes first.

    Parameters
    ----------
    starts : sequence of NVFP4Policy
    names : sequence of str
        Fields that may change.
    matters : callable
        Whether two recipes give different codes somewhere.
    """
    for start in starts:
        useful: dict[str, list[str]] = {}
        for policy in alternatives(start, names):
            if not is_deterministic(policy):
                continue
            for name, (ours, _) in policy.diff(start).items():
                if name in _ORDERS or matters(start, cast("NVFP4Policy", policy)):
                    useful.setdefault(name, []).append(ours)
        for count in range(2, len(useful) + 1):
            for fields in itertools.combinations(useful, count):
                for choices in itertools.product(*(useful[name] for name in fields)):
                    yield Hypothesis(start.replace(**dict(zip(fields, choices, strict=True))))


def searches(starts: Iterable[NVFP4Policy], changes: int = 1) -> Iterator[Hypothesis]:
    """Yield recipes in which each block chooses between 6 and 4, with some changes of scales."""
    for start in starts:
        policy = start.replace(target="four-over-six")
        for changed in (policy, *products(policy, _OF_SCALES, changes)):
            for selected in (changed, *alternatives(changed, ("selection",))):
                for ordered in (selected, *alternatives(selected, ("selection_order",))):
                    yield Hypothesis(ordered)
