"""A witness as boxes, one a bit, coloured by field, with the bits that differ marked."""

from __future__ import annotations

import html
from collections.abc import Iterator

from mxref.check.parts import Witness
from mxref.check.render._words import visible
from mxref.check.render.bits import BitRow, bit_rows

__all__ = ["witness"]

# Field -> class; a fixed-point number has an integer bit and a fraction in place of the others.
_CLASSES = {
    "sign": "s",
    "exponent": "e",
    "mantissa": "m",
    "integer": "e",
    "fraction": "m",
    "excess": "x",
    "bits": "u",
}
_MANY = 16  # more bits than this are drawn narrower on a phone
_LABELS = {"input": "input", "scale": "scale code", "got": "got", "expected": "expected"}


def witness(shown: Witness, format: str) -> Iterator[str]:  # noqa: A002
    """Yield a witness as HTML: where it lies, its numbers bit by bit, and a key of the colours."""
    rows = bit_rows(shown, format)
    yield f'<figure class="witness"><p class="where">{_text(_place(shown))}</p>'
    if not rows:
        yield f"<p>{_text(str(shown))}</p></figure>"
        return
    differing = _differing(rows)
    yield '<div class="bits">'
    for row in rows:
        marked = differing if row.role in {"got", "expected"} else frozenset()
        yield from _row(row, shown, marked)
    yield "</div>"
    names = dict.fromkeys(field.name for row in rows for field in row.fields)
    keys = "".join(
        f'<span class="swatch {_CLASSES[name]}"></span>{name}' for name in names if name != "bits"
    )
    if differing:
        keys += '<span class="swatch ring"></span>differs'
    yield f'<figcaption class="key">{keys}</figcaption></figure>'


def _place(shown: Witness) -> str:
    index = ", ".join(str(i) for i in shown.index)
    what = {"scale": "Scale of block"}.get(shown.stage, shown.stage.capitalize())
    given = "" if shown.input_bits or not shown.input_value else f": {shown.input_value}"
    if shown.stage == "scale" and not shown.index:
        return f"Scale of the tensor{given}"
    return f"{what} [{index}]{given}"


def _differing(rows: tuple[BitRow, ...]) -> frozenset[int]:
    """Places of the bits in which got and expected differ."""
    got = next((row.bits for row in rows if row.role == "got"), "")
    due = next((row.bits for row in rows if row.role == "expected"), "")
    if len(got) != len(due):
        return frozenset()
    return frozenset(i for i, (a, b) in enumerate(zip(got, due, strict=True)) if a != b)


def _row(row: BitRow, shown: Witness, marked: frozenset[int]) -> Iterator[str]:
    label = _LABELS[row.role]
    if row.role == "input" and shown.stage == "scale":
        label = "amax"
    yield f'<div class="bitrow {row.role}"><div class="role">{label}'
    if row.format:
        yield f' <span class="dim">{_text(row.format)}</span>'
    value = f"<b>{_text(row.value)}</b> " if row.value else ""
    yield f'</div><div class="reading">{value}<code>{_text(row.hex)}</code></div>'
    yield f'<div class="boxes{" many" if len(row.bits) > _MANY else ""}">'
    start = 0
    for field in row.fields:
        boxes = "".join(
            f"<i{' class=d' if start + i in marked else ''}>{bit}</i>"
            for i, bit in enumerate(field.bits)
        )
        yield f'<span class="f {_CLASSES[field.name]}" title="{field.name}">{boxes}</span>'
        start += len(field.bits)
    yield "</div></div>"


def _text(text: str) -> str:
    return html.escape(visible(text))
