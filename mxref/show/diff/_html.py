"""A difference for a notebook: tables with styles in place, and a map whose cells tell on hover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mxref.show._paint import STYLES, markup
from mxref.show.diff._count import KINDS
from mxref.show.diff._document import code_pairs, histogram
from mxref.show.diff._lines import CLASSES
from mxref.show.diff._place import Place, split
from mxref.show.diff._words import bits, heading, marks, positions, reason, span

if TYPE_CHECKING:
    from mxref.show.diff._difference import Difference

__all__ = ["html"]

_CELLS = 4096  # a map of at most so many elements has a cell for each, with its bits
_SIDE = 11  # pixels
_PAIRS = 8
_BOX = "display:inline-block;vertical-align:top;margin:0 2em 1em 0"
_NUMBER = "text-align:right;padding:1px 8px;font-variant-numeric:tabular-nums"
_NAME = "text-align:left;padding:1px 8px"


def html(found: Difference) -> str:
    """Return the whole as HTML that needs nothing else."""
    text = heading(found)
    parts = [_pre(text)]
    if found.first is not None:
        parts += [_picture(found), _kinds(found), _ulps(found), _classes(found), _pairs(found)]
    if not found.equal:
        parts.append(_pre([*positions(found), *bits(found), *reason(found)]))
    return f'<div class="mxref-diff">{"".join(parts)}</div>'


def _pre(lines: list[str]) -> str:
    return markup(lines, marks(lines))


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Draw a table; cells come escaped, the first of each row names it."""
    top = "".join(
        f'<th style="{_NAME if i == 0 else _NUMBER}">{escape(name)}</th>'
        for i, name in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_NAME if i == 0 else _NUMBER}">{cell}</td>' for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    title = f'<caption style="text-align:left;font-weight:bold">{escape(caption)}</caption>'
    style = f"{_BOX};border-collapse:collapse;color:inherit"
    return f'<table style="{style}">{title}<tr>{top}</tr>{body}</table>'


def _kinds(found: Difference) -> str:
    blocks = found.pair.kind == "blocks"
    head = ("", "same scale", "other scale") if blocks else ("", "elements")
    rows = [
        (escape(name), f"{same:,}", f"{other:,}")[: len(head)]
        for name, same, other in zip(KINDS.values(), *found.tally.kinds.tolist(), strict=True)
        if same or other
    ]
    return _table("kinds", head, rows)


def _ulps(found: Difference) -> str:
    held = histogram(found)
    if not held:
        return ""
    most = max(sum(row[2:]) for row in held)
    rows = []
    for low, high, near, even, far in held:
        total = near + even + far
        wide = max(1, round(120 * total / most))
        css = STYLES["bad"].css.partition(";")[0].replace("color", "background")
        bar = f'<div style="{css};width:{wide}px;height:.8em" title="{total:,}"></div>'
        rows.append((span(low, high), f"{near:,}", f"{even:,}", f"{far:,}", bar))
    head = ("ulps apart", "b nearer 0", "as far", "b farther", "")
    return _table("distance", head, rows)


def _classes(found: Difference) -> str:
    counts = found.tally.classes
    used = [i for i in range(len(CLASSES)) if counts[i].any() or counts[:, i].any()]
    rows = []
    for i in used:
        cells = [escape(CLASSES[i])]
        for j in used:
            n = int(counts[i, j])
            style = STYLES["bad"].css if n and i != j else "opacity:.75" if not n else ""
            title = f"{CLASSES[i]} in a, {CLASSES[j]} in b"
            cells.append(f'<span style="{style}" title="{title}">{n:,}</span>')
        rows.append(cells)
    return _table("classes", ["a \\ b", *(CLASSES[i] for i in used)], rows)


def _pairs(found: Difference) -> str:
    line = found.pair.line
    rows = []
    for a, b, n in code_pairs(found, _PAIRS):
        digits = -(-line.bits // 4)
        cells = [
            f'<code title="{split(code, line.fields)}">0x{code:0{digits}x}</code>'
            for code in (a, b)
        ]
        rows.append((f"{cells[0]} → {cells[1]}", f"{n:,}"))
    return _table("codes, of the same scale", ("a → b", "times"), rows) if rows else ""


# --- the map ----------------------------------------------------------------------------------


def _picture(found: Difference) -> str:
    if found.total <= _CELLS:
        return _elements(found)
    picture = found.map
    if picture is None:
        return ""
    from mxref.check.render.maps import extent

    down, across = picture.cell
    width = found.pair.shape[-1] if found.pair.shape else 1
    height = found.total // width
    cells = []
    for r, row in enumerate(picture.rows):
        for c, share in enumerate(row):
            if share:
                rows = f"rows {r * down}-{min((r + 1) * down, height) - 1}"
                columns = f"columns {c * across}-{min((c + 1) * across, width) - 1}"
                title = f"{rows}, {columns}: {100 * share:.3g} % differ"
                cells.append(_cell(c, r, 0.25 + 0.75 * share, title))
    return _svg(cells, len(picture.rows[0]), len(picture.rows), f"map: {extent(picture)}")


def _elements(found: Difference) -> str:
    """Draw every element; those that differ tell both codes, bits and values on hover."""
    width = found.pair.shape[-1] if found.pair.shape else 1
    across = width if width <= 128 else 64
    cells = []
    for place in found.places(_CELLS):
        row, column = divmod(place.flat, across if width > 128 else width)
        cells.append(_cell(column, row, _weight(place), _hover(found, place)))
    height = math.ceil(found.total / across)
    size = found.pair.block_size
    step = size if size and found.pair.axis == len(found.pair.shape) - 1 else 0
    note = "map: an element a cell, darker where farther apart; hover for codes and values"
    return _svg(cells, across, height, note, step)


def _weight(place: Place) -> float:
    if place.kind in {"same-value", "zero-sign", "nan-bits"}:
        return 0.25
    return 0.55 if place.kind == "ulp-1" else 1.0


def _hover(found: Difference, place: Place) -> str:
    digits = -(-found.pair.line.bits // 4)
    lines = [f"[{', '.join(map(str, place.index))}]"]
    if place.block is not None:
        lines[0] += f" block [{', '.join(map(str, place.block))}], position {place.position}"
    for name, side in (("a", place.a), ("b", place.b)):
        scale = "" if side.scale is None else f" scale 0x{side.scale:02x} = {side.scale_value},"
        lines.append(f"{name}: 0x{side.code:0{digits}x} = {side.bits},{scale} value {side.value}")
    lines.append(KINDS.get(str(place.kind), ""))
    return "\n".join(lines)


def _cell(column: int, row: int, weight: float, title: str) -> str:
    fill = STYLES["bad"].css.partition(";")[0].removeprefix("color:")
    return (
        f'<rect x="{column * _SIDE}" y="{row * _SIDE}" width="{_SIDE - 1}" height="{_SIDE - 1}" '
        f'fill="{fill}" fill-opacity="{weight:.2f}"><title>{escape(title)}</title></rect>'
    )


def _svg(cells: list[str], across: int, down: int, note: str, step: int = 0) -> str:
    wide, high = across * _SIDE, down * _SIDE
    lines = "".join(
        f'<line x1="{x * _SIDE - 0.5}" x2="{x * _SIDE - 0.5}" y1="0" y2="{high}" '
        'stroke="gray" stroke-width="1"/>'
        for x in range(step, across, step or across)
    )
    return (
        f'<figure style="margin:0 0 1em 0"><figcaption>{escape(note)}</figcaption>'
        f'<div style="overflow:auto;max-height:40em"><svg role="img" '
        f'aria-label="{escape(note)}" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}"><rect width="{wide}" height="{high}" fill="gray" '
        f'fill-opacity="0.15"/>{"".join(cells)}{lines}</svg></div></figure>'
    )
