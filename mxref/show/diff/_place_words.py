"""One place of a difference as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxref.show._text import WIDTH, field
from mxref.show.diff._count import KINDS

if TYPE_CHECKING:
    from mxref.show.diff._place import Place, Side

__all__ = ["code", "index", "lines"]


def index(place: Place) -> str:
    """Write the index of a place."""
    return f"[{', '.join(map(str, place.index))}]"


def lines(place: Place, *, is_first: bool = False) -> list[str]:
    """Return the lines that show one place."""
    where = index(place)
    if place.block is not None:
        block = ", ".join(map(str, place.block))
        where += f": block [{block}], position {place.position} in it"
    out = field("first" if is_first else "at", f"{where}; number {place.flat:,} in C order", ())
    for spot in place.spots:
        out += field("", f"{spot.buffer}: {spot}", ())
    for name, side in (("a", place.a), ("b", place.b)):
        out += field("  " + name, _side(side), ())
    if flipped := _flipped(place):
        out.append(flipped)
    out += field("  so", _how(place), ())
    return out


def _flipped(place: Place) -> str:
    """Point at the bits that differ, if the codes stand at the beginning of their lines."""
    pairs = zip(place.a.bits, place.b.bits, strict=True)
    text = "".join(" " if x == y else "^" for x, y in pairs)
    start = len(field("  a", code(place.a) + " = |")[0]) - 1
    return "" if start + len(text) > WIDTH else (" " * start + text).rstrip()


def _side(side: Side) -> str:
    text = f"{code(side)} = {side.bits} ({side.cls})"
    if side.scale is not None:
        digits = 2 if side.scale <= 0xFF else 8  # bits of a float32
        text += f", scale 0x{side.scale:0{digits}x} = {side.scale_value}"
    if side.subscale is not None:
        text += f", sub-scale {side.subscale}"
    return f"{text}, value {side.value}"


def code(side: Side) -> str:
    """Write a code in hexadecimal, as wide as the format is."""
    return f"0x{side.code:0{-(-_width(side) // 4)}x}"


def _width(side: Side) -> int:
    return len(side.bits.replace(" ", ""))


def _how(place: Place) -> str:
    if place.kind is None:
        return "equal"
    scales = place.a.scale != place.b.scale or place.a.subscale != place.b.subscale
    text = KINDS[place.kind]
    if place.ulps > 1:
        text += f": {place.ulps:,} ulps"
    if not scales:
        return text
    which = "scale" if place.a.scale != place.b.scale else "sub-scale"
    codes = "same code" if place.a.code == place.b.code else "other code"
    return f"{text}; other {which}, {codes}"
