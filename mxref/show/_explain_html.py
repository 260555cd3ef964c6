"""The table of a block for notebooks: bits on hover, amax, saturated and lost elements marked."""

from __future__ import annotations

import html
from collections.abc import Sequence

from mxref.show._paint import STYLES, Mark, markup

__all__ = ["Row", "block_html"]

Row = tuple[tuple[str, ...], str, tuple[str, ...], str]
"""The cells of a line, what it says when pointed at, its flags, and the text of the flags."""

_LOOKS = {"amax": "amax", "overflow": "saturated", "to zero": "flushed", "nan": "nan", "inf": "nan"}
_CELL = "padding:1px 8px;text-align:right;border-bottom:1px solid rgba(128,128,128,.3)"
_LEFT = "padding:1px 8px;text-align:left;border-bottom:1px solid rgba(128,128,128,.3)"


def block_html(
    lines: Sequence[str], marks: Sequence[Mark], head: Sequence[str], rows: Sequence[Row]
) -> str:
    """Return the steps as text and the elements as a table; styles are written in place.

    Examples
    --------
    >>> found = block_html(["a"], [], ["i", "code"], [(("0", "0x7"), "0 | 11 | 1", (), "")])
    >>> 'title="0 | 11 | 1"' in found, found.startswith("<pre")
    (True, True)
    """
    names = "".join(f'<th style="{_CELL}">{html.escape(name)}</th>' for name in (*head, ""))
    body = "".join(map(_line, rows))
    table = (
        '<table class="mxref" style="border-collapse:collapse;font-family:monospace;color:inherit">'
        f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    )
    return markup(lines, marks) + table


def _line(row: Row) -> str:
    cells, title, flags, words = row
    looks = [STYLES[_LOOKS[flag]].css for flag in flags if flag in _LOOKS]
    style = ";".join(looks)
    texts = "".join(f'<td style="{_CELL};{style}">{html.escape(cell)}</td>' for cell in cells)
    last = f'<td style="{_LEFT};{style}">{html.escape(words)}</td>'
    return f'<tr title="{html.escape(title)}">{texts}{last}</tr>'
