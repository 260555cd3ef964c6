"""The work on one run of rows: what it cost, and which candidates give its every bit.

A unit names files and rows, so that any process can do it; its result is small. Each candidate
quantizes the run into the same memory. Where it agrees, as most do, that and one comparison is all.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._compare import compare, same_bits
from mxref.check._problem import Problem, spread
from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint._candidates import Candidate
from mxref.check.checkpoint._pairs import Pair, Part
from mxref.check.checkpoint._stats import Stats, block_length, measured
from mxref.formats import BlockFormat, block_format
from mxref.mxarray import MXArray

__all__ = ["Evidence", "Tally", "Unit", "Work", "against", "scan"]

RUNS = 1000  # of rows that are kept
KEPT = 16  # blocks of a run that are kept as evidence against a candidate


@dataclass(frozen=True, slots=True)
class Unit:
    """Some rows of a pair, and what to try on them.

    Attributes
    ----------
    token : str
        Names the check: files stay open from one of its units to the next.
    number : int
        Of the pair.
    quantized, source : str
        Paths.
    """

    token: str
    number: int
    pair: Pair
    quantized: str
    source: str
    start: int
    stop: int
    tried: tuple[Candidate, ...]
    with_stats: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Blocks with their numbers: values, codes and scale codes."""

    blocks: NDArray[np.intp]
    x: NDArray[Any]
    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]

    @classmethod
    def joined(cls, some: list[Evidence], limit: int) -> Evidence:
        """Evidence of several runs, evenly thinned, each block once and in order."""
        blocks = np.concatenate([each.blocks for each in some])
        _, order = np.unique(blocks, return_index=True)
        kept = spread(order, limit)
        return cls(
            blocks[kept],
            *(
                np.concatenate([getattr(each, name) for each in some])[kept]
                for name in ("x", "codes", "scales")
            ),
        )


@dataclass(slots=True)
class Tally:
    """How a candidate fares.

    Attributes
    ----------
    blocks : int
        Blocks with a difference that has an effect.
    silent : int
        Blocks with one that has none, such as the scale code of zeros.
    scales, elements : int
        Differing scale codes, and elements judged under the given scale.
    first : int or None
        Number of the first differing block.
    rows : list of (int, int)
        Runs of rows that hold differing blocks.
    evidence : list of Evidence
    """

    blocks: int = 0
    silent: int = 0
    scales: int = 0
    elements: int = 0
    first: int | None = None
    rows: list[tuple[int, int]] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """How bad it is: a wrong scale spoils a block of elements."""
        return 32 * self.scales + self.elements

    def merge(self, other: Tally) -> None:
        """Add what comes behind."""
        self.blocks += other.blocks
        self.silent += other.silent
        self.scales += other.scales
        self.elements += other.elements
        if self.first is None:
            self.first = other.first
        for lo, hi in other.rows:
            if self.rows and self.rows[-1][1] == lo:
                self.rows[-1] = (self.rows[-1][0], hi)
            elif len(self.rows) < RUNS:
                self.rows.append((lo, hi))
        if len(self.evidence) < 256:
            self.evidence += other.evidence


@dataclass(slots=True)
class Work:
    """The result of a unit.

    Attributes
    ----------
    tallies : list of Tally
        One for each candidate.
    stats : Stats
        Of what is stored.
    repaired : Stats
        Of the codes once they are put right; empty where they are as they should be.
    """

    tallies: list[Tally]
    stats: Stats
    repaired: Stats = field(default_factory=Stats)


def scan(unit: Unit) -> Work:
    """Do a unit."""
    quantized = pairs.open_in(unit.token, unit.quantized)
    source = pairs.open_in(unit.token, unit.source)
    part = pairs.read(unit.pair, quantized, source, unit.start, unit.stop)
    return work_on(unit.pair, part, unit.tried, with_stats=unit.with_stats)


def work_on(pair: Pair, part: Part, tried: tuple[Candidate, ...], *, with_stats: bool) -> Work:
    """Measure rows, and compare them with each candidate."""
    name = pair.found.format
    stats, repaired = Stats(), Stats()
    if with_stats:
        first = part.start * pair.blocks
        x, codes, scales = part.stored or (part.x, part.codes, part.scales)
        stats = measured(x, codes, scales, name, part.gain, first)
        if pair.reading:
            repaired = measured(x, part.codes, part.scales, name, part.gain, first)
    if name == "nvfp4":
        from mxref.check.checkpoint._nvfp4 import against_recipes

        return Work(against_recipes(part, tried), stats, repaired)
    fmt = block_format(name)
    return Work([against(candidate, part, fmt) for candidate in tried], stats, repaired)


class _Buffers(threading.local):
    """Memory of a thread that is written anew for each candidate: it stays in the cache."""

    held: MXArray | None = None


_buffers = _Buffers()


def against(candidate: Candidate, part: Part, fmt: BlockFormat) -> Tally:
    """Compare rows with what a candidate makes of their values."""
    whole = part.x.shape[1] % fmt.block_size == 0
    assert candidate.policy is not None  # noqa: S101  # recipes are of NVFP4
    held = _buffers.held
    if held is None or held.format != fmt or held.codes.shape != part.codes.shape:
        held = None
    ours = arrays.quantize(part.x, fmt, -1, candidate.policy, out=held, pad=not whole)
    _buffers.held = ours
    if same_bits(ours.scales, part.scales) and same_bits(ours.codes, part.codes):
        return Tally()
    return _differences(candidate, part, fmt, ours)


def _differences(candidate: Candidate, part: Part, fmt: BlockFormat, ours: MXArray) -> Tally:
    """Count what differs; blocks of the last, ragged column are completed with zeros."""
    assert candidate.policy is not None  # noqa: S101  # as above
    differs = ours.scales != part.scales
    k, columns = fmt.block_size, part.x.shape[1]
    whole = columns // k
    head = (ours.codes != part.codes)[:, : whole * k].reshape(len(part.x), whole, k).any(2)
    differs[:, :whole] |= head
    if whole < differs.shape[1]:
        differs[:, whole:] |= (ours.codes != part.codes)[:, whole * k :].any(1)[:, None]
    bad = np.flatnonzero(differs)
    looked = taken(part, bad, k)
    seen = compare(
        Problem(looked.x, looked.codes, looked.scales[:, None], fmt, 1), candidate.policy
    )
    wrong = np.union1d(seen.bad_scales(), seen.bad_blocks())
    tally = Tally(len(wrong), len(bad) - len(wrong), seen.scales, seen.elements)
    if not len(wrong):
        return tally
    numbers, base = looked.blocks[wrong], part.start * differs.shape[1]
    tally.first = base + int(numbers[0])
    tally.rows = runs_of(np.unique(numbers // differs.shape[1]) + part.start)
    kept = spread(wrong, KEPT)
    tally.evidence = [
        Evidence(
            base + looked.blocks[kept], looked.x[kept], looked.codes[kept], looked.scales[kept]
        )
    ]
    return tally


def runs_of(numbers: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Runs of neighbouring numbers, the end excluded."""
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(numbers, cuts)]


def apart(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    """Whether two sorted lists of runs are complete, and have no row in common.

    Examples
    --------
    >>> apart([(0, 2), (6, 8)], [(2, 6)]), apart([(0, 3)], [(2, 6)])
    (True, False)
    """
    if max(len(some), len(others)) >= RUNS:
        return False
    every = sorted((*some, *others))
    return all(left[1] <= right[0] for left, right in itertools.pairwise(every))


def taken(part: Part, blocks: NDArray[np.intp], k: int) -> Evidence:
    """Copy some blocks of k elements out of a run, by their numbers in it."""
    per_row, columns = part.scales.shape[1], part.x.shape[1]
    row, along = blocks // per_row, blocks % per_row
    lane = along[:, None] * k + np.arange(k)
    inside = lane < columns
    where = row[:, None], np.minimum(lane, columns - 1)
    x = np.where(inside, part.x[where], part.x.dtype.type(0))
    codes = np.where(inside, part.codes[where], np.uint8(0))
    return Evidence(blocks, x, codes, part.scales[row, along])


def survivors(unit: Unit, some: list[tuple[int, int]]) -> list[Candidate]:
    """Return the candidates that hold in all of some stretches of rows.

    Most fall at the first stretch, and are not asked again.
    """
    quantized = pairs.open_in(unit.token, unit.quantized)
    source = pairs.open_in(unit.token, unit.source)
    alive = unit.tried
    for start, stop in some:
        if not alive:
            break
        part = pairs.read(unit.pair, quantized, source, start, stop)
        work = work_on(unit.pair, part, alive, with_stats=False)
        alive = tuple(c for c, t in zip(alive, work.tallies, strict=True) if not t.blocks)
    return list(alive)


def sample(unit: Unit, stretches: list[tuple[int, int]]) -> tuple[list[Tally], Stats, Evidence]:
    """Compare some stretches of rows with each candidate, and keep blocks of them."""
    quantized = pairs.open_in(unit.token, unit.quantized)
    source = pairs.open_in(unit.token, unit.source)
    tallies = [Tally() for _ in unit.tried]
    stats, kept = Stats(), []
    for start, stop in stretches:
        part = pairs.read(unit.pair, quantized, source, start, stop)
        work = work_on(unit.pair, part, unit.tried, with_stats=True)
        for tally, more in zip(tallies, work.tallies, strict=True):
            tally.merge(more)
        stats.merge(work.stats)
        some = spread(np.arange(part.scales.size), max(1, 2048 // len(stretches)))
        each = taken(part, some, block_length(unit.pair.found.format))
        kept.append(
            Evidence(start * unit.pair.blocks + each.blocks, each.x, each.codes, each.scales)
        )
    return tallies, stats, Evidence.joined(kept, 4096)


def stretches(pair: Pair, elements: int, count: int = 8) -> list[tuple[int, int]]:
    """Choose stretches of rows from all over a tensor, both ends among them."""
    every = pairs.runs(pair, max(1, elements // count))
    at = spread(np.arange(len(every)), count)
    return [every[int(i)] for i in at]
