"""Colour over plain text: the text says everything, and marks add meaning to parts of it.

A view gives its lines as plain text; `Mark` says what a stretch of one line is. From both come the
text for a terminal (ANSI colours) and for a notebook (HTML). Nothing is ever said by colour alone.
"""

from __future__ import annotations

import html
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple

from mxref._styles import PRE, STYLES, Style

__all__ = ["STYLES", "Mark", "Style", "ansi", "common_marks", "markup", "wants_colour"]


# A label begins at column 2 and ends before two spaces, before column 12, or with its first word.
_LABEL = re.compile(r"  \S(?:.{0,8}\S)??(?=  )|  \S(?:.{0,8}\S)?(?= )(?<=^.{12})|  \S{1,10}(?= )")
_CLAUSE = re.compile(r"\[[A-Z0-9][A-Za-z0-9.]*[-/][A-Za-z0-9./-]+\]")


class Mark(NamedTuple):
    """What columns `start` to `stop` of line `line` are, a key of `STYLES`."""

    line: int
    start: int
    stop: int
    style: str


def common_marks(lines: Sequence[str]) -> Iterator[Mark]:
    """Mark what every view has: a title, labels in front of lines, clauses in brackets.

    Examples
    --------
    >>> list(common_marks(["e2m1 code 0x7", "  class      normal  [MX-1.0/5.3/fp4]"]))[1:]
    [Mark(line=1, start=2, stop=7, style='label'), Mark(line=1, start=21, stop=37, style='clause')]
    """
    for at, line in enumerate(lines):
        if line and not line[0].isspace():
            yield Mark(at, 0, len(line), "title")
        elif found := _LABEL.match(line):
            yield Mark(at, 2, found.end(), "label")
        for clause in _CLAUSE.finditer(line):
            yield Mark(at, *clause.span(), "clause")


def _pieces(line: str, marks: Iterable[Mark]) -> Iterator[tuple[str, str | None]]:
    """Cut a line where the marks begin and end; where two overlap, the later one wins."""
    owner: list[str | None] = [None] * len(line)
    for mark in marks:
        owner[mark.start : mark.stop] = [mark.style] * len(owner[mark.start : mark.stop])
    start = 0
    for at in range(1, len(line) + 1):
        if at == len(line) or owner[at] != owner[start]:
            yield line[start:at], owner[start]
            start = at


def _by_line(marks: Iterable[Mark]) -> dict[int, list[Mark]]:
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        found.setdefault(mark.line, []).append(mark)
    return found


def ansi(lines: Sequence[str], marks: Iterable[Mark]) -> str:
    r"""Return the text with ANSI colours; without them it is the same text.

    Examples
    --------
    >>> ansi(["0 | 11 | 1"], [Mark(0, 0, 1, "sign")])
    '\x1b[31m0\x1b[0m | 11 | 1'
    """
    marked = _by_line(marks)
    return "\n".join(
        "".join(
            text if style is None else f"\x1b[{STYLES[style].sgr}m{text}\x1b[0m"
            for text, style in _pieces(line.rstrip(), marked.get(at, ()))
        )
        for at, line in enumerate(lines)
    )


def markup(lines: Sequence[str], marks: Iterable[Mark]) -> str:
    """Return the text as one HTML ``pre``, for notebooks; styles are written in place.

    Examples
    --------
    >>> markup(["a < b"], [])  # doctest: +ELLIPSIS
    '<pre class="mxref" style="font-family:...;line-height:1.35">a &lt; b</pre>'
    """
    marked = _by_line(marks)
    body = "\n".join(
        "".join(_span(*piece) for piece in _pieces(line.rstrip(), marked.get(at, ())))
        for at, line in enumerate(lines)
    )
    return f'<pre class="mxref" style="{PRE}">{body}</pre>'


def _span(text: str, style: str | None) -> str:
    body = html.escape(text)
    if style is None:
        return body
    return f'<span class="mxref-{style}" style="{STYLES[style].css}">{body}</span>'


def wants_colour(stream: IO[str] | None = None) -> bool:
    """Whether a stream is a terminal whose owner has nothing against colours.

    ``NO_COLOR`` (https://no-color.org) and ``TERM=dumb`` turn them off, ``FORCE_COLOR`` on.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    stream = sys.stdout if stream is None else stream
    is_terminal = getattr(stream, "isatty", lambda: False)
    try:
        return os.environ.get("TERM") != "dumb" and bool(is_terminal())
    except ValueError:  # a closed stream
        return False
