"""Faults that results propose: how often each block counts, and tiles out of place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats
from mxref.check.dot._fault import DotFault
from mxref.check.dot._problem import DotProblem, scattered
from mxref.check.dot._results import kept_counts
from mxref.check.dot._terms import Setup, products_of
from mxref.check.dot._tiles import tile_faults

__all__ = ["proposed_faults"]

_TERMS = 1 << 22  # products that the weights are worked out from
_NEAR = 0.05
_MOST = 8  # how often a block may count
_ROWS = 4  # times as many outputs as blocks


def proposed_faults(
    problem: DotProblem, setup: Setup, wrong: NDArray[np.intp]
) -> tuple[DotFault, ...]:
    """Return faults that are worked out from the results; each is to be verified like any other.

    Parameters
    ----------
    problem : DotProblem
    setup : Setup
        The faultless steps.
    wrong : ndarray of int
        Outputs that no sum allows.
    """
    return (*_weights(problem, setup), *tile_faults(problem, setup, wrong))


def _weights(problem: DotProblem, setup: Setup) -> Iterator[DotFault]:
    """Solve for how often each block counts: results are linear in the sums of blocks."""
    blocks = -(-problem.k // problem.a.fmt.block_size)
    count = max(_ROWS * blocks, 64)
    if problem.size < _ROWS * blocks or count * problem.k > _TERMS:
        return
    rows = problem.take(scattered(np.arange(problem.size), count))
    found = products_of(setup, rows)
    sums = found.by_block().sum(0)[:, :blocks]
    want = rows.got.astype(np.float64) - (0.0 if found.addend is None else found.addend)
    sizes = np.abs(sums).sum(1)
    usable = (found.settled == 0) & np.isfinite(want) & (sizes > 0)
    sums, want = sums[usable] / sizes[usable, None], want[usable] / sizes[usable]
    used = np.abs(sums).sum(0) > 0
    if int(usable.sum()) < 2 * blocks or not used.any():
        return
    solved, _, rank, _ = np.linalg.lstsq(sums[:, used], want, rcond=1e-6)
    if rank < int(used.sum()):
        return
    weights = np.ones(problem.a.scales.shape[1])
    weights[:blocks][used] = solved
    yield from _of_weights(problem, weights, blocks)


def _of_weights(problem: DotProblem, weights: Floats, blocks: int) -> Iterator[DotFault]:
    whole = np.rint(weights)
    if np.abs(weights - whole).max() > _NEAR or np.abs(whole).max() > _MOST:
        return
    if (whole == 1).all():
        return
    kept = np.flatnonzero(whole[:blocks] == 1)
    is_end = set(whole[:blocks].tolist()) == {0.0, 1.0} and (np.diff(kept) == 1).all()
    if is_end and kept[0] == 0 and len(kept) * problem.a.fmt.block_size in kept_counts(problem):
        return  # the same fault is tried anyway
    parts = [_span(problem, whole, times) for times in sorted({*whole[:blocks]} - {1.0})]
    yield DotFault("G15", "; ".join(parts), {"weights": whole})


def _span(problem: DotProblem, weights: Floats, times: float) -> str:
    """Where blocks count so often, in words."""
    block, k = problem.a.fmt.block_size, problem.k
    at = np.flatnonzero(weights == times)
    runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
    shown = [f"{run[0] * block} to {min(k, (run[-1] + 1) * block) - 1}" for run in runs[:3]]
    more = f" and {len(runs) - 3} more runs" if len(runs) > 3 else ""
    how = {0.0: "left out", 2.0: "counted twice"}.get(times, f"counted {times:g} times")
    return f"elements {', '.join(shown)}{more} along K are {how}"
