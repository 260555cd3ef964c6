"""The families of formats: what kind of policy the files of each have, and which choices count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mxref._policy_base import Choices, open_points_of
from mxref.faults import legal
from mxref.policy import OPEN_POINT_OF, Policy, get_policy
from mxref.relatives import nvfp4_profiles
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["FAMILIES", "Family", "alternatives", "family_of"]


@dataclass(frozen=True, slots=True)
class Family:
    """Formats that share a kind of policy.

    Attributes
    ----------
    name : str
        As in `mxref.vectors.operations.FAMILY`.
    kind : type of Choices
        Its policies.
    open_points : Mapping of str to str
        The open point of each policy field.
    parse : callable
        Turns the name of a policy into it.
    """

    name: str
    kind: type[Choices]
    open_points: Mapping[str, str]
    parse: Callable[[str], Choices]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "mx": Family("mx", Policy, OPEN_POINT_OF, get_policy),
        "nvfp4": Family(
            "nvfp4", NVFP4Policy, open_points_of(NVFP4Policy), nvfp4_profiles.get_policy
        ),
        "bdr": Family("bdr", BDRPolicy, open_points_of(BDRPolicy), get_bdr_policy),
    }
)
"""All families, by name."""


def family_of(policy: Choices) -> Family:
    """Return the family whose policies are of this kind.

    Examples
    --------
    >>> family_of(Policy()).name
    'mx'
    """
    return next(family for family in FAMILIES.values() if type(policy) is family.kind)


def alternatives(policy: Choices, field: str) -> list[str]:
    """Return the choices of a field that a vector counts as allowed; the policy's own comes first.

    Of MX formats these are the legal ones (`mxref.faults.legal.alternatives`). NVFP4 and BDR have
    no standard that could forbid any; what a file holds against a field is all its choices.

    Examples
    --------
    >>> alternatives(Policy(), "neg_zero")
    ['keep', 'drop', 'drop-input']
    """
    if isinstance(policy, Policy):
        return legal.alternatives(policy, field)
    own = getattr(policy, field)
    return list(dict.fromkeys((str(own), *(str(choice) for choice in type(own)))))
