"""`numberline`: which part of a format is drawn, and what is on it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from typing import SupportsIndex

from mxref._policy_base import Choices
from mxref.formats import BlockFormat
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.show._asked import asked_for, policy_text
from mxref.show._books import Book
from mxref.show._code_view import hexadecimal
from mxref.show._errors import ArgumentError
from mxref.show._find import AnyFormat, book_of, find
from mxref.show._paint import Mark
from mxref.show._takes import Taken, takes_of
from mxref.show._text import View, ratio, short
from mxref.show.codes import checked_code
from mxref.show.numberline import _drawing

__all__ = ["NumberLine", "Point", "numberline"]

_WIDE = 128  # the least ratio of largest to smallest value that is drawn on a logarithmic line
_AROUND = 4  # values on either side of a code

Real = Fraction | int | float | str


@dataclass(frozen=True, slots=True)
class Point:
    """A value of the format on the line, with the smallest of its codes."""

    value: Fraction
    code: int
    is_subnormal: bool


@dataclass(frozen=True, slots=True, repr=False)
class NumberLine(View):
    """A part of the number line with the values of a format on it.

    Attributes
    ----------
    name : str
        Name of the format.
    low, high : Fraction
        Ends of the line.
    is_log : bool
        Whether equal ratios are equally long, instead of equal differences.
    points : tuple of Point
        The values of the format on it, in ascending order.
    code : int or None
        The code in the middle of interest.
    taken : tuple of Taken
        The real numbers that become this code.
    policy_name : str
        Whose rules those are, where it is not the default; else empty.
    """

    book: Book
    low: Fraction
    high: Fraction
    is_log: bool
    points: tuple[Point, ...]
    code: int | None
    taken: tuple[Taken, ...]
    policy_name: str = ""

    @property
    def name(self) -> str:
        """Name of the format."""
        return self.book.name

    @property
    def title(self) -> str:
        """What is drawn, in one line."""
        kind = "logarithmic" if self.is_log else "linear"
        policy = f", policy {self.policy_name}" if self.policy_name else ""
        around = "" if self.code is None else f" around {hexadecimal(self.code, self.book)}"
        return f"{self.name}{around}, from {short(self.low)} to {short(self.high)}, {kind}{policy}"

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw it as a picture; needs the extra ``plot``.

        Parameters
        ----------
        path : str or path-like
            Ends in .svg, .png or .pdf. The same line gives the same bytes.

        Raises
        ------
        ValueError
            If it ends in something else.
        ModuleNotFoundError
            If matplotlib is not installed.
        """
        from mxref.show.numberline import _plot

        _plot.plot(self, path)

    def _lines(self) -> list[str]:
        return _drawing.draw(self)

    def _marks(self, lines: Sequence[str]) -> Iterable[Mark]:
        return _drawing.marks(self, lines)

    def to_dict(self) -> dict[str, object]:
        """Return what is on the line; exact numbers are strings ``p/q``."""
        return {
            "format": self.name,
            "low": ratio(self.low),
            "high": ratio(self.high),
            "log": self.is_log,
            "code": self.code,
            **({"policy": self.policy_name} if self.policy_name else {}),
            "takes": [{**t.interval.to_dict(), "why": t.why} for t in self.taken],
            "points": [
                {"value": ratio(p.value), "code": p.code, "subnormal": p.is_subnormal}
                for p in self.points
            ],
        }


def numberline(
    format: str | AnyFormat | Book,  # noqa: A002 - the public name
    code: SupportsIndex | str | None = None,
    *,
    low: Real | None = None,
    high: Real | None = None,
    log: bool | None = None,
    policy: Choices | str | None = None,
) -> NumberLine:
    """Draw the values of a format on a line.

    Parameters
    ----------
    format : str or a format
        An element or scale format, or a BDR format, of which the elements are drawn.
    code : int or str, optional
        A code to look at: the line then shows its neighbours, and the numbers that become it.
    low, high : real number or str, optional
        Ends of the line. Text may be a ratio, ``"1/3"``. Default: the neighbours of `code`, or
        all values.
    log : bool, optional
        A logarithmic line, of positive numbers. Default: if the values span a ratio of 128 or more
        and neither `code` nor an end is given.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        Whose rules say which numbers become `code`; default as in `mxref.show`.

    Returns
    -------
    NumberLine
        ``str()`` draws it with 80 columns of text, ``plot(path)`` as a picture.

    Raises
    ------
    ValueError
        If format, code or policy are unknown, the code is no number, or the ends make no line.
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> print(numberline("e2m1", low=0))
    e2m1, from 0 to 6, linear
      0-----:-----|-----|-----|-----------|-----------|-----------------------|
      0    0.5    1    1.5    2           3           4                       6
      0     1     2     3     4           5           6                       7
      0 zero   | value   : subnormal
    """
    found = format if isinstance(format, Book) else find(format)
    if isinstance(found, BlockFormat | NVFP4Format):
        scale = "ue4m3" if isinstance(found, NVFP4Format) else found.scale.name
        raise ValueError(  # noqa: TRY004  # a format, but none with values of its own
            f"{found.name!r} is a block format: draw its element {found.element.name!r} or its "
            f"scale {scale!r}"
        )
    book = book_of(found) if isinstance(found, BDRFormat) else found
    chosen = book.get_policy(policy)
    points = _points(book)
    pattern = None if code is None else checked_code(book, code)
    if pattern is not None and not book.is_real(pattern):
        cls = book.cls(pattern)
        raise ValueError(f"{hexadecimal(pattern, book)} of {book.name} is {cls}, on no line")
    taken = () if pattern is None else takes_of(pattern, book, chosen)
    positive = [point.value for point in points if point.value > 0]
    if log is None:
        is_wide = positive[-1] / positive[0] >= _WIDE
        log = is_wide and pattern is None and low is None and high is None
    first, last = _ends(book, pattern, taken, [point.value for point in points])
    start = (positive[0] if log and first <= 0 else first) if low is None else _real(low, "low")
    stop = last if high is None else _real(high, "high")
    if log and start <= 0:
        what = "a logarithmic line begins above zero, got"
        raise ArgumentError(f"{what} low={low}: try log=False", f"{what} --low {low}: try --linear")
    if start >= stop:
        ends = (short(start), short(stop))
        raise ArgumentError(
            "a line goes upward, got low={} and high={}".format(*ends),
            "a line goes upward, got --low {} and --high {}".format(*ends),
        )
    asked = asked_for(policy, chosen)
    is_named = pattern is not None and (asked is not None or chosen != book.get_policy(None))
    name = policy_text(chosen, asked) if is_named else ""
    inside = tuple(point for point in points if start <= point.value <= stop)
    return NumberLine(book, start, stop, log, inside, pattern, taken, name)


def _real(value: Real, name: str) -> Fraction:
    try:
        return Fraction(value)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        raise ValueError(
            f"{name} is {value!r}; expected a finite number such as 0.5 or '1/3'"
        ) from None


@functools.lru_cache(maxsize=32)
def _points(book: Book) -> tuple[Point, ...]:
    found: dict[Fraction, Point] = {}
    for value, code in book.reals():
        if value not in found:
            found[value] = Point(value, code, book.cls(code) == "subnormal")
    return tuple(sorted(found.values(), key=lambda point: point.value))


def _ends(
    book: Book, code: int | None, taken: Sequence[Taken], values: Sequence[Fraction]
) -> tuple[Fraction, Fraction]:
    """Return the ends of a line that shows all of a format, or the neighbours of a code."""
    if code is None:
        return values[0], values[-1]
    at = values.index(book.number(code).value)
    first, last = values[max(0, at - _AROUND)], values[min(len(values) - 1, at + _AROUND)]
    ends = [end for t in taken for end in (t.interval.low, t.interval.high) if end is not None]
    near = [end for end in ends if 2 * first - last <= end <= 2 * last - first]
    return min([first, *near]), max([last, *near])
