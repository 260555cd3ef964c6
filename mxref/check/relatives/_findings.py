"""Findings of the relatives: the catalogue's texts, and those of the open points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxref._policy_base import Choices, open_points_of
from mxref.check._findings import fault_finding
from mxref.check.parts import Finding, Witness
from mxref.clauses import CLAUSES
from mxref.faults.catalogue import FAULTS

if TYPE_CHECKING:
    from mxref.check.relatives._explain import Stage

__all__ = ["choice_finding", "fault_finding"]


def choice_finding(
    stage: Stage,
    base: Choices,
    change: tuple[str, str, str],
    explains: float,
    residual: int,
    witness: Witness | None,
) -> Finding:
    """A finding for one policy field in which a target differs.

    Parameters
    ----------
    stage : Stage
        Says which choices have a name in the catalogue, and which are a fault all the same.
    base : Choices
        What was expected.
    change : (field, choice found, choice expected)
    explains, residual, witness
        As in `Finding`.
    """
    field, found, expected = change
    point = open_points_of(type(base))[field]
    declare = f"Declare {field}={found} if it is intended."
    banned = stage.forbidden(field, found)
    named = (banned, found) if banned is not None else stage.named(field, found)
    title = f"{field} is {found}; expected was {expected}."
    clause = CLAUSES.get(point)
    effect = "" if clause is None else f"It is left open: {clause.text}"
    if named is None:
        return Finding(
            point,
            title,
            explains,
            residual,
            witness,
            (),
            effect,
            f"{declare} Otherwise use {expected}.",
            legal=True,
            policy_change={field: found},
        )
    fault = FAULTS[named[0]]
    return Finding(
        named[0],
        fault.title,
        explains,
        residual,
        witness,
        fault.seen_in,
        fault.effect,
        fault.repair if banned else f"{declare} Otherwise: {fault.repair}",
        legal=banned is None,
        policy_change={field: found},
        detail=named[1],
        stimulus=fault.stimulus,
    )
