"""A number line as text: 80 columns, one character a column."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from mxref.show._code_view import hexadecimal
from mxref.show._paint import Mark
from mxref.show._text import short

if TYPE_CHECKING:
    from mxref.show.numberline._line import NumberLine, Point

__all__ = ["LABEL_WIDTH", "draw", "exponent_of", "marks", "ranked"]

_INDENT = 2
_SPAN = 73  # columns of the line: 72 steps, which halves, thirds and quarters divide evenly
_ROOM = 77  # labels may stand out a little
_MIDDLE = 6  # columns between two values, from which on their midpoint is drawn
LABEL_WIDTH = 9  # of a value; a longer decimal is written m*2^e
_MANY = 40  # values, of which a logarithmic line then names the powers of two
_LEGEND = {
    "0": "zero",
    "|": "value",
    ":": "subnormal",
    "'": "midpoint",
    "#": "several values",
}


def column(line: NumberLine, value: Fraction) -> int:
    """Return the column of a number on the line, 0 to 72; beyond the ends it is outside."""
    if line.is_log:
        if value <= 0:
            return -1
        share = _log(value / line.low) / _log(line.high / line.low)
        return round(share * (_SPAN - 1))
    return round((value - line.low) / (line.high - line.low) * (_SPAN - 1))


def _log(ratio: Fraction) -> float:
    """Return a logarithm, also of a ratio that float64 takes for 1, or for infinity."""
    if Fraction(1, 2) < ratio < 2:
        return math.log1p(ratio - 1)
    return math.log(ratio.numerator) - math.log(ratio.denominator)


def draw(line: NumberLine) -> list[str]:
    """Return the lines of the drawing."""
    axis = _axis(line)
    lines = [line.title]
    if line.code is not None:
        value = line.book.number(line.code).value
        at = column(line, value)
        if 0 <= at < _SPAN:
            text = f"v {hexadecimal(line.code, line.book)} = {short(value)}"
            if at + len(text) > _ROOM:
                text = f"{hexadecimal(line.code, line.book)} = {short(value)} v"
                at -= len(text) - 1
            lines.append(" " * (_INDENT + at) + text)
    lines.append(" " * _INDENT + axis)
    if not line.points:
        return [*lines, *_taken_lines(line), *_beside(line)]
    values = [(column(line, p.value), short(p.value, LABEL_WIDTH)) for p in ranked(line)]
    digits = -(-line.book.bits // 4)
    codes = [(column(line, p.value), f"{p.code:0{digits}x}") for p in ranked(line)]
    lines += [_labels(values), _labels(codes)]
    lines += _taken_lines(line)
    used = [f"{sign} {words}" for sign, words in _LEGEND.items() if sign in axis]
    lines.append(" " * _INDENT + "   ".join(used))
    return lines


def _beside(line: NumberLine) -> list[str]:
    """Name the nearest values of a line on which there are none."""
    near: dict[str, tuple[Fraction, int]] = {}
    for value, code in line.book.reals():
        where = "below" if value < line.low else "above"
        known = near.get(where)
        if known is None or abs(value - line.low) < abs(known[0] - line.low):
            near[where] = (value, code)
    lines = [" " * _INDENT + f"no value of {line.name} lies on this line"]
    for where in sorted(near, reverse=True):
        value, code = near[where]
        shown = hexadecimal(code, line.book)
        lines.append(" " * _INDENT + f"nearest {where}: {short(value)} = code {shown}")
    return lines


def _axis(line: NumberLine) -> str:
    cells = ["-"] * _SPAN
    places = [column(line, point.value) for point in line.points]
    for (a, b), (left, right) in zip(
        itertools.pairwise(line.points),
        itertools.pairwise(places),
        strict=True,
    ):
        if line.code is not None and right - left >= _MIDDLE:
            cells[column(line, (a.value + b.value) / 2)] = "'"
    for point, at in zip(line.points, places, strict=True):
        cells[at] = _sign(point) if cells[at] in "-'" else "#"
    return "".join(cells)


def _sign(point: Point) -> str:
    if not point.value:
        return "0"
    return ":" if point.is_subnormal else "|"


def ranked(line: NumberLine) -> list[Point]:
    """The points that deserve a label, the first most: of many values the round ones only."""

    def rank(point: Point) -> tuple[int, int, Fraction]:
        if point.code == line.code:
            return 0, 0, Fraction(0)
        if not point.value:  # before the ends, which share its column where the line is long
            return 1, 0, Fraction(0)
        if point in (line.points[0], line.points[-1]):
            return 2, 0, Fraction(0)
        exponent = exponent_of(point.value)
        if exponent is None:
            return 4, 0, abs(point.value)
        return 3, -(exponent & -exponent or 1 << 16), abs(point.value)

    found = sorted(line.points, key=rank)
    is_crowded = line.is_log and len(found) > _MANY
    return [point for point in found if rank(point)[0] < 4] if is_crowded else found


def exponent_of(value: Fraction) -> int | None:
    """Return e of a power of two with any sign, else None.

    Examples
    --------
    >>> exponent_of(Fraction(-1, 8)), exponent_of(Fraction(3))
    (-3, None)
    """
    numerator, denominator = abs(value.numerator), value.denominator
    is_power = numerator and not numerator & (numerator - 1) and not denominator & (denominator - 1)
    return numerator.bit_length() - denominator.bit_length() if is_power else None


def _labels(wanted: Iterable[tuple[int, str]]) -> str:
    """Write labels below their columns; what has no room is left out."""
    cells = [" "] * _ROOM
    for at, text in wanted:
        start = min(max(at - (len(text) - 1) // 2, 0), _ROOM - len(text))
        around = cells[max(start - 1, 0) : start + len(text) + 1]
        if not "".join(around).strip():
            cells[start : start + len(text)] = text
    return (" " * _INDENT + "".join(cells)).rstrip()


def _taken_lines(line: NumberLine) -> list[str]:
    """Underline the numbers that become the code: a bracket where the end belongs to them."""
    lines = []
    for taken in line.taken:
        interval = taken.interval
        left = 0 if interval.low is None else column(line, interval.low)
        right = _SPAN - 1 if interval.high is None else column(line, interval.high)
        left, right = max(left, 0), min(right, _SPAN - 1)
        text = f"takes {interval}, {taken.why}"
        if left < right:
            cells = ["="] * (right - left + 1)
            if interval.low is not None and interval.low >= line.low:
                cells[0] = "[" if interval.low_closed else "("
            if interval.high is not None and interval.high <= line.high:
                cells[-1] = "]" if interval.high_closed else ")"
            lines.append(" " * (_INDENT + left) + "".join(cells))
        lines.append(" " * _INDENT + text)
    return lines


_STYLES = {"|": "good", ":": "flushed", "0": "title", "'": "guard", "#": "good"}


def marks(line: NumberLine, lines: Sequence[str]) -> Iterator[Mark]:
    """Say what the characters of a drawing are."""
    yield Mark(0, 0, len(lines[0]), "title")
    has_marker = len(lines) > 1 and line.code is not None and " = " in lines[1]
    if has_marker:
        yield Mark(1, len(lines[1]) - len(lines[1].lstrip()), len(lines[1]), "amax")
    axis = 1 + has_marker
    for at, sign in enumerate(lines[axis]):
        if sign in _STYLES:
            yield Mark(axis, at, at + 1, _STYLES[sign])
    for at, text in enumerate(lines):
        body = text.strip()
        if body.startswith("takes "):
            yield Mark(at, _INDENT, _INDENT + len("takes"), "label")
        elif at > axis and "==" in body:
            yield Mark(at, len(text) - len(body), len(text), "scale")
    if line.points:
        yield Mark(len(lines) - 1, 0, len(lines[-1]), "label")
