"""A view of an array as text: what it is, what is in it, and its first blocks."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mxref.mxarray._look_gather import COUNTED
from mxref.mxarray._look_numbers import brief
from mxref.mxarray._look_parts import Block, Cell, Counts, Family, Scale

if TYPE_CHECKING:
    from mxref.mxarray._look import Look

__all__ = ["document", "elements_text", "lines", "marks_of", "scales_text", "size_text"]

_WIDTH = 80
_LABEL = 12
_ROWS, _MOST_ROWS = 2, 3  # blocks: a third only where there are no more

_IN_DOCUMENT = 16


def lines(look: Look) -> Iterator[str]:
    """Yield the lines."""
    family = look.family
    yield from textwrap.wrap(family.head, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    if family.codes.size == 0:
        yield "  no elements"
        return
    counts = look.counts(COUNTED)
    rows = [("size", f"{size_text(family)}, {family.storage}"), *family.facts]
    rows += [("scales", scales_text(counts)), ("elements", elements_text(family, counts))]
    if counts.where:
        rows.append(("counted", f"in {counts.where} only, {counts.elements:,} elements"))
    for label, text in rows:
        yield from _field(label, text)
    n_blocks = math.prod(family.block_shape)
    shown = look.shown(_MOST_ROWS if n_blocks <= _MOST_ROWS else _ROWS, tail=False)
    marks = ""
    for block in shown:
        if block is None:
            left = n_blocks - len(shown) + 1
            yield f"  ... {left:,} more block{'s' * (left > 1)}"
        else:
            *texts, seen = _block(block, family)
            marks += seen
            yield from texts
    yield from _legend(marks, known=look.has_source)


def size_text(family: Family) -> str:
    """Say how many blocks there are, and how long they are."""
    shape, size = family.codes.shape, family.block_size
    n_blocks = math.prod(family.block_shape)
    text = f"{n_blocks:,} block{'s' * (n_blocks != 1)} of {size:,}"
    if family.block_shape and shape[family.axis] % size:
        text += f" (the last along the axis of {shape[family.axis] % size:,})"
    return text


def scales_text(counts: Counts) -> str:
    """Say between which two the scales lie, and how many are NaN."""
    if not counts.scales:
        return "all NaN"
    low, high = map(_scale_text, counts.scales)
    text = f"all {low}" if low == high else f"{low} to {high}"
    return f"{text}, {counts.nan_blocks:,} NaN" if counts.nan_blocks else text


def _scale_text(scale: Scale) -> str:
    return f"{scale.value} ({scale.code})" if scale.code else scale.value


def elements_text(family: Family, counts: Counts) -> str:
    """Say how many elements are special."""
    top = f"{float(family.largest):g}"
    whole = f" ({_blocks_of_zeros(counts.zero_blocks)})" * (counts.zero_blocks > 0)
    parts = [f"{counts.zeros:,} zero{whole}", f"{counts.top:,} at the largest magnitude ({top})"]
    parts += [
        f"{count:,} {name}" for count, name in ((counts.nan, "NaN"), (counts.inf, "Inf")) if count
    ]
    if counts.flushed is not None and counts.saturated is not None:
        parts.append(f"{counts.flushed:,} flushed to zero, {counts.saturated:,} saturated")
    return f"{counts.elements:,}: {', '.join(parts)}"


def _blocks_of_zeros(count: int) -> str:
    return f"{count:,} block{'s' * (count != 1)} of nothing else"


def _field(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"  {label:<{_LABEL - 2}}",
        subsequent_indent=" " * _LABEL,
        break_on_hyphens=False,
    )


def _block(block: Block, family: Family) -> Iterator[str]:
    """Yield the lines of a block, and then the marks in them."""
    about = f"  {block.label}  scale {block.scale.value}"
    if block.scale.code:
        about += f" ({block.scale.code})"
    if block.amax_at is not None:
        about += f", amax {block.amax} at {block.amax_at}"
    if block.subscales:
        about += f", sub-scales {' '.join(map(str, block.subscales))}"
    yield about if len(about) <= _WIDTH else about[: _WIDTH - 4] + " ..."
    digits = -(-family.code_bits // 4)
    values = [brief(cell.value) + marks_of(cell) for cell in block.cells]
    codes = [f"0x{cell.code:0{digits}x}" for cell in block.cells]
    room, count = _WIDTH - _LABEL - 4, 0
    widths = [max(len(v), len(c)) + 1 for v, c in zip(values, codes, strict=True)]
    while count < len(widths) and sum(widths[: count + 1]) <= room:
        count += 1
    more = " ..." if count < block.length else ""
    for label, texts in (("value", values), ("code", codes)):
        body = "".join(
            f"{text:>{width}}" for text, width in zip(texts[:count], widths, strict=False)
        )
        yield f"    {label:<{_LABEL - 4}}{body}{more}"
    yield "".join(map(marks_of, block.cells[:count]))


def marks_of(cell: Cell) -> str:
    """Return the marks behind a value: ``*`` amax, ``^`` top or saturated, ``!`` flushed."""
    is_high = cell.is_top if cell.given is None else cell.is_saturated
    return "*" * cell.is_amax + "^" * is_high + "!" * cell.is_flushed


def _legend(seen: str, *, known: bool) -> Iterator[str]:
    words = {
        "*": "* amax of its block",
        "^": "^ saturated" if known else "^ at the largest magnitude",
        "!": "! flushed",
    }
    if seen:
        yield "  " + "   ".join(text for mark, text in words.items() if mark in seen)


def document(look: Look) -> dict[str, Any]:
    """Return the same facts in types that JSON knows."""
    family = look.family
    found: dict[str, Any] = {
        "array": family.head,
        "element": family.element_name,
        "shape": list(family.codes.shape),
        "axis": family.axis,
        "block_size": family.block_size,
        "blocks": [],
    }
    if family.codes.size == 0:
        return found
    counts = look.counts()
    found |= {name: getattr(counts, name) for name in counts.__slots__ if name != "scales"}
    found["scales"] = [list(scale) for scale in counts.scales]
    found["blocks"] = [
        {
            "label": block.label,
            "scale_code": block.scale.code,
            "scale": block.scale.value,
            "subscales": list(block.subscales),
            "amax_at": block.amax_at,
            "codes": [cell.code for cell in block.cells],
            "values": [str(cell.value) for cell in block.cells],
            "saturated": [i for i, cell in enumerate(block.cells) if cell.is_saturated],
            "flushed": [i for i, cell in enumerate(block.cells) if cell.is_flushed],
        }
        for block in look.shown(_IN_DOCUMENT, tail=True)
        if block is not None
    ]
    found["left_out"] = math.prod(family.block_shape) - len(found["blocks"])
    return found
