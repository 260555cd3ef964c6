"""One code, or a few, as something to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mxref._policy_base import Choices
from mxref.exact.number import floor_log2
from mxref.formats import ScaleFormat
from mxref.show._asked import policy_text
from mxref.show._books import Book
from mxref.show._facts import Interval, Neighbour
from mxref.show._paint import Mark, common_marks
from mxref.show._takes import Taken, takes_of
from mxref.show._text import WIDTH, View, binary, decimal, field, joined, powers, ratio, short

if TYPE_CHECKING:
    from mxref.show.numberline import NumberLine

__all__ = ["FIELD_STYLES", "CodeView", "CodesView", "cell_text", "code_view", "hexadecimal"]

FIELD_STYLES = {
    "sign": "sign",
    "exponent": "exponent",
    "mantissa": "mantissa",
    "magnitude": "mantissa",
    "integer": "mantissa",
    "fraction": "mantissa",
    "unused": "label",
}
"""How the field of a code looks: keys of ``_paint.STYLES``."""


@dataclass(frozen=True, slots=True, repr=False)
class CodeView(View):
    """Everything about one code.

    Attributes
    ----------
    name : str
        Name of the format.
    code : int
        The bit pattern.
    fields : tuple of (str, str)
        Name and bits of each field, the most significant first.
    cls : str
        ``"zero"``, ``"subnormal"``, ``"normal"``, ``"fixed-point"``, ``"Inf"`` or ``"NaN"``.
    value : Fraction or None
        The exact value; None for Inf and NaN. Of an element of a BDR format it is still to be
        multiplied by the scales of its block.
    position : int or None
        Steps from zero along the values of the format; for E8M0, its unbiased exponent.
    below, above : Neighbour or None
        Neighbouring finite values.
    takes : tuple of Taken
        The real numbers that become this code, with the reason; in ascending order.
    notes : tuple of str
        What else is worth knowing.
    policy : Policy, NVFP4Policy or BDRPolicy
        Whose rules `takes` and `notes` follow.
    asked : str or None
        The name by which the policy was asked for, where that is another than its own.
    """

    book: Book
    code: int
    fields: tuple[tuple[str, str], ...]
    cls: str
    value: Fraction | None
    position: int | None
    below: Neighbour | None
    above: Neighbour | None
    takes: tuple[Taken, ...]
    notes: tuple[str, ...]
    policy: Choices
    asked: str | None = None

    @property
    def name(self) -> str:
        """Name of the format."""
        return self.book.name

    @property
    def format(self) -> Any:
        """The format, an entry of a table."""
        return self.book.format

    @property
    def interval(self) -> Interval | None:
        """The real numbers that round to this code, before overflow is dealt with."""
        return self._taken("rounding")

    @property
    def saturated(self) -> Interval | None:
        """The real numbers that become this code because they overflow."""
        return self._taken("overflow")

    def _taken(self, why: str) -> Interval | None:
        return next((taken.interval for taken in self.takes if taken.why == why), None)

    def line(self, **options: Any) -> NumberLine:
        """Draw the code among its neighbours; see `mxref.show.numberline.numberline`."""
        from mxref.show.numberline import numberline

        return numberline(self.book, self.code, policy=self.policy, **options)

    def _lines(self) -> list[str]:
        last = self.book.code_count - 1
        shown = hexadecimal(self.code, self.book)
        lines = [f"{self.name} code {shown}, {self.code} of 0..{last}"]
        bits = " | ".join(bits for _, bits in self.fields)
        lines += field("bits", f"{bits}   {' | '.join(name for name, _ in self.fields)}")
        lines += field("class", self.cls, [self.book.clause])
        if self.value is not None:
            lines += field("value", _value_text(self, self.value))
        if self.book.in_block:
            lines += field("in block", self.book.in_block)
        if self.value is not None:
            lines += field("position", _position_text(self))
            lines += field("below", _neighbour_text(self.below, self.book))
            lines += field("above", _neighbour_text(self.above, self.book))
        lines += self.policy_lines()
        lines += self._takes_lines()
        for note in self.notes:
            lines += field("note", note)
        return lines

    def policy_lines(self) -> list[str]:
        """Name the policy, unless it is the default and nobody asked for another name of it."""
        if self.asked is None and self.policy == self.book.get_policy(None):
            return []
        return field("policy", policy_text(self.policy, self.asked))

    def _takes_lines(self) -> list[str]:
        if self.book.is_random(self.policy):
            mode = getattr(self.policy, "rounding", "")
            text = f"at random: numbers between its neighbours, rounding={mode}"
            return field("takes", text, ["OP-ELEM-STOCHASTIC"]) if self.value is not None else []
        lines: list[str] = []
        for taken in self.takes:
            words, clause = self.book.because(taken.why, self.code, self.policy)
            label = "" if lines else "takes"
            lines += field(label, f"{taken.interval}   {words}", [clause])
        return lines

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield from common_marks(lines)
        for at, line in enumerate(lines):
            label = line[:13].strip()
            if label == "bits":
                yield from _bit_marks(at, line, self.fields)
            elif label == "class" and self.cls in ("NaN", "Inf"):
                yield Mark(at, 13, 13 + len(self.cls), "nan")
            elif label == "class" and self.cls == "subnormal":
                yield Mark(at, 13, 13 + len(self.cls), "flushed")
            elif (start := line.find("by saturation")) >= 0:
                yield Mark(at, start, start + len("by saturation"), "saturated")

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""

        def neighbour(n: Neighbour | None) -> dict[str, object] | None:
            if n is None:
                return None
            return {"code": n.code, "value": ratio(n.value), "gap": ratio(n.gap)}

        return {
            "format": self.name,
            "code": self.code,
            "fields": dict(self.fields),
            "class": self.cls,
            "value": None if self.value is None else ratio(self.value),
            "powers": None if self.value is None else powers(self.value),
            "decimal": None if self.value is None else decimal(self.value),
            "in_block": self.book.in_block,
            "position": self.position,
            "below": neighbour(self.below),
            "above": neighbour(self.above),
            "policy": self.policy.name,
            **({} if self.asked is None else {"policy_asked": self.asked}),
            "interval": self.interval and self.interval.to_dict(),
            "saturated": self.saturated and self.saturated.to_dict(),
            "takes": [{**t.interval.to_dict(), "why": t.why} for t in self.takes],
            "notes": list(self.notes),
            "clause": self.book.clause,
        }


@dataclass(frozen=True, slots=True, repr=False)
class CodesView(View):
    """Some codes of one format, a line each.

    Attributes
    ----------
    name : str
        Name of the format.
    codes : tuple of CodeView
        The codes, in the order in which they were asked for.
    """

    name: str
    codes: tuple[CodeView, ...]

    def _lines(self) -> list[str]:
        rows = [("code", "bits", "class", "value", "takes")]
        for view in self.codes:
            bits = " ".join(bits for _, bits in view.fields)
            value = cell_text(view)
            taken = " ".join(str(t.interval) for t in view.takes) or "nothing"
            rows.append((hexadecimal(view.code, view.book), bits, view.cls, value, taken))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        count = f"{len(self.codes)} code{'s' if len(self.codes) != 1 else ''}"
        lines = [f"{self.name}: {count}"]
        lines += self.codes[0].policy_lines() if self.codes else []
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
            line = "  " + "  ".join([*cells, row[-1]])
            if len(line) > WIDTH:  # whole intervals only; the view of one code has them all
                cut = line[: WIDTH - 4]
                line = f"{cut[: max(cut.rfind(') '), cut.rfind('] ')) + 1]} ..."
            lines.append(line)
        return lines

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield Mark(0, 0, len(lines[0]), "title")
        head = len(lines) - len(self.codes) - 1
        yield Mark(head, 2, len(lines[head]), "label")
        start = lines[head].index("bits")
        for at, view in enumerate(self.codes, start=head + 1):
            yield from _field_marks(at, start, view.fields, gap=1)

    def to_dict(self) -> dict[str, object]:
        """Return the facts about every code."""
        return {"format": self.name, "codes": [view.to_dict() for view in self.codes]}


def code_view(
    book: Book,
    code: int,
    policy: Choices,
    taken: tuple[Taken, ...] | None = None,
    asked: str | None = None,
) -> CodeView:
    """Collect the facts about a code; who knows what becomes it hands that in."""
    is_real = book.is_real(code)
    below, above = book.neighbours(code) if is_real else (None, None)
    return CodeView(
        book=book,
        code=code,
        fields=book.fields(code),
        cls=book.cls(code),
        value=book.number(code).value if is_real else None,
        position=book.position(code) if is_real else None,
        below=below,
        above=above,
        takes=takes_of(code, book, policy) if taken is None else taken,
        notes=book.notes(code, policy),
        policy=policy,
        asked=asked,
    )


def hexadecimal(code: int, book: Book) -> str:
    """Write a code with all of its digits: ``0x07`` in eight bits."""
    return f"0x{code:0{-(-book.bits // 4)}x}"


def _bit_marks(at: int, line: str, fields: Iterable[tuple[str, str]]) -> Iterator[Mark]:
    """Mark the bits, and the names behind them."""
    fields = list(fields)
    yield from _field_marks(at, 13, fields, gap=3)
    start = 13 + sum(len(bits) for _, bits in fields) + 3 * len(fields)
    for name, _ in fields:
        start = line.index(name, start)
        yield Mark(at, start, start + len(name), FIELD_STYLES[name])
        start += len(name)


def _field_marks(
    at: int, start: int, fields: Iterable[tuple[str, str]], gap: int
) -> Iterator[Mark]:
    for name, bits in fields:
        yield Mark(at, start, start + len(bits), FIELD_STYLES[name])
        start += len(bits) + gap


def _value_text(view: CodeView, value: Fraction) -> str:
    if view.cls == "zero":
        return "-0" if view.fields[0] == ("sign", "1") else "0"
    mantissa = next((bits for name, bits in view.fields if name == "mantissa"), None)
    if mantissa is None or view.cls == "fixed-point":
        return joined(value)
    exponent = max(floor_log2(abs(value)), view.book.emin)
    return f"{joined(value)} = {binary(value, len(mantissa), exponent)}"


def _position_text(view: CodeView) -> str:
    if isinstance(view.format, ScaleFormat):
        return f"exponent {view.code} - {view.format.bias} = {view.position}"
    place = view.position or 0
    if not place:
        return "zero"
    return f"value {abs(place)} {'below' if place < 0 else 'above'} zero"


def _neighbour_text(neighbour: Neighbour | None, book: Book) -> str:
    if neighbour is None:
        return "none"
    code = hexadecimal(neighbour.code, book)
    return f"{short(neighbour.value)} = code {code}, gap {short(neighbour.gap)}"


def cell_text(view: CodeView) -> str:
    """Value of a code in a table."""
    sign = "-" if view.fields[0] == ("sign", "1") else ""
    if view.value is None:
        return sign + view.cls
    return short(view.value) if view.value else sign + "0"
