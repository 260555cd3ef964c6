"""What the searches for causes share: how far they go."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

__all__ = ["MOST_FAULTS", "beam_of"]

MOST_FAULTS = 3
"""Faults that are assumed together at most; real code often has two, seldom four."""

_BEAM = 5  # hypotheses that are carried on when a single fault does not suffice


class _Hypothesis(Protocol):
    @property
    def models(self) -> Hashable: ...


_H = TypeVar("_H", bound=_Hypothesis)


def beam_of(found: Iterable[_H]) -> list[_H]:
    """The best hypotheses of different faults; under which policy, the rank has decided."""
    best: dict[Hashable, _H] = {}
    for hypothesis in found:
        if len(best) == _BEAM:
            break
        best.setdefault(hypothesis.models, hypothesis)
    return list(best.values())
