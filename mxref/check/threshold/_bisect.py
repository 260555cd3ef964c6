"""Finds where a function of float32 numbers changes its answer, to the last bit and in few calls.

A call of somebody's kernel is expensive and its size is not, so a search does not halve: each call
cuts every open gap into as many pieces as the budget allows. What changes and changes back between
two points of the first call is not seen; the grid is dense, and callers add landmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUDGET", "Course", "Span", "courses"]

BUDGET = 1 << 17
"""Numbers in a call."""

_CALLS = 8
_MOST_STEPS = 12  # a function with more of them has no threshold worth a call

Answer = Callable[[NDArray[np.intp], NDArray[np.uint32]], NDArray[np.int64]]
"""Numbers of spans and bits of float32 numbers to what was observed there."""


@dataclass(frozen=True, slots=True)
class Span:
    """Positive float32 numbers between two, both included, as bits.

    `landmarks` are looked at in the first call whatever the grid is.
    """

    low: int
    high: int
    landmarks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """What a function does along a span: `values[i]` from `starts[i]` on, up to the next start.

    Attributes
    ----------
    starts : tuple of int
        Bits; the first is the low end of the span.
    values : tuple of int
    is_exact : bool
        Whether each start is the very first number of its value; False where the function changes
        too often to be followed.
    """

    starts: tuple[int, ...]
    values: tuple[int, ...]
    is_exact: bool = True

    @property
    def step(self) -> int | None:
        """Where it steps, if it does so once."""
        return self.starts[1] if len(self.starts) == 2 else None


def courses(answer: Answer, spans: Sequence[Span], budget: int = BUDGET) -> list[Course]:
    """Follow a function along spans, all of them in the same calls.

    Parameters
    ----------
    answer : callable
        ``answer(numbers of spans, bits)`` returns what is observed, one integer each.
    spans : sequence of Span
    budget : int
        Numbers in a call, at most.

    Examples
    --------
    >>> def is_beyond(_, bits):
    ...     return (bits.view(np.float32) > 1.3).astype(np.int64)
    >>> course, = courses(is_beyond, [Span(0x3F800000, 0x40000000)])
    >>> hex(course.step), course.values
    ('0x3fa66667', (0, 1))
    """
    searches = [_Search(span) for span in spans]
    for _ in range(_CALLS):
        gaps = [(i, gap) for i, search in enumerate(searches) for gap in search.open_gaps()]
        owners, points = _landmarks(searches)
        room = max(2 * len(gaps), budget - sum(map(len, points)))
        for (owner, _), inside in zip(gaps, _cut([gap for _, gap in gaps], room), strict=True):
            points.append(inside)
            owners.append(owner)
        if not sum(map(len, points)):
            break
        of = np.concatenate(
            [np.full(len(p), i, np.intp) for i, p in zip(owners, points, strict=True)]
        )
        bits = np.concatenate(points)
        seen = answer(of, bits)
        for i, search in enumerate(searches):
            mine = of == i
            if mine.any():
                search.add(bits[mine], seen[mine])
    return [search.course() for search in searches]


def _landmarks(searches: list[_Search]) -> tuple[list[int], list[NDArray[np.uint32]]]:
    taken = [(i, search.take_landmarks()) for i, search in enumerate(searches)]
    some = [(i, np.array(bits, np.uint32)) for i, bits in taken if bits]
    return [i for i, _ in some], [bits for _, bits in some]


def _cut(gaps: list[tuple[int, int]], room: int) -> list[NDArray[np.uint32]]:
    """Points inside gaps, evenly spread; the room that short gaps leave goes to the long ones."""
    sizes = np.array([high - low - 1 for low, high in gaps])
    counts = np.zeros(len(gaps), np.int64)
    left = room
    for place, i in enumerate(np.argsort(sizes, kind="stable")):
        counts[i] = min(int(sizes[i]), max(1, left // (len(gaps) - place)))
        left -= int(counts[i])
    return [
        # Integers: in float64 a long gap would lose nothing, in float32 everything.
        (low + (high - low) * np.arange(1, n + 1) // (n + 1)).astype(np.uint32)
        for (low, high), n in zip(gaps, counts, strict=True)
    ]


class _Search:
    """One span, and what has been seen of it."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.bits: NDArray[np.int64] = np.empty(0, np.int64)
        self.values: NDArray[np.int64] = np.empty(0, np.int64)
        inside = (b for b in span.landmarks if span.low < b < span.high)
        self._pending: list[int] = sorted({span.low, span.high, *inside})

    def take_landmarks(self) -> list[int]:
        """The points to be looked at in the first call, once."""
        pending, self._pending = self._pending, []
        return pending

    def _changes(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.values[1:] != self.values[:-1])

    def open_gaps(self) -> list[tuple[int, int]]:
        """Between which neighbouring points something changes that is not yet pinned."""
        if not len(self.bits):
            return [(self.span.low, self.span.high)] if self.span.high > self.span.low + 1 else []
        at = self._changes()
        if len(at) > _MOST_STEPS:
            return []
        pairs = ((int(self.bits[i]), int(self.bits[i + 1])) for i in at)
        return [(low, high) for low, high in pairs if high - low > 1]

    def add(self, bits: NDArray[np.uint32], values: NDArray[np.int64]) -> None:
        """Enter what was seen."""
        every = np.concatenate([self.bits, bits.astype(np.int64)])
        self.bits, first = np.unique(every, return_index=True)
        self.values = np.concatenate([self.values, values.astype(np.int64)])[first]

    def course(self) -> Course:
        """Return what is known."""
        at = self._changes()
        starts = (int(self.bits[0]), *(int(self.bits[i + 1]) for i in at))
        values = (int(self.values[0]), *(int(self.values[i + 1]) for i in at))
        return Course(
            starts, values, is_exact=not any(self.bits[i + 1] - self.bits[i] > 1 for i in at)
        )
