"""The values of a format as a table: exponents as rows, mantissas as columns; in text and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from mxref._styles import STYLES
from mxref.show._books import Book
from mxref.show._code_view import FIELD_STYLES, CodeView, cell_text, hexadecimal
from mxref.show._paint import Mark
from mxref.show._text import WIDTH, columns, joined

__all__ = ["html_table", "table_lines", "table_marks"]

_CLASS_STYLES = {"subnormal": "flushed", "NaN": "nan", "Inf": "nan"}
_CELL = "border:1px solid rgba(128,128,128,.35);padding:2px 7px;text-align:right"
_HEAD = f"{_CELL};font-weight:normal"
_ACROSS = 16  # columns of the HTML table of a format without exponents


class _Cell(NamedTuple):
    """A piece of a table and what it is."""

    text: str
    style: str | None = None


def table_lines(views: Sequence[CodeView], book: Book) -> list[str]:
    """Return all codes with their values, in 80 columns of text."""
    rows = _float_rows(views)
    if rows is None:
        width = -(-book.bits // 4)
        return columns([f"{view.code:0{width}x} {cell_text(view)}" for view in views])
    widths = _widths(rows)
    lines = [_line(row, widths) for row in rows]
    return [*lines, *_mirror(views, book)]


def table_marks(views: Sequence[CodeView], first: int, lines: Sequence[str]) -> Iterator[Mark]:
    """Say what the parts of these lines are; they begin at line `first`."""
    rows = _float_rows(views)
    if rows is None:
        for at, line in enumerate(lines[first:], start=first):
            for found in re.finditer(r"-?(?:NaN|Inf)\b", line):
                yield Mark(at, *found.span(), "nan")
        return
    widths = _widths(rows)
    for at, row in enumerate(rows, start=first):
        start = 2
        for cell, width in zip(row, widths, strict=True):
            if cell.style is not None:
                yield Mark(at, start, start + len(cell.text), cell.style)
            start += width + 1


def _float_rows(views: Sequence[CodeView]) -> list[list[_Cell]] | None:
    """A row for each exponent of the numbers without a sign; None if there are no exponents."""
    names = [name for name, _ in views[0].fields]
    if names[1:] != ["exponent", "mantissa"]:
        return None
    across = 1 << len(views[0].fields[2][1])
    positive = [view for view in views if view.fields[0][1] == "0"]
    digits = -(-views[0].book.bits // 4)
    header = [_Cell("", None), _Cell("exp", "label"), _Cell("", None)]
    header += [_Cell(view.fields[2][1], "mantissa") for view in positive[:across]]
    rows = [header]
    room = (WIDTH - 2 - digits - 1 - len(views[0].fields[1][1]) - 1 - 6) // across - 1
    for start in range(0, len(positive), across):
        row = positive[start : start + across]
        texts = _texts(row, room)
        field = row[0].fields[1][1]
        exponent = max(int(field, 2), 1) - row[0].book.bias
        cells = [
            _Cell(f"{row[0].code:0{digits}x}", "label"),
            _Cell(field, "exponent"),
            _Cell(f"2^{exponent}", "label"),
        ]
        for view, text in zip(row, texts, strict=True):
            cells.append(_Cell(text, _CLASS_STYLES.get(view.cls)))
        rows.append(cells)
    return rows


def _texts(row: Sequence[CodeView], room: int) -> list[str]:
    """Write the values of a row in one way: as decimals if all of them fit, else in steps."""
    decimals = [cell_text(view) for view in row]
    if max(map(len, decimals)) <= room and not any("^" in text for text in decimals):
        return decimals
    # Within a row neighbours are one step apart: so the numbers before it count upward.
    mantissa = len(row[0].fields[2][1])
    exponent = max(int(row[0].fields[1][1], 2), 1) - row[0].book.bias - mantissa
    step = Fraction(2) ** exponent
    return [
        f"{view.value / step}*2^{exponent}" if view.value else text
        for view, text in zip(row, decimals, strict=True)
    ]


def _widths(rows: Sequence[Sequence[_Cell]]) -> list[int]:
    """Columns as wide as their widest cell; the values a little apart where there is room."""
    widths = [max(len(row[i].text) for row in rows) for i in range(len(rows[0]))]
    free = WIDTH - 2 - sum(widths) - len(widths)
    gap = min(3, max(0, free // len(widths)))
    return [width if i < 2 else width + gap for i, width in enumerate(widths)]


def _line(row: Sequence[_Cell], widths: Sequence[int]) -> str:
    cells = (cell.text.ljust(width) for cell, width in zip(row, widths, strict=True))
    return ("  " + " ".join(cells)).rstrip()


def _mirror(views: Sequence[CodeView], book: Book) -> list[str]:
    negative = [view for view in views if view.fields[0] == ("sign", "1")]
    if not negative:
        return []
    first, last = negative[0].code, negative[-1].code
    return [f"  {hexadecimal(first, book)} to {hexadecimal(last, book)}: the same, negative"]


def html_table(views: Sequence[CodeView]) -> str:
    """Return a table for notebooks: a value in each cell, its code and bits on hover."""
    (first, *others) = (name for name, _ in views[0].fields)
    is_float = others == ["exponent", "mantissa"]
    if is_float:
        across = 1 << len(views[0].fields[2][1])
        names = f"{_coloured(first, first)} {_coloured('exponent', 'exponent')}"
        head = [names, *(_coloured(view.fields[2][1], "mantissa") for view in views[:across])]
    else:
        across = min(_ACROSS, len(views))
        head = ["", *(f"_{view.code:x}" for view in views[:across])]
    rows = ["".join(f'<th style="{_HEAD}">{text}</th>' for text in head)]
    for start in range(0, len(views), across):
        row = views[start : start + across]
        label = f"{row[0].code // across:x}_"
        if is_float:
            label = " ".join(_coloured(bits, name) for name, bits in row[0].fields[:2])
        cells = "".join(_html_cell(view) for view in row)
        rows.append(f'<th style="{_HEAD}">{label}</th>{cells}')
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    style = "border-collapse:collapse;font-family:monospace;font-size:12px"
    return f'<table class="mxref-format" style="{style}">{body}</table>'


def _coloured(text: str, field: str) -> str:
    return f'<span style="{STYLES[FIELD_STYLES[field]].css}">{html.escape(text)}</span>'


def _html_cell(view: CodeView) -> str:
    bits = " ".join(f"{bits} ({name})" for name, bits in view.fields)
    value = joined(view.value) if view.value else cell_text(view)
    title = html.escape(f"{hexadecimal(view.code, view.book)}: {bits}; {view.cls}, {value}")
    style = STYLES[_CLASS_STYLES[view.cls]].css if view.cls in _CLASS_STYLES else ""
    text = html.escape(cell_text(view))
    return f'<td style="{_CELL};{style}" title="{title}">{text}</td>'
