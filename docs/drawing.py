"""Drawings of bytes, as SVG: which bit of which code lies where.

Both kinds are given cells and labels, and know nothing of layouts. Text is drawn in a fixed width
font that every browser has; colours come from a list that people who cannot tell red from green can
tell apart, and every cell has its words as well.
"""

from __future__ import annotations

from html import escape
from itertools import groupby

# Pale, so that black text is legible on each of them.
COLOURS = (
    "#cfe2f3", "#ffe6b3", "#d9ead3", "#f4cccc", "#d9d2e9", "#fff2cc", "#c9e7e4", "#f3d6e4",
)  # fmt: skip
SCALE = "#bfbfbf"
EMPTY = "#ffffff"
STYLE = (
    "text{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#111}"
    ".s{font-size:11px}.t{font-size:10px;fill:#555}"
    "rect{stroke:#444;stroke-width:1}.g{stroke:#999;stroke-width:.5}.b{fill:#fff;stroke:none}"
)


def svg(width, height, title, parts):
    """A picture of some parts, with its title for those who cannot see it."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="b" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
    )


def text(x, y, words, kind="s", anchor="middle"):
    """Words at a place."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _fields(labels):
    """Runs of bits, the highest first, that belong to one field: (field, colour, its bits)."""
    for (field, colour), run in groupby(labels, key=lambda label: label[:2]):
        bits = [bit for _, _, bit in run]
        # Bits that do not descend one by one are no run: each is a cell of its own.
        if not field or [bits[0] - i for i in range(len(bits))] == bits:
            yield field, colour, bits
        else:
            yield from ((field, colour, [bit]) for bit in bits)


def _bit_words(field, bits):
    if not field:
        return ""
    return f"[{bits[0]}:{bits[-1]}]" if len(bits) > 1 else f"[{bits[0]}]"


def strip(title, lines, per_line=4, cell=24):
    """Bytes with their bits, bit 7 of each to the left.

    Parameters
    ----------
    title : str
    lines : list of (str, int, list of bytes)
        A caption, the number of the first byte, and the bytes; a byte is eight of (field, colour,
        bit of the field), its bit 7 first; field "" is padding.
    per_line : int
        Bytes in a line of the picture.
    cell : int
        Width of a bit in pixels.
    """
    gap, left = 12, 8
    width = 2 * left + per_line * 8 * cell + (per_line - 1) * gap
    parts, y = [], 6
    for caption, first, data in lines:
        if caption:
            y += 14
            parts.append(text(left, y, caption, "s", "start"))
            y += 4
        for start in range(0, len(data), per_line):
            y += 14
            for column, byte in enumerate(data[start : start + per_line]):
                x = left + column * (8 * cell + gap)
                number = f"byte {first + start + column}"
                parts.append(text(x + 4 * cell, y - 3, number, "t"))
                at = x
                for field, colour, bits in _fields(byte):
                    wide = len(bits) * cell
                    parts.append(
                        f'<rect x="{at}" y="{y}" width="{wide}" height="24" fill="{colour}"/>'
                    )
                    which, middle = _bit_words(field, bits), at + wide / 2
                    if len(field + which) * 6.7 <= wide:
                        parts.append(text(middle, y + 16, field + which))
                    else:
                        parts.append(text(middle, y + 11, field))
                        parts.append(text(middle, y + 21, which, "t"))
                    at += wide
            y += 32
        y += 4
    return svg(width, y + 4, title, parts)


def grid(title, rows, numbers, note="", cell=(46, 20)):
    """Bytes in rows, each with its words.

    Parameters
    ----------
    title : str
    rows : list of list of (str, colour)
    numbers : list of str
        What stands to the left of each row.
    note : str
        A line above.
    """
    wide, high = cell
    left, top = 12 + 7 * max(map(len, numbers)), 24
    parts = [text(8, 16, note, "s", "start")] if note else []
    for i, row in enumerate(rows):
        y = top + i * high
        parts.append(text(left - 6, y + high - 6, numbers[i], "t", "end"))
        for j, (words, colour) in enumerate(row):
            parts.append(
                f'<rect class="g" x="{left + j * wide}" y="{y}" width="{wide}" height="{high}" '
                f'fill="{colour}"/>'
            )
            parts.append(text(left + (j + 0.5) * wide, y + high - 6, words, "t"))
    width = left + 8 + wide * max(map(len, rows))
    return svg(max(width, 16 + 7 * len(note)), top + len(rows) * high + 8, title, parts)
