"""A view of an array for notebooks: blocks as rows, in plain HTML with the styles in place.

Jupyter and VS Code keep ``style=`` and ``title=`` and drop style sheets of others. What a colour
says, a mark, a line or a word says as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mxref._styles import MONOSPACE, STYLES
from mxref.exact.number import NumberClass
from mxref.mxarray._look_gather import COUNTED
from mxref.mxarray._look_numbers import brief, full, of_float
from mxref.mxarray._look_parts import Block, Cell, Family
from mxref.mxarray._look_text import elements_text, scales_text, size_text

if TYPE_CHECKING:
    from mxref.mxarray._look import Look

__all__ = ["table"]

_WIDTH = 6  # characters of a number in a cell
_ACROSS = 16  # elements side by side: half a block of MX, a block of NVFP4
# Notebooks give cells of tables their own padding, alignment and stripes; the grid has none.
_GRID = "display:grid;grid-template-columns:repeat({across},{width}ch);gap:4px 5px"
_CELL = "text-align:left;vertical-align:top;padding:5px 10px 5px 0;white-space:nowrap"
_FONT = f"{MONOSPACE};font-size:11.5px"
_TABLE = "table-layout:auto;border-collapse:collapse;margin:8px 0"
_LINE = "border-top:1px solid rgba(128,128,128,.4)"
_DIM = STYLES["label"].css
_HIGH, _LOST = "\u25b2", "\u2205"


def table(look: Look, rows: int) -> str:
    """Return a view as HTML: what it is, counts, and the blocks.

    Parameters
    ----------
    look : Look
    rows : int
        How many blocks where the maker of the view did not say it.
    """
    family = look.family
    return "".join(
        [
            f'<div class="mxref" style="overflow-x:auto;line-height:1.35;{_FONT}">',
            f'<div style="{STYLES["title"].css};margin-bottom:4px">',
            f"{html.escape(family.head)}</div>",
            *_body(look, family, rows),
            "</div>",
        ]
    )


def _body(look: Look, family: Family, rows: int) -> Iterator[str]:
    if family.codes.size == 0:
        yield "<div>no elements</div>"
        return
    counts = look.counts(COUNTED)
    facts = [("size", f"{size_text(family)}, {family.storage}"), *family.facts]
    facts += [("scales", scales_text(counts)), ("elements", elements_text(family, counts))]
    if counts.where:
        facts.append(("counted", f"in {counts.where} only, {counts.elements:,} elements"))
    for label, text in facts:
        name = f'<span style="{_DIM};display:inline-block;width:11ch">{label}</span>'
        yield f"<div>{name}{html.escape(text)}</div>"
    blocks = look.shown(rows, tail=True)
    yield f'<table style="{_TABLE};{_FONT}">'
    yield "<thead><tr>"
    for name in ("block", "scale", "elements: value, code below"):
        yield f'<th scope="col" style="{_CELL};{_DIM}">{name}</th>'
    yield "</tr></thead><tbody>"
    cells = [cell for block in blocks if block is not None for cell in block.cells]
    width = max(len(brief(cell.value, _WIDTH)) + (cell.is_top or cell.is_flushed) for cell in cells)
    grid = _GRID.format(across=_ACROSS, width=width)
    left_out = math.prod(family.block_shape) - sum(block is not None for block in blocks)
    for block in blocks:
        if block is None:
            text = f"&#8942; {left_out:,} block{'s' * (left_out != 1)} left out"
            yield f'<tr><td colspan="3" style="{_CELL};{_LINE};{_DIM}">{text}</td></tr>'
        else:
            yield from _row(block, family, grid)
    yield "</tbody></table>"
    yield from _legend(cells, look, family)


def _row(block: Block, family: Family, grid: str) -> Iterator[str]:
    code = f'<br><span style="{_DIM}">{block.scale.code}</span>' if block.scale.code else ""
    style = "nan" if block.scale.value == "NaN" else "scale"
    amax = f'<br><span style="{_DIM}">amax {block.amax}' if block.amax else ""
    if block.amax_at is not None:
        amax += f" at {block.amax_at}" * (block.amax_at >= len(block.cells)) + "</span>"
    yield f'<tr><th scope="row" style="{_CELL};{_LINE};font-weight:normal">{block.label}{amax}</th>'
    value = f'<b style="{STYLES[style].css}">{block.scale.value}</b>'
    yield f'<td style="{_CELL};{_LINE}">{value}{code}'
    if block.subscales:
        yield f'<br><span style="{_DIM}">sub {_runs(block.subscales)}</span>'
    yield f'</td><td style="{_CELL};{_LINE}"><div style="{grid}">'
    for cell in block.cells:
        yield _cell(cell, block, family)
    if len(block.cells) < block.length:
        yield f'<span style="{_DIM}">&hellip; {block.length - len(block.cells):,} more</span>'
    yield "</div></td></tr>"


def _runs(subscales: tuple[int, ...]) -> str:
    """Write sub-scales four in a line."""
    texts = [str(each) for each in subscales]
    lines = [" ".join(texts[at : at + 4]) for at in range(0, len(texts), 4)]
    return "<br>".join(lines)


def _cell(cell: Cell, block: Block, family: Family) -> str:
    value, marks = html.escape(brief(cell.value, _WIDTH)), ""
    styles = []
    if cell.value.cls in (NumberClass.NAN, NumberClass.INF):
        styles.append(STYLES["nan"].css)
    elif cell.is_top if cell.given is None else cell.is_saturated:
        styles.append(STYLES["saturated"].css)
        marks = _HIGH
    elif cell.is_flushed:
        styles.append(STYLES["flushed"].css)
        marks = _LOST
    if cell.is_amax:
        styles.append(STYLES["amax"].css)
    if styles:
        value = f'<b style="{";".join(styles)}">{value}</b>'
    elif cell.value.cls is NumberClass.ZERO:
        value = f'<span style="{_DIM}">{value}</span>'
    digits = -(-family.code_bits // 4)
    title = html.escape(_title(cell, block, family))
    return f'<span title="{title}">{value}{marks}<br><small>{cell.code:0{digits}x}</small></span>'


def _title(cell: Cell, block: Block, family: Family) -> str:
    """Say everything about an element, for a pointer over it."""
    index = ", ".join(map(str, cell.index))
    digits = -(-family.code_bits // 4)
    text = f"[{index}] code 0x{cell.code:0{digits}x} = {family.split(cell.code)}: "
    text += f"{full(cell.element)} × {family.factor(block, cell)} = {full(cell.value)}"
    if cell.given is not None:
        text += f"; given {of_float(cell.given)}"
        text += "; saturated" * cell.is_saturated + "; flushed to zero" * cell.is_flushed
    return text + "; amax of its block" * cell.is_amax


def _legend(cells: list[Cell], look: Look, family: Family) -> Iterator[str]:
    top = f"{float(family.largest):g}"
    words = []
    if any(cell.is_amax for cell in cells):
        words.append(f'<b style="{STYLES["amax"].css}">amax</b> of its block')
    name = STYLES["saturated"].css
    if look.has_source:
        if any(cell.is_saturated for cell in cells):
            words.append(f'<b style="{name}">{_HIGH}</b> saturated: its number lies beyond')
        if any(cell.is_flushed for cell in cells):
            css = STYLES["flushed"].css
            words.append(f'<b style="{css}">{_LOST}</b> flushed: its number is not zero')
    elif any(cell.is_top for cell in cells):
        words.append(f'<b style="{name}">{_HIGH}</b> at the largest magnitude, {top}')
    words.append(f"point at an element for its bits, {family.field_names}")
    yield f'<div style="{_DIM}">{" &middot; ".join(words)}</div>'
