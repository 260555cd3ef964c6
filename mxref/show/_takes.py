"""Which real numbers become which code: the number line, cut where the code changes.

Under a policy without random bits the code of a number can change at few places only: at the values
of the format, half way between them, and where overflow begins. So the definition is asked once at
each such place and once between any two, and what follows is true of every real number.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from mxref._policy_base import Choices
from mxref.exact.number import Number
from mxref.show._books import Book
from mxref.show._facts import Interval

__all__ = ["Taken", "takes", "takes_of"]


class Taken(NamedTuple):
    """Consecutive real numbers that become one code for one reason.

    Attributes
    ----------
    interval : Interval
        The numbers.
    why : str
        ``"rounding"``, ``"overflow"``, ``"underflow"``, ``"flush"``, ``"relu"`` or ``"negative"``.
    """

    interval: Interval
    why: str


class _Cell(NamedTuple):
    """One point of the line, or the open stretch between two."""

    low: Fraction | None
    high: Fraction | None
    inside: Fraction

    @property
    def is_point(self) -> bool:
        return self.low == self.high


@functools.lru_cache(maxsize=32)
def takes(book: Book, policy: Choices) -> Mapping[int, tuple[Taken, ...]]:
    """Return for each code the real numbers that become it; in ascending order.

    Numbers that the policy refuses are in none. Under a stochastic rounding there is no answer, and
    the result is empty.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> from mxref.show._books import ElementBook
    >>> e2m1 = ElementBook(ELEMENT_FORMATS["e2m1"])
    >>> [(str(i), why) for i, why in takes(e2m1, Policy())[7]]
    [('(5, 7)', 'rounding'), ('[7, +inf)', 'overflow')]
    """
    return {} if book.is_random(policy) else _gathered(book, policy, _cells(book, policy))


def takes_of(code: int, book: Book, policy: Choices) -> tuple[Taken, ...]:
    """Return what `takes` has for one code, sooner: only around its value is the line looked at.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> from mxref.policy import Policy
    >>> from mxref.show._books import ElementBook
    >>> str(takes_of(0x3A, ElementBook(ELEMENT_FORMATS["e4m3"]), Policy())[0].interval)
    '[1.1875, 1.3125]'
    """
    if book.is_random(policy):
        return ()
    # Zero takes what is flushed, NaN and Inf what overflows, on both sides.
    if not (book.is_local(policy) and book.is_real(code) and book.number(code).value):
        return takes(book, policy).get(code, ())
    below, above = book.neighbours(code)
    # What lies beyond the last value becomes the last, or the last but one if that is not used.
    low = below.value if below and book.neighbours(below.code)[0] else None
    high = above.value if above and book.neighbours(above.code)[1] else None
    cells = _cells(book, policy)
    start = 0 if low is None else bisect.bisect_left(cells, low, key=_inside)
    stop = len(cells) if high is None else bisect.bisect_right(cells, high, key=_inside)
    near = cells[start:stop]
    return _gathered(book, policy, near).get(code, ())


def _gathered(book: Book, policy: Choices, cells: Iterable[_Cell]) -> dict[int, tuple[Taken, ...]]:
    """Join the cells that have the same code for the same reason."""
    found: dict[int, list[Taken]] = {}
    for key, group in itertools.groupby(cells, lambda cell: _answer(book, cell.inside, policy)):
        if key is not None:
            code, why = key
            found.setdefault(code, []).append(Taken(_interval(list(group)), why))
    return {code: tuple(taken) for code, taken in found.items()}


@functools.lru_cache(maxsize=32)
def _cells(book: Book, policy: Choices) -> tuple[_Cell, ...]:
    positive = sorted(book.points(policy))
    points = [*(-point for point in reversed(positive)), Fraction(0), *positive]
    cells = [_Cell(None, points[0], 2 * points[0])]
    for low, high in itertools.pairwise(points):
        cells += [_Cell(low, low, low), _Cell(low, high, (low + high) / 2)]
    cells.append(_Cell(points[-1], points[-1], points[-1]))
    cells.append(_Cell(points[-1], None, 2 * points[-1]))
    return tuple(cells)


def _inside(cell: _Cell) -> Fraction:
    return cell.inside


def _answer(book: Book, value: Fraction, policy: Choices) -> tuple[int, str] | None:
    number = Number.finite(value)
    try:
        code = book.encode(number, policy)
    except ValueError:
        return None
    return code, book.reason(number, code, policy)


def _interval(run: list[_Cell]) -> Interval:
    first, last = run[0], run[-1]
    return Interval(first.low, last.high, first.is_point, last.is_point)
