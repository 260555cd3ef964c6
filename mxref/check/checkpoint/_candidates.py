"""The policies that a quantized tensor may follow: published ones first, told apart by what shows.

Profiles that differ only in how they decode, or in fields that a format has no use for, write the
same bits; each such group is tried once, and all its names are reported.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from mxref.check._compare import without_refusals
from mxref.check._findings import ELEMENT_FIELDS, SCALE_FIELDS
from mxref.faults.legal import forbidden, require_judgeable
from mxref.formats import BlockFormat, Kind
from mxref.policy import Policy, get_policy
from mxref.profiles import PROFILES

__all__ = ["Candidate", "candidate_of", "candidates", "illegal_fields", "legal_twin", "with_twin"]

_WRITES = {
    *SCALE_FIELDS,
    *ELEMENT_FIELDS,
    "scale_log2",
    "element_subnormal",
    "scale_operand",
    "inf_element",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy, or a published recipe of NVFP4, under all names that it has.

    Attributes
    ----------
    names : tuple of str
        Shortest first.
    policy : Policy or None
        None for a recipe, which its name says.
    is_odd : bool
        Whether the policy asks for what is no legal choice, somewhere.
    """

    names: tuple[str, ...]
    policy: Policy | None = None
    is_odd: bool = False

    @property
    def rank(self) -> tuple[bool, int]:
        """What is named first: what is legal in all its choices, then what is short."""
        return self.is_odd, len(self.names[0])

    @property
    def name(self) -> str:
        """The shortest name."""
        return self.names[0]


def candidate_of(policy: Policy, fmt: BlockFormat, name: str | None = None) -> Candidate:
    """Return a policy as a candidate, with the names of the profiles that write the same."""
    names: tuple[str, ...] = (name or str(policy.name),)
    policy = without_refusals(policy)
    written = _written(policy, fmt)
    for other in candidates(fmt):
        if other.policy is not None and _written(other.policy, fmt) == written:
            names = tuple(dict.fromkeys((*names, *other.names)))
    return Candidate(names, policy, bool(illegal_fields(policy, fmt)))


@functools.lru_cache(maxsize=64)
def candidates(fmt: BlockFormat) -> tuple[Candidate, ...]:
    """Return the published policies that quantize to a format, ``ocp`` first."""
    groups: dict[Policy, list[str]] = {}
    for name, profile in PROFILES.items():
        if "quantize" not in profile.operations or fmt.base not in profile.formats:
            continue
        policy = without_refusals(get_policy(name))
        try:
            require_judgeable(policy)
        except ValueError:
            continue
        groups.setdefault(_written(policy, fmt), []).append(name)
    found = []
    for names in groups.values():
        policy = without_refusals(get_policy(names[0]))
        is_odd = bool(illegal_fields(policy, fmt))
        found.append(Candidate(tuple(sorted(names, key=len)), policy, is_odd))
    return tuple(found)


def _written(policy: Policy, fmt: BlockFormat) -> Policy:
    """A policy without the choices that no written bit of a format depends on."""
    idle = set(policy.diff(Policy())) - _WRITES
    element = fmt.element
    if not element.has_nan:
        idle |= {"nan_payload"}
    if not element.is_fp8:
        idle |= {"fp8_overflow"}
    if element.kind is Kind.FLOAT:
        idle |= {"int8_min"}
    default = Policy()
    return policy.replace(**{name: getattr(default, name) for name in idle})


def with_twin(alive: Iterable[Candidate], fmt: BlockFormat) -> tuple[Candidate, ...]:
    """Add the legal twin of the best candidate, if that one makes illegal choices.

    Where the twin holds as well, those choices do not show. Its name starts with ``~``.
    """
    every = tuple(alive)
    best = min(every, key=lambda c: c.rank, default=None)
    if best is None or best.policy is None or not best.is_odd:
        return every
    twin = legal_twin(best.policy, fmt)
    if twin is None or any(twin == other.policy for other in every):
        return every
    return (*every, Candidate((f"~{best.name}",), twin))


def illegal_fields(policy: Policy, fmt: BlockFormat) -> tuple[str, ...]:
    """Return the fields in which a policy asks for what is no legal choice."""
    changed = policy.diff(Policy())
    return tuple(
        name
        for name, (value, _) in changed.items()
        if name in _WRITES
        and forbidden(name, value, None if name in SCALE_FIELDS else fmt.element) is not None
    )


def legal_twin(policy: Policy, fmt: BlockFormat) -> Policy | None:
    """Return a policy with its illegal choices undone; None where it has none."""
    names = illegal_fields(policy, fmt)
    if not names:
        return None
    default = Policy()
    return policy.replace(**{name: getattr(default, name) for name in names})
