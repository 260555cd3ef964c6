"""One stage explained: hypotheses tried on a sample, confirmed on all blocks.

A hypothesis is a policy and any number of faults. Tiers of hypotheses are tried one after another,
the simplest first; the first tier in which one gives every bit ends the search.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mxref._policy_base import Choices
from mxref.check._problem import spread
from mxref.check.parts import Finding, Place, Witness
from mxref.check.relatives._blocks import Blocks, Piece
from mxref.check.relatives._findings import choice_finding, fault_finding

__all__ = ["Answer", "Hypothesis", "Stage", "Tier", "Variant", "explain", "explain_as"]

Bools = NDArray[np.bool_]
Codes = NDArray[Any]

_FEW = 128  # blocks on which every hypothesis is tried
_SAMPLE = 2048  # blocks on which those are tried that give the few
_KEPT = 8  # hypotheses that are confirmed on all blocks, or named as candidates
_ROUNDS = 3
_LEAST = 0.1  # share of the mismatches that a cause must explain where some are left over


class Variant(Protocol):
    """A fault of one stage."""

    @property
    def id(self) -> str:
        """Id in the catalogue."""
        ...

    @property
    def detail(self) -> str:
        """Which variant."""
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What could have made the codes of a stage: choices, and faults on top of them."""

    policy: Choices
    faults: tuple[Any, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of its faults."""
        return tuple(fault.id for fault in self.faults)


Tier = Callable[[Sequence[Hypothesis]], Iterable[Hypothesis]]
"""Hypotheses to try, given the best of those tried before, the best first."""


class Stage(ABC):
    """What `explain` has to know of a stage; each method takes blocks as rows.

    Attributes
    ----------
    what : str
        ``"scale"``, ``"element"`` or ``"value"``, as in `Witness.stage`.
    fields : tuple of str
        The policy fields on which the stage depends.
    is_of_elements : bool
        Whether a row has a code for each element of its block, so that fill-up is left out.
    """

    what: str = "element"
    fields: tuple[str, ...] = ()
    is_of_elements: bool = True

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    @abstractmethod
    def given(self, piece: Piece) -> Codes:
        """What was emitted, shape (n, w)."""

    @abstractmethod
    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> Codes:
        """What the stage gives under a policy with some faults in it, shape (n, w)."""

    @abstractmethod
    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show one mismatch; `due` is what was expected."""

    def differs(self, due: Codes, piece: Piece) -> Bools:
        """Where what was emitted differs with an effect."""
        return np.asarray(due != self.given(piece))

    def named(self, field: str, choice: str) -> tuple[str, str] | None:
        """Id and variant of the fault that a choice is known as; None if it has none."""
        del field, choice
        return None

    def forbidden(self, field: str, choice: str) -> str | None:
        """Id of the fault that a choice is although a policy can ask for it; None: it is legal."""
        del field, choice
        return None

    def wrong(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> Bools:
        """Where a hypothesis fails, fill-up left out."""
        found = self.differs(self.make(policy, faults, piece), piece)
        if piece.used is not None and self.is_of_elements:
            found &= piece.used
        return found


@dataclass(slots=True)
class Answer:
    """What `explain` found of a stage.

    Attributes
    ----------
    stage : Stage
    base, best : Hypothesis
        What was expected, and what explains best what was emitted.
    proven : list of Hypothesis
        All of the tier that give every bit; the first is `best`.
    mismatches : int
        Differences from `base`.
    residual : int
        Differences from `best`.
    bad : ndarray of int
        Rows that differ from `base`.
    findings, notes, places
        As in a report.
    first : Witness or None
        First mismatch with `base`.
    """

    stage: Stage
    base: Hypothesis
    best: Hypothesis
    proven: list[Hypothesis]
    mismatches: int
    residual: int
    bad: NDArray[np.intp]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: tuple[Place, ...] = ()
    first: Witness | None = None

    @property
    def is_explained(self) -> bool:
        """Whether nothing is left over."""
        return self.residual == 0


def explain(stage: Stage, base: Choices, tiers: Iterable[Tier]) -> Answer:
    """Explain what a stage emitted.

    Parameters
    ----------
    stage : Stage
    base : Choices
        The policy that was expected.
    tiers : iterable of callable
        Each takes the best hypotheses so far and gives others to try. They are asked in order
        until one holds an explanation of every bit.
    """
    start = Hypothesis(base)
    count, bad = _count(stage, start)
    if not count:
        return Answer(stage, start, start, [start], 0, 0, bad)
    every = np.arange(stage.blocks.n)
    few = np.union1d(spread(bad, _FEW), spread(every, _FEW))
    sample = np.union1d(spread(bad, _SAMPLE), spread(every, _SAMPLE))
    ranked: list[tuple[int, Hypothesis]] = [(count, start)]
    proven: list[Hypothesis] = []
    seen: set[Hypothesis] = {start}
    for tier in tiers:
        fresh = _unseen(tier([h for _, h in ranked]), seen)
        for _ in range(_ROUNDS):
            tried = _try(stage, fresh, few)
            fits = [h for left, h in tried if left == 0]
            fits = [h for left, h in _try(stage, fits, sample) if left == 0]
            missed: list[NDArray[np.intp]] = []
            for hypothesis in fits[:_KEPT]:
                rows = _first_miss(stage, hypothesis)
                if len(rows):
                    missed.append(rows)
                else:
                    proven.append(hypothesis)
            if proven or not missed:
                break
            few = np.union1d(few, np.concatenate(missed))  # the counterexamples decide
        ranked = sorted(ranked + tried, key=lambda pair: pair[0])[: 4 * _KEPT]
        if proven:
            break
    if proven:
        proven = [_legal(stage, hypothesis) for hypothesis in proven]
        return _described(stage, base, proven[0], proven, (count, bad))
    best = _least(stage, [h for _, h in ranked[:_KEPT]], sample)
    answer = _described(stage, base, best, [], (count, bad))
    answer.findings += _candidates(stage, base, best, [h for _, h in ranked], sample)
    return answer


def _legal(stage: Stage, hypothesis: Hypothesis) -> Hypothesis:
    """Turn faults into choices where each of them is one, and the policy made so fits as well."""
    changes: dict[str, str] = {}
    for fault in hypothesis.faults:
        legal = getattr(fault, "legal_change", None)
        if not legal:
            return hypothesis
        changes |= legal
    if not changes:
        return hypothesis
    try:
        made = Hypothesis(hypothesis.policy.replace(**changes))
    except ValueError:  # a choice of another kind of policy
        return hypothesis
    return hypothesis if len(_first_miss(stage, made)) else made


def explain_as(
    stage: Stage, base: Choices, best: Hypothesis, proven: Sequence[Hypothesis]
) -> Answer:
    """Describe a hypothesis as the explanation: findings with their shares and witnesses."""
    return _described(stage, base, best, proven, _count(stage, Hypothesis(base)))


def _described(
    stage: Stage,
    base: Choices,
    best: Hypothesis,
    proven: Sequence[Hypothesis],
    seen: tuple[int, NDArray[np.intp]],
) -> Answer:
    start = Hypothesis(base)
    count, bad = seen
    left, _ = _count(stage, best) if best not in proven else (0, bad)
    answer = Answer(stage, start, best, list(proven), count, left, bad)
    chosen = np.union1d(spread(bad, _SAMPLE), spread(np.arange(stage.blocks.n), _SAMPLE))
    piece = stage.blocks.take(chosen)
    due = stage.make(base, (), piece)
    wrong = stage.wrong(base, (), piece)
    if count:
        answer.first = _first(stage, bad[:1], base)
    unexplained = stage.wrong(best.policy, best.faults, piece)
    for finding in _findings(stage, answer, piece, (due, wrong, unexplained)):
        if not left or finding.explains >= _LEAST:
            answer.findings.append(finding)
    return answer


# --- trying -----------------------------------------------------------------------------------


def _unseen(found: Iterable[Hypothesis], seen: set[Hypothesis]) -> list[Hypothesis]:
    fresh = []
    for hypothesis in found:
        if hypothesis not in seen:
            seen.add(hypothesis)
            fresh.append(hypothesis)
    return fresh


def _try(
    stage: Stage, found: Iterable[Hypothesis], rows: NDArray[np.intp]
) -> list[tuple[int, Hypothesis]]:
    """Mismatches of each on some blocks, the fewest first; the order of equals is kept."""
    piece = stage.blocks.take(rows)
    tried = [(int(stage.wrong(h.policy, h.faults, piece).sum()), h) for h in found]
    return sorted(tried, key=lambda pair: pair[0])


def _count(stage: Stage, hypothesis: Hypothesis) -> tuple[int, NDArray[np.intp]]:
    """Mismatches on all blocks, and the rows in which they lie."""
    total, rows = 0, []
    for piece in stage.blocks.pieces():
        wrong = stage.wrong(hypothesis.policy, hypothesis.faults, piece)
        if wrong.any():
            total += int(wrong.sum())
            rows.append(piece.rows[wrong.any(1)])
    return total, np.concatenate(rows) if rows else np.zeros(0, np.intp)


def _first_miss(stage: Stage, hypothesis: Hypothesis) -> NDArray[np.intp]:
    """Rows of the first piece in which a hypothesis fails; none if it gives every bit."""
    for piece in stage.blocks.pieces():
        wrong = stage.wrong(hypothesis.policy, hypothesis.faults, piece)
        if wrong.any():
            return spread(piece.rows[wrong.any(1)], 64)
    return np.zeros(0, np.intp)


def _least(stage: Stage, found: list[Hypothesis], rows: NDArray[np.intp]) -> Hypothesis:
    return _try(stage, found, rows)[0][1]


# --- saying -----------------------------------------------------------------------------------


def _first(stage: Stage, rows: NDArray[np.intp], base: Choices) -> Witness:
    piece = stage.blocks.take(rows)
    due = stage.make(base, (), piece)
    lane = int(np.flatnonzero(stage.wrong(base, (), piece)[0])[0])
    return stage.witness(int(rows[0]), lane, due[0, lane])


def _findings(
    stage: Stage, answer: Answer, piece: Piece, seen: tuple[Codes, Bools, Bools]
) -> Iterator[Finding]:
    due, wrong, unexplained = seen
    best, base = answer.best, answer.base.policy

    def shown(policy: Choices, faults: tuple[Any, ...]) -> tuple[float, int, Witness | None] | None:
        """What rests on one part of the hypothesis; None if it changes nothing here."""
        missed = ~unexplained & stage.wrong(policy, faults, piece)
        if not missed.any():
            return None
        needed = missed & wrong
        whole = int((wrong | missed).sum())
        row, lane = (int(i[0]) for i in np.nonzero(needed if needed.any() else missed))
        expected = due if needed.any() else stage.make(policy, faults, piece)
        witness = stage.witness(int(piece.rows[row]), lane, expected[row, lane])
        return float(missed.sum()) / max(1, whole), answer.residual, witness

    for name, (ours, theirs) in best.policy.diff(base).items():
        if name not in stage.fields:
            continue
        result = shown(best.policy.replace(**{name: theirs}), best.faults)
        if result is not None:
            yield choice_finding(stage, base, (name, ours, theirs), *result)
    for fault in best.faults:
        rest = tuple(other for other in best.faults if other is not fault)
        result = shown(best.policy, rest)
        if result is not None:
            yield fault_finding(fault.id, fault.detail, *result)


def _candidates(
    stage: Stage,
    base: Choices,
    best: Hypothesis,
    ranked: Iterable[Hypothesis],
    rows: NDArray[np.intp],
) -> Iterator[Finding]:
    """What else is consistent with a good part of the mismatches, each fault by itself."""
    piece = stage.blocks.take(rows)
    wrong = stage.wrong(base, (), piece)
    total = max(1, int(wrong.sum()))
    ids = set(best.ids)
    for hypothesis in ranked:
        if len(hypothesis.faults) != 1 or ids & set(hypothesis.ids) or len(ids) > 3:
            continue
        left = stage.wrong(hypothesis.policy, hypothesis.faults, piece)
        part = float((wrong & ~left).sum()) / total
        if part < max(_LEAST, 0.3):
            continue
        ids |= set(hypothesis.ids)
        fault = hypothesis.faults[0]
        residual = _count(stage, hypothesis)[0]
        yield fault_finding(fault.id, fault.detail, part, residual, None)
