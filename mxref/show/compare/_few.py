"""`NumbersComparison`: a few numbers in every format, side by side, code by code."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import Any

from mxref.quality._formats import any_format
from mxref.relatives.bdr_format import BDRFormat
from mxref.show._facts import bit_fields
from mxref.show._paint import STYLES, Mark, common_marks
from mxref.show._text import WIDTH, View, decimal, powers, short
from mxref.show.compare._numbers import Outcome

__all__ = ["NumbersComparison"]

_RULES = 24  # columns for the names of rules, and for a scale
_SCALE = 14
_BLOCK = 32  # elements; those of NVFP4 are shorter, and the last of them is filled


@dataclass(frozen=True, slots=True, repr=False)
class NumbersComparison(View):
    """What `mxref.compare` returns for one number, or for at most 32 of them.

    Attributes
    ----------
    numbers : tuple of float
        As they were converted.
    dtype : str
        Their type.
    outcomes : tuple of Outcome
        Each is what one format makes of them under one rule or several.

    Examples
    --------
    >>> import mxref
    >>> found = mxref.compare(1.3, "mxfp4")
    >>> [(each.rules[0], each.codes, each.values) for each in found]
    [('floor', (7,), (1.5,)), ('ceil', (5,), (1.5,))]
    """

    numbers: tuple[float, ...]
    dtype: str
    outcomes: tuple[Outcome, ...]

    def __iter__(self) -> Iterator[Outcome]:
        """Iterate over the outcomes."""
        return iter(self.outcomes)

    def __len__(self) -> int:
        """Number of outcomes."""
        return len(self.outcomes)

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data; exact numbers are strings ``p/q``."""
        return {
            "numbers": [_plain(x) for x in self.numbers],
            "dtype": self.dtype,
            "outcomes": [_document(each) for each in self.outcomes],
        }

    def _lines(self) -> list[str]:
        count = len(self.numbers)
        if count == 1:
            out = [f"{_long(self.numbers[0])} ({_pattern(self)}), alone in its block"]
        else:
            behind = ", zeros behind them in the block" if count < _BLOCK else ""
            out = [f"{count} numbers ({self.dtype}){behind}"]
        out += _wrapped("Rules that give the same bits share a line; * is the format's default.", 2)
        if count > 1:
            out += ["", *_grid("numbers", [_number(x) for x in self.numbers])]
        else:
            out += ["", f"  {'rules':<{_RULES}}{'scale':<{_SCALE}}{'code':<16}{'value':<11}error"]
        last = ""
        for each in self.outcomes:
            if each.format != last:
                last = each.format
                out += ["", f"{each.format}, {each.bits_per_element:.4g} bits an element"]
            out += _one(each) if count == 1 else _several(each)
        return out

    def _marks(self, lines: Sequence[str]) -> Iterable[Mark]:
        yield from common_marks(lines)
        names = {each.format for each in self.outcomes}
        for at, line in enumerate(lines):
            if line.partition(",")[0] in names:
                yield Mark(at, 0, len(line), "title")
            for word, style in (("saturated", "saturated"), ("to zero", "flushed")):
                start = line.find(word)
                if start >= 0:
                    yield Mark(at, start, start + len(word), style)

    def _repr_html_(self) -> str:
        head = ("format", "rules", "scale", *(_number(x) for x in self.numbers))
        top = "".join(f'<th style="{_TD}">{escape(cell)}</th>' for cell in head)
        body, last = "", ""
        for each in self.outcomes:
            name = "" if each.format == last else each.format
            last = each.format
            cells = [f"<b>{escape(name)}</b>", escape(_rules(each)), escape(_scale(each))]
            cells += [_html_cell(each, i) for i in range(len(self.numbers))]
            body += "<tr>" + "".join(f'<td style="{_TD}">{c}</td>' for c in cells) + "</tr>"
        note = "Codes and bits on hover; * is the format's default rule."
        caption = f'<caption style="text-align:left">{escape(note)}</caption>'
        style = "border-collapse:collapse;color:inherit"
        return f'<table style="{style}">{caption}<tr>{top}</tr>{body}</table>'


_TD = "text-align:left;vertical-align:top;padding:1px 8px"


def _html_cell(outcome: Outcome, i: int) -> str:
    style = ""
    if outcome.saturated[i]:
        style = STYLES["saturated"].css
    elif outcome.flushed[i]:
        style = STYLES["flushed"].css
    title = f"{_code(outcome, i)} = {_bits(outcome, i)}, error {_error(outcome.errors[i])}"
    for name, flags in (("saturated", outcome.saturated), ("to zero", outcome.flushed)):
        title += f", {name}" if flags[i] else ""
    return f'<span style="{style}" title="{title}">{_number(outcome.values[i])}</span>'


def _rules(outcome: Outcome) -> str:
    names = list(outcome.rules)
    if outcome.is_default:
        names[0] = f"*{names[0]}"
    return ", ".join(names)


def _one(outcome: Outcome) -> list[str]:
    """Write the outcome of one number: a line, and more if there are many rules."""
    rules = textwrap.wrap(
        _rules(outcome), _RULES - 1, break_long_words=False, break_on_hyphens=False
    )
    code = f"{_code(outcome, 0)} {_bits(outcome, 0)}"
    rest = f"{code:<16}{_number(outcome.values[0]):<11}{_error(outcome.errors[0])}"
    scale = _scale(outcome)
    first = f"  {rules[0]:<{_RULES}}"
    if len(first) == _RULES + 2 and len(scale) < _SCALE:
        out = [f"{first}{scale:<{_SCALE}}{rest}"]
    else:  # a long name, or a long scale: it ends where others do
        out = [first.rstrip(), f"{scale:>{_RULES + 1 + _SCALE}} {rest}"]
    out += [f"  {rule}" for rule in rules[1:]]
    flags = [n for n, f in (("saturated", outcome.saturated), ("to zero", outcome.flushed)) if f[0]]
    if flags:
        out.append(f"  {'':<{_RULES + _SCALE}}{', '.join(flags)}")
    return out


def _several(outcome: Outcome) -> list[str]:
    out = _wrapped(_rules(outcome), 2)
    text = f"scale {_scale(outcome)}"
    square = outcome.mean_square
    if square is not None:
        text += f"; root mean square error {math.sqrt(square):.3g}"
    if outcome.largest is not None:
        at = outcome.largest
        text += f", largest {_error(outcome.errors[at])} at [{at}]"
    for name, flags in (("saturated", outcome.saturated), ("to zero", outcome.flushed)):
        if any(flags):
            text += f"; {sum(flags)} {name}"
    out += _wrapped(text, 4)
    count = len(outcome.codes)
    out += _grid("codes", [_code(outcome, i) for i in range(count)])
    return out + _grid("values", [_number(outcome.values[i]) for i in range(count)])


def _grid(label: str, cells: Sequence[str]) -> list[str]:
    """Write cells in columns behind a label, as many as fit."""
    width = max(map(len, cells)) + 2
    across = (WIDTH - 12 + 2) // width
    out = []
    for start in range(0, len(cells), across):
        text = "".join(f"{cell:<{width}}" for cell in cells[start : start + across])
        out.append(f"    {label if not start else '':<8}{text}".rstrip())
    return out


def _wrapped(text: str, indent: int) -> list[str]:
    lead = " " * indent
    return textwrap.wrap(
        text, WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False
    )


def _code(outcome: Outcome, i: int) -> str:
    return f"0x{outcome.codes[i]:0{-(-outcome.code_bits // 4)}x}"


def _bits(outcome: Outcome, i: int) -> str:
    """Write a code in binary, its fields apart."""
    code, fmt = outcome.codes[i], any_format(outcome.format)
    element = fmt.float_element if isinstance(fmt, BDRFormat) else fmt.element
    if element is not None:
        return " ".join(text for _, text in bit_fields(code, element))
    digits = f"{code:0{outcome.code_bits}b}"
    return f"{digits[0]} {digits[1:]}"


def _scale(outcome: Outcome) -> str:
    parts = []
    for code, value in zip(outcome.scales, outcome.scale_values, strict=True):
        text = _power(value)
        parts.append(f"0x{code:02x} {text}" if isinstance(code, int) else text)
    text = ", ".join(parts)
    if outcome.subscales:
        text += f" {_sub_sign(outcome)}{','.join(map(str, outcome.subscales))}"
    if outcome.global_scale is not None:
        text += f" x{_number(outcome.global_scale)}"
    return text


def _sub_sign(outcome: Outcome) -> str:
    """Return what a sub-scale does: a shift to the right, or a factor."""
    from mxref.relatives.bdr_formats import bdr_format

    return "x" if bdr_format(outcome.format).subscale == "int" else ">>"


def _power(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    exact = Fraction(value)
    text = powers(exact).removeprefix("+")
    return text if text.startswith("2^") or value == 0 else _number(value)


def _number(value: float) -> str:
    """Write a number in at most nine characters, with ~ where it is rounded."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    exact = Fraction(value)
    text = short(exact, 9)
    return text if len(text) <= 9 else decimal(exact, 5, 4)


def _long(value: float) -> str:
    """Write a number in full if that is short, else with nine digits behind ~."""
    return decimal(Fraction(value)) if math.isfinite(value) and value else _number(value)


def _pattern(found: NumbersComparison) -> str:
    """Return the type of one number and its bits."""
    import numpy as np

    from mxref._inputs import SOURCE_OF

    dtype = next(d for d, name in SOURCE_OF.items() if name == found.dtype)
    bits = np.array(found.numbers[:1]).astype(dtype).view(f"u{dtype.itemsize}")
    return f"{found.dtype} 0x{int(bits[0]):0{2 * dtype.itemsize}x}"


def _error(error: Fraction | None) -> str:
    if error is None:
        return "no number"
    text = decimal(error, 6, 3)
    sign = "+" if error > 0 else ""
    return text.replace("~", f"~{sign}") if "~" in text else sign + text


def _plain(value: float) -> object:
    return value if math.isfinite(value) else str(value)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "format": outcome.format,
        "rules": list(outcome.rules),
        "policies": list(outcome.policies),
        "is_default": outcome.is_default,
        "is_best": outcome.is_best,
        "bits_per_element": outcome.bits_per_element,
        "scales": [_plain(s) for s in outcome.scales],
        "scale_values": [_plain(v) for v in outcome.scale_values],
        "subscales": list(outcome.subscales),
        "global_scale": None if outcome.global_scale is None else _plain(outcome.global_scale),
        "codes": list(outcome.codes),
        "values": [_plain(v) for v in outcome.values],
        "errors": [None if e is None else str(e) for e in outcome.errors],
        "saturated": list(outcome.saturated),
        "flushed": list(outcome.flushed),
    }
