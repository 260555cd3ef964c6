"""The search for what reproduces given dot products: an accumulator, faults, or both."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import spread
from mxref.check.dot._bounds import Judged, judge
from mxref.check.dot._fault import DotFault
from mxref.check.dot._faults import composed, dot_faults
from mxref.check.dot._models import Accumulator, families
from mxref.check.dot._problem import DotProblem, Rows, scattered
from mxref.check.dot._proposed import proposed_faults
from mxref.check.dot._run import agrees, machine_agrees
from mxref.check.dot._terms import Setup, products_of
from mxref.check.dot._whole import judged_pieces
from mxref.check.parts import Distances

__all__ = ["Hypothesis", "Survey", "find_accumulators", "find_faults", "survey"]

_FEW = 1 << 12  # products in the first sample, where most models fail
_SAMPLE = 1 << 16
_BEAM = 6
_KEPT = 40  # faults that are looked at more closely
_MOST_MODELS = 8  # verified on all data
_MOST_FAULTS = 3
_ROUNDS = 3


@dataclass
class Survey:
    """How all outputs stand to the exact sum.

    Attributes
    ----------
    different : ndarray of int
        Numbers of the outputs that are not the exact sum, rounded once.
    wrong : ndarray of int
        Those that no accumulation in float32 or wider allows.
    loose : ndarray of int
        Those that differ where no bound holds.
    open : int
        How many outputs the standard leaves open.
    error, worst : float
        The largest error as a share of the bound: of what is allowed, and of all finite results.
    distances : Distances
        All errors, counted.
    """

    different: NDArray[np.intp]
    wrong: NDArray[np.intp]
    loose: NDArray[np.intp]
    open: int
    error: float
    worst: float
    distances: Distances = field(default_factory=lambda: Distances((), 0.0))

    @functools.cached_property
    def targets(self) -> NDArray[np.intp]:
        """Outputs that a fault would have to explain."""
        return np.union1d(self.wrong, self.loose)


_EDGES = (2.0**-12, 2.0**-10, 2.0**-8, 2.0**-6, 2.0**-4, 2.0**-2, 1.0, 4.0, 64.0, np.inf)
_NAMES = (
    "the exact sum",
    *(f"up to {edge:.4g}" for edge in _EDGES[:-1]),
    "more than 64",
    "no bound holds",
    "NaN or infinite, or not",
)


def survey(problem: DotProblem, setup: Setup) -> Survey:
    """Compare every output with the exact sum and with the bound."""
    different, wrong, loose, n_open, error, worst = [], [], [], 0, 0.0, 0.0
    counts = np.zeros(len(_NAMES), np.int64)
    for numbers, found in judged_pieces(problem, setup):
        different.append(numbers[~found.equal])
        wrong.append(numbers[~found.allowed])
        loose.append(numbers[~found.equal & found.is_loose])
        n_open += int(found.is_open.sum())
        error = max(error, float(found.error[found.allowed].max(initial=0.0)))
        finite = found.error[np.isfinite(found.error)]
        worst = max(worst, float(finite.max(initial=0.0)))
        counts += _counted(found)
    joined = np.concatenate
    distances = Distances(
        tuple((name, int(n)) for name, n in zip(_NAMES, counts, strict=True)), worst
    )
    return Survey(joined(different), joined(wrong), joined(loose), n_open, error, worst, distances)


def _counted(found: Judged) -> NDArray[np.int64]:
    """How many outputs have an error of each size."""
    odd = ~found.equal & ~found.is_loose & (
        ~np.isfinite(found.error) | (~found.allowed & (found.error == 0))
    )  # fmt: skip
    sized = ~found.equal & ~found.is_loose & ~odd
    bins = np.searchsorted(_EDGES, found.error[sized], side="left")
    inner = np.bincount(bins, minlength=len(_EDGES))
    ends = [int(found.equal.sum()), int((~found.equal & found.is_loose).sum()), int(odd.sum())]
    return np.array([ends[0], *inner, *ends[1:]], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """Faults and an accumulator that are assumed.

    Attributes
    ----------
    setup : Setup
    faults : tuple of DotFault
    model : Accumulator or None
        None where no accumulator reproduces the bits, which are judged by the bound then.
    residual : int
        Outputs that are left unexplained, on the sample or on all data.
    explained : int
        Targets that are explained, likewise.
    equal : int
        Outputs that are the exact sum of the faulty products.
    """

    setup: Setup
    faults: tuple[DotFault, ...] = ()
    model: Accumulator | None = None
    residual: int = 0
    explained: int = 0
    equal: int = 0


def _sample(problem: DotProblem, targets: NDArray[np.intp], terms: int) -> NDArray[np.intp]:
    count = max(8, terms // max(1, problem.a.codes.shape[1]))
    every = np.arange(problem.size)
    chosen = scattered if problem.is_matrix else spread
    return np.union1d(chosen(targets, -(-count * 3 // 4)), chosen(every, max(2, count // 4)))


# --- accumulators ----------------------------------------------------------------------------


def find_accumulators(
    problem: DotProblem,
    setup: Setup,
    targets: NDArray[np.intp],
    among: Iterable[Iterable[Accumulator]] | None = None,
) -> list[Accumulator]:
    """Return accumulators that reproduce every bit of all outputs, the plainest first.

    Parameters
    ----------
    problem : DotProblem
    setup : Setup
        The steps before the sum.
    targets : ndarray of int
        Outputs that tell accumulators apart.
    among : iterable of iterables of Accumulator
        Those to try; a family that has one ends the search. Default: all.
    """
    for family in families() if among is None else among:
        left = _usable(family, setup)
        for terms in (_FEW, _SAMPLE):
            if left:
                rows = problem.take(_sample(problem, targets, terms))
                found = products_of(setup, rows)
                left = [model for model in left if agrees(model, problem, rows, found)]
        left = left[:_MOST_MODELS]
        machines = [(m, m.machine) for m in left if m.machine is not None]
        fast = [m for m, machine in machines if machine_agrees(machine, problem, None)]
        slow = [m for m in left if m.machine is None]
        for rows in problem.pieces():
            if not slow:
                break
            found = products_of(setup, rows)
            slow = [m for m in slow if agrees(m, problem, rows, found)]
        left = [m for m in left if m in fast or m in slow]
        if left:
            return left
    return []


def _usable(family: Iterable[Accumulator], setup: Setup) -> list[Accumulator]:
    """Models of machines take faultless operands; they stand for others of the same name."""
    every = list(family)
    if not setup.is_faultless:
        return [model for model in every if model.machine is None]
    names = {model.name for model in every if model.machine is not None}
    return [model for model in every if model.machine is not None or model.name not in names]


# --- faults ----------------------------------------------------------------------------------


def _explains(rows: Rows, setup: Setup, is_target: NDArray[np.bool_]) -> tuple[Judged, int, int]:
    """What is left, and how many targets are explained, if the steps are these."""
    found = judge(rows, products_of(setup, rows), setup)
    # Where no bound holds, everything is allowed and nothing explained.
    fine = found.equal | (found.allowed & ~(found.is_loose & is_target))
    return found, int((~fine).sum()), int((fine & is_target).sum())


def find_faults(problem: DotProblem, setup: Setup, targets: NDArray[np.intp]) -> list[Hypothesis]:
    """Return hypotheses of one to three faults, the best first.

    The residuals of the first few are those on all outputs, where they have one of zero.
    """
    chosen = _sample(problem, targets, _SAMPLE)
    aimed = np.zeros(problem.size, np.bool_)
    aimed[targets] = True
    every = (*dot_faults(problem), *proposed_faults(problem, setup, targets))
    found: list[Hypothesis] = []
    for _ in range(_ROUNDS):
        rows = problem.take(chosen)
        found = _searched(rows, setup, every, aimed[chosen])
        fits = [h for h in found if h.residual == 0 and h.explained][:_BEAM]
        if not fits:
            return found
        proven, missed = [], []
        for hypothesis in fits:
            left = _left(problem, hypothesis, aimed)
            if len(left):
                missed.append(spread(left, 32))
            else:
                proven.append(hypothesis)
        if proven:
            return [*proven, *(h for h in found if h not in proven)]
        chosen = np.union1d(chosen, np.concatenate(missed))
    return [h for h in found if h.residual] or found


def _searched(
    rows: Rows,
    setup: Setup,
    every: tuple[DotFault, ...],
    is_target: NDArray[np.bool_],
) -> list[Hypothesis]:
    def tried(faults: tuple[DotFault, ...]) -> Iterator[tuple[tuple[int, ...], Hypothesis]]:
        changed = composed(setup, faults)
        if changed is None:
            return
        found, residual, explained = _explains(rows, changed, is_target)
        equal = int(found.equal.sum())
        rank = (residual, len(faults), sum(f.id == "G9" for f in faults), -equal)
        yield rank, Hypothesis(changed, faults, None, residual, explained, equal)

    few = _prescreened(rows, setup, every, is_target)
    ranked = [entry for fault in few for entry in tried((fault,))]
    ranked.sort(key=lambda entry: entry[0])
    for _ in range(_MOST_FAULTS - 1):
        if not ranked or ranked[0][1].residual == 0:
            break
        beam = [h for _, h in ranked[:_BEAM]]
        seen = {frozenset((f.id, f.detail) for f in h.faults) for _, h in ranked}
        for hypothesis in beam:
            for fault in few:
                faults = (*hypothesis.faults, fault)
                key = frozenset((f.id, f.detail) for f in faults)
                if len(faults) <= _MOST_FAULTS and len(key) == len(faults) and key not in seen:
                    seen.add(key)
                    ranked += tried(faults)
        ranked.sort(key=lambda entry: entry[0])
    return [h for _, h in ranked]


def _prescreened(
    rows: Rows,
    setup: Setup,
    every: tuple[DotFault, ...],
    is_target: NDArray[np.bool_],
) -> list[DotFault]:
    """The faults that explain most of a few rows; the others are no part of any explanation."""
    count = max(12, _FEW // max(1, rows.a.codes.shape[1]))
    if len(rows.got) <= count:
        return list(every)
    targets, others = np.flatnonzero(is_target), np.flatnonzero(~is_target)
    some = np.union1d(spread(targets, count - count // 4), spread(others, max(1, count // 4)))
    part = rows.some(some)
    scores = []
    for fault in every:
        changed = composed(setup, (fault,))
        if changed is not None:
            found, residual, _ = _explains(part, changed, is_target[some])
            scores.append(((residual, -int(found.equal.sum())), fault))
    scores.sort(key=lambda entry: entry[0])
    return [fault for _, fault in scores[:_KEPT]]


def _left(
    problem: DotProblem, hypothesis: Hypothesis, aimed: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Numbers of the outputs that a hypothesis leaves unexplained; the first pieces suffice."""
    for numbers, found in judged_pieces(problem, hypothesis.setup):
        is_target = aimed[numbers]
        fine = found.equal | (found.allowed & ~(found.is_loose & is_target))
        if not fine.all():
            return numbers[~fine]
    return np.zeros(0, np.intp)
