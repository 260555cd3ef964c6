"""What a case expects: members, verdict and clauses, whatever the operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mxref.policy import OPEN_POINT_OF
from mxref.vectors.model import Member, Verdict

__all__ = ["Expectation", "deciding", "verdict_of"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case expects: its members, the verdict, and the clauses that they follow from.

    ``exact`` has the exact values behind a matrix product, and nothing otherwise.
    """

    members: tuple[Member, ...]
    verdict: Verdict
    clauses: tuple[str, ...]
    exact: tuple[str, ...] = ()


def verdict_of(members: Sequence[Member]) -> Verdict:
    """``must`` where there is one member whatever the choices, else ``one_of``.

    Examples
    --------
    >>> from mxref.vectors.operations import Output
    >>> str(verdict_of([Member(Output((0,)), ({},))]))
    'must'
    """
    settled = len(members) == 1 and members[0].when == ({},)
    return Verdict.MUST if settled else Verdict.ONE_OF


def deciding(members: Sequence[Member], open_points: Mapping[str, str] = OPEN_POINT_OF) -> set[str]:
    """Open points whose choice changes the outcome, by the fields of the family.

    Examples
    --------
    >>> deciding([Member(None, ({"scale_inf": "raise"},))])
    {'OP-SCALE-NONFINITE'}
    """
    return {open_points[field] for m in members for condition in m.when for field in condition}
