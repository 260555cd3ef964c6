"""What the two stages of a quantizer's check share: their answer, shares, other explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mxref.check._element_search import CodeModel
from mxref.check.parts import Finding, Place
from mxref.faults.decode import DecodeModel
from mxref.faults.encoder import Bools
from mxref.faults.scale import ScaleModel
from mxref.policy import Policy

__all__ = [
    "ROUNDS",
    "SAMPLE_LANES",
    "TRIED",
    "Stage",
    "alternatives",
    "least_share",
    "others",
    "share",
    "worth_saying",
]

SAMPLE_LANES = 1 << 14
ROUNDS = 3
TRIED = 4
"""Hypotheses verified on all data in one round."""

_LEAST_SHARE = 0.1  # of the mismatches, that a fault must explain to be worth a name
_NEAR_ALL = 0.95
_CANDIDATES = 3  # faults that are named where none reproduces every bit
_Names = list[tuple[str, str]]
_Model = TypeVar("_Model", ScaleModel, CodeModel, DecodeModel)


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
    places : tuple of Place
        Where the mismatches that are left lie.
    """

    policy: Policy
    findings: list[Finding] = field(default_factory=list)
    residual: int = 0
    notes: list[str] = field(default_factory=list)
    places: tuple[Place, ...] = ()


def others(best: Sequence[_Model], found: Iterable[_Model]) -> list[_Model]:
    """The first few faults of other ids."""
    ids = {model.id for model in best}
    others: list[_Model] = []
    for model in found:
        if model.id not in ids and len(others) < _CANDIDATES:
            ids.add(model.id)
            others.append(model)
    return others


def share(part: Bools, whole: Bools) -> float:
    """How much of a set of mismatches a part of it is."""
    return float(part.sum() / max(1, int(whole.sum())))


def alternatives(best: _Names, others: list[_Names], what: str) -> Iterator[str]:
    """Say which other faults fit as well; variants of one fault are one."""
    seen = {tuple(fault_id for fault_id, _ in best)}
    for names in others:
        ids = tuple(fault_id for fault_id, _ in names)
        if ids in seen:
            continue
        seen.add(ids)
        text = " with ".join(f"{i} ({d})" if d else i for i, d in names)
        yield f"{text} fits all {what} too: these data cannot tell them apart."


def worth_saying(findings: Iterable[Finding]) -> list[Finding]:
    """Leave out what explains next to nothing, where something is left over anyway."""
    return [finding for finding in findings if finding.explains >= _LEAST_SHARE]


def least_share(best: float) -> float:
    """What another fault must explain to be named beside the best explanation.

    Examples
    --------
    >>> least_share(0.6), least_share(0.99) > 1
    (0.3, True)
    """
    return max(_LEAST_SHARE, best / 2) if best < _NEAR_ALL else 2.0
