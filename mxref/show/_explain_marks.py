"""What the parts of an explanation are, for colours: bits, amax, what saturated, what was lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mxref.show._paint import Mark, common_marks

__all__ = ["explanation_marks"]

_ALIGN = re.compile(r"  align +([+-]0b)([01.]+) \| ([01]) \| ([01]) \| ([01])")
_ALIGN_STYLES = ("sign", "mantissa", "guard", "round", "sticky")
_LEGEND = re.compile(r"  (kept) \| (guard) \| (round) \| (sticky)")
_PACK = re.compile(r"  (?:pack|code|scale(?: [46])?) +((?:[01]+ \| )*[01]+) = 0x[0-9a-f]+")
_FIELDS = {3: ("sign", "exponent", "mantissa"), 2: ("sign", "mantissa"), 1: ("exponent",)}
_WORDS = {
    "a tie": "round",
    "above half": "round",
    "below half": "round",
}
_WORD = re.compile("|".join(_WORDS))
_YES = re.compile(r"  overflow +(yes)")
_HEAD = re.compile(r" *i +given ")
_TABLE = re.compile(r" *(?:i +given|\d+ +\S+ .*0x[0-9a-f]+)  ?")
_ROW = re.compile(r" *\d+ .*0x[0-9a-f]+ ")
_FLAGS = {"amax": "amax", "overflow": "saturated", "to zero": "flushed", "nan": "nan", "inf": "nan"}
_FLAG = re.compile(r"\b(amax|overflow|to zero|nan|inf)\b")
_SCALE = re.compile(r"  scale +(0x[0-9a-f]+)")


def explanation_marks(lines: Sequence[str]) -> Iterator[Mark]:
    """Mark guard, round and sticky, the fields of a code, and what deserves a second look.

    Examples
    --------
    >>> marks = list(explanation_marks(["  align      +0b1.0 | 1 | 0 | 1 *2^2"]))
    >>> [(mark.start, mark.style) for mark in marks[1:]]
    [(13, 'sign'), (16, 'mantissa'), (22, 'guard'), (26, 'round'), (30, 'sticky')]
    """
    rows = {at for at, line in enumerate(lines) if _TABLE.match(line)}
    yield from (mark for mark in common_marks(lines) if mark.line not in rows)
    for at, line in enumerate(lines):
        if _HEAD.match(line):
            yield Mark(at, 0, len(line), "label")
        if found := _ALIGN.match(line):
            yield from _groups(at, found, _ALIGN_STYLES)
            if legend := _LEGEND.search(line):
                yield from _groups(at, legend, _ALIGN_STYLES[1:])
        elif found := _PACK.match(line):
            yield from _fields(at, found.start(1), found[1])
        elif found := _YES.match(line):
            yield Mark(at, *found.span(1), "saturated")
        elif found := _SCALE.match(line):
            yield Mark(at, *found.span(1), "scale")
        elif found := _ROW.match(line):
            for flag in _FLAG.finditer(line, found.end()):
                yield Mark(at, *flag.span(), _FLAGS[flag[0]])
        for word in _WORD.finditer(line):
            yield Mark(at, *word.span(), _WORDS[word[0]])


def _groups(at: int, found: re.Match[str], styles: Sequence[str]) -> Iterator[Mark]:
    for number, style in enumerate(styles, 1):
        yield Mark(at, *found.span(number), style)


def _fields(at: int, start: int, text: str) -> Iterator[Mark]:
    parts = text.split(" | ")
    # INT8 has a sign, an integer bit and a fraction: no exponent.
    is_fixed = len(parts) == 3 and len(parts[1]) == 1 and len(parts[2]) == 6
    is_unsigned = len(parts) == 2 and len(parts[0]) > 1  # UE4M3
    styles = _FIELDS.get(len(parts), ())
    if is_fixed or is_unsigned:
        styles = ("exponent", "mantissa") if is_unsigned else ("sign", "mantissa", "mantissa")
    for part, style in zip(parts, styles, strict=False):
        yield Mark(at, start, start + len(part), style)
        start += len(part) + 3
